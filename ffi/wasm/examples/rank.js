// Ranks every request of a file and returns what examples/c/rank.c prints: status and counters, the order, and the bits of
// all scores. Runs in browsers and in Node.
import { PocketrankError } from "../pocketrank.js";
import { forEachRequest } from "./requests.js";

const bits = (name, values) => {
  let line = name;
  for (const word of new Uint32Array(values.buffer, values.byteOffset, values.length))
    line += ` ${word.toString(16).padStart(8, "0")}`;
  return line;
};

export function rankFile(pocketrank, modelBytes, requestBytes) {
  const lines = [];
  const model = pocketrank.open(modelBytes);
  const request = model.request();
  const ranker = model.ranker();
  let ranking;
  forEachRequest(requestBytes, (fill, numCandidates, index) => {
    try {
      ranking = ranker.rank(fill(request), { into: ranking });
      const { scored, missing, notFinite, unknownIds, cutLists } = ranking;
      lines.push(
        `request ${index} PKR_OK scored ${scored} missing ${missing} not_finite ${notFinite} ` +
          `unknown_ids ${unknownIds} cut_lists ${cutLists}`,
      );
      lines.push(`order ${ranking.order.join(" ")}`, bits("fused", ranking.fused), bits("scores", ranking.scores));
    } catch (error) {
      if (!(error instanceof PocketrankError)) throw error;
      // Whatever went wrong: the order that the server sent.
      lines.push(`request ${index} ${pocketrank.statusName(error.status)} server's order`);
      lines.push(`order ${Array.from({ length: numCandidates }, (_, i) => i).join(" ")}`, "fused", "scores");
    }
  });
  for (const handle of [ranker, request, model]) handle.close();
  return `${lines.join("\n")}\n`;
}
