//! aarch64 with FEAT_I8MM: products of 2 x 8 by 8 x 2 matrices. Its intrinsic is not stable, so it is assembly.

use core::arch::aarch64::*;
use core::arch::asm;

use super::generic::{Sums, Tile};
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

/// Adds to `$acc` the products of `$x`, two rows each, with the group of weights at `$weight` and the one `$next` bytes behind it. By
/// four outputs, then by two rows and two outputs: 2 x 2 sums each. A macro, for a function that is called twice is not taken
/// in at the SDK's level.
macro_rules! meet {
    ($acc:ident, $x:expr, $weight:expr, $next:expr) => {
        let x = $x;
        unroll!(J in [0 1 2 3] {
            let at = $weight.add(16 * J);
            let (w, v) = (vld1q_s32(at.cast()), vld1q_s32(at.add($next).cast()));
            let low = vreinterpretq_s8_s32(vzip1q_s32(w, v));
            let high = vreinterpretq_s8_s32(vzip2q_s32(w, v));
            unroll!(P in [0 1] {
                $acc[J][2 * P] = smmla($acc[J][2 * P], x[P], low);
                $acc[J][2 * P + 1] = smmla($acc[J][2 * P + 1], x[P], high);
            });
        });
    };
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
    let mut acc = [[vdupq_n_s32(0); 4]; 4];
    let groups = stride / GROUP;
    for pair in 0..groups / 2 {
        // SAFETY: the lengths above.
        unsafe {
            let at = bytes.as_ptr().add(2 * pair * GROUP);
            let weight = weight.as_ptr().add(2 * pair * PANEL * GROUP);
            meet!(acc, two_rows::<u64>(at, rows), weight, PANEL * GROUP);
        }
    }
    if groups % 2 == 1 {
        // A last group by itself is paired with itself, with bytes of 0.
        // SAFETY: the lengths above.
        unsafe {
            let at = bytes.as_ptr().add((groups - 1) * GROUP);
            let weight = weight.as_ptr().add((groups - 1) * PANEL * GROUP);
            meet!(acc, two_rows::<u32>(at, rows), weight, 0);
        }
    }
    unroll!(P in [0 1] {
        unroll!(J in [0 1 2 3] {
            // Each half of a register is a row.
            let low = vreinterpretq_s64_s32(acc[J][2 * P]);
            let high = vreinterpretq_s64_s32(acc[J][2 * P + 1]);
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

/// Of four rows, which begin so far behind `at`, the bytes of a group and the next one (`u64`), or of a group alone and zeros
/// (`u32`).
///
/// # Safety
/// They must be there, at any address.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn two_rows<T: Into<u64>>(at: *const u8, rows: [usize; 4]) -> [int8x16_t; 2] {
    let mut x = [vdupq_n_s8(0); 2];
    unroll!(P in [0 1] {
        // SAFETY: the caller's promise.
        let (a, b) = unsafe {
            let (a, b) = (at.add(rows[2 * P]), at.add(rows[2 * P + 1]));
            (a.cast::<T>().read_unaligned(), b.cast::<T>().read_unaligned())
        };
        let both = vcombine_u64(vcreate_u64(a.into()), vcreate_u64(b.into()));
        x[P] = vreinterpretq_s8_u64(both);
    });
    x
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
