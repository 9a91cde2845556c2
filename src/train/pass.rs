//! The feature pass: a log in time order through user states into a [`Dataset`].
//!
//! A user's state is frozen when a request comes: it has seen exactly the labels whose arrival time is strictly before
//! the request's. Rows of one request never see each other.
use std::prelude::v1::*;

use crate::features;
use crate::spec::{Encoding, IdType, Lookup, Side, Source, Spec, TaskKind};
use crate::train::dataset::{Dataset, TaskData};
use crate::train::description::{Description, FeatureKind, IdKind, Objective};
use crate::train::error::Result;
use crate::train::fit::Fit;
use crate::train::log::{Chunk, RawColumn, RawLog, key_of};

mod blocks;
mod encode;
mod parts;
mod states;
pub(crate) use encode::encode_until;
pub use encode::{RowOf, encode, encode_by, number};
pub use parts::{Part, Splitter, split};
pub use states::States;

/// Takes a request, its rows, and its user's state.
pub type Visit<'v> = dyn FnMut(usize, core::ops::Range<usize>, &[u8]) + 'v;

/// Calls `visit` for every request in log order with the user's state as of its time: what earlier rows of the user
/// made known strictly before, in the order (time, row, label).
///
/// # Errors
/// None: nothing of a log in memory goes to a file.
pub fn for_each_state(
    d: &Description,
    boundaries: &[Vec<u8>],
    spec: &Spec<'_>,
    raw: &RawLog,
    visit: &mut Visit<'_>,
) -> Result<()> {
    debug_assert!(d.num_served_features() <= spec.features.len());
    let last_requests = raw.user.iter().copied().zip(0..).collect();
    let whole = Chunk {
        raw,
        rows_before: 0,
        requests_before: 0,
    };
    States::new(boundaries, spec, &last_requests, None).pass(&whole, visit)
}

/// Key of a feature of one row, as the device makes it.
pub(crate) fn row_key(
    raw: &RawLog,
    spec: &Spec<'_>,
    boundaries: &[Vec<u8>],
    feature: usize,
    row: u32,
) -> Option<u64> {
    let f = &spec.features[feature];
    let at = if f.side == Side::User {
        raw.request[row as usize]
    } else {
        row
    } as usize;
    match (&raw.features[feature], f.encoding) {
        (RawColumn::Ids(ids), Encoding::Row { table, .. }) => {
            match spec.tables[usize::from(table)].lookup {
                Lookup::Hash(IdType::Int) | Lookup::Vocabulary(IdType::Int) => {
                    key_of(ids[at], IdKind::Int)
                }
                _ => key_of(ids[at], IdKind::String),
            }
        }
        (RawColumn::Numbers(x), Encoding::Number { transform, .. }) => {
            Some(features::hash_int(u64::from(features::bucket_row(
                &transform,
                &boundaries[feature],
                x[at],
            ))))
        }
        _ => None,
    }
}

/// Raw columns of the derived features: numbers (NaN is missing) and lists of keys.
///
/// # Errors
/// None: nothing of a log in memory goes to a file.
pub fn derive(d: &Description, fit: &Fit, spec: &Spec<'_>, raw: &RawLog) -> Result<Vec<RawColumn>> {
    derive_by(d, &all_boundaries(fit, spec), spec, raw)
}

/// [`derive()`] with the boundaries of each feature, as an exported file has them too.
///
/// # Errors
/// Those of [`derive()`].
pub fn derive_by(
    d: &Description,
    boundaries: &[Vec<u8>],
    spec: &Spec<'_>,
    raw: &RawLog,
) -> Result<Vec<RawColumn>> {
    let last_requests = raw.user.iter().copied().zip(0..).collect();
    let whole = Chunk {
        raw,
        rows_before: 0,
        requests_before: 0,
    };
    States::new(boundaries, spec, &last_requests, None).derive(d, &whole)
}

impl States<'_> {
    /// Raw columns of the derived features of the next requests of the log.
    ///
    /// # Errors
    /// Those of [`pass`](Self::pass).
    pub fn derive(&mut self, d: &Description, chunk: &Chunk<'_>) -> Result<Vec<RawColumn>> {
        let mut columns = empty_derived(d);
        let (spec, boundaries, raw) = (self.spec, self.boundaries, chunk.raw);
        self.pass(chunk, &mut |request, rows, state| {
            let (state, now) = (Some(state), raw.time[request]);
            // Of features known in training alone the spec may have none, and none is derived.
            for (i, (column, feature)) in columns.iter_mut().zip(&spec.features).enumerate() {
                match (column, feature.source) {
                    (RawColumn::Lists { offsets, ids, .. }, Source::LastIds { .. }) => {
                        ids.extend(features::last_ids(spec, state, i));
                        offsets.push(ids.len() as u32);
                    }
                    // From whole columns, below.
                    (_, Source::Combine { .. }) => {}
                    (RawColumn::Numbers(x), Source::KeyRate { key, .. }) => {
                        for row in rows.clone() {
                            let key = row_key(raw, spec, boundaries, usize::from(key), row as u32);
                            x.push(features::number(spec, state, i, now, key).unwrap_or(f32::NAN));
                        }
                    }
                    (RawColumn::Numbers(x), _) => {
                        x.push(features::number(spec, state, i, now, None).unwrap_or(f32::NAN))
                    }
                    _ => {}
                }
            }
        })?;
        for (i, f) in spec.features.iter().enumerate() {
            if let Source::Combine { .. } = f.source {
                columns[i] = RawColumn::Numbers(combined(spec, raw, &columns, i));
            }
        }
        Ok(columns)
    }
}

/// The column of a combined number, of those of its parts.
fn combined(spec: &Spec<'_>, raw: &RawLog, derived: &[RawColumn], feature: usize) -> Vec<f32> {
    let f = &spec.features[feature];
    let Source::Combine {
        left,
        right,
        operation,
    } = f.source
    else {
        return Vec::new();
    };
    let part = |part: u8| {
        let part = usize::from(part);
        move |row: usize| computed(spec, raw, derived, part, row)
    };
    let (left, right) = (part(left), part(right));
    let value = |row: usize| operation.apply(left(row), right(row));
    if f.side == Side::User {
        first_rows(raw).map(|row| value(row as usize)).collect()
    } else {
        (0..raw.rows()).map(value).collect()
    }
}

/// Raw value of a number of one row, whether the log has it or the pass made it; NaN is missing.
fn computed(
    spec: &Spec<'_>,
    raw: &RawLog,
    derived: &[RawColumn],
    feature: usize,
    row: usize,
) -> f32 {
    let f = &spec.features[feature];
    let column = if f.source == Source::Column {
        &raw.features[feature]
    } else {
        &derived[feature]
    };
    let at = if f.side == Side::User {
        raw.request[row] as usize
    } else {
        row
    };
    match column {
        RawColumn::Numbers(x) => x[at],
        _ => f32::NAN,
    }
}

fn empty_derived(d: &Description) -> Vec<RawColumn> {
    d.toml
        .feature
        .iter()
        .map(|f| match f.kind {
            FeatureKind::LastIds => RawColumn::Lists {
                offsets: vec![0],
                ids: Vec::new(),
                weights: None,
            },
            kind if kind.is_computed() => RawColumn::Numbers(Vec::new()),
            _ => RawColumn::None,
        })
        .collect()
}

/// Bytes of every feature's boundaries.
pub(crate) fn all_boundaries(fit: &Fit, spec: &Spec<'_>) -> Vec<Vec<u8>> {
    let features = 0..spec.features.len();
    features.map(|i| fit.boundaries(i)).collect()
}

/// Labels and groups of a log, without features.
pub fn labels(d: &Description, raw: &RawLog) -> Dataset {
    labels_by(d, raw, raw.time.last().copied().unwrap_or(0))
}

/// [`labels`] of a part of a log that ends at `end`.
pub(crate) fn labels_by(d: &Description, raw: &RawLog, end: i64) -> Dataset {
    Dataset {
        features: Vec::new(),
        request: raw.request.clone(),
        time: raw.time.clone(),
        tasks: (0..d.toml.task.len())
            .map(|t| task_data(d, raw, t, end))
            .collect(),
        gauc_group: raw.gauc_group.clone(),
        line: raw.line.clone(),
    }
}

/// First row of each request.
fn first_rows(raw: &RawLog) -> impl Iterator<Item = u32> + '_ {
    let rows = raw.rows() as u32;
    (0..rows).filter(|r| *r == 0 || raw.request[*r as usize] != raw.request[*r as usize - 1])
}

/// Labels and weights of one task: its rows' weights in its space, where its label is known and old enough.
fn task_data(d: &Description, raw: &RawLog, task: usize, end: i64) -> TaskData {
    let t = &d.toml.task[task];
    let learnt = d.learnt_labels(t);
    let windows = learnt.iter().map(|(label, _)| {
        let label = &d.toml.label[*label];
        label.window.unwrap_or(label.delay) as i64
    });
    let window = windows.max().unwrap_or(0);
    let label = |row: usize| match &learnt[..] {
        [(label, 1.0)] if t.utility.is_empty() => raw.labels[*label].values[row],
        // What is unknown adds nothing.
        parts => {
            let known = parts.iter().map(|(label, factor)| {
                let value = raw.labels[*label].values[row];
                if value.is_nan() { 0.0 } else { factor * value }
            });
            known.sum()
        }
    };
    let timed = d.toml.data.time.is_some();
    let given = t.space.as_ref().and_then(|s| d.task(s.get_ref()));
    let given = given.map(|g| task_data(d, raw, g, end));
    let label_space = t.space.as_ref().filter(|s| d.task(s.get_ref()).is_none());
    let label_space = label_space.and_then(|s| d.label(s.get_ref()));
    let per_impression = t.spec_kind() == TaskKind::Odds && given.is_none();
    let mut data = TaskData {
        ranks: t.kind == Objective::Rank,
        teacher: raw.teachers[task].clone(),
        ..TaskData::default()
    };
    for row in 0..raw.rows() {
        let value = label(row);
        // Whoever did not click has no seconds.
        let value = if per_impression && value.is_nan() {
            0.0
        } else {
            value
        };
        let old = !timed || end - raw.time[raw.request[row] as usize] >= window;
        let inside = raw.spaces[task][row]
            && old
            && !value.is_nan()
            && label_space.is_none_or(|l| raw.labels[l].values[row] > 0.0)
            && given
                .as_ref()
                .is_none_or(|g| g.weights[row] > 0.0 && g.labels[row] > 0.0);
        data.labels.push(if inside { value } else { 0.0 });
        let weight = raw.weights[task].get(row).copied().unwrap_or(1.0);
        data.weights.push(if inside { weight } else { 0.0 });
    }
    data
}

#[cfg(test)]
mod tests;
