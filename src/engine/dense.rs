//! Rows of buffers, what other tasks feed, and heads.

use super::Dense;
use crate::kernels::{self, Isa};
use crate::spec::GROUP;

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

/// Adds a layer's fed weights x what other tasks feed to one of its rows, input by input.
pub(super) fn add_fed(layer: &Dense<'_>, fed: &[f32], out: &mut [f32]) {
    for (weights, value) in layer.fed.chunks_exact((4 * out.len()).max(1)).zip(fed) {
        for (out, weight) in out.iter_mut().zip(weights.as_chunks::<4>().0) {
            *out += f32::from_le_bytes(*weight) * *value;
        }
    }
}

/// One logit of a head: what its rows share.
pub(super) struct Head<'a> {
    layer: &'a Dense<'a>,
    weight: &'a [u8],
    scale: f32,
    bias: f32,
}

impl<'a> Head<'a> {
    /// Logit `index`. A head whose logits are of one sum has one row of weights, and one scale.
    pub fn new(layer: &'a Dense<'a>, index: usize) -> Self {
        let row_of = if layer.outputs == 1 { 0 } else { index };
        Self {
            layer,
            weight: row(layer.weight, row_of, layer.inputs),
            scale: float(layer.scale, row_of),
            bias: float(layer.bias, index),
        }
    }

    /// The logit of a row, as an output of [`kernels::affine`], with what is fed. `see` gets the i32 sum.
    pub fn logit(
        &self,
        isa: Isa,
        (input, row_scale): (&[u8], f32),
        fed: &[f32],
        see: impl FnOnce(i32),
    ) -> f32 {
        let acc = kernels::dot(isa, input, self.weight);
        see(acc);
        let mut logit = acc as f32 * (self.scale * row_scale) + self.bias;
        add_fed(self.layer, fed, core::slice::from_mut(&mut logit));
        logit
    }
}

/// Number `index` of little-endian floats; 0 past the end.
pub(super) fn float(bytes: &[u8], index: usize) -> f32 {
    let float = bytes.as_chunks::<4>().0.get(index);
    float.map_or(0.0, |b| f32::from_le_bytes(*b))
}

/// Bytes between rows of a layer with so many inputs.
pub(super) fn stride(inputs: usize) -> usize {
    (inputs + (GROUP - 1)) & !(GROUP - 1)
}
