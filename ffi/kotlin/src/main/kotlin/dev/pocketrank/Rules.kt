package dev.pocketrank

/**
 * The rules of a list, in the order in which docs/reranking.md tells how they act. Reusable: [clear] starts anew without garbage.
 * Arrays are not copied; those by candidate have as many elements as there are candidates. Belongs to one thread at a time. What
 * is wrong about rules is said by [Reranker.rerank].
 */
public class Rules {
    internal val head = IntArray(HEAD + RULE_HEAD * (DECAYS + SPACINGS))
    internal val parts = arrayOfNulls<Any?>(PARTS + DECAYS + SPACINGS)
    internal var weight = 0f
        private set
    internal var epsilon = 0f
        private set
    internal var seed = 0L
        private set
    internal var failure: Failure? = null
        private set

    private var numDecays = 0
    private val decayHeads = IntArray(RULE_HEAD * DECAYS)
    private val decayKeys = arrayOfNulls<LongArray>(DECAYS)
    private var numSpacings = 0
    private val spacingHeads = IntArray(RULE_HEAD * SPACINGS)
    private val spacingKeys = arrayOfNulls<LongArray>(SPACINGS)
    private val pins = Numbers()
    private val blocked = Numbers()
    private val hidden = Numbers()

    init {
        clear()
    }

    /** No rules: the order is that of [Ranker.rank]. */
    public fun clear(): Rules {
        head.fill(0)
        parts.fill(null)
        for (part in 0 until PARTS) head[FIRST_COUNT + part] = NONE
        numDecays = 0
        decayKeys.fill(null)
        numSpacings = 0
        spacingKeys.fill(null)
        pins.size = 0
        blocked.size = 0
        hidden.size = 0
        weight = 0f
        epsilon = 0f
        seed = 0
        failure = null
        return this
    }

    /**
     * At most [max] candidates of one key in any [window] positions (1 to 256) that follow each other; the most important rule
     * first.
     */
    public fun spacing(keys: LongArray, max: Int, window: Int): Rules {
        if (numSpacings == SPACINGS) return full(RulePart.SPACINGS, SPACINGS)
        spacingKeys[numSpacings] = keys
        rule(spacingHeads, numSpacings++, max, window, keys.size)
        return this
    }

    /**
     * Less for each candidate whose key is in the list already: behind n of them its distance above the least score counts
     * (1 - floor) factor^n + floor of what it is. [factor] is within (0, 1], [floor] within 0 to 1; several decays multiply.
     */
    public fun decay(keys: LongArray, factor: Float, floor: Float): Rules {
        if (numDecays == DECAYS) return full(RulePart.DECAYS, DECAYS)
        decayKeys[numDecays] = keys
        rule(decayHeads, numDecays++, factor.toRawBits(), floor.toRawBits(), keys.size)
        return this
    }

    /** A candidate has a position, from 0 on, whatever the rules are. */
    public fun pin(position: Int, candidate: Int): Rules {
        pins.add(position)
        pins.add(candidate)
        return this
    }

    /** A position stays empty, for what the app puts there itself. */
    public fun block(position: Int): Rules {
        blocked.add(position)
        return this
    }

    /** A candidate gets no position. */
    public fun hide(candidate: Int): Rules {
        hidden.add(candidate)
        return this
    }

    /**
     * By candidate, within 0 to 1,024: multiplies the distance of its fused score above that of the least scored one. `null`:
     * none.
     */
    public fun factors(factors: FloatArray?): Rules = part(0, factors, factors?.size ?: NONE)

    /** By candidate: added after that, in units of fused scores. `null`: none. */
    public fun bonuses(bonuses: FloatArray?): Rules = part(1, bonuses, bonuses?.size ?: NONE)

    /** Diversity by maximal marginal relevance: [lambda] within 0 to 1 weighs relevance; [vectors] are of [Ranker.vectors]. */
    public fun mmr(lambda: Float, vectors: ByteArray, dim: Int): Rules = diversity(1, lambda, vectors, dim)

    /**
     * Diversity by a determinantal point process: [theta] within 0 to 1,024 weighs relevance; [vectors] are of [Ranker.vectors].
     */
    public fun dpp(theta: Float, vectors: ByteArray, dim: Int): Rules = diversity(2, theta, vectors, dim)

    /** Any candidate that the rules allow with probability [epsilon], else the best. The same [seed] gives the same list. */
    public fun epsilonGreedy(epsilon: Float, seed: Long): Rules {
        head[EXPLORATION] = 1
        this.epsilon = epsilon
        this.seed = seed
        return this
    }

    /** The best of draws: to each fused score a normal number of deviation [sigma], one a candidate, is added. */
    public fun thompson(sigma: FloatArray, seed: Long): Rules {
        head[EXPLORATION] = 2
        this.seed = seed
        return part(6, sigma, sigma.size)
    }

    /** Puts together what was said in any order: decays, then spacings, as native code reads them. */
    internal fun ready() {
        head[NUM_DECAYS] = numDecays
        head[NUM_SPACINGS] = numSpacings
        decayHeads.copyInto(head, HEAD, 0, RULE_HEAD * numDecays)
        spacingHeads.copyInto(head, HEAD + RULE_HEAD * numDecays, 0, RULE_HEAD * numSpacings)
        for (i in 0 until numDecays) parts[PARTS + i] = decayKeys[i]
        for (i in 0 until numSpacings) parts[PARTS + numDecays + i] = spacingKeys[i]
        part(2, pins.values, pins.size)
        part(3, blocked.values, blocked.size)
        part(4, hidden.values, hidden.size)
    }

    private fun diversity(kind: Int, weight: Float, vectors: ByteArray, dim: Int): Rules {
        head[DIVERSITY] = kind
        head[DIM] = dim
        this.weight = weight
        return part(5, vectors, vectors.size)
    }

    private fun rule(heads: IntArray, index: Int, first: Int, second: Int, keys: Int) {
        heads[RULE_HEAD * index] = first
        heads[RULE_HEAD * index + 1] = second
        heads[RULE_HEAD * index + 2] = keys
    }

    private fun part(index: Int, array: Any?, count: Int): Rules {
        parts[index] = array
        head[FIRST_COUNT + index] = count
        return this
    }

    private fun full(part: RulePart, most: Int): Rules {
        if (failure == null) failure = Failure(Status.BAD_RULE, part.ordinal, most)
        return this
    }

    /** Ints that grow. */
    private class Numbers {
        var values = IntArray(4)
        var size = 0

        fun add(number: Int) {
            if (size == values.size) values = values.copyOf(2 * size)
            values[size++] = number
        }
    }

    /** Constants. */
    public companion object {
        /** A key that no other candidate shares: under no spacing, no decay. */
        public const val NO_KEY: Long = -1

        // As in ffi/src/jni/list.rs.
        private const val DECAYS = 4
        private const val SPACINGS = 8
        private const val HEAD = 12
        private const val RULE_HEAD = 3
        private const val PARTS = 7
        private const val DIVERSITY = 0
        private const val DIM = 1
        private const val EXPLORATION = 2
        private const val NUM_DECAYS = 3
        private const val NUM_SPACINGS = 4
        private const val FIRST_COUNT = 5
        private const val NONE = -1
    }
}
