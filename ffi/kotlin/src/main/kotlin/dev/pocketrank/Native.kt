package dev.pocketrank

import java.nio.ByteBuffer

/**
 * The native methods, as `ffi/src/jni` defines them; statuses are returned, numbers go to `note`.
 *
 * Handles are the direct buffers that they live in: an argument cannot be collected while its call runs. `null` handles, buffers
 * that are not direct and arrays that are too short are statuses. What native code cannot see is the element type of an array in
 * `parts`, and whether another thread uses the memory: `Request`, `Rules` and `Gate` see to that.
 */
internal object Native {
    init {
        val path = System.getProperty("dev.pocketrank.library")
        if (path != null) System.load(path) else System.loadLibrary("pocketrank_jni")
    }

    // `what` of `request`
    const val RANK = 0
    const val SCORE = 1
    const val ORDER = 2
    const val ITEM_SUMS = 3
    const val GATES = 4
    const val VECTORS = 5
    const val SESSION_BEGIN = 6
    const val SESSION_RERANK = 7

    // `what` of `describe` and `indexOf`
    const val VERSION = 0
    const val STATUS = 1
    const val MODEL = 2
    const val FEATURE = 3
    const val TASK = 4
    const val TERM = 5
    const val LABEL = 6
    const val FORMULA = 7
    const val WEIGHT = 8
    const val TERM_TEXT = 9

    @JvmStatic external fun abiVersion(): Int

    @JvmStatic external fun describe(what: Int, index: Int, model: ByteBuffer?, formula: ByteBuffer?, note: LongArray): ByteArray?

    @JvmStatic external fun indexOf(what: Int, model: ByteBuffer, formula: ByteBuffer?, name: ByteArray, note: LongArray): Int

    @JvmStatic external fun modelBytes(bytes: ByteBuffer, note: LongArray): Int

    @JvmStatic external fun modelOpen(bytes: ByteBuffer, memory: ByteBuffer, cpu: Int, note: LongArray): Int

    @JvmStatic external fun modelClose(model: ByteBuffer): Int

    @JvmStatic external fun scratchBytes(model: ByteBuffer, candidates: Int, note: LongArray): Int

    @JvmStatic external fun scratchInit(model: ByteBuffer, candidates: Int, memory: ByteBuffer): Int

    @JvmStatic external fun scratchClose(scratch: ByteBuffer): Int

    @JvmStatic external fun formulaBytes(): Int

    @JvmStatic external fun formulaOpen(model: ByteBuffer, bytes: ByteBuffer, memory: ByteBuffer, note: LongArray): Int

    @JvmStatic external fun formulaClose(formula: ByteBuffer): Int

    @JvmStatic external fun sessionBytes(model: ByteBuffer, candidates: Int, note: LongArray): Int

    @JvmStatic external fun sessionShown(session: ByteBuffer, candidate: Int): Int

    @JvmStatic external fun sessionState(session: ByteBuffer, state: ByteArray): Int

    @JvmStatic external fun sessionClose(session: ByteBuffer): Int

    @JvmStatic external fun stateReset(model: ByteBuffer, state: ByteArray): Int

    @JvmStatic external fun event(
        model: ByteBuffer,
        session: ByteBuffer?,
        state: ByteArray?,
        label: Int,
        time: Long,
        value: Float,
        keys: Int,
        heads: IntArray,
        ids: LongArray,
        text: ByteArray,
        note: LongArray,
    ): Int

    @JvmStatic external fun rowOf(model: ByteBuffer, heads: IntArray, ids: LongArray, text: ByteArray, note: LongArray): Int

    @JvmStatic external fun hashText(text: ByteArray, note: LongArray): Int

    @JvmStatic external fun perturb(
        model: ByteBuffer,
        formula: ByteBuffer?,
        weights: FloatArray?,
        seed: Long,
        salt: Long,
        sigma: Float,
        out: FloatArray,
    ): Int

    @JvmStatic external fun request(
        what: Int,
        index: Int,
        model: ByteBuffer,
        scratch: ByteBuffer,
        memory: ByteBuffer?,
        formula: ByteBuffer?,
        itemSums: ByteBuffer?,
        head: IntArray,
        parts: Array<Any?>,
        time: Long,
        order: IntArray?,
        fused: FloatArray?,
        scores: FloatArray?,
        terms: FloatArray?,
        bytes: ByteArray?,
        note: LongArray,
    ): Int

    @JvmStatic external fun rerankBytes(candidates: Int, positions: Int, dim: Int, note: LongArray): Int

    @JvmStatic external fun rerank(
        head: IntArray,
        parts: Array<Any?>,
        weight: Float,
        epsilon: Float,
        seed: Long,
        fused: FloatArray,
        candidates: Int,
        memory: ByteBuffer,
        slots: IntArray,
        positions: Int,
        note: LongArray,
    ): Int
}
