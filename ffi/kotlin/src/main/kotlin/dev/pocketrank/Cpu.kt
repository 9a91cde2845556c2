package dev.pocketrank

import java.io.File
import java.io.FileInputStream
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * The instruction set that a model runs by. Scores are the same bits whatever it is.
 *
 * @property code the number in the C library
 */
public enum class Cpu(internal val code: Int) {
    /** The best that the library can tell this CPU has. On 64-bit Arm that is plain NEON: it may ask no system library. */
    AUTO(0),

    /** Plain code that every CPU runs. */
    PORTABLE(1),

    /**
     * 64-bit Arm with dot products (Armv8.2, most phones since 2018). On a CPU without them the first request ends the process.
     */
    NEON_DOTPROD(2),

    /** 64-bit Arm with products of matrices (Armv8.6, Armv9). On a CPU without them the first request ends the process. */
    NEON_I8MM(3),
    ;

    /** What this machine has. */
    public companion object {
        /** The best that the kernel says every core has; [AUTO] where it says nothing. Reads a file of /proc the first time. */
        @JvmStatic
        public fun detect(): Cpu = detected

        private val detected: Cpu by lazy(LazyThreadSafetyMode.PUBLICATION) {
            when (System.getProperty("os.arch")) {
                // The vector of an app that may not be debugged belongs to root on some devices; cpuinfo is for all.
                "aarch64", "arm64" ->
                    read("/proc/self/auxv")?.let(::ofAuxv) ?: read("/proc/cpuinfo")?.let { ofCpuinfo(String(it)) }
                else -> null
            } ?: AUTO
        }

        private fun read(path: String): ByteArray? = try {
            FileInputStream(File(path)).use { it.readBytes() }
        } catch (_: IOException) {
            null
        } catch (_: SecurityException) {
            null
        }

        /**
         * What a 64-bit process's auxiliary vector says: pairs of words, AT_HWCAP with bit ASIMDDP, AT_HWCAP2 with bit I8MM.
         * `null` if it has no AT_HWCAP.
         */
        internal fun ofAuxv(bytes: ByteArray): Cpu? {
            val words = ByteBuffer.wrap(bytes).order(ByteOrder.nativeOrder()).asLongBuffer()
            var hwcap: Long? = null
            var hwcap2 = 0L
            for (pair in 0 until words.limit() / 2) {
                when (words.get(2 * pair)) {
                    AT_HWCAP -> hwcap = words.get(2 * pair + 1)
                    AT_HWCAP2 -> hwcap2 = words.get(2 * pair + 1)
                }
            }
            return hwcap?.let { of(dotprod = it and HWCAP_ASIMDDP != 0L, i8mm = hwcap2 and HWCAP2_I8MM != 0L) }
        }

        /**
         * What all `Features` lines of a text of /proc/cpuinfo have: a core may have less than its neighbours. `null` without
         * one.
         */
        internal fun ofCpuinfo(text: String): Cpu? = text.lineSequence()
            .filter { it.substringBefore(':').trim() == "Features" }
            .map { it.substringAfter(':').trim().split(' ').toSet() }
            .reduceOrNull { all, core -> all intersect core }
            ?.let { of(dotprod = "asimddp" in it, i8mm = "i8mm" in it) }

        private fun of(dotprod: Boolean, i8mm: Boolean): Cpu = when {
            dotprod && i8mm -> NEON_I8MM
            dotprod -> NEON_DOTPROD
            else -> AUTO
        }

        // Of Linux's uapi headers linux/auxvec.h and asm/hwcap.h (arm64).
        private const val AT_HWCAP = 16L
        private const val AT_HWCAP2 = 26L
        private const val HWCAP_ASIMDDP = 1L shl 20
        private const val HWCAP2_I8MM = 1L shl 13
    }
}
