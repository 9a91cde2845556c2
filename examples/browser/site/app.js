// Puts the page together: an order from the engine, cards that follow it, sliders that change it.
import { Engine } from "./engine.js";
import { Feed } from "./feed.js";
import { sliders } from "./weights.js";
import { whyOf } from "./why.js";

const SAY_AFTER_MS = 500;
const FIRST_LOOK_MS = 700;
const by = (id) => document.getElementById(id);

const engine = await Engine.load();
const feed = new Feed(by("feed"), engine.items, {
  item: (candidate) => engine.items[candidate],
  why: (candidate) => whyOf(engine, candidate),
  done(candidate, outcome) {
    engine.done(candidate, outcome);
    rank(candidate);
  },
});

let saying;
/** Tells what is on top now, when things have come to rest. */
function say(order) {
  clearTimeout(saying);
  saying = setTimeout(() => {
    by("status").textContent = order.length === 0 ? "No videos left" : `First: ${engine.items[order[0]].title}`;
  }, SAY_AFTER_MS);
}

function rank(gone) {
  const order = engine.left.length === 0 ? [] : Array.from(engine.rank());
  feed.show(order, gone);
  by("latency").textContent = `${engine.latency.toFixed(0)} µs`;
  by("empty").hidden = order.length > 0;
  say(order);
}

sliders(by("weights"), engine, () => rank());
by("restart").addEventListener("click", () => {
  engine.restart();
  feed.fill(engine.items);
  rank();
});
by("toggle").addEventListener("click", () => {
  const open = by("toggle").getAttribute("aria-expanded") !== "true";
  by("toggle").setAttribute("aria-expanded", String(open));
  by("toggle").textContent = open ? "Done" : "Weights";
  document.body.classList.toggle("panel-open", open);
  if (open) by("feed").scrollIntoView();
});
by("how").textContent =
  `${engine.items.length} videos, ${engine.model.isa}. The time is the median of the last 50 rankings, after a warm-up` +
  (crossOriginIsolated ? "." : "; this browser’s clock is coarse, so each is the mean of some in a row.");

// First the order that the server sent, then the one made here.
engine.warmUp();
feed.show(engine.items.map((_, i) => i));
setTimeout(
  () => {
    rank();
    document.body.dataset.ready = "";
  },
  matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : FIRST_LOOK_MS,
);

globalThis.demo = engine; // for a look from the console, and for the test
