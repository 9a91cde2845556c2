//! x86-64 with VNNI: `vpdpbusd` adds to each i32 the products of its four bytes. Two encodings, of which a CPU may have either:
//! AVX-VNNI, for eight i32, here, with all else [`avx2`](super::avx2)'s; and AVX-512 VNNI, for sixteen, in
//! [`avx512`](super::avx512).

use core::arch::x86_64::*;

use super::avx2::{self, Products, broadcast, load};
use super::avx512;
use super::generic::Affine;
use super::unroll;
use crate::spec::GROUP;

/// Instruction sets with such a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vnni {
    Avx,
    /// AVX-512 F and VNNI: layers and activations by [`avx512`](super::avx512).
    Avx512,
    /// The same by instructions of AVX2: all but the product itself runs in tests on any CPU with AVX2.
    #[cfg(test)]
    Emulated,
}

impl Vnni {
    /// Those of a CPU with AVX2 whose system has enabled the vector registers `enabled` (XCR0), the best one last: by CPUID
    /// (Intel SDM volume 1, 15.2 to 15.4).
    pub fn detect(enabled: u64) -> impl Iterator<Item = Self> {
        const AVX512F: u32 = 1 << 16;
        const AVX512_VNNI: u32 = 1 << 11;
        const AVX_VNNI: u32 = 1 << 4;
        const MASKS_AND_ZMM: u64 = 0b1110_0000;
        let leaf = __cpuid_count(7, 0);
        // A leaf's eax is the number of its last subleaf.
        let avx = leaf.eax >= 1 && __cpuid_count(7, 1).eax & AVX_VNNI != 0;
        let avx512 = leaf.ebx & AVX512F != 0
            && leaf.ecx & AVX512_VNNI != 0
            && enabled & MASKS_AND_ZMM == MASKS_AND_ZMM;
        [avx.then_some(Self::Avx), avx512.then_some(Self::Avx512)]
            .into_iter()
            .flatten()
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Avx => "avx-vnni",
            Self::Avx512 => "avx512-vnni",
            #[cfg(test)]
            Self::Emulated => "vnni-emulated",
        }
    }

    /// # Safety
    /// As for [`avx2::panels`], and the CPU must have this.
    pub unsafe fn affine(self, layer: &Affine<'_>, last: usize, out: &mut [f32]) {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Self::Avx => avx::affine(layer, last, out),
                Self::Avx512 => avx512::affine(layer, out),
                #[cfg(test)]
                Self::Emulated => emulated::affine(layer, last, out),
            }
        }
    }
}

/// A module of the kernel with `$features`, by `$product(sums, bytes, weights)`. A macro, for a function with fewer features
/// can't take the instruction in, and a call for each product would cost ten times the product.
macro_rules! kernel {
    ($module:ident, $features:literal, $product:path) => {
        mod $module {
            use super::*;

            #[target_feature(enable = $features)]
            pub unsafe fn affine(layer: &Affine<'_>, last: usize, out: &mut [f32]) {
                // SAFETY: the features are this function's own promise, the rest the caller's.
                unsafe { avx2::panels::<Sums>(layer, last, out) }
            }

            struct Sums;

            impl Products for Sums {
                #[inline]
                #[target_feature(enable = $features)]
                unsafe fn sums_of<const M: usize>(
                    bytes: *const u8,
                    stride: usize,
                    weight: *const u8,
                    _quads: bool,
                    zero: [__m256i; 2],
                ) -> [[__m256i; 2]; M] {
                    // Not `[zero; M]`: a loop at the SDK's level, by way of memory.
                    let mut acc = [[_mm256_setzero_si256(); 2]; M];
                    unroll!(R in [0 1 2 3] {
                        if R < M {
                            acc[R] = zero;
                        }
                    });
                    for group in 0..stride / GROUP {
                        // SAFETY: the caller's promise.
                        let w = unsafe { load(weight, group) };
                        unroll!(R in [0 1 2 3] {
                            if R < M {
                                // SAFETY: the caller's promise.
                                let x = unsafe { broadcast(bytes.add(R * stride + group * GROUP)) };
                                unroll!(J in [0 1] {
                                    acc[R][J] = $product(acc[R][J], x, w[J]);
                                });
                            }
                        });
                    }
                    acc
                }
            }
        }
    };
}

kernel!(avx, "avx2,avxvnni", _mm256_dpbusd_avx_epi32);
#[cfg(test)]
kernel!(emulated, "avx2", dpbusd);

/// `vpdpbusd` for any bytes and weights: pairs of products of 255 x -128 do not fit the 16 bits of `vpmaddubsw`, so bytes
/// are widened first.
#[cfg(test)]
#[inline]
#[target_feature(enable = "avx2")]
fn dpbusd(acc: __m256i, x: __m256i, w: __m256i) -> __m256i {
    // Even and odd bytes: low halves of 16-bit lanes, and what is above them.
    let even = _mm256_madd_epi16(
        _mm256_and_si256(x, _mm256_set1_epi16(0xff)),
        _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(w)),
    );
    let odd = _mm256_madd_epi16(_mm256_srli_epi16::<8>(x), _mm256_srai_epi16::<8>(w));
    _mm256_add_epi32(acc, _mm256_add_epi32(even, odd))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The emulation by its definition (Intel SDM volume 2, VPDPBUSD), over all bytes and weights; and the instruction itself
    /// by the emulation, where a CPU has it.
    #[test]
    fn vpdpbusd_is_what_its_definition_says() {
        if !std::is_x86_feature_detected!("avx2") {
            std::println!("skipped: this CPU has no AVX2");
            return;
        }
        let (avx, avx512) = (
            std::is_x86_feature_detected!("avxvnni"),
            std::is_x86_feature_detected!("avx512vnni")
                && std::is_x86_feature_detected!("avx512vl"),
        );
        if !avx {
            std::println!("skipped: avx-vnni (this CPU has none)");
        }
        if !avx512 {
            std::println!("skipped: avx512-vnni (this CPU has none)");
        }
        for x in 0..=255u8 {
            for w in -128..=127i8 {
                let bytes: [u8; 32] =
                    core::array::from_fn(|i| x.wrapping_add((i as u8).wrapping_mul(37)));
                let weights: [i8; 32] =
                    core::array::from_fn(|i| w.wrapping_add((i as i8).wrapping_mul(91)));
                let start: [i32; 8] = core::array::from_fn(|i| i as i32 * 1_000_003 - 4_000_000);
                let mut want = start;
                for (i, (x, w)) in bytes.iter().zip(&weights).enumerate() {
                    want[i / 4] += i32::from(*x) * i32::from(*w);
                }
                // SAFETY: AVX2 is there, the others as asked for; vectors are plain bits.
                unsafe {
                    let (acc, x, w) = (
                        core::mem::transmute::<[i32; 8], __m256i>(start),
                        core::mem::transmute::<[u8; 32], __m256i>(bytes),
                        core::mem::transmute::<[i8; 32], __m256i>(weights),
                    );
                    let bits = |x| core::mem::transmute::<__m256i, [i32; 8]>(x);
                    assert_eq!(bits(dpbusd(acc, x, w)), want);
                    if avx {
                        assert_eq!(bits(_mm256_dpbusd_avx_epi32(acc, x, w)), want);
                    }
                    if avx512 {
                        assert_eq!(bits(_mm256_dpbusd_epi32(acc, x, w)), want);
                    }
                }
            }
        }
    }
}
