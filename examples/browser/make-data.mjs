// One viewer of the simulated log, with all that is known of them, and items of the catalogue that they have not seen:
//   node make-data.mjs LOG OUT PROGRAM DESCRIPTION
// The history is held against the trainer's own: their last request of the log must get the scores that the program prints.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { Pocketrank } from "../../ffi/wasm/pocketrank.js";
import { TOPICS, author, isBait, title } from "./words.mjs";

const ITEMS = 24;
const PER_TOPIC = 2;
const [log, out, program, description] = process.argv.slice(2);
// When a label is known, in seconds after the user was done with the row.
const LABELS = [
  ["click", 0],
  ["watch", 0],
  ["complete", 0],
  ["like", 600],
  ["comment", 3600],
  ["favourite", 1800],
  ["share", 7200],
];

const table = (name) => {
  const [head, ...lines] = readFileSync(`${log}/${name}.csv`, "utf8").trimEnd().split("\n");
  const names = head.split(",");
  return lines.map((line) =>
    Object.fromEntries(
      line.split(",").map((text, i) => [names[i], text === "" || Number.isNaN(Number(text)) ? text : Number(text)]),
    ),
  );
};
const items = table("items");
const rows = table("log");

// The viewer who clicked most.
const pasts = new Map();
for (const row of rows) {
  if (!pasts.has(row.user_id)) pasts.set(row.user_id, []);
  pasts.get(row.user_id).push(row);
}
const clicked = (past) => past.filter(({ click }) => click === 1).length;
const [userId, past] = [...pasts].sort(([, a], [, b]) => clicked(b) - clicked(a))[0];
const user = table("users").find(({ user_id }) => user_id === userId);

/** Events known before `time`, in the order in which they became known. */
function events(before) {
  const all = [];
  for (const row of past) {
    if (row.valid !== 1) continue;
    for (const [label, delay] of LABELS) {
      const value = row[label === "watch" ? "watch_seconds" : label];
      const known = row.time + row.view_end_seconds + delay;
      const { topic, length_seconds, bait } = items[row.item_id];
      if (value !== "" && known < before) all.push([label, known, value, topic, length_seconds, bait]);
    }
  }
  return all.sort((a, b) => a[1] - b[1]);
}

await check();

const seen = new Set(past.map(({ item_id }) => item_id));
const perTopic = new Map();
let seed = 7;
const random = () => {
  // mulberry32
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
};
const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
const candidates = [];
for (let id = Math.floor(random() * items.length); candidates.length < ITEMS; id = (id + 97) % items.length) {
  const item = items[id];
  const used = perTopic.get(item.topic) ?? 0;
  if (seen.has(id) || used >= PER_TOPIC) continue;
  perTopic.set(item.topic, used + 1);
  const baits = candidates.filter(({ isBait }) => isBait).length;
  candidates.push({
    id,
    topic: item.topic,
    topicName: TOPICS[item.topic],
    author: author(item.author),
    title: title(item, used, baits),
    quality: item.quality,
    bait: item.bait,
    isBait: isBait(item),
    length: item.length_seconds,
    // The server's score as the simulator draws it.
    serverScore: Number((0.5 * item.quality + 0.7 * item.bait + 0.5 * normal()).toFixed(3)),
  });
}
candidates.sort((a, b) => b.serverScore - a.serverScore);

const time = past.at(-1).time + 86_400;
const { age_group, gender, region } = user;
const feed = { time, user: { age_group, gender, region }, events: events(time), items: candidates };
writeFileSync(`${out}/feed.json`, JSON.stringify(feed));

async function check() {
  const last = past.filter(({ request_id }) => request_id === past.at(-1).request_id);
  const args = ["rank", `${out}/feed.pkr`, description, "--request", String(last[0].request_id), "--top", "99", "--json"];
  const { top } = JSON.parse(execFileSync(program, args, { encoding: "utf8" }));
  const pocketrank = await Pocketrank.load();
  const model = pocketrank.open(readFileSync(`${out}/feed.pkr`));
  const [state, request, ranker] = [model.state(), model.request(), model.ranker(last.length)];
  for (const [label, time, value, topic, length_seconds, bait] of events(last[0].time)) {
    state.apply({ label, time, value, keys: { topic, length_seconds, bait } });
  }
  request.numCandidates = last.length;
  request.time = last[0].time;
  request.state = state;
  for (const name of ["age_group", "gender", "region"]) request.set(name, [user[name]]);
  for (const name of ["topic", "quality", "bait", "length_seconds"])
    request.set(
      name,
      last.map((row) => items[row.item_id][name]),
    );
  for (const name of ["position", "server_score"])
    request.set(
      name,
      last.map((row) => row[name]),
    );
  const { fused } = ranker.rank(request);
  for (const { candidate, fused: theirs } of top) {
    if (fused[candidate] !== theirs) throw new Error(`candidate ${candidate}: ${fused[candidate]}, the program says ${theirs}`);
  }
}
