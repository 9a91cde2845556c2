//! Predictions and metrics of parameters on rows of a data set.
use std::prelude::v1::*;

use rayon::prelude::*;

use crate::spec::{Spec, TaskKind};
use crate::train::dataset::Dataset;
use crate::train::metrics::TaskMetrics;
use crate::train::network::forward::{Activations, SHARD_ROWS};
use crate::train::network::{Network, Weights};
use crate::train::parameters::Parameters;
use crate::train::real::Real;

impl Network {
    /// Logits `[rows, tasks]` on rayon's current threads; the bits do not depend on them or on the other rows.
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
    let tasks = kinds.len();
    let of_task = |t: usize| {
        let task = &data.tasks[t];
        let used = || (0..rows.len()).filter(|i| task.weights[rows[*i] as usize] > 0.0);
        let column = |f: &dyn Fn(usize) -> f64| used().map(f).collect::<Vec<f64>>();
        let labels = column(&|i| task.labels[rows[i] as usize].into());
        let weights = column(&|i| task.weights[rows[i] as usize].into());
        let scores = column(&|i| logits[i * tasks + t].to_f64());
        match kinds[t].0 {
            TaskKind::Binary => {
                let groups: Vec<u32> = used().map(|i| data.gauc_group[rows[i] as usize]).collect();
                TaskMetrics::binary(&scores, &labels, &weights, &groups)
            }
            TaskKind::Duration => {
                let scale = kinds[t].1;
                let scores: Vec<f64> = scores.iter().map(|z| duration_score(*z, scale)).collect();
                TaskMetrics::duration(&scores, &labels, &weights)
            }
        }
    };
    (0..tasks).into_par_iter().map(of_task).collect()
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
