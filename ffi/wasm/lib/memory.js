// The library's memory, cut into blocks by JS: the library itself never allocates. A WebAssembly instance sees only its own
// memory, so whatever a request needs is copied into blocks that stay and are used again.
import { PocketrankError, Status } from "./status.js";

const PAGE = 65536;
/** Growing replaces `memory.buffer` and empties every view of it; a megabyte at least makes that rare. */
const GROWTH = 16;
/** A cache line, and the alignment of every type. */
const ALIGNMENT = 64;
/** What a 32-bit address reaches. */
const BYTES_MAX = 2 ** 32;

/** Sizes come in four steps to a doubling, so that a freed block fits what is asked for next: at most a quarter is unused. */
function sizeClass(bytes) {
  if (bytes <= 4 * ALIGNMENT) return Math.ceil(Math.max(bytes, 1) / ALIGNMENT) * ALIGNMENT;
  const step = 2 ** Math.floor(Math.log2(bytes - 1)) / 4;
  return Math.ceil(bytes / step) * step;
}

export class Memory {
  #memory;
  #end;
  #free = new Map(); // size class: addresses

  /** `start`: the first byte that the library does not use itself. */
  constructor(memory, start) {
    this.#memory = memory;
    this.#end = Math.ceil(start / ALIGNMENT) * ALIGNMENT;
    this.#view();
  }

  /** Views of all memory. They are replaced when it grows: allocate first, then read these properties. */
  #view() {
    const buffer = this.#memory.buffer;
    this.bytes = new Uint8Array(buffer);
    this.words = new Uint32Array(buffer);
    this.floats = new Float32Array(buffer);
    this.longs = new BigUint64Array(buffer);
    this.data = new DataView(buffer);
  }

  /** Bytes of memory that the browser has given; it never gets any back. */
  get size() {
    return this.bytes.length;
  }

  allocate(bytes) {
    if (!(bytes >= 0 && bytes <= BYTES_MAX)) throw new PocketrankError(Status.LENGTH_OVERFLOW, `${bytes} bytes`);
    const size = sizeClass(bytes);
    const reused = this.#free.get(size)?.pop();
    if (reused !== undefined) return reused;
    const at = this.#end;
    const missing = at + size - this.size;
    if (missing > 0) {
      try {
        this.#memory.grow(Math.max(Math.ceil(missing / PAGE), GROWTH));
      } catch {
        throw new PocketrankError(Status.BUFFER_TOO_SMALL, `no more memory for ${bytes} bytes`);
      }
      this.#view();
    }
    this.#end = at + size;
    return at;
  }

  /** Takes back what `allocate(bytes)` gave, and wipes it: it may have held what a user did. */
  free(at, bytes) {
    const size = sizeClass(bytes);
    this.bytes.fill(0, at, at + size);
    if (!this.#free.has(size)) this.#free.set(size, []);
    this.#free.get(size).push(at);
  }

  word(at) {
    return this.words[at >> 2];
  }

  setWord(at, value) {
    this.words[at >> 2] = Number(value);
  }

  setFloat(at, value) {
    this.floats[at >> 2] = Number(value);
  }

  /** A 64-bit integer given as a number or bigint; a fraction of a second is cut off. */
  setLong(at, value) {
    if (typeof value === "bigint") {
      this.longs[at >> 3] = BigInt.asUintN(64, value);
    } else if (Number.isSafeInteger(Math.trunc(value))) {
      this.words[at >> 2] = Math.trunc(value);
      this.words[(at >> 2) + 1] = Math.floor(Math.trunc(value) / 2 ** 32);
    } else {
      throw new PocketrankError(Status.BAD_OPTION, `${value} is not a 64-bit integer`);
    }
  }

  /** Text of `bytes` bytes, or up to the next 0. */
  text(at, bytes = this.bytes.indexOf(0, at) - at) {
    return decoder.decode(this.bytes.subarray(at, at + bytes));
  }
}

/** `value`, if it is an unsigned 64-bit integer: a bigint, or a whole number up to 2^53. */
export function unsigned(value) {
  if (typeof value === "bigint" ? BigInt.asUintN(64, value) === value : Number.isSafeInteger(value) && value >= 0) return value;
  throw new PocketrankError(Status.BAD_OPTION, `${value} is not an unsigned 64-bit integer`);
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** Memory of one use, which may ask for more of it. Its address changes when it grows, its contents are then lost. */
export class Block {
  #memory;
  #capacity = 0;
  at = 0;

  constructor(memory, bytes = 0) {
    this.#memory = memory;
    if (bytes > 0) this.reserve(bytes);
  }

  /** At least so many bytes; never NULL. */
  reserve(bytes) {
    if (this.at !== 0 && bytes <= this.#capacity) return this.at;
    this.free();
    this.at = this.#memory.allocate(bytes);
    this.#capacity = Math.max(bytes, 1);
    return this.at;
  }

  free() {
    if (this.at !== 0) this.#memory.free(this.at, this.#capacity);
    this.at = this.#capacity = 0;
  }

  /** A struct of `layout` with all fields 0 but its size. */
  struct(layout) {
    this.reserve(layout.size);
    this.#memory.bytes.fill(0, this.at, this.at + layout.size);
    this.#memory.words[this.at >> 2] = layout.size;
    return this.at;
  }

  putBytes(values) {
    return this.#put("bytes", 1, values);
  }

  putWords(values) {
    return this.#put("words", 4, values);
  }

  putFloats(values) {
    return this.#put("floats", 4, values);
  }

  #put(view, size, values) {
    this.reserve(size * values.length);
    try {
      this.#memory[view].set(values, this.at / size);
    } catch {
      throw new PocketrankError(Status.BAD_OPTION, "values are not numbers"); // bigints, symbols
    }
    return this.at;
  }

  /** Unsigned 64-bit numbers: bigints, or whole numbers up to 2^53. `missing` stands for null and undefined. */
  putLongs(values, missing) {
    this.reserve(8 * values.length);
    if (values instanceof BigUint64Array) {
      this.#memory.longs.set(values, this.at >> 3);
      return this.at;
    }
    const { longs, words } = this.#memory;
    for (let i = 0, long = this.at >> 3; i < values.length; i++, long++) {
      const value = unsigned(values[i] ?? missing);
      if (typeof value === "bigint") {
        longs[long] = value;
      } else {
        words[2 * long] = value;
        words[2 * long + 1] = value / 2 ** 32;
      }
    }
    return this.at;
  }

  /** UTF-8 of one text; returns its bytes. */
  putText(text) {
    this.reserve(3 * text.length);
    return encoder.encodeInto(text, this.#memory.bytes.subarray(this.at, this.at + 3 * text.length)).written;
  }

  /** UTF-8 of texts one behind the other, with their offsets in `offsets`; null is an empty text. Returns all bytes. */
  putTexts(texts, offsets) {
    let most = 0;
    for (const text of texts) {
      if (typeof (text ?? "") !== "string") throw new PocketrankError(Status.BAD_OPTION, `${typeof text} is not a text`);
      most += 3 * (text?.length ?? 0);
    }
    this.reserve(most);
    offsets.reserve(4 * (texts.length + 1));
    const { bytes, words } = this.#memory;
    let written = 0;
    words[offsets.at >> 2] = 0;
    for (let i = 0; i < texts.length; i++) {
      const text = texts[i] ?? "";
      if (text !== "") written += encoder.encodeInto(text, bytes.subarray(this.at + written, this.at + most)).written;
      words[(offsets.at >> 2) + i + 1] = written;
    }
    return written;
  }
}

/** Bytes of a file, as a Uint8Array. */
export function fileBytes(bytes) {
  if (bytes instanceof ArrayBuffer) return new Uint8Array(bytes);
  if (ArrayBuffer.isView(bytes)) return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  throw new PocketrankError(Status.NULL_POINTER, "a file is an ArrayBuffer or a view of one");
}

/** What `values` must be: an array or a typed array. */
export function list(values, what) {
  if (Array.isArray(values) || (ArrayBuffer.isView(values) && !(values instanceof DataView))) return values;
  throw new PocketrankError(Status.BAD_OPTION, `${what} is not an array`);
}
