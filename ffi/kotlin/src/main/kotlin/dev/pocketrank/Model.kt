package dev.pocketrank

import java.io.File
import java.io.FileDescriptor
import java.io.FileInputStream
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.channels.FileChannel

/**
 * An open model file. Immutable and shared: any number of threads may use it, each with a [Ranker] of its own.
 *
 * The file's bytes are borrowed, not copied, where they are in a direct buffer or mapped; they must not change while the model is
 * open, and a mapped file must not be cut short. [close] is explicit, may be called twice and waits for nobody; what is used
 * after it answers [Status.STALE]. A model that is not closed holds some 30 kB and its file until the collector finds it.
 *
 * @property name of the model
 * @property digest XXH3-64 of the file: names it
 * @property isa instruction set that runs, as "neon-dotprod"
 * @property candidatesMax candidates that a request may have at most
 * @property stateBytes bytes of a user's state; 0: the model has no features of the user's past
 * @property itemSumsBytes bytes of one item's kept sums; 0: the model has no item features
 * @property features by index, and so columns of a request
 * @property tasks by index, and so scores of a candidate
 * @property numTerms terms of the fusion, whether [terms] or those of [formula]
 * @property terms of the fusion, by index; none if the file has a formula
 * @property labels that feed the user's state, by index
 * @property formula that fuses the scores, if the file has one; its weights are then those of requests
 */
public class Model private constructor(private val bytes: ByteBuffer, internal val memory: ByteBuffer) : AutoCloseable {
    // The gate holds the model, and whoever is inside holds the gate: the file can't be collected under a call.
    internal val gate = Gate(Gate.SHARED) { Native.modelClose(this.memory) }

    public val name: String
    public val digest: Long
    public val isa: String
    public val candidatesMax: Int
    public val stateBytes: Int
    public val itemSumsBytes: Int
    public val features: List<Feature>
    public val tasks: List<Task>
    public val numTerms: Int
    public val terms: List<Term>
    public val labels: List<Label>
    public val formula: FormulaInfo?

    init {
        val about = Description.of(Native.MODEL, 0, memory)
        name = about.first
        isa = about.second
        features = List(about.int(0)) { i ->
            val it = Description.of(Native.FEATURE, i, memory)
            Feature(
                i, it.first, Side.entries[it.int(0)], FeatureKind.entries[it.int(1)], IdType.entries[it.int(2)], it.flag(3),
                it.int(4), it.flag(5), it.int(6), it.int(7),
            )
        }
        tasks = List(about.int(1)) { i ->
            val it = Description.of(Native.TASK, i, memory)
            Task(i, it.first, it.second, TaskKind.entries[it.int(0)], it.int(1).takeIf { given -> given != Failure.NOWHERE })
        }
        formula = FormulaInfo.of(memory, null)
        numTerms = about.int(2)
        terms = List(if (formula == null) numTerms else 0) { i ->
            val it = Description.of(Native.TERM, i, memory)
            Term(i, it.first, it.int(0), it.flag(1), it.float(2))
        }
        labels = List(about.int(3)) { i ->
            val it = Description.of(Native.LABEL, i, memory)
            Label(i, it.first, it.flag(0))
        }
        candidatesMax = about.int(4)
        digest = about.long(5)
        stateBytes = about.int(6)
        itemSumsBytes = about.int(7)
    }

    private val featureByName = features.associateBy { it.name }

    /** Without garbage and without asking the library: what requests by name use. [Failure.NOWHERE] if there is none. */
    internal fun columnOf(feature: String): Int = featureByName[feature]?.index ?: Failure.NOWHERE

    /**
     * Index of the feature of that name.
     *
     * @throws PocketrankException [Status.UNKNOWN_FEATURE], [Status.STALE]
     */
    public fun featureIndex(name: String): Int = indexOf(Native.FEATURE, name, null)

    /**
     * Index of the task of that name.
     *
     * @throws PocketrankException [Status.UNKNOWN_TASK], [Status.STALE]
     */
    public fun taskIndex(name: String): Int = indexOf(Native.TASK, name, null)

    /**
     * Index of the term of that name.
     *
     * @throws PocketrankException [Status.UNKNOWN_TASK], [Status.STALE]
     */
    public fun termIndex(name: String): Int = indexOf(Native.TERM, name, null)

    /**
     * Index of the label of that name.
     *
     * @throws PocketrankException [Status.UNKNOWN_LABEL], [Status.STALE]
     */
    public fun labelIndex(name: String): Int = indexOf(Native.LABEL, name, null)

    /**
     * Index of the file's formula's weight of that name.
     *
     * @throws PocketrankException [Status.UNKNOWN_TASK], [Status.STALE]
     */
    public fun weightIndex(name: String): Int = indexOf(Native.WEIGHT, name, null)

    internal fun indexOf(what: Int, name: String, formula: ByteBuffer?): Int {
        val note = LongArray(1)
        check(name) { Native.indexOf(what, memory, formula, name.toByteArray(), note) }
        return note[0].toInt()
    }

    /**
     * Row of an id, for apps that look up once and then send [Request.rows]; an unknown id has row 0.
     *
     * @throws PocketrankException [Status.UNKNOWN_FEATURE], [Status.WRONG_FORM], [Status.MISSING_VALUE], [Status.STALE]
     */
    public fun rowOf(feature: Int, id: Long): Int = rowOf(Event().id(feature, id))

    /**
     * Row of a text.
     *
     * @see rowOf
     */
    public fun rowOf(feature: Int, text: String): Int = rowOf(Event().text(feature, text))

    /**
     * Row of a number with buckets.
     *
     * @see rowOf
     */
    public fun rowOf(feature: Int, number: Float): Int = rowOf(Event().number(feature, number))

    private fun rowOf(key: Event): Int {
        val note = LongArray(1)
        check("row") { Native.rowOf(memory, key.heads, key.ids, key.text, note) }
        return note[0].toInt()
    }

    /**
     * Weights to try on one user, for tuning online: each of the file's formula (or of [weights]) times e^(sigma z), within its
     * bounds, where z is normal and follows from [seed] (the user), [salt] (the experiment) and the weight's name. Pass them as
     * [Request.weights] and log them.
     *
     * @param sigma within 0 to 4
     * @throws PocketrankException [Status.UNKNOWN_TASK] without a formula or for another number of weights, [Status.BAD_WEIGHT],
     *   [Status.STALE]
     */
    @JvmOverloads
    public fun perturb(seed: Long, salt: Long, sigma: Float, weights: FloatArray? = null): FloatArray =
        perturb(formula, null, weights, seed, salt, sigma)

    internal fun perturb(
        info: FormulaInfo?,
        formula: ByteBuffer?,
        weights: FloatArray?,
        seed: Long,
        salt: Long,
        sigma: Float,
    ): FloatArray {
        val out = FloatArray(info?.weights?.size ?: 0)
        check("perturb") { Native.perturb(memory, formula, weights, seed, salt, sigma, out) }
        return out
    }

    /** Runs [call] while the model is open; its status must be 0. */
    private inline fun check(what: String, call: () -> Int) {
        Failure.of(gate.within({ it.code }) { call() }).orThrow(what)
    }

    /** Closes the model: now, or when the last call that uses it ends. */
    override fun close() {
        gate.close()
    }

    override fun toString(): String = "$name (${bytes.capacity()} bytes, ${java.lang.Long.toHexString(digest)}, $isa)"

    /** Opening. Cost: reads every byte once. */
    public companion object {
        /**
         * Opens the bytes between position and limit of [bytes], which stay borrowed. A buffer that is not direct is copied to
         * one.
         *
         * @param cpu an instruction set; what the file and this library do not have is [Status.BAD_OPTION]
         * @throws PocketrankException 2xx to 4xx for the file, with the offset
         */
        @JvmStatic
        @JvmOverloads
        public fun open(bytes: ByteBuffer, cpu: Cpu = Cpu.detect()): Model {
            val file = direct(bytes)
            val note = LongArray(3)
            Failure.of(Native.modelBytes(file, note)).orThrow("model")
            val memory = allocate(note[0])
            Failure.of(Native.modelOpen(file, memory, cpu.code, note), note).orThrow("model")
            return Model(file, memory)
        }

        /**
         * Opens a copy of [bytes].
         *
         * @see open
         */
        @JvmStatic
        @JvmOverloads
        public fun open(bytes: ByteArray, cpu: Cpu = Cpu.detect()): Model = open(ByteBuffer.wrap(bytes), cpu)

        /**
         * Maps [file] and opens it.
         *
         * @see open
         * @throws IOException if it cannot be read
         */
        @JvmStatic
        @JvmOverloads
        @Throws(IOException::class)
        public fun open(file: File, cpu: Cpu = Cpu.detect()): Model =
            FileInputStream(file).use { open(it.channel.map(FileChannel.MapMode.READ_ONLY, 0, file.length()), cpu) }

        /**
         * Maps a part of an open file, as Android's `AssetFileDescriptor` has it (`fileDescriptor`, `startOffset`,
         * `declaredLength`; the asset must not be compressed), and opens it. The descriptor may be closed afterwards.
         *
         * @see open
         *
         * @throws IOException if it cannot be read
         */
        @JvmStatic
        @JvmOverloads
        @Throws(IOException::class)
        public fun open(file: FileDescriptor, offset: Long, length: Long, cpu: Cpu = Cpu.detect()): Model {
            // Not closed: that would close the caller's descriptor.
            return open(FileInputStream(file).channel.map(FileChannel.MapMode.READ_ONLY, offset, length), cpu)
        }
    }
}

/** Memory for a handle: direct, so that it stays where it is, with room to align it. */
internal fun allocate(bytes: Long): ByteBuffer = ByteBuffer.allocateDirect((bytes + ALIGNMENT - 1).toInt())

/** What is between position and limit, as a direct buffer of its own: shared with [bytes], or a copy. */
internal fun direct(bytes: ByteBuffer): ByteBuffer {
    if (bytes.isDirect) return bytes.slice()
    val copy = ByteBuffer.allocateDirect(bytes.remaining())
    copy.put(bytes.duplicate())
    return copy
}

/** PKR_MEMORY_ALIGNMENT. */
private const val ALIGNMENT = 8
