import dev.pocketrank.Cpu
import dev.pocketrank.Model
import dev.pocketrank.PocketrankException
import dev.pocketrank.RankResult
import dev.pocketrank.Ranker
import dev.pocketrank.Request
import dev.pocketrank.Status
import java.io.File
import kotlin.system.exitProcess

/**
 * Opens an exported model, ranks every request of a file, and prints orders and the bits of all scores: the same lines as
 * ../c/rank.c.
 *
 *     examples/kotlin/run.sh MODEL.pkr REQUESTS.req
 *
 * On any error the order stays the one that the server sent.
 */
fun main(args: Array<String>) {
    if (args.size !in 2..3) {
        System.err.println("usage: rank MODEL.pkr REQUESTS.req [portable]")
        exitProcess(2)
    }
    val requests = Requests.read(File(args[1]).readBytes()).all
    val out = StringBuilder()
    try {
        Model.open(File(args[0]), if (args.size == 3) Cpu.PORTABLE else Cpu.detect()).use { model ->
            // Larger requests get their own error.
            val most = requests.maxOfOrNull { it.candidates } ?: 1
            Ranker(model, most.coerceIn(1, model.candidatesMax)).use { ranker ->
                val request = Request(model)
                requests.forEachIndexed { i, asked -> show(out, i, asked.candidates, ranker.rank(asked.fill(request))) }
            }
        }
    } catch (e: PocketrankException) {
        out.append("model ${e.status.headerName}\n")
        requests.forEachIndexed { i, asked -> showServers(out, i, asked.candidates, e.status) }
    }
    print(out)
}

/** Prints what an app would show. */
private fun show(out: StringBuilder, index: Int, candidates: Int, result: RankResult) {
    when (result) {
        is RankResult.Ranked -> with(result.ranking) {
            out.append("request $index PKR_OK scored $scored missing $missing not_finite $notFinite ")
            out.append("unknown_ids $unknownIds cut_lists $cutLists\norder")
            for (position in 0 until size) out.append(' ').append(order[position])
            out.append('\n')
            showBits(out, "fused", fused, size)
            showBits(out, "scores", scores, size * numTasks)
        }
        is RankResult.Refused -> showServers(out, index, candidates, result.failure.status)
    }
}

/** Whatever went wrong: the order that the server sent. */
private fun showServers(out: StringBuilder, index: Int, candidates: Int, status: Status) {
    out.append("request $index ${status.headerName} server's order\norder")
    for (position in 0 until candidates) out.append(' ').append(position)
    out.append("\nfused\nscores\n")
}

private fun showBits(out: StringBuilder, name: String, values: FloatArray, count: Int) {
    out.append(name)
    for (i in 0 until count) out.append(' ').append("%08x".format(values[i].toRawBits()))
    out.append('\n')
}
