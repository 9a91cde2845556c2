//! aarch64 with FEAT_DotProd. Its intrinsic is not stable, so it is assembly.

use core::arch::aarch64::*;
use core::arch::asm;

use super::generic::{Sums, Tile};
use super::neon::{broadcast, load};
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

/// Four rows, or each by itself: the user's side and what a block has beyond fours. Of four, two groups at a time: a row's 8
/// bytes are loaded once, and `sdot` takes its group by number. Loading each group four times over would take another of the
/// pipes that products run on.
#[target_feature(enable = "neon,dotprod")]
fn add_products(tile: &Tile<'_>, sums: &mut Sums) {
    if !tile.has(tile.bytes, 4) {
        for (r, sums) in sums.iter_mut().enumerate() {
            add_row(
                tile,
                tile.bytes.get(r * tile.stride..).unwrap_or_default(),
                sums,
            );
        }
        return;
    }
    let (bytes, stride, weight) = (tile.bytes, tile.stride, tile.weight);
    let mut acc = [[vdupq_n_s32(0); 4]; 4];
    unroll!(R in [0 1 2 3] {
        unroll!(J in [0 1 2 3] {
            // SAFETY: four i32 from 4 J on are in the row.
            acc[R][J] = unsafe { vld1q_s32(sums[R].as_ptr().add(4 * J)) };
        });
    });
    let groups = stride / GROUP;
    for pair in 0..groups / 2 {
        let (mut w, mut v) = ([vdupq_n_s8(0); 4], [vdupq_n_s8(0); 4]);
        unroll!(J in [0 1 2 3] {
            // SAFETY: the lengths above.
            unsafe {
                w[J] = load(weight, 2 * pair * PANEL * GROUP + 16 * J);
                v[J] = load(weight, (2 * pair + 1) * PANEL * GROUP + 16 * J);
            }
        });
        unroll!(R in [0 1 2 3] {
            // SAFETY: the lengths above.
            let x = unsafe { vld1_s8(bytes.as_ptr().add(R * stride + 2 * pair * GROUP).cast()) };
            unroll!(J in [0 1 2 3] {
                acc[R][J] = sdot::<0>(acc[R][J], w[J], x);
            });
            unroll!(J in [0 1 2 3] {
                acc[R][J] = sdot::<1>(acc[R][J], v[J], x);
            });
        });
    }
    if groups % 2 == 1 {
        let mut w = [vdupq_n_s8(0); 4];
        unroll!(J in [0 1 2 3] {
            // SAFETY: the lengths above.
            w[J] = unsafe { load(weight, (groups - 1) * PANEL * GROUP + 16 * J) };
        });
        unroll!(R in [0 1 2 3] {
            // SAFETY: the lengths above.
            let x = unsafe { broadcast(bytes, R * stride + (groups - 1) * GROUP) };
            unroll!(J in [0 1 2 3] {
                acc[R][J] = sdot::<0>(acc[R][J], w[J], vget_low_s8(x));
            });
        });
    }
    unroll!(R in [0 1 2 3] {
        unroll!(J in [0 1 2 3] {
            // SAFETY: as above.
            unsafe { vst1q_s32(sums[R].as_mut_ptr().add(4 * J), acc[R][J]) };
        });
    });
}

/// The first row of `bytes`; none if there is none.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn add_row(tile: &Tile<'_>, bytes: &[u8], sums: &mut [i32; PANEL]) {
    if !tile.has(bytes, 1) {
        return;
    }
    let mut acc = [vdupq_n_s32(0); 4];
    unroll!(J in [0 1 2 3] {
        // SAFETY: four i32 from 4 J on are in the row.
        acc[J] = unsafe { vld1q_s32(sums.as_ptr().add(4 * J)) };
    });
    for group in 0..tile.stride / GROUP {
        // SAFETY: the lengths above, here and below.
        let x = unsafe { broadcast(bytes, group * GROUP) };
        unroll!(J in [0 1 2 3] {
            // SAFETY: as above.
            let w = unsafe { load(tile.weight, group * PANEL * GROUP + 16 * J) };
            acc[J] = sdot::<0>(acc[J], w, vget_low_s8(x));
        });
    }
    unroll!(J in [0 1 2 3] {
        // SAFETY: as above.
        unsafe { vst1q_s32(sums.as_mut_ptr().add(4 * J), acc[J]) };
    });
}

/// Adds to each i32 the product of its four bytes of `w` with group `LANE` of `x`. Bytes are below 128, so the signed product is
/// theirs.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn sdot<const LANE: usize>(mut acc: int32x4_t, w: int8x16_t, x: int8x8_t) -> int32x4_t {
    // SAFETY: it touches registers only.
    unsafe {
        asm!(
            "sdot {acc:v}.4s, {w:v}.16b, {x:v}.4b[{lane}]",
            acc = inout(vreg) acc,
            w = in(vreg) w,
            x = in(vreg) x,
            lane = const LANE,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    acc
}
