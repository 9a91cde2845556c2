//! Metrics in f64 of predictions against labels. Functions return `None` where a metric is not defined.
use std::prelude::v1::*;

use serde::{Deserialize, Serialize};

use crate::train::loss::sigmoid;

mod ndcg;
pub use ndcg::{PLACES, by_request, mean_dcg, ndcg};

/// All metrics of one task on some rows; those of the other kind of task are `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskMetrics {
    /// Rows in the task's space.
    pub rows: u64,
    /// Mean label.
    pub mean_label: Option<f64>,
    /// Mean score.
    pub mean_score: Option<f64>,
    /// `Binary`: area under the ROC curve.
    pub auc: Option<f64>,
    /// `Binary`: AUC within groups, weighted by rows.
    pub gauc: Option<f64>,
    /// `Binary`: share of rows in groups of one class, which GAUC skips.
    pub gauc_skipped: Option<f64>,
    /// `Binary`: mean negative log-likelihood, nats.
    pub log_loss: Option<f64>,
    /// `Binary`: log loss over that of the mean label (He et al. 2014).
    pub normalized_entropy: Option<f64>,
    /// Mean score over mean label.
    pub calibration: Option<f64>,
    /// `Duration`: mean absolute error, in the label's unit.
    pub mae: Option<f64>,
    /// `Duration`: root mean square error, in the label's unit.
    pub rmse: Option<f64>,
    /// `Duration`: share of pairs of unequal labels in the right order (Zhan et al. 2022).
    pub xauc: Option<f64>,
    /// `Duration`: Spearman's rank correlation.
    pub spearman: Option<f64>,
    /// Ranking: NDCG at [`PLACES`], mean over requests with a utility above 0.
    pub ndcg: Option<f64>,
    /// Ranking: those requests.
    pub ndcg_requests: Option<u64>,
}

/// Order of `values`, ascending. A log has fewer rows than a u32 counts.
fn order(values: &[f64]) -> Vec<u32> {
    let value = |i: &u32| values[*i as usize];
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    order.sort_unstable_by(|a, b| value(a).total_cmp(&value(b)).then(a.cmp(b)));
    order
}

/// Calls `each` with the runs of `order` in which `values` are equal.
fn ties<'o>(order: &'o [u32], values: &'o [f64]) -> impl Iterator<Item = &'o [u32]> {
    order.chunk_by(|a, b| values[*a as usize] == values[*b as usize])
}

/// Probability that a positive outranks a negative, ties counting half; row i is `positive(i)` positives and
/// `negative(i)` negatives. `None` without both.
pub fn soft_auc(
    scores: &[f64],
    positive: impl Fn(usize) -> f64,
    negative: impl Fn(usize) -> f64,
) -> Option<f64> {
    let (mut below, mut won, mut total) = (0.0, 0.0, 0.0);
    for tie in ties(&order(scores), scores) {
        let p: f64 = tie.iter().map(|i| positive(*i as usize)).sum();
        let n: f64 = tie.iter().map(|i| negative(*i as usize)).sum();
        won += p * (below + 0.5 * n);
        below += n;
        total += p;
    }
    (total > 0.0 && below > 0.0).then(|| won / (total * below))
}

/// Weighted AUC of labels in {0, 1}.
pub fn auc(scores: &[f64], labels: &[f64], weights: &[f64]) -> Option<f64> {
    let positive = |i: usize| labels[i] * weights[i];
    let negative = |i: usize| (1.0 - labels[i]) * weights[i];
    soft_auc(scores, positive, negative)
}

/// AUC in expectation over labels: row i is a positive of weight `weights[i] p[i]` and a negative of weight
/// `weights[i] (1 - p[i])`, which is the AUC against infinitely many draws of the labels. For a task in a conditional
/// space, the weight is the probability of that space.
pub fn expected_auc(scores: &[f64], p: &[f64], weights: &[f64]) -> Option<f64> {
    auc(scores, p, weights)
}

/// AUC within each group, weighted by the group's rows, and the share of rows in groups of one class, which are
/// skipped (Zhou et al. 2018, section 5.2, with rows for impressions).
pub fn gauc(
    scores: &[f64],
    labels: &[f64],
    weights: &[f64],
    groups: &[u32],
) -> (Option<f64>, Option<f64>) {
    let of = |i: &u32| groups[*i as usize];
    let mut order: Vec<u32> = (0..groups.len() as u32).collect();
    order.sort_unstable_by_key(|i| (of(i), *i));
    let (mut sum, mut used) = (0.0, 0);
    for group in order.chunk_by(|a, b| of(a) == of(b)) {
        let pick = |values: &[f64]| -> Vec<f64> {
            let rows = group.iter();
            rows.map(|i| values[*i as usize]).collect()
        };
        if let Some(a) = auc(&pick(scores), &pick(labels), &pick(weights)) {
            sum += a * group.len() as f64;
            used += group.len();
        }
    }
    let rows = groups.len() as f64;
    (
        (used > 0).then(|| sum / used as f64),
        (rows > 0.0).then(|| 1.0 - used as f64 / rows),
    )
}

/// Ranks from 1, ties sharing their mean.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for tie in ties(&order(values), values) {
        for i in tie {
            ranks[*i as usize] = before as f64 + (tie.len() + 1) as f64 / 2.0;
        }
        before += tie.len();
    }
    ranks
}

/// Spearman's rank correlation: Pearson's of [`ranks`]. `None` if either is constant.
pub fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() + 1) as f64 / 2.0;
    let product = |x: &[f64], y: &[f64]| {
        x.iter()
            .zip(y)
            .map(|(x, y)| (x - mean) * (y - mean))
            .sum::<f64>()
    };
    let (aa, bb) = (product(&a, &a), product(&b, &b));
    (aa > 0.0 && bb > 0.0).then(|| product(&a, &b) / libm::sqrt(aa * bb))
}

/// Share of pairs with unequal labels that scores put in the labels' order, equal scores counting half; a pair weighs
/// the product of its rows' weights (exact for integers below 2^53).
pub fn xauc(scores: &[f64], labels: &[f64], weights: &[f64]) -> Option<f64> {
    let n = scores.len();
    // Dense ranks of scores index a Fenwick tree of what the smaller labels weigh at each.
    let mut rank = vec![0; n];
    for (r, tie) in ties(&order(scores), scores).enumerate() {
        tie.iter().for_each(|i| rank[*i as usize] = r + 1);
    }
    let mut tree = vec![0.0; n + 1];
    let up_to = |tree: &[f64], mut i: usize| {
        let mut sum = 0.0;
        while i > 0 {
            sum += tree[i];
            i &= i - 1;
        }
        sum
    };
    let (mut seen, mut twice_won, mut pairs) = (0.0, 0.0, 0.0);
    for tie in ties(&order(labels), labels) {
        let tie = || tie.iter().map(|i| *i as usize);
        for i in tie() {
            let (under, at) = (up_to(&tree, rank[i] - 1), up_to(&tree, rank[i]));
            twice_won += weights[i] * (under + at);
            pairs += weights[i] * seen;
        }
        for i in tie() {
            let mut r = rank[i];
            while r <= n {
                tree[r] += weights[i];
                r += r & r.wrapping_neg();
            }
            seen += weights[i];
        }
    }
    (pairs > 0.0).then(|| twice_won / 2.0 / pairs)
}

/// Sum of `values` times weights, over the weights' sum. `None` without weight.
pub(crate) fn mean(values: impl Iterator<Item = f64>, weights: &[f64]) -> Option<f64> {
    let total: f64 = weights.iter().sum();
    let sum: f64 = values.zip(weights).map(|(v, w)| v * w).sum();
    (total > 0.0).then(|| sum / total)
}

impl TaskMetrics {
    /// Of a binary task: logits, labels in {0, 1}, positive weights and groups of its rows.
    pub fn binary(logits: &[f64], labels: &[f64], weights: &[f64], groups: &[u32]) -> Self {
        let loss = |(z, y): (&f64, &f64)| {
            crate::train::loss::loss(crate::spec::TaskKind::Binary, 1.0, *z, *y).0
        };
        let log_loss = mean(logits.iter().zip(labels).map(loss), weights);
        let mean_label = mean(labels.iter().copied(), weights);
        let mean_score = mean(logits.iter().map(|z| sigmoid(*z)), weights);
        let entropy = mean_label
            .filter(|p| *p > 0.0 && *p < 1.0)
            .map(|p| -p * libm::log(p) - (1.0 - p) * libm::log1p(-p));
        let (gauc, gauc_skipped) = gauc(logits, labels, weights, groups);
        Self {
            rows: logits.len() as u64,
            mean_label,
            mean_score,
            auc: auc(logits, labels, weights),
            gauc,
            gauc_skipped,
            log_loss,
            normalized_entropy: log_loss.zip(entropy).map(|(l, e)| l / e),
            calibration: ratio(mean_score, mean_label),
            ..Self::default()
        }
    }

    /// Of a duration task: scores and labels in one unit, and positive weights of its rows.
    pub fn duration(scores: &[f64], labels: &[f64], weights: &[f64]) -> Self {
        let difference = || scores.iter().zip(labels).map(|(s, y)| s - y);
        let mean_label = mean(labels.iter().copied(), weights);
        let mean_score = mean(scores.iter().copied(), weights);
        Self {
            rows: scores.len() as u64,
            mean_label,
            mean_score,
            calibration: ratio(mean_score, mean_label),
            mae: mean(difference().map(f64::abs), weights),
            rmse: mean(difference().map(|d| d * d), weights).map(libm::sqrt),
            xauc: xauc(scores, labels, weights),
            spearman: spearman(scores, labels),
            ..Self::default()
        }
    }

    /// The one number that early stopping watches: AUC, Spearman's correlation or, of a ranking task, NDCG.
    pub fn quality(&self) -> Option<f64> {
        self.auc.or(self.spearman).or(self.ndcg)
    }
}

fn ratio(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    a.zip(b).filter(|(_, b)| *b > 0.0).map(|(a, b)| a / b)
}

#[cfg(test)]
mod tests;
