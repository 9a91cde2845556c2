// A fusion by a formula: that of a model's file, or one that was shipped apart.
import { Handle } from "./handle.js";
import { Block, fileBytes } from "./memory.js";
import { PocketrankError, Status } from "./status.js";
import { pkr_formula_information, pkr_weight_information } from "./structs.js";

/** What both kinds of formulas tell and do. To the library, the file's is NULL. */
class Fusion {
  get _formula() {
    return 0;
  }

  _read(model) {
    this.library = model.library;
    this.model = model;
    const { _memory: memory, _pkr: pkr, _out: out } = this.library;
    const info = pkr_formula_information;
    const numTerms = this.library._describe(
      info,
      (at) => pkr.pkr_formula_info(model._at, this._formula, at),
      (at) => {
        this.numWeights = memory.word(at + info.num_weights);
        this.cost = memory.word(at + info.cost);
        this.text = memory.text(memory.word(at + info.text), memory.word(at + info.text_bytes));
        return memory.word(at + info.num_terms);
      },
    );
    this.terms = Object.freeze(
      Array.from({ length: numTerms }, (_, index) => {
        this.library._check(pkr.pkr_term_text(model._at, this._formula, index, out, out + 4));
        return memory.text(memory.word(out), memory.word(out + 4));
      }),
    );
    const layout = pkr_weight_information;
    this.weights = Object.freeze(
      Array.from({ length: this.numWeights }, (_, index) =>
        this.library._describe(
          layout,
          (at) => pkr.pkr_weight_info(model._at, this._formula, index, at),
          (at) => {
            const float = (field) => memory.floats[(at + layout[field]) >> 2];
            const name = memory.text(memory.word(at + layout.name), memory.word(at + layout.name_bytes));
            return Object.freeze({ index, name, value: float("value"), least: float("least"), most: float("most") });
          },
        ),
      ),
    );
  }

  get numTerms() {
    return this.terms.length;
  }

  weightIndex(name) {
    const find = (at, bytes, out) => this.library._pkr.pkr_weight_index(this.model._at, this._formula, at, bytes, out);
    return this.library._index(find, String(name));
  }

  perturb({ seed, salt = 0, sigma, weights }) {
    const { _memory: memory, _pkr: pkr } = this.library;
    const long = (number) => {
      if (typeof number === "bigint" || Number.isSafeInteger(number)) return BigInt.asUintN(64, BigInt(number));
      throw new PocketrankError(Status.BAD_OPTION, `seed or salt ${number} is not an integer`);
    };
    const [given, out] = [new Block(memory), new Block(memory)];
    try {
      out.reserve(4 * this.numWeights);
      if (weights !== undefined) given.putFloats(weights);
      this.library._check(
        pkr.pkr_weights_perturb(
          this.model._at,
          this._formula,
          given.at,
          weights?.length ?? 0,
          long(seed),
          long(salt),
          sigma,
          out.at,
          this.numWeights,
        ),
      );
      return memory.floats.slice(out.at >> 2, (out.at >> 2) + this.numWeights);
    } finally {
      for (const block of [given, out]) block.free();
    }
  }
}

/** The formula of a model's file, or null if it has none or the library no formulas. */
export function fileFormula(model) {
  const formula = new Fusion();
  try {
    formula._read(model);
    return formula;
  } catch (error) {
    if (error.status === Status.UNKNOWN_TASK || error.status === Status.BAD_OPTION) return null;
    throw error;
  }
}

export class Formula extends Fusion {
  #handle = new Handle();

  constructor(model, bytes) {
    super();
    const { _memory: memory, _pkr: pkr, _detail: detail, _out: out } = model.library;
    const source = fileBytes(bytes);
    const [file, handle] = [new Block(memory), new Block(memory)];
    try {
      const handleBytes = pkr.pkr_formula_bytes();
      file.putBytes(source);
      handle.reserve(handleBytes);
      const status = pkr.pkr_formula_open(model._at, file.at, source.length, handle.at, handleBytes, out, detail);
      model.library._check(status, model);
      this.#handle._open(model.library, "formula", memory.word(out), [file, handle], pkr.pkr_formula_close);
    } catch (error) {
      for (const block of [file, handle]) block.free();
      throw error;
    }
    this._read(model);
  }

  get _formula() {
    return this.#handle._at;
  }

  get closed() {
    return this.#handle.closed;
  }

  /** Gives its memory back. Does nothing the second time. */
  close() {
    this.#handle.close();
  }
}
