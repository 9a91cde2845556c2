// Outcomes of calls, and the one error of this package.

/** Every status of pocketrank.h. Numbers are never reused, so they may be logged. */
export const Status = Object.freeze({
  OK: 0,
  NULL_POINTER: 101,
  MISALIGNED: 102,
  STRUCT_SIZE: 103,
  BUFFER_TOO_SMALL: 104,
  OVERLAP: 105,
  STALE: 106,
  LENGTH_OVERFLOW: 107,
  BAD_OPTION: 108,
  ISA_UNAVAILABLE: 109,
  TRUNCATED: 201,
  BAD_MAGIC: 202,
  UNSUPPORTED_VERSION: 203,
  BAD_LENGTH: 204,
  BAD_DIGEST: 205,
  BAD_SHA256: 206,
  BAD_RESERVED: 207,
  BAD_DIRECTORY: 301,
  MISSING_SECTION: 302,
  UNKNOWN_SECTION: 303,
  BAD_RECORD: 304,
  NOT_CANONICAL: 305,
  OVER_LIMIT: 306,
  INCONSISTENT: 307,
  BAD_NUMBER: 308,
  BAD_SHAPE: 401,
  BAD_PADDING: 402,
  BYTE_OUT_OF_RANGE: 403,
  BAD_SCALE: 404,
  BAD_VOCABULARY: 405,
  CANDIDATE_COUNT: 501,
  UNKNOWN_FEATURE: 502,
  WRONG_FORM: 503,
  COLUMN_LENGTH: 504,
  BAD_OFFSETS: 505,
  MISSING_VALUE: 506,
  NOT_FINITE: 507,
  UNKNOWN_ID: 508,
  BAD_WEIGHT: 509,
  UNKNOWN_TASK: 510,
  VECTOR_BYTE: 511,
  STALE_SUMS: 512,
  BAD_INDEX: 513,
  BAD_RULE: 514,
  STATE_LAYOUT: 601,
  STATE_CORRUPT: 602,
  UNKNOWN_LABEL: 603,
  BAD_TIME: 604,
  FORMULA_INPUT: 701,
  FORMULA_CODE: 702,
  FORMULA_COST: 703,
  FORMULA_RANGE: 704,
  FORMULA_MODEL: 705,
  FORMULA_SCORES: 706,
});

const names = new Map(Object.entries(Status).map(([name, status]) => [status, name]));

/**
 * Whatever went wrong: keep the order that the server sent. `status` is one of `Status`; `feature` and `candidate` are
 * indices or null; `offset` is a place in the file, or the bytes or elements that would have been enough, or null.
 */
export class PocketrankError extends Error {
  constructor(status, message, { feature = null, candidate = null, offset = null } = {}) {
    super(message === undefined ? (names.get(status) ?? `status ${status}`) : `${names.get(status) ?? status}: ${message}`);
    this.name = "PocketrankError";
    this.status = status;
    this.feature = feature;
    this.candidate = candidate;
    this.offset = offset;
  }

  /** Name of the status, as "STALE_SUMS". */
  get statusName() {
    return names.get(this.status) ?? "UNKNOWN";
  }
}
