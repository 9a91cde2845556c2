//! Raw values of one feature, compact: exactly what the app would send.
use std::prelude::v1::*;

use rustc_hash::FxHashMap;

use super::RawColumn;
use super::row::{At, Finder, Row};
use crate::engine::Column;
use crate::features::hash_text;
use crate::spec::Side;
use crate::train::description::{Feature, FeatureKind, IdKind, Task};
use crate::train::error::Result;
use crate::train::expression::{integer, number};

/// An empty column for a feature.
pub(super) fn empty(f: &Feature) -> RawColumn {
    match f.kind {
        FeatureKind::Id => RawColumn::Ids(Vec::new()),
        FeatureKind::Ids => RawColumn::Lists {
            offsets: vec![0],
            ids: Vec::new(),
            weights: f.weights.as_ref().map(|_| Vec::new()),
        },
        FeatureKind::Number => RawColumn::Numbers(Vec::new()),
        FeatureKind::Vector => RawColumn::Vectors(Vec::new()),
        _ => RawColumn::None,
    }
}

impl RawColumn {
    /// Forgets all values but the first `len`: a row that turned out malformed leaves nothing behind.
    pub(super) fn truncate(&mut self, len: usize, dim: usize) {
        match self {
            Self::None => {}
            Self::Ids(values) => values.truncate(len),
            Self::Lists {
                offsets,
                ids,
                weights,
            } => {
                offsets.truncate(len + 1);
                let end = offsets.last().map_or(0, |o| *o as usize);
                ids.truncate(end);
                weights.iter_mut().for_each(|w| w.truncate(end));
            }
            Self::Numbers(values) => values.truncate(len),
            Self::Vectors(bytes) => bytes.truncate(len * dim),
        }
    }
}

/// How the cells of one feature become values.
pub(super) struct Reader {
    name: String,
    at: At,
    weights: Option<At>,
    id_kind: IdKind,
    separator: Vec<u8>,
    max_len: usize,
    /// Bytes of a vector.
    pub dim: usize,
    /// One value a request.
    pub user: bool,
}

impl Reader {
    /// `None` for a feature without a column.
    pub fn bind(f: &Feature, finder: &Finder<'_>) -> Result<Option<Self>> {
        if matches!(empty(f), RawColumn::None) {
            return Ok(None);
        }
        let separator = f.separator.as_deref().unwrap_or("|").as_bytes().to_vec();
        Ok(Some(Self {
            name: f.name.get_ref().clone(),
            at: finder.column(f.column.as_ref().unwrap_or(&f.name))?,
            weights: f.weights.as_ref().map(|w| finder.column(w)).transpose()?,
            id_kind: finder.d.id_kind(f),
            separator,
            max_len: usize::from(f.max_len.unwrap_or(50)),
            dim: usize::from(f.dim.unwrap_or(0)),
            user: f.side == Some(Side::User),
        }))
    }

    fn id(&self, cell: &[u8]) -> core::result::Result<u64, String> {
        match self.id_kind {
            _ if cell.is_empty() => Ok(Column::NO_ID),
            IdKind::String => Ok(hash_text(cell)),
            IdKind::Int => int_id(cell).ok_or_else(|| {
                let (name, cell) = (&self.name, show(cell));
                format!("\"{name}\" is {cell}, no integer; use id_type = \"string\"")
            }),
        }
    }

    /// Adds the value of a row. May leave a part of a value behind when it fails.
    pub fn read(&self, row: &Row<'_>, values: &mut RawColumn) -> core::result::Result<(), String> {
        let cell = row.cell(self.at);
        let (name, dim) = (&self.name, self.dim);
        match values {
            RawColumn::None => {}
            RawColumn::Ids(ids) => ids.push(self.id(cell)?),
            RawColumn::Numbers(numbers) => numbers.push(match cell {
                [] => f32::NAN,
                _ => finite(cell).ok_or_else(|| {
                    format!(
                        "\"{name}\" is {}, no finite number; if it means missing, add it to null",
                        show(cell)
                    )
                })?,
            }),
            RawColumn::Lists {
                offsets,
                ids,
                weights,
            } => {
                let (separator, max_len) = (self.separator.as_slice(), self.max_len);
                let mut count = 0;
                for part in split(cell, separator)
                    .map(<[u8]>::trim_ascii)
                    .filter(|part| !part.is_empty())
                {
                    count += 1;
                    if count <= max_len {
                        ids.push(self.id(part)?);
                    }
                }
                if let (Some(at), Some(weights)) = (self.weights, weights) {
                    let mut given = 0;
                    for part in split(row.cell(at), separator)
                        .map(<[u8]>::trim_ascii)
                        .filter(|part| !part.is_empty())
                    {
                        given += 1;
                        let weight = finite(part).filter(|w| (0.0..=1.0).contains(w));
                        let weight = weight.ok_or_else(|| {
                            format!(
                                "a weight of \"{name}\" is {}; numbers of 0 to 1 are possible",
                                show(part)
                            )
                        })?;
                        if given <= max_len {
                            weights.push(weight);
                        }
                    }
                    if given != count {
                        return Err(format!(
                            "\"{name}\" has {count} ids and {given} weights; one an id is needed"
                        ));
                    }
                }
                let end = u32::try_from(ids.len());
                offsets.push(
                    end.map_err(|_| format!("\"{name}\" has over 4,294,967,295 ids in all"))?,
                );
            }
            RawColumn::Vectors(bytes) => {
                let start = bytes.len();
                if cell.is_empty() {
                    bytes.extend(core::iter::repeat_n(u8::MAX, dim));
                    return Ok(());
                }
                for part in split(cell, &self.separator).map(<[u8]>::trim_ascii) {
                    let byte = integer(part)
                        .and_then(|x| u8::try_from(x).ok())
                        .filter(|x| *x <= 127);
                    bytes.push(byte.ok_or_else(|| {
                        format!(
                            "a value of vector \"{name}\" is {}; integers of 0 to 127 are possible",
                            show(part)
                        )
                    })?);
                }
                if bytes.len() - start != dim {
                    return Err(format!(
                        "vector \"{name}\" has {} values, not {dim}",
                        bytes.len() - start
                    ));
                }
            }
        }
        Ok(())
    }

    /// Notes how a row writes a text id, by its key.
    pub fn note_text(&self, row: &Row<'_>, texts: &mut FxHashMap<u64, String>) {
        let cell = row.cell(self.at);
        if let (IdKind::String, Ok(text)) = (self.id_kind, core::str::from_utf8(cell))
            && !text.is_empty()
        {
            texts
                .entry(hash_text(cell))
                .or_insert_with(|| String::from(text));
        }
    }

    /// Whether the row has another value than the last one kept: a user's values belong to the request.
    pub fn differs(&self, row: &Row<'_>, values: &RawColumn) -> bool {
        let cell = row.cell(self.at);
        match values {
            RawColumn::Ids(ids) => ids.last().copied() != self.id(cell).ok(),
            RawColumn::Numbers(numbers) => {
                let last = numbers.last().copied().unwrap_or(f32::NAN);
                let here = if cell.is_empty() {
                    f32::NAN
                } else {
                    finite(cell).unwrap_or(f32::NAN)
                };
                last.to_bits() != here.to_bits()
            }
            _ => false,
        }
    }
}

/// Pieces between separators; none of an empty cell.
fn split<'c>(cell: &'c [u8], separator: &'c [u8]) -> impl Iterator<Item = &'c [u8]> {
    let mut rest = (!cell.is_empty()).then_some(cell);
    core::iter::from_fn(move || {
        let all = rest?;
        match all
            .windows(separator.len().max(1))
            .position(|w| w == separator)
        {
            Some(at) => {
                rest = Some(&all[at + separator.len()..]);
                Some(&all[..at])
            }
            None => {
                rest = None;
                Some(all)
            }
        }
    })
}

/// A 64-bit integer, signed ones as their two's complement; a fraction of zeros is accepted, as data frames write
/// integers next to missing values.
pub(super) fn int_id(cell: &[u8]) -> Option<u64> {
    let whole = match cell.iter().position(|b| *b == b'.') {
        Some(dot) if cell[dot + 1..].iter().all(|b| *b == b'0') => &cell[..dot],
        Some(_) => return None,
        None => cell,
    };
    match integer(whole) {
        Some(id) => Some(id as u64),
        None => core::str::from_utf8(whole).ok()?.parse().ok(),
    }
}

/// A finite f32.
pub(super) fn finite(cell: &[u8]) -> Option<f32> {
    number(cell).map(|x| x as f32).filter(|x| x.is_finite())
}

/// What a task's teacher says of a row; NaN for an empty cell.
pub(super) fn taught_by(task: &Task, cell: &[u8]) -> core::result::Result<f32, String> {
    let Some(teacher) = task.teacher.as_ref().filter(|_| !cell.is_empty()) else {
        return Ok(f32::NAN);
    };
    let teacher = teacher.get_ref();
    let learnt = number(cell).ok_or("a number is possible");
    let learnt = learnt.and_then(|x| teacher.learnt(task.kind.of_score(), x));
    learnt.map_err(|possible| {
        let (column, cell) = (teacher.column.get_ref(), show(cell));
        format!("teacher \"{column}\" is {cell}; {possible}")
    })
}

/// A cell in a message, cut to a line's width.
pub(super) fn show(cell: &[u8]) -> String {
    let text = String::from_utf8_lossy(cell);
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    format!("{short:?}")
}
