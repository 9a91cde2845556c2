package dev.pocketrank

import java.nio.ByteBuffer

/**
 * Makes lists under rules from fused scores; needs no model: scores of a server do as well. Memory for [candidates], [positions]
 * and vectors of [dim] values at most. Makes no garbage. Belongs to one thread at a time: a call while another runs is refused
 * ([Status.OVERLAP]).
 *
 * @property candidates that a request may have at most
 * @property positions that a list may have at most
 * @property dim values of a vector at most; 0: no diversity
 * @throws PocketrankException when it is made: [Status.CANDIDATE_COUNT] for none or more than 4,096 candidates or positions,
 *   [Status.BAD_RULE] for more than 256 values
 */
public class Reranker @JvmOverloads constructor(
    public val candidates: Int,
    public val positions: Int,
    public val dim: Int = 0,
) {
    private val note = LongArray(4)
    private val memory: ByteBuffer
    private val gate = Gate(1) {}
    private val listed = ListResult.Listed(Slots(positions))

    init {
        Failure.of(Native.rerankBytes(candidates, positions, dim, note)).orThrow("reranker")
        memory = allocate(note[0])
    }

    /**
     * Makes a list of [positions]: the best by the first [candidates] of [fused] under [rules]. Candidates with a fused score of
     * negative infinity were not scored: they come last, by index. The same arguments give the same list, bit for bit. Cost:
     * candidates times positions.
     *
     * @return the list, which the next call of this reranker overwrites; or why there is none: [Status.BAD_RULE] with
     *   [Failure.rulePart], [Status.NOT_FINITE] with the candidate, [Status.CANDIDATE_COUNT], 1xx
     */
    @JvmOverloads
    public fun rerank(
        rules: Rules,
        fused: FloatArray,
        candidates: Int = fused.size,
        positions: Int = this.positions,
    ): ListResult {
        gate.within({ return ListResult.Refused(Failure(it)) }) {
            rules.failure?.let { return ListResult.Refused(it) }
            rules.ready()
            val into = listed.slots
            val code = Native.rerank(
                rules.head, rules.parts, rules.weight, rules.epsilon, rules.seed, fused, candidates, memory,
                into.words, positions, note,
            )
            Failure.of(code, note)?.let { return ListResult.Refused(it) }
            into.written(positions, note)
            return listed
        }
    }
}

/** What came of rules: a list, or the reason why there is none. */
public sealed class ListResult {
    /** @property slots overwritten by the next call of the reranker that made them */
    public class Listed internal constructor(public val slots: Slots) : ListResult() {
        override fun toString(): String = "Listed($slots)"
    }

    /** @property failure why, and where: keep the order that there was */
    public class Refused(public val failure: Failure) : ListResult() {
        override fun toString(): String = "Refused($failure)"
    }
}

/**
 * The slots of a list, by position. Iterating makes a [Slot] for each; [candidate] makes nothing. A list that stays: `toList()`.
 */
public class Slots internal constructor(positions: Int) : AbstractList<Slot>() {
    internal val words = IntArray(WORDS * maxOf(positions, 0))

    override var size: Int = 0
        private set

    /** Slots with a candidate. */
    public var placed: Int = 0
        private set

    /** Bit i: spacing rule i is broken somewhere. */
    public var relaxed: Int = 0
        private set

    /** Spacing rules that are kept wherever no pin breaks them: so many from the first on. */
    public var kept: Int = 0
        private set

    /** Looks that it took to keep them. */
    public var steps: Long = 0
        private set

    override fun get(index: Int): Slot {
        if (index !in 0 until size) throw IndexOutOfBoundsException("slot $index of $size")
        val at = WORDS * index
        fun float(word: Int) = Float.fromBits(words[at + word])
        return Slot(words[at], words[at + 1], float(2), float(3), float(4), float(5), float(6))
    }

    /** Index of the candidate at a position; [Slot.EMPTY] if there is none. */
    public fun candidate(position: Int): Int = words[WORDS * position]

    internal fun written(size: Int, note: LongArray) {
        this.size = size
        placed = note[0].toInt()
        relaxed = note[1].toInt()
        kept = note[2].toInt()
        steps = note[3]
    }

    private companion object {
        /** Of pkr_slot. */
        const val WORDS = 7
    }
}

/**
 * What stands at one position, and why.
 *
 * @property candidate index of the candidate; [EMPTY] for a blocked position and where there are no candidates left
 * @property relaxed bit i: spacing rule i is broken here, since otherwise no list would have been possible
 * @property score what it was compared by: its fused score after boosts and decays; with diversity the objective of that
 * @property propensity probability that it was taken here, given the slots before; 1 without exploration
 * @property boost what boosts have added to its fused score
 * @property decay what decays have multiplied its distance above the least score by
 * @property similarity to the slots before: the greatest cosine (MMR), or the share of its variance that they explain (DPP)
 */
public data class Slot(
    public val candidate: Int,
    public val relaxed: Int,
    public val score: Float,
    public val propensity: Float,
    public val boost: Float,
    public val decay: Float,
    public val similarity: Float,
) {
    /** Constants. */
    public companion object {
        /** The candidate of an empty slot. */
        public const val EMPTY: Int = -1
    }
}
