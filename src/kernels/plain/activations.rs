//! f32 values to activation bytes, and mixtures of them.

use crate::kernels::{Mixture, generic};
use crate::spec::PANEL;

/// See [`quantize`](super::super::quantize).
#[inline(always)]
pub(in super::super) fn quantize(
    values: &[f32],
    sizes: (usize, usize),
    bytes: &mut [u8],
    scales: &mut [f32],
) {
    generic::quantize_by(greatest, generic::write, values, sizes, bytes, scales);
}

/// The greatest value, or 0.
#[inline(always)]
fn greatest(values: &[f32]) -> f32 {
    // By lanes: the maximum doesn't depend on order.
    let mut lanes = [0.0f32; PANEL];
    let (chunks, rest) = values.as_chunks::<PANEL>();
    for chunk in chunks {
        for (max, x) in lanes.iter_mut().zip(chunk) {
            *max = if *x > *max { *x } else { *max };
        }
    }
    for (max, x) in lanes.iter_mut().zip(rest) {
        *max = if *x > *max { *x } else { *max };
    }
    let mut max = 0.0;
    for x in lanes {
        max = if x > max { x } else { max };
    }
    max
}

/// See [`mix`](super::super::mix).
#[inline(always)]
pub(in super::super) fn mix(of: &Mixture<'_>, out: &mut [f32]) {
    for (i, out) in out.as_chunks_mut::<PANEL>().0.iter_mut().enumerate() {
        let mut sums = [0.0; PANEL];
        for (from, weight) in of.terms::<PANEL>(i * PANEL) {
            for (sum, x) in sums.iter_mut().zip(from) {
                *sum += weight * *x;
            }
        }
        *out = sums;
    }
}
