import dev.pocketrank.Lists
import dev.pocketrank.Request
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** A file of requests (../README.md): parts of little-endian numbers, each on a multiple of 8 bytes. */
class Requests private constructor(val all: List<Asked>) {
    /** One request of the file. Its arrays are read once; [fill] hands them to a request of the library without a copy. */
    class Asked(
        private val time: Long,
        val candidates: Int,
        private val maxCandidates: Int,
        private val isStrict: Boolean,
        private val columns: List<Column>,
        val state: ByteArray?,
        private val weights: FloatArray?,
    ) {
        fun fill(request: Request): Request {
            request.begin(candidates, time)
            request.maxCandidates = maxCandidates
            request.isStrict = isStrict
            for ((feature, column) in columns.withIndex()) column.fill(request, feature)
            return request.state(state).weights(weights)
        }
    }

    class Column(private val form: Int, private val values: Any, private val offsets: IntArray, private val lists: Lists?) {
        fun fill(request: Request, feature: Int) {
            when (form) {
                1 -> request.ids(feature, values as LongArray, lists = lists)
                2 -> request.text(feature, values as ByteArray, offsets, lists = lists)
                3 -> request.rows(feature, values as IntArray, lists = lists)
                4 -> request.floats(feature, values as FloatArray)
                5 -> request.bytes(feature, values as ByteArray)
            }
        }
    }

    private class Reader(private val file: ByteBuffer) {
        private inline fun <T> part(count: Int, size: Int, read: (ByteBuffer) -> T): T {
            val bytes = Math.multiplyExact(count, size)
            val padded = (bytes + 7) / 8 * 8
            require(count >= 0 && padded <= file.remaining()) { "the file ends early" }
            val part = file.slice().order(ByteOrder.LITTLE_ENDIAN)
            part.limit(bytes)
            file.position(file.position() + padded)
            return read(part)
        }

        fun bytes(count: Int) = part(count, 1) { ByteArray(count).also(it::get) }

        fun ints(count: Int) = part(count, 4) { IntArray(count).also(it.asIntBuffer()::get) }

        fun longs(count: Int) = part(count, 8) { LongArray(count).also(it.asLongBuffer()::get) }

        fun floats(count: Int) = part(count, 4) { FloatArray(count).also(it.asFloatBuffer()::get) }

        fun request(): Asked {
            val head = ints(8)
            val heads = ints(6 * head[5])
            val columns = List(head[5]) { i -> column(heads.copyOfRange(6 * i, 6 * i + 6)) }
            val state = bytes(head[6]).takeIf { it.isNotEmpty() }
            val weights = floats(head[7]).takeIf { it.isNotEmpty() }
            val time = head[0].toLong() and 0xFFFFFFFFL or (head[1].toLong() shl 32)
            return Asked(time, head[2], head[3], head[4] != 0, columns, state, weights)
        }

        private fun column(head: IntArray): Column {
            val values: Any = when (head[0]) {
                1 -> longs(head[1])
                3 -> ints(head[1])
                4 -> floats(head[1])
                else -> bytes(if (head[0] == 0) 0 else head[1])
            }
            val offsets = ints(head[2])
            val listOffsets = ints(head[3])
            val weights = floats(head[4]).takeIf { it.isNotEmpty() }
            return Column(head[0], values, offsets, if (listOffsets.isEmpty()) null else Lists(listOffsets, weights = weights))
        }
    }

    companion object {
        fun read(bytes: ByteArray): Requests {
            val file = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN)
            require(bytes.size >= 16 && String(bytes, 0, 8) == "PKRREQ1\n") { "no file of requests" }
            val count = file.getInt(8)
            file.position(16)
            val reader = Reader(file)
            return Requests(List(count) { reader.request() })
        }
    }
}
