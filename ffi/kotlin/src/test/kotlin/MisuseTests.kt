import dev.pocketrank.Event
import dev.pocketrank.Failure
import dev.pocketrank.Formula
import dev.pocketrank.Lists
import dev.pocketrank.Model
import dev.pocketrank.Native
import dev.pocketrank.PocketrankException
import dev.pocketrank.RankResult
import dev.pocketrank.Ranker
import dev.pocketrank.Request
import dev.pocketrank.Session
import dev.pocketrank.Status
import dev.pocketrank.UserState
import java.io.IOException
import java.nio.ByteBuffer
import kotlin.random.Random
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNull
import kotlin.test.assertTrue

private fun Ranker.refusal(request: Request): Failure = (rank(request) as RankResult.Refused).failure

private fun opening(bytes: ByteArray): Failure = assertFailsWith<PocketrankException> { Model.open(bytes) }.failure

val misuseTests = listOf(
    Test("files that are none, cut or changed are refused with their place") {
        val bytes = Gold.file("model").readBytes()
        assertEquals(Status.TRUNCATED, opening(ByteArray(0)).status)
        assertEquals(Status.BAD_MAGIC, opening(ByteArray(100)).status)
        assertEquals(Status.TRUNCATED, opening(bytes.copyOf(bytes.size - 1)).status)
        assertEquals(Status.BAD_LENGTH, opening(bytes.copyOf(bytes.size + 1)).status)
        val changed = opening(bytes.copyOf().also { it[bytes.size / 2] = (it[bytes.size / 2] + 1).toByte() })
        assertEquals(Status.BAD_DIGEST, changed.status)
        assertTrue(changed.toString().startsWith("BAD_DIGEST (205)"), changed.toString())
        assertFailsWith<IOException> { Model.open(java.io.File("/nowhere")) }
    },
    Test("what is closed answers STALE, closing twice is nothing, names stay") {
        Gold.one { model, ranker, request ->
            val formula = Formula.open(model, formulaFile(model.tasks[0].name, model.tasks[1].name))
            val session = Session(ranker)
            val state = UserState(model)
            assertNull(session.begin(request))
            model.close()
            model.close()
            assertEquals(Status.STALE, ranker.refusal(request).status)
            assertEquals(Status.STALE, session.begin(request)?.status)
            assertEquals(Status.STALE, session.feedback(Event())?.status)
            assertEquals(Status.STALE, state.apply(Event())?.status)
            assertEquals(Status.STALE, state.reset()?.status)
            assertEquals(Status.STALE, ranker.score(request, FloatArray(1000))?.status)
            assertEquals(Status.STALE, (ranker.order(request, FloatArray(1000)) as RankResult.Refused).failure.status)
            val thrown = listOf<() -> Any>(
                { model.featureIndex("item") }, { model.rowOf(0, 1L) }, { model.perturb(0, 0, 0f) },
                { formula.perturb(0, 0, 0f) }, { Formula.open(model, ByteArray(3)) },
                { Ranker(model, 1) }, { Session(ranker) }, { ranker.gates(request, 0) },
            ).map { assertFailsWith<PocketrankException> { it() }.status }
            assertEquals(setOf(Status.STALE), thrown.toSet())
            assertTrue(model.name.isNotEmpty() && model.features.isNotEmpty())
            formula.close()
            session.close()
            ranker.close()
            ranker.close()
        }
        Gold.one { _, ranker, request ->
            ranker.close()
            assertEquals(Status.STALE, ranker.refusal(request).status)
        }
    },
    Test("names, indices and lengths that are wrong are said when the request is ranked") {
        Gold.one { model, ranker, request ->
            fun refused(fill: Request.() -> Unit) = ranker.refusal(request.begin(8, 0).apply(fill))
            assertEquals(Failure(Status.UNKNOWN_FEATURE, -1), refused { ids("nowhere", LongArray(8)) })
            assertEquals(Failure(Status.UNKNOWN_FEATURE, 1000), refused { floats(1000, FloatArray(8)) })
            assertEquals(Status.UNKNOWN_FEATURE, refused { id("nowhere", 1).number("nowhere", 1f).text("nowhere", "") }.status)
            assertEquals(Failure(Status.COLUMN_LENGTH, 0, offset = 9), refused { ids(0, LongArray(8), 9) })
            assertEquals(Status.COLUMN_LENGTH, refused { ids(0, LongArray(8), -1) }.status)
            assertEquals(Status.COLUMN_LENGTH, refused { ids(0, LongArray(8), lists = Lists(IntArray(4), 7)) }.status)
            assertEquals(Status.BUFFER_TOO_SMALL, refused { only(IntArray(1), 2) }.status)
            assertEquals(Status.CANDIDATE_COUNT, refused { candidates = 0 }.status)
            assertEquals(Status.CANDIDATE_COUNT, refused { candidates = -5 }.status)
            assertEquals(Status.CANDIDATE_COUNT, refused { candidates = ranker.candidatesMax + 1 }.status)
            assertEquals(Status.NULL_POINTER, refused { itemSums(ByteBuffer.allocate(1000)) }.status)
            assertEquals(Status.UNKNOWN_FEATURE, refused { without(intArrayOf(-3)) }.status)
            assertEquals(Status.UNKNOWN_TASK, refused { weights(FloatArray(99)) }.status)
            assertEquals(Status.STATE_LAYOUT, refused { state(ByteArray(model.stateBytes)) }.status)
            val number = model.features.first { it.name == "length" }
            assertEquals(Failure(Status.WRONG_FORM, number.index), refused { ids(number.index, LongArray(8)) })
            val short = refused { floats(number.index, FloatArray(7)) }
            assertEquals(Status.COLUMN_LENGTH to number.index, short.status to short.feature)
            Model.open(Gold.file("goldens/2")).use { other ->
                assertEquals(Status.BAD_OPTION, ranker.refusal(Request(other).begin(1, 0)).status)
            }
            assertTrue(ranker.rank(request.begin(8, 0)) is RankResult.Ranked)
            assertEquals(Status.BUFFER_TOO_SMALL, ranker.score(request, FloatArray(3))?.status)
            assertEquals(Status.CANDIDATE_COUNT, (ranker.order(request, FloatArray(3)) as RankResult.Refused).failure.status)
            assertEquals(Status.BUFFER_TOO_SMALL, (ranker.order(request, FloatArray(3), 99) as RankResult.Refused).failure.status)
            assertEquals(Status.BUFFER_TOO_SMALL, (ranker.order(request, FloatArray(3), -1) as RankResult.Refused).failure.status)
            assertEquals(Status.NULL_POINTER, ranker.itemSums(request, ByteBuffer.allocate(100_000))?.status)
            assertEquals(Status.BUFFER_TOO_SMALL, ranker.itemSums(request, ByteBuffer.allocateDirect(3))?.status)
            assertEquals(Status.CANDIDATE_COUNT, assertFailsWith<PocketrankException> { ranker.gates(request, 99) }.status)
            assertEquals(Status.CANDIDATE_COUNT, assertFailsWith<PocketrankException> { Ranker(model, 0) }.status)
            assertEquals(Status.CANDIDATE_COUNT, assertFailsWith<PocketrankException> { Ranker(model, -1) }.status)
            assertEquals(Status.CANDIDATE_COUNT, assertFailsWith<PocketrankException> { Session(ranker, 5000) }.status)
            assertEquals(Status.UNKNOWN_FEATURE, assertFailsWith<PocketrankException> { model.rowOf(99, 1L) }.status)
            val missing = assertFailsWith<PocketrankException> { model.rowOf(model.featureIndex("item"), -1L) }
            assertEquals(Status.MISSING_VALUE, missing.status)
        }
    },
    Test("events that are wrong leave the state as it was") {
        Gold.one { model, _, _ ->
            val state = UserState(model)
            val before = state.bytes.toList()
            val event = Event()
            assertEquals(Status.UNKNOWN_LABEL, state.apply(event.begin(99, 0, 1f))?.status)
            assertEquals(Status.UNKNOWN_LABEL, state.apply(event.begin(-1, 0, 1f))?.status)
            assertEquals(Status.UNKNOWN_FEATURE, state.apply(event.begin(0, 0, 1f).id(99, 1))?.status)
            event.begin(0, 0, 1f)
            repeat(129) { event.id(0, 1) }
            assertEquals(Status.OVER_LIMIT, state.apply(event)?.status)
            assertEquals(Status.BAD_TIME, state.apply(event.begin(0, Long.MIN_VALUE, 1f))?.status)
            assertEquals(before, state.bytes.toList())
            assertEquals(Status.BUFFER_TOO_SMALL, UserState.of(model, ByteArray(3)).reset()?.status)
        }
    },
    Test("native methods answer every wrong array and buffer with a status") {
        val random = Random(7)
        val wrong = listOf(-1, 0, 1, 7, 64, 65536, Int.MAX_VALUE, Int.MIN_VALUE)
        Gold.one { model, ranker, request ->
            val heap = ByteBuffer.allocate(100)
            val tiny = ByteBuffer.allocateDirect(0)
            val counted = HashMap<Int, Int>()
            repeat(20_000) {
                fun cut(size: Int) = if (random.nextInt(50) == 0) random.nextInt(size) else size
                val head = request.head.copyOf(cut(request.head.size))
                val parts = request.parts.copyOf(cut(request.parts.size))
                repeat(random.nextInt(4)) {
                    if (head.isNotEmpty()) head[random.nextInt(head.size)] = wrong.random(random)
                }
                // Arrays of other types are not tried: which they are is in the types of Request's methods.
                if (random.nextInt(3) == 0 && parts.isNotEmpty()) parts[random.nextInt(parts.size)] = null
                val what = if (random.nextInt(4) == 0) random.nextInt(-1, 9) else 0
                fun <T> mostly(it: T, vararg other: T): T = if (random.nextInt(12) == 0) other.random(random) else it
                val code = Native.request(
                    what, random.nextInt(-1, 9),
                    mostly(model.memory, heap, tiny, ranker.memory), mostly(ranker.memory, heap, tiny),
                    mostly(null, heap, tiny), mostly(null, heap, tiny), mostly(null, heap, tiny),
                    head, parts, request.time,
                    IntArray(mostly(96, 0, 3)), FloatArray(mostly(96, 0, 3)), FloatArray(mostly(1000, 0, 3)),
                    mostly(null, FloatArray(3)), mostly(null, ByteArray(3)), LongArray(mostly(5, 0, 1)),
                )
                counted.merge(code, 1, Int::plus)
            }
            assertTrue(counted.keys.all { Status.of(it) != null } && counted.size > 8, "$counted")
            assertTrue(ranker.rank(request) is RankResult.Ranked)
            // Null handles by buffers that are not direct, in every other method.
            val note = LongArray(3)
            val (none, bytes) = IntArray(0) to ByteArray(3)
            val codes = listOf(
                Native.modelBytes(heap, note), Native.modelOpen(heap, heap, 0, note), Native.modelClose(heap),
                Native.scratchBytes(heap, 1, note), Native.scratchInit(heap, 1, heap), Native.scratchClose(heap),
                Native.formulaOpen(heap, heap, heap, note), Native.formulaClose(heap),
                Native.sessionBytes(heap, 1, note), Native.sessionShown(heap, 0), Native.sessionState(heap, bytes),
                Native.sessionClose(heap), Native.stateReset(heap, bytes),
                Native.rowOf(heap, IntArray(3), LongArray(1), bytes, note),
                Native.event(heap, heap, null, 0, 0, 0f, 0, none, LongArray(0), bytes, note),
                Native.perturb(heap, heap, null, 0, 0, 0f, FloatArray(1)), Native.indexOf(3, heap, null, bytes, note),
                Native.rerank(IntArray(48), arrayOfNulls(19), 0f, 0f, 0, FloatArray(1), 1, heap, IntArray(7), 1, note),
            )
            assertTrue(codes.all { it != 0 && Status.of(it) != null }, "$codes")
            // More rules, keys, ids or bytes of text than there are.
            fun event(keys: Int, heads: IntArray, ids: Int) =
                Native.event(model.memory, null, bytes, 0, 0, 0f, keys, heads, LongArray(ids), bytes, note).let(Status::of)
            val rules = IntArray(48).also { it[3] = 99 }
            val code = Native.rerank(rules, arrayOfNulls(0), 0f, 0f, 0, FloatArray(1), 1, heap, IntArray(7), 1, note)
            assertEquals(Status.OVER_LIMIT, Status.of(code))
            assertEquals(Status.OVER_LIMIT, event(5, IntArray(3), 5))
            assertEquals(Status.OVER_LIMIT, event(-1, IntArray(3), 5))
            assertEquals(Status.BUFFER_TOO_SMALL, event(1, IntArray(3), 0))
            assertEquals(Status.BUFFER_TOO_SMALL, event(1, intArrayOf(0, 1, 1000), 1))
            assertEquals(Status.BUFFER_TOO_SMALL, event(2, intArrayOf(0, 1, 3, 0, 1, -1), 2))
            assertNull(Native.describe(99, 0, model.memory, null, note))
            assertNull(Native.describe(Native.FEATURE, -1, model.memory, null, note))
        }
    },
)
