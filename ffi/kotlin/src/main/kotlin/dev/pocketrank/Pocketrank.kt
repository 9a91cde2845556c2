package dev.pocketrank

/** The library as a whole. */
public object Pocketrank {
    /**
     * Whether the native library is there for this machine. Everything else of this package throws a [LinkageError] where it is
     * not: an app that ships to machines without it asks here, and keeps the server's order.
     */
    @JvmStatic
    public val isAvailable: Boolean by lazy(LazyThreadSafetyMode.PUBLICATION) {
        try {
            Native.abiVersion() >= ABI_VERSION
        } catch (_: LinkageError) {
            false
        }
    }

    /** Version of the library, as "0.1.0". */
    @JvmStatic
    public val version: String
        get() = Description.of(Native.VERSION).first

    /**
     * Hashes a text id to what [Request.ids] and [Event.id] take for a feature of texts, for apps that keep hashes instead of
     * texts. Cost: linear in the text, with an array of its bytes.
     */
    @JvmStatic
    public fun hash(text: String): Long {
        val note = LongArray(1)
        Failure.of(Native.hashText(text.toByteArray(), note)).orThrow("hash")
        return note[0]
    }

    /** Of the header that these classes were written for. */
    private const val ABI_VERSION = 1
}
