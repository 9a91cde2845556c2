// Types of status.js.

/** Every status of pocketrank.h. Numbers come in blocks of a hundred per class and are never reused: they may be logged. */
export declare const Status: {
  readonly OK: 0;
  readonly NULL_POINTER: 101;
  readonly MISALIGNED: 102;
  readonly STRUCT_SIZE: 103;
  readonly BUFFER_TOO_SMALL: 104;
  readonly OVERLAP: 105;
  readonly STALE: 106;
  readonly LENGTH_OVERFLOW: 107;
  readonly BAD_OPTION: 108;
  readonly ISA_UNAVAILABLE: 109;
  readonly TRUNCATED: 201;
  readonly BAD_MAGIC: 202;
  readonly UNSUPPORTED_VERSION: 203;
  readonly BAD_LENGTH: 204;
  readonly BAD_DIGEST: 205;
  readonly BAD_SHA256: 206;
  readonly BAD_RESERVED: 207;
  readonly BAD_DIRECTORY: 301;
  readonly MISSING_SECTION: 302;
  readonly UNKNOWN_SECTION: 303;
  readonly BAD_RECORD: 304;
  readonly NOT_CANONICAL: 305;
  readonly OVER_LIMIT: 306;
  readonly INCONSISTENT: 307;
  readonly BAD_NUMBER: 308;
  readonly BAD_SHAPE: 401;
  readonly BAD_PADDING: 402;
  readonly BYTE_OUT_OF_RANGE: 403;
  readonly BAD_SCALE: 404;
  readonly BAD_VOCABULARY: 405;
  readonly CANDIDATE_COUNT: 501;
  readonly UNKNOWN_FEATURE: 502;
  readonly WRONG_FORM: 503;
  readonly COLUMN_LENGTH: 504;
  readonly BAD_OFFSETS: 505;
  readonly MISSING_VALUE: 506;
  readonly NOT_FINITE: 507;
  readonly UNKNOWN_ID: 508;
  readonly BAD_WEIGHT: 509;
  readonly UNKNOWN_TASK: 510;
  readonly VECTOR_BYTE: 511;
  readonly STALE_SUMS: 512;
  readonly BAD_INDEX: 513;
  readonly BAD_RULE: 514;
  readonly STATE_LAYOUT: 601;
  readonly STATE_CORRUPT: 602;
  readonly UNKNOWN_LABEL: 603;
  readonly BAD_TIME: 604;
  readonly FORMULA_INPUT: 701;
  readonly FORMULA_CODE: 702;
  readonly FORMULA_COST: 703;
  readonly FORMULA_RANGE: 704;
  readonly FORMULA_MODEL: 705;
  readonly FORMULA_SCORES: 706;
};

/** The one error of this package. `message` has all of it in words. */
export declare class PocketrankError extends Error {
  constructor(
    status: number,
    message?: string,
    place?: { feature?: number | null; candidate?: number | null; offset?: number | null },
  );
  /** One of `Status`, or a number that only a newer library knows. */
  readonly status: number;
  /** Name of the status, as "STALE_SUMS"; "UNKNOWN" for a number that is none. */
  readonly statusName: string;
  /** Index of the feature; for BAD_RULE the part of the rules, as PKR_RULES_* in pocketrank.h. */
  readonly feature: number | null;
  /** Index of the candidate; for BAD_RULE the index of the element. */
  readonly candidate: number | null;
  /** Byte within the file, or the bytes or elements that would have been enough. */
  readonly offset: number | null;
}
