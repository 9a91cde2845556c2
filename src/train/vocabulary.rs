//! Building the [`Vocabulary`](crate::features::Vocabulary) of a table.
use std::prelude::v1::*;

use crate::features::vocabulary::{BUCKET_BYTES, BUCKET_KEYS, choices};

/// Keys a bucket has on average. At 0.93 of its room, 71 % of 10^5 keys are in their first bucket, where one line answers;
/// filling first buckets before any second one gives 72 %, for twice the time: the walk moves them away again.
const LOAD: f64 = 0.93 * BUCKET_KEYS as f64;
/// Keys moved for one insertion before the number of buckets is raised.
const MOVES: usize = 2_000;

/// The bytes of a vocabulary of `keys`, which are sorted and freed of duplicates on the way: the same bytes for the same
/// set of keys. Row of each key: [`Vocabulary::rows`](crate::features::Vocabulary::rows).
pub fn build(keys: &mut Vec<u64>) -> Vec<u8> {
    keys.sort_unstable();
    keys.dedup();
    let mut buckets = (keys.len() as f64 / LOAD).ceil() as usize;
    loop {
        if let Some(places) = place(keys, buckets) {
            return encode(places);
        }
        buckets += buckets / 16 + 1;
    }
}

/// One bucket while it is filled.
#[derive(Clone, Copy, Default)]
struct Places {
    keys: [u64; BUCKET_KEYS],
    count: usize,
}

impl Places {
    fn push(&mut self, key: u64) -> bool {
        let free = self.keys.get_mut(self.count);
        let done = free.is_some();
        if let Some(free) = free {
            *free = key;
            self.count += 1;
        }
        done
    }
}

/// Every key into one of its two buckets, first come first served; a key that finds both full takes the place of
/// another, which goes to its own other bucket (a random walk with a fixed seed). `None` if the walk does not end.
fn place(keys: &[u64], buckets: usize) -> Option<Vec<Places>> {
    let mut places = vec![Places::default(); buckets];
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    'keys: for key in keys {
        let [first, second] = choices(*key, buckets);
        if places[first].push(*key) || places[second].push(*key) {
            continue;
        }
        let (mut key, mut full) = (*key, second);
        for _ in 0..MOVES {
            // xorshift64 (Marsaglia, "Xorshift RNGs", 2003).
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let victim = &mut places[full].keys[(random >> 33) as usize % BUCKET_KEYS];
            core::mem::swap(&mut key, victim);
            let [first, second] = choices(key, buckets);
            full = if full == first { second } else { first };
            if places[full].push(key) {
                continue 'keys;
            }
        }
        return None;
    }
    Some(places)
}

fn encode(places: Vec<Places>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(places.len() * BUCKET_BYTES);
    let mut base = 0_u32;
    for mut bucket in places {
        bucket.keys[..bucket.count].sort_unstable();
        for key in bucket.keys {
            bytes.extend_from_slice(&key.to_le_bytes());
        }
        bytes.extend_from_slice(&base.to_le_bytes());
        bytes.extend_from_slice(&(bucket.count as u32).to_le_bytes());
        base += bucket.count as u32;
    }
    bytes
}

#[cfg(test)]
mod tests;
