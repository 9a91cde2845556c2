//! Tables that the server keeps: their rows travel with the candidates, as `vector` features, instead of with the file.
//!
//! ```text
//! trained model -> apart -> model without the tables, whose features on them are vectors
//!                        -> rows on one grid a table -> FILE.TABLE.csv: id,key,vector,model
//! ```
//!
//! One grid for all dimensions of a table, since a vector has one. A server joins by `id` and sends the bytes; what replays
//! a log here joins by `key` and sends the same ones.
//!
//! Invariant: a file and its tables are of one export: every line names the digest of its file.
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::prelude::v1::*;

use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::engine::Model;
use crate::features::{Vocabulary, hash_int, hash_text};
use crate::spec::{Encoding, Grid, Spec};
use crate::train::description::{DefaultValue, Description, FeatureKind, IdKind};
use crate::train::error::{Error, Kind, Result};
use crate::train::log::source::{Source, Wanted};
use crate::train::log::{self, RawColumn, RawLog, key_of};
use crate::train::parameters::Parameters;
use crate::train::quantize::Lookups;

/// The header of a table's file.
const HEADER: [&str; 4] = ["id", "key", "vector", "model"];
/// Between the bytes of a vector, as in a log.
const SEPARATOR: &str = "|";
/// The largest activation byte.
const U7_MAX: f64 = 127.0;

/// The rows of one table, as bytes on its grid.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerTable {
    /// Its name.
    pub name: String,
    /// Bytes of a row.
    pub dim: usize,
    /// What the bytes mean; the file's features have the same.
    pub grid: Grid,
    /// `[rows, dim]`; row 0 is that of ids outside the vocabulary.
    pub bytes: Vec<u8>,
    /// The row of each key.
    pub rows: FxHashMap<u64, u32>,
    /// The id of each key as the log writes it, as far as that has it.
    pub ids: FxHashMap<u64, String>,
}

/// A written table, for the report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Written {
    /// The table's name.
    pub table: String,
    /// Its file.
    pub file: PathBuf,
    /// Rows, that of ids outside the vocabulary included.
    pub rows: usize,
    /// Bytes of a row.
    pub dim: usize,
    /// Rows whose id the log does not have, so that only their key is there.
    pub without_id: usize,
}

/// A model without the tables that the server keeps.
pub struct Apart<'a> {
    /// Features on those tables are vectors.
    pub spec: Box<Spec<'a>>,
    /// Without their rows. The dense layers are as they were: a vector has as many inputs as a row.
    pub parameters: Parameters<f32>,
    /// Without their vocabularies.
    pub lookups: Lookups,
    /// The tables, and which features send their rows.
    pub vectors: Vectors,
}

/// The rows that are sent with requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vectors {
    /// The tables.
    pub tables: Vec<ServerTable>,
    /// By feature: its table, and the row of a missing id. Features of no such table may be left out at the end.
    features: Vec<Option<(usize, u32)>>,
}

impl Vectors {
    /// The row of an id; `None` for a feature without such a table.
    pub fn row(&self, feature: usize, key: Option<u64>) -> Option<u32> {
        let (table, default_row) = (*self.features.get(feature)?)?;
        let rows = &self.tables[table].rows;
        Some(match key {
            Some(key) => rows.get(&key).copied().unwrap_or(0),
            None => default_row,
        })
    }

    /// The bytes that a server sends for an id; `None` for a feature without such a table.
    pub fn of(&self, feature: usize, key: Option<u64>) -> Option<&[u8]> {
        let row = self.row(feature, key)?;
        let (table, _) = (*self.features.get(feature)?)?;
        let table = &self.tables[table];
        Some(&table.bytes[row as usize * table.dim..][..table.dim])
    }

    /// The tables beside a model file, which `model` was opened from.
    ///
    /// # Errors
    /// [`Kind::Io`] for a table that is not there; [`Kind::Data`] for one that is damaged or of another export.
    pub fn open(d: &Description, model: &Model<'_>, file: &Path) -> Result<Self> {
        let mut vectors = Self::default();
        let features = d.toml.feature.iter().zip(&model.spec().features);
        for (f, served) in features {
            let Encoding::Vector { dim, grid } = served.encoding else {
                vectors.features.push(None);
                continue;
            };
            if f.kind != FeatureKind::Id {
                vectors.features.push(None);
                continue;
            }
            let name = f.table();
            let known = vectors.tables.iter().position(|t| t.name == name);
            let table = match known {
                Some(table) => table,
                None => {
                    let digest = format!("{:016x}", model.digest());
                    let path = path_of(file, name);
                    let of = (usize::from(dim), grid, d.id_kind(f));
                    let table = ServerTable::read(&path, name, of, &digest)?;
                    vectors.tables.push(table);
                    vectors.tables.len() - 1
                }
            };
            let default = f.default.as_ref().map_or(0, |default| {
                let rows = &vectors.tables[table].rows;
                let key = default_key(default, d.id_kind(f));
                rows.get(&key).copied().unwrap_or(0)
            });
            vectors.features.push(Some((table, default)));
        }
        Ok(vectors)
    }

    /// Notes how the log writes the ids of the tables.
    ///
    /// # Errors
    /// Those of reading, for text ids, of which a read log has only the keys.
    pub fn name_ids(&mut self, d: &Description, raw: &RawLog, data: Option<&Path>) -> Result<()> {
        let mut texts = None;
        for (i, at) in self.features.iter().enumerate() {
            let Some((table, _)) = *at else { continue };
            let ServerTable { rows, ids, .. } = &mut self.tables[table];
            let kind = d.id_kind(&d.toml.feature[i]);
            if kind == IdKind::Int {
                let RawColumn::Ids(column) = &raw.features[i] else {
                    continue;
                };
                for id in column {
                    if let Some(key) = key_of(*id, kind).filter(|key| rows.contains_key(key)) {
                        ids.entry(key).or_insert_with(|| (*id as i64).to_string());
                    }
                }
                continue;
            }
            if texts.is_none() {
                texts = Some(log::texts(d, data)?);
            }
            let texts = texts.iter_mut().flatten().nth(i);
            let texts = texts.map(core::mem::take).unwrap_or_default();
            ids.extend(texts.into_iter().filter(|(key, _)| rows.contains_key(key)));
        }
        Ok(())
    }
}

fn default_key(default: &DefaultValue, kind: IdKind) -> u64 {
    match (default, kind) {
        (DefaultValue::Text(text), _) => hash_text(text.as_bytes()),
        (DefaultValue::Number(x), _) => hash_int(*x as i64 as u64),
    }
}

/// The key of an id as the log writes it.
fn id_key(id: &str, kind: IdKind) -> Option<u64> {
    match kind {
        IdKind::Int => Some(hash_int(id.parse::<i64>().ok()? as u64)),
        IdKind::String => Some(hash_text(id.as_bytes())),
    }
}

/// Where the rows of a table of a model file are.
pub fn path_of(file: &Path, table: &str) -> PathBuf {
    let mut path = OsString::from(file.as_os_str());
    path.push(format!(".{table}.csv"));
    path.into()
}

/// Takes the tables that the description leaves to the server out of a model. `spec` is that of training, whose networks
/// of kind single the description refuses.
///
/// # Errors
/// [`Kind::Refused`] for rows that are not finite, [`Kind::Data`] for a damaged vocabulary.
pub fn apart<'a>(
    d: &Description,
    spec: &Spec<'a>,
    parameters: &Parameters<f32>,
    lookups: &Lookups,
) -> Result<Apart<'a>> {
    let mut new = Apart {
        spec: Box::new(spec.clone()),
        parameters: parameters.clone(),
        lookups: lookups.clone(),
        vectors: Vectors::default(),
    };
    new.vectors.features = vec![None; spec.features.len()];
    // From the back, so that places before it stay.
    for t in (0..spec.tables.len()).rev() {
        let table = &spec.tables[t];
        if !d.is_server(table.name) {
            continue;
        }
        let kept = ServerTable::of(
            table.name,
            usize::from(table.embedding_dim),
            &parameters.tables[t],
            &lookups.vocabularies[t],
        )?;
        let place = new.vectors.tables.len();
        for (i, feature) in new.spec.features.iter_mut().enumerate() {
            match &mut feature.encoding {
                Encoding::Row { table, default_row } if usize::from(*table) == t => {
                    new.vectors.features[i] = Some((place, *default_row));
                    feature.encoding = Encoding::Vector {
                        dim: kept.dim as u16,
                        grid: kept.grid,
                    };
                }
                Encoding::Row { table, .. }
                | Encoding::Rows { table, .. }
                | Encoding::Number {
                    buckets: Some(table),
                    ..
                } if usize::from(*table) > t => *table -= 1,
                _ => {}
            }
        }
        new.vectors.tables.push(kept);
        new.spec.tables.remove(t);
        new.parameters.tables.remove(t);
        new.lookups.vocabularies.remove(t);
    }
    Ok(new)
}

/// The grid of all of a table's values, and 0.
pub(crate) fn grid_of(values: &[f32]) -> Grid {
    let range = |(low, high): (f32, f32), x: &f32| (low.min(*x), high.max(*x));
    let (low, high) = values.iter().fold((0.0, 0.0), range);
    let range = f64::from(high) - f64::from(low);
    // A table of zeros has a grid too.
    let steps = if range > 0.0 { U7_MAX / range } else { 1.0 };
    let inv_scale = steps.clamp(1e-12, 1e12) as f32;
    let zero = libm::rint(-f64::from(low) * f64::from(inv_scale)).clamp(0.0, U7_MAX);
    Grid {
        inv_scale,
        zero_point: zero as u8,
    }
}

impl ServerTable {
    /// A trained table on one grid, which holds 0 and all of its values.
    fn of(name: &str, dim: usize, values: &[f32], vocabulary: &[u8]) -> Result<Self> {
        if values.iter().any(|x| !x.is_finite()) {
            let message = format!("table \"{name}\" has values that are not finite");
            return Err(Error::new(Kind::Refused, message));
        }
        let grid = grid_of(values);
        let steps = f64::from(grid.inv_scale);
        let zero = f64::from(grid.zero_point);
        let byte = |x: &f32| (libm::rint(f64::from(*x) * steps) + zero).clamp(0.0, U7_MAX) as u8;
        let num_keys = (values.len() / dim).saturating_sub(1) as u32;
        let open = Vocabulary::check(vocabulary, num_keys).map_err(|_| {
            let message =
                format!("the run's vocabulary of table \"{name}\" is damaged; train again");
            Error::new(Kind::Data, message)
        })?;
        Ok(Self {
            name: name.into(),
            dim,
            grid,
            bytes: values.iter().map(byte).collect(),
            rows: open.rows().collect(),
            ids: FxHashMap::default(),
        })
    }

    /// Rows, that of ids outside the vocabulary included.
    pub fn num_rows(&self) -> usize {
        self.bytes.len() / self.dim
    }

    /// The bytes of its file: a line a row in their order, for the model file of a digest.
    pub fn csv(&self, digest: &str) -> Vec<u8> {
        let mut keys: Vec<(u32, u64)> = self.rows.iter().map(|(key, row)| (*row, *key)).collect();
        keys.sort_unstable();
        let mut to = csv::WriterBuilder::new()
            .terminator(csv::Terminator::Any(b'\n'))
            .from_writer(Vec::new());
        let mut write = |cells: [&str; 4]| {
            // Into memory: nothing can fail.
            let _ = to.write_record(cells);
        };
        write(HEADER);
        let vector = |row: u32| {
            let bytes = &self.bytes[row as usize * self.dim..][..self.dim];
            let bytes: Vec<String> = bytes.iter().map(u8::to_string).collect();
            bytes.join(SEPARATOR)
        };
        write(["", "", &vector(0), digest]);
        for (row, key) in keys {
            let id = self.ids.get(&key).map_or("", String::as_str);
            write([id, &key.to_string(), &vector(row), digest]);
        }
        to.into_inner().unwrap_or_default()
    }

    /// What the report says of it.
    pub(crate) fn written(&self, file: &Path) -> Written {
        Written {
            table: self.name.clone(),
            file: path_of(file, &self.name),
            rows: self.num_rows(),
            dim: self.dim,
            without_id: self
                .rows
                .keys()
                .filter(|k| !self.ids.contains_key(k))
                .count(),
        }
    }

    fn read(
        path: &Path,
        name: &str,
        (dim, grid, kind): (usize, Grid, IdKind),
        digest: &str,
    ) -> Result<Self> {
        if !path.exists() {
            let message = format!(
                "not there; table \"{name}\" is the server's, and export writes its rows beside the model file: keep both together"
            );
            return Err(Error::in_file(Kind::Io, path, message));
        }
        let mut table = Self {
            name: name.into(),
            dim,
            grid,
            bytes: Vec::new(),
            rows: FxHashMap::default(),
            ids: FxHashMap::default(),
        };
        let mut source = Source::open(path, &Wanted::ALL)?;
        if source.header != HEADER {
            let message = format!(
                "its columns are {}; an export writes {}",
                source.header.join(","),
                HEADER.join(",")
            );
            return Err(Error::in_file(Kind::Data, path, message));
        }
        let mut record = csv::ByteRecord::new();
        while let Some((line, whole)) = source.next(&mut record)? {
            let wrong = |message: String| Error::at_line(Kind::Data, path, line, message);
            whole.map_err(wrong)?;
            let cell = |i: usize| core::str::from_utf8(&record[i]).unwrap_or_default();
            if cell(3) != digest {
                return Err(wrong(format!(
                    "its rows are of the model file {}, not of {digest}: file and tables are of one export",
                    cell(3)
                )));
            }
            let row = table.num_rows() as u32;
            let before = table.bytes.len();
            let bytes = cell(2).split(SEPARATOR).map(str::parse::<u8>);
            let bytes: core::result::Result<Vec<u8>, _> = bytes.collect();
            table.bytes.extend(bytes.unwrap_or_default());
            let added = &table.bytes[before..];
            if added.len() != dim || added.iter().any(|b| *b > 127) {
                return Err(wrong(format!(
                    "vector is \"{}\"; {dim} integers of 0 to 127, with \"{SEPARATOR}\" between them, are possible",
                    cell(2)
                )));
            }
            match (row, cell(1)) {
                (0, "") => {}
                (0, key) => {
                    let message = format!(
                        "key is \"{key}\"; the first row is that of unknown ids and has none"
                    );
                    return Err(wrong(message));
                }
                (_, key) => {
                    let parsed = key.parse::<u64>();
                    let parsed = parsed
                        .map_err(|_| wrong(format!("key is \"{key}\"; an integer of 64 bits")))?;
                    // A server joins by the id, what reads here by the key: they must not part.
                    if !cell(0).is_empty() && id_key(cell(0), kind) != Some(parsed) {
                        let message = format!("id \"{}\" does not have the key {key}", cell(0));
                        return Err(wrong(message));
                    }
                    if table.rows.insert(parsed, row).is_some() {
                        return Err(wrong(format!("key {key} is there twice")));
                    }
                }
            }
        }
        if table.bytes.is_empty() {
            return Err(Error::in_file(Kind::Data, path, "no row; export again"));
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests;
