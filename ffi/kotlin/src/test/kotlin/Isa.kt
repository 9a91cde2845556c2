import dev.pocketrank.Cpu
import dev.pocketrank.Model
import java.io.File

/** Prints what the kernel says of this CPU, and what a model runs by. */
fun main(args: Array<String>) {
    Model.open(File(args[0])).use { println("${Cpu.detect()} ${it.isa}") }
}
