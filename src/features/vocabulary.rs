//! Which row of its table a key has.
//!
//! A vocabulary is a two-choice hash table (cuckoo hashing with buckets: Dietzfelbinger and Weidling, "Balanced
//! allocation and dictionaries with tightly packed constant size bins", ICALP 2005) of exact 64-bit keys, in buckets of one cache line, so that a look-up reads one line
//! or two. It is a run of `n` buckets of 64 bytes, all little-endian:
//!
//! | bytes | type | meaning |
//! |---|---|---|
//! | 0..56 | u64 x 7 | keys, strictly increasing; 0 in unused slots, which come last |
//! | 56..60 | u32 | base: number of keys in all earlier buckets |
//! | 60..64 | u32 | count: keys of this bucket, 0..=7 |
//!
//! Key `k` is in bucket `high(k)` or in bucket `high(rotate_left(k, 32) x 0x9E3779B97F4A7C15 mod 2^64)`, where `high(h)` =
//! floor(h x n / 2^64). Its position is base + slot, its table row 1 + position: row 0 is for unknown ids. An empty
//! vocabulary has no bytes.

use super::part;
use crate::error::{Error, Result, Status};
use crate::spec::{Lookup, Table};

/// Bytes of a bucket.
pub(crate) const BUCKET_BYTES: usize = 64;
/// Keys that fit a bucket.
pub(crate) const BUCKET_KEYS: usize = 7;

type Bucket = [u8; BUCKET_BYTES];

/// The exact keys of a table, in the file's bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vocabulary<'a> {
    buckets: &'a [Bucket],
}

/// The two buckets, out of `buckets`, that may hold `key`.
#[inline]
pub(crate) fn choices(key: u64, buckets: usize) -> [usize; 2] {
    let second = key.rotate_left(32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    [key, second].map(|hash| part(hash, buckets as u64) as usize)
}

fn slots(bucket: &Bucket) -> [u64; BUCKET_KEYS] {
    let mut keys = [0; BUCKET_KEYS];
    for (key, bytes) in keys.iter_mut().zip(bucket.as_chunks().0) {
        *key = u64::from_le_bytes(*bytes);
    }
    keys
}

/// Base and count.
fn counts(bucket: &Bucket) -> (u32, u32) {
    match *bucket {
        [.., a, b, c, d, e, f, g, h] => (
            u32::from_le_bytes([a, b, c, d]),
            u32::from_le_bytes([e, f, g, h]),
        ),
    }
}

impl<'a> Vocabulary<'a> {
    /// Reads a vocabulary of `num_keys` keys after checking every bucket, in time linear in its length.
    ///
    /// # Errors
    /// [`Status::BadVocabulary`], with the byte offset within `bytes` of the bucket that is wrong (or the length, if
    /// that is): a length that is not whole buckets, a count over 7, a base that is not the number of keys before, keys
    /// that do not increase, a key outside its two buckets or in both, a byte in an unused slot, or another number of
    /// keys.
    pub fn check(bytes: &'a [u8], num_keys: u32) -> Result<Self> {
        let (buckets, rest) = bytes.as_chunks();
        let vocabulary = Self { buckets };
        let bad = |bucket: usize| Error::at(Status::BadVocabulary, bucket * BUCKET_BYTES);
        if !rest.is_empty() {
            return Err(Error::at(Status::BadVocabulary, bytes.len()));
        }
        let mut total = 0_u32;
        for (index, bucket) in buckets.iter().enumerate() {
            let (base, count) = counts(bucket);
            if base != total || count as usize > BUCKET_KEYS {
                return Err(bad(index));
            }
            total = total.checked_add(count).ok_or(bad(index))?;
            let mut last = None;
            for (slot, key) in slots(bucket).into_iter().enumerate() {
                let holds = if slot < count as usize {
                    let increases = last.is_none_or(|last| last < key);
                    last = Some(key);
                    let [first, second] = choices(key, buckets.len());
                    // Whoever is in the second bucket must not be in the first too: one look at one other line.
                    increases
                        && (index == first
                            || index == second && vocabulary.slot(first, key).is_none())
                } else {
                    key == 0
                };
                if !holds {
                    return Err(bad(index));
                }
            }
        }
        if total == num_keys {
            Ok(vocabulary)
        } else {
            Err(Error::at(Status::BadVocabulary, bytes.len()))
        }
    }

    /// Number of keys.
    pub fn len(&self) -> u32 {
        self.buckets.last().map_or(0, |bucket| {
            let (base, count) = counts(bucket);
            base.wrapping_add(count)
        })
    }

    /// Whether it has no keys.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Position of `key`, 0..[`len`](Self::len). Reads one 64-byte bucket, or two.
    #[inline]
    pub fn position(&self, key: u64) -> Option<u32> {
        let [first, second] = choices(key, self.buckets.len());
        self.slot(first, key).or_else(|| self.slot(second, key))
    }

    #[inline]
    fn slot(&self, bucket: usize, key: u64) -> Option<u32> {
        let bucket = self.buckets.get(bucket)?;
        let (base, count) = counts(bucket);
        // All seven are compared, without a branch among them: an unused slot is 0, and so may be a key.
        let mut found = u32::MAX;
        for (slot, used) in (0..).zip(slots(bucket)) {
            found = if used == key && slot < count {
                slot
            } else {
                found
            };
        }
        (found < count).then_some(base.wrapping_add(found))
    }

    /// Every (key, table row), in the order of rows: 1, 2, ...
    pub fn rows(&self) -> impl Iterator<Item = (u64, u32)> + use<'a> {
        let keys = self
            .buckets
            .iter()
            .flat_map(|bucket| slots(bucket).into_iter().take(counts(bucket).1 as usize));
        keys.zip(1..)
    }
}

/// Row of `key` in `table`, and whether the key is unknown there.
///
/// A missing key has `default_row`, whatever the look-up. [`Lookup::Hash`] spreads keys over the rows from 1 on,
/// 1 + floor(key x (num_embeddings - 1) / 2^64), and has row 0 alone if the table has one row. [`Lookup::Vocabulary`]
/// has row 0 for unknown keys. [`Lookup::Buckets`] has no keys: every key is unknown there.
#[inline]
pub fn table_row(
    table: &Table<'_>,
    vocabulary: Option<&Vocabulary<'_>>,
    key: Option<u64>,
    default_row: u32,
) -> (u32, bool) {
    let Some(key) = key else {
        return (default_row, false);
    };
    match table.lookup {
        Lookup::Buckets => (0, true),
        Lookup::Hash(_) => match table.num_embeddings {
            0 | 1 => (0, false),
            rows => (
                (part(key, u64::from(rows - 1)) as u32).wrapping_add(1),
                false,
            ),
        },
        Lookup::Vocabulary(_) => match vocabulary.and_then(|v| v.position(key)) {
            Some(position) => (position.wrapping_add(1), false),
            None => (0, true),
        },
    }
}
