import dev.pocketrank.Failure
import dev.pocketrank.Formula
import dev.pocketrank.Model
import dev.pocketrank.Native
import dev.pocketrank.PocketrankException
import dev.pocketrank.RankResult
import dev.pocketrank.Ranker
import dev.pocketrank.Request
import dev.pocketrank.Status
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.test.assertContentEquals
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNotEquals
import kotlin.test.assertNull
import kotlin.test.assertTrue

/** `w * FIRST + SECOND` for two tasks, by docs/format.md; with another program it may not run. */
fun formulaFile(first: String, second: String, program: ByteArray = byteArrayOf(3, 0, 2, 0, 18, 0, 2, 1, 0)): ByteArray {
    fun text(it: String) = byteArrayOf(it.length.toByte()) + it.toByteArray()
    fun little(bytes: Int, put: ByteBuffer.() -> Unit) =
        ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN).apply(put).array()
    val shown = "w * $first + $second"
    val end = (4 + first.length).toByte()
    var records = byteArrayOf(shown.length.toByte(), 2, 1, 2, program.size.toByte()) + shown.toByteArray()
    for (task in listOf(first, second)) records += byteArrayOf(0) + text(task) + byteArrayOf(0, 1)
    records += text("w") + little(12) { putFloat(2f).putFloat(0f).putFloat(10f) }
    records += byteArrayOf(0, end, (end + 3).toByte(), shown.length.toByte()) + program
    val rest = little(8) { putInt(1).putInt(24 + records.size) } + records
    val digest = LongArray(1)
    assertEquals(0, Native.hashText(rest, digest))
    return byteArrayOf(0x89.toByte()) + "PKFORM\n".toByteArray() + little(8) { putLong(digest[0]) } + rest
}

private fun fileFor(model: Model) = formulaFile(model.tasks[0].name, model.tasks[1].name)

val formulaTests = listOf(
    Test("a formula that is shipped apart takes the place of the fusion, with weights of its own") {
        Gold.one { model, ranker, request ->
            val formula = Formula.open(model, fileFor(model))
            assertEquals("w * ${model.tasks[0].name} + ${model.tasks[1].name}", formula.info.text)
            assertEquals(2, formula.info.terms.size)
            val weight = formula.info.weights.single()
            assertEquals(listOf("w", 2f, 0f, 10f), listOf(weight.name, weight.value, weight.least, weight.most))
            assertEquals(0, formula.weightIndex("w"))
            request.formula = formula
            val ranking = ranker.rank(request.weights(floatArrayOf(3f))).ranking()
            assertEquals(2, ranking.numTerms)
            for (i in 0 until ranking.size) {
                if (ranking.fused[i] == Float.NEGATIVE_INFINITY) continue
                assertEquals(3f * ranking.score(i, 0), ranking.term(i, 0))
                assertEquals(3f * ranking.score(i, 0) + ranking.score(i, 1), ranking.fused[i])
            }
            val outside = ranker.rank(request.weights(floatArrayOf(11f))) as RankResult.Refused
            assertEquals(Status.BAD_WEIGHT, outside.failure.status)
            request.weights(null)
            formula.close()
            formula.close()
            assertEquals(Status.STALE, (ranker.rank(request) as RankResult.Refused).failure.status)
            assertEquals(Status.STALE, assertFailsWith<PocketrankException> { formula.weightIndex("w") }.status)
        }
    },
    Test("a formula is refused with its place, and by other models") {
        Gold.one { model, ranker, request ->
            fun refused(bytes: ByteArray): Failure = assertFailsWith<PocketrankException> { Formula.open(model, bytes) }.failure
            val good = fileFor(model)
            assertEquals(Status.FORMULA_INPUT, refused(formulaFile("nowhere", model.tasks[1].name)).status)
            val malformed = formulaFile(model.tasks[0].name, model.tasks[1].name, byteArrayOf(99, 0, 2, 1, 0))
            assertEquals(Status.FORMULA_CODE, refused(malformed).status)
            assertEquals(Status.BAD_DIGEST, refused(good.copyOf().also { it[30] = (it[30] + 1).toByte() }).status)
            assertEquals(Status.TRUNCATED, refused(ByteArray(0)).status)
            assertEquals(Status.BAD_MAGIC, refused(ByteArray(100)).status)
            Model.open(Gold.file("goldens/2")).use { other ->
                request.formula = Formula.open(other, formulaFile(other.tasks[0].name, other.tasks[1].name))
                assertEquals(Status.FORMULA_MODEL, (ranker.rank(request) as RankResult.Refused).failure.status)
            }
        }
    },
    Test("weights are perturbed by user and experiment, within bounds") {
        Gold.one { model, _, _ ->
            val formula = Formula.open(model, fileFor(model))
            assertContentEquals(formula.perturb(1, 2, 0.5f), formula.perturb(1, 2, 0.5f))
            assertNotEquals(formula.perturb(1, 2, 0.5f).toList(), formula.perturb(2, 2, 0.5f).toList())
            assertContentEquals(floatArrayOf(3f), formula.perturb(1, 2, 0f, floatArrayOf(3f)))
            assertTrue((0L until 100).all { formula.perturb(it, 2, 4f).single() in 0f..10f })
            assertEquals(Status.BAD_WEIGHT, assertFailsWith<PocketrankException> { formula.perturb(1, 2, 5f) }.status)
            val two = assertFailsWith<PocketrankException> { formula.perturb(1, 2, 1f, FloatArray(2)) }
            assertEquals(Status.UNKNOWN_TASK, two.status)
            assertEquals(Status.UNKNOWN_TASK, assertFailsWith<PocketrankException> { model.perturb(1, 2, 1f) }.status)
        }
    },
    Test("a file's formula has weights that requests change, and perturbs them") {
        Model.open(Gold.file("goldens/102")).use { model ->
            val info = checkNotNull(model.formula)
            assertTrue(info.cost in 1..1024 && info.text.isNotEmpty() && info.terms.isNotEmpty() && model.terms.isEmpty())
            assertEquals(info.weights.size, model.perturb(7, 1, 0.5f).size)
            val asked = Gold.requests("goldens/102")[1]
            val request = asked.fill(Request(model)).weights(info.weights.map { it.value }.toFloatArray())
            val ranker = Ranker(model, 96)
            assertEquals(ranker.rank(request.weights(null)).ranking().bits(), ranker.rank(request).ranking().bits())
            assertNull(Model.open(Gold.file("model")).formula)
        }
    },
)
