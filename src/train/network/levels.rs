//! The second half of a pair of logits, for tasks that learn two (JRC): level = (z1 + z0) / 2, a second head on the task's
//! tower that training alone has.
//!
//! The head that is served gives z = z1 - z0. Any two heads (w1, w0) are one pair (w1 - w0, (w1 + w0) / 2) and the other way
//! round, so nothing is lost: the model of two logits is trained whole, and the file carries the difference, which is all that
//! sigmoid(z1 - z0) = e^z1 / (e^z0 + e^z1) needs.
use std::prelude::v1::*;

use crate::train::network::backward::ShardGradients;
use crate::train::network::forward::Activations;
use crate::train::network::{Network, Segment, Span, Weights, allot};
use crate::train::real::{Real, add_scaled, dot};

impl Network {
    /// Gives tasks a head for their level, which begins at 0.
    pub(crate) fn add_levels(&mut self, tasks: &[bool]) {
        if !tasks.contains(&true) {
            return;
        }
        self.levels = vec![None; self.num_tasks()];
        for (task, _) in tasks.iter().enumerate().filter(|(_, has)| **has) {
            let span = allot(&mut self.num_dense, 1, self.heads[task].inputs);
            let owner = Some(task);
            for (range, decays) in [(span.weights(), true), (span.biases(), false)] {
                self.segments.push(Segment {
                    range,
                    owner,
                    decays,
                });
            }
            self.levels[task] = Some(span);
        }
    }

    /// Parameters of the heads of all levels.
    #[cfg(test)]
    pub(crate) fn level_weights<'w, R>(
        &self,
        w: &'w mut Weights<R>,
    ) -> impl Iterator<Item = &'w mut R> {
        let first = self.levels.iter().flatten().map(|s| s.weight).min();
        let first = first.unwrap_or(w.dense.len());
        w.dense[first..].iter_mut()
    }

    fn level(&self, task: usize) -> Option<Span> {
        self.levels.get(task).copied().flatten()
    }

    /// The level of a task in every row, from what its head reads.
    pub(super) fn level_forward<R: Real>(&self, w: &[R], task: usize, a: &mut Activations<R>) {
        let Some(span) = self.level(task) else {
            return;
        };
        let input = a.towers[task].last().unwrap_or(&a.mixtures[task]);
        let levels = a.levels.chunks_mut(self.num_tasks());
        for (level, h) in levels.zip(input.chunks(span.inputs)) {
            level[task] = dot(&w[span.weights()], h) + w[span.bias];
        }
    }

    /// From `g.levels` to the head's parameters; adds to the gradient of what it reads, `below`.
    pub(super) fn level_backward<R: Real>(
        &self,
        weights: &Weights<R>,
        a: &Activations<R>,
        task: usize,
        below: &mut [R],
        g: &mut ShardGradients<R>,
    ) {
        let Some(span) = self.level(task) else {
            return;
        };
        let input = a.towers[task].last().unwrap_or(&a.mixtures[task]);
        let (tasks, w) = (self.num_tasks(), &weights.dense[span.weights()]);
        let d = || g.levels.chunks(tasks).map(|d| d[task]);
        g.dense[span.bias] = d().fold(R::ZERO, |s, d| s + d);
        let dw = &mut g.dense[span.weights()];
        dw.fill(R::ZERO);
        let rows = input.chunks(span.inputs).zip(below.chunks_mut(span.inputs));
        for (d, (h, below)) in g.levels.chunks(tasks).map(|d| d[task]).zip(rows) {
            add_scaled(dw, d, h);
            add_scaled(below, d, w);
        }
    }
}
