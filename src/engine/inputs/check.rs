//! All that could make a request unusable.

use super::super::{Column, Lists, Model, Request};
use super::Inputs;
use crate::error::{Error, Result, Status};
use crate::features;
#[cfg(feature = "formula")]
use crate::spec::Spec;
use crate::spec::{Encoding, Feature, IdType, Side, Source, limits, weight_is_valid};

impl<'r, 'm, 'a> Inputs<'r, 'm, 'a> {
    pub fn check(model: &'m Model<'a>, request: &'r Request<'r>) -> Result<Self> {
        let spec = &model.spec;
        if request.num_candidates == 0 || request.num_candidates > limits::CANDIDATES {
            return Err(Error::new(Status::CandidateCount));
        }
        if request.columns.len() > spec.features.len() {
            return Err(Error::feature(
                Status::UnknownFeature,
                request.columns.len(),
            ));
        }
        let inputs = Self { model, request };
        #[cfg(feature = "formula")]
        check_left_out(spec, request)?;
        for (i, (column, feature)) in request.columns.iter().zip(&spec.features).enumerate() {
            let values = if feature.side == Side::User {
                1
            } else {
                request.num_candidates
            };
            inputs
                .check_column(feature, column, values)
                .map_err(|status| Error::feature(status, i))?;
        }
        for feature in &spec.features {
            for part in feature.source.parts().into_iter().flatten() {
                // A resolved row does not tell the id that a cross or a rate by key needs.
                if let Some(Column::Rows { .. }) = request.columns.get(usize::from(part)) {
                    return Err(Error::feature(Status::WrongForm, usize::from(part)));
                }
            }
        }
        if let Some(state) = request.state {
            features::check(spec, state)?;
        }
        inputs.check_weights()?;
        inputs.check_kept()?;
        Ok(inputs)
    }

    /// Weights of the fusion's terms, or of the formula in their place.
    fn check_weights(&self) -> Result<()> {
        #[cfg(feature = "formula")]
        if let Some(formula) = self.formula() {
            return formula.check_weights(self.request.weights);
        }
        let Some(weights) = self.request.weights else {
            return Ok(());
        };
        if weights.len() != self.model.spec.fusion.len() {
            return Err(Error::new(Status::UnknownTask));
        }
        match weights.iter().all(|w| weight_is_valid(*w)) {
            true => Ok(()),
            false => Err(Error::new(Status::BadWeight)),
        }
    }

    /// The form and lengths of one column.
    fn check_column(
        &self,
        feature: &Feature<'_>,
        column: &Column<'_>,
        values: usize,
    ) -> Result<(), Status> {
        if matches!(column, Column::Missing) {
            return Ok(());
        }
        if feature.source != Source::Column {
            return Err(Status::WrongForm);
        }
        let ok = |holds: bool, status: Status| if holds { Ok(()) } else { Err(status) };
        match (feature.encoding, column) {
            (Encoding::Number { .. }, Column::Floats(x)) => {
                ok(x.len() == values, Status::ColumnLength)
            }
            (Encoding::Vector { dim, .. }, Column::Bytes(x)) => {
                ok(x.len() == values * usize::from(dim), Status::ColumnLength)?;
                ok(x.iter().all(|b| *b <= 127), Status::VectorByte)
            }
            (Encoding::Row { table, .. }, _) => {
                let (ids, lists) = self.check_ids(table, column)?;
                ok(lists.is_none(), Status::WrongForm)?;
                ok(ids == values, Status::ColumnLength)
            }
            (
                Encoding::Rows {
                    table, weighted, ..
                },
                _,
            ) => {
                let (ids, lists) = self.check_ids(table, column)?;
                let Some(lists) = lists else {
                    return ok(feature.side == Side::User, Status::WrongForm);
                };
                ok(lists.offsets.len() == values + 1, Status::ColumnLength)?;
                ok(offsets_fit(lists.offsets, ids), Status::BadOffsets)?;
                match lists.weights {
                    Some(weights) => {
                        ok(weighted, Status::WrongForm)?;
                        ok(weights.len() == ids, Status::ColumnLength)
                    }
                    None => Ok(()),
                }
            }
            _ => Err(Status::WrongForm),
        }
    }

    /// The number of ids of a column, and its lists.
    fn check_ids<'c>(
        &self,
        table: u8,
        column: &Column<'c>,
    ) -> Result<(usize, Option<Lists<'c>>), Status> {
        match *column {
            Column::Ids { ids, lists } => Ok((ids.len(), lists)),
            Column::Rows { rows, lists } => Ok((rows.len(), lists)),
            Column::Text {
                utf8,
                offsets,
                lists,
            } => {
                if self.id_type(table) != Some(IdType::Text) {
                    return Err(Status::WrongForm);
                }
                let count = offsets.len().checked_sub(1).ok_or(Status::BadOffsets)?;
                if offsets_fit(offsets, utf8.len()) {
                    Ok((count, lists))
                } else {
                    Err(Status::BadOffsets)
                }
            }
            _ => Err(Status::WrongForm),
        }
    }
}

/// Features that are left out exist. Kept item sums have all of them.
#[cfg(feature = "formula")]
fn check_left_out(spec: &Spec<'_>, request: &Request<'_>) -> Result<()> {
    if !request.without.is_empty() && request.item_sums.is_some() {
        return Err(Error::new(Status::BadOption));
    }
    let unknown = |i: &&u32| **i as usize >= spec.features.len();
    match request.without.iter().find(unknown) {
        Some(i) => Err(Error::feature(Status::UnknownFeature, *i as usize)),
        None => Ok(()),
    }
}

fn offsets_fit(offsets: &[u32], len: usize) -> bool {
    // Not `is_sorted`: its slicing leaves a panic in the library (rustc 1.96, aarch64).
    let sorted = offsets
        .iter()
        .zip(offsets.iter().skip(1))
        .all(|(a, b)| a <= b);
    sorted && offsets.last().is_some_and(|last| *last as usize <= len)
}
