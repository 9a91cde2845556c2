import dev.pocketrank.Model
import dev.pocketrank.RankResult
import dev.pocketrank.Ranker
import dev.pocketrank.Ranking
import dev.pocketrank.Request
import java.io.File
import kotlin.system.exitProcess

/** A test is a fact and a function that throws unless it holds. */
class Test(val fact: String, val run: () -> Unit)

/** Models and requests of the folder that test.sh was given. */
object Gold {
    lateinit var folder: File
    val names = listOf("model") + listOf(2, 3, 4, 7, 9, 12, 13, 19, 23, 30, 102, 104, 109, 112, 113).map { "goldens/$it" }

    fun file(name: String): File = File(folder, "$name.pkr")

    fun requests(name: String): List<Requests.Asked> =
        Requests.read((if (name == "model") File(folder, "requests.req") else File(folder, "$name.req")).readBytes()).all

    /** Every golden model with its requests. */
    inline fun each(run: (Model, List<Requests.Asked>) -> Unit) {
        for (name in names) Model.open(file(name)).use { run(it, requests(name)) }
    }

    /** The first model, a ranker, and the first of its requests that has [candidates] or more and is ranked. */
    inline fun one(candidates: Int = 8, run: (Model, Ranker, Request) -> Unit) = Model.open(file("model")).use { model ->
        val requests = requests("model")
        Ranker(model, requests.maxOf { it.candidates }, explain = true).use { ranker ->
            val request = Request(model)
            requests.first { it.candidates >= candidates && ranker.rank(it.fill(request)) is RankResult.Ranked }
            run(model, ranker, request)
        }
    }
}

fun RankResult.ranking(): Ranking = when (this) {
    is RankResult.Ranked -> ranking
    is RankResult.Refused -> throw AssertionError(failure)
}

/** All of a ranking that may be compared, to the bit. */
fun Ranking.bits(): List<Any> = listOf(
    order.take(size), fused.take(size).map { it.toRawBits() }, scores.take(size * numTasks).map { it.toRawBits() }, scored,
)

fun main(args: Array<String>) {
    Gold.folder = File(args[0])
    val tests = requestTests + sessionTests + formulaTests + listTests + misuseTests + threadTests + machineTests
    var failed = 0
    for (test in tests) {
        try {
            test.run()
        } catch (e: Throwable) {
            failed++
            println("FAILED: ${test.fact}")
            e.printStackTrace(System.out)
        }
    }
    println("${tests.size} tests, $failed failed")
    exitProcess(if (failed == 0) 0 else 1)
}
