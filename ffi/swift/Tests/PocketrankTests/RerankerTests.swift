import Foundation
import XCTest

@testable import Pocketrank

final class RerankerTests: XCTestCase {
  private let positions = 10

  /// The rules of ../../../../examples/c/rerank.c.
  private func rules(_ request: Request, _ vectors: Rules.Vectors?) -> Rules {
    let n = request.candidates
    let categories = (0..<UInt64(n)).map { $0 * $0 % 7 }
    var rules = Rules()
    rules.spacings = [Rules.Spacing(categories, max: 2, window: 4)]
    rules.decays = [Rules.Decay(categories, factor: 0.5, floor: 0.25)]
    rules.pins = [Rules.Pin(n - 1, at: 2)]
    rules.blocked = [1]
    rules.exploration = .thompson(sigma: (0..<n).map { 0.01 * Float($0 % 3) })
    rules.seed = UInt64(bitPattern: request.time)
    if let vectors { rules.diversity = .dpp(theta: 2, vectors) }
    return rules
  }

  /// FNV-1a of all lists, which C prints too: POCKETRANK_RERANK is its line for the golden model.
  func testListsHaveTheBitsOfC() throws {
    let golden = try Golden()
    let ranker = try Ranker(golden.model)
    let reranker = Reranker()
    let feature = try XCTUnwrap(
      golden.model.features.firstIndex { $0.side != .user && ($0.embeddings > 0 || $0.kind == .vector) })
    let dimension = golden.model.features[feature].dimension
    var (digest, lists) = (UInt32(2_166_136_261), 0)
    for request in golden.requests {
      guard let ranking = try? ranker.rank(request, .fused) else { continue }
      let vectors = Rules.Vectors(try ranker.vectors(request, feature: feature), dimension: dimension)
      let list = try reranker.list(rules(request, vectors), fused: ranking.fused, positions: positions)
      for e in list.entries {
        let floats = [e.score, e.propensity, e.boost, e.decay, e.similarity].map(\.bitPattern)
        for word in [e.candidate.map(UInt32.init) ?? .max, e.relaxed] + floats { digest = (digest ^ word) &* 16_777_619 }
      }
      lists += 1
    }
    let digits = String(digest, radix: 16)
    let hex = String(repeating: "0", count: 8 - digits.count) + digits
    let line = "\(lists) lists of \(positions) positions, \(hex): rules kept or reported, the same twice"
    if let expected = ProcessInfo.processInfo.environment["POCKETRANK_RERANK"] {
      XCTAssertEqual(line, expected)
    } else {
      print("without POCKETRANK_RERANK nothing to compare with: \(line)")
    }
  }

  func testWithoutRulesAListIsTheOrder() throws {
    let golden = try Golden()
    let ranker = try Ranker(golden.model)
    let reranker = Reranker()
    for request in try golden.sound(positions) {
      let ranking = try ranker.rank(request)
      let list = try reranker.list(Rules(), fused: ranking.fused, positions: positions)
      XCTAssertEqual(list.entries.map(\.candidate), ranking.order.prefix(positions).map { Int($0) })
      XCTAssertEqual(list.placed, positions)
      XCTAssertEqual(list.relaxed, 0)
      XCTAssertTrue(list.entries.allSatisfy { $0.propensity == 1 })
    }
  }

  func testRulesActAsTheySay() throws {
    let reranker = Reranker()
    let fused: [Float] = [5, 4, 3, 2, 1]
    func order(_ change: (inout Rules) -> Void) throws -> [Int?] {
      var rules = Rules()
      change(&rules)
      return try reranker.list(rules, fused: fused, positions: 4).entries.map(\.candidate)
    }
    XCTAssertEqual(try order { $0.hidden = [0] }, [1, 2, 3, 4])
    XCTAssertEqual(try order { $0.blocked = [0] }, [nil, 0, 1, 2])
    XCTAssertEqual(try order { $0.pins = [Rules.Pin(4, at: 1)] }, [0, 4, 1, 2])
    XCTAssertEqual(try order { $0.factors = [0, 1, 1, 1, 1] }, [1, 2, 3, 0])
    XCTAssertEqual(try order { $0.bonuses = [0, 0, 0, 0, 10] }, [4, 0, 1, 2])
    let keys: [UInt64] = [7, 7, Rules.noKey, 8, 7]
    XCTAssertEqual(try order { $0.spacings = [Rules.Spacing(keys, max: 1, window: 2)] }, [0, 2, 1, 3])
    XCTAssertEqual(try order { $0.decays = [Rules.Decay(keys, factor: 0.1, floor: 0)] }, [0, 2, 3, 1])
    let axes = Rules.Vectors([1, 0, 1, 0, 0, 1, 1, 1, 0, 1], dimension: 2)
    XCTAssertEqual(try order { $0.diversity = .mmr(lambda: 0.5, axes) }.prefix(2), [0, 2])
    XCTAssertEqual(Set(try order { ($0.exploration, $0.seed) = (.epsilon(1), 3) }).count, 4)
  }

  func testABadRuleIsToldWithItsPart() throws {
    let reranker = Reranker()
    let fused: [Float] = [1, 2, 3]
    func part(_ change: (inout Rules) -> Void) -> (RulesPart?, Int?) {
      var rules = Rules()
      change(&rules)
      let error = assertThrows(.badRule, try reranker.list(rules, fused: fused, positions: 3))
      return (error?.part, error?.candidate)
    }
    XCTAssertEqual(part { $0.factors = [1, -1, 1] }.0, .factors)
    XCTAssertEqual(part { $0.factors = [1] }.0, .factors)
    XCTAssertEqual(part { $0.bonuses = [1, .nan, 1] }.1, 1)
    XCTAssertEqual(part { $0.decays = [Rules.Decay([1, 2, 3], factor: 2, floor: 0)] }.0, .decays)
    XCTAssertEqual(part { $0.spacings = [Rules.Spacing([1, 2, 3], max: -1, window: 0)] }.0, .spacings)
    XCTAssertEqual(part { $0.pins = [Rules.Pin(-1, at: 0)] }.0, .pins)
    XCTAssertEqual(part { $0.blocked = [-1] }.0, .blocked)
    XCTAssertEqual(part { $0.hidden = [3] }.0, .hidden)
    XCTAssertEqual(part { $0.diversity = .mmr(lambda: 2, Rules.Vectors([1, 2, 3], dimension: 1)) }.0, .diversity)
    XCTAssertEqual(part { $0.exploration = .thompson(sigma: [1]) }.0, .exploration)
    assertThrows(.badRule, try reranker.list(Rules(vectors: 100_000), fused: fused, positions: 3))
    XCTAssertEqual(assertThrows(.notFinite, try reranker.list(Rules(), fused: [1, .nan], positions: 2))?.candidate, 1)
    for positions in [0, -1, 4097, Int.max] {
      assertThrows(.candidateCount, try reranker.list(Rules(), fused: fused, positions: positions))
    }
    assertThrows(.candidateCount, try reranker.list(Rules(), fused: [], positions: 1))
  }
}

extension Rules {
  fileprivate init(vectors dimension: Int) {
    self.init()
    diversity = .mmr(lambda: 1, Vectors([], dimension: dimension))
  }
}
