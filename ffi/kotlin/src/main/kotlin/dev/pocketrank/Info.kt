package dev.pocketrank

import java.nio.ByteBuffer

/** To whom a feature belongs, and so how many values its column has. */
public enum class Side {
    /** The same for the whole request: one value (or list) a column. */
    USER,

    /** Belongs to the candidate alone and is stable. */
    ITEM,

    /** Belongs to the candidate in this request. */
    CANDIDATE,

    /** Derived from user and candidate. */
    CROSS,
}

/** What a feature takes. */
public enum class FeatureKind {
    /** One id a value: [Request.ids], [Request.text] or [Request.rows]. */
    ID,

    /** A list of ids a value: the same with [Lists]. */
    IDS,

    /** A number: [Request.floats]. */
    NUMBER,

    /** A vector: [Request.bytes]. */
    VECTOR,
}

/** What the ids of a feature are. */
public enum class IdType {
    /** The feature takes no ids. */
    NONE,

    /** 64-bit integers. */
    INT,

    /** UTF-8 texts. */
    TEXT,
}

/** What a task's score is. */
public enum class TaskKind {
    /** A probability. */
    BINARY,

    /** A duration in the task's unit. */
    DURATION,
}

/**
 * A feature of a model.
 *
 * @property index its column in a request
 * @property name as in the model's description
 * @property side to whom it belongs
 * @property kind what it takes
 * @property idType what its ids are
 * @property isDerived made of other features or the user's past: the app sends nothing
 * @property maxLen ids of a list that are used; 1 for all but lists
 * @property isWeighted whether a list takes weights
 * @property dim bytes of a vector, values of an embedding row; 1 for a number without buckets
 * @property numEmbeddings rows of the table, 0 without one
 */
public class Feature internal constructor(
    public val index: Int,
    public val name: String,
    public val side: Side,
    public val kind: FeatureKind,
    public val idType: IdType,
    public val isDerived: Boolean,
    public val maxLen: Int,
    public val isWeighted: Boolean,
    public val dim: Int,
    public val numEmbeddings: Int,
) {
    override fun toString(): String = "$name ($side, $kind)"
}

/**
 * A task of a model.
 *
 * @property index its column in the scores
 * @property name as in the model's description
 * @property given index of the task whose positives are this one's sample space: the score is conditional on it; `null`: the
 *   score is per impression
 * @property unit of the score
 * @property kind what the score is
 */
public class Task internal constructor(
    public val index: Int,
    public val name: String,
    public val unit: String,
    public val kind: TaskKind,
    public val given: Int?,
) {
    override fun toString(): String = "$name ($unit)"
}

/**
 * A term of a model's fusion.
 *
 * @property index its column in the terms, and of [Request.weights]
 * @property name as in the model's description
 * @property task index of the task
 * @property isEntire whether it uses the score per impression, not the conditional one
 * @property weight that of the file
 */
public class Term internal constructor(
    public val index: Int,
    public val name: String,
    public val task: Int,
    public val isEntire: Boolean,
    public val weight: Float,
) {
    override fun toString(): String = "$weight $name"
}

/**
 * A label that feeds the user's state.
 *
 * @property index what [Event] takes
 * @property name as in the model's description
 * @property isLog1p whether the state keeps ln(1 + value)
 */
public class Label internal constructor(public val index: Int, public val name: String, public val isLog1p: Boolean) {
    override fun toString(): String = name
}

/**
 * A named weight of a formula.
 *
 * @property index of [Request.weights]
 * @property name as in the formula
 * @property value unless a request has another
 * @property least least value of a request
 * @property most greatest value of a request
 */
public class Weight internal constructor(
    public val index: Int,
    public val name: String,
    public val value: Float,
    public val least: Float,
    public val most: Float,
) {
    override fun toString(): String = "$name = $value"
}

/**
 * What a formula says about itself.
 *
 * @property text that it was made of
 * @property cost of a candidate, in additions; at most 1,024
 * @property weights named weights, and so those of a request
 * @property terms addends of the fused score, as text
 */
public class FormulaInfo internal constructor(
    public val text: String,
    public val cost: Int,
    public val weights: List<Weight>,
    public val terms: List<String>,
) {
    override fun toString(): String = text

    internal companion object {
        /** Of a formula, or with `null` of the model's file, which may have none. */
        fun of(model: ByteBuffer, formula: ByteBuffer?): FormulaInfo? {
            val about = Description.find(Native.FORMULA, 0, model, formula) ?: return null
            val weights = List(about.int(0)) { i ->
                val weight = Description.of(Native.WEIGHT, i, model, formula)
                Weight(i, weight.first, weight.float(0), weight.float(1), weight.float(2))
            }
            val terms = List(about.int(1)) { i -> Description.of(Native.TERM_TEXT, i, model, formula).first }
            return FormulaInfo(about.first, about.int(2), weights, terms)
        }
    }
}

/** What native code says about one thing: up to two texts, and numbers. */
internal class Description private constructor(private val note: LongArray, texts: ByteArray) {
    val first: String = String(texts, 0, note[1].toInt(), Charsets.UTF_8)
    val second: String = String(texts, note[1].toInt(), texts.size - note[1].toInt(), Charsets.UTF_8)

    fun long(index: Int): Long = note[2 + index]

    fun int(index: Int): Int = long(index).toInt()

    fun flag(index: Int): Boolean = long(index) != 0L

    fun float(index: Int): Float = Float.fromBits(int(index))

    companion object {
        fun find(what: Int, index: Int, model: ByteBuffer?, formula: ByteBuffer?): Description? {
            val note = LongArray(16)
            return Native.describe(what, index, model, formula, note)?.let { Description(note, it) }
        }

        fun of(what: Int, index: Int = 0, model: ByteBuffer? = null, formula: ByteBuffer? = null): Description {
            val note = LongArray(16)
            val texts = Native.describe(what, index, model, formula, note)
            Failure.of(note[0].toInt()).orThrow("info")
            return Description(note, checkNotNull(texts))
        }
    }
}
