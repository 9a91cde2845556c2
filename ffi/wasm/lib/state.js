// What is remembered of a user, and the events that change it.
import { MISSING_ID } from "./constants.js";
import { Handle } from "./handle.js";
import { Block, unsigned } from "./memory.js";
import { PocketrankError, Status } from "./status.js";
import { pkr_event, pkr_key } from "./structs.js";

const KEY_ID = 0;
const KEY_TEXT = 1;
const KEY_NUMBER = 2;

/** Writes events and keys for the library into blocks that it uses again. */
export class EventWriter {
  #model;
  #event;
  #keys;
  #texts = []; // one block a key that is a text

  constructor(model) {
    this.#model = model;
    this.#event = new Block(model.library._memory);
    this.#keys = new Block(model.library._memory);
  }

  /** Address of a pkr_event; valid until the next. */
  event({ label, time, value = 1, keys = {} }) {
    const memory = this.#model.library._memory;
    const index = this.#model.labelIndex(label);
    const entries = typeof keys[Symbol.iterator] === "function" ? [...keys] : Object.entries(keys);
    this.#keys.reserve(pkr_key.size * entries.length);
    entries.forEach(([feature, key], i) => this.#write(i, feature, key));
    const at = this.#event.struct(pkr_event);
    memory.setWord(at + pkr_event.label, index);
    memory.setLong(at + pkr_event.time, time);
    memory.setFloat(at + pkr_event.value, value);
    memory.setWord(at + pkr_event.keys, entries.length === 0 ? 0 : this.#keys.at);
    memory.setWord(at + pkr_event.num_keys, entries.length);
    return at;
  }

  /** Address of one pkr_key; valid until the next. */
  key(feature, value) {
    this.#keys.reserve(pkr_key.size);
    this.#write(0, feature, value);
    return this.#keys.at;
  }

  /** The form follows from what the value is and what the feature takes. null is a missing value. */
  #write(i, feature, value) {
    const memory = this.#model.library._memory;
    const index = this.#model.featureIndex(feature);
    const about = this.#model.features[index];
    const text = (this.#texts[i] ??= new Block(memory));
    const textBytes = typeof value === "string" ? text.putText(value) : 0;
    const at = this.#keys.at + pkr_key.size * i;
    memory.bytes.fill(0, at, at + pkr_key.size);
    memory.setWord(at, pkr_key.size);
    memory.setWord(at + pkr_key.feature, index);
    if (typeof value === "string") {
      memory.setWord(at + pkr_key.kind, KEY_TEXT);
      memory.setWord(at + pkr_key.text, text.at);
      memory.setWord(at + pkr_key.text_bytes, textBytes);
    } else if (about.kind === "number" && typeof value !== "bigint") {
      memory.setWord(at + pkr_key.kind, KEY_NUMBER);
      memory.setFloat(at + pkr_key.number, value ?? NaN);
    } else {
      memory.setWord(at + pkr_key.kind, KEY_ID);
      memory.setLong(at + pkr_key.id, unsigned(value ?? MISSING_ID));
    }
  }

  free() {
    for (const block of [this.#event, this.#keys, ...this.#texts]) block.free();
  }
}

export class UserState extends Handle {
  #events;
  #block;

  /** A user without a past, or with the past in `bytes`, which `bytes()` gave. */
  constructor(model, bytes) {
    super();
    const { _memory: memory } = model.library;
    model._at; // an error if it is closed
    if (bytes !== undefined && !(bytes instanceof Uint8Array)) {
      throw new PocketrankError(Status.NULL_POINTER, "a state is a Uint8Array");
    }
    if (bytes !== undefined && bytes.length !== model.stateBytes) {
      throw new PocketrankError(Status.STATE_LAYOUT, `a state of this model has ${model.stateBytes} bytes`);
    }
    this.model = model;
    this.#block = new Block(memory, Math.max(model.stateBytes, 1));
    this.#events = new EventWriter(model);
    this._open(model.library, "state", this.#block.at, [this.#block, this.#events]);
    if (bytes === undefined) this.reset();
    else memory.bytes.set(bytes, this.#block.at);
  }

  reset() {
    this.library._check(this.library._pkr.pkr_state_reset(this.model._at, this._at, this.model.stateBytes));
  }

  apply(event) {
    const { _pkr: pkr, _detail: detail } = this.library;
    const [model, state] = [this.model._at, this._at];
    const at = this.#events.event(event);
    this.library._check(pkr.pkr_state_apply(model, state, this.model.stateBytes, at, detail), this.model);
  }

  /** A copy, to be kept where the app keeps such things. */
  bytes() {
    return this.library._memory.bytes.slice(this._at, this._at + this.model.stateBytes);
  }
}
