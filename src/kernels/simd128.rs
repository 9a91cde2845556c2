//! wasm32 compiled with 128-bit vectors.

use core::arch::wasm32::*;

use super::generic::{Sums, Tile};
use super::unroll;
use crate::spec::{GROUP, PANEL};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Simd128;

impl Simd128 {
    /// See [`portable::add_products`](super::portable::add_products). Two rows at a time.
    pub fn add_products(self, tile: &Tile<'_>, sums: &mut Sums) {
        let pairs = tile.bytes.chunks((2 * tile.stride).max(1));
        for (sums, bytes) in sums.as_chunks_mut::<2>().0.iter_mut().zip(pairs) {
            add_rows(tile, bytes, sums);
        }
    }
}

/// Adds two rows, or the last one twice, which saves a second copy of this. Bytes are below 128, so the signed product is
/// theirs; a pair of products is added when it is widened.
fn add_rows(tile: &Tile<'_>, bytes: &[u8], sums: &mut [[i32; PANEL]; 2]) {
    if !tile.has(bytes, 1) {
        return;
    }
    let (stride, weight) = (tile.stride, tile.weight);
    let other = if tile.has(bytes, 2) { stride } else { 0 };
    // For four outputs: sums of the first two, then of the last two, each as two parts.
    let mut acc = [[[i32x4_splat(0); 2]; 4]; 2];
    for group in 0..stride / GROUP {
        let mut x = [i8x16_splat(0); 2];
        unroll!(R in [0 1] {
            // SAFETY: the lengths above; the pointer may have any alignment.
            x[R] = unsafe {
                let at = bytes.as_ptr().add(R * other + group * GROUP);
                v128_load32_splat(at.cast())
            };
        });
        unroll!(J in [0 1 2 3] {
            // SAFETY: the lengths above; the pointer may have any alignment.
            let w = unsafe {
                v128_load(weight.as_ptr().add(group * PANEL * GROUP + 16 * J).cast())
            };
            unroll!(R in [0 1] {
                let low = i16x8_extmul_low_i8x16(x[R], w);
                let high = i16x8_extmul_high_i8x16(x[R], w);
                acc[R][J][0] = i32x4_add(acc[R][J][0], i32x4_extadd_pairwise_i16x8(low));
                acc[R][J][1] = i32x4_add(acc[R][J][1], i32x4_extadd_pairwise_i16x8(high));
            });
        });
    }
    unroll!(R in [0 1] {
        unroll!(J in [0 1 2 3] {
            let even = i32x4_shuffle::<0, 2, 4, 6>(acc[R][J][0], acc[R][J][1]);
            let odd = i32x4_shuffle::<1, 3, 5, 7>(acc[R][J][0], acc[R][J][1]);
            // SAFETY: four i32 from 4 J on are in the row; the pointer may have any alignment.
            unsafe {
                let at = sums[R].as_mut_ptr().add(4 * J).cast::<v128>();
                v128_store(at, i32x4_add(v128_load(at), i32x4_add(even, odd)));
            }
        });
    });
}
