//! Reading logs: rows of CSV or Parquet files become compact columns, each row checked, each refusal with its file and line.
//!
//! Rows are read once. What the description does not name is never kept: a row costs 8 bytes an id, 4 a number, 12 a
//! label and some 30 of bookkeeping. A malformed row leaves nothing behind; up to `max_bad_rows` of them are set aside
//! and counted, one more ends the reading.
use std::path::{Path, PathBuf};
use std::prelude::v1::*;

use rustc_hash::FxHashMap;
use serde::Serialize;

mod carried;
mod file;
mod join;
pub(crate) mod parquet;
mod row;
pub(crate) mod source;
pub(crate) mod time;
mod values;

use crate::engine::Column;
use crate::features::{hash_int, weight_q15};
#[cfg(doc)]
use crate::train::dataset::TaskData;
use crate::train::description::{Description, FeatureKind, IdKind};
use crate::train::error::{Error, Kind, Result};
use file::FileReader;
use join::SideTable;
use source::Wanted;

/// Rows of a log that is read for its text ids alone, at a time.
const TEXT_ROWS: usize = 1 << 16;

/// Raw values of one feature: one a request for `user` features, one a row for all others.
#[derive(Clone, Debug)]
pub enum RawColumn {
    /// A derived feature or a cross: no column.
    None,
    /// Ids as the engine takes them: integers, or hashes of text. [`Column::NO_ID`] is missing.
    Ids(Vec<u64>),
    /// Lists of ids, cut to the feature's `max_len`.
    Lists {
        /// Number of lists + 1.
        offsets: Vec<u32>,
        /// All ids.
        ids: Vec<u64>,
        /// A weight an id.
        weights: Option<Vec<f32>>,
    },
    /// Numbers; NaN is missing.
    Numbers(Vec<f32>),
    /// `dim` bytes a value; all 255 is missing.
    Vectors(Vec<u8>),
}

/// One label of every row.
#[derive(Clone, Debug, Default)]
pub struct LabelColumn {
    /// NaN where it is unknown.
    pub values: Vec<f32>,
    /// When it becomes known, Unix seconds, rounded up: never before it was.
    pub arrival: Vec<i64>,
}

/// A log in memory, before anything is learned from it.
#[derive(Debug, Default)]
pub struct RawLog {
    /// By feature of the description.
    pub features: Vec<RawColumn>,
    /// By label of the description.
    pub labels: Vec<LabelColumn>,
    /// By task of the description: rows in its sample space, before the label's own availability.
    pub spaces: Vec<Vec<bool>>,
    /// By task of the description: the weight of each row in its loss; empty if all weigh 1.
    pub weights: Vec<Vec<f32>>,
    /// By task of the description: what its teacher says of each row ([`TaskData::teacher`]); empty without one.
    pub teachers: Vec<Vec<f32>>,
    /// Request of each row.
    pub request: Vec<u32>,
    /// User of each request, hashed; [`RawLog::NOBODY`] without a user column or for an empty cell.
    pub user: Vec<u64>,
    /// Unix seconds of each request; 0 without a time column.
    pub time: Vec<i64>,
    /// The request column's cell of each request, or its number.
    pub name: Vec<String>,
    /// Rows to report on; all false if the split is by share.
    pub validation: Vec<bool>,
    /// GAUC group of each row.
    pub gauc_group: Vec<u32>,
    /// Line of the log.
    pub line: Vec<u64>,
    /// Joins.
    pub joins: Vec<JoinReport>,
    /// Rows in all files: those kept and those set aside.
    pub rows_read: u64,
    /// Rows set aside as malformed: file and line with the reason, the first twenty.
    pub quarantined: Vec<String>,
    /// All rows set aside.
    pub quarantined_rows: u64,
    /// By feature: rows in which a user's value is not that of the request's first row, which counts.
    pub changing: Vec<u64>,
    /// First request of a validation log of its own, if there is one.
    pub validation_from: Option<u32>,
    /// By feature: text ids by their keys; only where [`texts`] asks for them.
    texts: Option<Vec<FxHashMap<u64, String>>>,
}

/// What a join did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct JoinReport {
    /// Side table.
    pub path: String,
    /// Rows of the log that found theirs.
    pub matched: u64,
    /// Rows that did not: their joined cells are missing.
    pub unmatched: u64,
}

impl RawLog {
    /// The user of a request without one: no past, no future.
    pub const NOBODY: u64 = 0;

    /// Rows.
    pub fn rows(&self) -> usize {
        self.request.len()
    }
    /// Requests.
    pub fn requests(&self) -> usize {
        self.user.len()
    }

    /// Forgets all rows, keeping the counts and the room.
    fn clear(&mut self) {
        for column in &mut self.features {
            column.truncate(0, 0);
        }
        for label in &mut self.labels {
            label.values.clear();
            label.arrival.clear();
        }
        self.spaces.iter_mut().for_each(Vec::clear);
        self.weights.iter_mut().for_each(Vec::clear);
        self.teachers.iter_mut().for_each(Vec::clear);
        self.request.clear();
        self.user.clear();
        self.time.clear();
        self.name.clear();
        self.validation.clear();
        self.gauc_group.clear();
        self.line.clear();
    }
}

/// Whole requests of a log, and how much of it came before them.
pub struct Chunk<'c> {
    /// Their rows; requests and GAUC groups count, but `request` numbers from 0 here.
    pub raw: &'c RawLog,
    /// Rows before.
    pub rows_before: usize,
    /// Requests before.
    pub requests_before: usize,
}

/// Takes whole requests in log order.
pub type TakeChunk<'t> = dyn FnMut(&Chunk<'_>) -> Result<()> + 't;

/// Reads the logs of a description; `data` as in [`Description::logs`].
///
/// # Errors
/// [`Kind::Io`]; [`Kind::Description`] for columns that do not exist; [`Kind::Data`] with file and line for malformed
/// rows once there are more than `max_bad_rows`.
pub fn read(d: &Description, data: Option<&Path>) -> Result<RawLog> {
    // No log is that long, so that no part is ever taken from it.
    read_by(d, data, usize::MAX, None, &mut |_| Ok(()))
}

/// By feature: the text ids of a log by their keys, where the server keeps the table.
///
/// # Errors
/// Those of [`read`].
pub(crate) fn texts(d: &Description, data: Option<&Path>) -> Result<Vec<FxHashMap<u64, String>>> {
    let none = vec![FxHashMap::default(); d.toml.feature.len()];
    let log = read_by(d, data, TEXT_ROWS, Some(none), &mut |_| Ok(()))?;
    Ok(log.texts.unwrap_or_default())
}

/// Gives the log to `take` in parts of at least `rows` rows, whole requests each, and forgets them. What is returned has no
/// rows any more, but the counts of all of them.
///
/// # Errors
/// Those of [`read`] and of `take`.
pub fn read_in_chunks(
    d: &Description,
    data: Option<&Path>,
    rows: usize,
    take: &mut TakeChunk<'_>,
) -> Result<RawLog> {
    read_by(d, data, rows, None, take)
}

fn read_by(
    d: &Description,
    data: Option<&Path>,
    chunk_rows: usize,
    texts: Option<Vec<FxHashMap<u64, String>>>,
    take: &mut TakeChunk<'_>,
) -> Result<RawLog> {
    let toml = &d.toml;
    let mut wanted = row::names(d);
    wanted.sort_unstable();
    wanted.dedup();
    let separators = separators(d);
    let separator = |name: &str| {
        let of = separators.iter().find(|(column, _)| *column == name);
        of.map_or(b"|".to_vec(), |(_, separator)| {
            separator.as_bytes().to_vec()
        })
    };
    let wanted = Wanted {
        names: &|name| wanted.binary_search(&name).is_ok(),
        separator: &separator,
        time_unit: toml.data.time_unit,
    };
    let mut sides = Vec::new();
    for join in &toml.data.join {
        let path = d.resolve(join.path.get_ref(), data);
        let side = SideTable::read(d, join, &path, &wanted)?;
        sides.push(side);
    }
    let mut log = RawLog {
        features: toml.feature.iter().map(values::empty).collect(),
        labels: vec![LabelColumn::default(); toml.label.len()],
        spaces: vec![Vec::new(); toml.task.len()],
        weights: vec![Vec::new(); toml.task.len()],
        teachers: vec![Vec::new(); toml.task.len()],
        changing: vec![0; toml.feature.len()],
        texts,
        ..RawLog::default()
    };
    let paths = sides.iter().map(|side| side.path.display().to_string());
    log.joins = paths
        .map(|path| JoinReport {
            path,
            ..JoinReport::default()
        })
        .collect();
    let mut carried = carried::Carried::new(chunk_rows, take);
    for path in d.logs(data) {
        FileReader::new(d, &sides, &mut log, &mut carried).read(&path, &wanted)?;
    }
    if let Some(path) = &toml.data.validation.path {
        log.validation_from = Some(carried.requests(&log));
        let path = d.resolve(path, data);
        FileReader::new(d, &sides, &mut log, &mut carried).read(&path, &wanted)?;
    }
    if carried.rows_before + log.rows() == 0 {
        let path: PathBuf = d.logs(data).first().cloned().unwrap_or_default();
        let message = "no row; a log has at least one";
        return Err(Error::in_file(Kind::Data, &path, message));
    }
    if chunk_rows < usize::MAX {
        carried.take(&mut log)?;
    }
    Ok(log)
}

/// Columns of lists, and what stands between two elements.
fn separators(d: &Description) -> Vec<(&str, &str)> {
    let lists = d.toml.feature.iter().flat_map(|f| {
        let separator = f.separator.as_deref().unwrap_or("|");
        let weights = f.weights.iter().map(|w| w.get_ref().as_str());
        weights
            .chain([f.column()])
            .map(move |column| (column, separator))
    });
    lists.collect()
}

impl Description {
    /// Whether a feature's text ids are written into a table of the server.
    fn is_text_of_server(&self, feature: usize) -> bool {
        let f = &self.toml.feature[feature];
        f.kind == FeatureKind::Id && self.id_kind(f) == IdKind::String && self.is_server(f.table())
    }

    /// How the ids of a feature's table are written. Features that share a table agree (checked).
    pub(crate) fn id_kind(&self, f: &crate::train::description::Feature) -> IdKind {
        let table = self
            .toml
            .table
            .iter()
            .find(|t| t.name.get_ref() == f.table())
            .and_then(|t| t.id_type);
        let own = self
            .toml
            .feature
            .iter()
            .filter(|g| g.kind != FeatureKind::Cross && g.table() == f.table())
            .find_map(|g| g.id_type);
        f.id_type.or(table).or(own).unwrap_or(IdKind::Int)
    }
}

/// The key by which an id is looked up; `None` if it is missing.
pub(crate) fn key_of(id: u64, kind: IdKind) -> Option<u64> {
    match (id, kind) {
        (Column::NO_ID, _) => None,
        (id, IdKind::Int) => Some(hash_int(id)),
        (hash, IdKind::String) => Some(hash),
    }
}

/// Q15 weights of a list column.
pub(crate) fn q15(weights: &[f32]) -> Vec<u16> {
    weights.iter().map(|w| weight_q15(*w)).collect()
}

#[cfg(test)]
mod tests;
