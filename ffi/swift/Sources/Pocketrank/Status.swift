/// Outcome of a call: the numbers of the C header, which never change and may be logged.
///
/// Blocks of a hundred: 1xx arguments, 2xx to 4xx a model's or formula's bytes, 5xx a request, 6xx a user's state, 7xx a
/// formula's program.
public enum Status: UInt32, Sendable, CaseIterable {
  /// Done.
  case ok = 0
  /// A required pointer is NULL: not from this package.
  case nullPointer = 101
  /// A pointer is not aligned for its type: not from this package.
  case misaligned = 102
  /// `struct_size` names no known version of the struct.
  case structSize = 103
  /// A buffer is smaller than the call needs; the error's offset is the bytes or elements needed.
  case bufferTooSmall = 104
  /// Two buffers that must be apart overlap; from this package: two calls at once on a ``Ranker`` or ``Session``.
  case overlap = 105
  /// It was closed before.
  case stale = 106
  /// A count times its element size does not fit the address space.
  case lengthOverflow = 107
  /// An option or enumeration has a value that is not defined.
  case badOption = 108
  /// The instruction set asked for is not available here.
  case isaUnavailable = 109
  /// The bytes end before the envelope or the length it states.
  case truncated = 201
  /// The first bytes are not a pocketrank model's.
  case badMagic = 202
  /// The file is of a format version that this library does not read.
  case unsupportedVersion = 203
  /// The stated length is not the number of bytes given, or is over the limit.
  case badLength = 204
  /// The XXH3-64 digest does not match: the bytes were changed.
  case badDigest = 205
  /// The SHA-256 digest does not match (`verify` only).
  case badSha256 = 206
  /// Reserved bytes of the envelope are not zero.
  case badReserved = 207
  /// The section directory overlaps, is unordered, or points outside the file.
  case badDirectory = 301
  /// A section that this version must have is absent.
  case missingSection = 302
  /// A required section is of an unknown kind or version.
  case unknownSection = 303
  /// A metadata record is malformed.
  case badRecord = 304
  /// A metadata record is not in its one canonical encoding, or bytes follow it.
  case notCanonical = 305
  /// A count is over the limit in `spec.rs`.
  case overLimit = 306
  /// Records contradict each other (an index out of range, a wrong side, a task given itself).
  case inconsistent = 307
  /// A number in a record is NaN, infinite or outside its range.
  case badNumber = 308
  /// A tensor's type or shape is not what the records require.
  case badShape = 401
  /// A tensor's padding is not canonical: its data does not start on 64 bytes, or a pad byte is not zero.
  case badPadding = 402
  /// A weight is -128 or an activation byte is above 127.
  case byteOutOfRange = 403
  /// A scale or bias is NaN, infinite or outside its range.
  case badScale = 404
  /// A vocabulary bucket contradicts itself or holds a key that its hash does not lead to.
  case badVocabulary = 405
  /// No candidates, or more than the model's limit or the scratch was sized for.
  case candidateCount = 501
  /// More columns than the model has features.
  case unknownFeature = 502
  /// A column's form does not fit its feature (ids for a number, rows for a vector, ...).
  case wrongForm = 503
  /// A column has another number of values than the request needs.
  case columnLength = 504
  /// Offsets of a ragged column decrease or run past its values.
  case badOffsets = 505
  /// ``Request/strict``: a value is missing.
  case missingValue = 506
  /// ``Request/strict``: a number is NaN or infinite.
  case notFinite = 507
  /// ``Request/strict``: an id or row is not in its table.
  case unknownId = 508
  /// A fusion weight is not finite or its magnitude is over 1e6.
  case badWeight = 509
  /// A task or fusion term of that index does not exist.
  case unknownTask = 510
  /// A vector column has a byte above 127.
  case vectorByte = 511
  /// Item sums are of another model or layout, or were changed; the candidate is in the error. Make them again.
  case staleSums = 512
  /// An index of a candidate or slot is past the last one, or candidates do not increase.
  case badIndex = 513
  /// A rule of a re-ranking is out of its bounds, of another number of candidates, or contradicts another: `feature` of the
  /// error is a ``RulesPart``, `candidate` the index of the element.
  case badRule = 514
  /// The state belongs to another layout: reset it.
  case stateLayout = 601
  /// The state's checksum does not match: reset it.
  case stateCorrupt = 602
  /// An event names a label or key that the model does not have.
  case unknownLabel = 603
  /// An event's time is before the state's last event by more than a clock can be wrong, or not representable.
  case badTime = 604
  /// A formula names a task or number feature that the model does not have, or a quantile of which it has no table.
  case formulaInput = 701
  /// A formula's program is malformed.
  case formulaCode = 702
  /// A formula's program costs more than it may.
  case formulaCost = 703
  /// A formula's program may divide by 0, or make a NaN or a value over 2^100, for some request.
  case formulaRange = 704
  /// A formula was opened for another model.
  case formulaModel = 705
  /// A formula needs more than scores, and the call has nothing else.
  case formulaScores = 706
  /// A number that this version of the package does not know: ``PocketrankError/code`` is it.
  case unknown = 4294967295
}
