//! A layer on aarch64: what is around its products, for all of its instruction sets.

use core::arch::aarch64::*;
use core::slice;

use super::unroll;
use crate::kernels::generic::{Affine, Part, ROWS, Start, Sums, Tile};
use crate::kernels::{Isa, add_products};
use crate::math::ACTIVATION_MAX;
use crate::spec::PANEL;

/// Runs a layer with the products of `isa`. One whose lengths do not fit is left as it is: opening a model sees to them.
pub(in super::super) fn affine(isa: Isa, layer: &Affine<'_>, out: &mut [f32]) {
    if layer.fits(out) {
        // SAFETY: NEON is part of aarch64; lengths are checked.
        unsafe { panels(isa, layer, out) };
    }
}

/// What follows the sums of a panel.
struct Follow {
    scale: [float32x4_t; 4],
    /// f32 values from a row of `out` to the next, and from what one starts from to the next's.
    steps: (usize, usize),
    relu: bool,
}

/// The part of a layer without any, which ends with what it starts from: x + 0 x -0 is x, also where x is -0.
const KEEP: &[Part<'_>] = &[Part {
    bytes: &[],
    stride: 0,
    weight: &[],
    scale: [(-0.0f32).to_le_bytes(); PANEL].as_flattened(),
    zero: &[],
    quads: false,
}];

/// The panels of all parts. A panel's sums wait in `out` for its next part.
///
/// # Safety
/// The layer must [fit](Affine::fits).
#[target_feature(enable = "neon")]
unsafe fn panels(isa: Isa, layer: &Affine<'_>, out: &mut [f32]) {
    let rows = layer.rows;
    let last = layer.last_part();
    let out = out.as_mut_ptr();
    let mut acc: Sums = [[0; PANEL]; ROWS];
    for panel in 0..layer.columns / PANEL {
        let column = panel * PANEL;
        // SAFETY: the layer fits, here and below.
        let to = unsafe { out.add(layer.column + column) };
        // SAFETY: as above.
        let (mut from, mut step) = unsafe {
            match layer.start {
                Start::Floats(x) => (x.as_ptr().add(column), 0),
                Start::Bytes(x) => (x.as_ptr().cast::<f32>().wrapping_add(column), 0),
                Start::Out => (to.cast_const(), rows.stride),
            }
        };
        let (parts, column) = match last {
            Some(_) => (layer.parts, column),
            None => (KEEP, 0),
        };
        for (at, part) in parts.iter().enumerate() {
            if part.scale.is_empty() {
                continue;
            }
            let mut zero = [vdupq_n_s32(0); 4];
            if !part.zero.is_empty() {
                // SAFETY: as above.
                zero = unsafe { words(part.zero.as_ptr().add(4 * column).cast()) };
            }
            let follow = Follow {
                // SAFETY: as above.
                scale: unsafe { floats(part.scale.as_ptr().add(4 * column).cast()) },
                steps: (rows.stride, step),
                relu: layer.relu && at == last.unwrap_or(0),
            };
            // SAFETY: as above.
            let weight = unsafe {
                let first = part.weight.as_ptr().add(column * part.stride);
                slice::from_raw_parts(first, PANEL * part.stride)
            };
            let mut bytes = part.bytes.as_ptr();
            let (mut start, mut end) = (from, to);
            for row in (0..rows.count).step_by(ROWS) {
                unroll!(R in [0 1 2 3] {
                    unroll!(J in [0 1 2 3] {
                        // SAFETY: four i32 from 4 J on are in the row.
                        unsafe { vst1q_s32(acc[R].as_mut_ptr().add(4 * J), zero[J]) };
                    });
                });
                let n = ROWS.min(rows.count - row);
                let tile = Tile {
                    // SAFETY: as above.
                    bytes: unsafe { slice::from_raw_parts(bytes, n * part.stride) },
                    stride: part.stride,
                    weight,
                };
                add_products(isa, &tile, &mut acc);
                let scales = rows.scales.get(row..).unwrap_or_default();
                // SAFETY: as above.
                unsafe { follow.finish((&acc, n), scales, start, end) };
                bytes = bytes.wrapping_add(ROWS * part.stride);
                start = start.wrapping_add(ROWS * step);
                end = end.wrapping_add(ROWS * rows.stride);
            }
            (from, step) = (to, rows.stride);
        }
    }
}

impl Follow {
    /// `to[r] = from[r] + acc[r] x scale` of so many rows, in the order of `plain`.
    ///
    /// # Safety
    /// A panel of each row must be there.
    #[inline(never)]
    #[target_feature(enable = "neon")]
    unsafe fn finish(
        &self,
        (acc, rows): (&Sums, usize),
        scales: &[f32],
        mut from: *const f32,
        mut to: *mut f32,
    ) {
        for (r, acc) in acc.iter().enumerate().take(rows) {
            let row_scale = scales.get(r).copied().unwrap_or(1.0);
            // SAFETY: the caller's promise, and 16 i32.
            let (start, acc) = unsafe { (floats(from), words(acc.as_ptr())) };
            let mut sums = [vdupq_n_f32(0.0); 4];
            unroll!(J in [0 1 2 3] {
                let scale = vmulq_n_f32(self.scale[J], row_scale);
                sums[J] = vaddq_f32(start[J], vmulq_f32(vcvtq_f32_s32(acc[J]), scale));
            });
            if self.relu {
                unroll!(J in [0 1 2 3] {
                    // `math::relu`: of a number and NaN these are the number.
                    let x = vmaxnmq_f32(sums[J], vdupq_n_f32(0.0));
                    sums[J] = vminnmq_f32(x, vdupq_n_f32(ACTIVATION_MAX));
                });
            }
            unroll!(J in [0 1 2 3] {
                // SAFETY: the caller's promise.
                unsafe { vst1q_f32(to.add(4 * J), sums[J]) };
            });
            from = from.wrapping_add(self.steps.1);
            to = to.wrapping_add(self.steps.0);
        }
    }
}

/// 16 values.
///
/// # Safety
/// They must be there, at any address.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn floats(at: *const f32) -> [float32x4_t; 4] {
    // SAFETY: the caller's promise.
    unsafe {
        [
            vld1q_f32(at),
            vld1q_f32(at.add(4)),
            vld1q_f32(at.add(8)),
            vld1q_f32(at.add(12)),
        ]
    }
}

/// 16 values.
///
/// # Safety
/// They must be there, at any address.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn words(at: *const i32) -> [int32x4_t; 4] {
    // SAFETY: the caller's promise.
    unsafe {
        [
            vld1q_s32(at),
            vld1q_s32(at.add(4)),
            vld1q_s32(at.add(8)),
            vld1q_s32(at.add(12)),
        ]
    }
}
