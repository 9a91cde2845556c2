//! A run: a folder with a description, what was learned from the log, and the trained parameters.
//!
//! ```text
//! RUN/model.toml      the description as it was
//! RUN/run.json        where the description and the data were
//! RUN/fit.bin         vocabularies, transforms, boundaries
//! RUN/checkpoint.bin  to resume from
//! RUN/parameters.bin  the result
//! RUN/report.json     metrics of the validation rows, and every evaluation
//! RUN/lock            locked while a process trains; nothing by itself
//! ```
//!
//! Invariant: `parameters.bin` belongs to the `model.toml` and `fit.bin` beside it. Training anew removes it first.
use core::sync::atomic::AtomicBool;
use std::fs;
use std::path::{Path, PathBuf};
use std::prelude::v1::*;

use serde::{Deserialize, Serialize};

use crate::spec::Spec;
use crate::train::checkpoint::RunLock;
use crate::train::dataset::{Dataset, Rows, Split};
use crate::train::description::{CalibrationKind, Description};
use crate::train::error::{Error, Kind, Result};
use crate::train::files::{self, write_atomically};
use crate::train::fit::Fit;
use crate::train::health::{self, Health};
use crate::train::log::{self, RawColumn, RawLog};
use crate::train::metrics::TaskMetrics;
use crate::train::network::Network;
use crate::train::options::TaskOptions;
use crate::train::parameters::Parameters;
use crate::train::quantize::Lookups;
use crate::train::sampling::{self, Sampling};
use crate::train::trainer::{
    CHECKPOINT_FILE, Evaluation, Job, Outcome, PARAMETERS_FILE, Progress, TrainError, Training,
};
use crate::train::{checkpoint, evaluate, export, pass, position, replay, stream, warm};

/// The report's name in a run's folder.
const REPORT_FILE: &str = "report.json";

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
    /// Rows that gradients came from, rows that stopped training, rows reported on.
    pub rows: [usize; 3],
    /// Rows set aside as malformed.
    pub quarantined_rows: u64,
    /// The first of them, with file and line.
    pub quarantined: Vec<String>,
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

#[derive(Serialize, Deserialize)]
struct Origin {
    model: PathBuf,
    data: Option<PathBuf>,
    /// Trained elsewhere: the description's own log need not exist.
    #[serde(default)]
    imported: bool,
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
        .chain(p.towers.iter().flatten())
        .chain(&p.heads);
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
        rows: [train_rows, split.stop.len(), split.validation.len()],
        quarantined_rows,
        quarantined,
        parameters: [
            p.tables.iter().map(Vec::len).sum(),
            dense.map(|d| d.weight.len() + d.bias.len()).sum(),
        ],
        history: trained.history.clone(),
        health: health::measure(&spec, p, data, &split.validation)
            .map_err(|e| Error::io(o.out, &e))?,
        position_bias: position::curves(&d, &trained.position_bias, &values),
    };
    write_json(&o.out.join(REPORT_FILE), &report)?;
    Ok(report)
}

/// Removes an older result from a run's folder.
pub(crate) fn clear(folder: &Path) -> Result<()> {
    let names = [PARAMETERS_FILE, REPORT_FILE, CHECKPOINT_FILE];
    names
        .iter()
        .try_for_each(|name| files::remove(&folder.join(name)))
}

/// Writes what a run is of.
pub(crate) fn describe(
    folder: &Path,
    d: &Description,
    fit: &Fit,
    data: Option<&Path>,
    imported: bool,
) -> Result<()> {
    write_atomically(&folder.join("model.toml"), d.text.as_bytes())?;
    fit.save(&folder.join("fit.bin"))?;
    let absolute = |p: &Path| std::path::absolute(p).unwrap_or_else(|_| p.to_path_buf());
    let origin = Origin {
        model: absolute(&d.file),
        data: data.map(absolute),
        imported,
    };
    write_json(&folder.join("run.json"), &origin)
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

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::in_file(Kind::Io, path, e.to_string()))?;
    write_atomically(path, format!("{text}\n").as_bytes())
}

/// A finished run.
pub struct Run {
    /// Its folder.
    pub folder: PathBuf,
    /// Its description, with paths relative to where it was.
    pub description: Description,
    /// What features learned.
    pub fit: Fit,
    /// Where its data were, if not where the description says.
    pub data: Option<PathBuf>,
    /// Whether it was trained elsewhere.
    pub imported: bool,
}

impl Run {
    /// Opens a run's folder.
    ///
    /// # Errors
    /// [`Kind::Io`] or [`Kind::Data`].
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("run.json");
        let text = fs::read_to_string(&path).map_err(|e| Error::io(&path, &e))?;
        let origin: Origin = serde_json::from_str(&text)
            .map_err(|e| Error::in_file(Kind::Data, &path, e.to_string()))?;
        let path = folder.join("model.toml");
        let text = fs::read_to_string(&path).map_err(|e| Error::io(&path, &e))?;
        let description = Description::parse(&origin.model, text)?;
        let fit = Fit::load(&folder.join("fit.bin"))?;
        Ok(Self {
            folder: folder.to_path_buf(),
            description,
            fit,
            data: origin.data,
            imported: origin.imported,
        })
    }

    /// Its trained parameters.
    ///
    /// # Errors
    /// [`Kind::Io`], also for a run that has not finished; [`Kind::Data`] for a damaged file.
    pub fn parameters(&self) -> Result<Parameters<f32>> {
        let spec = self.fit.spec(&self.description)?;
        let path = self.folder.join(PARAMETERS_FILE);
        if !path.exists() {
            let message = "the run has not finished; train with --resume goes on";
            return Err(Error::in_file(Kind::Io, &self.folder, message));
        }
        Ok(checkpoint::load_parameters(&path, &Network::new(&spec))?)
    }

    /// The model of a description that reads a log as this run would: its features, network and tasks must be the run's.
    ///
    /// # Errors
    /// [`Kind::Description`] for another model, besides those of [`Fit::spec`].
    pub fn spec_for<'d>(&'d self, d: &'d Description) -> Result<Box<Spec<'d>>> {
        let (own, spec) = (self.fit.spec(&self.description)?, self.fit.spec(d)?);
        let same_tasks = own.tasks.len() == spec.tasks.len()
            && own.tasks.iter().zip(&spec.tasks).all(|(a, b)| {
                (a.name, a.kind) == (b.name, b.kind)
                    && (&a.tower_layers, &a.inputs) == (&b.tower_layers, &b.inputs)
            });
        for (same, what) in [
            (
                own.features == spec.features && own.tables == spec.tables,
                "features",
            ),
            (own.network == spec.network, "network"),
            (same_tasks, "tasks"),
        ] {
            if !same {
                let own = self.folder.join("model.toml");
                let message = format!(
                    "its {what} are not those of the run; the run's own is {}",
                    own.display()
                );
                return Err(Error::in_file(Kind::Description, &d.file, message));
            }
        }
        Ok(spec)
    }

    /// What its report holds.
    ///
    /// # Errors
    /// [`Kind::Io`], also for a run that has not finished; [`Kind::Data`] for another file.
    pub fn report(&self) -> Result<Report> {
        let path = self.folder.join(REPORT_FILE);
        let text = fs::read_to_string(&path).map_err(|e| Error::io(&path, &e))?;
        serde_json::from_str(&text).map_err(|e| Error::in_file(Kind::Data, &path, e.to_string()))
    }
}

/// Exports a finished run: quantizes it, corrects its output biases on training rows, and holds the file against the
/// f32 run on validation rows. The file is written only if the report passes. An imported run without a log has no rows:
/// it is only quantized.
///
/// # Errors
/// Those of reading, and of [`export::export`]. A loss beyond the budget is one of
/// [`Report::check`](export::Report::check).
pub fn export(folder: &Path, output: &Path, data: Option<&Path>) -> Result<export::Report> {
    let run = Run::open(folder)?;
    let (d, fit) = (&run.description, &run.fit);
    let spec = fit.spec(d)?;
    let parameters = run.parameters()?;
    let lookups = Lookups {
        vocabularies: {
            let tables = fit.tables.iter().take(spec.tables.len());
            tables.map(|t| t.vocabulary.clone()).collect()
        },
        boundaries: {
            let features = fit.features.iter().take(spec.features.len());
            features.map(|f| f.boundaries.clone()).collect()
        },
        knots: Vec::new(),
    };
    let log = data.or(run.data.as_deref());
    if run.imported && log.is_none() {
        if let Some(task) = d
            .toml
            .task
            .iter()
            .find(|t| t.calibration != CalibrationKind::None)
        {
            let message =
                "a calibration is fitted to rows; give the log (--data), or calibration = \"none\"";
            return Err(d.mistake(&task.name, message));
        }
        return export::without_rows(&spec, &parameters, &lookups, output);
    }
    let Prepared { raw, split, data } = Prepared::read(d, fit, &spec, log)?;
    let boundaries: Vec<Vec<u8>> = (0..spec.features.len())
        .map(|i| fit.boundaries(i))
        .collect();
    let limits = &d.toml.export;
    // Rows that no gradient saw, if there are some beside those that are reported on.
    let held_out = split.stop != split.validation && !split.stop.is_empty();
    let unseen = if held_out { &split.stop } else { &split.train };
    let calibration = last_requests(&raw, unseen, limits.calibration_rows);
    let replayed = last_requests(&raw, &split.validation, limits.replay_rows);
    if replayed.is_empty() {
        let message = "no validation row is left to hold the file against; see [data] validation";
        return Err(Error::in_file(Kind::Data, &d.file, message));
    }
    let requests = |picked: &[bool], visit: &mut export::Visit<'_>| {
        replay::for_each_request(
            d,
            &spec,
            &boundaries,
            &raw,
            &|r| picked[r],
            &mut |rows, request| {
                let columns = request.columns();
                let rows: Vec<u32> = rows.map(|r| r as u32).collect();
                visit(&request.as_request(&columns), &rows)
            },
        )
    };
    let picked = |of: &[u32]| {
        let mut picked = vec![false; raw.requests()];
        of.iter().for_each(|r| picked[*r as usize] = true);
        picked
    };
    let (calibration, replayed) = (picked(&calibration), picked(&replayed));
    let mut subject = export::Run {
        spec: &spec,
        parameters: &parameters,
        lookups: &lookups,
        tasks: &data.tasks,
        logits: &mut |rows| evaluate::predict(&spec, &parameters, &data, rows),
        calibration: &mut |visit| requests(&calibration, visit),
        replay: &mut |visit| requests(&replayed, visit),
    };
    let options = export::Options {
        auc_budget: limits.auc_budget,
        mean_durations: limits.mean_durations,
        calibrations: d.toml.task.iter().map(|t| t.calibration).collect(),
        ..export::Options::default()
    };
    export::export(&mut subject, &options, output)
}

/// The last whole requests of `rows` that together have at most `most` rows, at least one.
fn last_requests(raw: &RawLog, rows: &[u32], most: usize) -> Vec<u32> {
    let mut picked: Vec<u32> = Vec::new();
    for (count, row) in rows.iter().rev().enumerate() {
        let request = raw.request[*row as usize];
        if picked.last() != Some(&request) {
            if count >= most {
                break;
            }
            picked.push(request);
        }
    }
    picked
}
