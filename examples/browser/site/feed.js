// The list of cards: how they look, move, and take what the viewer does.

const MOVE = { duration: 460, easing: "cubic-bezier(0.2, 0.8, 0.2, 1)" };
/** What comes from more places away would leave the screen empty: it appears, from so many pixels. */
const FAR = 4;
const NEAR = 48;
const LEAVE = { duration: 240, easing: "ease-out" };
/** A video plays in so many milliseconds, however long it is. */
const PLAY_MS = 4000;
const still = matchMedia("(prefers-reduced-motion: reduce)");

export const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};
export const seconds = (time) => (time < 60 ? `${time} s` : `${Math.floor(time / 60)}:${String(time % 60).padStart(2, "0")}`);
export const ordinal = (place) => {
  const suffix = ["th", "st", "nd", "rd"][place % 10] ?? "th";
  return `${place}${place % 100 > 10 && place % 100 < 14 ? "th" : suffix}`;
};

/** An abstract picture from an item's numbers. */
function art({ id, topic }) {
  const picture = element("div", { className: "art", ariaHidden: "true" });
  const part = (shift, most) => ((id * 2654435761) >>> shift) % most;
  picture.dataset.shape = String(part(4, 4));
  const variables = { hue: topic * 30 + 15, x: 20 + part(7, 60), y: 22 + part(13, 50), turn: part(19, 180) };
  for (const [name, value] of Object.entries(variables)) picture.style.setProperty(`--${name}`, value);
  return picture;
}

export class Feed {
  #list;
  #cards = new Map(); // candidate: card
  #order = [];
  #playing = null;
  #on;

  /** `on.done(candidate, outcome)` and `on.why(candidate)`, which makes the contents of a card's explanation. */
  constructor(list, items, on) {
    this.#list = list;
    this.#on = on;
    list.addEventListener("keydown", (event) => this.#key(event));
    list.addEventListener("focusin", (event) => this.#current(event.target.closest(".card")));
    this.fill(items);
  }

  fill(items) {
    this.#stop();
    this.#list.replaceChildren();
    this.#cards = new Map(items.map((item, candidate) => [candidate, this.#card(item, candidate)]));
  }

  #card(item, candidate) {
    const id = `video-${candidate}`;
    const button = (name, label, run) => {
      const made = element("button", { type: "button", className: "quiet", textContent: label });
      made.dataset.action = name;
      made.setAttribute("aria-describedby", `${id}-title`);
      made.addEventListener("click", run);
      return made;
    };
    const why = button("why", "Why", () => this.#toggleWhy(candidate));
    why.setAttribute("aria-expanded", "false");
    const picture = art(item);
    picture.append(
      element("span", { className: "length", textContent: seconds(item.length) }),
      element("i", { className: "played" }),
    );
    picture.addEventListener("click", () => this.#watch(candidate));
    const card = element(
      "article",
      { className: "card", id, tabIndex: -1 },
      picture,
      element(
        "div",
        { className: "words" },
        element("h3", { id: `${id}-title`, textContent: item.title }),
        element("p", { className: "meta", id: `${id}-meta`, textContent: `${item.author} · ${item.topicName}` }),
        element(
          "div",
          { className: "actions" },
          button("watch", "Watch", () => this.#watch(candidate)),
          button("like", "Like", () => this.#finish(candidate, true)),
          button("skip", "Skip", () => this.#on.done(candidate, { watched: null })),
          why,
        ),
      ),
    );
    card.setAttribute("aria-labelledby", `${id}-title`);
    card.setAttribute("aria-describedby", `${id}-meta`);
    card.dataset.candidate = String(candidate);
    return card;
  }

  /** Puts the cards in this order; from where they are, they move there. `gone` leaves. */
  show(order, gone) {
    const focused = document.activeElement;
    const from = new Map(this.#order.map((candidate) => [candidate, this.#cards.get(candidate).getBoundingClientRect().top]));
    const place = this.#order.indexOf(gone);
    const hadFocus = gone !== undefined && this.#cards.get(gone).contains(focused);
    if (gone !== undefined) this.#leave(this.#cards.get(gone));
    this.#order = [...order];
    this.#order.forEach((candidate, i) => {
      const card = this.#cards.get(candidate);
      if (this.#list.children[i] !== card) this.#list.insertBefore(card, this.#list.children[i] ?? null);
      card.setAttribute("aria-posinset", i + 1);
      card.setAttribute("aria-setsize", this.#order.length);
      card.querySelector('[data-action="why"]').textContent = `Why ${ordinal(i + 1)}`;
      card.getAnimations().forEach((animation) => animation.cancel());
    });
    this.#refresh();
    // Moving an element takes the focus away from it.
    if (hadFocus) this.#cards.get(this.#order[Math.min(place, this.#order.length - 1)])?.focus();
    else if (focused?.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
    if (!this.#list.contains(document.activeElement)) this.#current(this.#list.firstElementChild);
    if (still.matches) return;
    for (const candidate of this.#order) {
      const card = this.#cards.get(candidate);
      const shift = (from.get(candidate) ?? NaN) - card.getBoundingClientRect().top;
      if (Math.abs(shift) < 1 || Number.isNaN(shift)) continue;
      const far = Math.abs(shift) > FAR * card.offsetHeight;
      const start = far
        ? { transform: `translateY(${Math.sign(shift) * NEAR}px)`, opacity: 0 }
        : { transform: `translateY(${shift}px)` };
      card.animate([start, { transform: "none", opacity: 1 }], MOVE);
    }
  }

  #leave(card) {
    const top = this.#list.offsetTop + card.offsetTop;
    card.remove();
    if (still.matches) return;
    // A copy fades where the card was, over the list that closes the gap.
    const copy = card.cloneNode(true);
    copy.classList.add("leaving");
    copy.inert = true;
    copy.querySelectorAll("[id]").forEach((part) => part.removeAttribute("id"));
    copy.removeAttribute("id");
    copy.style.top = `${top}px`;
    this.#list.parentElement.append(copy);
    copy.animate([{ opacity: 1 }, { opacity: 0, transform: "translateX(-24px)" }], LEAVE).finished.then(() => copy.remove());
  }

  // ---- Watching ----

  #watch(candidate) {
    if (this.#playing?.candidate === candidate) {
      this.#finish(candidate, false);
      return;
    }
    this.#stop();
    const card = this.#cards.get(candidate);
    const { length } = this.#on.item(candidate);
    const label = card.querySelector('[data-action="watch"]');
    const playing = { candidate, started: performance.now(), frame: 0 };
    const tick = () => {
      const part = Math.min((performance.now() - playing.started) / PLAY_MS, 1);
      card.style.setProperty("--played", part);
      label.textContent = "Stop";
      card.querySelector(".length").textContent = seconds(Math.round(part * length));
      if (part === 1) this.#finish(candidate, false);
      else playing.frame = requestAnimationFrame(tick);
    };
    card.classList.add("playing");
    this.#playing = playing;
    tick();
  }

  /** Seconds of a video that were watched: all of one that was not playing, since a like says that it was. */
  #watched(candidate) {
    const { length } = this.#on.item(candidate);
    if (this.#playing?.candidate !== candidate) return length;
    return Math.min((performance.now() - this.#playing.started) / PLAY_MS, 1) * length;
  }

  #finish(candidate, liked) {
    const watched = this.#watched(candidate);
    this.#stop();
    this.#on.done(candidate, { watched, liked });
  }

  #stop() {
    if (this.#playing === null) return;
    cancelAnimationFrame(this.#playing.frame);
    const card = this.#cards.get(this.#playing.candidate);
    card.classList.remove("playing");
    card.style.removeProperty("--played");
    card.querySelector('[data-action="watch"]').textContent = "Watch";
    card.querySelector(".length").textContent = seconds(this.#on.item(this.#playing.candidate).length);
    this.#playing = null;
  }

  // ---- Why ----

  #toggleWhy(candidate) {
    const card = this.#cards.get(candidate);
    const open = card.querySelector(".why");
    if (open === null)
      card.append(element("section", { className: "why", ariaLabel: "Why this rank" }, this.#on.why(candidate)));
    else open.remove();
    card.querySelector('[data-action="why"]').setAttribute("aria-expanded", String(open === null));
  }

  /** Explanations that are open follow the order. */
  #refresh() {
    for (const open of this.#list.querySelectorAll(".why")) {
      open.replaceChildren(this.#on.why(Number(open.closest(".card").dataset.candidate)));
    }
  }

  // ---- Keyboard: one card is in the tab order, with its buttons; arrows make another one that. ----

  #current(card) {
    if (card === null || card === undefined) return;
    for (const other of this.#list.children) {
      other.tabIndex = other === card ? 0 : -1;
      for (const button of other.querySelectorAll("button")) button.tabIndex = other === card ? 0 : -1;
    }
  }

  #key(event) {
    const card = event.target.closest(".card");
    const cards = [...this.#list.children];
    const at = cards.indexOf(card);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: cards.length - 1 }[event.key];
    if (next === undefined) {
      if (event.key === "Enter" && event.target === card) card.querySelector('[data-action="watch"]').click();
      return;
    }
    event.preventDefault();
    cards[Math.max(0, Math.min(next, cards.length - 1))].focus();
  }
}
