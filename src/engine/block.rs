//! The network over one block of candidates: first layer -> experts -> gates -> mixture -> towers -> heads.

use super::dense::{Head, add_fed, float, row, row_mut, stride};
use super::inputs::Kept;
use super::{Dense, Model, ROW_SIDES, Scratch};
use crate::fusion::TaskSet;
use crate::kernels::{self, Affine, Isa, Mixture, Part, Rows, Start};
use crate::math::{ACTIVATION_MIN, clamp, relu, sigmoid};
use crate::spec::{FedValue, Layer, Side, Task, TaskKind, limits, padded};

mod gate;
#[cfg(feature = "session")]
mod kept;
mod level;
#[cfg(feature = "quantile")]
mod quantile;
mod score;
mod sizes;

pub(super) use crate::kernels::BLOCK;
use level::Level;
pub(super) use sizes::Sizes;

/// Sees the i32 sums of every layer as they are made. `()` sees nothing and costs nothing.
pub(super) trait See {
    /// Runs `layer`, whose parts are those of `names`.
    fn affine(&mut self, isa: Isa, layer: &Affine<'_>, names: &[Layer], out: &mut [f32]);
    /// The sum of a logit of a head, logit by logit and row by row.
    fn head(&mut self, task: usize, logit: usize, acc: i32);
    /// What has just been done.
    fn done(&mut self, _: Stage) {}
}

/// A part of a request's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The user's side: its values, and its sums of the first layer.
    User,
    /// Values of a block of candidates: rows of tables, numbers, vectors.
    Inputs,
    /// Their sums of the first layer.
    First,
    /// Experts' later layers.
    Experts,
    /// Gates and mixtures.
    Gates,
    /// Towers, heads and links.
    Towers,
    /// Fused scores.
    Fusion,
}

impl See for () {
    fn affine(&mut self, isa: Isa, layer: &Affine<'_>, _: &[Layer], out: &mut [f32]) {
        kernels::affine(isa, layer, out);
    }
    fn head(&mut self, _: usize, _: usize, _: i32) {}
}

/// Where a request's intermediate values lie.
pub(super) struct Buffers<'b> {
    /// First-layer sums of the user side and bias: the same for all candidates.
    pub base: &'b mut [f32],
    /// First-layer sums, `[BLOCK, first]`.
    sums: &'b mut [f32],
    /// Expert outputs, `[experts, BLOCK, mixture]`.
    experts: &'b mut [f32],
    /// A hidden layer's outputs, `[BLOCK, width]`.
    hidden: &'b mut [f32],
    /// Mixtures, `[mixtures, BLOCK, mixture]`.
    mixture: &'b mut [f32],
    /// Fused score of every candidate.
    pub fused: &'b mut [f32],
    /// What scratch has beyond that: columns of a formula's inputs.
    #[cfg(feature = "formula")]
    pub columns: &'b mut [f32],
    /// Input bytes of each side, `[BLOCK, stride]`; of the user side one row.
    pub inputs: [&'b mut [u8]; 4],
    /// Quantized activations, `[BLOCK, stride]`.
    bytes: &'b mut [u8],
    /// Of features that attend to lists.
    #[cfg(feature = "attention")]
    pub attention: super::attention::Buffers<'b>,
}

impl<'b> Buffers<'b> {
    /// Cuts `scratch` up; `None` if it is too small.
    pub fn new(s: &Sizes, scratch: &'b mut Scratch<'_>, candidates: usize) -> Option<Self> {
        let floats = &mut *scratch.floats;
        let (base, floats) = floats.split_at_mut_checked(s.first)?;
        let (sums, floats) = floats.split_at_mut_checked(BLOCK * s.first)?;
        let (experts, floats) = floats.split_at_mut_checked(BLOCK * s.experts * s.mixture)?;
        let (hidden, floats) = floats.split_at_mut_checked(BLOCK * s.widest)?;
        let (mixture, floats) = floats.split_at_mut_checked(s.mixtures() * BLOCK * s.mixture)?;
        #[cfg(feature = "attention")]
        let (attention_floats, floats) = floats.split_at_mut_checked(s.attention.floats)?;
        let (fused, columns) = floats.split_at_mut_checked(candidates)?;
        #[cfg(not(feature = "formula"))]
        let _ = columns;
        let (bytes, mut rest) = scratch.bytes.split_at_mut_checked(BLOCK * s.widest)?;
        let mut inputs: [&mut [u8]; 4] = Default::default();
        for (slot, side) in inputs.iter_mut().zip(Side::ALL) {
            let (bytes, more) = rest.split_at_mut_checked(s.groups * s.side_bytes(side))?;
            // The bytes past a row's inputs stay zero: a group of inputs may reach past them.
            bytes.fill(0);
            *slot = bytes;
            rest = more;
        }
        #[cfg(feature = "attention")]
        let attention = super::attention::Buffers::new(&s.attention, attention_floats, rest)?;
        Some(Self {
            base,
            sums,
            experts,
            hidden,
            mixture,
            fused,
            #[cfg(feature = "formula")]
            columns,
            inputs,
            bytes,
            #[cfg(feature = "attention")]
            attention,
        })
    }

    /// Floats for columns of a formula's inputs.
    pub fn columns_len(&self) -> usize {
        #[cfg(feature = "formula")]
        return self.columns.len();
        #[cfg(not(feature = "formula"))]
        0
    }

    /// The input bytes of a group's side, and how far its rows are apart.
    pub fn input(&mut self, s: &Sizes, side: Side, group: usize) -> (&mut [u8], usize) {
        let bytes = self.inputs.get_mut(side as usize).map(|b| &mut **b);
        let bytes = row_mut(bytes.unwrap_or_default(), group, s.side_bytes(side));
        (bytes, s.stride(side))
    }
}

/// Logits or weights of a gate by expert and row of the block.
type Lanes = [[f32; BLOCK]; limits::EXPERTS];

/// Scores and logits of a block by row and task.
type Scores = [[f32; limits::TASKS]; BLOCK];

impl Model<'_> {
    /// First-layer sums of the user side, once a request: base = bias + user sums.
    pub(super) fn user_sums(&self, b: &mut Buffers<'_>, see: &mut impl See) {
        let bias =
            |group: usize| Start::Bytes(self.first_bias.get(group).copied().unwrap_or_default());
        self.first(&[Side::User], (&b.inputs, 0, 1), &bias, b.base, see);
    }

    /// First layer's sums of `(first row, rows)` of every group over `sides`: out = start + the sides' sums, in their order.
    fn first<'x>(
        &self,
        sides: &[Side],
        (inputs, first_row, rows): (&[&mut [u8]; 4], usize, usize),
        start: &dyn Fn(usize) -> Start<'x>,
        out: &mut [f32],
        see: &mut impl See,
    ) {
        let s = &self.sizes;
        for group in 0..s.groups {
            let mut parts = [Part::default(); 4];
            let mut names = [Layer::Head { task: 0 }; 4];
            for ((part, name), side) in parts.iter_mut().zip(&mut names).zip(sides) {
                *name = Layer::First { group, side: *side };
                *part = self.part(inputs, group, *side, first_row);
            }
            let layer = Affine {
                parts: parts.get(..sides.len()).unwrap_or_default(),
                start: start(group),
                rows: Rows {
                    count: rows,
                    stride: s.first,
                    scales: &[],
                },
                column: group * s.group,
                columns: s.group,
                relu: false,
            };
            see.affine(self.isa, &layer, &names, out);
        }
    }

    /// First layer's sums of a block.
    fn first_of_rows(
        &self,
        b: &mut Buffers<'_>,
        (rows, kept): (usize, &Kept<'_>),
        see: &mut impl See,
    ) {
        #[cfg(feature = "session")]
        if kept.iter().any(Option::is_some) {
            return self.first_with_kept(b, (rows, kept), see);
        }
        let _ = kept;
        let base = |group: usize| Start::Floats(row(b.base, group, self.sizes.group));
        self.first(&ROW_SIDES, (&b.inputs, 0, rows), &base, b.sums, see);
    }

    /// A side's part of a group's first layer, over its rows of inputs from `first_row` on.
    fn part<'x>(
        &'x self,
        inputs: &'x [&mut [u8]; 4],
        group: usize,
        side: Side,
        first_row: usize,
    ) -> Part<'x> {
        let s = &self.sizes;
        let bytes = inputs.get(side as usize).map_or(&[][..], |b| &**b);
        let bytes = row(bytes, group, s.side_bytes(side));
        let layer = self.first.get(group * Side::ALL.len() + side as usize);
        let layer = layer.copied().unwrap_or_default();
        Part {
            bytes: bytes.get(first_row * s.stride(side)..).unwrap_or_default(),
            stride: s.stride(side),
            weight: layer.weight,
            scale: layer.scale,
            zero: layer.zero_bias,
            quads: layer.quads,
        }
    }

    /// Scores of `rows` candidates (at most [`BLOCK`]) whose input bytes or kept item sums stand in `b` and `kept`; calls
    /// `done` with each row, its task scores and its logits, 0 for a task that is not `live`.
    pub(super) fn score_block(
        &self,
        b: &mut Buffers<'_>,
        (rows, kept): (usize, &Kept<'_>),
        live: TaskSet,
        see: &mut impl See,
        mut done: impl FnMut(usize, &mut [f32], &[f32]),
    ) {
        let (spec, s) = (&self.spec, &self.sizes);
        let rows = rows.min(BLOCK);
        self.first_of_rows(b, (rows, kept), see);
        see.done(Stage::First);
        let top = self.levels(b, s, rows, see);
        see.done(Stage::Experts);
        // What is fed is kept from task to task: each writes as much as it has inputs, and what is behind meets no weights.
        let (mut scores, mut logits, mut fed): (Scores, Scores, Scores) = Default::default();
        for task in self.order.iter().map(|t| usize::from(*t)) {
            if live & 1 << task == 0 {
                continue;
            }
            let Some(t) = spec.tasks.get(task) else {
                return;
            };
            self.mix(b, s, rows, (top, task), see);
            see.done(Stage::Gates);
            if !t.inputs.is_empty() {
                for (fed, logits) in fed.iter_mut().zip(&logits).take(rows) {
                    feed(t, logits, fed);
                }
            }
            let fed = fed.get(..rows).unwrap_or_default();
            let mut values = self.tower(b, (task, t), fed, see);
            let values = values.get_mut(..rows).unwrap_or_default();
            put(values, task, &mut logits);
            let knots = self.knots.get(task).copied().unwrap_or_default();
            score::scores(self.isa, t, knots, values);
            put(values, task, &mut scores);
            see.done(Stage::Towers);
        }
        let tasks = spec.tasks.len();
        for (r, (scores, logits)) in scores.iter_mut().zip(&logits).enumerate().take(rows) {
            let scores = scores.get_mut(..tasks).unwrap_or_default();
            done(r, scores, logits.get(..tasks).unwrap_or_default());
        }
        see.done(Stage::Fusion);
    }

    /// One layer of rows of quantized activations, with what other tasks feed: `out` is `[rows, padded outputs]`.
    /// Negative outputs are 0 if it is `hidden`.
    fn run(
        &self,
        dense: &Dense<'_>,
        (bytes, scales, fed): (&[u8], &[f32], &[[f32; limits::TASKS]]),
        out: &mut [f32],
        hidden: bool,
        name: Layer,
        see: &mut impl See,
    ) {
        let width = padded(dense.outputs);
        let has_fed = !dense.fed.is_empty();
        let part = Part {
            bytes,
            stride: stride(dense.inputs),
            weight: dense.weight,
            scale: dense.scale,
            zero: &[],
            quads: dense.quads,
        };
        let layer = Affine {
            parts: &[part],
            start: Start::Bytes(dense.bias),
            rows: Rows {
                count: scales.len(),
                stride: width,
                scales,
            },
            column: 0,
            columns: width,
            relu: hidden && !has_fed,
        };
        see.affine(self.isa, &layer, &[name], out);
        if has_fed {
            for (r, fed) in fed.iter().enumerate().take(scales.len()) {
                let out = row_mut(out, r, width);
                add_fed(dense, fed, out);
                if hidden {
                    out.iter_mut().for_each(|x| *x = relu(*x));
                }
            }
        }
    }

    /// A task's mixture: the output of its own or the only expert, or the sum over experts of gate x output, in the
    /// order of the experts.
    fn mix(
        &self,
        b: &mut Buffers<'_>,
        s: &Sizes,
        rows: usize,
        of: (Level, usize),
        see: &mut impl See,
    ) {
        let weights = self.shares(b, s, rows, of, see);
        let weights = weights.get(..s.experts).unwrap_or_default();
        let (stride, first) = (BLOCK * s.mixture, s.mixture_row(of.1));
        for r in 0..rows {
            let experts = b.experts.get(r * s.mixture..).unwrap_or_default();
            let of = Mixture {
                weights,
                row: r,
                experts,
                stride,
            };
            kernels::mix(self.isa, &of, row_mut(b.mixture, first + r, s.mixture));
        }
    }

    /// Weights of the experts in a task's mixture by expert and row, 2^15 in all.
    fn shares(
        &self,
        b: &mut Buffers<'_>,
        s: &Sizes,
        rows: usize,
        (level, task): (Level, usize),
        see: &mut impl See,
    ) -> Lanes {
        let mut weights = Lanes::default();
        if self.spec.has_gates() {
            self.gate(b, s, rows, (level, task), see, &mut weights);
        } else {
            let own = self.spec.has_own_experts();
            if let Some(weights) = weights.get_mut(if own { task } else { 0 }) {
                *weights = [32_768.0; BLOCK];
            }
        }
        weights
    }

    /// The same of the only row of a block, task by task: by what scores it, which is there once.
    #[cfg(feature = "formula")]
    pub(super) fn shares_of_one(
        &self,
        b: &mut Buffers<'_>,
        see: &mut dyn FnMut(usize, &[[f32; BLOCK]]),
    ) {
        let s = &self.sizes;
        self.first_of_rows(b, (1, &Kept::default()), &mut ());
        let top = self.levels(b, s, 1, &mut ());
        for task in 0..self.spec.tasks.len() {
            let weights = self.shares(b, s, 1, (top, task), &mut ());
            see(task, weights.get(..s.experts).unwrap_or_default());
        }
    }

    /// Tower and head: a task's logits by row; of several, what they say together. 0 past the last row.
    fn tower(
        &self,
        b: &mut Buffers<'_>,
        (task, t): (usize, &Task<'_>),
        fed: &[[f32; limits::TASKS]],
        see: &mut impl See,
    ) -> [f32; BLOCK] {
        let (mut values, mut scales) = ([0.0; BLOCK], [0.0; BLOCK]);
        let scales = scales.get_mut(..fed.len()).unwrap_or_default();
        let mut width = self.spec.mixture_width();
        self.quantize_mixture((b.mixture, task), b.bytes, scales);
        for layer in 0..t.tower_layers.len() {
            let name = Layer::Tower { task, layer };
            let Some(dense) = self.layer(name) else {
                return values;
            };
            self.run(dense, (b.bytes, scales, fed), b.hidden, true, name, see);
            width = dense.outputs;
            self.quantize(b.hidden, width, b.bytes, scales);
        }
        let Some(dense) = self.layer(Layer::Head { task }) else {
            return values;
        };
        let steps = self.knots.get(task).copied().unwrap_or_default();
        for m in 0..t.kind.logits() {
            let head = Head::new(dense, m);
            for (r, (value, (scale, fed))) in
                values.iter_mut().zip(scales.iter().zip(fed)).enumerate()
            {
                let input = row(b.bytes, r, stride(width)).get(..width);
                let input = input.unwrap_or_default();
                let logit =
                    head.logit(self.isa, (input, *scale), fed, |acc| see.head(task, m, acc));
                *value = match t.kind {
                    TaskKind::Steps { .. } => *value + float(steps, m) * sigmoid(logit),
                    _ => logit,
                };
            }
        }
        values
    }

    /// Quantizes rows of `width` outputs; negative ones are 0.
    fn quantize(&self, out: &[f32], width: usize, bytes: &mut [u8], scales: &mut [f32]) {
        kernels::quantize(self.isa, out, (padded(width), width), bytes, scales);
    }

    /// Quantizes rows of a gate's mixture.
    fn quantize_mixture(
        &self,
        (mixtures, gate): (&[f32], usize),
        bytes: &mut [u8],
        scales: &mut [f32],
    ) {
        let first = self.sizes.mixture_row(gate) * self.sizes.mixture;
        let rows = mixtures.get(first..).unwrap_or_default();
        self.quantize(rows, self.spec.mixture_width(), bytes, scales);
    }

    /// Quantizes `width` columns of the first layer's sums from `column` on.
    fn quantize_first(
        &self,
        (sums, column): (&[f32], usize),
        width: usize,
        bytes: &mut [u8],
        scales: &mut [f32],
    ) {
        let sums = sums.get(column..).unwrap_or_default();
        kernels::quantize(self.isa, sums, (self.sizes.first, width), bytes, scales);
    }
}

/// Writes a task's values by row.
// Of two callers one copy.
#[inline(never)]
fn put(values: &[f32], task: usize, to: &mut Scores) {
    for (to, value) in to.iter_mut().zip(values) {
        if let Some(to) = to.get_mut(task) {
            *to = *value;
        }
    }
}

/// Part of a row of the first layer's sums.
fn first<'b>(sums: &'b [f32], s: &Sizes, r: usize, column: usize, width: usize) -> &'b [f32] {
    let first = row(sums, r, s.first).get(column..column + width);
    first.unwrap_or_default()
}

/// What a task's tower is fed, in the order of its inputs.
fn feed(task: &Task<'_>, logits: &[f32; limits::TASKS], fed: &mut [f32; limits::TASKS]) {
    for (to, from) in fed.iter_mut().zip(&task.inputs) {
        let logit = logits.get(usize::from(from.task)).copied().unwrap_or(0.0);
        let logit = clamp(logit, -30.0, 30.0);
        *to = match from.value {
            FedValue::Probability => sigmoid(logit),
            // No product with a weight may be subnormal.
            FedValue::Logit if logit > -ACTIVATION_MIN && logit < ACTIVATION_MIN => 0.0,
            FedValue::Logit => logit,
        };
    }
}
