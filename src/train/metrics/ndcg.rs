//! Normalised discounted cumulative gain of requests (Jarvelin & Kekalainen, "Cumulated Gain-Based Evaluation of IR
//! Techniques", TOIS 2002), with the discount 1 / log2(1 + place) and the utility itself as gain.
use core::ops::Range;
use std::prelude::v1::*;

use super::{TaskMetrics, mean, order, ties};
use crate::train::loss::list::discount;

/// Places of a list that [`TaskMetrics::ndcg`] looks at.
pub const PLACES: usize = 10;

/// NDCG at `places` of one request; `None` if no utility is above 0. Rows of one score share their places: each gets the mean
/// of their gains (McSherry & Najork, ECIR 2008), so that what a model cannot tell apart is worth a draw.
pub fn ndcg(scores: &[f64], utilities: &[f64], places: usize) -> Option<f64> {
    let gained = gain(scores, utilities, places);
    let ideal = gain(utilities, utilities, places);
    (ideal > 0.0).then(|| gained / ideal)
}

/// Discounted gain of the first places in the order of scores, the highest first.
fn gain(scores: &[f64], utilities: &[f64], places: usize) -> f64 {
    let mut ascending = order(scores);
    ascending.reverse();
    let (mut place, mut sum) = (0, 0.0);
    for tie in ties(&ascending, scores) {
        let utility: f64 = tie.iter().map(|i| utilities[*i as usize]).sum();
        let here = place..(place + tie.len()).min(places);
        let discounts: f64 = here.map(discount).sum();
        sum += utility / tie.len() as f64 * discounts;
        place += tie.len();
        if place >= places {
            break;
        }
    }
    sum
}

/// By request, in the order of the rows: [`ndcg`] of its rows, which are consecutive.
pub fn by_request(
    scores: &[f64],
    utilities: &[f64],
    requests: &[u32],
    places: usize,
) -> Vec<Option<f64>> {
    let lists = lists(requests);
    lists
        .map(|rows| ndcg(&scores[rows.clone()], &utilities[rows], places))
        .collect()
}

/// Mean over requests of the discounted gain of their first `places`, not divided by the best possible: a request counts by
/// what there is to win in it. `None` without rows.
pub fn mean_dcg(scores: &[f64], utilities: &[f64], requests: &[u32], places: usize) -> Option<f64> {
    let gains = lists(requests).map(|rows| gain(&scores[rows.clone()], &utilities[rows], places));
    let (sum, count) = gains.fold((0.0, 0.0), |(sum, n), gain| (sum + gain, n + 1.0));
    (count > 0.0).then(|| sum / count)
}

/// The rows of each request.
fn lists(requests: &[u32]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    requests.chunk_by(|a, b| a == b).map(move |list| {
        let rows = at..at + list.len();
        at = rows.end;
        rows
    })
}

impl TaskMetrics {
    /// Of a ranking task: logits, utilities, positive weights and requests of its rows.
    pub fn ranking(logits: &[f64], utilities: &[f64], weights: &[f64], requests: &[u32]) -> Self {
        let lists = by_request(logits, utilities, requests, PLACES);
        let defined: Vec<f64> = lists.into_iter().flatten().collect();
        let alike = vec![1.0; defined.len()];
        Self {
            rows: logits.len() as u64,
            mean_label: mean(utilities.iter().copied(), weights),
            ndcg: mean(defined.iter().copied(), &alike),
            ndcg_requests: Some(defined.len() as u64),
            ..Self::default()
        }
    }
}
