import dev.pocketrank.Event
import dev.pocketrank.Formula
import dev.pocketrank.ListResult
import dev.pocketrank.Model
import dev.pocketrank.RankResult
import dev.pocketrank.Ranker
import dev.pocketrank.Request
import dev.pocketrank.Reranker
import dev.pocketrank.Rules
import dev.pocketrank.Session
import dev.pocketrank.UserState
import java.io.File
import java.lang.management.ManagementFactory
import kotlin.system.exitProcess

/** Kilobytes of the process in memory. */
private fun resident(): Long =
    File("/proc/self/status").readLines().first { it.startsWith("VmRSS") }.filter(Char::isDigit).toLong()

/** Kilobytes of Java's heap that are reachable. */
private fun heap(): Long {
    repeat(3) { System.gc() }
    val runtime = Runtime.getRuntime()
    return (runtime.totalMemory() - runtime.freeMemory()) / 1024
}

private fun allocated(): Long =
    (ManagementFactory.getThreadMXBean() as com.sun.management.ThreadMXBean).getThreadAllocatedBytes(Thread.currentThread().id)

/**
 * Many requests, of which every tenth is another screen, with a session, an event, a list and a refused request; and models that
 * are opened, closed or forgotten. Prints memory of Java and of the process, and fails if either grows, or if a request makes
 * garbage.
 */
fun main(args: Array<String>) {
    Gold.folder = File(args[0])
    val count = args[1].toInt()
    val model = Model.open(Gold.file("model"))
    val requests = Gold.requests("model").filter { it.candidates in 1..8 }
    val ranker = Ranker(model, 8, explain = true)
    val session = Session(ranker)
    val request = Request(model)
    val event = Event()
    val state = UserState(model)
    val rules = Rules()
    val reranker = Reranker(8, 8)
    val keys = LongArray(8) { it % 3L }
    var ranked = 0
    fun step(i: Int) {
        val asked = requests[i / 10 % requests.size]
        if (i % 10 == 0) {
            asked.fill(request)
            session.begin(request)
            session.shown(0)
            session.feedback(event.begin(0, 2_000_000_000, 1f))
            state.apply(event)
        }
        val result = ranker.rank(request)
        if (result is RankResult.Ranked) {
            ranked++
            if (i % 10 == 1) {
                val list = reranker.rerank(rules.clear().spacing(keys, 1, 2), result.ranking.fused, result.ranking.size)
                check(list is ListResult.Listed || result.ranking.size != keys.size)
            }
        }
    }
    // A screen that is ranked again and again makes no garbage.
    requests.first { ranker.rank(it.fill(request)) is RankResult.Ranked }
    repeat(20_000) { ranker.rank(request) }
    val before = allocated()
    repeat(10_000) { ranker.rank(request) }
    val garbage = (allocated() - before) / 10_000.0
    println("garbage: %.2f bytes a request".format(garbage))

    repeat(count / 10) { step(it) }
    val heapBefore = heap()
    val residentBefore = resident()
    repeat(count) { step(it) }
    val heapAfter = heap()
    val residentAfter = resident()
    println("$count requests, $ranked ranked")
    println("Java $heapBefore kB, then $heapAfter; process $residentBefore kB, then $residentAfter")

    // Models, rankers, formulas: closed, or left to the collector.
    val file = Gold.file("model").readBytes()
    val formula = formulaFile(model.tasks[0].name, model.tasks[1].name)
    fun reopen(i: Int) {
        val other = Model.open(file)
        val used = Ranker(other, 200)
        val opened = Formula.open(other, formula)
        if (i % 2 == 0) listOf(opened, used, other).forEach(AutoCloseable::close)
    }
    val reopened = List(5) {
        repeat(5_000) { reopen(it) }
        heap()
        resident()
    }
    println("models opened, process after each 5000: $reopened kB")
    val failed = garbage > 1.0 || heapAfter > heapBefore + 256 || residentAfter > residentBefore + 8192 ||
        reopened.last() > reopened.first() + 16_384
    exitProcess(if (failed) 1 else 0)
}
