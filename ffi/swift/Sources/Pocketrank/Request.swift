import CPocketrank
import Foundation

/// Candidates and what is known of them: one question to a ``Ranker``.
///
/// A request is a value that owns its memory. Keep one in a variable and write the next screen over it: its memory is used again,
/// and nothing is allocated once it has been as large. Copies share memory until one of them is written, so a copy may go to
/// another thread; there is no lock in it.
///
/// ```swift
/// var request = Request(model, candidates: posts.count)
/// request.time = Int64(Date().timeIntervalSince1970)
/// try request.set("video", ids: posts.map(\.id))
/// try request.set("length", floats: posts.map(\.seconds))
/// let ranking = try ranker.rank(request)
/// ```
public struct Request: Sendable {
  /// What an id is that the app does not know.
  public static let missingID = UInt64.max
  /// What a row is that the app does not know.
  public static let missingRow = UInt32.max
  /// What the slot of a candidate is whose item sums were not kept.
  public static let noSlot = UInt32(PKR_NO_SLOT)

  /// The model that it is about.
  public let model: Model
  /// Candidates, 1 to what the ranker was made for. Columns are of this length, those of the user's side of length 1.
  public var candidates: Int
  /// Candidates to score at most, 1 or more: a deadline that the app turned into a count. `nil`: all. The others keep their order
  /// behind the scored ones.
  public var limit: Int?
  /// Time of the request, Unix seconds.
  public var time: Int64 = 0
  /// Whether a value that is missing, not finite or unknown is an error instead of being counted.
  public var strict = false
  /// The user's state; `nil`: a user without a past. Shared with the app's variable, not copied, until one of them changes.
  public var state: UserState?
  /// A formula that takes the place of the file's fusion.
  public var formula: Formula?

  private var columns: [Column] = []
  private var weightCells = Setting()
  private var onlyCells = Setting()
  private var slotCells = Setting()
  private var withoutCells = Setting()
  private var sums: Sums?

  /// A request to `model` in which every column is missing.
  public init(_ model: Model, candidates: Int) {
    (self.model, self.candidates) = (model, candidates)
  }

  /// Weights of the fusion's terms, or of its formula; `nil`: those of the file. Copied.
  public var weights: [Float]? {
    get { weightCells.array() }
    set { weightCells.set(newValue) }
  }

  /// Candidates to score, by increasing index; `nil`: all. Copied.
  public var only: [UInt32]? {
    get { onlyCells.array() }
    set { onlyCells.set(newValue) }
  }

  /// Features to leave out, by index, as if their columns were missing; those made of the user's past as for a user without one.
  /// The difference is what they do to an order. Not together with item sums.
  public var without: [Int]? {
    get { withoutCells.array(of: UInt32.self)?.map(Int.init) }
    set { withoutCells.set(newValue?.map(number)) }
  }

  /// Item sums that were kept: slots of ``Model/itemSumsBytes`` that ``Ranker/itemSums(_:)`` made, in memory or a mapped file.
  /// Columns of item features are then read only where other features, or groups of quantiles, are made of them. On Apple's
  /// systems the bytes are not copied.
  public var itemSums: Data? {
    get { sums?.data }
    set { sums = newValue.map(Sums.init) }
  }

  /// The slot of each candidate in ``itemSums``, ``noSlot`` for one whose sums are to be computed. `nil`: candidate i has slot i.
  /// Copied.
  public var itemSlots: [UInt32]? {
    get { slotCells.array() }
    set { slotCells.set(newValue) }
  }

  /// Rows of scores that a part of it has.
  var rows: Int { onlyCells.count ?? candidates }

  /// Makes all columns missing. Memory stays for the next ones.
  public mutating func removeColumns() {
    for i in columns.indices { columns[i].form = Column.missing }
  }

  /// The column of `feature`, to be written.
  mutating func column(_ feature: Int, _ write: (inout Column) throws -> Void) throws {
    guard model.features.indices.contains(feature) else { throw PocketrankError(.unknownFeature, feature: feature) }
    if columns.isEmpty { columns = Array(repeating: Column(), count: model.features.count) }
    do {
      try write(&columns[feature])
    } catch {
      columns[feature].form = Column.missing
      throw error
    }
  }

  /// The request as C reads it, for the time of `body`. `cells` is memory for ``Model/features`` columns.
  func withC<R>(_ cells: UnsafeMutablePointer<pkr_column>, _ body: (UnsafePointer<pkr_request>) throws -> R) throws -> R {
    try withExtendedLifetime(self) {
      for (i, column) in columns.enumerated() { column.lay(cells + i) }
      var request = pkr_request.sized()
      request.flags = strict ? UInt32(PKR_STRICT) : 0
      request.num_candidates = number(candidates)
      request.max_candidates = limit.map { number(max($0, 1)) } ?? 0
      request.time = time
      (request.columns, request.num_columns) = (columns.isEmpty ? nil : UnsafePointer(cells), columns.count)
      if let state, state.memory.byteCount > 0 {
        (request.state, request.state_bytes) = (state.memory.pointer(), state.memory.byteCount)
      }
      (request.weights, request.num_weights) = weightCells.list()
      (request.only, request.num_only) = onlyCells.list()
      (request.item_slots, request.num_item_slots) = slotCells.list()
      (request.without, request.num_without) = withoutCells.list()
      if let sums { (request.item_sums, request.item_sums_bytes) = (sums.pointer, sums.bytes.length) }
      guard let formula else { return try body(&request) }
      return try formula.slot.shared { formula in
        request.formula = formula
        return try body(&request)
      }
    }
  }
}

/// A list that a request may have or not, in memory that it keeps.
private struct Setting: Sendable {
  private var memory = Memory()
  private var isSet = false

  func array<T: BitwiseCopyable>(of _: T.Type = T.self) -> [T]? { isSet ? memory.array() : nil }

  mutating func set<T: BitwiseCopyable>(_ values: [T]?) {
    isSet = values != nil
    if let values { memory.assign(values) }
  }

  /// Numbers of 4 bytes, which all of these are.
  var count: Int? { isSet ? memory.byteCount / 4 : nil }

  func list<T: BitwiseCopyable>(of _: T.Type = T.self) -> (UnsafePointer<T>?, Int) {
    isSet ? (memory.pointer(), memory.byteCount / MemoryLayout<T>.stride) : (nil, 0)
  }
}

/// Kept item sums.
///
/// `@unchecked Sendable`: an `NSData` that is not mutable, and that nobody else has.
private final class Sums: @unchecked Sendable {
  let data: Data
  let bytes: NSData
  var pointer: UnsafePointer<UInt8> { bytes.bytes.assumingMemoryBound(to: UInt8.self) }

  init(_ data: Data) { (self.data, bytes) = (data, data as NSData) }
}
