@file:Suppress("UNUSED_PARAMETER")

package android

import java.io.Closeable
import java.io.FileDescriptor

// As much of Android's classes as the code in README.md names, so that it is compiled.

abstract class AssetManager {
    abstract fun openFd(name: String): AssetFileDescriptor
}

abstract class AssetFileDescriptor : Closeable {
    abstract val fileDescriptor: FileDescriptor
    abstract val startOffset: Long
    abstract val declaredLength: Long
}

abstract class Context {
    abstract val assets: AssetManager
}

abstract class Application : Context()

open class AndroidViewModel(application: Application) {
    protected open fun onCleared() = Unit
}

object Log {
    fun w(tag: String, message: String, cause: Throwable? = null): Int = message.length
}
