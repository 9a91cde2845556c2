//! Dense layers: exact i32 sums of the kernels, then one f32 multiply and add an output.
//!
//! `see` gets the row, the panel and the i32 sums of everything computed; a closure that does nothing costs nothing.

use super::{Dense, First};
use crate::kernels::{self, Isa};
use crate::spec::{GROUP, PANEL};

/// Row `index` of rows `stride` apart; empty past the end.
#[inline]
pub(super) fn row<T>(rows: &[T], index: usize, stride: usize) -> &[T] {
    rows.get(index * stride..(index + 1) * stride)
        .unwrap_or_default()
}

/// Row `index` of rows `stride` apart, to write; empty past the end.
#[inline]
pub(super) fn row_mut<T>(rows: &mut [T], index: usize, stride: usize) -> &mut [T] {
    rows.get_mut(index * stride..(index + 1) * stride)
        .unwrap_or_default()
}

/// Little-endian f32 (or, by `from`, i32) number `index`'s panel.
#[inline]
fn panel_of<T: Copy + Default>(bytes: &[u8], panel: usize, from: fn([u8; 4]) -> T) -> [T; PANEL] {
    let mut values = [T::default(); PANEL];
    let bytes = row(bytes, panel, PANEL * 4);
    for (value, b) in values.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *value = from(*b);
    }
    values
}

/// Adds one side's part of a group's first layer to the columns `column..` of `sums` (`[rows, columns]`, all multiples
/// of [`PANEL`]): sums += (weights x inputs + zero bias) x scale. `inputs` are `[rows, stride]` bytes, zero past the
/// side's own.
pub(super) fn add_side(
    isa: Isa,
    layer: &First<'_>,
    inputs: &[u8],
    stride: usize,
    sums: &mut [f32],
    (columns, column): (usize, usize),
    mut see: impl FnMut(usize, usize, &[i32; PANEL]),
) {
    let rows = inputs.len().checked_div(stride).unwrap_or(0);
    for panel in 0..layer.scale.len() / (4 * PANEL) {
        let weight = row(layer.weight, panel, PANEL * stride);
        let scale = panel_of(layer.scale, panel, f32::from_le_bytes);
        let start = panel_of(layer.zero_bias, panel, i32::from_le_bytes);
        for r in 0..rows {
            let mut acc = kernels::panel(isa, row(inputs, r, stride), weight);
            for (acc, start) in acc.iter_mut().zip(start) {
                *acc = acc.wrapping_add(start);
            }
            see(r, panel, &acc);
            let out = row_mut(row_mut(sums, r, columns), column / PANEL + panel, PANEL);
            for ((sum, acc), scale) in out.iter_mut().zip(acc).zip(scale) {
                *sum += acc as f32 * scale;
            }
        }
    }
}

/// Rows of quantized activations.
#[derive(Clone, Copy)]
pub(super) struct Rows<'b> {
    /// `[rows, stride]` bytes, zero past the layer's own.
    pub bytes: &'b [u8],
    /// One a row.
    pub scales: &'b [f32],
}

/// A layer: out = weights x bytes x (weight scale x row scale) + bias, `[rows, padded outputs]`.
pub(super) fn layer(
    isa: Isa,
    layer: &Dense<'_>,
    rows: Rows<'_>,
    out: &mut [f32],
    mut see: impl FnMut(usize, usize, &[i32; PANEL]),
) {
    let outputs = layer.outputs.next_multiple_of(PANEL);
    let stride = stride(layer.inputs);
    for panel in 0..outputs / PANEL {
        let weight = row(layer.weight, panel, PANEL * stride);
        let scale = panel_of(layer.scale, panel, f32::from_le_bytes);
        let bias = panel_of(layer.bias, panel, f32::from_le_bytes);
        for (r, row_scale) in rows.scales.iter().enumerate() {
            let acc = kernels::panel(isa, row(rows.bytes, r, stride), weight);
            see(r, panel, &acc);
            let to = row_mut(out, r, outputs)
                .get_mut(panel * PANEL..)
                .unwrap_or_default();
            for (((out, acc), bias), scale) in to.iter_mut().zip(acc).zip(bias).zip(scale) {
                *out = acc as f32 * (scale * *row_scale) + bias;
            }
        }
    }
}

/// Adds a layer's fed weights x what other tasks feed to one of its rows, input by input.
pub(super) fn add_fed(layer: &Dense<'_>, fed: &[f32], out: &mut [f32]) {
    for (weights, value) in layer.fed.chunks_exact((4 * out.len()).max(1)).zip(fed) {
        for (out, weight) in out.iter_mut().zip(weights.as_chunks::<4>().0) {
            *out += f32::from_le_bytes(*weight) * *value;
        }
    }
}

/// A head: one logit, as an output of [`layer`] with what is fed.
pub(super) fn head(
    isa: Isa,
    layer: &Dense<'_>,
    input: &[u8],
    row_scale: f32,
    fed: &[f32],
    see: impl FnOnce(i32),
) -> f32 {
    let acc = kernels::dot(isa, input, layer.weight);
    see(acc);
    let [scale, ..] = panel_first(layer.scale);
    let [bias, ..] = panel_first(layer.bias);
    let mut logit = acc as f32 * (scale * row_scale) + bias;
    add_fed(layer, fed, core::slice::from_mut(&mut logit));
    logit
}

fn panel_first(bytes: &[u8]) -> [f32; 1] {
    [bytes.first_chunk().map_or(0.0, |b| f32::from_le_bytes(*b))]
}

/// Bytes between rows of a layer with so many inputs.
pub(super) fn stride(inputs: usize) -> usize {
    inputs.next_multiple_of(GROUP)
}
