// A slider for each term of the fusion.
import { element } from "./feed.js";

/** A term's weight goes up to so many times what the file has. */
const RANGE = { duration: 3 };
const RANGE_OTHERS = 10;
/** Steps from 0 to the weight that the file has, which is one of them. */
const STEPS = 10;

const shown = (weight) => Number(weight.toFixed(weight < 10 ? 2 : 0));

export function sliders(form, engine, changed) {
  const { model, weights } = engine;
  const all = model.terms.map(({ name, weight, index }) => {
    const { unit, kind } = model.tasks[model.terms[index].task];
    const most = weight * (RANGE[name] ?? RANGE_OTHERS);
    const id = `weight-${name}`;
    const input = element("input", {
      type: "range",
      id,
      min: "0",
      max: String(most),
      step: String(weight / STEPS),
      value: String(weight),
    });
    const value = element("output", { htmlFor: id });
    const show = () => {
      const number = shown(Number(input.value));
      value.textContent = String(number);
      input.style.setProperty("--part", input.value / most);
      input.setAttribute(
        "aria-valuetext",
        kind === "duration" ? `${number} a ${unit === "s" ? "second" : unit}` : `${number} each`,
      );
    };
    input.addEventListener("input", () => {
      weights[index] = Number(input.value);
      show();
      changed();
    });
    show();
    form.append(element("div", { className: "weight" }, element("label", { htmlFor: id, textContent: name }), value, input));
    return () => {
      input.value = String(weight);
      weights[index] = weight;
      show();
    };
  });
  const reset = element("button", { type: "button", className: "quiet", id: "reset", textContent: "Reset" });
  reset.addEventListener("click", () => {
    for (const back of all) back();
    changed();
  });
  const hint = element("p", { className: "hint", textContent: "What each is worth, in seconds of watch time." });
  form.append(element("div", { className: "weights-foot" }, hint, reset));
}
