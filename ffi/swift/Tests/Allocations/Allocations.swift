import CAllocations
import Foundation
import Pocketrank

/// A thousand screens over one request allocate nothing: built with optimisation, as an app is. `Allocations MODEL.pkr`.
@main
struct Allocations {
  static func main() throws {
    let model = try Model(contentsOf: URL(fileURLWithPath: CommandLine.arguments[1]))
    let ranker = try Ranker(model)
    let (item, city, length) = (try model.featureIndex("item"), try model.featureIndex("city"), try model.featureIndex("length"))
    let ids = (0..<50).map { UInt64($0) }
    var request = Request(model, candidates: ids.count)
    var ranking = Ranking(.all)
    request.state = try UserState(model)

    func screens(_ count: Int) throws -> UInt {
      let before = num_allocations()
      for i in 0..<count {
        request.time = Int64(i)
        request.removeColumns()
        try request.set(item, ids: ids)
        try request.set(city, text: CollectionOfOne("Paris"))
        try request.fill(length, floats: ids.count) { floats in
          for j in floats.indices { floats[j] = Float(i + j) }
        }
        try ranker.rank(request, into: &ranking)
      }
      return num_allocations() - before
    }

    let (first, then) = (try screens(2), try screens(1000))
    print("allocations: \(first) for the first two requests, \(then) for the next 1000")
    exit(first > 0 && then == 0 ? 0 : 1)
  }
}
