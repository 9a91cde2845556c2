package dev.pocketrank

import java.nio.ByteBuffer

/**
 * One request: columns by feature, and what goes with them. Reusable: [begin] starts the next one without garbage.
 *
 * Arrays that are handed in are not copied: they must stay as they are until the request has been ranked, and may be written
 * again afterwards. Nothing here throws: an unknown name, an array that is too short, a column that does not fit its feature are
 * said by the call that ranks the request. Belongs to one thread at a time: one that another thread writes meanwhile may
 * be refused ([Status.OVERLAP]). Threads that share a request each have one with the same arrays.
 *
 * @property model whose features it has; rankers of other models answer [Status.BAD_OPTION]
 */
public class Request(public val model: Model) {
    internal val head = IntArray(headSize(model))
    internal val parts = arrayOfNulls<Any?>(partsSize(model))

    /** Single values and texts of this request's own, by feature. */
    private val own = arrayOfNulls<Any?>(model.features.size)

    /** The first thing that was wrong about a call of this class. */
    internal var failure: Failure? = null
        private set
    internal var itemSums: ByteBuffer? = null
        private set
    private var itemSumsSource: ByteBuffer? = null
    private var itemSumsSlice: ByteBuffer? = null
    private var itemSumsPosition = 0

    /** Time of the request, Unix seconds. */
    public var time: Long = 0

    /** A formula that takes the place of the file's fusion; `null`: none. */
    public var formula: Formula? = null

    /** Candidates, from 1 on. */
    public var candidates: Int
        get() = head[CANDIDATES]
        set(value) {
            head[CANDIDATES] = value
        }

    /**
     * Candidates to score at most: a deadline turned into a count. 0: all. The others keep their order behind the scored ones.
     */
    public var maxCandidates: Int
        get() = head[CANDIDATES_MAX]
        set(value) {
            head[CANDIDATES_MAX] = value
        }

    /** Whether a missing, unknown or infinite value is an error (5xx) instead of being counted. */
    public var isStrict: Boolean
        get() = head[FLAGS] != 0
        set(value) {
            head[FLAGS] = if (value) STRICT else 0
        }

    /** Rows of scores and item sums: candidates of [only], or all. */
    internal val rows: Int
        get() = head[FIRST_COUNT + ONLY].let { if (it == NONE) candidates else it }

    init {
        begin(0, 0)
    }

    /** Starts another request: all columns are missing, and everything else is as in a new one. */
    public fun begin(candidates: Int, time: Long): Request {
        head.fill(NONE)
        parts.fill(null)
        head[FLAGS] = 0
        head[CANDIDATES] = candidates
        head[CANDIDATES_MAX] = 0
        head[COLUMNS] = model.features.size
        for (feature in model.features.indices) head[HEAD + COLUMN_HEAD * feature] = MISSING
        this.time = time
        formula = null
        itemSums = null
        failure = null
        return this
    }

    /** Ids: the first [count] of [values]; -1 is a missing id. For features of texts, hashes of [Pocketrank.hash]. */
    @JvmOverloads
    public fun ids(feature: Int, values: LongArray, count: Int = values.size, lists: Lists? = null): Request =
        column(feature, IDS, values, values.size, count, lists)

    /** @see ids */
    @JvmOverloads
    public fun ids(feature: String, values: LongArray, count: Int = values.size, lists: Lists? = null): Request =
        ids(index(feature), values, count, lists)

    /**
     * Rows of the feature's table, found before by [Model.rowOf]; -1 is a missing row. Not for features by which others are
     * keyed.
     */
    @JvmOverloads
    public fun rows(feature: Int, values: IntArray, count: Int = values.size, lists: Lists? = null): Request =
        column(feature, ROWS, values, values.size, count, lists)

    /** @see rows */
    @JvmOverloads
    public fun rows(feature: String, values: IntArray, count: Int = values.size, lists: Lists? = null): Request =
        rows(index(feature), values, count, lists)

    /** Numbers; NaN is missing. */
    @JvmOverloads
    public fun floats(feature: Int, values: FloatArray, count: Int = values.size): Request =
        column(feature, FLOATS, values, values.size, count, null)

    /** @see floats */
    @JvmOverloads
    public fun floats(feature: String, values: FloatArray, count: Int = values.size): Request =
        floats(index(feature), values, count)

    /** Vectors on the model's grid: bytes 0 to 127, [Feature.dim] a value; [count] counts bytes. */
    @JvmOverloads
    public fun bytes(feature: Int, values: ByteArray, count: Int = values.size): Request =
        column(feature, BYTES, values, values.size, count, null)

    /** @see bytes */
    @JvmOverloads
    public fun bytes(feature: String, values: ByteArray, count: Int = values.size): Request =
        bytes(index(feature), values, count)

    /**
     * Text ids as UTF-8: the i-th is bytes `offsets[i]` to `offsets[i + 1]` of [utf8], of which [numBytes] are used; [count] ids.
     * An empty id is missing.
     */
    @JvmOverloads
    public fun text(
        feature: Int,
        utf8: ByteArray,
        offsets: IntArray,
        count: Int = offsets.size - 1,
        lists: Lists? = null,
        numBytes: Int = utf8.size,
    ): Request {
        column(feature, TEXT, utf8, utf8.size, numBytes, lists)
        return part(feature, 1, offsets, offsets.size, count + 1)
    }

    /** Text ids. */
    @JvmOverloads
    public fun text(feature: Int, texts: Texts, lists: Lists? = null): Request =
        text(feature, texts.utf8, texts.offsets, texts.size, lists, texts.numBytes)

    /** @see text */
    @JvmOverloads
    public fun text(feature: String, texts: Texts, lists: Lists? = null): Request = text(index(feature), texts, lists)

    /** Text ids, copied into memory of this request; an empty one is missing. */
    @JvmOverloads
    public fun texts(feature: Int, texts: List<String>, lists: Lists? = null): Request {
        val into = owned(feature) { Texts() } ?: return this
        into.clear()
        for (i in texts.indices) into.add(texts[i])
        return text(feature, into, lists)
    }

    /** @see texts */
    @JvmOverloads
    public fun texts(feature: String, texts: List<String>, lists: Lists? = null): Request = texts(index(feature), texts, lists)

    /** The one id of a feature of the user's side; -1 is missing. */
    public fun id(feature: Int, value: Long): Request {
        val into = owned(feature) { LongArray(1) } ?: return this
        into[0] = value
        return ids(feature, into)
    }

    /** @see id */
    public fun id(feature: String, value: Long): Request = id(index(feature), value)

    /** The one number of a feature of the user's side; NaN is missing. */
    public fun number(feature: Int, value: Float): Request {
        val into = owned(feature) { FloatArray(1) } ?: return this
        into[0] = value
        return floats(feature, into)
    }

    /** @see number */
    public fun number(feature: String, value: Float): Request = number(index(feature), value)

    /** The one text of a feature of the user's side; an empty one is missing. */
    public fun text(feature: Int, value: String): Request {
        val into = owned(feature) { Texts() } ?: return this
        return text(feature, into.clear().add(value))
    }

    /** @see text */
    public fun text(feature: String, value: String): Request = text(index(feature), value)

    /** The user's state; `null`: a user without a past. Its bytes are read when the request is ranked. */
    public fun state(state: UserState?): Request = state(state?.bytes)

    /** The user's state as bytes that were stored. */
    public fun state(state: ByteArray?): Request {
        val bytes = state?.takeIf { it.isNotEmpty() }
        return own(STATE, bytes, bytes?.size ?: NONE, bytes?.size ?: 0)
    }

    /** Weights of the fusion's terms, or of its formula; `null`: those of the file. */
    public fun weights(weights: FloatArray?): Request = own(WEIGHTS, weights, weights?.size ?: NONE, weights?.size ?: 0)

    /** Candidates to score, by increasing index: the first [count] of [only]; `null`: all. */
    @JvmOverloads
    public fun only(only: IntArray?, count: Int = only?.size ?: NONE): Request = own(ONLY, only, count, only?.size ?: 0)

    /**
     * Item sums that were kept ([Ranker.itemSums]): what is between position and limit of a direct buffer, in slots of
     * [Model.itemSumsBytes]; `null`: none. Columns of item features are then read only where others, or groups of
     * quantiles, are made of them.
     *
     * @param slots the slot of each candidate, -1 for one whose sums are computed here; `null`: candidate i has slot i
     */
    @JvmOverloads
    public fun itemSums(sums: ByteBuffer?, slots: IntArray? = null, count: Int = slots?.size ?: NONE): Request {
        if (sums != null && !sums.isDirect) fail(Failure(Status.NULL_POINTER))
        // The same buffer again makes no garbage.
        val position = sums?.position() ?: 0
        val isSame = sums === itemSumsSource && position == itemSumsPosition && itemSumsSlice?.capacity() == sums?.remaining()
        if (!isSame) {
            itemSumsSource = sums
            itemSumsPosition = position
            itemSumsSlice = sums?.slice()
        }
        itemSums = itemSumsSlice
        return own(ITEM_SLOTS, slots, count, slots?.size ?: 0)
    }

    /** Features to leave out, by index, as if they were missing: the difference is what they do to an order. `null`: none. */
    public fun without(features: IntArray?): Request = own(WITHOUT, features, features?.size ?: NONE, features?.size ?: 0)

    private fun own(index: Int, array: Any?, count: Int, size: Int): Request {
        if (array != null && (count > size || count < 0)) fail(Failure(Status.BUFFER_TOO_SMALL, offset = count.toLong()))
        parts[index] = array
        head[FIRST_COUNT + index] = if (array == null) NONE else count
        return this
    }

    private fun column(feature: Int, form: Int, values: Any, size: Int, count: Int, lists: Lists?): Request {
        part(feature, 0, values, size, count)
        if (feature in own.indices) head[HEAD + COLUMN_HEAD * feature] = form
        part(feature, 1, null, 0, NONE)
        part(feature, 2, lists?.offsets, lists?.offsets?.size ?: 0, lists?.let { it.count + 1 } ?: NONE)
        return part(feature, 3, lists?.weights, lists?.weights?.size ?: 0, lists?.numWeights ?: NONE)
    }

    private fun part(feature: Int, part: Int, array: Any?, size: Int, count: Int): Request {
        if (feature !in own.indices) return fail(Failure(Status.UNKNOWN_FEATURE, feature))
        if (array != null && (count > size || count < 0)) fail(Failure(Status.COLUMN_LENGTH, feature, offset = count.toLong()))
        parts[PARTS + COLUMN_PARTS * feature + part] = array
        head[HEAD + COLUMN_HEAD * feature + 1 + part] = if (array == null) NONE else count
        return this
    }

    /**
     * Copies what native code reads into arrays that no other thread has. `false` if a column's values are not of its form's
     * type: then another thread writes this request, and native code, which can't see types, must not have it.
     */
    internal fun snapshot(head: IntArray, parts: Array<Any?>): Boolean {
        this.head.copyInto(head)
        this.parts.copyInto(parts)
        for (feature in own.indices) {
            val values = parts[PARTS + COLUMN_PARTS * feature] ?: continue
            val fits = when (head[HEAD + COLUMN_HEAD * feature]) {
                IDS -> values is LongArray
                TEXT, BYTES -> values is ByteArray
                ROWS -> values is IntArray
                FLOATS -> values is FloatArray
                else -> true // of a missing column nothing is read
            }
            if (!fits) return false
        }
        return true
    }

    private fun fail(why: Failure): Request {
        if (failure == null) failure = why
        return this
    }

    private fun index(feature: String): Int = model.columnOf(feature)

    /** The memory of this request for a feature, of the kind that [make] makes; `null` for a feature that is none. */
    private inline fun <reified T : Any> owned(feature: Int, make: () -> T): T? {
        if (feature !in own.indices) {
            fail(Failure(Status.UNKNOWN_FEATURE, feature))
            return null
        }
        return own[feature] as? T ?: make().also { own[feature] = it }
    }

    internal companion object {
        // As in ffi/src/jni/request.rs.
        private const val HEAD = 9
        private const val COLUMN_HEAD = 5
        private const val PARTS = 5
        private const val COLUMN_PARTS = 4
        private const val NONE = -1

        // In `head`.
        private const val FLAGS = 0
        private const val CANDIDATES = 1
        private const val CANDIDATES_MAX = 2
        private const val COLUMNS = 3
        private const val FIRST_COUNT = 4

        // In `parts`, and their counts from FIRST_COUNT on.
        private const val STATE = 0
        private const val WEIGHTS = 1
        private const val ONLY = 2
        private const val ITEM_SLOTS = 3
        private const val WITHOUT = 4

        private const val STRICT = 1

        // PKR_FORM_*
        private const val MISSING = 0
        private const val IDS = 1
        private const val TEXT = 2
        private const val ROWS = 3
        private const val FLOATS = 4
        private const val BYTES = 5

        fun headSize(model: Model): Int = HEAD + COLUMN_HEAD * model.features.size

        fun partsSize(model: Model): Int = PARTS + COLUMN_PARTS * model.features.size
    }
}

/**
 * How the ids (or rows) of a column make lists: the i-th list is ids `offsets[i]` to `offsets[i + 1]`.
 *
 * @property offsets ids before each list, and all of them at the end
 * @property count lists
 * @property weights one within 0 to 1 per id; `null`: all are 1
 * @property numWeights ids that have one
 */
public class Lists @JvmOverloads constructor(
    public var offsets: IntArray,
    public var count: Int = offsets.size - 1,
    public var weights: FloatArray? = null,
    public var numWeights: Int = weights?.size ?: Failure.NOWHERE,
)
