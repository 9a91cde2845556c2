import Foundation
import XCTest

@testable import Pocketrank

/// Models and requests that the repository's tests make; POCKETRANK_GOLDENS names their folder.
struct Golden {
  let model: Model
  let requests: [Request]

  static let folder = URL(fileURLWithPath: ProcessInfo.processInfo.environment["POCKETRANK_GOLDENS"] ?? "")
  static let url = folder.appendingPathComponent("model.pkr")

  /// The golden model of that name, "model" or "goldens/13", and its requests.
  init(_ name: String = "model") throws {
    model = try Model(contentsOf: Golden.folder.appendingPathComponent(name + ".pkr"))
    let file = name == "model" ? "requests.req" : name + ".req"
    var reader = try XCTUnwrap(RequestFile(path: Golden.folder.appendingPathComponent(file).path))
    var requests: [Request] = []
    for _ in reader.candidates {
      var request = Request(model, candidates: 0)
      try reader.read(into: &request)
      requests.append(request)
    }
    self.requests = requests
  }

  /// Requests that can be ranked, of at least `candidates`.
  func sound(_ candidates: Int = 4, _ count: Int = 40) throws -> [Request] {
    let ranker = try Ranker(model)
    return Array(requests.lazy.filter { $0.candidates >= candidates && (try? ranker.rank($0, .order)) != nil }.prefix(count))
  }

  /// `w * click + entire(like) * watch` with w = 2 within 0...4, as `pocketrank formula` writes it.
  static let formula = Data(
    base64Encoded:
      "iVBLRk9STQr6Uw7LDdz9ewEAAAB1AAAAIAMBAgx3ICogY2xpY2sgKyBlbnRpcmUobGlrZSkgKiB3YXRjaAAFY2xpY2sAAQAEbGlrZQEBAAV3YXRjaAABAXcAAABAAAAAAAAAgEAACQwgAwACABIAAgECAhIA"
  )!
}

/// The call fails with that status.
@discardableResult
func assertThrows<T>(_ status: Status, _ call: @autoclosure () throws -> T, line: UInt = #line) -> PocketrankError? {
  do {
    _ = try call()
    XCTFail("\(status) expected", line: line)
  } catch let error as PocketrankError {
    XCTAssertEqual(error.status, status, line: line)
    return error
  } catch {
    XCTFail("\(error)", line: line)
  }
  return nil
}

/// Same order, same bits.
func assertSame(_ a: Ranking, _ b: Ranking, line: UInt = #line) {
  XCTAssertEqual(a.order, b.order, line: line)
  for (a, b) in [(a.fused, b.fused), (a.scores, b.scores), (a.terms, b.terms)] {
    XCTAssertEqual(a.map(\.bitPattern), b.map(\.bitPattern), line: line)
  }
}
