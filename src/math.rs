//! The few functions of real numbers that a score depends on, as fixed sequences of plain f32 operations.
//!
//! Every operation is one correctly rounded IEEE 754 add, subtract, multiply or divide, never fused and never
//! reordered, so the bits are the same on every CPU. Nothing here returns a subnormal, NaN or infinity for a finite
//! argument, so a host that flushes subnormals to zero gets the same bits too.

/// Adding and subtracting 1.5 x 2^23 rounds half to even for |x| < 2^22.
pub(crate) const ROUND: f32 = 12_582_912.0;

/// `x` rounded to an integer, half to even. |x| must be below 2^22.
#[inline]
pub fn round(x: f32) -> i32 {
    // The low mantissa bits of the sum are the integer: no conversion instruction, no mode.
    ((x + ROUND).to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32)
}

/// `x` within `[low, high]`, by comparison and selection: NaN becomes `low`, and the sign of zero is kept.
#[inline]
pub fn clamp(x: f32, low: f32, high: f32) -> f32 {
    let x = if x > low { x } else { low };
    if x < high { x } else { high }
}

/// e^x for x clamped to [-87, 88]; relative error below 2e-7.
///
/// Range reduction x = n ln 2 + r with ln 2 in two parts, then the degree-5 polynomial of Cephes' `expf`
/// (S. Moshier, Cephes Mathematical Library 2.2, 1992).
#[inline(never)]
pub fn exp(x: f32) -> f32 {
    exp_inline(x)
}

/// [`exp`] in the place where it is called, for loops over lanes.
#[inline(always)]
pub(crate) fn exp_inline(x: f32) -> f32 {
    let x = clamp(x, -87.0, 88.0);
    let n = round(x * core::f32::consts::LOG2_E);
    let k = n as f32;
    // 0.693359375 has 9 bits, so k times it is exact.
    let r = x - k * 0.693_359_4 - k * -2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_2e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    // Cephes has 5.0000001201e-1, which is 0.5 in f32.
    p = p * r + 0.5;
    let e = p * (r * r) + r + 1.0;
    // 2^n for n in -126..=127; both ends of the clamp stay inside.
    e * f32::from_bits(((n + 127) as u32) << 23)
}

/// 1 / (1 + e^-x) for x clamped to [-30, 30].
#[inline(never)]
pub fn sigmoid(x: f32) -> f32 {
    sigmoid_by(x, exp)
}

/// [`sigmoid`] by [`exp`] or, for loops over lanes, [`exp_inline`].
#[inline(always)]
pub(crate) fn sigmoid_by(x: f32, exp: impl Fn(f32) -> f32) -> f32 {
    1.0 / (1.0 + exp(-clamp(x, -30.0, 30.0)))
}

/// Softmax in fixed point: `weights` sum to exactly 2^15.
///
/// Each weight is round(2^15 e^(logit - max) / sum); what rounding leaves over goes to the largest logit (the first
/// of equals). Logits must be finite.
pub fn softmax_q15(logits: &[f32], weights: &mut [u16]) {
    let mut max = f32::MIN;
    let mut best = 0;
    for (i, logit) in logits.iter().enumerate() {
        if *logit > max {
            max = *logit;
            best = i;
        }
    }
    // Below -20 a weight rounds to 0 (e^-20 x 2^15 is 7e-5), so the clamp changes nothing but keeps exp cheap.
    let e = |logit: f32| exp(clamp(logit - max, -20.0, 0.0));
    let sum = logits.iter().fold(0.0, |sum, logit| sum + e(*logit));
    let mut left = 1i32 << 15;
    for (weight, logit) in weights.iter_mut().zip(logits) {
        let w = round(e(*logit) / sum * 32768.0);
        left -= w;
        *weight = w as u16;
    }
    if let Some(weight) = weights.get_mut(best) {
        *weight = (i32::from(*weight) + left) as u16;
    }
}

/// The greatest activation that a layer hands on; keeps every later sum finite whatever the weights are.
pub const ACTIVATION_MAX: f32 = (1u64 << 40) as f32;
/// A row whose greatest activation is below this is taken as zero: no scale can become subnormal.
pub const ACTIVATION_MIN: f32 = 1.0 / (1u64 << 40) as f32;

/// max(x, 0), at most [`ACTIVATION_MAX`].
#[inline]
pub fn relu(x: f32) -> f32 {
    clamp(x, 0.0, ACTIVATION_MAX)
}

/// Quantizes a row of activations (each 0..=[`ACTIVATION_MAX`]) to u7 on the row's own scale, and returns the scale:
/// activation = scale x byte, scale = max / 127. The maximum does not depend on order and cannot saturate.
pub fn quantize_row(row: &[f32], bytes: &mut [u8]) -> f32 {
    let mut max = 0.0;
    for x in row {
        max = if *x > max { *x } else { max };
    }
    if max < ACTIVATION_MIN {
        bytes.fill(0);
        return 0.0;
    }
    let inv = 127.0 / max;
    for (byte, x) in bytes.iter_mut().zip(row) {
        *byte = round(*x * inv) as u8;
    }
    max / 127.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::prelude::v1::*;

    #[test]
    fn exp_is_within_two_in_ten_million_of_libm() {
        let mut worst = 0.0f64;
        for i in -87_000..=88_000 {
            let x = i as f32 / 1000.0;
            let truth = libm::exp(f64::from(x));
            worst = worst.max((f64::from(exp(x)) - truth).abs() / truth);
        }
        assert!(worst < 2e-7, "{worst}");
        for x in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30] {
            assert!(exp(x).is_normal());
        }
    }

    #[test]
    fn sigmoid_is_monotone_and_symmetric() {
        let mut last = 0.0;
        for i in -4000..=4000 {
            let x = i as f32 / 100.0;
            let p = sigmoid(x);
            assert!(p >= last && p > 0.0 && p <= 1.0);
            assert!(
                (f64::from(p) - 1.0 / (1.0 + libm::exp(f64::from(-clamp(x, -30.0, 30.0))))).abs()
                    < 2e-7
            );
            last = p;
        }
        assert_eq!(sigmoid(0.0), 0.5);
    }

    #[test]
    fn rounding_is_half_to_even() {
        for (x, want) in [
            (0.5, 0),
            (1.5, 2),
            (2.5, 2),
            (-0.5, 0),
            (-1.5, -2),
            (126.5, 126),
            (-3.49, -3),
        ] {
            assert_eq!(round(x), want, "{x}");
        }
    }

    #[test]
    fn softmax_sums_to_two_to_the_fifteen() {
        let mut seed = 1u64;
        for n in 1..=16 {
            for _ in 0..500 {
                let logits: Vec<f32> = (0..n)
                    .map(|_| {
                        seed = seed
                            .wrapping_mul(6364136223846793005)
                            .wrapping_add(1442695040888963407);
                        ((seed >> 40) as f32 / 16_777_216.0 - 0.5) * 60.0
                    })
                    .collect();
                let mut weights = vec![0u16; n];
                softmax_q15(&logits, &mut weights);
                assert_eq!(weights.iter().map(|w| u32::from(*w)).sum::<u32>(), 1 << 15);
                let max = logits.iter().copied().fold(f32::MIN, f32::max);
                let sum: f64 = logits.iter().map(|l| libm::exp(f64::from(l - max))).sum();
                for (w, l) in weights.iter().zip(&logits) {
                    let p = libm::exp(f64::from(l - max)) / sum;
                    // Half a step of rounding each, and the leftover of at most half a step per other expert.
                    assert!(
                        (f64::from(*w) / 32768.0 - p).abs() * 32768.0 < 0.51 * n as f64 + 0.1,
                        "{w} {p}"
                    );
                }
            }
        }
        let mut equal = [0u16; 3];
        softmax_q15(&[7.0, 7.0, 7.0], &mut equal);
        assert_eq!(
            equal,
            [10922, 10923, 10923],
            "the leftover goes to the first of equals"
        );
    }

    #[test]
    fn a_row_uses_the_whole_grid() {
        let mut bytes = [0; 4];
        let scale = quantize_row(&[0.0, 1.0, 2.0, 4.0], &mut bytes);
        assert_eq!(bytes, [0, 32, 64, 127]);
        assert_eq!(scale, 4.0 / 127.0);
        assert_eq!(quantize_row(&[1e-20, 0.0], &mut bytes[..2]), 0.0);
        assert_eq!(bytes[..2], [0, 0]);
    }
}
