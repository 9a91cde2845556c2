//! Gradients of a whole batch. The batch is cut into shards of a fixed size; their gradients are added in shard order
//! and embedding gradients input by input in row order, so that the bits do not depend on threads, and so that rows appended with
//! zero weight add exactly nothing.
use std::prelude::v1::*;

use rayon::prelude::*;

use crate::spec::{TaskKind, limits};
use crate::train::dataset::Dataset;
use crate::train::loss::taught::taught;
use crate::train::loss::{
    bce, focal_loss, funnel_penalty, loss, odds_loss, odds_negative, product_loss, quantile_of,
    steps_loss,
};
use crate::train::network::backward::{Factors, ShardGradients};
use crate::train::network::forward::{Activations, SHARD_ROWS};
use crate::train::network::gather::{Dropout, TableGradient};
use crate::train::network::{Network, Weights};
use crate::train::options::{AtMost, TaskOptions};
use crate::train::real::Real;

mod lists;

/// Values of the flat vector that one thread sums at a time.
const REDUCE: usize = 8192;

#[derive(Clone, Debug, Default)]
struct Shard<R> {
    activations: Activations<R>,
    gradients: ShardGradients<R>,
    /// Per task, summed over rows.
    losses: Vec<f64>,
    /// Inner products of the tasks' gradients, `[tasks, tasks]`.
    gram: Vec<f64>,
}

/// Takes a shard, its number and its rows.
type Work<'w, R> = dyn Fn(usize, &mut Shard<R>, &[u32]) + Sync + 'w;

/// From the inner products `[tasks, tasks]` of the tasks' gradients at the shared representation, and which tasks have
/// rows, to a factor on each.
pub(crate) type Balance<'b> = dyn FnMut(&[f64], &[bool]) -> Vec<f64> + 'b;

/// The gradient of the summed task losses, and the room to compute it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gradients<R> {
    shards: Vec<Shard<R>>,
    /// Of the dense parameters.
    pub dense: Vec<R>,
    /// Per table.
    pub tables: Vec<TableGradient<R>>,
    /// Per task: the weighted mean loss, times the task's weight; 0 without rows in its space.
    pub losses: Vec<f64>,
    /// Per task: the sum of its rows' weights.
    pub weights: Vec<f64>,
}

/// Weight and label of a row in a task's loss. Over the entire space a row is weighed by the first task of the chain, and
/// positive if the whole chain is.
fn sample(network: &Network, data: &Dataset, row: usize, task: usize, entire: bool) -> (f32, f32) {
    let own = |t: usize| (data.tasks[t].weights[row], data.tasks[t].labels[row]);
    if !entire {
        return own(task);
    }
    // From the root down: the first task that did not happen decides.
    let mut sample = (0.0, 0.0);
    let chain = &network.chains[task];
    for t in chain.iter().rev().copied() {
        let (weight, label) = own(t);
        if weight == 0.0 {
            return (0.0, 0.0);
        }
        if label == 0.0 {
            let root = chain.last().copied().unwrap_or(task);
            return (own(root).0, 0.0);
        }
        sample = (weight, label);
    }
    sample
}

/// Adds a row's losses to `losses`, and their derivatives by its logits to `d`.
fn row_losses<R: Real>(
    plan: &Plan<'_>,
    row: u32,
    (dense, scales): (&[R], &[f64]),
    logits: &[R],
    d: &mut [R],
    losses: &mut [f64],
) {
    let Plan {
        network,
        data,
        tasks,
        ..
    } = *plan;
    for (t, task) in tasks.iter().enumerate() {
        // By all of its logits: `steps_losses`.
        if let TaskKind::Steps { .. } = network.kinds[t] {
            continue;
        }
        let (weight, label) = sample(network, data, row as usize, t, task.entire_space);
        let whole = scales[t] * f64::from(weight);
        let mut weight = whole * lists::row_share(task);
        if weight == 0.0 {
            continue;
        }
        let label = R::from_f64(label.into());
        let teacher = data.tasks[t].teacher.get(row as usize);
        if let (Some(teaching), Some(teacher)) = (&task.teaching, teacher)
            && !teaching.pairs
            && !teacher.is_nan()
        {
            let huber = R::from_f64(task.huber);
            let teacher = R::from_f64(f64::from(*teacher));
            // The teacher's logit is one of all rows, sampled or not.
            let served = logits[t] + R::from_f64(network.offsets[t]);
            let (l, by) = taught(network.kinds[t], teaching, huber, served, teacher);
            let share = weight * teaching.weight;
            losses[t] += l.to_f64() * share;
            d[t] += by * R::from_f64(share);
            weight -= share;
        }
        let factor = R::from_f64(weight);
        if task.entire_space {
            let chain = &network.chains[t];
            let (mut z, mut by) = ([R::ZERO; limits::TASKS], [R::ZERO; limits::TASKS]);
            z.iter_mut().zip(chain).for_each(|(z, t)| *z = logits[*t]);
            let (z, by) = (&z[..chain.len()], &mut by[..chain.len()]);
            losses[t] += product_loss(z, label, by).to_f64() * weight;
            chain
                .iter()
                .zip(by)
                .for_each(|(t, by)| d[*t] += *by * factor);
        } else {
            let huber = R::from_f64(task.huber);
            let (l, by) = match network.kinds[t] {
                TaskKind::Odds => {
                    let negative = odds_negative(label.to_f64(), task.every_negative);
                    odds_loss(logits[t], label, R::from_f64(negative))
                }
                // Least where the probability is the mean quantile of the row's group.
                TaskKind::Quantile { .. } => {
                    let values = network.group_quantiles(dense, data, row, t);
                    bce(logits[t], quantile_of(values, label))
                }
                TaskKind::Binary if task.focal > 0.0 => {
                    focal_loss(R::from_f64(task.focal), logits[t], label)
                }
                kind => loss(kind, huber, logits[t], label),
            };
            losses[t] += l.to_f64() * weight;
            d[t] += by * factor;
        }
        if let Some(AtMost {
            task: parent,
            weight: penalty,
        }) = task.at_most
        {
            let offset = |t: usize| logits[t] + R::from_f64(network.offsets[t]);
            let (l, by, by_parent) = funnel_penalty(offset(t), offset(parent));
            losses[t] += l.to_f64() * whole * penalty;
            let factor = R::from_f64(whole * penalty);
            d[t] += by * factor;
            d[parent] += by_parent * factor;
        }
    }
}

/// [`row_losses`] of the tasks of several logits, for all rows of a shard.
fn steps_losses<R: Real>(
    plan: &Plan<'_>,
    rows: &[u32],
    scales: &[f64],
    weights: &Weights<R>,
    shard: &mut Shard<R>,
) {
    let Plan { network, data, .. } = *plan;
    let (a, g) = (&shard.activations, &mut shard.gradients);
    g.steps.resize_with(network.num_tasks(), Vec::new);
    for (t, task) in plan.tasks.iter().enumerate() {
        let (span, d) = (&network.steps[t], &mut g.steps[t]);
        d.clear();
        d.resize(a.steps[t].len(), R::ZERO);
        let Some(options) = task.steps.filter(|_| span.outputs > 0) else {
            continue;
        };
        let of = (
            &weights.dense[span.weights()],
            &weights.dense[span.biases()],
        );
        let logits = a.steps[t].chunks(span.outputs);
        for ((row, z), d) in rows.iter().zip(logits).zip(d.chunks_mut(span.outputs)) {
            let (weight, label) = sample(network, data, *row as usize, t, false);
            let weight = scales[t] * f64::from(weight);
            if weight == 0.0 {
                continue;
            }
            let (delta, label) = (R::from_f64(task.huber), R::from_f64(label.into()));
            let l = steps_loss(&options, delta, of, z, label, d);
            shard.losses[t] += l.to_f64() * weight;
            d.iter_mut().for_each(|d| *d *= R::from_f64(weight));
        }
    }
}

/// What a batch's gradient is computed by, besides parameters and rows.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'p> {
    pub network: &'p Network,
    pub data: &'p Dataset,
    pub tasks: &'p [TaskOptions],
    pub dropout: Option<&'p Dropout>,
    /// Of the penalty on gates that use experts unevenly.
    pub load_balance: f64,
}

impl<R: Real> Gradients<R> {
    /// Forward, and to `self.losses` and `self.weights`; `then` gets every shard with its factor on kept outputs.
    fn forward(
        &mut self,
        plan: &Plan<'_>,
        weights: &Weights<R>,
        rows: &[u32],
        then: impl Fn(&mut Shard<R>) + Sync,
    ) {
        let Plan {
            network,
            data,
            tasks,
            dropout,
            ..
        } = *plan;
        let requests = lists::Requests::new(plan, rows);
        let sum = |t: usize| {
            // A weight of 0 switches a task off, as if it had no rows.
            if tasks[t].weight == 0.0 {
                return 0.0;
            }
            if lists::row_share(&tasks[t]) == 0.0 {
                return requests.of(plan, rows, t).len() as f64;
            }
            let entire = tasks[t].entire_space;
            let weight = |r: &u32| {
                let (weight, label) = sample(network, data, *r as usize, t, entire);
                let (weight, label) = (f64::from(weight), f64::from(label));
                match network.kinds[t] {
                    // A positive that weighs its label, and a negative.
                    TaskKind::Odds => {
                        weight * (label + odds_negative(label, tasks[t].every_negative))
                    }
                    _ => weight,
                }
            };
            rows.iter().map(weight).sum()
        };
        self.weights = (0..tasks.len()).map(sum).collect();
        let scale = |t: usize| {
            if self.weights[t] > 0.0 {
                tasks[t].weight / self.weights[t]
            } else {
                0.0
            }
        };
        let scales: Vec<f64> = (0..tasks.len()).map(scale).collect();
        let num_shards = rows.len().div_ceil(SHARD_ROWS);
        if self.shards.len() < num_shards {
            self.shards.resize_with(num_shards, Shard::default);
        }
        let shards = &mut self.shards[..num_shards];
        let begin = |i: usize, shard: &mut Shard<R>, rows: &[u32]| {
            let a = &mut shard.activations;
            network.forward(weights, data, rows, i * SHARD_ROWS, dropout, a);
            shard.losses.clear();
            shard.losses.resize(tasks.len(), 0.0);
            let g = &mut shard.gradients;
            g.logits.clear();
            g.logits.resize(a.logits.len(), R::ZERO);
            g.levels.clear();
            g.levels.resize(a.levels.len(), R::ZERO);
        };
        let end = |shard: &mut Shard<R>, rows: &[u32]| {
            let width = tasks.len();
            let logits = shard.activations.logits.chunks(width);
            let logits = logits.zip(shard.gradients.logits.chunks_mut(width));
            let with = (&weights.dense[..], &scales[..]);
            for (row, (logits, d)) in rows.iter().zip(logits) {
                row_losses(plan, *row, with, logits, d, &mut shard.losses);
            }
            steps_losses(plan, rows, &scales, weights, shard);
            then(shard);
        };
        let each = |shards: &mut [Shard<R>], what: &Work<'_, R>| {
            let parts = shards.par_iter_mut().zip(rows.par_chunks(SHARD_ROWS));
            let parts = parts.enumerate();
            parts.for_each(|(i, (shard, rows))| what(i, shard, rows));
        };
        let of_lists = if requests.is_empty() {
            each(shards, &|i, shard, rows| {
                begin(i, shard, rows);
                end(shard, rows);
            });
            vec![0.0; tasks.len()]
        } else {
            // A request may lie in several shards: its loss waits for the logits of all.
            each(shards, &begin);
            let losses = requests.add(plan, rows, shards);
            each(shards, &|_, shard, rows| end(shard, rows));
            losses
        };
        self.losses = (0..tasks.len())
            .map(|t| {
                let shards = self.shards[..num_shards].iter();
                shards.fold(of_lists[t], |s, shard| s + shard.losses[t])
            })
            .collect();
    }

    /// The losses of the batch alone, in `self.losses`.
    pub(crate) fn measure(&mut self, plan: &Plan<'_>, weights: &Weights<R>, rows: &[u32]) {
        self.forward(plan, weights, rows, |_| {});
    }

    /// Computes everything for the batch `rows`. False if a loss or a gradient is NaN or infinite.
    pub(crate) fn compute(
        &mut self,
        plan: &Plan<'_>,
        weights: &Weights<R>,
        rows: &[u32],
        balance: Option<&mut Balance<'_>>,
    ) -> bool {
        let Plan {
            network,
            data,
            tasks,
            dropout,
            load_balance,
        } = *plan;
        let lr: Vec<R> = tasks.iter().map(|t| R::from_f64(t.lr)).collect();
        let stopped: Vec<u16> = tasks.iter().map(|t| t.stopped_inputs).collect();
        let keep = dropout.filter(|d| d.rates.hidden > 0.0);
        let keep = R::from_f64(keep.map_or(1.0, |d| 1.0 / (1.0 - d.rates.hidden)));
        let balanced = balance.is_some();
        self.forward(plan, weights, rows, |shard| {
            let (a, g) = (&shard.activations, &mut shard.gradients);
            network.towers_backward(weights, a, keep, &lr, &stopped, g);
            if balanced {
                shard.gram.clear();
                shard.gram.resize(tasks.len() * tasks.len(), 0.0);
                network.gram(weights, a, keep, g, &mut shard.gram);
            }
        });
        let num_shards = rows.len().div_ceil(SHARD_ROWS);
        let mut factors = Factors {
            shared: lr.clone(),
            gate: lr,
            load_balance: R::from_f64(
                2.0 * load_balance * network.num_experts as f64 / rows.len().max(1) as f64,
            ),
        };
        if let Some(balance) = balance {
            let mut gram = vec![0.0; tasks.len() * tasks.len()];
            for shard in self.shards[..num_shards].iter() {
                gram.iter_mut().zip(&shard.gram).for_each(|(g, x)| *g += x);
            }
            let present: Vec<bool> = self.weights.iter().map(|w| *w > 0.0).collect();
            let balance = balance(&gram, &present);
            for (factor, balance) in factors.shared.iter_mut().zip(balance) {
                *factor *= R::from_f64(balance);
            }
        }
        let shards = &mut self.shards[..num_shards];
        shards.par_iter_mut().for_each(|shard| {
            let (a, g) = (&shard.activations, &mut shard.gradients);
            network.shared_backward(weights, a, &factors, keep, g);
        });

        let shards = &self.shards[..num_shards];
        self.dense.resize(network.num_dense, R::ZERO);
        let finite = |values: &[R]| values.iter().fold(true, |ok, x| ok & x.finite());
        let dense_finite = self
            .dense
            .par_chunks_mut(REDUCE)
            .enumerate()
            .map(|(i, out)| {
                out.fill(R::ZERO);
                for shard in shards {
                    let part = &shard.gradients.dense[i * REDUCE..i * REDUCE + out.len()];
                    out.iter_mut().zip(part).for_each(|(o, x)| *o += *x);
                }
                finite(out)
            });
        let dense_finite = dense_finite.reduce(|| true, |a, b| a & b);
        self.tables
            .resize_with(network.tables.len(), TableGradient::default);
        let tables_finite =
            self.tables
                .par_iter_mut()
                .enumerate()
                .with_max_len(1)
                .map(|(t, table)| {
                    let dx = shards.iter().flat_map(|s| {
                        s.gradients
                            .x
                            .chunks(network.x_stride())
                            .take(s.activations.rows)
                    });
                    table.scatter(network, t, data, rows, dropout, dx);
                    let shards = shards.iter().map(|s| (&s.activations, &s.gradients));
                    table.scatter_attended(network, t, shards);
                    finite(&table.values)
                });
        let tables_finite = tables_finite.reduce(|| true, |a, b| a & b);
        dense_finite && tables_finite && self.losses.iter().all(|l| l.is_finite())
    }
}

#[cfg(test)]
pub(crate) mod tests;

#[cfg(test)]
mod torch;
