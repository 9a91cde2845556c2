// What the tests rank: the golden files in the folder WORK.
import { readFileSync } from "node:fs";
import { Pocketrank } from "../pocketrank.js";
import { forEachRequest } from "../examples/requests.js";

export const work = process.env.WORK;
export const pocketrank = await Pocketrank.load();
export const seeds = [2, 3, 4, 7, 9, 12, 13, 19, 23, 30, 102, 104, 109, 112, 113];

export const read = (name) => readFileSync(`${work}/${name}`);
export const openModel = (name = "model") => pocketrank.open(read(`${name}.pkr`));

/** The first `most` requests of a golden file, each filled into `request` and given to `each(numCandidates)`. */
export function requests(name, request, most, each) {
  let left = most;
  forEachRequest(read(`${name}.req`), (fill, numCandidates) => {
    if (left-- > 0) each(fill(request), numCandidates);
  });
}

/** Fills `request` with the first of requests.req that has no error and at least `least` candidates. */
export function fillSound(request, ranker, least = 8) {
  let found;
  forEachRequest(read("requests.req"), (fill, numCandidates) => {
    if (found !== undefined || numCandidates < least) return;
    try {
      ranker.rank(fill(request));
      found = fill;
    } catch {
      // The next one.
    }
  });
  return found(request);
}

/** Bits of floats, as they are compared. */
export const bits = (floats) => [...new Uint32Array(floats.slice().buffer)];
