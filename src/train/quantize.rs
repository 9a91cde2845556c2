//! From f32 parameters to the bytes of a model file.
//!
//! | values | grid | scale |
//! |---|---|---|
//! | embeddings | u7, zero point; or its multiples of 8, packed | per table and dimension, over all rows and 0 |
//! | first layer, with its inputs' scales folded in | i8 in [-127, 127] | per output and side |
//! | later layers | i8 in [-127, 127] | per output |
//!
//! A number or a vector already has its grid in the [`Spec`]. Zero points are folded into the first layer's integer
//! bias, so that an embedding row is an activation as it is (Jacob et al., "Quantization and Training of Neural
//! Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018, section 2.3).
//!
//! Invariant: tensors follow each other as [`Spec::tensors`] walks them; no order or shape is written down here.
use std::borrow::Cow;
use std::prelude::v1::*;

use crate::engine::load::SpecHead;
use crate::error::{Error, Result, Status};
use crate::format::{self, REQUIRED, SectionKind, Writer};
use crate::spec::{
    Calibration, Dtype, GROUP, Gate, Layer, PANEL, Side, Spec, TaskKind, Tensor, TensorSection,
    padded,
};
use crate::train::loss::softplus;
use crate::train::parameters::{Dense, Parameters, num_inputs};
pub(crate) use fake::on_grids;
pub(crate) use grids::TableGrid;
use grids::{input_grids, pack};
pub(crate) use weights::Quantized;

mod attention;
mod fake;
mod grids;
mod weights;

/// What is finer than the least scale of a file, 2^-40, is 0.
const SCALE_MIN: f32 = 1.0 / (1u64 << 40) as f32;
/// The greatest step of a file.
const STEP_MAX: f32 = (1 << 30) as f32;

/// What a model looks up in besides embeddings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lookups {
    /// By table: bytes of its vocabulary ([`vocabulary::build`](super::vocabulary::build)), empty for other look-ups.
    pub vocabularies: Vec<Vec<u8>>,
    /// By feature: increasing bucket boundaries, empty for features without buckets.
    pub boundaries: Vec<Vec<f32>>,
    /// By task: knots of an isotonic calibration, logits and then their probabilities; may be empty without any.
    pub knots: Vec<Vec<f32>>,
}

/// The model file of `spec`, whose number grids stand, and `parameters`, which must fit it.
///
/// # Errors
/// Those of [`Spec::check`]; [`Status::BadShape`] if parameters or look-ups do not fit; [`Status::BadScale`] for
/// parameters that are not finite or too large for the file (a scale above 1024, a bias above 2^20).
pub fn quantize(
    spec: &Spec<'_>,
    parameters: &Parameters<f32>,
    lookups: &Lookups,
) -> Result<Vec<u8>> {
    spec.check()?;
    check_shapes(spec, parameters, lookups)?;
    let groups = spec.groups();
    let mut grids = Vec::with_capacity(parameters.tables.len());
    for (i, rows) in parameters.tables.iter().enumerate() {
        let table = &spec.tables[i / groups];
        let dim = usize::from(table.embedding_dim);
        grids.push(TableGrid::of(rows, dim, table.is_packed())?);
    }
    let mut sections = Vec::new();
    for kind in SectionKind::ALL {
        let section = match kind {
            // They tell of the finished file's scores.
            SectionKind::Formula | SectionKind::Quantiles => continue,
            SectionKind::Attention if parameters.attention.is_empty() => continue,
            SectionKind::Attention => attention::section(spec, &parameters.attention, &grids)?,
            SectionKind::Spec => records(spec)?,
            SectionKind::Lookups => write_lookups(spec, lookups)?,
            SectionKind::Embeddings => embeddings(spec, parameters, &grids)?,
            SectionKind::Layers => layers(spec, parameters, &lookups.knots, &grids)?,
        };
        sections.push((*kind as u16, REQUIRED, section));
    }
    format::assemble(&sections)
}

fn holds(condition: bool, status: Status) -> Result<()> {
    if condition {
        Ok(())
    } else {
        Err(Error::new(status))
    }
}

fn check_shapes(spec: &Spec<'_>, p: &Parameters<f32>, lookups: &Lookups) -> Result<()> {
    let fits = |holds_: bool| holds(holds_, Status::BadShape);
    let dense = |d: &Dense<f32>, outputs: usize, inputs: usize| {
        fits(
            (d.outputs, d.inputs) == (outputs, inputs)
                && d.weight.len() == outputs * inputs
                && d.bias.len() == outputs,
        )?;
        holds(
            d.weight.iter().chain(&d.bias).all(|x| x.is_finite()),
            Status::BadScale,
        )
    };
    let (inputs, experts) = (num_inputs(spec), usize::from(spec.network.num_experts));
    let groups = spec.groups();
    fits(p.tables.len() == spec.tables.len() * groups)?;
    fits(lookups.vocabularies.len() == spec.tables.len())?;
    for (i, rows) in p.tables.iter().enumerate() {
        let table = &spec.tables[i / groups];
        fits(rows.len() == table.num_embeddings as usize * usize::from(table.embedding_dim))?;
        holds(rows.iter().all(|x| x.is_finite()), Status::BadScale)?;
    }
    fits(lookups.boundaries.len() == spec.features.len())?;
    for (task, t) in spec.tasks.iter().enumerate() {
        if let Calibration::Isotonic { knots } = t.calibration {
            let given = lookups.knots.get(task).map_or(0, Vec::len);
            fits(given == 2 * usize::from(knots))?;
        }
    }
    fits(p.experts.len() == experts)?;
    let expert = |layers: &[Dense<f32>], mut before: usize| {
        fits(layers.len() == spec.network.expert_layers.len())?;
        for (i, layer) in layers.iter().enumerate() {
            dense(layer, spec.expert_width(i), before)?;
            before = layer.outputs;
        }
        Ok(())
    };
    for layers in &p.experts {
        expert(layers, inputs)?;
    }
    let tasks = spec.tasks.len();
    let gate = |layers: &[Dense<f32>], mut before: usize| {
        fits(layers.len() == spec.network.gate_layers.len() + 1)?;
        for (i, layer) in layers.iter().enumerate() {
            dense(layer, spec.gate_width(i), before)?;
            before = layer.outputs;
        }
        Ok(())
    };
    let gates = if spec.has_gates() {
        spec.input_gates()
    } else {
        0
    };
    fits(p.gates.len() == gates)?;
    p.gates.iter().try_for_each(|layers| gate(layers, inputs))?;
    let upper = spec.own_experts().map_or([0; 2], |_| [experts, tasks]);
    fits([p.upper_experts.len(), p.upper_gates.len()] == upper)?;
    let mixture = spec.mixture_width();
    for layers in &p.upper_experts {
        expert(layers, mixture)?;
    }
    for layers in &p.upper_gates {
        gate(layers, mixture)?;
    }
    fits(p.attention.len() == spec.attentions().count())?;
    for (p, (_, a)) in p.attention.iter().zip(spec.attentions()) {
        for d in [&p.query, &p.key] {
            let weights = a.dim * a.width;
            let shape = (d.outputs, d.inputs, d.weight.len(), d.bias.len());
            fits(shape == (a.dim, a.width, weights, 0))?;
            holds(d.weight.iter().all(|x| x.is_finite()), Status::BadScale)?;
        }
    }
    fits([p.towers.len(), p.heads.len()] == [tasks; 2])?;
    for (task, t) in spec.tasks.iter().enumerate() {
        fits(p.towers[task].len() == t.tower_layers.len())?;
        let mut before = spec.mixture_width() + t.inputs.len();
        for (layer, width) in p.towers[task].iter().zip(&t.tower_layers) {
            dense(layer, usize::from(*width), before)?;
            before = layer.outputs;
        }
        dense(&p.heads[task], t.kind.logits(), before)?;
        let steps = p.steps.get(task).map_or(&[][..], |s| &s.bias);
        match t.kind {
            TaskKind::Steps { thresholds, .. } => fits(steps.len() == usize::from(thresholds))?,
            TaskKind::Quantile { feature, knots } => {
                let knots = usize::from(knots);
                fits(steps.len() == spec.num_groups(feature) * knots)?;
                let rises = |of: &[f32]| of.windows(2).all(|pair| pair[0] <= pair[1]);
                holds(steps.chunks(knots).all(rises), Status::BadScale)?;
            }
            _ => continue,
        }
        let held = |s: &f32| *s == 0.0 || (SCALE_MIN..=STEP_MAX).contains(s);
        holds(steps.iter().all(held), Status::BadScale)?;
    }
    Ok(())
}

fn records(spec: &Spec<'_>) -> Result<Writer> {
    let mut to = Writer::default();
    // Spec::check bounds every count by 128.
    to.record(&SpecHead {
        name: spec.name,
        features: spec.features.len() as u16,
        tables: spec.tables.len() as u16,
        labels: spec.labels.len() as u16,
        tasks: spec.tasks.len() as u16,
        terms: spec.fusion.len() as u16,
    })?;
    spec.features.iter().try_for_each(|f| to.record(f))?;
    spec.tables.iter().try_for_each(|t| to.record(t))?;
    spec.labels.iter().try_for_each(|l| to.record(l))?;
    to.record(&spec.network)?;
    spec.tasks.iter().try_for_each(|t| to.record(t))?;
    spec.fusion.iter().try_for_each(|t| to.record(t))?;
    Ok(to)
}

fn write_lookups(spec: &Spec<'_>, lookups: &Lookups) -> Result<Writer> {
    let mut to = Writer::default();
    spec.tensors(
        TensorSection::Lookups,
        &mut |tensor, dtype, rows, cols| match tensor {
            Tensor::Vocabulary(table) => {
                let bytes = &lookups.vocabularies[table];
                to.tensor(dtype, bytes.len() / cols, cols, bytes)
            }
            Tensor::Boundaries(feature) => {
                to.tensor(dtype, rows, cols, &f32_bytes(&lookups.boundaries[feature]))
            }
            _ => Ok(()),
        },
    )?;
    Ok(to)
}

fn embeddings(spec: &Spec<'_>, p: &Parameters<f32>, grids: &[TableGrid]) -> Result<Writer> {
    let mut to = Writer::default();
    let groups = spec.groups();
    let of = |table: usize| table * groups..(table + 1) * groups;
    spec.tensors(
        TensorSection::Embeddings,
        &mut |tensor, dtype, rows, cols| match tensor {
            Tensor::TableScale(i) => {
                let scales = of(i).flat_map(|t| grids[t].scales.iter().copied());
                to.tensor(dtype, rows, cols, &f32_bytes(&scales.collect::<Vec<_>>()))
            }
            Tensor::TableZeroPoint(i) => {
                let zero_points = of(i).flat_map(|t| grids[t].zero_points.iter().copied());
                to.tensor(dtype, rows, cols, &zero_points.collect::<Vec<_>>())
            }
            Tensor::TableRows(i) => {
                let parts: Vec<Vec<u8>> = of(i).map(|t| grids[t].quantize(&p.tables[t])).collect();
                let row = |r: usize| parts.iter().flat_map(move |part| &part[r * cols..][..cols]);
                let mut data: Vec<u8> = (0..rows / groups).flat_map(row).copied().collect();
                if dtype == Dtype::U4 {
                    data = pack(&data, cols);
                }
                to.tensor(dtype, rows, cols, &data)
            }
            _ => Ok(()),
        },
    )?;
    Ok(to)
}

/// Weights and biases of a group's first layer, output by output in file order: experts, then gates.
fn first_rows(
    spec: &Spec<'_>,
    p: &Parameters<f32>,
    group: usize,
) -> impl Iterator<Item = (Vec<f32>, f32)> {
    let experts = if spec.groups() > 1 {
        &p.experts[group..=group]
    } else {
        &p.experts[..]
    };
    let experts = experts.iter().filter_map(|layers| layers.first());
    let gates = p.gates.iter().filter_map(|layers| layers.first());
    let factor = query_factor(spec, 0);
    experts
        .map(|d| (d, 1.0))
        .chain(gates.map(move |d| (d, factor)))
        .flat_map(|(d, factor)| {
            let rows = d.weight.chunks_exact(d.inputs).zip(&d.bias);
            rows.map(move |(row, bias)| (row.iter().map(|w| w * factor).collect(), bias * factor))
        })
}

/// The file's queries carry the 1 / sqrt(width) of their dot products.
fn query_factor(spec: &Spec<'_>, layer: usize) -> f32 {
    let last = layer == spec.network.gate_layers.len();
    if last && spec.network.gate == Gate::Attention {
        (1.0 / libm::sqrt(spec.mixture_width() as f64)) as f32
    } else {
        1.0
    }
}

/// The first of a side's inputs in those of the f32 network.
fn side_start(spec: &Spec<'_>, side: Side) -> usize {
    let before = Side::ALL.iter().take(side as usize);
    before.map(|s| spec.side_values(*s)).sum()
}

fn first_layer(
    spec: &Spec<'_>,
    p: &Parameters<f32>,
    group: usize,
    side: Side,
    grids: &[TableGrid],
) -> Result<Quantized> {
    let start = side_start(spec, side);
    let inputs = input_grids(spec, group, side, grids);
    let rows = first_rows(spec, p, group).map(|(row, _)| {
        inputs
            .iter()
            .map(|input| f64::from(row[start + input.value]) * input.scale)
            .collect::<Vec<f64>>()
    });
    let mut layer = Quantized::of(rows)?;
    let zero_points: Vec<u8> = inputs.iter().map(|input| input.zero_point).collect();
    layer.fold(&zero_points);
    Ok(layer)
}

fn layers(
    spec: &Spec<'_>,
    p: &Parameters<f32>,
    knots: &[Vec<f32>],
    grids: &[TableGrid],
) -> Result<Writer> {
    let mut to = Writer::default();
    let mut layer = Quantized::default();
    spec.tensors(
        TensorSection::Layers,
        &mut |tensor, dtype, rows, cols| match tensor {
            // A layer's weights come before its scales and biases.
            Tensor::Weight(name) => {
                layer = match name {
                    Layer::First { group, side } => first_layer(spec, p, group, side, grids)?,
                    later => Quantized::dense(&dense_of(spec, p, later), cols)?,
                };
                let data = match dtype {
                    Dtype::I8Panel => panels(&layer.weight, rows, cols),
                    _ => layer.weight.iter().map(|w| *w as u8).collect(),
                };
                to.tensor(dtype, rows, cols, &data)
            }
            Tensor::Scale(_) => to.tensor(dtype, rows, cols, &f32_bytes(&layer.scale[..cols])),
            Tensor::ZeroBias { .. } => to.tensor(dtype, rows, cols, &layer.zero_bias_bytes()),
            Tensor::Bias(name) => {
                let bias: Vec<f32> = match name {
                    Layer::First { group, .. } => {
                        first_rows(spec, p, group).map(|(_, bias)| bias).collect()
                    }
                    later => dense_of(spec, p, later).bias.clone(),
                };
                let mut bias = bias
                    .into_iter()
                    .map(bias_of)
                    .collect::<Result<Vec<f32>>>()?;
                bias.resize(cols, 0.0);
                to.tensor(dtype, rows, cols, &f32_bytes(&bias))
            }
            Tensor::Fed(name) => {
                let dense = dense_of(spec, p, name);
                let mut data = Vec::with_capacity(rows * cols);
                for input in dense.inputs - rows..dense.inputs {
                    let column = dense.weight.iter().skip(input).step_by(dense.inputs);
                    let column: Result<Vec<f32>> = column.map(|w| fed_weight(*w)).collect();
                    let start = data.len();
                    data.extend(column?);
                    data.resize(start + cols, 0.0);
                }
                to.tensor(dtype, rows, cols, &f32_bytes(&data))
            }
            Tensor::Knots(task) => to.tensor(dtype, rows, cols, &f32_bytes(&knots[task])),
            Tensor::Steps(task) => to.tensor(dtype, rows, cols, &f32_bytes(&p.steps[task].bias)),
            _ => Ok(()),
        },
    )?;
    Ok(to)
}

/// A later layer, gates with [`query_factor`].
fn dense_of<'p>(spec: &Spec<'_>, p: &'p Parameters<f32>, layer: Layer) -> Cow<'p, Dense<f32>> {
    Cow::Borrowed(match layer {
        // The first layer's own rows are those of all experts and gates: `first_rows`.
        Layer::First { group, .. } => &p.experts[group][0],
        Layer::Expert { expert, layer } => &p.experts[expert][layer],
        Layer::Gate { task, layer } => {
            let (dense, factor) = (&p.gates[task][layer], query_factor(spec, layer));
            if factor != 1.0 {
                let mut dense = dense.clone();
                let values = dense.weight.iter_mut().chain(&mut dense.bias);
                values.for_each(|w| *w *= factor);
                return Cow::Owned(dense);
            }
            dense
        }
        Layer::Tower { task, layer } => &p.towers[task][layer],
        Layer::Head { task } => {
            let head = &p.heads[task];
            if spec.tasks[task].kind.head_rows() < head.outputs {
                return Cow::Owned(in_order(head));
            }
            head
        }
        Layer::UpperExpert { expert, layer } => &p.upper_experts[expert][layer],
        Layer::UpperGate { task, layer } => &p.upper_gates[task][layer],
    })
}

/// A head of logits in order as the file has it: the weights of all, and the bias of each.
fn in_order(head: &Dense<f32>) -> Dense<f32> {
    let mut bias = head.bias.clone();
    for m in 1..bias.len() {
        bias[m] = bias[m - 1] - softplus(bias[m]);
    }
    Dense {
        outputs: 1,
        inputs: head.inputs,
        weight: head.weight[..head.inputs].to_vec(),
        bias,
    }
}

/// A weight of what another task feeds: too small ones are 0.
fn fed_weight(weight: f32) -> Result<f32> {
    holds(weight.abs() <= (1 << 20) as f32, Status::BadScale)?;
    Ok(if weight.abs() < SCALE_MIN {
        0.0
    } else {
        weight
    })
}

/// `[outputs, inputs]` row-major to `[ceil(outputs / 16)][ceil(inputs / 4)][16][4]`, zero past the edges.
fn panels(weight: &[i8], outputs: usize, inputs: usize) -> Vec<u8> {
    let groups = inputs.div_ceil(GROUP);
    let mut bytes = vec![0; padded(outputs) * groups * GROUP];
    for (o, row) in weight.chunks_exact(inputs).enumerate() {
        for (i, w) in row.iter().enumerate() {
            let block = o / PANEL * groups + i / GROUP;
            bytes[(block * PANEL + o % PANEL) * GROUP + i % GROUP] = *w as u8;
        }
    }
    bytes
}

/// A scale that the file may hold.
fn scale(scale: f64) -> Result<f32> {
    let scale = scale as f32;
    holds(scale <= 1024.0, Status::BadScale)?;
    Ok(if scale < SCALE_MIN { 0.0 } else { scale })
}

/// A bias that the file may hold: subnormal ones are 0.
fn bias_of(bias: f32) -> Result<f32> {
    holds(bias.abs() <= (1 << 20) as f32, Status::BadScale)?;
    Ok(if bias.is_normal() { bias } else { 0.0 })
}

/// `x` rounded to an integer, half to even, for |x| < 2^51: adding and subtracting 1.5 x 2^52, which a loop does for several
/// values at once.
#[inline]
fn rint(x: f64) -> f64 {
    const ROUND: f64 = 6_755_399_441_055_744.0;
    (x + ROUND) - ROUND
}

fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}
