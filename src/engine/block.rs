//! The network over one block of candidates: first layer -> experts -> gates -> mixture -> towers -> heads.

use super::dense::{self, Rows, add_side, head, row, row_mut, stride};
use super::{Dense, Model, Scratch, ScratchLen};
use crate::fusion;
use crate::math::{ACTIVATION_MIN, clamp, quantize_row, relu, sigmoid, softmax_q15};
use crate::spec::{FedValue, Gate, Layer, PANEL, Side, Spec, Task, limits, padded};

mod score;

/// Candidates that go through the network together, so that weights are read once for all of them.
pub(super) const BLOCK: usize = 8;

/// Sees the i32 sums of every layer as they are made. `()` sees nothing and costs nothing.
pub(super) trait See {
    /// Outputs `output..` of `layer` for row `row` of the block. The last panel may go past the layer's outputs.
    fn sums(&mut self, layer: Layer, row: usize, output: usize, acc: &[i32]);
}

impl See for () {
    fn sums(&mut self, _: Layer, _: usize, _: usize, _: &[i32]) {}
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
    /// One task's mixture, `[BLOCK, mixture]`.
    mixture: &'b mut [f32],
    /// Fused score of every candidate.
    pub fused: &'b mut [f32],
    /// Input bytes of each side, `[BLOCK, stride]`; of the user side one row.
    pub inputs: [&'b mut [u8]; 4],
    /// Quantized activations, `[BLOCK, stride]`.
    bytes: &'b mut [u8],
}

/// Sizes that follow from the spec.
struct Sizes {
    /// Columns of the first layer's sums, of all groups.
    first: usize,
    /// Columns of one group.
    group: usize,
    groups: usize,
    mixture: usize,
    widest: usize,
    experts: usize,
}

impl Sizes {
    fn of(spec: &Spec<'_>) -> Self {
        let towers = spec.tasks.iter().flat_map(|t| t.tower_layers.iter());
        let layers = spec.network.expert_layers.iter().chain(towers);
        let gates = (0..=spec.network.gate_layers.len()).map(|l| spec.gate_width(l));
        let widths = layers.map(|w| usize::from(*w)).chain(gates);
        let group = padded(spec.first_outputs());
        Self {
            first: group * spec.groups(),
            group,
            groups: spec.groups(),
            mixture: padded(spec.mixture_width()),
            widest: padded(widths.max().unwrap_or(0)),
            experts: usize::from(spec.network.num_experts),
        }
    }

    /// Column of an expert's first layer.
    fn expert_column(&self, spec: &Spec<'_>, expert: usize) -> usize {
        if self.groups > 1 {
            expert * self.group
        } else {
            expert * spec.expert_width(0)
        }
    }
}

fn side_rows(side: Side) -> usize {
    if side == Side::User { 1 } else { BLOCK }
}

pub(super) fn scratch_len(spec: &Spec<'_>, candidates_max: usize) -> ScratchLen {
    let s = Sizes::of(spec);
    let block = s.first + s.experts * s.mixture + s.widest + s.mixture;
    let inputs: usize = Side::ALL
        .iter()
        .map(|side| side_rows(*side) * stride(spec.side_inputs(*side)))
        .sum();
    ScratchLen {
        floats: s.first + BLOCK * block + candidates_max.min(limits::CANDIDATES),
        bytes: s.groups * inputs + BLOCK * s.widest,
    }
}

impl<'b> Buffers<'b> {
    /// Cuts `scratch` up; `None` if it is too small.
    pub fn new(spec: &Spec<'_>, scratch: &'b mut Scratch<'_>, candidates: usize) -> Option<Self> {
        let s = Sizes::of(spec);
        let floats = &mut *scratch.floats;
        let (base, floats) = floats.split_at_mut_checked(s.first)?;
        let (sums, floats) = floats.split_at_mut_checked(BLOCK * s.first)?;
        let (experts, floats) = floats.split_at_mut_checked(BLOCK * s.experts * s.mixture)?;
        let (hidden, floats) = floats.split_at_mut_checked(BLOCK * s.widest)?;
        let (mixture, floats) = floats.split_at_mut_checked(BLOCK * s.mixture)?;
        let fused = floats.get_mut(..candidates)?;
        let (bytes, mut rest) = scratch.bytes.split_at_mut_checked(BLOCK * s.widest)?;
        let mut inputs: [&mut [u8]; 4] = Default::default();
        for (slot, side) in inputs.iter_mut().zip(Side::ALL) {
            let rows = s.groups * side_rows(side);
            let (bytes, more) = rest.split_at_mut_checked(rows * stride(spec.side_inputs(side)))?;
            // The bytes past a row's inputs stay zero: a group of inputs may reach past them.
            bytes.fill(0);
            *slot = bytes;
            rest = more;
        }
        Some(Self {
            base,
            sums,
            experts,
            hidden,
            mixture,
            fused,
            inputs,
            bytes,
        })
    }

    /// The input bytes of row `index` of a group's side.
    pub fn input(&mut self, spec: &Spec<'_>, side: Side, group: usize, index: usize) -> &mut [u8] {
        let inputs = spec.side_inputs(side);
        let bytes = self
            .inputs
            .get_mut(side as usize)
            .map(|b| &mut **b)
            .unwrap_or_default();
        row_mut(bytes, group * side_rows(side) + index, stride(inputs))
            .get_mut(..inputs)
            .unwrap_or_default()
    }
}

/// Scores and logits of a block by row and task.
type Scores = [[f32; limits::TASKS]; BLOCK];

impl Model<'_> {
    /// First-layer sums of the user side, once a request: base = bias + user sums.
    pub(super) fn user_sums(&self, b: &mut Buffers<'_>, see: &mut impl See) {
        let s = Sizes::of(&self.spec);
        for (group, bias) in self.first_bias.iter().enumerate() {
            let base = row_mut(b.base, group, s.group);
            for (base, bias) in base.iter_mut().zip(bias.as_chunks::<4>().0) {
                *base = f32::from_le_bytes(*bias);
            }
        }
        self.first(&s, Side::User, &b.inputs, 1, b.base, see);
    }

    /// Adds a side of every group to the first layer's sums of `rows` rows.
    fn first(
        &self,
        s: &Sizes,
        side: Side,
        inputs: &[&mut [u8]; 4],
        rows: usize,
        sums: &mut [f32],
        see: &mut impl See,
    ) {
        let stride = stride(self.spec.side_inputs(side));
        let inputs = inputs.get(side as usize).map_or(&[][..], |b| &**b);
        for group in 0..s.groups {
            let layer = self.first.get(group * Side::ALL.len() + side as usize);
            let inputs = row(inputs, group, side_rows(side) * stride);
            if let (Some(layer), Some(inputs)) = (layer, inputs.get(..rows * stride)) {
                let columns = (s.first, group * s.group);
                add_side(
                    self.isa,
                    layer,
                    inputs,
                    stride,
                    sums,
                    columns,
                    |row, p, acc| {
                        see.sums(Layer::First { group, side }, row, p * PANEL, acc);
                    },
                );
            }
        }
    }

    /// Scores of `rows` candidates (at most [`BLOCK`]) whose input bytes stand in `b`; calls `done` with each row and
    /// its task scores.
    pub(super) fn score_block(
        &self,
        b: &mut Buffers<'_>,
        rows: usize,
        see: &mut impl See,
        mut done: impl FnMut(usize, &[f32]),
    ) {
        let spec = &self.spec;
        let s = Sizes::of(spec);
        let rows = rows.min(BLOCK);
        for r in 0..rows {
            for (sum, base) in row_mut(b.sums, r, s.first).iter_mut().zip(&*b.base) {
                *sum = *base;
            }
        }
        let sums = b.sums.get_mut(..rows * s.first).unwrap_or_default();
        for side in [Side::Item, Side::Candidate, Side::Cross] {
            self.first(&s, side, &b.inputs, rows, sums, see);
        }
        self.experts(b, &s, rows, see);
        let (mut scores, mut logits): (Scores, Scores) = Default::default();
        for task in self.order.iter().map(|t| usize::from(*t)) {
            let Some(t) = spec.tasks.get(task) else {
                return;
            };
            self.mix(b, &s, rows, task, see);
            let mut fed = Scores::default();
            for (fed, logits) in fed.iter_mut().zip(&logits).take(rows) {
                feed(t, logits, fed);
            }
            let fed = fed.get(..rows).unwrap_or_default();
            self.tower(b, &s, (task, t), fed, see, &mut logits);
            for (scores, logits) in scores.iter_mut().zip(&logits).take(rows) {
                if let (Some(score), Some(logit)) = (scores.get_mut(task), logits.get(task)) {
                    let knots = self.knots.get(task).copied().unwrap_or_default();
                    *score = score::score(t, knots, *logit);
                }
            }
        }
        for (r, scores) in scores.iter().enumerate().take(rows) {
            done(r, scores.get(..spec.tasks.len()).unwrap_or_default());
        }
    }

    fn experts(&self, b: &mut Buffers<'_>, s: &Sizes, rows: usize, see: &mut impl See) {
        let width = self.spec.expert_width(0);
        let depth = self.spec.network.expert_layers.len();
        for expert in 0..s.experts {
            let column = s.expert_column(&self.spec, expert);
            let to = row_mut(b.experts, expert, BLOCK * s.mixture);
            let mut scales = [0.0; BLOCK];
            for (r, scale) in scales.iter_mut().enumerate().take(rows) {
                let first = row_mut(b.sums, r, s.first).get_mut(column..column + width);
                let first = first.unwrap_or_default();
                relu_row(first);
                if depth == 1 {
                    for (to, x) in row_mut(to, r, s.mixture).iter_mut().zip(&*first) {
                        *to = *x;
                    }
                } else {
                    *scale = quantize_padded(first, b.bytes, r);
                }
            }
            for layer in 1..depth {
                let name = Layer::Expert { expert, layer };
                let Some(dense) = self.layer(name) else {
                    return;
                };
                let scales = scales.get_mut(..rows).unwrap_or_default();
                let last = layer + 1 == depth;
                let out = if last { &mut *to } else { &mut *b.hidden };
                self.run(dense, (b.bytes, scales, &[]), out, true, name, see);
                if !last {
                    quantize_rows(out, dense.outputs, b.bytes, scales);
                }
            }
        }
    }

    /// One layer of rows of quantized activations, with what other tasks feed; see [`dense::layer`]. Negative outputs are 0 if
    /// it is `hidden`.
    fn run(
        &self,
        dense: &Dense<'_>,
        (bytes, scales, fed): (&[u8], &[f32], &[[f32; limits::TASKS]]),
        out: &mut [f32],
        hidden: bool,
        name: Layer,
        see: &mut impl See,
    ) {
        dense::layer(
            self.isa,
            dense,
            Rows { bytes, scales },
            out,
            |row, p, acc| {
                see.sums(name, row, p * PANEL, acc);
            },
        );
        let width = padded(dense.outputs);
        for r in 0..scales.len() {
            let out = row_mut(out, r, width);
            if let Some(fed) = fed.get(r) {
                dense::add_fed(dense, fed, out);
            }
            if hidden {
                relu_row(out);
            }
        }
    }

    /// A task's mixture: the output of its own or the only expert, or the sum over experts of gate x output, in the
    /// order of the experts.
    fn mix(&self, b: &mut Buffers<'_>, s: &Sizes, rows: usize, task: usize, see: &mut impl See) {
        let mut weights = [[0u16; limits::EXPERTS]; BLOCK];
        if self.spec.has_gates() {
            self.gate(b, s, rows, task, see, &mut weights);
        } else {
            let own = self.spec.has_own_experts();
            for weights in &mut weights {
                if let Some(weight) = weights.get_mut(if own { task } else { 0 }) {
                    *weight = 1 << 15;
                }
            }
        }
        for (r, weights) in weights.iter().enumerate().take(rows) {
            let mixture = row_mut(b.mixture, r, s.mixture);
            mixture.fill(0.0);
            for (expert, weight) in weights.iter().enumerate().take(s.experts) {
                // It would add 0: a task that has an expert of its own reads no other.
                if *weight == 0 {
                    continue;
                }
                // 2^-15 is a power of two: the product is exact.
                let weight = f32::from(*weight) * (1.0 / 32768.0);
                let from = row(row(b.experts, expert, BLOCK * s.mixture), r, s.mixture);
                for (m, x) in mixture.iter_mut().zip(from) {
                    *m += weight * *x;
                }
            }
        }
    }

    /// A task's weights of the experts.
    fn gate(
        &self,
        b: &mut Buffers<'_>,
        s: &Sizes,
        rows: usize,
        task: usize,
        see: &mut impl See,
        weights: &mut [[u16; limits::EXPERTS]; BLOCK],
    ) {
        let spec = &self.spec;
        let (width, depth) = (spec.gate_width(0), spec.network.gate_layers.len());
        let column = s.experts * spec.expert_width(0) + task * width;
        let columns = column..column + width;
        let mut scales = [0.0; BLOCK];
        let scales = scales.get_mut(..rows).unwrap_or_default();
        if depth > 0 {
            for (r, scale) in scales.iter_mut().enumerate() {
                let first = row_mut(b.sums, r, s.first).get_mut(columns.clone());
                let first = first.unwrap_or_default();
                relu_row(first);
                *scale = quantize_padded(first, b.bytes, r);
            }
        }
        for layer in 1..=depth {
            let (name, hidden) = (Layer::Gate { task, layer }, layer < depth);
            let Some(dense) = self.layer(name) else {
                return;
            };
            self.run(dense, (b.bytes, scales, &[]), b.hidden, hidden, name, see);
            if hidden {
                quantize_rows(b.hidden, dense.outputs, b.bytes, scales);
            }
        }
        for (r, weights) in weights.iter_mut().enumerate().take(rows) {
            let last = if depth > 0 {
                row(b.hidden, r, padded(spec.gate_width(depth)))
            } else {
                row(b.sums, r, s.first)
                    .get(columns.clone())
                    .unwrap_or_default()
            };
            let mut logits = [0.0; limits::EXPERTS];
            match spec.network.gate {
                Gate::Softmax => {
                    for (to, logit) in logits.iter_mut().zip(last) {
                        *to = *logit;
                    }
                }
                Gate::Attention => {
                    let query = last.get(..spec.mixture_width()).unwrap_or_default();
                    for (expert, logit) in logits.iter_mut().enumerate().take(s.experts) {
                        let key = row(row(b.experts, expert, BLOCK * s.mixture), r, s.mixture);
                        *logit = score::product(query, key);
                    }
                }
            }
            softmax_q15(logits.get(..s.experts).unwrap_or_default(), weights);
        }
    }

    fn tower(
        &self,
        b: &mut Buffers<'_>,
        s: &Sizes,
        (task, t): (usize, &Task<'_>),
        fed: &[[f32; limits::TASKS]],
        see: &mut impl See,
        logits: &mut Scores,
    ) {
        let mut scales = [0.0; BLOCK];
        let scales = scales.get_mut(..fed.len()).unwrap_or_default();
        let mut width = self.spec.mixture_width();
        for (r, scale) in scales.iter_mut().enumerate() {
            let mixture = row(b.mixture, r, s.mixture).get(..width);
            *scale = quantize_padded(mixture.unwrap_or_default(), b.bytes, r);
        }
        for layer in 0..t.tower_layers.len() {
            let name = Layer::Tower { task, layer };
            let Some(dense) = self.layer(name) else {
                return;
            };
            self.run(dense, (b.bytes, scales, fed), b.hidden, true, name, see);
            width = dense.outputs;
            quantize_rows(b.hidden, width, b.bytes, scales);
        }
        let Some(dense) = self.layer(Layer::Head { task }) else {
            return;
        };
        let rows = scales.iter().zip(fed).zip(logits);
        for (r, ((scale, fed), logits)) in rows.enumerate() {
            let input = row(b.bytes, r, stride(width)).get(..width);
            let input = input.unwrap_or_default();
            let logit = head(self.isa, dense, input, *scale, fed, |acc| {
                see.sums(Layer::Head { task }, r, 0, &[acc]);
            });
            if let Some(to) = logits.get_mut(task) {
                *to = logit;
            }
        }
    }

    /// Fused score of one candidate.
    pub(super) fn fuse(&self, weights: Option<&[f32]>, scores: &[f32]) -> f32 {
        fusion::fuse(&self.spec, weights, scores)
    }
}

/// Negative values become 0.
#[inline(never)]
fn relu_row(row: &mut [f32]) {
    row.iter_mut().for_each(|x| *x = relu(*x));
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

/// Quantizes rows of `width` outputs; see [`quantize_padded`].
fn quantize_rows(out: &[f32], width: usize, bytes: &mut [u8], scales: &mut [f32]) {
    for (r, scale) in scales.iter_mut().enumerate() {
        let outputs = row(out, r, padded(width)).get(..width);
        *scale = quantize_padded(outputs.unwrap_or_default(), bytes, r);
    }
}

/// Quantizes a row of activations into row `r` of `bytes`, zeros up to the whole group.
#[inline(never)]
fn quantize_padded(activations: &[f32], bytes: &mut [u8], r: usize) -> f32 {
    let to = row_mut(bytes, r, stride(activations.len()));
    let (to, pad) = to
        .split_at_mut_checked(activations.len())
        .unwrap_or_default();
    pad.fill(0);
    quantize_row(activations, to)
}
