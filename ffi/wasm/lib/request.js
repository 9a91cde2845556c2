// One request: columns by feature and what else it says. It is written where the library reads it, so a request that is used
// for the next screen costs no new memory.
import { MISSING_ID, MISSING_ROW } from "./constants.js";
import { Handle } from "./handle.js";
import { Block, list } from "./memory.js";
import { PocketrankError, Status } from "./status.js";
import { UserState } from "./state.js";
import { pkr_column, pkr_request } from "./structs.js";

// PKR_FORM_*
const FORM = { missing: 0, ids: 1, text: 2, rows: 3, floats: 4, bytes: 5 };
const STRICT = 1;
const WORD_MAX = 0xffffffff;

/** Lists one behind the other: values, and where each list begins. */
function flat(values, weights) {
  const listOffsets = new Uint32Array(values.length + 1);
  values.forEach((list, i) => (listOffsets[i + 1] = listOffsets[i] + (list?.length ?? 0)));
  return { values: values.flatMap((list) => list ?? []), listOffsets, weights: weights?.flatMap((list) => list ?? []) };
}

export class Request extends Handle {
  #memory;
  #struct;
  #columns;
  #parts; // blocks of each column: values, text offsets, list offsets, weights
  #state;
  #formula = null;
  #blocks; // of what stands in the struct itself
  #copied; // a state that is not a UserState

  constructor(model) {
    super();
    const memory = model.library._memory;
    model._at; // an error if it is closed
    const block = (bytes) => new Block(memory, bytes);
    this.model = model;
    this.#memory = memory;
    this.#struct = block();
    this.#columns = block(pkr_column.size * model.features.length);
    this.#blocks = { weights: block(), only: block(), itemSums: block(), slots: block(), without: block(), state: block() };
    this.#parts = model.features.map(() => [block(), block(), block(), block()]);
    const all = [this.#struct, this.#columns, ...Object.values(this.#blocks), ...this.#parts.flat()];
    this._open(model.library, "request", this.#struct.struct(pkr_request), all);
    this.clear();
  }

  /** Everything as in a new request; memory stays for what comes. */
  clear() {
    this._at; // an error once closed
    this.#struct.struct(pkr_request);
    this.#state = null;
    this.#copied = false;
    this.#formula = null;
    this.#word("columns", this.#columns.at);
    this.#word("num_columns", this.model.features.length);
    for (const { index } of this.model.features) this.#column(index, FORM.missing, 0);
  }

  #word(field, value) {
    this.#memory.setWord(this._at + pkr_request[field], value);
  }

  #number(field, value) {
    if (!Number.isInteger(value) || value < 0 || value > WORD_MAX) {
      throw new PocketrankError(Status.BAD_OPTION, `${field} ${value}`);
    }
    this.#word(field, value);
  }

  get numCandidates() {
    return this.#memory.word(this._at + pkr_request.num_candidates);
  }

  set numCandidates(count) {
    this.#number("num_candidates", count);
  }

  get maxCandidates() {
    return this.#memory.word(this._at + pkr_request.max_candidates);
  }

  set maxCandidates(count) {
    this.#number("max_candidates", count);
  }

  get time() {
    return Number(this.#memory.data.getBigInt64(this._at + pkr_request.time, true));
  }

  set time(seconds) {
    this.#memory.setLong(this._at + pkr_request.time, seconds);
  }

  get strict() {
    return this.#memory.word(this._at + pkr_request.flags) === STRICT;
  }

  set strict(strict) {
    this.#word("flags", strict ? STRICT : 0);
  }

  // ---- Columns ----

  /** A column in the form that its feature takes: numbers, vectors, texts (if the values are strings), or ids. */
  set(feature, values, options) {
    const { kind } = this.model.features[this.model.featureIndex(feature)];
    if (kind === "number") this.floats(feature, values);
    else if (kind === "vector") this.bytes(feature, values);
    else if (!ArrayBuffer.isView(values) && Array.isArray(values) && isText(values)) this.text(feature, values, options);
    else this.ids(feature, values, options);
  }

  ids(feature, values, options) {
    this.#listed(feature, FORM.ids, values, options, (parts, all) => {
      parts[0].putLongs(all, MISSING_ID);
      return all.length;
    });
  }

  text(feature, values, options) {
    if (values?.bytes instanceof Uint8Array) {
      const bytes = values.bytes;
      const offsets = list(values.offsets, "offsets");
      this.#listed(
        feature,
        FORM.text,
        [],
        options,
        (parts) => {
          parts[0].putBytes(bytes);
          parts[1].putWords(offsets);
          return bytes.length;
        },
        offsets.length,
      );
      return;
    }
    this.#listed(feature, FORM.text, values, options, (parts, all) => parts[0].putTexts(all, parts[1]));
  }

  rows(feature, values, options) {
    this.#listed(feature, FORM.rows, values, options, (parts, all) => {
      parts[0].putWords(Array.isArray(all) ? all.map((row) => row ?? MISSING_ROW) : all);
      return all.length;
    });
  }

  floats(feature, values) {
    const all = list(values, "values");
    const index = this.model.featureIndex(feature);
    this.#parts[index][0].putFloats(Array.isArray(all) ? all.map((number) => number ?? NaN) : all);
    this.#column(index, FORM.floats, all.length);
  }

  bytes(feature, values) {
    const index = this.model.featureIndex(feature);
    this.#parts[index][0].putBytes(list(values, "values"));
    this.#column(index, FORM.bytes, values.length);
  }

  missing(feature) {
    this.#column(this.model.featureIndex(feature), FORM.missing, 0);
  }

  /** Ids, texts or rows, one a value or in lists: nested, or with `listOffsets`. `put` writes them and says how many. */
  #listed(feature, form, values, { listOffsets, weights } = {}, put, numOffsets) {
    const index = this.model.featureIndex(feature);
    let all = list(values, "values");
    if (Array.isArray(all) && all.some((value) => Array.isArray(value) || ArrayBuffer.isView(value))) {
      if (listOffsets !== undefined) throw new PocketrankError(Status.BAD_OFFSETS, "lists of lists with listOffsets");
      ({
        values: all,
        listOffsets,
        weights,
      } = flat(
        all.map((value) => value && [...value]),
        weights?.map((of) => of && [...of]),
      ));
    }
    const parts = this.#parts[index];
    this.#column(index, FORM.missing, 0);
    const count = put(parts, all);
    if (listOffsets !== undefined) parts[2].putWords(list(listOffsets, "listOffsets"));
    if (weights !== undefined) parts[3].putFloats(list(weights, "weights"));
    const offsets = form === FORM.text ? (numOffsets ?? all.length + 1) : 0;
    this.#column(index, form, count, offsets, listOffsets?.length ?? 0, weights?.length ?? 0);
  }

  #column(index, form, count, numOffsets = 0, numLists = 0, numWeights = 0) {
    this._at; // an error once closed
    const [values, offsets, lists, weights] = this.#parts[index];
    // An empty column has somewhere to be: with NULL in every pointer it would be missing.
    const valuesAt = form === FORM.missing ? 0 : values.reserve(count);
    const { words } = this.#memory;
    let at = (this.#columns.at + pkr_column.size * index) >> 2;
    words[at++] = pkr_column.size;
    words[at++] = form;
    words[at++] = valuesAt;
    words[at++] = count;
    for (const [block, len] of [
      [offsets, numOffsets],
      [lists, numLists],
      [weights, numWeights],
    ]) {
      words[at++] = len === 0 ? 0 : block.at;
      words[at++] = len;
    }
  }

  // ---- What else a request says ----

  get state() {
    return this.#state;
  }

  /** A UserState, bytes of one (copied), or null: a user without a past. */
  set state(state) {
    const known = state === null || state instanceof UserState || state instanceof Uint8Array;
    if (!known) throw new PocketrankError(Status.NULL_POINTER, "a state is a UserState, a Uint8Array or null");
    if (state instanceof UserState && state.library !== this.library) throw foreign("state");
    this.#copied = state instanceof Uint8Array;
    if (this.#copied) this.#blocks.state.putBytes(state);
    this.#state = state;
  }

  get formula() {
    return this.#formula;
  }

  set formula(formula) {
    if (formula !== null && formula?._formula === undefined) throw new PocketrankError(Status.NULL_POINTER, "not a formula");
    if (formula !== null && formula.library !== this.library) throw foreign("formula");
    // The file's own formula is what a request without one has.
    this.#formula = formula;
  }

  /** Weights of the fusion's terms, or of its formula; null: those of the file. */
  set weights(weights) {
    this.#array("weights", "num_weights", this.#blocks.weights, weights, "putFloats");
  }

  /** Indices of the candidates to score, increasing; null: all. */
  set only(candidates) {
    this.#array("only", "num_only", this.#blocks.only, candidates, "putWords");
  }

  /** Features to leave out, by name or index; null: none. */
  set without(features) {
    const indices = features === null ? null : Array.from(features, (feature) => this.model.featureIndex(feature));
    this.#array("without", "num_without", this.#blocks.without, indices?.length === 0 ? null : indices, "putWords");
  }

  /** Kept sums, and the slot of each candidate (`NO_SLOT`: computed anew; undefined: candidate i has slot i); null: none. */
  setItemSums(sums, slots) {
    this.#array("item_sums", "item_sums_bytes", this.#blocks.itemSums, sums, "putBytes");
    this.#array("item_slots", "num_item_slots", this.#blocks.slots, sums === null ? null : (slots ?? null), "putWords");
  }

  /** Candidates that `only` names, or all. */
  get _numOnly() {
    const word = (field) => this.#memory.word(this._at + pkr_request[field]);
    return word("only") === 0 ? word("num_candidates") : word("num_only");
  }

  #array(field, count, block, values, put) {
    const at = values === null ? 0 : block[put](list(values, field));
    this.#word(field, at);
    this.#word(count, values?.length ?? 0);
  }

  /** Address for the library: now, since a state or formula may have been closed meanwhile. */
  _ready(model) {
    if (model !== this.model) throw new PocketrankError(Status.BAD_OPTION, "a request belongs to the model it was made for");
    const state = this.#state;
    this.#word("state", state === null ? 0 : this.#copied ? this.#blocks.state.at : state._at);
    this.#word("state_bytes", state === null ? 0 : this.#copied ? state.length : state.model.stateBytes);
    this.#word("formula", this.#formula?._formula ?? 0);
    return this._at;
  }
}

/** Whether ids are texts: the first that is there tells. */
function isText(values) {
  for (const value of values) {
    if (Array.isArray(value)) {
      if (value.length > 0) return isText(value);
    } else if (value !== null && value !== undefined) {
      return typeof value === "string";
    }
  }
  return false;
}

const foreign = (what) => new PocketrankError(Status.BAD_OPTION, `this ${what} is of another instance of the library`);
