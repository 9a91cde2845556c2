import dev.pocketrank.Model
import dev.pocketrank.Pocketrank
import java.io.File
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse

/**
 * On a machine that the native library is not for: an app can ask, more than once, and what does not ask gets a [LinkageError].
 */
fun main(args: Array<String>) {
    repeat(2) { assertFalse(Pocketrank.isAvailable) }
    repeat(2) { assertFailsWith<LinkageError> { Model.open(File(args[0])) } }
    println("without the native library: told")
}
