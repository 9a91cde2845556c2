//! f32 values to activation bytes, and mixtures of them. A row's last vector is read by a mask: its other lanes are 0.

use core::arch::x86_64::*;

use super::super::generic::{self, Mixture};
use super::{relu, unroll};
use crate::spec::PANEL;

/// As [`plain::quantize`](crate::kernels::plain::quantize).
#[target_feature(enable = "avx512f")]
pub fn quantize(values: &[f32], sizes: (usize, usize), bytes: &mut [u8], scales: &mut [f32]) {
    let greatest = |row: &[f32]| greatest(row);
    let write = |row: &[f32], inv, to: &mut [u8]| {
        generic::write_by(|values, inv| pack(values, inv), row, inv, to);
    };
    generic::quantize_by(greatest, write, values, sizes, bytes, scales);
}

/// The greatest value, or 0.
#[inline]
#[target_feature(enable = "avx512f")]
fn greatest(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<{ 2 * PANEL }>();
    let (mut a, mut b) = (_mm512_setzero_ps(), _mm512_setzero_ps());
    for chunk in chunks {
        // a > b ? a : b
        // SAFETY: 32 values.
        unsafe {
            a = _mm512_max_ps(_mm512_loadu_ps(chunk.as_ptr()), a);
            b = _mm512_max_ps(_mm512_loadu_ps(chunk.as_ptr().add(PANEL)), b);
        }
    }
    for chunk in rest.chunks(PANEL) {
        a = _mm512_max_ps(some(chunk), a);
    }
    _mm512_reduce_max_ps(_mm512_max_ps(a, b))
}

/// At most 16 values, and zeros behind them.
#[inline]
#[target_feature(enable = "avx512f")]
fn some(values: &[f32]) -> __m512 {
    let mask = (1u32 << values.len().min(PANEL)) - 1;
    // SAFETY: lanes outside of the mask are not read.
    unsafe { _mm512_maskz_loadu_ps(mask as u16, values.as_ptr()) }
}

/// The bytes of 16 values: [`generic::byte`], by the conversion that rounds half to even, in the mode that Rust counts on. Values
/// are bounded first: what is over the row's greatest, 2^40 at most, becomes 127.
#[inline]
#[target_feature(enable = "avx512f")]
fn pack(values: &[f32; PANEL], inv: f32) -> [u8; PANEL] {
    let mut bytes = [0; PANEL];
    // SAFETY: 16 values, 16 bytes.
    unsafe {
        let x = relu(_mm512_loadu_ps(values.as_ptr()));
        let words = _mm512_cvtps_epi32(_mm512_mul_ps(x, _mm512_set1_ps(inv)));
        _mm_storeu_si128(bytes.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(words));
    }
    bytes
}

/// As [`plain::mix`](crate::kernels::plain::mix).
#[target_feature(enable = "avx512f")]
pub fn mix(of: &Mixture<'_>, out: &mut [f32]) {
    let wide = |at, to: &mut _| sum_up(of, at, to);
    generic::mix_by(out, wide, |at, to| sum_up(of, at, to));
}

/// `N` values of a mixture from the one at `at` on: a panel, or four.
#[inline]
#[target_feature(enable = "avx512f")]
fn sum_up<const N: usize>(of: &Mixture<'_>, at: usize, to: &mut [f32; N]) {
    let mut sums = [_mm512_setzero_ps(); 4];
    for (from, weight) in of.terms::<N>(at) {
        let weight = _mm512_set1_ps(weight);
        unroll!(J in [0 1 2 3] {
            if J < N / PANEL {
                // SAFETY: `N` values.
                let x = unsafe { _mm512_loadu_ps(from.as_ptr().add(J * PANEL)) };
                sums[J] = _mm512_add_ps(sums[J], _mm512_mul_ps(weight, x));
            }
        });
    }
    unroll!(J in [0 1 2 3] {
        if J < N / PANEL {
            // SAFETY: as above.
            unsafe { _mm512_storeu_ps(to.as_mut_ptr().add(J * PANEL), sums[J]) };
        }
    });
}

/// As [`plain::add_sums`](crate::kernels::plain::add_sums).
#[cfg(feature = "session")]
#[target_feature(enable = "avx512f")]
pub fn add_sums(start: &[f32], sums: &[u8], scale: &[u8], out: &mut [f32]) {
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
