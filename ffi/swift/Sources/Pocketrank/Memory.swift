/// Numbers that stay where they are, so that C may read them, with the semantics of a value: a copy shares them until one of the
/// two is written.
///
/// An `Array` lends its address for the time of a closure only, and a request has hundreds of arrays: their closures would nest.
/// What was allocated for one request is used again by the next.
struct Memory: Sendable {
  private var block: Block
  /// Bytes in use.
  private(set) var byteCount = 0

  init() { block = Block.empty }

  /// Lets `body` write `count` numbers. They are what was there before, whatever that means for `T`, or 0.
  mutating func write<T: BitwiseCopyable, R>(
    _ count: Int, as: T.Type = T.self, _ body: (UnsafeMutableBufferPointer<T>) throws -> R
  ) rethrows -> R {
    let bytes = count * MemoryLayout<T>.stride
    if bytes > block.byteCount {
      block = Block(byteCount: max(bytes, 2 * block.byteCount))
    } else if !isKnownUniquelyReferenced(&block) {
      block = Block(byteCount: block.byteCount, copying: block)
    }
    byteCount = bytes
    return try body(UnsafeMutableBufferPointer(start: block.start.bindMemory(to: T.self, capacity: count), count: count))
  }

  /// Copies `values`.
  mutating func assign<T: BitwiseCopyable>(_ values: some Collection<T>) {
    write(values.count, as: T.self) { _ = $0.update(fromContentsOf: values) }
  }

  /// Never NULL, aligned for every type. Valid while the memory is neither written nor let go.
  func pointer<T: BitwiseCopyable>(as _: T.Type = T.self) -> UnsafePointer<T> {
    UnsafePointer(block.start.bindMemory(to: T.self, capacity: byteCount / MemoryLayout<T>.stride))
  }

  func array<T: BitwiseCopyable>(of _: T.Type = T.self) -> [T] {
    withExtendedLifetime(block) { Array(UnsafeBufferPointer(start: pointer(), count: byteCount / MemoryLayout<T>.stride)) }
  }
}

/// An allocation of its own address.
///
/// `@unchecked Sendable`: ``Memory`` writes it only while it has the one reference.
private final class Block: @unchecked Sendable {
  static let empty = Block(byteCount: 16)

  let start: UnsafeMutableRawPointer
  let byteCount: Int

  init(byteCount: Int, copying other: Block? = nil) {
    start = .allocate(byteCount: byteCount, alignment: 16)
    self.byteCount = byteCount
    start.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
    if let other { start.copyMemory(from: other.start, byteCount: min(byteCount, other.byteCount)) }
  }

  deinit { start.deallocate() }
}
