//! aarch64 with FEAT_I8MM: products of 2 x 8 by 8 x 2 matrices. Its intrinsic is not stable, so it is assembly.

use core::arch::aarch64::*;
use core::arch::asm;

use super::generic::{Sums, Tile};
use super::neon::load;
use super::{Isa, Kind, unroll};
use crate::spec::{GROUP, PANEL};

/// The CPU has FEAT_I8MM: only [`Isa::i8mm`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct I8mm(());

impl Isa {
    /// NEON with the matrix products of FEAT_I8MM.
    ///
    /// # Safety
    /// The CPU must have it: `getauxval(AT_HWCAP2) & HWCAP2_I8MM` on Linux and Android, `hw.optional.arm.FEAT_I8MM` on
    /// Apple's systems. Elsewhere the first instruction ends the process.
    pub unsafe fn i8mm() -> Self {
        Isa(Kind::I8mm(I8mm(())))
    }
}

impl I8mm {
    /// See [`portable::add_products`](super::portable::add_products).
    pub fn add_products(self, tile: &Tile<'_>, sums: &mut Sums) {
        // SAFETY: an `I8mm` exists, so the CPU has it.
        unsafe { add_products(tile, sums) }
    }
}

/// Always four rows: in place of one that is not there the first is taken again. A second copy of this would cost more than
/// that: one row still takes 16 products where [`neon`](super::neon) takes 48 multiplications and additions.
///
/// `smmla` meets 8 bytes of two rows with 8 weights of two outputs. Weights lie by groups of four, 16 outputs a group,
/// so the 32-bit lanes of two groups, zipped, are what it needs: the same weights as for all other kernels.
#[target_feature(enable = "neon,i8mm")]
fn add_products(tile: &Tile<'_>, sums: &mut Sums) {
    if !tile.has(tile.bytes, 1) {
        return;
    }
    let (bytes, stride, weight) = (tile.bytes, tile.stride, tile.weight);
    let mut rows = [0; 4];
    unroll!(R in [1 2 3] {
        rows[R] = if tile.has(bytes, R + 1) { R * stride } else { 0 };
    });
    // By two rows, then by two outputs: 2 x 2 sums each.
    let mut acc = [vdupq_n_s32(0); 16];
    let groups = stride / GROUP;
    let mut group = 0;
    while group < groups {
        // A last group by itself is paired with itself, with bytes of 0.
        let pair = group + 1 < groups;
        let first = group * PANEL * GROUP;
        let second = if pair { first + PANEL * GROUP } else { first };
        let mut x = [vdup_n_u64(0); 4];
        unroll!(R in [0 1 2 3] {
            // SAFETY: the lengths above: each row has a group here, and one more if there is a pair.
            x[R] = vcreate_u64(unsafe { eight(bytes, rows[R] + group * GROUP, pair) });
        });
        let x = [
            vreinterpretq_s8_u64(vcombine_u64(x[0], x[1])),
            vreinterpretq_s8_u64(vcombine_u64(x[2], x[3])),
        ];
        unroll!(J in [0 1 2 3] {
            // SAFETY: the lengths above.
            let (w, v) = unsafe {
                (
                    vreinterpretq_s32_s8(load(weight, first + 16 * J)),
                    vreinterpretq_s32_s8(load(weight, second + 16 * J)),
                )
            };
            let low = vreinterpretq_s8_s32(vzip1q_s32(w, v));
            let high = vreinterpretq_s8_s32(vzip2q_s32(w, v));
            unroll!(P in [0 1] {
                let at = 8 * P + 2 * J;
                acc[at] = smmla(acc[at], x[P], low);
                acc[at + 1] = smmla(acc[at + 1], x[P], high);
            });
        });
        group += 2;
    }
    unroll!(P in [0 1] {
        unroll!(J in [0 1 2 3] {
            // Each half of a register is a row.
            let low = vreinterpretq_s64_s32(acc[8 * P + 2 * J]);
            let high = vreinterpretq_s64_s32(acc[8 * P + 2 * J + 1]);
            let more = [
                vreinterpretq_s32_s64(vzip1q_s64(low, high)),
                vreinterpretq_s32_s64(vzip2q_s64(low, high)),
            ];
            unroll!(R in [0 1] {
                // SAFETY: four i32 from 4 J on are in the row.
                unsafe {
                    let at = sums[2 * P + R].as_mut_ptr().add(4 * J);
                    vst1q_s32(at, vaddq_s32(vld1q_s32(at), more[R]));
                }
            });
        });
    });
}

/// Two groups of input bytes, or one and zeros.
///
/// # Safety
/// `bytes` must have 8, or 4 if they are no `pair`, from `at` on.
#[inline]
unsafe fn eight(bytes: &[u8], at: usize, pair: bool) -> u64 {
    // SAFETY: the caller's promise; the pointer may have any alignment.
    unsafe {
        let at = bytes.as_ptr().add(at);
        if pair {
            at.cast::<u64>().read_unaligned()
        } else {
            u64::from(at.cast::<u32>().read_unaligned())
        }
    }
}

/// Adds to each i32 the product of a row's 8 bytes and an output's 8 weights. Bytes are below 128, so the signed product is
/// theirs.
#[inline]
#[target_feature(enable = "neon,i8mm")]
fn smmla(mut acc: int32x4_t, x: int8x16_t, w: int8x16_t) -> int32x4_t {
    // SAFETY: it touches registers only.
    unsafe {
        asm!(
            "smmla {acc:v}.4s, {x:v}.16b, {w:v}.16b",
            acc = inout(vreg) acc,
            x = in(vreg) x,
            w = in(vreg) w,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    acc
}
