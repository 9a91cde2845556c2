//! A run: a folder with a description, what was learned from the log, and the trained parameters.
//!
//! ```text
//! RUN/model.toml      the description as it was
//! RUN/run.json        where the description and the data were
//! RUN/fit.bin         vocabularies, transforms, boundaries
//! RUN/fit.counts      how often ids of vocabularies occurred
//! RUN/checkpoint.bin  to resume from
//! RUN/parameters.bin  the result
//! RUN/report.json     metrics of the validation rows, and every evaluation
//! RUN/lock            locked while a process trains; nothing by itself
//! ```
//!
//! Invariant: `parameters.bin` belongs to the `model.toml` and `fit.bin` beside it. Training anew removes it first.
use core::sync::atomic::AtomicBool;
use std::fs;
use std::path::Path;
use std::prelude::v1::*;

use serde::{Deserialize, Serialize};

use crate::spec::Spec;
use crate::train::checkpoint::RunLock;
use crate::train::dataset::{Dataset, Rows, Split};
use crate::train::description::{Description, Objective};
use crate::train::error::{Error, Kind, Result};
use crate::train::fit::{FewUsers, Fit};
use crate::train::health::{self, Health};
use crate::train::log::{self, RawColumn, RawLog};
use crate::train::metrics::TaskMetrics;
use crate::train::options::TaskOptions;
use crate::train::sampling::{self, Sampling};
use crate::train::trainer::{Evaluation, Job, Outcome, Progress, TrainError, Training};
use crate::train::{pass, position, stream, warm};

mod export;
mod folder;

pub use export::{ExportOptions, export};
pub use folder::Run;
use folder::{REPORT_FILE, write_json};
pub(crate) use folder::{clear, describe};

/// How to train.
#[derive(Clone, Debug)]
pub struct Options<'o> {
    /// The description.
    pub model: &'o Path,
    /// Log file or folder, instead of the description's own.
    pub data: Option<&'o Path>,
    /// The run's folder.
    pub out: &'o Path,
    /// Instead of the description's seed.
    pub seed: Option<u64>,
    /// Worker threads; 0 is one a core.
    pub threads: usize,
    /// Go on from the folder's checkpoint.
    pub resume: bool,
    /// Start from another run.
    pub from: Option<&'o Path>,
}

/// What `report.json` holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// By task: name and metrics on the validation rows.
    pub tasks: Vec<(String, TaskMetrics)>,
    /// Steps done.
    pub steps: u64,
    /// Step of the parameters kept.
    pub best_step: u64,
    /// True if patience ended the run.
    pub stopped_early: bool,
    /// Step from which on the forward pass, and evaluations, computed on the device's grids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantized_from: Option<u64>,
    /// Rows that gradients came from, rows that stopped training, rows reported on.
    pub rows: [usize; 3],
    /// Rows set aside as malformed.
    pub quarantined_rows: u64,
    /// The first of them, with file and line.
    pub quarantined: Vec<String>,
    /// Of tables with `min_users`: ids that are out of the vocabulary for want of users.
    #[serde(default)]
    pub few_users: Vec<FewUsers>,
    /// Parameters of embeddings and of dense layers.
    pub parameters: [usize; 2],
    /// Every evaluation of the stopping rows.
    pub history: Vec<Evaluation>,
    /// By task with a position bias: its logit at distinct values of what is known in training alone, less that of the
    /// reference.
    pub position_bias: Vec<position::Curve>,
    /// Of gates and experts, on the validation rows.
    pub health: Health,
}

/// A log under a fit.
pub struct Prepared {
    /// Before the fit.
    pub raw: RawLog,
    /// Which rows do what.
    pub split: Split,
    /// After it.
    pub data: Dataset,
}

impl Prepared {
    /// Reads the logs of a description and passes them through a finished fit.
    ///
    /// # Errors
    /// Those of reading; [`Kind::Data`].
    pub fn read(d: &Description, fit: &Fit, spec: &Spec<'_>, data: Option<&Path>) -> Result<Self> {
        let raw = log::read(d, data)?;
        let split = pass::split(d, &raw)?;
        let derived = pass::derive(d, fit, spec, &raw)?;
        Ok(Self::encode(d, fit, spec, raw, split, &derived))
    }

    fn encode(
        d: &Description,
        fit: &Fit,
        spec: &Spec<'_>,
        raw: RawLog,
        split: Split,
        derived: &[RawColumn],
    ) -> Self {
        let data = pass::encode(d, fit, spec, &raw, derived);
        Self { raw, split, data }
    }
}

/// Tasks that cannot be learned: without a row in their space, or all of one class.
///
/// # Errors
/// [`Kind::Data`], naming the task.
pub fn check_tasks(d: &Description, data: &Dataset, rows: &[u32]) -> Result<()> {
    let counts = data.tasks.iter().map(|t| {
        let inside = || {
            rows.iter()
                .map(|r| *r as usize)
                .filter(|r| t.weights[*r] > 0.0)
        };
        let positive = inside().filter(|r| t.labels[*r] > 0.0).count();
        (inside().count(), positive)
    });
    check_counts(d, &counts.collect::<Vec<_>>())
}

/// [`check_tasks`] of training rows in each task's space, and of those that are positive.
fn check_counts(d: &Description, counts: &[(usize, usize)]) -> Result<()> {
    for (task, (count, positive)) in d.toml.task.iter().zip(counts.iter().copied()) {
        let name = task.name.get_ref();
        let at = d.at(&task.name);
        let wrong = |message: String| Err(Error::at_line(Kind::Data, &d.file, at, message));
        if count == 0 {
            return wrong(format!(
                "task \"{name}\": no training row lies in its space; check space, label and window"
            ));
        }
        if task.kind == Objective::Rank && positive == 0 {
            return wrong(format!(
                "task \"{name}\": none of its {count} training rows has a utility above 0; correct its label or utility, or leave it out"
            ));
        }
        if task.kind == crate::spec::TaskKind::Binary && (positive == 0 || positive == count) {
            let class = if positive == 0 {
                "positive"
            } else {
                "negative"
            };
            return wrong(format!(
                "task \"{name}\": none of its {count} training rows is {class}; it needs both: correct its label or space, or leave it out"
            ));
        }
    }
    Ok(())
}

/// A log that is ready to be trained on.
struct Ready {
    data: Box<dyn Rows>,
    split: Split,
    train_rows: usize,
    quarantined_rows: u64,
    quarantined: Vec<String>,
    /// Before the fit, if it is in memory.
    raw: Option<RawLog>,
}

/// A log of which features have learned.
enum Learned {
    InMemory(RawLog, Split, Vec<RawColumn>),
    Streamed(stream::Outline),
}

impl Learned {
    /// Reads a log and learns a fit from it.
    fn learn(o: &Options<'_>, d: &Description, previous: Option<&Fit>) -> Result<(Self, Fit)> {
        if stream::wanted(d, o.data) {
            let mut outline = stream::outline(d, o.data)?;
            let fit = stream::learn(d, o.data, &mut outline, previous, o.out)?;
            return Ok((Self::Streamed(outline), fit));
        }
        let raw = log::read(d, o.data)?;
        let split = pass::split(d, &raw)?;
        let learned_from: Vec<u32> = merged(&split.train, &split.stop, &split.validation);
        let (fit, derived) = Fit::learn(d, &raw, &learned_from, previous)?;
        Ok((Self::InMemory(raw, split, derived), fit))
    }

    /// Passes the log through the fit.
    fn ready(
        self,
        o: &Options<'_>,
        d: &Description,
        (fit, spec): (&Fit, &Spec<'_>),
        (tasks, seed): (&[TaskOptions], u64),
    ) -> Result<Ready> {
        match self {
            Self::InMemory(raw, split, derived) => {
                let Prepared {
                    raw,
                    split,
                    mut data,
                } = Prepared::encode(d, fit, spec, raw, split, &derived);
                check_tasks(d, &data, &split.train)?;
                sample(tasks, &mut data, &split.train, 0, seed);
                Ok(Ready {
                    data: Box::new(data),
                    train_rows: split.train.len(),
                    split,
                    quarantined_rows: raw.quarantined_rows,
                    quarantined: raw.quarantined.clone(),
                    raw: Some(raw),
                })
            }
            Self::Streamed(mut outline) => {
                let (fitted, sampled) = ((fit, spec), (tasks, seed));
                let stored = stream::store(d, o.data, &mut outline, fitted, sampled, o.out)?;
                check_counts(d, &stored.counts)?;
                Ok(Ready {
                    data: Box::new(stored.store),
                    split: stored.split,
                    train_rows: stored.train_rows,
                    quarantined_rows: outline.log.quarantined_rows,
                    quarantined: outline.log.quarantined,
                    raw: None,
                })
            }
        }
    }
}

/// Trains a description into a folder.
///
/// # Errors
/// Those of reading and training; [`Kind::Busy`] if another process trains in the folder; [`Kind::Interrupted`] after a
/// checkpoint.
pub fn train(
    o: &Options<'_>,
    interrupt: &AtomicBool,
    progress: &mut dyn FnMut(&Progress<'_>),
) -> Result<Report> {
    let d = Description::read(o.model)?;
    // Before anything is read or written: who is not alone in the folder leaves it as it is.
    let lock = RunLock::take(o.out)?;
    let previous = o.from.map(|from| start_from(&d, o.out, from)).transpose()?;
    let usage = |message: String| Error::in_file(Kind::Description, &d.file, message);
    let mut options = d.train_options().map_err(usage)?;
    options.threads = o.threads;
    options.seed = o.seed.unwrap_or(options.seed);
    let tasks = d.task_options().map_err(usage)?;
    let schedules = d.task_schedules().map_err(usage)?;
    let (learned, fit) = Learned::learn(o, &d, previous.as_ref().map(|p| &p.fit))?;
    let spec = fit.spec(&d)?;
    if let Some(aware) = &mut options.quantization_aware {
        aware.tables = d.table_forms(&spec);
    }
    let training_spec = fit.training_spec(&d)?;
    let bias = position::towers(&d, &fit, &training_spec);
    let Ready {
        data,
        split,
        train_rows,
        quarantined_rows,
        quarantined,
        raw,
    } = learned.ready(o, &d, (&fit, &training_spec), (&tasks, options.seed))?;
    let data = &*data;
    let from = match &previous {
        Some(previous) => {
            let rows = &split.train;
            Some(warm::parameters(
                &d, &fit, &spec, previous, data, rows, &options,
            )?)
        }
        None => None,
    };
    let job = Job {
        spec: &spec,
        data,
        split: &split,
        options: &options,
        tasks: &tasks,
        schedules: &schedules,
        bias: bias.as_ref(),
        from: from.as_ref(),
        folder: Some(&lock),
        resume: o.resume,
        interrupt,
    };
    let training = Training::begin(&job).map_err(|e| train_error(&d, o.out, e))?;
    if !training.resumes() {
        // A result of another description must not stand beside this one, whatever happens between here and the end.
        clear(o.out)?;
    }
    describe(o.out, &d, &fit, o.data, false)?;
    let trained = match training
        .train(progress)
        .map_err(|e| train_error(&d, o.out, e))?
    {
        Outcome::Finished(trained) => trained,
        Outcome::Interrupted { step } => {
            let message =
                format!("interrupted after {step} steps; --resume goes on from the checkpoint");
            return Err(Error::in_file(Kind::Interrupted, o.out, message));
        }
    };
    let shown: Vec<u32> = trained.position_bias.iter().map(|(row, _)| *row).collect();
    let values = match &raw {
        Some(raw) => shown
            .iter()
            .map(|row| position::values(&d, raw, *row))
            .collect(),
        None => stream::values(&d, o.data, &shown)?,
    };
    let p = &trained.parameters;
    let dense = p
        .experts
        .iter()
        .flatten()
        .chain(p.gates.iter().flatten())
        .chain(p.upper_experts.iter().flatten())
        .chain(p.upper_gates.iter().flatten())
        .chain(p.towers.iter().flatten())
        .chain(&p.heads)
        .chain(p.attention.iter().flat_map(|a| [&a.query, &a.key]));
    let report = Report {
        tasks: spec
            .tasks
            .iter()
            .map(|t| t.name.to_string())
            .zip(trained.metrics.iter().cloned())
            .collect(),
        steps: trained.steps,
        best_step: trained.best_step,
        stopped_early: trained.stopped_early,
        quantized_from: trained.quantized_from,
        rows: [train_rows, split.stop.len(), split.validation.len()],
        quarantined_rows,
        quarantined,
        few_users: fit.few_users().to_vec(),
        parameters: [
            p.tables.iter().map(Vec::len).sum(),
            dense.map(|d| d.weight.len() + d.bias.len()).sum(),
        ],
        history: trained.history.clone(),
        health: health::measure(&spec, p, data, &split.validation, options.own_experts)
            .map_err(|e| Error::io(o.out, &e))?,
        position_bias: position::curves(&d, &trained.position_bias, &values),
    };
    write_json(&o.out.join(REPORT_FILE), &report)?;
    Ok(report)
}

/// What features learn from a log that nothing is trained on. Columns that memory does not hold wait in `folder`.
pub(crate) fn learn(d: &Description, data: &Path, folder: &Path) -> Result<Fit> {
    let o = Options {
        model: &d.file,
        data: Some(data),
        out: folder,
        seed: None,
        threads: 0,
        resume: false,
        from: None,
    };
    Learned::learn(&o, d, None).map(|(_, fit)| fit)
}

/// Leaves negatives out and weighs positives, in training rows alone: what stops training and what is reported on is
/// never sampled. `data` begins with row `before` of the log.
pub(crate) fn sample(
    tasks: &[TaskOptions],
    data: &mut Dataset,
    rows: &[u32],
    before: usize,
    seed: u64,
) {
    for (t, (options, task)) in tasks.iter().zip(&mut data.tasks).enumerate() {
        let sampling = options.sampling;
        if sampling == Sampling::default() {
            continue;
        }
        for row in rows.iter().map(|r| *r as usize) {
            let positive = task.labels[row] > 0.0;
            let rate = sampling.keep_negatives;
            let kept = sampling::keep(seed, t, (before + row) as u64, positive, rate);
            let factor = if kept { sampling.weight(positive) } else { 0.0 };
            task.weights[row] *= factor as f32;
        }
    }
}

/// The run to start from.
fn start_from(d: &Description, out: &Path, from: &Path) -> Result<Run> {
    let same = |a: &Path, b: &Path| Some(fs::canonicalize(a).ok()? == fs::canonicalize(b).ok()?);
    if same(out, from) == Some(true) {
        let message = "--from and --out are one folder; a run that is started from stays as it is";
        return Err(Error::in_file(Kind::Description, out, message));
    }
    let previous = Run::open(from)?;
    warm::check_features(d, &previous)?;
    Ok(previous)
}

/// Rows that features may learn from: training and stopping rows, but none that are reported on.
fn merged(train: &[u32], stop: &[u32], validation: &[u32]) -> Vec<u32> {
    let mut rows = train.to_vec();
    if stop != validation {
        rows.extend_from_slice(stop);
        rows.sort_unstable();
    }
    rows
}

fn train_error(d: &Description, out: &Path, e: TrainError) -> Error {
    match e {
        TrainError::Options(message) => Error::in_file(Kind::Description, &d.file, message),
        TrainError::NoRows => Error::in_file(Kind::Data, &d.file, e.to_string()),
        TrainError::NotFinite { .. } => Error::in_file(Kind::Refused, &d.file, e.to_string()),
        TrainError::File(e) => e.into(),
        TrainError::Threads(_) => Error::in_file(Kind::Io, out, e.to_string()),
    }
}
