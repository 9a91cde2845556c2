//! The plan of a network: where each input, layer and parameter lies. Forward is in [`forward`], backward in
//! [`backward`].
//!
//! Dense parameters live in one flat vector in which the first layers of all experts, then of all gates, are the rows
//! of one matrix `[first_outputs, num_inputs]`, so that one GEMM computes them; [`Parameters`] holds the same values
//! layer by layer. A network without anything shared has such a matrix, and tables, for each task.
use std::prelude::v1::*;

use core::ops::Range;

use crate::spec::{
    Encoding, Feature, Fed, Gate, NetworkKind, Pooling, Side, Source, Spec, TaskKind,
};
use crate::train::dataset::Dataset;
use crate::train::network::attention::AttentionPlan;
use crate::train::network::bias::{Bias, BiasPlan};
#[cfg(doc)]
use crate::train::parameters::Parameters;

pub(crate) mod attention;
pub mod backward;
pub mod bias;
pub(crate) mod fake_quantize;
pub mod forward;
pub mod gather;
mod head;
mod levels;
mod own;
pub(crate) mod upper;
mod weights;
pub(crate) use weights::Weights;

/// Where a run of inputs comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum InputKind {
    /// One row of a table.
    Row { table: usize },
    /// Pooled rows of a table.
    Rows { table: usize, pooling: Pooling },
    /// A number's bucket, as a row of a table.
    Bucket { table: usize },
    /// A number's value.
    Value,
    /// (byte - zero point) x step.
    Vector { zero_point: f64, step: f64 },
    /// Rows of a list by the candidate: see [`attention`].
    Attention,
}

impl InputKind {
    pub(crate) fn table(self) -> Option<usize> {
        match self {
            Self::Row { table } | Self::Rows { table, .. } | Self::Bucket { table } => Some(table),
            Self::Value | Self::Vector { .. } | Self::Attention => None,
        }
    }
}

/// One run of inputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct InputPlan {
    pub feature: usize,
    /// Stored once a request.
    pub user: bool,
    /// The task that alone reads it; `None`: all do.
    pub owner: Option<usize>,
    pub offset: usize,
    pub dim: usize,
    pub kind: InputKind,
}

/// Where a dense layer lies in the flat vector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub weight: usize,
    pub bias: usize,
    pub outputs: usize,
    pub inputs: usize,
}

impl Span {
    pub(crate) fn weights(&self) -> Range<usize> {
        self.weight..self.weight + self.outputs * self.inputs
    }
    pub(crate) fn biases(&self) -> Range<usize> {
        self.bias..self.bias + self.outputs
    }
}

/// A run of the flat vector that is updated alike.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Segment {
    pub range: Range<usize>,
    /// The task that owns it; `None`: shared.
    pub owner: Option<usize>,
    /// Weights decay, biases do not.
    pub decays: bool,
}

/// Size of a table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TablePlan {
    pub num_embeddings: usize,
    pub dim: usize,
    /// Row 0 stands for ids outside the vocabulary.
    pub vocabulary: bool,
    /// The task that owns it; `None`: shared.
    pub owner: Option<usize>,
}

/// The plan of one model's network.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    pub(crate) kind: NetworkKind,
    pub(crate) gate: Gate,
    /// Of all groups, one behind the other.
    pub(crate) inputs: Vec<InputPlan>,
    /// Of one group.
    pub(crate) num_inputs: usize,
    pub(crate) groups: usize,
    pub(crate) num_experts: usize,
    pub(crate) expert_widths: Vec<usize>,
    /// A table of the spec is as many as there are groups here: `table x groups + group`.
    pub(crate) tables: Vec<TablePlan>,
    pub(crate) kinds: Vec<TaskKind>,
    pub(crate) score_scales: Vec<f64>,
    /// By task: itself, the task that its space is the positives of, the task that that one is given, and so on.
    pub(crate) chains: Vec<Vec<usize>>,
    /// What each tower is fed of other tasks.
    pub(crate) feeds: Vec<Vec<Fed>>,
    /// By task: what to add to its logit before it is fed, because its rows were sampled.
    pub(crate) offsets: Vec<f64>,
    /// Tasks, each behind those that it is fed.
    pub(crate) order: Vec<usize>,
    /// By group: all experts' first layers, then the first layers of all gates on the inputs.
    pub(crate) first: Vec<Span>,
    pub(crate) experts: Vec<Vec<Span>>,
    /// By task, and with a second level the shared gate behind them; empty without gates.
    pub(crate) gates: Vec<Vec<Span>>,
    /// A second level of experts.
    pub(crate) upper: Option<upper::UpperPlan>,
    pub(crate) towers: Vec<Vec<Span>>,
    pub(crate) heads: Vec<Span>,
    /// By task of several logits, what no step changes: thresholds as weights, and what being above each is worth as
    /// biases. By task of quantiles those of every group, `[groups, knots]`, as biases. Without outputs for other tasks.
    pub(crate) steps: Vec<Span>,
    /// By task that learns two logits: the head of their mean, in training alone. Empty if there is none.
    pub(crate) levels: Vec<Option<Span>>,
    /// Features that attend to lists.
    pub(crate) attention: Vec<AttentionPlan>,
    /// Towers on what is known in training alone.
    pub(crate) bias: Option<BiasPlan>,
    pub(crate) segments: Vec<Segment>,
    pub(crate) num_dense: usize,
    /// The device's grids, if the forward pass computes on them.
    pub(crate) grids: Option<fake_quantize::Grids>,
}

/// A task, the task that it is given, and so on.
fn chain(spec: &Spec<'_>, task: usize) -> Vec<usize> {
    // A task is given an earlier one, so this ends.
    let next = |t: &usize| spec.tasks[*t].given.map(usize::from);
    core::iter::successors(Some(task), next).collect()
}

/// Takes the next `outputs` x `inputs` layer of the flat vector.
fn allot(next: &mut usize, outputs: usize, inputs: usize) -> Span {
    let span = Span {
        weight: *next,
        bias: *next + outputs * inputs,
        outputs,
        inputs,
    };
    *next = span.bias + outputs;
    span
}

/// A stack of layers of `widths` on `inputs`.
fn stack(next: &mut usize, mut inputs: usize, widths: &[usize]) -> Vec<Span> {
    let mut spans = Vec::new();
    for &width in widths {
        spans.push(allot(next, width, inputs));
        inputs = width;
    }
    spans
}

/// The runs of inputs of every group; behind them those of features that are not served, and how many columns these have.
fn input_plans(served: &Spec<'_>, spec: &Spec<'_>) -> (Vec<InputPlan>, usize) {
    let mut plans = Vec::new();
    let (groups, num_served) = (spec.groups(), served.features.len());
    let mut offset = 0;
    let mut add = |group: usize, owner: Option<usize>, is_served: bool| {
        let before = offset;
        for input in Side::ALL.into_iter().flat_map(|side| spec.inputs(side)) {
            if (input.feature < num_served) != is_served {
                continue;
            }
            let Feature {
                encoding, source, ..
            } = spec.features[input.feature];
            let table = input.table.map(|table| table * groups + group);
            let kind = match (encoding, table) {
                _ if matches!(source, Source::Attention { .. }) => InputKind::Attention,
                (Encoding::Rows { pooling, .. }, Some(table)) => InputKind::Rows { table, pooling },
                (Encoding::Number { .. }, Some(table)) => InputKind::Bucket { table },
                (_, Some(table)) => InputKind::Row { table },
                (Encoding::Vector { grid, .. }, None) => InputKind::Vector {
                    zero_point: f64::from(grid.zero_point),
                    step: 1.0 / f64::from(grid.inv_scale),
                },
                (_, None) => InputKind::Value,
            };
            plans.push(InputPlan {
                feature: input.feature,
                user: input.side == Side::User,
                owner,
                offset,
                dim: input.values,
                kind,
            });
            offset += input.values;
        }
        offset - before
    };
    for group in 0..groups {
        add(group, (groups > 1).then_some(group), true);
    }
    let bias_inputs = add(0, None, false);
    (plans, bias_inputs)
}

impl Network {
    /// The plan of `spec`, which must hold to its own documentation (at least one expert layer, indices in range).
    pub fn new(spec: &Spec<'_>) -> Self {
        Self::build(spec, None)
    }

    /// The plan of `spec` in training, with towers on what is known in training alone.
    pub(crate) fn with_bias(spec: &Spec<'_>, bias: &Bias<'_>) -> Self {
        Self::build(spec, Some(bias))
    }

    fn build(served: &Spec<'_>, bias: Option<&Bias<'_>>) -> Self {
        let spec = bias.map_or(served, |b| b.spec);
        let groups = spec.groups();
        let num_inputs: usize = Side::ALL.iter().map(|side| served.side_values(*side)).sum();
        let num_experts = usize::from(spec.network.num_experts);
        let wide = |layers: &[u16]| layers.iter().map(|w| usize::from(*w)).collect::<Vec<_>>();
        let expert_widths = wide(&spec.network.expert_layers);
        let mixture = spec.mixture_width();
        let owner = |group: usize| (spec.network.kind == NetworkKind::Single).then_some(group);
        let tables = spec.tables.iter().enumerate().flat_map(|(i, t)| {
            // Towers of several tasks may read one table of what is known in training alone.
            let owner = move |group| {
                if i < served.tables.len() {
                    owner(group)
                } else {
                    None
                }
            };
            (0..groups).map(move |group| TablePlan {
                num_embeddings: t.num_embeddings as usize,
                dim: usize::from(t.embedding_dim),
                vocabulary: matches!(t.lookup, crate::spec::Lookup::Vocabulary(_)),
                owner: owner(group),
            })
        });

        let mut next = 0;
        let first: Vec<Span> = (0..groups)
            .map(|_| allot(&mut next, spec.first_outputs(), num_inputs))
            .collect();
        let first_rows = |group: usize, row: usize, outputs: usize| Span {
            weight: first[group].weight + row * num_inputs,
            bias: first[group].bias + row,
            outputs,
            inputs: num_inputs,
        };
        let (width, rest) = expert_widths.split_first().expect("an expert has a layer");
        let experts: Vec<Vec<Span>> = (0..num_experts)
            .map(|e| {
                let (group, row) = if groups > 1 { (e, 0) } else { (0, e * width) };
                let mut spans = vec![first_rows(group, row, *width)];
                spans.extend(stack(&mut next, *width, rest));
                spans
            })
            .collect();
        let gate_widths: Vec<usize> = (0..=spec.network.gate_layers.len())
            .map(|layer| spec.gate_width(layer))
            .collect();
        let (gate_width, gate_rest) = gate_widths.split_first().expect("a gate has a layer");
        let gated = if spec.has_gates() {
            spec.input_gates()
        } else {
            0
        };
        let gates: Vec<Vec<Span>> = (0..gated)
            .map(|t| {
                let row = num_experts * width + t * gate_width;
                let mut spans = vec![first_rows(0, row, *gate_width)];
                spans.extend(stack(&mut next, *gate_width, gate_rest));
                spans
            })
            .collect();
        let upper = upper::UpperPlan::new(spec, &mut next);
        let mut towers = Vec::new();
        let mut heads = Vec::new();
        for task in &spec.tasks {
            let widths = wide(&task.tower_layers);
            let inputs = mixture + task.inputs.len();
            towers.push(stack(&mut next, inputs, &widths));
            let head_inputs = widths.last().copied().unwrap_or(inputs);
            heads.push(allot(&mut next, task.kind.logits(), head_inputs));
        }
        let steps = spec.tasks.iter().map(|task| match task.kind {
            TaskKind::Steps { thresholds, .. } => allot(&mut next, thresholds.into(), 1),
            TaskKind::Quantile { feature, knots } => {
                allot(&mut next, spec.num_groups(feature) * usize::from(knots), 0)
            }
            _ => allot(&mut next, 0, 0),
        });
        let steps: Vec<Span> = steps.collect();

        let (inputs, bias_inputs) = input_plans(served, spec);
        let attention = attention::plans(spec, &inputs, &mut next);
        let bias = bias.map(|bias| {
            let tables = served.tables.len() * groups;
            BiasPlan::new(bias, tables, bias_inputs, &mut next)
        });

        let mut segments = Vec::new();
        let mut add = |span: &Span, owner: Option<usize>| {
            segments.push(Segment {
                range: span.weights(),
                owner,
                decays: true,
            });
            segments.push(Segment {
                range: span.biases(),
                owner,
                decays: false,
            });
        };
        for (e, spans) in experts.iter().enumerate() {
            let owner = spec.has_own_experts().then_some(e);
            spans.iter().for_each(|s| add(s, owner));
        }
        for (task, spans) in gates.iter().enumerate() {
            let owner = (task < spec.tasks.len()).then_some(task);
            spans.iter().for_each(|s| add(s, owner));
        }
        if let Some(upper) = &upper {
            upper.experts.iter().flatten().for_each(|s| add(s, None));
            for (task, spans) in upper.gates.iter().enumerate() {
                spans.iter().for_each(|s| add(s, Some(task)));
            }
        }
        for task in 0..spec.tasks.len() {
            towers[task].iter().for_each(|s| add(s, Some(task)));
            add(&heads[task], Some(task));
        }
        if let Some(bias) = &bias {
            for (spans, task) in bias.towers.iter().zip(&bias.tasks) {
                spans.iter().for_each(|s| add(s, Some(*task)));
            }
        }
        segments.extend(attention.iter().flat_map(AttentionPlan::segments));
        segments.sort_by_key(|s| s.range.start);
        let order = spec.order().unwrap_or_default();
        let tasks = spec.tasks.iter();
        Self {
            kind: spec.network.kind,
            gate: spec.network.gate,
            inputs,
            num_inputs,
            groups,
            num_experts,
            expert_widths,
            tables: tables.collect(),
            kinds: tasks.clone().map(|t| t.kind).collect(),
            score_scales: tasks.clone().map(|t| f64::from(t.score_scale)).collect(),
            chains: (0..spec.tasks.len()).map(|t| chain(spec, t)).collect(),
            feeds: tasks.clone().map(|t| t.inputs.to_vec()).collect(),
            offsets: vec![0.0; spec.tasks.len()],
            order: order.iter().map(|t| usize::from(*t)).collect(),
            first,
            experts,
            gates,
            upper,
            towers,
            heads,
            steps,
            levels: Vec::new(),
            attention,
            bias,
            segments,
            num_dense: next,
            grids: None,
        }
    }

    /// Tasks.
    pub fn num_tasks(&self) -> usize {
        self.kinds.len()
    }

    /// The quantiles of the group that a row has for a task of quantiles; empty for other tasks.
    pub(crate) fn group_quantiles<'w, R>(
        &self,
        w: &'w [R],
        data: &Dataset,
        row: u32,
        task: usize,
    ) -> &'w [R] {
        let TaskKind::Quantile { feature, knots } = self.kinds[task] else {
            return &[];
        };
        let group = data.bucket(usize::from(feature), row as usize);
        let mut tables = w[self.steps[task].biases()].chunks(usize::from(knots));
        tables.nth(group as usize).unwrap_or_default()
    }

    /// Columns of the input vector with what is known in training alone.
    pub(crate) fn x_stride(&self) -> usize {
        self.input_stride() + self.bias_inputs()
    }

    /// Columns of the input vector.
    pub(crate) fn input_stride(&self) -> usize {
        self.groups * self.num_inputs
    }

    /// The expert that a task reads alone; `None`: it mixes them.
    pub(crate) fn expert_of(&self, task: usize) -> Option<usize> {
        match self.kind {
            NetworkKind::Mmoe | NetworkKind::Progressive { .. } => None,
            NetworkKind::SharedBottom => Some(0),
            NetworkKind::SharedEmbedding | NetworkKind::Single => Some(task),
        }
    }

    pub(crate) fn mixture_width(&self) -> usize {
        self.expert_widths.last().copied().unwrap_or(0)
    }
}
