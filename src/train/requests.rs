//! Requests that own their values, and the file of them that the examples rank.
//!
//! The file is little-endian; every part starts on a multiple of 8 bytes, zeros between, so that a C program can point
//! into it. `examples/README.md` has the layout.

use std::io::{self, Write};
use std::prelude::v1::*;

use crate::engine::{Column, Lists, Request};

/// First bytes of a file of requests.
pub const MAGIC: [u8; 8] = *b"PKRREQ1\n";

/// [`Lists`] that own their values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OwnedLists {
    /// Number of lists + 1 offsets into the ids.
    pub offsets: Vec<u32>,
    /// One weight in [0, 1] per id.
    pub weights: Option<Vec<f32>>,
}

/// A [`Column`] that owns its values.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum OwnedColumn {
    /// No values.
    #[default]
    Missing,
    /// As [`Column::Ids`].
    Ids {
        /// Ids.
        ids: Vec<u64>,
        /// Lists only.
        lists: Option<OwnedLists>,
    },
    /// As [`Column::Text`].
    Text {
        /// All ids, one after the other.
        utf8: Vec<u8>,
        /// Number of ids + 1 byte offsets.
        offsets: Vec<u32>,
        /// Lists only.
        lists: Option<OwnedLists>,
    },
    /// As [`Column::Rows`].
    Rows {
        /// Rows.
        rows: Vec<u32>,
        /// Lists only.
        lists: Option<OwnedLists>,
    },
    /// As [`Column::Floats`].
    Floats(Vec<f32>),
    /// As [`Column::Bytes`].
    Bytes(Vec<u8>),
}

/// A [`Request`] that owns its values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OwnedRequest {
    /// Candidates.
    pub num_candidates: usize,
    /// By feature index.
    pub columns: Vec<OwnedColumn>,
    /// The user's state; `None` is a user without a past.
    pub state: Option<Vec<u8>>,
    /// Unix seconds.
    pub time: i64,
    /// Weights of the fusion's terms; `None` takes the file's.
    pub weights: Option<Vec<f32>>,
    /// Candidates to score at most; 0 is all.
    pub max_candidates: usize,
    /// Refuse missing, non-finite and unknown values.
    pub strict: bool,
}

impl OwnedLists {
    fn view(&self) -> Lists<'_> {
        Lists {
            offsets: &self.offsets,
            weights: self.weights.as_deref(),
        }
    }
}

impl OwnedColumn {
    /// The column as the engine takes it.
    pub fn view(&self) -> Column<'_> {
        match self {
            Self::Missing => Column::Missing,
            Self::Ids { ids, lists } => Column::Ids {
                ids,
                lists: lists.as_ref().map(OwnedLists::view),
            },
            Self::Text {
                utf8,
                offsets,
                lists,
            } => Column::Text {
                utf8,
                offsets,
                lists: lists.as_ref().map(OwnedLists::view),
            },
            Self::Rows { rows, lists } => Column::Rows {
                rows,
                lists: lists.as_ref().map(OwnedLists::view),
            },
            Self::Floats(values) => Column::Floats(values),
            Self::Bytes(values) => Column::Bytes(values),
        }
    }
}

impl OwnedRequest {
    /// The columns as the engine takes them.
    pub fn columns(&self) -> Vec<Column<'_>> {
        self.columns.iter().map(OwnedColumn::view).collect()
    }

    /// The request as the engine takes it, over what [`OwnedRequest::columns`] returned.
    pub fn as_request<'r>(&'r self, columns: &'r [Column<'r>]) -> Request<'r> {
        Request {
            num_candidates: self.num_candidates,
            columns,
            state: self.state.as_deref(),
            time: self.time,
            weights: self.weights.as_deref(),
            max_candidates: self.max_candidates,
            strict: self.strict,
            ..Request::default()
        }
    }
}

/// Writes a file of requests.
///
/// # Errors
/// Those of `to`; `InvalidInput` for a count over `u32`.
pub fn write_requests(to: &mut impl Write, requests: &[OwnedRequest]) -> io::Result<()> {
    to.write_all(&MAGIC)?;
    numbers(to, &[requests.len(), 0])?;
    for request in requests {
        let state = request.state.as_deref().unwrap_or_default();
        let weights = request.weights.as_deref().unwrap_or_default();
        to.write_all(&request.time.to_le_bytes())?;
        numbers(
            to,
            &[
                request.num_candidates,
                request.max_candidates,
                request.strict.into(),
            ],
        )?;
        numbers(to, &[request.columns.len(), state.len(), weights.len()])?;
        let columns = request.columns();
        for column in &columns {
            let (form, count, offsets, lists) = parts(column);
            let list_offsets = lists.map_or(0, |l| l.offsets.len());
            let weights = lists.and_then(|l| l.weights).map_or(0, <[f32]>::len);
            numbers(to, &[form, count, offsets.len(), list_offsets, weights, 0])?;
        }
        for column in &columns {
            let (_, _, offsets, lists) = parts(column);
            match column {
                Column::Missing => {}
                Column::Ids { ids, .. } => padded(to, ids.iter().map(|v| v.to_le_bytes()))?,
                Column::Text { utf8: bytes, .. } | Column::Bytes(bytes) => {
                    padded(to, bytes.iter().map(|v| [*v]))?;
                }
                Column::Rows { rows, .. } => padded(to, rows.iter().map(|v| v.to_le_bytes()))?,
                Column::Floats(values) => padded(to, values.iter().map(|v| v.to_le_bytes()))?,
            }
            padded(to, offsets.iter().map(|v| v.to_le_bytes()))?;
            if let Some(lists) = lists {
                padded(to, lists.offsets.iter().map(|v| v.to_le_bytes()))?;
                padded(
                    to,
                    lists
                        .weights
                        .unwrap_or_default()
                        .iter()
                        .map(|v| v.to_le_bytes()),
                )?;
            }
        }
        padded(to, state.iter().map(|v| [*v]))?;
        padded(to, weights.iter().map(|v| v.to_le_bytes()))?;
    }
    Ok(())
}

/// Form (the C ABI's `PKR_FORM_*`), number of values, text offsets and lists.
fn parts<'r>(column: &Column<'r>) -> (usize, usize, &'r [u32], Option<Lists<'r>>) {
    match *column {
        Column::Missing => (0, 0, &[], None),
        Column::Ids { ids, lists } => (1, ids.len(), &[], lists),
        Column::Text {
            utf8,
            offsets,
            lists,
        } => (2, utf8.len(), offsets, lists),
        Column::Rows { rows, lists } => (3, rows.len(), &[], lists),
        Column::Floats(values) => (4, values.len(), &[], None),
        Column::Bytes(values) => (5, values.len(), &[], None),
    }
}

fn numbers(to: &mut impl Write, values: &[usize]) -> io::Result<()> {
    for value in values {
        let value = u32::try_from(*value)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "more than 2^32 values"))?;
        to.write_all(&value.to_le_bytes())?;
    }
    Ok(())
}

fn padded<const N: usize>(
    to: &mut impl Write,
    values: impl Iterator<Item = [u8; N]>,
) -> io::Result<()> {
    let mut written = 0usize;
    for value in values {
        to.write_all(&value)?;
        written += N;
    }
    to.write_all(&[0; 8][..written.next_multiple_of(8) - written])
}

/// Reads what [`write_requests`] wrote. Empty states and weights come back as `None`.
///
/// # Errors
/// `InvalidData` if the bytes are no such file.
pub fn read_requests(bytes: &[u8]) -> io::Result<Vec<OwnedRequest>> {
    Reader { rest: bytes }.requests().ok_or(io::Error::new(
        io::ErrorKind::InvalidData,
        "not a file of requests, or cut short",
    ))
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn requests(&mut self) -> Option<Vec<OwnedRequest>> {
        (self.take()? == MAGIC).then_some(())?;
        let [count, _] = self.numbers()?;
        let requests = (0..count)
            .map(|_| self.request())
            .collect::<Option<Vec<_>>>()?;
        self.rest.is_empty().then_some(requests)
    }

    fn request(&mut self) -> Option<OwnedRequest> {
        let time = i64::from_le_bytes(self.take()?);
        let [num_candidates, max_candidates, flags] = self.numbers()?;
        let [num_columns, state, weights] = self.numbers()?;
        let heads = (0..num_columns)
            .map(|_| self.numbers())
            .collect::<Option<Vec<[usize; 6]>>>()?;
        let columns = heads
            .into_iter()
            .map(|head| self.column(head))
            .collect::<Option<Vec<_>>>()?;
        let state = self.values(state, |[b]: [u8; 1]| b)?;
        let weights = self.values(weights, f32::from_le_bytes)?;
        Some(OwnedRequest {
            num_candidates,
            columns,
            state: (!state.is_empty()).then_some(state),
            time,
            weights: (!weights.is_empty()).then_some(weights),
            max_candidates,
            strict: flags & 1 != 0,
        })
    }

    fn column(&mut self, head: [usize; 6]) -> Option<OwnedColumn> {
        let [form, count, offsets, list_offsets, weights, _] = head;
        let column = match form {
            0 => OwnedColumn::Missing,
            1 => OwnedColumn::Ids {
                ids: self.values(count, u64::from_le_bytes)?,
                lists: None,
            },
            2 => OwnedColumn::Text {
                utf8: self.values(count, |[b]: [u8; 1]| b)?,
                offsets: self.values(offsets, u32::from_le_bytes)?,
                lists: None,
            },
            3 => OwnedColumn::Rows {
                rows: self.values(count, u32::from_le_bytes)?,
                lists: None,
            },
            4 => OwnedColumn::Floats(self.values(count, f32::from_le_bytes)?),
            5 => OwnedColumn::Bytes(self.values(count, |[b]: [u8; 1]| b)?),
            _ => return None,
        };
        if list_offsets == 0 {
            return Some(column);
        }
        let offsets = self.values(list_offsets, u32::from_le_bytes)?;
        let weights = self.values(weights, f32::from_le_bytes)?;
        let lists = Some(OwnedLists {
            offsets,
            weights: (!weights.is_empty()).then_some(weights),
        });
        match column {
            OwnedColumn::Ids { ids, .. } => Some(OwnedColumn::Ids { ids, lists }),
            OwnedColumn::Text { utf8, offsets, .. } => Some(OwnedColumn::Text {
                utf8,
                offsets,
                lists,
            }),
            OwnedColumn::Rows { rows, .. } => Some(OwnedColumn::Rows { rows, lists }),
            _ => None,
        }
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (value, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*value)
    }

    fn numbers<const N: usize>(&mut self) -> Option<[usize; N]> {
        let mut values = [0; N];
        for value in &mut values {
            *value = u32::from_le_bytes(self.take()?) as usize;
        }
        Some(values)
    }

    fn values<T, const N: usize>(
        &mut self,
        count: usize,
        value: impl Fn([u8; N]) -> T,
    ) -> Option<Vec<T>> {
        let bytes = count.checked_mul(N)?;
        let (values, rest) = self
            .rest
            .split_at_checked(bytes.checked_next_multiple_of(8)?)?;
        self.rest = rest;
        let values = values.get(..bytes)?.chunks_exact(N);
        Some(
            values
                .filter_map(|v| v.first_chunk().copied())
                .map(value)
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::vec;

    use super::*;

    fn request() -> OwnedRequest {
        let lists = |weights| {
            Some(OwnedLists {
                offsets: vec![0, 2, 3],
                weights,
            })
        };
        OwnedRequest {
            num_candidates: 2,
            columns: vec![
                OwnedColumn::Missing,
                OwnedColumn::Ids {
                    ids: vec![7, u64::MAX],
                    lists: None,
                },
                OwnedColumn::Ids {
                    ids: vec![1, 2, 3],
                    lists: lists(Some(vec![0.5, 1.0, 0.0])),
                },
                OwnedColumn::Text {
                    utf8: b"abcde".to_vec(),
                    offsets: vec![0, 2, 5],
                    lists: None,
                },
                OwnedColumn::Text {
                    utf8: b"xyz".to_vec(),
                    offsets: vec![0, 1, 1, 3],
                    lists: lists(None),
                },
                OwnedColumn::Rows {
                    rows: vec![4, 5, 6],
                    lists: lists(None),
                },
                OwnedColumn::Floats(vec![1.5, -0.0]),
                OwnedColumn::Bytes(vec![1, 2, 3, 4, 5, 127]),
            ],
            state: Some(vec![9; 13]),
            time: -5,
            weights: Some(vec![1.0, 2.0, 3.0]),
            max_candidates: 1,
            strict: true,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let requests = vec![request(), OwnedRequest::default(), request()];
        let mut bytes = Vec::new();
        write_requests(&mut bytes, &requests).unwrap();
        assert_eq!(read_requests(&bytes).unwrap(), requests);
        assert_eq!(bytes.len() % 8, 0);
    }

    #[test]
    fn a_file_cut_anywhere_is_refused() {
        let mut bytes = Vec::new();
        write_requests(&mut bytes, &[request()]).unwrap();
        for len in 0..bytes.len() {
            assert!(read_requests(&bytes[..len]).is_err(), "{len}");
        }
    }
}
