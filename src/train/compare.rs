//! `compare`: variants of a description, each trained with several seeds, held against the first one.
//!
//! ```text
//! DIR/VARIANT/model.toml           the variant's description, its data paths absolute
//! DIR/VARIANT/seed-N/              a run's folder (see [`run`]), and
//! DIR/VARIANT/seed-N/result.json   what it gave; a finished one whose fingerprint still holds is kept
//! DIR/VARIANT/seed-N/model.pkr     the exported file
//! DIR/report.html                  the page
//! DIR/lock                         locked while a process compares
//! ```
//!
//! Invariant: the page is a function of the experiment and the `result.json` files.
use core::sync::atomic::{AtomicBool, Ordering};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::prelude::v1::*;
use std::time::Instant;

use crate::train::checkpoint::RunLock;
use crate::train::description::Description;
use crate::train::error::{Error, Kind, Result};
use crate::train::files::{self, write_atomically};
use crate::train::run::{self, Prepared, Run};
use crate::train::{evaluate, trainer};

mod edit;
pub mod experiment;
pub mod gather;
mod page;
pub(crate) mod plots;
pub mod result;
pub mod statistics;

use experiment::{Experiment, Variant};
use gather::{Comparison, VariantRuns};
use result::{Exported, Finished, RunResult, State};

/// The page's name in the experiment's folder.
pub const PAGE_FILE: &str = "report.html";
/// A result's name in a run's folder.
pub const RESULT_FILE: &str = "result.json";
/// The exported file's name in a run's folder.
const MODEL_FILE: &str = "model.pkr";

/// How to compare.
#[derive(Clone, Debug)]
pub struct Options<'o> {
    /// The experiment file.
    pub experiment: &'o Path,
    /// Log file or folder, instead of the descriptions' own.
    pub data: Option<&'o Path>,
    /// The experiment's folder.
    pub out: &'o Path,
    /// Worker threads of training; 0 is one a core.
    pub threads: usize,
}

/// What happens, as it happens.
#[derive(Debug)]
pub enum Event<'e> {
    /// A run begins, goes on, or is kept.
    Run {
        /// Its variant.
        variant: &'e str,
        /// Its seed.
        seed: u64,
        /// Its number, from 1.
        number: usize,
        /// Of how many.
        of: usize,
        /// True if its result stands and nothing is trained.
        kept: bool,
    },
    /// A step of the run.
    Step(&'e trainer::Progress<'e>),
    /// The run ended with an error.
    Failed(&'e str),
}

/// Trains what is not trained yet, and writes the page.
///
/// A run that fails is recorded, and the others go on: see [`Comparison::failures`].
///
/// # Errors
/// Those of the experiment, before anything is trained or written; [`Kind::Busy`]; [`Kind::Io`] for the folder itself;
/// [`Kind::Interrupted`] after a checkpoint, from which the next call goes on.
pub fn compare(
    o: &Options<'_>,
    interrupt: &AtomicBool,
    progress: &mut dyn FnMut(&Event<'_>),
) -> Result<Comparison> {
    let experiment = Experiment::read(o.experiment)?;
    let _lock = RunLock::take(o.out)?;
    let mut digests = BTreeMap::new();
    let mut logs = Vec::new();
    for variant in &experiment.variants {
        let files = data_files(&variant.description, o.data);
        let digest = |file: PathBuf| {
            *digests
                .entry(file)
                .or_insert_with_key(|f| result::digest(f))
        };
        logs.push(files.into_iter().map(digest).collect::<Vec<_>>());
        let folder = o.out.join(&variant.folder);
        std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, &e))?;
        let text = &variant.description.text;
        write_atomically(&folder.join("model.toml"), text.as_bytes())?;
    }
    let of = experiment.seeds.len() * experiment.variants.len();
    let mut number = 0;
    // Seed by seed, so that an interrupted comparison has pairs already.
    for seed in &experiment.seeds {
        for (variant, logs) in experiment.variants.iter().zip(&logs) {
            number += 1;
            let fingerprint = result::fingerprint(&variant.text, logs, *seed);
            let place = Place {
                o,
                variant,
                seed: *seed,
                export: experiment.export,
                fingerprint,
            };
            let before = place.before();
            let kept = matches!(before, Before::Done);
            let name = &variant.name;
            progress(&Event::Run {
                variant: name,
                seed: *seed,
                number,
                of,
                kept,
            });
            if !kept {
                place.execute(&before, interrupt, progress)?;
            }
        }
    }
    // From the files even if they were just written, so that a later call makes the same page.
    let runs = |variant: &Variant| {
        let load = |seed: &u64| {
            let path = run_folder(o.out, variant, *seed).join(RESULT_FILE);
            let unreadable =
                || Error::in_file(Kind::Io, &path, "the result just written is not there");
            RunResult::load(&path).ok_or_else(unreadable)
        };
        let runs = experiment.seeds.iter().map(load).collect::<Result<_>>()?;
        Ok(VariantRuns::new(
            variant.name.clone(),
            variant.changes.clone(),
            runs,
        ))
    };
    let variants = experiment
        .variants
        .iter()
        .map(runs)
        .collect::<Result<_>>()?;
    let name = |p: &Path| {
        p.file_name()
            .unwrap_or(p.as_os_str())
            .to_string_lossy()
            .into_owned()
    };
    let data = experiment
        .variants
        .first()
        .map(|v| v.description.logs(o.data));
    let data = data.iter().flatten().map(|p| name(p)).collect();
    let seeds = experiment.seeds.clone();
    let comparison = Comparison::new(name(&experiment.file), data, seeds, variants);
    write_atomically(&o.out.join(PAGE_FILE), page::page(&comparison)?.as_bytes())?;
    Ok(comparison)
}

/// Every file that a description reads.
fn data_files(d: &Description, data: Option<&Path>) -> Vec<PathBuf> {
    let mut files = d.logs(data);
    let toml = &d.toml.data;
    files.extend(
        toml.validation
            .path
            .iter()
            .map(|path| d.resolve(path, data)),
    );
    files.extend(toml.join.iter().map(|j| d.resolve(j.path.get_ref(), data)));
    files
}

fn run_folder(out: &Path, variant: &Variant, seed: u64) -> PathBuf {
    out.join(&variant.folder).join(format!("seed-{seed}"))
}

/// An error with the name of its file alone: where the experiment's folder is must not change the page.
fn without_folder(e: &Error) -> String {
    let file = e.file.as_deref().map(Path::new).and_then(Path::file_name);
    let file = file.map(|f| f.to_string_lossy().into_owned());
    Error { file, ..e.clone() }.to_string()
}

/// One run of the experiment.
struct Place<'p> {
    o: &'p Options<'p>,
    variant: &'p Variant,
    seed: u64,
    export: bool,
    fingerprint: String,
}

/// What its folder holds.
enum Before {
    /// Its result.
    Done,
    /// Some of it, trained for so many seconds.
    Begun(f64),
    /// Nothing of it.
    Nothing,
}

impl Place<'_> {
    fn folder(&self) -> PathBuf {
        run_folder(self.o.out, self.variant, self.seed)
    }

    fn before(&self) -> Before {
        let stored = RunResult::load(&self.folder().join(RESULT_FILE));
        match stored
            .filter(|r| r.fingerprint == self.fingerprint)
            .map(|r| r.state)
        {
            Some(State::Finished(f)) if f.export.is_some() || !self.export => Before::Done,
            // The export alone is missing: training resumes at its end.
            Some(State::Finished(f)) => Before::Begun(f.seconds),
            Some(State::Begun { seconds }) => Before::Begun(seconds),
            Some(State::Failed { .. }) | None => Before::Nothing,
        }
    }

    fn store(&self, state: State) -> Result<()> {
        let fingerprint = self.fingerprint.clone();
        RunResult { fingerprint, state }.store(&self.folder().join(RESULT_FILE))
    }

    /// Trains and measures; only an interrupt, or a result that cannot be stored, is an error.
    fn execute(
        &self,
        before: &Before,
        interrupt: &AtomicBool,
        progress: &mut dyn FnMut(&Event<'_>),
    ) -> Result<()> {
        let interrupted = || {
            let message = "interrupted; the same command goes on from here";
            Error::in_file(Kind::Interrupted, self.o.out, message)
        };
        if interrupt.load(Ordering::Relaxed) {
            return Err(interrupted());
        }
        let folder = self.folder();
        std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, &e))?;
        let earlier = match before {
            Before::Begun(seconds) => Some(*seconds),
            _ => {
                // Of another description, maybe: who is killed between here and the first step must not resume from it.
                files::remove(&folder.join(trainer::CHECKPOINT_FILE))?;
                self.store(State::Begun { seconds: 0.0 })?;
                None
            }
        };
        let began = Instant::now();
        let seconds = || earlier.unwrap_or(0.0) + began.elapsed().as_secs_f64();
        let model = self.o.out.join(&self.variant.folder).join("model.toml");
        let options = run::Options {
            model: &model,
            data: self.o.data,
            out: &folder,
            seed: Some(self.seed),
            threads: self.o.threads,
            resume: earlier.is_some(),
            from: None,
        };
        let trained = run::train(&options, interrupt, &mut |p| progress(&Event::Step(p)));
        let measured = match trained {
            Err(e) if e.kind == Kind::Interrupted => {
                self.store(State::Begun { seconds: seconds() })?;
                return Err(interrupted());
            }
            Err(e) => Err(e),
            Ok(report) => self.measure(&folder, &report, seconds()),
        };
        match measured {
            Ok(finished) => self.store(State::Finished(Box::new(finished))),
            Err(e) => {
                let message = without_folder(&e);
                progress(&Event::Failed(&message));
                self.store(State::Failed { message })
            }
        }
    }

    fn measure(&self, folder: &Path, report: &run::Report, seconds: f64) -> Result<Finished> {
        let run = Run::open(folder)?;
        let d = &run.description;
        let spec = run.fit.spec(d)?;
        let Prepared { split, data, .. } = Prepared::read(d, &run.fit, &spec, self.o.data)?;
        let rows = &split.validation;
        let logits = evaluate::predict(&spec, &run.parameters()?, &data, rows);
        let options = run::ExportOptions {
            data: self.o.data,
            ..Default::default()
        };
        let export = self
            .export
            .then(|| run::export(folder, &folder.join(MODEL_FILE), &options))
            .transpose()?;
        let report = serde_json::to_value(report)
            .map_err(|e| Error::in_file(Kind::Io, folder, e.to_string()))?;
        Ok(Finished {
            seconds,
            report,
            calibration: result::calibration(&spec, &logits, &data, rows),
            multiply_adds: result::multiply_adds(&spec),
            export: export.as_ref().map(Exported::from),
        })
    }
}
