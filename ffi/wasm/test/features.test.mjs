// What there is beside plain requests gives the bits of plain requests.
import assert from "node:assert/strict";
import test from "node:test";
import { NO_SLOT, Status } from "../pocketrank.js";
import { bits, fillSound, openModel, pocketrank, requests, seeds } from "./golden.mjs";

const SHOWN = 3;
const same = (a, b) => {
  for (const field of ["order"]) assert.deepEqual([...a[field]], [...b[field]], field);
  for (const field of ["fused", "scores", "terms"]) assert.deepEqual(bits(a[field]), bits(b[field]), field);
};

test("sessions order as fresh requests about what is left with the session's state do", () => {
  let feeds = 0;
  for (const name of ["model", ...seeds.map((seed) => `goldens/${seed}`)]) {
    const model = openModel(name);
    const ranker = model.ranker();
    const request = model.request();
    requests(name === "model" ? "requests" : name, request, 6, () => {
      let session;
      try {
        session = ranker.session(request);
      } catch {
        return; // A request that is refused.
      }
      const left = Array.from({ length: request.numCandidates }, (_, i) => i);
      for (let step = 0; step <= SHOWN && left.length > 0; step++) {
        let ranking;
        try {
          request.state = null;
          ranking = session.rerank(request);
        } catch (error) {
          assert.ok(error.status > 500, error.message);
          break;
        }
        if (model.stateBytes > 0) request.state = session.state();
        request.only = left;
        same(ranking, ranker.rank(request));
        request.only = null;
        session.shown(ranking.order[0]);
        left.splice(left.indexOf(ranking.order[0]), 1);
        if (model.labels.length > 0) session.feedback({ label: 0, time: request.time + step });
        feeds++;
      }
      session.close();
    });
    for (const handle of [ranker, request, model]) handle.close();
  }
  assert.ok(feeds > 200, `${feeds}`);
});

test("kept item sums, parts of requests and orders of scores are the bits of one request", () => {
  const model = openModel();
  const [ranker, request] = [model.ranker(), model.request()];
  let count = 0;
  requests("requests", request, 40, (_, n) => {
    let plain;
    try {
      plain = ranker.rank(request);
    } catch {
      return;
    }
    count++;
    if (request.maxCandidates === 0) {
      const sums = ranker.itemSums(request);
      assert.equal(sums.length, n * model.itemSumsBytes);
      request.setItemSums(sums);
      same(ranker.rank(request), plain);
      request.setItemSums(
        sums,
        Array.from({ length: n }, (_, i) => (i % 2 === 0 ? i : NO_SLOT)),
      );
      same(ranker.rank(request), plain);
      sums[sums.length - 1] ^= 1;
      request.setItemSums(sums);
      assert.throws(
        () => ranker.rank(request),
        ({ status, candidate }) => status === Status.STALE_SUMS && candidate === n - 1,
      );
      request.setItemSums(null);
      const scores = new Float32Array(n * model.tasks.length);
      const half = n >> 1;
      for (const [from, to] of [
        [0, half],
        [half, n],
      ]) {
        if (from === to) continue;
        request.only = Array.from({ length: to - from }, (_, i) => from + i);
        scores.set(ranker.score(request).scores, from * model.tasks.length);
      }
      request.only = null;
      assert.deepEqual(bits(scores), bits(plain.scores));
      const ordered = ranker.order(request, scores);
      assert.deepEqual([...ordered.order], [...plain.order]);
      assert.deepEqual(bits(ordered.terms), bits(plain.terms));
    }
    const top = ranker.rank(request, { top: 3, scores: false, terms: false });
    assert.deepEqual([...top.order], [...plain.order.subarray(0, 3)]);
    assert.equal(top.scores.length + top.terms.length, 0);
    for (let candidate = 0; candidate < n; candidate++) {
      if (plain.fused[candidate] === -Infinity) continue;
      const sum = plain.termsOf(candidate).reduce((sum, term) => Math.fround(sum + term), 0);
      assert.equal(sum, plain.fused[candidate]);
    }
  });
  assert.ok(count > 10, `${count}`);
  for (const handle of [ranker, request, model]) handle.close();
});

test("columns in other shapes are the same request", () => {
  const model = openModel();
  const [ranker, request] = [model.ranker(8), model.request()];
  const rank = () => ranker.rank(request);
  const about = (name) => model.features[model.featureIndex(name)];
  request.numCandidates = 3;
  request.set("city", ["Oslo"]);
  request.set("item_tags", [[1, 2], null, [3n]]);
  const nested = rank();
  request.ids("item_tags", [1, 2, 3], { listOffsets: [0, 2, 2, 3] });
  same(rank(), nested);
  request.set("item_tags", [new BigUint64Array([1n, 2n]), [], [3]]);
  same(rank(), nested);
  assert.equal(about("city").idType, "text");
  request.text("city", { bytes: new TextEncoder().encode("Oslo"), offsets: [0, 4] });
  same(rank(), nested);
  request.ids("city", [pocketrank.hashText("Oslo")]);
  same(rank(), nested);
  request.missing("city");
  const without = rank();
  request.set("city", [null]);
  same(rank(), without);
  assert.ok(without.missing > 0);
  const number = model.features.find(({ kind, side, derived }) => kind === "number" && side === "item" && !derived);
  request.set(number.name, [1, null, 3]);
  const missing = rank();
  request.floats(number.index, Float32Array.of(1, NaN, 3));
  same(rank(), missing);
  request.without = [number.name];
  const left = rank();
  request.without = null;
  request.missing(number.name);
  same({ ...rank() }, { ...left });
  request.clear();
  assert.equal(request.numCandidates, 0);
  for (const handle of [ranker, request, model]) handle.close();
});

test("rows that were looked up are the same request as their ids", () => {
  const model = openModel();
  const [ranker, request] = [model.ranker(8), model.request()];
  request.numCandidates = 3;
  request.ids("item_tags", [[1, 2], [3], []]);
  const ids = ranker.rank(request);
  request.rows(
    "item_tags",
    [[1, 2], [3], []].map((list) => list.map((id) => model.rowOf("item_tags", id))),
  );
  assert.deepEqual(bits(ranker.rank(request).scores), bits(ids.scores));
  for (const handle of [ranker, request, model]) handle.close();
});

test("ids are found as rows, and states hold events", () => {
  const model = openModel();
  const int = model.features.find(({ idType, numEmbeddings, derived }) => idType === "int" && numEmbeddings > 0 && !derived);
  assert.ok(model.rowOf(int.name, 10n ** 18n) < int.numEmbeddings);
  assert.throws(
    () => model.rowOf(int.name, null),
    ({ status }) => status === Status.MISSING_VALUE,
  );
  assert.equal(model.rowOf("city", "no such city"), 0);
  const state = model.state();
  const empty = state.bytes();
  state.apply({ label: model.labels[0].name, time: 1_700_000_000, value: 1, keys: { [int.name]: 3 } });
  const after = state.bytes();
  assert.notDeepEqual(after, empty);
  const again = model.state(after);
  assert.deepEqual(again.bytes(), after);
  assert.throws(
    () => again.apply({ label: 0, time: 2n ** 62n }),
    ({ status }) => status === Status.BAD_TIME,
  );
  assert.deepEqual(again.bytes(), after);
  state.reset();
  assert.deepEqual(state.bytes(), empty);
  for (const handle of [state, again, model]) handle.close();
});

test("gates add up to 1 for every task", () => {
  const model = openModel();
  const ranker = model.ranker();
  const request = fillSound(model.request(), ranker);
  const gates = ranker.gates(request, 1);
  const experts = gates.length / model.tasks.length;
  assert.ok(Number.isInteger(experts) && experts >= 1);
  for (let task = 0; task < model.tasks.length; task++) {
    const sum = gates.subarray(task * experts, (task + 1) * experts).reduce((a, b) => a + b);
    assert.ok(Math.abs(sum - 1) < 1e-4, `${sum}`);
  }
  assert.deepEqual(ranker.gates(request, 1), gates);
  for (const handle of [ranker, request, model]) handle.close();
});

// pocketrank formula MODEL.pkr 'wc * click + ww * entire(watch) ^ 2 + 0.25' --weight wc=1:0:10 --weight ww=0.5
const FORMULA = Buffer.from(
  "iVBLRk9STQof0UBZUGFi/QEAAACVAAAAKgICAxh3YyAqIGNsaWNrICsgd3cgKiBlbnRpcmUod2F0Y2gpIF4gMiArIDAuMjUABWNsaWNrAAEABXdhdGNo" +
    "AAECd2MAAIA/AAAAAAAAIEECd3cAAAA/AAAAAAAASEIACg0jJioDAAIAEgADAQIBAQAAAEAWEgABAACAPgA=",
  "base64",
);

test("a formula that was shipped apart takes the place of the file's fusion", () => {
  const model = openModel();
  const ranker = model.ranker();
  const request = fillSound(model.request(), ranker);
  const plain = ranker.rank(request);
  const formula = model.openFormula(FORMULA);
  assert.equal(formula.text, "wc * click + ww * entire(watch) ^ 2 + 0.25");
  assert.deepEqual(formula.terms, ["wc * click", "ww * entire(watch) ^ 2", "0.25"]);
  assert.deepEqual({ ...formula.weights[0] }, { index: 0, name: "wc", value: 1, least: 0, most: 10 });
  assert.equal(formula.weightIndex("ww"), 1);
  assert.throws(
    () => formula.weightIndex("wx"),
    ({ status }) => status === Status.UNKNOWN_TASK,
  );
  request.formula = formula;
  request.weights = null;
  const ranking = ranker.rank(request);
  assert.equal(ranking.numTerms, 3);
  for (let i = 0; i < request.numCandidates; i++) {
    if (ranking.fused[i] === -Infinity) continue;
    assert.equal(ranking.termsOf(i)[0], ranking.scoresOf(i)[model.taskIndex("click")]);
    assert.equal(ranking.termsOf(i)[2], 0.25);
  }
  request.weights = [0, 0];
  assert.ok(ranker.rank(request).fused.every((fused) => fused === 0.25 || fused === -Infinity));
  const tried = formula.perturb({ seed: 7, salt: 1n, sigma: 0.5 });
  assert.deepEqual(tried, formula.perturb({ seed: 7n, salt: 1, sigma: 0.5 }));
  assert.notDeepEqual(tried, formula.perturb({ seed: 8, salt: 1, sigma: 0.5 }));
  assert.deepEqual([...formula.perturb({ seed: 7, sigma: 0, weights: [2, 0.25] })], [2, 0.25]);
  assert.throws(
    () => formula.perturb({ seed: 7, sigma: 5 }),
    ({ status }) => status === Status.BAD_WEIGHT,
  );
  assert.throws(
    () => formula.perturb({ seed: 1.5, sigma: 1 }),
    ({ status }) => status === Status.BAD_OPTION,
  );
  const other = openModel("goldens/9");
  const [elsewhere, foreign] = [other.ranker(64), other.request()];
  foreign.numCandidates = 1;
  foreign.formula = formula;
  assert.throws(
    () => elsewhere.rank(foreign),
    ({ status }) => status === Status.FORMULA_MODEL,
  );
  assert.throws(
    () => model.openFormula(FORMULA.subarray(1)),
    ({ status }) => status >= 200 && status < 400,
  );
  formula.close();
  formula.close();
  request.weights = null;
  assert.throws(
    () => ranker.rank(request),
    ({ status }) => status === Status.STALE,
  );
  request.formula = null;
  const first = fillSound(request, ranker);
  assert.deepEqual(bits(ranker.rank(first).fused), bits(plain.fused));
  for (const handle of [elsewhere, foreign, other, ranker, request, model]) handle.close();
});

test("a model's own formula tells its text, terms and weights", () => {
  const model = openModel("goldens/102");
  const { formula } = model;
  assert.equal(formula.terms.length, model.numTerms);
  assert.deepEqual(
    formula.weights.map(({ name }) => name),
    ["w0", "w1", "w2"],
  );
  assert.equal(formula.weightIndex("w1"), 1);
  assert.equal(model.terms.length, 0);
  assert.equal(formula.perturb({ seed: 1, sigma: 0.1 }).length, 3);
  model.close();
});

test("lists keep their rules", () => {
  const model = openModel();
  const ranker = model.ranker();
  const request = fillSound(model.request(), ranker, 12);
  const { fused, order } = ranker.rank(request);
  const n = fused.length;
  const slots = Math.min(n, 10);
  const plain = pocketrank.rerank({}, fused, slots);
  assert.deepEqual(
    plain.slots.map(({ candidate }) => candidate),
    [...order.subarray(0, slots)],
  );
  const keys = Array.from({ length: n }, (_, i) => (i * i) % 7);
  const about = model.features.find(
    ({ side, kind, numEmbeddings }) => side !== "user" && (numEmbeddings > 0 || kind === "vector"),
  );
  const vectors = ranker.vectors(request, about.name);
  assert.equal(vectors.length, n * about.dim);
  const rules = {
    spacings: [{ keys, max: 2, window: 4 }],
    decays: [{ keys: keys.map((key) => (key === 3 ? null : BigInt(key))), factor: 0.5, floor: 0.25 }],
    pins: [{ position: 2, candidate: n - 1 }],
    blocked: [1],
    hidden: [order[0]],
    factors: new Float32Array(n).fill(1),
    bonuses: new Float32Array(n),
    diversity: { kind: "dpp", weight: 2, vectors, dim: about.dim },
    exploration: { kind: "thompson", seed: 5, sigma: Array.from({ length: n }, (_, i) => 0.01 * (i % 3)) },
  };
  const list = pocketrank.rerank(rules, fused, slots);
  assert.deepEqual(pocketrank.rerank(rules, fused, slots), list);
  assert.equal(list.slots[1].candidate, null);
  assert.equal(list.slots[2].candidate, n - 1);
  const shown = list.slots.map(({ candidate }) => candidate).filter((candidate) => candidate !== null);
  assert.equal(new Set(shown).size, shown.length);
  assert.equal(list.placed, shown.length);
  assert.ok(!shown.includes(order[0]) || order[0] === n - 1);
  assert.ok(list.slots.every(({ propensity }) => propensity >= 0 && propensity <= 1));
  const fails = (rules, part, element) =>
    assert.throws(
      () => pocketrank.rerank(rules, fused, slots),
      ({ status, feature, candidate }) =>
        status === Status.BAD_RULE && feature === part && (element === null || candidate === element),
    );
  fails({ factors: new Float32Array(n).with(2, -1) }, 0, 2);
  fails({ spacings: [{ keys: keys.slice(1), window: 2 }] }, 3, 0);
  fails({ pins: [{ position: 0, candidate: n }] }, 4, 0);
  assert.throws(
    () => pocketrank.rerank({ diversity: { kind: "best" } }, fused, 3),
    ({ status }) => status === Status.BAD_OPTION,
  );
  assert.throws(
    () => pocketrank.rerank({}, [NaN], 1),
    ({ status, candidate }) => status === Status.NOT_FINITE && candidate === 0,
  );
  assert.throws(
    () => pocketrank.rerank({}, fused, 0),
    ({ status }) => status === Status.CANDIDATE_COUNT,
  );
  for (const handle of [ranker, request, model]) handle.close();
});
