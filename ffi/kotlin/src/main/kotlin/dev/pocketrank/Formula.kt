package dev.pocketrank

import java.nio.ByteBuffer

/**
 * A formula that was shipped apart from its model, of some hundred bytes: it takes the place of the model's fusion in requests
 * that name it ([Request.formula]). Immutable and shared; for its model alone, with another one requests answer
 * [Status.FORMULA_MODEL].
 *
 * [close] may be called twice and waits for nobody; later requests with it answer [Status.STALE].
 *
 * @property info text, cost, weights and terms
 */
public class Formula private constructor(
    private val model: Model,
    @Suppress("unused") private val bytes: ByteBuffer, // borrowed by the handle
    internal val memory: ByteBuffer,
    public val info: FormulaInfo,
) : AutoCloseable {
    // As in Model: who is inside holds the bytes too.
    internal val gate = Gate(Gate.SHARED) { Native.formulaClose(this.memory) }

    /**
     * Index of the weight of that name.
     *
     * @throws PocketrankException [Status.UNKNOWN_TASK], [Status.STALE]
     */
    public fun weightIndex(name: String): Int = within { model.indexOf(Native.WEIGHT, name, memory) }

    /**
     * Weights to try on one user.
     *
     * @see Model.perturb
     */
    @JvmOverloads
    public fun perturb(seed: Long, salt: Long, sigma: Float, weights: FloatArray? = null): FloatArray =
        within { model.perturb(info, memory, weights, seed, salt, sigma) }

    private inline fun <R> within(body: () -> R): R = gate.within({ throw PocketrankException(Failure(it), "formula") }, body)

    /** Closes the formula: now, or when the last request that uses it ends. */
    override fun close() {
        gate.close()
    }

    override fun toString(): String = info.text

    /** Opening. */
    public companion object {
        /**
         * Opens the bytes between position and limit of [bytes], which stay borrowed, for [model]. A buffer that is not direct is
         * copied.
         *
         * @throws PocketrankException 2xx and 3xx for the bytes, with the offset; [Status.FORMULA_INPUT] for a task or feature
         *   that the model does not have; [Status.FORMULA_CODE], [Status.FORMULA_COST], [Status.FORMULA_RANGE] for a program that
         *   may not run
         */
        @JvmStatic
        public fun open(model: Model, bytes: ByteBuffer): Formula {
            val file = direct(bytes)
            val memory = allocate(Native.formulaBytes().toLong())
            val note = LongArray(3)
            return model.gate.within({ throw PocketrankException(Failure(it), "formula") }) {
                Failure.of(Native.formulaOpen(model.memory, file, memory, note), note).orThrow("formula")
                Formula(model, file, memory, checkNotNull(FormulaInfo.of(model.memory, memory)))
            }
        }

        /**
         * Opens a copy of [bytes].
         *
         * @see open
         */
        @JvmStatic
        public fun open(model: Model, bytes: ByteArray): Formula = open(model, ByteBuffer.wrap(bytes))
    }
}
