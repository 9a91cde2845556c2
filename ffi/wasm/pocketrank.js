// pocketrank in the browser and in Node: ranks a feed by several objectives at once, on the device. README.md is the guide,
// pocketrank.d.ts the reference.
export { NO_KEY, NO_SLOT } from "./lib/constants.js";
export { Formula } from "./lib/formula.js";
export { Pocketrank } from "./lib/library.js";
export { Model } from "./lib/model.js";
export { Ranker } from "./lib/ranker.js";
export { Ranking } from "./lib/ranking.js";
export { Request } from "./lib/request.js";
export { Session } from "./lib/session.js";
export { UserState } from "./lib/state.js";
export { PocketrankError, Status } from "./lib/status.js";
