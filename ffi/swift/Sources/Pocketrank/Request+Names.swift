/// Columns by name: the same functions behind ``Model/featureIndex(_:)``, whose cost is linear in the features. A loop over many
/// requests looks the indices up once.
extension Request {
  /// Ids of a table of ints, or hashes of texts.
  public mutating func set(
    _ feature: String, ids: some Collection<UInt64>, lists: [UInt32]? = nil, weights: [Float]? = nil
  ) throws {
    try set(model.featureIndex(feature), ids: ids, lists: lists, weights: weights)
  }

  /// A list of ids a candidate.
  public mutating func set(_ feature: String, ids: some Collection<[UInt64]>, weights: [[Float]]? = nil) throws {
    try set(feature, ids: Array(ids.joined()), lists: offsets(ids), weights: weights.map { Array($0.joined()) })
  }

  /// Text ids.
  public mutating func set(
    _ feature: String, text: some Collection<String>, lists: [UInt32]? = nil, weights: [Float]? = nil
  ) throws {
    try set(model.featureIndex(feature), text: text, lists: lists, weights: weights)
  }

  /// A list of text ids a candidate.
  public mutating func set(_ feature: String, text: some Collection<[String]>, weights: [[Float]]? = nil) throws {
    try set(feature, text: Array(text.joined()), lists: offsets(text), weights: weights.map { Array($0.joined()) })
  }

  /// Rows of the feature's table.
  public mutating func set(
    _ feature: String, rows: some Collection<UInt32>, lists: [UInt32]? = nil, weights: [Float]? = nil
  ) throws {
    try set(model.featureIndex(feature), rows: rows, lists: lists, weights: weights)
  }

  /// Numbers.
  public mutating func set(_ feature: String, floats: some Collection<Float>) throws {
    try set(model.featureIndex(feature), floats: floats)
  }

  /// Vectors.
  public mutating func set(_ feature: String, bytes: some Collection<UInt8>) throws {
    try set(model.featureIndex(feature), bytes: bytes)
  }

  /// Makes one column missing.
  public mutating func remove(_ feature: String) throws { try remove(model.featureIndex(feature)) }

  private func offsets<T>(_ lists: some Collection<[T]>) throws -> [UInt32] {
    var offsets: [UInt32] = [0]
    offsets.reserveCapacity(lists.count + 1)
    var end = 0
    for list in lists {
      end += list.count
      offsets.append(number(end))
    }
    return offsets
  }
}
