// Misuse is an error with its status and place, never a trap and never another user's memory.
import assert from "node:assert/strict";
import test from "node:test";
import { Pocketrank, PocketrankError, Status } from "../pocketrank.js";
import { bits, fillSound, openModel, pocketrank, read } from "./golden.mjs";

const fails = (status, place, call) =>
  assert.throws(call, (error) => {
    assert.ok(error instanceof PocketrankError, `${error.stack}`);
    assert.equal(error.status, status, error.message);
    for (const [key, value] of Object.entries(place)) assert.equal(error[key], value, key);
    return true;
  });

test("files that are none are refused with the byte", () => {
  const bytes = new Uint8Array(read("model.pkr"));
  fails(Status.TRUNCATED, {}, () => pocketrank.open(new Uint8Array(3)));
  fails(Status.BAD_MAGIC, {}, () => pocketrank.open(new Uint8Array(1000)));
  fails(Status.BAD_DIGEST, {}, () => pocketrank.open(bytes.with(500, bytes[500] ^ 1)));
  fails(Status.TRUNCATED, { offset: 20 }, () => pocketrank.open(bytes.subarray(0, bytes.length - 8)));
  fails(Status.NULL_POINTER, {}, () => pocketrank.open("model.pkr"));
  fails(Status.BAD_OPTION, {}, () => pocketrank.open(bytes, { cpu: "neon" }));
  assert.throws(() => new Pocketrank(), PocketrankError);
});

test("what is closed answers STALE, and closes again without one", () => {
  const model = openModel();
  const ranker = model.ranker();
  const request = fillSound(model.request(), ranker);
  const state = model.state();
  request.state = null;
  const session = ranker.session(request);
  const event = { label: 0, time: 1 };
  session.close();
  session.close();
  for (const call of [
    () => session.feedback(event),
    () => session.shown(0),
    () => session.rerank(request),
    () => session.state(),
  ]) {
    fails(Status.STALE, {}, call);
  }
  request.state = state;
  state.close();
  state.close();
  fails(Status.STALE, {}, () => ranker.rank(request));
  fails(Status.STALE, {}, () => state.apply(event));
  fails(Status.STALE, {}, () => state.bytes());
  request.state = null;
  ranker.rank(request);
  const other = ranker.session(request);
  ranker.close();
  ranker.close();
  fails(Status.STALE, {}, () => ranker.rank(request));
  fails(Status.STALE, {}, () => other.rerank(request));
  other.close();
  request.close();
  request.close();
  fails(Status.STALE, {}, () => model.ranker().rank(request));
  fails(Status.STALE, {}, () => (request.numCandidates = 3));
  fails(Status.STALE, {}, () => request.floats(0, [1]));
  model.close();
  model.close();
  assert.equal(model.closed, true);
  for (const call of [() => model.ranker(), () => model.request(), () => model.state(), () => model.rowOf(0, 1)]) {
    fails(Status.STALE, {}, call);
  }
});

test("a model that is closed stops its rankers, sessions and states", () => {
  const model = openModel();
  const ranker = model.ranker(64);
  const request = fillSound(model.request(), ranker);
  request.state = null;
  const [session, state] = [ranker.session(request), model.state()];
  model.close();
  fails(Status.STALE, {}, () => ranker.rank(request));
  fails(Status.STALE, {}, () => session.rerank(request));
  fails(Status.STALE, {}, () => session.feedback({ label: 0, time: 1 }));
  fails(Status.STALE, {}, () => state.apply({ label: 0, time: 1 }));
  for (const handle of [session, ranker, request, state]) handle.close();
});

test("errors of a request name feature and candidate", () => {
  const model = openModel();
  const ranker = model.ranker(64);
  const request = fillSound(model.request(), ranker);
  const number = model.features.find(({ kind, side, derived }) => kind === "number" && side !== "user" && !derived);
  const n = request.numCandidates;
  const values = new Float32Array(n);
  const fresh = () => fillSound(request, ranker);
  request.strict = true;
  request.floats(number.name, values.with(3, NaN));
  // Whatever else of this request is missing comes later than candidate 3 of this feature, or is another feature.
  assert.throws(
    () => ranker.rank(request),
    ({ status, feature, candidate, message }) =>
      [Status.MISSING_VALUE, Status.UNKNOWN_ID].includes(status) &&
      Number.isInteger(feature) &&
      Number.isInteger(candidate) &&
      message.includes(`"${model.features[feature].name}"`),
  );
  fresh().floats(number.name, values.subarray(1));
  fails(Status.COLUMN_LENGTH, { feature: number.index }, () => ranker.rank(request));
  fresh().ids(number.name, new BigUint64Array(n));
  fails(Status.WRONG_FORM, { feature: number.index }, () => ranker.rank(request));
  fresh().numCandidates = 0;
  fails(Status.CANDIDATE_COUNT, {}, () => ranker.rank(request));
  request.numCandidates = 4_000_000_000;
  fails(Status.CANDIDATE_COUNT, {}, () => ranker.rank(request));
  fails(Status.BAD_OPTION, {}, () => (request.numCandidates = -1));
  fails(Status.BAD_OPTION, {}, () => (request.numCandidates = 1.5));
  fails(Status.BAD_OPTION, {}, () => (request.time = NaN));
  fails(Status.UNKNOWN_FEATURE, {}, () => request.floats("no such feature", values));
  fails(Status.UNKNOWN_FEATURE, {}, () => request.floats(model.features.length, values));
  fails(Status.UNKNOWN_FEATURE, {}, () => request.floats(-1, values));
  fails(Status.BAD_OPTION, {}, () => request.floats(number.name, 3));
  fails(Status.BAD_OPTION, {}, () => request.ids(0, [1.5]));
  fails(Status.BAD_OPTION, {}, () => request.ids(0, [-1]));
  fails(Status.BAD_OPTION, {}, () => request.floats(number.name, [1n]));
  fails(Status.BAD_OPTION, {}, () => request.text(0, [1]));
  fails(Status.BAD_OPTION, {}, () => request.text(0, { bytes: new Uint8Array(1) }));
  fails(Status.BAD_OPTION, {}, () => ranker.rank(fresh(), { into: {} }));
  fails(Status.BAD_OPTION, {}, () => ranker.rank(request, { top: -1 }));
  fails(Status.BAD_INDEX, {}, () => ranker.gates(request, 2 ** 32));
  fresh().weights = new Float32Array(model.terms.length).fill(NaN);
  fails(Status.BAD_WEIGHT, {}, () => ranker.rank(request));
  fresh().only = [3, 2];
  fails(Status.BAD_INDEX, {}, () => ranker.rank(request));
  fails(Status.UNKNOWN_FEATURE, {}, () => (request.without = ["no such feature"]));
  fails(Status.NULL_POINTER, {}, () => ranker.rank({}));
  fails(Status.NULL_POINTER, {}, () => (request.state = "state"));
  fails(Status.NULL_POINTER, {}, () => (request.formula = {}));
  fresh().state = new Uint8Array(model.stateBytes);
  assert.throws(
    () => ranker.rank(request),
    ({ status }) => status === Status.STATE_CORRUPT || status === Status.STATE_LAYOUT,
  );
  fails(Status.CANDIDATE_COUNT, {}, () => ranker.gates(fresh(), n));
  fails(Status.CANDIDATE_COUNT, {}, () => model.ranker(0));
  fails(Status.CANDIDATE_COUNT, {}, () => model.ranker(5000));
  fails(Status.UNKNOWN_TASK, {}, () => model.taskIndex("no such task"));
  fails(Status.UNKNOWN_TASK, {}, () => model.termIndex("no such term"));
  fails(Status.UNKNOWN_LABEL, {}, () => model.labelIndex("no such label"));
  fails(Status.STATE_LAYOUT, {}, () => model.state(new Uint8Array(3)));
  const state = model.state();
  fails(Status.UNKNOWN_LABEL, {}, () => state.apply({ label: "no such label", time: 1 }));
  fails(Status.UNKNOWN_FEATURE, {}, () => state.apply({ label: 0, time: 1, keys: { nothing: 1 } }));
  for (const handle of [state, ranker, request, model]) handle.close();
});

test("two models at once: their objects do not mix, and neither closes the other", () => {
  const [one, two] = [openModel(), openModel("goldens/9")];
  const [ranker, other] = [one.ranker(64), two.ranker(64)];
  const request = fillSound(one.request(), ranker);
  const before = bits(ranker.rank(request).fused);
  fails(Status.BAD_OPTION, {}, () => other.rank(request));
  const state = two.state();
  request.state = state;
  assert.throws(
    () => ranker.rank(request),
    ({ status }) => [Status.STATE_LAYOUT, Status.BUFFER_TOO_SMALL].includes(status),
  );
  for (const handle of [state, other, two]) handle.close();
  fillSound(request, ranker);
  assert.deepEqual(bits(ranker.rank(request).fused), before);
  for (const handle of [ranker, request, one]) handle.close();
});

test("objects of two instances of the library do not mix", async () => {
  const second = await Pocketrank.load(pocketrank.module);
  const [here, there] = [openModel(), second.open(read("model.pkr"))];
  const request = here.request();
  const state = there.state();
  fails(Status.BAD_OPTION, {}, () => (request.state = state));
  fails(Status.BAD_OPTION, {}, () => there.ranker(8).rank(request));
  for (const handle of [request, state, here, there]) handle.close();
});
