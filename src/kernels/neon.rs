//! aarch64, whose every CPU has NEON.

use core::arch::aarch64::*;

use super::generic::{Sums, Tile};
use super::unroll;
use crate::spec::{GROUP, PANEL};

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
pub(super) fn add_products(tile: &Tile<'_>, sums: &mut Sums) {
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
    let mut group = 0;
    while group < groups {
        // A last group by itself is paired with itself, with bytes of 0.
        let pair = group + 1 < groups;
        let second = if pair { group + 1 } else { group };
        let (mut x, mut y) = ([vdupq_n_s8(0); 2], [vdupq_n_s8(0); 2]);
        unroll!(R in [0 1] {
            // SAFETY: the lengths above.
            unsafe {
                x[R] = broadcast(bytes, R * other + group * GROUP);
                y[R] = broadcast(bytes, R * other + second * GROUP);
            }
            if !pair {
                y[R] = vdupq_n_s8(0);
            }
        });
        unroll!(J in [0 1 2 3] {
            // SAFETY: the lengths above.
            let (w, v) = unsafe {
                (
                    load(weight, group * PANEL * GROUP + 16 * J),
                    load(weight, second * PANEL * GROUP + 16 * J),
                )
            };
            unroll!(R in [0 1] {
                let low = vmull_s8(vget_low_s8(x[R]), vget_low_s8(w));
                let low = vmlal_s8(low, vget_low_s8(y[R]), vget_low_s8(v));
                let high = vmlal_high_s8(vmull_high_s8(x[R], w), y[R], v);
                acc[R][J][0] = vpadalq_s16(acc[R][J][0], low);
                acc[R][J][1] = vpadalq_s16(acc[R][J][1], high);
            });
        });
        group += 2;
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
