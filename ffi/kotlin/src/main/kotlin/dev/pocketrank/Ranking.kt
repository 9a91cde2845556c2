package dev.pocketrank

/** What came of a request: a ranking, or the reason why the server's order stays. */
public sealed class RankResult {
    /** @property ranking overwritten by the next call of the ranker that made it; [Ranking.copy] keeps one */
    public class Ranked internal constructor(public val ranking: Ranking) : RankResult() {
        override fun toString(): String = "Ranked(${ranking.size})"
    }

    /** @property failure why, and where: keep the order that the server sent */
    public class Refused(public val failure: Failure) : RankResult() {
        override fun toString(): String = "Refused($failure)"
    }

    /** The candidates [items] best first; as they are, if the request was refused. A new list. */
    public fun <T> arrange(items: List<T>): List<T> = when (this) {
        is Ranked -> if (items.size == ranking.size) List(items.size) { items[ranking.order[it]] } else items.toList()
        is Refused -> items.toList()
    }
}

/**
 * Order and scores of one request. Arrays are as long as the ranker's most candidates; the first [size] (times tasks, times
 * terms) hold.
 *
 * @property order the candidates' indices, best first; equal ones by index
 * @property fused fused score of each candidate, negative infinity if it was not scored
 * @property scores candidates times tasks, row by row, 0 for candidates not scored
 * @property numTasks scores of a candidate
 */
public class Ranking internal constructor(
    public val order: IntArray,
    public val fused: FloatArray,
    public val scores: FloatArray,
    public val numTasks: Int,
) {
    internal constructor(candidates: Int, numTasks: Int) :
        this(IntArray(candidates), FloatArray(candidates), FloatArray(candidates * numTasks), numTasks)

    /** Candidates. */
    public var size: Int = 0
        private set

    /**
     * Values of the fusion's terms, candidates times [numTerms] row by row, whose sum is the fused score; empty unless asked for.
     */
    public var terms: FloatArray = FloatArray(0)
        private set

    /** Terms of a candidate: those of the model's fusion, or of the formula. */
    public var numTerms: Int = 0
        private set

    /** Candidates that were scored. */
    public var scored: Int = 0
        private set

    /** Values that were missing from columns and took their default. */
    public var missing: Int = 0
        private set

    /** Numbers that were infinite and were clamped. */
    public var notFinite: Int = 0
        private set

    /** Ids outside their vocabulary and rows outside their table, which took row 0. */
    public var unknownIds: Int = 0
        private set

    /** Lists longer than their feature's `maxLen`, whose later ids were dropped. */
    public var cutLists: Int = 0
        private set

    /** Score of a candidate for a task. */
    public fun score(candidate: Int, task: Int): Float = scores[candidate * numTasks + task]

    /** Value of a candidate's term. */
    public fun term(candidate: Int, term: Int): Float = terms[candidate * numTerms + term]

    /** A ranking of its own, which stays; its arrays are as long as needed. */
    public fun copy(): Ranking {
        val copy = Ranking(order.copyOf(size), fused.copyOf(size), scores.copyOf(size * numTasks), numTasks)
        copy.terms = terms.copyOf(size * numTerms)
        copy.size = size
        copy.numTerms = numTerms
        copy.scored = scored
        copy.missing = missing
        copy.notFinite = notFinite
        copy.unknownIds = unknownIds
        copy.cutLists = cutLists
        return copy
    }

    internal fun termsFor(numTerms: Int): FloatArray {
        if (terms.size < order.size * numTerms) terms = FloatArray(order.size * numTerms)
        return terms
    }

    internal fun written(size: Int, numTerms: Int, note: LongArray) {
        this.size = size
        this.numTerms = numTerms
        scored = note[0].toInt()
        missing = note[1].toInt()
        notFinite = note[2].toInt()
        unknownIds = note[3].toInt()
        cutLists = note[4].toInt()
    }
}
