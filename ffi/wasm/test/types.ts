// Compiled by `tsc --strict` and then run: the types are those of the code.
import { readFileSync } from "node:fs";
import {
  NO_KEY,
  NO_SLOT,
  Pocketrank,
  PocketrankError,
  Ranking,
  Status,
  type Event,
  type Fusion,
  type List,
  type Model,
  type Request,
  type Rules,
  type Session,
} from "pocketrank";

const [, , modelPath] = process.argv;
const equal = (a: unknown, b: unknown): void => {
  if (a !== b) throw new Error(`${String(a)} is not ${String(b)}`);
};

const pocketrank: Pocketrank = await Pocketrank.load();
const model: Model = pocketrank.open(readFileSync(modelPath!), { cpu: "portable" });
equal(model.isa, "portable");
for (const feature of model.features) {
  const side: "user" | "item" | "candidate" | "cross" = feature.side;
  equal(model.featureIndex(feature.name), feature.index);
  equal(typeof side, "string");
}
for (const task of model.tasks) equal(task.kind === "binary" || task.kind === "duration", true);
for (const label of model.labels) equal(model.labelIndex(label.name), label.index);
for (const term of model.terms) equal(model.termIndex(term.name), term.index);
const fusion: Fusion | null = model.formula;
equal(fusion, null);

const request: Request = model.request();
request.numCandidates = 2;
request.time = 1_767_574_644n;
const seconds: number = request.time;
equal(seconds, 1_767_574_644);
request.set("city", ["Oslo"]);
request.set("item_tags", [[1n, 2], null]);
request.ids("item_tags", new BigUint64Array([1n, 2n]), { listOffsets: [0, 2, 2] });
request.weights = Float32Array.from(model.terms, (term) => term.weight);
const ranker = model.ranker(2);
const ranking: Ranking = ranker.rank(request, { top: 1, into: new Ranking() });
equal(ranking.order.length, 1);
equal(ranking.scoresOf(1).length, model.tasks.length);
request.without = ["city"];
ranker.rank(request);
request.without = null;
const sums: Uint8Array = ranker.itemSums(request);
request.setItemSums(sums, [0, NO_SLOT]);
ranker.rank(request);
request.setItemSums(null);

const session: Session = ranker.session(request);
const event: Event = { label: "click", time: seconds, value: 1, keys: { city: "Oslo" } };
session.feedback(event);
session.shown(0);
equal(session.rerank(request).order[0], 1);
const state = model.state(session.state());
state.apply({ label: 0, time: seconds + 1, keys: [["city", "Oslo"]] });
request.state = state;

const rules: Rules = {
  spacings: [{ keys: [1, NO_KEY, null], window: 2 }],
  exploration: { kind: "epsilon", epsilon: 0.1, seed: 1 },
};
const list: List = pocketrank.rerank(rules, Float32Array.of(1, 2, 3), 3);
const first: number | null = list.slots[0]!.candidate;
equal(typeof first, "number");

try {
  model.ranker(0);
  throw new Error("no error");
} catch (error) {
  if (!(error instanceof PocketrankError)) throw error;
  equal(error.status, Status.CANDIDATE_COUNT);
  equal(error.statusName, "CANDIDATE_COUNT");
  equal(pocketrank.statusName(error.status), "PKR_ERR_CANDIDATE_COUNT");
}
// @ts-expect-error: a count is a number
const wrong: string = request.numCandidates;
equal(typeof wrong, "number");
for (const handle of [session, state, ranker, request, model]) handle.close();
console.log("types: as the code");
