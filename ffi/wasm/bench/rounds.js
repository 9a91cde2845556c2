// Times one request through the package: the same rounds in Node and in a browser.
import { forEachRequest } from "../examples/requests.js";

/** A function that ranks request `index` of a file `count` times and returns microseconds for one. */
export function rounds(pocketrank, modelBytes, requestBytes, index) {
  const model = pocketrank.open(modelBytes);
  const request = model.request();
  forEachRequest(requestBytes, (fill, _, i) => i === index && fill(request));
  const ranker = model.ranker(request.numCandidates);
  const options = { terms: false, into: ranker.rank(request) };
  const round = (count) => {
    const start = performance.now();
    for (let i = 0; i < count; i++) ranker.rank(request, options);
    return (1000 * (performance.now() - start)) / count;
  };
  return { round, isa: model.isa, numCandidates: request.numCandidates };
}
