//! Training on logs that memory does not hold: the log is read several times, some thousand rows at a time, and ends up in a
//! [`Store`].
//!
//! | pass | finds |
//! |---|---|
//! | [`outline`] | how many requests there are, which are held out, when each user comes last |
//! | [`learn`] 1 | label means, vocabularies, numbers |
//! | 2, with a vocabulary of crosses | its keys, which count buckets of numbers |
//! | 3, with derived features | their numbers |
//! | [`store`] | the store |
//!
//! Every step is that of a log in memory, on the same rows in the same order, so that both train to the same bits. What
//! grows with the log is 8 bytes a training row (their numbers, in order and shuffled), 4 another row, 1 a request, some 100 a
//! user, and 16 a row and task of an evaluation. Users between two requests, values of numbers and encoded rows wait in files.
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::prelude::v1::*;

use rustc_hash::FxHashMap;
use serde::Deserialize;

use crate::spec::{Side, Spec, TaskKind};
use crate::train::dataset::Split;
use crate::train::description::{Description, FeatureKind};
use crate::train::error::{Error, Kind, Result};
use crate::train::fit::{Fit, Learner};
use crate::train::initialize::Prior;
use crate::train::log::{Chunk, RawLog, parquet, read_in_chunks};
use crate::train::loss::Start;
use crate::train::options::TaskOptions;
use crate::train::pass::{self, Part, Splitter, States};
use crate::train::position;
use crate::train::run::sample;
use crate::train::store::{Store, Writer};

/// Rows that are in memory at a time, and the rest of their last request.
const CHUNK_ROWS: usize = 1 << 14;
/// A log that takes more bytes than this in memory is streamed.
const MEMORY: u64 = 256 << 20;

/// When a log is streamed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// If it would take more than 256 MiB in memory, by an estimate.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Whether a description's log is to be streamed.
pub fn wanted(d: &Description, data: Option<&Path>) -> bool {
    match d.toml.train.stream {
        Stream::Always => true,
        Stream::Never => false,
        Stream::Auto => {
            let rows: u64 = d.logs(data).iter().map(|path| estimate_rows(path)).sum();
            rows.saturating_mul(estimate_bytes(d)) > MEMORY
        }
    }
}

/// Rows of a log: what Parquet says, or as many as lines like the first fit in. 0 for files that cannot be read, which
/// reading will report.
fn estimate_rows(path: &Path) -> u64 {
    if let Some(rows) = parquet::rows(path) {
        return rows;
    }
    let Ok(file) = File::open(path) else { return 0 };
    let bytes = file.metadata().map_or(0, |m| m.len());
    let mut begin = Vec::new();
    let read = BufReader::new(file).take(1 << 16).read_to_end(&mut begin);
    let lines = begin.iter().filter(|b| **b == b'\n').count() as u64;
    if begin.starts_with(&[0x1f, 0x8b]) {
        // A row of numbers is some 20 bytes when it is packed.
        return bytes / 20;
    }
    match read {
        Ok(read) if lines > 0 => bytes / (read as u64 / lines).max(1),
        _ => 0,
    }
}

/// Bytes of a row in memory, before and after the feature pass, with 8 rows a request.
fn estimate_bytes(d: &Description) -> u64 {
    let features = d.toml.feature.iter().map(|f| {
        let bytes = match f.kind {
            FeatureKind::Ids | FeatureKind::LastIds => 6 * u64::from(f.max_len.unwrap_or(50)),
            FeatureKind::Vector => 2 * u64::from(f.dim.unwrap_or(1)),
            _ => 14,
        };
        let by_request = d.side(f) == Side::User;
        if by_request { bytes / 8 } else { bytes }
    });
    let (labels, tasks) = (d.toml.label.len() as u64, d.toml.task.len() as u64);
    features.sum::<u64>() + 12 * labels + 13 * tasks + 50
}

/// What the first pass over a log found.
pub struct Outline {
    /// Counts, without rows.
    pub log: RawLog,
    splitter: Splitter,
    last_requests: FxHashMap<u64, usize>,
    requests: usize,
    rows: usize,
    /// Time of the last request.
    end: i64,
}

/// The first pass.
///
/// # Errors
/// Those of reading, and of splitting.
pub fn outline(d: &Description, data: Option<&Path>) -> Result<Outline> {
    let mut held = Vec::new();
    let mut last_requests = FxHashMap::default();
    let (mut end, mut rows) = (0, 0);
    let log = read_in_chunks(d, data, CHUNK_ROWS, &mut |chunk| {
        let raw = chunk.raw;
        held.resize(chunk.requests_before + raw.requests(), false);
        for (request, picked) in raw.request.iter().zip(&raw.validation) {
            held[chunk.requests_before + *request as usize] |= picked;
        }
        let requests = chunk.requests_before..;
        last_requests.extend(raw.user.iter().copied().zip(requests));
        end = raw.time.last().copied().unwrap_or(end);
        rows = chunk.rows_before + raw.rows();
        Ok(())
    })?;
    Ok(Outline {
        requests: held.len(),
        splitter: Splitter::new(d, held, log.validation_from)?,
        log,
        last_requests,
        rows,
        end,
    })
}

/// One more pass: `each` gets whole requests, and the part of each row.
fn pass_again(
    d: &Description,
    data: Option<&Path>,
    outline: (&mut Splitter, usize, usize),
    each: &mut dyn FnMut(&Chunk<'_>, &[Part]) -> Result<()>,
) -> Result<()> {
    let (splitter, requests, rows) = outline;
    splitter.rewind();
    let mut seen = (0, 0);
    read_in_chunks(d, data, CHUNK_ROWS, &mut |chunk| {
        seen = (
            chunk.requests_before + chunk.raw.requests(),
            chunk.rows_before + chunk.raw.rows(),
        );
        if seen.0 > requests || seen.1 > rows {
            return Err(changed(d, data));
        }
        let before = chunk.requests_before as u32;
        let of_row = chunk.raw.request.iter();
        let parts: Vec<Part> = of_row.map(|r| splitter.part(before + r)).collect();
        each(chunk, &parts)
    })?;
    if seen == (requests, rows) {
        Ok(())
    } else {
        Err(changed(d, data))
    }
}

fn changed(d: &Description, data: Option<&Path>) -> Error {
    let path = d.logs(data).first().cloned().unwrap_or_default();
    let message = "the log changed while it was read; train again";
    Error::in_file(Kind::Data, &path, message)
}

/// Rows that features may learn from: all but those that are reported on.
fn learned_from(parts: &[Part]) -> Vec<u32> {
    let rows = (0..).zip(parts).filter(|(_, p)| **p != Part::Validation);
    rows.map(|(row, _)| row).collect()
}

/// [`Fit::learn`] of a log that is read again as often as it takes; columns wait in `folder`.
///
/// # Errors
/// Those of reading and of [`Fit::learn`].
pub fn learn(
    d: &Description,
    data: Option<&Path>,
    outline: &mut Outline,
    previous: Option<&Fit>,
    folder: &Path,
) -> Result<Fit> {
    let size = (outline.requests, outline.rows);
    let mut learner = Learner::new(d, previous, Some(folder));
    let mut again = |each: &mut dyn FnMut(&Chunk<'_>, &[Part]) -> Result<()>| {
        pass_again(d, data, (&mut outline.splitter, size.0, size.1), each)
    };
    again(&mut |chunk, parts| learner.columns(chunk.raw, &learned_from(parts)))?;
    learner.end_columns()?;
    if learner.counts_crosses() {
        again(&mut |chunk, parts| {
            learner.crosses(chunk.raw, &learned_from(parts));
            Ok(())
        })?;
    }
    learner.end_keys()?;
    if d.toml.feature.iter().any(|f| f.kind.is_computed()) {
        let fit = learner.fit().clone();
        let spec = fit.training_spec(d)?;
        let boundaries = pass::all_boundaries(&fit, &spec);
        let mut states = States::new(&boundaries, &spec, &outline.last_requests, Some(folder));
        again(&mut |chunk, parts| {
            let derived = states.derive(d, chunk)?;
            learner.derived(&derived, chunk.raw, &learned_from(parts))
        })?;
    }
    learner.end()
}

/// A log in a store.
pub struct Stored {
    /// Its rows.
    pub store: Store,
    /// Which do what; of those that train, the ones with a weight in some task.
    pub split: Split,
    /// Rows that train, with a weight or without.
    pub train_rows: usize,
    /// By task: training rows in its space before sampling, and those of them with a label above 0.
    pub counts: Vec<(usize, usize)>,
}

/// The last pass: everything into a store in `folder`.
///
/// # Errors
/// Those of reading, and of files that cannot be written.
pub fn store(
    d: &Description,
    data: Option<&Path>,
    outline: &mut Outline,
    (fit, spec): (&Fit, &Spec<'_>),
    (tasks, seed): (&[TaskOptions], u64),
    folder: &Path,
) -> Result<Stored> {
    let failed = |e: std::io::Error| Error::io(folder, &e);
    let size = (outline.requests, outline.rows);
    let boundaries = pass::all_boundaries(fit, spec);
    let mut states = States::new(&boundaries, spec, &outline.last_requests, Some(folder));
    let mut writer = Writer::begin(spec, folder).map_err(failed)?;
    let mut split = Split::default();
    // At once: what a list leaves behind each time that it grows would stay with the process.
    split.train.reserve_exact(size.1);
    let mut train_rows = 0;
    let mut counts = vec![Prior::default(); tasks.len()];
    let mut priors = vec![Prior::default(); tasks.len()];
    let end = outline.end;
    let splitter = (&mut outline.splitter, size.0, size.1);
    pass_again(d, data, splitter, &mut |chunk, parts| {
        let derived = states.derive(d, chunk)?;
        let mut part = pass::encode_until(d, fit, spec, chunk.raw, &derived, end);
        let train = (0..).zip(parts).filter(|(_, p)| **p == Part::Train);
        let train: Vec<u32> = train.map(|(row, _)| row).collect();
        train_rows += train.len();
        for (t, count) in counts.iter_mut().enumerate() {
            // As a binary task: it keeps no labels.
            count.add(TaskKind::Binary, &part, t, &train);
        }
        sample(tasks, &mut part, &train, chunk.rows_before, seed);
        for (t, prior) in priors.iter_mut().enumerate() {
            prior.add(spec.tasks[t].kind, &part, t, &train);
        }
        for (row, of) in parts.iter().enumerate() {
            let weighs = || part.tasks.iter().any(|t| t.weights[row] > 0.0);
            if *of != Part::Train || weighs() {
                split.push(*of, (chunk.rows_before + row) as u32);
            }
        }
        writer.write(&part).map_err(failed)
    })?;
    // Without a row that weighs, the tasks' own message tells more.
    if train_rows == 0 || !split.train.is_empty() {
        split.close(d)?;
    }
    let kinds = spec.tasks.iter().map(|t| t.kind);
    let several = priors.iter().zip(kinds.clone()).zip(tasks);
    let starts = several.map(|((prior, kind), task)| {
        if let TaskKind::Quantile { feature, knots } = kind {
            return prior.quantiles(kind, spec.num_groups(feature) * usize::from(knots));
        }
        let steps = task.steps.as_ref();
        steps.map_or_else(Start::default, |s| prior.start(s, kind.logits()))
    });
    let starts = starts.collect();
    let priors = priors.into_iter().zip(kinds).map(|(p, kind)| p.logit(kind));
    Ok(Stored {
        store: writer.end(priors.collect(), starts).map_err(failed)?,
        split,
        train_rows,
        counts: counts.iter().map(|c| c.counts).collect(),
    })
}

/// [`position::values`] of some rows, which ascend: the log once more, up to the last of them.
///
/// # Errors
/// Those of reading.
pub fn values(d: &Description, data: Option<&Path>, rows: &[u32]) -> Result<Vec<Vec<f64>>> {
    let mut values = Vec::new();
    if rows.is_empty() {
        return Ok(values);
    }
    let read = read_in_chunks(d, data, CHUNK_ROWS, &mut |chunk| {
        while let Some(row) = rows.get(values.len()) {
            let at = *row as usize - chunk.rows_before;
            if at >= chunk.raw.rows() {
                return Ok(());
            }
            values.push(position::values(d, chunk.raw, at as u32));
        }
        // Nobody sees it: an error is how reading ends early.
        Err(changed(d, data))
    });
    match read {
        _ if values.len() == rows.len() => Ok(values),
        Ok(_) => Err(changed(d, data)),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests;
