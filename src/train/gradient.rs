//! Gradients of a whole batch. The batch is cut into shards of a fixed size; their gradients are added in shard order
//! and embedding gradients input by input in row order, so that the bits do not depend on threads, and so that rows appended with
//! zero weight add exactly nothing.
use std::prelude::v1::*;

use rayon::prelude::*;

use crate::train::dataset::Dataset;
use crate::train::loss::loss;
use crate::train::network::backward::{Factors, ShardGradients};
use crate::train::network::forward::{Activations, SHARD_ROWS};
use crate::train::network::gather::{Dropout, TableGradient};
use crate::train::network::{Network, Weights};
use crate::train::options::TaskOptions;
use crate::train::real::Real;

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

impl<R: Real> Gradients<R> {
    /// Computes everything for the batch `rows`. False if a loss or a gradient is NaN or infinite.
    pub(crate) fn compute(
        &mut self,
        network: &Network,
        weights: &Weights<R>,
        data: &Dataset,
        rows: &[u32],
        tasks: &[TaskOptions],
        dropout: Option<&Dropout>,
        balance: Option<&mut Balance<'_>>,
    ) -> bool {
        let sum = |t: usize| {
            rows.iter()
                .map(|r| f64::from(data.tasks[t].weights[*r as usize]))
                .sum()
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
        let lr: Vec<R> = tasks.iter().map(|t| R::from_f64(t.lr)).collect();
        let stopped: Vec<u16> = tasks.iter().map(|t| t.stopped_inputs).collect();
        let balanced = balance.is_some();
        let keep = dropout.filter(|d| d.rates.hidden > 0.0);
        let keep = R::from_f64(keep.map_or(1.0, |d| 1.0 / (1.0 - d.rates.hidden)));

        let num_shards = rows.len().div_ceil(SHARD_ROWS);
        if self.shards.len() < num_shards {
            self.shards.resize_with(num_shards, Shard::default);
        }
        let shards = &mut self.shards[..num_shards];
        shards
            .par_iter_mut()
            .zip(rows.par_chunks(SHARD_ROWS))
            .enumerate()
            .for_each(|(i, (shard, rows))| {
                let a = &mut shard.activations;
                network.forward(weights, data, rows, i * SHARD_ROWS, dropout, a);
                shard.losses.clear();
                shard.losses.resize(tasks.len(), 0.0);
                let g = &mut shard.gradients;
                g.logits.clear();
                for (row, logits) in rows.iter().zip(a.logits.chunks(tasks.len())) {
                    for (t, logit) in logits.iter().enumerate() {
                        let weight = scales[t] * f64::from(data.tasks[t].weights[*row as usize]);
                        if weight == 0.0 {
                            g.logits.push(R::ZERO);
                            continue;
                        }
                        let label = R::from_f64(data.tasks[t].labels[*row as usize].into());
                        let (l, d) =
                            loss(network.kinds[t], R::from_f64(tasks[t].huber), *logit, label);
                        shard.losses[t] += l.to_f64() * weight;
                        g.logits.push(d * R::from_f64(weight));
                    }
                }
                network.towers_backward(weights, a, keep, &lr, &stopped, g);
                if balanced {
                    shard.gram.clear();
                    shard.gram.resize(tasks.len() * tasks.len(), 0.0);
                    network.gram(weights, a, keep, g, &mut shard.gram);
                }
            });
        let mut factors = Factors {
            shared: lr.clone(),
            gate: lr,
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
        self.losses = (0..tasks.len())
            .map(|t| shards.iter().fold(0.0, |s, shard| s + shard.losses[t]))
            .collect();
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
                            .chunks(network.input_stride())
                            .take(s.activations.rows)
                    });
                    table.scatter(network, t, data, rows, dropout, dx);
                    finite(&table.values)
                });
        let tables_finite = tables_finite.reduce(|| true, |a, b| a & b);
        dense_finite && tables_finite && self.losses.iter().all(|l| l.is_finite())
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod torch;
