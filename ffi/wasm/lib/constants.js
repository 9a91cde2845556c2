// Numbers of pocketrank.h that stand for none.

/** PKR_NOWHERE: an index that does not apply. */
export const NOWHERE = 0xffffffff;
/** A row, or an id, of a value that is missing. */
export const MISSING_ROW = 0xffffffff;
export const MISSING_ID = 0xffffffffffffffffn;
/** Of `setItemSums`: the sums of this candidate were not kept. */
export const NO_SLOT = 0xffffffff;
/** A key of spacings and decays that no other candidate shares. */
export const NO_KEY = 0xffffffffffffffffn;
/** The candidate of an empty slot. */
export const NO_CANDIDATE = 0xffffffff;
