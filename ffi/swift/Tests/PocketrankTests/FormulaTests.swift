import Foundation
import XCTest

@testable import Pocketrank

final class FormulaTests: XCTestCase {
  func testAFormulaShippedApartTakesThePlaceOfTheFusion() throws {
    let golden = try Golden()
    let model = golden.model
    let formula = try Formula(model, data: Golden.formula)
    XCTAssertEqual(formula.fusion.text, "w * click + entire(like) * watch")
    XCTAssertEqual(formula.fusion.weights, [Fusion.Weight(name: "w", value: 2, bounds: 0...4)])
    XCTAssertEqual(formula.fusion.terms.count, 2)
    XCTAssertGreaterThan(formula.fusion.cost, 0)
    XCTAssertEqual(try formula.weightIndex("w"), 0)
    assertThrows(.unknownTask, try formula.weightIndex("v"))
    let ranker = try Ranker(model)
    for var request in try golden.sound() {
      request.weights = nil
      request.formula = formula
      for w in [nil, Float(3)] {
        request.weights = w.map { [$0] }
        let ranking = try ranker.rank(request, .all)
        XCTAssertEqual(ranking.terms.count, 2 * request.candidates)
        for i in 0..<request.candidates where ranking.fused[i] > -.infinity {
          XCTAssertEqual(ranking.terms[2 * i], (w ?? 2) * ranking.score(i, task: 0)!)
          XCTAssertEqual(ranking.terms[2 * i] + ranking.terms[2 * i + 1], ranking.fused[i])
        }
      }
      request.weights = [5]
      assertThrows(.badWeight, try ranker.rank(request))
    }
  }

  func testAFormulaIsForItsModelUntilItIsClosed() throws {
    let golden = try Golden()
    let other = try Golden("goldens/13")
    let formula = try Formula(golden.model, data: Golden.formula)
    var request = try XCTUnwrap(try other.sound().first)
    request.weights = nil
    request.formula = formula
    assertThrows(.formulaModel, try Ranker(other.model).rank(request))
    request = try XCTUnwrap(try golden.sound().first)
    request.weights = nil
    request.formula = formula
    formula.close()
    formula.close()
    assertThrows(.stale, try Ranker(golden.model).rank(request))
    assertThrows(.stale, try formula.weightIndex("w"))
    assertThrows(.stale, try formula.perturbedWeights(user: 1, experiment: 2, sigma: 0.1))
    var damaged = Golden.formula
    damaged[damaged.count - 2] ^= 1
    assertThrows(.badDigest, try Formula(golden.model, data: damaged))
    assertThrows(.truncated, try Formula(golden.model, data: Data()))
  }

  func testTheFilesOwnFormulaIsDescribed() throws {
    let model = try Golden("goldens/104").model
    let fusion = try XCTUnwrap(model.fusion)
    XCTAssertFalse(fusion.text.isEmpty)
    XCTAssertFalse(fusion.terms.isEmpty)
    XCTAssertTrue(model.terms.isEmpty)
    for (i, weight) in fusion.weights.enumerated() { XCTAssertEqual(try model.weightIndex(weight.name), i) }
    let tried = try model.perturbedWeights(user: 1, experiment: 2, sigma: 0.5)
    XCTAssertEqual(tried.count, fusion.weights.count)
    for (value, weight) in zip(tried, fusion.weights) { XCTAssertTrue(weight.bounds.contains(value)) }
  }

  func testPerturbedWeightsDependOnTheUserAlone() throws {
    let formula = try Formula(try Golden().model, data: Golden.formula)
    let tried = try (0..<20).map { try formula.perturbedWeights(user: $0, experiment: 7, sigma: 0.3)[0] }
    XCTAssertEqual(tried, try (0..<20).map { try formula.perturbedWeights([2], user: $0, experiment: 7, sigma: 0.3)[0] })
    XCTAssertGreaterThan(Set(tried).count, 15)
    XCTAssertTrue(tried.allSatisfy { 0...4 ~= $0 })
    assertThrows(.badWeight, try formula.perturbedWeights(user: 1, experiment: 7, sigma: 5))
    assertThrows(.unknownTask, try formula.perturbedWeights([1, 2], user: 1, experiment: 7, sigma: 0.1))
    assertThrows(.unknownTask, try Golden().model.perturbedWeights([1], user: 1, experiment: 7, sigma: 0.1))
  }

  func testEveryNetworkHasSharesOrNone() throws {
    for seed in [2, 3, 4, 7, 9, 12, 13, 19, 23, 30, 102, 104, 109, 112, 113] {
      let golden = try Golden("goldens/\(seed)")
      let gates = try Ranker(golden.model).gates(try XCTUnwrap(try golden.sound(1, 1).first), candidate: 0)
      let (tasks, experts) = (golden.model.tasks.count, gates.count / golden.model.tasks.count)
      XCTAssertEqual(gates.count, tasks * experts)
      for task in 0..<tasks where experts > 0 {
        XCTAssertEqual(gates[(task * experts)..<((task + 1) * experts)].reduce(0, +), 1, accuracy: 1e-5)
      }
    }
  }

  func testAnOrderIsExplained() throws {
    let golden = try Golden()
    let (model, ranker) = (golden.model, try Ranker(golden.model))
    let request = try XCTUnwrap(try golden.sound(8).first)
    let gates = try ranker.gates(request, candidate: 1)
    let experts = gates.count / model.tasks.count
    XCTAssertEqual(experts, 4)
    for task in 0..<model.tasks.count {
      XCTAssertEqual(gates[(task * experts)..<((task + 1) * experts)].reduce(0, +), 1, accuracy: 1e-5)
    }
    assertThrows(.candidateCount, try ranker.gates(request, candidate: request.candidates))
    assertThrows(.candidateCount, try ranker.gates(request, candidate: -1))
    let plain = try ranker.rank(request).scores
    let matters = try model.features.indices.filter { feature in
      var without = request
      without.without = [feature]
      XCTAssertEqual(without.without, [feature])
      return try ranker.rank(without).scores != plain
    }
    XCTAssertGreaterThan(matters.count, 2)
    let item = try model.featureIndex("item")
    let vectors = try ranker.vectors(request, feature: item)
    XCTAssertEqual(vectors.count, request.candidates * model.features[item].dimension)
    assertThrows(.wrongForm, try ranker.vectors(request, feature: model.featureIndex("profile")))
    assertThrows(.unknownFeature, try ranker.vectors(request, feature: 99))
  }
}
