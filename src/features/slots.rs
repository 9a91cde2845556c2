//! What the user state keeps for one derived feature. All bytes 0 is a user without a past.
//!
//! | source | bytes | fields, little-endian |
//! |---|---|---|
//! | `LastIds` | 8 + 8 len | u32 ids kept, u32 next slot, then a ring of len u64 ids |
//! | `Count` | 4 | u32, saturating |
//! | `Rate` | 16, or 24 with `Decay::Seconds` | u64 sum, u64 weight, both Q32.32, saturating; then i64 time of the last event |
//! | `KeyRate` | buckets x that | one `Rate` per bucket; key k is in bucket floor(k x buckets / 2^64) |
//! | `Since` | 12 | u32 seen (0 or 1), i64 time |
//! | `Previous` | 8 | u32 seen (0 or 1), f32 value |

use super::decay::{decayed, half_lives};
use super::{Event, part};
use crate::spec::{Decay, Label, Source};

/// 1 in Q32.32.
const ONE: u64 = 1 << 32;
/// Largest label value that state remembers.
const VALUE_MAX: f32 = 65_535.0;

/// Bytes of a rate, without its time and with it.
const RATE_BYTES: usize = 16;
const TIMED_RATE_BYTES: usize = 24;

/// A label's value as state remembers it.
#[derive(Clone, Copy)]
pub(super) struct Outcome {
    positive: bool,
    /// Within `[0, VALUE_MAX]`.
    value: f32,
}

impl Outcome {
    /// Negative values count as 0; ln(1 + value) is taken first, if the label asks for it.
    pub fn new(label: &Label<'_>, value: f32) -> Self {
        // A subnormal value is 0, as on hosts that flush subnormals.
        let positive = value >= f32::MIN_POSITIVE;
        let value = if positive { value } else { 0.0 };
        let value = if label.log1p {
            libm::log1pf(value)
        } else {
            value
        };
        Self {
            positive,
            value: if value < VALUE_MAX { value } else { VALUE_MAX },
        }
    }

    /// In Q32.32, rounded half up. Exact for every f32 from 2^-9 on.
    fn fixed(self) -> u64 {
        (f64::from(self.value) * ONE as f64 + 0.5) as u64
    }
}

fn read<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let chunk = bytes.get(at..).and_then(|b| b.first_chunk());
    chunk.copied().unwrap_or([0; N])
}

fn write<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(to) = bytes.get_mut(at..).and_then(|b| b.first_chunk_mut()) {
        *to = value;
    }
}

/// Label that feeds a derived feature; `None` for what needs no state.
pub(super) fn label(source: &Source) -> Option<u8> {
    match *source {
        Source::Column
        | Source::Cross { .. }
        | Source::Combine { .. }
        | Source::Attention { .. } => None,
        Source::LastIds { label, .. }
        | Source::Count { label }
        | Source::Rate { label, .. }
        | Source::KeyRate { label, .. }
        | Source::Since { label }
        | Source::Previous { label } => Some(label),
    }
}

/// Feature whose ids a derived feature uses.
pub(super) fn key(source: &Source) -> Option<u8> {
    match *source {
        Source::LastIds { key, .. } | Source::KeyRate { key, .. } => Some(key),
        _ => None,
    }
}

fn rate_bytes(decay: Decay) -> usize {
    match decay {
        Decay::None | Decay::Events(_) => RATE_BYTES,
        Decay::Seconds(_) => TIMED_RATE_BYTES,
    }
}

/// Bytes of a derived feature's slot; 0 for what needs none.
pub(super) fn bytes(source: &Source) -> usize {
    match *source {
        Source::Column
        | Source::Cross { .. }
        | Source::Combine { .. }
        | Source::Attention { .. } => 0,
        Source::LastIds { len, .. } => 8 + 8 * usize::from(len),
        Source::Count { .. } => 4,
        Source::Rate { decay, .. } => rate_bytes(decay),
        Source::KeyRate { buckets, decay, .. } => usize::from(buckets) * rate_bytes(decay),
        Source::Since { .. } => 12,
        Source::Previous { .. } => 8,
    }
}

/// The bytes of the rate that `key` is in.
fn bucket(key: u64, buckets: u16, decay: Decay) -> core::ops::Range<usize> {
    let bytes = rate_bytes(decay);
    let start = part(key, u64::from(buckets)) as usize * bytes;
    start..start + bytes
}

/// Adds an event whose label feeds `source` to its slot.
pub(super) fn update(source: &Source, slot: &mut [u8], outcome: Outcome, event: &Event<'_>) {
    let key = key(source).and_then(|f| event.keys.iter().find(|k| k.feature == f));
    match *source {
        Source::Column
        | Source::Cross { .. }
        | Source::Combine { .. }
        | Source::Attention { .. } => {}
        Source::LastIds { len, .. } => {
            if let (Some(key), true) = (key, outcome.positive) {
                let (kept, next) = ring(slot, len);
                write(slot, 8 + 8 * next as usize, key.hash.to_le_bytes());
                let next = if next + 1 < u32::from(len) {
                    next + 1
                } else {
                    0
                };
                write(slot, 0, (kept + 1).min(u32::from(len)).to_le_bytes());
                write(slot, 4, next.to_le_bytes());
            }
        }
        Source::Count { .. } => {
            let count = u32::from_le_bytes(read(slot, 0));
            write(
                slot,
                0,
                count
                    .saturating_add(u32::from(outcome.positive))
                    .to_le_bytes(),
            );
        }
        Source::Rate { decay, .. } => update_rate(slot, decay, outcome, event.time),
        Source::KeyRate { buckets, decay, .. } => {
            let range = key.map(|key| bucket(key.hash, buckets, decay));
            if let Some(rate) = range.and_then(|range| slot.get_mut(range)) {
                update_rate(rate, decay, outcome, event.time);
            }
        }
        Source::Since { .. } => {
            if outcome.positive {
                let seen = u32::from_le_bytes(read(slot, 0)) != 0;
                let last = i64::from_le_bytes(read(slot, 4));
                let time = if seen && last > event.time {
                    last
                } else {
                    event.time
                };
                write(slot, 0, 1_u32.to_le_bytes());
                write(slot, 4, time.to_le_bytes());
            }
        }
        Source::Previous { .. } => {
            write(slot, 0, 1_u32.to_le_bytes());
            write(slot, 4, outcome.value.to_le_bytes());
        }
    }
}

fn update_rate(rate: &mut [u8], decay: Decay, outcome: Outcome, time: i64) {
    let (mut sum, mut weight) = (
        u64::from_le_bytes(read(rate, 0)),
        u64::from_le_bytes(read(rate, 8)),
    );
    let left = match decay {
        Decay::None => None,
        Decay::Events(half_life) => Some(half_lives(256, half_life)),
        Decay::Seconds(half_life) => {
            let last = i64::from_le_bytes(read(rate, 16));
            let first = weight == 0;
            let time = if first || time > last { time } else { last };
            write(rate, 16, time.to_le_bytes());
            Some(half_lives(
                if first { 0 } else { elapsed(last, time) },
                half_life,
            ))
        }
    };
    if let Some(left) = left {
        (sum, weight) = (decayed(sum, left), decayed(weight, left));
    }
    write(rate, 0, sum.saturating_add(outcome.fixed()).to_le_bytes());
    write(rate, 8, weight.saturating_add(ONE).to_le_bytes());
}

/// Seconds from `earlier` to `later`; 0 if it is not earlier.
fn elapsed(earlier: i64, later: i64) -> u64 {
    later.saturating_sub(earlier).max(0) as u64
}

/// The raw value of a derived number at time `now`; `None` is missing. `key` is the id that a `KeyRate` is read at.
pub(super) fn number(source: &Source, slot: &[u8], now: i64, key: Option<u64>) -> Option<f32> {
    match *source {
        Source::Column
        | Source::Cross { .. }
        | Source::Combine { .. }
        | Source::Attention { .. }
        | Source::LastIds { .. } => None,
        Source::Count { .. } => Some(u32::from_le_bytes(read(slot, 0)) as f32),
        Source::Rate {
            decay,
            prior,
            strength,
            ..
        } => Some(read_rate(slot, decay, prior, strength, now)),
        Source::KeyRate {
            buckets,
            decay,
            prior,
            strength,
            ..
        } => {
            let rate = slot.get(bucket(key?, buckets, decay)).unwrap_or_default();
            Some(read_rate(rate, decay, prior, strength, now))
        }
        Source::Since { .. } => {
            let seen = u32::from_le_bytes(read(slot, 0)) != 0;
            seen.then(|| elapsed(i64::from_le_bytes(read(slot, 4)), now) as f32)
        }
        Source::Previous { .. } => {
            let seen = u32::from_le_bytes(read(slot, 0)) != 0;
            seen.then(|| f32::from_le_bytes(read(slot, 4)))
        }
    }
}

/// (sum + prior x strength) / (weight + strength): plain f64 operations in this order, then one rounding to f32.
fn read_rate(rate: &[u8], decay: Decay, prior: f32, strength: f32, now: i64) -> f32 {
    let (mut sum, mut weight) = (
        u64::from_le_bytes(read(rate, 0)),
        u64::from_le_bytes(read(rate, 8)),
    );
    if let Decay::Seconds(half_life) = decay {
        let last = i64::from_le_bytes(read(rate, 16));
        let left = half_lives(elapsed(last, now), half_life);
        (sum, weight) = (decayed(sum, left), decayed(weight, left));
    }
    let (prior, strength) = (f64::from(prior), f64::from(strength) * ONE as f64);
    let below = weight as f64 + strength;
    if below > 0.0 {
        ((sum as f64 + prior * strength) / below) as f32
    } else {
        prior as f32
    }
}

/// Ids kept and next slot of a `LastIds`, within its length whatever the bytes say.
fn ring(slot: &[u8], len: u16) -> (u32, u32) {
    let (kept, next) = (
        u32::from_le_bytes(read(slot, 0)),
        u32::from_le_bytes(read(slot, 4)),
    );
    (
        kept.min(u32::from(len)),
        next.min(u32::from(len.saturating_sub(1))),
    )
}

/// The ids of a `LastIds`, newest first.
pub(super) fn last_ids(source: Source, slot: &[u8]) -> impl Iterator<Item = u64> + use<'_> {
    let len = if let Source::LastIds { len, .. } = source {
        len
    } else {
        0
    };
    let (kept, next) = ring(slot, len);
    (1..=kept).map(move |age| {
        let at = if next >= age {
            next - age
        } else {
            next + u32::from(len) - age
        };
        u64::from_le_bytes(read(slot, 8 + 8 * at as usize))
    })
}
