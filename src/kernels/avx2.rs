//! x86-64 with AVX2, what [`vnni`](super::vnni) shares with it, and the choice among all three of x86-64.

use core::arch::x86_64::*;

#[cfg(feature = "session")]
use super::generic::Sums;
#[cfg(feature = "session")]
use super::generic::Tile;
use super::generic::{self, Affine, Mixture, Start};
#[cfg(feature = "session")]
use super::panels;
use super::vnni::Vnni;
use super::{BLOCK, avx512, unroll};
use crate::math::{ACTIVATION_MAX, exp_inline, sigmoid_by};
use crate::spec::{GROUP, PANEL};
use activations::{mix, quantize};

mod activations;

/// The CPU and the system have AVX2, and VNNI if it is there: only [`detect`](Self::detect) makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Avx2(Option<Vnni>);

impl Avx2 {
    /// All that there are, the best one last: by CPUID and XGETBV (Intel SDM volume 1, 14.3).
    pub fn detect() -> impl Iterator<Item = Self> {
        const OSXSAVE_AND_AVX: u32 = 1 << 27 | 1 << 28;
        const AVX2: u32 = 1 << 5;
        const XMM_AND_YMM: u64 = 0b110;
        #[target_feature(enable = "xsave")]
        fn enabled() -> u64 {
            // SAFETY: called only where CPUID says that the system has enabled XGETBV.
            unsafe { _xgetbv(0) }
        }
        let leaves = __cpuid(0).eax;
        let has = leaves >= 7
            && __cpuid(1).ecx & OSXSAVE_AND_AVX == OSXSAVE_AND_AVX
            && __cpuid_count(7, 0).ebx & AVX2 != 0;
        // SAFETY: OSXSAVE is what `enabled` needs.
        let enabled = if has { unsafe { enabled() } } else { 0 };
        let avx2 = (enabled & XMM_AND_YMM == XMM_AND_YMM).then_some(Self(None));
        let vnni = avx2.map(|_| Vnni::detect(enabled).map(|vnni| Self(Some(vnni))));
        avx2.into_iter().chain(vnni.into_iter().flatten())
    }

    /// Whether layers and activations are [`avx512`]'s.
    fn is_avx512(self) -> bool {
        self.0 == Some(Vnni::Avx512)
    }

    /// The kernel of [`vnni`](super::vnni) with its product emulated.
    #[cfg(test)]
    pub fn with_emulated_vnni(self) -> Self {
        Self(Some(Vnni::Emulated))
    }

    pub fn name(self) -> &'static str {
        self.0.map_or("avx2", Vnni::name)
    }

    /// Runs a layer; `false` for one whose lengths do not fit or that has no part, which is left to
    /// [`plain::affine`](super::plain::affine).
    pub fn affine(self, layer: &Affine<'_>, out: &mut [f32]) -> bool {
        let (Some(last), true) = (layer.last_part(), layer.fits(out)) else {
            return false;
        };
        // SAFETY: an `Avx2` exists, so the CPU has it, and VNNI where it says so; lengths are checked.
        unsafe {
            match self.0 {
                Some(vnni) => vnni.affine(layer, last, out),
                None => affine(layer, last, out),
            }
        }
        true
    }

    /// See [`portable::add_products`](super::portable::add_products).
    #[cfg(feature = "session")]
    pub fn add_products(self, tile: &Tile<'_>, sums: &mut Sums) {
        // SAFETY: an `Avx2` exists, so the CPU has it.
        unsafe { add_products(tile, sums) }
    }

    #[cfg(feature = "session")]
    pub fn add_sums(self, start: &[f32], sums: &[u8], scale: &[u8], out: &mut [f32]) {
        // SAFETY: an `Avx2` exists, so the CPU has it, and AVX-512 where it says so.
        unsafe {
            match self.is_avx512() {
                true => avx512::add_sums(start, sums, scale, out),
                false => add_sums(start, sums, scale, out),
            }
        }
    }

    pub fn quantize(
        self,
        values: &[f32],
        sizes: (usize, usize),
        bytes: &mut [u8],
        scales: &mut [f32],
    ) {
        // SAFETY: as above.
        unsafe {
            match self.is_avx512() {
                true => avx512::quantize(values, sizes, bytes, scales),
                false => quantize(values, sizes, bytes, scales),
            }
        }
    }

    pub fn mix(self, of: &Mixture<'_>, out: &mut [f32]) {
        // SAFETY: as above.
        unsafe {
            match self.is_avx512() {
                true => avx512::mix(of, out),
                false => mix(of, out),
            }
        }
    }

    pub fn softmax_lanes(self, logits: &[[f32; BLOCK]], weights: &mut [[f32; BLOCK]]) {
        // SAFETY: an `Avx2` exists, so the CPU has it.
        unsafe { softmax_lanes(logits, weights) }
    }

    pub fn sigmoid(self, values: &mut [f32]) {
        // SAFETY: an `Avx2` exists, so the CPU has it.
        unsafe { sigmoid(values) }
    }

    pub fn dot(self, input: &[u8], weight: &[u8]) -> i32 {
        // SAFETY: an `Avx2` exists, so the CPU has it.
        unsafe { dot(input, weight) }
    }
}

/// As [`plain::affine`](super::plain::affine), with all that follows a sum by hand. Left to the compiler, this and [`quantize`]
/// make a request of 50 candidates 26 % longer (104 to 131 us), and at the SDK's level 46 % (127 to 185 us).
///
/// # Safety
/// As for [`panels`].
#[target_feature(enable = "avx2")]
unsafe fn affine(layer: &Affine<'_>, last: usize, out: &mut [f32]) {
    // SAFETY: AVX2 is this function's own promise, the rest the caller's.
    unsafe { panels::<Pairs>(layer, last, out) }
}

/// See [`prefetch`](super::prefetch). SSE is part of x86-64.
#[inline(always)]
pub(super) fn prefetch<T>(at: *const T) {
    // SAFETY: a hint, whatever the address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
}

/// How the products of a tile are added.
pub(super) trait Products {
    /// `zero` and the products of `M` rows of bytes, `stride` apart, with a panel of weights.
    ///
    /// # Safety
    /// The CPU must have what the implementation says; `M` x `stride` bytes and [`PANEL`] x `stride` weights must be there.
    unsafe fn sums_of<const M: usize>(
        bytes: *const u8,
        stride: usize,
        weight: *const u8,
        quads: bool,
        zero: [__m256i; 2],
    ) -> [[__m256i; 2]; M];
}

/// A panel of a part and where its sums go.
struct Panel {
    stride: usize,
    weight: *const u8,
    quads: bool,
    zero: [__m256i; 2],
    scale: [__m256; 2],
    /// f32 values from a row of `out` to the next, and from what one starts from to the next's.
    steps: (usize, usize),
    relu: bool,
}

/// [`affine`] by `P`, parts up to `last`. A panel's sums wait in `out` for its next part: with the products of four rows, whose
/// sums take half of the registers, they would not stay in any.
///
/// # Safety
/// The CPU must have AVX2 and what `P` says; the layer must [fit](Affine::fits), and `last` be its last part.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn panels<P: Products>(layer: &Affine<'_>, last: usize, out: &mut [f32]) {
    let rows = layer.rows;
    let out = out.as_mut_ptr();
    for panel in 0..layer.columns / PANEL {
        let column = panel * PANEL;
        // SAFETY: the layer fits, here and below.
        let to = unsafe { out.add(layer.column + column) };
        // SAFETY: as above.
        let (mut start, mut step) = unsafe {
            match layer.start {
                Start::Floats(x) => (x.as_ptr().add(column), 0),
                Start::Bytes(x) => (x.as_ptr().cast::<f32>().wrapping_add(column), 0),
                Start::Out => (to.cast_const(), rows.stride),
            }
        };
        for (at, part) in layer.parts.iter().enumerate() {
            if part.scale.is_empty() {
                continue;
            }
            // SAFETY: as above.
            unsafe {
                let panel = Panel {
                    stride: part.stride,
                    weight: part.weight.as_ptr().add(column * part.stride),
                    quads: part.quads,
                    zero: match part.zero {
                        [] => [_mm256_setzero_si256(); 2],
                        zero => words(zero.as_ptr().add(4 * column).cast()),
                    },
                    scale: floats(part.scale.as_ptr().add(4 * column).cast()),
                    steps: (rows.stride, step),
                    relu: layer.relu && at == last,
                };
                let mut bytes = part.bytes.as_ptr();
                let (mut from, mut to) = (start, to);
                let mut scales = rows.scales.as_chunks::<4>().0.iter();
                for _ in 0..rows.count / 4 {
                    tile::<4, P>(&panel, bytes, scales.next(), from, to);
                    bytes = bytes.wrapping_add(4 * part.stride);
                    from = from.wrapping_add(4 * step);
                    to = to.wrapping_add(4 * rows.stride);
                }
                for row in rows.count / 4 * 4..rows.count {
                    let scale = rows.scales.get(row).map(core::array::from_ref);
                    tile::<1, P>(&panel, bytes, scale, from, to);
                    bytes = bytes.wrapping_add(part.stride);
                    from = from.wrapping_add(step);
                    to = to.wrapping_add(rows.stride);
                }
            }
            (start, step) = (to, rows.stride);
        }
    }
}

/// `M` rows of a panel, at most four: `to[r] = from[r] + sums[r] x scale`.
///
/// # Safety
/// As for [`panels`].
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn tile<const M: usize, P: Products>(
    panel: &Panel,
    bytes: *const u8,
    row_scales: Option<&[f32; M]>,
    from: *const f32,
    to: *mut f32,
) {
    let Panel { stride, weight, .. } = *panel;
    // SAFETY: the caller's promise.
    let acc = unsafe { P::sums_of::<M>(bytes, stride, weight, panel.quads, panel.zero) };
    let mut sums = [[_mm256_setzero_ps(); 2]; M];
    // One branch for all rows.
    if let Some(row_scales) = row_scales {
        unroll!(R in [0 1 2 3] {
            if R < M {
                let row_scale = _mm256_set1_ps(row_scales[R]);
                unroll!(J in [0 1] {
                    let scale = _mm256_mul_ps(panel.scale[J], row_scale);
                    sums[R][J] = _mm256_mul_ps(_mm256_cvtepi32_ps(acc[R][J]), scale);
                });
            }
        });
    } else {
        unroll!(R in [0 1 2 3] {
            if R < M {
                unroll!(J in [0 1] {
                    sums[R][J] = _mm256_mul_ps(_mm256_cvtepi32_ps(acc[R][J]), panel.scale[J]);
                });
            }
        });
    }
    unroll!(R in [0 1 2 3] {
        if R < M {
            // SAFETY: the caller's promise.
            let start = unsafe { floats(from.add(R * panel.steps.1)) };
            unroll!(J in [0 1] {
                sums[R][J] = _mm256_add_ps(start[J], sums[R][J]);
            });
        }
    });
    if panel.relu {
        unroll!(R in [0 1 2 3] {
            if R < M {
                unroll!(J in [0 1] {
                    sums[R][J] = relu(sums[R][J]);
                });
            }
        });
    }
    unroll!(R in [0 1 2 3] {
        if R < M {
            // SAFETY: the caller's promise.
            unsafe {
                let to = to.add(R * panel.steps.0);
                _mm256_storeu_ps(to, sums[R][0]);
                _mm256_storeu_ps(to.add(8), sums[R][1]);
            }
        }
    });
}

/// 16 values.
///
/// # Safety
/// They must be there, at any address.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn floats(at: *const f32) -> [__m256; 2] {
    // SAFETY: the caller's promise.
    unsafe { [_mm256_loadu_ps(at), _mm256_loadu_ps(at.add(8))] }
}

/// 16 values.
///
/// # Safety
/// They must be there, at any address.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn words(at: *const __m256i) -> [__m256i; 2] {
    // SAFETY: the caller's promise.
    unsafe { [_mm256_loadu_si256(at), _mm256_loadu_si256(at.add(1))] }
}

/// [`math::relu`](crate::math::relu): `vmaxps` and `vminps` return their second operand unless the first is greater or less.
#[inline]
#[target_feature(enable = "avx2")]
fn relu(x: __m256) -> __m256 {
    _mm256_min_ps(
        _mm256_max_ps(x, _mm256_setzero_ps()),
        _mm256_set1_ps(ACTIVATION_MAX),
    )
}

#[cfg(feature = "session")]
#[target_feature(enable = "avx2")]
fn add_sums(start: &[f32], sums: &[u8], scale: &[u8], out: &mut [f32]) {
    panels::add_sums(start, sums, scale, out);
}

/// Row by row: for sums that are made once and kept.
#[cfg(feature = "session")]
#[target_feature(enable = "avx2")]
fn add_products(tile: &Tile<'_>, sums: &mut Sums) {
    let (stride, weight) = (tile.stride, tile.weight);
    for (sums, bytes) in sums.iter_mut().zip(tile.bytes.chunks_exact(stride.max(1))) {
        if !tile.has(bytes, 1) {
            return;
        }
        let at = sums.as_mut_ptr().cast::<__m256i>();
        // SAFETY: AVX2 is this function's own promise; lengths as above; two vectors of 8 i32 are a panel of 16.
        unsafe {
            let (bytes, weight) = (bytes.as_ptr(), weight.as_ptr());
            let [acc] = Pairs::sums_of::<1>(bytes, stride, weight, false, words(at));
            _mm256_storeu_si256(at, acc[0]);
            _mm256_storeu_si256(at.add(1), acc[1]);
        }
    }
}

#[target_feature(enable = "avx2")]
fn softmax_lanes(logits: &[[f32; BLOCK]], weights: &mut [[f32; BLOCK]]) {
    generic::softmax_lanes(logits, weights);
}

#[target_feature(enable = "avx2")]
fn sigmoid(values: &mut [f32]) {
    let (blocks, rest) = values.as_chunks_mut::<BLOCK>();
    for x in blocks.as_flattened_mut() {
        *x = sigmoid_by(*x, exp_inline);
    }
    generic::sigmoid(rest);
}

/// By 32 bytes; the rest by [`generic::dot`].
#[target_feature(enable = "avx2")]
fn dot(input: &[u8], weight: &[u8]) -> i32 {
    let whole = input.len().min(weight.len()) / 32 * 32;
    let (x, rest) = input.split_at_checked(whole).unwrap_or_default();
    let (w, rest_w) = weight.split_at_checked(whole).unwrap_or_default();
    let (mut acc, ones) = (_mm256_setzero_si256(), _mm256_set1_epi16(1));
    for (x, w) in x.as_chunks::<32>().0.iter().zip(w.as_chunks::<32>().0) {
        // SAFETY: 32 bytes each.
        let (x, w) = unsafe {
            (
                _mm256_loadu_si256(x.as_ptr().cast()),
                _mm256_loadu_si256(w.as_ptr().cast()),
            )
        };
        acc = _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(x, w), ones));
    }
    let acc = _mm_add_epi32(
        _mm256_castsi256_si128(acc),
        _mm256_extracti128_si256::<1>(acc),
    );
    let acc = _mm_add_epi32(acc, _mm_shuffle_epi32::<0b01_00_11_10>(acc));
    let acc = _mm_add_epi32(acc, _mm_shuffle_epi32::<0b10_11_00_01>(acc));
    _mm_cvtsi128_si32(acc).wrapping_add(generic::dot(rest, rest_w))
}

/// 16 outputs' weights of a group.
///
/// # Safety
/// They must be there.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn load(weight: *const u8, group: usize) -> [__m256i; 2] {
    // SAFETY: the caller's promise.
    unsafe { words(weight.add(group * PANEL * GROUP).cast()) }
}

/// Four input bytes, eight times.
///
/// # Safety
/// They must be there.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn broadcast(bytes: *const u8) -> __m256i {
    // SAFETY: the caller's promise.
    _mm256_set1_epi32(unsafe { bytes.cast::<i32>().read_unaligned() })
}

/// `vpmaddubsw` adds two products of at most 127 x 127 in magnitude, so it never saturates. Of weights that
/// [fit](super::quads_fit), `quads`, four products are added before they are widened, which saves one of four
/// multiplications.
struct Pairs;

impl Products for Pairs {
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn sums_of<const M: usize>(
        bytes: *const u8,
        stride: usize,
        weight: *const u8,
        quads: bool,
        zero: [__m256i; 2],
    ) -> [[__m256i; 2]; M] {
        // Not `[zero; M]`: a loop at the SDK's level, by way of memory.
        let mut acc = [[_mm256_setzero_si256(); 2]; M];
        unroll!(R in [0 1 2 3] {
            if R < M {
                acc[R] = zero;
            }
        });
        let ones = _mm256_set1_epi16(1);
        let groups = stride / GROUP;
        let paired = if quads { groups / 2 * 2 } else { 0 };
        for group in (0..paired).step_by(2) {
            // SAFETY: the caller's promise.
            let (w, v) = unsafe { (load(weight, group), load(weight, group + 1)) };
            unroll!(R in [0 1 2 3] {
                if R < M {
                    // SAFETY: as above.
                    let (x, y) = unsafe {
                        let at = bytes.add(R * stride + group * GROUP);
                        (broadcast(at), broadcast(at.add(GROUP)))
                    };
                    unroll!(J in [0 1] {
                        let quads = _mm256_add_epi16(
                            _mm256_maddubs_epi16(x, w[J]),
                            _mm256_maddubs_epi16(y, v[J]),
                        );
                        acc[R][J] = _mm256_add_epi32(acc[R][J], _mm256_madd_epi16(quads, ones));
                    });
                }
            });
        }
        for group in paired..groups {
            // SAFETY: the caller's promise.
            let w = unsafe { load(weight, group) };
            unroll!(R in [0 1 2 3] {
                if R < M {
                    // SAFETY: as above.
                    let x = unsafe { broadcast(bytes.add(R * stride + group * GROUP)) };
                    unroll!(J in [0 1] {
                        let pairs = _mm256_maddubs_epi16(x, w[J]);
                        acc[R][J] = _mm256_add_epi32(acc[R][J], _mm256_madd_epi16(pairs, ones));
                    });
                }
            });
        }
        acc
    }
}
