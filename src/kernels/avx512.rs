//! x86-64 with AVX-512 VNNI: vectors of 512 bits, so that a group's weights of a panel are one, and so are a row's 16 sums.
//! With 32 registers the rows of a whole block go through a layer together, all of its parts, without a way by memory.

use core::arch::x86_64::*;

use super::generic::{Affine, Part, Start};
use super::{BLOCK, unroll};
use crate::math::ACTIVATION_MAX;
use crate::spec::{GROUP, PANEL};

pub(super) use activations::*;

mod activations;

/// As [`plain::affine`](super::plain::affine).
///
/// # Safety
/// The layer must [fit](Affine::fits).
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) unsafe fn affine(layer: &Affine<'_>, out: &mut [f32]) {
    let out = out.as_mut_ptr();
    let rows = layer.rows.count;
    for panel in 0..layer.columns / PANEL {
        let whole = rows / BLOCK * BLOCK;
        // SAFETY: the layer fits.
        unsafe {
            for row in (0..whole).step_by(BLOCK) {
                tile::<BLOCK>(layer, panel, row, out);
            }
            for row in whole..rows {
                tile::<1>(layer, panel, row, out);
            }
        }
    }
}

/// A panel of `M` rows from `row` on: all of them, or one.
///
/// # Safety
/// The layer must [fit](Affine::fits), with these rows and this panel.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn tile<const M: usize>(layer: &Affine<'_>, panel: usize, row: usize, out: *mut f32) {
    const { assert!(M == 1 || M == 8) };
    let column = panel * PANEL;
    let stride = layer.rows.stride;
    let scales = layer.rows.scales.get(row..row + M);
    // Not `[x; M]`: a loop at the SDK's level, by way of memory.
    let mut sums = [_mm512_setzero_ps(); M];
    // SAFETY: the layer fits, here and below.
    let to = unsafe { out.add(row * stride + layer.column + column) };
    // SAFETY: as above.
    let (start, step) = unsafe {
        match layer.start {
            Start::Floats(x) => (x.as_ptr().add(column), 0),
            Start::Bytes(x) => (x.as_ptr().cast::<f32>().wrapping_add(column), 0),
            Start::Out => (to.cast_const(), stride),
        }
    };
    unroll!(R in [0 1 2 3 4 5 6 7] {
        if R < M {
            // SAFETY: as above.
            sums[R] = unsafe { _mm512_loadu_ps(start.add(R * step)) };
        }
    });
    for part in layer.parts {
        if part.scale.is_empty() {
            continue;
        }
        // SAFETY: as above.
        let (acc, scale) = unsafe {
            let scale = part.scale.as_ptr().add(4 * column).cast();
            (products::<M>(part, column, row), _mm512_loadu_ps(scale))
        };
        // One branch for all rows.
        if let Some(scales) = scales.filter(|s| s.len() == M) {
            unroll!(R in [0 1 2 3 4 5 6 7] {
                if R < M {
                    let scale = _mm512_mul_ps(scale, _mm512_set1_ps(scales[R]));
                    sums[R] = add(sums[R], acc[R], scale);
                }
            });
        } else {
            unroll!(R in [0 1 2 3 4 5 6 7] {
                if R < M {
                    sums[R] = add(sums[R], acc[R], scale);
                }
            });
        }
    }
    if layer.relu {
        unroll!(R in [0 1 2 3 4 5 6 7] {
            if R < M {
                sums[R] = relu(sums[R]);
            }
        });
    }
    unroll!(R in [0 1 2 3 4 5 6 7] {
        if R < M {
            // SAFETY: as above.
            unsafe { _mm512_storeu_ps(to.add(R * stride), sums[R]) };
        }
    });
}

/// The sums of `M` rows' products from `row` on, and what they start from.
///
/// # Safety
/// As for [`tile`].
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn products<const M: usize>(part: &Part<'_>, column: usize, row: usize) -> [__m512i; M] {
    let stride = part.stride;
    // SAFETY: the caller's promise, here and below.
    let (bytes, weight, zero) = unsafe {
        let zero = match part.zero {
            [] => _mm512_setzero_si512(),
            zero => _mm512_loadu_si512(zero.as_ptr().add(4 * column).cast()),
        };
        (
            part.bytes.as_ptr().add(row * stride),
            part.weight.as_ptr().add(column * stride),
            zero,
        )
    };
    let mut acc = [_mm512_setzero_si512(); M];
    if M == 1 {
        acc[0] = zero;
        // SAFETY: as above.
        unsafe { of_one(bytes, stride, weight, &mut acc[0]) };
        return acc;
    }
    unroll!(R in [0 1 2 3 4 5 6 7] {
        if R < M {
            acc[R] = zero;
        }
    });
    for group in 0..stride / GROUP {
        // SAFETY: as above.
        let w = unsafe { _mm512_loadu_si512(weight.add(group * PANEL * GROUP).cast()) };
        unroll!(R in [0 1 2 3 4 5 6 7] {
            if R < M {
                // SAFETY: as above.
                let x = unsafe { broadcast(bytes.add(R * stride + group * GROUP)) };
                acc[R] = _mm512_dpbusd_epi32(acc[R], x, w);
            }
        });
    }
    acc
}

/// Adds the products of one row, in four sums: one would wait four or five cycles for each product, which takes one.
///
/// # Safety
/// `stride` bytes and [`PANEL`] x `stride` weights must be there.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn of_one(bytes: *const u8, stride: usize, weight: *const u8, sum: &mut __m512i) {
    let groups = stride / GROUP;
    let mut acc = [_mm512_setzero_si512(); 4];
    for group in (0..groups / 4 * 4).step_by(4) {
        unroll!(J in [0 1 2 3] {
            // SAFETY: the caller's promise.
            acc[J] = unsafe { product(bytes, weight, group + J, acc[J]) };
        });
    }
    for group in groups / 4 * 4..groups {
        // SAFETY: as above.
        acc[0] = unsafe { product(bytes, weight, group, acc[0]) };
    }
    let [a, b, c, d] = acc;
    let acc = _mm512_add_epi32(_mm512_add_epi32(a, b), _mm512_add_epi32(c, d));
    *sum = _mm512_add_epi32(*sum, acc);
}

/// `acc` and the products of a group of a row.
///
/// # Safety
/// They must be there.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn product(bytes: *const u8, weight: *const u8, group: usize, acc: __m512i) -> __m512i {
    // SAFETY: the caller's promise.
    unsafe {
        let w = _mm512_loadu_si512(weight.add(group * PANEL * GROUP).cast());
        _mm512_dpbusd_epi32(acc, broadcast(bytes.add(group * GROUP)), w)
    }
}

/// Four input bytes, sixteen times.
///
/// # Safety
/// They must be there.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn broadcast(bytes: *const u8) -> __m512i {
    // SAFETY: the caller's promise.
    _mm512_set1_epi32(unsafe { bytes.cast::<i32>().read_unaligned() })
}

/// `sum + acc x scale`, each rounded.
#[inline]
#[target_feature(enable = "avx512f")]
fn add(sum: __m512, acc: __m512i, scale: __m512) -> __m512 {
    _mm512_add_ps(sum, _mm512_mul_ps(_mm512_cvtepi32_ps(acc), scale))
}

/// [`math::relu`](crate::math::relu): `vmaxps` and `vminps` return their second operand unless the first is greater or less.
#[inline]
#[target_feature(enable = "avx512f")]
fn relu(x: __m512) -> __m512 {
    _mm512_min_ps(
        _mm512_max_ps(x, _mm512_setzero_ps()),
        _mm512_set1_ps(ACTIVATION_MAX),
    )
}
