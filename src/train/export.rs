//! From a trained run to a checked model file: quantize, correct biases, write, reopen, replay, compare.
//!
//! ```text
//! calibration requests -> quantize -> file scores against f32 scores -> head biases, until the means agree
//! file beside its place -> read back, opened as a phone would -> replay of other requests -> report
//! report within the budget -> renamed to its place
//! ```
//!
//! Invariant: the file takes its place only if the report passes; until then whatever was there stays.
use std::prelude::v1::*;

mod budget;
mod calibrate;
mod compare;
mod fusion;
mod layers;
mod statistics;

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

pub use budget::{Budget, TableBudget};
pub use calibrate::retransformation;
pub use compare::{Report, TaskReport};
pub use fusion::quantiles;
pub use layers::{LayerError, Layers, layers};

use crate::engine::{Model, OpenOptions, Output, Request, Scratch};
use crate::format::File;
use crate::spec::{Spec, limits};
use crate::train::dataset::TaskData;
use crate::train::description::CalibrationKind;
use crate::train::error::{Error, Kind, Result};
use crate::train::files::{Replacement, write_atomically};
use crate::train::formula::Formula;
use crate::train::parameters::Parameters;
use crate::train::quantize::{Lookups, quantize};
use crate::train::server::{Apart, ServerTable, path_of};

/// Takes a request and the data-set row of each of its candidates.
pub type Visit<'v> = dyn FnMut(&Request<'_>, &[u32]) -> Result<()> + 'v;
/// Hands every request of some part of a log to a [`Visit`], always the same ones in the same order.
pub type Requests<'r> = dyn FnMut(&mut Visit<'_>) -> Result<()> + 'r;

/// What is exported, and what it is held against.
pub struct Run<'r> {
    /// The model, with the grids of its numbers.
    pub spec: &'r Spec<'r>,
    /// Its f32 parameters.
    pub parameters: &'r Parameters<f32>,
    /// Its vocabularies and boundaries.
    pub lookups: &'r Lookups,
    /// By table: how often the training part had the id of each row (of row 0: ids outside the vocabulary); empty if that
    /// is not known. A size budget takes rows away by it.
    pub counts: &'r [Vec<u32>],
    /// By table: whether its bits are stated, so that a size budget leaves them.
    pub pinned: &'r [bool],
    /// Tables that the server keeps; `calibration` and `replay` send their rows.
    pub server: &'r [ServerTable],
    /// By task: labels and weights of every row of the data set.
    pub tasks: &'r [TaskData],
    /// The f32 model's logits `[rows, tasks]` of rows of the data set.
    pub logits: &'r mut dyn FnMut(&[u32]) -> Vec<f32>,
    /// Requests whose rows set the output biases and calibrations: rows that stopped training, or training rows.
    pub calibration: &'r mut Requests<'r>,
    /// Requests that are compared: no row of `calibration`.
    pub replay: &'r mut Requests<'r>,
}

/// How to export.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Largest loss of AUC (Spearman's correlation for durations) of the file against the f32 run, in any task.
    pub auc_budget: f64,
    /// Resamples of the paired bootstrap.
    pub resamples: usize,
    /// Seed of the bootstrap.
    pub seed: u64,
    /// Set each duration's `score_scale` so that its mean score is the mean label of the calibration rows.
    pub mean_durations: bool,
    /// Largest size of the file: tables are packed and rare ids lose their rows until it fits.
    pub max_bytes: Option<usize>,
    /// Without `max_bytes`: tables are packed as long as every task loses at most `auc_budget` on the calibration rows.
    pub auto_bits: bool,
    /// By task: how its score is calibrated on the calibration rows; missing ones are not.
    pub calibrations: Vec<CalibrationKind>,
    /// The fusion, if it is a formula.
    pub formula: Option<Formula>,
    /// Whether the file gets the distributions of its scores over the calibration rows, which formulas may read.
    pub quantiles: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            auc_budget: 0.001,
            resamples: 200,
            seed: 1,
            mean_durations: false,
            max_bytes: None,
            auto_bits: false,
            calibrations: Vec::new(),
            formula: None,
            quantiles: false,
        }
    }
}

/// Rows that went through a model file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replayed {
    /// Number of requests + 1 offsets into `rows`.
    pub offsets: Vec<usize>,
    /// Rows of the data set, candidate by candidate.
    pub rows: Vec<u32>,
    /// Scores `[rows, tasks]`.
    pub scores: Vec<f32>,
}

/// Scores `requests` by an open model.
///
/// # Errors
/// Those of `requests`; [`Kind::Data`] for a request that the engine refuses.
pub fn replay(model: &Model<'_>, requests: &mut Requests<'_>) -> Result<Replayed> {
    let tasks = model.spec().tasks.len();
    let need = model.scratch_len(limits::CANDIDATES);
    let (mut floats, mut bytes) = (vec![0.0; need.floats], vec![0; need.bytes]);
    let mut all = Replayed {
        offsets: vec![0],
        ..Replayed::default()
    };
    requests(&mut |request, rows| {
        let before = all.scores.len();
        all.scores
            .resize(before + request.num_candidates * tasks, 0.0);
        let mut scratch = Scratch {
            floats: &mut floats,
            bytes: &mut bytes,
        };
        let mut output = Output {
            order: &mut [],
            fused: &mut [],
            scores: &mut all.scores[before..],
            terms: &mut [],
        };
        let number = all.offsets.len();
        if rows.len() != request.num_candidates {
            return Err(refused_request(number, "its rows are not its candidates"));
        }
        model
            .rank(request, &mut scratch, &mut output)
            .map_err(|e| refused_request(number, &format!("{:?}", e.status)))?;
        all.rows.extend_from_slice(rows);
        all.offsets.push(all.rows.len());
        Ok(())
    })?;
    Ok(all)
}

fn refused_request(number: usize, why: &str) -> Error {
    Error::new(
        Kind::Data,
        format!("request {number} of the replay is refused by the engine: {why}"),
    )
}

/// Exports `run` to `path`. The file is written only if the report's [`check`](Report::check) passes.
///
/// # Errors
/// [`Kind::Refused`] for parameters that no file can hold, [`Kind::Data`] for requests that cannot be replayed,
/// [`Kind::Io`]. A loss beyond the budget is no error here but one of [`Report::check`], so that the report can be
/// shown.
pub fn export(run: &mut Run<'_>, options: &Options, path: &Path) -> Result<Report> {
    let planned = match options.max_bytes {
        Some(max_bytes) => {
            let fusion = fusion::bytes_max(run.spec, options);
            budget::plan(run, max_bytes.saturating_sub(fusion))?
        }
        None if options.auto_bits => budget::within(run, options.auc_budget)?,
        None => return write(run, options, path, None),
    };
    let budget::Planned { model, report } = planned;
    let mut reduced = Run {
        spec: &model.spec,
        parameters: &model.parameters,
        lookups: &model.lookups,
        counts: run.counts,
        pinned: run.pinned,
        server: run.server,
        tasks: run.tasks,
        logits: &mut *run.logits,
        calibration: &mut *run.calibration,
        replay: &mut *run.replay,
    };
    write(&mut reduced, options, path, Some(report))
}

fn write(
    run: &mut Run<'_>,
    options: &Options,
    path: &Path,
    budget: Option<Budget>,
) -> Result<Report> {
    let corrected = calibrate::calibrate(run, options)?;
    let io = |e: std::io::Error| Error::io(path, &e);
    let mut new = Replacement::begin(path).map_err(io)?;
    let mut bytes = Vec::new();
    let file = new.file();
    let whole = fusion::attach(run, options, corrected.bytes)?;
    file.write_all(&whole)
        .and_then(|()| file.seek(SeekFrom::Start(0)))
        .and_then(|_| file.read_to_end(&mut bytes))
        .map_err(io)?;
    let model = open(&bytes)?;
    let replayed = replay(&model, run.replay)?;
    let logits = (run.logits)(&replayed.rows);
    check_apart(&corrected.rows, &replayed.rows)?;
    let mut report = compare::compare(
        &model,
        &replayed,
        &logits,
        &corrected.maps,
        run.tasks,
        options,
    );
    (report.bytes, report.digest) = (bytes.len(), format!("{:016x}", model.digest()));
    report.calibration_rows = corrected.rows.len();
    report.budget = budget;
    for (task, correction) in report.tasks.iter_mut().zip(&corrected.corrections) {
        task.bias_correction = *correction;
    }
    report.server = run.server.iter().map(|t| t.written(path)).collect();
    if report.check().is_ok() {
        // The tables first: a file whose tables are of an older export is one that no server can feed.
        for table in run.server {
            write_atomically(&path_of(path, &table.name), &table.csv(&report.digest))?;
        }
        new.place().map_err(io)?;
    }
    Ok(report)
}

/// Exports a model of which there are no rows to `path`: quantized and opened, but its output biases are as they are, and
/// nothing is compared.
///
/// # Errors
/// Those of [`export`] that do not need rows; [`Kind::Refused`] above `max_bytes`.
pub fn without_rows(
    apart: &Apart<'_>,
    max_bytes: Option<usize>,
    formula: Option<&Formula>,
    path: &Path,
) -> Result<Report> {
    let Apart {
        spec,
        parameters,
        lookups,
        vectors,
    } = apart;
    let bytes = file_of(lookups, spec, parameters)?;
    let bytes = fusion::with_formula(bytes, formula, Vec::new())?;
    if let Some(most) = max_bytes.filter(|most| bytes.len() > *most) {
        let message = format!(
            "the file is not written: it takes {} bytes and max_bytes is {most}; what 4 bits cost is measured on rows: give the log (--data), or state bits",
            bytes.len()
        );
        return Err(Error::new(Kind::Refused, message));
    }
    let digest = format!("{:016x}", open(&bytes)?.digest());
    for table in &vectors.tables {
        write_atomically(&path_of(path, &table.name), &table.csv(&digest))?;
    }
    write_atomically(path, &bytes)?;
    Ok(Report {
        bytes: bytes.len(),
        server: vectors.tables.iter().map(|t| t.written(path)).collect(),
        digest,
        ..Report::default()
    })
}

/// The device's own checks, SHA-256 included.
fn open(bytes: &[u8]) -> Result<Box<Model<'_>>> {
    let mut model = Box::new(Model::new());
    File::check(bytes)
        .and_then(|file| file.verify())
        .and_then(|()| model.open(bytes, &OpenOptions::default()))
        .map_err(|e| refused_file(&e))?;
    Ok(model)
}

fn refused_file(error: &crate::error::Error) -> Error {
    let message = format!(
        "the run does not make a valid model file: {:?}; parameters must be finite and of usual size",
        error.status
    );
    Error::new(Kind::Refused, message)
}

fn check_apart(calibration: &[u32], replay: &[u32]) -> Result<()> {
    let mut rows = calibration.to_vec();
    rows.sort_unstable();
    if replay.iter().any(|row| rows.binary_search(row).is_ok()) {
        let message = "the replay must not use calibration rows; ask for fewer of either";
        return Err(Error::new(Kind::Data, message));
    }
    Ok(())
}

fn file_of(lookups: &Lookups, spec: &Spec<'_>, parameters: &Parameters<f32>) -> Result<Vec<u8>> {
    quantize(spec, parameters, lookups).map_err(|e| refused_file(&e))
}

#[cfg(test)]
mod tests;
