import dev.pocketrank.Event
import dev.pocketrank.FeatureKind
import dev.pocketrank.IdType
import dev.pocketrank.Lists
import dev.pocketrank.Model
import dev.pocketrank.Pocketrank
import dev.pocketrank.RankResult
import dev.pocketrank.Ranker
import dev.pocketrank.Ranking
import dev.pocketrank.Request
import dev.pocketrank.Side
import dev.pocketrank.Status
import dev.pocketrank.TaskKind
import dev.pocketrank.Texts
import dev.pocketrank.UserState
import java.io.FileInputStream
import java.io.RandomAccessFile
import java.nio.ByteBuffer
import java.nio.channels.FileChannel
import kotlin.test.assertContentEquals
import kotlin.test.assertEquals
import kotlin.test.assertNotEquals
import kotlin.test.assertNull
import kotlin.test.assertSame
import kotlin.test.assertTrue

val requestTests = listOf(
    Test("a model opens from a file, a descriptor, bytes, and direct and other buffers, at any address") {
        val file = Gold.file("model")
        val bytes = file.readBytes()
        val odd = ByteBuffer.allocateDirect(bytes.size + 13)
        odd.position(7)
        odd.put(bytes)
        odd.limit(odd.position()).position(7)
        val shifted = kotlin.io.path.createTempFile().toFile()
        shifted.writeBytes(ByteArray(5000) + bytes + ByteArray(9))
        val models = FileInputStream(shifted).use { stream ->
            listOf(
                Model.open(file), Model.open(bytes), Model.open(ByteBuffer.wrap(bytes)), Model.open(odd),
                Model.open(stream.fd, 5000, bytes.size.toLong()),
                Model.open(RandomAccessFile(file, "r").channel.map(FileChannel.MapMode.READ_ONLY, 0, file.length())),
            )
        }
        shifted.delete()
        System.gc()
        assertEquals(7, odd.position())
        val asked = Gold.requests("model")[1]
        val rankings = models.map { model -> Ranker(model, 8).rank(asked.fill(Request(model))).ranking().bits() }
        assertEquals(1, rankings.toSet().size)
        models.forEach(Model::close)
    },
    Test("a model tells what the file has, and names lead to indices") {
        Gold.each { model, _ ->
            assertTrue(model.name.startsWith("golden") && model.isa.isNotEmpty() && model.digest != 0L && model.candidatesMax > 0)
            assertTrue(model.features.any { it.side == Side.ITEM })
            assertTrue(model.tasks.all { it.kind == TaskKind.BINARY || it.unit.isNotEmpty() })
            for (it in model.features) assertEquals(it.index, model.featureIndex(it.name))
            for (it in model.tasks) assertEquals(it.index, model.taskIndex(it.name))
            for (it in model.terms) assertEquals(it.index, model.termIndex(it.name))
            for (it in model.labels) assertEquals(it.index, model.labelIndex(it.name))
            for (it in model.formula?.weights.orEmpty()) assertEquals(it.index, model.weightIndex(it.name))
            assertEquals(model.numTerms, model.formula?.terms?.size ?: model.terms.size)
            assertNull(model.tasks.firstOrNull()?.given)
        }
    },
    Test("fused scores are the sum of their terms, in their order") {
        Gold.each { model, requests ->
            val ranker = Ranker(model, requests.maxOf { it.candidates }, explain = true)
            val request = Request(model)
            for (asked in requests) {
                val ranking = (ranker.rank(asked.fill(request)) as? RankResult.Ranked)?.ranking ?: continue
                for (i in 0 until ranking.size) {
                    if (ranking.fused[i] == Float.NEGATIVE_INFINITY) continue
                    val sum = (0 until ranking.numTerms).fold(0f) { sum, term -> sum + ranking.term(i, term) }
                    assertEquals(sum, ranking.fused[i])
                }
            }
        }
    },
    Test("parts that are scored apart and ordered together are the whole request") {
        Gold.one { model, ranker, request ->
            val whole = ranker.rank(request).ranking().copy()
            val all = FloatArray(whole.size * whole.numTasks)
            for (rest in 0..1) {
                val only = (0 until whole.size).filter { it % 2 == rest }.toIntArray()
                val part = FloatArray(only.size * whole.numTasks)
                assertNull(ranker.score(request.only(only), part))
                val tasks = whole.numTasks
                only.forEachIndexed { row, i -> part.copyInto(all, i * tasks, row * tasks, (row + 1) * tasks) }
            }
            val ordered = ranker.order(request.only(null), all).ranking()
            assertContentEquals(whole.order, ordered.order.copyOf(whole.size))
            assertEquals(whole.fused.toList(), ordered.fused.take(whole.size))
            assertContentEquals(whole.scores, all)
            assertEquals(model.tasks.size, whole.numTasks)
        }
    },
    Test("item sums that were kept give the same bits, by slot and without some") {
        Gold.one { model, ranker, request ->
            val whole = ranker.rank(request).ranking().copy()
            val sums = ByteBuffer.allocateDirect(whole.size * model.itemSumsBytes + 24)
            sums.position(8)
            assertNull(ranker.itemSums(request, sums))
            val two = ByteBuffer.allocateDirect(2 * model.itemSumsBytes)
            assertNull(ranker.itemSums(request.only(intArrayOf(1, 4)), two))
            fun slot(of: ByteBuffer, start: Int) = List(model.itemSumsBytes) { of.get(start + it) }
            for ((i, candidate) in listOf(1, 4).withIndex()) {
                assertEquals(slot(sums, 8 + candidate * model.itemSumsBytes), slot(two, i * model.itemSumsBytes))
            }
            assertEquals(whole.bits(), ranker.rank(request.only(null).itemSums(sums)).ranking().bits())
            val slots = IntArray(whole.size) { if (it == 3) -1 else it }
            assertEquals(whole.bits(), ranker.rank(request.itemSums(sums, slots)).ranking().bits())
            sums.put(8 + model.itemSumsBytes * 2 + 40, (sums.get(8 + model.itemSumsBytes * 2 + 40) + 1).toByte())
            val refused = ranker.rank(request.itemSums(sums)) as RankResult.Refused
            assertEquals(Status.STALE_SUMS to 2, refused.failure.status to refused.failure.candidate)
            assertEquals(whole.bits(), ranker.rank(request.itemSums(null)).ranking().bits())
        }
    },
    Test("gates add up to one for every task") {
        Gold.each { model, requests ->
            val ranker = Ranker(model, requests.maxOf { it.candidates })
            val gates = ranker.gates(requests[1].fill(Request(model)), 0)
            assertEquals(0, gates.size % model.tasks.size)
            for (row in gates.toList().chunked(gates.size / model.tasks.size)) assertEquals(1f, row.sum(), 1e-5f)
        }
    },
    Test("vectors are of the items, and leaving features out changes an order") {
        Gold.one { model, ranker, request ->
            val item = model.features.first { it.side != Side.USER && it.numEmbeddings > 0 }
            val vectors = ByteArray(request.candidates * item.dim)
            assertNull(ranker.vectors(request, item.index, vectors))
            assertTrue(vectors.any { it != 0.toByte() })
            assertEquals(Status.BUFFER_TOO_SMALL, ranker.vectors(request, item.index, ByteArray(1))?.status)
            val user = model.features.first { it.side == Side.USER }
            assertEquals(Status.WRONG_FORM, ranker.vectors(request, user.index, vectors)?.status)
            val whole = ranker.rank(request).ranking().copy()
            fun without(feature: Int) = ranker.rank(request.without(intArrayOf(feature))).ranking().bits()
            val changed = model.features.count { without(it.index) != whole.bits() }
            assertTrue(changed in 3..model.features.size, "$changed")
            assertEquals(whole.bits(), ranker.rank(request.without(null)).ranking().bits())
        }
    },
    Test("rows that were looked up rank like ids, hashes like texts, single values like arrays of one") {
        Gold.one { model, ranker, request ->
            assertEquals(Pocketrank.hash("de"), Pocketrank.hash("de"))
            assertNotEquals(Pocketrank.hash("de"), Pocketrank.hash("fr"))
            val n = request.candidates
            for (it in model.features) {
                if (it.isDerived || it.kind != FeatureKind.ID) continue
                fun ranked(fill: (Request, Int) -> Unit): List<Any>? {
                    fill(request.begin(n, 1_700_000_000), if (it.side == Side.USER) 1 else n)
                    return (ranker.rank(request) as? RankResult.Ranked)?.ranking?.bits()
                }
                if (it.idType == IdType.INT) {
                    val byId = ranked { r, count -> r.ids(it.name, LongArray(count) { i -> 3L * i }) }
                    ranked { r, count -> r.rows(it.name, IntArray(count) { i -> model.rowOf(it.index, 3L * i) }) }
                        ?.let { byRow -> assertEquals(byId, byRow) }
                    if (it.side == Side.USER) assertEquals(byId, ranked { r, _ -> r.id(it.name, 0) })
                }
                if (it.idType == IdType.TEXT) {
                    val byText = ranked { r, count -> r.texts(it.name, List(count) { i -> "c$i" }) }
                    assertEquals(byText, ranked { r, count -> r.ids(it.name, LongArray(count) { i -> Pocketrank.hash("c$i") }) })
                    ranked { r, count -> r.rows(it.name, IntArray(count) { i -> model.rowOf(it.index, "c$i") }) }
                        ?.let { byRow -> assertEquals(byText, byRow) }
                    if (it.side == Side.USER) assertEquals(byText, ranked { r, _ -> r.text(it.name, "c0") })
                }
            }
            model.features.filter { it.kind == FeatureKind.NUMBER && it.numEmbeddings > 0 }.forEach { model.rowOf(it.index, 1f) }
        }
    },
    Test("texts are UTF-8, whatever they are") {
        val texts = Texts()
        for (round in 0..1) {
            val samples = listOf("", "a", "é", "日本", "🎬x", "\ud83c", "x".repeat(1000), "\udfac\ud83c")
            texts.clear()
            samples.forEach { texts.add(it) }
            assertEquals(samples.size, texts.size, "round $round")
            val utf8 = samples.map { it.toByteArray() }
            assertContentEquals(utf8.reduce { a, b -> a + b }, texts.utf8.copyOf(texts.numBytes))
            assertEquals(utf8.runningFold(0) { at, bytes -> at + bytes.size }, texts.offsets.take(samples.size + 1))
        }
    },
    Test("a request is used again without anything of the one before, and a ranker's results are its own arrays") {
        Gold.each { model, requests ->
            val most = requests.maxOf { it.candidates }
            val ranker = Ranker(model, most)
            val again = Request(model)
            for (asked in requests.shuffled(kotlin.random.Random(1)).take(12)) {
                val fresh = Ranker(model, most).rank(asked.fill(Request(model)))
                val reused = ranker.rank(asked.fill(again))
                when (fresh) {
                    is RankResult.Ranked -> assertEquals(fresh.ranking.bits(), reused.ranking().bits())
                    is RankResult.Refused -> assertEquals(fresh.failure, (reused as RankResult.Refused).failure)
                }
            }
            val asked = requests.first { ranker.rank(it.fill(again)) is RankResult.Ranked }
            assertSame(ranker.rank(asked.fill(again)), ranker.rank(asked.fill(again)))
        }
    },
    Test("a result arranges what the app has, and leaves the server's order where there is none") {
        Gold.one { _, ranker, request ->
            val items = List(request.candidates) { "item $it" }
            val ranked = ranker.rank(request)
            assertEquals(ranked.ranking().order.take(items.size).map { "item $it" }, ranked.arrange(items))
            assertEquals(items.drop(1), ranked.arrange(items.drop(1)))
            request.candidates = 0
            assertEquals(items, ranker.rank(request).arrange(items))
        }
    },
    Test("lists with weights, states of bytes, a limit and strictness are passed on") {
        Gold.one { model, ranker, request ->
            val whole = ranker.rank(request).ranking().copy()
            request.maxCandidates = 2
            assertEquals(2, ranker.rank(request).ranking().scored)
            request.maxCandidates = 0
            val plain = model.features.first { it.kind == FeatureKind.IDS && it.side != Side.USER && !it.isDerived }
            request.begin(whole.size, 0).isStrict = true
            assertEquals(Status.MISSING_VALUE, (ranker.rank(request) as RankResult.Refused).failure.status)
            request.isStrict = false
            val lists = Lists(IntArray(whole.size + 1) { it })
            if (plain.idType == IdType.TEXT) {
                request.texts(plain.name, List(whole.size) { "a" }, lists)
            } else {
                request.ids(plain.name, LongArray(whole.size), lists = lists)
            }
            assertTrue(ranker.rank(request) is RankResult.Ranked)
            val state = UserState(model)
            assertEquals(model.stateBytes, state.bytes.size)
            val event = Event().begin(0, 1_700_000_000, 1f)
            assertNull(state.apply(event))
            val used = ranker.rank(request.state(state)).ranking().bits()
            assertEquals(used, ranker.rank(request.state(UserState.of(model, state.bytes))).ranking().bits())
            state.bytes[model.stateBytes / 2] = (state.bytes[model.stateBytes / 2] + 1).toByte()
            assertEquals(Status.STATE_CORRUPT, (ranker.rank(request.state(state)) as RankResult.Refused).failure.status)
            assertEquals(Status.STATE_CORRUPT, state.apply(event)?.status)
            assertNull(state.reset())
            assertTrue(ranker.rank(request) is RankResult.Ranked)
        }
    },
    Test("a copy of a ranking stays") {
        Gold.one { _, ranker, request ->
            val copy: Ranking = ranker.rank(request).ranking().copy()
            val bits = copy.bits()
            request.begin(3, 0)
            ranker.rank(request)
            assertEquals(bits, copy.bits())
            assertEquals(copy.score(2, 1), copy.scores[2 * copy.numTasks + 1])
        }
    },
)
