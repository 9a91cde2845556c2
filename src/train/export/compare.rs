//! A model file against the f32 model that it was made from, on the same rows.
use std::prelude::v1::*;

use core::fmt;
use core::ops::Range;

use serde::Serialize;

use super::statistics::{Ranking, bootstrap};
use super::{Budget, Layers, Options, Replayed};
use crate::engine::{Model, Output, Request, Scratch};
use crate::fusion::formula::Input;
use crate::spec::{Spec, TaskKind, limits};
use crate::train::calibration::Calibration;
use crate::train::dataset::TaskData;
use crate::train::error::{Error, Kind, Result};
use crate::train::evaluate::duration_score;
use crate::train::loss::sigmoid;
use crate::train::metrics;
use crate::train::server::Written;

/// Candidates that count as the top of a list.
const TOP: usize = 10;

/// What an export did to the scores.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Bytes of the file.
    pub bytes: usize,
    /// XXH3-64 of the file, in hexadecimal.
    pub digest: String,
    /// Rows that set the biases.
    pub calibration_rows: usize,
    /// Rows compared.
    pub replay_rows: usize,
    /// Requests compared.
    pub replay_requests: usize,
    /// Largest loss allowed.
    pub auc_budget: f64,
    /// By task.
    pub tasks: Vec<TaskReport>,
    /// Mean share of the f32 model's fused top 10 that is in the file's, over requests of more than 10 candidates.
    pub top10_overlap: Option<f64>,
    /// Requests of more than 10 candidates.
    pub top10_requests: usize,
    /// What `max_bytes` did, if there is one.
    pub budget: Option<Budget>,
    /// Tables that were written beside the file, for the server.
    pub server: Vec<Written>,
    /// What each table and layer loses, if that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<Layers>,
}

/// What an export did to one task.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TaskReport {
    /// Name.
    pub name: String,
    /// "auc", "spearman" with the label for a duration, or "ndcg" at 10 of a ranking task.
    pub metric: &'static str,
    /// Rows in the task's space.
    pub rows: usize,
    /// The metric of the f32 model; `None` if not defined (no rows, one class).
    pub f32: Option<f64>,
    /// The metric of the file.
    pub file: Option<f64>,
    /// f32 less file: positive if the file is worse.
    pub loss: Option<f64>,
    /// Standard error of the loss, from a paired bootstrap over requests.
    pub loss_error: Option<f64>,
    /// 95 % interval of the loss, from the same.
    pub loss_interval: Option<[f64; 2]>,
    /// Spearman's correlation of file and f32 scores within a request: mean over requests of at least 3 candidates
    /// whose scores are not all equal.
    pub request_spearman: Option<f64>,
    /// Those requests.
    pub spearman_requests: usize,
    /// Spearman's correlation of file and f32 scores over all rows compared, in the task's space or not.
    pub spearman: Option<f64>,
    /// Mean score of the file over that of the f32 model, less 1, on the task's rows.
    pub calibration_change: Option<f64>,
    /// Mean score of the file over the mean label, less 1, on the task's rows: for durations their bias.
    pub bias: Option<f64>,
    /// What calibration added to the head's bias.
    pub bias_correction: f64,
}

/// The f32 model's score of a logit.
pub(super) fn f32_score(kind: TaskKind, score_scale: f64, logit: f32) -> f64 {
    match kind {
        TaskKind::Binary => sigmoid(f64::from(logit)),
        _ => duration_score(f64::from(logit).min(20.0), score_scale),
    }
}

/// Compares `replayed` scores with `logits` `[rows, tasks]` of the same rows, calibrated by `maps`; `labels` are the data
/// set's.
pub(super) fn compare(
    model: &Model<'_>,
    replayed: &Replayed,
    logits: &[f32],
    maps: &[Option<Calibration>],
    labels: &[TaskData],
    options: &Options,
) -> Report {
    let spec = model.spec();
    let tasks = spec.tasks.len();
    let f32_scores: Vec<f64> = logits
        .iter()
        .enumerate()
        .map(|(i, logit)| {
            let task = &spec.tasks[i % tasks];
            match &maps[i % tasks] {
                Some(map) => map.apply(f64::from(*logit)),
                None => f32_score(task.kind, f64::from(task.score_scale), *logit),
            }
        })
        .collect();
    let (top10_overlap, top10_requests) = overlap(model, replayed, &f32_scores);
    Report {
        replay_rows: replayed.rows.len(),
        replay_requests: replayed.offsets.len().saturating_sub(1),
        auc_budget: options.auc_budget,
        tasks: (0..tasks)
            .map(|t| compare_task(spec, t, replayed, &f32_scores, &labels[t], options))
            .collect(),
        top10_overlap,
        top10_requests,
        ..Report::default()
    }
}

fn compare_task(
    spec: &Spec<'_>,
    t: usize,
    replayed: &Replayed,
    f32_scores: &[f64],
    data: &TaskData,
    options: &Options,
) -> TaskReport {
    let tasks = spec.tasks.len();
    let task = &spec.tasks[t];
    let request_of: Vec<u32> = (0..)
        .zip(replayed.offsets.windows(2))
        .flat_map(|(r, ends)| core::iter::repeat_n(r, ends[1] - ends[0]))
        .collect();
    let used: Vec<usize> = (0..replayed.rows.len())
        .filter(|i| data.weights[replayed.rows[*i] as usize] > 0.0)
        .collect();
    let column =
        |value: &dyn Fn(usize) -> f64| -> Vec<f64> { used.iter().map(|i| value(*i)).collect() };
    let reference = column(&|i| f32_scores[i * tasks + t]);
    let file = column(&|i| f64::from(replayed.scores[i * tasks + t]));
    let labels = column(&|i| f64::from(data.labels[replayed.rows[i] as usize]));
    let weights = column(&|i| f64::from(data.weights[replayed.rows[i] as usize]));
    let requests: Vec<u32> = used.iter().map(|i| request_of[*i]).collect();

    let rankings = [&reference, &file].map(|scores| {
        let lists = match data.ranks {
            true => metrics::by_request(scores, &labels, &requests, metrics::PLACES),
            false => Vec::new(),
        };
        (Ranking::new(scores), lists)
    });
    let truth = Ranking::new(&labels);
    let metric = |(ranking, lists): &(Ranking, Vec<Option<f64>>), weights: &[f64]| match task.kind {
        _ if data.ranks => mean_of_lists(lists, &requests, weights),
        TaskKind::Binary => ranking.auc(&labels, weights),
        _ => ranking.spearman(&truth, weights),
    };
    let loss = |weights: &[f64]| {
        let [reference, file] = rankings.each_ref().map(|r| metric(r, weights));
        reference
            .zip(file)
            .map(|(reference, file)| reference - file)
    };
    let resampled = bootstrap(&requests, &weights, options.resamples, options.seed, &loss);
    let mean = |values: &[f64]| values.iter().zip(&weights).map(|(x, w)| x * w).sum::<f64>();
    let change = |over: &[f64]| {
        let ratio = mean(&file) / mean(over);
        (ratio.is_finite() && !data.ranks).then_some(ratio - 1.0)
    };
    let (request_spearman, spearman_requests) = request_spearman(t, tasks, replayed, f32_scores);
    let all = |score: &dyn Fn(usize) -> f64| -> Vec<f64> {
        (0..replayed.rows.len())
            .map(|i| score(i * tasks + t))
            .collect()
    };
    TaskReport {
        name: task.name.to_string(),
        metric: match task.kind {
            _ if data.ranks => "ndcg",
            TaskKind::Binary => "auc",
            _ => "spearman",
        },
        rows: used.len(),
        f32: metric(&rankings[0], &weights),
        file: metric(&rankings[1], &weights),
        loss: loss(&weights),
        loss_error: resampled.map(|(error, _)| error),
        loss_interval: resampled.map(|(_, interval)| interval),
        request_spearman,
        spearman_requests,
        spearman: metrics::spearman(
            &all(&|i| f32_scores[i]),
            &all(&|i| replayed.scores[i].into()),
        ),
        calibration_change: change(&reference),
        bias: change(&labels),
        bias_correction: 0.0,
    }
}

/// Mean of what is defined of each request, which counts as often as its rows do.
fn mean_of_lists(lists: &[Option<f64>], requests: &[u32], weights: &[f64]) -> Option<f64> {
    let rows = requests.chunk_by(|a, b| a == b).map(<[u32]>::len);
    let begins = rows.scan(0, |at, rows| {
        *at += rows;
        Some(*at - rows)
    });
    let defined = lists.iter().zip(begins);
    let defined: Vec<(f64, f64)> = defined
        .filter_map(|(list, begin)| Some((list.as_ref().copied()?, weights[begin])))
        .collect();
    let weights: Vec<f64> = defined.iter().map(|(_, w)| *w).collect();
    metrics::mean(defined.iter().map(|(x, _)| *x), &weights)
}

fn request_spearman(
    t: usize,
    tasks: usize,
    replayed: &Replayed,
    f32_scores: &[f64],
) -> (Option<f64>, usize) {
    let of_request = |ends: &[usize]| {
        let rows = ends[0]..ends[1];
        if rows.len() < 3 {
            return None;
        }
        let file: Vec<f64> = rows
            .clone()
            .map(|i| replayed.scores[i * tasks + t].into())
            .collect();
        let reference: Vec<f64> = rows.map(|i| f32_scores[i * tasks + t]).collect();
        metrics::spearman(&reference, &file)
    };
    mean(replayed.offsets.windows(2).filter_map(of_request))
}

/// Mean overlap of the fused top 10, and over how many requests: none if scores alone do not make the order.
fn overlap(model: &Model<'_>, replayed: &Replayed, f32_scores: &[f64]) -> (Option<f64>, usize) {
    let tasks = model.spec().tasks.len();
    let need = model.scratch_len(limits::CANDIDATES);
    let (mut floats, mut bytes) = (vec![0.0; need.floats], vec![0; need.bytes]);
    let mut top = |score: &dyn Fn(usize) -> f32, rows: Range<usize>| {
        let scores: Vec<f32> = (rows.start * tasks..rows.end * tasks).map(score).collect();
        let mut order = [0; TOP];
        let request = Request {
            num_candidates: rows.len(),
            ..Request::default()
        };
        let mut scratch = Scratch {
            floats: &mut floats,
            bytes: &mut bytes,
        };
        let mut output = Output {
            order: &mut order,
            ..Output::default()
        };
        // Refused for a formula that reads scores before calibration.
        let made = model.order(&request, &scores, &mut scratch, &mut output);
        made.ok().map(|()| order)
    };
    let reads_features = model.formula().is_some_and(|formula| {
        let mut inputs = formula.inputs().iter();
        inputs.any(|input| matches!(input, Input::Feature(_)))
    });
    let of_request = |ends: &[usize]| {
        let rows = ends[0]..ends[1];
        if rows.len() <= TOP || model.num_terms() == 0 || reads_features {
            return None;
        }
        let file = top(&|i| replayed.scores[i], rows.clone())?;
        let reference = top(&|i| f32_scores[i] as f32, rows)?;
        let kept = reference.iter().filter(|i| file.contains(i)).count();
        Some(kept as f64 / TOP as f64)
    };
    mean(replayed.offsets.windows(2).filter_map(of_request))
}

fn mean(values: impl Iterator<Item = f64>) -> (Option<f64>, usize) {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), x| (sum + x, count + 1));
    ((count > 0).then(|| sum / count as f64), count)
}

impl TaskReport {
    /// Whether the loss is beyond `budget` by more than its standard error.
    pub fn exceeds(&self, budget: f64) -> bool {
        let error = self.loss_error.unwrap_or(0.0);
        self.loss.is_some_and(|loss| loss > budget + error)
    }
}

impl Report {
    /// Whether every task is within the budget.
    ///
    /// # Errors
    /// [`Kind::Refused`], with every task that is not.
    pub fn check(&self) -> Result<()> {
        let beyond = self.tasks.iter().filter(|t| t.exceeds(self.auc_budget));
        let beyond: Vec<String> = beyond
            .map(|t| {
                format!(
                    "{} loses {:.5} ± {:.5} {}",
                    t.name,
                    t.loss.unwrap_or_default(),
                    t.loss_error.unwrap_or_default(),
                    t.metric
                )
            })
            .collect();
        if beyond.is_empty() {
            return Ok(());
        }
        let sized = self.budget.as_ref().filter(|b| b.max_bytes.is_some());
        let size = sized.map_or(String::new(), |budget| {
            format!(
                ", and max_bytes took it from {} to {} bytes: raise either",
                budget.bytes_before, self.bytes
            )
        });
        let message = format!(
            "the file is not written: {}; the budget (export.auc_budget) is {}{size}",
            beyond.join(", "),
            self.auc_budget
        );
        Err(Error::new(Kind::Refused, message))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number =
            |x: Option<f64>, digits: usize| x.map_or("-".into(), |x| format!("{x:.digits$}"));
        if let Some(budget) = &self.budget {
            write!(f, "{budget}")?;
        }
        for t in &self.server {
            let named = match t.without_id {
                0 => String::new(),
                n => format!("; the log does not have {n} of the ids, join those by key"),
            };
            let (table, rows, dim) = (&t.table, t.rows, t.dim);
            writeln!(
                f,
                "table {table} is the server's: {rows} rows of {dim} bytes in {}{named}",
                t.file.display()
            )?;
        }
        let percent = |x: Option<f64>| x.map_or("-".into(), |x| format!("{:+.2} %", x * 100.0));
        if self.replay_rows == 0 {
            return writeln!(
                f,
                "{} bytes; there was no log: output biases are not corrected, and nothing was compared with the f32 model",
                self.bytes
            );
        }
        writeln!(
            f,
            "{} bytes, {} calibration rows, {} rows of {} requests replayed",
            self.bytes, self.calibration_rows, self.replay_rows, self.replay_requests
        )?;
        writeln!(
            f,
            "{:<10} {:>8} {:<8} {:>8} {:>8} {:>9} {:>20} {:>9} {:>9} {:>9} {:>9}",
            "task",
            "rows",
            "metric",
            "f32",
            "file",
            "loss",
            "95 % interval",
            "in lists",
            "all rows",
            "mean",
            "bias"
        )?;
        for t in &self.tasks {
            let interval = t
                .loss_interval
                .map_or("-".into(), |[low, high]| format!("{low:.5} .. {high:.5}"));
            writeln!(
                f,
                "{:<10} {:>8} {:<8} {:>8} {:>8} {:>9} {interval:>20} {:>9} {:>9} {:>9} {:>9}",
                t.name,
                t.rows,
                t.metric,
                number(t.f32, 5),
                number(t.file, 5),
                number(t.loss, 5),
                number(t.request_spearman, 5),
                number(t.spearman, 5),
                percent(t.calibration_change),
                percent(t.bias),
            )?;
        }
        let lists = self.tasks.iter().map(|t| t.spearman_requests).max();
        writeln!(
            f,
            "in lists, all rows: Spearman's correlation of file and f32 scores, within {} requests of 3 or more and over all",
            lists.unwrap_or(0)
        )?;
        writeln!(
            f,
            "fused top-10 overlap {} over {} requests; budget {}",
            number(self.top10_overlap, 4),
            self.top10_requests,
            self.auc_budget
        )?;
        match &self.layers {
            Some(layers) => write!(f, "\n{layers}"),
            None => Ok(()),
        }
    }
}
