//! `[data]`: the log, its side tables, and which of its rows are reported on.
use std::path::{Path, PathBuf};
use std::prelude::v1::*;

use serde::Deserialize;
use toml::Spanned;

use super::{Description, Named, OneOrMore};
use crate::train::log::time::milliseconds;

/// `[data]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Log files.
    pub path: OneOrMore,
    /// Column that keys the user state.
    pub user: Option<Named>,
    /// Column that separates lists.
    pub request: Option<Named>,
    /// Integer column that rows are ordered by.
    pub time: Option<Named>,
    /// Its unit.
    #[serde(default)]
    pub time_unit: TimeUnit,
    /// Filter of valid impressions.
    pub valid: Option<Named>,
    /// Rows that are reported on.
    #[serde(default)]
    pub validation: Validation,
    /// Cells that mean missing, besides empty ones.
    #[serde(default)]
    pub null: Vec<String>,
    /// Side tables.
    #[serde(default)]
    pub join: Vec<Join>,
    /// Columns computed from the time.
    #[serde(default)]
    pub columns: std::collections::BTreeMap<String, Computed>,
    /// Malformed rows that are set aside before the log is refused.
    #[serde(default)]
    pub max_bad_rows: u64,
}

/// `validation = { .. }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    /// Rows from this time on, as the log writes times.
    pub from: Option<Spanned<toml::Value>>,
    /// Share of requests, by time.
    pub last: Option<f64>,
    /// Another log, read after the first.
    pub path: Option<String>,
    /// Rows that a filter picks.
    #[serde(rename = "where")]
    pub filter: Option<Named>,
}

impl Default for Validation {
    fn default() -> Self {
        Self {
            from: None,
            last: Some(0.1),
            path: None,
            filter: None,
        }
    }
}

/// `[[data.join]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// Side table.
    pub path: Spanned<String>,
    /// Column that both have.
    pub key: JoinKey,
    /// Columns to add; all but the key if absent.
    pub columns: Option<Vec<String>>,
}

/// `key = ..` of a join.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum JoinKey {
    /// The same name on both sides.
    Same(String),
    /// A name on each side.
    Each {
        /// The log's.
        log: String,
        /// The side table's.
        table: String,
    },
}

impl JoinKey {
    /// The log's column.
    pub fn log(&self) -> &str {
        match self {
            JoinKey::Same(name) | JoinKey::Each { log: name, .. } => name,
        }
    }
    /// The side table's column.
    pub fn table(&self) -> &str {
        match self {
            JoinKey::Same(name) | JoinKey::Each { table: name, .. } => name,
        }
    }
}

/// A column of `[data.columns]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Computed {
    /// Time column.
    pub of: Named,
    /// What of it.
    pub part: TimePart,
    /// Local time minus UTC.
    #[serde(default)]
    pub offset_hours: f64,
}

/// A part of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimePart {
    /// 0..=23.
    Hour,
    /// 0 (Monday) ..= 6.
    Weekday,
}

/// Unit of the time column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum TimeUnit {
    /// Seconds.
    #[default]
    #[serde(rename = "s")]
    Seconds,
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milliseconds,
    /// `2023-02-23T07:45:40` in UTC; a blank for the `T`, no time of day, fractions and a final `Z` are allowed.
    #[serde(rename = "iso")]
    Iso,
}

impl Description {
    /// A path of the description: `data` replaces the folder (if a folder) or the one log file; else it is relative
    /// to the description.
    pub fn resolve(&self, path: &str, data: Option<&Path>) -> PathBuf {
        match data {
            Some(data) if data.is_dir() => {
                data.join(Path::new(path).file_name().unwrap_or(path.as_ref()))
            }
            Some(data) => data
                .parent()
                .unwrap_or(Path::new(""))
                .join(Path::new(path).file_name().unwrap_or_default()),
            None => self.file.parent().unwrap_or(Path::new("")).join(path),
        }
    }

    /// The log files.
    pub fn logs(&self, data: Option<&Path>) -> Vec<PathBuf> {
        match data {
            Some(file) if !file.is_dir() => vec![file.to_path_buf()],
            _ => self
                .toml
                .data
                .path
                .list()
                .iter()
                .map(|p| self.resolve(p, data))
                .collect(),
        }
    }

    /// Where validation begins, Unix milliseconds.
    pub(crate) fn validation_from_ms(&self) -> Option<i64> {
        let text = match self.toml.data.validation.from.as_ref()?.get_ref() {
            toml::Value::String(text) => text.clone(),
            value => format!("{value}"),
        };
        milliseconds(text.as_bytes(), self.toml.data.time_unit)
    }
}
