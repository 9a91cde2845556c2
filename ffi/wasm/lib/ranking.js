// Where results go: blocks of the library's memory, and arrays of the app that they are copied to.
import { Block } from "./memory.js";
import { PocketrankError, Status } from "./status.js";
import { pkr_result } from "./structs.js";

/** `array` if it has `length` elements, or a part of its buffer, or a new one. */
function fit(array, length) {
  if (array.length === length) return array;
  const Type = array.constructor;
  return array.buffer.byteLength >= length * Type.BYTES_PER_ELEMENT ? new Type(array.buffer, 0, length) : new Type(length);
}

/** One ranking. Its arrays belong to it and stay valid, until it is passed as `into` of another call. */
export class Ranking {
  order = new Uint32Array(0);
  fused = new Float32Array(0);
  scores = new Float32Array(0);
  terms = new Float32Array(0);
  numTasks = 0;
  numTerms = 0;
  scored = 0;
  missing = 0;
  notFinite = 0;
  unknownIds = 0;
  cutLists = 0;

  /** Scores of one candidate, by task. */
  scoresOf(candidate) {
    return this.scores.subarray(candidate * this.numTasks, (candidate + 1) * this.numTasks);
  }

  /** Terms of one candidate's fused score, whose sum it is. */
  termsOf(candidate) {
    return this.terms.subarray(candidate * this.numTerms, (candidate + 1) * this.numTerms);
  }
}

/** The outputs of a ranker, all in memory that is used again. */
export class Outputs {
  #memory;
  #struct;
  #order;
  #fused;
  #scores;
  #terms;

  constructor(memory) {
    this.#memory = memory;
    this.#struct = new Block(memory);
    this.#order = new Block(memory);
    this.#fused = new Block(memory);
    this.#scores = new Block(memory);
    this.#terms = new Block(memory);
  }

  /** Address of a pkr_result for what is wanted: lengths in elements. */
  ready(lengths) {
    const at = this.#struct.struct(pkr_result);
    const place = (block, field, length) => {
      if (length === 0) return;
      const address = block.reserve(4 * length);
      this.#memory.setWord(at + pkr_result[field], address);
      this.#memory.setWord(at + pkr_result[`${field}_len`], length);
    };
    place(this.#order, "order", lengths.order);
    place(this.#fused, "fused", lengths.fused);
    place(this.#scores, "scores", lengths.scores);
    place(this.#terms, "terms", lengths.terms);
    return at;
  }

  take(lengths, into = new Ranking()) {
    if (!(into instanceof Ranking)) throw new PocketrankError(Status.BAD_OPTION, "into is not a Ranking");
    const { words, floats } = this.#memory;
    const copy = (array, all, block, length) => {
      const out = fit(array, length);
      if (length > 0) out.set(all.subarray(block.at >> 2, (block.at >> 2) + length));
      return out;
    };
    into.order = copy(into.order, words, this.#order, lengths.order);
    into.fused = copy(into.fused, floats, this.#fused, lengths.fused);
    into.scores = copy(into.scores, floats, this.#scores, lengths.scores);
    into.terms = copy(into.terms, floats, this.#terms, lengths.terms);
    const word = (field) => words[(this.#struct.at + pkr_result[field]) >> 2];
    into.scored = word("scored");
    into.missing = word("missing");
    into.notFinite = word("not_finite");
    into.unknownIds = word("unknown_ids");
    into.cutLists = word("cut_lists");
    return into;
  }

  free() {
    for (const block of [this.#struct, this.#order, this.#fused, this.#scores, this.#terms]) block.free();
  }
}

/** How many elements of each output `options` want of `request`. */
export function wanted(model, request, { top = Infinity, fused = true, scores = true, terms = true } = {}, most) {
  // More candidates than the ranker was made for: the library says so, and no memory is looked for.
  const n = request.numCandidates > most ? 0 : request.numCandidates;
  if (!(top >= 0)) throw new PocketrankError(Status.BAD_OPTION, `top ${top}`);
  return {
    order: Math.min(n, Math.floor(top)),
    fused: fused ? n : 0,
    scores: scores ? n * model.tasks.length : 0,
    terms: terms ? n * (request.formula?.numTerms ?? model.numTerms) : 0,
  };
}
