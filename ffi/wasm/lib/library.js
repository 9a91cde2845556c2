// One instance of the library: its functions, its memory, and how their outcomes become errors.
import { NOWHERE } from "./constants.js";
import { Block, Memory } from "./memory.js";
import { Model } from "./model.js";
import { rerank } from "./rules.js";
import { PocketrankError, Status } from "./status.js";
import { pkr_error_detail } from "./structs.js";

/** Version of the ABI that lib/structs.js describes. */
const ABI_VERSION = 1;
const NO_OFFSET = 0xffffffffffffffffn;

/** Makes a WebAssembly.Module of whatever the app has. */
async function compile(source) {
  if (source instanceof WebAssembly.Module) return source;
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return WebAssembly.compile(source);
  let response = source;
  if (typeof source === "string" || source instanceof URL) {
    if (typeof process === "object" && new URL(source, import.meta.url).protocol === "file:") {
      const { readFile } = await import("node:fs/promises");
      return WebAssembly.compile(await readFile(new URL(source, import.meta.url)));
    }
    response = await fetch(source);
  }
  if (!response.ok) throw new Error(`${response.url}: ${response.status}`);
  // Compiling while it arrives needs a server that says what it is; others are read whole.
  const type = response.headers.get("content-type") ?? "";
  if (type.startsWith("application/wasm")) return WebAssembly.compileStreaming(response);
  return WebAssembly.compile(await response.arrayBuffer());
}

export class Pocketrank {
  /** Loads the library; `source` as in pocketrank.d.ts. */
  static async load(source = new URL("../pocketrank.wasm", import.meta.url)) {
    const module = await compile(await source);
    return new Pocketrank(module, await WebAssembly.instantiate(module, {}));
  }

  constructor(module, instance) {
    if (!(instance instanceof WebAssembly.Instance)) throw new PocketrankError(Status.BAD_OPTION, "use Pocketrank.load()");
    this.module = module;
    this._pkr = instance.exports;
    this._memory = new Memory(instance.exports.memory, instance.exports.__heap_base.value);
    this._detail = new Block(this._memory).struct(pkr_error_detail);
    this._out = this._memory.allocate(8); // where functions write one number
    if (this.abiVersion < ABI_VERSION) throw new PocketrankError(Status.STRUCT_SIZE, "the library is older than this package");
  }

  get abiVersion() {
    return this._pkr.pkr_abi_version();
  }

  get version() {
    return this._memory.text(this._pkr.pkr_version());
  }

  /** Bytes of memory that the browser has given so far. */
  get memoryBytes() {
    return this._memory.size;
  }

  statusName(status) {
    return this._memory.text(this._pkr.pkr_status_name(status));
  }

  open(bytes, options) {
    return new Model(this, bytes, options);
  }

  rerank(rules, fused, numSlots) {
    return rerank(this, rules, fused, numSlots);
  }

  hashText(text) {
    const block = new Block(this._memory);
    try {
      const bytes = block.putText(String(text));
      this._check(this._pkr.pkr_hash_text(block.at, bytes, this._out));
      return this._memory.longs[this._out >> 3];
    } finally {
      block.free();
    }
  }

  /** Throws unless `status` is OK, with the place from the detail, if the call had one. */
  _check(status, model) {
    if (status === Status.OK) return;
    const memory = this._memory;
    const at = this._detail;
    const place = {};
    if (memory.word(at + pkr_error_detail.status) === status) {
      const feature = memory.word(at + pkr_error_detail.feature);
      const candidate = memory.word(at + pkr_error_detail.candidate);
      const offset = memory.longs[(at + pkr_error_detail.offset) >> 3];
      if (feature !== NOWHERE) place.feature = feature;
      if (candidate !== NOWHERE) place.candidate = candidate;
      if (offset !== NO_OFFSET) place.offset = Number(offset);
      memory.setWord(at + pkr_error_detail.status, Status.OK);
    }
    const words = [];
    const name = status === Status.BAD_RULE ? undefined : model?.features?.[place.feature]?.name;
    if (name !== undefined) words.push(`feature "${name}"`);
    else if (place.feature !== undefined) words.push(`part ${place.feature}`);
    if (place.candidate !== undefined) words.push(`candidate ${place.candidate}`);
    if (place.offset !== undefined) words.push(`at ${place.offset}`);
    throw new PocketrankError(status, words.length === 0 ? undefined : words.join(", "), place);
  }

  /** Index of a name by one of the library's functions. */
  _index(find, name) {
    const block = new Block(this._memory);
    try {
      const bytes = block.putText(name);
      const status = find(block.at, bytes, this._out);
      if (status !== Status.OK) throw new PocketrankError(status, `there is no "${name}"`);
      return this._memory.word(this._out);
    } finally {
      block.free();
    }
  }

  /** One struct that `read(at)` fills, and what `take(at)` makes of it. */
  _describe(layout, read, take) {
    const block = new Block(this._memory);
    try {
      this._check(read(block.struct(layout)));
      return take(block.at);
    } finally {
      block.free();
    }
  }
}
