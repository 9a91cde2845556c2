//! Fused scores after boosts and decays.
//!
//! Whatever multiplies acts on the distance above the least scored candidate, so that it works for scores of any sign: a
//! factor of 2 doubles the lead, 0 makes a candidate as good as the last one. Where nothing multiplies, scores stay the bits
//! that they were.

use super::rules::{Decay, NO_KEY, Rules};
use crate::math::clamp;

/// Numbers of a smaller magnitude, 2^-100, are taken as 0, so that no product of a re-ranking is subnormal.
const LEAST: f32 = 1.0 / (1u128 << 100) as f32;

/// `x`, or 0 if it is next to it. Also where the host has flushed a subnormal already.
#[inline]
pub(super) fn cut(x: f32) -> f32 {
    if x.abs() < LEAST { 0.0 } else { x }
}

/// Whether a candidate was scored: the rest keep their order behind those that were.
pub(super) fn is_scored(value: f32) -> bool {
    value > f32::NEG_INFINITY
}

/// Scores of all candidates, by index.
pub(super) struct Values<'v> {
    /// After boosts.
    pub boosted: &'v mut [f32],
    /// After decays, for the next position.
    pub current: &'v mut [f32],
    /// factor^n of each decay, `[decays, candidates]`.
    powers: &'v mut [f32],
    /// Least boosted score.
    least: f32,
    /// 1 / (greatest - least boosted score); 0 if they are the same.
    pub scale: f32,
}

/// Least and greatest score of those that were scored.
fn bounds(values: &[f32]) -> (f32, f32) {
    let scored = values.iter().filter(|v| is_scored(**v));
    scored.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| {
        let low = if *v < low { *v } else { low };
        (low, if *v > high { *v } else { high })
    })
}

impl<'v> Values<'v> {
    /// Buffers have a value for each candidate, `powers` one for each decay and candidate.
    pub fn new(
        rules: &Rules<'_>,
        fused: &[f32],
        boosted: &'v mut [f32],
        current: &'v mut [f32],
        powers: &'v mut [f32],
    ) -> Self {
        let (least, _) = bounds(fused);
        for (i, (to, fused)) in boosted.iter_mut().zip(fused).enumerate() {
            let factor = rules.factors.get(i).copied().unwrap_or(1.0);
            let bonus = rules.bonuses.get(i).copied().unwrap_or(0.0);
            *to = *fused;
            if is_scored(*fused) && factor != 1.0 {
                *to = cut(least + cut(cut(*fused - least) * cut(factor)));
            }
            if is_scored(*fused) && bonus != 0.0 {
                *to = cut(*to + bonus);
            }
        }
        let (least, most) = bounds(boosted);
        let range = if least < most { cut(most - least) } else { 0.0 };
        let mut values = Self {
            boosted,
            current,
            powers,
            least,
            scale: if range > 0.0 { 1.0 / range } else { 0.0 },
        };
        values.reset();
        values
    }

    /// The values before anything is in the list.
    pub fn reset(&mut self) {
        self.powers.fill(1.0);
        for (to, from) in self.current.iter_mut().zip(&*self.boosted) {
            *to = *from;
        }
    }

    /// What `candidate` is after boosts and decays, of [0, 1] between the least and the greatest boosted score.
    pub fn relevance(&self, candidate: usize) -> f32 {
        let value = self.current.get(candidate).copied().unwrap_or(self.least);
        clamp(cut(cut(value - self.least) * self.scale), 0.0, 1.0)
    }

    /// What its decays multiply by now.
    pub fn decay(&self, decays: &[Decay<'_>], candidate: usize) -> f32 {
        let mut product = 1.0;
        let rows = self.powers.chunks_exact(self.current.len().max(1));
        for (decay, row) in decays.iter().zip(rows) {
            let power = row.get(candidate).copied().unwrap_or(1.0);
            if power != 1.0 {
                product = cut(product * cut((1.0 - decay.floor) * power + decay.floor));
            }
        }
        product
    }

    /// Decays what shares a key with `candidate`, which is in the list now.
    pub fn placed(&mut self, decays: &[Decay<'_>], candidate: usize) {
        let candidates = self.current.len();
        for (index, decay) in decays.iter().enumerate() {
            let Some(key) = decay.keys.get(candidate).filter(|key| **key != NO_KEY) else {
                continue;
            };
            for (other, _) in decay.keys.iter().enumerate().filter(|(_, k)| *k == key) {
                if let Some(power) = self.powers.get_mut(index * candidates + other) {
                    *power = cut(*power * decay.factor);
                }
                self.decayed(decays, other);
            }
        }
    }

    fn decayed(&mut self, decays: &[Decay<'_>], candidate: usize) {
        let factor = self.decay(decays, candidate);
        if let Some((to, boosted)) = self
            .current
            .get_mut(candidate)
            .zip(self.boosted.get(candidate))
            && is_scored(*boosted)
        {
            *to = match factor {
                1.0 => *boosted,
                _ => cut(self.least + cut(cut(*boosted - self.least) * factor)),
            };
        }
    }
}
