// pocketrank in the browser and in Node: ranks a feed by several objectives at once, on the device. README.md is the guide,
// pocketrank.d.ts the reference.
export { Formula } from "./lib/formula.js";
export { Pocketrank } from "./lib/library.js";
export { Model } from "./lib/model.js";
export { Ranker } from "./lib/ranker.js";
export { Ranking } from "./lib/ranking.js";
export { Request } from "./lib/request.js";
export { Session } from "./lib/session.js";
export { UserState } from "./lib/state.js";
export { PocketrankError, Status } from "./lib/status.js";

/** Of `setItemSums`: the sums of this candidate were not kept. */
export const NO_SLOT = 0xffffffff;
/** A key of spacings and decays that no other candidate shares. */
export const NO_KEY = 0xffffffffffffffffn;
