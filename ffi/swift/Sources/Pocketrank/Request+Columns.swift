import CPocketrank

/// One column of a request, in memory that it keeps.
struct Column: Sendable {
  static let missing = UInt32(PKR_FORM_MISSING)

  var form = Column.missing
  var values = Memory()
  var count = 0
  var offsets = Memory()
  var lists: Memory?
  var weights: Memory?

  /// Says where everything is. Fields that the form does not name stay 0; `values` is never NULL, so a list of nothing is not
  /// missing.
  func lay(_ cell: UnsafeMutablePointer<pkr_column>) {
    var column = pkr_column.sized()
    column.form = form
    if form != Column.missing {
      (column.values, column.count) = (UnsafeRawPointer(values.pointer(as: UInt8.self)), count)
      if form == PKR_FORM_TEXT { (column.offsets, column.num_offsets) = (offsets.pointer(), offsets.byteCount / 4) }
      if let lists { (column.list_offsets, column.num_list_offsets) = (lists.pointer(), lists.byteCount / 4) }
      if let weights { (column.weights, column.num_weights) = (weights.pointer(), weights.byteCount / 4) }
    }
    cell.initialize(to: column)
  }

  mutating func set(_ form: Int32, _ count: Int, _ lists: [UInt32]?, _ weights: [Float]?) {
    (self.form, self.count) = (UInt32(form), count)
    Column.set(&self.lists, lists)
    Column.set(&self.weights, weights)
  }

  private static func set<T: BitwiseCopyable>(_ memory: inout Memory?, _ values: [T]?) {
    guard let values else { return memory = nil }
    if memory == nil { memory = Memory() }
    memory?.assign(values)
  }
}

/// Columns by feature index. Values are copied into the request's memory; the functions with a closure let the app write them
/// there itself. There is one value (with `lists` one list) a candidate, or one in all for a feature of the user's side; what
/// does not fit is told by the call that ranks, with the feature.
///
/// `lists`: offsets into the values, one more than there are lists; list i is values `lists[i]` to `lists[i + 1]`. `weights`: for
/// lists of a weighted feature, one in 0...1 for each value.
extension Request {
  /// Ids of a table of ints, or hashes of texts. ``missingID`` is a missing one.
  public mutating func set(
    _ feature: Int, ids: some Collection<UInt64>, lists: [UInt32]? = nil, weights: [Float]? = nil
  ) throws {
    try column(feature) {
      $0.values.assign(ids)
      $0.set(PKR_FORM_IDS, ids.count, lists, weights)
    }
  }

  /// Text ids. An empty one is missing.
  public mutating func set(
    _ feature: Int, text: some Collection<String>, lists: [UInt32]? = nil, weights: [Float]? = nil
  ) throws {
    try column(feature) { column in
      let bytes = text.reduce(0) { $0 + $1.utf8.count }
      guard UInt32(exactly: bytes) != nil else { throw PocketrankError(.lengthOverflow, feature: feature) }
      var at = 0
      column.values.write(bytes) { (utf8: UnsafeMutableBufferPointer<UInt8>) in
        column.offsets.write(text.count + 1) { (offsets: UnsafeMutableBufferPointer<UInt32>) in
          offsets[0] = 0
          for (i, id) in text.enumerated() {
            at = utf8[at...].update(fromContentsOf: id.utf8)
            offsets[i + 1] = UInt32(at)
          }
        }
      }
      column.set(PKR_FORM_TEXT, bytes, lists, weights)
    }
  }

  /// Text ids in one piece: id i is bytes `offsets[i]` to `offsets[i + 1]`.
  public mutating func set(
    _ feature: Int, utf8: some Collection<UInt8>, offsets: some Collection<UInt32>, lists: [UInt32]? = nil,
    weights: [Float]? = nil
  ) throws {
    try column(feature) {
      $0.values.assign(utf8)
      $0.offsets.assign(offsets)
      $0.set(PKR_FORM_TEXT, utf8.count, lists, weights)
    }
  }

  /// Rows of the feature's table, found before by ``Model/row(of:)``. ``missingRow`` is a missing one. Not for features by which
  /// others are keyed.
  public mutating func set(
    _ feature: Int, rows: some Collection<UInt32>, lists: [UInt32]? = nil, weights: [Float]? = nil
  ) throws {
    try column(feature) {
      $0.values.assign(rows)
      $0.set(PKR_FORM_ROWS, rows.count, lists, weights)
    }
  }

  /// Numbers. NaN is a missing one.
  public mutating func set(_ feature: Int, floats: some Collection<Float>) throws {
    try column(feature) {
      $0.values.assign(floats)
      $0.set(PKR_FORM_FLOATS, floats.count, nil, nil)
    }
  }

  /// Vectors, ``Model/Feature/dimension`` bytes of 0...127 each.
  public mutating func set(_ feature: Int, bytes: some Collection<UInt8>) throws {
    try column(feature) {
      $0.values.assign(bytes)
      $0.set(PKR_FORM_BYTES, bytes.count, nil, nil)
    }
  }

  /// Lets `write` fill in `count` ids in place. They are of the request before, or 0.
  public mutating func fill(_ feature: Int, ids count: Int, _ write: (UnsafeMutableBufferPointer<UInt64>) throws -> Void) throws {
    try fill(feature, PKR_FORM_IDS, count, write)
  }

  /// Lets `write` fill in `count` rows in place. They are of the request before, or 0.
  public mutating func fill(_ feature: Int, rows count: Int, _ write: (UnsafeMutableBufferPointer<UInt32>) throws -> Void) throws
  {
    try fill(feature, PKR_FORM_ROWS, count, write)
  }

  /// Lets `write` fill in `count` numbers in place. They are of the request before, or 0.
  public mutating func fill(_ feature: Int, floats count: Int, _ write: (UnsafeMutableBufferPointer<Float>) throws -> Void) throws
  {
    try fill(feature, PKR_FORM_FLOATS, count, write)
  }

  /// Lets `write` fill in `count` bytes of vectors in place. They are of the request before, or 0.
  public mutating func fill(_ feature: Int, bytes count: Int, _ write: (UnsafeMutableBufferPointer<UInt8>) throws -> Void) throws
  {
    try fill(feature, PKR_FORM_BYTES, count, write)
  }

  /// Makes one column missing.
  public mutating func remove(_ feature: Int) throws {
    try column(feature) { $0.form = Column.missing }
  }

  private mutating func fill<T: BitwiseCopyable>(
    _ feature: Int, _ form: Int32, _ count: Int, _ write: (UnsafeMutableBufferPointer<T>) throws -> Void
  ) throws {
    // No column is that long, and its bytes still fit an Int of 32 bits.
    guard (0...0x0FFF_FFFF).contains(count) else { throw PocketrankError(.lengthOverflow, feature: feature) }
    try column(feature) {
      try $0.values.write(count, write)
      $0.set(form, count, nil, nil)
    }
  }
}
