//! The feature pass: a log in time order through user states into a [`Dataset`].
//!
//! A user's state is frozen when a request comes: it has seen exactly the labels whose arrival time is strictly before
//! the request's. Rows of one request never see each other.
use core::cmp::Reverse;
use std::collections::BinaryHeap;
use std::prelude::v1::*;

use rustc_hash::FxHashMap;

use crate::features::{self, Event, Key};
use crate::spec::{Encoding, IdType, Lookup, Side, Source, Spec};
use crate::train::dataset::{Dataset, FeatureData, Split, TaskData};
use crate::train::description::{Description, FeatureKind, IdKind, StopOn};
use crate::train::error::{Error, Kind, Result};
use crate::train::fit::Fit;
use crate::train::log::{RawColumn, RawLog, key_of, q15};

/// Which rows do what, before anything is learned.
///
/// # Errors
/// [`Kind::Data`] if a part that must not be empty is.
pub fn split(d: &Description, raw: &RawLog) -> Result<Split> {
    let requests = raw.requests() as u32;
    let cut = |share: f64, of: u32| of - (libm::round(f64::from(of) * share) as u32).min(of);
    let from = match (d.toml.data.validation.last, raw.validation_from) {
        (_, Some(from)) => Some(from),
        (Some(share), None) => Some(cut(share, requests)),
        (None, None) => None,
    };
    // A request is held out as a whole if one of its rows is.
    let mut held = vec![false; raw.requests()];
    for row in 0..raw.rows() {
        let request = raw.request[row];
        held[request as usize] |= raw.validation[row] || from.is_some_and(|f| request >= f);
    }
    let train_requests = held.iter().filter(|h| !**h).count() as u32;
    let stop_from = match &d.toml.train.stop_on {
        StopOn::Last { last } => cut(*last, train_requests),
        StopOn::Name(_) => train_requests,
    };
    let mut split = Split::default();
    let (mut seen, mut last) = (0, None);
    for row in 0..raw.rows() {
        let request = raw.request[row];
        if held[request as usize] {
            split.validation.push(row as u32);
            continue;
        }
        if last != Some(request) {
            seen += 1;
            last = Some(request);
        }
        let part = if seen > stop_from {
            &mut split.stop
        } else {
            &mut split.train
        };
        part.push(row as u32);
    }
    match &d.toml.train.stop_on {
        StopOn::Name(name) if name == "validation" => split.stop.clone_from(&split.validation),
        StopOn::Name(name) if name != "none" => {
            let message = format!(
                "unknown stop_on \"{name}\"; {{ last = share }}, \"validation\" or \"none\""
            );
            return Err(Error::in_file(Kind::Description, &d.file, message));
        }
        _ => {}
    }
    if split.train.is_empty() {
        return Err(Error::in_file(
            Kind::Data,
            &d.file,
            "no training row is left by validation and stop_on",
        ));
    }
    Ok(split)
}

/// Takes a request, its rows, and its user's state.
pub type Visit<'v> = dyn FnMut(usize, core::ops::Range<usize>, &[u8]) + 'v;

/// Calls `visit` for every request in log order with the user's state as of its time: what earlier rows of the user
/// made known strictly before, in the order (time, row, label).
pub fn for_each_state(
    d: &Description,
    boundaries: &[Vec<u8>],
    spec: &Spec<'_>,
    raw: &RawLog,
    visit: &mut Visit<'_>,
) {
    debug_assert!(d.num_served_features() <= spec.features.len());
    let bytes = features::state_bytes(spec);
    let mut fresh = vec![0; bytes];
    // The length is right, and `reset` refuses nothing else.
    let _ = features::reset(spec, &mut fresh);
    let keys: Vec<usize> = features::key_features(spec).collect();
    let used: Vec<usize> = (0..spec.labels.len())
        .filter(|l| spec.features.iter().any(|f| feeds(&f.source, *l)))
        .collect();
    let mut users: FxHashMap<u64, usize> = FxHashMap::default();
    let mut states: Vec<Vec<u8>> = Vec::new();
    let mut pending: Vec<BinaryHeap<Reverse<(i64, u32, u8)>>> = Vec::new();
    let mut row = 0;
    let mut due: Vec<(i64, u32, u8)> = Vec::new();
    let mut key_list: Vec<Key> = Vec::new();
    let mut ends: Vec<usize> = Vec::new();
    // After a user's last request nobody asks for the state: what would wait for ever is not kept.
    let last_request: FxHashMap<u64, usize> = raw
        .user
        .iter()
        .enumerate()
        .map(|(request, user)| (*user, request))
        .collect();
    for request in 0..raw.requests() {
        let start = row;
        while row < raw.rows() && raw.request[row] as usize == request {
            row += 1;
        }
        if bytes == 0 || raw.user[request] == RawLog::NOBODY {
            visit(request, start..row, &fresh);
            continue;
        }
        let user = *users.entry(raw.user[request]).or_insert_with(|| {
            states.push(fresh.clone());
            pending.push(BinaryHeap::new());
            states.len() - 1
        });
        due.clear();
        while let Some(Reverse(first)) = pending[user].peek()
            && first.0 < raw.time[request]
        {
            due.push(*first);
            pending[user].pop();
        }
        // A missing key leaves its features as they are, so it is not among an event's keys.
        key_list.clear();
        ends.clear();
        for (_, row, _) in &due {
            for feature in &keys {
                let hash = row_key(raw, spec, boundaries, *feature, *row);
                key_list.extend(hash.map(|hash| Key {
                    feature: *feature as u8,
                    hash,
                }));
            }
            ends.push(key_list.len());
        }
        let mut start_of_keys = 0;
        let events: Vec<Event<'_>> = due
            .iter()
            .zip(&ends)
            .map(|((time, row, label), end)| {
                let value = raw.labels[usize::from(*label)].values[*row as usize];
                let keys = &key_list[start_of_keys..*end];
                start_of_keys = *end;
                Event {
                    time: *time,
                    label: *label,
                    value,
                    keys,
                }
            })
            .collect();
        if !events.is_empty() {
            // One call for all events: the checksum over the whole state is paid once a request. The state was made
            // by `reset`, and the reader has bounded times and values, so nothing is refused.
            let applied = features::apply(spec, &mut states[user], &events);
            debug_assert_eq!(applied, Ok(()));
        }
        visit(request, start..row, &states[user]);
        if last_request[&raw.user[request]] == request {
            (states[user], pending[user]) = (Vec::new(), BinaryHeap::new());
            continue;
        }
        for label in &used {
            let column = &raw.labels[*label];
            for r in start..row {
                if !column.values[r].is_nan() {
                    pending[user].push(Reverse((column.arrival[r], r as u32, *label as u8)));
                }
            }
        }
    }
}

fn feeds(source: &Source, wanted: usize) -> bool {
    match *source {
        Source::Column | Source::Cross { .. } => false,
        Source::LastIds { label, .. }
        | Source::Count { label }
        | Source::Rate { label, .. }
        | Source::KeyRate { label, .. }
        | Source::Since { label }
        | Source::Previous { label } => usize::from(label) == wanted,
    }
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
pub fn derive(d: &Description, fit: &Fit, spec: &Spec<'_>, raw: &RawLog) -> Vec<RawColumn> {
    derive_by(d, &all_boundaries(fit, spec), spec, raw)
}

/// [`derive`] with the boundaries of each feature, as an exported file has them too.
pub fn derive_by(
    d: &Description,
    boundaries: &[Vec<u8>],
    spec: &Spec<'_>,
    raw: &RawLog,
) -> Vec<RawColumn> {
    let mut columns: Vec<RawColumn> = d
        .toml
        .feature
        .iter()
        .map(|f| match f.kind {
            FeatureKind::LastIds => RawColumn::Lists {
                offsets: vec![0],
                ids: Vec::new(),
                weights: None,
            },
            kind if kind.is_derived() => RawColumn::Numbers(Vec::new()),
            _ => RawColumn::None,
        })
        .collect();
    for_each_state(d, boundaries, spec, raw, &mut |request, rows, state| {
        let (state, now) = (Some(state), raw.time[request]);
        // Of features known in training alone the spec may have none, and none is derived.
        for (i, (column, feature)) in columns.iter_mut().zip(&spec.features).enumerate() {
            match (column, feature.source) {
                (RawColumn::Lists { offsets, ids, .. }, Source::LastIds { .. }) => {
                    ids.extend(features::last_ids(spec, state, i));
                    offsets.push(ids.len() as u32);
                }
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
    });
    columns
}

fn all_boundaries(fit: &Fit, spec: &Spec<'_>) -> Vec<Vec<u8>> {
    let features = 0..spec.features.len();
    features.map(|i| fit.boundaries(i)).collect()
}

/// The data set of a log under a fit; `derived` from [`Fit::learn`] or [`derive`].
pub fn encode(
    d: &Description,
    fit: &Fit,
    spec: &Spec<'_>,
    raw: &RawLog,
    derived: &[RawColumn],
) -> Dataset {
    let vocabularies: Vec<_> = fit.tables.iter().map(|t| t.open()).collect();
    let row_of = |_: usize, table: u8, key: Option<u64>, default_row: u32| {
        let index = usize::from(table);
        features::table_row(
            &spec.tables[index],
            vocabularies[index].as_ref(),
            key,
            default_row,
        )
        .0
    };
    Dataset {
        features: encode_by(d, spec, &all_boundaries(fit, spec), raw, derived, &row_of),
        ..labels(d, raw)
    }
}

/// One value of a number feature.
pub fn number(fit: &Fit, spec: &Spec<'_>, feature: usize, x: f32) -> FeatureData {
    match spec.features[feature].encoding {
        Encoding::Number {
            transform,
            value,
            buckets,
            ..
        } => {
            let bucket = |_| features::bucket_row(&transform, &fit.boundaries(feature), x);
            FeatureData::Numbers {
                values: value.iter().map(|_| transform.apply(x)).collect(),
                buckets: buckets.iter().map(bucket).collect(),
            }
        }
        _ => FeatureData::Rows(Vec::new()),
    }
}

/// The row that a feature's table has for a key: feature, table, key, row of a missing key.
pub type RowOf<'r> = dyn Fn(usize, u8, Option<u64>, u32) -> u32 + 'r;

/// The features of a log, with the boundaries and rows of a fit or of an exported file.
pub fn encode_by(
    d: &Description,
    spec: &Spec<'_>,
    boundaries: &[Vec<u8>],
    raw: &RawLog,
    derived: &[RawColumn],
    row_of: &RowOf<'_>,
) -> Vec<FeatureData> {
    spec.features
        .iter()
        .enumerate()
        .map(|(i, f)| {
            let described = &d.toml.feature[i];
            let kind = d.id_kind(described);
            let column = if described.kind.is_derived() {
                &derived[i]
            } else {
                &raw.features[i]
            };
            match (f.encoding, column) {
                (Encoding::Row { table, default_row }, RawColumn::Ids(ids)) => FeatureData::Rows(
                    ids.iter()
                        .map(|id| row_of(i, table, key_of(*id, kind), default_row))
                        .collect(),
                ),
                (Encoding::Row { table, default_row }, _) => {
                    let Source::Cross { left, right } = f.source else {
                        return FeatureData::Rows(Vec::new());
                    };
                    let of =
                        |key: u8, row: u32| row_key(raw, spec, boundaries, usize::from(key), row);
                    let cross = |row: u32| {
                        let key = of(left, row)
                            .zip(of(right, row))
                            .map(|(a, b)| features::hash_cross(a, b));
                        row_of(i, table, key, default_row)
                    };
                    if f.side == Side::User {
                        FeatureData::Rows(first_rows(raw).map(cross).collect())
                    } else {
                        FeatureData::Rows((0..raw.rows() as u32).map(cross).collect())
                    }
                }
                (
                    Encoding::Rows { table, max_len, .. },
                    RawColumn::Lists {
                        offsets,
                        ids,
                        weights,
                    },
                ) => {
                    let (mut cut, mut rows, mut q) =
                        (vec![0], Vec::new(), weights.as_ref().map(|_| Vec::new()));
                    for pair in offsets.windows(2) {
                        let (start, end) = (pair[0] as usize, pair[1] as usize);
                        let end = end.min(start + usize::from(max_len));
                        let is_key = described.kind.is_derived();
                        let key = |id: &u64| if is_key { Some(*id) } else { key_of(*id, kind) };
                        rows.extend(
                            ids[start..end]
                                .iter()
                                .map(|id| row_of(i, table, key(id), 0)),
                        );
                        if let (Some(q), Some(weights)) = (&mut q, weights) {
                            q.extend(q15(&weights[start..end]));
                        }
                        cut.push(rows.len() as u32);
                    }
                    FeatureData::Lists {
                        offsets: cut,
                        rows,
                        weights: q,
                    }
                }
                (
                    Encoding::Number {
                        transform,
                        default,
                        value,
                        buckets,
                    },
                    RawColumn::Numbers(x),
                ) => {
                    let network = |x: &f32| transform.apply(if x.is_nan() { default } else { *x });
                    let bucket = |x: &f32| features::bucket_row(&transform, &boundaries[i], *x);
                    FeatureData::Numbers {
                        values: value
                            .map(|_| x.iter().map(network).collect())
                            .unwrap_or_default(),
                        buckets: buckets
                            .map(|_| x.iter().map(bucket).collect())
                            .unwrap_or_default(),
                    }
                }
                (Encoding::Vector { grid, .. }, RawColumn::Vectors(bytes)) => {
                    let byte = |b: &u8| if *b == u8::MAX { grid.zero_point } else { *b };
                    FeatureData::Vectors(bytes.iter().map(byte).collect())
                }
                _ => FeatureData::Rows(Vec::new()),
            }
        })
        .collect()
}

/// Labels and groups of a log, without features.
pub fn labels(d: &Description, raw: &RawLog) -> Dataset {
    Dataset {
        features: Vec::new(),
        request: raw.request.clone(),
        time: raw.time.clone(),
        tasks: (0..d.toml.task.len())
            .map(|t| task_data(d, raw, t))
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
fn task_data(d: &Description, raw: &RawLog, task: usize) -> TaskData {
    let t = &d.toml.task[task];
    let label = d.label(t.label().get_ref()).unwrap_or(0);
    let l = &d.toml.label[label];
    let window = l.window.unwrap_or(l.delay) as i64;
    let end = raw.time.last().copied().unwrap_or(0);
    let timed = d.toml.data.time.is_some();
    let given = t.space.as_ref().and_then(|s| d.task(s.get_ref()));
    let given = given.map(|g| task_data(d, raw, g));
    let label_space = t.space.as_ref().filter(|s| d.task(s.get_ref()).is_none());
    let label_space = label_space.and_then(|s| d.label(s.get_ref()));
    let mut data = TaskData::default();
    for row in 0..raw.rows() {
        let value = raw.labels[label].values[row];
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
