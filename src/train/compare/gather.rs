//! Results of all runs as rows of a table: a metric's mean over seeds, and its paired difference to the first variant.
use std::prelude::v1::*;

use serde::Serialize;

use super::result::{Finished, ReportView, RunResult, State};
use super::statistics::{Difference, Summary};
use crate::train::metrics::TaskMetrics;

/// All runs, and what they say together.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The experiment file's name, without its folder.
    pub experiment: String,
    /// The data's names, as the first variant's description has them, or `--data`.
    pub data: Vec<String>,
    /// Seeds.
    pub seeds: Vec<u64>,
    /// Variants in the experiment's order; the others are paired with the first.
    pub variants: Vec<VariantRuns>,
    /// By task, metric and variant, in this order.
    pub metrics: Vec<MetricRow>,
    /// By variant.
    pub costs: Vec<Cost>,
    /// Runs that have no result or no file: who, and why.
    pub failures: Vec<Failure>,
}

/// A variant and its runs.
#[derive(Clone, Debug, Serialize)]
pub struct VariantRuns {
    /// Name.
    pub name: String,
    /// What it changes in its base, a line each.
    pub changes: Vec<String>,
    /// By seed.
    pub runs: Vec<RunResult>,
    /// By seed: the report, if there is a result.
    #[serde(skip)]
    pub views: Vec<Option<ReportView>>,
}

/// A run that has no result, or whose file was refused.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// Variant.
    pub variant: String,
    /// Seed.
    pub seed: u64,
    /// Why.
    pub message: String,
}

/// Which way a metric is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
    /// A target in between: nearer to 1.
    One,
}

/// A metric of the table.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name in [`TaskMetrics`].
    pub key: &'static str,
    /// Its name for people.
    pub label: &'static str,
    /// Which way is better.
    pub better: Better,
    /// Its value.
    pub of: fn(&TaskMetrics) -> Option<f64>,
}

/// The metrics of the table; a task has those that its kind has.
pub const METRICS: [Metric; 8] = [
    Metric {
        key: "ndcg",
        label: "NDCG@10",
        better: Better::Higher,
        of: |m| m.ndcg,
    },
    Metric {
        key: "auc",
        label: "AUC",
        better: Better::Higher,
        of: |m| m.auc,
    },
    Metric {
        key: "spearman",
        label: "Spearman",
        better: Better::Higher,
        of: |m| m.spearman,
    },
    Metric {
        key: "gauc",
        label: "GAUC",
        better: Better::Higher,
        of: |m| m.gauc,
    },
    Metric {
        key: "xauc",
        label: "XAUC",
        better: Better::Higher,
        of: |m| m.xauc,
    },
    Metric {
        key: "log_loss",
        label: "log loss",
        better: Better::Lower,
        of: |m| m.log_loss,
    },
    Metric {
        key: "mae",
        label: "MAE",
        better: Better::Lower,
        of: |m| m.mae,
    },
    Metric {
        key: "calibration",
        label: "calibration",
        better: Better::One,
        of: |m| m.calibration,
    },
];

/// One metric of one task in one variant.
#[derive(Clone, Debug, Serialize)]
pub struct MetricRow {
    /// Task.
    pub task: String,
    /// Name of the metric, as `train --json` writes it.
    pub metric: &'static str,
    /// Its name for people.
    #[serde(skip)]
    pub label: &'static str,
    /// Which way is better.
    pub better: Better,
    /// Variant.
    pub variant: String,
    /// Index of the variant.
    #[serde(skip)]
    pub index: usize,
    /// Over seeds.
    pub value: Option<Summary>,
    /// To the first variant; `None` for itself and without a pair.
    pub difference: Option<Difference>,
    /// Whether the difference's interval leaves 0 out.
    pub excludes_zero: bool,
}

/// What a variant costs.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// Variant.
    pub variant: String,
    /// Runs with a result.
    pub runs: usize,
    /// Parameters of embeddings and of dense layers.
    pub parameters: Option<[usize; 2]>,
    /// Seconds of training over seeds.
    pub seconds: Option<Summary>,
    /// Steps over seeds.
    pub steps: Option<Summary>,
    /// Step of the parameters kept, over seeds.
    pub best_step: Option<Summary>,
    /// Bytes of the exported file.
    pub device_bytes: Option<usize>,
    /// Multiply-adds of the device once a request (the user side), and for each candidate.
    pub multiply_adds: Option<[usize; 2]>,
    /// By task: what 8 bits cost in AUC or Spearman's correlation, over seeds.
    pub int8_loss: Vec<(String, Summary)>,
}

impl VariantRuns {
    /// A variant with its results, by seed.
    pub fn new(name: String, changes: Vec<String>, runs: Vec<RunResult>) -> Self {
        let views = runs.iter().map(|r| r.finished()?.view().ok()).collect();
        Self {
            name,
            changes,
            runs,
            views,
        }
    }

    fn finished(&self) -> impl Iterator<Item = &Finished> {
        self.runs.iter().filter_map(RunResult::finished)
    }

    /// By seed: one metric of one task.
    fn metric(&self, task: &str, of: fn(&TaskMetrics) -> Option<f64>) -> Vec<Option<f64>> {
        let value = |view: &Option<ReportView>| {
            let tasks = &view.as_ref()?.tasks;
            of(&tasks.iter().find(|(name, _)| name == task)?.1)
        };
        self.views.iter().map(value).collect()
    }

    fn cost(&self) -> Cost {
        let views = || self.views.iter().flatten();
        let over = |values: Vec<f64>| Summary::of(&values);
        let exports = || self.finished().filter_map(|f| f.export.as_ref());
        let names = exports()
            .next()
            .map(|e| e.tasks.iter().map(|t| t.name.clone()));
        let loss = |name: String| {
            let of = |e: &super::result::Exported| e.tasks.iter().find(|t| t.name == name)?.loss;
            let losses: Vec<f64> = exports().filter_map(of).collect();
            Some((name.clone(), Summary::of(&losses)?))
        };
        Cost {
            variant: self.name.clone(),
            runs: self.finished().count(),
            parameters: views().next().map(|v| v.parameters),
            seconds: over(self.finished().map(|f| f.seconds).collect()),
            steps: over(views().map(|v| v.steps as f64).collect()),
            best_step: over(views().map(|v| v.best_step as f64).collect()),
            device_bytes: exports().next().map(|e| e.bytes),
            multiply_adds: self.finished().next().map(|f| f.multiply_adds),
            int8_loss: names.into_iter().flatten().filter_map(loss).collect(),
        }
    }
}

impl Comparison {
    /// Puts results together.
    pub fn new(
        experiment: String,
        data: Vec<String>,
        seeds: Vec<u64>,
        variants: Vec<VariantRuns>,
    ) -> Self {
        let mut failures = Vec::new();
        for v in &variants {
            for (seed, run) in seeds.iter().zip(&v.runs) {
                let message = match &run.state {
                    State::Begun { .. } => Some("it has not finished".to_string()),
                    State::Failed { message } => Some(message.clone()),
                    State::Finished(f) => f.export.as_ref().and_then(|e| e.refused.clone()),
                };
                failures.extend(message.map(|message| Failure {
                    variant: v.name.clone(),
                    seed: *seed,
                    message,
                }));
            }
        }
        let mut comparison = Self {
            experiment,
            data,
            seeds,
            variants,
            metrics: Vec::new(),
            costs: Vec::new(),
            failures,
        };
        comparison.costs = comparison.variants.iter().map(VariantRuns::cost).collect();
        comparison.metrics = comparison.metric_rows();
        comparison
    }

    /// Tasks of any variant, in the order in which they first appear.
    pub fn tasks(&self) -> Vec<String> {
        let mut tasks: Vec<String> = Vec::new();
        for view in self.variants.iter().flat_map(|v| v.views.iter().flatten()) {
            for (name, _) in &view.tasks {
                if !tasks.contains(name) {
                    tasks.push(name.clone());
                }
            }
        }
        tasks
    }

    fn metric_rows(&self) -> Vec<MetricRow> {
        let mut rows = Vec::new();
        for task in self.tasks() {
            for metric in &METRICS {
                let values: Vec<Vec<Option<f64>>> = self
                    .variants
                    .iter()
                    .map(|v| v.metric(&task, metric.of))
                    .collect();
                if values.iter().flatten().all(Option::is_none) {
                    continue;
                }
                for (index, v) in self.variants.iter().enumerate() {
                    let defined: Vec<f64> = values[index].iter().copied().flatten().collect();
                    let pairs = values[index].iter().zip(&values[0]);
                    let pairs: Vec<(f64, f64)> = pairs
                        .filter_map(|(own, first)| (*own).zip(*first))
                        .collect();
                    let difference = (index > 0).then(|| Difference::paired(&pairs)).flatten();
                    rows.push(MetricRow {
                        task: task.clone(),
                        metric: metric.key,
                        label: metric.label,
                        better: metric.better,
                        variant: v.name.clone(),
                        index,
                        value: Summary::of(&defined),
                        difference,
                        excludes_zero: difference.is_some_and(|d| d.excludes_zero()),
                    });
                }
            }
        }
        rows
    }
}

#[cfg(test)]
pub(crate) mod tests;
