//! A log through the device's engine: the same requests that a phone would make, from the same rows.
use core::ops::Range;
use std::path::Path;
use std::prelude::v1::*;

use crate::engine::{Model, Output, Request, Scratch};
use crate::fusion::formula::Formula;
use crate::spec::{Encoding, Side, Spec, TaskKind, limits};
use crate::train::dataset::{Dataset, FeatureData, Split};
use crate::train::description::Description;
use crate::train::error::{Error, Kind, Result};
use crate::train::log::{self, RawColumn, RawLog, key_of};
use crate::train::pass;
use crate::train::requests::{OwnedColumn, OwnedLists, OwnedRequest};
use crate::train::server::Vectors;

/// Whether an exported file and a description speak of the same features, tasks and labels.
///
/// # Errors
/// [`Kind::Description`] with what differs.
pub fn fits(d: &Description, model: &Model<'_>) -> Result<()> {
    let spec = model.spec();
    let described: Vec<&str> = d
        .toml
        .feature
        .iter()
        .map(|f| f.name.get_ref().as_str())
        .collect();
    let same = described
        .iter()
        .copied()
        .eq(spec.features.iter().map(|f| f.name))
        && d.toml
            .task
            .iter()
            .map(|t| t.name.get_ref().as_str())
            .eq(spec.tasks.iter().map(|t| t.name))
        && d.toml
            .label
            .iter()
            .map(|l| l.name.get_ref().as_str())
            .eq(spec.labels.iter().map(|l| l.name));
    if same {
        return Ok(());
    }
    let message = "features, labels or tasks are not those of the exported file; use the description it was trained with";
    Err(Error::in_file(Kind::Description, &d.file, message))
}

/// Calls `visit` with every request of a log that `wanted` picks, as a phone would make it, and its rows. Requests
/// longer than the engine's limit come in parts. Ids of a table that the server keeps become its rows, `vectors`.
pub fn for_each_request(
    d: &Description,
    (spec, vectors): (&Spec<'_>, &Vectors),
    boundaries: &[Vec<u8>],
    raw: &RawLog,
    wanted: &dyn Fn(usize) -> bool,
    visit: &mut dyn FnMut(Range<usize>, &OwnedRequest) -> Result<()>,
) -> Result<()> {
    let mut outcome = Ok(());
    pass::for_each_state(d, boundaries, spec, raw, &mut |request, rows, state| {
        if outcome.is_err() || !wanted(request) {
            return;
        }
        for start in rows.clone().step_by(limits::CANDIDATES) {
            let part = start..rows.end.min(start + limits::CANDIDATES);
            let owned = OwnedRequest {
                num_candidates: part.len(),
                columns: (0..spec.features.len())
                    .map(|i| column(d, (spec, vectors), raw, i, request, &part))
                    .collect(),
                state: Some(state.to_vec()),
                time: raw.time[request],
                ..OwnedRequest::default()
            };
            if outcome.is_ok() {
                outcome = visit(part, &owned);
            }
        }
    })?;
    outcome
}

/// The raw column of a feature for some rows of one request.
fn column(
    d: &Description,
    (spec, vectors): (&Spec<'_>, &Vectors),
    raw: &RawLog,
    feature: usize,
    request: usize,
    rows: &Range<usize>,
) -> OwnedColumn {
    let f = &spec.features[feature];
    let at = if f.side == Side::User {
        request..request + 1
    } else {
        rows.clone()
    };
    match &raw.features[feature] {
        RawColumn::None => OwnedColumn::Missing,
        RawColumn::Ids(ids) if matches!(f.encoding, Encoding::Vector { .. }) => {
            let kind = d.id_kind(&d.toml.feature[feature]);
            let sent = ids[at]
                .iter()
                .map(|id| vectors.of(feature, key_of(*id, kind)));
            // Without the table there is no vector to send.
            let sent: Option<Vec<&[u8]>> = sent.collect();
            sent.map_or(OwnedColumn::Missing, |sent| {
                OwnedColumn::Bytes(sent.concat())
            })
        }
        RawColumn::Ids(ids) => OwnedColumn::Ids {
            ids: ids[at].to_vec(),
            lists: None,
        },
        RawColumn::Numbers(x) => OwnedColumn::Floats(x[at].to_vec()),
        RawColumn::Lists {
            offsets,
            ids,
            weights,
        } => {
            let offsets = &offsets[at.start..=at.end];
            let (start, end) = (offsets[0] as usize, offsets[offsets.len() - 1] as usize);
            OwnedColumn::Ids {
                ids: ids[start..end].to_vec(),
                lists: Some(OwnedLists {
                    offsets: offsets.iter().map(|o| o - start as u32).collect(),
                    weights: weights.as_ref().map(|w| w[start..end].to_vec()),
                }),
            }
        }
        RawColumn::Vectors(bytes) => {
            let Encoding::Vector { dim, grid } = f.encoding else {
                return OwnedColumn::Missing;
            };
            let dim = usize::from(dim);
            let values = bytes[at.start * dim..at.end * dim].iter();
            OwnedColumn::Bytes(
                values
                    .map(|b| if *b == u8::MAX { grid.zero_point } else { *b })
                    .collect(),
            )
        }
    }
}

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

/// An engine with scratch and outputs of its own, for one request after the other.
pub struct Ranker<'m, 'a> {
    model: &'m Model<'a>,
    floats: Vec<f32>,
    bytes: Vec<u8>,
    /// Best candidates first, all of them.
    pub order: Vec<u32>,
    /// Fused score of each candidate.
    pub fused: Vec<f32>,
    /// `[candidates, tasks]`.
    pub scores: Vec<f32>,
    /// Values of the fusion's terms, `[candidates, terms]`.
    pub terms: Vec<f32>,
    formula: Option<&'m Formula<'m>>,
}

impl<'m, 'a> Ranker<'m, 'a> {
    /// For requests of any length that the engine takes.
    pub fn new(model: &'m Model<'a>) -> Self {
        Self::with(model, None)
    }

    /// The same, by a formula instead of the file's fusion.
    pub fn with(model: &'m Model<'a>, formula: Option<&'m Formula<'m>>) -> Self {
        let need = match formula {
            Some(formula) => model.scratch_len_with(formula, limits::CANDIDATES),
            None => model.scratch_len(limits::CANDIDATES),
        };
        let (floats, bytes) = (vec![0.0; need.floats], vec![0; need.bytes]);
        Self {
            model,
            floats,
            bytes,
            order: Vec::new(),
            fused: Vec::new(),
            scores: Vec::new(),
            terms: Vec::new(),
            formula,
        }
    }

    /// Ranks a request; results are in the fields.
    ///
    /// # Errors
    /// Those of [`Model::rank`].
    pub fn rank(&mut self, request: &OwnedRequest) -> crate::error::Result<crate::engine::Summary> {
        self.rank_without(request, &[])
    }

    /// Ranks a request as if it came without some features.
    ///
    /// # Errors
    /// Those of [`Model::rank`].
    pub fn rank_without(
        &mut self,
        request: &OwnedRequest,
        without: &[u32],
    ) -> crate::error::Result<crate::engine::Summary> {
        let n = request.num_candidates;
        self.order.resize(n, 0);
        self.fused.resize(n, 0.0);
        self.scores.resize(n * self.model.spec().tasks.len(), 0.0);
        let terms = self
            .formula
            .map_or(self.model.num_terms(), |f| f.terms().count());
        self.terms.resize(n * terms, 0.0);
        let columns = request.columns();
        let mut scratch = Scratch {
            floats: &mut self.floats,
            bytes: &mut self.bytes,
        };
        let mut output = Output {
            order: &mut self.order,
            fused: &mut self.fused,
            scores: &mut self.scores,
            terms: &mut self.terms,
        };
        let request = Request {
            formula: self.formula,
            without,
            ..request.as_request(&columns)
        };
        self.model.rank(&request, &mut scratch, &mut output)
    }
}

impl Ranker<'_, '_> {
    /// Shares of the experts in every task's mixture for a candidate of a request, `[tasks, experts]`.
    ///
    /// # Errors
    /// Those of [`Model::gates`].
    pub fn gates(
        &mut self,
        request: &OwnedRequest,
        candidate: usize,
    ) -> crate::error::Result<Vec<f32>> {
        let spec = self.model.spec();
        let experts = usize::from(spec.network.num_experts);
        let mut gates = vec![0.0; spec.tasks.len() * experts];
        let columns = request.columns();
        let mut scratch = Scratch {
            floats: &mut self.floats,
            bytes: &mut self.bytes,
        };
        let request = request.as_request(&columns);
        self.model
            .gates(&request, candidate, &mut scratch, &mut gates)?;
        Ok(gates)
    }
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
            TaskKind::Duration => libm::log1p(score / f64::from(task.score_scale)) as f32,
        }
    };
    scores.iter().enumerate().map(logit).collect()
}

/// One request of a log, ranked.
pub struct Ranked {
    /// Best candidates first.
    pub order: Vec<u32>,
    /// Fused score of each candidate.
    pub fused: Vec<f32>,
    /// `[candidates, tasks]`.
    pub scores: Vec<f32>,
    /// Values of the fusion's terms, `[candidates, terms]`.
    pub terms: Vec<f32>,
    /// Line of the log of each candidate.
    pub lines: Vec<u64>,
    /// The request.
    pub request: OwnedRequest,
}

/// Ranks the request called `name` of a log, by `formula` if there is one; `file` as in [`measure`].
///
/// # Errors
/// [`Kind::Data`] if the log has no such request.
pub fn rank_one(
    d: &Description,
    (model, file): (&Model<'_>, &Path),
    formula: Option<&Formula<'_>>,
    data: Option<&Path>,
    name: &str,
) -> Result<Ranked> {
    fits(d, model)?;
    let vectors = Vectors::open(d, model, file)?;
    let raw = log::read(d, data)?;
    let Some(request) = raw.name.iter().position(|n| n == name) else {
        let known: Vec<&str> = raw.name.iter().take(3).map(String::as_str).collect();
        let message = format!(
            "no request \"{name}\"; the log begins with {}",
            known.join(", ")
        );
        return Err(Error::in_file(Kind::Data, &d.file, message));
    };
    let mut ranked = None;
    for_each_request(
        d,
        (model.spec(), &vectors),
        &boundaries(model),
        &raw,
        &|r| r == request,
        &mut |rows, request| {
            let mut ranker = Ranker::with(model, formula);
            ranker.rank(request).map_err(|e| {
                Error::in_file(
                    Kind::Data,
                    &d.file,
                    format!("the engine refuses the request: {:?}", e.status),
                )
            })?;
            let Ranker {
                order,
                fused,
                scores,
                terms,
                ..
            } = ranker;
            ranked.get_or_insert(Ranked {
                order,
                fused,
                scores,
                terms,
                lines: raw.line[rows].to_vec(),
                request: request.clone(),
            });
            Ok(())
        },
    )?;
    ranked.ok_or_else(|| Error::in_file(Kind::Data, &d.file, "the request has no rows"))
}

/// The last `count` requests of a log, as an app would send them: with the users' pasts up to then.
///
/// # Errors
/// Those of reading the log and of [`fits`].
pub fn last_requests(
    d: &Description,
    (model, file): (&Model<'_>, &Path),
    data: Option<&Path>,
    count: usize,
) -> Result<Vec<OwnedRequest>> {
    fits(d, model)?;
    let vectors = Vectors::open(d, model, file)?;
    let raw = log::read(d, data)?;
    let first = raw.name.len().saturating_sub(count);
    let mut requests = Vec::new();
    for_each_request(
        d,
        (model.spec(), &vectors),
        &boundaries(model),
        &raw,
        &|r| r >= first,
        &mut |_, request| {
            requests.push(request.clone());
            Ok(())
        },
    )?;
    Ok(requests)
}

fn boundaries(model: &Model<'_>) -> Vec<Vec<u8>> {
    (0..model.spec().features.len())
        .map(|i| model.boundaries(i).to_vec())
        .collect()
}
