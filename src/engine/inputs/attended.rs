//! What features that attend read of other features' columns.

use super::{Inputs, Tally};
use crate::spec::Encoding;

impl Inputs<'_, '_, '_> {
    /// The rows of a list of the user that feature `i` attends to; none if that is left out. Nothing is counted: the list
    /// itself is.
    pub(in super::super) fn attended(&self, i: usize, of: usize, each: &mut dyn FnMut(u32)) {
        let Some(feature) = self.model.spec.features.get(of) else {
            return;
        };
        let is_left_out = self.is_left_out(i) || self.is_left_out(of);
        if let (Encoding::Rows { table, max_len, .. }, false) = (feature.encoding, is_left_out) {
            let places = (usize::from(max_len), 0);
            let mut each = |row, _| each(row);
            self.list(of, feature, table, places, &mut each, &mut Tally::default());
        }
    }

    /// The row of the id feature `i` that the candidate at a position has.
    pub(in super::super) fn row_at(&self, i: usize, position: usize) -> u32 {
        let Some(feature) = self.model.spec.features.get(i) else {
            return 0;
        };
        match feature.encoding {
            // As if it were missing.
            Encoding::Row { default_row, .. } if self.is_left_out(i) => default_row,
            _ => self.row_of(i, feature, self.candidate(position), &mut Tally::default()),
        }
    }
}
