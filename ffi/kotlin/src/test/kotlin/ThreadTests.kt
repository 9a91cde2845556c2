import dev.pocketrank.Formula
import dev.pocketrank.Model
import dev.pocketrank.RankResult
import dev.pocketrank.Ranker
import dev.pocketrank.Request
import dev.pocketrank.Session
import dev.pocketrank.Status
import java.util.concurrent.CountDownLatch
import java.util.concurrent.atomic.AtomicInteger
import java.util.concurrent.atomic.AtomicReference
import kotlin.concurrent.thread
import kotlin.test.assertEquals
import kotlin.test.assertNull
import kotlin.test.assertTrue

/** Runs [body] on so many threads at once; what one of them throws is thrown. */
private fun together(threads: Int, body: (Int) -> Unit) {
    val start = CountDownLatch(1)
    val failure = AtomicReference<Throwable>()
    List(threads) { i ->
        thread {
            start.await()
            try {
                body(i)
            } catch (e: Throwable) {
                failure.set(e)
            }
        }
    }.also { start.countDown() }.forEach(Thread::join)
    failure.get()?.let { throw it }
}

val threadTests = listOf(
    Test("threads with rankers of their own share a model") {
        val requests = Gold.requests("model").take(40)
        Model.open(Gold.file("model")).use { model ->
            fun all(): List<Any> {
                val ranker = Ranker(model, requests.maxOf { it.candidates })
                val request = Request(model)
                return requests.map { asked ->
                    when (val result = ranker.rank(asked.fill(request))) {
                        is RankResult.Ranked -> result.ranking.bits()
                        is RankResult.Refused -> result.failure
                    }
                }
            }
            val alone = all()
            together(4) { repeat(10) { assertEquals(alone, all()) } }
        }
    },
    Test("a ranker and a session that two threads use at once refuse one of them, and are whole afterwards") {
        Gold.one { model, ranker, request ->
            val bits = ranker.rank(request).ranking().bits()
            val session = Session(ranker)
            assertNull(session.begin(request))
            val (ranked, refused) = List(2) { AtomicInteger() }
            together(4) {
                repeat(3000) {
                    val result = if (it % 3 == 0) session.rerank(request) else ranker.rank(request)
                    when (result) {
                        is RankResult.Ranked -> ranked.incrementAndGet()
                        is RankResult.Refused -> {
                            val status = result.failure.status
                            // A session takes no request with a state.
                            assertTrue(status == Status.OVERLAP || status == Status.BAD_OPTION, "$status")
                            if (status == Status.OVERLAP) refused.incrementAndGet()
                        }
                    }
                }
            }
            assertTrue(ranked.get() > 0 && refused.get() > 0, "$ranked $refused")
            assertEquals(bits, ranker.rank(request).ranking().bits())
            assertEquals(model.tasks.size, ranker.rank(request).ranking().numTasks)
        }
    },
    Test("a request that another thread writes is ranked or refused, and no array is read as what it is not") {
        Gold.one { model, _, request ->
            val n = request.candidates
            val longs = LongArray(n)
            val (floats, ints, bytes) = Triple(FloatArray(n), IntArray(n + 1), ByteArray(n))
            val statuses = java.util.concurrent.ConcurrentHashMap.newKeySet<Status>()
            together(4) { i ->
                val random = kotlin.random.Random(i)
                val ranker = Ranker(model, n)
                repeat(20_000) {
                    val feature = random.nextInt(model.features.size)
                    if (i < 2) {
                        val result = ranker.rank(request)
                        if (result is RankResult.Refused) statuses += result.failure.status
                    } else {
                        when (random.nextInt(6)) {
                            0 -> request.ids(feature, longs)
                            1 -> request.floats(feature, floats)
                            2 -> request.rows(feature, ints, n)
                            3 -> request.bytes(feature, bytes)
                            4 -> request.text(feature, bytes, ints)
                            else -> request.begin(n, 0)
                        }
                    }
                }
            }
            assertTrue(Status.WRONG_FORM in statuses, "$statuses")
            for (status in statuses) assertTrue(status.code / 100 == 1 || status.code / 100 == 5, "$status")
        }
    },
    Test("what is closed while it is used goes when the call ends, and never under it") {
        val asked = Gold.requests("model")[1]
        repeat(300) { round ->
            val model = Model.open(Gold.file("model"))
            val ranker = Ranker(model, 96)
            val outcomes = AtomicReference<Any>()
            together(3) { i ->
                val request = asked.fill(Request(model))
                when {
                    i == 0 && round % 2 == 0 -> model.close()
                    i == 0 -> ranker.close()
                    else -> repeat(20) {
                        val result = ranker.rank(request)
                        val refused = result as? RankResult.Refused ?: return@repeat
                        if (refused.failure.status !in listOf(Status.STALE, Status.OVERLAP)) outcomes.set(refused)
                    }
                }
            }
            assertNull(outcomes.get())
            assertEquals(Status.STALE, (ranker.rank(asked.fill(Request(model))) as RankResult.Refused).failure.status)
        }
    },
    Test("whoever is inside of a gate holds its owner, and with it the bytes that a handle borrows") {
        Gold.one { model, ranker, _ ->
            val formula = Formula.open(model, formulaFile(model.tasks[0].name, model.tasks[1].name))
            for ((owner, gate) in listOf(model to model.gate, formula to formula.gate, ranker to ranker.gate)) {
                val onClosed = gate.javaClass.getDeclaredField("onClosed").apply { isAccessible = true }.get(gate)
                assertEquals(listOf<Class<*>>(owner.javaClass), onClosed.javaClass.declaredFields.map { it.type })
            }
        }
    },
    Test("nothing is lost to the collector while native code works in it") {
        val asked = Gold.requests("model")[1]
        val file = Gold.file("model").readBytes()
        val expected = Model.open(file).let { Ranker(it, 96).rank(asked.fill(Request(it))).ranking().bits() }
        val stop = AtomicInteger()
        val collector = thread { while (stop.get() == 0) System.gc() }
        repeat(300) {
            // Nobody but the request keeps the model, and nobody but the ranker its memory.
            val ranker = Ranker(Model.open(file), 96)
            assertEquals(expected, ranker.rank(asked.fill(Request(ranker.model))).ranking().bits())
        }
        stop.set(1)
        collector.join()
    },
)
