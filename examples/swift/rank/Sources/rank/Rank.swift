import Foundation
import Pocketrank

/// Opens an exported model, ranks every request of a file, and prints orders and the bits of all scores: the lines of
/// ../../../../c/rank.c.
/// On any error the order stays the one that the server sent.
@main
struct Rank {
  static func main() throws {
    let arguments = CommandLine.arguments
    guard arguments.count == 3 else { stop("usage: rank MODEL.pkr REQUESTS.req", 2) }
    guard let file = RequestFile(path: arguments[2]) else { stop("rank: cannot read \(arguments[2])", 4) }
    do {
      let model = try Model(contentsOf: URL(fileURLWithPath: arguments[1]))
      let ranker = try Ranker(model, candidates: min(max(file.candidatesMax, 1), model.candidatesMax))
      try rank(file, model, ranker)
    } catch let error as PocketrankError {
      print("model \(error.status.name)")
      for (i, candidates) in file.candidates.enumerated() { show(i, .failure(error), candidates) }
    }
  }

  /// One request and one ranking serve all: after the first ones nothing is allocated for them.
  private static func rank(_ file: RequestFile, _ model: Model, _ ranker: Ranker) throws {
    var reader = file
    var request = Request(model, candidates: 0)
    var ranking = Ranking()
    for i in file.candidates.indices {
      do {
        try reader.read(into: &request)
        try ranker.rank(request, into: &ranking)
        show(i, .success(ranking), request.candidates)
      } catch let error as PocketrankError {
        show(i, .failure(error), request.candidates)
      }
    }
  }

  private static func show(_ index: Int, _ result: Result<Ranking, PocketrankError>, _ candidates: Int) {
    switch result {
    case .success(let r):
      print(
        "request \(index) PKR_OK scored \(r.scored) missing \(r.missing) not_finite \(r.notFinite)",
        "unknown_ids \(r.unknownIDs) cut_lists \(r.cutLists)")
      line("order", r.order.lazy.map(String.init))
      line("fused", r.fused.lazy.map(bits))
      line("scores", r.scores.lazy.map(bits))
    case .failure(let error):
      print("request \(index) \(error.status.name) server's order")
      line("order", Ranking.serverOrder(candidates).order.lazy.map(String.init))
      print("fused\nscores")
    }
  }

  private static func line(_ name: String, _ values: some Sequence<String>) {
    print(values.reduce(into: name) { $0 += " " + $1 })
  }

  private static func bits(_ value: Float) -> String {
    let digits = String(value.bitPattern, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }

  private static func stop(_ text: String, _ code: Int32) -> Never {
    FileHandle.standardError.write(Data((text + "\n").utf8))
    exit(code)
  }
}
