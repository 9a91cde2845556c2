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
            // The last candidates of a request: single rows would each read all weights from the second-level cache.
            if rows & 4 != 0 {
                tile::<4>(layer, panel, whole, out);
            }
            if rows & 2 != 0 {
                tile::<2>(layer, panel, whole + (rows & 4), out);
            }
            if rows & 1 != 0 {
                tile::<1>(layer, panel, rows - 1, out);
            }
        }
    }
}

/// A panel of `M` rows from `row` on.
///
/// # Safety
/// The layer must [fit](Affine::fits), with these rows and this panel.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn tile<const M: usize>(layer: &Affine<'_>, panel: usize, row: usize, out: *mut f32) {
    const { assert!(M == 1 || M == 2 || M == 4 || M == 8) };
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
unsafe fn products<const M: usize>(part: &Part<'_>, column: usize, row: usize) -> [__m512i; BLOCK] {
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
    // Of fewer than four rows, sums of every other or of every fourth group apart: one sum would wait four cycles for each product,
    // which takes one. Sum `J` of row `R` is number `R + M J`.
    let mut acc = [_mm512_setzero_si512(); BLOCK];
    unroll!(R in [0 1 2 3 4 5 6 7] {
        if R < M {
            acc[R] = zero;
        }
    });
    let (groups, apart) = (stride / GROUP, const { 4usize.div_ceil(M) });
    let whole = groups / apart * apart;
    for group in (0..whole).step_by(apart) {
        unroll!(J in [0 1 2 3] {
            if J * M < 4 {
                // SAFETY: as above.
                unsafe { add_group::<M, J>(bytes, stride, weight, group + J, &mut acc) };
            }
        });
    }
    for group in whole..groups {
        // SAFETY: as above.
        unsafe { add_group::<M, 0>(bytes, stride, weight, group, &mut acc) };
    }
    unroll!(J in [1 2 3] {
        if J * M < 4 {
            unroll!(R in [0 1] {
                if R < M {
                    acc[R] = _mm512_add_epi32(acc[R], acc[R + M * J]);
                }
            });
        }
    });
    acc
}

/// Adds a group's products of `M` rows to their sums number `J`.
///
/// # Safety
/// `M` rows of `stride` bytes and [`PANEL`] x `stride` weights must be there, and `group` be below `stride` / [`GROUP`].
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn add_group<const M: usize, const J: usize>(
    bytes: *const u8,
    stride: usize,
    weight: *const u8,
    group: usize,
    acc: &mut [__m512i; BLOCK],
) {
    // SAFETY: the caller's promise, here and below.
    let w = unsafe { _mm512_loadu_si512(weight.add(group * PANEL * GROUP).cast()) };
    unroll!(R in [0 1 2 3 4 5 6 7] {
        if R < M {
            // SAFETY: as above.
            let x = unsafe { broadcast(bytes.add(R * stride + group * GROUP)) };
            acc[R + M * J] = _mm512_dpbusd_epi32(acc[R + M * J], x, w);
        }
    });
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
