//! Values on the grids of a file that is not written: what the device would compute with, as real numbers again.
use std::prelude::v1::*;

use crate::error::Result;
use crate::spec::{Layer, Projection, Side, Spec, Tensor, TensorSection};
use crate::train::parameters::{Dense, Parameters};

use super::attention::{factor, projection};
use super::grids::{TableGrid, input_grids};
use super::weights::Quantized;
use super::{dense_of, first_layer, query_factor, side_start};

/// The layers of a file that is not written.
pub(crate) struct OnGrids {
    /// Each weight as the integer that the file would hold times what that is worth.
    pub parameters: Parameters<f32>,
    /// By feature that attends, of its queries and keys: the integers themselves. What they make is rounded to steps, and the
    /// last bit of a sum must not decide to which.
    pub projections: Vec<[Quantized; 2]>,
}

/// The dense layers of `p` on their grids. `grids` are those of the tables, whose rows `p` needs not have. Biases, and weights on what other tasks feed, are f32 in the file too.
///
/// # Errors
/// [`Status::BadScale`](crate::error::Status::BadScale) for weights that no file can hold.
pub(crate) fn on_grids(
    spec: &Spec<'_>,
    p: &Parameters<f32>,
    grids: &[TableGrid],
) -> Result<OnGrids> {
    let mut on = p.clone();
    spec.tensors(
        TensorSection::Layers,
        &mut |tensor, _, _, cols| match tensor {
            Tensor::Weight(Layer::First { group, side }) => {
                let layer = first_layer(spec, p, group, side, grids)?;
                put_first(spec, &mut on, (group, side), grids, &layer);
                Ok(())
            }
            Tensor::Weight(name) => {
                let layer = Quantized::dense(&dense_of(spec, p, name), cols)?;
                let (to, factor) = dense_mut(spec, &mut on, name);
                let rows = to.weight.chunks_exact_mut(to.inputs);
                let from = layer.weight.chunks_exact(cols).zip(&layer.scale);
                for (row, (weights, scale)) in rows.zip(from) {
                    for (to, w) in row.iter_mut().zip(weights) {
                        *to = (f64::from(*w) * f64::from(*scale) / factor) as f32;
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        },
    )?;
    let mut projections = Vec::new();
    for (((_, plan), from), to) in spec.attentions().zip(&p.attention).zip(&mut on.attention) {
        let grid = &grids[usize::from(plan.table)];
        let [query, key] = [Projection::Query, Projection::Key];
        let both = [
            projection(&plan, from, grid, query)?,
            projection(&plan, from, grid, key)?,
        ];
        put_projection(&mut to.query, &both[0], grid, factor(&plan, query));
        put_projection(&mut to.key, &both[1], grid, factor(&plan, key));
        projections.push(both);
    }
    Ok(OnGrids {
        parameters: on,
        projections,
    })
}

/// Puts a projection in the place of its weights; that of a dimension which is always 0 stays.
fn put_projection(to: &mut Dense<f32>, layer: &Quantized, grid: &TableGrid, factor: f64) {
    let rows = to.weight.chunks_exact_mut(to.inputs);
    let from = layer.weight.chunks_exact(to.inputs).zip(&layer.scale);
    for (row, (weights, scale)) in rows.zip(from) {
        for ((to, w), of_input) in row.iter_mut().zip(weights).zip(&grid.scales) {
            if *of_input > 0.0 {
                let weight = f64::from(*w) * f64::from(*scale) / f64::from(*of_input);
                *to = (weight / factor) as f32;
            }
        }
    }
}

/// A later layer, and the factor that its weights have in the file.
fn dense_mut<'p>(
    spec: &Spec<'_>,
    p: &'p mut Parameters<f32>,
    layer: Layer,
) -> (&'p mut Dense<f32>, f64) {
    match layer {
        Layer::First { group, .. } => (&mut p.experts[group][0], 1.0),
        Layer::Expert { expert, layer } => (&mut p.experts[expert][layer], 1.0),
        Layer::Gate { task, layer } => (
            &mut p.gates[task][layer],
            f64::from(query_factor(spec, layer)),
        ),
        Layer::Tower { task, layer } => (&mut p.towers[task][layer], 1.0),
        Layer::Head { task } => (&mut p.heads[task], 1.0),
        Layer::UpperExpert { expert, layer } => (&mut p.upper_experts[expert][layer], 1.0),
        Layer::UpperGate { task, layer } => (&mut p.upper_gates[task][layer], 1.0),
    }
}

/// Puts a group's first layer over one side in the place of its weights. The weight of an input is that on its bytes over
/// what a byte is worth; that of an input which is always 0 stays.
fn put_first(
    spec: &Spec<'_>,
    p: &mut Parameters<f32>,
    (group, side): (usize, Side),
    grids: &[TableGrid],
    layer: &Quantized,
) {
    let (inputs, start) = (
        input_grids(spec, group, side, grids),
        side_start(spec, side),
    );
    let experts = if spec.groups() > 1 {
        &mut p.experts[group..=group]
    } else {
        &mut p.experts[..]
    };
    let factor = f64::from(query_factor(spec, 0));
    let experts = experts.iter_mut().filter_map(|layers| layers.first_mut());
    let gates = p.gates.iter_mut().filter_map(|layers| layers.first_mut());
    let rows = experts
        .map(|d| (d, 1.0))
        .chain(gates.map(|d| (d, factor)))
        .flat_map(|(d, factor)| {
            let rows = d.weight.chunks_exact_mut(d.inputs);
            rows.map(move |row| (row, factor))
        });
    let from = layer.weight.chunks_exact(inputs.len()).zip(&layer.scale);
    for ((row, factor), (weights, scale)) in rows.zip(from) {
        for (w, input) in weights.iter().zip(&inputs) {
            if input.scale > 0.0 {
                let weight = f64::from(*w) * f64::from(*scale) / input.scale;
                row[start + input.value] = (weight / factor) as f32;
            }
        }
    }
}
