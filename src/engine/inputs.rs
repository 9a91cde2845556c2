//! From a request's columns and user state to input bytes.
//!
//! [`Inputs::check`] looks at everything that could make a request unusable; after it, filling bytes cannot fail:
//! values that are missing, not finite or unknown have a stated meaning and are counted.

use super::{BLOCK, Column, Lists, Model, Request, Summary};
use crate::error::{Error, Status};
use crate::features::{self, Pool};
#[cfg(feature = "formula")]
use crate::fusion::formula::Formula;
use crate::spec::{Encoding, Feature, IdType, Lookup, Side, Source};

#[cfg(feature = "attention")]
mod attended;
mod check;
mod kept;
mod numbers;
mod rows;

pub(super) use kept::Kept;

/// A request next to the model that reads it.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'r, 'm, 'a> {
    pub model: &'m Model<'a>,
    pub request: &'r Request<'r>,
}

/// What filling met.
#[derive(Default)]
pub(super) struct Tally {
    pub summary: Summary,
    /// The first value that `strict` refuses.
    pub refused: Option<Error>,
}

impl Tally {
    fn count(&mut self, status: Status, feature: usize, index: usize) {
        let counter = match status {
            Status::MissingValue => &mut self.summary.missing,
            Status::NotFinite => &mut self.summary.not_finite,
            _ => &mut self.summary.unknown_ids,
        };
        *counter = counter.saturating_add(1);
        self.refused
            .get_or_insert(Error::cell(status, feature, index));
    }
}

/// Ids of one value: hashed keys, or rows already resolved.
#[derive(Clone, Copy)]
enum Id {
    Missing,
    Key(u64),
    Row(u32),
}

impl<'r, 'm, 'a> Inputs<'r, 'm, 'a> {
    pub fn strict(&self) -> bool {
        self.request.strict
    }

    /// Whether the request leaves feature `i` out.
    #[cfg(any(feature = "formula", feature = "attention"))]
    #[inline(never)]
    fn is_left_out(&self, i: usize) -> bool {
        #[cfg(feature = "formula")]
        return self.request.without.iter().any(|f| *f as usize == i);
        #[cfg(not(feature = "formula"))]
        {
            let _ = i;
            false
        }
    }

    /// Runs `read` on the inputs that feature `i` sees: without columns and the user's past if it is left out. Asked once a
    /// block, so that values cost nothing.
    fn seen_by<R>(&self, i: usize, read: impl FnOnce(&Inputs<'_, 'm, 'a>) -> R) -> R {
        #[cfg(feature = "formula")]
        if !self.request.without.is_empty() && self.is_left_out(i) {
            // What is made of the user's past is that of a user without one, who has keys like any other.
            let source = self.model.spec.features.get(i).map(|f| f.source);
            let columns = match source {
                Some(Source::Column | Source::Cross { .. } | Source::Combine { .. }) => &[],
                _ => self.request.columns,
            };
            let request = Request {
                columns,
                state: None,
                ..*self.request
            };
            return read(&Inputs {
                model: self.model,
                request: &request,
            });
        }
        let _ = i;
        read(self)
    }

    /// The formula that fuses scores; `None` if terms do.
    #[cfg(feature = "formula")]
    pub fn formula(&self) -> Option<&'r Formula<'r>>
    where
        'm: 'r,
        'a: 'r,
    {
        self.request
            .formula
            .or(self.model.formula().map(|f| f as _))
    }

    fn id_type(&self, table: u8) -> Option<IdType> {
        match self.model.spec.tables.get(usize::from(table))?.lookup {
            Lookup::Hash(id) | Lookup::Vocabulary(id) => Some(id),
            Lookup::Buckets => None,
        }
    }

    /// Writes the input bytes of `side` for `rows` positions from `position` on (0 and 1 for the user side) to `bytes`,
    /// `[rows, stride]`: feature by feature, since what a feature is costs more to find out than its bytes.
    pub fn fill(
        &self,
        side: Side,
        (position, rows): (usize, usize),
        group: usize,
        (bytes, stride): (&mut [u8], usize),
        tally: &mut Tally,
    ) {
        let spec = &self.model.spec;
        let mut candidates = [0; BLOCK];
        if side != Side::User {
            for (r, candidate) in candidates.iter_mut().enumerate().take(rows) {
                *candidate = self.candidate(position + r);
            }
        }
        let candidates = candidates.get(..rows).unwrap_or_default();
        let mut at = 0;
        for (i, feature) in spec.features.iter().enumerate() {
            if feature.side != side {
                continue;
            }
            let parts = feature.encoding.parts(&spec.tables);
            let len: usize = parts.iter().flatten().map(|part| part.dim).sum();
            // Written when the block's candidates are known: `Model::attend`.
            if let Source::Attention { .. } = feature.source {
                at += len;
                continue;
            }
            let to = bytes.get_mut(at..).unwrap_or_default();
            let block = rows::Block {
                i,
                feature,
                candidates,
                group,
            };
            if len > 0 {
                self.seen_by(i, |inputs| {
                    inputs.fill_block(&block, (to, stride, len), tally)
                });
            }
            at += len;
        }
    }

    /// Writes a block's bytes of one feature, `len` a row, from the beginning of `to` on, `stride` apart.
    fn fill_block(
        &self,
        block: &rows::Block<'_, '_>,
        (to, stride, len): (&mut [u8], usize, usize),
        tally: &mut Tally,
    ) {
        if self.fill_rows(block, (&mut *to, stride), tally) {
            return;
        }
        for (r, index) in block.candidates.iter().enumerate() {
            let (i, feature, group) = (block.i, block.feature, block.group);
            let here = to.get_mut(r * stride..r * stride + len);
            let here = here.unwrap_or_default();
            self.fill_feature(i, feature, *index, group, here, tally);
        }
    }

    fn fill_feature(
        &self,
        i: usize,
        feature: &Feature<'_>,
        index: usize,
        group: usize,
        to: &mut [u8],
        tally: &mut Tally,
    ) {
        match feature.encoding {
            Encoding::Rows {
                table,
                max_len,
                pooling,
                divisor,
                ..
            } => {
                let zero_points = self
                    .model
                    .tables
                    .get(usize::from(table))
                    .map_or(&[][..], |t| t.zero_points);
                let zero_points = super::dense::row(zero_points, group, to.len());
                let mut pool = Pool::new(pooling, divisor);
                let most = usize::from(max_len);
                let mut add = |row: u32, weight: Option<u16>| {
                    pool.add(self.model.table_row(table, row, group), weight);
                };
                self.list(i, feature, table, (most, index), &mut add, tally);
                pool.finish(zero_points, to);
            }
            // By the block: `fill_rows`.
            Encoding::Row { .. } | Encoding::Number { .. } => {}
            Encoding::Vector { dim, grid } => {
                let dim = usize::from(dim);
                match self.request.columns.get(i) {
                    Some(Column::Bytes(bytes)) => {
                        let bytes = bytes.get(index * dim..(index + 1) * dim);
                        features::copy(bytes.unwrap_or_default(), to);
                    }
                    _ => {
                        tally.count(Status::MissingValue, i, index);
                        to.fill(grid.zero_point);
                    }
                }
            }
        }
    }

    /// The bytes of a candidate's row of a table, pooled list or vector, of the first group.
    #[cfg(feature = "rerank")]
    pub fn embedding(&self, i: usize, index: usize, to: &mut [u8], tally: &mut Tally) {
        let Some(feature) = self.model.spec.features.get(i) else {
            return;
        };
        let (table, row) = match feature.encoding {
            Encoding::Row { table, .. } => (table, self.row_of(i, feature, index, tally)),
            Encoding::Number {
                buckets: Some(table),
                ..
            } => {
                let raw = self.number(i, feature, index, tally);
                (table, self.bucket_row(i, raw))
            }
            _ => return self.fill_feature(i, feature, index, 0, to, tally),
        };
        self.model.table_row(table, row, 0).write(to);
    }

    /// The row of an `id` or `cross` feature, where it is not one of a block's.
    #[cfg(any(feature = "rerank", feature = "attention"))]
    #[inline(never)]
    fn row_of(&self, i: usize, f: &Feature<'_>, index: usize, tally: &mut Tally) -> u32 {
        match f.encoding {
            Encoding::Row { table, default_row } => {
                self.row(i, f, table, default_row, index, tally)
            }
            _ => 0,
        }
    }

    /// The row of an `id` or `cross` feature.
    #[inline(always)]
    fn row(
        &self,
        i: usize,
        f: &Feature<'_>,
        table: u8,
        default_row: u32,
        index: usize,
        tally: &mut Tally,
    ) -> u32 {
        let id = match f.source {
            Source::Cross { left, right } => {
                match (self.part_key(left, index), self.part_key(right, index)) {
                    (Some(left), Some(right)) => Id::Key(features::hash_cross(left, right)),
                    _ => Id::Missing,
                }
            }
            _ => self.id(i, table, index),
        };
        let is_column = f.source == Source::Column;
        self.resolve(i, table, default_row, index, id, is_column, tally)
    }

    #[allow(clippy::too_many_arguments)]
    fn resolve(
        &self,
        i: usize,
        table: u8,
        default_row: u32,
        index: usize,
        id: Id,
        is_column: bool,
        tally: &mut Tally,
    ) -> u32 {
        let (row, status) = match id {
            Id::Missing => (default_row, Some(Status::MissingValue)),
            Id::Key(key) => match self.model.lookup(table, Some(key), default_row) {
                (row, true) => (row, Some(Status::UnknownId)),
                (row, false) => (row, None),
            },
            Id::Row(row) => {
                let rows = self
                    .model
                    .spec
                    .tables
                    .get(usize::from(table))
                    .map_or(0, |t| t.num_embeddings);
                if row < rows {
                    (row, None)
                } else {
                    (0, Some(Status::UnknownId))
                }
            }
        };
        if let (Some(status), true) = (status, is_column) {
            tally.count(status, i, index);
        }
        row
    }

    /// Calls `each` with the rows of a list, at most `most`, and their Q15 weights, if there are weights.
    fn list(
        &self,
        i: usize,
        feature: &Feature<'_>,
        table: u8,
        (most, index): (usize, usize),
        each: &mut dyn FnMut(u32, Option<u16>),
        tally: &mut Tally,
    ) {
        if let Source::LastIds { .. } = feature.source {
            for key in features::last_ids(&self.model.spec, self.request.state, i).take(most) {
                each(self.model.lookup(table, Some(key), 0).0, None);
            }
            return;
        }
        let Some(column) = self.request.columns.get(i) else {
            return tally.count(Status::MissingValue, i, index);
        };
        let (count, lists) = match *column {
            Column::Ids { ids, lists } => (ids.len(), lists),
            Column::Rows { rows, lists } => (rows.len(), lists),
            Column::Text { offsets, lists, .. } => (offsets.len().saturating_sub(1), lists),
            _ => return tally.count(Status::MissingValue, i, index),
        };
        let offset = |l: &Lists<'_>, at: usize| l.offsets.get(at).map_or(0, |o| *o as usize);
        let (start, end) = lists
            .as_ref()
            .map_or((0, count), |l| (offset(l, index), offset(l, index + 1)));
        if end - start.min(end) > most {
            tally.summary.cut_lists = tally.summary.cut_lists.saturating_add(1);
        }
        for at in (start..end).take(most) {
            let row = self.resolve(i, table, 0, index, self.id(i, table, at), true, tally);
            let weight = lists.and_then(|l| l.weights).and_then(|w| w.get(at));
            each(row, weight.map(|w| features::weight_q15(*w)));
        }
    }

    /// Id number `at` of an app column.
    fn id(&self, i: usize, table: u8, at: usize) -> Id {
        match self.request.columns.get(i) {
            Some(Column::Ids { ids, .. }) => match ids.get(at) {
                None | Some(&Column::NO_ID) => Id::Missing,
                Some(id) if self.id_type(table) == Some(IdType::Int) => {
                    Id::Key(features::hash_int(*id))
                }
                Some(hash) => Id::Key(*hash),
            },
            Some(Column::Rows { rows, .. }) => match rows.get(at) {
                None | Some(&Column::NO_ROW) => Id::Missing,
                Some(row) => Id::Row(*row),
            },
            Some(Column::Text { utf8, offsets, .. }) => {
                let bounds = offsets.get(at).zip(offsets.get(at + 1));
                match bounds.and_then(|(start, end)| utf8.get(*start as usize..*end as usize)) {
                    None | Some([]) => Id::Missing,
                    Some(text) => Id::Key(features::hash_text(text)),
                }
            }
            _ => Id::Missing,
        }
    }
}
