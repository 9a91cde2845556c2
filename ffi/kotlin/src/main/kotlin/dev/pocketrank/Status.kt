package dev.pocketrank

/**
 * Outcome of a call: the `PKR_OK` and `PKR_ERR_*` of the C library. Numbers come in fixed blocks of a hundred per class and are
 * never reused, so they may be logged.
 *
 * @property code the number
 */
public enum class Status(public val code: Int) {
    /** Done. */
    OK(0),

    /** A required pointer is NULL. */
    NULL_POINTER(101),

    /** A pointer is not aligned for its type. */
    MISALIGNED(102),

    /** `struct_size` names no known version of the struct. */
    STRUCT_SIZE(103),

    /** A buffer is smaller than the call needs; the detail's offset is the bytes or elements needed. */
    BUFFER_TOO_SMALL(104),

    /** Two buffers that must be apart overlap. */
    OVERLAP(105),

    /** A handle was closed, copied or never opened. */
    STALE(106),

    /** A count times its element size does not fit the address space. */
    LENGTH_OVERFLOW(107),

    /** An option or enumeration has a value that is not defined. */
    BAD_OPTION(108),

    /** The instruction set asked for is not available here. */
    ISA_UNAVAILABLE(109),

    /** The bytes end before the envelope or the length it states. */
    TRUNCATED(201),

    /** The first bytes are not a pocketrank model's. */
    BAD_MAGIC(202),

    /** The file is of a format version that this library does not read. */
    UNSUPPORTED_VERSION(203),

    /** The stated length is not the number of bytes given, or is over the limit. */
    BAD_LENGTH(204),

    /** The XXH3-64 digest does not match: the bytes were changed. */
    BAD_DIGEST(205),

    /** The SHA-256 digest does not match (`verify` only). */
    BAD_SHA256(206),

    /** Reserved bytes of the envelope are not zero. */
    BAD_RESERVED(207),

    /** The section directory overlaps, is unordered, or points outside the file. */
    BAD_DIRECTORY(301),

    /** A section that this version must have is absent. */
    MISSING_SECTION(302),

    /** A required section is of an unknown kind or version. */
    UNKNOWN_SECTION(303),

    /** A metadata record is malformed. */
    BAD_RECORD(304),

    /** A metadata record is not in its one canonical encoding, or bytes follow it. */
    NOT_CANONICAL(305),

    /** A count is over the limit in the format. */
    OVER_LIMIT(306),

    /** Records contradict each other (an index out of range, a wrong side, a task given itself). */
    INCONSISTENT(307),

    /** A number in a record is NaN, infinite or outside its range. */
    BAD_NUMBER(308),

    /** A tensor's type or shape is not what the records require. */
    BAD_SHAPE(401),

    /**
     * A tensor's padding is not canonical: its data does not start on 64 bytes, or a pad byte is not zero.
     */
    BAD_PADDING(402),

    /** A weight is -128 or an activation byte is above 127. */
    BYTE_OUT_OF_RANGE(403),

    /** A scale or bias is NaN, infinite or outside its range. */
    BAD_SCALE(404),

    /** A vocabulary bucket contradicts itself or holds a key that its hash does not lead to. */
    BAD_VOCABULARY(405),

    /** No candidates, or more than the model's limit or the scratch was sized for. */
    CANDIDATE_COUNT(501),

    /** More columns than the model has features. */
    UNKNOWN_FEATURE(502),

    /** A column's form does not fit its feature (ids for a number, rows for a vector, ...). */
    WRONG_FORM(503),

    /** A column has another number of values than the request needs. */
    COLUMN_LENGTH(504),

    /** Offsets of a ragged column decrease or run past its values. */
    BAD_OFFSETS(505),

    /** Strict requests: a value is missing. */
    MISSING_VALUE(506),

    /** Strict requests: a number is NaN or infinite. */
    NOT_FINITE(507),

    /** Strict requests: an id or row is not in its table. */
    UNKNOWN_ID(508),

    /** A fusion weight is not finite or its magnitude is over 1e6. */
    BAD_WEIGHT(509),

    /** A task or fusion term of that index does not exist. */
    UNKNOWN_TASK(510),

    /** A vector column has a byte above 127. */
    VECTOR_BYTE(511),

    /**
     * Item sums are of another model or layout, or were changed; the candidate is in the detail. Make them again.
     */
    STALE_SUMS(512),

    /** An index of a candidate or slot is past the last one, or candidates do not increase. */
    BAD_INDEX(513),

    /**
     * A rule of a re-ranking is out of its bounds, of another number of candidates, or contradicts another: `feature` of the
     * detail is one of [RulePart], `candidate` the index of the element.
     */
    BAD_RULE(514),

    /** The state belongs to another layout: reset it. */
    STATE_LAYOUT(601),

    /** The state's checksum does not match: reset it. */
    STATE_CORRUPT(602),

    /** An event names a label or key that the model does not have. */
    UNKNOWN_LABEL(603),

    /**
     * An event's time is before the state's last event by more than a clock can be wrong, or not representable.
     */
    BAD_TIME(604),

    /**
     * A formula names a task or number feature that the model does not have, or a quantile of which it has no table.
     */
    FORMULA_INPUT(701),

    /** A formula's program is malformed. */
    FORMULA_CODE(702),

    /** A formula's program costs more than it may. */
    FORMULA_COST(703),

    /** A formula's program may divide by 0, or make a NaN or a value over 2^100, for some request. */
    FORMULA_RANGE(704),

    /** A formula was opened for another model. */
    FORMULA_MODEL(705),

    /** A formula needs more than scores, and the call has nothing else. */
    FORMULA_SCORES(706),
    ;

    /** Name in the C library's header, as `PKR_ERR_STALE`. */
    public val headerName: String
        get() = Description.of(Native.STATUS, code).first

    /** Statuses by number. */
    public companion object {
        private val byCode = arrayOfNulls<Status>(1 + entries.maxOf { it.code })
            .also { all -> entries.forEach { all[it.code] = it } }

        /** The status of that number; `null` for one that this version does not define. */
        @JvmStatic
        public fun of(code: Int): Status? = byCode.getOrNull(code)
    }
}
