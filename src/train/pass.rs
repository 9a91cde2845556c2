//! The feature pass: a log in time order through user states into a [`Dataset`].
//!
//! A user's state is frozen when a request comes: it has seen exactly the labels whose arrival time is strictly before
//! the request's. Rows of one request never see each other.
use std::prelude::v1::*;

use crate::features;
use crate::spec::{Encoding, IdType, Lookup, Side, Source, Spec};
use crate::train::dataset::{Dataset, FeatureData, Split, TaskData};
use crate::train::description::{Description, FeatureKind, IdKind, StopOn};
use crate::train::error::{Error, Kind, Result};
use crate::train::fit::Fit;
use crate::train::log::{Chunk, RawColumn, RawLog, key_of, q15};

mod blocks;
mod states;
pub use states::States;

/// What a row is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Gradients.
    Train,
    /// Stopping.
    Stop,
    /// The report.
    Validation,
}

/// Which requests do what.
pub struct Splitter {
    held: Vec<bool>,
    /// Trained requests after which they are held out for stopping.
    stop_from: u32,
    seen: u32,
    last: Option<u32>,
}

impl Splitter {
    /// From the requests of which a row is picked for validation, one by one.
    ///
    /// # Errors
    /// [`Kind::Description`] for an unknown `stop_on`.
    pub fn new(d: &Description, mut held: Vec<bool>, validation_from: Option<u32>) -> Result<Self> {
        let requests = held.len() as u32;
        let cut = |share: f64, of: u32| of - (libm::round(f64::from(of) * share) as u32).min(of);
        let from = match (d.toml.data.validation.last, validation_from) {
            (_, Some(from)) => Some(from),
            (Some(share), None) => Some(cut(share, requests)),
            (None, None) => None,
        };
        if let Some(late) = from.and_then(|from| held.get_mut(from as usize..)) {
            late.fill(true);
        }
        let train_requests = held.iter().filter(|h| !**h).count() as u32;
        let stop_from = match &d.toml.train.stop_on {
            StopOn::Last { last } => cut(*last, train_requests),
            StopOn::Name(name) if name == "validation" || name == "none" => train_requests,
            StopOn::Name(name) => {
                let message = format!(
                    "unknown stop_on \"{name}\"; {{ last = share }}, \"validation\" or \"none\""
                );
                return Err(Error::in_file(Kind::Description, &d.file, message));
            }
        };
        Ok(Self {
            held,
            stop_from,
            seen: 0,
            last: None,
        })
    }

    /// The part of the next row, which is of `request`. Rows are asked for in log order.
    pub fn part(&mut self, request: u32) -> Part {
        if self.held[request as usize] {
            return Part::Validation;
        }
        if self.last != Some(request) {
            self.seen += 1;
            self.last = Some(request);
        }
        if self.seen > self.stop_from {
            Part::Stop
        } else {
            Part::Train
        }
    }

    /// From the first row again.
    pub fn rewind(&mut self) {
        (self.seen, self.last) = (0, None);
    }
}

/// Which rows do what, before anything is learned.
///
/// # Errors
/// [`Kind::Data`] if a part that must not be empty is.
pub fn split(d: &Description, raw: &RawLog) -> Result<Split> {
    // A request is held out as a whole if one of its rows is.
    let mut held = vec![false; raw.requests()];
    for (request, picked) in raw.request.iter().zip(&raw.validation) {
        held[*request as usize] |= picked;
    }
    let mut splitter = Splitter::new(d, held, raw.validation_from)?;
    let mut split = Split::default();
    for (row, request) in (0..).zip(&raw.request) {
        split.push(splitter.part(*request), row);
    }
    split.close(d)?;
    Ok(split)
}

impl Split {
    pub(crate) fn push(&mut self, part: Part, row: u32) {
        let rows = match part {
            Part::Train => &mut self.train,
            Part::Stop => &mut self.stop,
            Part::Validation => &mut self.validation,
        };
        rows.push(row);
    }

    pub(crate) fn close(&mut self, d: &Description) -> Result<()> {
        if matches!(&d.toml.train.stop_on, StopOn::Name(name) if name == "validation") {
            self.stop.clone_from(&self.validation);
        }
        if self.train.is_empty() {
            return Err(Error::in_file(
                Kind::Data,
                &d.file,
                "no training row is left by validation and stop_on",
            ));
        }
        Ok(())
    }
}

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

/// The data set of a log under a fit; `derived` from [`Fit::learn`] or [`derive()`].
pub fn encode(
    d: &Description,
    fit: &Fit,
    spec: &Spec<'_>,
    raw: &RawLog,
    derived: &[RawColumn],
) -> Dataset {
    let end = raw.time.last().copied().unwrap_or(0);
    encode_until(d, fit, spec, raw, derived, end)
}

/// [`encode`] of a part of a log that ends at `end`.
pub(crate) fn encode_until(
    d: &Description,
    fit: &Fit,
    spec: &Spec<'_>,
    raw: &RawLog,
    derived: &[RawColumn],
    end: i64,
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
        ..labels_by(d, raw, end)
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
            let column = if described.kind.is_computed() {
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
                    let of = |part: u8, row: u32| {
                        let part = usize::from(part);
                        match spec.features[part].encoding {
                            Encoding::Number { transform, .. } => {
                                let x = computed(spec, raw, derived, part, row as usize);
                                let bucket = features::bucket_row(&transform, &boundaries[part], x);
                                Some(features::hash_int(u64::from(bucket)))
                            }
                            _ => row_key(raw, spec, boundaries, part, row),
                        }
                    };
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
                // A table that the server keeps: its rows are those of the ids all the same.
                (Encoding::Vector { .. }, RawColumn::Ids(ids)) => FeatureData::Rows(
                    ids.iter()
                        .map(|id| row_of(i, u8::MAX, key_of(*id, kind), 0))
                        .collect(),
                ),
                _ => FeatureData::Rows(Vec::new()),
            }
        })
        .collect()
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
    let label = d.label(t.label().get_ref()).unwrap_or(0);
    let l = &d.toml.label[label];
    let window = l.window.unwrap_or(l.delay) as i64;
    let timed = d.toml.data.time.is_some();
    let given = t.space.as_ref().and_then(|s| d.task(s.get_ref()));
    let given = given.map(|g| task_data(d, raw, g, end));
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
