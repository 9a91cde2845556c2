// The model, the viewer and the session behind the page: everything that calls pocketrank.
import { Pocketrank } from "./pocketrank/pocketrank.js";

const KEPT_TIMES = 50;
/** Where the clock is coarser than a ranking takes, so many milliseconds of rankings in a row are timed together. */
const COARSE_MS = 2;
const REPEATS_MAX = 64;
const WARM_UP_MS = 100;

export class Engine {
  static async load() {
    const [pocketrank, bytes, data] = await Promise.all([
      Pocketrank.load(),
      fetch("feed.pkr").then((response) => response.arrayBuffer()),
      fetch("feed.json").then((response) => response.json()),
    ]);
    return new Engine(pocketrank, bytes, data);
  }

  #data;
  #session;
  #ranking;
  #started = performance.now();
  #times = [];

  constructor(pocketrank, bytes, data) {
    const { items, user } = data;
    this.pocketrank = pocketrank;
    this.#data = data;
    this.items = items;
    this.model = pocketrank.open(bytes);
    this.weights = Float32Array.from(this.model.terms, ({ weight }) => weight);
    this.ranker = this.model.ranker(items.length);
    this.request = this.model.request();
    this.request.numCandidates = items.length;
    for (const [name, value] of Object.entries(user)) this.request.set(name, [value]);
    const column = (name, field) =>
      this.request.set(
        name,
        items.map((item) => item[field]),
      );
    column("topic", "topic");
    column("quality", "quality");
    column("bait", "bait");
    column("length_seconds", "length");
    column("server_score", "serverScore");
    this.request.set(
      "position",
      items.map(() => 0),
    ); // as if each stood at the top
    this.restart();
  }

  /** A session from the viewer's past alone. */
  restart() {
    const state = this.model.state();
    for (const [label, time, value, topic, length_seconds, bait] of this.#data.events) {
      state.apply({ label, time, value, keys: { topic, length_seconds, bait } });
    }
    this.#session?.close();
    this.request.time = this.#now();
    this.request.state = state;
    this.#session = this.ranker.session(this.request);
    this.request.state = null;
    state.close();
    this.left = this.items.map((_, i) => i);
  }

  #now() {
    return this.#data.time + Math.floor((performance.now() - this.#started) / 1000);
  }

  /** A browser compiles code again that runs often: rankings before that are not among the times. */
  warmUp() {
    const deadline = performance.now() + WARM_UP_MS;
    while (performance.now() < deadline) this.rank();
    this.#times = [];
  }

  /** What is left, best first. */
  rank() {
    this.request.time = this.#now();
    this.request.weights = this.weights;
    let [elapsed, repeats] = [0, 0];
    const before = performance.now();
    do {
      this.#ranking = this.#session.rerank(this.request, { into: this.#ranking });
      repeats++;
      elapsed = performance.now() - before;
    } while (!crossOriginIsolated && elapsed < COARSE_MS && repeats < REPEATS_MAX);
    this.#times.push((1000 * elapsed) / repeats);
    if (this.#times.length > KEPT_TIMES) this.#times.shift();
    return this.#ranking.order.subarray(0, this.left.length);
  }

  /** Median of the last rankings' times, in microseconds. */
  get latency() {
    const sorted = this.#times.toSorted((a, b) => a - b);
    const middle = sorted.length >> 1;
    return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }

  /** The viewer is done with a video: `watched` seconds of it, null for one that was passed over. */
  done(candidate, { watched, liked }) {
    const { topic, length: length_seconds, bait } = this.items[candidate];
    const keys = { topic, length_seconds, bait };
    const time = this.#now();
    const tell = (label, value) => this.#session.feedback({ label, time, value, keys });
    tell("click", watched === null ? 0 : 1);
    if (watched !== null) {
      tell("watch", watched);
      tell("complete", watched >= 0.95 * length_seconds ? 1 : 0);
      if (liked) tell("like", 1);
    }
    this.#session.shown(candidate);
    this.left.splice(this.left.indexOf(candidate), 1);
  }

  /** Why a candidate stands where it does: tasks, terms, experts, and what it would be without some of its features. */
  why(candidate) {
    const { model, ranker, request } = this;
    request.state = this.#session.state();
    request.only = this.left;
    try {
      const { order, fused, ...plain } = this.#place(candidate, ranker.rank(request));
      const gates = ranker.gates(request, candidate);
      const experts = gates.length / model.tasks.length;
      const without = this.groups.map(({ name, features }) => {
        request.without = features;
        const other = this.#place(candidate, ranker.rank(request));
        return { name, order: other.order, change: other.fused - fused };
      });
      return {
        order,
        fused,
        ...plain,
        without,
        gates: model.tasks.map((_, task) => gates.slice(task * experts, (task + 1) * experts)),
      };
    } finally {
      request.without = null;
      request.only = null;
      request.state = null;
    }
  }

  #place(candidate, ranking) {
    return {
      order: ranking.order.indexOf(candidate),
      fused: ranking.fused[candidate],
      scores: ranking.scoresOf(candidate),
      terms: ranking.termsOf(candidate),
    };
  }

  /** Features that are left out together. */
  get groups() {
    const names = (of) => this.model.features.filter(of).map(({ name }) => name);
    return [
      { name: "topic", features: ["topic"] },
      { name: "quality", features: ["quality"] },
      { name: "bait", features: ["bait"] },
      { name: "length", features: ["length_seconds"] },
      { name: "server score", features: ["server_score"] },
      { name: "viewer’s profile", features: names(({ side, derived }) => side === "user" && !derived) },
      { name: "viewer’s history", features: names(({ derived }) => derived) },
    ];
  }
}
