//! From raw values to rows, numbers and user state. Training and serving call these same functions, so they
//! cannot skew.

/// One label of one past impression, as it becomes known.
#[derive(Clone, Copy, Debug)]
pub struct Event<'e> {
    /// When it became known, Unix seconds.
    pub time: i64,
    /// Index into [`Spec::labels`](crate::spec::Spec::labels).
    pub label: u8,
    /// The label's value; binary labels 0 or 1.
    pub value: f32,
    /// The impression's ids of the features that derived features use as keys.
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
