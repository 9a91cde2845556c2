//! Random draws that are functions of what they are for, never of who asks first: the same at any thread count and
//! after any resume, with no generator state to save.
use std::prelude::v1::*;

/// The output function of SplitMix64 (Steele, Lea & Flood 2014): a bijection of u64 that passes statistical tests on
/// counters.
fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A place in a tree of independent random streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(u64);

impl Key {
    /// The root of a seed.
    pub fn new(seed: u64) -> Self {
        Self(mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)))
    }

    /// The `i`-th branch.
    #[inline]
    pub fn at(self, i: u64) -> Self {
        Self(mix(self.0.wrapping_add(
            (i.wrapping_add(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        )))
    }

    /// 64 random bits.
    #[inline]
    pub fn bits(self) -> u64 {
        mix(self.0 ^ 0xd6e8_feb8_6659_fd93)
    }

    /// Uniform in (0, 1).
    pub fn uniform(self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// True with `probability`, to 2^-32.
    #[inline]
    pub fn chance(self, probability: f64) -> bool {
        ((self.bits() >> 32) as f64) < probability * 4_294_967_296.0
    }

    /// Standard normal (Box & Muller 1958).
    pub fn normal(self) -> f64 {
        let (u, v) = (self.at(0).uniform(), self.at(1).uniform());
        libm::sqrt(-2.0 * libm::log(u)) * libm::cos(2.0 * core::f64::consts::PI * v)
    }

    /// Shuffles uniformly (Fisher & Yates; the bias of the multiply-shift is below 2^-32).
    pub fn shuffle<T>(self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = ((u128::from(self.at(i as u64).bits()) * (i as u128 + 1)) >> 64) as usize;
            items.swap(i, j);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_draws_have_mean_zero_and_variance_one() {
        let n = 100_000;
        let draws: Vec<f64> = (0..n).map(|i| Key::new(3).at(i).normal()).collect();
        let mean = draws.iter().sum::<f64>() / n as f64;
        let variance = draws.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n as f64;
        assert!(
            mean.abs() < 0.015 && (variance - 1.0).abs() < 0.02,
            "{mean} {variance}"
        );
    }

    #[test]
    fn chance_comes_true_as_often_as_it_says() {
        let hits = (0..100_000)
            .filter(|i| Key::new(5).at(*i).chance(0.3))
            .count();
        assert!((29_300..30_700).contains(&hits), "{hits}");
        assert!(!(0..1000).any(|i| Key::new(5).at(i).chance(0.0)));
    }

    #[test]
    fn every_order_of_three_is_shuffled_equally_often() {
        let mut counts = [0; 27];
        for seed in 0..6000 {
            let mut x = [0, 1, 2];
            Key::new(seed).shuffle(&mut x);
            counts[x[0] * 9 + x[1] * 3 + x[2]] += 1;
        }
        let seen: Vec<i32> = counts.into_iter().filter(|c| *c > 0).collect();
        assert!(
            seen.len() == 6 && seen.iter().all(|c| (880..1120).contains(c)),
            "{seen:?}"
        );
    }
}
