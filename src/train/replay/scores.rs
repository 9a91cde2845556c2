//! Scores, logits and features of a log's rows, as an exported file gives them.
use std::path::Path;
use std::prelude::v1::*;

use super::{Ranker, boundaries, fits, for_each_request};
use crate::engine::Model;
use crate::fusion::formula::Formula;
use crate::spec::TaskKind;
use crate::train::dataset::{Dataset, FeatureData, Split};
use crate::train::description::Description;
use crate::train::error::{Error, Kind, Result};
use crate::train::log::{self, RawLog};
use crate::train::pass;
use crate::train::server::Vectors;

/// What the engine gave for the rows of some requests.
#[derive(Clone, Debug, Default)]
pub struct Scored {
    /// Rows, in log order.
    pub rows: Vec<u32>,
    /// `[rows, tasks]`.
    pub scores: Vec<f32>,
    /// Fused score of each row.
    pub fused: Vec<f32>,
    /// Values of the fusion's terms, `[rows, terms]`.
    pub terms: Vec<f32>,
}

/// Scores the requests that `wanted` picks.
///
/// # Errors
/// [`Kind::Data`] for a request that the engine refuses.
pub fn score(
    d: &Description,
    model: (&Model<'_>, &Vectors),
    raw: &RawLog,
    wanted: &dyn Fn(usize) -> bool,
) -> Result<Scored> {
    score_by(d, model, None, raw, wanted)
}

/// The same, by a formula instead of the file's fusion.
///
/// # Errors
/// Those of [`score`].
pub fn score_by(
    d: &Description,
    (model, vectors): (&Model<'_>, &Vectors),
    formula: Option<&Formula<'_>>,
    raw: &RawLog,
    wanted: &dyn Fn(usize) -> bool,
) -> Result<Scored> {
    let mut scored = Scored::default();
    let mut ranker = Ranker::with(model, formula);
    for_each_request(
        d,
        (model.spec(), vectors),
        &boundaries(model),
        raw,
        wanted,
        &mut |rows, request| {
            ranker.rank(request).map_err(|e| {
                let message = format!(
                    "the engine refuses the request of row {}: {:?}",
                    rows.start, e.status
                );
                Error::in_file(Kind::Data, &d.file, message)
            })?;
            scored.rows.extend(rows.map(|r| r as u32));
            scored.scores.extend_from_slice(&ranker.scores);
            scored.fused.extend_from_slice(&ranker.fused);
            scored.terms.extend_from_slice(&ranker.terms);
            Ok(())
        },
    )?;
    Ok(scored)
}

/// A log measured through an exported file.
pub struct Measured {
    /// The log as read.
    pub raw: RawLog,
    /// Which of its rows do what, by the description.
    pub split: Split,
    /// Labels and groups; without features, see [`features`].
    pub data: Dataset,
    /// Rows measured.
    pub rows: Vec<u32>,
    /// `[rows, tasks]`, from the scores.
    pub logits: Vec<f32>,
    /// Fused score of each row.
    pub fused: Vec<f32>,
    /// Tables that the server keeps.
    pub vectors: Vectors,
}

/// Scores a log's validation rows (or all) through the engine. `file` is where `model` was opened from: beside it are the
/// tables that the server keeps.
///
/// # Errors
/// Those of reading; [`Kind::Description`] if the file is another model's.
pub fn measure(
    d: &Description,
    (model, file): (&Model<'_>, &Path),
    data: Option<&Path>,
    all: bool,
) -> Result<Measured> {
    fits(d, model)?;
    let vectors = Vectors::open(d, model, file)?;
    let raw = log::read(d, data)?;
    let split = pass::split(d, &raw)?;
    let mut wanted = vec![all; raw.requests()];
    for row in &split.validation {
        wanted[raw.request[*row as usize] as usize] = true;
    }
    let scored = score(d, (model, &vectors), &raw, &|request| wanted[request])?;
    Ok(Measured {
        data: pass::labels(d, &raw),
        logits: logits(model, &scored.scores),
        rows: scored.rows,
        fused: scored.fused,
        raw,
        split,
        vectors,
    })
}

/// The features of a log as an exported file has them: its rows, buckets and transforms.
///
/// # Errors
/// Those of [`pass::derive_by`].
pub fn features(
    d: &Description,
    (model, vectors): (&Model<'_>, &Vectors),
    raw: &RawLog,
) -> Result<Vec<FeatureData>> {
    let (spec, boundaries) = (model.spec(), boundaries(model));
    let derived = pass::derive_by(d, &boundaries, spec, raw)?;
    let row_of = |feature: usize, _: u8, key: Option<u64>, default_row: u32| {
        if let Some(row) = vectors.row(feature, key) {
            return row;
        }
        key.map_or(default_row, |key| model.row_of(feature, key).unwrap_or(0))
    };
    Ok(pass::encode_by(
        d,
        spec,
        &boundaries,
        raw,
        &derived,
        &row_of,
    ))
}

/// Logits of scores `[rows, tasks]`.
pub fn logits(model: &Model<'_>, scores: &[f32]) -> Vec<f32> {
    let tasks = &model.spec().tasks;
    let logit = |(i, score): (usize, &f32)| {
        let task = &tasks[i % tasks.len()];
        let score = f64::from(*score);
        match task.kind {
            TaskKind::Binary => libm::log(score / (1.0 - score).max(1e-30)) as f32,
            _ => libm::log1p(score / f64::from(task.score_scale)) as f32,
        }
    };
    scores.iter().enumerate().map(logit).collect()
}
