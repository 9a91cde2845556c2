import Foundation
import XCTest

@testable import Pocketrank

final class FeedTests: XCTestCase {
  private let names = ["model", "goldens/13", "goldens/30", "goldens/104"]

  func testASessionGivesTheBitsOfFreshRequests() throws {
    var feeds = 0
    for name in names {
      let golden = try Golden(name)
      let ranker = try Ranker(golden.model)
      for request in try golden.sound() where request.only == nil && request.limit == nil {
        var (stateless, fresh) = (request, request)
        stateless.state = nil
        var left = Array(0..<UInt32(request.candidates))
        let session = try Session(request, by: ranker)
        var ranking = Ranking(.all)
        for step in 0..<3 where !left.isEmpty {
          try session.rerank(stateless, into: &ranking)
          fresh.only = left
          fresh.state = golden.model.stateBytes == 0 ? nil : try session.state()
          assertSame(ranking, try ranker.rank(fresh, .all))
          let shown = ranking.order[0]
          try session.shown(Int(shown))
          assertThrows(.badIndex, try session.shown(Int(shown)))
          left.removeAll { $0 == shown }
          if !golden.model.labels.isEmpty {
            try session.feedback(Event(label: 0, time: request.time + Int64(step), value: 1))
          }
        }
        session.close()
        session.close()
        assertThrows(.stale, try session.rerank(stateless))
        assertThrows(.stale, try session.state())
        feeds += 1
      }
    }
    XCTAssertGreaterThan(feeds, 100)
  }

  func testASessionRefusesWhatItHas() throws {
    let golden = try Golden()
    let ranker = try Ranker(golden.model)
    var request = try XCTUnwrap(try golden.sound().first { $0.state != nil })
    let session = try Session(request, by: ranker)
    assertThrows(.badOption, try session.rerank(request))
    assertThrows(.badIndex, try session.shown(-1))
    assertThrows(.unknownLabel, try session.feedback(Event(label: 99, time: request.time, value: 1)))
    assertThrows(.unknownLabel, try session.feedback(Event(label: -1, time: request.time, value: 1)))
    request.state = nil
    request.candidates += 1
    request.removeColumns()
    assertThrows(.candidateCount, try session.rerank(request))
    request.only = [0]
    assertThrows(.badOption, try Session(request, by: ranker))
  }

  func testAStateIsAValueOfBytes() throws {
    let golden = try Golden()
    let model = golden.model
    var state = try UserState(model)
    let fresh = state
    XCTAssertEqual(state.data.count, model.stateBytes)
    try state.apply(Event(label: 0, time: 1_700_000_000, value: 1))
    XCTAssertNotEqual(state.data, fresh.data)
    XCTAssertEqual(fresh.data, try UserState(model).data)
    XCTAssertEqual(UserState(model, restoring: state.data).data, state.data)
    let before = state.data
    assertThrows(.unknownLabel, try state.apply(Event(label: 1000, time: 1_700_000_000, value: 1)))
    assertThrows(.badTime, try state.apply(Event(label: 0, time: .max, value: 1)))
    assertThrows(
      .unknownFeature, try state.apply(Event(label: 0, time: 1_700_000_001, value: 1, keys: [Key(feature: 999, .id(1))])))
    XCTAssertEqual(state.data, before)
    try state.reset()
    XCTAssertEqual(state.data, fresh.data)
    // Every part of an event gets there.
    let (item, length) = (try model.featureIndex("item"), try model.featureIndex("length"))
    func key(_ id: UInt64, _ number: Float) -> [Key] { [Key(feature: item, .id(id)), Key(feature: length, .number(number))] }
    func states(_ change: (Float) -> (time: Int64, value: Float, keys: [Key])) throws -> Int {
      try Set(
        (0..<20).map { i in
          let (time, value, keys) = change(Float(i))
          var state = fresh
          for label in model.labels.indices { try state.apply(Event(label: label, time: time, value: value, keys: keys)) }
          return state.data
        }
      ).count
    }
    XCTAssertEqual(try states { _ in (1_700_000_000, 1, key(7, 3)) }, 1)
    XCTAssertGreaterThan(try states { (1_700_000_000 + Int64($0), 1, key(7, 3)) }, 1)
    XCTAssertGreaterThan(try states { (1_700_000_000, $0, key(7, 3)) }, 1)
    XCTAssertGreaterThan(try states { (1_700_000_000, 1, key(UInt64($0), 3)) }, 1)
    XCTAssertGreaterThan(try states { (1_700_000_000, 1, key(7, $0 * 100 - 1000)) }, 1)
    // Damage is told when it is used.
    var bytes = before
    bytes[bytes.count / 2] ^= 1
    var request = try XCTUnwrap(try golden.sound().first)
    request.state = UserState(model, restoring: bytes)
    assertThrows(.stateCorrupt, try Ranker(model).rank(request))
    request.state = UserState(model, restoring: Data([1, 2, 3]))
    assertThrows(.bufferTooSmall, try Ranker(model).rank(request))
  }

  func testKeptItemSumsAndPartsGiveTheSameBits() throws {
    for name in names {
      let golden = try Golden(name)
      let ranker = try Ranker(golden.model)
      for request in try golden.sound(8) where request.only == nil {
        let plain = try ranker.rank(request)
        if golden.model.itemSumsBytes > 0 {
          var kept = request
          kept.itemSums = try ranker.itemSums(request)
          XCTAssertEqual(kept.itemSums?.count, request.candidates * golden.model.itemSumsBytes)
          assertSame(try ranker.rank(kept), plain)
          kept.itemSlots = (0..<UInt32(request.candidates)).map { $0 % 3 == 0 ? Request.noSlot : $0 }
          assertSame(try ranker.rank(kept), plain)
          // An arena in another order: the slots say which is whose.
          let (n, bytes) = (request.candidates, golden.model.itemSumsBytes)
          let slots = try ranker.itemSums(request)
          kept.itemSums = (0..<n).reversed().reduce(into: Data()) { $0 += slots[($1 * bytes)..<(($1 + 1) * bytes)] }
          kept.itemSlots = (0..<UInt32(n)).reversed()
          assertSame(try ranker.rank(kept), plain)
          kept.itemSlots?[1] = UInt32(n)
          XCTAssertEqual(assertThrows(.badIndex, try ranker.rank(kept))?.candidate, 1)
          kept.itemSums = slots
          kept.itemSlots = nil
          kept.itemSums?[golden.model.itemSumsBytes * 2 + 5] ^= 1
          XCTAssertEqual(assertThrows(.staleSums, try ranker.rank(kept))?.candidate, 2)
        }
        guard request.limit == nil else { continue }
        let middle = UInt32(request.candidates / 2)
        let parts = try [0..<middle, middle..<UInt32(request.candidates)].map { try ranker.score(request, only: $0).scores }
        assertSame(try ranker.order(request, scores: parts[0] + parts[1]), try ranker.rank(request, [.order, .fused]))
        assertThrows(.candidateCount, try ranker.order(request, scores: parts[0]))
      }
    }
  }

  func testOneRequestIsScoredByManyThreads() throws {
    let golden = try Golden()
    let model = golden.model
    for request in try golden.sound(16, 10) where request.only == nil && request.limit == nil {
      let n = UInt32(request.candidates)
      let parts = Parts(4)
      DispatchQueue.concurrentPerform(iterations: 4) { i in
        let range = n * UInt32(i) / 4..<n * UInt32(i + 1) / 4
        parts.set(i, (try? Ranker(model).score(request, only: range).scores) ?? [])
      }
      let ranker = try Ranker(model)
      assertSame(try ranker.order(request, scores: parts.joined), try ranker.rank(request, [.order, .fused]))
    }
  }

  /// `@unchecked Sendable`: everything under the lock.
  private final class Parts: @unchecked Sendable {
    private let lock = NSLock()
    private var parts: [[Float]]
    init(_ count: Int) { parts = Array(repeating: [], count: count) }
    var joined: [Float] { Array(parts.joined()) }
    func set(_ i: Int, _ part: [Float]) {
      lock.lock()
      parts[i] = part
      lock.unlock()
    }
  }

  /// The compiler refuses this; a cast that gets around it finds an error, not a crash.
  func testARankerInTwoThreadsIsAnErrorNotACrash() throws {
    struct Around: @unchecked Sendable { let ranker: Ranker }
    let golden = try Golden()
    let requests = try golden.sound(8)
    let around = Around(ranker: try Ranker(golden.model))
    let expected = try requests.map { try around.ranker.rank($0) }
    DispatchQueue.concurrentPerform(iterations: 4) { _ in
      for round in 0..<200 {
        do {
          assertSame(try around.ranker.rank(requests[round % requests.count]), expected[round % requests.count])
        } catch let error as PocketrankError {
          XCTAssertEqual(error.status, .overlap)
        } catch {
          XCTFail("\(error)")
        }
      }
    }
    around.ranker.close()
    around.ranker.close()
    assertThrows(.stale, try around.ranker.rank(requests[0]))
  }
}
