//! Integer kernels and the choice among them.
//!
//! Inputs are activation bytes 0..=127, weights are i8 in [-127, 127], sums are i32. Two products fit an i16 and a
//! whole sum fits an i32 ([`limits`](crate::spec::limits) proves it at compile time), so every kernel is exact and
//! may add in any order. What follows a sum in f32 has one order, that of `plain`, on every instruction set. On aarch64,
//! whose every CPU has NEON, `neon` does it for all of them, `portable` too.
//!
//! | file | runs on | products of bytes |
//! |---|---|---|
//! | `portable` | everything | plain Rust |
//! | `avx2` | x86-64 with AVX2 | `vpmaddubsw`, `vpmaddwd` |
//! | `vnni` | x86-64 with AVX-VNNI | `vpdpbusd` |
//! | `avx512` | x86-64 with AVX-512 VNNI | `vpdpbusd` |
//! | `neon` | aarch64 | `smull`, `smlal`, `sadalp` |
//! | `dotprod` | aarch64 with FEAT_DotProd | `sdot` |
//! | `i8mm` | aarch64 with FEAT_I8MM, if built with feature `i8mm` | `smmla` |
//! | `simd128` | wasm32 with `-C target-feature=+simd128` | `i16x8.extmul`, `i32x4.extadd_pairwise` |
//!
//! Invariant: each returns exactly what `portable` returns.

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod avx2;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod avx512;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
#[allow(unsafe_code)]
mod dotprod;
mod generic;
#[cfg(all(feature = "i8mm", target_arch = "aarch64", target_endian = "little"))]
#[allow(unsafe_code)]
mod i8mm;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
#[allow(unsafe_code)]
mod neon;
#[cfg(any(
    feature = "std",
    feature = "session",
    not(all(target_arch = "aarch64", target_endian = "little"))
))]
mod panels;
// On aarch64 `neon` takes its place but in traces.
#[cfg(any(
    feature = "std",
    not(all(target_arch = "aarch64", target_endian = "little"))
))]
mod plain;
mod portable;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[allow(unsafe_code)]
mod simd128;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod vnni;

#[cfg(feature = "session")]
use generic::ROWS;
pub use generic::{Affine, Mixture, Part, Rows, Start};
use generic::{Sums, Tile};

#[cfg(any(feature = "std", feature = "session"))]
use crate::spec::PANEL;

/// Candidates that go through the network together, so that weights are read once for all of them.
pub const BLOCK: usize = 8;

/// Repeats a block with a constant in place of a loop's variable: at the size-minded level at which the SDK is compiled,
/// loops stay loops, and what they index stays in memory.
#[allow(unused_macros)] // Not every target has an instruction set of its own.
macro_rules! unroll {
    ($i:ident in [$($n:literal)*] $body:block) => {
        $({
            const $i: usize = $n;
            $body
        })*
    };
}
#[allow(unused_imports)]
use unroll;

/// What weights of one sign may come to among the four whose products a kernel adds in 16 bits: 258 x 127 < 2^15.
pub const QUAD_MAX: i32 = 258;

/// Whether that holds for panels of weights, `[ceil(cols / 4)][16][4]` each: in each pair of groups, for each output, among
/// the first two weights of both and among the last two. Where no kernel asks, it is false and costs nothing.
pub fn quads_fit(weight: &[u8], cols: usize) -> bool {
    #[cfg(target_arch = "x86_64")]
    return generic::quads_fit(weight, cols);
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = (weight, cols);
        false
    }
}

/// An instruction set that this CPU has: only detection makes one, or a caller who knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Isa(Kind);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
    Neon(neon::Neon),
    #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
    Dotprod(dotprod::Dotprod),
    #[cfg(all(feature = "i8mm", target_arch = "aarch64", target_endian = "little"))]
    I8mm(i8mm::I8mm),
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Simd128(simd128::Simd128),
}

impl Isa {
    /// Plain Rust, on every CPU; defines what the others must return.
    pub const PORTABLE: Isa = Isa(Kind::Portable);

    /// The best that this CPU is known to have.
    ///
    /// On aarch64 that is NEON: no instruction tells an app whether it may use `sdot` (the identification register
    /// traps before Linux 4.11, and phones with such kernels and the instruction were sold), so a caller who has
    /// asked the system says so: `Isa::dotprod`, `Isa::i8mm`.
    pub fn detect() -> Self {
        Self::available().last().copied().unwrap_or(Self::PORTABLE)
    }

    /// All that this CPU is known to have, the best one last.
    pub fn available() -> heapless::Vec<Isa, 4> {
        let mut isas = heapless::Vec::new();
        let _ = isas.push(Self::PORTABLE);
        #[cfg(pocketrank_force_portable)]
        return isas;
        #[cfg(not(pocketrank_force_portable))]
        {
            #[cfg(target_arch = "x86_64")]
            for avx2 in avx2::Avx2::detect() {
                let _ = isas.push(Isa(Kind::Avx2(avx2)));
            }
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            let _ = isas.push(Isa(Kind::Neon(neon::Neon)));
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            let _ = isas.push(Isa(Kind::Simd128(simd128::Simd128)));
            isas
        }
    }

    /// Its name: "portable", "avx2", "avx512-vnni", "avx-vnni", "neon", "neon-dotprod", "neon-i8mm" or "wasm-simd128".
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(k) => k.name(),
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Kind::Neon(_) => "neon",
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Kind::Dotprod(_) => "neon-dotprod",
            #[cfg(all(feature = "i8mm", target_arch = "aarch64", target_endian = "little"))]
            Kind::I8mm(_) => "neon-i8mm",
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Kind::Simd128(_) => "wasm-simd128",
        }
    }
}

/// A dense layer over rows of activation bytes: `out` is `[rows, stride]` f32, `layer.columns` from the first one of
/// each row. `out[r][o] = start[o] + Σ parts (Σ_i weight[o][i] x bytes[r][i] + zero[o]) x (scale[o] x row scale[r])`,
/// parts in their order.
pub fn affine(isa: Isa, layer: &Affine<'_>, out: &mut [f32]) {
    match isa.0 {
        // Sums stay in registers. Elsewhere code around the products is there once.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2(k) if k.affine(layer, out) => {}
        #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
        _ => neon::affine(isa, layer, out),
        #[cfg(not(all(target_arch = "aarch64", target_endian = "little")))]
        _ => plain::affine(
            layer,
            out,
            |tile, sums| add_products(isa, tile, sums),
            |_, _, _, _| {},
        ),
    }
}

/// Adds the products of a tile; see [`portable::add_products`].
fn add_products(isa: Isa, tile: &Tile<'_>, sums: &mut Sums) {
    match isa.0 {
        #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
        Kind::Neon(k) => k.add_products(tile, sums),
        #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
        Kind::Dotprod(k) => k.add_products(tile, sums),
        #[cfg(all(feature = "i8mm", target_arch = "aarch64", target_endian = "little"))]
        Kind::I8mm(k) => k.add_products(tile, sums),
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        Kind::Simd128(k) => k.add_products(tile, sums),
        #[cfg(all(target_arch = "x86_64", feature = "session"))]
        Kind::Avx2(k) => k.add_products(tile, sums),
        _ => portable::add_products(tile, sums),
    }
}

/// The i32 sums of `rows` rows and `panels` panels of a part: `see(row, panel, sums)`.
#[cfg(feature = "session")]
pub fn sums(
    isa: Isa,
    part: &Part<'_>,
    (rows, panels): (usize, usize),
    see: &mut dyn FnMut(usize, usize, &[i32; PANEL]),
) {
    for panel in 0..panels {
        for row in (0..rows).step_by(ROWS) {
            let Some(tile) = part.tile(panel, row, ROWS.min(rows - row)) else {
                return;
            };
            let mut sums = [panels::ints(part.zero, panel); ROWS];
            add_products(isa, &tile, &mut sums);
            for (m, sums) in sums.iter().enumerate().take(rows - row) {
                see(row + m, panel, sums);
            }
        }
    }
}

/// Gets part, row, panel and the sums.
#[cfg(feature = "std")]
pub type SeeSums<'s> = dyn FnMut(usize, usize, usize, &[i32; PANEL]) + 's;

/// [`affine`] by plain Rust, with a look at every i32 sum: `see(part, row, panel, sums)`.
#[cfg(feature = "std")]
pub fn affine_seen(layer: &Affine<'_>, out: &mut [f32], see: &mut SeeSums<'_>) {
    plain::affine(layer, out, portable::add_products, see);
}

/// Has the cache fetch the first of what will be read soon.
#[inline(always)]
pub fn prefetch<T>(values: &[T]) {
    #[cfg(target_arch = "x86_64")]
    avx2::prefetch(values.as_ptr());
    #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
    neon::prefetch(values.as_ptr());
    let _ = values;
}

/// The functions below are loops: AVX2 and AVX-512, which the compiler may not use by itself, have their own, and aarch64 where
/// the compiler's were measured to be slow. Of sizes that they do not name their results mean nothing.
macro_rules! by_isa {
    ($isa:expr, $name:ident($($arg:expr),*)) => {
        match $isa.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(k) => k.$name($($arg),*),
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            _ => neon::$name($($arg),*),
            #[cfg(not(all(target_arch = "aarch64", target_endian = "little")))]
            _ => plain::$name($($arg),*),
        }
    };
}

/// Quantizes max(value, 0) of rows of `width` values, each to u7 on its own scale (see
/// [`math::quantize_row`](crate::math::quantize_row)): one row for each of `scales`, `stride` values apart in `values` and
/// `width` rounded up to a group apart in `bytes`, with zeros in what is left of the last group.
#[inline(never)]
pub fn quantize(
    isa: Isa,
    values: &[f32],
    (stride, width): (usize, usize),
    bytes: &mut [u8],
    scales: &mut [f32],
) {
    by_isa!(isa, quantize(values, (stride, width), bytes, scales));
}

/// `out[o] = start[o] + sums[o] x scale[o]`: what [`affine`] makes of a part whose sums are known. `sums` are i32, `scale` f32,
/// both little-endian; a multiple of [`PANEL`] of each.
#[cfg(feature = "session")]
#[inline(never)]
pub fn add_sums(isa: Isa, start: &[f32], sums: &[u8], scale: &[u8], out: &mut [f32]) {
    by_isa!(isa, add_sums(start, sums, scale, out));
}

/// `out[j] = Σ_e weights[e][row] / 2^15 x experts[e][j]` in the order of the experts. Widths are multiples of [`PANEL`].
#[inline(never)]
pub fn mix(isa: Isa, of: &Mixture<'_>, out: &mut [f32]) {
    by_isa!(isa, mix(of, out));
}

/// [`math::softmax_q15`](crate::math::softmax_q15) of a block, of as many logits as there are: weights by logit and row, as f32
/// integers.
#[inline(never)]
pub fn softmax_lanes(isa: Isa, logits: &[[f32; BLOCK]], weights: &mut [[f32; BLOCK]]) {
    by_isa!(isa, softmax_lanes(logits, weights));
}

/// [`math::sigmoid`](crate::math::sigmoid) of each.
pub fn sigmoid(isa: Isa, values: &mut [f32]) {
    by_isa!(isa, sigmoid(values));
}

/// `Σ input[i] x weight[i]` over the shorter of the two.
#[inline(never)]
pub fn dot(isa: Isa, input: &[u8], weight: &[u8]) -> i32 {
    by_isa!(isa, dot(input, weight))
}
