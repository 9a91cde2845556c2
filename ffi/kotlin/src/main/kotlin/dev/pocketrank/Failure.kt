package dev.pocketrank

/**
 * Why a call was refused, and where. Whatever it says: keep the order that the server sent.
 *
 * @property status what the library answered
 * @property feature index of the feature, or [NOWHERE]; of [Status.BAD_RULE] the number of a [RulePart]
 * @property candidate index of the candidate, or [NOWHERE]
 * @property offset byte in the model file, or the bytes or elements that would have been enough; [NOWHERE] if neither
 */
public class Failure @JvmOverloads constructor(
    public val status: Status,
    public val feature: Int = NOWHERE,
    public val candidate: Int = NOWHERE,
    public val offset: Long = NOWHERE.toLong(),
) {
    /** What is wrong about the rules of a list; `null` for any other failure. */
    public val rulePart: RulePart?
        get() = if (status == Status.BAD_RULE) RulePart.entries.getOrNull(feature) else null

    override fun equals(other: Any?): Boolean = other is Failure && other.status == status &&
        other.feature == feature && other.candidate == candidate && other.offset == offset

    override fun hashCode(): Int = ((status.code * 31 + feature) * 31 + candidate) * 31 + offset.hashCode()

    override fun toString(): String = buildString {
        append(status.name).append(" (").append(status.code).append(')')
        rulePart?.let { append(", rules: ").append(it.name.lowercase()) }
        if (feature != NOWHERE && rulePart == null) append(", feature ").append(feature)
        if (candidate != NOWHERE) append(", candidate ").append(candidate)
        if (offset != NOWHERE.toLong()) append(", offset ").append(offset)
    }

    /** Constants. */
    public companion object {
        /** An index that does not apply. */
        public const val NOWHERE: Int = -1

        /** Why a native call was refused, as it returned; `null` if it was not. */
        internal fun of(code: Int): Failure? = if (code == 0) null else Failure(status(code))

        /** The same with the place that it wrote to [note]. */
        internal fun of(code: Int, note: LongArray): Failure? =
            if (code == 0) null else Failure(status(code), note[0].toInt(), note[1].toInt(), note[2])

        /** Class files and library are of one version, so every number has a name. */
        private fun status(code: Int): Status = Status.of(code) ?: Status.BAD_OPTION
    }
}

/** What of [Rules] is wrong, when the status is [Status.BAD_RULE]; `candidate` of the failure is the index of the element. */
public enum class RulePart {
    /** [Rules.factors]. */
    FACTORS,

    /** [Rules.bonuses]. */
    BONUSES,

    /** [Rules.decay]. */
    DECAYS,

    /** [Rules.spacing]. */
    SPACINGS,

    /** [Rules.pin]. */
    PINS,

    /** [Rules.block]. */
    BLOCKED,

    /** [Rules.hide]. */
    HIDDEN,

    /** [Rules.mmr], [Rules.dpp]. */
    DIVERSITY,

    /** [Rules.epsilonGreedy], [Rules.thompson]. */
    EXPLORATION,
}

/** Throws unless it is `null`. */
internal fun Failure?.orThrow(what: String) {
    if (this != null) throw PocketrankException(this, what)
}

/**
 * Thrown where something is opened or looked up, once, when a screen or the app starts. Ranking itself throws nothing:
 * [RankResult].
 *
 * @property failure why, and where
 */
public class PocketrankException(public val failure: Failure, what: String) : RuntimeException("$what: $failure") {
    /** What the library answered. */
    public val status: Status
        get() = failure.status
}
