package dev.pocketrank

import java.nio.ByteBuffer

/**
 * Working memory for requests of up to [candidatesMax] candidates, and their results. One a thread: it may move between threads,
 * but a call while another runs is refused ([Status.OVERLAP]). Never throws when it ranks, and makes no garbage: results are
 * written to arrays that the next call writes again.
 *
 * [close] wipes what requests left in memory; it may be called twice and waits for nobody. Later calls answer [Status.STALE].
 *
 * @property model whose requests it ranks
 * @property candidatesMax candidates that a request may have at most, 1 to 4,096
 * @param explain whether rankings have [Ranking.terms]
 * @throws PocketrankException when it is made: [Status.CANDIDATE_COUNT] for none or more than 4,096, [Status.STALE]
 */
public class Ranker @JvmOverloads constructor(
    public val model: Model,
    public val candidatesMax: Int,
    private val explain: Boolean = false,
) : AutoCloseable {
    internal val memory: ByteBuffer
    internal val gate = Gate(1) { Native.scratchClose(memory) }
    private val note = LongArray(5)
    private val head = IntArray(Request.headSize(model))
    private val parts = arrayOfNulls<Any?>(Request.partsSize(model))
    private val ranked: RankResult.Ranked

    init {
        memory = model.gate.within({ throw PocketrankException(Failure(it), "ranker") }) {
            Failure.of(Native.scratchBytes(model.memory, candidatesMax, note)).orThrow("ranker")
            allocate(note[0]).also { Failure.of(Native.scratchInit(model.memory, candidatesMax, it)).orThrow("ranker") }
        }
        ranked = RankResult.Ranked(Ranking(candidatesMax, model.tasks.size))
    }

    /**
     * Scores and orders the candidates of a request. One bad candidate does not lose a feed: what is missing, infinite or unknown
     * is counted. Cost: linear in the candidates; one native call.
     *
     * @return the ranking, which the next call of this ranker overwrites; or why there is none: 1xx, 5xx for the request with
     *   feature and candidate, 6xx for the state, 7xx for the formula
     */
    public fun rank(request: Request): RankResult = ranking(Native.RANK, 0, request, null, null)

    /**
     * Fuses and orders by [scores], the first [numScores] as [score] wrote them: candidates times tasks, row by row. The ranking
     * has no scores of its own. `only` and item sums of the request do not matter.
     *
     * @return as [rank]; also [Status.NOT_FINITE] with the candidate, [Status.FORMULA_SCORES]
     */
    @JvmOverloads
    public fun order(request: Request, scores: FloatArray, numScores: Int = scores.size): RankResult =
        ranking(Native.ORDER, numScores, request, null, scores)

    /** What is left of a session. */
    internal fun rerank(request: Request, session: ByteBuffer): RankResult =
        ranking(Native.SESSION_RERANK, 0, request, session, null)

    private fun ranking(what: Int, index: Int, request: Request, session: ByteBuffer?, scores: FloatArray?): RankResult {
        gate.within({ return RankResult.Refused(Failure(it)) }) {
            val into = ranked.ranking
            val numTerms = if (explain) request.formula?.info?.terms?.size ?: model.numTerms else 0
            val terms = if (explain) into.termsFor(numTerms) else null
            val failure = call(what, index, request, session, into.order, into.fused, scores ?: into.scores, terms, null)
            if (failure != null) return RankResult.Refused(failure)
            into.written(request.candidates, numTerms, note)
            return ranked
        }
    }

    /**
     * Scores the candidates that [Request.only] names (or all): a row of [scores] for each of them, in their order. Scores do not
     * depend on how a request is divided among threads; [order] does what is left. `null` when done; failures as of [rank].
     */
    public fun score(request: Request, scores: FloatArray): Failure? =
        exclusively { call(Native.SCORE, 0, request, null, null, null, scores, null, null) }

    /**
     * Computes what the first layer makes of the candidates' item features, to be kept and passed back by [Request.itemSums]:
     * exactly [Model.itemSumsBytes] for each candidate (of [Request.only]), from the position of a direct buffer on; the position
     * stays. `null` when done; failures as of [rank], and [Status.BUFFER_TOO_SMALL], [Status.BAD_OPTION] for a model without item
     * features.
     */
    public fun itemSums(request: Request, into: ByteBuffer): Failure? = exclusively {
        val bytes = request.rows.toLong() * model.itemSumsBytes
        when {
            !into.isDirect || into.isReadOnly -> Failure(Status.NULL_POINTER)
            bytes > into.remaining() -> Failure(Status.BUFFER_TOO_SMALL, offset = bytes)
            else -> {
                val part = into.duplicate()
                part.limit(part.position() + maxOf(bytes, 0).toInt())
                call(Native.ITEM_SUMS, 0, request, part.slice(), null, null, null, null, null)
            }
        }
    }

    /**
     * Why: shares of the experts in every task's mixture for one candidate, a row for each task; a row adds up to 1.
     *
     * @throws PocketrankException failures as of [rank]
     */
    public fun gates(request: Request, candidate: Int): FloatArray {
        // The first call tells how many there are.
        val first = FloatArray(model.tasks.size)
        val ask = exclusively { call(Native.GATES, candidate, request, null, null, null, first, null, null) } ?: return first
        if (ask.status != Status.BUFFER_TOO_SMALL) throw PocketrankException(ask, "gates")
        val gates = FloatArray(ask.offset.toInt())
        exclusively { call(Native.GATES, candidate, request, null, null, null, gates, null, null) }.orThrow("gates")
        return gates
    }

    /**
     * What a feature is to the network for every candidate, [Feature.dim] values each: [vectors] for [Rules]. Depends on model
     * and columns alone, so they may be kept. `null` when done; failures as of [rank], [Status.WRONG_FORM] for a feature of the
     * user's side and a number without buckets, [Status.BUFFER_TOO_SMALL] unless the array is of dim times candidates.
     */
    public fun vectors(request: Request, feature: Int, vectors: ByteArray): Failure? =
        exclusively { call(Native.VECTORS, feature, request, null, null, null, null, null, vectors) }

    /** Begins a session in its memory. */
    internal fun begin(request: Request, session: ByteBuffer): Failure? =
        exclusively { call(Native.SESSION_BEGIN, 0, request, session, null, null, null, null, null) }

    private inline fun exclusively(body: () -> Failure?): Failure? = gate.within({ Failure(it) }, body)

    /** The one native call, with everything that it uses kept open; this ranker's gate is passed already. */
    private fun call(
        what: Int,
        index: Int,
        request: Request,
        memory: ByteBuffer?,
        order: IntArray?,
        fused: FloatArray?,
        scores: FloatArray?,
        terms: FloatArray?,
        bytes: ByteArray?,
    ): Failure? {
        request.failure?.let { return it }
        if (request.model !== model) return Failure(Status.BAD_OPTION)
        if (!request.snapshot(head, parts)) return Failure(Status.OVERLAP)
        val formula = request.formula
        model.gate.within({ return Failure(it) }) {
            (formula?.gate ?: model.gate).within({ return Failure(it) }) {
                val code = Native.request(
                    what, index, model.memory, this.memory, memory, formula?.memory, request.itemSums,
                    head, parts, request.time, order, fused, scores, terms, bytes, note,
                )
                return Failure.of(code, note)
            }
        }
    }

    /** Wipes the working memory: now, or when the call that runs ends. */
    override fun close() {
        gate.close()
    }
}
