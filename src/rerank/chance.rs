//! Chance as a function of seed, position and candidate, and how probable what it chose was.
//!
//! Bits come from integer hashing. A normal number is the inverse of the error function at 24 of them (M. Giles, "Approximating
//! the erfinv function", GPU Computing Gems Jade Edition, 2011), in a fixed order of f32 operations.

use super::values::cut;
use crate::math::{clamp, exp};

/// The least propensity that is stated, 2^-24: what one draw can tell apart.
pub const PROPENSITY_MIN: f32 = 1.0 / (1u32 << 24) as f32;

/// Points of the quadrature: every eighth of a standard deviation from -6 to 6.
const POINTS: i32 = 96;
const STEP: f32 = 0.125;

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
    ((bits >> 32) * u64::from(count) >> 32) as u32
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
    1.001_674_1,
    2.832_976_8,
];

/// Density of the standard normal.
fn density(x: f32) -> f32 {
    0.398_942_3 * exp(-0.5 * x * x)
}

/// Distribution of the standard normal at `x` clamped to [-11, 11]; absolute error below 3e-7 (Abramowitz and Stegun, 26.2.17).
fn distribution(x: f32) -> f32 {
    let x = clamp(x, -11.0, 11.0);
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let p = [
        1.330_274_5,
        -1.821_255_9,
        1.781_477_9,
        -0.356_563_78,
        0.319_381_54,
    ];
    let tail = density(x) * (p.iter().fold(0.0, |sum, c| (sum + *c) * t));
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

    /// Probability that a rival's draw is below `x`; a rival much sharper than the grid of `self` is a ramp one step wide, which
    /// the grid adds up to the same.
    fn beats(self, x: f32, rival: Draw) -> f32 {
        let ahead = cut(x - rival.mean);
        if rival.deviation < 0.5 * STEP * self.deviation {
            return clamp(0.5 + ahead / (STEP * self.deviation), 0.0, 1.0);
        }
        match rival.deviation > 0.0 {
            true => distribution(ahead / rival.deviation),
            // Neither has chance in it, and this one was chosen.
            false => 1.0,
        }
    }
}

/// Probability that `chosen` has the greatest draw, `rivals` being the others: the integral of its density times the
/// probabilities that each of them is below, by the trapezoidal rule on a fixed grid.
pub(super) fn probability(chosen: Draw, rivals: impl Iterator<Item = Draw> + Clone) -> f32 {
    let rivals = rivals.filter(|rival| !chosen.is_beyond(*rival));
    let all_below = |x: f32| {
        rivals
            .clone()
            .fold(1.0, |p, rival| cut(p * chosen.beats(x, rival)))
    };
    let p = match chosen.deviation > 0.0 {
        false => all_below(chosen.mean),
        true => (0..=POINTS).fold(0.0, |sum, point| {
            let z = (point - POINTS / 2) as f32 * STEP;
            let weight = STEP * density(z);
            cut(sum + cut(weight * all_below(cut(chosen.mean + chosen.deviation * z))))
        }),
    };
    clamp(p, PROPENSITY_MIN, 1.0)
}
