//! From raw values to rows, numbers and user state. Training and serving call these same functions, so they
//! cannot skew.
//!
//! | raw value | becomes | by |
//! |---|---|---|
//! | id | 64-bit key | [`hash_int`], [`hash_text`], [`hash_cross`] |
//! | key | row of a table | [`table_row`], [`Vocabulary`] |
//! | row of a table | activation bytes | [`Embedding`] |
//! | list of rows | one row | [`Pool`] |
//! | number | network value, row of a bucket | [`Transform::apply`](crate::spec::Transform::apply), [`bucket_row`] |
//! | two numbers | one | [`Operation::apply`](crate::spec::Operation::apply) |
//! | labels of past impressions | user state, then numbers and ids | [`apply`], then [`number`], [`last_ids`] |

mod decay;
mod embedding;
mod numbers;
mod pooling;
mod slots;
mod state;
#[cfg(test)]
mod tests;
pub(crate) mod vocabulary;

use xxhash_rust::xxh3::xxh3_64;

pub use embedding::Embedding;
pub(crate) use embedding::copy;
pub use numbers::bucket_row;
pub use pooling::{Pool, weight_q15};
pub use state::{
    STATE_VERSION, TIME_MAX, apply, check, key_features, last_ids, last_time, number, reset,
    state_bytes,
};
pub use vocabulary::{Vocabulary, table_row};

/// One label of one past impression, as it becomes known.
#[derive(Clone, Copy, Debug)]
pub struct Event<'e> {
    /// When it became known, Unix seconds, at most [`TIME_MAX`] either way.
    pub time: i64,
    /// Index into [`Spec::labels`](crate::spec::Spec::labels).
    pub label: u8,
    /// The label's value; binary labels 0 or 1.
    pub value: f32,
    /// The impression's ids of the features that derived features use as keys (see [`key_features`]). A derived
    /// feature whose key is not among them is left as it is.
    pub keys: &'e [Key],
}

/// The id of a key feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Feature index.
    pub feature: u8,
    /// Hashed id, by [`hash_int`] or [`hash_text`]; a bucketed number's key is the [`hash_int`] of its bucket row.
    pub hash: u64,
}

/// Key of an [`IdType::Int`](crate::spec::IdType) id: XXH3-64 (seed 0) of its 8 little-endian bytes.
///
/// An int never meets its own decimal text: no text of an int is the 8 little-endian bytes of that int, so the two
/// are hashes of different inputs.
#[inline]
pub fn hash_int(id: u64) -> u64 {
    xxh3_64(&id.to_le_bytes())
}

/// Key of an [`IdType::Text`](crate::spec::IdType) id: XXH3-64 (seed 0) of its UTF-8 bytes, as they are.
// Of several callers one copy.
#[inline(never)]
pub fn hash_text(utf8: &[u8]) -> u64 {
    xxh3_64(utf8)
}

/// Key of a cross of two keys: XXH3-64 (seed 0) of the 16 bytes `left`, `right`, each little-endian. Not symmetric.
// Of several callers one copy.
#[inline(never)]
pub fn hash_cross(left: u64, right: u64) -> u64 {
    xxh3_64(&((u128::from(right) << 64) | u128::from(left)).to_le_bytes())
}

/// `n` equal parts of the 64-bit numbers: the part that `key` is in, floor(key x n / 2^64), below `n`.
#[inline]
fn part(key: u64, n: u64) -> u64 {
    ((u128::from(key) * u128::from(n)) >> 64) as u64
}
