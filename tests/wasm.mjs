// Ranks a file of requests through the wasm library and prints what examples/c/rank.c prints:
//   node tests/wasm.mjs LIBRARY.wasm MODEL.pkr REQUESTS.req
// The C ABI with 4-byte pointers and sizes; offsets below are those of include/pocketrank.h on a 32-bit machine.
import { readFileSync, writeSync } from "node:fs";

const [library, modelPath, requestsPath] = process.argv.slice(2);
const module = new WebAssembly.Module(readFileSync(library));
const pkr = new WebAssembly.Instance(module, {}).exports;
const memory = pkr.memory;

// Memory behind the library's own; never given back.
let free = memory.buffer.byteLength;
const allocate = (bytes) => {
  const at = (free + 63) & ~63;
  free = at + Math.max(bytes, 1);
  const missing = free - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / 65536) + 16);
  return at;
};
const view = () => new DataView(memory.buffer);
const put = (bytes) => {
  const at = allocate(bytes.length);
  new Uint8Array(memory.buffer).set(bytes, at);
  return at;
};
const u32 = (at) => view().getUint32(at, true);
/** A struct of u32 fields, the first of which is its size. */
const structure = (...fields) => {
  const words = Uint32Array.of(4 * (fields.length + 1), ...fields);
  return put(new Uint8Array(words.buffer));
};
const name = (status) => {
  const at = pkr.pkr_status_name(status);
  const bytes = new Uint8Array(memory.buffer, at);
  return Buffer.from(bytes.subarray(0, bytes.indexOf(0))).toString();
};
const check = (status, what) => {
  if (status !== 0) throw new Error(`${what}: ${name(status)}`);
};

const modelBytes = readFileSync(modelPath);
const modelAt = put(modelBytes);
const need = structure(0, 0);
check(pkr.pkr_model_query(modelAt, modelBytes.length, need), "query");
const out = allocate(8);
const handleBytes = u32(need + 8);
check(pkr.pkr_model_open(modelAt, modelBytes.length, allocate(handleBytes), handleBytes, 0, out, 0), "open");
const model = u32(out);
const info = structure(...Array(13).fill(0));
check(pkr.pkr_model_info(model, info), "info");
const [numTasks, candidatesMax] = [u32(info + 8), u32(info + 20)];
check(pkr.pkr_scratch_bytes(model, candidatesMax, out), "scratch bytes");
const scratchBytes = u32(out);
check(pkr.pkr_scratch_init(model, candidatesMax, allocate(scratchBytes), scratchBytes, out), "scratch");
const scratch = u32(out);

// The file of requests: parts of little-endian numbers, each on a multiple of 8 bytes, used in place.
const file = readFileSync(requestsPath);
const fileAt = put(file);
let at = fileAt + 16;
const part = (count, size) => {
  const here = at;
  at += Math.ceil((count * size) / 8) * 8;
  if (at > fileAt + file.length) throw new Error("the file ends early");
  return count === 0 ? 0 : here;
};
const valueBytes = [0, 8, 1, 4, 4, 1];
const start = free;
const hex = (at, len) => Array.from({ length: len }, (_, i) => ` ${u32(at + 4 * i).toString(16).padStart(8, "0")}`).join("");
for (let i = 0; i < file.readUInt32LE(8); i++) {
  free = start;
  const head = part(1, 32);
  const [n, most, flags, numColumns, stateBytes, numWeights] = [2, 3, 4, 5, 6, 7].map((k) => u32(head + 4 * k));
  const forms = part(numColumns, 24);
  const columns = allocate(40 * numColumns);
  for (let c = 0; c < numColumns; c++) {
    const [form, count, offsets, lists, weights] = [0, 1, 2, 3, 4].map((k) => u32(forms + 24 * c + 4 * k));
    // An empty list has somewhere to be: with 0 in every pointer the column would be missing.
    const values = part(count, valueBytes[form]) || (form === 0 ? 0 : columns);
    const fields = [40, form, values, count, part(offsets, 4), offsets];
    fields.push(part(lists, 4), lists, part(weights, 4), weights);
    new Uint32Array(memory.buffer, columns + 40 * c, 10).set(fields);
  }
  const state = part(stateBytes, 1);
  const weights = part(numWeights, 4);
  const request = structure(flags, n, most, u32(head), u32(head + 4), columns, numColumns, state, stateBytes, weights, numWeights,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  const [order, fused, scores] = [n, n, n * numTasks].map((len) => allocate(4 * len));
  const result = structure(0, order, n, fused, n, scores, n * numTasks, 0, 0, 0, 0, 0, 0);
  const status = pkr.pkr_rank(model, scratch, request, result, 0);
  const ok = status === 0;
  const counters = ["missing", "not_finite", "unknown_ids", "cut_lists"];
  let text = `request ${i} ${name(status)}`;
  text += ok ? ` scored ${u32(result + 4)}` : " server's order";
  if (ok) counters.forEach((counter, k) => (text += ` ${counter} ${u32(result + 32 + 4 * k)}`));
  text += "\norder";
  for (let k = 0; k < n; k++) text += ` ${ok ? u32(order + 4 * k) : k}`;
  text += `\nfused${hex(fused, ok ? n : 0)}\nscores${hex(scores, ok ? n * numTasks : 0)}\n`;
  for (let bytes = Buffer.from(text); bytes.length; ) bytes = bytes.subarray(writeSync(1, bytes));
}
