//! Inputs to logits:
//!
//! x -> h = relu(W x + b), layer by layer, per expert; g_t = softmax(W_t x + b_t); m_t = sum of g_te h_e;
//! tower and head per task.
use std::prelude::v1::*;

use crate::train::dataset::Dataset;
use crate::train::network::gather::{Draw, Dropout};
use crate::train::network::{Network, Span, Weights};
use crate::train::random::Key;
use crate::train::real::{Real, add_scaled, dot, gemm, matrix, matrix_mut};

/// Rows that are computed together, whatever the batch and the number of threads.
pub(crate) const SHARD_ROWS: usize = 256;

/// Every activation of up to [`SHARD_ROWS`] rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Activations<R> {
    pub rows: usize,
    /// `[rows, num_inputs]`.
    pub x: Vec<R>,
    /// Per expert layer `[rows, experts x width]`; the first also holds the gates' weights behind the experts:
    /// `[rows, first_outputs]`.
    pub hidden: Vec<Vec<R>>,
    /// Per task `[rows, mixture_width]`.
    pub mixtures: Vec<Vec<R>>,
    /// Per task and tower layer `[rows, width]`.
    pub towers: Vec<Vec<Vec<R>>>,
    /// `[rows, tasks]`.
    pub logits: Vec<R>,
}

/// Leaves hidden outputs out.
#[derive(Clone, Copy)]
struct HiddenDropout<'a, R> {
    dropout: &'a Dropout,
    layer: usize,
    position: usize,
    keep: R,
}

/// y = relu(y + b) in the first `bias.len()` of every `stride` columns; dropped outputs are 0, kept ones scaled.
fn bias_relu<R: Real>(
    y: &mut [R],
    stride: usize,
    bias: &[R],
    dropout: Option<HiddenDropout<'_, R>>,
) {
    for (i, row) in y.chunks_mut(stride).enumerate() {
        for (y, b) in row.iter_mut().zip(bias) {
            let z = *y + *b;
            // NaN must come through: a network that diverged is an error, not a zero.
            *y = if z <= R::ZERO { R::ZERO } else { z };
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

/// logits -> softmax over the kept experts.
fn softmax<R: Real>(z: &mut [R], dropped: Option<(Key, f64)>) {
    let drop = |e: usize| dropped.is_some_and(|(key, rate)| key.at(e as u64).chance(rate));
    // If every expert were left out, none is.
    let all = dropped.is_some() && (0..z.len()).all(drop);
    let max = z.iter().fold(None, |m: Option<R>, x| match m {
        Some(m) if m >= *x => Some(m),
        _ => Some(*x),
    });
    let max = max.unwrap_or(R::ZERO);
    let mut sum = R::ZERO;
    for (e, z) in z.iter_mut().enumerate() {
        *z = if !all && drop(e) {
            R::ZERO
        } else {
            (*z - max).exp()
        };
        sum += *z;
    }
    let scale = R::ONE / sum;
    for z in z {
        *z *= scale;
    }
}

impl<R: Real> Activations<R> {
    /// Makes room for `rows` rows.
    fn resize(&mut self, network: &Network, rows: usize) {
        let fit = |v: &mut Vec<R>, cols: usize| v.resize(rows * cols, R::ZERO);
        fit(&mut self.x, network.num_inputs);
        self.hidden
            .resize_with(network.expert_widths.len(), Vec::new);
        for (l, v) in self.hidden.iter_mut().enumerate() {
            fit(v, network.hidden_stride(l));
        }
        self.mixtures.resize_with(network.num_tasks(), Vec::new);
        self.mixtures
            .iter_mut()
            .for_each(|v| fit(v, network.mixture_width()));
        self.towers.resize_with(network.num_tasks(), Vec::new);
        for (tower, spans) in self.towers.iter_mut().zip(&network.towers) {
            tower.resize_with(spans.len(), Vec::new);
            tower
                .iter_mut()
                .zip(spans)
                .for_each(|(v, s)| fit(v, s.outputs));
        }
        fit(&mut self.logits, network.num_tasks());
        self.rows = rows;
    }
}

impl Network {
    /// Columns of an expert layer's activations.
    pub(crate) fn hidden_stride(&self, layer: usize) -> usize {
        if layer == 0 {
            self.first.outputs
        } else {
            self.num_experts * self.expert_widths[layer]
        }
    }

    /// Column of the first layer where the gates begin.
    pub(crate) fn gate_column(&self) -> usize {
        self.num_experts * self.expert_widths[0]
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
        let n = rows.len();
        a.resize(self, n);
        self.gather(weights, data, rows, position, dropout, &mut a.x);
        let hidden_dropout = dropout.filter(|d| d.rates.hidden > 0.0);
        let dropped = |layer: usize| {
            hidden_dropout.map(|dropout| HiddenDropout {
                dropout,
                layer,
                position,
                keep: R::from_f64(1.0 / (1.0 - dropout.rates.hidden)),
            })
        };
        let w = &weights.dense[..];
        let weight =
            |s: &Span| matrix(&w[s.weights()], s.outputs, s.inputs, s.inputs).reversed_axes();

        let (d, f) = (self.num_inputs, self.first.outputs);
        gemm(
            matrix(&a.x, n, d, d),
            weight(&self.first),
            matrix_mut(&mut a.hidden[0], n, f, f),
        );
        let bias = &w[self.first.biases()];
        let gates = self.gate_column();
        bias_relu(&mut a.hidden[0], f, &bias[..gates], dropped(0));
        let gate_dropout = dropout.filter(|d| d.rates.gate > 0.0);
        for (i, row) in a.hidden[0].chunks_mut(f).enumerate() {
            let z = &mut row[gates..];
            add_scaled(z, R::ONE, &bias[gates..]);
            for (task, z) in z.chunks_mut(self.num_experts).enumerate() {
                softmax(
                    z,
                    gate_dropout.map(|d| (d.row(Draw::Gate, task, position + i), d.rates.gate)),
                );
            }
        }

        for l in 1..self.expert_widths.len() {
            let (below, above) = a.hidden.split_at_mut(l);
            let (from, to) = (&below[l - 1], &mut above[0]);
            let (from_stride, stride, width) = (
                self.hidden_stride(l - 1),
                self.hidden_stride(l),
                self.expert_widths[l],
            );
            for (e, spans) in self.experts.iter().enumerate() {
                let span = &spans[l];
                let input = matrix(&from[e * span.inputs..], n, span.inputs, from_stride);
                gemm(
                    input,
                    weight(span),
                    matrix_mut(&mut to[e * width..], n, width, stride),
                );
            }
            let bias: Vec<R> = self
                .experts
                .iter()
                .flat_map(|spans| w[spans[l].biases()].iter().copied())
                .collect();
            bias_relu(to, stride, &bias, dropped(l));
        }

        let layers = self.expert_widths.len();
        let (width, stride) = (self.mixture_width(), self.hidden_stride(layers - 1));
        for task in 0..self.num_tasks() {
            let gate = gates + task * self.num_experts;
            let last = a.hidden[layers - 1].chunks(stride);
            for ((m, h), g) in a.mixtures[task]
                .chunks_mut(width)
                .zip(last)
                .zip(a.hidden[0].chunks(f))
            {
                m.fill(R::ZERO);
                for (g, h) in g[gate..gate + self.num_experts].iter().zip(h.chunks(width)) {
                    add_scaled(m, *g, h);
                }
            }
            let mut input = &a.mixtures[task];
            for (l, (out, span)) in a.towers[task]
                .iter_mut()
                .zip(&self.towers[task])
                .enumerate()
            {
                gemm(
                    matrix(input, n, span.inputs, span.inputs),
                    weight(span),
                    matrix_mut(out, n, span.outputs, span.outputs),
                );
                bias_relu(
                    out,
                    span.outputs,
                    &w[span.biases()],
                    dropped(self.tower_layer(task, l)),
                );
                input = out;
            }
            let head = &self.heads[task];
            let (v, b) = (&w[head.weights()], w[head.bias]);
            for (z, h) in a
                .logits
                .chunks_mut(self.kinds.len())
                .zip(input.chunks(head.inputs))
            {
                z[task] = dot(v, h) + b;
            }
        }
    }

    /// A number for a tower's layer that no expert layer has.
    fn tower_layer(&self, task: usize, layer: usize) -> usize {
        (task + 1) * (crate::spec::limits::LAYERS + 1) + layer
    }
}
