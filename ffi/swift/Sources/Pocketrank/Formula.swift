import CPocketrank
import Foundation

/// What a formula is: the one in a model's file, or one that was shipped apart.
public struct Fusion: Hashable, Sendable {
  /// A named weight, and so a weight of a request.
  public struct Weight: Hashable, Sendable {
    /// Its name in the formula.
    public let name: String
    /// Its value unless a request has another.
    public let value: Float
    /// What a request may set it to.
    public let bounds: ClosedRange<Float>
  }

  /// The text that it was made of.
  public let text: String
  /// What a candidate costs, in additions; at most 1,024.
  public let cost: Int
  /// Named weights by index.
  public let weights: [Weight]
  /// Texts of the addends of the fused score: what ``Ranking/terms`` are about.
  public let terms: [String]

  /// That of `formula`, or of the model's file; `nil` if the file has none.
  init?(_ model: OpaquePointer, _ formula: OpaquePointer?) throws {
    var about = pkr_formula_information.sized()
    let status = pkr_formula_info(model, formula, &about)
    // The library may also have been built without formulas.
    if formula == nil, status == Status.unknownTask.rawValue || status == Status.badOption.rawValue { return nil }
    try check(status)
    text = Pocketrank.text(about.text, about.text_bytes)
    cost = Int(about.cost)
    weights = try (0..<about.num_weights).map { index in
      var about = pkr_weight_information.sized()
      try check(pkr_weight_info(model, formula, index, &about))
      let bounds = about.least...max(about.least, about.most)
      return Weight(name: Pocketrank.text(about.name, about.name_bytes), value: about.value, bounds: bounds)
    }
    terms = try (0..<about.num_terms).map { index in
      var start: UnsafePointer<CChar>?
      var bytes = 0
      try check(pkr_term_text(model, formula, index, &start, &bytes))
      return Pocketrank.text(start, bytes)
    }
  }
}

/// A formula that was shipped apart from its model: it takes the place of the model's fusion in requests that name it.
/// Immutable: any number of threads may use it.
public final class Formula: Sendable {
  /// The model that it was opened for. With another one requests answer ``Status/formulaModel``.
  public let model: Model
  /// Text, weights, terms.
  public let fusion: Fusion

  let slot: Slot

  /// Checks and opens the formula in `data`, which is kept.
  ///
  /// Errors: 2xx and 3xx for the bytes with the offset; ``Status/formulaInput`` for a task or feature that the model does not
  /// have; ``Status/formulaCode``, ``Status/formulaCost``, ``Status/formulaRange`` for a program that may not run;
  /// ``Status/stale``.
  public init(_ model: Model, data: Data) throws {
    self.model = model
    let bytes = data as NSData
    let (handle, fusion) = try model.slot.shared { model in
      let handle = try Handle(byteCount: pkr_formula_bytes(), borrowing: bytes, close: pkr_formula_close) { memory, out in
        let start = bytes.bytes.assumingMemoryBound(to: UInt8.self)
        try check { pkr_formula_open(model, start, bytes.length, memory, pkr_formula_bytes(), out, $0) }
      }
      return (handle, try Fusion(model, handle.pointer))
    }
    guard let fusion else { throw PocketrankError(.formulaCode) }
    self.fusion = fusion
    slot = Slot(handle)
  }

  /// Ends the formula: calls that begin later throw ``Status/stale``. Idempotent, any thread.
  public func close() { slot.close() }

  /// Index of the weight called `name`. Errors: ``Status/unknownTask``, ``Status/stale``.
  public func weightIndex(_ name: String) throws -> Int {
    try slot.shared { try model.weightIndex(name, $0) }
  }

  /// As ``Model/perturbedWeights(_:user:experiment:sigma:)``, of this formula.
  public func perturbedWeights(_ weights: [Float]? = nil, user: UInt64, experiment: UInt64, sigma: Float) throws -> [Float] {
    try slot.shared { try model.perturb(weights, $0, fusion.weights.count, (user, experiment), sigma) }
  }
}

extension Model {
  /// Index of the weight called `name` of the formula in the file.
  /// Errors: ``Status/unknownTask``, also for a file without formula; ``Status/stale``.
  public func weightIndex(_ name: String) throws -> Int { try weightIndex(name, nil) }

  /// Weights to try on one user, for tuning online: each of `weights` (`nil`: of the formula in the file) times e^(sigma z),
  /// within its bounds, where z is standard normal and depends on `user`, `experiment` and the weight's name alone. Set them as
  /// ``Request/weights``, and log them with what was shown.
  ///
  /// Errors: ``Status/unknownTask`` for another number of weights or a file without formula; ``Status/badWeight`` for one out of
  /// its bounds, and for a `sigma` outside of 0...4; ``Status/stale``.
  public func perturbedWeights(_ weights: [Float]? = nil, user: UInt64, experiment: UInt64, sigma: Float) throws -> [Float] {
    try perturb(weights, nil, fusion?.weights.count ?? 0, (user, experiment), sigma)
  }

  func weightIndex(_ name: String, _ formula: OpaquePointer?) throws -> Int {
    var index: UInt32 = 0
    try slot.shared { model in
      try withUTF8(name) { try check(pkr_weight_index(model, formula, $0.baseAddress, $0.count, &index)) }
    }
    return Int(index)
  }

  func perturb(
    _ weights: [Float]?, _ formula: OpaquePointer?, _ count: Int, _ seeds: (user: UInt64, experiment: UInt64), _ sigma: Float
  ) throws -> [Float] {
    var out = [Float](repeating: 0, count: count)
    let given = weights?.count ?? 0
    try slot.shared { model in
      try (weights ?? []).withUnsafeBufferPointer { from in
        let start = weights == nil ? nil : from.baseAddress
        try check(pkr_weights_perturb(model, formula, start, given, seeds.user, seeds.experiment, sigma, &out, count))
      }
    }
    return out
  }
}
