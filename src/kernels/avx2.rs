//! x86-64 with AVX2, and what [`vnni`](super::vnni) shares with it.

use core::arch::x86_64::*;

#[cfg(feature = "session")]
use super::generic::Sums;
use super::generic::{self, Affine, Start, Tile};
use super::vnni::Vnni;
use super::{BLOCK, unroll};
use crate::math::{ACTIVATION_MAX, ROUND};
use crate::spec::{GROUP, PANEL, limits};

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

    /// The kernel of [`vnni`](super::vnni) with its product emulated.
    #[cfg(test)]
    pub fn with_emulated_vnni(self) -> Self {
        Self(Some(Vnni::Emulated))
    }

    pub fn name(self) -> &'static str {
        self.0.map_or("avx2", Vnni::name)
    }

    pub fn affine(self, layer: &Affine<'_>, out: &mut [f32]) {
        // SAFETY: an `Avx2` exists, so the CPU has it, and VNNI where it says so.
        unsafe {
            match self.0 {
                Some(vnni) => vnni.affine(layer, out),
                None => affine(layer, out),
            }
        }
    }

    /// See [`portable::add_products`](super::portable::add_products).
    #[cfg(feature = "session")]
    pub fn add_products(self, tile: &Tile<'_>, sums: &mut Sums) {
        // SAFETY: an `Avx2` exists, so the CPU has it.
        unsafe { add_products(tile, sums) }
    }

    #[cfg(feature = "session")]
    pub fn add_sums(self, start: &[f32], sums: &[u8], scale: &[u8], out: &mut [f32]) {
        // SAFETY: an `Avx2` exists, so the CPU has it.
        unsafe { add_sums(start, sums, scale, out) }
    }

    pub fn quantize(
        self,
        values: &[f32],
        sizes: (usize, usize),
        bytes: &mut [u8],
        scales: &mut [f32],
    ) {
        // SAFETY: an `Avx2` exists, so the CPU has it.
        unsafe { quantize(values, sizes, bytes, scales) }
    }

    pub fn mix(self, weights: &[u16], experts: &[f32], stride: usize, mixture: &mut [f32]) {
        // SAFETY: an `Avx2` exists, so the CPU has it.
        unsafe { mix(weights, experts, stride, mixture) }
    }

    pub fn softmax(self, logits: &[[f32; BLOCK]], weights: &mut [[u16; limits::EXPERTS]; BLOCK]) {
        // SAFETY: an `Avx2` exists, so the CPU has it.
        unsafe { softmax(logits, weights) }
    }

    pub fn dot(self, input: &[u8], weight: &[u8]) -> i32 {
        // SAFETY: an `Avx2` exists, so the CPU has it.
        unsafe { dot(input, weight) }
    }
}

/// As [`generic::affine`], with all that follows a sum by hand. Left to the compiler, this and [`quantize`] make a request of
/// 50 candidates 26 % longer (104 to 131 us), and at the SDK's level 46 % (127 to 185 us).
#[target_feature(enable = "avx2")]
fn affine(layer: &Affine<'_>, out: &mut [f32]) {
    // SAFETY: AVX2 is this function's own promise.
    unsafe { panels::<Pairs>(layer, out) }
}

/// How the products of a tile are added.
pub(super) trait Products {
    /// `zero` and the products of `M` rows; see [`portable::add_products`](super::portable::add_products).
    ///
    /// # Safety
    /// The CPU must have what the implementation says.
    unsafe fn sums_of<const M: usize>(
        tile: &Tile<'_>,
        quads: bool,
        zero: [__m256i; 2],
    ) -> [[__m256i; 2]; M];
}

/// [`affine`] by `P`.
///
/// # Safety
/// The CPU must have AVX2 and what `P` says.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn panels<P: Products>(layer: &Affine<'_>, out: &mut [f32]) {
    let whole = layer.rows.count / 4 * 4;
    for panel in 0..layer.columns / PANEL {
        let start = floats(&layer.start.panel(panel));
        for row in (0..whole).step_by(4) {
            // SAFETY: the caller's promise.
            unsafe { rows::<4, P>(layer, panel, row, start, out) };
        }
        for row in whole..layer.rows.count {
            // SAFETY: the caller's promise.
            unsafe { rows::<1, P>(layer, panel, row, start, out) };
        }
    }
}

/// One panel of `M` rows, at most four.
///
/// # Safety
/// As for [`panels`].
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn rows<const M: usize, P: Products>(
    layer: &Affine<'_>,
    panel: usize,
    row: usize,
    start: [__m256; 2],
    out: &mut [f32],
) {
    let mut sums = [start; M];
    if let Start::Out = layer.start {
        unroll!(R in [0 1 2 3] {
            if R < M {
                sums[R] = floats(&layer.panel_of(out, panel, row + R));
            }
        });
    }
    let row_scales = layer.rows.scales.get(row..row + M);
    for part in layer.parts {
        let Some(tile) = part.tile(panel, row, M) else {
            continue;
        };
        let scale = floats(&generic::floats(part.scale, panel));
        let zero = words(&generic::ints(part.zero, panel));
        // SAFETY: the caller's promise.
        let acc = unsafe { P::sums_of::<M>(&tile, part.quads, zero) };
        unroll!(R in [0 1 2 3] {
            if R < M {
                // Most often there are none, or they are the same for a whole layer: the branch costs nothing.
                let scale = match row_scales {
                    Some(row_scales) => {
                        let row_scale = _mm256_set1_ps(row_scales[R]);
                        [_mm256_mul_ps(scale[0], row_scale), _mm256_mul_ps(scale[1], row_scale)]
                    }
                    None => scale,
                };
                unroll!(J in [0 1] {
                    let product = _mm256_mul_ps(_mm256_cvtepi32_ps(acc[R][J]), scale[J]);
                    sums[R][J] = _mm256_add_ps(sums[R][J], product);
                });
            }
        });
    }
    unroll!(R in [0 1 2 3] {
        if R < M {
            if layer.relu {
                unroll!(J in [0 1] {
                    sums[R][J] = relu(sums[R][J]);
                });
            }
            let begin = (row + R) * layer.rows.stride + layer.column + panel * PANEL;
            if let Some(out) = out.get_mut(begin..begin + PANEL) {
                // SAFETY: 16 f32 are 64 bytes.
                unsafe {
                    _mm256_storeu_ps(out.as_mut_ptr(), sums[R][0]);
                    _mm256_storeu_ps(out.as_mut_ptr().add(8), sums[R][1]);
                }
            }
        }
    });
}

#[inline]
#[target_feature(enable = "avx2")]
fn floats(x: &[f32; PANEL]) -> [__m256; 2] {
    // SAFETY: 16 f32 are 64 bytes.
    unsafe {
        [
            _mm256_loadu_ps(x.as_ptr()),
            _mm256_loadu_ps(x.as_ptr().add(8)),
        ]
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn words(x: &[i32; PANEL]) -> [__m256i; 2] {
    let at = x.as_ptr().cast::<__m256i>();
    // SAFETY: 16 i32 are 64 bytes.
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

/// As [`generic::quantize`], whose shape makes the compiler take values apart one by one. First the maxima of all rows, then
/// all bytes: a row would wait for its own maximum and two divisions.
#[target_feature(enable = "avx2")]
fn quantize(values: &[f32], (stride, width): (usize, usize), bytes: &mut [u8], scales: &mut [f32]) {
    let row = |r: usize| {
        values
            .get(r * stride..r * stride + width)
            .unwrap_or_default()
    };
    for (r, max) in scales.iter_mut().enumerate() {
        *max = greatest(row(r));
    }
    let rows = bytes.chunks_exact_mut(width.next_multiple_of(GROUP).max(1));
    for ((r, scale), bytes) in scales.iter_mut().enumerate().zip(rows) {
        let Some((max, inv)) = generic::row_scale(*scale) else {
            bytes.fill(0);
            *scale = 0.0;
            continue;
        };
        write(row(r), inv, bytes);
        *scale = max / 127.0;
    }
}

/// The greatest value, or 0.
#[inline]
#[target_feature(enable = "avx2")]
fn greatest(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<PANEL>();
    let mut lanes = [_mm256_setzero_ps(); 2];
    for chunk in chunks {
        let x = floats(chunk);
        // a > b ? a : b
        lanes = [_mm256_max_ps(x[0], lanes[0]), _mm256_max_ps(x[1], lanes[1])];
    }
    let top = _mm256_max_ps(lanes[0], lanes[1]);
    let top = _mm_max_ps(_mm256_castps256_ps128(top), _mm256_extractf128_ps::<1>(top));
    let top = _mm_max_ps(top, _mm_movehl_ps(top, top));
    let top = _mm_max_ss(top, _mm_shuffle_ps::<1>(top, top));
    let mut max = _mm_cvtss_f32(top);
    for x in rest {
        max = if *x > max { *x } else { max };
    }
    max
}

/// The bytes of a row, and zeros behind them.
#[inline]
#[target_feature(enable = "avx2")]
fn write(values: &[f32], inv: f32, bytes: &mut [u8]) {
    let (chunks, rest) = values.as_chunks::<PANEL>();
    let (to, to_rest) = generic::split(bytes, chunks.len());
    let (inv_lanes, magic) = (_mm256_set1_ps(inv), _mm256_set1_ps(ROUND));
    for (to, chunk) in to.iter_mut().zip(chunks) {
        let [a, b] = floats(chunk).map(|x| {
            let x = _mm256_add_ps(_mm256_mul_ps(relu(x), inv_lanes), magic);
            _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0xff))
        });
        // Packing is by halves of 128 bits, so the middle quarters change places.
        let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi32(a, b));
        let packed = _mm_packus_epi16(
            _mm256_castsi256_si128(words),
            _mm256_extracti128_si256::<1>(words),
        );
        // SAFETY: 16 bytes.
        unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), packed) };
    }
    let mut rest = rest.iter();
    for to in to_rest {
        *to = rest.next().map_or(0, |x| generic::byte(*x, inv));
    }
}

#[cfg(feature = "session")]
#[target_feature(enable = "avx2")]
fn add_sums(start: &[f32], sums: &[u8], scale: &[u8], out: &mut [f32]) {
    generic::add_sums(start, sums, scale, out);
}

/// Row by row: for sums that are made once and kept.
#[cfg(feature = "session")]
#[target_feature(enable = "avx2")]
fn add_products(tile: &Tile<'_>, sums: &mut Sums) {
    for (sums, bytes) in sums
        .iter_mut()
        .zip(tile.bytes.chunks_exact(tile.stride.max(1)))
    {
        // SAFETY: AVX2 is this function's own promise; two vectors of 8 i32 are a panel of 16.
        unsafe {
            let [acc] = Pairs::sums_of::<1>(&Tile { bytes, ..*tile }, false, words(sums));
            let to = sums.as_mut_ptr().cast::<__m256i>();
            _mm256_storeu_si256(to, acc[0]);
            _mm256_storeu_si256(to.add(1), acc[1]);
        }
    }
}

#[target_feature(enable = "avx2")]
fn mix(weights: &[u16], experts: &[f32], stride: usize, mixture: &mut [f32]) {
    generic::mix(weights, experts, stride, mixture);
}

#[target_feature(enable = "avx2")]
fn softmax(logits: &[[f32; BLOCK]], weights: &mut [[u16; limits::EXPERTS]; BLOCK]) {
    generic::softmax(logits, weights);
}

#[target_feature(enable = "avx2")]
fn dot(input: &[u8], weight: &[u8]) -> i32 {
    generic::dot(input, weight)
}

/// 16 outputs' weights of a group.
///
/// # Safety
/// `weight` must have them.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn load(weight: &[u8], group: usize) -> [__m256i; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        let at = weight.as_ptr().add(group * PANEL * GROUP).cast();
        [_mm256_loadu_si256(at), _mm256_loadu_si256(at.add(1))]
    }
}

/// Four input bytes, eight times.
///
/// # Safety
/// `bytes` must have them from `at` on.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn broadcast(bytes: &[u8], at: usize) -> __m256i {
    // SAFETY: the caller's promise.
    _mm256_set1_epi32(unsafe { bytes.as_ptr().add(at).cast::<i32>().read_unaligned() })
}

/// `vpmaddubsw` adds two products of at most 127 x 127 in magnitude, so it never saturates. Of weights that
/// [fit](super::quads_fit), `quads`, four products are added before they are widened, which saves one of four
/// multiplications.
struct Pairs;

impl Products for Pairs {
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn sums_of<const M: usize>(
        tile: &Tile<'_>,
        quads: bool,
        zero: [__m256i; 2],
    ) -> [[__m256i; 2]; M] {
        let mut acc = [zero; M];
        if !tile.has(tile.bytes, M) {
            return acc;
        }
        let (bytes, stride, weight) = (tile.bytes, tile.stride, tile.weight);
        let ones = _mm256_set1_epi16(1);
        let groups = stride / GROUP;
        let paired = if quads { groups / 2 * 2 } else { 0 };
        for group in (0..paired).step_by(2) {
            // SAFETY: the lengths above.
            let (w, v) = unsafe { (load(weight, group), load(weight, group + 1)) };
            unroll!(R in [0 1 2 3] {
                if R < M {
                    let at = R * stride + group * GROUP;
                    // SAFETY: the lengths above.
                    let (x, y) = unsafe { (broadcast(bytes, at), broadcast(bytes, at + GROUP)) };
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
            // SAFETY: the lengths above.
            let w = unsafe { load(weight, group) };
            unroll!(R in [0 1 2 3] {
                if R < M {
                    // SAFETY: the lengths above.
                    let x = unsafe { broadcast(bytes, R * stride + group * GROUP) };
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
