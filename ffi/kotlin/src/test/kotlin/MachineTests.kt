import dev.pocketrank.Cpu
import dev.pocketrank.Model
import dev.pocketrank.Pocketrank
import dev.pocketrank.PocketrankException
import dev.pocketrank.Status
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNull
import kotlin.test.assertTrue

private fun auxv(vararg pairs: Pair<Long, Long>): ByteArray {
    val vector = ByteBuffer.allocate(16 * pairs.size + 16).order(ByteOrder.nativeOrder())
    for ((type, value) in pairs) vector.putLong(type).putLong(value)
    return vector.array()
}

private fun cores(vararg features: String) = features.withIndex().joinToString("\n\n") { (i, it) ->
    "processor\t: $i\nBogoMIPS\t: 38.40\nFeatures\t: $it\nCPU implementer\t: 0x41\nCPU part\t: 0xd05"
} + "\n\nHardware\t: Some Features : asimddp i8mm\n"

val machineTests = listOf(
    Test("what the kernel says of a CPU is what it is asked for") {
        val dotprod = 1L shl 20
        val i8mm = 1L shl 13
        assertEquals(Cpu.NEON_DOTPROD, Cpu.ofAuxv(auxv(33L to 1L, 16L to (dotprod or 0xFF), 26L to 0L)))
        assertEquals(Cpu.NEON_I8MM, Cpu.ofAuxv(auxv(26L to i8mm, 16L to dotprod)))
        assertEquals(Cpu.AUTO, Cpu.ofAuxv(auxv(16L to 0xFFL, 26L to i8mm)))
        assertEquals(Cpu.AUTO, Cpu.ofAuxv(auxv(16L to (dotprod - 1), 26L to -1L)))
        assertNull(Cpu.ofAuxv(auxv(26L to -1L)))
        assertNull(Cpu.ofAuxv(ByteArray(0)))
        assertEquals(Cpu.NEON_DOTPROD, Cpu.ofAuxv(auxv(16L to dotprod) + ByteArray(5)))
    },
    Test("of /proc/cpuinfo counts what every core has, as whole words") {
        val old = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
        assertEquals(Cpu.AUTO, Cpu.ofCpuinfo(cores(old, old)))
        assertEquals(Cpu.NEON_DOTPROD, Cpu.ofCpuinfo(cores("$old atomics asimddp", "$old asimddp")))
        assertEquals(Cpu.NEON_I8MM, Cpu.ofCpuinfo(cores("$old asimddp i8mm bf16", "i8mm $old asimddp")))
        assertEquals(Cpu.NEON_DOTPROD, Cpu.ofCpuinfo(cores("$old asimddp i8mm", "$old asimddp")))
        assertEquals(Cpu.AUTO, Cpu.ofCpuinfo(cores("$old asimddp i8mm", old)))
        assertEquals(Cpu.AUTO, Cpu.ofCpuinfo(cores("$old asimddpx svei8mm")))
        assertNull(Cpu.ofCpuinfo("processor\t: 0\nflags\t\t: fpu asimddp\n"))
        assertNull(Cpu.ofCpuinfo(""))
    },
    Test("a model runs by the instruction set that was asked for, or says that there is none such here") {
        Model.open(Gold.file("model"), Cpu.PORTABLE).use { assertEquals("portable", it.isa) }
        if (System.getProperty("os.arch") == "amd64") {
            assertEquals(Cpu.AUTO, Cpu.detect())
            val status = assertFailsWith<PocketrankException> { Model.open(Gold.file("model"), Cpu.NEON_DOTPROD) }.status
            assertTrue(status == Status.BAD_OPTION || status == Status.ISA_UNAVAILABLE, "$status")
        }
    },
    Test("every status has the library's name and number") {
        for (status in Status.entries) {
            assertEquals(status, Status.of(status.code))
            assertEquals(if (status == Status.OK) "PKR_OK" else "PKR_ERR_${status.name}", status.headerName)
        }
        assertNull(Status.of(99))
        assertNull(Status.of(-1))
        assertTrue(Pocketrank.isAvailable)
        assertTrue(Regex("[0-9]+\\.[0-9]+\\.[0-9]+").matches(Pocketrank.version))
    },
)
