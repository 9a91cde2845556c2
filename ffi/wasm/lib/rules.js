// Lists under rules.
import { NO_CANDIDATE, NO_KEY } from "./constants.js";
import { Block, list } from "./memory.js";
import { PocketrankError, Status } from "./status.js";
import { pkr_decay, pkr_list, pkr_pin, pkr_rules, pkr_slot, pkr_spacing } from "./structs.js";

// PKR_DIVERSITY_*, PKR_EXPLORATION_*
const DIVERSITY = { none: 0, mmr: 1, dpp: 2 };
const EXPLORATION = { none: 0, epsilon: 1, thompson: 2 };

function choice(choices, what, name) {
  if (Object.hasOwn(choices, name)) return choices[name];
  throw new PocketrankError(Status.BAD_OPTION, `${what} "${name}"`);
}

/** Writes rules where the library reads them, in blocks that `blocks` remembers. */
class Writer {
  #memory;
  blocks = [];

  constructor(memory) {
    this.#memory = memory;
  }

  block(bytes) {
    const block = new Block(this.#memory, bytes);
    this.blocks.push(block);
    return block;
  }

  words(at, layout, fields) {
    for (const [field, value] of Object.entries(fields)) this.#memory.setWord(at + layout[field], value);
  }

  floats(at, layout, fields) {
    for (const [field, value] of Object.entries(fields)) this.#memory.setFloat(at + layout[field], value);
  }

  /** Values of an array, and their count, into two fields; nothing for undefined. */
  array(at, layout, field, count, values, put) {
    if (values === undefined) return;
    const length = list(values, field).length;
    const block = this.block();
    put(block, values);
    this.words(at, layout, { [field]: length === 0 ? 0 : block.at, [count]: length });
  }

  /** An array of structs, each written by `write(address, element)`. */
  structs(at, field, count, layout, elements, write) {
    if (elements === undefined) return;
    const first = this.block(Math.max(layout.size * list(elements, field).length, 1)).at;
    elements.forEach((element, i) => {
      const own = first + layout.size * i;
      this.#memory.bytes.fill(0, own, own + layout.size);
      if (layout.struct_size !== undefined) this.#memory.setWord(own, layout.size);
      write(own, element);
    });
    this.words(at, pkr_rules, { [field]: elements.length === 0 ? 0 : first, [count]: elements.length });
  }

  rules({ spacings, decays, pins, blocked, hidden, factors, bonuses, diversity, exploration }) {
    const at = this.block().struct(pkr_rules);
    const floats = (block, values) => block.putFloats(values);
    const words = (block, values) => block.putWords(values);
    const keys = (own, layout, of) => this.array(own, layout, "keys", "num_keys", of, (block) => block.putLongs(of, NO_KEY));
    this.array(at, pkr_rules, "factors", "num_factors", factors, floats);
    this.array(at, pkr_rules, "bonuses", "num_bonuses", bonuses, floats);
    this.array(at, pkr_rules, "blocked", "num_blocked", blocked, words);
    this.array(at, pkr_rules, "hidden", "num_hidden", hidden, words);
    this.structs(at, "spacings", "num_spacings", pkr_spacing, spacings, (own, spacing) => {
      this.words(own, pkr_spacing, { max: spacing.max ?? 1, window: spacing.window });
      keys(own, pkr_spacing, spacing.keys);
    });
    this.structs(at, "decays", "num_decays", pkr_decay, decays, (own, decay) => {
      this.floats(own, pkr_decay, { factor: decay.factor, floor: decay.floor ?? 0 });
      keys(own, pkr_decay, decay.keys);
    });
    this.structs(at, "pins", "num_pins", pkr_pin, pins, (own, { position, candidate }) =>
      this.words(own, pkr_pin, { position, candidate }),
    );
    if (diversity !== undefined) {
      this.words(at, pkr_rules, { diversity: choice(DIVERSITY, "diversity", diversity.kind), dim: diversity.dim });
      this.floats(at, pkr_rules, { weight: diversity.weight });
      this.array(at, pkr_rules, "vectors", "num_vector_values", diversity.vectors, (block, values) => block.putBytes(values));
    }
    if (exploration !== undefined) {
      this.words(at, pkr_rules, { exploration: choice(EXPLORATION, "exploration", exploration.kind) });
      this.floats(at, pkr_rules, { epsilon: exploration.epsilon ?? 0 });
      this.#memory.setLong(at + pkr_rules.seed, exploration.seed ?? 0);
      this.array(at, pkr_rules, "sigma", "num_sigma", exploration.sigma, floats);
    }
    return at;
  }
}

/** A list of `numSlots` positions: the best by `fused` under `rules`. */
export function rerank(library, rules, fused, numSlots) {
  const { _memory: memory, _pkr: pkr, _detail: detail, _out: out } = library;
  const writer = new Writer(memory);
  try {
    const scores = writer.block();
    scores.putFloats(list(fused, "fused"));
    library._check(pkr.pkr_rerank_bytes(fused.length, numSlots, rules.diversity?.dim ?? 0, out));
    const bytes = memory.word(out);
    const work = writer.block(bytes);
    const slots = writer.block(pkr_slot.size * numSlots);
    const at = writer.block().struct(pkr_list);
    writer.words(at, pkr_list, { slot_bytes: pkr_slot.size, slots: slots.at, num_slots: numSlots });
    const rulesAt = writer.rules(rules);
    library._check(pkr.pkr_rerank(rulesAt, scores.at, fused.length, work.at, bytes, at, detail));
    return {
      slots: Array.from({ length: numSlots }, (_, i) => slot(memory, slots.at + pkr_slot.size * i)),
      placed: memory.word(at + pkr_list.placed),
      relaxed: memory.word(at + pkr_list.relaxed),
      kept: memory.word(at + pkr_list.kept),
      steps: Number(memory.longs[(at + pkr_list.steps) >> 3]),
    };
  } finally {
    for (const block of writer.blocks) block.free();
  }
}

function slot({ words, floats }, at) {
  const word = (field) => words[(at + pkr_slot[field]) >> 2];
  const float = (field) => floats[(at + pkr_slot[field]) >> 2];
  return {
    candidate: word("candidate") === NO_CANDIDATE ? null : word("candidate"),
    relaxed: word("relaxed"),
    score: float("score"),
    propensity: float("propensity"),
    boost: float("boost"),
    decay: float("decay"),
    similarity: float("similarity"),
  };
}
