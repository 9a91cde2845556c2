//! Towers, and what other tasks feed them: from logits to the gradients of the mixtures.
use std::prelude::v1::*;

use crate::spec::FedValue;
use crate::train::loss::sigmoid;
use crate::train::network::forward::{Activations, FED_LIMIT};
use crate::train::network::{Network, Weights};
use crate::train::real::Real;

use super::{ShardGradients, input_gradient, parameters_gradient, through_relu};

impl Network {
    /// Head and tower: leaves the gradient of the mixture in `g.mixtures[task]`.
    pub(super) fn tower_backward<R: Real>(
        &self,
        weights: &Weights<R>,
        a: &Activations<R>,
        task: usize,
        keep: R,
        g: &mut ShardGradients<R>,
    ) {
        let (n, w) = (a.rows, &weights.dense[..]);
        let mut below = core::mem::take(&mut g.mixtures[task]);
        self.head_backward(w, a, task, &mut below, g);
        self.level_backward(weights, a, task, &mut below, g);

        for (l, span) in self.towers[task].iter().enumerate().rev() {
            core::mem::swap(&mut below, &mut g.tower);
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
            let d = (&g.tower[..], span.outputs);
            parameters_gradient(span, d, (input, span.inputs), n, &mut g.dense);
            below.resize(n * span.inputs, R::ZERO);
            input_gradient(w, span, d, (&mut below, span.inputs), n);
        }
        g.mixtures[task] = below;
    }

    /// Adds what a task's tower wants of the logits that it is fed, times `lr`, to their gradients.
    pub(super) fn feed_backward<R: Real>(
        &self,
        a: &Activations<R>,
        task: usize,
        lr: R,
        stopped: u16,
        g: &mut ShardGradients<R>,
    ) {
        let (width, stride, tasks) = (
            self.mixture_width(),
            self.mixture_stride(task),
            self.num_tasks(),
        );
        let most = R::from_f64(FED_LIMIT);
        for (f, feed) in self.feeds[task].iter().enumerate() {
            if stopped >> f & 1 == 1 {
                continue;
            }
            let from = usize::from(feed.task);
            let offset = R::from_f64(self.offsets[from]);
            let d = g.mixtures[task].chunks(stride);
            let logits = a.logits.chunks(tasks);
            for ((d, z), to) in d.zip(logits).zip(g.logits.chunks_mut(tasks)) {
                let z = z[from] + offset;
                let slope = match feed.value {
                    _ if z.abs() > most => R::ZERO,
                    FedValue::Logit => R::ONE,
                    FedValue::Probability => {
                        let p = sigmoid(z);
                        p * (R::ONE - p)
                    }
                };
                to[from] += lr * d[width + f] * slope;
            }
        }
    }
}
