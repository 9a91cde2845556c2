//! What one run of an experiment gave, as `result.json` in its folder keeps it.
use std::fs;
use std::path::Path;
use std::prelude::v1::*;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::spec::{Spec, TaskKind};
use crate::train::dataset::Dataset;
use crate::train::error::{Error, Kind, Result};
use crate::train::evaluate::duration_score;
use crate::train::files::write_atomically;
use crate::train::loss::sigmoid;
use crate::train::metrics::{TaskMetrics, mean};
use crate::train::{export, inspect};

/// Bins of a calibration curve.
pub const BINS: usize = 10;

/// One variant, trained with one seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunResult {
    /// Of all that decides the result, in hexadecimal: the description, the data, the seed and the crate's version.
    pub fingerprint: String,
    /// How far it is.
    #[serde(flatten)]
    pub state: State,
}

/// How far a run is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum State {
    /// Its checkpoint, if any, is of this fingerprint.
    Begun {
        /// Seconds trained before it was interrupted.
        seconds: f64,
    },
    /// It ended with an error.
    Failed {
        /// The error.
        message: String,
    },
    /// It has a result.
    Finished(Box<Finished>),
}

/// The result of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finished {
    /// Wall-clock seconds of training; differs from one time to the next.
    pub seconds: f64,
    /// The run's report, as `report.json` has it.
    pub report: serde_json::Value,
    /// By task: its calibration curve on the validation rows.
    pub calibration: Vec<Vec<Bin>>,
    /// Multiply-adds of the device once a request (the user side), and for each candidate.
    pub multiply_adds: [usize; 2],
    /// The exported file, if the experiment asks for it.
    pub export: Option<Exported>,
}

/// One bin of a calibration curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Rows.
    pub rows: usize,
    /// Mean score.
    pub predicted: f64,
    /// Mean label.
    pub actual: f64,
}

/// The exported file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exported {
    /// Bytes of the file.
    pub bytes: usize,
    /// By task.
    pub tasks: Vec<ExportedTask>,
    /// Why the file was not kept, if it was not.
    pub refused: Option<String>,
}

/// One task of the exported file against the f32 run, on the replayed validation rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExportedTask {
    /// Name.
    pub name: String,
    /// "auc" or "spearman".
    pub metric: String,
    /// The metric of the f32 run.
    pub f32: Option<f64>,
    /// The metric of the file.
    pub file: Option<f64>,
    /// The first less the second.
    pub loss: Option<f64>,
}

impl From<&export::Report> for Exported {
    fn from(report: &export::Report) -> Self {
        let task = |t: &export::TaskReport| ExportedTask {
            name: t.name.clone(),
            metric: t.metric.into(),
            f32: t.f32,
            file: t.file,
            loss: t.loss,
        };
        Self {
            bytes: report.bytes,
            tasks: report.tasks.iter().map(task).collect(),
            refused: report.check().err().map(|e| e.message),
        }
    }
}

/// What the page reads of a run's report. Parts that a report does not have are empty.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ReportView {
    /// By task: name and metrics on the validation rows.
    pub tasks: Vec<(String, TaskMetrics)>,
    /// Steps done.
    pub steps: u64,
    /// Step of the parameters kept.
    pub best_step: u64,
    /// Training, stopping and validation rows.
    pub rows: [usize; 3],
    /// Parameters of embeddings and of dense layers.
    pub parameters: [usize; 2],
    /// Evaluations of the stopping rows.
    #[serde(default)]
    pub history: Vec<Evaluation>,
    /// Gates, experts and warnings.
    #[serde(skip)]
    pub health: Option<Health>,
}

/// One evaluation of the stopping rows.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Evaluation {
    /// Steps done.
    pub step: u64,
    /// By task: AUC or Spearman's correlation.
    pub tasks: Vec<Option<f64>>,
    /// By task: its effective weight in the loss.
    #[serde(default)]
    pub weights: Vec<f64>,
}

/// How a run's shared layers are used.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Health {
    /// By task and expert: the gate's mean.
    #[serde(default)]
    pub gates: Vec<Vec<f64>>,
    /// By task: the entropy of its gate.
    #[serde(default)]
    pub gate_entropy: Vec<f64>,
    /// By pair of experts: the cosine of their outputs.
    #[serde(default)]
    pub expert_cosine: Vec<Vec<f64>>,
    /// What is unhealthy.
    #[serde(default)]
    pub warnings: Vec<String>,
}

impl Finished {
    /// The parts of its report that are shown.
    ///
    /// # Errors
    /// What is missing.
    pub fn view(&self) -> core::result::Result<ReportView, serde_json::Error> {
        let mut view: ReportView = serde_json::from_value(self.report.clone())?;
        // Only the page's extra plots need it: a report without it, or of another shape, is shown without them.
        view.health = self
            .report
            .get("health")
            .and_then(|health| serde_json::from_value(health.clone()).ok());
        Ok(view)
    }
}

impl RunResult {
    /// What is stored at `path`; `None` if there is nothing that this version reads.
    pub fn load(path: &Path) -> Option<Self> {
        let result: Self = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        if let State::Finished(finished) = &result.state {
            finished.view().ok()?;
        }
        Some(result)
    }

    /// Stores it at `path`, whole or not at all.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub fn store(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|e| Error::in_file(Kind::Io, path, e.to_string()))?;
        write_atomically(path, format!("{text}\n").as_bytes())
    }

    /// Its result, if it finished.
    pub fn finished(&self) -> Option<&Finished> {
        match &self.state {
            State::Finished(finished) => Some(finished),
            _ => None,
        }
    }
}

/// Calibration curves by task: the rows of its space among `rows` in ten bins of equal count by score.
///
/// `logits` are `[rows, tasks]`.
pub fn calibration(spec: &Spec<'_>, logits: &[f32], data: &Dataset, rows: &[u32]) -> Vec<Vec<Bin>> {
    let tasks = spec.tasks.len();
    let of_task = |t: usize| {
        let (task, labels) = (&spec.tasks[t], &data.tasks[t]);
        if labels.ranks {
            return Vec::new();
        }
        let mut points: Vec<(f64, f64, f64)> = rows
            .iter()
            .enumerate()
            .map(|(i, row)| {
                let (row, z) = (*row as usize, f64::from(logits[i * tasks + t]));
                let score = match task.kind {
                    TaskKind::Binary => sigmoid(z),
                    _ => duration_score(z, f64::from(task.score_scale)),
                };
                (score, labels.labels[row].into(), labels.weights[row].into())
            })
            .filter(|(_, _, weight)| *weight > 0.0)
            .collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        bins(&points)
    };
    (0..tasks).map(of_task).collect()
}

/// Bins of sorted points (score, label, weight).
fn bins(points: &[(f64, f64, f64)]) -> Vec<Bin> {
    let n = points.len();
    let bin = |b: usize| {
        let part = &points[n * b / BINS..n * (b + 1) / BINS];
        let weights: Vec<f64> = part.iter().map(|p| p.2).collect();
        Some(Bin {
            rows: part.len(),
            predicted: mean(part.iter().map(|p| p.0), &weights)?,
            actual: mean(part.iter().map(|p| p.1), &weights)?,
        })
    };
    (0..BINS).filter_map(bin).collect()
}

/// Multiply-adds of the device: once a request, and for each candidate.
pub fn multiply_adds(spec: &Spec<'_>) -> [usize; 2] {
    let counted = inspect::multiply_adds(spec);
    [counted.request, counted.candidate]
}

/// The fingerprint of a run; `logs` are the digests of its data files.
pub fn fingerprint(text: &str, logs: &[Option<u64>], seed: u64) -> String {
    let mut digest = Xxh3::new();
    let mut part = |bytes: &[u8]| {
        digest.update(&(bytes.len() as u64).to_le_bytes());
        digest.update(bytes);
    };
    part(env!("CARGO_PKG_VERSION").as_bytes());
    part(text.as_bytes());
    part(&seed.to_le_bytes());
    for log in logs {
        part(&log.map(u64::to_le_bytes).unwrap_or_default());
        part(&[u8::from(log.is_some())]);
    }
    format!("{:016x}", digest.digest())
}

/// XXH3-64 of a file; `None` if it cannot be read: training says why.
pub fn digest(path: &Path) -> Option<u64> {
    let mut file = fs::File::open(path).ok()?;
    let mut digest = Xxh3::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match std::io::Read::read(&mut file, &mut buffer).ok()? {
            0 => return Some(digest.digest()),
            n => digest.update(&buffer[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn bins_have_equal_counts_and_weighted_means() {
        let points: Vec<(f64, f64, f64)> = (0..25)
            .map(|i| (f64::from(i), f64::from(i % 2), 1.0))
            .collect();
        let bins = bins(&points);
        assert_eq!(bins.len(), 10);
        assert_eq!(bins.iter().map(|b| b.rows).sum::<usize>(), 25);
        assert!(bins.iter().all(|b| b.rows == 2 || b.rows == 3));
        assert_eq!((bins[0].predicted, bins[0].actual), (0.5, 0.5));
        let weighted = super::bins(&[(0.0, 0.0, 1.0), (1.0, 1.0, 3.0)]);
        assert_eq!(weighted.len(), 2);
    }

    #[test]
    fn a_fingerprint_changes_with_each_part() {
        let of = |text, logs: &[Option<u64>], seed| fingerprint(text, logs, seed);
        let one = of("a", &[Some(1)], 1);
        assert_eq!(one, of("a", &[Some(1)], 1));
        for other in [
            of("b", &[Some(1)], 1),
            of("a", &[Some(2)], 1),
            of("a", &[None], 1),
            of("a", &[Some(1)], 2),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_report_is_read_with_health_and_weights_or_without() {
        let mut report = serde_json::json!({
            "tasks": [], "steps": 3, "best_step": 3, "stopped_early": false, "rows": [1, 2, 3],
            "parameters": [4, 5], "history": [{"step": 3, "tasks": [null], "losses": [0.1]}]
        });
        let view = |report: &serde_json::Value| {
            let finished = Finished {
                seconds: 1.0,
                report: report.clone(),
                calibration: Vec::new(),
                multiply_adds: [1, 2],
                export: None,
            };
            finished.view().unwrap()
        };
        assert!(view(&report).health.is_none());
        report["health"] =
            serde_json::json!({"gates": [[0.25, 0.75]], "gate_entropy": [0.5], "warnings": ["w"]});
        report["history"][0]["weights"] = serde_json::json!([0.5]);
        let with = view(&report);
        assert_eq!(with.health.unwrap().gates, [[0.25, 0.75]]);
        assert_eq!(with.history[0].weights, [0.5]);
        report["health"] = serde_json::json!("another shape");
        assert!(view(&report).health.is_none());
    }
}
