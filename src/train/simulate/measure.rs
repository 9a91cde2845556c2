//! What the simulated world is like: the bound and what falls short of it, and rankings by one objective or by all.
//! Models are held against the bound by [`truth`](crate::train::truth).

use std::prelude::v1::*;

use super::policy::top_of_list;
use super::world::NUM_INTERACTIONS;
use super::{
    Feed, Generator, PolicyReport, Prediction, Request, RequestView, SimulateError, run_policy,
};
use crate::train::metrics::expected_auc;

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

/// What users do over `sessions` when lists are ordered by no thought, by P(click) alone, by [`utility`].
///
/// # Errors
/// Those of [`run_policy`].
pub fn three_policies(feed: &Feed, sessions: u64) -> Result<[PolicyReport; 3], SimulateError> {
    let by = |objective: fn(&Prediction) -> f64| {
        let order = |view: &RequestView<'_>| order_by(feed, view.request, objective);
        run_policy(feed, order, sessions, 9)
    };
    Ok([by(|_| 0.0)?, by(|p| p.click)?, by(utility)?])
}

/// Inputs of the logistic regression: a constant, profile, topic, numbers.
const NUM_INPUTS: usize = 1 + 6 + 3 + 8 + 4 + 12 + 6;

/// Expected AUC on the last 30 % of a log. Tasks: click, complete, like, comment, favourite, share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// The exact predictor from all that was visible: no model can do better.
    pub visible: [f64; 6],
    /// The same without what was visible of the session's state: what is missing to `visible` is what the drift is worth.
    pub without_drift: [f64; 6],
    /// The exact predictor from profile, item and position, without history.
    pub profile: [f64; 6],
    /// The predictor that knows type and state.
    pub latent: [f64; 6],
    /// Click by the item's smoothed click rate in the first 70 %.
    pub click_popularity: f64,
    /// Click by logistic regression on profile, topic and numbers, without crosses.
    pub click_logistic: f64,
}

struct Row {
    item: usize,
    inputs: [f64; NUM_INPUTS],
    clicked: bool,
    latent: Prediction,
    visible: Prediction,
    without_drift: Prediction,
    profile: Prediction,
}

fn tasks(p: &Prediction) -> [f64; 6] {
    let [like, comment, favourite, share] = p.interactions;
    [p.click, p.complete, like, comment, favourite, share]
}

fn valid_rows(feed: &Feed) -> Option<Vec<Row>> {
    let mut rows = Vec::new();
    let mut seen = 0;
    for logged in Generator::new(feed) {
        for row in &logged.rows {
            seen += 1;
            if !row.feedback.valid {
                continue;
            }
            let request = &logged.request;
            let candidate = request.candidates[row.index as usize];
            let item = request.item(feed, row.index)?;
            let mut inputs = [0.0; NUM_INPUTS];
            inputs[0] = 1.0;
            let mut at = 1;
            for (level, levels) in request
                .profile
                .iter()
                .zip([6, 3, 8, 4])
                .chain([(&item.topic, 12)])
            {
                inputs[at + *level as usize] = 1.0;
                at += levels;
            }
            let z = libm::log(f64::from(item.length_seconds)) - 3.7;
            let position = libm::log1p(f64::from(row.position));
            inputs[at..].copy_from_slice(&[
                item.quality,
                item.bait,
                z,
                z * z,
                position,
                candidate.server_score,
            ]);
            rows.push(Row {
                item: candidate.item_id as usize,
                inputs,
                clicked: row.feedback.click,
                latent: request.predict_latent(feed, row.index, row.position)?,
                visible: request.predict_visible(feed, row.index, row.position)?,
                without_drift: request.predict_without_drift(feed, row.index, row.position)?,
                profile: request.predict_profile(feed, row.index, row.position)?,
            });
        }
        if seen >= feed.options().rows {
            return Some(rows);
        }
    }
    Some(rows)
}

fn auc(rows: &[Row], task: usize, score: impl Fn(&Row) -> f64) -> Option<f64> {
    let of = |value: &dyn Fn(&Row) -> f64| rows.iter().map(value).collect::<Vec<f64>>();
    let space = |row: &Row| if task == 0 { 1.0 } else { row.latent.click };
    expected_auc(
        &of(&score),
        &of(&|row| tasks(&row.latent)[task]),
        &of(&space),
    )
}

/// Holds the exact predictors and two simple ones against the truth of a feed's own log. `None` for a log too small to
/// hold every outcome.
pub fn bounds(feed: &Feed) -> Option<Bounds> {
    let rows = valid_rows(feed)?;
    let (train, test) = rows.split_at(rows.len() * 7 / 10);
    let rate = train.iter().filter(|row| row.clicked).count() as f64 / train.len() as f64;
    let mut popularity = vec![(20.0 * rate, 20.0); feed.items().len()];
    for row in train {
        popularity[row.item].0 += f64::from(u8::from(row.clicked));
        popularity[row.item].1 += 1.0;
    }
    let weights = fit_logistic(train);
    let every = |score: &dyn Fn(&Row) -> [f64; 6]| {
        let mut aucs = [0.0; 6];
        for (t, of_task) in aucs.iter_mut().enumerate() {
            *of_task = auc(test, t, |row| score(row)[t])?;
        }
        Some(aucs)
    };
    Some(Bounds {
        visible: every(&|row| tasks(&row.visible))?,
        without_drift: every(&|row| tasks(&row.without_drift))?,
        profile: every(&|row| tasks(&row.profile))?,
        latent: every(&|row| tasks(&row.latent))?,
        click_popularity: auc(test, 0, |row| {
            popularity[row.item].0 / popularity[row.item].1
        })?,
        click_logistic: auc(test, 0, |row| dot(&weights, &row.inputs))?,
    })
}

fn dot(a: &[f64; NUM_INPUTS], b: &[f64; NUM_INPUTS]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Newton's method with a ridge of 1: 6 steps are past convergence.
fn fit_logistic(rows: &[Row]) -> [f64; NUM_INPUTS] {
    let mut weights = [0.0; NUM_INPUTS];
    for _ in 0..6 {
        let mut gradient = weights.map(|w: f64| -w);
        let mut hessian = vec![[0.0; NUM_INPUTS]; NUM_INPUTS];
        (0..NUM_INPUTS).for_each(|i| hessian[i][i] = 1.0);
        for row in rows {
            let p = 1.0 / (1.0 + libm::exp(-dot(&weights, &row.inputs)));
            let error = f64::from(u8::from(row.clicked)) - p;
            for i in 0..NUM_INPUTS {
                let x = row.inputs[i];
                if x != 0.0 {
                    gradient[i] += error * x;
                    (0..NUM_INPUTS)
                        .for_each(|j| hessian[i][j] += p * (1.0 - p) * x * row.inputs[j]);
                }
            }
        }
        // Gauss elimination; the ridge keeps every pivot positive.
        for i in 0..NUM_INPUTS {
            let pivot = hessian[i];
            for j in i + 1..NUM_INPUTS {
                let factor = hessian[j][i] / pivot[i];
                (i..NUM_INPUTS).for_each(|c| hessian[j][c] -= factor * pivot[c]);
                gradient[j] -= factor * gradient[i];
            }
        }
        for i in (0..NUM_INPUTS).rev() {
            let known: f64 = (i + 1..NUM_INPUTS)
                .map(|j| hessian[i][j] * gradient[j])
                .sum();
            gradient[i] = (gradient[i] - known) / hessian[i][i];
        }
        weights
            .iter_mut()
            .zip(gradient)
            .for_each(|(w, step)| *w += step);
    }
    weights
}
