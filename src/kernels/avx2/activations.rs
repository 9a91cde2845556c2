//! f32 values to activation bytes, and mixtures of them.

use core::arch::x86_64::*;

use super::{Mixture, floats, generic, unroll};
use crate::math::ROUND;
use crate::spec::PANEL;

/// As [`plain::quantize`](crate::kernels::plain::quantize), whose shape makes the compiler take values apart one by one.
#[target_feature(enable = "avx2")]
pub(super) fn quantize(
    values: &[f32],
    sizes: (usize, usize),
    bytes: &mut [u8],
    scales: &mut [f32],
) {
    let greatest = |row: &[f32]| greatest(row);
    let write = |row: &[f32], inv, to: &mut [u8]| {
        generic::write_by(|values, inv| pack(values, inv), row, inv, to);
    };
    generic::quantize_by(greatest, write, values, sizes, bytes, scales);
}

/// Values or bytes that go through registers together.
const WIDE: usize = 2 * PANEL;

/// The greatest value, or 0.
#[inline]
#[target_feature(enable = "avx2")]
fn greatest(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<WIDE>();
    let mut lanes = [_mm256_setzero_ps(); 4];
    for chunk in chunks {
        unroll!(J in [0 1 2 3] {
            // SAFETY: 32 values.
            let x = unsafe { _mm256_loadu_ps(chunk.as_ptr().add(8 * J)) };
            // a > b ? a : b
            lanes[J] = _mm256_max_ps(x, lanes[J]);
        });
    }
    let [a, b, c, d] = lanes;
    let top = _mm256_max_ps(_mm256_max_ps(a, b), _mm256_max_ps(c, d));
    let top = _mm_max_ps(_mm256_castps256_ps128(top), _mm256_extractf128_ps::<1>(top));
    let top = _mm_max_ps(top, _mm_movehl_ps(top, top));
    let top = _mm_max_ss(top, _mm_shuffle_ps::<1>(top, top));
    let mut max = _mm_cvtss_f32(top);
    for x in rest {
        max = if *x > max { *x } else { max };
    }
    max
}

/// The bytes of 32 values.
///
/// Packing saturates, so a value needs no upper bound: what is over the row's greatest, 2^40 at most, becomes 127.
#[inline]
#[target_feature(enable = "avx2")]
fn pack(values: &[f32; WIDE], inv: f32) -> [u8; WIDE] {
    let (inv, magic) = (_mm256_set1_ps(inv), _mm256_set1_ps(ROUND));
    let mut words = [_mm256_setzero_si256(); 4];
    unroll!(J in [0 1 2 3] {
        // SAFETY: 32 values.
        let x = unsafe { _mm256_loadu_ps(values.as_ptr().add(8 * J)) };
        let x = _mm256_mul_ps(_mm256_max_ps(x, _mm256_setzero_ps()), inv);
        let bits = _mm256_castps_si256(_mm256_add_ps(x, magic));
        words[J] = _mm256_sub_epi32(bits, _mm256_castps_si256(magic));
    });
    let [a, b, c, d] = words;
    let packed = _mm256_packus_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
    let packed = _mm256_min_epu8(packed, _mm256_set1_epi8(127));
    // Packing is by halves of 128 bits: fours a0 b0 c0 d0 a1 b1 c1 d1.
    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    let mut bytes = [0; WIDE];
    // SAFETY: 32 bytes.
    unsafe {
        let packed = _mm256_permutevar8x32_epi32(packed, order);
        _mm256_storeu_si256(bytes.as_mut_ptr().cast(), packed);
    }
    bytes
}

/// As [`plain::mix`](crate::kernels::plain::mix).
#[target_feature(enable = "avx2")]
pub(super) fn mix(of: &Mixture<'_>, out: &mut [f32]) {
    let wide = |at, to: &mut _| sum_up(of, at, to);
    generic::mix_by(out, wide, |at, to| sum_up(of, at, to));
}

/// `N` values of a mixture from the one at `at` on: a panel, or four.
#[inline]
#[target_feature(enable = "avx2")]
fn sum_up<const N: usize>(of: &Mixture<'_>, at: usize, to: &mut [f32; N]) {
    let mut sums = [[_mm256_setzero_ps(); 2]; 4];
    for (from, weight) in of.terms::<N>(at) {
        let weight = _mm256_set1_ps(weight);
        unroll!(J in [0 1 2 3] {
            if J < N / PANEL {
                // SAFETY: `N` values.
                let x = unsafe { floats(from.as_ptr().add(J * PANEL)) };
                unroll!(H in [0 1] {
                    sums[J][H] = _mm256_add_ps(sums[J][H], _mm256_mul_ps(weight, x[H]));
                });
            }
        });
    }
    unroll!(J in [0 1 2 3] {
        if J < N / PANEL {
            // SAFETY: as above.
            unsafe {
                let to = to.as_mut_ptr().add(J * PANEL);
                _mm256_storeu_ps(to, sums[J][0]);
                _mm256_storeu_ps(to.add(8), sums[J][1]);
            }
        }
    });
}
