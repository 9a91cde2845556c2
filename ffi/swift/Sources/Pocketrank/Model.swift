import CPocketrank
import Foundation

/// An open model file. Immutable: any number of threads may use it, each with its own ``Ranker``.
///
/// A file is mapped, not read: the pages that are touched come in, and the system may drop them again. Beside it a model takes
/// some 30 kB. `Sendable` is true: all that changes is whether it is closed, and ``close()`` may be called while other threads
/// rank.
public final class Model: Sendable {
  /// Name of the model, as its file has it.
  public let name: String
  /// XXH3-64 of the file: names it in logs.
  public let digest: UInt64
  /// Instruction set that runs, as "neon-dotprod".
  public let isa: String
  /// Candidates that a request may have at most.
  public let candidatesMax: Int
  /// Bytes of a user's state; 0 if the model has no derived features.
  public let stateBytes: Int
  /// Bytes of one item's kept sums; 0 if the model has no item features.
  public let itemSumsBytes: Int
  /// Features by index: the columns of a request.
  public let features: [Feature]
  /// Tasks by index: the scores of a candidate.
  public let tasks: [Task]
  /// Terms of the fusion by index: weights of a request. Empty if the file has a formula, whose terms and weights ``fusion`` has.
  public let terms: [Term]
  /// Labels by index: what a user's state is made of.
  public let labels: [Label]
  /// The formula in the file; `nil` if it fuses by ``terms``.
  public let fusion: Fusion?

  let slot: Slot

  /// Maps a file and opens the model in it. Cost: every byte is read once.
  ///
  /// The file must stay as it is while the model is open: replace it by renaming another one to its name. One on a volume that
  /// may go away, or that is protected while the device is locked, is to be read into `Data` instead.
  ///
  /// Errors: `POSIXError` for the file; 1xx to 4xx with the byte offset for its content.
  public convenience init(contentsOf url: URL, cpu: CPU? = nil) throws {
    try self.init(map(url), cpu: cpu)
  }

  /// Opens the model in `data`, which is kept. On Apple's systems its bytes are not copied; on Linux they are.
  public convenience init(data: Data, cpu: CPU? = nil) throws {
    try self.init(data as NSData, cpu: cpu)
  }

  /// Opens the model in memory of the app, such as a resource of the executable, that stays where it is, unchanged, until
  /// `deallocator` is called with its address and length: once, by whatever thread ends with the model last, or when this fails.
  public convenience init(
    bytes: UnsafeRawBufferPointer, cpu: CPU? = nil, deallocator: @escaping @Sendable (UnsafeMutableRawPointer, Int) -> Void
  ) throws {
    guard let start = bytes.baseAddress else { throw PocketrankError(.truncated) }
    // Never written: the type is what NSData takes.
    let memory = UnsafeMutableRawPointer(mutating: start)
    try self.init(NSData(bytesNoCopy: memory, length: bytes.count, deallocator: deallocator), cpu: cpu)
  }

  /// `cpu`: `nil` takes the best that the system says this CPU has and that the library was built for.
  private init(_ bytes: NSData, cpu: CPU?) throws {
    guard Library.abiVersion >= Int(PKR_ABI_VERSION) else { throw PocketrankError(.structSize) }
    let handle = try Model.open(bytes, cpu.map { [$0] } ?? CPU.found)
    let model = handle.pointer
    var about = pkr_model_information.sized()
    try check(pkr_model_info(model, &about))
    name = text(about.name, about.name_bytes)
    digest = about.digest
    isa = text(about.isa, about.isa_bytes)
    candidatesMax = Int(about.candidates_max)
    stateBytes = about.state_bytes
    itemSumsBytes = about.item_sums_bytes
    features = try (0..<about.num_features).map { try Feature(model, $0) }
    tasks = try (0..<about.num_tasks).map { try Task(model, $0) }
    labels = try (0..<about.num_labels).map { try Label(model, $0) }
    let fusion = try Fusion(model, nil)
    // With a formula the number is that of its addends, which have texts and no tasks.
    terms = try fusion == nil ? (0..<about.num_terms).map { try Term(model, $0) } : []
    self.fusion = fusion
    slot = Slot(handle)
  }

  private static func open(_ bytes: NSData, _ ladder: [CPU]) throws -> Handle {
    let start = bytes.bytes.assumingMemoryBound(to: UInt8.self)
    var need = pkr_requirements.sized()
    try check(pkr_model_query(start, bytes.length, &need))
    var options = pkr_open_options.sized()
    for cpu in ladder.dropLast() {
      options.cpu = cpu.rawValue
      do {
        return try open(bytes, need.model_bytes, &options)
      } catch let error as PocketrankError where error.status == .badOption || error.status == .isaUnavailable {
        // This library was built without it: the next one.
      }
    }
    options.cpu = (ladder.last ?? .auto).rawValue
    return try open(bytes, need.model_bytes, &options)
  }

  private static func open(_ bytes: NSData, _ byteCount: Int, _ options: UnsafePointer<pkr_open_options>) throws -> Handle {
    try Handle(byteCount: byteCount, borrowing: bytes, close: pkr_model_close) { memory, out in
      let start = bytes.bytes.assumingMemoryBound(to: UInt8.self)
      try check { pkr_model_open(start, bytes.length, memory, byteCount, options, out, $0) }
    }
  }

  /// Ends the model: calls that begin later throw ``Status/stale``. Idempotent, any thread. Memory and mapping go when the calls
  /// that run are done. Without it they go with the last reference.
  public func close() { slot.close() }

  /// Index of the feature called `name`. Cost: linear in the features; or keep ``features`` in a dictionary.
  /// Errors: ``Status/unknownFeature``, ``Status/stale``.
  public func featureIndex(_ name: String) throws -> Int { try find(name, pkr_feature_index) }

  /// Index of the task called `name`. Errors: ``Status/unknownTask``, ``Status/stale``.
  public func taskIndex(_ name: String) throws -> Int { try find(name, pkr_task_index) }

  /// Index of the fusion's term called `name`. Errors: ``Status/unknownTask``, ``Status/stale``.
  public func termIndex(_ name: String) throws -> Int { try find(name, pkr_term_index) }

  /// Index of the label called `name`. Errors: ``Status/unknownLabel``, ``Status/stale``.
  public func labelIndex(_ name: String) throws -> Int { try find(name, pkr_label_index) }

  /// Row of an id in its feature's table, for requests by rows; 0 for an id that the table does not have.
  ///
  /// Cost: at most two cache lines. Errors: ``Status/unknownFeature``, ``Status/wrongForm`` for a feature without such ids,
  /// ``Status/missingValue``, ``Status/stale``.
  public func row(of key: Key) throws -> UInt32 {
    try withKeys([key]) { keys, _ in
      var row: UInt32 = 0
      try slot.shared { try check(pkr_row_of($0, keys, &row)) }
      return row
    }
  }

  /// What a request by ids takes for a text: XXH3-64 of its UTF-8. For apps that keep hashes instead of texts.
  public static func hash(_ text: String) throws -> UInt64 {
    var hash: UInt64 = 0
    try withUTF8(text) { try check(pkr_hash_text($0.baseAddress, $0.count, &hash)) }
    return hash
  }

  private typealias Find = (OpaquePointer?, UnsafePointer<UInt8>?, Int, UnsafeMutablePointer<UInt32>?) -> pkr_status

  private func find(_ name: String, _ function: Find) throws -> Int {
    var index: UInt32 = 0
    try slot.shared { model in try withUTF8(name) { try check(function(model, $0.baseAddress, $0.count, &index)) } }
    return Int(index)
  }
}

/// The UTF-8 of `text`, in place where it has any.
func withUTF8<R>(_ text: String, _ body: (UnsafeBufferPointer<UInt8>) throws -> R) rethrows -> R {
  var text = text
  return try text.withUTF8(body)
}
