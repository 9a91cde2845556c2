// An open model: what it holds, and what is made for it.
import { NOWHERE } from "./constants.js";
import { Formula, fileFormula } from "./formula.js";
import { Handle } from "./handle.js";
import { Block, fileBytes } from "./memory.js";
import { Ranker } from "./ranker.js";
import { Request } from "./request.js";
import { EventWriter, UserState } from "./state.js";
import { PocketrankError, Status } from "./status.js";
import {
  pkr_feature_information,
  pkr_label_information,
  pkr_model_information,
  pkr_open_options,
  pkr_requirements,
  pkr_task_information,
  pkr_term_information,
} from "./structs.js";

const CPUS = { auto: 0, portable: 1 };
// By PKR_SIDE_*, PKR_FEATURE_*, PKR_ID_*, PKR_TASK_*; a number that a newer library may know stays a number.
const SIDES = ["user", "item", "candidate", "cross"];
const FEATURES = ["id", "ids", "number", "vector"];
const IDS = ["none", "int", "text"];
const TASKS = ["binary", "duration"];
const named = (names, number) => names[number] ?? number;

export class Model extends Handle {
  #indices = { feature: new Map(), task: new Map(), term: new Map(), label: new Map() };

  constructor(library, bytes, { cpu = "auto" } = {}) {
    super();
    const { _memory: memory, _pkr: pkr, _detail: detail, _out: out } = library;
    const source = fileBytes(bytes);
    if (!Object.hasOwn(CPUS, cpu)) throw new PocketrankError(Status.BAD_OPTION, `cpu "${cpu}"`);
    const [file, handle, struct] = [new Block(memory), new Block(memory), new Block(memory)];
    try {
      file.putBytes(source);
      struct.struct(pkr_requirements);
      library._check(pkr.pkr_model_query(file.at, source.length, struct.at));
      const handleBytes = memory.word(struct.at + pkr_requirements.model_bytes);
      handle.reserve(handleBytes);
      struct.struct(pkr_open_options);
      memory.setWord(struct.at + pkr_open_options.cpu, CPUS[cpu]);
      library._check(pkr.pkr_model_open(file.at, source.length, handle.at, handleBytes, struct.at, out, detail));
    } catch (error) {
      for (const block of [file, handle]) block.free();
      throw error;
    } finally {
      struct.free();
    }
    this._open(library, "model", memory.word(out), [file, handle], pkr.pkr_model_close);
    this.#describe();
  }

  #describe() {
    const { _memory: memory, _pkr: pkr } = this.library;
    const info = pkr_model_information;
    const counts = this.library._describe(
      info,
      (at) => pkr.pkr_model_info(this._at, at),
      (at) => {
        this.name = memory.text(memory.word(at + info.name), memory.word(at + info.name_bytes));
        this.isa = memory.text(memory.word(at + info.isa), memory.word(at + info.isa_bytes));
        this.digest = memory.longs[(at + info.digest) >> 3];
        this.candidatesMax = memory.word(at + info.candidates_max);
        this.stateBytes = memory.word(at + info.state_bytes);
        this.itemSumsBytes = memory.word(at + info.item_sums_bytes);
        this.numTerms = memory.word(at + info.num_terms);
        return {
          features: memory.word(at + info.num_features),
          tasks: memory.word(at + info.num_tasks),
          labels: memory.word(at + info.num_labels),
        };
      },
    );
    const list = (count, layout, describe, take) =>
      Object.freeze(
        Array.from({ length: count }, (_, index) =>
          this.library._describe(
            layout,
            (at) => describe(this._at, index, at),
            (at) => {
              const word = (field) => memory.word(at + layout[field]);
              const text = (field) => memory.text(word(field), word(`${field}_bytes`));
              return Object.freeze({ index, name: text("name"), ...take(word, text, at) });
            },
          ),
        ),
      );
    this.features = list(counts.features, pkr_feature_information, pkr.pkr_feature_info, (word) => ({
      side: named(SIDES, word("side")),
      kind: named(FEATURES, word("kind")),
      idType: named(IDS, word("id_type")),
      derived: word("derived") === 1,
      maxLen: word("max_len"),
      weighted: word("weighted") === 1,
      dim: word("dim"),
      numEmbeddings: word("num_embeddings"),
    }));
    this.tasks = list(counts.tasks, pkr_task_information, pkr.pkr_task_info, (word, text) => ({
      kind: named(TASKS, word("kind")),
      given: word("given") === NOWHERE ? null : word("given"),
      unit: text("unit"),
    }));
    this.labels = list(counts.labels, pkr_label_information, pkr.pkr_label_info, (word) => ({ log1p: word("log1p") === 1 }));
    // A file with a formula has no terms to describe one by one: `formula` does.
    this.formula = fileFormula(this);
    const numTerms = this.formula === null ? this.numTerms : 0;
    this.terms = list(numTerms, pkr_term_information, pkr.pkr_term_info, (word, _, at) => ({
      task: word("task"),
      entire: word("entire") === 1,
      weight: memory.floats[(at + pkr_term_information.weight) >> 2],
    }));
  }

  /** Index of a name, which the library is asked for once; an index stays what it is if it exists. */
  #index(kind, list, find, name) {
    if (typeof name === "number") {
      if (Number.isInteger(name) && name >= 0 && name < list.length) return name;
      throw new PocketrankError(UNKNOWN[kind], `there is no ${kind} ${name}`);
    }
    const known = this.#indices[kind].get(name);
    if (known !== undefined) return known;
    const index = this.library._index((at, bytes, out) => find(this._at, at, bytes, out), String(name));
    this.#indices[kind].set(name, index);
    return index;
  }

  featureIndex(name) {
    return this.#index("feature", this.features, this.library._pkr.pkr_feature_index, name);
  }

  taskIndex(name) {
    return this.#index("task", this.tasks, this.library._pkr.pkr_task_index, name);
  }

  termIndex(name) {
    return this.#index("term", this.terms, this.library._pkr.pkr_term_index, name);
  }

  labelIndex(name) {
    return this.#index("label", this.labels, this.library._pkr.pkr_label_index, name);
  }

  rowOf(feature, value) {
    const { _pkr: pkr, _memory: memory, _out: out } = this.library;
    const writer = new EventWriter(this);
    try {
      this.library._check(pkr.pkr_row_of(this._at, writer.key(feature, value), out), this);
      return memory.word(out);
    } finally {
      writer.free();
    }
  }

  request() {
    return new Request(this);
  }

  ranker(candidatesMax = this.candidatesMax) {
    return new Ranker(this, candidatesMax);
  }

  state(bytes) {
    return new UserState(this, bytes);
  }

  openFormula(bytes) {
    return new Formula(this, bytes);
  }
}

const UNKNOWN = {
  feature: Status.UNKNOWN_FEATURE,
  task: Status.UNKNOWN_TASK,
  term: Status.UNKNOWN_TASK,
  label: Status.UNKNOWN_LABEL,
};
