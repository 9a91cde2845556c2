import dev.pocketrank.ListResult
import dev.pocketrank.PocketrankException
import dev.pocketrank.Reranker
import dev.pocketrank.RulePart
import dev.pocketrank.Rules
import dev.pocketrank.Slot
import dev.pocketrank.Slots
import dev.pocketrank.Status
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNotEquals
import kotlin.test.assertSame
import kotlin.test.assertTrue

private fun ListResult.slots(): Slots = when (this) {
    is ListResult.Listed -> slots
    is ListResult.Refused -> throw AssertionError(failure)
}

private fun ListResult.failure() = (this as ListResult.Refused).failure

private fun candidates(slots: Slots) = slots.map { it.candidate }

/** Best first: 0, 1, 2, ... */
private val fused = FloatArray(12) { 1f - it / 16f }
private val keys = LongArray(12) { it / 3L }

val listTests = listOf(
    Test("without rules a list is the order of fused scores") {
        val slots = Reranker(12, 12).rerank(Rules(), fused).slots()
        assertEquals((0 until 12).toList(), candidates(slots))
        assertEquals(12, slots.placed)
        assertTrue(slots.all { it.propensity == 1f && it.relaxed == 0 })
    },
    Test("each rule does what it says") {
        val reranker = Reranker(12, 10, 2)
        val rules = Rules()
        fun list(say: Rules.() -> Unit) = candidates(reranker.rerank(rules.clear().apply(say), fused, positions = 6).slots())
        assertEquals(listOf(0, 3, 6, 9, 1, 4), list { spacing(keys, 1, 4) })
        assertEquals(listOf(1, 2, 11, 4, 5, 6), list { hide(0); hide(3); pin(2, 11) })
        assertEquals(listOf(0, Slot.EMPTY, 1, 2, 3, 4), list { block(1) })
        assertEquals(listOf(11, 0, 1, 2, 3, 4), list { bonuses(FloatArray(12) { if (it == 11) 1f else 0f }) })
        assertEquals(0, list { factors(FloatArray(12) { if (it == 0) 2f else 1f }) }[0])
        assertEquals(listOf(0, 3), list { decay(keys, 0.5f, 0f) }.take(2))
        val vectors = ByteArray(24) { if (it % 2 == (it / 2 / 3) % 2) 100 else 0 }
        assertNotEquals(list {}, list { mmr(0.3f, vectors, 2) })
        assertNotEquals(list {}, list { dpp(1f, vectors, 2) })
        assertEquals(list { thompson(FloatArray(12) { 1f }, 5) }, list { thompson(FloatArray(12) { 1f }, 5) })
        assertNotEquals(list { thompson(FloatArray(12) { 1f }, 5) }, list { thompson(FloatArray(12) { 1f }, 6) })
        assertNotEquals(list {}, list { epsilonGreedy(1f, 3) })
        assertEquals((0 until 6).toList(), list {})
    },
    Test("spacing that cannot be kept is reported, and decays and spacings may be said in any order") {
        val reranker = Reranker(12, 12)
        val rules = Rules().spacing(LongArray(12), 1, 3).decay(keys, 0.5f, 0.25f).spacing(keys, 2, 3)
        val slots = reranker.rerank(rules, fused).slots()
        assertEquals(0, slots.kept)
        assertTrue(slots.relaxed and 1 == 1 && slots.any { it.relaxed and 1 == 1 })
        val kept = reranker.rerank(Rules().spacing(LongArray(12) { Rules.NO_KEY }, 1, 12), fused).slots()
        assertEquals(0, kept.relaxed)
    },
    Test("wrong rules are refused with part and index") {
        val reranker = Reranker(12, 12, 1)
        val rules = Rules()
        fun refused(say: Rules.() -> Unit) = reranker.rerank(rules.clear().apply(say), fused).failure()
        val tooMany = refused { repeat(9) { spacing(keys, 1, 2) } }
        assertEquals(listOf(Status.BAD_RULE, RulePart.SPACINGS, 8), listOf(tooMany.status, tooMany.rulePart, tooMany.candidate))
        assertEquals(RulePart.DECAYS, refused { repeat(5) { decay(keys, 0.5f, 0f) } }.rulePart)
        val second = refused { decay(keys, 0.5f, 0f).decay(keys, 2f, 0f) }
        assertEquals(RulePart.DECAYS to 1, second.rulePart to second.candidate)
        assertEquals(RulePart.SPACINGS, refused { spacing(LongArray(3), 1, 2) }.rulePart)
        assertEquals(RulePart.PINS, refused { pin(0, 12) }.rulePart)
        assertEquals(RulePart.PINS, refused { pin(-1, 0) }.rulePart)
        assertEquals(RulePart.BLOCKED, refused { block(99) }.rulePart)
        assertEquals(RulePart.HIDDEN, refused { hide(-1) }.rulePart)
        assertEquals(RulePart.FACTORS, refused { factors(FloatArray(3)) }.rulePart)
        assertEquals(RulePart.BONUSES, refused { bonuses(FloatArray(12) { Float.NaN }) }.rulePart)
        assertEquals(RulePart.DIVERSITY, refused { mmr(2f, ByteArray(12), 1) }.rulePart)
        assertEquals(RulePart.EXPLORATION, refused { epsilonGreedy(-1f, 0) }.rulePart)
        assertEquals(RulePart.EXPLORATION, refused { thompson(FloatArray(2), 0) }.rulePart)
    },
    Test("sizes that do not fit are refused, and the memory is used again") {
        val reranker = Reranker(4, 3)
        assertEquals(Status.BUFFER_TOO_SMALL, reranker.rerank(Rules(), fused).failure().status)
        assertEquals(Status.BUFFER_TOO_SMALL, reranker.rerank(Rules(), fused, 4, 9).failure().status)
        assertEquals(Status.BUFFER_TOO_SMALL, reranker.rerank(Rules(), FloatArray(2), 4).failure().status)
        assertEquals(Status.CANDIDATE_COUNT, reranker.rerank(Rules(), fused, 0).failure().status)
        assertEquals(Status.CANDIDATE_COUNT, reranker.rerank(Rules(), fused, -1).failure().status)
        val nan = reranker.rerank(Rules(), floatArrayOf(1f, Float.NaN, 0f)).failure()
        assertEquals(Status.NOT_FINITE to 1, nan.status to nan.candidate)
        assertSame(reranker.rerank(Rules(), fused, 4), reranker.rerank(Rules(), fused, 4))
        assertFailsWith<PocketrankException> { Reranker(0, 1) }
        assertFailsWith<PocketrankException> { Reranker(1, -1) }
        assertEquals(Status.BAD_RULE, assertFailsWith<PocketrankException> { Reranker(1, 1, 257) }.status)
    },
)
