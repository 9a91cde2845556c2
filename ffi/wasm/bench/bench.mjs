// node bench.mjs NATIVE WORK TOOLS: microseconds of one request of 200 candidates on the reference model, natively, in Node
// and in Chromium (if TOOLS has playwright-core), in turns: medians, their quartiles, and the ratios.
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { serve } from "../../../examples/browser/serve.mjs";
import { Pocketrank } from "../pocketrank.js";
import { rounds } from "./rounds.js";

const REQUEST = 54; // of reference.req: 200 candidates
const ROUNDS = 100;
const RANKINGS = 20; // a round
const WARM_UP = 400;
const [native, work, tools] = process.argv.slice(2);
const files = [`${work}/reference.pkr`, `${work}/reference.req`];

async function startNative(...options) {
  const program = spawn(native, [...files, String(REQUEST), ...options], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: program.stdout })[Symbol.asyncIterator]();
  const isa = (await lines.next()).value;
  const round = async (count) => {
    program.stdin.write(`${count}\n`);
    const [, wallNs] = (await lines.next()).value.split(" ");
    return Number(wallNs) / 1000;
  };
  return { name: `native ${isa}`, round, close: () => program.stdin.end() };
}

async function startNode() {
  const { round, isa, numCandidates } = rounds(await Pocketrank.load(), ...files.map((path) => readFileSync(path)), REQUEST);
  return { name: `Node ${process.versions.node.split(".")[0]} ${isa}`, numCandidates, round, close() {} };
}

async function startChromium() {
  const { chromium } = createRequire(`${tools}/`)("playwright-core");
  const root = new URL("../", import.meta.url).pathname;
  const { server, address } = await serve({ "/": root, "/golden/": work }, 0);
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
  const page = await browser.newPage();
  await page.goto(`${address}bench/page.html`);
  const isa = await page.evaluate(async (index) => {
    const [{ Pocketrank }, { rounds }] = await Promise.all([import("/pocketrank.js"), import("/bench/rounds.js")]);
    const bytes = async (path) => new Uint8Array(await (await fetch(path)).arrayBuffer());
    globalThis.bench = rounds(
      await Pocketrank.load(),
      await bytes("/golden/reference.pkr"),
      await bytes("/golden/reference.req"),
      index,
    );
    return globalThis.bench.isa;
  }, REQUEST);
  const close = async () => {
    await browser.close();
    server.close();
  };
  return {
    name: `Chromium ${browser.version().split(".")[0]} ${isa}`,
    round: (count) => page.evaluate((count) => globalThis.bench.round(count), count),
    close,
  };
}

const node = await startNode();
const runners = [await startNative(), await startNative("portable"), node];
if (process.env.CHROMIUM && existsSync(`${tools}/node_modules/playwright-core`)) runners.push(await startChromium());
else console.log("Chromium: skipped, it is not installed");
const times = runners.map(() => []);
for (const { round } of runners) await round(WARM_UP);
for (let i = 0; i < ROUNDS; i++) {
  for (const [k, { round }] of runners.entries()) times[k].push(await round(RANKINGS));
}
const quantile = (sorted, q) => sorted[Math.floor(q * (sorted.length - 1))];
const medians = times.map((all) =>
  quantile(
    all.sort((a, b) => a - b),
    0.5,
  ),
);
console.log(
  `${node.numCandidates} candidates, reference model; microseconds of one ranking, ${ROUNDS} rounds of ${RANKINGS} in turns`,
);
runners.forEach(({ name }, k) => {
  const [low, high] = [quantile(times[k], 0.25), quantile(times[k], 0.75)];
  console.log(
    `${name.padEnd(28)} median ${medians[k].toFixed(0).padStart(5)}  (${low.toFixed(0)} to ${high.toFixed(0)})  ` +
      `least ${times[k][0].toFixed(0).padStart(5)}  ratio of medians to native ${(medians[k] / medians[0]).toFixed(2)}`,
  );
});
for (const { close } of runners) await close();
