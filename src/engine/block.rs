//! The network over one block of candidates: first layer -> experts -> gates -> mixture -> towers -> heads.

use super::dense::{add_side, head, hidden, row, row_mut, stride};
use super::{Model, Scratch, ScratchLen};
use crate::fusion;
use crate::math::{clamp, exp, quantize_row, relu, sigmoid, softmax_q15};
use crate::spec::{Layer, PANEL, Side, Spec, TaskKind, limits, padded};

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
    first: usize,
    mixture: usize,
    widest: usize,
    experts: usize,
}

impl Sizes {
    fn of(spec: &Spec<'_>) -> Self {
        let layers = spec
            .network
            .expert_layers
            .iter()
            .chain(spec.tasks.iter().flat_map(|t| t.tower_layers.iter()));
        Self {
            first: padded(spec.first_outputs()),
            mixture: padded(spec.mixture_width()),
            widest: padded(layers.map(|w| usize::from(*w)).max().unwrap_or(0)),
            experts: usize::from(spec.network.num_experts),
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
        bytes: inputs + BLOCK * s.widest,
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
            let (bytes, more) =
                rest.split_at_mut_checked(side_rows(side) * stride(spec.side_inputs(side)))?;
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

    /// The input bytes of row `index` of a side.
    pub fn input(&mut self, spec: &Spec<'_>, side: Side, index: usize) -> &mut [u8] {
        let inputs = spec.side_inputs(side);
        let bytes = self
            .inputs
            .get_mut(side as usize)
            .map(|b| &mut **b)
            .unwrap_or_default();
        row_mut(bytes, index, stride(inputs))
            .get_mut(..inputs)
            .unwrap_or_default()
    }
}

impl Model<'_> {
    /// First-layer sums of the user side, once a request: base = bias + user sums.
    pub(super) fn user_sums(&self, b: &mut Buffers<'_>, see: &mut impl See) {
        for (base, bias) in b.base.iter_mut().zip(self.first_bias.as_chunks::<4>().0) {
            *base = f32::from_le_bytes(*bias);
        }
        let outputs = b.base.len();
        if let (Some(layer), Some(inputs)) = (self.first.first(), b.inputs.first()) {
            add_side(
                self.isa,
                layer,
                inputs,
                stride(self.spec.side_inputs(Side::User)),
                b.base,
                outputs,
                |row, panel, acc| see.sums(Layer::First(Side::User), row, panel * PANEL, acc),
            );
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
        let outputs = b.base.len();
        for r in 0..rows {
            for (sum, base) in row_mut(b.sums, r, outputs).iter_mut().zip(&*b.base) {
                *sum = *base;
            }
        }
        let sums = b.sums.get_mut(..rows * outputs).unwrap_or_default();
        for side in [Side::Item, Side::Candidate, Side::Cross] {
            let stride = stride(spec.side_inputs(side));
            if let (Some(layer), Some(inputs)) =
                (self.first.get(side as usize), b.inputs.get(side as usize))
            {
                let inputs = inputs.get(..rows * stride).unwrap_or_default();
                add_side(
                    self.isa,
                    layer,
                    inputs,
                    stride,
                    sums,
                    outputs,
                    |row, panel, acc| see.sums(Layer::First(side), row, panel * PANEL, acc),
                );
            }
        }
        self.experts(b, &s, rows, see);
        let mut scores = [[0.0; limits::TASKS]; BLOCK];
        for task in 0..spec.tasks.len() {
            self.mix(b, &s, rows, task);
            self.tower(b, &s, rows, task, see, &mut scores);
        }
        for (r, scores) in scores.iter().enumerate().take(rows) {
            done(r, scores.get(..spec.tasks.len()).unwrap_or_default());
        }
    }

    fn experts(&self, b: &mut Buffers<'_>, s: &Sizes, rows: usize, see: &mut impl See) {
        let width = self.spec.expert_width(0);
        let depth = self.spec.network.expert_layers.len();
        for expert in 0..s.experts {
            let to = row_mut(b.experts, expert, BLOCK * s.mixture);
            let mut scales = [0.0; BLOCK];
            for (r, scale) in scales.iter_mut().enumerate().take(rows) {
                let first =
                    row_mut(b.sums, r, s.first).get_mut(expert * width..(expert + 1) * width);
                let first = first.unwrap_or_default();
                for x in first.iter_mut() {
                    *x = relu(*x);
                }
                if depth == 1 {
                    for (to, x) in row_mut(to, r, s.mixture).iter_mut().zip(&*first) {
                        *to = *x;
                    }
                } else {
                    *scale = quantize_padded(first, b.bytes, r);
                }
            }
            for layer in 1..depth {
                let Some(dense) = self.experts.get(expert * (depth - 1) + layer - 1) else {
                    return;
                };
                let scales = scales.get_mut(..rows).unwrap_or_default();
                let last = layer + 1 == depth;
                let out = if last { &mut *to } else { &mut *b.hidden };
                let name = Layer::Expert { expert, layer };
                hidden(
                    self.isa,
                    dense,
                    b.bytes,
                    stride(dense.inputs),
                    scales,
                    out,
                    |row, panel, acc| see.sums(name, row, panel * PANEL, acc),
                );
                if !last {
                    for (r, scale) in scales.iter_mut().enumerate() {
                        let outputs = row(out, r, padded(dense.outputs))
                            .get(..dense.outputs)
                            .unwrap_or_default();
                        *scale = quantize_padded(outputs, b.bytes, r);
                    }
                }
            }
        }
    }

    /// mixture = sum over experts of gate x expert output, in the order of the experts.
    fn mix(&self, b: &mut Buffers<'_>, s: &Sizes, rows: usize, task: usize) {
        let gates = s.experts * self.spec.expert_width(0) + task * s.experts;
        for r in 0..rows {
            let mut weights = [0u16; limits::EXPERTS];
            let logits = row(b.sums, r, s.first)
                .get(gates..gates + s.experts)
                .unwrap_or_default();
            softmax_q15(logits, &mut weights);
            let mixture = row_mut(b.mixture, r, s.mixture);
            mixture.fill(0.0);
            for (expert, weight) in weights.iter().enumerate().take(s.experts) {
                // 2^-15 is a power of two: the product is exact.
                let weight = f32::from(*weight) * (1.0 / 32768.0);
                let from = row(row(b.experts, expert, BLOCK * s.mixture), r, s.mixture);
                for (m, x) in mixture.iter_mut().zip(from) {
                    *m += weight * *x;
                }
            }
        }
    }

    fn tower(
        &self,
        b: &mut Buffers<'_>,
        s: &Sizes,
        rows: usize,
        task: usize,
        see: &mut impl See,
        scores: &mut [[f32; limits::TASKS]; BLOCK],
    ) {
        let before: usize = self
            .spec
            .tasks
            .iter()
            .take(task)
            .map(|t| t.tower_layers.len())
            .sum();
        let Some(t) = self.spec.tasks.get(task) else {
            return;
        };
        let mut scales = [0.0; BLOCK];
        for (r, scale) in scales.iter_mut().enumerate().take(rows) {
            let mixture = row(b.mixture, r, s.mixture)
                .get(..self.spec.mixture_width())
                .unwrap_or_default();
            *scale = quantize_padded(mixture, b.bytes, r);
        }
        let mut width = self.spec.mixture_width();
        let layers = self.towers.iter().skip(before).take(t.tower_layers.len());
        for (layer, dense) in layers.enumerate() {
            let name = Layer::Tower { task, layer };
            let scales = scales.get_mut(..rows).unwrap_or_default();
            hidden(
                self.isa,
                dense,
                b.bytes,
                stride(dense.inputs),
                scales,
                b.hidden,
                |row, panel, acc| see.sums(name, row, panel * PANEL, acc),
            );
            width = dense.outputs;
            for (r, scale) in scales.iter_mut().enumerate() {
                let outputs = row(b.hidden, r, padded(width))
                    .get(..width)
                    .unwrap_or_default();
                *scale = quantize_padded(outputs, b.bytes, r);
            }
        }
        let Some(dense) = self.heads.get(task) else {
            return;
        };
        for (r, (scale, scores)) in scales.iter().zip(scores).enumerate().take(rows) {
            let input = row(b.bytes, r, stride(width))
                .get(..width)
                .unwrap_or_default();
            let logit = head(self.isa, dense, input, *scale, |acc| {
                see.sums(Layer::Head { task }, r, 0, &[acc]);
            });
            if let Some(score) = scores.get_mut(task) {
                *score = link(t.kind, t.score_scale, logit);
            }
        }
    }

    /// Fused score of one candidate.
    pub(super) fn fuse(&self, weights: Option<&[f32]>, scores: &[f32]) -> f32 {
        fusion::fuse(&self.spec, weights, scores)
    }
}

/// Score of a logit; see [`TaskKind`].
fn link(kind: TaskKind, score_scale: f32, logit: f32) -> f32 {
    match kind {
        TaskKind::Binary => sigmoid(logit),
        // e^20 s is 15 years: no duration is longer.
        TaskKind::Duration => (exp(clamp(logit, 0.0, 20.0)) - 1.0) * score_scale,
    }
}

/// Quantizes a row of activations into row `r` of `bytes`, zeros up to the whole group.
fn quantize_padded(activations: &[f32], bytes: &mut [u8], r: usize) -> f32 {
    let to = row_mut(bytes, r, stride(activations.len()));
    let (to, pad) = to
        .split_at_mut_checked(activations.len())
        .unwrap_or_default();
    pad.fill(0);
    quantize_row(activations, to)
}
