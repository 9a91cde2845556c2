//! Inputs to logits:
//!
//! x -> h = relu(W x + b), layer by layer, per expert; g_t = softmax(z_t), where z_t is the gate's last layer or, with
//! attention, z_te = q_t . h_e / sqrt(width); m_t = sum of g_te h_e, or the output of the task's own or only expert;
//! tower and head per task, on m_t and what other tasks feed.
use std::prelude::v1::*;

use crate::spec::{FedValue, Gate, TaskKind, limits};
use crate::train::dataset::Dataset;
use crate::train::loss::sigmoid;
use crate::train::network::attention::Attended;
use crate::train::network::fake_quantize::softmax_q15;
use crate::train::network::gather::{Draw, Dropout};
use crate::train::network::upper::UpperActivations;
use crate::train::network::{Network, Span, Weights};
use crate::train::random::Key;
use crate::train::real::{Real, add_scaled, dot, gemm, matrix, matrix_mut};

/// Rows that are computed together, whatever the batch and the number of threads.
pub(crate) const SHARD_ROWS: usize = 256;

/// Every activation of up to [`SHARD_ROWS`] rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Activations<R> {
    pub rows: usize,
    /// `[rows, x_stride]`.
    pub x: Vec<R>,
    /// Per expert layer `[rows, experts x width]`; the first also holds the first layers of the gates behind the experts.
    pub hidden: Vec<Vec<R>>,
    /// Per task and layer of its gate after the first `[rows, width]`.
    pub gates: Vec<Vec<Vec<R>>>,
    /// Per task `[rows, experts]`: its gate's weights.
    pub shares: Vec<Vec<R>>,
    /// Per task `[rows, mixture_width + fed]`: the mixture, then what other tasks feed.
    pub mixtures: Vec<Vec<R>>,
    /// Per task and tower layer `[rows, width]`.
    pub towers: Vec<Vec<Vec<R>>>,
    /// `[rows, tasks]`; of a task of several logits ln(1 + what they say together), as of a duration.
    pub logits: Vec<R>,
    /// Per task of several logits `[rows, thresholds]`: its logits.
    pub steps: Vec<Vec<R>>,
    /// `[rows, tasks]` if any task learns two logits: half their sum.
    pub levels: Vec<R>,
    /// Per tower on what is known in training alone, and layer: `[rows, width]`.
    pub bias: Vec<Vec<Vec<R>>>,
    /// Rows in which those towers' inputs are left out; empty if none may be.
    pub bias_dropped: Vec<bool>,
    /// Per feature that attends.
    pub attended: Vec<Attended<R>>,
    /// Of a second level of experts.
    pub upper: UpperActivations<R>,
}

/// Leaves hidden outputs out.
#[derive(Clone, Copy)]
pub(super) struct HiddenDropout<'a, R> {
    dropout: &'a Dropout,
    layer: usize,
    position: usize,
    keep: R,
}

/// Those of all layers of a forward pass.
pub(super) struct HiddenDropouts<'a, R> {
    dropout: Option<&'a Dropout>,
    position: usize,
    keep: R,
}

impl<'a, R: Real> HiddenDropouts<'a, R> {
    fn new(dropout: Option<&'a Dropout>, position: usize) -> Self {
        let dropout = dropout.filter(|d| d.rates.hidden > 0.0);
        let keep = dropout.map_or(1.0, |d| 1.0 / (1.0 - d.rates.hidden));
        Self {
            dropout,
            position,
            keep: R::from_f64(keep),
        }
    }

    /// Of the layer of that number.
    fn at(&self, layer: usize) -> Option<HiddenDropout<'a, R>> {
        Some(HiddenDropout {
            dropout: self.dropout?,
            layer,
            position: self.position,
            keep: self.keep,
        })
    }

    /// Of a layer of the second level's experts, whose numbers are behind those of all towers.
    pub(super) fn upper(&self, layer: usize) -> Option<HiddenDropout<'a, R>> {
        self.at((limits::TASKS + 1) * (limits::LAYERS + 1) + layer)
    }
}

/// max(z, 0). NaN must come through: a network that diverged is an error, not a zero.
pub(super) fn relu<R: Real>(z: R) -> R {
    if z <= R::ZERO { R::ZERO } else { z }
}

/// out = input x W^T. Both are values and row stride.
pub(super) fn dense<R: Real>(
    w: &[R],
    span: &Span,
    input: (&[R], usize),
    out: (&mut [R], usize),
    rows: usize,
) {
    let weight = matrix(&w[span.weights()], span.outputs, span.inputs, span.inputs);
    gemm(
        matrix(input.0, rows, span.inputs, input.1),
        weight.reversed_axes(),
        matrix_mut(out.0, rows, span.outputs, out.1),
    );
}

/// y = relu(y + b) in the first `bias.len()` of every `stride` columns; dropped outputs are 0, kept ones scaled.
pub(super) fn bias_relu<R: Real>(
    y: &mut [R],
    stride: usize,
    bias: &[R],
    dropout: Option<HiddenDropout<'_, R>>,
) {
    for (i, row) in y.chunks_mut(stride).enumerate() {
        for (y, b) in row.iter_mut().zip(bias) {
            let z = *y + *b;
            *y = relu(z);
        }
        if let Some(d) = dropout {
            let key: Key = d.dropout.row(Draw::Hidden, d.layer, d.position + i);
            for (unit, y) in row.iter_mut().take(bias.len()).enumerate() {
                *y = if key.at(unit as u64).chance(d.dropout.rates.hidden) {
                    R::ZERO
                } else {
                    *y * d.keep
                };
            }
        }
    }
}

/// logits -> softmax over the kept experts. If that would leave nothing, none is left out: every expert was drawn, or those
/// kept have no share beside the others.
pub(super) fn softmax<R: Real>(z: &mut [R], dropped: Option<(Key, f64)>) {
    let max = z.iter().fold(None, |m: Option<R>, x| match m {
        Some(m) if m >= *x => Some(m),
        _ => Some(*x),
    });
    let max = max.unwrap_or(R::ZERO);
    z.iter_mut().for_each(|z| *z = (*z - max).exp());
    let left_out = |e: usize| dropped.is_some_and(|(key, rate)| key.at(e as u64).chance(rate));
    let kept = z.iter().enumerate().filter(|(e, _)| !left_out(*e));
    let mut sum = kept.fold(R::ZERO, |sum, (_, z)| sum + *z);
    let none = sum == R::ZERO;
    if none {
        sum = z.iter().fold(R::ZERO, |sum, z| sum + *z);
    }
    let scale = R::ONE / sum;
    for (e, z) in z.iter_mut().enumerate() {
        *z = if none || !left_out(e) {
            *z * scale
        } else {
            R::ZERO
        };
    }
}

/// Mixtures of `width`, one a row, by a gate's shares `[rows, experts]`; `h` and `out` are values and row stride.
pub(super) fn mix_rows<R: Real>(
    (h, stride): (&[R], usize),
    shares: &[R],
    experts: usize,
    (out, out_stride): (&mut [R], usize),
    width: usize,
) {
    let rows = out.chunks_mut(out_stride).zip(h.chunks(stride));
    for ((m, h), shares) in rows.zip(shares.chunks(experts)) {
        let m = &mut m[..width];
        m.fill(R::ZERO);
        for (g, h) in shares.iter().zip(h.chunks(width)) {
            add_scaled(m, *g, h);
        }
    }
}

impl<R: Real> Activations<R> {
    /// Makes room for `rows` rows.
    fn resize(&mut self, network: &Network, rows: usize) {
        let fit = |v: &mut Vec<R>, cols: usize| v.resize(rows * cols, R::ZERO);
        let fit_stacks = |to: &mut Vec<Vec<Vec<R>>>, stacks: &[Vec<Span>], skip: usize| {
            to.resize_with(stacks.len(), Vec::new);
            for (to, spans) in to.iter_mut().zip(stacks) {
                to.resize_with(spans.len() - skip, Vec::new);
                let layers = to.iter_mut().zip(&spans[skip..]);
                layers.for_each(|(v, s)| fit(v, s.outputs));
            }
        };
        fit(&mut self.x, network.x_stride());
        self.hidden
            .resize_with(network.expert_widths.len(), Vec::new);
        for (l, v) in self.hidden.iter_mut().enumerate() {
            fit(v, network.hidden_stride(l));
        }
        fit_stacks(&mut self.gates, &network.gates, 1);
        self.shares.resize_with(network.gates.len(), Vec::new);
        self.shares
            .iter_mut()
            .for_each(|v| fit(v, network.num_experts));
        self.mixtures.resize_with(network.num_tasks(), Vec::new);
        for (task, v) in self.mixtures.iter_mut().enumerate() {
            fit(v, network.mixture_stride(task));
        }
        fit_stacks(&mut self.towers, &network.towers, 0);
        fit(&mut self.logits, network.num_tasks());
        self.steps.resize_with(network.num_tasks(), Vec::new);
        for (v, kind) in self.steps.iter_mut().zip(&network.kinds) {
            let several = matches!(kind, TaskKind::Steps { .. });
            fit(v, if several { kind.logits() } else { 0 });
        }
        fit(&mut self.levels, network.levels.len());
        self.rows = rows;
    }
}

/// The value that a task's tower is fed of a logit.
pub(crate) fn fed<R: Real>(value: FedValue, logit: R) -> R {
    let most = R::from_f64(FED_LIMIT);
    // NaN must come through.
    let logit = if logit > most {
        most
    } else if logit < -most {
        -most
    } else {
        logit
    };
    match value {
        FedValue::Logit => logit,
        FedValue::Probability => sigmoid(logit),
    }
}

/// Logits are fed within so many of 0, as on the device.
pub(crate) const FED_LIMIT: f64 = 30.0;

impl Network {
    /// Columns of an expert layer's activations.
    pub(crate) fn hidden_stride(&self, layer: usize) -> usize {
        if layer == 0 {
            self.first.iter().map(|s| s.outputs).sum()
        } else {
            self.num_experts * self.expert_widths[layer]
        }
    }

    /// Columns of a task's mixture with what the task is fed.
    pub(crate) fn mixture_stride(&self, task: usize) -> usize {
        self.mixture_width() + self.feeds[task].len()
    }

    /// Column of the first layer where the gates begin.
    pub(crate) fn gate_column(&self) -> usize {
        self.num_experts * self.expert_widths[0]
    }

    /// Columns of the first layer of a task's gate.
    pub(crate) fn gate_columns(&self, task: usize) -> core::ops::Range<usize> {
        let width = self.gates[task][0].outputs;
        let first = self.gate_column() + task * width;
        first..first + width
    }

    /// Layers of a gate behind its first.
    pub(crate) fn gate_depth(&self) -> usize {
        self.gates.first().map_or(0, |g| g.len() - 1)
    }

    /// Computes the logits of `rows`, at most [`SHARD_ROWS`], the first of which is at `position` of the batch.
    pub(crate) fn forward<R: Real>(
        &self,
        weights: &Weights<R>,
        data: &Dataset,
        rows: &[u32],
        position: usize,
        dropout: Option<&Dropout>,
        a: &mut Activations<R>,
    ) {
        a.resize(self, rows.len());
        self.gather(weights, data, rows, position, dropout, &mut a.x);
        self.attend(weights, data, rows, position, dropout, a);
        self.drop_bias_inputs(position, dropout, a);
        let w = &weights.dense[..];
        self.first_forward(w, a);
        let dropped = HiddenDropouts::new(dropout, position);
        let bias: Vec<R> = self.biases(w, 0);
        let stride = self.hidden_stride(0);
        bias_relu(&mut a.hidden[0], stride, &bias, dropped.at(0));
        self.round_experts(0, &mut a.hidden[0]);
        for l in 1..self.expert_widths.len() {
            let (below, above) = a.hidden.split_at_mut(l);
            let (from, to) = (&below[l - 1], &mut above[0]);
            let (from_stride, stride, width) = (
                self.hidden_stride(l - 1),
                self.hidden_stride(l),
                self.expert_widths[l],
            );
            for (e, spans) in self.experts.iter().enumerate() {
                let from = (&from[e * spans[l].inputs..], from_stride);
                dense(w, &spans[l], from, (&mut to[e * width..], stride), a.rows);
            }
            bias_relu(to, stride, &self.biases(w, l), dropped.at(l));
            self.round_experts(l, to);
        }
        let gate_dropout = dropout.filter(|d| d.rates.gate > 0.0);
        for task in 0..self.gates.len() {
            self.gate_forward(w, a, task, position, gate_dropout);
        }
        self.upper_forward(w, position, dropout, &dropped, a);
        for task in self.order.iter().copied() {
            self.mix(a, task);
            let (stride, width) = (self.mixture_stride(task), self.mixture_width());
            self.round(&mut a.mixtures[task], stride, 0, width);
            self.feed(a, task);
            for (l, span) in self.towers[task].iter().enumerate() {
                let (below, above) = a.towers[task].split_at_mut(l);
                let input = below.last().unwrap_or(&a.mixtures[task]);
                let out = &mut above[0];
                let to = (&mut out[..], span.outputs);
                dense(w, span, (input, span.inputs), to, a.rows);
                let dropped = dropped.at(self.tower_layer(task, l));
                bias_relu(out, span.outputs, &w[span.biases()], dropped);
                self.round(out, span.outputs, 0, span.outputs);
            }
            self.head_forward(w, a, task);
            self.level_forward(w, task, a);
        }
        self.bias_forward(w, a);
    }

    /// The first layers of all groups, and the biases of the gates' first layers with their ReLU.
    fn first_forward<R: Real>(&self, w: &[R], a: &mut Activations<R>) {
        let (stride, inputs) = (self.hidden_stride(0), self.x_stride());
        for (group, span) in self.first.iter().enumerate() {
            let to = &mut a.hidden[0][group * span.outputs..];
            let from = &a.x[group * self.num_inputs..];
            dense(w, span, (from, inputs), (to, stride), a.rows);
        }
        if self.gates.is_empty() {
            return;
        }
        let gates = self.gate_column();
        let bias = &w[self.first[0].biases()][gates..];
        for row in a.hidden[0].chunks_mut(stride) {
            let z = &mut row[gates..];
            add_scaled(z, R::ONE, bias);
            if self.gate_depth() > 0 {
                z.iter_mut().for_each(|z| *z = relu(*z));
            }
        }
        if self.gate_depth() > 0 {
            for task in 0..self.gates.len() {
                let columns = self.gate_columns(task);
                self.round(&mut a.hidden[0], stride, columns.start, columns.len());
            }
        }
    }

    /// Biases of one layer of all experts.
    fn biases<R: Real>(&self, w: &[R], layer: usize) -> Vec<R> {
        let spans = self.experts.iter().map(|spans| spans[layer].biases());
        spans.flat_map(|range| w[range].iter().copied()).collect()
    }

    /// The later layers of a task's gate, and its weights.
    fn gate_forward<R: Real>(
        &self,
        w: &[R],
        a: &mut Activations<R>,
        task: usize,
        position: usize,
        dropout: Option<&Dropout>,
    ) {
        let (columns, stride) = (self.gate_columns(task), self.hidden_stride(0));
        let depth = self.gate_depth();
        for l in 0..depth {
            let span = &self.gates[task][l + 1];
            let (below, above) = a.gates[task].split_at_mut(l);
            let from = match below.last() {
                Some(from) => (&from[..], span.inputs),
                None => (&a.hidden[0][columns.start..], stride),
            };
            dense(w, span, from, (&mut above[0], span.outputs), a.rows);
            let bias = &w[span.biases()];
            for row in above[0].chunks_mut(span.outputs) {
                add_scaled(row, R::ONE, bias);
                if l + 1 < depth {
                    row.iter_mut().for_each(|z| *z = relu(*z));
                }
            }
            if l + 1 < depth {
                self.round(&mut above[0], span.outputs, 0, span.outputs);
            }
        }
        let last = self.expert_widths.len() - 1;
        let (width, last_stride) = (self.mixture_width(), self.hidden_stride(last));
        let scale = R::from_f64(1.0 / libm::sqrt(width as f64));
        for (i, shares) in a.shares[task].chunks_mut(self.num_experts).enumerate() {
            let z = match a.gates[task].last() {
                Some(z) => z.chunks(z.len() / a.rows).nth(i).unwrap_or_default(),
                None => &a.hidden[0][i * stride..][columns.clone()],
            };
            match self.gate {
                Gate::Softmax => shares.copy_from_slice(z),
                Gate::Attention => {
                    let h = a.hidden[last][i * last_stride..].chunks(width);
                    for (share, h) in shares.iter_mut().zip(h) {
                        *share = dot(z, h) * scale;
                    }
                }
            }
            let dropped = dropout.map(|d| (d.row(Draw::Gate, task, position + i), d.rates.gate));
            match dropped {
                None if self.rounds_activations() => softmax_q15(shares),
                _ => softmax(shares, dropped),
            }
        }
    }

    /// A task's mixture.
    fn mix<R: Real>(&self, a: &mut Activations<R>, task: usize) {
        let (width, m_stride) = (self.mixture_width(), self.mixture_stride(task));
        let mut mixture = core::mem::take(&mut a.mixtures[task]);
        let ((h, stride), shares) = self.top(a);
        match self.expert_of(task) {
            Some(expert) => {
                let rows = mixture.chunks_mut(m_stride).zip(h.chunks(stride));
                let of = expert * width..(expert + 1) * width;
                rows.for_each(|(m, h)| m[..width].copy_from_slice(&h[of.clone()]));
            }
            None => {
                let to = (&mut mixture[..], m_stride);
                mix_rows((h, stride), &shares[task], self.num_experts, to, width);
            }
        }
        a.mixtures[task] = mixture;
    }

    /// Puts what a task is fed behind its mixture.
    fn feed<R: Real>(&self, a: &mut Activations<R>, task: usize) {
        let (width, stride) = (self.mixture_width(), self.mixture_stride(task));
        for (f, feed) in self.feeds[task].iter().enumerate() {
            let from = usize::from(feed.task);
            let offset = R::from_f64(self.offsets[from]);
            let logits = a.logits.chunks(self.kinds.len());
            for (m, z) in a.mixtures[task].chunks_mut(stride).zip(logits) {
                m[width + f] = fed(feed.value, z[from] + offset);
            }
        }
    }

    /// A number for a tower's layer that no expert layer has.
    fn tower_layer(&self, task: usize, layer: usize) -> usize {
        (task + 1) * (limits::LAYERS + 1) + layer
    }
}
