package dev.pocketrank

import java.nio.ByteBuffer

/**
 * What the user did earlier, as bytes: rates, counters, last ids. The app stores [bytes] when a feed ends and hands them back
 * later; they hold for every model with the same features of the past, and another model answers [Status.STATE_LAYOUT]: [reset]
 * then.
 *
 * Belongs to one thread at a time.
 *
 * @property bytes the state itself: [Model.stateBytes] bytes, to be stored or copied
 */
public class UserState private constructor(public val model: Model, public val bytes: ByteArray) {
    private val note = LongArray(3)

    /** That of a user without a past. */
    public constructor(model: Model) : this(model, ByteArray(model.stateBytes)) {
        reset()
    }

    /** Of bytes that were stored. */
    public companion object {
        /** A copy of them; what is wrong about them is said by the next request or event. */
        @JvmStatic
        public fun of(model: Model, stored: ByteArray): UserState = UserState(model, stored.copyOf())
    }

    /** Makes it that of a user without a past. `null` when done. */
    public fun reset(): Failure? = model.gate.within({ Failure(it) }) { Failure.of(Native.stateReset(model.memory, bytes)) }

    /**
     * Adds one label of one past impression; apply events in the order in which they became known. `null` when done; on any
     * failure the state is as before: 6xx, [Status.UNKNOWN_FEATURE] and [Status.WRONG_FORM] for a key, [Status.STALE]. Cost: does
     * not depend on the past.
     */
    public fun apply(event: Event): Failure? = event.send(model, null, bytes, note)
}

/**
 * One label of one past impression, with what it showed as keys for the features that the user's past is counted by. Reusable:
 * [begin] starts the next one without garbage. Belongs to one thread at a time.
 */
public class Event {
    private var label = 0
    private var time = 0L
    private var value = 0f
    private var keys = 0
    private var textBytes = 0
    private var isFull = false
    internal var heads = IntArray(HEAD * 4)
        private set
    internal var ids = LongArray(4)
        private set
    internal var text = ByteArray(0)
        private set

    /**
     * @param label [Label.index]
     * @param time when it became known, Unix seconds
     * @param value the label's value; binary labels 0 or 1
     */
    public fun begin(label: Int, time: Long, value: Float): Event {
        this.label = label
        this.time = time
        this.value = value
        keys = 0
        textBytes = 0
        isFull = false
        return this
    }

    /** The impression showed this id: an int, or of a feature of texts what [Pocketrank.hash] made; -1 is missing. */
    public fun id(feature: Int, id: Long): Event = key(feature, ID, id, 0)

    /** The impression showed this text; an empty one is missing. */
    public fun text(feature: Int, id: String): Event {
        val bytes = id.toByteArray()
        if (textBytes + bytes.size > text.size) text = text.copyOf(maxOf(2 * text.size, textBytes + bytes.size))
        bytes.copyInto(text, textBytes)
        textBytes += bytes.size
        return key(feature, TEXT, 0, bytes.size)
    }

    /** The impression had this value of a number with buckets; NaN is missing. */
    public fun number(feature: Int, number: Float): Event =
        key(feature, NUMBER, number.toRawBits().toLong() and 0xFFFFFFFFL, 0)

    private fun key(feature: Int, kind: Int, id: Long, bytes: Int): Event {
        if (keys == MOST) {
            isFull = true
            return this
        }
        if (keys == ids.size) {
            ids = ids.copyOf(2 * keys)
            heads = heads.copyOf(2 * HEAD * keys)
        }
        ids[keys] = id
        heads[HEAD * keys] = feature
        heads[HEAD * keys + 1] = kind
        heads[HEAD * keys + 2] = bytes
        keys++
        return this
    }

    /** Sends it to a state, or to a session where that is `null`. */
    internal fun send(model: Model, session: ByteBuffer?, state: ByteArray?, note: LongArray): Failure? {
        if (isFull) return Failure(Status.OVER_LIMIT, offset = MOST.toLong())
        model.gate.within({ return Failure(it) }) {
            val code = Native.event(model.memory, session, state, label, time, value, keys, heads, ids, text, note)
            return Failure.of(code, note)
        }
    }

    private companion object {
        const val HEAD = 3

        /** Keys of an event at most. */
        const val MOST = 128

        // PKR_KEY_*
        const val ID = 0
        const val TEXT = 1
        const val NUMBER = 2
    }
}
