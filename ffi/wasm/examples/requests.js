// Reads files of requests (examples/README.md of the repository): what the tests and the bench rank.

const MAGIC = 0x31514552524b50n; // "PKRREQ1", little-endian
const WORDS = 4;

/** Calls `each(fill, numCandidates)` for every request of `file`; `fill(request)` makes a Request of it. */
export function forEachRequest(file, each) {
  const bytes = file.slice().buffer; // aligned
  const data = new DataView(bytes);
  if ((data.getBigUint64(0, true) & 0xffffffffffffffn) !== MAGIC) throw new Error("not a file of requests");
  const count = data.getUint32(8, true);
  let at = 16;
  const part = (Type, length) => {
    const here = new Type(bytes, at, length);
    at += Math.ceil(here.byteLength / 8) * 8;
    return here;
  };
  const readColumn = ([form, count, numOffsets, numLists, numWeights]) => {
    const Type = [Uint8Array, BigUint64Array, Uint8Array, Uint32Array, Float32Array, Uint8Array][form];
    const values = part(Type, count);
    const offsets = part(Uint32Array, numOffsets);
    const lists = part(Uint32Array, numLists);
    const weights = part(Float32Array, numWeights);
    const options = { listOffsets: numLists ? lists : undefined, weights: numWeights ? weights : undefined };
    return { form, values, offsets, options };
  };
  for (let i = 0; i < count; i++) {
    const time = data.getBigInt64(at, true);
    const [, , numCandidates, maxCandidates, flags, numColumns, stateBytes, numWeights] = part(Uint32Array, 2 * WORDS);
    const heads = Array.from({ length: numColumns }, () => part(Uint32Array, 6));
    const columns = heads.map(readColumn);
    const state = part(Uint8Array, stateBytes);
    const weights = part(Float32Array, numWeights);
    const fill = (request) => {
      request.clear();
      request.numCandidates = numCandidates;
      request.maxCandidates = maxCandidates;
      request.strict = (flags & 1) === 1;
      request.time = time;
      columns.forEach(({ form, values, offsets, options }, feature) => {
        if (form === 1) request.ids(feature, values, options);
        if (form === 2) request.text(feature, { bytes: values, offsets }, options);
        if (form === 3) request.rows(feature, values, options);
        if (form === 4) request.floats(feature, values);
        if (form === 5) request.bytes(feature, values);
      });
      if (stateBytes > 0) request.state = state;
      if (numWeights > 0) request.weights = weights;
      return request;
    };
    each(fill, numCandidates, i);
  }
}
