//! Gradients of the logits to gradients of every dense parameter and of the inputs, derived by hand from
//! [`super::forward`].
//!
//! In two halves, so that factors can depend on the tasks' gradients at the shared representation: towers first
//! (`towers_backward`), then everything below (`shared_backward`). A task's factors enter where its
//! own layers meet shared ones: mixture to experts, gate to experts and inputs, own experts to inputs.
use std::prelude::v1::*;

use core::ops::Range;

use crate::spec::NetworkKind;
use crate::train::network::attention::AttendedGradients;
use crate::train::network::forward::Activations;
use crate::train::network::{Network, Span, Weights};
use crate::train::real::{Real, column_sums, dot, gemm, matrix, matrix_mut};

mod mixture;
mod towers;

pub(super) use mixture::{mean_use, mixed_backward};

/// Gradients of one shard.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShardGradients<R> {
    /// Of the loss, `[rows, tasks]`: the input of [`Network::towers_backward`]; 0 of tasks of several logits.
    pub logits: Vec<R>,
    /// Per task of several logits `[rows, thresholds]`: of the loss.
    pub steps: Vec<Vec<R>>,
    /// Of the loss by the levels, `[rows, tasks]` if there are any.
    pub levels: Vec<R>,
    /// Of the dense parameters.
    pub dense: Vec<R>,
    /// `[rows, x_stride]`.
    pub x: Vec<R>,
    hidden: Vec<Vec<R>>,
    /// Per task `[rows, mixture_width + fed]`.
    pub(super) mixtures: Vec<Vec<R>>,
    /// Per gate of the first level, if a second reads what they mix: `[rows, mixture_width]`.
    pub(super) lower: Vec<Vec<R>>,
    tower: Vec<R>,
    /// Of a gate's layers.
    gate: [Vec<R>; 2],
    pub(super) below: Vec<R>,
    /// Per feature that attends.
    pub attended: Vec<AttendedGradients<R>>,
}

#[cfg(test)]
impl<R> ShardGradients<R> {
    /// Of a task's mixture.
    pub(crate) fn mixture_of(&self, task: usize) -> &[R] {
        &self.mixtures[task]
    }
}

/// Factors on each task's gradient where it meets what is shared.
#[derive(Clone, Debug)]
pub(crate) struct Factors<R> {
    /// Through mixtures: the task's factor on the learning rate, times its balance at the shared representation.
    pub shared: Vec<R>,
    /// Through gates: the task's factor on the learning rate.
    pub gate: Vec<R>,
    /// On a gate's mean use of an expert in the shard, added to the gradient by each share: 2 x the weight of the penalty
    /// on uneven use x experts / rows of the batch.
    pub load_balance: R,
}

/// d = 0 where the output was 0 (ReLU, or dropped), else d x keep.
pub(super) fn through_relu<R: Real>(d: &mut [R], y: &[R], stride: usize, cols: usize, keep: R) {
    for (d, y) in d.chunks_mut(stride).zip(y.chunks(stride)) {
        for (d, y) in d.iter_mut().zip(y).take(cols) {
            *d = if *y == R::ZERO { R::ZERO } else { *d * keep };
        }
    }
}

/// A view of activations or their gradients: values and row stride.
pub(super) type Columns<'a, R> = (&'a [R], usize);

/// dW = d^T input, db = column sums of d.
pub(super) fn parameters_gradient<R: Real>(
    span: &Span,
    d: Columns<'_, R>,
    input: Columns<'_, R>,
    rows: usize,
    out: &mut [R],
) {
    let (o, i) = (span.outputs, span.inputs);
    gemm(
        matrix(d.0, rows, o, d.1).reversed_axes(),
        matrix(input.0, rows, i, input.1),
        matrix_mut(&mut out[span.weights()], o, i, i),
    );
    column_sums(d.0, rows, d.1, &mut out[span.biases()]);
}

/// d_input = d x W. All but `span` are values and row stride.
pub(super) fn input_gradient<R: Real>(
    w: &[R],
    span: &Span,
    d: Columns<'_, R>,
    out: (&mut [R], usize),
    rows: usize,
) {
    gemm(
        matrix(d.0, rows, span.outputs, d.1),
        matrix(&w[span.weights()], span.outputs, span.inputs, span.inputs),
        matrix_mut(out.0, rows, span.inputs, out.1),
    );
}

impl Network {
    /// From `g.logits` to the parameters of heads and towers and the gradients of the mixtures. `keep` is the factor on
    /// hidden outputs that dropout kept; bit `f` of `stopped[t]` cuts the gradient of what task `t` is fed as number `f`.
    pub(crate) fn towers_backward<R: Real>(
        &self,
        weights: &Weights<R>,
        a: &Activations<R>,
        keep: R,
        lr: &[R],
        stopped: &[u16],
        g: &mut ShardGradients<R>,
    ) {
        g.dense.resize(self.num_dense, R::ZERO);
        g.mixtures.resize_with(self.num_tasks(), Vec::new);
        // What is fed comes before what it is fed to, so its gradient is whole when its turn comes.
        for task in self.order.iter().rev().copied() {
            self.tower_backward(weights, a, task, keep, g);
            self.feed_backward(a, task, lr[task], stopped[task], g);
        }
    }

    /// From the gradients of the mixtures to everything below.
    pub(crate) fn shared_backward<R: Real>(
        &self,
        weights: &Weights<R>,
        a: &Activations<R>,
        factors: &Factors<R>,
        keep: R,
        g: &mut ShardGradients<R>,
    ) {
        self.experts_backward(weights, a, factors, keep, g);
        self.first_backward(weights, a, factors, g);
        self.attend_backward(weights, a, g);
        self.bias_backward(weights, a, &factors.gate, g);
    }

    /// From the gradients of the mixtures to the first layer's outputs, in `g.hidden[0]`.
    fn experts_backward<R: Real>(
        &self,
        weights: &Weights<R>,
        a: &Activations<R>,
        factors: &Factors<R>,
        keep: R,
        g: &mut ShardGradients<R>,
    ) {
        let n = a.rows;
        let layers = self.expert_widths.len();
        g.hidden.resize_with(layers, Vec::new);
        for (l, v) in g.hidden.iter_mut().enumerate() {
            v.resize(n * self.hidden_stride(l), R::ZERO);
        }
        let stride = self.hidden_stride(layers - 1);
        for row in g.hidden[layers - 1].chunks_mut(stride) {
            row[..self.num_experts * self.mixture_width()].fill(R::ZERO);
        }
        self.upper_backward(weights, a, factors, keep, g);
        for task in 0..self.gates.len().max(self.num_tasks()) {
            self.mixture_backward(weights, a, task, factors, g);
        }
        let w = &weights.dense[..];
        for l in (1..layers).rev() {
            let (below, above) = g.hidden.split_at_mut(l);
            let (d, d_below) = (&mut above[0], &mut below[l - 1]);
            let (stride, below_stride, width) = (
                self.hidden_stride(l),
                self.hidden_stride(l - 1),
                self.expert_widths[l],
            );
            through_relu(d, &a.hidden[l], stride, stride, keep);
            for (e, spans) in self.experts.iter().enumerate() {
                let span = &spans[l];
                let d = (&d[e * width..], stride);
                let input = (&a.hidden[l - 1][e * span.inputs..], below_stride);
                parameters_gradient(span, d, input, n, &mut g.dense);
                let out = (&mut d_below[e * span.inputs..], below_stride);
                input_gradient(w, span, d, out, n);
            }
        }
        let stride = self.hidden_stride(0);
        through_relu(
            &mut g.hidden[0],
            &a.hidden[0],
            stride,
            self.gate_column(),
            keep,
        );
        if self.gate_depth() > 0 {
            let gates = self.gate_column();
            for (d, y) in g.hidden[0]
                .chunks_mut(stride)
                .zip(a.hidden[0].chunks(stride))
            {
                through_relu(&mut d[gates..], &y[gates..], stride, stride, R::ONE);
            }
        }
    }

    /// From the first layer's outputs to its parameters and the inputs.
    fn first_backward<R: Real>(
        &self,
        weights: &Weights<R>,
        a: &Activations<R>,
        factors: &Factors<R>,
        g: &mut ShardGradients<R>,
    ) {
        let (n, stride, inputs) = (a.rows, self.hidden_stride(0), self.x_stride());
        g.x.resize(n * inputs, R::ZERO);
        let d = &mut g.hidden[0];
        for (group, span) in self.first.iter().enumerate() {
            let d = (&d[group * span.outputs..], stride);
            let x = (&a.x[group * self.num_inputs..], inputs);
            parameters_gradient(span, d, x, n, &mut g.dense);
        }
        for (columns, factor) in self.first_factors(factors) {
            if factor != R::ONE {
                for row in d.chunks_mut(stride) {
                    row[columns.clone()].iter_mut().for_each(|d| *d *= factor);
                }
            }
        }
        for (group, span) in self.first.iter().enumerate() {
            let d = (&d[group * span.outputs..], stride);
            let out = (&mut g.x[group * self.num_inputs..], inputs);
            input_gradient(&weights.dense, span, d, out, n);
        }
    }

    /// Columns of the first layer that belong to one task, with the factor on what they add to shared inputs.
    fn first_factors<R: Real>(&self, factors: &Factors<R>) -> Vec<(Range<usize>, R)> {
        let width = self.expert_widths[0];
        let tasks = 0..self.num_tasks();
        match self.kind {
            NetworkKind::Mmoe => tasks
                .map(|t| (self.gate_columns(t), factors.gate[t]))
                .collect(),
            NetworkKind::SharedEmbedding => tasks
                .map(|t| (t * width..(t + 1) * width, factors.shared[t]))
                .collect(),
            // Nothing below belongs to one task, or everything does, or factors entered above.
            NetworkKind::SharedBottom | NetworkKind::Single | NetworkKind::Progressive { .. } => {
                Vec::new()
            }
        }
    }

    /// Adds the inner products of the tasks' gradients at the shared representation, summed over rows, to `gram`
    /// `[tasks, tasks]`: at the experts' outputs through the mixtures, or at the inputs where each task has an expert.
    /// Overwrites `g.hidden`, and with own experts their parameters' gradients, which [`Self::shared_backward`] finds
    /// again.
    pub(crate) fn gram<R: Real>(
        &self,
        weights: &Weights<R>,
        a: &Activations<R>,
        keep: R,
        g: &mut ShardGradients<R>,
        gram: &mut [f64],
    ) {
        let tasks = self.num_tasks();
        let mut add = |s: usize, t: usize, x: f64| {
            gram[s * tasks + t] += x;
            if s != t {
                gram[t * tasks + s] += x;
            }
        };
        if self.kind == NetworkKind::SharedEmbedding {
            let ones = Factors {
                shared: vec![R::ONE; tasks],
                gate: vec![R::ONE; tasks],
                load_balance: R::ZERO,
            };
            self.experts_backward(weights, a, &ones, keep, g);
            let d = &g.hidden[0];
            let mut dx = vec![vec![R::ZERO; a.rows * self.num_inputs]; tasks];
            for (dx, spans) in dx
                .iter_mut()
                .zip(&self.experts)
                .enumerate()
                .map(|(t, (x, s))| ((t, x), s))
            {
                let (task, dx) = dx;
                let d = (&d[task * spans[0].outputs..], self.hidden_stride(0));
                input_gradient(&weights.dense, &spans[0], d, (dx, self.num_inputs), a.rows);
            }
            for s in 0..tasks {
                for t in s..tasks {
                    let rows = dx[s]
                        .chunks(self.num_inputs)
                        .zip(dx[t].chunks(self.num_inputs));
                    add(s, t, rows.map(|(a, b)| dot(a, b).to_f64()).sum());
                }
            }
            return;
        }
        let width = self.mixture_width();
        let (_, gates) = self.top(a);
        for s in 0..tasks {
            for t in s..tasks {
                let row = |task: usize, i: usize| {
                    let stride = self.mixture_stride(task);
                    &g.mixtures[task][i * stride..i * stride + width]
                };
                let shares = |task: usize, i: usize| {
                    let shares = gates.get(task).map_or(&[][..], |v| v);
                    shares.chunks(self.num_experts).nth(i).unwrap_or_default()
                };
                let products = (0..a.rows).map(|i| {
                    let together = match (self.expert_of(s), self.expert_of(t)) {
                        (None, _) => dot(shares(s, i), shares(t, i)),
                        (a, b) if a == b => R::ONE,
                        _ => R::ZERO,
                    };
                    (together * dot(row(s, i), row(t, i))).to_f64()
                });
                add(s, t, products.sum());
            }
        }
    }
}
