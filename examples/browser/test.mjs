// The page in Chromium: node test.mjs WORK SHOTS, with NODE_PATH's playwright-core and axe-core (test.sh sets both).
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { serve } from "./serve.mjs";

const [work, shots, tools] = process.argv.slice(2);
const require = createRequire(`${tools}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const here = new URL(".", import.meta.url).pathname;
const seeds = [2, 3, 4, 7, 9, 12, 13, 19, 23, 30, 102, 104, 109, 112, 113];
const PHONE = { width: 390, height: 844 };
const STILL_MS = 600; // longer than any movement

mkdirSync(shots, { recursive: true });
const folders = { "/": `${here}dist`, "/gold/": work, "/wasm/": `${here}../../ffi/wasm` };
const { server, address } = await serve(folders, 0);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
console.log(`Chromium ${browser.version()}`);

/** A fresh page of the demo. Anything on its console and any request that is not its own file is a failure. */
async function open(run, options = {}) {
  const context = await browser.newContext({ viewport: PHONE, deviceScaleFactor: 2, hasTouch: true, ...options });
  const page = await context.newPage();
  const faults = [];
  page.on("console", (message) => faults.push(`console ${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => faults.push(`error: ${error.stack}`));
  page.on("response", (response) => {
    if (!response.url().startsWith(options.address ?? address) || response.status() !== 200)
      faults.push(`${response.status()} ${response.url()}`);
  });
  page.on("requestfailed", (request) => faults.push(`failed: ${request.url()}`));
  await page.goto(options.address ?? address);
  await page.waitForSelector("body[data-ready]");
  await page.waitForTimeout(STILL_MS);
  await run(page);
  assert.deepEqual(faults, []);
  await context.close();
}
async function check(name, run, options) {
  const start = Date.now();
  await open(run, options);
  console.log(`ok: ${name} (${Date.now() - start} ms)`);
}

const order = (page) => page.$$eval("#feed .card", (cards) => cards.map((card) => Number(card.dataset.candidate)));
const titles = (page) => page.$$eval("#feed .card h3", (all) => all.map((title) => title.textContent));
const fused = (page, candidate) => page.evaluate((candidate) => globalThis.demo.why(candidate).fused, candidate);
const first = "#feed .card:first-child";
const slide = (page, name, value) => page.locator(`#weight-${name}`).fill(String(value));

await check("scores are the bits of c.txt for all golden models", async (page) => {
  const text = await page.evaluate(
    async (names) => {
      const [{ Pocketrank }, { rankFile }] = await Promise.all([
        import("/wasm/pocketrank.js"),
        import("/wasm/examples/rank.js"),
      ]);
      const pocketrank = await Pocketrank.load();
      const bytes = async (name) => new Uint8Array(await (await fetch(`/gold/${name}`)).arrayBuffer());
      let all = "";
      for (const [model, requests] of names) all += rankFile(pocketrank, await bytes(model), await bytes(requests));
      return all;
    },
    [["model.pkr", "requests.req"], ...seeds.map((seed) => [`goldens/${seed}.pkr`, `goldens/${seed}.req`])],
  );
  assert.ok(text === readFileSync(`${work}/c.txt`, "utf8"));
});

await check("the feed is in the engine's order, best first", async (page) => {
  const shown = await order(page);
  assert.equal(shown.length, 24);
  assert.notDeepEqual(
    shown,
    shown.toSorted((a, b) => a - b),
    "the server's order",
  );
  const scores = await page.evaluate((shown) => shown.map((candidate) => globalThis.demo.why(candidate).fused), shown);
  assert.deepEqual(
    scores,
    scores.toSorted((a, b) => b - a),
  );
  assert.match(await page.textContent("#latency"), /^\d+ µs$/);
  assert.equal(await page.evaluate(() => crossOriginIsolated), true);
  await page.screenshot({ path: `${shots}/phone-light.png` });
});

await check("a slider changes the order, cards move there, Reset brings both back", async (page) => {
  const before = await order(page);
  await page.click("#toggle");
  await slide(page, "like", 200);
  const moving = await page.evaluate(
    () => document.getAnimations().filter(({ effect }) => effect.target.matches(".card")).length,
  );
  assert.ok(moving > 0, "nothing moves");
  await slide(page, "duration", 0);
  await page.waitForTimeout(STILL_MS);
  const after = await order(page);
  assert.notDeepEqual(after, before);
  const tops = await page.$$eval("#feed .card", (cards) => cards.map((card) => card.getBoundingClientRect().top));
  assert.deepEqual(
    tops,
    tops.toSorted((a, b) => a - b),
  );
  await page.screenshot({ path: `${shots}/phone-weights.png` });
  await page.click("#reset");
  assert.deepEqual(await order(page), before);
  assert.equal(await page.textContent(".weight output >> nth=1"), "1");
});

await check(
  "with reduced motion nothing moves, and the order changes all the same",
  async (page) => {
    const before = await order(page);
    await page.click("#toggle");
    await slide(page, "duration", 0);
    assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
    assert.notDeepEqual(await order(page), before);
  },
  { reducedMotion: "reduce" },
);

await check("skip, watch and like go into the session, and what is left is ranked again", async (page) => {
  const watched = (await order(page))[2];
  const other = (await order(page))[5];
  const [skipped] = await order(page);
  const before = await fused(page, other);
  await page.click(`${first} [data-action="skip"]`);
  assert.equal((await order(page)).length, 23);
  assert.ok(!(await order(page)).includes(skipped));
  const after = await fused(page, other);
  assert.notEqual(after, before);
  const card = `#video-${watched}`;
  const length = await page.textContent(`${card} .length`);
  await page.click(`${card} .art`);
  await page.waitForTimeout(500);
  assert.equal(await page.textContent(`${card} [data-action="watch"]`), "Stop");
  assert.notEqual(await page.textContent(`${card} .length`), length);
  await page.screenshot({ path: `${shots}/phone-playing.png` });
  await page.click(`${card} [data-action="watch"]`);
  assert.ok(!(await order(page)).includes(watched));
  assert.notEqual(await fused(page, other), after);
  const liked = (await order(page)).find((candidate) => candidate !== other);
  const late = await fused(page, other);
  await page.click(`#video-${liked} [data-action="like"]`);
  assert.notEqual(await fused(page, other), late);
  assert.equal((await order(page)).length, 21);
  await page.click("#restart");
  assert.equal((await order(page)).length, 24);
  assert.equal(await fused(page, other), before);
});

await check(
  "a feed that is used up says so, and starts over",
  async (page) => {
    for (let left = 24; left > 0; left--) await page.click(`${first} [data-action="skip"]`);
    assert.equal(await page.isVisible("#empty"), true);
    await page.click("#restart");
    assert.equal(await page.isVisible("#empty"), false);
    assert.equal((await order(page)).length, 24);
  },
  { reducedMotion: "reduce" },
);

await check("why: terms add up to the fused score, experts to all, and features that are left out count", async (page) => {
  await page.click(`${first} [data-action="why"]`);
  const sum = await page.$eval(".terms", ({ dataset }) => ({ fused: Number(dataset.fused), terms: JSON.parse(dataset.terms) }));
  assert.equal(sum.terms.length, 7);
  assert.equal(
    sum.terms.reduce((sum, term) => Math.fround(sum + term), 0),
    sum.fused,
  );
  const shown = await page.$$eval(".terms b", (all) => all.map(({ textContent }) => Number(textContent.replace("−", "-"))));
  const total = shown.pop();
  assert.ok(Math.abs(shown.reduce((a, b) => a + b) - total) < 0.005 * 8, `${shown} is not ${total}`);
  const experts = await page.evaluate(() => globalThis.demo.why(0).gates.map((shares) => shares.reduce((a, b) => a + b)));
  assert.ok(
    experts.every((sum) => Math.abs(sum - 1) < 1e-4),
    `${experts}`,
  );
  assert.equal(await page.locator(".experts dd").count(), 7);
  assert.match(await page.textContent(".terms dt:nth-of-type(2)"), /^duration\d+\.\d s if click × 1$/);
  const changes = await page.$$eval(".without b", (all) => all.map(({ textContent }) => textContent));
  assert.equal(changes.length, 7);
  assert.ok(
    changes.every((change) => change !== "0.00"),
    `${changes}`,
  );
  await page.locator(first).evaluate((card) => card.scrollIntoView());
  await page.screenshot({ path: `${shots}/phone-why.png` });
  await page.addStyleTag({ content: ".shot .panel { visibility: hidden }" });
  await page.evaluate(() => document.body.classList.add("shot"));
  await page.locator(`${first} .why`).screenshot({ path: `${shots}/phone-why-whole.png` });
  await page.evaluate(() => document.body.classList.remove("shot"));
  // It follows the weights.
  await page.evaluate(() => globalThis.demo.weights.fill(0));
  await page.click("#toggle");
  await slide(page, "click", 4);
  assert.equal(await page.$eval(".terms", ({ dataset }) => JSON.parse(dataset.terms).filter((term) => term !== 0).length), 1);
});

await check("the keyboard alone does it all, and the focus is seen", async (page) => {
  const focus = () =>
    page.evaluate(() => {
      const { activeElement } = document;
      const part = activeElement.matches("input")
        ? getComputedStyle(activeElement, "::-webkit-slider-thumb")
        : getComputedStyle(activeElement);
      return {
        id: activeElement.id,
        action: activeElement.dataset.action,
        card: activeElement.closest(".card")?.dataset.candidate,
        outline: activeElement.matches("input") || Number.parseFloat(part.outlineWidth) >= 2,
      };
    });
  const press = async (key) => {
    await page.keyboard.press(key);
    const now = await focus();
    assert.ok(now.outline, `no outline on ${JSON.stringify(now)}`);
    return now;
  };
  await press("Tab"); // To the feed
  assert.equal((await press("Tab")).id, "toggle");
  await press("Enter");
  assert.equal(await page.getAttribute("#toggle", "aria-expanded"), "true");
  const before = await order(page);
  assert.equal((await press("Tab")).id, "weight-click");
  assert.equal((await press("Tab")).id, "weight-duration");
  await press("Home");
  assert.equal(await page.inputValue("#weight-duration"), "0");
  assert.equal(await page.getAttribute("#weight-duration", "aria-valuetext"), "0 a second");
  assert.notDeepEqual(await order(page), before);
  assert.equal((await focus()).id, "weight-duration");
  for (const name of ["complete", "like", "comment", "favourite", "share"])
    assert.equal((await press("Tab")).id, `weight-${name}`);
  assert.equal((await press("Tab")).id, "reset");
  await press("Enter");
  assert.deepEqual(await order(page), before);
  for (let i = 0; i < 8; i++) await page.keyboard.press("Shift+Tab");
  assert.equal((await focus()).id, "toggle");
  await press("Enter");
  assert.equal((await press("Tab")).id, "restart");
  assert.equal((await press("Tab")).card, String(before[0]));
  assert.equal((await press("ArrowDown")).card, String(before[1]));
  assert.equal((await press("ArrowUp")).card, String(before[0]));
  assert.equal((await press("End")).card, String(before[23]));
  assert.equal((await press("Home")).card, String(before[0]));
  for (const action of ["watch", "like", "skip", "why"]) assert.equal((await press("Tab")).action, action);
  await press("Enter");
  assert.equal(await page.isVisible(`${first} .why`), true);
  await press("Space");
  assert.equal(await page.locator(".why").count(), 0);
  await press("Shift+Tab");
  await press("Enter"); // Skip: the focus goes to the card that takes the place.
  assert.equal((await order(page)).length, 23);
  assert.equal((await focus()).card, String((await order(page))[0]));
  await press("Enter");
  assert.equal(await page.textContent(`${first} [data-action="watch"]`), "Stop");
  await press("Enter");
  assert.equal((await order(page)).length, 22);
  await page.waitForTimeout(STILL_MS);
  assert.match(await page.textContent("#status"), /^First: /);
});

for (const colorScheme of ["light", "dark"]) {
  await check(
    `accessible, ${colorScheme}: axe finds nothing, contrast included`,
    async (page) => {
      const look = async () => {
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() =>
          globalThis.axe.run(document, {
            runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
          }),
        );
        assert.deepEqual(
          violations.map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`)]),
          [],
        );
      };
      await look();
      await page.click(`${first} [data-action="why"]`);
      await look();
      await page.click("#toggle");
      await look();
      if (colorScheme === "dark") {
        await page.click("#toggle");
        await page.evaluate(() => scrollTo(0, 0));
        await page.click(`${first} [data-action="why"]`);
        await page.evaluate(() => scrollTo(0, 0));
        await page.waitForTimeout(STILL_MS);
        await page.screenshot({ path: `${shots}/phone-dark.png` });
        await page.click(`${first} [data-action="why"]`);
        await page.locator(first).evaluate((card) => card.scrollIntoView());
        await page.screenshot({ path: `${shots}/phone-why-dark.png` });
      }
    },
    { colorScheme, reducedMotion: "reduce" },
  );
}

for (const width of [320, 390, 768, 1280]) {
  await check(
    `nothing is wider than ${width} pixels, and what is pressed is large enough`,
    async (page) => {
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= width);
      const small = await page.$$eval("button, input", (all) =>
        all
          .map((one) => [one.id || one.textContent, one.getBoundingClientRect()])
          .filter(([, { width, height }]) => width > 0 && (height < 40 || width < 40))
          .map(([name, { width, height }]) => `${name} ${width} x ${height}`),
      );
      assert.deepEqual(small, []);
      if (width === 1280) await page.screenshot({ path: `${shots}/desk-light.png` });
    },
    { viewport: { width, height: width > 900 ? 900 : 844 } },
  );
}
await check(
  "a desk in the dark",
  async (page) => {
    await page.click(`${first} [data-action="why"]`);
    await page.waitForTimeout(STILL_MS);
    await page.screenshot({ path: `${shots}/desk-dark-why.png` });
  },
  { viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
);

// Any static server does: without isolation the clock is coarse, and the page says so.
const plain = await serve({ "/": `${here}dist` }, 0, { isolated: false });
await check(
  "from a server without headers of its own",
  async (page) => {
    assert.equal(await page.evaluate(() => crossOriginIsolated), false);
    assert.match(await page.textContent("#how"), /clock is coarse/);
    assert.match(await page.textContent("#latency"), /^[1-9]\d* µs$/);
    assert.equal((await titles(page)).length, 24);
  },
  { address: plain.address },
);

await browser.close();
for (const one of [server, plain.server]) one.close();
