//! The order without rules; lists under rules in the files beside this one.

#[cfg(feature = "rerank")]
mod chance;
#[cfg(feature = "rerank")]
mod diversity;
#[cfg(feature = "rerank")]
mod refusals;
#[cfg(feature = "rerank")]
mod rules;
#[cfg(feature = "rerank")]
mod spacing;

use super::*;
use std::prelude::v1::*;

/// Numbers in 0..2^31 of a fixed generator.
#[cfg(feature = "rerank")]
struct Random(u64);

#[cfg(feature = "rerank")]
impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) % bound
    }
    /// Of [0, 1).
    fn unit(&mut self) -> f32 {
        self.below(1 << 24) as f32 / (1 << 24) as f32
    }
    fn keys(&mut self, len: usize, kinds: u64) -> Vec<u64> {
        let key = |kind| if kind == kinds { NO_KEY } else { kind * 77 };
        (0..len).map(|_| key(self.below(kinds + 1))).collect()
    }
}

/// A list made in scratch of exactly the stated size, full of `dirt`.
#[cfg(feature = "rerank")]
fn list_in(dirt: u32, rules: &Rules<'_>, fused: &[f32], positions: usize) -> (Vec<Slot>, Report) {
    let need = scratch_len(fused.len(), positions, rules.dim);
    let mut floats = vec![f32::from_bits(dirt); need.floats];
    let mut words = vec![dirt; need.words];
    let mut scratch = Scratch {
        floats: &mut floats,
        words: &mut words,
    };
    let mut out = vec![Slot::default(); positions];
    let report = rerank(rules, fused, &mut scratch, &mut out).expect("valid rules");
    (out, report)
}

/// A list, the same whatever scratch held.
#[cfg(feature = "rerank")]
fn list(rules: &Rules<'_>, fused: &[f32], positions: usize) -> (Vec<Slot>, Report) {
    let made = list_in(0, rules, fused, positions);
    for dirt in [u32::MAX, 0x7FC0_0000, 1] {
        assert_eq!(list_in(dirt, rules, fused, positions), made);
    }
    made
}

#[cfg(feature = "rerank")]
fn candidates(slots: &[Slot]) -> Vec<u32> {
    slots.iter().map(|slot| slot.candidate).collect()
}

#[test]
fn top_k_equals_a_stable_sort() {
    let mut seed = 7u64;
    for n in 0..70 {
        for levels in [1, 3, 1000] {
            let fused: Vec<f32> = (0..n)
                .map(|_| {
                    seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
                    match (seed >> 33) % levels {
                        0 => f32::NEG_INFINITY,
                        1 => -0.0,
                        v => v as f32 - 5.0,
                    }
                })
                .collect();
            let mut sorted: Vec<u32> = (0..n).collect();
            sorted.sort_by(|a, b| {
                fused[*b as usize]
                    .partial_cmp(&fused[*a as usize])
                    .expect("no NaN")
            });
            for k in 0..=n as usize {
                let mut order = vec![9; k];
                top_k(&fused, &mut order);
                assert_eq!(order, sorted[..k], "n {n} k {k}");
            }
        }
    }
}
