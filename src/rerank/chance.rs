//! Chance as a function of seed, position and candidate, and how probable what it chose was.
//!
//! Bits come from integer hashing. A normal number is the inverse of the error function at 24 of them (M. Giles, "Approximating
//! the erfinv function", GPU Computing Gems Jade Edition, 2011), in a fixed order of f32 operations.

use super::values::cut;
use crate::math::{clamp, exp};

/// The least propensity that is stated, 2^-24: what one draw can tell apart.
pub const PROPENSITY_MIN: f32 = 1.0 / (1u32 << 24) as f32;

/// Points of the quadrature, an eighth of a standard deviation apart, from -6 to 6.
const POINTS: usize = 96;
const STEP: f32 = 0.125;

/// The middle of a step.
fn point(k: usize) -> f32 {
    (k as f32 - POINTS as f32 / 2.0 + 0.5) * STEP
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
fn mix(x: u64) -> u64 {
    let x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ x >> 31
}

/// 64 bits of a draw.
pub(super) fn bits(seed: u64, position: usize, index: usize) -> u64 {
    const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;
    let place = (position as u64) << 32 | index as u64;
    mix(mix(seed.wrapping_add(GAMMA)) ^ place.wrapping_add(1).wrapping_mul(GAMMA))
}

/// Of [0, 1), in steps of 2^-24.
pub(super) fn uniform(bits: u64) -> f32 {
    (bits >> 40) as f32 * (1.0 / (1u32 << 24) as f32)
}

/// Of 0..count, which must not be 0.
pub(super) fn below(bits: u64, count: u32) -> u32 {
    (((bits >> 32) * u64::from(count)) >> 32) as u32
}

/// A standard normal number of 24 bits; within 5.5.
pub(super) fn normal(bits: u64) -> f32 {
    // Odd, so never -1, 0 or 1, and exact.
    let odd = (bits >> 40) as i32 * 2 + 1 - (1 << 24);
    let x = odd as f32 * (1.0 / (1u32 << 24) as f32);
    let w = -libm::logf((1.0 - x) * (1.0 + x));
    let (w, coefficients) = match w < 5.0 {
        true => (w - 2.5, CENTRE),
        false => (libm::sqrtf(w) - 3.0, TAIL),
    };
    let p = coefficients.iter().fold(0.0, |p, c| p * w + *c);
    core::f32::consts::SQRT_2 * p * x
}

/// Giles' coefficients for w < 5, highest power first.
const CENTRE: [f32; 9] = [
    2.810_226_4e-8,
    3.432_739_4e-7,
    -3.523_387_7e-6,
    -4.391_506_5e-6,
    0.000_218_580_87,
    -0.001_253_725,
    -0.004_177_681_6,
    0.246_640_73,
    1.501_409_4,
];
/// And for the rest.
const TAIL: [f32; 9] = [
    -0.000_200_214_26,
    0.000_100_950_56,
    0.001_349_343_2,
    -0.003_673_428_4,
    0.005_739_507_7,
    -0.007_622_461_3,
    0.009_438_870_5,
    1.001_674,
    2.832_976_8,
];

/// Density of the standard normal.
fn density(x: f32) -> f32 {
    0.398_942_3 * exp(-0.5 * x * x)
}

/// Distribution of the standard normal at `x` clamped to [-11, 11]; absolute error below 4e-7 (Abramowitz and Stegun, 7.1.28).
#[inline(always)]
fn distribution(x: f32) -> f32 {
    let x = clamp(x, -11.0, 11.0);
    let y = x.abs() * core::f32::consts::FRAC_1_SQRT_2;
    let mut p = 4.306_38e-5;
    p = p * y + 2.765_672e-4;
    p = p * y + 1.520_143e-4;
    p = p * y + 9.270_527e-3;
    p = p * y + 4.228_201e-2;
    p = p * y + 7.052_308e-2;
    p = p * y + 1.0;
    p = p * p;
    p = p * p;
    p = p * p;
    let tail = 0.5 / (p * p);
    if x > 0.0 { 1.0 - tail } else { tail }
}

/// A candidate of a draw: its objective and the standard deviation there.
#[derive(Clone, Copy)]
pub(super) struct Draw {
    pub mean: f32,
    pub deviation: f32,
}

impl Draw {
    /// Whether a rival cannot come near: the difference is more than 6 deviations of both.
    fn is_beyond(self, rival: Draw) -> bool {
        rival.mean + 6.0 * rival.deviation < self.mean - 6.0 * self.deviation
    }

    /// Multiplies, at each point of the density of `self`, by the probability that a rival is below. Element by element.
    fn beat(self, rival: Draw, below: &mut [f32; POINTS]) {
        // Far outside of what `distribution` tells apart, and no further.
        let places = |unit: f32| clamp(cut(self.mean - rival.mean) / unit, -1e6, 1e6);
        if rival.deviation < 0.25 * STEP * self.deviation {
            // Too sharp for the points: a ramp as wide as their distance, which they add up to the same.
            let ahead = places(STEP * self.deviation) + 0.5;
            for (k, below) in below.iter_mut().enumerate() {
                *below = cut(*below * clamp(ahead + point(k) / STEP, 0.0, 1.0));
            }
        } else {
            let ahead = cut(places(rival.deviation));
            let slope = cut(self.deviation / rival.deviation);
            for (k, below) in below.iter_mut().enumerate() {
                *below = cut(*below * distribution(ahead + slope * point(k)));
            }
        }
    }
}

/// Probability that `chosen` has the greatest draw, `rivals` being the others: the integral of its density times the
/// probabilities that each of them is below, by the midpoint rule on a fixed grid. The error is below 0.005, but up to 0.03
/// for a candidate with many rivals within an eighth of its deviation whose own are less than a thirtieth of it.
pub(super) fn probability(chosen: Draw, rivals: impl Iterator<Item = Draw>) -> f32 {
    let rivals = rivals.filter(|rival| !chosen.is_beyond(*rival));
    let p = match chosen.deviation > 0.0 {
        // Of rivals without chance none is better than what was chosen.
        false => rivals
            .filter(|rival| rival.deviation > 0.0)
            .fold(1.0, |p, rival| {
                let ahead = cut(chosen.mean - rival.mean) / rival.deviation;
                cut(p * distribution(ahead))
            }),
        true => {
            let mut below = [1.0; POINTS];
            rivals.for_each(|rival| chosen.beat(rival, &mut below));
            let parts = below.iter().enumerate();
            parts.fold(0.0, |sum, (k, below)| {
                cut(sum + cut(STEP * density(point(k)) * *below))
            })
        }
    };
    clamp(p, PROPENSITY_MIN, 1.0)
}
