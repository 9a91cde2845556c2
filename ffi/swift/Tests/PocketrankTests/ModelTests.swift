import Foundation
import XCTest

@testable import Pocketrank

final class ModelTests: XCTestCase {
  func testAModelDescribesItself() throws {
    let model = try Golden().model
    XCTAssertEqual(model.name, "golden")
    XCTAssertEqual(model.tasks.map(\.name), ["click", "watch", "complete", "like", "comment"])
    XCTAssertEqual(model.tasks.map(\.kind), [.binary, .binary, .binary, .binary, .duration])
    XCTAssertEqual(model.tasks[3].given, 0)
    XCTAssertEqual(model.tasks[4].unit, "s")
    XCTAssertEqual(model.terms.map(\.weight), [1.75, 0.25, -0.75, -0.5, 2])
    XCTAssertNil(model.fusion)
    XCTAssertGreaterThan(model.candidatesMax, 0)
    XCTAssertGreaterThan(model.itemSumsBytes, 32)
    XCTAssertGreaterThan(model.stateBytes, 0)
    XCTAssertFalse(model.labels.isEmpty)
    for (i, feature) in model.features.enumerated() { XCTAssertEqual(try model.featureIndex(feature.name), i) }
    for (i, task) in model.tasks.enumerated() { XCTAssertEqual(try model.taskIndex(task.name), i) }
    for (i, term) in model.terms.enumerated() { XCTAssertEqual(try model.termIndex(term.name), i) }
    for (i, label) in model.labels.enumerated() { XCTAssertEqual(try model.labelIndex(label.name), i) }
    assertThrows(.unknownFeature, try model.featureIndex("none"))
    assertThrows(.unknownTask, try model.taskIndex("none"))
    assertThrows(.unknownTask, try model.termIndex("none"))
    assertThrows(.unknownLabel, try model.labelIndex(""))
    assertThrows(.unknownTask, try model.weightIndex("w"))
  }

  func testAFileIsMappedAndOpensAsItsBytesDo() throws {
    let mapped = try Model(contentsOf: Golden.url)
    #if os(Linux)
    func isMapped() throws -> Bool {
      let maps = try XCTUnwrap(FileHandle(forReadingAtPath: "/proc/self/maps")?.readToEnd())
      return String(decoding: maps, as: UTF8.self).contains(Golden.url.path)
    }
    XCTAssertTrue(try isMapped())
    mapped.close()
    XCTAssertFalse(try isMapped())
    #endif
    let data = try Data(contentsOf: Golden.url)
    XCTAssertEqual(try Model(data: data).digest, mapped.digest)
    // A slice begins in the middle of its storage.
    let padded = Data([1, 2, 3]) + data + Data([4])
    XCTAssertEqual(try Model(data: padded.dropFirst(3).dropLast()).digest, mapped.digest)
    XCTAssertEqual(mapped.isa, try Model(data: data, cpu: .auto).isa)
    XCTAssertEqual(try Model(data: data, cpu: .portable).isa, "portable")
  }

  func testBytesOfTheAppAreBorrowedInPlaceAndGivenBackOnce() throws {
    let data = try Data(contentsOf: Golden.url)
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: data.count, alignment: 1)
    data.copyBytes(to: bytes)
    let given = expectation(description: "given back")
    var model: Model? = try Model(bytes: UnsafeRawBufferPointer(bytes)) { start, count in
      UnsafeMutableRawBufferPointer(start: start, count: count).deallocate()
      given.fulfill()
    }
    XCTAssertEqual(model?.name, "golden")
    model?.close()
    wait(for: [given], timeout: 1)
    model = nil
  }

  func testDamagedBytesAreRefusedWithThePlace() throws {
    var data = try Data(contentsOf: Golden.url)
    data[data.count - 1] ^= 1
    assertThrows(.badDigest, try Model(data: data))
    assertThrows(.truncated, try Model(data: data.dropLast()))
    assertThrows(.badMagic, try Model(data: Data(repeating: 7, count: 100)))
    assertThrows(.truncated, try Model(data: Data([1])))
    assertThrows(.truncated, try Model(data: Data()))
    XCTAssertThrowsError(try Model(contentsOf: Golden.folder.appendingPathComponent("no-such-file.pkr"))) {
      XCTAssertEqual(($0 as? POSIXError)?.code, .ENOENT)
    }
    let empty = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
    try Data().write(to: empty)
    defer { try? FileManager.default.removeItem(at: empty) }
    assertThrows(.truncated, try Model(contentsOf: empty))
    assertThrows(.badOption, try Model(data: Data(contentsOf: Golden.url), cpu: .neonI8mm))
    XCTAssertEqual(assertThrows(.badDigest, try Model(data: data))?.code, 205)
  }

  func testRowsAndHashesAreThoseOfRequests() throws {
    let model = try Golden().model
    let city = try model.featureIndex("city")
    XCTAssertEqual(try model.row(of: Key(feature: city, .text("no such city"))), 0)
    assertThrows(.missingValue, try model.row(of: Key(feature: city, .text(""))))
    let hash = try Model.hash("Zürich")
    XCTAssertEqual(
      try model.row(of: Key(feature: city, .id(hash))), try model.row(of: Key(feature: city, .text("Zürich"))))
    assertThrows(.unknownFeature, try model.row(of: Key(feature: 1000, .id(1))))
    assertThrows(.unknownFeature, try model.row(of: Key(feature: -1, .id(1))))
    assertThrows(.wrongForm, try model.row(of: Key(feature: model.featureIndex("profile"), .id(1))))
  }

  func testAClosedModelIsAnErrorWhereverItIsUsed() throws {
    let golden = try Golden()
    let (model, request) = (golden.model, try XCTUnwrap(try golden.sound().first))
    let ranker = try Ranker(model)
    let formula = try Formula(model, data: Golden.formula)
    var state = try UserState(model)
    var begin = request
    begin.only = nil
    let session = try Session(begin, by: ranker)
    model.close()
    model.close()
    XCTAssertEqual(model.name, "golden")
    assertThrows(.stale, try ranker.rank(request))
    assertThrows(.stale, try ranker.itemSums(request))
    assertThrows(.stale, try model.featureIndex("item"))
    assertThrows(.stale, try Ranker(model))
    assertThrows(.stale, try Formula(model, data: Golden.formula))
    assertThrows(.stale, try formula.weightIndex("w"))
    assertThrows(.stale, try state.apply(Event(label: 0, time: 1, value: 1)))
    assertThrows(.stale, try UserState(model))
    assertThrows(.stale, try session.rerank(request))
    assertThrows(.stale, try session.feedback(Event(label: 0, time: 1, value: 1)))
    assertThrows(.stale, try Session(begin, by: ranker))
    session.close()
    formula.close()
    ranker.close()
  }

  func testClosingWhileOthersRankEndsTheirCallsOnly() throws {
    let golden = try Golden()
    let requests = try golden.sound()
    let model = golden.model
    DispatchQueue.concurrentPerform(iterations: 4) { thread in
      guard let ranker = try? Ranker(model) else { return }
      for round in 0..<200 {
        if thread == 0 && round == 100 { model.close() }
        do {
          let ranking = try ranker.rank(requests[round % requests.count])
          XCTAssertFalse(ranking.order.isEmpty)
        } catch let error as PocketrankError {
          XCTAssertEqual(error.status, .stale)
        } catch {
          XCTFail("\(error)")
        }
      }
    }
    assertThrows(.stale, try Ranker(model))
  }

  func testInstructionSetsAreThoseThatTheSystemNames() {
    let (i8mm, dotprod) = ("hw.optional.arm.FEAT_I8MM", "hw.optional.arm.FEAT_DotProd")
    let all: Set = [i8mm, dotprod]
    XCTAssertEqual(CPU.ladder(isARM64: true, has: all.contains), [.neonI8mm, .neonDotprod, .auto])
    XCTAssertEqual(CPU.ladder(isARM64: true) { $0 == dotprod }, [.neonDotprod, .auto])
    XCTAssertEqual(CPU.ladder(isARM64: true) { _ in false }, [.auto])
    XCTAssertEqual(CPU.ladder(isARM64: false, has: all.contains), [.auto])
    XCTAssertEqual(Library.abiVersion, 1)
    XCTAssertTrue(Library.version.contains("."))
  }

  func testStatusesHaveTheHeadersNames() {
    XCTAssertEqual(Status.staleSums.rawValue, 512)
    XCTAssertEqual(Status.staleSums.name, "PKR_ERR_STALE_SUMS")
    for status in Status.allCases where status != .ok && status != .unknown {
      let words = status.name.dropFirst("PKR_ERR_".count).lowercased().split(separator: "_")
      XCTAssertEqual(words.joined(), "\(status)".lowercased())
    }
    XCTAssertEqual(
      "\(PocketrankError(code: 503, feature: 4, candidate: 17))", "PKR_ERR_WRONG_FORM (503), feature 4, candidate 17")
    XCTAssertEqual("\(PocketrankError(code: 514, feature: 3, candidate: 1))", "PKR_ERR_BAD_RULE (514), spacings, element 1")
    XCTAssertEqual(PocketrankError(code: 999).status, .unknown)
    XCTAssertEqual(PocketrankError(code: 999).code, 999)
  }
}
