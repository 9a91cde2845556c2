//! Numbers: raw value to network value, raw value to bucket.

use crate::math::{clamp, round};
use crate::spec::{NumberGrid, Operation, Transform, limits};

/// `x`, or 0 for a subnormal one, as on hosts that flush subnormals.
#[inline]
fn flushed(x: f32) -> f32 {
    if x.abs() < f32::MIN_POSITIVE { 0.0 } else { x }
}

impl Transform {
    /// `x` within `[low, high]`. Infinities become the nearer bound, NaN becomes `low`: a missing number takes its
    /// feature's default *before* it comes here. A subnormal `x` is 0, as on hosts that flush subnormals: otherwise it
    /// could lie on the other side of a boundary there.
    #[inline]
    pub fn clip(&self, x: f32) -> f32 {
        clamp(flushed(x), self.low, self.high)
    }

    /// Network value of a raw value: clip, ln(1 + x) if asked, then (x - shift) x scale, each rounded once, never
    /// fused. Never NaN or infinite unless the last two operations overflow.
    #[inline]
    pub fn apply(&self, x: f32) -> f32 {
        let mut values = [x];
        self.apply_each(&mut values);
        let [x] = values;
        x
    }

    /// [`apply`](Self::apply) to each of `values`, step by step, so that steps are of vectors.
    #[inline]
    pub fn apply_each<const N: usize>(&self, values: &mut [f32; N]) {
        for x in &mut *values {
            *x = self.clip(*x);
        }
        if self.log1p {
            for x in &mut *values {
                *x = libm::log1pf(*x);
            }
        }
        for x in values {
            *x = (*x - self.shift) * self.scale;
        }
    }
}

impl Operation {
    /// The raw value made of two, rounded once; NaN is missing, as a value and as the result: of a missing one, of a ratio
    /// to 0, of infinities that leave no value. A subnormal operand is 0. A result below 2^-100 in magnitude is 0: hosts that
    /// flush subnormals differ in whether they do so before they round to 2^-126.
    #[inline]
    pub fn apply(self, left: f32, right: f32) -> f32 {
        const LEAST: f32 = 1.0 / (1u128 << 100) as f32;
        let (left, right) = (flushed(left), flushed(right));
        let x = match self {
            Self::Product => left * right,
            Self::Difference => left - right,
            Self::Ratio if right == 0.0 => f32::NAN,
            Self::Ratio => left / right,
        };
        if x.abs() < LEAST { 0.0 } else { x }
    }
}

/// Bucket row of a raw value: 0 if it is missing (NaN), else 1 + the number of `boundaries` that are not above the
/// clipped raw value (after [`Transform::clip`], before ln(1 + x)): a value on a boundary is in the upper bucket.
///
/// `boundaries` are f32, 4 little-endian bytes each, not decreasing; bytes after the last whole one are not read.
#[inline]
pub fn bucket_row(transform: &Transform, boundaries: &[u8], raw: f32) -> u32 {
    if raw.is_nan() {
        return 0;
    }
    let x = transform.clip(raw);
    let below = |b: &[u8; 4]| f32::from_le_bytes(*b) <= x;
    1 + boundaries.as_chunks().0.partition_point(below) as u32
}

impl NumberGrid {
    /// Steps of `x`: round(x x inv_scale), half to even, plus zero point, within 0..=127 x bytes. NaN becomes 0.
    #[inline]
    pub fn steps(&self, x: f32) -> u16 {
        // Bounds are integers: a value within them is rounded to one within them, and no grid has more steps than this, so
        // that rounding by addition is exact.
        const _: () = assert!(127 * limits::NUMBER_BYTES < 1 << 22);
        let (zero, most) = (i32::from(self.zero_point), 127 * i32::from(self.bytes));
        let x = clamp(x * self.inv_scale, -zero as f32, (most - zero) as f32);
        (round(x) + zero) as u16
    }

    /// Byte `j` of steps: floor((steps + j) / bytes).
    #[inline]
    pub fn byte(&self, steps: u16, j: usize) -> u8 {
        // max(1) spares the division its check: no grid of a checked spec has 0 bytes.
        ((usize::from(steps) + j) / usize::from(self.bytes.max(1))).min(127) as u8
    }

    /// Writes the bytes of the first `rows` of `values`, `stride` apart: [`byte`](Self::byte) of each.
    #[inline(never)]
    pub fn quantize<const N: usize>(
        &self,
        values: &[f32; N],
        rows: usize,
        (to, stride): (&mut [u8], usize),
    ) {
        const ONES: u64 = u64::from_le_bytes([1; limits::NUMBER_BYTES]);
        let bytes = u32::from(self.bytes.max(1));
        // floor(n / bytes) by multiplication: what the inverse is too large by adds less than 1 / bytes.
        const _: () = assert!(128 * limits::NUMBER_BYTES * limits::NUMBER_BYTES < 1 << 16);
        let inverse = 0xFFFF / bytes + 1;
        // Of all, since they are made by vectors.
        let mut all = [0; N];
        for (steps, x) in all.iter_mut().zip(values) {
            *steps = u32::from(self.steps(*x));
        }
        let mut at = 0;
        for steps in all.iter().take(rows) {
            let least = (steps * inverse) >> 16;
            // As many of the last bytes are one more as the division leaves: all of them in one word.
            let same = bytes - (steps - least * bytes);
            let word = u64::from(least) * ONES + (ONES << (8 * (same - 1)) << 8);
            let Some(to) = to.get_mut(at..at + bytes as usize) else {
                return;
            };
            match to.as_mut_array() {
                // What a number has unless its description says otherwise.
                Some(to) => *to = (word as u32).to_le_bytes(),
                None => {
                    for (to, byte) in to.iter_mut().zip(word.to_le_bytes()) {
                        *to = byte;
                    }
                }
            }
            at += stride;
        }
    }

    /// Value that steps stand for: (steps - zero point) / inv_scale.
    #[inline]
    pub fn dequantize(&self, steps: u16) -> f32 {
        (i32::from(steps) - i32::from(self.zero_point)) as f32 / self.inv_scale
    }
}
