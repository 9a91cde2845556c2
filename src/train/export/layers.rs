//! What each table and layer of a file costs: the f32 network and the same on the device's grids, on the same rows.
use std::prelude::v1::*;

use core::fmt;
use core::ops::Range;

use rayon::prelude::*;
use serde::Serialize;

use super::refused_file;
use crate::spec::{Projection, Spec};
use crate::train::dataset::Dataset;
use crate::train::error::Result;
use crate::train::network::fake_quantize::{Part, TableForm};
use crate::train::network::forward::{Activations, SHARD_ROWS};
use crate::train::network::{InputKind, InputPlan, Network, Span, Weights};
use crate::train::parameters::Parameters;

/// What the device's grids do to one table or layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerError {
    /// "table item", "expert 0, layer 1", "tower click, layer 1", ...
    pub name: String,
    /// Root mean square of device less f32 over that of f32, of its outputs on the device, where all before it is on grids
    /// too: of a table's what inputs read, of a layer's its activations. `None` where f32 is 0 throughout, or for what has no outputs of
    /// its own.
    pub outputs: Option<f64>,
    /// Root mean square of what the logits change by if this alone is on its grid (a table's rows, a layer's weights), over
    /// their standard deviation: the largest of all tasks.
    pub alone: Option<f64>,
    /// The task of `alone`.
    pub task: String,
}

/// The errors of all parts of a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Layers {
    /// Rows that they are measured on.
    pub rows: usize,
    /// Tables, numbers, activations, what attends to lists, then layers in their order, and all together.
    pub errors: Vec<LayerError>,
}

/// Which activations a part makes.
enum Outputs {
    /// Columns of x.
    Inputs(Vec<Range<usize>>),
    /// Queries or keys of a feature that attends.
    Projections(usize, Projection),
    /// Of an expert's layer.
    Expert(usize, usize),
    /// A gate's weights of the experts.
    Gate(usize),
    /// Of an expert's layer of the second level.
    UpperExpert(usize, usize),
    /// A gate's weights of those experts.
    UpperGate(usize),
    /// Of a tower's layer.
    Tower(usize, usize),
    /// A task's logit.
    Head(usize),
    None,
}

struct Named {
    name: String,
    outputs: Outputs,
    part: Option<Part>,
    /// Of weights.
    weights: Vec<Range<usize>>,
}

fn named(network: &Network, spec: &Spec<'_>) -> Vec<Named> {
    let mut all = Vec::new();
    let groups = network.groups;
    let of_task = |i: usize| {
        let of = (groups > 1).then(|| format!(" of {}", spec.tasks[i % groups].name));
        of.unwrap_or_default()
    };
    for t in 0..spec.tables.len() * groups {
        let inputs = network.inputs.iter().filter(|i| i.kind.table() == Some(t));
        let columns = inputs.map(|i| i.offset..i.offset + i.dim).collect();
        all.push(Named {
            name: format!("table {}{}", spec.tables[t / groups].name, of_task(t)),
            outputs: Outputs::Inputs(columns),
            part: Some(Part::Table(t)),
            weights: Vec::new(),
        });
    }
    let is_number = |i: &&InputPlan| i.kind == InputKind::Value;
    let numbers: Vec<Range<usize>> = (network.inputs.iter().filter(is_number))
        .map(|i| i.offset..i.offset + i.dim)
        .collect();
    if !numbers.is_empty() {
        all.push(Named {
            name: "numbers".into(),
            outputs: Outputs::Inputs(numbers),
            part: Some(Part::Numbers),
            weights: Vec::new(),
        });
    }
    all.push(Named {
        name: "activations, gates".into(),
        outputs: Outputs::None,
        part: Some(Part::Activations),
        weights: Vec::new(),
    });
    for (i, ((feature, _), plan)) in spec.attentions().zip(&network.attention).enumerate() {
        let (name, input) = (spec.features[feature].name, network.inputs[plan.input]);
        for (matrix, of, what) in [
            (plan.query, Projection::Query, "query"),
            (plan.key, Projection::Key, "key"),
        ] {
            all.push(Named {
                name: format!("attention {name}, {what}"),
                outputs: Outputs::Projections(i, of),
                part: None,
                weights: vec![matrix.weights()],
            });
        }
        let columns = input.offset..input.offset + input.dim;
        all.push(Named {
            name: format!("attention {name}, steps, shares"),
            outputs: Outputs::Inputs(vec![columns]),
            part: Some(Part::Attention(i)),
            weights: Vec::new(),
        });
    }
    let mut add = |name: String, outputs: Outputs, spans: &[Span]| {
        all.push(Named {
            name,
            outputs,
            part: None,
            weights: spans.iter().map(Span::weights).collect(),
        });
    };
    for (e, spans) in network.experts.iter().enumerate() {
        for (l, span) in spans.iter().enumerate() {
            let name = format!("expert {e}, layer {l}");
            add(name, Outputs::Expert(e, l), &[*span]);
        }
    }
    for (t, spans) in network.gates.iter().enumerate() {
        let of = spec.tasks.get(t).map_or("shared", |t| t.name);
        add(format!("gate {of}"), Outputs::Gate(t), spans);
    }
    for (e, spans) in network.upper_experts().iter().enumerate() {
        for (l, span) in spans.iter().enumerate() {
            let name = format!("level 2: expert {e}, layer {l}");
            add(name, Outputs::UpperExpert(e, l), &[*span]);
        }
    }
    for (t, spans) in network.upper_gates().iter().enumerate() {
        let name = format!("level 2: gate {}", spec.tasks[t].name);
        add(name, Outputs::UpperGate(t), spans);
    }
    for (t, spans) in network.towers.iter().enumerate() {
        let task = spec.tasks[t].name;
        for (l, span) in spans.iter().enumerate() {
            let name = format!("tower {task}, layer {l}");
            add(name, Outputs::Tower(t, l), &[*span]);
        }
        let name = format!("head {task}");
        add(name, Outputs::Head(t), &[network.heads[t]]);
    }
    all
}

impl Outputs {
    /// Sums of squares of the difference and of f32, of one shard.
    fn squares(
        &self,
        network: &Network,
        weights: &Weights<f32>,
        f32: &Activations<f32>,
        on: &Activations<f32>,
    ) -> [f64; 2] {
        let of = |a: &[f32], b: &[f32], stride: usize, columns: &[Range<usize>]| {
            let mut sums = [0.0; 2];
            for (a, b) in a.chunks(stride).zip(b.chunks(stride)) {
                for columns in columns {
                    for (a, b) in a[columns.clone()].iter().zip(&b[columns.clone()]) {
                        let (a, b) = (f64::from(*a), f64::from(*b));
                        sums[0] += (b - a) * (b - a);
                        sums[1] += a * a;
                    }
                }
            }
            sums
        };
        match self {
            Self::Inputs(columns) => of(&f32.x, &on.x, network.x_stride(), columns),
            Self::Projections(i, of) => network.attended_squares(weights, *i, *of, f32, on),
            Self::Expert(e, l) => {
                let width = network.expert_widths[*l];
                let (a, b) = (&f32.hidden[*l], &on.hidden[*l]);
                let columns = e * width..(e + 1) * width;
                of(a, b, network.hidden_stride(*l), &[columns])
            }
            Self::Gate(t) | Self::UpperGate(t) => {
                let n = network.num_experts;
                let (a, b) = match self {
                    Self::Gate(_) => (&f32.shares, &on.shares),
                    _ => (&f32.upper.shares, &on.upper.shares),
                };
                of(&a[*t], &b[*t], n, core::slice::from_ref(&(0..n)))
            }
            Self::UpperExpert(e, l) => {
                let width = network.expert_widths[*l];
                let (a, b) = (&f32.upper.hidden[*l], &on.upper.hidden[*l]);
                let columns = e * width..(e + 1) * width;
                of(a, b, network.num_experts * width, &[columns])
            }
            Self::Tower(t, l) => {
                let n = network.towers[*t][*l].outputs;
                let (a, b) = (&f32.towers[*t][*l], &on.towers[*t][*l]);
                of(a, b, n, core::slice::from_ref(&(0..n)))
            }
            Self::Head(t) => {
                let n = network.num_tasks();
                of(
                    &f32.logits,
                    &on.logits,
                    n,
                    core::slice::from_ref(&(*t..t + 1)),
                )
            }
            Self::None => [0.0; 2],
        }
    }
}

/// The task whose logits `[rows, tasks]` change most in relation to their standard deviation, and by how much.
fn change(tasks: usize, f32: &[f32], on: &[f32]) -> (usize, Option<f64>) {
    let of = |t: usize| {
        let a = || f32.iter().skip(t).step_by(tasks).map(|z| f64::from(*z));
        let b = || on.iter().skip(t).step_by(tasks).map(|z| f64::from(*z));
        let n = a().count().max(1) as f64;
        let mean = a().sum::<f64>() / n;
        let spread: f64 = a().map(|z| (z - mean) * (z - mean)).sum();
        let moved: f64 = a().zip(b()).map(|(a, b)| (b - a) * (b - a)).sum();
        (spread > 0.0).then(|| libm::sqrt(moved / spread))
    };
    let all = (0..tasks).map(|t| (t, of(t)));
    let most = all.max_by(|a, b| a.1.unwrap_or(0.0).total_cmp(&b.1.unwrap_or(0.0)));
    most.unwrap_or_default()
}

/// Measures every part of the file of `parameters` on `rows` of `data`; `forms` are those of the tables of `spec`.
///
/// # Errors
/// [`Kind::Refused`](crate::train::error::Kind::Refused) for parameters that no file can hold.
pub fn layers(
    spec: &Spec<'_>,
    parameters: &Parameters<f32>,
    forms: &[TableForm],
    data: &Dataset,
    rows: &[u32],
) -> Result<Layers> {
    let f32 = Network::new(spec);
    let exact = f32.weights(parameters.clone());
    let mut on = f32.clone();
    let dense = on.put_on_grids(spec, forms, &exact);
    let all = Weights {
        tables: exact.tables.clone(),
        dense: dense.map_err(|e| refused_file(&e))?,
    };
    let named = named(&f32, spec);
    let shard = |rows: &[u32]| -> Vec<[f64; 2]> {
        let (mut a, mut b) = (Activations::default(), Activations::default());
        f32.forward(&exact, data, rows, 0, None, &mut a);
        on.forward(&all, data, rows, 0, None, &mut b);
        let squares = named
            .iter()
            .map(|n| n.outputs.squares(&f32, &exact, &a, &b));
        squares.collect()
    };
    let shards: Vec<Vec<[f64; 2]>> = rows.par_chunks(SHARD_ROWS).map(shard).collect();
    let (tasks, logits) = (spec.tasks.len(), f32.predict(&exact, data, rows));
    let error =
        |name: &str, outputs: Option<f64>, (task, alone): (usize, Option<f64>)| LayerError {
            name: name.into(),
            outputs,
            alone,
            task: spec.tasks[task].name.into(),
        };
    let mut errors = Vec::new();
    let (mut one, mut weights) = (f32.clone(), exact.clone());
    for (i, n) in named.iter().enumerate() {
        let sums = shards.iter().fold([0.0; 2], |s, shard| {
            [s[0] + shard[i][0], s[1] + shard[i][1]]
        });
        let outputs = (sums[1] > 0.0).then(|| libm::sqrt(sums[0] / sums[1]));
        one.grids = n.part.and_then(|part| Some(on.grids.as_ref()?.only(part)));
        for range in &n.weights {
            weights.dense[range.clone()].copy_from_slice(&all.dense[range.clone()]);
        }
        let alone = change(tasks, &logits, &one.predict(&weights, data, rows));
        errors.push(error(&n.name, outputs, alone));
        for range in &n.weights {
            weights.dense[range.clone()].copy_from_slice(&exact.dense[range.clone()]);
        }
    }
    let together = change(tasks, &logits, &on.predict(&all, data, rows));
    errors.push(error("all together", None, together));
    Ok(Layers {
        rows: rows.len(),
        errors,
    })
}

impl fmt::Display for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |x: Option<f64>| x.map_or("-".into(), |x| format!("{:.3} %", x * 100.0));
        writeln!(
            f,
            "error against f32 on {} rows: of outputs, all before being on the device's grids too; of logits, this alone being on its grid",
            self.rows
        )?;
        writeln!(
            f,
            "{:<44} {:>11} {:>11}  task",
            "table or layer", "outputs", "logits"
        )?;
        for e in &self.errors {
            writeln!(
                f,
                "{:<44} {:>11} {:>11}  {}",
                e.name,
                percent(e.outputs),
                percent(e.alone),
                e.task
            )?;
        }
        Ok(())
    }
}
