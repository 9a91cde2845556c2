// "Why this rank": what the model expects, what that is worth, whom it asked, and what it would say without some features.
import { element, ordinal } from "./feed.js";

const number = (value, digits = 2) => value.toFixed(digits).replace("-", "−");
const signed = (value) => (value > 0 ? `+${number(value)}` : number(value));

function score(task, value) {
  if (task.kind === "duration") return `${number(value, 1)} ${task.unit}`;
  return `${number(100 * value, value < 0.1 ? 2 : 1)} %`;
}

const heading = (text, note) => element("h4", {}, text, " ", element("span", { textContent: note }));

export function whyOf(engine, candidate) {
  const { model, weights } = engine;
  const { order, fused, scores, terms, gates, without } = engine.why(candidate);
  const content = document.createDocumentFragment();

  const most = Math.max(...terms.map(Math.abs), 1e-9);
  const sum = element("dl", { className: "terms" });
  model.terms.forEach(({ name, task, entire }, i) => {
    const about = model.tasks[task];
    const given = about.given === null ? "" : ` if ${model.tasks[about.given].name}`;
    const bar = element("i", { className: "bar" });
    bar.style.setProperty("--part", Math.abs(terms[i]) / most);
    const detail = `${score(about, scores[task])}${given}${entire ? "" : " (conditional)"}`;
    sum.append(
      element("dt", {}, name, element("span", { textContent: `${detail} × ${Number(weights[i].toFixed(2))}` })),
      element("dd", {}, bar, element("b", { textContent: number(terms[i]) })),
    );
  });
  sum.append(
    element("dt", { className: "total", textContent: "fused" }),
    element("dd", { className: "total" }, element("b", { textContent: number(fused) })),
  );
  sum.dataset.fused = String(fused);
  sum.dataset.terms = JSON.stringify([...terms]);
  content.append(heading(`${ordinal(order + 1)} of ${engine.left.length}`, "what one showing is expected to bring"), sum);

  const experts = element("dl", { className: "experts" });
  model.tasks.forEach(({ name }, task) => {
    const shares = [...gates[task]].map((share) => `${Math.round(100 * share)} %`);
    const bar = element("div", { className: "shares", ariaHidden: "true" });
    for (const share of gates[task]) {
      const part = element("i");
      part.style.setProperty("--part", share);
      bar.append(part);
    }
    const spoken = element("span", { className: "visually-hidden", textContent: shares.join(", ") });
    experts.append(element("dt", { textContent: name }), element("dd", {}, bar, spoken));
  });
  content.append(heading("Experts", "share of each in a task’s answer"), experts);

  const groups = element("dl", { className: "without" });
  for (const { name, order: place, change } of without) {
    groups.append(
      element("dt", { textContent: name }),
      element(
        "dd",
        {},
        element("span", { textContent: place === order ? "stays" : ordinal(place + 1) }),
        element("b", { textContent: signed(change) }),
      ),
    );
  }
  content.append(heading("Without", "its place, and the change of its score"), groups);
  return content;
}
