// Structs and statuses against pocketrank.h, and every function of it called by this package.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import test from "node:test";
import { Status } from "../pocketrank.js";
import * as constants from "../lib/constants.js";
import * as structs from "../lib/structs.js";

const here = new URL(".", import.meta.url);
const header = readFileSync(new URL("../../../include/pocketrank.h", here), "utf8").replace(/\/\*.*?\*\//gs, "");
const SIZES = { uint32_t: 4, pkr_status: 4, float: 4, size_t: 4, uint64_t: 8, int64_t: 8 };

/** Layout of a struct's fields by C's rules, with 4-byte pointers and 8-byte alignment of 64-bit numbers. */
function layout(body) {
  const fields = {};
  let [at, alignment] = [0, 1];
  for (const line of body
    .split(";")
    .map((text) => text.trim())
    .filter(Boolean)) {
    const [, type, pointer, name] = /^(?:const )?(\w+)\s*(\*?)\s*(\w+)$/.exec(line);
    const size = pointer ? 4 : SIZES[type];
    assert.ok(size, `size of ${line}`);
    at = Math.ceil(at / size) * size;
    fields[name] = at;
    at += size;
    alignment = Math.max(alignment, size);
  }
  return { size: Math.ceil(at / alignment) * alignment, ...fields };
}

test("every struct of the header has the header's layout", () => {
  const found = [...header.matchAll(/typedef struct \{([^}]*)\} (pkr_\w+);/g)];
  assert.ok(found.length > 15);
  assert.deepEqual(Object.keys(structs).sort(), found.map(([, , name]) => name).sort());
  for (const [, body, name] of found) assert.deepEqual({ ...structs[name] }, layout(body), name);
});

test("every status of the header has the header's number", () => {
  const found = [...header.matchAll(/#define PKR_(?:ERR_)?(OK|(?<=ERR_)\w+) (\d+)/g)];
  assert.deepEqual({ ...Status }, Object.fromEntries(found.map(([, name, number]) => [name, Number(number)])));
  const types = readFileSync(new URL("../lib/status.d.ts", here), "utf8");
  for (const [name, number] of Object.entries(Status)) assert.match(types, new RegExp(`readonly ${name}: ${number};`));
});

test("every number that stands for none is the header's", () => {
  const found = [...header.matchAll(/#define PKR_(NOWHERE|NO_\w+) (\d+)/g)];
  assert.equal(found.length, 4);
  for (const [, name, number] of found) assert.equal(BigInt(constants[name]), BigInt(number), name);
});

test("every function of the header is called", () => {
  const functions = [...header.matchAll(/^[a-z].*?[ *](pkr_\w+)\(/gm)].map(([, name]) => name);
  assert.ok(functions.length > 40);
  const lib = new URL("../lib/", here);
  const source = readdirSync(lib)
    .filter((name) => !name.endsWith(".d.ts"))
    .map((name) => readFileSync(new URL(name, lib), "utf8"))
    .join("");
  for (const name of functions) assert.match(source, new RegExp(`\\.${name}\\b`), name);
});
