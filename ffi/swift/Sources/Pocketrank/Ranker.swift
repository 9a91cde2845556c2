import CPocketrank
import Foundation

/// Working memory for requests to one model: one a thread (or task, or actor).
///
/// Not `Sendable`: two calls at once would write the same memory. It may move between threads, so an actor may own it. Who gets
/// around the compiler gets ``Status/overlap``, not a crash. Nothing of one request influences the next.
public final class Ranker {
  /// The model that requests go to.
  public let model: Model
  /// Candidates that a request may have.
  public let candidatesMax: Int

  private let slot: Slot
  /// Columns as C reads them: one for each feature, so that no request allocates.
  private let cells: UnsafeMutablePointer<pkr_column>

  /// Makes working memory for requests of up to `candidates`; `nil`: what the model allows.
  ///
  /// Errors: ``Status/candidateCount``, ``Status/stale``.
  public init(_ model: Model, candidates: Int? = nil) throws {
    let most = number(candidates ?? model.candidatesMax)
    let handle = try model.slot.shared { model in
      var bytes = 0
      try check(pkr_scratch_bytes(model, most, &bytes))
      return try Handle(byteCount: bytes, close: pkr_scratch_close) { memory, out in
        try check(pkr_scratch_init(model, most, memory, bytes, out))
      }
    }
    (self.model, candidatesMax, slot) = (model, Int(most), Slot(handle))
    cells = .allocate(capacity: max(model.features.count, 1))
  }

  deinit { cells.deallocate() }

  /// Wipes the memory: nothing of any request stays. Later calls throw ``Status/stale``. Idempotent.
  public func close() { slot.close() }

  /// Scores and orders the candidates of a request.
  ///
  /// One bad candidate does not lose a feed: values that are missing, infinite or unknown take stated defaults and are counted,
  /// unless the request is ``Request/strict``. Cost: linear in the candidates; no lock is held and no system call made.
  ///
  /// Errors: 5xx for the request with feature and candidate, 6xx for the state, ``Status/formulaModel``; ``Status/stale`` if
  /// model, ranker or formula was closed. Then keep the order that the server sent.
  public func rank(_ request: Request, into ranking: inout Ranking) throws {
    let sizes = sizes(request, ranking)
    try ranking.write(sizes) { result in
      try call(request) { model, scratch, request, detail in pkr_rank(model, scratch, request, result, detail) }
    }
  }

  /// ``rank(_:into:)`` into a new ranking.
  public func rank(_ request: Request, _ outputs: Ranking.Outputs = [.order, .fused, .scores]) throws -> Ranking {
    var ranking = Ranking(outputs)
    try rank(request, into: &ranking)
    return ranking
  }

  /// Scores a part of a request, without an order: the candidates that its ``Request/only`` names, those of one thread. `scores`
  /// of the ranking get a row for each of them; when all parts are done ``order(_:scores:into:)`` does what is left. Scores do
  /// not depend on how a request is divided.
  ///
  /// Errors: those of ``rank(_:into:)``.
  public func score(_ request: Request, into ranking: inout Ranking) throws {
    let tasks = model.tasks.count
    try ranking.write(Ranking.Sizes(scores: Ranker.product(request.rows, tasks), tasks: tasks)) { result in
      try call(request) { model, scratch, request, detail in pkr_score(model, scratch, request, result, detail) }
    }
  }

  /// ``score(_:into:)`` of `candidates` into a new ranking.
  public func score(_ request: Request, only candidates: Range<UInt32>? = nil) throws -> Ranking {
    var (part, ranking) = (request, Ranking(.scores))
    if let candidates { part.only = Array(candidates) }
    try score(part, into: &ranking)
    return ranking
  }

  /// Fuses and orders the candidates by their scores, `[candidates, tasks]` row by row (of the first ``Request/limit``, if there
  /// is one). Columns are read only if a formula reads features; `only` and item sums do not matter here.
  ///
  /// Errors: those of ``rank(_:into:)``; ``Status/candidateCount`` for another number of scores; ``Status/notFinite`` with the
  /// candidate; ``Status/formulaScores`` for a formula that reads scores before calibration.
  public func order(_ request: Request, scores: [Float], into ranking: inout Ranking) throws {
    var sizes = sizes(request, ranking)
    (sizes.scores, sizes.tasks) = (0, 0)
    try ranking.write(sizes) { result in
      try scores.withUnsafeBufferPointer { scores in
        try call(request) { model, scratch, request, detail in
          pkr_order(model, scratch, request, scores.baseAddress, scores.count, result, detail)
        }
      }
    }
  }

  /// ``order(_:scores:into:)`` into a new ranking.
  public func order(_ request: Request, scores: [Float], _ outputs: Ranking.Outputs = [.order, .fused]) throws -> Ranking {
    var ranking = Ranking(outputs)
    try order(request, scores: scores, into: &ranking)
    return ranking
  }

  /// What the first layer makes of the item features of the request's candidates (of `only`, if it is there), to be kept: a slot
  /// of ``Model/itemSumsBytes`` for each. Only columns of item features are read. Slots may be copied one by one; they belong to
  /// this model file alone, and with another one ``rank(_:into:)`` answers ``Status/staleSums``. Scores with kept sums are the
  /// same bits.
  ///
  /// Errors: those of ``rank(_:into:)``; ``Status/badOption`` for a model without item features and a request that brings item
  /// sums.
  public func itemSums(_ request: Request) throws -> Data {
    var sums = Data(count: Ranker.product(request.rows, model.itemSumsBytes))
    try sums.withUnsafeMutableBytes { (sums: UnsafeMutableRawBufferPointer) in
      let out = sums.bindMemory(to: UInt8.self)
      try call(request) { model, scratch, request, detail in
        pkr_item_sums(model, scratch, request, out.baseAddress, out.count, detail)
      }
    }
    return sums
  }

  /// Why: shares of the experts in every task's mixture for one candidate, `[tasks, experts]` row by row. Each row adds up to 1.
  /// Empty for a network without experts.
  ///
  /// Cost: that of two requests with one candidate. Errors: those of ``rank(_:into:)``; ``Status/candidateCount`` for a candidate
  /// that the request does not have.
  public func gates(_ request: Request, candidate: Int) throws -> [Float] {
    var shares: [Float] = []
    do {
      try gates(request, number(candidate), &shares)
    } catch let error as PocketrankError where error.status == .bufferTooSmall {
      // No other function tells how many experts there are.
      shares = Array(repeating: 0, count: error.offset.flatMap(Int.init(exactly:)) ?? 0)
      try gates(request, number(candidate), &shares)
    }
    return shares
  }

  private func gates(_ request: Request, _ candidate: UInt32, _ shares: inout [Float]) throws {
    try shares.withUnsafeMutableBufferPointer { out in
      try call(request) { model, scratch, request, detail in
        pkr_gates(model, scratch, request, candidate, out.baseAddress, out.count, detail)
      }
    }
  }

  /// What a feature is to the network for every candidate: int8 on one scale, ``Model/Feature/dimension`` values each. They are
  /// the vectors of ``Rules/Diversity``; they depend on model and columns alone, so they may be kept.
  ///
  /// Errors: those of ``rank(_:into:)``; ``Status/unknownFeature``; ``Status/wrongForm`` for a feature of the user's side and for
  /// a number without buckets.
  public func vectors(_ request: Request, feature: Int) throws -> [Int8] {
    guard model.features.indices.contains(feature) else { throw PocketrankError(.unknownFeature, feature: feature) }
    var values = [Int8](repeating: 0, count: Ranker.product(request.candidates, model.features[feature].dimension))
    try values.withUnsafeMutableBufferPointer { out in
      try call(request) { model, scratch, request, detail in
        pkr_vectors(model, scratch, request, number(feature), out.baseAddress, out.count, detail)
      }
    }
    return values
  }

  /// One call with model, scratch and request as C reads them.
  func call(
    _ request: Request,
    _ function: (OpaquePointer, OpaquePointer, UnsafePointer<pkr_request>, UnsafeMutablePointer<pkr_error_detail>) -> pkr_status
  ) throws {
    try call { model, scratch in
      // Its columns lie in memory for this model's features.
      guard request.model.features.count <= self.model.features.count else { throw PocketrankError(.unknownFeature) }
      try request.withC(cells) { request in try check { function(model, scratch, request, $0) } }
    }
  }

  func call(_ body: (_ model: OpaquePointer, _ scratch: OpaquePointer) throws -> Void) throws {
    try slot.alone { scratch in try model.slot.shared { model in try body(model, scratch) } }
  }

  func sizes(_ request: Request, _ ranking: Ranking) -> Ranking.Sizes {
    // What the library refuses needs no room.
    let n = 0...candidatesMax ~= request.candidates ? request.candidates : 0
    let (wanted, tasks) = (ranking.outputs, model.tasks.count)
    let terms = request.formula?.fusion.terms.count ?? model.fusion?.terms.count ?? model.terms.count
    return Ranking.Sizes(
      order: wanted.contains(.order) ? min(n, max(ranking.top ?? n, 0)) : 0, fused: wanted.contains(.fused) ? n : 0,
      scores: wanted.contains(.scores) ? n * tasks : 0, terms: wanted.contains(.terms) ? n * terms : 0, tasks: tasks)
  }

  /// Numbers of an output of `rows`, of which no more than a request can have.
  private static func product(_ rows: Int, _ columns: Int) -> Int { min(max(rows, 0), 4096) * columns }
}

@available(*, unavailable)
extension Ranker: Sendable {}
