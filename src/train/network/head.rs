//! From a tower's outputs to logits and back.
use std::prelude::v1::*;

use crate::spec::TaskKind;
use crate::train::dataset::Dataset;
use crate::train::loss::{sigmoid, softplus, value_at};
use crate::train::network::Network;
use crate::train::network::backward::ShardGradients;
use crate::train::network::forward::Activations;
use crate::train::real::{Real, add_scaled, dot};

/// z_m = z_(m - 1) - softplus(b_m): logits that never rise, whatever the biases are.
fn in_order<R: Real>(biases: &[R], logits: &mut [R]) {
    for m in 1..logits.len() {
        logits[m] = logits[m - 1] - softplus(biases[m]);
    }
}

impl Network {
    /// Head of a task.
    pub(super) fn head_forward<R: Real>(&self, w: &[R], a: &mut Activations<R>, task: usize) {
        let (head, steps) = (&self.heads[task], &self.steps[task]);
        let input = a.towers[task].last().unwrap_or(&a.mixtures[task]);
        let (weights, biases) = (&w[head.weights()], &w[head.biases()]);
        let rows = a.logits.chunks_mut(self.kinds.len());
        let rows = rows.zip(input.chunks(head.inputs));
        let TaskKind::Steps { ordered, .. } = self.kinds[task] else {
            for (z, h) in rows {
                z[task] = dot(weights, h) + biases[0];
            }
            return;
        };
        let worth = &w[steps.biases()];
        for ((z, h), logits) in rows.zip(a.steps[task].chunks_mut(steps.outputs)) {
            if ordered {
                logits[0] = dot(&weights[..head.inputs], h) + biases[0];
                in_order(biases, logits);
            } else {
                let layer = weights.chunks(head.inputs).zip(biases);
                for (z, (v, b)) in logits.iter_mut().zip(layer) {
                    *z = dot(v, h) + *b;
                }
            }
            let together = worth.iter().zip(&*logits);
            let value = together.fold(R::ZERO, |sum, (step, z)| sum + *step * sigmoid(*z));
            z[task] = value.ln_1p();
        }
    }

    /// From the gradients of a task's logits to its head and, in `below`, what the head reads.
    pub(super) fn head_backward<R: Real>(
        &self,
        w: &[R],
        a: &Activations<R>,
        task: usize,
        below: &mut Vec<R>,
        g: &mut ShardGradients<R>,
    ) {
        let (head, logits) = (&self.heads[task], self.steps[task].outputs);
        let top = a.towers[task].last().unwrap_or(&a.mixtures[task]);
        below.resize(a.rows * head.inputs, R::ZERO);
        g.dense[head.weights()].fill(R::ZERO);
        g.dense[head.biases()].fill(R::ZERO);
        let (weights, biases) = (&w[head.weights()], &w[head.biases()]);
        let rows = top.chunks(head.inputs).zip(below.chunks_mut(head.inputs));
        let ordered = match self.kinds[task] {
            TaskKind::Steps { ordered, .. } => ordered,
            _ => {
                let d = g.logits.chunks(self.num_tasks()).map(|d| d[task]);
                let dw = &mut g.dense[head.weights()];
                let mut sum = R::ZERO;
                for (d, (h, out)) in d.zip(rows) {
                    sum += d;
                    add_scaled(dw, d, h);
                    for (out, v) in out.iter_mut().zip(weights) {
                        *out = d * *v;
                    }
                }
                g.dense[head.bias] = sum;
                return;
            }
        };
        for (d, (h, out)) in g.steps[task].chunks(logits).zip(rows) {
            out.fill(R::ZERO);
            let bias = &mut g.dense[head.biases()];
            if ordered {
                // d by the sum that all share, and by each distance: all logits behind it move with it.
                let mut behind = R::ZERO;
                for (m, d) in d.iter().enumerate().rev() {
                    behind += *d;
                    let slope = if m == 0 { R::ONE } else { -sigmoid(biases[m]) };
                    bias[m] += behind * slope;
                }
                add_scaled(&mut g.dense[head.weights()][..head.inputs], behind, h);
                add_scaled(out, behind, &weights[..head.inputs]);
                continue;
            }
            bias.iter_mut().zip(d).for_each(|(b, d)| *b += *d);
            let layer = weights.chunks(head.inputs);
            let gradients = g.dense[head.weights()].chunks_mut(head.inputs);
            for ((d, v), dw) in d.iter().zip(layer).zip(gradients) {
                add_scaled(dw, *d, h);
                add_scaled(out, *d, v);
            }
        }
    }

    /// What scores are made of: the logits of tasks whose score is exp(logit) become those of durations, ln(1 + exp(logit)),
    /// and those of quantiles ln(1 + the value that the row's group has at sigmoid(logit)).
    pub(crate) fn score_logits<R: Real>(
        &self,
        w: &[R],
        data: &Dataset,
        rows: &[u32],
        logits: &mut [R],
    ) {
        for (row, logits) in rows.iter().zip(logits.chunks_mut(self.num_tasks())) {
            for (task, (z, kind)) in logits.iter_mut().zip(&self.kinds).enumerate() {
                match kind {
                    TaskKind::Odds => *z = softplus(*z),
                    TaskKind::Quantile { .. } => {
                        let values = self.group_quantiles(w, data, *row, task);
                        *z = value_at(values, sigmoid(*z)).ln_1p();
                    }
                    _ => {}
                }
            }
        }
    }
}
