import Feed
import Foundation
import Pocketrank
import XCTest

final class FeedTests: XCTestCase {
  private static let posts = (0..<20).map { Post(id: $0, title: "\($0)", seconds: Float($0 % 7) * 10) }

  func testAFeedMovesBelowWhatWasShown() async throws { try await Self.feedMovesBelowWhatWasShown() }

  func testWithoutAModelTheServersOrderStays() async { await Self.withoutAModelTheServersOrderStays() }

  @MainActor
  private static func feedMovesBelowWhatWasShown() async throws {
    let folder = URL(fileURLWithPath: ProcessInfo.processInfo.environment["POCKETRANK_GOLDENS"] ?? "")
    let model = try Model(contentsOf: folder.appendingPathComponent("model.pkr"))
    let ranker = try FeedRanker(model)
    let feed = FeedModel(posts, ranker)
    await feed.begin(nil, at: 1_700_000_000)
    XCTAssertNotEqual(feed.posts.map(\.id), posts.map(\.id))
    var seen: [UInt64] = []
    for step in 0..<5 {
      let top = feed.posts[step]
      seen.append(top.id)
      await feed.next(top, Event(label: 0, time: 1_700_000_000 + Int64(step), value: 1))
      XCTAssertEqual(feed.posts.prefix(step + 1).map(\.id), seen)
      XCTAssertEqual(Set(feed.posts.map(\.id)), Set(posts.map(\.id)))
    }
    let state = try await ranker.state()
    XCTAssertEqual(state?.data.count, model.stateBytes)
    model.close()
    let before = feed.posts.map(\.id)
    await feed.next(feed.posts[10], nil)
    XCTAssertEqual(feed.posts.map(\.id), before)
  }

  @MainActor
  private static func withoutAModelTheServersOrderStays() async {
    let feed = FeedModel(posts, nil)
    await feed.begin(nil, at: 0)
    XCTAssertEqual(feed.posts.map(\.id), posts.map(\.id))
  }
}
