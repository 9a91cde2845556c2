//! f32 values to activation bytes, and mixtures of them.

use core::arch::x86_64::*;

use super::{BLOCK, floats, generic, unroll};
use crate::math::{ACTIVATION_MIN, ROUND};
use crate::spec::{GROUP, PANEL};

/// As [`plain::quantize`](crate::kernels::plain::quantize), whose shape makes the compiler take values apart one by one. First the
/// maxima of all rows, then all bytes: a row would wait for its own maximum and two divisions. Lengths are checked once: checks
/// of each row took more instructions than its values.
#[target_feature(enable = "avx2")]
pub(super) fn quantize(
    values: &[f32],
    (stride, width): (usize, usize),
    bytes: &mut [u8],
    scales: &mut [f32],
) {
    if !generic::rows_fit(scales.len(), (stride, width), (values.len(), bytes.len())) {
        // Not a layer's: its rows are taken as zero.
        bytes.fill(0);
        scales.fill(0.0);
        return;
    }
    let group = width.next_multiple_of(GROUP);
    let (values, bytes) = (values.as_ptr(), bytes.as_mut_ptr());
    for (r, max) in scales.iter_mut().enumerate() {
        // SAFETY: all rows are there.
        *max = unsafe { greatest(values.add(r * stride), width) };
    }
    for (r, scale) in scales.iter_mut().enumerate() {
        let inverse;
        (*scale, inverse) = scale_and_inverse(*scale);
        // SAFETY: as above, and their bytes.
        unsafe { write(values.add(r * stride), width, inverse, bytes.add(r * group)) };
    }
}

/// The scale of a row with this greatest value, and what its values are multiplied by, as [`generic::row_scale`] says: 0 for a
/// row that is taken as zero. One division, of two lanes.
#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn scale_and_inverse(max: f32) -> (f32, f32) {
    let max = crate::math::relu(max);
    if max < ACTIVATION_MIN {
        return (0.0, 0.0);
    }
    let (max, most) = (_mm_set1_ps(max), _mm_set1_ps(127.0));
    let both = _mm_div_ps(_mm_unpacklo_ps(max, most), _mm_unpacklo_ps(most, max));
    (_mm_cvtss_f32(both), _mm_cvtss_f32(_mm_movehdup_ps(both)))
}

/// Values or bytes that go through registers together.
const WIDE: usize = 2 * PANEL;

/// The greatest of `width` values, or 0.
///
/// # Safety
/// They must be there.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn greatest(values: *const f32, width: usize) -> f32 {
    let mut lanes = [_mm256_setzero_ps(); 4];
    let whole = width / WIDE * WIDE;
    for chunk in 0..width / WIDE {
        let at = chunk * WIDE;
        unroll!(J in [0 1 2 3] {
            // SAFETY: the caller's promise, here and below.
            let x = unsafe { _mm256_loadu_ps(values.add(at + 8 * J)) };
            // a > b ? a : b
            lanes[J] = _mm256_max_ps(x, lanes[J]);
        });
    }
    let eights = width / 8 * 8;
    for at in (whole..eights).step_by(8) {
        // SAFETY: as above.
        lanes[0] = _mm256_max_ps(unsafe { _mm256_loadu_ps(values.add(at)) }, lanes[0]);
    }
    let [a, b, c, d] = lanes;
    let top = _mm256_max_ps(_mm256_max_ps(a, b), _mm256_max_ps(c, d));
    let top = _mm_max_ps(_mm256_castps256_ps128(top), _mm256_extractf128_ps::<1>(top));
    let top = _mm_max_ps(top, _mm_movehl_ps(top, top));
    let top = _mm_max_ss(top, _mm_shuffle_ps::<1>(top, top));
    let mut max = _mm_cvtss_f32(top);
    for at in eights..width {
        // SAFETY: as above.
        let x = unsafe { *values.add(at) };
        max = if x > max { x } else { max };
    }
    max
}

/// The bytes of `width` values, and zeros up to a whole group.
///
/// Packing saturates, so a value needs no upper bound: what is over the row's greatest, 2^40 at most, becomes 127.
///
/// # Safety
/// Values, and room for the bytes, must be there.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn write(values: *const f32, width: usize, inverse: f32, bytes: *mut u8) {
    let whole = width / WIDE * WIDE;
    for chunk in 0..width / WIDE {
        let at = chunk * WIDE;
        // SAFETY: the caller's promise, here and below.
        unsafe {
            let packed = pack::<4>(values.add(at), inverse);
            _mm256_storeu_si256(bytes.add(at).cast(), packed);
        }
    }
    let mut at = whole;
    if width - whole >= PANEL {
        // SAFETY: as above.
        unsafe {
            let packed = _mm256_castsi256_si128(pack::<2>(values.add(at), inverse));
            _mm_storeu_si128(bytes.add(at).cast(), packed);
        }
        at += PANEL;
    }
    for at in at..width {
        // SAFETY: as above.
        unsafe { *bytes.add(at) = generic::byte(*values.add(at), inverse) };
    }
    for at in width..width.next_multiple_of(GROUP) {
        // SAFETY: as above.
        unsafe { *bytes.add(at) = 0 };
    }
}

/// The bytes of `N` times 8 values, at most 32.
///
/// # Safety
/// They must be there.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn pack<const N: usize>(values: *const f32, inv: f32) -> __m256i {
    let (inv, magic) = (_mm256_set1_ps(inv), _mm256_set1_ps(ROUND));
    let mut words = [_mm256_setzero_si256(); 4];
    unroll!(J in [0 1 2 3] {
        if J < N {
            // SAFETY: the caller's promise.
            let x = unsafe { _mm256_loadu_ps(values.add(8 * J)) };
            let x = _mm256_mul_ps(_mm256_max_ps(x, _mm256_setzero_ps()), inv);
            let bits = _mm256_castps_si256(_mm256_add_ps(x, magic));
            words[J] = _mm256_sub_epi32(bits, _mm256_castps_si256(magic));
        }
    });
    let [a, b, c, d] = words;
    let packed = _mm256_packus_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
    let packed = _mm256_min_epu8(packed, _mm256_set1_epi8(127));
    // Packing is by halves of 128 bits: fours a0 b0 c0 d0 a1 b1 c1 d1.
    _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7))
}

/// Panels of a mixture that are summed together.
const PANELS: usize = 4;

/// As [`plain::mix`](crate::kernels::plain::mix).
#[target_feature(enable = "avx2")]
pub(super) fn mix(
    weights: (&[[f32; BLOCK]], usize),
    experts: &[f32],
    stride: usize,
    mixture: &mut [f32],
) {
    let (wide, rest) = mixture.as_chunks_mut::<{ PANELS * PANEL }>();
    let first = wide.len() * PANELS;
    for (at, to) in wide.iter_mut().enumerate() {
        mix_panels::<PANELS>(weights, experts, (stride, at * PANELS), to);
    }
    for (at, to) in rest.chunks_exact_mut(PANEL).enumerate() {
        mix_panels::<1>(weights, experts, (stride, first + at), to);
    }
}

/// `P` panels of a mixture from panel `panel` on.
#[inline]
#[target_feature(enable = "avx2")]
fn mix_panels<const P: usize>(
    (weights, row): (&[[f32; BLOCK]], usize),
    experts: &[f32],
    (stride, panel): (usize, usize),
    mixture: &mut [f32],
) {
    let mut sums = [[_mm256_setzero_ps(); 2]; P];
    for (expert, weights) in weights.iter().enumerate() {
        let (begin, weight) = (
            expert * stride + panel * PANEL,
            generic::share(weights, row),
        );
        // A weight of 0 would add 0: a task that has an expert of its own reads no other.
        if let (Some(from), false) = (experts.get(begin..begin + P * PANEL), weight == 0.0) {
            let weight = _mm256_set1_ps(weight);
            unroll!(J in [0 1 2 3] {
                if J < P {
                    // SAFETY: `P` panels.
                    let x = unsafe { floats(from.as_ptr().add(J * PANEL)) };
                    unroll!(H in [0 1] {
                        sums[J][H] = _mm256_add_ps(sums[J][H], _mm256_mul_ps(weight, x[H]));
                    });
                }
            });
        }
    }
    if mixture.len() == P * PANEL {
        unroll!(J in [0 1 2 3] {
            if J < P {
                // SAFETY: `P` panels.
                unsafe {
                    let to = mixture.as_mut_ptr().add(J * PANEL);
                    _mm256_storeu_ps(to, sums[J][0]);
                    _mm256_storeu_ps(to.add(8), sums[J][1]);
                }
            }
        });
    }
}
