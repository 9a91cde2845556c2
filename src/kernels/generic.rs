//! A layer, and what all instruction sets do alike.

use super::BLOCK;
use crate::math::{ACTIVATION_MIN, exp_inline, relu, round};
use crate::spec::{GROUP, PANEL};

/// A dense layer and its inputs; see [`affine`](super::affine).
#[derive(Clone, Copy)]
pub struct Affine<'a> {
    /// Sides of the first layer; the one part of a later layer.
    pub parts: &'a [Part<'a>],
    /// What every row's sum starts from.
    pub start: Start<'a>,
    /// Rows of `out`.
    pub rows: Rows<'a>,
    /// First column of `out`, a multiple of [`PANEL`].
    pub column: usize,
    /// Columns, a multiple of [`PANEL`].
    pub columns: usize,
    /// Negative results become 0.
    pub relu: bool,
}

impl Affine<'_> {
    /// Whether everything is there that kernels by pointer read and write: asked once a layer, since checks of each tile took a
    /// third of the time that is not spent on products.
    #[cfg(any(
        target_arch = "x86_64",
        all(target_arch = "aarch64", target_endian = "little")
    ))]
    pub(super) fn fits(&self, out: &[f32]) -> bool {
        let (rows, columns) = (self.rows, self.columns);
        if (rows.count | rows.stride | self.column | columns) >> SMALL != 0 {
            return false;
        }
        let words = columns * 4;
        let start = match self.start {
            Start::Floats(x) => x.len() >= columns,
            Start::Bytes(x) => x.len() >= words,
            Start::Out => true,
        };
        let end = rows.count.saturating_sub(1) * rows.stride + self.column + columns;
        let scales = rows.scales.is_empty() || rows.scales.len() >= rows.count;
        let whole = |part: &Part<'_>| {
            part.scale.is_empty()
                || part.stride >> SMALL == 0
                    && part.scale.len() >= words
                    && (part.zero.is_empty() || part.zero.len() >= words)
                    && part.bytes.len() >= rows.count * part.stride
                    && part.weight.len() >= columns * part.stride
        };
        start && out.len() >= end && scales && self.parts.iter().all(whole)
    }

    /// The last part that is not left out.
    #[cfg(any(
        target_arch = "x86_64",
        all(target_arch = "aarch64", target_endian = "little")
    ))]
    pub(super) fn last_part(&self) -> Option<usize> {
        self.parts.iter().rposition(|part| !part.scale.is_empty())
    }
}

/// Of numbers below 2^SMALL no product of two wraps, so that one question spares a check of each.
#[cfg(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_endian = "little")
))]
const SMALL: u32 = if usize::BITS < 64 { 14 } else { 20 };

/// The rows of a layer.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    /// How many.
    pub count: usize,
    /// f32 values from one row of `out` to the next.
    pub stride: usize,
    /// One scale a row; empty if all are 1.
    pub scales: &'a [f32],
}

/// Bytes and the weights that they meet.
#[derive(Clone, Copy, Default)]
pub struct Part<'a> {
    /// `[rows, stride]`, zero past the layer's own inputs.
    pub bytes: &'a [u8],
    /// A multiple of [`GROUP`].
    pub stride: usize,
    /// `[columns / 16][stride / 4][16][4]` i8.
    pub weight: &'a [u8],
    /// Little-endian f32 by column. A part without scales is left out.
    pub scale: &'a [u8],
    /// Little-endian i32 by column that the sum starts from; empty for 0.
    pub zero: &'a [u8],
    /// Whether four products may be added in 16 bits, as opening the model found out.
    pub quads: bool,
}

/// Rows of bytes against one panel of weights.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a> {
    /// `[rows, stride]`.
    pub bytes: &'a [u8],
    pub stride: usize,
    /// `[stride / 4][16][4]`.
    pub weight: &'a [u8],
}

/// Sums of up to four rows.
pub(super) type Sums = [[i32; PANEL]; ROWS];

impl Tile<'_> {
    /// Whether `rows` rows, at most four, of `bytes` and all their weights are there: what kernels that read by pointer count
    /// on. Who makes a tile sees to it that [`PANEL`] strides do not wrap.
    #[cfg(any(
        all(target_arch = "x86_64", feature = "session"),
        all(target_arch = "aarch64", target_endian = "little"),
        all(target_arch = "wasm32", target_feature = "simd128")
    ))]
    #[inline(always)]
    pub fn has(&self, bytes: &[u8], rows: usize) -> bool {
        bytes.len() >= rows * self.stride && self.weight.len() >= PANEL * self.stride
    }
}

/// f32 values by column.
#[derive(Clone, Copy)]
pub enum Start<'a> {
    /// As they are.
    Floats(&'a [f32]),
    /// Little-endian.
    Bytes(&'a [u8]),
    /// What `out` holds already, row by row.
    Out,
}

/// Rows of a tile.
pub(super) const ROWS: usize = 4;

/// See [`quantize`](super::quantize); `greatest` finds a row's greatest value, or 0, and `write` makes the bytes of values x a
/// factor, with zeros behind them. First the maxima of all rows: a row would wait for its own maximum and two divisions.
#[inline(always)]
pub(super) fn quantize_by(
    greatest: impl Fn(&[f32]) -> f32,
    write: impl Fn(&[f32], f32, &mut [u8]),
    values: &[f32],
    (stride, width): (usize, usize),
    bytes: &mut [u8],
    scales: &mut [f32],
) {
    // Row by row by what is left: chunks of a slice would be counted by a division.
    let mut left = values;
    for max in &mut *scales {
        *max = greatest(left.get(..width).unwrap_or_default());
        left = left.get(stride..).unwrap_or_default();
    }
    let (mut left, mut bytes_left) = (values, bytes);
    for scale in scales {
        let (bytes, rest) = core::mem::take(&mut bytes_left)
            .split_at_mut_checked(width.next_multiple_of(GROUP))
            .unwrap_or_default();
        *scale = match row_scale(*scale) {
            Some((max, inv)) => {
                write(left.get(..width).unwrap_or_default(), inv, bytes);
                max / 127.0
            }
            None => {
                bytes.fill(0);
                0.0
            }
        };
        left = left.get(stride..).unwrap_or_default();
        bytes_left = rest;
    }
}

/// [`write`] by chunks of `N`, whose bytes `pack` makes. What is left of them is the compiler's: layers are of whole panels.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn write_by<const N: usize>(
    pack: impl Fn(&[f32; N], f32) -> [u8; N],
    values: &[f32],
    inv: f32,
    bytes: &mut [u8],
) {
    let (chunks, rest) = values.as_chunks();
    for (to, chunk) in bytes.as_chunks_mut().0.iter_mut().zip(chunks) {
        *to = pack(chunk, inv);
    }
    let done = chunks.len() * N;
    if done < bytes.len() {
        write(rest, inv, bytes.get_mut(done..).unwrap_or_default());
    }
}

/// The bytes of values x `inv`, and zeros behind them.
#[inline(always)]
pub(super) fn write(values: &[f32], inv: f32, bytes: &mut [u8]) {
    let (chunks, rest) = values.as_chunks::<PANEL>();
    let (to, to_rest) = split(bytes, chunks.len());
    for (to, chunk) in to.iter_mut().zip(chunks) {
        for (to, x) in to.iter_mut().zip(chunk) {
            *to = byte(*x, inv);
        }
    }
    let mut rest = rest.iter();
    for to in to_rest {
        *to = rest.next().map_or(0, |x| byte(*x, inv));
    }
}

/// So many chunks of 16 bytes, and what is behind them.
#[inline(always)]
fn split(bytes: &mut [u8], chunks: usize) -> (&mut [[u8; PANEL]], &mut [u8]) {
    let (head, tail) = bytes
        .split_at_mut_checked(chunks * PANEL)
        .unwrap_or_default();
    (head.as_chunks_mut().0, tail)
}

/// A row's greatest activation, and what its activations are multiplied by; `None` if the row is taken as zero.
#[inline(always)]
pub(super) fn row_scale(max: f32) -> Option<(f32, f32)> {
    let max = relu(max);
    (max >= ACTIVATION_MIN).then_some((max, 127.0 / max))
}

/// The byte of an activation.
#[inline(always)]
pub(super) fn byte(x: f32, inv: f32) -> u8 {
    round(relu(x) * inv) as u8
}

/// What a row of a block is a mixture of; see [`mix`](super::mix).
#[derive(Clone, Copy)]
pub struct Mixture<'a> {
    /// By expert and row of the block, as [`softmax_lanes`](super::softmax_lanes) makes them.
    pub weights: &'a [[f32; BLOCK]],
    /// Row of the block.
    pub row: usize,
    /// The row's outputs of all experts.
    pub experts: &'a [f32],
    /// f32 values from one expert's outputs to the next one's.
    pub stride: usize,
}

impl<'a> Mixture<'a> {
    /// What is added up, in the order of the experts: `N` values of each from the one at `at` on, and its weight as a part of 1.
    #[inline(always)]
    pub(super) fn terms<const N: usize>(
        &self,
        at: usize,
    ) -> impl Iterator<Item = (&'a [f32; N], f32)> {
        let Self {
            weights,
            row,
            experts,
            stride,
        } = *self;
        let terms = weights.iter().enumerate();
        terms.filter_map(move |(expert, weights)| {
            // 2^-15 is a power of two: the product is exact.
            let weight = *weights.get(row)? * (1.0 / 32768.0);
            let from = experts.get(expert * stride + at..)?.first_chunk()?;
            // A weight of 0 would add 0: a task that has an expert of its own reads no other.
            (weight != 0.0).then_some((from, weight))
        })
    }
}

/// Values of a mixture that are summed together. Four panels take 150 bytes of code more on aarch64, for 0.7 % of a request's
/// instructions: Android's smallest library would be over 64 KiB.
#[cfg(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_endian = "little")
))]
pub(super) const WIDE: usize = if cfg!(target_arch = "x86_64") {
    4 * PANEL
} else {
    2 * PANEL
};

/// A mixture by [`WIDE`] values and then by panels; both get the place of their first value.
#[cfg(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_endian = "little")
))]
#[inline(always)]
pub(super) fn mix_by(
    out: &mut [f32],
    wide: impl Fn(usize, &mut [f32; WIDE]),
    panel: impl Fn(usize, &mut [f32; PANEL]),
) {
    let (wides, rest) = out.as_chunks_mut();
    let first = wides.len() * WIDE;
    for (i, to) in wides.iter_mut().enumerate() {
        wide(i * WIDE, to);
    }
    for (i, to) in rest.as_chunks_mut().0.iter_mut().enumerate() {
        panel(first + i * PANEL, to);
    }
}

/// See [`softmax_lanes`](super::softmax_lanes).
#[inline(always)]
pub(super) fn softmax_lanes(logits: &[[f32; BLOCK]], weights: &mut [[f32; BLOCK]]) {
    let (mut max, mut best) = ([f32::MIN; BLOCK], [0u32; BLOCK]);
    for (at, logits) in logits.iter().enumerate() {
        for ((max, best), x) in max.iter_mut().zip(&mut best).zip(logits) {
            (*max, *best) = if *x > *max {
                (*x, at as u32)
            } else {
                (*max, *best)
            };
        }
    }
    let mut sum = [0.0f32; BLOCK];
    for (exps, logits) in weights.iter_mut().zip(logits) {
        for (((e, x), max), sum) in exps.iter_mut().zip(logits).zip(&max).zip(&mut sum) {
            // Below -20 a weight rounds to 0 (e^-20 x 2^15 is 7e-5): the clamp changes nothing but keeps exp cheap.
            *e = exp_inline(crate::math::clamp(*x - *max, -20.0, 0.0));
            *sum += *e;
        }
    }
    let mut left = [1i32 << 15; BLOCK];
    for (weights, _) in weights.iter_mut().zip(logits) {
        for ((e, sum), left) in weights.iter_mut().zip(&sum).zip(&mut left) {
            let weight = round(*e / *sum * 32768.0);
            *left -= weight;
            *e = weight as f32;
        }
    }
    for (lane, (best, left)) in best.into_iter().zip(left).enumerate() {
        if let Some(weight) = weights.get_mut(best as usize).and_then(|w| w.get_mut(lane)) {
            *weight += left as f32;
        }
    }
}

/// See [`sigmoid`](super::sigmoid).
#[inline(always)]
pub(super) fn sigmoid(values: &mut [f32]) {
    for x in values {
        *x = crate::math::sigmoid(*x);
    }
}

/// See [`dot`](super::dot).
#[inline(always)]
pub(super) fn dot(input: &[u8], weight: &[u8]) -> i32 {
    input.iter().zip(weight).fold(0i32, |acc, (x, w)| {
        acc.wrapping_add(i32::from(*x) * i32::from(*w as i8))
    })
}

/// See [`quads_fit`](super::quads_fit).
#[cfg(target_arch = "x86_64")]
pub(super) fn quads_fit(weight: &[u8], cols: usize) -> bool {
    let chunks = weight.as_chunks::<{ PANEL * GROUP }>().0;
    let groups = cols.div_ceil(GROUP);
    let (mut worst, mut group) = (0i16, 0);
    for (a, b) in chunks.iter().zip(chunks.iter().skip(1)) {
        if group % 2 == 0 && group + 1 < groups {
            let (a, b) = (a.as_chunks::<2>().0, b.as_chunks::<2>().0);
            for (a, b) in a.iter().zip(b) {
                let quad = [a[0], a[1], b[0], b[1]].map(|w| i16::from(w as i8));
                let above: i16 = quad.iter().map(|w| (*w).max(0)).sum();
                let below: i16 = quad.iter().map(|w| (*w).min(0)).sum();
                worst = worst.max(above).max(-below);
            }
        }
        group = if group + 1 < groups { group + 1 } else { 0 };
    }
    i32::from(worst) <= super::QUAD_MAX
}
