import CPocketrank
import Foundation

/// One label of one past impression, as it becomes known.
public struct Event: Hashable, Sendable {
  /// Index of the label.
  public var label: Int
  /// When it became known, Unix seconds.
  public var time: Int64
  /// The label's value; binary labels 0 or 1.
  public var value: Float
  /// What the impression showed, for the features that derived features use as keys; at most 128.
  public var keys: [Key]

  /// One label of one impression.
  public init(label: Int, time: Int64, value: Float, keys: [Key] = []) {
    (self.label, self.time, self.value, self.keys) = (label, time, value, keys)
  }

  func withC<R>(_ body: (UnsafePointer<pkr_event>) throws -> R) throws -> R {
    try withKeys(keys) { keys, count in
      var event = pkr_event.sized()
      event.label = number(label)
      (event.time, event.value, event.keys, event.num_keys) = (time, value, keys, count)
      return try body(&event)
    }
  }
}

/// What a model remembers of a user: plain bytes that the app stores.
///
/// A value: a copy is another state. It belongs to models with the same derived features; another one answers
/// ``Status/stateLayout``, and then ``reset()`` is what is left.
public struct UserState: Sendable {
  private let model: Model
  private(set) var memory = Memory()

  /// The state of a user without a past.
  public init(_ model: Model) throws {
    self.model = model
    try reset()
  }

  /// The state that ``data`` was. Whether it is sound is looked at when it is used.
  public init(_ model: Model, restoring data: Data) {
    self.model = model
    memory.assign(data)
  }

  /// The bytes, to be stored. A copy.
  public var data: Data { Data(memory.array(of: UInt8.self)) }

  /// Forgets everything.
  public mutating func reset() throws {
    let model = model
    try memory.write(model.stateBytes, as: UInt8.self) { bytes in
      try model.slot.shared { try check(pkr_state_reset($0, bytes.baseAddress, bytes.count)) }
    }
  }

  /// Adds one event; apply them in the order in which they became known. On any error the state is as before.
  ///
  /// Cost: independent of how many came before. Errors: 6xx; ``Status/unknownFeature`` and ``Status/wrongForm`` for a key;
  /// ``Status/stale``.
  public mutating func apply(_ event: Event) throws {
    let model = model
    try event.withC { event in
      try memory.write(memory.byteCount, as: UInt8.self) { bytes in
        try model.slot.shared { model in try check { pkr_state_apply(model, bytes.baseAddress, bytes.count, event, $0) } }
      }
    }
  }

  /// The bytes that a session writes.
  init(_ model: Model, _ fill: (UnsafeMutableBufferPointer<UInt8>) throws -> Void) throws {
    self.model = model
    try memory.write(model.stateBytes, as: UInt8.self, fill)
  }
}
