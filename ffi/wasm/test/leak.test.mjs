// Memory that was taken is used again.
import assert from "node:assert/strict";
import test from "node:test";
import { fillSound, openModel, pocketrank } from "./golden.mjs";

const REQUESTS = 100_000;

test(`${REQUESTS} requests of changing sizes grow no memory`, () => {
  const model = openModel();
  const [ranker, request, small] = [model.ranker(64), model.request(), model.request()];
  const state = model.state();
  fillSound(request, ranker);
  small.numCandidates = 2;
  let ranking = ranker.rank(request);
  ranker.rank(small, { into: ranking });
  const before = pocketrank.memoryBytes;
  for (let i = 0; i < REQUESTS; i++) {
    small.numCandidates = 1 + (i % 3);
    small.set(
      "item_tags",
      Array.from({ length: small.numCandidates }, () => [i, i + 1]),
    );
    small.set("city", [`city ${i % 1000}`]);
    small.time = i;
    small.state = state;
    ranking = ranker.rank(small, { into: ranking });
    state.apply({ label: 0, time: i, keys: { city: `city ${i % 10}` } });
  }
  assert.equal(pocketrank.memoryBytes, before);
  for (const handle of [ranker, request, small, state, model]) handle.close();
});

test("models, sessions and failures give their memory back", () => {
  const round = () => {
    const model = openModel();
    const ranker = model.ranker(64);
    const request = fillSound(model.request(), ranker);
    request.state = null;
    const [session, state] = [ranker.session(request), model.state()];
    assert.throws(() => model.openFormula(new Uint8Array(100)));
    assert.throws(() => pocketrank.open(new Uint8Array(100_000)));
    assert.throws(() => model.featureIndex("nothing"));
    session.rerank(request);
    ranker.itemSums(request);
    pocketrank.rerank({ spacings: [{ keys: [1, 1], window: 2 }] }, [1, 2], 2);
    for (const handle of [session, state, ranker, request, model]) handle.close();
  };
  round();
  const before = pocketrank.memoryBytes;
  for (let i = 0; i < 200; i++) round();
  assert.equal(pocketrank.memoryBytes, before);
});
