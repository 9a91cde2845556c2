//! aarch64, whose every CPU has NEON.

use core::arch::aarch64::*;

use super::generic::{Sums, Tile};
use super::unroll;
use crate::spec::{GROUP, PANEL};

mod activations;
mod layer;

pub(super) use super::generic::{dot, sigmoid, softmax_lanes};
#[cfg(feature = "session")]
pub(super) use super::panels::add_sums;
pub(super) use activations::{mix, quantize};
pub(super) use layer::affine;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Neon;

impl Neon {
    /// See [`portable::add_products`](super::portable::add_products).
    pub fn add_products(self, tile: &Tile<'_>, sums: &mut Sums) {
        // SAFETY: NEON is part of aarch64.
        unsafe { add_products(tile, sums) }
    }
}

/// See [`prefetch`](super::prefetch).
#[inline(always)]
pub(super) fn prefetch<T>(at: *const T) {
    // SAFETY: a hint, whatever the address.
    unsafe {
        core::arch::asm!("prfm pldl1keep, [{0}]", in(reg) at,
            options(nostack, preserves_flags, readonly));
    }
}

/// Two rows at a time.
#[inline(never)]
#[target_feature(enable = "neon")]
fn add_products(tile: &Tile<'_>, sums: &mut Sums) {
    let pairs = tile.bytes.chunks((2 * tile.stride).max(1));
    for (sums, bytes) in sums.as_chunks_mut::<2>().0.iter_mut().zip(pairs) {
        add_rows(tile, bytes, sums);
    }
}

/// 16 weights or bytes.
///
/// # Safety
/// `bytes` must have 16 from `at` on.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn load(bytes: &[u8], at: usize) -> int8x16_t {
    // SAFETY: the caller's promise.
    unsafe { vld1q_s8(bytes.as_ptr().add(at).cast()) }
}

/// A group of four input bytes, four times.
///
/// # Safety
/// `bytes` must have 4 from `at` on.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn broadcast(bytes: &[u8], at: usize) -> int8x16_t {
    // SAFETY: the caller's promise; the pointer may have any alignment.
    let x = unsafe { bytes.as_ptr().add(at).cast::<i32>().read_unaligned() };
    vreinterpretq_s8_s32(vdupq_n_s32(x))
}

/// Adds two rows, or the last one twice, which saves a second copy of this. Two products of at most 127 x 127 in magnitude
/// are added in an i16.
#[inline]
#[target_feature(enable = "neon")]
fn add_rows(tile: &Tile<'_>, bytes: &[u8], sums: &mut [[i32; PANEL]; 2]) {
    if !tile.has(bytes, 1) {
        return;
    }
    let (stride, weight) = (tile.stride, tile.weight);
    let other = if tile.has(bytes, 2) { stride } else { 0 };
    // For four outputs: sums of the first two, then of the last two, each as two parts.
    let mut acc = [[[vdupq_n_s32(0); 2]; 4]; 2];
    let groups = stride / GROUP;
    for pair in 0..groups / 2 {
        let (group, second) = (2 * pair, 2 * pair + 1);
        let (mut x, mut y) = ([vdupq_n_s8(0); 2], [vdupq_n_s8(0); 2]);
        unroll!(R in [0 1] {
            // SAFETY: the lengths above.
            unsafe {
                x[R] = broadcast(bytes, R * other + group * GROUP);
                y[R] = broadcast(bytes, R * other + second * GROUP);
            }
        });
        unroll!(J in [0 1 2 3] {
            // SAFETY: the lengths above.
            unsafe {
                let w = load(weight, group * PANEL * GROUP + 16 * J);
                let v = load(weight, second * PANEL * GROUP + 16 * J);
                let [a, b] = &mut acc;
                meet((&mut a[J], &mut b[J]), (x, w), (y, v));
            }
        });
    }
    if groups % 2 == 1 {
        let group = groups - 1;
        unroll!(R in [0 1] {
            // SAFETY: the lengths above.
            let x = unsafe { broadcast(bytes, R * other + group * GROUP) };
            unroll!(J in [0 1 2 3] {
                // SAFETY: the lengths above.
                let w = unsafe { load(weight, group * PANEL * GROUP + 16 * J) };
                let low = vmull_s8(vget_low_s8(x), vget_low_s8(w));
                acc[R][J][0] = vpadalq_s16(acc[R][J][0], low);
                acc[R][J][1] = vpadalq_s16(acc[R][J][1], vmull_high_s8(x, w));
            });
        });
    }
    unroll!(R in [0 1] {
        unroll!(J in [0 1 2 3] {
            // SAFETY: four i32 from 4 J on are in the row.
            unsafe {
                let at = sums[R].as_mut_ptr().add(4 * J);
                let more = vpaddq_s32(acc[R][J][0], acc[R][J][1]);
                vst1q_s32(at, vaddq_s32(vld1q_s32(at), more));
            }
        });
    });
}

/// Adds the products of two rows' groups with their weights, and of the next groups with theirs. In assembly, for the compiler begins
/// products of all outputs at once: what it then moves between registers and memory is half as many instructions again.
#[inline]
#[target_feature(enable = "neon")]
fn meet(
    (a, b): (&mut [int32x4_t; 2], &mut [int32x4_t; 2]),
    (x, w): ([int8x16_t; 2], int8x16_t),
    (y, v): ([int8x16_t; 2], int8x16_t),
) {
    // SAFETY: it touches registers only.
    unsafe {
        core::arch::asm!(
            "smull {p:v}.8h, {x0:v}.8b, {w:v}.8b",
            "smull2 {q:v}.8h, {x0:v}.16b, {w:v}.16b",
            "smull {r:v}.8h, {x1:v}.8b, {w:v}.8b",
            "smull2 {s:v}.8h, {x1:v}.16b, {w:v}.16b",
            "smlal {p:v}.8h, {y0:v}.8b, {v:v}.8b",
            "smlal2 {q:v}.8h, {y0:v}.16b, {v:v}.16b",
            "smlal {r:v}.8h, {y1:v}.8b, {v:v}.8b",
            "smlal2 {s:v}.8h, {y1:v}.16b, {v:v}.16b",
            "sadalp {a0:v}.4s, {p:v}.8h",
            "sadalp {a1:v}.4s, {q:v}.8h",
            "sadalp {b0:v}.4s, {r:v}.8h",
            "sadalp {b1:v}.4s, {s:v}.8h",
            p = out(vreg) _,
            q = out(vreg) _,
            r = out(vreg) _,
            s = out(vreg) _,
            x0 = in(vreg) x[0],
            x1 = in(vreg) x[1],
            y0 = in(vreg) y[0],
            y1 = in(vreg) y[1],
            w = in(vreg) w,
            v = in(vreg) v,
            a0 = inout(vreg) a[0],
            a1 = inout(vreg) a[1],
            b0 = inout(vreg) b[0],
            b1 = inout(vreg) b[1],
            options(pure, nomem, nostack, preserves_flags),
        );
    }
}
