// node examples/rank.mjs MODEL.pkr REQUESTS.req
import { readFileSync, writeSync } from "node:fs";
import { Pocketrank } from "../pocketrank.js";
import { rankFile } from "./rank.js";

const [modelPath, requestsPath] = process.argv.slice(2);
if (requestsPath === undefined) {
  console.error("usage: rank.mjs MODEL.pkr REQUESTS.req");
  process.exit(2);
}
const text = rankFile(await Pocketrank.load(), readFileSync(modelPath), readFileSync(requestsPath));
for (let bytes = Buffer.from(text); bytes.length > 0;) bytes = bytes.subarray(writeSync(1, bytes));
