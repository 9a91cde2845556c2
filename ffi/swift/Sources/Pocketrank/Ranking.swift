import CPocketrank

/// Where results go, and what happened.
///
/// A value. Kept in a variable and passed to ``Ranker/rank(_:into:)`` again, its arrays are written over and nothing is allocated
/// for a request of the same size.
public struct Ranking: Sendable {
  /// What is wanted of a request.
  public struct Outputs: OptionSet, Sendable {
    /// The bits.
    public let rawValue: UInt8
    /// Outputs by their bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The order alone: tasks that it does not depend on are not computed.
    public static let order = Outputs(rawValue: 1)
    /// ``Ranking/fused``.
    public static let fused = Outputs(rawValue: 2)
    /// ``Ranking/scores``, of all tasks.
    public static let scores = Outputs(rawValue: 4)
    /// ``Ranking/terms``: why.
    public static let terms = Outputs(rawValue: 8)
    /// Everything.
    public static let all: Outputs = [.order, .fused, .scores, .terms]
  }

  /// What is written. The others are empty.
  public var outputs: Outputs
  /// How many places of the order are wanted; `nil`: all.
  public var top: Int?

  /// Candidates by index, the best first; equal ones by index.
  public private(set) var order: [UInt32] = []
  /// Fused score of each candidate; negative infinity if it was not scored.
  public private(set) var fused: [Float] = []
  /// Scores, `[candidates, tasks]` row by row; 0 for candidates not scored.
  public private(set) var scores: [Float] = []
  /// Values of the fusion's terms, `[candidates, terms]` row by row: a fused score is their sum in their order.
  public private(set) var terms: [Float] = []
  /// Candidates scored.
  public private(set) var scored = 0
  /// Values that were missing and took their default.
  public private(set) var missing = 0
  /// Numbers that were infinite and were clamped.
  public private(set) var notFinite = 0
  /// Ids outside of their vocabulary and rows outside of their table, which took row 0.
  public private(set) var unknownIDs = 0
  /// Lists longer than their feature's ``Model/Feature/lengthMax``, whose later ids were dropped.
  public private(set) var cutLists = 0

  private var numTasks = 0

  /// Empty, to be ranked into.
  public init(_ outputs: Outputs = [.order, .fused, .scores], top: Int? = nil) {
    (self.outputs, self.top) = (outputs, top)
  }

  /// The order that the server sent: what is shown after any error.
  public static func serverOrder(_ candidates: Int) -> Ranking {
    var ranking = Ranking(.order)
    ranking.order = (0..<number(max(candidates, 0))).map { $0 }
    return ranking
  }

  /// Score of a candidate for a task; `nil` if there is none.
  public func score(_ candidate: Int, task: Int) -> Float? {
    guard candidate >= 0, 0..<numTasks ~= task else { return nil }
    let (row, overflow) = candidate.multipliedReportingOverflow(by: numTasks)
    return overflow || row > scores.count - numTasks ? nil : scores[row + task]
  }

  /// `items` in this order. Items that it does not name, as behind ``top``, are left out.
  public func sort<Items: RandomAccessCollection>(_ items: Items) -> [Items.Element] {
    order.compactMap { i in
      Int(i) < items.count ? items[items.index(items.startIndex, offsetBy: Int(i))] : nil
    }
  }

  /// Numbers of each output that a call may write.
  struct Sizes { var order = 0, fused = 0, scores = 0, terms = 0, tasks = 0 }

  /// A result as C writes it, for the time of `call`. On an error the numbers are those from before, as far as there are as many.
  mutating func write(_ sizes: Sizes, _ call: (UnsafeMutablePointer<pkr_result>) throws -> Void) throws {
    Ranking.resize(&order, sizes.order, 0)
    Ranking.resize(&fused, sizes.fused, 0)
    Ranking.resize(&scores, sizes.scores, 0)
    Ranking.resize(&terms, sizes.terms, 0)
    numTasks = sizes.tasks
    var result = pkr_result.sized()
    try order.withUnsafeMutableBufferPointer { order in
      try fused.withUnsafeMutableBufferPointer { fused in
        try scores.withUnsafeMutableBufferPointer { scores in
          try terms.withUnsafeMutableBufferPointer { terms in
            // NULL where nothing is wanted, or, of no candidates, nothing may be.
            if !order.isEmpty { (result.order, result.order_len) = (order.baseAddress, order.count) }
            if !fused.isEmpty { (result.fused, result.fused_len) = (fused.baseAddress, fused.count) }
            if !scores.isEmpty { (result.scores, result.scores_len) = (scores.baseAddress, scores.count) }
            if !terms.isEmpty { (result.terms, result.terms_len) = (terms.baseAddress, terms.count) }
            try call(&result)
          }
        }
      }
    }
    scored = Int(result.scored)
    missing = Int(result.missing)
    notFinite = Int(result.not_finite)
    unknownIDs = Int(result.unknown_ids)
    cutLists = Int(result.cut_lists)
  }

  private static func resize<T>(_ array: inout [T], _ count: Int, _ zero: T) {
    guard array.count != count else { return }
    array.removeAll(keepingCapacity: true)
    array.append(contentsOf: repeatElement(zero, count: count))
  }
}
