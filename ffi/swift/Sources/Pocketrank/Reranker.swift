import CPocketrank
import Foundation

/// A list under rules, position by position.
public struct RankedList: Sendable {
  /// What stands at one position, and why.
  public struct Entry: Hashable, Sendable {
    /// Index of the candidate; `nil` for a blocked position and where there are none left.
    public let candidate: Int?
    /// Bit i: spacing rule i is broken here, since otherwise no list would have been possible.
    public let relaxed: UInt32
    /// What the candidate was compared by: its fused score after boosts and decays; with diversity the objective of that.
    public let score: Float
    /// Probability that this candidate was taken here, given the entries before; 1 without exploration. To be logged.
    public let propensity: Float
    /// What boosts have added to its fused score.
    public let boost: Float
    /// What decays have multiplied its distance above the least score by.
    public let decay: Float
    /// How similar it is to the entries before: the greatest cosine (MMR), or the share of its variance that they explain (DPP).
    public let similarity: Float
  }

  /// By position.
  public let entries: [Entry]
  /// Entries with a candidate.
  public let placed: Int
  /// All entries' ``Entry/relaxed``.
  public let relaxed: UInt32
  /// Spacing rules that are kept wherever no pin breaks them: so many from the first on.
  public let kept: Int
  /// Looks that it took to keep them.
  public let steps: UInt64
}

/// Makes lists under rules from fused scores, by a model or by a server. Keeps its working memory for the next list.
///
/// Not `Sendable`, for the reason of ``Ranker``; it may move between threads.
public final class Reranker {
  private let lock = NSLock()
  private var memory = Memory()
  private var arguments = Memory()

  /// Working memory that grows with the lists.
  public init() {}

  /// A list of `positions`: the best by `fused` under `rules`. Candidates of negative infinity were not scored: they come last,
  /// by index. Spacing rules are broken only where nothing else can be shown to be possible; entries say which. The same
  /// arguments give the same bits on every CPU. Rules and scores are copied for the time of the call.
  ///
  /// Cost: candidates times positions; it ends after a bounded number of looks whatever the rules are. Errors: ``Status/badRule``
  /// with ``PocketrankError/part`` and element; ``Status/notFinite`` with the candidate; ``Status/candidateCount``;
  /// ``Status/overlap`` while another thread makes a list.
  public func list(_ rules: Rules, fused: [Float], positions: Int) throws -> RankedList {
    guard lock.try() else { throw PocketrankError(.overlap) }
    defer { lock.unlock() }
    guard 1...4096 ~= positions else { throw PocketrankError(.candidateCount) }
    var bytes = 0
    try check(pkr_rerank_bytes(number(fused.count), number(positions), number(rules.vectors?.dimension ?? 0), &bytes))
    var list = pkr_list.sized()
    list.slot_bytes = UInt32(MemoryLayout<pkr_slot>.stride)
    let entries = try [pkr_slot](unsafeUninitializedCapacity: positions) { slots, count in
      slots.initialize(repeating: pkr_slot())
      (list.slots, list.num_slots) = (slots.baseAddress, positions)
      try memory.write(bytes, as: UInt8.self) { memory in
        try rules.withC(&arguments, fused) { rules, fused, candidates in
          try check { pkr_rerank(rules, fused, candidates, memory.baseAddress, bytes, &list, $0) }
        }
      }
      count = positions
    }
    return RankedList(
      entries: entries.map(RankedList.Entry.init), placed: Int(list.placed), relaxed: list.relaxed, kept: Int(list.kept),
      steps: list.steps)
  }
}

@available(*, unavailable)
extension Reranker: Sendable {}

extension RankedList.Entry {
  fileprivate init(_ slot: pkr_slot) {
    candidate = slot.candidate == PKR_NO_CANDIDATE ? nil : Int(slot.candidate)
    (relaxed, score, propensity) = (slot.relaxed, slot.score, slot.propensity)
    (boost, decay, similarity) = (slot.boost, slot.decay, slot.similarity)
  }
}

extension Rules {
  var vectors: Vectors? {
    switch diversity {
    case .none: nil
    case .mmr(_, let vectors), .dpp(_, let vectors): vectors
    }
  }

  /// Rules and scores as C reads them, in `arguments`, for the time of `body`.
  fileprivate func withC<R>(
    _ arguments: inout Memory, _ fused: [Float], _ body: (UnsafePointer<pkr_rules>, UnsafePointer<Float>, UInt32) throws -> R
  ) rethrows -> R {
    let sigma = if case .thompson(let sigma) = exploration { sigma } else { [Float]() }
    let floats = [fused.count, factors.count, bonuses.count, sigma.count, blocked.count, hidden.count]
    var bytes = floats.reduce(0) { $0 + Place.bytes($1, of: Float.self) }
    bytes += (decays.map(\.keys) + spacings.map(\.keys)).reduce(0) { $0 + Place.bytes($1.count, of: UInt64.self) }
    bytes += Place.bytes(vectors?.values.count ?? 0, of: Int8.self) + Place.bytes(pins.count, of: pkr_pin.self)
    bytes += Place.bytes(decays.count, of: pkr_decay.self) + Place.bytes(spacings.count, of: pkr_spacing.self)
    return try arguments.write(bytes, as: UInt8.self) { cells in
      var place = Place(UnsafeMutableRawBufferPointer(cells))
      var rules = pkr_rules.sized()
      rules.seed = seed
      let scores = place.put(fused)
      (rules.factors, rules.num_factors) = (place.put(factors), factors.count)
      (rules.bonuses, rules.num_bonuses) = (place.put(bonuses), bonuses.count)
      switch exploration {
      case .none: rules.exploration = UInt32(PKR_EXPLORATION_NONE)
      case .epsilon(let epsilon): (rules.exploration, rules.epsilon) = (UInt32(PKR_EXPLORATION_EPSILON), epsilon)
      case .thompson: rules.exploration = UInt32(PKR_EXPLORATION_THOMPSON)
      }
      (rules.sigma, rules.num_sigma) = (place.put(sigma), sigma.count)
      switch diversity {
      case .none: rules.diversity = UInt32(PKR_DIVERSITY_NONE)
      case .mmr(let lambda, _): (rules.diversity, rules.weight) = (UInt32(PKR_DIVERSITY_MMR), lambda)
      case .dpp(let theta, _): (rules.diversity, rules.weight) = (UInt32(PKR_DIVERSITY_DPP), theta)
      }
      if let vectors {
        rules.dim = number(vectors.dimension)
        (rules.vectors, rules.num_vector_values) = (place.put(vectors.values), vectors.values.count)
      }
      let decays = self.decays.map { decay in
        var cell = pkr_decay.sized()
        (cell.factor, cell.floor) = (decay.factor, decay.floor)
        (cell.keys, cell.num_keys) = (place.put(decay.keys), decay.keys.count)
        return cell
      }
      (rules.decays, rules.num_decays) = (place.put(decays), decays.count)
      let spacings = self.spacings.map { spacing in
        var cell = pkr_spacing.sized()
        (cell.max, cell.window) = (number(spacing.max), number(spacing.window))
        (cell.keys, cell.num_keys) = (place.put(spacing.keys), spacing.keys.count)
        return cell
      }
      (rules.spacings, rules.num_spacings) = (place.put(spacings), spacings.count)
      let pins = self.pins.map { pkr_pin(position: number($0.position), candidate: number($0.candidate)) }
      (rules.pins, rules.num_pins) = (place.put(pins), pins.count)
      (rules.blocked, rules.num_blocked) = (place.put(blocked.map(number)), blocked.count)
      (rules.hidden, rules.num_hidden) = (place.put(hidden.map(number)), hidden.count)
      return try body(&rules, scores, number(fused.count))
    }
  }
}

/// Lists one behind the other, each on a multiple of 8 bytes.
private struct Place {
  private let cells: UnsafeMutableRawBufferPointer
  private var at = 0

  init(_ cells: UnsafeMutableRawBufferPointer) { self.cells = cells }

  static func bytes<T>(_ count: Int, of _: T.Type) -> Int { (count * MemoryLayout<T>.stride + 7) / 8 * 8 }

  mutating func put<T>(_ values: [T]) -> UnsafePointer<T> {
    let to = UnsafeMutableRawBufferPointer(rebasing: cells[at..<(at + Place.bytes(values.count, of: T.self))])
    at += to.count
    let start = (cells.baseAddress! + at - to.count).bindMemory(to: T.self, capacity: values.count)
    start.initialize(from: values, count: values.count)
    return UnsafePointer(start)
  }
}
