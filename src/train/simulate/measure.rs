//! What a score is worth against the truth: expected AUC, and rankings by one objective or by all.

use std::prelude::v1::*;

use super::policy::top_of_list;
use super::world::NUM_INTERACTIONS;
use super::{Feed, Generator, Prediction, Request};

/// One row as seen by [`expected_auc`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoredRow {
    /// Any number; larger means more likely.
    pub score: f64,
    /// Weight as a positive: `p_latent`, times the latent P(click) for a conditional task.
    pub positive: f64,
    /// Weight as a negative: `1 - p_latent`, times the same.
    pub negative: f64,
}

impl ScoredRow {
    /// A row of a task with true probability `p`, in a space that the row is in with probability `space`.
    pub fn new(score: f64, p: f64, space: f64) -> Self {
        ScoredRow {
            score,
            positive: space * p,
            negative: space * (1.0 - p),
        }
    }
}

/// P(score of a positive > score of a negative) + half of ties, every row being a positive and a negative by its weights: the AUC
/// of one score against infinitely many draws of the labels. `None` without weight on both sides. Sorts `rows`.
pub fn expected_auc(rows: &mut [ScoredRow]) -> Option<f64> {
    rows.sort_unstable_by(|a, b| a.score.total_cmp(&b.score));
    let (mut negatives, mut won) = (0.0, 0.0);
    for tied in rows.chunk_by(|a, b| a.score == b.score) {
        let positive: f64 = tied.iter().map(|row| row.positive).sum();
        let negative: f64 = tied.iter().map(|row| row.negative).sum();
        won += positive * (negatives + 0.5 * negative);
        negatives += negative;
    }
    let positives: f64 = rows.iter().map(|row| row.positive).sum();
    let pairs = positives * negatives;
    (pairs > 0.0).then(|| won / pairs)
}

/// What an interaction is worth in seconds of watch time, for [`utility`].
pub const INTERACTION_SECONDS: [f64; NUM_INTERACTIONS] = [20.0, 60.0, 40.0, 60.0];

/// The fused objective: P(click) · (E[watch seconds | click] + Σ seconds · P(interaction | click)).
pub fn utility(p: &Prediction) -> f64 {
    let interactions: f64 = INTERACTION_SECONDS
        .iter()
        .zip(p.interactions)
        .map(|(s, p)| s * p)
        .sum();
    p.click * (p.watch_mean + interactions)
}

/// Candidates of `request` by decreasing `objective` of the visible prediction at position 0.
pub fn order_by(
    feed: &Feed,
    request: &Request,
    objective: impl Fn(&Prediction) -> f64,
) -> Vec<u32> {
    let mut keyed: Vec<(f64, u32)> = (0..request.candidates.len() as u32)
        .filter_map(|i| Some((objective(&request.predict_visible(feed, i, 0)?), i)))
        .collect();
    keyed.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    keyed.into_iter().map(|(_, i)| i).collect()
}

/// How ranking by one objective alone differs from the fused list, over the first ten of fresh requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct SingleObjective {
    /// Bait share of the list by P(click) / that of the fused list.
    pub click_bait: f64,
    /// Mean length of the list by E[watch | click] / that of the fused list.
    pub duration_length: f64,
    /// Mean length of the list by P(complete | click) / that of the fused list.
    pub completion_length: f64,
    /// Bait share of the fused list.
    pub fused_bait: f64,
    /// Mean length of the fused list, seconds.
    pub fused_length_seconds: f64,
}

/// Ranks the candidates of requests of the feed's own log, from request `skip` on, `requests` of them.
pub fn single_objective(feed: &Feed, skip: usize, requests: usize) -> SingleObjective {
    let mut sums = [(0.0, 0.0); 4];
    for logged in Generator::new(feed).skip(skip).take(requests) {
        let request = &logged.request;
        let objectives: [fn(&Prediction) -> f64; 4] =
            [utility, |p| p.click, |p| p.watch_mean, |p| p.complete];
        for (sum, objective) in sums.iter_mut().zip(objectives) {
            let (bait, length) = top_of_list(feed, request, &order_by(feed, request, objective));
            sum.0 += bait;
            sum.1 += length;
        }
    }
    let [fused, click, duration, completion] = sums;
    SingleObjective {
        click_bait: click.0 / fused.0,
        duration_length: duration.1 / fused.1,
        completion_length: completion.1 / fused.1,
        fused_bait: fused.0 / requests as f64,
        fused_length_seconds: fused.1 / requests as f64,
    }
}
