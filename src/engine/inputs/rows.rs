//! Ids and numbers of a block: what is the same for all rows of a feature is found out once, since it costs more than a row's
//! bytes.

use super::super::{BLOCK, Column};
use super::{Inputs, Tally};
use crate::features::Embedding;
use crate::kernels;
use crate::spec::{Encoding, Feature, Side, Source};

/// Where a block's values of a feature come from and go to.
pub(super) struct Block<'f, 's> {
    /// The feature's index.
    pub i: usize,
    pub feature: &'f Feature<'s>,
    pub position: usize,
    pub rows: usize,
    pub group: usize,
}

impl Inputs<'_, '_, '_> {
    /// The candidate of a row; 0 for the user's.
    pub(super) fn index_of(&self, b: &Block<'_, '_>, row: usize) -> usize {
        match b.feature.side {
            Side::User => 0,
            _ => self.candidate(b.position + row),
        }
    }

    /// Writes a block's bytes of a feature from the beginning of `to` on, `stride` apart; `false` if it has no ids or numbers.
    pub(super) fn fill_rows(
        &self,
        b: &Block<'_, '_>,
        (to, stride): (&mut [u8], usize),
        tally: &mut Tally,
    ) -> bool {
        match b.feature.encoding {
            Encoding::Row { table, default_row } => {
                let mut ids = [0; BLOCK];
                for (r, id) in ids.iter_mut().enumerate().take(b.rows) {
                    let index = self.index_of(b, r);
                    *id = match self.known_row(b, table, index) {
                        Some(row) => row,
                        None => self.row(b.i, b.feature, table, default_row, index, tally),
                    };
                }
                self.write_rows(b, table, &ids, (to, stride));
            }
            Encoding::Number {
                transform,
                default,
                value,
                buckets,
            } => {
                let mut raws = [f32::NAN; BLOCK];
                for (r, raw) in raws.iter_mut().enumerate().take(b.rows) {
                    let index = self.index_of(b, r);
                    *raw = self.number(b.i, b.feature, index, tally);
                }
                let mut at = 0;
                if let Some(grid) = value {
                    let values =
                        raws.map(|x| transform.apply(if x.is_nan() { default } else { x }));
                    grid.quantize(values.get(..b.rows).unwrap_or_default(), to, stride);
                    at = usize::from(grid.bytes);
                }
                if let Some(table) = buckets {
                    let rows = raws.map(|x| self.bucket_row(b.i, x));
                    let to = to.get_mut(at..).unwrap_or_default();
                    self.write_rows(b, table, &rows, (to, stride));
                }
            }
            Encoding::Rows { .. } | Encoding::Vector { .. } => return false,
        }
        true
    }

    /// The row that the app has looked up, if it is one of the table's.
    #[inline]
    fn known_row(&self, b: &Block<'_, '_>, table: u8, index: usize) -> Option<u32> {
        let (Source::Column, Some(Column::Rows { rows, .. })) =
            (b.feature.source, self.request.columns.get(b.i))
        else {
            return None;
        };
        let len = self
            .model
            .spec
            .tables
            .get(usize::from(table))?
            .num_embeddings;
        rows.get(index).copied().filter(|row| *row < len)
    }

    /// Writes embeddings of `ids`.
    fn write_rows(
        &self,
        b: &Block<'_, '_>,
        table: u8,
        ids: &[u32; BLOCK],
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
        let (len, dim, groups) = (
            spec.embedding_bytes(),
            usize::from(spec.embedding_dim),
            self.model.spec.groups(),
        );
        let is_packed = spec.is_packed();
        // The next block's rows; other ones if candidates are left out, which does no harm.
        if let Some(Column::Rows { rows, .. }) = self.request.columns.get(b.i) {
            for row in rows.iter().skip(b.position + b.rows).take(BLOCK) {
                let begin = (*row as usize).wrapping_mul(groups).wrapping_add(b.group);
                let begin = begin.wrapping_mul(len);
                kernels::prefetch(data.rows.get(begin..).unwrap_or_default());
            }
        }
        for (id, to) in ids.iter().zip(to.chunks_mut(stride.max(1))).take(b.rows) {
            let begin = (*id as usize * groups + b.group) * len;
            let bytes = data.rows.get(begin..begin + len).unwrap_or_default();
            Embedding { bytes, is_packed }.write(to.get_mut(..dim).unwrap_or_default());
        }
    }
}
