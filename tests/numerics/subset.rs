//! Requests about some of another's candidates.

use pocketrank::spec::{Encoding, Side, Spec};
use pocketrank::train::requests::{OwnedColumn, OwnedLists, OwnedRequest};

/// The request about some of its candidates.
pub fn subset(spec: &Spec<'_>, request: &OwnedRequest, only: &[u32]) -> OwnedRequest {
    fn pick<T: Copy>(values: &[T], ranges: &[(usize, usize)]) -> Vec<T> {
        ranges
            .iter()
            .flat_map(|(a, b)| values[*a..*b].iter().copied())
            .collect()
    }
    /// Offsets of the parts, and the parts.
    fn pieces(offsets: &[u32], items: &[(usize, usize)]) -> (Vec<u32>, Vec<(usize, usize)>) {
        let (mut to, mut ranges) = (vec![0], Vec::new());
        for i in items.iter().flat_map(|(a, b)| *a..*b) {
            let (start, end) = (offsets[i] as usize, offsets[i + 1] as usize);
            ranges.push((start, end));
            to.push(to[to.len() - 1] + (end - start) as u32);
        }
        (to, ranges)
    }
    let rows: Vec<_> = only
        .iter()
        .map(|c| (*c as usize, *c as usize + 1))
        .collect();
    let lists_of = |lists: &Option<OwnedLists>| match lists {
        None => (None, rows.clone()),
        Some(lists) => {
            let (offsets, ids) = pieces(&lists.offsets, &rows);
            let weights = lists.weights.as_ref().map(|w| pick(w, &ids));
            (Some(OwnedLists { offsets, weights }), ids)
        }
    };
    let column = |(i, column): (usize, &OwnedColumn)| {
        if spec.features[i].side == Side::User {
            return column.clone();
        }
        match column {
            OwnedColumn::Missing => OwnedColumn::Missing,
            OwnedColumn::Floats(x) => OwnedColumn::Floats(pick(x, &rows)),
            OwnedColumn::Bytes(x) => {
                let Encoding::Vector { dim, .. } = spec.features[i].encoding else {
                    unreachable!()
                };
                let dim = usize::from(dim);
                let ranges: Vec<_> = rows.iter().map(|(a, b)| (a * dim, b * dim)).collect();
                OwnedColumn::Bytes(pick(x, &ranges))
            }
            OwnedColumn::Ids { ids, lists } => {
                let (lists, ranges) = lists_of(lists);
                OwnedColumn::Ids {
                    ids: pick(ids, &ranges),
                    lists,
                }
            }
            OwnedColumn::Rows { rows, lists } => {
                let (lists, ranges) = lists_of(lists);
                OwnedColumn::Rows {
                    rows: pick(rows, &ranges),
                    lists,
                }
            }
            OwnedColumn::Text {
                utf8,
                offsets,
                lists,
            } => {
                let (lists, ranges) = lists_of(lists);
                let (offsets, bytes) = pieces(offsets, &ranges);
                OwnedColumn::Text {
                    utf8: pick(utf8, &bytes),
                    offsets,
                    lists,
                }
            }
        }
    };
    OwnedRequest {
        num_candidates: only.len(),
        columns: request.columns.iter().enumerate().map(column).collect(),
        ..request.clone()
    }
}
