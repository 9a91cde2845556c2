import Foundation
import XCTest

@testable import Pocketrank

final class RequestTests: XCTestCase {
  func testARequestOverAnotherOneIsAFreshOne() throws {
    let golden = try Golden()
    var reader = try XCTUnwrap(RequestFile(path: Golden.folder.appendingPathComponent("requests.req").path))
    let ranker = try Ranker(golden.model)
    var (request, ranking) = (Request(golden.model, candidates: 0), Ranking(.all))
    for fresh in golden.requests {
      try reader.read(into: &request)
      do {
        let expected = try Ranker(golden.model).rank(fresh, .all)
        try ranker.rank(request, into: &ranking)
        assertSame(ranking, expected)
      } catch let error as PocketrankError {
        assertThrows(error.status, try ranker.rank(request, into: &ranking))
      }
    }
  }

  func testTheNextScreenAllocatesNothing() throws {
    let model = try Golden().model
    let length = try model.featureIndex("length")
    var (request, ranking) = (Request(model, candidates: 50), Ranking())
    let ranker = try Ranker(model)
    func screen(_ value: Float) throws -> (cells: UnsafeRawPointer, order: UnsafeRawPointer) {
      var cells: UnsafeRawPointer?
      try request.fill(length, floats: 50) { floats in
        for i in floats.indices { floats[i] = value + Float(i) }
        cells = UnsafeRawPointer(floats.baseAddress)
      }
      try ranker.rank(request, into: &ranking)
      return (try XCTUnwrap(cells), try XCTUnwrap(ranking.order.withUnsafeBufferPointer { UnsafeRawPointer($0.baseAddress) }))
    }
    let first = try screen(1)
    for value in 2..<10 {
      let next = try screen(Float(value))
      XCTAssertEqual(next.cells, first.cells)
      XCTAssertEqual(next.order, first.order)
    }
    // A copy keeps what it had.
    let copy = request
    let before = try ranker.rank(copy)
    XCTAssertNotEqual(try screen(1000).cells, first.cells)
    assertSame(try ranker.rank(copy), before)
  }

  func testFormsByNameAndByIndexAreTheSame() throws {
    let model = try Golden().model
    let ranker = try Ranker(model)
    var (named, indexed) = (Request(model, candidates: 3), Request(model, candidates: 3))
    func index(_ name: String) throws -> Int { try model.featureIndex(name) }
    try named.set("item", ids: [5, 6, Request.missingID])
    try indexed.fill(index("item"), ids: 3) { _ = $0.update(fromContentsOf: [5, 6, UInt64.max]) }
    try named.set("city", text: ["Zürich"])
    try indexed.set(index("city"), utf8: Array("Zürich".utf8), offsets: [0, 7])
    try named.set("length", floats: [1, 2, .nan])
    try indexed.fill(index("length"), floats: 3) { _ = $0.update(fromContentsOf: [1, 2, .nan]) }
    if model.features[try index("item_tags")].idType == .text {
      try named.set("item_tags", text: [["a", "b"], [], ["c"]])
      try indexed.set(index("item_tags"), text: ["a", "b", "c"], lists: [0, 2, 2, 3])
    } else {
      try named.set("item_tags", ids: [[1, 2], [], [3]])
      try indexed.set(index("item_tags"), ids: [1, 2, 3], lists: [0, 2, 2, 3])
    }
    let image = [UInt8](repeating: 9, count: 3 * model.features[try index("image")].dimension)
    try named.set("image", bytes: image)
    try indexed.fill(index("image"), bytes: image.count) { _ = $0.update(fromContentsOf: image) }
    let ranking = try ranker.rank(named, .all)
    assertSame(ranking, try ranker.rank(indexed, .all))
    try indexed.remove("item_tags")
    XCTAssertGreaterThan(try ranker.rank(indexed).missing, ranking.missing)
    try indexed.set("item_tags", rows: [1, 2, Request.missingRow], lists: [0, 1, 3, 3])
    XCTAssertEqual(try ranker.rank(indexed).scored, 3)
    // Others are keyed by this one.
    try indexed.set("item", rows: [1, 2, 3])
    assertThrows(.wrongForm, try ranker.rank(indexed))
  }

  func testEmptyTextsAndListsAreValuesOfTheirOwn() throws {
    let model = try Golden().model
    let ranker = try Ranker(model)
    var request = Request(model, candidates: 2)
    try request.set("city", text: ["Paris"])
    let known = try ranker.rank(request).missing
    try request.set("city", text: [""])
    XCTAssertEqual(try ranker.rank(request).missing, known + 1)
    try request.set("city", text: [String]())
    assertThrows(.columnLength, try ranker.rank(request))
    request.removeColumns()
    let without = try ranker.rank(request).missing
    try request.set("item_tags", ids: [[], []])
    XCTAssertLessThan(try ranker.rank(request).missing, without)
    try request.set("item_tags", ids: [[1], [2]], weights: [[0.5], [1]])
    if !model.features[try model.featureIndex("item_tags")].isWeighted { assertThrows(.wrongForm, try ranker.rank(request)) }
  }

  func testWhatDoesNotFitIsToldWithItsPlace() throws {
    let golden = try Golden()
    let model = golden.model
    let ranker = try Ranker(model, candidates: 100)
    let length = try model.featureIndex("length")
    var request = Request(model, candidates: 3)
    try request.set(length, floats: [1, 2])
    XCTAssertEqual(assertThrows(.columnLength, try ranker.rank(request))?.feature, length)
    try request.set(length, ids: [1, 2, 3])
    XCTAssertEqual(assertThrows(.wrongForm, try ranker.rank(request))?.feature, length)
    request.removeColumns()
    request.strict = true
    try request.set(length, floats: [1, .infinity, 3])
    let error = assertThrows(.missingValue, try ranker.rank(request))
    XCTAssertNotNil(error?.feature)
    request.strict = false
    XCTAssertEqual(try ranker.rank(request).notFinite, 1)
    assertThrows(.unknownFeature, try request.set(model.features.count, floats: [1]))
    assertThrows(.unknownFeature, try request.set(-1, floats: [1]))
    assertThrows(.unknownFeature, try request.set("none", floats: [1]))
    assertThrows(.lengthOverflow, try request.fill(length, floats: .max) { _ in })
    assertThrows(.lengthOverflow, try request.fill(length, floats: -1) { _ in })
    struct Own: Error {}
    XCTAssertThrowsError(try request.fill(length, floats: 3) { _ in throw Own() }) { XCTAssertTrue($0 is Own) }
    XCTAssertEqual(try ranker.rank(request).notFinite, 0)
    for candidates in [0, -1, 101, Int.max] {
      request.candidates = candidates
      assertThrows(.candidateCount, try ranker.rank(request))
    }
    request.candidates = 3
    try request.set("item_tags", ids: [1, 2, 3], lists: [0, 2, 1, 3])
    if model.features[try model.featureIndex("item_tags")].idType == .int {
      assertThrows(.badOffsets, try ranker.rank(request))
    }
    request.removeColumns()
    request.weights = [1, 2]
    assertThrows(.unknownTask, try ranker.rank(request))
    request.weights = nil
    request.only = [2, 1]
    assertThrows(.badIndex, try ranker.rank(request))
    request.only = nil
    request.without = [-1]
    assertThrows(.unknownFeature, try ranker.rank(request))
    assertThrows(.candidateCount, try Ranker(model, candidates: 0))
    assertThrows(.candidateCount, try Ranker(model, candidates: -5))
  }

  func testAnErrorLeavesTheServersOrder() {
    XCTAssertEqual(Ranking.serverOrder(3).order, [0, 1, 2])
    XCTAssertEqual(Ranking.serverOrder(3).sort(["a", "b", "c"]), ["a", "b", "c"])
    XCTAssertEqual(Ranking.serverOrder(3).sort(["a", "b"]), ["a", "b"])
    XCTAssertEqual(Ranking.serverOrder(-1).order, [])
  }

  func testOutputsAreWhatIsWanted() throws {
    let golden = try Golden()
    let request = try XCTUnwrap(try golden.sound(8).first)
    let ranker = try Ranker(golden.model)
    let all = try ranker.rank(request, .all)
    let n = request.candidates
    XCTAssertEqual(all.terms.count, n * golden.model.terms.count)
    XCTAssertEqual(all.score(n - 1, task: 1), all.scores.dropLast(3).last)
    for (candidate, task) in [(n, 0), (-1, 0), (0, 5), (0, -1), (Int.max, 0)] { XCTAssertNil(all.score(candidate, task: task)) }
    for i in 0..<n where all.fused[i] > -.infinity {
      let terms = all.terms[(i * 5)..<(i * 5 + 5)]
      XCTAssertEqual(terms.dropFirst().reduce(terms.first!, +).bitPattern, all.fused[i].bitPattern)
    }
    var top = Ranking(.order, top: 3)
    try ranker.rank(request, into: &top)
    XCTAssertEqual(top.order, Array(all.order.prefix(3)))
    XCTAssertEqual(top.sort(Array(0..<n)), all.order.prefix(3).map(Int.init))
    XCTAssertTrue(top.fused.isEmpty && top.scores.isEmpty && top.terms.isEmpty)
    var none = Ranking([])
    try ranker.rank(request, into: &none)
    XCTAssertEqual(none.missing, all.missing)
    var limited = request
    limited.limit = 2
    XCTAssertEqual(try ranker.rank(limited).scored, 2)
  }
}
