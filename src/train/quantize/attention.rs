//! Projections of features that attend: the scales of their table's dimensions are folded into the weights, its zero points
//! into an integer bias, and 1 / sqrt(dim) into the query's.
use std::prelude::v1::*;

use super::grids::TableGrid;
use super::weights::Quantized;
use super::{f32_bytes, panels};
use crate::error::Result;
use crate::format::Writer;
use crate::spec::{Attention, Projection, Spec, Tensor, TensorSection};
use crate::train::parameters::Projections;

/// The section of `parameters`, one for each feature that attends.
pub(super) fn section(
    spec: &Spec<'_>,
    parameters: &[Projections<f32>],
    grids: &[TableGrid],
) -> Result<Writer> {
    let mut to = Writer::default();
    let mut layer = Quantized::default();
    spec.tensors(
        TensorSection::Attention,
        &mut |tensor, dtype, rows, cols| match tensor {
            // Weights come before their scales and biases.
            Tensor::ProjectionWeight(feature, of) => {
                let mut attentions = spec.attentions().zip(parameters);
                let found = attentions.find(|((i, _), _)| *i == feature);
                let ((_, plan), p) = found.expect("the walk is over the spec's own features");
                let grid = &grids[usize::from(plan.table)];
                layer = projection(&plan, p, grid, of)?;
                to.tensor(dtype, rows, cols, &panels(&layer.weight, rows, cols))
            }
            Tensor::ProjectionScale(..) => {
                to.tensor(dtype, rows, cols, &f32_bytes(&layer.scale[..cols]))
            }
            Tensor::ProjectionZeroBias(..) => {
                to.tensor(dtype, rows, cols, &layer.zero_bias_bytes())
            }
            _ => Ok(()),
        },
    )?;
    Ok(to)
}

/// What the weights of a projection are multiplied with in the file.
pub(super) fn factor(plan: &Attention, of: Projection) -> f64 {
    match of {
        Projection::Query => 1.0 / libm::sqrt(plan.dim as f64),
        Projection::Key => 1.0,
    }
}

/// A projection of rows on `grid`.
pub(super) fn projection(
    plan: &Attention,
    parameters: &Projections<f32>,
    grid: &TableGrid,
    of: Projection,
) -> Result<Quantized> {
    let factor = factor(plan, of);
    let dense = match of {
        Projection::Query => &parameters.query,
        Projection::Key => &parameters.key,
    };
    let rows = dense.weight.chunks_exact(dense.inputs).map(|row| {
        let scaled = row.iter().zip(&grid.scales);
        let scaled = scaled.map(|(w, scale)| f64::from(*w) * f64::from(*scale) * factor);
        scaled.collect::<Vec<f64>>()
    });
    let mut layer = Quantized::of(rows)?;
    layer.fold(&grid.zero_points);
    Ok(layer)
}
