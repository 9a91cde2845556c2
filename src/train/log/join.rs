//! Side tables in memory, found by key.
use std::path::{Path, PathBuf};
use std::prelude::v1::*;

use csv::ByteRecord;
use rustc_hash::FxHashMap;

use super::source::{Source, Wanted};
use crate::train::description::{Description, Join};
use crate::train::error::{Error, Kind, Result, near_misses};

/// The columns of a side table that the description names.
pub(super) struct SideTable {
    /// The file.
    pub path: PathBuf,
    /// Names of the columns kept, in the order of the file.
    pub names: Vec<String>,
    /// Names of all columns that the description could have named.
    pub offered: Vec<String>,
    rows: FxHashMap<Box<[u8]>, u32>,
    cells: Vec<u8>,
    /// End of each cell in `cells`, row by row.
    ends: Vec<usize>,
}

impl SideTable {
    /// Reads the side table of `join` from `path`, keeping the columns that are wanted.
    pub fn read(d: &Description, join: &Join, path: &Path, wanted: &Wanted<'_>) -> Result<Self> {
        let key_too = |name: &str| name == join.key.table() || (wanted.names)(name);
        let with_key = Wanted {
            names: &key_too,
            separator: wanted.separator,
            time_unit: wanted.time_unit,
        };
        let mut source = Source::open(path, &with_key)?;
        let find = |source: &Source, name: &str| {
            source.header.iter().position(|n| n == name).ok_or_else(|| {
                let near = near_misses(name, source.header.iter().map(String::as_str));
                let message = format!("no column \"{name}\" in {}{near}", path.display());
                d.mistake(&join.path, message)
            })
        };
        let key = find(&source, join.key.table())?;
        let mut kept = Vec::new();
        match &join.columns {
            Some(columns) => {
                for column in columns {
                    kept.push(find(&source, column)?);
                }
            }
            None => kept.extend((0..source.header.len()).filter(|at| *at != key)),
        }
        let name = |at: &usize| source.header[*at].clone();
        let offered = kept.iter().map(name).collect();
        kept.retain(|at| (wanted.names)(&source.header[*at]));
        kept.sort_unstable();
        kept.dedup();
        let mut table = Self {
            path: path.to_path_buf(),
            names: kept.iter().map(name).collect(),
            offered,
            rows: FxHashMap::default(),
            cells: Vec::new(),
            ends: Vec::new(),
        };
        let mut record = ByteRecord::new();
        while let Some((line, row)) = source.next(&mut record)? {
            let bad = |message: String| Err(Error::at_line(Kind::Data, path, line, message));
            if let Err(message) = row {
                return bad(message);
            }
            let index = table.rows.len() as u32;
            let key = record.get(key).unwrap_or_default().trim_ascii();
            if key.is_empty() {
                return bad(format!(
                    "the key \"{}\" is empty; remove the row",
                    join.key.table()
                ));
            }
            if table.rows.insert(key.into(), index).is_some() {
                let key = String::from_utf8_lossy(key).into_owned();
                return bad(format!(
                    "a second row for the key \"{key}\"; a side table has one"
                ));
            }
            for at in &kept {
                table
                    .cells
                    .extend_from_slice(record.get(*at).unwrap_or_default());
                table.ends.push(table.cells.len());
            }
        }
        Ok(table)
    }

    /// Row of `key`.
    pub fn row(&self, key: &[u8]) -> Option<u32> {
        self.rows.get(key).copied()
    }

    /// Cell of a row that [`Self::row`] gave.
    pub fn cell(&self, row: u32, column: usize) -> &[u8] {
        let at = row as usize * self.names.len() + column;
        let before = at.checked_sub(1).and_then(|before| self.ends.get(before));
        let start = before.copied().unwrap_or(0);
        self.ends
            .get(at)
            .and_then(|end| self.cells.get(start..*end))
            .unwrap_or_default()
    }
}
