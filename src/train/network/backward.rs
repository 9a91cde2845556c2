//! Gradients of the logits to gradients of every dense parameter and of the inputs, derived by hand from
//! [`super::forward`].
//!
//! A task's factor on the learning rate enters where its own layers meet shared ones: mixture to experts, and gate
//! logits to inputs.
use std::prelude::v1::*;

use crate::train::network::forward::Activations;
use crate::train::network::{Network, Span, Weights};
use crate::train::real::{Real, add_scaled, column_sums, dot, gemm, matrix, matrix_mut};

/// Gradients of one shard.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShardGradients<R> {
    /// Of the loss, `[rows, tasks]`: the input of [`Network::backward`].
    pub logits: Vec<R>,
    /// Of the dense parameters.
    pub dense: Vec<R>,
    /// `[rows, num_inputs]`.
    pub x: Vec<R>,
    hidden: Vec<Vec<R>>,
    mixture: Vec<R>,
    tower: Vec<R>,
    below: Vec<R>,
}

/// d = 0 where the output was 0 (ReLU, or dropped), else d x keep.
fn through_relu<R: Real>(d: &mut [R], y: &[R], stride: usize, cols: usize, keep: R) {
    for (d, y) in d.chunks_mut(stride).zip(y.chunks(stride)) {
        for (d, y) in d.iter_mut().zip(y).take(cols) {
            *d = if *y == R::ZERO { R::ZERO } else { *d * keep };
        }
    }
}

/// A view of activations or their gradients: values and row stride.
type Columns<'a, R> = (&'a [R], usize);

/// dW = d^T input, db = column sums of d.
fn parameters_gradient<R: Real>(
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

impl Network {
    /// From `g.logits` to `g.dense` and `g.x`. `keep` is the factor on hidden outputs that dropout kept.
    pub(crate) fn backward<R: Real>(
        &self,
        weights: &Weights<R>,
        a: &Activations<R>,
        task_lr: &[R],
        keep: R,
        g: &mut ShardGradients<R>,
    ) {
        let n = a.rows;
        let layers = self.expert_widths.len();
        g.dense.resize(self.num_dense, R::ZERO);
        g.x.resize(n * self.num_inputs, R::ZERO);
        g.hidden.resize_with(layers, Vec::new);
        for (l, v) in g.hidden.iter_mut().enumerate() {
            v.resize(n * self.hidden_stride(l), R::ZERO);
        }
        let stride = self.hidden_stride(layers - 1);
        for row in g.hidden[layers - 1].chunks_mut(stride) {
            row[..self.num_experts * self.mixture_width()].fill(R::ZERO);
        }
        for (task, lr) in task_lr.iter().enumerate() {
            self.tower_backward(weights, a, task, keep, g);
            self.mixture_backward(a, task, *lr, g);
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
                gemm(
                    matrix(d.0, n, width, stride),
                    matrix(&w[span.weights()], width, span.inputs, span.inputs),
                    matrix_mut(
                        &mut d_below[e * span.inputs..],
                        n,
                        span.inputs,
                        below_stride,
                    ),
                );
            }
        }

        let (f, d) = (self.first.outputs, &mut g.hidden[0]);
        through_relu(d, &a.hidden[0], f, self.gate_column(), keep);
        parameters_gradient(
            &self.first,
            (&d[..], f),
            (&a.x[..], self.num_inputs),
            n,
            &mut g.dense,
        );
        if task_lr.iter().any(|lr| *lr != R::ONE) {
            for row in d.chunks_mut(f) {
                for (z, lr) in row[self.gate_column()..]
                    .chunks_mut(self.num_experts)
                    .zip(task_lr)
                {
                    z.iter_mut().for_each(|z| *z *= *lr);
                }
            }
        }
        gemm(
            matrix(d, n, f, f),
            matrix(
                &w[self.first.weights()],
                f,
                self.num_inputs,
                self.num_inputs,
            ),
            matrix_mut(&mut g.x, n, self.num_inputs, self.num_inputs),
        );
    }

    /// Head and tower: leaves the gradient of the mixture in `g.mixture`.
    fn tower_backward<R: Real>(
        &self,
        weights: &Weights<R>,
        a: &Activations<R>,
        task: usize,
        keep: R,
        g: &mut ShardGradients<R>,
    ) {
        let (n, tasks, w) = (a.rows, self.num_tasks(), &weights.dense[..]);
        let head = &self.heads[task];
        let top = a.towers[task].last().unwrap_or(&a.mixtures[task]);
        let d_logit = || g.logits.chunks(tasks).map(|d| d[task]);
        g.mixture.resize(n * head.inputs, R::ZERO);
        let dw = &mut g.dense[head.weights()];
        dw.fill(R::ZERO);
        for ((d, h), out) in d_logit()
            .zip(top.chunks(head.inputs))
            .zip(g.mixture.chunks_mut(head.inputs))
        {
            add_scaled(dw, d, h);
            for (out, v) in out.iter_mut().zip(&w[head.weights()]) {
                *out = d * *v;
            }
        }
        g.dense[head.bias] = d_logit().fold(R::ZERO, |s, d| s + d);

        for (l, span) in self.towers[task].iter().enumerate().rev() {
            core::mem::swap(&mut g.mixture, &mut g.tower);
            let input = if l == 0 {
                &a.mixtures[task]
            } else {
                &a.towers[task][l - 1]
            };
            through_relu(
                &mut g.tower,
                &a.towers[task][l],
                span.outputs,
                span.outputs,
                keep,
            );
            parameters_gradient(
                span,
                (&g.tower, span.outputs),
                (input, span.inputs),
                n,
                &mut g.dense,
            );
            g.mixture.resize(n * span.inputs, R::ZERO);
            gemm(
                matrix(&g.tower, n, span.outputs, span.outputs),
                matrix(&w[span.weights()], span.outputs, span.inputs, span.inputs),
                matrix_mut(&mut g.mixture, n, span.inputs, span.inputs),
            );
        }
    }

    /// From `g.mixture` to the task's gate logits (in the first layer's gradient) and, times `lr`, to the experts.
    fn mixture_backward<R: Real>(
        &self,
        a: &Activations<R>,
        task: usize,
        lr: R,
        g: &mut ShardGradients<R>,
    ) {
        let (width, experts) = (self.mixture_width(), self.num_experts);
        let last = self.expert_widths.len() - 1;
        let (stride, f) = (self.hidden_stride(last), self.first.outputs);
        let gate = self.gate_column() + task * experts;
        for i in 0..a.rows {
            let dm = &g.mixture[i * width..(i + 1) * width];
            let share = &a.hidden[0][i * f + gate..i * f + gate + experts];
            let h = a.hidden[last][i * stride..].chunks(width).take(experts);
            g.below.clear();
            g.below.extend(h.map(|h| dot(dm, h)));
            for (dh, share) in g.hidden[last][i * stride..].chunks_mut(width).zip(share) {
                add_scaled(dh, lr * *share, dm);
            }
            let mean = dot(share, &g.below);
            let dz = &mut g.hidden[0][i * f + gate..i * f + gate + experts];
            for ((dz, share), dg) in dz.iter_mut().zip(share).zip(&g.below) {
                *dz = *share * (*dg - mean);
            }
        }
    }
}
