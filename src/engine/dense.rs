//! Dense layers: exact i32 sums of the kernels, then one f32 multiply and add an output.
//!
//! `see` gets the row, the panel and the i32 sums of everything computed; a closure that does nothing costs nothing.

use super::{Dense, First};
use crate::kernels::{self, Isa};
use crate::math::relu;
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

/// Adds one side's part of the first layer to `sums` (`[rows, outputs]`, outputs a multiple of [`PANEL`]):
/// sums += (weights x inputs + zero bias) x scale. `inputs` are `[rows, stride]` bytes, zero past the side's own.
pub(super) fn add_side(
    isa: Isa,
    layer: &First<'_>,
    inputs: &[u8],
    stride: usize,
    sums: &mut [f32],
    outputs: usize,
    mut see: impl FnMut(usize, usize, &[i32; PANEL]),
) {
    let rows = inputs.len().checked_div(stride).unwrap_or(0);
    for panel in 0..outputs / PANEL {
        let weight = row(layer.weight, panel, PANEL * stride);
        let scale = panel_of(layer.scale, panel, f32::from_le_bytes);
        let start = panel_of(layer.zero_bias, panel, i32::from_le_bytes);
        for r in 0..rows {
            let mut acc = kernels::panel(isa, row(inputs, r, stride), weight);
            for (acc, start) in acc.iter_mut().zip(start) {
                *acc = acc.wrapping_add(start);
            }
            see(r, panel, &acc);
            let out = row_mut(row_mut(sums, r, outputs), panel, PANEL);
            for ((sum, acc), scale) in out.iter_mut().zip(acc).zip(scale) {
                *sum += acc as f32 * scale;
            }
        }
    }
}

/// A hidden layer: out = relu(weights x bytes x (weight scale x row scale) + bias), `[rows, padded outputs]`.
/// `inputs` are `[rows, stride]` bytes, zero past the layer's own; `row_scales` one a row.
pub(super) fn hidden(
    isa: Isa,
    layer: &Dense<'_>,
    inputs: &[u8],
    stride: usize,
    row_scales: &[f32],
    out: &mut [f32],
    mut see: impl FnMut(usize, usize, &[i32; PANEL]),
) {
    let outputs = layer.outputs.next_multiple_of(PANEL);
    for panel in 0..outputs / PANEL {
        let weight = row(layer.weight, panel, PANEL * stride);
        let scale = panel_of(layer.scale, panel, f32::from_le_bytes);
        let bias = panel_of(layer.bias, panel, f32::from_le_bytes);
        for (r, row_scale) in row_scales.iter().enumerate() {
            let acc = kernels::panel(isa, row(inputs, r, stride), weight);
            see(r, panel, &acc);
            let to = row_mut(out, r, outputs)
                .get_mut(panel * PANEL..)
                .unwrap_or_default();
            for (((out, acc), bias), scale) in to.iter_mut().zip(acc).zip(bias).zip(scale) {
                *out = relu(acc as f32 * (scale * *row_scale) + bias);
            }
        }
    }
}

/// A head: one logit = weights x bytes x (weight scale x row scale) + bias.
pub(super) fn head(
    isa: Isa,
    layer: &Dense<'_>,
    input: &[u8],
    row_scale: f32,
    see: impl FnOnce(i32),
) -> f32 {
    let acc = kernels::dot(isa, input, layer.weight);
    see(acc);
    let [scale, ..] = panel_first(layer.scale);
    let [bias, ..] = panel_first(layer.bias);
    acc as f32 * (scale * row_scale) + bias
}

fn panel_first(bytes: &[u8]) -> [f32; 1] {
    [bytes.first_chunk().map_or(0.0, |b| f32::from_le_bytes(*b))]
}

/// Bytes between rows of a layer with so many inputs.
pub(super) fn stride(inputs: usize) -> usize {
    inputs.next_multiple_of(GROUP)
}
