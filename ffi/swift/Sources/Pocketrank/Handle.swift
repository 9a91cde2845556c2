import CPocketrank
import Foundation

/// An open handle of the C library, the memory that it lives in, and the bytes that it borrows. All go when nobody uses it.
///
/// `@unchecked Sendable`: nothing here changes after `init`; who may use the handle when is for ``Slot`` to say.
final class Handle: @unchecked Sendable {
  let pointer: OpaquePointer
  private let memory: UnsafeMutableRawPointer
  private let bytes: NSData?
  private let close: (OpaquePointer) -> pkr_status

  /// `open` makes the handle in zeroed memory of `byteCount` bytes.
  init(
    byteCount: Int, borrowing bytes: NSData? = nil, close: @escaping (OpaquePointer) -> pkr_status,
    open: (UnsafeMutablePointer<UInt8>, UnsafeMutablePointer<OpaquePointer?>) throws -> Void
  ) throws {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: max(byteCount, 1), alignment: 16)
    let cells = memory.initializeMemory(as: UInt8.self, repeating: 0, count: max(byteCount, 1))
    var made: OpaquePointer?
    do {
      try open(cells, &made)
      guard let made else { throw PocketrankError(.nullPointer) }
      (self.pointer, self.memory, self.bytes, self.close) = (made, memory, bytes, close)
    } catch {
      memory.deallocate()
      throw error
    }
  }

  deinit {
    // The library wipes what it wrote. An error is impossible here: the handle was opened above and is closed only here.
    _ = close(pointer)
    memory.deallocate()
  }
}

/// Where an object keeps its handle until it is closed.
///
/// A call holds the handle while it runs, so closing in another thread neither waits nor pulls memory from under it: calls that
/// come later throw ``Status/stale``, and the memory goes with the last call. The lock is held for some instructions only.
///
/// `@unchecked Sendable`: every access to what changes is under the lock.
final class Slot: @unchecked Sendable {
  private let lock = NSLock()
  private var handle: Handle?
  private var busy = false

  init(_ handle: Handle) { self.handle = handle }

  /// A call that any number of threads may make at once.
  func shared<R>(_ body: (OpaquePointer) throws -> R) throws -> R {
    let handle = try held { _ in }
    return try withExtendedLifetime(handle) { try body(handle.pointer) }
  }

  /// A call that only one thread may make at a time: another one meanwhile throws ``Status/overlap``.
  func alone<R>(_ body: (OpaquePointer) throws -> R) throws -> R {
    let handle = try held { slot in
      guard !slot.busy else { throw PocketrankError(.overlap) }
      slot.busy = true
    }
    defer {
      lock.lock()
      busy = false
      lock.unlock()
    }
    return try withExtendedLifetime(handle) { try body(handle.pointer) }
  }

  /// Idempotent.
  func close() {
    lock.lock()
    let last = handle
    handle = nil
    lock.unlock()
    // Outside of the lock: what it borrows may have a deallocator of the app's.
    _ = last
  }

  private func held(_ take: (Slot) throws -> Void) throws -> Handle {
    lock.lock()
    defer { lock.unlock() }
    guard let handle else { throw PocketrankError(.stale) }
    try take(self)
    return handle
  }
}
