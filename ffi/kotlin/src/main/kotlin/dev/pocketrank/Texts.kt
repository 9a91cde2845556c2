package dev.pocketrank

/**
 * Texts of a column, as UTF-8 one behind the other. Reusable: [clear] and [add] make no garbage once it has grown.
 *
 * Half of a surrogate pair becomes a question mark. Belongs to one thread at a time.
 */
public class Texts {
    internal var utf8: ByteArray = ByteArray(64)
        private set
    internal var offsets: IntArray = IntArray(16)
        private set

    /** Texts that have been added. */
    public var size: Int = 0
        private set

    internal val numBytes: Int
        get() = offsets[size]

    /** Forgets all texts. */
    public fun clear(): Texts {
        size = 0
        return this
    }

    /** Adds a text; an empty one is a missing id. */
    public fun add(text: CharSequence): Texts {
        var at = offsets[size]
        val most = at + 3 * text.length
        if (most > utf8.size) utf8 = utf8.copyOf(maxOf(most, 2 * utf8.size))
        if (size + 1 == offsets.size) offsets = offsets.copyOf(2 * offsets.size)
        val out = utf8
        var i = 0
        while (i < text.length) {
            val char = text[i++]
            val code = when {
                char.isHighSurrogate() && i < text.length && text[i].isLowSurrogate() -> Character.toCodePoint(char, text[i++])
                char.isSurrogate() -> '?'.code
                else -> char.code
            }
            when {
                code < 0x80 -> out[at++] = code.toByte()
                code < 0x800 -> {
                    out[at++] = (0xC0 or (code shr 6)).toByte()
                    out[at++] = continuation(code)
                }
                code < 0x10000 -> {
                    out[at++] = (0xE0 or (code shr 12)).toByte()
                    out[at++] = continuation(code shr 6)
                    out[at++] = continuation(code)
                }
                else -> {
                    out[at++] = (0xF0 or (code shr 18)).toByte()
                    out[at++] = continuation(code shr 12)
                    out[at++] = continuation(code shr 6)
                    out[at++] = continuation(code)
                }
            }
        }
        offsets[++size] = at
        return this
    }

    private fun continuation(code: Int): Byte = (0x80 or (code and 0x3F)).toByte()
}
