//! f32 values to activation bytes, and mixtures of them. A row's last vector is read by a mask: its other lanes are 0.

use core::arch::x86_64::*;

use super::super::avx2::scale_and_inverse;
use super::super::generic;
use super::{BLOCK, relu, unroll};
use crate::spec::{GROUP, PANEL};

/// As [`plain::quantize`](crate::kernels::plain::quantize). First the maxima of all rows, then all bytes: a row would wait for
/// its own maximum and two divisions. Lengths are checked once: checks of each row took more instructions than its values.
#[target_feature(enable = "avx512f")]
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

/// The greatest of `width` values, or 0.
///
/// # Safety
/// They must be there.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn greatest(values: *const f32, width: usize) -> f32 {
    let (mut a, mut b) = (_mm512_setzero_ps(), _mm512_setzero_ps());
    let whole = width / (2 * PANEL) * (2 * PANEL);
    for pair in 0..width / (2 * PANEL) {
        let at = pair * 2 * PANEL;
        // a > b ? a : b
        // SAFETY: the caller's promise.
        unsafe {
            a = _mm512_max_ps(_mm512_loadu_ps(values.add(at)), a);
            b = _mm512_max_ps(_mm512_loadu_ps(values.add(at + PANEL)), b);
        }
    }
    for at in (whole..width).step_by(PANEL) {
        // SAFETY: as above.
        a = _mm512_max_ps(unsafe { some(values.add(at), width - at) }, a);
    }
    _mm512_reduce_max_ps(_mm512_max_ps(a, b))
}

/// At most 16 of `count` values, and zeros behind them.
///
/// # Safety
/// They must be there.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn some(values: *const f32, count: usize) -> __m512 {
    let mask = (1u32 << count.min(PANEL)) - 1;
    // SAFETY: lanes outside of the mask are not read.
    unsafe { _mm512_maskz_loadu_ps(mask as u16, values) }
}

/// The bytes of `width` values, and zeros up to a whole group.
///
/// # Safety
/// Values, and room for the bytes, must be there.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn write(values: *const f32, width: usize, inverse: f32, bytes: *mut u8) {
    let inverse = _mm512_set1_ps(inverse);
    let whole = width / PANEL * PANEL;
    for panel in 0..width / PANEL {
        let at = panel * PANEL;
        // SAFETY: the caller's promise.
        unsafe {
            let packed = pack(_mm512_loadu_ps(values.add(at)), inverse);
            _mm_storeu_si128(bytes.add(at).cast(), packed);
        }
    }
    if whole < width {
        let mut last = [0u8; PANEL];
        // SAFETY: 16 bytes; and those of whole groups, of which there are at most as many.
        unsafe {
            let rest = some(values.add(whole), width - whole);
            _mm_storeu_si128(last.as_mut_ptr().cast(), pack(rest, inverse));
            let len = (width - whole).next_multiple_of(GROUP);
            core::ptr::copy_nonoverlapping(last.as_ptr(), bytes.add(whole), len);
        }
    }
}

/// The bytes of 16 values: [`generic::byte`](crate::kernels::generic::byte), by the conversion that rounds half to even, in the
/// mode that Rust counts on. Values are bounded first: what is over the row's greatest, 2^40 at most, becomes 127.
#[inline]
#[target_feature(enable = "avx512f")]
fn pack(values: __m512, inverse: __m512) -> __m128i {
    _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(relu(values), inverse)))
}

/// Panels of a mixture that are summed together.
const PANELS: usize = 4;

/// As [`plain::mix`](crate::kernels::plain::mix).
#[target_feature(enable = "avx512f")]
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
#[target_feature(enable = "avx512f")]
fn mix_panels<const P: usize>(
    (weights, row): (&[[f32; BLOCK]], usize),
    experts: &[f32],
    (stride, panel): (usize, usize),
    mixture: &mut [f32],
) {
    let mut sums = [_mm512_setzero_ps(); P];
    for (expert, weights) in weights.iter().enumerate() {
        let (begin, weight) = (
            expert * stride + panel * PANEL,
            generic::share(weights, row),
        );
        // A weight of 0 would add 0: a task that has an expert of its own reads no other.
        if let (Some(from), false) = (experts.get(begin..begin + P * PANEL), weight == 0.0) {
            let weight = _mm512_set1_ps(weight);
            unroll!(J in [0 1 2 3] {
                if J < P {
                    // SAFETY: `P` panels.
                    let x = unsafe { _mm512_loadu_ps(from.as_ptr().add(J * PANEL)) };
                    sums[J] = _mm512_add_ps(sums[J], _mm512_mul_ps(weight, x));
                }
            });
        }
    }
    if mixture.len() == P * PANEL {
        unroll!(J in [0 1 2 3] {
            if J < P {
                // SAFETY: `P` panels.
                unsafe { _mm512_storeu_ps(mixture.as_mut_ptr().add(J * PANEL), sums[J]) };
            }
        });
    }
}

/// As [`plain::add_sums`](crate::kernels::plain::add_sums).
#[cfg(feature = "session")]
#[target_feature(enable = "avx512f")]
pub(super) fn add_sums(start: &[f32], sums: &[u8], scale: &[u8], out: &mut [f32]) {
    let bytes = sums
        .as_chunks::<{ 4 * PANEL }>()
        .0
        .iter()
        .zip(scale.as_chunks::<{ 4 * PANEL }>().0);
    let rows = out
        .as_chunks_mut::<PANEL>()
        .0
        .iter_mut()
        .zip(start.as_chunks::<PANEL>().0)
        .zip(bytes);
    for ((out, start), (sums, scale)) in rows {
        // SAFETY: 16 values of each.
        unsafe {
            let sums = _mm512_loadu_si512(sums.as_ptr().cast());
            let scale = _mm512_loadu_ps(scale.as_ptr().cast());
            let sum = super::add(_mm512_loadu_ps(start.as_ptr()), sums, scale);
            _mm512_storeu_ps(out.as_mut_ptr(), sum);
        }
    }
}
