// A worker has an instance of its own, of the module that the page has compiled.
import assert from "node:assert/strict";
import test from "node:test";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";
import { Pocketrank } from "../pocketrank.js";
import { rankFile } from "../examples/rank.js";

if (isMainThread) {
  const { pocketrank, read } = await import("./golden.mjs");
  test("a module that is posted to a worker gives the same bits there", async () => {
    const [model, requests] = [read("goldens/9.pkr"), read("goldens/9.req")];
    const worker = new Worker(new URL(import.meta.url), { workerData: { module: pocketrank.module, model, requests } });
    const there = await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
    assert.ok(there === rankFile(pocketrank, model, requests));
  });
} else {
  const { module, model, requests } = workerData;
  parentPort.postMessage(rankFile(await Pocketrank.load(module), model, requests));
}
