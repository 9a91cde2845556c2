//! Features that attend to lists, and what they cost.
use core::fmt;
use std::prelude::v1::*;

use serde::Serialize;

use crate::spec::Spec;

/// Multiply-adds of a feature that attends, without padding; of its exact sums one a value, though they are made in three digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttentionInfo {
    /// The feature.
    pub feature: String,
    /// The list that it attends to.
    pub list: String,
    /// The id that asks.
    pub query: String,
    /// Values of a key and of a query.
    pub dim: usize,
    /// Rows of the list at most.
    pub max_len: usize,
    /// Once a request for each row of the list: its key.
    pub per_row: usize,
    /// For each candidate: its query.
    pub per_candidate: usize,
    /// For each candidate and row: the logit and the weighted sum.
    pub per_candidate_and_row: usize,
}

impl fmt::Display for AttentionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<24} {:<16} {:<16} {:>4} {:>7} {:>8} {:>9} {:>13}",
            self.feature,
            self.list,
            self.query,
            self.dim,
            self.max_len,
            self.per_row,
            self.per_candidate,
            self.per_candidate_and_row
        )
    }
}

/// The features of `spec` that attend.
pub(super) fn of(spec: &Spec<'_>) -> Vec<AttentionInfo> {
    let name = |i: usize| spec.features[i].name.to_string();
    let all = spec.attentions().map(|(feature, a)| AttentionInfo {
        feature: name(feature),
        list: name(a.of),
        query: name(a.query),
        dim: a.dim,
        max_len: a.max_len,
        per_row: a.dim * a.width,
        per_candidate: a.dim * a.width,
        per_candidate_and_row: a.dim + a.width,
    });
    all.collect()
}

/// Multiply-adds once a request and for each candidate, of lists as long as they may be.
pub(super) fn multiply_adds(spec: &Spec<'_>) -> [usize; 2] {
    of(spec).iter().fold([0, 0], |[request, candidate], a| {
        let candidates = a.per_candidate + a.max_len * a.per_candidate_and_row;
        [request + a.max_len * a.per_row, candidate + candidates]
    })
}
