/**
 * pocketrank: multi-objective ranking on the device. README.md has the guide.
 *
 * Rules of all classes:
 * - Whatever goes wrong throws a PocketrankError. On any error of a ranking, keep the order that the server sent.
 * - An instance of WebAssembly has memory of its own that no other thread sees: each worker loads the library (`module` of
 *   another instance can be posted to it, compiled) and opens its models.
 * - What is opened or made is closed by `close()`, which does nothing the second time. Anything else on a closed object
 *   throws STALE. The garbage collector closes nothing.
 * - Indices and names are the same thing wherever a `Named` is taken.
 */

/** A name, or an index from 0 on. */
export type Named = string | number;

/** Unsigned 64-bit ids: bigints, or whole numbers up to 2^53. null is a missing id. */
export type Id = bigint | number | null;

type Numbers<T> = ArrayLike<T>;

/** Where the library is: an address, its bytes, a response, or a compiled module. */
export type Source = string | URL | ArrayBuffer | ArrayBufferView | WebAssembly.Module | Response | Promise<Response>;

export { PocketrankError, Status } from "./lib/status.js";

/** Of `Request.setItemSums`: this candidate's sums were not kept. */
export declare const NO_SLOT: 4294967295;

/** A key of spacings and decays that no other candidate shares; null means the same. */
export declare const NO_KEY: bigint;

/** One instance of the library. */
export declare class Pocketrank {
  private constructor();
  /**
   * Loads the library: from pocketrank.wasm beside this package, or from `source`. Needs WebAssembly with 128-bit vectors:
   * Chrome 91, Firefox 89, Safari 16.4, Node 16.4.
   */
  static load(source?: Source): Promise<Pocketrank>;
  /** The compiled module, which may be posted to a worker. */
  readonly module: WebAssembly.Module;
  readonly abiVersion: number;
  /** Version of the library, as "0.1.0". */
  readonly version: string;
  /** Bytes of memory that the instance has taken. It grows while models are opened and requests get larger, never shrinks. */
  readonly memoryBytes: number;
  /** The library's name of a status, as "PKR_ERR_STALE". */
  statusName(status: number): string;
  /**
   * Opens a model; its bytes are copied once, as WebAssembly cannot look outside of its memory. Reads every byte.
   * Errors: 2xx to 4xx with the byte in `offset`. `cpu` "portable" runs plain code; scores are the same bits.
   */
  open(bytes: ArrayBuffer | ArrayBufferView, options?: { cpu?: "auto" | "portable" }): Model;
  /**
   * Makes a list of `numSlots` positions (1 to 4,096) from fused scores, negative infinity for candidates that were not
   * scored. Errors: BAD_RULE with the part of the rules in `feature` and its element in `candidate`; NOT_FINITE.
   */
  rerank(rules: Rules, fused: Numbers<number>, numSlots: number): List;
  /** XXH3-64 of a text id in UTF-8: what `ids` and keys take for features of texts, for apps that keep hashes. */
  hashText(text: string): bigint;
}

export interface FeatureInformation {
  readonly index: number;
  readonly name: string;
  /** "user": one value a request; all others: one a candidate. */
  readonly side: "user" | "item" | "candidate" | "cross";
  readonly kind: "id" | "ids" | "number" | "vector";
  readonly idType: "none" | "int" | "text";
  /** Computed from other features or the user's state: its column must stay missing. */
  readonly derived: boolean;
  /** Ids of a list that are used; 1 for all but lists. */
  readonly maxLen: number;
  /** A list takes weights. */
  readonly weighted: boolean;
  /** Bytes of a vector, values of an embedding row; 1 for a number without buckets. */
  readonly dim: number;
  /** Rows of its table; 0 without one. */
  readonly numEmbeddings: number;
}

export interface TaskInformation {
  readonly index: number;
  readonly name: string;
  /** "binary": scores are probabilities; "duration": durations in `unit`. */
  readonly kind: "binary" | "duration";
  /** Index of the task whose positives this one is conditional on; null: per impression. */
  readonly given: number | null;
  readonly unit: string;
}

export interface TermInformation {
  readonly index: number;
  readonly name: string;
  /** Task index. */
  readonly task: number;
  /** Uses the score per impression, not the conditional one. */
  readonly entire: boolean;
  /** Weight in the file. */
  readonly weight: number;
}

export interface LabelInformation {
  readonly index: number;
  readonly name: string;
  /** The state keeps ln(1 + value). */
  readonly log1p: boolean;
}

/** An open model. Immutable. */
export declare class Model {
  private constructor();
  readonly library: Pocketrank;
  readonly name: string;
  /** XXH3-64 of the file. */
  readonly digest: bigint;
  /** Instruction set that runs: "wasm-simd128" or "portable". */
  readonly isa: string;
  /** Candidates that a request may have at most. */
  readonly candidatesMax: number;
  /** Bytes of a user's state; 0: the model has no derived features. */
  readonly stateBytes: number;
  /** Bytes of one item's kept sums; 0: it has no item features. */
  readonly itemSumsBytes: number;
  /** Terms of the fusion, by `terms` or by `formula`. */
  readonly numTerms: number;
  readonly features: readonly FeatureInformation[];
  readonly tasks: readonly TaskInformation[];
  /** Weighted terms of the fusion: the meaning of a request's `weights`. Empty if the file has a formula. */
  readonly terms: readonly TermInformation[];
  readonly labels: readonly LabelInformation[];
  /** The file's formula; null if its fusion is a weighted sum. */
  readonly formula: Fusion | null;
  /** Indices of names. The library is asked once for each name. Errors: UNKNOWN_FEATURE, UNKNOWN_TASK, UNKNOWN_LABEL. */
  featureIndex(feature: Named): number;
  taskIndex(task: Named): number;
  termIndex(term: Named): number;
  labelIndex(label: Named): number;
  /** Row of an id, for `Request.rows`; 0 for an id that the model does not know. Errors: WRONG_FORM, MISSING_VALUE. */
  rowOf(feature: Named, value: Id | string): number;
  /** An empty request, to be used for one screen after another. */
  request(): Request;
  /** Working memory for requests of up to `candidatesMax` candidates; the model's limit if not given. */
  ranker(candidatesMax?: number): Ranker;
  /** The state of a user without a past, or one that was kept. Errors: STATE_LAYOUT for another number of bytes. */
  state(bytes?: Uint8Array): UserState;
  /**
   * Opens a formula that was shipped apart, for this model alone; its bytes are copied.
   * Errors: 2xx, 3xx, FORMULA_INPUT, FORMULA_CODE, FORMULA_COST, FORMULA_RANGE.
   */
  openFormula(bytes: ArrayBuffer | ArrayBufferView): Formula;
  readonly closed: boolean;
  /** Gives its memory back. Rankers, states, sessions and formulas of it are useless then, but are still closed each. */
  close(): void;
}

/** What a formula tells and does. */
export interface Fusion {
  readonly model: Model;
  /** The text that it was made of. */
  readonly text: string;
  /** What a candidate costs, in additions; at most 1,024. */
  readonly cost: number;
  readonly numWeights: number;
  readonly numTerms: number;
  /** Texts of the addends: the meaning of a ranking's `terms`. */
  readonly terms: readonly string[];
  readonly weights: readonly {
    readonly index: number;
    readonly name: string;
    /** Unless a request has another. */
    readonly value: number;
    readonly least: number;
    readonly most: number;
  }[];
  /** Errors: UNKNOWN_TASK. */
  weightIndex(name: string): number;
  /**
   * Weights to try on one user: each of the formula (or of `weights`) times e^(sigma z), within its bounds, where z is
   * standard normal and follows from `seed` (the user), `salt` (the experiment) and the weight's name. Log them with the
   * list. Errors: BAD_WEIGHT, also for a sigma outside [0, 4].
   */
  perturb(options: { seed: bigint | number; salt?: bigint | number; sigma: number; weights?: Numbers<number> }): Float32Array;
}

/** A formula that was shipped apart from its model. */
export declare class Formula implements Fusion {
  private constructor();
  readonly library: Pocketrank;
  readonly model: Model;
  readonly text: string;
  readonly cost: number;
  readonly numWeights: number;
  readonly numTerms: number;
  readonly terms: Fusion["terms"];
  readonly weights: Fusion["weights"];
  weightIndex(name: string): number;
  perturb(options: Parameters<Fusion["perturb"]>[0]): Float32Array;
  readonly closed: boolean;
  close(): void;
}

/** Lists one behind the other: list i is values `listOffsets[i]` to `listOffsets[i + 1]`. */
export interface ListOptions {
  listOffsets?: Numbers<number>;
  /** Of a weighted feature, one in [0, 1] an id. */
  weights?: Numbers<number>;
}

/** Weights beside nested lists, nested in the same way. */
export interface NestedOptions {
  weights?: readonly (Numbers<number> | null)[];
}

/**
 * One request. It keeps what it was told until it is told otherwise, so for the next screen only what changed is set. Columns
 * have one value (or one list) for a feature of the user's side, one a candidate for all others; a column that was not set is
 * missing. Values are copied. What does not fit the feature or the candidates is an error of the ranking, with its feature.
 */
export declare class Request {
  private constructor();
  readonly library: Pocketrank;
  readonly model: Model;
  /** 1 to what the ranker was made for. */
  numCandidates: number;
  /** Candidates to score at most: a deadline turned into a count. The others keep their order behind them. 0: all. */
  maxCandidates: number;
  /** Unix seconds. */
  get time(): number;
  set time(seconds: number | bigint);
  /** Missing, infinite and unknown values are errors (506 to 508) instead of being counted. */
  strict: boolean;
  /** A column in the form that its feature takes. null is a missing value, an array a list. */
  set(feature: Named, values: Numbers<Id> | readonly (string | null)[] | Numbers<number | null>): void;
  set(feature: Named, values: Numbers<Id> | readonly (string | null)[], options: ListOptions): void;
  set(feature: Named, values: readonly (Numbers<Id> | readonly string[] | null)[], options?: NestedOptions): void;
  /** Ids of a table of ints, or hashes of texts. */
  ids(feature: Named, values: Numbers<Id>, options?: ListOptions): void;
  ids(feature: Named, values: readonly (Numbers<Id> | null)[], options?: NestedOptions): void;
  /** Texts, or UTF-8 in which id i is bytes `offsets[i]` to `offsets[i + 1]`. */
  text(
    feature: Named,
    values: readonly (string | null)[] | { bytes: Uint8Array; offsets: Numbers<number> },
    options?: ListOptions,
  ): void;
  text(feature: Named, values: readonly (readonly string[] | null)[], options?: NestedOptions): void;
  /** Rows that `Model.rowOf` found. */
  rows(feature: Named, values: Numbers<number | null>, options?: ListOptions): void;
  rows(feature: Named, values: readonly (Numbers<number> | null)[], options?: NestedOptions): void;
  /** Numbers; NaN and null are missing. */
  floats(feature: Named, values: Numbers<number | null>): void;
  /** Bytes 0 to 127 of vectors on the model's grid, `dim` a value. */
  bytes(feature: Named, values: Numbers<number>): void;
  missing(feature: Named): void;
  /** A UserState, bytes of one, or null: a user without a past. */
  state: UserState | Uint8Array | null;
  /** Takes the place of the file's fusion; null: none does. */
  formula: Fusion | null;
  /** Of the fusion's terms, or of its formula; null: those of the file. */
  set weights(weights: Numbers<number> | null);
  /** Candidates to score, by increasing index; null: all. */
  set only(candidates: Numbers<number> | null);
  /** Features to leave out: the difference is what they do to an order. null: none. Not together with item sums. */
  set without(features: Iterable<Named> | null);
  /**
   * Item sums that were kept, and the slot of each candidate (NO_SLOT: computed anew; not given: candidate i has slot i).
   * null: none. Errors of the ranking: STALE_SUMS with the candidate, after a model update or if a byte was changed.
   */
  setItemSums(sums: Uint8Array | null, slots?: Numbers<number>): void;
  /** As a new request; memory stays for what comes. */
  clear(): void;
  readonly closed: boolean;
  close(): void;
}

export interface RankOptions {
  /** Best candidates wanted in `order`; all if not given. */
  top?: number;
  /** Which outputs are wanted besides; all if not given. */
  fused?: boolean;
  scores?: boolean;
  terms?: boolean;
  /** A ranking of before, whose arrays are used again. */
  into?: Ranking;
}

/** One ranking. Its arrays are the app's; with `into` they are used again and change. */
export declare class Ranking {
  constructor();
  /** Candidates by their index, best first; equal ones by index. */
  order: Uint32Array;
  /** Fused scores by candidate; negative infinity for those not scored. */
  fused: Float32Array;
  /** `[candidates, numTasks]` row by row; 0 for those not scored. */
  scores: Float32Array;
  /** `[candidates, numTerms]` row by row. A fused score is their sum as floats in their order, to the bit. */
  terms: Float32Array;
  numTasks: number;
  numTerms: number;
  /** Candidates scored. */
  scored: number;
  /** Values that were missing and took their default. */
  missing: number;
  /** Numbers that were infinite and were clamped. */
  notFinite: number;
  /** Ids and rows outside their table, which took row 0. */
  unknownIds: number;
  /** Lists that were cut to their feature's `maxLen`. */
  cutLists: number;
  /** Views of one candidate's scores and terms. */
  scoresOf(candidate: number): Float32Array;
  termsOf(candidate: number): Float32Array;
}

/** Working memory for requests, and the calls that need it. */
export declare class Ranker {
  private constructor();
  readonly library: Pocketrank;
  readonly model: Model;
  readonly candidatesMax: number;
  /**
   * Scores and orders the candidates. Linear in them; allocates nothing once its memory is as large as the largest request.
   * Errors: 5xx with feature and candidate, 6xx for the state.
   */
  rank(request: Request, options?: RankOptions): Ranking;
  /** Scores alone: a row of `scores` for each candidate of `only`, in their order. */
  score(request: Request, into?: Ranking): Ranking;
  /** The order of candidates by scores of `score` (all of them): `order`, `fused` and `terms` as `rank` gives them. */
  order(request: Request, scores: Float32Array, options?: Omit<RankOptions, "scores">): Ranking;
  /** What the first layer makes of the candidates' item features, `itemSumsBytes` each, to be kept for later requests. */
  itemSums(request: Request): Uint8Array;
  /** Shares of the experts in every task's mixture for one candidate, `[tasks, experts]`; each row adds up to 1. */
  gates(request: Request, candidate: number): Float32Array;
  /** What a feature is to the network for every candidate, `dim` values each: `vectors` of a diversity rule. */
  vectors(request: Request, feature: Named): Int8Array;
  /** Begins a session of all candidates of `request`, of which the state and the item columns are read. */
  session(request: Request): Session;
  readonly closed: boolean;
  /** Wipes its memory and gives it back. */
  close(): void;
}

/** One label of one past impression, as it becomes known. */
export interface Event {
  label: Named;
  /** When it became known, Unix seconds. */
  time: number | bigint;
  /** 0 or 1 for binary labels; 1 if not given. */
  value?: number;
  /** What the impression showed, for the features that others use as keys: ids, texts or numbers by feature. */
  keys?: Readonly<Record<string, Id | string>> | Iterable<readonly [Named, Id | string]>;
}

/** What is remembered of a user: plain bytes that the app may store. */
export declare class UserState {
  private constructor();
  readonly library: Pocketrank;
  readonly model: Model;
  /** A user without a past. */
  reset(): void;
  /** Adds an event, in the order in which they became known. Errors: 6xx, UNKNOWN_FEATURE, WRONG_FORM. */
  apply(event: Event): void;
  /** A copy. */
  bytes(): Uint8Array;
  readonly closed: boolean;
  close(): void;
}

/** A feed while it is shown: orders of what is left, with the bits of fresh requests. */
export declare class Session {
  private constructor();
  readonly library: Pocketrank;
  readonly model: Model;
  readonly ranker: Ranker;
  /** What the user did. The cost depends neither on candidates nor on the past. */
  feedback(event: Event): void;
  /** Takes a candidate out of those still to be shown. Errors: BAD_INDEX. */
  shown(candidate: number): void;
  /** Orders what is left. `request` is that of the beginning with today's columns and time, and without a state. */
  rerank(request: Request, options?: RankOptions): Ranking;
  /** A copy of the state, to be kept when the feed ends. */
  state(): Uint8Array;
  readonly closed: boolean;
  close(): void;
}

/** A key of each candidate; null or NO_KEY is under no rule. */
export type Keys = Numbers<Id>;

/** Rules of one list: docs/reranking.md of the repository. Everything may be left out. */
export interface Rules {
  /** At most `max` (1) of a key in any `window` positions, 1 to 256; at most 8 of them, the most important first. */
  spacings?: readonly { keys: Keys; window: number; max?: number }[];
  /** Behind n of a key, (1 - floor) factor^n + floor of a score's distance above the least; at most 4. */
  decays?: readonly { keys: Keys; factor: number; floor?: number }[];
  /** Candidates with a position whatever the rules are. */
  pins?: readonly { position: number; candidate: number }[];
  /** Positions that stay empty. */
  blocked?: Numbers<number>;
  /** Candidates that get no position. */
  hidden?: Numbers<number>;
  /** By candidate, within [0, 1024]: multiplies its distance above the least score. */
  factors?: Numbers<number>;
  /** By candidate, added after that. */
  bonuses?: Numbers<number>;
  /** Unlike each other: "mmr" with a weight within [0, 1], "dpp" with one within [0, 1024]; vectors as of `Ranker.vectors`. */
  diversity?: { kind: "none" | "mmr" | "dpp"; weight: number; vectors: Int8Array; dim: number };
  /** Chance, the same for the same seed. `sigma`: deviation of each fused score. */
  exploration?: {
    kind: "none" | "epsilon" | "thompson";
    seed: bigint | number;
    epsilon?: number;
    sigma?: Numbers<number>;
  };
}

export interface List {
  slots: Slot[];
  /** Slots with a candidate. */
  placed: number;
  /** All slots' `relaxed`. */
  relaxed: number;
  /** Spacing rules that are kept wherever no pin breaks them: so many from the first on. */
  kept: number;
  /** Looks that it took to keep them. */
  steps: number;
}

/** What stands at one position, and why. */
export interface Slot {
  /** null: a blocked position, or no candidates are left. */
  candidate: number | null;
  /** Bit i: spacing rule i is broken here, since otherwise no list would have been possible. */
  relaxed: number;
  /** What the candidate was compared by. */
  score: number;
  /** Probability that it was taken here, given the slots before; 1 without exploration. */
  propensity: number;
  /** What boosts added. */
  boost: number;
  /** What decays multiplied its distance above the least score by. */
  decay: number;
  /** How similar it is to the slots before. */
  similarity: number;
}
