import CPocketrank

/// Why a call failed, and where. On any error keep the order that the server sent.
public struct PocketrankError: Error, Hashable, Sendable {
  /// What happened.
  public let status: Status
  /// The number of `status`, also where a newer library has one that this package does not name.
  public let code: UInt32
  /// Index of the feature; for ``Status/badRule`` a ``RulesPart``. `nil` if it is about none.
  public let feature: Int?
  /// Index of the candidate, or of the element of a rule. `nil` if it is about none.
  public let candidate: Int?
  /// Byte offset within the file, or for ``Status/bufferTooSmall`` the bytes or elements that would have been enough.
  public let offset: UInt64?

  /// For a ``Status/badRule``: the part of the rules that it is about.
  public var part: RulesPart? {
    status == .badRule ? feature.flatMap { RulesPart(rawValue: UInt32($0)) } : nil
  }

  init(_ status: Status, feature: Int? = nil) {
    self.init(code: status.rawValue, feature: feature.flatMap(UInt32.init(exactly:)) ?? nowhere)
  }

  init(code: pkr_status, feature: UInt32 = nowhere, candidate: UInt32 = nowhere, offset: UInt64 = .max) {
    status = Status(rawValue: code) ?? .unknown
    self.code = code
    self.feature = feature == nowhere ? nil : Int(feature)
    self.candidate = candidate == nowhere ? nil : Int(candidate)
    self.offset = offset == .max ? nil : offset
  }
}

extension Status {
  /// Its name in the C header, as "PKR_ERR_STALE": what all platforms' logs have in common.
  public var name: String { String(cString: pkr_status_name(rawValue)) }
}

extension PocketrankError: CustomStringConvertible {
  /// As "PKR_ERR_WRONG_FORM (503), feature 4, candidate 17".
  public var description: String {
    var text = "\(String(cString: pkr_status_name(code))) (\(code))"
    if let part { text += ", \(part)" } else if let feature { text += ", feature \(feature)" }
    if let candidate { text += part == nil ? ", candidate \(candidate)" : ", element \(candidate)" }
    if let offset { text += ", offset \(offset)" }
    return text
  }
}

/// Part of ``Rules`` that an error is about.
public enum RulesPart: UInt32, Sendable {
  /// ``Rules/factors``.
  case factors = 0
  /// ``Rules/bonuses``.
  case bonuses = 1
  /// ``Rules/decays``.
  case decays = 2
  /// ``Rules/spacings``.
  case spacings = 3
  /// ``Rules/pins``.
  case pins = 4
  /// ``Rules/blocked``.
  case blocked = 5
  /// ``Rules/hidden``.
  case hidden = 6
  /// ``Rules/diversity``.
  case diversity = 7
  /// ``Rules/exploration``.
  case exploration = 8
}

/// An index that does not apply.
let nowhere = UInt32(PKR_NOWHERE)

/// Throws what is not `PKR_OK`.
func check(_ status: pkr_status) throws {
  guard status == PKR_OK else { throw PocketrankError(code: status) }
}

/// Throws what is not `PKR_OK`, with the place that the call tells.
func check(_ call: (UnsafeMutablePointer<pkr_error_detail>) throws -> pkr_status) throws {
  var detail = pkr_error_detail.sized()
  (detail.feature, detail.candidate, detail.offset) = (nowhere, nowhere, .max)
  let status = try call(&detail)
  guard status == PKR_OK else {
    throw PocketrankError(code: status, feature: detail.feature, candidate: detail.candidate, offset: detail.offset)
  }
}

/// A number for C. One that does not fit becomes the greatest, which the library refuses as it refuses every index past the end.
func number(_ value: Int) -> UInt32 { UInt32(exactly: value) ?? .max }

/// Text of the library that is not NUL-terminated.
func text(_ start: UnsafePointer<CChar>?, _ bytes: Int) -> String {
  String(decoding: UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : bytes), as: UTF8.self)
}
