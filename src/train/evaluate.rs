//! Predictions and metrics of parameters on rows of a data set.
use std::io;
use std::prelude::v1::*;

use rayon::prelude::*;

use crate::spec::{Spec, TaskKind};
use crate::train::dataset::{Dataset, Place, Rows};
use crate::train::metrics::TaskMetrics;
use crate::train::network::forward::{Activations, SHARD_ROWS};
use crate::train::network::{Network, Weights};
use crate::train::parameters::Parameters;
use crate::train::real::Real;

impl Network {
    /// Logits `[rows, tasks]` on rayon's current threads; the bits do not depend on them or on the other rows. Those of all
    /// quantities are as a duration's: ln(1 + score / score_scale).
    pub(crate) fn predict<R: Real>(
        &self,
        weights: &Weights<R>,
        data: &Dataset,
        rows: &[u32],
    ) -> Vec<R> {
        let mut logits = vec![R::ZERO; rows.len() * self.num_tasks()];
        let shards = logits
            .par_chunks_mut(SHARD_ROWS * self.num_tasks())
            .zip(rows.par_chunks(SHARD_ROWS));
        shards.for_each_init(Activations::default, |a, (out, rows)| {
            self.forward(weights, data, rows, 0, None, a);
            out.copy_from_slice(&a.logits);
            self.score_logits(&weights.dense, data, rows, out);
        });
        logits
    }

    /// Per task, the metrics of `logits` `[rows, tasks]` on those of `rows` with a weight in the task.
    ///
    /// The score of a duration is exp(logit) - 1, at least 0, times the task's `score_scale`.
    pub fn metrics<R: Real>(&self, logits: &[R], data: &Dataset, rows: &[u32]) -> Vec<TaskMetrics> {
        let kinds: Vec<(TaskKind, f64)> = self
            .kinds
            .iter()
            .copied()
            .zip(self.score_scales.iter().copied())
            .collect();
        task_metrics(&kinds, logits, data, rows)
    }
}

fn task_metrics<R: Real>(
    kinds: &[(TaskKind, f64)],
    logits: &[R],
    data: &Dataset,
    rows: &[u32],
) -> Vec<TaskMetrics> {
    let of_task = |t: usize| {
        let mut sample = Sample::default();
        sample.add(kinds.len(), t, logits, data, rows, &|i| {
            data.request[rows[i] as usize]
        });
        sample.metrics(kinds[t])
    };
    (0..kinds.len()).into_par_iter().map(of_task).collect()
}

/// What is measured of a task: its rows with a weight.
#[derive(Clone, Default)]
struct Sample<R> {
    logits: Vec<R>,
    labels: Vec<f32>,
    weights: Vec<f32>,
    /// GAUC groups or, of a ranking task, requests.
    groups: Vec<u32>,
    ranks: bool,
}

impl<R: Real> Sample<R> {
    /// `request` has that of row `i` of `rows`.
    fn add(
        &mut self,
        tasks: usize,
        t: usize,
        logits: &[R],
        data: &Dataset,
        rows: &[u32],
        request: &dyn Fn(usize) -> u32,
    ) {
        let task = &data.tasks[t];
        self.ranks = task.ranks;
        for (i, row) in rows.iter().map(|r| *r as usize).enumerate() {
            if task.weights[row] > 0.0 {
                self.logits.push(logits[i * tasks + t]);
                self.labels.push(task.labels[row]);
                self.weights.push(task.weights[row]);
                self.groups.push(if task.ranks {
                    request(i)
                } else {
                    data.gauc_group[row]
                });
            }
        }
    }

    fn metrics(self, (kind, scale): (TaskKind, f64)) -> TaskMetrics {
        let wide = |x: Vec<f32>| x.into_iter().map(f64::from).collect::<Vec<f64>>();
        let scores: Vec<f64> = self.logits.into_iter().map(R::to_f64).collect();
        let (labels, weights) = (wide(self.labels), wide(self.weights));
        match kind {
            _ if self.ranks => TaskMetrics::ranking(&scores, &labels, &weights, &self.groups),
            TaskKind::Binary => TaskMetrics::binary(&scores, &labels, &weights, &self.groups),
            _ => {
                let scores: Vec<f64> = scores.iter().map(|z| duration_score(*z, scale)).collect();
                TaskMetrics::duration(&scores, &labels, &weights)
            }
        }
    }
}

/// Rows of a store that are predicted at a time.
const STORED_ROWS: usize = 16 * SHARD_ROWS;

/// Metrics per task of `weights` on `rows`, predicted on the threads of `pool`; `None` if a logit is not finite.
///
/// What is collected of a store is so on the calling thread: a thread of the pool may have a heap of its own, and the next
/// evaluation would be another one's.
///
/// # Errors
/// A store that cannot be read.
pub(crate) fn measure<R: Real>(
    pool: &rayon::ThreadPool,
    network: &Network,
    weights: &Weights<R>,
    data: &dyn Rows,
    rows: &[u32],
) -> io::Result<Option<Vec<TaskMetrics>>> {
    let finite = |logits: &[R]| logits.iter().all(|z| z.finite());
    if let Place::Memory(data) = data.place() {
        return Ok(pool.install(|| {
            let logits = network.predict(weights, data, rows);
            finite(&logits).then(|| network.metrics(&logits, data, rows))
        }));
    }
    let tasks = network.num_tasks();
    let mut samples: Vec<Sample<R>> = vec![Sample::default(); tasks];
    for rows in rows.chunks(STORED_ROWS) {
        let (stored, of_log) = (data, rows);
        let Some((data, rows)) = stored.batch(rows)? else {
            break;
        };
        // A batch numbers its requests anew, and one request may lie in two.
        let requests = match data.tasks.iter().any(|t| t.ranks) {
            true => stored.requests(of_log)?,
            false => Vec::new(),
        };
        let request = |i: usize| requests.get(i).copied().unwrap_or(0);
        let logits = pool.install(|| network.predict(weights, &data, &rows));
        if !finite(&logits) {
            return Ok(None);
        }
        for (t, sample) in samples.iter_mut().enumerate() {
            sample.add(tasks, t, &logits, &data, &rows, &request);
        }
    }
    // One after the other: each needs some 30 bytes a row.
    let kinds = network
        .kinds
        .iter()
        .copied()
        .zip(network.score_scales.iter().copied());
    Ok(Some(
        samples
            .into_iter()
            .zip(kinds)
            .map(|(s, kind)| s.metrics(kind))
            .collect(),
    ))
}

/// The score of a duration's logit: exp(logit) - 1, at least 0, times `score_scale`.
pub fn duration_score(logit: f64, score_scale: f64) -> f64 {
    libm::expm1(logit).max(0.0) * score_scale
}

/// Logits `[rows, tasks]` of `parameters`, which must fit `spec`, on rayon's current threads.
pub fn predict<R: Real>(
    spec: &Spec<'_>,
    parameters: &Parameters<R>,
    data: &Dataset,
    rows: &[u32],
) -> Vec<R> {
    let network = Network::new(spec);
    let weights = network.weights(parameters.clone());
    network.predict(&weights, data, rows)
}

/// Metrics of `parameters`, which must fit `spec`, per task on `rows`.
pub fn evaluate<R: Real>(
    spec: &Spec<'_>,
    parameters: &Parameters<R>,
    data: &Dataset,
    rows: &[u32],
) -> Vec<TaskMetrics> {
    Network::new(spec).metrics(&predict(spec, parameters, data, rows), data, rows)
}

/// Metrics of `logits` `[rows, tasks]` for tasks of the given names, kinds and score scales.
pub fn of_logits(
    tasks: &[(String, TaskKind, f64)],
    logits: &[f32],
    data: &Dataset,
    rows: &[u32],
) -> Vec<TaskMetrics> {
    let kinds: Vec<(TaskKind, f64)> = tasks.iter().map(|t| (t.1, t.2)).collect();
    task_metrics(&kinds, logits, data, rows)
}
