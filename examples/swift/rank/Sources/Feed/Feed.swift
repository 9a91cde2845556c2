import Observation
import Pocketrank

/// What the app knows of a candidate: the values of the model's features.
public struct Post: Identifiable, Sendable {
  public let id: UInt64
  public let title: String
  public let seconds: Float

  public init(id: UInt64, title: String, seconds: Float) { (self.id, self.title, self.seconds) = (id, title, seconds) }
}

/// Working memory and the session, which one thread at a time may use: an actor owns them. The model it was made from is shared.
public actor FeedRanker {
  private let ranker: Ranker
  private var session: Session?
  private var request: Request
  private var ranking = Ranking(.order)

  /// Working memory for feeds by `model`.
  public init(_ model: Model) throws {
    ranker = try Ranker(model)
    request = Request(model, candidates: 0)
  }

  /// Begins a feed, and orders it. The request's memory is that of the feed before.
  public func begin(_ posts: [Post], _ state: UserState?, at time: Int64) throws -> [Int] {
    request.removeColumns()
    (request.candidates, request.time, request.state) = (posts.count, time, state)
    try request.set("item", ids: posts.lazy.map(\.id))
    try request.set("length", floats: posts.lazy.map(\.seconds))
    session = try Session(request, by: ranker)
    request.state = nil  // it is the session's now
    return try order()
  }

  /// Takes what the user did with a post, and orders what is left.
  public func next(shown candidate: Int, _ event: Event?) throws -> [Int] {
    guard let session else { return [] }
    try session.shown(candidate)
    if let event { try session.feedback(event) }
    request.time = event?.time ?? request.time
    return try order()
  }

  /// The state to be kept for the next feed.
  public func state() throws -> UserState? { try session?.state() }

  private func order() throws -> [Int] {
    try session?.rerank(request, into: &ranking)
    return ranking.order.map { Int($0) }
  }
}

/// What a view shows. On any error that is the order that the server sent.
@MainActor @Observable
public final class FeedModel {
  public private(set) var posts: [Post]
  private let fromServer: [Post]
  private let ranker: FeedRanker?
  private var shown: Set<UInt64> = []

  /// `ranker`: `nil` if the model could not be opened.
  public init(_ posts: [Post], _ ranker: FeedRanker?) {
    (self.posts, fromServer, self.ranker) = (posts, posts, ranker)
  }

  public func begin(_ state: UserState?, at time: Int64) async {
    guard let order = try? await ranker?.begin(fromServer, state, at: time) else { return }
    show(order)
  }

  /// The user has seen `post` and maybe done something: what is below it may move.
  public func next(_ post: Post, _ event: Event?) async {
    guard shown.insert(post.id).inserted, let candidate = fromServer.firstIndex(where: { $0.id == post.id }) else { return }
    guard let order = try? await ranker?.next(shown: candidate, event) else { return }
    show(order)
  }

  /// What was shown stays where it is.
  private func show(_ order: [Int]) {
    let above = posts.filter { shown.contains($0.id) }
    posts = above + order.map { fromServer[$0] }.filter { !shown.contains($0.id) }
  }
}
