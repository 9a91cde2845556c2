// A scratch of the library and the calls that need one.
import { Handle } from "./handle.js";
import { Block } from "./memory.js";
import { Outputs, wanted } from "./ranking.js";
import { Request } from "./request.js";
import { Session } from "./session.js";
import { PocketrankError, Status } from "./status.js";

/** Address of `request` for `model`, an error if it is none. */
export function addressOf(request, model) {
  if (request instanceof Request) return request._ready(model);
  throw new PocketrankError(Status.NULL_POINTER, "not a Request");
}

/** `candidate`, if it is an index: the library would get another number cut to one. */
export function candidateIndex(candidate) {
  if (Number.isInteger(candidate) && candidate >= 0 && candidate < 2 ** 32) return candidate;
  throw new PocketrankError(Status.BAD_INDEX, `candidate ${candidate}`);
}

export class Ranker extends Handle {
  #outputs;
  #given;
  #numGates = 0;

  constructor(model, candidatesMax) {
    super();
    const { _memory: memory, _pkr: pkr, _out: out } = model.library;
    model.library._check(pkr.pkr_scratch_bytes(model._at, candidatesMax, out));
    const bytes = memory.word(out);
    const scratch = new Block(memory, bytes);
    this.#outputs = new Outputs(memory);
    this.#given = new Block(memory);
    this.model = model;
    this.candidatesMax = candidatesMax;
    const status = pkr.pkr_scratch_init(model._at, candidatesMax, scratch.at, bytes, out);
    if (status !== Status.OK) scratch.free();
    model.library._check(status);
    const blocks = [scratch, this.#outputs, this.#given];
    this._open(model.library, "ranker", memory.word(out), blocks, pkr.pkr_scratch_close);
  }

  /** One call that makes a Ranking: `call(request, result)`, both addresses. */
  _rank(request, options, call) {
    const at = addressOf(request, this.model);
    const lengths = wanted(this.model, request, options, this.candidatesMax);
    const result = this.#outputs.ready(lengths);
    this.library._check(call(at, result), this.model);
    const ranking = this.#outputs.take(lengths, options?.into);
    ranking.numTasks = this.model.tasks.length;
    ranking.numTerms = request.formula?.numTerms ?? this.model.numTerms;
    return ranking;
  }

  rank(request, options) {
    const { _pkr: pkr, _detail: detail } = this.library;
    return this._rank(request, options, (at, result) => pkr.pkr_rank(this.model._at, this._at, at, result, detail));
  }

  score(request, into) {
    const { _pkr: pkr, _detail: detail } = this.library;
    const at = addressOf(request, this.model);
    const count = request._numOnly;
    const lengths = { order: 0, fused: 0, scores: count > this.candidatesMax ? 0 : count * this.model.tasks.length, terms: 0 };
    const result = this.#outputs.ready(lengths);
    this.library._check(pkr.pkr_score(this.model._at, this._at, at, result, detail), this.model);
    const ranking = this.#outputs.take(lengths, into);
    ranking.numTasks = this.model.tasks.length;
    ranking.numTerms = 0;
    return ranking;
  }

  order(request, scores, options) {
    const { _pkr: pkr, _detail: detail } = this.library;
    if (!(scores instanceof Float32Array)) throw new PocketrankError(Status.NULL_POINTER, "scores are a Float32Array");
    const given = this.#given.putFloats(scores);
    return this._rank(request, { ...options, scores: false }, (at, result) =>
      pkr.pkr_order(this.model._at, this._at, at, given, scores.length, result, detail),
    );
  }

  itemSums(request) {
    const at = addressOf(request, this.model);
    const bytes = request._numOnly * this.model.itemSumsBytes;
    return this.#fill("bytes", bytes, (out, detail) =>
      this.library._pkr.pkr_item_sums(this.model._at, this._at, at, out, bytes, detail),
    );
  }

  gates(request, candidate) {
    const at = addressOf(request, this.model);
    const index = candidateIndex(candidate);
    const call = (out, detail) => this.library._pkr.pkr_gates(this.model._at, this._at, at, index, out, this.#numGates, detail);
    try {
      return this.#fill("floats", this.#numGates, call);
    } catch (error) {
      // The first answer, "no room", says how many there are: tasks times experts.
      if (error.status !== Status.BUFFER_TOO_SMALL) throw error;
      this.#numGates = error.offset;
      return this.#fill("floats", this.#numGates, call);
    }
  }

  vectors(request, feature) {
    const at = addressOf(request, this.model);
    const index = this.model.featureIndex(feature);
    const n = request.numCandidates > this.candidatesMax ? 0 : request.numCandidates;
    const count = n * this.model.features[index].dim;
    const bytes = this.#fill("bytes", count, (out, detail) =>
      this.library._pkr.pkr_vectors(this.model._at, this._at, at, index, out, count, detail),
    );
    return new Int8Array(bytes.buffer);
  }

  session(request) {
    return new Session(this, request);
  }

  /** `count` elements of the library's view `kind` that `call(address, detail)` writes, as an array of the app. */
  #fill(kind, count, call) {
    const { _memory: memory, _detail: detail } = this.library;
    const size = kind === "bytes" ? 1 : 4;
    const block = new Block(memory, Math.max(count * size, 1));
    try {
      this.library._check(call(block.at, detail), this.model);
      return memory[kind].slice(block.at / size, block.at / size + count);
    } finally {
      block.free();
    }
  }
}
