//! The training loop: shuffled batches, evaluation, early stopping, checkpoints.
//!
//! A run is a function of the spec, the options, the data and the seed: neither threads, nor the clock, nor being
//! killed and resumed changes a bit of its result.
use core::sync::atomic::{AtomicBool, Ordering};
use std::prelude::v1::*;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::spec::Spec;
use crate::train::checkpoint::{FileError, RunLock};
use crate::train::dataset::{Dataset, Place, Rows, Split};
use crate::train::gradient::Gradients;
use crate::train::metrics::TaskMetrics;
#[cfg(doc)]
use crate::train::network::Network;
use crate::train::network::bias::Bias;
use crate::train::options::{EvaluateEvery, TaskOptions, TaskSchedules, TrainOptions};
use crate::train::parameters::Parameters;
use crate::train::random::Key;

mod aware;
mod fingerprint;
mod order;
mod run;
use aware::Steps;
use order::Order;
use run::Run;

/// What to train, on what.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The model.
    pub spec: &'a Spec<'a>,
    /// The log.
    pub data: &'a dyn Rows,
    /// Which rows do what.
    pub split: &'a Split,
    /// How.
    pub options: &'a TrainOptions,
    /// Per task of the spec.
    pub tasks: &'a [TaskOptions],
    /// Per task: what replaces its weight and learning rate step by step; empty if nothing does.
    pub schedules: &'a [TaskSchedules],
    /// Towers on what is known in training alone.
    pub bias: Option<&'a Bias<'a>>,
    /// Parameters to begin with, instead of fresh ones (see [`Network::warm_start`]).
    pub from: Option<&'a Parameters<f32>>,
    /// The folder that checkpoints and the trained parameters go to; `None`: nowhere.
    pub folder: Option<&'a RunLock>,
    /// Go on from the folder's checkpoint, if there is one.
    pub resume: bool,
    /// Set by others to stop after the current step, with a checkpoint.
    pub interrupt: &'a AtomicBool,
}

impl Job<'_> {
    /// Rows could not be read back.
    fn unreadable(&self, source: std::io::Error) -> TrainError {
        let folder = self.folder.map(RunLock::folder);
        let path = folder.map(Into::into).unwrap_or_default();
        TrainError::File(FileError::Io { path, source })
    }

    /// A task's options in step `step`.
    fn task_at(&self, task: usize, step: u64) -> TaskOptions {
        let mut options = self.tasks[task];
        if let Some(schedules) = self.schedules.get(task) {
            options.weight = schedules.weight.at(step);
            options.lr = schedules.lr.at(step);
        }
        options
    }
}

/// One evaluation of the stopping rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Steps done.
    pub step: u64,
    /// Mean over tasks of AUC or Spearman's correlation, where defined.
    pub quality: Option<f64>,
    /// The same per task.
    pub tasks: Vec<Option<f64>>,
    /// Per task: mean training loss in this epoch so far.
    pub losses: Vec<f64>,
    /// Per task: its effective weight, that of the description times that of the balancing.
    pub weights: Vec<f64>,
    /// Whether it is of what the device computes.
    #[serde(default)]
    pub quantized: bool,
}

/// Where a run is; told after every step.
#[derive(Clone, Debug)]
pub struct Progress<'a> {
    /// Epoch, from 0.
    pub epoch: u64,
    /// Steps done.
    pub step: u64,
    /// Steps if nothing stops early.
    pub steps: u64,
    /// Rows trained a second since this process began.
    pub rows_per_second: f64,
    /// Seconds to go if nothing stops early.
    pub eta_seconds: f64,
    /// Per task: mean training loss in this epoch so far.
    pub losses: &'a [f64],
    /// The evaluation that followed this step.
    pub evaluation: Option<&'a Evaluation>,
}

/// A run's result.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// The best by the stopping rows, or the last without them; averaged if averages are on.
    pub parameters: Parameters<f32>,
    /// Per task, on the validation rows.
    pub metrics: Vec<TaskMetrics>,
    /// Every evaluation.
    pub history: Vec<Evaluation>,
    /// Steps done.
    pub steps: u64,
    /// The step that `parameters` are of.
    pub best_step: u64,
    /// True if patience ended the run.
    pub stopped_early: bool,
    /// The step from which on the forward pass, and evaluations, computed on the device's grids.
    pub quantized_from: Option<u64>,
    /// The towers' logits `[towers]` of training rows, less those of the reference: for each distinct vector of what they
    /// read, at most [`CURVE_POINTS`] of them in the order of the log, one row that has it.
    pub position_bias: Vec<(u32, Vec<f32>)>,
}

/// Points of a reported curve of the position bias.
pub const CURVE_POINTS: usize = 256;

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// By itself.
    Finished(Box<Trained>),
    /// By `interrupt`, after this many steps; the checkpoint is saved.
    Interrupted {
        /// Steps done.
        step: u64,
    },
}

/// Why a run failed.
#[derive(Debug)]
pub enum TrainError {
    /// An option is outside its range, or does not fit the spec.
    Options(String),
    /// No training row has a weight in any task.
    NoRows,
    /// A loss, gradient, parameter or logit became NaN or infinite. Nothing of it was saved; the folder's checkpoint is
    /// that of an earlier step.
    NotFinite {
        /// Steps done before.
        step: u64,
        /// Which.
        what: &'static str,
    },
    /// A file of the run.
    File(FileError),
    /// Worker threads could not be started.
    Threads(rayon::ThreadPoolBuildError),
}

impl core::fmt::Display for TrainError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Options(what) => write!(f, "{what}"),
            Self::NoRows => write!(f, "no training row lies in any task's space"),
            Self::NotFinite { step, what } => {
                write!(
                    f,
                    "training diverged: a {what} is not finite after {step} steps; lower lr and embedding_lr, or clip the numbers that are largest"
                )
            }
            Self::File(e) => write!(f, "{e}"),
            Self::Threads(e) => write!(f, "worker threads: {e}"),
        }
    }
}

impl core::error::Error for TrainError {}

impl From<FileError> for TrainError {
    fn from(e: FileError) -> Self {
        Self::File(e)
    }
}

/// A run before its first step, or before the next one after its checkpoint.
pub struct Training<'a> {
    pool: rayon::ThreadPool,
    run: Run<'a>,
}

impl<'a> Training<'a> {
    /// Tests the job and reads the checkpoint that it resumes from, if any. Writes nothing.
    ///
    /// # Errors
    /// All that can be wrong before the first step.
    pub fn begin(job: &'a Job<'a>) -> Result<Self, TrainError> {
        let options = job.options;
        options.check().map_err(TrainError::Options)?;
        job.tasks
            .iter()
            .try_for_each(TaskOptions::check)
            .map_err(TrainError::Options)?;
        if job.tasks.len() != job.spec.tasks.len() {
            return Err(TrainError::Options(
                "options of every task are needed".into(),
            ));
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(options.threads)
            .build()
            .map_err(TrainError::Threads)?;
        let run = pool.install(|| Run::new(job))?;
        Ok(Self { pool, run })
    }

    /// True if there was a checkpoint to go on from.
    pub fn resumes(&self) -> bool {
        self.run.position.step > 0
    }

    /// Trains to the end, or until interrupted.
    ///
    /// # Errors
    /// Divergence, and files that cannot be written.
    pub fn train(self, progress: &mut dyn FnMut(&Progress<'_>)) -> Result<Outcome, TrainError> {
        let Self { pool, mut run } = self;
        if let Some(step) = take_steps(&pool, &mut run, progress)? {
            return Ok(Outcome::Interrupted { step });
        }
        let trained = run.finish(&pool)?;
        Ok(Outcome::Finished(Box::new(trained)))
    }
}

/// The steps of a run. If it was interrupted, how many were done.
fn take_steps(
    pool: &rayon::ThreadPool,
    run: &mut Run<'_>,
    progress: &mut dyn FnMut(&Progress<'_>),
) -> Result<Option<u64>, TrainError> {
    let job = run.job;
    let options = job.options;
    let mut gradients = Gradients::default();
    let plan = Steps::of(job, run.rows.len());
    let per_epoch = plan.per_epoch;
    let mut order: Option<(u64, Order)> = None;
    // The next batch, read while the last one was trained on.
    let mut ahead: Option<(u64, (Dataset, Vec<u32>))> = None;
    let (begin, first_step) = (Instant::now(), run.position.step);
    let mut saved = Instant::now();

    loop {
        let step = run.position.step;
        if run.position.aware_from.is_none() && plan.begins(step) {
            run.go_on_grids(pool)?;
        }
        let steps = plan.end(run.position.aware_from);
        if step >= steps || run.position.stopped_early {
            return Ok(None);
        }
        let (epoch, batch) = (step / per_epoch, (step % per_epoch) as usize);
        let of_epoch = match &mut order {
            Some((of, order)) if *of == epoch => order,
            _ => {
                let key = Key::new(options.seed).at(1).at(epoch);
                let shuffled = run.units.shuffle(&run.rows, key, options.batch);
                &mut order.insert((epoch, shuffled)).1
            }
        };
        let rows = of_epoch.batch(batch);
        let loaded = match ahead.take() {
            Some((of, batch)) if of == step => Some(batch),
            _ => job.data.batch(rows).map_err(|e| job.unreadable(e))?,
        };
        let next = match job.data.place() {
            Place::Stored(_) if (batch as u64) + 1 < per_epoch => Some(of_epoch.batch(batch + 1)),
            _ => None,
        };
        let (data, rows) = match (&loaded, job.data.place()) {
            (Some((data, places)), _) => (data, places.as_slice()),
            (None, Place::Memory(data)) => (data, rows),
            (None, Place::Stored(_)) => (&NOTHING, &[][..]),
        };
        let aware = run
            .position
            .aware_from
            .and(options.quantization_aware.as_ref());
        let factor = options.schedule(step, plan.all) * aware.map_or(1.0, |aware| aware.lr);
        let read = std::thread::scope(|scope| {
            let read = next.map(|rows| scope.spawn(|| job.data.batch(rows)));
            run.step(pool, &mut gradients, data, rows, factor)?;
            // A reader that panicked is asked again, by the next step.
            let read = read.and_then(|read| read.join().ok());
            let read = read.transpose().map_err(|e| job.unreadable(e))?;
            Ok::<_, TrainError>(read.flatten())
        })?;
        ahead = read.map(|batch| (step + 1, batch));
        if batch as u64 + 1 == per_epoch {
            run.position.balancer.end_epoch();
            // An evaluation, which often follows, needs the room.
            order = None;
        }

        let position = &mut run.position;
        if batch == 0 {
            position.losses = vec![(0.0, 0); job.tasks.len()];
        }
        for ((sum, count), (loss, weight)) in position
            .losses
            .iter_mut()
            .zip(gradients.losses.iter().zip(&gradients.weights))
        {
            *sum += loss;
            *count += u64::from(*weight > 0.0);
        }
        position.step += 1;
        let step = position.step;
        let losses = position.mean_losses();
        let due = match options.evaluate_every {
            EvaluateEvery::Epoch => step.is_multiple_of(per_epoch),
            EvaluateEvery::Steps(n) => step.is_multiple_of(n),
        };
        let evaluated = (due || step == steps) && !job.split.stop.is_empty();
        if evaluated {
            run.evaluate(pool, &losses)?;
            let exact = run.position.aware_from.is_none();
            if run.position.stopped_early && exact && options.quantization_aware.is_some() {
                run.go_on_grids(pool)?;
            }
        }
        let interrupted = job.interrupt.load(Ordering::Relaxed);
        if evaluated
            || interrupted
            || step == steps
            || saved.elapsed().as_secs_f64() >= options.checkpoint_seconds
        {
            run.save()?;
            saved = Instant::now();
        }
        let rows_done = (step - first_step) as f64 * (run.rows.len() as f64 / per_epoch as f64);
        let seconds = begin.elapsed().as_secs_f64().max(1e-9);
        progress(&Progress {
            epoch,
            step,
            steps,
            rows_per_second: rows_done / seconds,
            eta_seconds: seconds / (step - first_step) as f64 * (steps - step) as f64,
            losses: &losses,
            evaluation: run.position.history.last().filter(|_| evaluated),
        });
        if interrupted {
            return Ok(Some(step));
        }
    }
}

/// Stands in where there is no row in memory.
static NOTHING: Dataset = Dataset {
    features: Vec::new(),
    request: Vec::new(),
    time: Vec::new(),
    tasks: Vec::new(),
    gauc_group: Vec::new(),
    line: Vec::new(),
};

/// The checkpoint's name in a run's folder.
pub const CHECKPOINT_FILE: &str = "checkpoint.bin";
/// The trained parameters' name in a run's folder.
pub const PARAMETERS_FILE: &str = "parameters.bin";

#[cfg(test)]
mod tests;
