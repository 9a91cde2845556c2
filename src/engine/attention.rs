//! Features that attend to a list of the user: softmax(q . k_j) weighs the list's rows for each candidate.
//!
//! ```text
//! once a request:  rows of the list -> keys: W_k x row, i8 on a scale a row, as panels of a layer of their own
//!                                   -> the rows again, a column each: weights of the layer that pools them
//! a block:         rows of the candidates' ids -> queries: W_q x row, 64 + [-63, 63] on a scale a row
//!                  queries x keys -> logits -> softmax, weights that sum to 2^15 -> in three digits x rows -> bytes
//! ```
//!
//! All four products are layers of [`kernels::affine`], so every instruction set has them. The pooled byte is
//! round(sum of weight x byte / 2^15), exact until it is rounded (127 x 2^15 is below 2^24, so f32 holds each sum): what pooling the list with those weights gives, on the
//! table's own grid.

use super::block::{self, BLOCK};
use super::dense::{row, row_mut, stride};
use super::inputs::Inputs;
use super::{First, Model};
use crate::kernels::{self, Affine, Part, Rows, Start};
use crate::math::{ACTIVATION_MIN, clamp, round};
use crate::spec::{Attention, GROUP, PANEL, Projection, Side, Spec, limits, padded};

/// A feature that attends, with its projections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attending<'a> {
    feature: usize,
    /// Its first byte on the cross side.
    offset: usize,
    plan: Attention,
    /// By [`Projection`].
    pub projections: [First<'a>; 2],
}

impl Attending<'_> {
    pub fn new(spec: &Spec<'_>, feature: usize, plan: Attention) -> Self {
        let mut inputs = spec.inputs(Side::Cross);
        let offset = inputs
            .find(|i| i.feature == feature)
            .map_or(0, |i| i.offset);
        Self {
            feature,
            offset,
            plan,
            projections: Default::default(),
        }
    }
}

/// Bytes that a feature keeps through a request whose list has `len` rows: keys with their scales and zero biases; rows as
/// columns, with scales of 1.
fn kept_bytes(plan: &Attention, len: usize) -> [usize; 5] {
    let (keys, width) = (padded(len), padded(plan.width));
    [
        keys * stride(plan.dim),
        4 * keys,
        4 * keys,
        width * stride(len),
        4 * width,
    ]
}

/// Bytes of a block: rows of ids, queries, digits of weights.
fn block_bytes(plan: &Attention, len: usize) -> [usize; 3] {
    [stride(plan.width), stride(plan.dim), 3 * stride(len)].map(|bytes| BLOCK * bytes)
}

/// Floats from one row of a block's values to the next.
fn floats(plan: &Attention, len: usize) -> usize {
    padded(plan.width).max(padded(plan.dim)).max(padded(len))
}

/// What the features of a model need in scratch; does not depend on the number of candidates.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    /// Floats, and bytes of a block, for the feature that needs most.
    pub floats: usize,
    block: usize,
    /// Bytes that all features keep through a request.
    kept: usize,
}

impl Sizes {
    pub fn of(spec: &Spec<'_>) -> Self {
        let mut need = Self::default();
        for (_, plan) in spec.attentions() {
            let len = plan.max_len;
            need.kept += kept_bytes(&plan, len).iter().sum::<usize>();
            need.block = need.block.max(block_bytes(&plan, len).iter().sum());
            need.floats = need.floats.max(BLOCK * (floats(&plan, len) + 2 * len));
        }
        need
    }

    pub fn bytes(&self) -> usize {
        self.block + self.kept
    }
}

/// Where intermediate values of all features lie.
pub(super) struct Buffers<'b> {
    floats: &'b mut [f32],
    block: &'b mut [u8],
    kept: &'b mut [u8],
    /// By feature: rows of the request's list.
    lens: [u16; limits::ATTENTIONS],
}

impl<'b> Buffers<'b> {
    /// `None` if `bytes` are too few.
    pub fn new(s: &Sizes, floats: &'b mut [f32], bytes: &'b mut [u8]) -> Option<Self> {
        let (block, kept) = bytes.get_mut(..s.bytes())?.split_at_mut_checked(s.block)?;
        Some(Self {
            floats,
            block,
            kept,
            lens: Default::default(),
        })
    }
}

/// Cuts the next part off.
#[inline(never)]
fn cut<'b>(rest: &mut &'b mut [u8], len: usize) -> &'b mut [u8] {
    let all = core::mem::take(rest);
    let (part, more) = all.split_at_mut_checked(len).unwrap_or_default();
    *rest = more;
    part
}

/// What a feature keeps through a request.
struct Kept<'b> {
    keys: &'b mut [u8],
    scales: &'b mut [u8],
    zeros: &'b mut [u8],
    columns: &'b mut [u8],
    ones: &'b mut [u8],
}

impl<'b> Kept<'b> {
    #[inline(never)]
    fn cut(rest: &mut &'b mut [u8], plan: &Attention, len: usize) -> Self {
        let [keys, scales, zeros, columns, ones] = kept_bytes(plan, len);
        Self {
            keys: cut(rest, keys),
            scales: cut(rest, scales),
            zeros: cut(rest, zeros),
            columns: cut(rest, columns),
            ones: cut(rest, ones),
        }
    }
}

/// The greatest magnitude of `values` makes them steps in [-most, most]: what to multiply with, and the scale of a step. 0 and
/// 0 if all are below 2^-40: no scale can become subnormal.
#[inline(never)]
pub(crate) fn signed_grid(values: &[f32], most: f32) -> (f32, f32) {
    let mut max = 0.0;
    for x in values {
        let x = if *x < 0.0 { -*x } else { *x };
        max = if x > max { x } else { max };
    }
    if max < ACTIVATION_MIN {
        return (0.0, 0.0);
    }
    (most / max, max / most)
}

/// The greatest step of a key on either side of 0.
pub(crate) const KEY_STEPS: f32 = 127.0;
/// The greatest step of a query on either side of 64.
pub(crate) const QUERY_STEPS: f32 = 63.0;

/// Place of weight `input` of `output` in panels of outputs with so many inputs.
fn place(output: usize, input: usize, inputs: usize) -> usize {
    let block = output / PANEL * (stride(inputs) / GROUP) + input / GROUP;
    (block * PANEL + output % PANEL) * GROUP + input % GROUP
}

fn put(bytes: &mut [u8], at: usize, byte: u8) {
    if let Some(to) = bytes.get_mut(at) {
        *to = byte;
    }
}

fn put_word(words: &mut [u8], at: usize, word: [u8; 4]) {
    if let Some(to) = words.as_chunks_mut().0.get_mut(at) {
        *to = word;
    }
}

impl Model<'_> {
    /// Adds one layer of `rows` rows of bytes to `out`, `[rows, padded outputs]`.
    #[inline(never)]
    fn add_layer(
        &self,
        part: Part<'_>,
        (outputs, rows, scales): (usize, usize, &[f32]),
        out: &mut [f32],
    ) {
        let layer = Affine {
            parts: &[part],
            start: Start::Out,
            rows: Rows {
                count: rows,
                stride: padded(outputs),
                scales,
            },
            column: 0,
            columns: padded(outputs),
            relu: false,
        };
        kernels::affine(self.isa, &layer, out);
    }

    /// Projections of `rows` rows of a table, `[rows, stride]`, to `[rows, padded dim]`.
    #[inline(never)]
    fn project(
        &self,
        a: &Attending<'_>,
        of: Projection,
        (bytes, rows): (&[u8], usize),
        out: &mut [f32],
    ) {
        let [query, key] = &a.projections;
        let layer = match of {
            Projection::Query => query,
            Projection::Key => key,
        };
        let part = Part {
            bytes,
            stride: stride(a.plan.width),
            weight: layer.weight,
            scale: layer.scale,
            zero: layer.zero_bias,
            quads: layer.quads,
        };
        out.fill(0.0);
        self.add_layer(part, (a.plan.dim, rows, &[]), out);
    }

    /// Keys of the request's lists, once for all of its candidates.
    pub(super) fn keys(&self, inputs: &Inputs<'_, '_, '_>, b: &mut block::Buffers<'_>) {
        let Buffers {
            floats,
            block,
            kept,
            lens,
        } = &mut b.attention;
        let mut kept = &mut **kept;
        kept.fill(0);
        for (a, to) in self.attention.iter().zip(lens) {
            let plan = &a.plan;
            let mut rows = [0; limits::IDS];
            let mut len = 0;
            inputs.attended(a.feature, plan.of, &mut |row| {
                if let Some(to) = rows.get_mut(len) {
                    *to = row;
                    len += 1;
                }
            });
            let rows = rows.get(..len).unwrap_or_default();
            *to = len as u16;
            let Kept {
                keys,
                scales,
                zeros,
                columns,
                ones,
            } = Kept::cut(&mut kept, plan, len);
            for one in ones.as_chunks_mut().0 {
                *one = 1.0f32.to_le_bytes();
            }
            let (width, dim) = (stride(plan.width), padded(plan.dim));
            let of_rows = block.get_mut(..BLOCK * width).unwrap_or_default();
            of_rows.fill(0);
            for (block, rows) in rows.chunks(BLOCK).enumerate() {
                for (r, id) in rows.iter().enumerate() {
                    let bytes = row_mut(of_rows, r, width);
                    let bytes = bytes.get_mut(..plan.width).unwrap_or_default();
                    self.table_row(plan.table, *id, 0).write(bytes);
                    for (d, byte) in bytes.iter().enumerate() {
                        put(columns, place(d, block * BLOCK + r, len), *byte);
                    }
                }
                self.project(a, Projection::Key, (of_rows, rows.len()), floats);
                for r in 0..rows.len() {
                    let (j, key) = (block * BLOCK + r, row(floats, r, dim));
                    let key = key.get(..plan.dim).unwrap_or_default();
                    let (inv, scale) = signed_grid(key, KEY_STEPS);
                    let mut sum = 0;
                    for (i, x) in key.iter().enumerate() {
                        let step = round(*x * inv);
                        sum += step;
                        put(keys, place(j, i, plan.dim), step as u8);
                    }
                    put_word(scales, j, scale.to_le_bytes());
                    // A query's byte is 64 more than its step.
                    put_word(zeros, j, (-64 * sum).to_le_bytes());
                }
            }
        }
    }

    /// What the candidates of `rows` positions from `position` on attend to: their bytes of the cross side.
    pub(super) fn attend(
        &self,
        inputs: &Inputs<'_, '_, '_>,
        b: &mut block::Buffers<'_>,
        (position, rows): (usize, usize),
    ) {
        let block::Buffers {
            attention,
            inputs: sides,
            ..
        } = b;
        let rows = rows.min(BLOCK);
        let [.., to] = sides;
        let to_stride = self.sizes.stride(Side::Cross);
        let mut kept = &mut *attention.kept;
        for (a, len) in self.attention.iter().zip(attention.lens) {
            let len = usize::from(len);
            let kept = Kept::cut(&mut kept, &a.plan, len);
            let to = to.get_mut(a.offset..).unwrap_or_default();
            let mut ids = [0; BLOCK];
            for (r, id) in ids.iter_mut().enumerate().take(rows) {
                *id = inputs.row_at(a.plan.query, position + r);
            }
            let ids = ids.get(..rows).unwrap_or_default();
            let (block, floats) = (&mut *attention.block, &mut *attention.floats);
            self.attend_one(a, (kept, len), (block, floats), ids, (to, to_stride));
        }
    }

    /// The rows of one feature.
    fn attend_one(
        &self,
        a: &Attending<'_>,
        (kept, len): (Kept<'_>, usize),
        (mut block, floats): (&mut [u8], &mut [f32]),
        ids: &[u32],
        (to, to_stride): (&mut [u8], usize),
    ) {
        let (plan, rows) = (&a.plan, ids.len());
        if len == 0 {
            // As a mean of nothing.
            let table = self.tables.get(usize::from(plan.table));
            let zero_points = table.map_or(&[][..], |t| t.zero_points);
            for to in to.chunks_mut(to_stride.max(1)).take(rows) {
                for (to, z) in to.iter_mut().zip(zero_points).take(plan.width) {
                    *to = *z;
                }
            }
            return;
        }
        let (values, lanes) = floats
            .split_at_mut_checked(BLOCK * self::floats(plan, len))
            .unwrap_or_default();
        let (logits, weights) = lanes.split_at_mut_checked(BLOCK * len).unwrap_or_default();
        block.fill(0);
        let [of_rows, queries, digits] = block_bytes(plan, len);
        let of_rows = cut(&mut block, of_rows);
        let queries = cut(&mut block, queries);
        let digits = cut(&mut block, digits);

        let width = stride(plan.width);
        for (id, of_row) in ids.iter().zip(of_rows.chunks_mut(width.max(1))) {
            let bytes = of_row.get_mut(..plan.width).unwrap_or_default();
            self.table_row(plan.table, *id, 0).write(bytes);
        }
        self.project(a, Projection::Query, (of_rows, rows), values);
        let mut query_scales = [0.0; BLOCK];
        let bytes = queries.chunks_mut(stride(plan.dim).max(1));
        for (r, (bytes, to)) in bytes.zip(&mut query_scales).enumerate().take(rows) {
            let query = row(values, r, padded(plan.dim)).get(..plan.dim);
            let query = query.unwrap_or_default();
            let (inv, scale) = signed_grid(query, QUERY_STEPS);
            *to = scale;
            for (byte, x) in bytes.iter_mut().zip(query) {
                *byte = (64 + round(*x * inv)) as u8;
            }
        }

        let keys = Part {
            bytes: queries,
            stride: stride(plan.dim),
            weight: kept.keys,
            scale: kept.scales,
            zero: kept.zeros,
            quads: false,
        };
        let scales = query_scales.get(..rows).unwrap_or_default();
        values.fill(0.0);
        self.add_layer(keys, (len, rows, scales), values);
        // Lanes past the rows have logits of 0.
        logits.fill(0.0);
        let logits = logits.as_chunks_mut::<BLOCK>().0;
        for r in 0..rows {
            for (logits, x) in logits.iter_mut().zip(row(values, r, padded(len))) {
                if let Some(to) = logits.get_mut(r) {
                    *to = *x;
                }
            }
        }
        let weights = weights.as_chunks_mut::<BLOCK>().0;
        kernels::softmax_lanes(self.isa, logits, weights);

        // In digits of 7 bits a weight is an activation.
        let digit = BLOCK * stride(len);
        for (j, weights) in weights.iter().enumerate().take(len) {
            for (r, weight) in weights.iter().enumerate().take(rows) {
                let (mut weight, mut at) = (*weight as u32, r * stride(len) + j);
                for _ in 0..3 {
                    put(digits, at, (weight & 127) as u8);
                    weight >>= 7;
                    at += digit;
                }
            }
        }
        values.fill(0.0);
        for (at, scale) in [1.0, 128.0, 16384.0].into_iter().enumerate() {
            let rows_of = Part {
                bytes: digits.get(at * digit..).unwrap_or_default(),
                stride: stride(len),
                weight: kept.columns,
                scale: kept.ones,
                zero: &[],
                quads: false,
            };
            let scales = [scale; BLOCK];
            let scales = scales.get(..rows).unwrap_or_default();
            self.add_layer(rows_of, (plan.width, rows, scales), values);
        }
        for (r, to) in to.chunks_mut(to_stride.max(1)).enumerate().take(rows) {
            let sums = row(values, r, padded(plan.width)).get(..plan.width);
            for (to, sum) in to.iter_mut().zip(sums.unwrap_or_default()) {
                *to = round(clamp(*sum * (1.0 / 32768.0), 0.0, 127.0)) as u8;
            }
        }
    }
}
