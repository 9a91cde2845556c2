//! f32 values to activation bytes, and mixtures of them.

use core::arch::aarch64::*;

use super::unroll;
use crate::kernels::{Mixture, generic};
use crate::spec::PANEL;

/// As the plain one, with maxima in registers: at the SDK's level the compiler keeps in memory what a loop over lanes
/// carries.
#[inline(always)]
pub(in super::super) fn quantize(
    values: &[f32],
    sizes: (usize, usize),
    bytes: &mut [u8],
    scales: &mut [f32],
) {
    // SAFETY: NEON is part of aarch64.
    let greatest = |values: &[f32]| unsafe { greatest(values) };
    generic::quantize_by(greatest, generic::write, values, sizes, bytes, scales);
}

/// The greatest value, or 0.
#[inline]
#[target_feature(enable = "neon")]
fn greatest(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<PANEL>();
    let mut lanes = [vdupq_n_f32(0.0); 4];
    for chunk in chunks {
        unroll!(J in [0 1 2 3] {
            // SAFETY: 16 values.
            let x = unsafe { vld1q_f32(chunk.as_ptr().add(4 * J)) };
            // Of a number and NaN it is the number.
            lanes[J] = vmaxnmq_f32(x, lanes[J]);
        });
    }
    let [a, b, c, d] = lanes;
    let mut max = vmaxnmvq_f32(vmaxnmq_f32(vmaxnmq_f32(a, b), vmaxnmq_f32(c, d)));
    for x in rest {
        max = if *x > max { *x } else { max };
    }
    max
}

/// As the plain one, with sums in registers.
#[inline(always)]
pub(in super::super) fn mix(of: &Mixture<'_>, out: &mut [f32]) {
    // SAFETY: NEON is part of aarch64, here and below.
    let wide = |at, to: &mut _| unsafe { sum_up(of, at, to) };
    // SAFETY: as above.
    generic::mix_by(out, wide, |at, to| unsafe { sum_up(of, at, to) });
}

/// `N` values of a mixture from the one at `at` on: a panel, or two.
#[inline]
#[target_feature(enable = "neon")]
fn sum_up<const N: usize>(of: &Mixture<'_>, at: usize, to: &mut [f32; N]) {
    let mut sums = [vdupq_n_f32(0.0); 8];
    for (from, weight) in of.terms::<N>(at) {
        unroll!(J in [0 1 2 3 4 5 6 7] {
            if J < N / 4 {
                // SAFETY: `N` values.
                let x = unsafe { vld1q_f32(from.as_ptr().add(4 * J)) };
                sums[J] = vaddq_f32(sums[J], vmulq_n_f32(x, weight));
            }
        });
    }
    unroll!(J in [0 1 2 3 4 5 6 7] {
        if J < N / 4 {
            // SAFETY: `N` values.
            unsafe { vst1q_f32(to.as_mut_ptr().add(4 * J), sums[J]) };
        }
    });
}
