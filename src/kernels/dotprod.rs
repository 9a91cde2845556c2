//! aarch64 with FEAT_DotProd. Its intrinsic is not stable, so it is assembly.

use core::arch::aarch64::*;
use core::arch::asm;

use super::generic::{Sums, Tile};
use super::neon::{self, broadcast, load};
use super::{Isa, Kind, unroll};
use crate::spec::{GROUP, PANEL};

/// The CPU has FEAT_DotProd: only [`Isa::dotprod`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dotprod(());

impl Isa {
    /// NEON with the dot products of FEAT_DotProd.
    ///
    /// # Safety
    /// The CPU must have it: `getauxval(AT_HWCAP) & HWCAP_ASIMDDP` on Linux and Android, `hw.optional.arm.FEAT_DotProd`
    /// on Apple's systems. Elsewhere the first instruction ends the process.
    pub unsafe fn dotprod() -> Self {
        Isa(Kind::Dotprod(Dotprod(())))
    }
}

impl Dotprod {
    /// See [`portable::add_products`](super::portable::add_products).
    pub fn add_products(self, tile: &Tile<'_>, sums: &mut Sums) {
        // SAFETY: a `Dotprod` exists, so the CPU has it.
        unsafe { add_products(tile, sums) }
    }
}

/// Four rows; fewer by [`neon`], which saves a second copy of this.
#[target_feature(enable = "neon,dotprod")]
fn add_products(tile: &Tile<'_>, sums: &mut Sums) {
    if !tile.has(tile.bytes, 4) {
        return neon::add_products(tile, sums);
    }
    let (bytes, stride, weight) = (tile.bytes, tile.stride, tile.weight);
    let mut acc = [[vdupq_n_s32(0); 4]; 4];
    for group in 0..stride / GROUP {
        let mut w = [vdupq_n_s8(0); 4];
        unroll!(J in [0 1 2 3] {
            // SAFETY: the lengths above.
            w[J] = unsafe { load(weight, group * PANEL * GROUP + 16 * J) };
        });
        unroll!(R in [0 1 2 3] {
            // SAFETY: the lengths above.
            let x = unsafe { broadcast(bytes, R * stride + group * GROUP) };
            unroll!(J in [0 1 2 3] {
                acc[R][J] = sdot(acc[R][J], w[J], x);
            });
        });
    }
    unroll!(R in [0 1 2 3] {
        unroll!(J in [0 1 2 3] {
            // SAFETY: four i32 from 4 J on are in the row.
            unsafe {
                let at = sums[R].as_mut_ptr().add(4 * J);
                vst1q_s32(at, vaddq_s32(vld1q_s32(at), acc[R][J]));
            }
        });
    });
}

/// Adds to each i32 the product of its four bytes. Bytes are below 128, so the signed product is theirs.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn sdot(mut acc: int32x4_t, w: int8x16_t, x: int8x16_t) -> int32x4_t {
    // SAFETY: it touches registers only.
    unsafe {
        asm!(
            "sdot {acc:v}.4s, {w:v}.16b, {x:v}.16b",
            acc = inout(vreg) acc,
            w = in(vreg) w,
            x = in(vreg) x,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    acc
}
