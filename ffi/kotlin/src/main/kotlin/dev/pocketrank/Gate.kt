package dev.pocketrank

import java.util.concurrent.atomic.AtomicInteger

/**
 * Who is inside of something native: at most [most] calls at once, none once it is closed. Closing waits for nobody: what is
 * closed in the middle of a call goes when that call ends. No locks, no garbage.
 *
 * [leave] may need [onClosed], so what that refers to, its owner, can't be collected as long as somebody is inside.
 */
internal class Gate(private val most: Int, private val onClosed: () -> Unit) {
    /** Calls inside, and whether it is closed. */
    private val state = AtomicInteger()

    /** [Status.OK] is in; [Status.STALE] is closed; [Status.OVERLAP] is another call that runs. */
    fun enter(): Status {
        while (true) {
            val now = state.get()
            if (now and CLOSED != 0) return Status.STALE
            if (now == most) return Status.OVERLAP
            if (state.compareAndSet(now, now + 1)) return Status.OK
        }
    }

    fun leave() {
        if (state.decrementAndGet() == CLOSED) onClosed()
    }

    /** Closes it, unless that has happened. */
    fun close() {
        while (true) {
            val now = state.get()
            if (now and CLOSED != 0) return
            if (state.compareAndSet(now, now or CLOSED)) {
                if (now == 0) onClosed()
                return
            }
        }
    }

    /** Runs [body] inside. */
    inline fun <R> within(refused: (Status) -> R, body: () -> R): R {
        val status = enter()
        if (status != Status.OK) return refused(status)
        try {
            return body()
        } finally {
            leave()
        }
    }

    companion object {
        private const val CLOSED = 1 shl 30

        /** Any number of calls. */
        const val SHARED = CLOSED - 1
    }
}
