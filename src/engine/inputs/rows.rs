//! Ids and numbers of a block: what is the same for all rows of a feature is found out once, since it costs more than a row's
//! bytes.

use super::super::{BLOCK, Column};
use super::{Inputs, Tally};
use crate::features::Embedding;
use crate::kernels;
use crate::spec::{Encoding, Feature, Source};

/// Where a block's values of a feature come from and go to.
pub(super) struct Block<'f, 's> {
    /// The feature's index.
    pub i: usize,
    pub feature: &'f Feature<'s>,
    /// The candidate of each row, 0 for the user's.
    pub candidates: &'f [usize],
    pub group: usize,
}

impl Inputs<'_, '_, '_> {
    /// Writes a block's bytes of a feature from the beginning of `to` on, `stride` apart; `false` if it has no ids or numbers.
    pub(super) fn fill_rows(
        &self,
        b: &Block<'_, '_>,
        (to, stride): (&mut [u8], usize),
        tally: &mut Tally,
    ) -> bool {
        match b.feature.encoding {
            Encoding::Row { table, default_row } => {
                let known = self.known_rows(b);
                let len = self.model.spec.tables.get(usize::from(table));
                let len = len.map_or(0, |t| t.num_embeddings);
                let mut ids = [0; BLOCK];
                for (id, index) in ids.iter_mut().zip(b.candidates) {
                    *id = match known.get(*index) {
                        Some(row) if *row < len => *row,
                        _ => self.row(b.i, b.feature, table, default_row, *index, tally),
                    };
                }
                let ids = ids.get(..b.candidates.len()).unwrap_or_default();
                self.write_rows(b, table, ids, (to, stride));
            }
            Encoding::Number {
                transform,
                default,
                value,
                buckets,
            } => {
                let mut raws = self.known_numbers(b);
                // Asked of all at once: what is to be counted is rare.
                if !raws.iter().fold(true, |all, raw| all & raw.is_finite()) {
                    for (raw, index) in raws.iter_mut().zip(b.candidates) {
                        *raw = self.number(b.i, b.feature, *index, tally);
                    }
                }
                let mut at = 0;
                if let Some(grid) = value {
                    let mut values = raws.map(|raw| if raw.is_nan() { default } else { raw });
                    transform.apply_each(&mut values);
                    grid.quantize(&values, b.candidates.len(), (&mut *to, stride));
                    at = usize::from(grid.bytes);
                }
                if let Some(table) = buckets {
                    let mut rows = [0; BLOCK];
                    for (row, raw) in rows.iter_mut().zip(raws).take(b.candidates.len()) {
                        *row = self.bucket_row(b.i, raw);
                    }
                    let to = to.get_mut(at..).unwrap_or_default();
                    let rows = rows.get(..b.candidates.len()).unwrap_or_default();
                    self.write_rows(b, table, rows, (to, stride));
                }
            }
            Encoding::Rows { .. } | Encoding::Vector { .. } => return false,
        }
        true
    }

    /// The rows that the app has looked up, by candidate.
    #[inline]
    fn known_rows(&self, b: &Block<'_, '_>) -> &[u32] {
        match (b.feature.source, self.request.columns.get(b.i)) {
            (Source::Column, Some(Column::Rows { rows, .. })) => rows,
            _ => &[],
        }
    }

    /// The block's numbers as they stand in a column: NaN for what is not there, 0 past the last candidate.
    #[inline]
    fn known_numbers(&self, b: &Block<'_, '_>) -> [f32; BLOCK] {
        let column = match (b.feature.source, self.request.columns.get(b.i)) {
            (Source::Column, Some(Column::Floats(x))) => x,
            _ => &[][..],
        };
        let mut raws = [0.0; BLOCK];
        for (raw, index) in raws.iter_mut().zip(b.candidates) {
            *raw = column.get(*index).copied().unwrap_or(f32::NAN);
        }
        raws
    }

    /// Writes embeddings of `ids`.
    fn write_rows(
        &self,
        b: &Block<'_, '_>,
        table: u8,
        ids: &[u32],
        (to, stride): (&mut [u8], usize),
    ) {
        let index = usize::from(table);
        let Some((data, spec)) = self
            .model
            .tables
            .get(index)
            .zip(self.model.spec.tables.get(index))
        else {
            return;
        };
        let (len, dim) = (spec.embedding_bytes(), usize::from(spec.embedding_dim));
        let is_packed = spec.is_packed();
        let rows = data.rows;
        let (step, first) = (self.model.spec.groups() * len, b.group * len);
        let begin = |row: u32| (row as usize).wrapping_mul(step).wrapping_add(first);
        // The next block's rows are fetched ahead; other ones if candidates are left out, which does no harm.
        if let Some(Column::Rows { rows: next, .. }) = self.request.columns.get(b.i) {
            let after = b.candidates.last().map_or(0, |last| last + 1);
            let end = next.len().min(after + BLOCK);
            for row in next.get(after..end).unwrap_or_default() {
                kernels::prefetch(rows.get(begin(*row)..).unwrap_or_default());
            }
        }
        // By offsets: how many chunks a slice has is a division.
        for (r, id) in ids.iter().enumerate() {
            let (from, at) = (begin(*id), r * stride);
            if let (Some(bytes), Some(to)) = (rows.get(from..from + len), to.get_mut(at..at + dim))
            {
                Embedding { bytes, is_packed }.write(to);
            }
        }
    }
}
