//! A log through the device's engine: the same requests that a phone would make, from the same rows.
use core::ops::Range;
use std::path::Path;
use std::prelude::v1::*;

use crate::engine::Model;
use crate::fusion::formula::Formula;
use crate::spec::{Encoding, Side, Spec, limits};
use crate::train::description::Description;
use crate::train::error::{Error, Kind, Result};
use crate::train::log::{self, RawColumn, RawLog, key_of};
use crate::train::pass;
use crate::train::requests::{OwnedColumn, OwnedLists, OwnedRequest};
use crate::train::server::Vectors;

mod ranker;
mod scores;
pub use ranker::Ranker;
pub use scores::{Measured, Scored, features, logits, measure, score, score_by};

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
