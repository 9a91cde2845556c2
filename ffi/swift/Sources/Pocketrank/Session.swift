import CPocketrank

/// A feed while it is shown: the user's state, the candidates' item sums, and which of them are still to be shown.
///
/// ```swift
/// let session = try Session(request, by: ranker)
/// try session.shown(first)
/// try session.feedback(Event(label: like, time: now, value: 1))
/// request.state = nil                      // it is the session's now
/// try session.rerank(request, into: &ranking)
/// ```
///
/// Orders are those of fresh requests about the candidates that are left with the state of the moment, to the bit. Not
/// `Sendable`, for the reason of ``Ranker``; it may move between threads.
public final class Session {
  /// Whose working memory is used.
  public let ranker: Ranker

  private let slot: Slot

  /// Begins with all candidates of `request`, of which the state and the columns of item features are read.
  ///
  /// Cost: that of ``Ranker/itemSums(_:)``. Errors: those of ``Ranker/rank(_:into:)``; ``Status/badOption`` for a request with
  /// `only` or item sums.
  public init(_ request: Request, by ranker: Ranker) throws {
    var bytes = 0
    try ranker.model.slot.shared { try check(pkr_session_bytes($0, number(request.candidates), &bytes)) }
    let handle = try Handle(byteCount: bytes, close: pkr_session_close) { memory, out in
      try ranker.call(request) { model, scratch, request, detail in
        pkr_session_begin(model, scratch, request, memory, bytes, out, detail)
      }
    }
    (self.ranker, slot) = (ranker, Slot(handle))
  }

  /// Wipes the session. Later calls throw ``Status/stale``. Idempotent.
  public func close() { slot.close() }

  /// Adds one label of one impression to the state. On any error the state is as before.
  ///
  /// Cost: independent of candidates and of how much happened before. Errors: those of ``UserState/apply(_:)``.
  public func feedback(_ event: Event) throws {
    try event.withC { event in
      try slot.alone { session in
        try ranker.model.slot.shared { model in try check { pkr_session_feedback(model, session, event, $0) } }
      }
    }
  }

  /// Takes a candidate out of those still to be shown. Errors: ``Status/badIndex`` if it is none of them; ``Status/stale``.
  public func shown(_ candidate: Int) throws {
    try slot.alone { try check(pkr_session_shown($0, number(candidate))) }
  }

  /// Orders what is still to be shown. The request is that of the beginning with its candidates' columns and the time as they are
  /// now, and without a state. What was shown has no score and comes last.
  ///
  /// Cost: linear in the candidates left. Errors: those of ``Ranker/rank(_:into:)``; ``Status/candidateCount`` for another number
  /// of candidates; ``Status/badOption`` for a request with a state, `only` or item sums; ``Status/staleSums`` for another model.
  public func rerank(_ request: Request, into ranking: inout Ranking) throws {
    let sizes = ranker.sizes(request, ranking)
    try ranking.write(sizes) { result in
      try slot.alone { session in
        try ranker.call(request) { model, scratch, request, detail in
          pkr_session_rerank(model, session, scratch, request, result, detail)
        }
      }
    }
  }

  /// ``rerank(_:into:)`` into a new ranking.
  public func rerank(_ request: Request, _ outputs: Ranking.Outputs = [.order, .fused, .scores]) throws -> Ranking {
    var ranking = Ranking(outputs)
    try rerank(request, into: &ranking)
    return ranking
  }

  /// The user's state, to be kept when the feed ends. A copy.
  public func state() throws -> UserState {
    try UserState(ranker.model) { bytes in
      try slot.alone { try check(pkr_session_state($0, bytes.baseAddress, bytes.count)) }
    }
  }
}

@available(*, unavailable)
extension Session: Sendable {}
