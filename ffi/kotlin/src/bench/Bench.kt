import dev.pocketrank.Model
import dev.pocketrank.RankResult
import dev.pocketrank.Ranker
import dev.pocketrank.Request
import java.io.File
import java.lang.management.ManagementFactory
import kotlin.system.exitProcess

private const val CANDIDATES = 200
private const val TIMES = 200
private const val ROUNDS = 60

/** Most that a request through Kotlin may cost of one through C. */
private const val LIMIT = 1.05

private fun median(values: List<Double>): Double = values.sorted()[values.size / 2]

/**
 * What a request of 200 candidates of the reference model costs through Kotlin and JNI, of what it costs through C: the two rank
 * in turns, a round each, and count nanoseconds of their own thread, so that a busy machine disturbs both alike. The median of
 * the rounds' ratios is held against the limit.
 */
fun main(args: Array<String>) {
    val (program, folder) = args
    val pkr = File(folder, "reference.pkr")
    val req = File(folder, "reference.req")
    val requests = Requests.read(req.readBytes()).all
    val index = requests.indexOfFirst { it.candidates == CANDIDATES }
    val process = ProcessBuilder(program, pkr.path, req.path, "$index")
        .redirectError(ProcessBuilder.Redirect.INHERIT).start()
    val answers = process.inputStream.bufferedReader()
    val model = Model.open(pkr)
    check(answers.readLine() == model.isa) { "C has another instruction set" }
    val ranker = Ranker(model, CANDIDATES)
    val request = requests[index].fill(Request(model))
    val clock = ManagementFactory.getThreadMXBean()
    var best = -1

    fun kotlin(): Double {
        val start = clock.currentThreadCpuTime
        repeat(TIMES) {
            when (val result = ranker.rank(request)) {
                is RankResult.Ranked -> best = result.ranking.order[0]
                is RankResult.Refused -> throw AssertionError(result.failure)
            }
        }
        return (clock.currentThreadCpuTime - start).toDouble() / TIMES
    }

    fun c(): Double {
        process.outputStream.write("$TIMES\n".toByteArray())
        process.outputStream.flush()
        val (ns, _, first) = answers.readLine().split(' ')
        check(best < 0 || first.toInt() == best) { "C has another order" }
        return ns.toDouble()
    }
    repeat(60) { kotlin() }
    repeat(5) { c() }
    val rounds = List(ROUNDS) { round ->
        if (round % 2 == 0) c().let { it to kotlin() } else kotlin().let { c() to it }
    }
    process.outputStream.close()
    // All arrays are pinned and all structs made, and then the request is refused: what Kotlin and JNI cost by themselves.
    request.candidates = 0
    val refused = List(100) {
        val start = clock.currentThreadCpuTime
        repeat(TIMES) { check(ranker.rank(request) is RankResult.Refused) }
        (clock.currentThreadCpuTime - start).toDouble() / TIMES
    }
    val ratio = median(rounds.map { (c, kotlin) -> kotlin / c })
    println(
        "200 candidates, ${model.isa}, median of $ROUNDS rounds of $TIMES: C %.1f us, Kotlin %.1f us, ratio %.4f (limit %.2f)"
            .format(median(rounds.map { it.first }) / 1000, median(rounds.map { it.second }) / 1000, ratio, LIMIT),
    )
    println("%d columns pinned and refused: %.2f us a call".format(model.features.size, median(refused) / 1000))
    exitProcess(if (ratio <= LIMIT) 0 else 1)
}
