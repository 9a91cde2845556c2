package dev.pocketrank

import java.nio.ByteBuffer

/**
 * A feed while it is shown: the user's state, the candidates' item sums, and which of them are still to be shown. Ranks what is
 * left with the bits of a fresh request about those candidates with that state. Reusable: [begin] starts the next feed.
 *
 * Belongs to one thread at a time: a call while another runs is refused ([Status.OVERLAP]). Before [begin] and after [close]
 * every call answers [Status.STALE].
 *
 * @param ranker whose memory it works in
 * @param candidates that a feed has at most
 * @throws PocketrankException when it is made: [Status.CANDIDATE_COUNT], [Status.STALE]
 */
public class Session @JvmOverloads constructor(
    private val ranker: Ranker,
    candidates: Int = ranker.candidatesMax,
) : AutoCloseable {
    private val model = ranker.model
    private val note = LongArray(3)
    private val memory: ByteBuffer = model.gate.within({ throw PocketrankException(Failure(it), "session") }) {
        Failure.of(Native.sessionBytes(model.memory, candidates, note)).orThrow("session")
        allocate(note[0])
    }
    private val gate = Gate(1) { Native.sessionClose(memory) }

    /**
     * Begins a feed of all candidates of [request], of which the state and the columns of item features are read. `null` when
     * done; failures as of [Ranker.rank], and [Status.BAD_OPTION] for a request with `only` or item sums. Then there is no feed.
     */
    public fun begin(request: Request): Failure? = exclusively {
        Native.sessionClose(memory) // the feed before, if there was one
        ranker.begin(request, memory)
    }

    /** Adds one label of one impression to the session's state. `null` when done; failures as of [UserState.apply]. */
    public fun feedback(event: Event): Failure? = exclusively { event.send(model, memory, null, note) }

    /** Takes a candidate out of those still to be shown. `null` when done; [Status.BAD_INDEX] if it is none of them. */
    public fun shown(candidate: Int): Failure? = exclusively { Failure.of(Native.sessionShown(memory, candidate)) }

    /**
     * Orders what is still to be shown. [request] is that of the beginning with its candidates' columns and time as they are now,
     * and without a state. Indices are those of the beginning; what was shown has no score and comes last.
     *
     * @return as [Ranker.rank], in the ranker's arrays
     */
    public fun rerank(request: Request): RankResult =
        gate.within({ return RankResult.Refused(Failure(it)) }) { ranker.rerank(request, memory) }

    /** Copies the session's state, to be kept when the feed ends. `null` when done. */
    public fun state(into: UserState): Failure? = exclusively { Failure.of(Native.sessionState(memory, into.bytes)) }

    private inline fun exclusively(body: () -> Failure?): Failure? = gate.within({ Failure(it) }, body)

    /** Wipes the session: now, or when the call that runs ends. */
    override fun close() {
        gate.close()
    }
}
