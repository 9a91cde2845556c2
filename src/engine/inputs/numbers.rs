//! Raw numbers, and the keys that others are found by: of columns, of the user's past, of two features together.

use super::{Id, Inputs, Tally};
use crate::engine::{Column, Request};
use crate::error::Status;
use crate::features;
use crate::spec::{Encoding, Feature, Side, Source};

impl<'m, 'a> Inputs<'_, 'm, 'a> {
    /// The hashed id by which column `i` keys rates; a number's is that of its bucket.
    pub(super) fn key(&self, i: u8, index: usize) -> Option<u64> {
        let (i, feature, index) = self.part(i, index)?;
        self.seen_by(i, |inputs| match feature.encoding {
            Encoding::Row { table, .. } => match inputs.id(i, table, index) {
                Id::Key(key) => Some(key),
                _ => None,
            },
            Encoding::Number { .. } => Some(inputs.bucket_key(i, inputs.column_number(i, index))),
            _ => None,
        })
    }

    /// The hashed id by which feature `i` is part of a cross: as [`key`](Self::key), and of any number.
    pub(super) fn part_key(&self, i: u8, index: usize) -> Option<u64> {
        let (at, feature, index) = self.part(i, index)?;
        match feature.encoding {
            Encoding::Number { .. } => {
                let raw = self.raw_of(at, feature, index);
                Some(self.bucket_key(at, raw))
            }
            _ => self.key(i, index),
        }
    }

    /// Feature `i` and its place among the values of its side, for candidate `index`.
    pub(super) fn part(&self, i: u8, index: usize) -> Option<(usize, &'m Feature<'a>, usize)> {
        let i = usize::from(i);
        let feature = self.model.spec.features.get(i)?;
        let index = if feature.side == Side::User { 0 } else { index };
        Some((i, feature, index))
    }

    pub(super) fn bucket_key(&self, i: usize, raw: f32) -> u64 {
        features::hash_int(u64::from(self.bucket_row(i, raw)))
    }

    /// Raw value of a `number` feature, which is counted; NaN if missing.
    #[inline(never)]
    pub(super) fn number(
        &self,
        i: usize,
        feature: &Feature<'_>,
        index: usize,
        tally: &mut Tally,
    ) -> f32 {
        let raw = self.raw(i, feature, index);
        if feature.source == Source::Column && !raw.is_finite() {
            let status = match raw.is_nan() {
                true => Status::MissingValue,
                false => Status::NotFinite,
            };
            tally.count(status, i, index);
        }
        raw
    }

    /// Raw value of any number; NaN if missing.
    fn raw(&self, i: usize, feature: &Feature<'_>, index: usize) -> f32 {
        if let Source::Combine {
            left,
            right,
            operation,
        } = feature.source
        {
            return operation.apply(self.raw_part(left, index), self.raw_part(right, index));
        }
        self.plain(i, feature, index)
    }

    /// A part of a combined number.
    fn raw_part(&self, i: u8, index: usize) -> f32 {
        let part = self.part(i, index);
        part.map_or(f32::NAN, |(i, feature, index)| {
            self.seen_by(i, |inputs| inputs.plain(i, feature, index))
        })
    }

    /// Raw value of any number that another feature or a formula is made of; NaN if missing.
    // Of several callers one copy.
    #[cfg_attr(feature = "quantile", inline(never))]
    pub(in super::super) fn raw_of(&self, i: usize, feature: &Feature<'_>, index: usize) -> f32 {
        self.seen_by(i, |inputs| inputs.raw(i, feature, index))
    }

    /// Row of the bucket that candidate `index` has of number `i`: its group.
    #[cfg(feature = "quantile")]
    pub(in super::super) fn group(&self, i: u8, index: usize) -> u32 {
        let part = self.part(i, index);
        part.map_or(0, |(i, feature, index)| {
            self.bucket_row(i, self.raw_of(i, feature, index))
        })
    }

    /// Raw value of a number that is not combined; NaN if missing.
    fn plain(&self, i: usize, feature: &Feature<'_>, index: usize) -> f32 {
        let key = match feature.source {
            Source::Column => return self.column_number(i, index),
            Source::KeyRate { key, .. } => self.key(key, index),
            _ => None,
        };
        let Request { state, time, .. } = *self.request;
        features::number(&self.model.spec, state, i, time, key).unwrap_or(f32::NAN)
    }

    fn column_number(&self, i: usize, index: usize) -> f32 {
        match self.request.columns.get(i) {
            Some(Column::Floats(x)) => x.get(index).copied().unwrap_or(f32::NAN),
            _ => f32::NAN,
        }
    }

    /// Row of a number's bucket; NaN is missing.
    pub(super) fn bucket_row(&self, i: usize, raw: f32) -> u32 {
        self.model.bucket_row(i, raw)
    }
}
