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

use crate::error::Result;
use crate::spec::{Grid, Pooling, Spec, Table, Transform};

pub fn hash_int(id: u64) -> u64 {
    xxhash_rust::xxh3::xxh3_64(&id.to_le_bytes())
}
pub fn hash_text(id: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(id)
}
pub fn hash_cross(left: u64, right: u64) -> u64 {
    left ^ right
}
#[derive(Clone, Copy, Debug, Default)]
pub struct Vocabulary<'a>(&'a [u8]);
impl<'a> Vocabulary<'a> {
    pub fn check(bytes: &'a [u8], _keys: u32) -> Result<Self> {
        Ok(Self(bytes))
    }
}
pub fn table_row(
    _t: &Table<'_>,
    _v: Option<&Vocabulary<'_>>,
    _key: Option<u64>,
    _default: u32,
) -> (u32, bool) {
    (0, false)
}
pub struct Pool;
impl Pool {
    pub fn new(_p: Pooling, _d: u16) -> Self {
        Pool
    }
    pub fn add(&mut self, _row: &[u8], _w: Option<u16>) {}
    pub fn finish(self, _z: &[u8], _to: &mut [u8]) {}
}
pub fn weight_q15(_w: f32) -> u16 {
    0
}
pub fn bucket_row(_t: &Transform, _b: &[u8], _raw: f32) -> u32 {
    0
}
impl Grid {
    pub fn quantize(&self, _x: f32) -> u8 {
        0
    }
}
impl Transform {
    pub fn apply(&self, x: f32) -> f32 {
        x
    }
}
pub fn state_bytes(_s: &Spec<'_>) -> usize {
    0
}
pub fn reset(_s: &Spec<'_>, _st: &mut [u8]) -> Result<()> {
    Ok(())
}
pub fn check(_s: &Spec<'_>, _st: &[u8]) -> Result<()> {
    Ok(())
}
pub fn apply(_s: &Spec<'_>, _st: &mut [u8], _e: &Event<'_>) -> Result<()> {
    Ok(())
}
pub fn number(
    _s: &Spec<'_>,
    _st: Option<&[u8]>,
    _f: usize,
    _now: i64,
    _key: Option<u64>,
) -> Option<f32> {
    None
}
pub fn last_ids(_s: &Spec<'_>, _st: Option<&[u8]>, _f: usize) -> impl Iterator<Item = u64> {
    core::iter::empty()
}
