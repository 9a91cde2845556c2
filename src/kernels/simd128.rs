//! wasm32 compiled with 128-bit vectors.

use core::arch::wasm32::*;

use super::unroll;
use crate::spec::{GROUP, PANEL};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Simd128;

impl Simd128 {
    pub fn tile(
        self,
        bytes: &[u8],
        stride: usize,
        weight: &[u8],
        zero: &[i32; PANEL],
    ) -> [[i32; PANEL]; 4] {
        rows(bytes, stride, weight, zero)
    }
}

fn rows(bytes: &[u8], stride: usize, weight: &[u8], zero: &[i32; PANEL]) -> [[i32; PANEL]; 4] {
    let mut sums = [*zero; 4];
    for (sums, rows) in sums.chunks_mut(2).zip(bytes.chunks((2 * stride).max(1))) {
        match sums {
            [a, b] if rows.len() == 2 * stride => [*a, *b] = tile(rows, stride, weight, zero),
            [a, ..] => [*a] = tile(rows, stride, weight, zero),
            [] => {}
        }
    }
    sums
}

/// See [`portable::tile`](super::portable::tile). Bytes are below 128, so the signed product is theirs; a pair of products
/// is added when it is widened.
#[inline(always)]
fn tile<const M: usize>(
    bytes: &[u8],
    stride: usize,
    weight: &[u8],
    zero: &[i32; PANEL],
) -> [[i32; PANEL]; M] {
    let mut sums = [*zero; M];
    if bytes.len() < M * stride || weight.len() < PANEL * stride {
        return sums;
    }
    // For four outputs: sums of the first two, then of the last two, each as two parts.
    let mut acc = [[[i32x4_splat(0); 2]; 4]; M];
    for group in 0..stride / GROUP {
        let mut x = [i8x16_splat(0); M];
        unroll!(R in [0 1] {
            if R < M {
                // SAFETY: the lengths above; the pointer may have any alignment.
                x[R] = unsafe {
                    let at = bytes.as_ptr().add(R * stride + group * GROUP);
                    v128_load32_splat(at.cast())
                };
            }
        });
        unroll!(J in [0 1 2 3] {
            // SAFETY: the lengths above; the pointer may have any alignment.
            let w = unsafe {
                v128_load(weight.as_ptr().add(group * PANEL * GROUP + 16 * J).cast())
            };
            unroll!(R in [0 1] {
                if R < M {
                    let low = i16x8_extmul_low_i8x16(x[R], w);
                    let high = i16x8_extmul_high_i8x16(x[R], w);
                    acc[R][J][0] = i32x4_add(acc[R][J][0], i32x4_extadd_pairwise_i16x8(low));
                    acc[R][J][1] = i32x4_add(acc[R][J][1], i32x4_extadd_pairwise_i16x8(high));
                }
            });
        });
    }
    unroll!(R in [0 1] {
        if R < M {
            unroll!(J in [0 1 2 3] {
                let even = i32x4_shuffle::<0, 2, 4, 6>(acc[R][J][0], acc[R][J][1]);
                let odd = i32x4_shuffle::<1, 3, 5, 7>(acc[R][J][0], acc[R][J][1]);
                // SAFETY: four i32 from 4 J on are in the row; the pointer may have any alignment.
                unsafe {
                    let at = sums[R].as_mut_ptr().add(4 * J).cast::<v128>();
                    v128_store(at, i32x4_add(v128_load(at), i32x4_add(even, odd)));
                }
            });
        }
    });
    sums
}
