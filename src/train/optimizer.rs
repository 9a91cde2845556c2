//! Gradients to updates: Adam and Adagrad, dense and by touched row, with averaged parameters.
//!
//! A batch without a row in a task's space leaves the task's own parameters, moments, averages and step count as they
//! are. Tables read, update and store only the rows that a batch touched: moments of other rows do not decay
//! (as in PyTorch's `SparseAdam`).
use std::prelude::v1::*;

use rayon::prelude::*;

use crate::train::gradient::Gradients;
use crate::train::network::gather::TableGradient;
use crate::train::network::{Network, TablePlan, Weights};
use crate::train::options::{OptimizerKind, TaskOptions, TrainOptions};
use crate::train::real::Real;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const ADAM_EPSILON: f64 = 1e-8;
const ADAGRAD_EPSILON: f64 = 1e-10;
/// Values of the flat vector that one thread updates at a time.
const CHUNK: usize = 8192;

/// One update rule with everything of a step folded in.
#[derive(Clone, Copy, Debug)]
struct Rule<R> {
    kind: OptimizerKind,
    /// 1 - lr x weight decay.
    shrink: R,
    /// lr, over Adam's first bias correction.
    lr: R,
    /// 1 / the root of Adam's second bias correction.
    correction: R,
    /// Of the averages; `None`: off.
    average: Option<R>,
}

impl<R: Real> Rule<R> {
    fn new(kind: OptimizerKind, lr: f64, weight_decay: f64, step: u64, average: f64) -> Self {
        let corrected = |beta: f64| 1.0 - libm::pow(beta, step as f64);
        let (first, second) = match kind {
            OptimizerKind::Adam => (corrected(BETA1), corrected(BETA2)),
            OptimizerKind::Adagrad => (1.0, 1.0),
        };
        Self {
            kind,
            shrink: R::from_f64(1.0 - lr * weight_decay),
            lr: R::from_f64(lr / first),
            correction: R::from_f64(1.0 / libm::sqrt(second)),
            average: (average > 0.0).then(|| R::from_f64(average)),
        }
    }

    /// Updates parameters `p` with gradients `g`; `m` is empty for Adagrad. False if a value is no longer finite.
    fn update(&self, p: &mut [R], m: &mut [R], v: &mut [R], g: &[R]) -> bool {
        let mut finite = true;
        match self.kind {
            OptimizerKind::Adam => {
                let (b1, b2) = (R::from_f64(BETA1), R::from_f64(BETA2));
                let (c1, c2) = (R::from_f64(1.0 - BETA1), R::from_f64(1.0 - BETA2));
                let epsilon = R::from_f64(ADAM_EPSILON);
                for (((p, m), v), g) in p.iter_mut().zip(m).zip(v).zip(g) {
                    *m = b1 * *m + c1 * *g;
                    *v = b2 * *v + c2 * *g * *g;
                    *p = *p * self.shrink - self.lr * *m / (v.sqrt() * self.correction + epsilon);
                    finite &= p.finite() & v.finite();
                }
            }
            OptimizerKind::Adagrad => {
                let epsilon = R::from_f64(ADAGRAD_EPSILON);
                for ((p, v), g) in p.iter_mut().zip(v).zip(g) {
                    *v += *g * *g;
                    *p = *p * self.shrink - self.lr * *g / (v.sqrt() + epsilon);
                    finite &= p.finite() & v.finite();
                }
            }
        }
        finite
    }

    fn average(&self, a: &mut [R], p: &[R]) {
        if let Some(decay) = self.average {
            for (a, p) in a.iter_mut().zip(p) {
                *a = decay * *a + (R::ONE - decay) * *p;
            }
        }
    }
}

/// Parameters in training: values, moments, averages and step counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State<R> {
    pub weights: Weights<R>,
    /// Adam's first moments; empty vectors where Adagrad rules.
    pub first: Weights<R>,
    /// Adam's second moments, Adagrad's sums.
    pub second: Weights<R>,
    /// Exponential sums of the values from 0 on (divide by 1 - decay^steps); empty if off.
    pub average: Weights<R>,
    /// Per table and row, the step of its owner (the shared one, if it has none) up to which its average is current; empty if averages are off.
    pub averaged_to: Vec<Vec<u32>>,
    /// Updates of shared parameters.
    pub shared_steps: u64,
    /// Updates of each task's own parameters.
    pub task_steps: Vec<u64>,
}

/// Gives back `count` empty vectors.
fn none<T>(count: usize) -> Vec<Vec<T>> {
    (0..count).map(|_| Vec::new()).collect()
}

/// One table's part of a [`State`].
struct TableState<'a, R> {
    plan: TablePlan,
    p: &'a mut Vec<R>,
    m: &'a mut Vec<R>,
    v: &'a mut Vec<R>,
    a: &'a mut Vec<R>,
    averaged_to: &'a mut Vec<u32>,
}

impl<R: Real> TableState<'_, R> {
    /// Updates the rows of `g` in step `step`, counted from 1.
    fn update(&mut self, rule: &Rule<R>, g: &TableGradient<R>, step: u64, average: f64) -> bool {
        let dim = self.plan.dim;
        let mut finite = true;
        for (row, g) in g.rows.iter().zip(g.values.chunks_exact(dim)) {
            let row = *row as usize;
            let range = row * dim..(row + 1) * dim;
            let p = &mut self.p[range.clone()];
            if rule.average.is_some() {
                let still = step - 1 - u64::from(self.averaged_to[row]);
                catch_up(
                    &mut self.a[range.clone()],
                    p,
                    libm::pow(average, still as f64),
                );
                self.averaged_to[row] = step as u32;
            }
            let m = if self.m.is_empty() {
                &mut [][..]
            } else {
                &mut self.m[range.clone()]
            };
            finite &= rule.update(p, m, &mut self.v[range.clone()], g);
            if rule.average.is_some() {
                rule.average(&mut self.a[range], p);
            }
        }
        finite
    }
}

/// The average after steps in which `p` stood still; `kept` is decay^steps.
fn catch_up<R: Real>(a: &mut [R], p: &[R], kept: f64) {
    let (kept, rest) = (R::from_f64(kept), R::from_f64(1.0 - kept));
    for (a, p) in a.iter_mut().zip(p) {
        *a = kept * *a + rest * *p;
    }
}

impl<R: Real> State<R> {
    /// Nothing learnt yet.
    pub(crate) fn new(network: &Network, weights: Weights<R>, options: &TrainOptions) -> Self {
        let moments = |dense: bool, tables: bool| {
            let zeros = || network.zeros();
            Weights {
                dense: if dense { zeros().dense } else { Vec::new() },
                tables: if tables {
                    zeros().tables
                } else {
                    none(network.tables.len())
                },
            }
        };
        let averaged = options.average > 0.0;
        let rows = |on: bool| {
            network.tables.iter().map(move |t| {
                if on {
                    vec![0; t.num_embeddings]
                } else {
                    vec![]
                }
            })
        };
        Self {
            weights,
            first: moments(
                options.optimizer == OptimizerKind::Adam,
                options.embedding_optimizer == OptimizerKind::Adam,
            ),
            second: moments(true, true),
            average: moments(averaged, averaged),
            averaged_to: rows(averaged).collect(),
            shared_steps: 0,
            task_steps: vec![0; network.num_tasks()],
        }
    }

    /// One step along `gradients`, learning rates times `factor`. False if a value became NaN or infinite.
    pub(crate) fn update(
        &mut self,
        network: &Network,
        options: &TrainOptions,
        tasks: &[TaskOptions],
        gradients: &Gradients<R>,
        factor: f64,
    ) -> bool {
        let learns: Vec<bool> = gradients.weights.iter().map(|w| *w > 0.0).collect();
        if !learns.contains(&true) {
            return true;
        }
        self.shared_steps += 1;
        for (steps, learns) in self.task_steps.iter_mut().zip(&learns) {
            *steps += u64::from(*learns);
        }
        let mut finite = true;
        for segment in &network.segments {
            if segment.owner.is_some_and(|t| !learns[t]) {
                continue;
            }
            let decay = if segment.decays {
                options.weight_decay
            } else {
                0.0
            };
            let lr = options.lr * factor * segment.owner.map_or(1.0, |t| tasks[t].lr);
            let rule = Rule::new(
                options.optimizer,
                lr,
                decay,
                self.steps(segment.owner),
                options.average,
            );
            let range = || segment.range.clone();
            let (w, v) = (
                &mut self.weights.dense[range()],
                &mut self.second.dense[range()],
            );
            let m = self.first.dense.get_mut(range()).unwrap_or(&mut []);
            let g = &gradients.dense[range()];
            finite &= if m.is_empty() {
                let chunks = w
                    .par_chunks_mut(CHUNK)
                    .zip(v.par_chunks_mut(CHUNK))
                    .zip(g.par_chunks(CHUNK));
                chunks
                    .map(|((p, v), g)| rule.update(p, &mut [], v, g))
                    .reduce(|| true, |a, b| a & b)
            } else {
                let chunks = w
                    .par_chunks_mut(CHUNK)
                    .zip(m.par_chunks_mut(CHUNK))
                    .zip(v.par_chunks_mut(CHUNK));
                let chunks = chunks.zip(g.par_chunks(CHUNK));
                chunks
                    .map(|(((p, m), v), g)| rule.update(p, m, v, g))
                    .reduce(|| true, |a, b| a & b)
            };
            if options.average > 0.0 {
                rule.average(&mut self.average.dense[range()], w);
            }
        }
        let rule = |owner: Option<usize>, step: u64| {
            Rule::new(
                options.embedding_optimizer,
                options.embedding_lr * factor * owner.map_or(1.0, |t| tasks[t].lr),
                options.embedding_weight_decay,
                step,
                options.average,
            )
        };
        let steps: Vec<u64> = network.tables.iter().map(|t| self.steps(t.owner)).collect();
        let tables = self.tables(network).zip(&gradients.tables).zip(steps);
        let learning = |t: &TableState<'_, R>| t.plan.owner.is_none_or(|task| learns[task]);
        let tables: Vec<_> = tables.filter(|((t, _), _)| learning(t)).collect();
        let tables = tables.into_par_iter().with_max_len(1);
        let updated = tables.map(|((mut table, g), step)| {
            let rule = rule(table.plan.owner, step);
            table.update(&rule, g, step, options.average)
        });
        updated.reduce(|| true, |a, b| a & b) && finite
    }

    /// Goes on from other values; if averages are on (`average` their decay), they are these values too. Moments and step
    /// counts stay.
    pub(crate) fn restart(&mut self, network: &Network, weights: Weights<R>, average: f64) {
        self.weights = weights;
        if average == 0.0 {
            return;
        }
        let sums = |steps: u64| R::from_f64(1.0 - libm::pow(average, steps as f64));
        for segment in &network.segments {
            let (sum, range) = (sums(self.steps(segment.owner)), segment.range.clone());
            let values = self.weights.dense[range.clone()].iter();
            let averages = self.average.dense[range].iter_mut();
            averages.zip(values).for_each(|(a, p)| *a = sum * *p);
        }
        for (table, plan) in network.tables.iter().enumerate() {
            let steps = self.steps(plan.owner);
            let values = self.weights.tables[table].iter();
            let averages = self.average.tables[table].iter_mut();
            averages
                .zip(values)
                .for_each(|(a, p)| *a = sums(steps) * *p);
            self.averaged_to[table].fill(steps as u32);
        }
    }

    fn steps(&self, owner: Option<usize>) -> u64 {
        owner.map_or(self.shared_steps, |t| self.task_steps[t])
    }

    fn tables<'s>(&'s mut self, network: &'s Network) -> impl Iterator<Item = TableState<'s, R>> {
        let values = self
            .weights
            .tables
            .iter_mut()
            .zip(&mut self.first.tables)
            .zip(&mut self.second.tables);
        let averages = self.average.tables.iter_mut().zip(&mut self.averaged_to);
        network.tables.iter().zip(values.zip(averages)).map(
            |(plan, (((p, m), v), (a, averaged_to)))| TableState {
                plan: *plan,
                p,
                m,
                v,
                a,
                averaged_to,
            },
        )
    }

    /// What is evaluated and exported: the averages if they are on, else the values.
    pub(crate) fn averaged(&self, network: &Network, decay: f64) -> Weights<R> {
        let mut out = self.weights.clone();
        if decay == 0.0 {
            return out;
        }
        let corrected = |steps: u64| 1.0 - libm::pow(decay, steps as f64);
        for segment in &network.segments {
            let steps = self.steps(segment.owner);
            if steps > 0 {
                let scale = R::from_f64(1.0 / corrected(steps));
                let average = &self.average.dense[segment.range.clone()];
                for (o, a) in out.dense[segment.range.clone()].iter_mut().zip(average) {
                    *o = *a * scale;
                }
            }
        }
        for (table, plan) in network.tables.iter().enumerate() {
            let averages = self.average.tables[table]
                .chunks_exact(plan.dim)
                .zip(&self.averaged_to[table]);
            let steps = self.steps(plan.owner);
            for (p, (a, to)) in out.tables[table].chunks_exact_mut(plan.dim).zip(averages) {
                if *to > 0 {
                    let kept = libm::pow(decay, (steps - u64::from(*to)) as f64);
                    let scale = 1.0 / corrected(steps);
                    let (kept, rest) =
                        (R::from_f64(kept * scale), R::from_f64((1.0 - kept) * scale));
                    p.iter_mut()
                        .zip(a)
                        .for_each(|(p, a)| *p = kept * *a + rest * *p);
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests;
