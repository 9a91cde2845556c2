//! Shallow towers on what is known in training alone, above all the position (Zhao et al., "Recommending What Video to
//! Watch Next", RecSys 2019, section 4.3): z_t + b_t(x_b), where x_b are the inputs of the `train_only` features.
//!
//! The served network has no such towers. It carries b_t of one stated value, the reference, in the bias of the task's
//! head.
use std::prelude::v1::*;

use crate::spec::Spec;
use crate::train::dataset::Dataset;
use crate::train::network::backward::{ShardGradients, input_gradient, parameters_gradient};
use crate::train::network::forward::{Activations, dense, relu};
use crate::train::network::gather::{Draw, Dropout};
use crate::train::network::{Network, Span, Weights, allot, stack};
use crate::train::parameters::Parameters;
use crate::train::real::{Real, add_scaled, dot};

/// What the towers are, and what they read.
#[derive(Debug)]
pub struct Bias<'a> {
    /// The model with the features that are known in training alone, behind those that are served.
    pub spec: &'a Spec<'a>,
    /// Tasks that have a tower.
    pub tasks: Vec<usize>,
    /// Widths of its hidden layers.
    pub layers: Vec<usize>,
    /// One row with the reference value of every feature known in training alone.
    pub reference: Dataset,
}

/// Where the towers lie.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BiasPlan {
    pub tasks: Vec<usize>,
    /// Per tower: hidden layers, then the head.
    pub towers: Vec<Vec<Span>>,
    /// Columns of x_b, behind those of all groups.
    pub num_inputs: usize,
    /// Tables of the served network.
    pub served_tables: usize,
}

impl BiasPlan {
    pub(super) fn new(
        bias: &Bias<'_>,
        served_tables: usize,
        num_inputs: usize,
        next: &mut usize,
    ) -> Self {
        let tower = |_: &usize| {
            let mut spans = stack(next, num_inputs, &bias.layers);
            let inputs = bias.layers.last().copied().unwrap_or(num_inputs);
            spans.push(allot(next, 1, inputs));
            spans
        };
        Self {
            towers: bias.tasks.iter().map(tower).collect(),
            tasks: bias.tasks.clone(),
            num_inputs,
            served_tables,
        }
    }
}

impl Network {
    /// Columns of x_b.
    pub(crate) fn bias_inputs(&self) -> usize {
        self.bias.as_ref().map_or(0, |b| b.num_inputs)
    }

    /// Leaves x_b out in some rows: all its columns are 0.
    pub(super) fn drop_bias_inputs<R: Real>(
        &self,
        position: usize,
        dropout: Option<&Dropout>,
        a: &mut Activations<R>,
    ) {
        a.bias_dropped.clear();
        let dropout = dropout.filter(|d| d.rates.position > 0.0);
        let (Some(d), Some(_)) = (dropout, &self.bias) else {
            return;
        };
        let (stride, first) = (self.x_stride(), self.input_stride());
        for (i, x) in a.x.chunks_mut(stride).enumerate() {
            let dropped = d
                .row(Draw::Position, 0, position + i)
                .chance(d.rates.position);
            if dropped {
                x[first..].fill(R::ZERO);
            }
            a.bias_dropped.push(dropped);
        }
    }

    /// Adds the towers' logits to those of their tasks.
    pub(super) fn bias_forward<R: Real>(&self, w: &[R], a: &mut Activations<R>) {
        let Some(plan) = &self.bias else {
            return;
        };
        a.bias.resize_with(plan.towers.len(), Vec::new);
        let (stride, first) = (self.x_stride(), self.input_stride());
        for (b, (spans, task)) in plan.towers.iter().zip(&plan.tasks).enumerate() {
            a.bias[b].resize_with(spans.len(), Vec::new);
            for (l, span) in spans.iter().enumerate() {
                let (below, above) = a.bias[b].split_at_mut(l);
                let input = match below.last() {
                    Some(input) => (&input[..], span.inputs),
                    None => (&a.x[first..], stride),
                };
                let out = &mut above[0];
                out.resize(a.rows * span.outputs, R::ZERO);
                dense(w, span, input, (out, span.outputs), a.rows);
                let bias = &w[span.biases()];
                for row in out.chunks_mut(span.outputs) {
                    add_scaled(row, R::ONE, bias);
                    if l + 1 < spans.len() {
                        row.iter_mut().for_each(|y| *y = relu(*y));
                    }
                }
            }
            let logits = a.logits.chunks_mut(self.num_tasks());
            for (z, b) in logits.zip(a.bias[b].last().into_iter().flatten()) {
                z[*task] += *b;
            }
        }
    }

    /// From `g.logits` to the towers' parameters and, times the tasks' `lr`, to x_b in `g.x`.
    pub(super) fn bias_backward<R: Real>(
        &self,
        weights: &Weights<R>,
        a: &Activations<R>,
        lr: &[R],
        g: &mut ShardGradients<R>,
    ) {
        let Some(plan) = &self.bias else {
            return;
        };
        let (stride, first, n) = (self.x_stride(), self.input_stride(), a.rows);
        for row in g.x.chunks_mut(stride) {
            row[first..].fill(R::ZERO);
        }
        for (b, (spans, task)) in plan.towers.iter().zip(&plan.tasks).enumerate() {
            let logits = g.logits.chunks(self.num_tasks());
            let mut d: Vec<R> = logits.map(|d| d[*task]).collect();
            for (l, span) in spans.iter().enumerate().rev() {
                if l + 1 < spans.len() {
                    for (d, y) in d.iter_mut().zip(&a.bias[b][l]) {
                        *d = if *y == R::ZERO { R::ZERO } else { *d };
                    }
                }
                let input = match l.checked_sub(1) {
                    Some(below) => (&a.bias[b][below][..], span.inputs),
                    None => (&a.x[first..], stride),
                };
                let of = (&d[..], span.outputs);
                parameters_gradient(span, of, input, n, &mut g.dense);
                let mut below = vec![R::ZERO; n * span.inputs];
                input_gradient(&weights.dense, span, of, (&mut below, span.inputs), n);
                d = below;
            }
            for (to, d) in g.x.chunks_mut(stride).zip(d.chunks(plan.num_inputs)) {
                add_scaled(&mut to[first..], lr[*task], d);
            }
        }
        for (to, dropped) in g.x.chunks_mut(stride).zip(&a.bias_dropped) {
            if *dropped {
                to[first..].fill(R::ZERO);
            }
        }
    }

    /// Puts served parameters into those of a network in training, which keeps its towers and their tables.
    pub(crate) fn begin_with<R: Real>(&self, fresh: &mut Parameters<R>, served: &Parameters<R>) {
        let mut p = served.clone();
        p.tables.extend(fresh.tables.drain(served.tables.len()..));
        p.bias = core::mem::take(&mut fresh.bias);
        *fresh = p;
    }

    /// Takes the towers and their tables out of parameters; `logits`, those of the reference, stay in the heads.
    pub(crate) fn fold_bias<R: Real>(&self, p: &mut Parameters<R>, logits: &[R]) {
        let Some(plan) = &self.bias else {
            return;
        };
        p.tables.truncate(plan.served_tables);
        p.bias.clear();
        for (task, logit) in plan.tasks.iter().zip(logits) {
            p.heads[*task].bias[0] += *logit;
        }
    }

    /// The towers' logits of `rows` of a data set, `[rows, towers]`; the data of other features are not read.
    pub(crate) fn bias_logits<R: Real>(
        &self,
        weights: &Weights<R>,
        data: &Dataset,
        rows: &[u32],
    ) -> Vec<R> {
        let Some(plan) = &self.bias else {
            return Vec::new();
        };
        let mut x = vec![R::ZERO; rows.len() * self.x_stride()];
        let first = self.input_stride();
        self.gather_some(weights, data, rows, &|i| i.offset >= first, &mut x);
        let mut out = Vec::with_capacity(rows.len() * plan.towers.len());
        for x in x.chunks(self.x_stride().max(1)) {
            for spans in &plan.towers {
                let mut y = x[first..].to_vec();
                for (l, span) in spans.iter().enumerate() {
                    let w = weights.dense[span.weights()].chunks(span.inputs);
                    let b = &weights.dense[span.biases()];
                    let z = w.zip(b).map(|(w, b)| dot(w, &y) + *b);
                    let last = l + 1 == spans.len();
                    y = z.map(|z| if last { z } else { relu(z) }).collect();
                }
                out.extend(y);
            }
        }
        out
    }
}
