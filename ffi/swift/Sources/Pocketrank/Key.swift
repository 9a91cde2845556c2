import CPocketrank

/// The value that one impression had of one feature.
public struct Key: Hashable, Sendable {
  /// A value in one of three forms.
  public enum Value: Hashable, Sendable {
    /// An int id, or for a feature of texts what ``Model/hash(_:)`` made. `UInt64.max`: missing.
    case id(UInt64)
    /// A text id. Empty: missing.
    case text(String)
    /// The raw value of a number with buckets. NaN: missing.
    case number(Float)
  }

  /// Index of the feature.
  public var feature: Int
  /// What it was.
  public var value: Value

  /// The value of the feature of that index.
  public init(feature: Int, _ value: Value) {
    (self.feature, self.value) = (feature, value)
  }
}

/// Keys as C reads them, for the time of `body`.
func withKeys<R>(_ keys: [Key], _ body: (UnsafePointer<pkr_key>?, Int) throws -> R) throws -> R {
  var utf8: [UInt8] = []
  for case .text(let text) in keys.lazy.map(\.value) { utf8.append(contentsOf: text.utf8) }
  return try utf8.withUnsafeBufferPointer { utf8 in
    try withUnsafeTemporaryAllocation(of: pkr_key.self, capacity: max(keys.count, 1)) { cells in
      var start = utf8.baseAddress
      for (i, key) in keys.enumerated() {
        var cell = pkr_key.sized()
        cell.feature = number(key.feature)
        switch key.value {
        case .id(let id): (cell.kind, cell.id) = (UInt32(PKR_KEY_ID), id)
        case .number(let value): (cell.kind, cell.number) = (UInt32(PKR_KEY_NUMBER), value)
        case .text(let text):
          (cell.kind, cell.text, cell.text_bytes) = (UInt32(PKR_KEY_TEXT), start, text.utf8.count)
          start = start.map { $0 + text.utf8.count }
        }
        cells.initializeElement(at: i, to: cell)
      }
      return try body(keys.isEmpty ? nil : UnsafePointer(cells.baseAddress), keys.count)
    }
  }
}
