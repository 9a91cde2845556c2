import CPocketrank

extension Model {
  /// A feature: a column of a request.
  public struct Feature: Hashable, Sendable {
    /// Whose value it is.
    public enum Side: UInt32, Sendable {
      /// The same for the whole request: one value (or list) a column.
      case user = 0
      /// Of the candidate alone, and stable.
      case item = 1
      /// Of the candidate in this request.
      case candidate = 2
      /// Derived from user and candidate.
      case cross = 3
    }

    /// What its values are.
    public enum Kind: UInt32, Sendable {
      /// One id: by ids, text or rows.
      case id = 0
      /// A list of ids: the same with the lists' offsets.
      case ids = 1
      /// A number: by floats.
      case number = 2
      /// A vector: by bytes.
      case vector = 3
    }

    /// What its ids are.
    public enum IDType: UInt32, Sendable {
      /// It takes no ids.
      case none = 0
      /// Integers of 64 bits.
      case int = 1
      /// UTF-8.
      case text = 2
    }

    /// Its name in the file.
    public let name: String
    /// Whose value it is.
    public let side: Side
    /// What its values are.
    public let kind: Kind
    /// What its ids are.
    public let idType: IDType
    /// Computed from other features or the user's state: the app sends nothing.
    public let isDerived: Bool
    /// Ids of a list that are used; 1 for all but lists.
    public let lengthMax: Int
    /// Whether a list takes weights.
    public let isWeighted: Bool
    /// Bytes of a vector, values of an embedding row; 1 for a number without buckets.
    public let dimension: Int
    /// Rows of the table, 0 without one.
    public let embeddings: Int
  }

  /// A task: a score of a candidate.
  public struct Task: Hashable, Sendable {
    /// What its score is.
    public enum Kind: UInt32, Sendable {
      /// Its score is a probability.
      case binary = 0
      /// Its score is a duration in ``Task/unit``.
      case duration = 1
    }

    /// Its name in the file.
    public let name: String
    /// What its score is.
    public let kind: Kind
    /// The task whose positives are this one's sample space: the score is conditional on it. `nil`: per impression.
    public let given: Int?
    /// Unit of the score; empty for a probability.
    public let unit: String
  }

  /// A term of the fusion: what a request's weight of that index is about.
  public struct Term: Hashable, Sendable {
    /// Its name in the file.
    public let name: String
    /// Index of its task.
    public let task: Int
    /// Whether it uses the score per impression, not the conditional one.
    public let isEntire: Bool
    /// Weight in the file.
    public let weight: Float
  }

  /// A label that feeds a user's state.
  public struct Label: Hashable, Sendable {
    /// Its name in the file.
    public let name: String
    /// Whether the state keeps ln(1 + value).
    public let isLogarithmic: Bool
  }
}

// A number that a newer library may add to an enumeration is an error of opening, not a crash.
private func known<T: RawRepresentable<UInt32>>(_ value: UInt32) throws -> T {
  guard let known = T(rawValue: value) else { throw PocketrankError(.badOption) }
  return known
}

/// What `function` tells of number `index`.
private func told<T: Versioned>(
  _ function: (OpaquePointer?, UInt32, UnsafeMutablePointer<T>?) -> pkr_status, _ model: OpaquePointer, _ index: UInt32
) throws -> T {
  var about = T.sized()
  try check(function(model, index, &about))
  return about
}

extension Model.Feature {
  init(_ model: OpaquePointer, _ index: UInt32) throws {
    let about = try told(pkr_feature_info, model, index)
    name = text(about.name, about.name_bytes)
    side = try known(about.side)
    kind = try known(about.kind)
    idType = try known(about.id_type)
    isDerived = about.derived != 0
    lengthMax = Int(about.max_len)
    isWeighted = about.weighted != 0
    dimension = Int(about.dim)
    embeddings = Int(about.num_embeddings)
  }
}

extension Model.Task {
  init(_ model: OpaquePointer, _ index: UInt32) throws {
    let about = try told(pkr_task_info, model, index)
    name = text(about.name, about.name_bytes)
    kind = try known(about.kind)
    given = about.given == nowhere ? nil : Int(about.given)
    unit = text(about.unit, about.unit_bytes)
  }
}

extension Model.Term {
  init(_ model: OpaquePointer, _ index: UInt32) throws {
    let about = try told(pkr_term_info, model, index)
    name = text(about.name, about.name_bytes)
    task = Int(about.task)
    isEntire = about.entire != 0
    weight = about.weight
  }
}

extension Model.Label {
  init(_ model: OpaquePointer, _ index: UInt32) throws {
    let about = try told(pkr_label_info, model, index)
    name = text(about.name, about.name_bytes)
    isLogarithmic = about.log1p != 0
  }
}
