/// The rules of one list. As it is made there are none, and the order is that of the fused scores.
///
/// They act in this order: hidden, factors, bonuses, decays, diversity, exploration, spacings, pins and blocked. Lists by
/// candidate are as long as there are candidates, or empty.
public struct Rules: Sendable {
  /// A key that no other candidate shares: under no spacing, without decay.
  public static let noKey = UInt64.max

  /// At most `max` candidates of one key in any `window` positions that follow each other. A gap of g positions is `max` 1 in a
  /// window of g.
  public struct Spacing: Sendable {
    /// Candidates, at least 1.
    public var max: Int
    /// Positions, 1 to 256; blocked and pinned ones count.
    public var window: Int
    /// A key of each candidate.
    public var keys: [UInt64]

    /// A rule about the candidates' `keys`.
    public init(_ keys: [UInt64], max: Int, window: Int) { (self.keys, self.max, self.window) = (keys, max, window) }
  }

  /// Less for each candidate whose key is in the list already: behind n of them the distance above the least score counts
  /// (1 - floor) * factor^n + floor of what it is.
  public struct Decay: Sendable {
    /// Within (0, 1].
    public var factor: Float
    /// Within 0...1.
    public var floor: Float
    /// A key of each candidate.
    public var keys: [UInt64]

    /// A decay by the candidates' `keys`.
    public init(_ keys: [UInt64], factor: Float, floor: Float) { (self.keys, self.factor, self.floor) = (keys, factor, floor) }
  }

  /// A candidate that has a position whatever the rules are.
  public struct Pin: Sendable {
    /// Its position, from 0 on.
    public var position: Int
    /// Index of the candidate.
    public var candidate: Int

    /// Pins a candidate.
    public init(_ candidate: Int, at position: Int) { (self.candidate, self.position) = (candidate, position) }
  }

  /// Vectors on one scale, `dimension` values a candidate, as ``Ranker/vectors(_:feature:)`` makes them.
  public struct Vectors: Sendable {
    /// `dimension` times candidates.
    public var values: [Int8]
    /// At most 256.
    public var dimension: Int

    /// Vectors one behind the other.
    public init(_ values: [Int8], dimension: Int) { (self.values, self.dimension) = (values, dimension) }
  }

  /// How unlike each other candidates are to be.
  public enum Diversity: Sendable {
    /// By score alone.
    case none
    /// Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998); lambda within 0...1 is the weight of relevance.
    case mmr(lambda: Float, Vectors)
    /// The greedy list of a determinantal point process (Chen, Zhang and Zhou, NeurIPS 2018); theta within 0...1024.
    case dpp(theta: Float, Vectors)
  }

  /// What is left to chance. Slots have the propensities.
  public enum Exploration: Sendable {
    /// No chance.
    case none
    /// Any candidate that the rules allow with this probability, else the best.
    case epsilon(Float)
    /// The best of draws: to each fused score a normal number of this deviation is added, one for each candidate.
    case thompson(sigma: [Float])
  }

  /// At most 8, the most important first: if they cannot all be kept, the last is given up first.
  public var spacings: [Spacing] = []
  /// At most 4. Together they multiply.
  public var decays: [Decay] = []
  /// They count in windows and decays.
  public var pins: [Pin] = []
  /// Positions that stay empty, for what the app puts there itself.
  public var blocked: [Int] = []
  /// Candidates that get no position.
  public var hidden: [Int] = []
  /// By candidate, within 0...1024: multiplies the distance of its fused score above that of the least scored candidate.
  public var factors: [Float] = []
  /// By candidate: added after that, in units of fused scores.
  public var bonuses: [Float] = []
  /// Nothing beside the score, MMR or DPP.
  public var diversity = Diversity.none
  /// The best, or draws.
  public var exploration = Exploration.none
  /// Of chance: the same seed gives the same list.
  public var seed: UInt64 = 0

  /// No rules.
  public init() {}
}
