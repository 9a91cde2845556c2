import Foundation
import Pocketrank

/// A file of requests (../../../../README.md): parts of little-endian numbers, each on a multiple of 8 bytes.
struct RequestFile {
  /// Candidates of each request.
  private(set) var candidates: [Int] = []

  var candidatesMax: Int { candidates.max() ?? 0 }

  private let data: Data
  private var at = 16
  private var bad = false

  /// Looks through the whole file, and stands before its first request.
  init?(path: String) {
    guard let data = try? Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe), data.count >= 16,
      data.prefix(8) == Data("PKRREQ1\n".utf8)
    else { return nil }
    self.data = data
    let count = data.withUnsafeBytes { UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: 8, as: UInt32.self)) }
    for _ in 0..<count {
      let request = Head(numbers(8))
      for column in (0..<request.columns).map({ _ in ColumnHead(numbers(6)) }) { column.skip(&self) }
      _ = (part(request.state, UInt8.self), part(request.weights, UInt32.self))
      guard !bad else { return nil }
      candidates.append(request.candidates)
    }
    at = 16
  }

  /// Writes the next request over `request`.
  mutating func read(into request: inout Request) throws {
    let head = Head(numbers(8))
    request.removeColumns()
    request.time = head.time
    request.candidates = head.candidates
    request.limit = head.limit == 0 ? nil : head.limit
    request.strict = head.isStrict
    let columns = (0..<head.columns).map { _ in ColumnHead(numbers(6)) }
    for (i, column) in columns.enumerated() { try column.read(&self, into: &request, i) }
    let state = part(head.state, UInt8.self)
    request.state = head.state == 0 ? nil : UserState(request.model, restoring: Data(state))
    let weights = part(head.weights, Float.self)
    request.weights = head.weights == 0 ? nil : weights
  }

  private mutating func numbers(_ count: Int) -> [UInt32] {
    let read = part(count, UInt32.self)
    return read.count == count ? read : Array(repeating: 0, count: count)
  }

  /// The next `count` numbers; none if the file ends before. They are the machine's own: what Swift runs on is little-endian.
  fileprivate mutating func part<T: BitwiseCopyable>(_ count: Int, _: T.Type) -> [T] {
    let bytes = count * MemoryLayout<T>.stride
    guard !bad, bytes <= data.count - at else {
      bad = true
      return []
    }
    defer { at = min(at + (bytes + 7) / 8 * 8, data.count) }
    return [T](unsafeUninitializedCapacity: count) { cells, written in
      data.copyBytes(to: UnsafeMutableRawBufferPointer(cells), from: at..<at + bytes)
      written = count
    }
  }
}

private struct Head {
  let time: Int64
  let candidates, limit: Int
  let isStrict: Bool
  let columns, state, weights: Int

  init(_ n: [UInt32]) {
    time = Int64(bitPattern: UInt64(n[0]) | UInt64(n[1]) << 32)
    (candidates, limit, isStrict) = (Int(n[2]), Int(n[3]), n[4] & 1 != 0)
    (columns, state, weights) = (Int(n[5]), Int(n[6]), Int(n[7]))
  }
}

private struct ColumnHead {
  let form: UInt32
  let values, offsets, lists, weights: Int

  init(_ n: [UInt32]) {
    (form, values, offsets, lists, weights) = (n[0], Int(n[1]), Int(n[2]), Int(n[3]), Int(n[4]))
  }

  func skip(_ file: inout RequestFile) {
    switch form {
    case 1: _ = file.part(values, UInt64.self)
    case 3, 4: _ = file.part(values, UInt32.self)
    default: _ = file.part(values, UInt8.self)
    }
    for count in [offsets, lists, weights] { _ = file.part(count, UInt32.self) }
  }

  func read(_ file: inout RequestFile, into request: inout Request, _ feature: Int) throws {
    switch form {
    case 1:
      let ids = file.part(values, UInt64.self)
      _ = file.part(offsets, UInt32.self)
      try request.set(feature, ids: ids, lists: list(&file), weights: listWeights(&file))
    case 2:
      let utf8 = file.part(values, UInt8.self)
      let starts = file.part(offsets, UInt32.self)
      try request.set(feature, utf8: utf8, offsets: starts, lists: list(&file), weights: listWeights(&file))
    case 3:
      let rows = file.part(values, UInt32.self)
      _ = file.part(offsets, UInt32.self)
      try request.set(feature, rows: rows, lists: list(&file), weights: listWeights(&file))
    case 4: try request.set(feature, floats: file.part(values, Float.self))
    case 5: try request.set(feature, bytes: file.part(values, UInt8.self))
    default: break
    }
  }

  private func list(_ file: inout RequestFile) -> [UInt32]? {
    lists == 0 ? nil : file.part(lists, UInt32.self)
  }

  private func listWeights(_ file: inout RequestFile) -> [Float]? {
    weights == 0 ? nil : file.part(weights, Float.self)
  }
}
