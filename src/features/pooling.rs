//! A list of u7 rows becomes one u7 row, by integers alone: the order of ids never matters to a bit.
//!
//! With bytes q, weights w (Q15: 32768 is 1, and 1 is what an id without a weight has), zero point z:
//!
//! - mean: round(sum of w q / sum of w); z if the weights sum to 0
//! - sum: z + round(sum of w (q - z) / (divisor x 32768)), within 0..=127
//!
//! Rounding is half to even, and happens once.

use core::num::NonZeroU32;

use super::embedding::{Embedding, halves};
use crate::math::{clamp, round};
use crate::spec::{Pooling, limits};

/// 1 in Q15.
const ONE: u16 = 1 << 15;

// The sums of a longest list of the largest bytes and weights stay below 2^31, so every division is one of u32.
const _: () = assert!(limits::IDS as u64 * 127 * (ONE as u64) < 1 << 31);
// And so does the rounding's doubled remainder under the largest divisor.
const _: () = assert!((u16::MAX as u64) * (ONE as u64) < 1 << 31);

/// A list of rows being pooled. 1 KiB, on the stack.
#[derive(Clone, Debug)]
pub struct Pool {
    sums: [u32; limits::EMBEDDING_DIM],
    weight: u32,
    pooling: Pooling,
    divisor: u16,
}

impl Pool {
    /// An empty list, to be pooled as [`Encoding::Rows`](crate::spec::Encoding::Rows) says. A divisor of 0 is 1.
    #[inline]
    pub fn new(pooling: Pooling, divisor: u16) -> Self {
        Self {
            sums: [0; limits::EMBEDDING_DIM],
            weight: 0,
            pooling,
            divisor: divisor.max(1),
        }
    }

    /// Adds a row with a weight of at most 32768 (Q15), larger ones counting as that; `None` is 1. At most
    /// [`limits::IDS`] rows may be added.
    // One copy of it: two places pool.
    #[inline(never)]
    pub fn add(&mut self, row: Embedding<'_>, weight: Option<u16>) {
        let weight = u32::from(weight.map_or(ONE, |w| w.min(ONE)));
        self.weight = self.weight.wrapping_add(weight);
        let add = |sum: &mut u32, q: u8| *sum = sum.wrapping_add(weight * u32::from(q));
        if row.is_packed {
            // The half past a row of odd length is 0, and so adds nothing.
            let pairs = self.sums.as_chunks_mut::<2>().0.iter_mut();
            for ([even, odd], pair) in pairs.zip(row.bytes) {
                let [low, high] = halves(*pair);
                add(even, low);
                add(odd, high);
            }
        } else {
            for (sum, q) in self.sums.iter_mut().zip(row.bytes) {
                add(sum, *q);
            }
        }
    }

    /// Writes the pooled row, as many bytes as the shorter of `to` and `zero_points`.
    pub fn finish(&self, zero_points: &[u8], to: &mut [u8]) {
        for ((to, z), sum) in to.iter_mut().zip(zero_points).zip(&self.sums) {
            let z = u32::from(*z);
            let pooled = match self.pooling {
                Pooling::Mean => match NonZeroU32::new(self.weight) {
                    Some(weight) => divide(*sum, weight),
                    None => z,
                },
                Pooling::Sum => {
                    // `divisor` is at least 1, so this is what it says; the fallback keeps the path free of panics.
                    let unit = u32::from(self.divisor) * u32::from(ONE);
                    let unit = NonZeroU32::new(unit).unwrap_or(NonZeroU32::MIN);
                    let zero = self.weight.wrapping_mul(z);
                    // Half to even is symmetric about 0.
                    if *sum >= zero {
                        z.saturating_add(divide(*sum - zero, unit))
                    } else {
                        z.saturating_sub(divide(zero - *sum, unit))
                    }
                }
            };
            *to = pooled.min(127) as u8;
        }
    }
}

/// n / d, rounded half to even, for d < 2^31.
#[inline]
fn divide(n: u32, d: NonZeroU32) -> u32 {
    let (quotient, rest) = (n / d, n % d);
    let up = match rest.wrapping_mul(2).cmp(&d.get()) {
        core::cmp::Ordering::Less => 0,
        core::cmp::Ordering::Equal => quotient & 1,
        core::cmp::Ordering::Greater => 1,
    };
    quotient.wrapping_add(up)
}

/// A weight in Q15: round(w x 32768), half to even, for w clamped to [0, 1]; NaN is 0.
#[inline]
pub fn weight_q15(w: f32) -> u16 {
    round(clamp(w, 0.0, 1.0) * f32::from(ONE)) as u16
}
