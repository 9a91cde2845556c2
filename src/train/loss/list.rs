//! Losses of the rows of one request, as functions of their logits: what counts is the order.
//!
//! Every loss is a mean with weights that sum to 1 within the request (over pairs, over rows, or over a distribution), so neither
//! a request's length nor the unit of its utilities decides how much it weighs; a batch's loss is the mean over its requests that
//! have one. All are computed in f64, and all but [`regression_compatible`] stay as they are when all logits rise alike.
use std::prelude::v1::*;

use serde::{Deserialize, Serialize};

use super::{sigmoid, softplus};

/// Which loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListLoss {
    /// [`pairwise`], pairs weighed by their difference of utility.
    Pairwise,
    /// [`list_net`].
    ListNet,
    /// [`softmax`].
    Softmax,
    /// [`lambda_rank`] of NDCG at so many places; 0: all.
    LambdaRank(usize),
    /// [`jrc`], so much of the task's loss (the rest is log loss), in (0, 1).
    Jrc(f64),
    /// [`regression_compatible`], so much of the task's loss (the rest is log loss), in (0, 1).
    RegressionCompatible(f64),
}

impl ListLoss {
    /// Share of the loss over lists in the task's loss; the rest is the loss of its rows.
    pub fn share(self) -> f64 {
        match self {
            Self::Jrc(share) | Self::RegressionCompatible(share) => share,
            _ => 1.0,
        }
    }

    /// Whether a request of these utilities has a loss: a pair that differs, or for JRC two rows.
    pub fn counts(self, utilities: &[f64]) -> bool {
        match self {
            Self::Jrc(_) => utilities.len() > 1,
            _ => utilities.windows(2).any(|pair| pair[0] != pair[1]),
        }
    }
}

/// ln(sum of e^z), and the shares of the sum, which replace `z`.
fn soft(z: &mut [f64]) -> f64 {
    let most = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = z
        .iter_mut()
        .map(|z| {
            *z = libm::exp(*z - most);
            *z
        })
        .sum();
    z.iter_mut().for_each(|z| *z /= sum);
    most + libm::log(sum)
}

/// Weighted mean of ln(1 + e^-(z_i - z_j)) over pairs (i, j) with a weight above 0, added with its derivatives: the logistic
/// loss of RankNet (Burges et al., ICML 2005) where the better of two is known. `None` without such a pair.
fn over_pairs(z: &[f64], d: &mut [f64], weight: impl Fn(usize, usize) -> f64) -> Option<f64> {
    let (mut loss, mut total) = (0.0, 0.0);
    d.fill(0.0);
    for i in 0..z.len() {
        for j in 0..z.len() {
            let weight = weight(i, j);
            if weight > 0.0 {
                let margin = z[i] - z[j];
                loss += weight * softplus(-margin);
                let slope = weight * sigmoid(-margin);
                d[i] -= slope;
                d[j] += slope;
                total += weight;
            }
        }
    }
    d.iter_mut().for_each(|d| *d /= total);
    (total > 0.0).then(|| loss / total)
}

/// RankNet's loss over all pairs of unequal utility, each weighed by the difference: with labels of 0 and 1 all pairs weigh
/// alike, as in the paper; with graded ones a pair counts what ordering it wrongly would cost. Derivatives by `z` in `d`.
pub fn pairwise(z: &[f64], utilities: &[f64], d: &mut [f64]) -> Option<f64> {
    over_pairs(z, d, |i, j| utilities[i] - utilities[j])
}

/// LambdaRank (Burges, "From RankNet to LambdaRank to LambdaMART", 2010): RankNet's pairs, each weighed by how much NDCG at
/// `places` (0: all) would change if the two swapped places in the present order; that order is a constant to the derivatives.
/// The gain of a row is its utility, its discount 1 / log2(1 + place). A row's place is its rank by logit, of equal ones in the
/// order of the log.
pub fn lambda_rank(z: &[f64], utilities: &[f64], places: usize, d: &mut [f64]) -> Option<f64> {
    let mut order: Vec<usize> = (0..z.len()).collect();
    order.sort_by(|a, b| z[*b].total_cmp(&z[*a]).then(a.cmp(b)));
    let mut discounts = vec![0.0; z.len()];
    for (place, row) in order.into_iter().enumerate() {
        if places == 0 || place < places {
            discounts[row] = discount(place);
        }
    }
    // The ideal DCG is one factor of all pairs of the request, and so no part of their mean.
    over_pairs(z, d, |i, j| {
        let gain = utilities[i] - utilities[j];
        if gain > 0.0 {
            gain * (discounts[i] - discounts[j]).abs()
        } else {
            0.0
        }
    })
}

/// The discount of a place, counted from 0.
pub(crate) fn discount(place: usize) -> f64 {
    1.0 / libm::log2(place as f64 + 2.0)
}

/// Cross entropy of softmax(z) against `target`, which sums to 1.
fn cross_entropy(z: &[f64], target: &[f64], d: &mut [f64]) -> f64 {
    d.copy_from_slice(z);
    let ln_sum = soft(d);
    let mut loss = 0.0;
    for ((d, z), target) in d.iter_mut().zip(z).zip(target) {
        loss += target * (ln_sum - z);
        *d -= target;
    }
    loss
}

/// Top-one ListNet (Cao et al., ICML 2007): cross entropy of softmax(z) against softmax(utilities).
pub fn list_net(z: &[f64], utilities: &[f64], d: &mut [f64]) -> Option<f64> {
    let mut target = utilities.to_vec();
    soft(&mut target);
    Some(cross_entropy(z, &target, d))
}

/// Cross entropy of softmax(z) against each row's share of the request's utility (Bruch et al., "An Analysis of the Softmax
/// Cross Entropy Loss", ICTIR 2019).
pub fn softmax(z: &[f64], utilities: &[f64], d: &mut [f64]) -> Option<f64> {
    let sum: f64 = utilities.iter().sum();
    let target: Vec<f64> = utilities.iter().map(|u| u / sum).collect();
    (sum > 0.0).then(|| cross_entropy(z, &target, d))
}

/// Cross entropy of a distribution over rows in proportion to sigmoid(z), instead of e^z, against each row's share of the
/// positives: zero slope at sigmoid(z) = P(positive), as that of log loss, so the two do not pull apart (Bai et al.,
/// "Regression Compatible Listwise Objectives for Calibrated Ranking with Binary Relevance", CIKM 2023).
pub fn regression_compatible(z: &[f64], labels: &[f64], d: &mut [f64]) -> Option<f64> {
    let positives: f64 = labels.iter().sum();
    if positives <= 0.0 {
        return None;
    }
    // ln sigmoid(z) as logits of the distribution.
    let ln_p: Vec<f64> = z.iter().map(|z| -softplus(-*z)).collect();
    let target: Vec<f64> = labels.iter().map(|y| y / positives).collect();
    let loss = cross_entropy(&ln_p, &target, d);
    for (d, z) in d.iter_mut().zip(z) {
        *d *= sigmoid(-*z);
    }
    Some(loss)
}

/// The contrastive part of JRC (Sheng et al., "Joint Optimization of Ranking and Calibration with Contextualized Hybrid
/// Model", KDD 2023): a row has two logits, one a class, and the loss is the mean over rows of -ln of the share that a row's
/// logit of its own class has in the softmax of that class's logits over the request. The model serves the difference of the
/// two, z = z1 - z0, whose sigmoid is the softmax over classes; `level` = (z1 + z0) / 2 is the other half of the pair.
/// Derivatives by `z` in `d`, by `level` in `d_level`. `None` without two rows.
///
/// The paper takes the mean over rows of a batch, by which long requests weigh more; here it is one over requests.
pub fn jrc(
    z: &[f64],
    level: &[f64],
    labels: &[f64],
    d: &mut [f64],
    d_level: &mut [f64],
) -> Option<f64> {
    let n = z.len() as f64;
    d.fill(0.0);
    d_level.fill(0.0);
    let mut loss = 0.0;
    // z1 = level + z / 2, z0 = level - z / 2.
    for (class, half) in [(1.0, 0.5), (0.0, -0.5)] {
        let of: Vec<f64> = z.iter().zip(level).map(|(z, l)| l + half * z).collect();
        let count = labels.iter().filter(|y| **y == class).count() as f64;
        let mut share = of.clone();
        let ln_sum = soft(&mut share);
        for (i, share) in share.iter().enumerate() {
            let own = labels[i] == class;
            if own {
                loss += (ln_sum - of[i]) / n;
            }
            let slope = (count * share - f64::from(u8::from(own))) / n;
            d[i] += half * slope;
            d_level[i] += slope;
        }
    }
    (z.len() > 1).then_some(loss)
}

/// A student's order against its teacher's: the mean over all pairs of the cross entropy of sigmoid((z_i - z_j) / T) against
/// sigmoid((t_i - t_j) / T), times T^2: RankNet with the teacher's probabilities as targets (Burges et al. 2005, equation 3), at
/// the temperature of Hinton et al. 2015. `None` without a pair.
pub fn as_taught(z: &[f64], teacher: &[f64], temperature: f64, d: &mut [f64]) -> Option<f64> {
    let n = z.len();
    d.fill(0.0);
    let pairs = (n * n.saturating_sub(1) / 2) as f64;
    let mut loss = 0.0;
    for i in 0..n {
        for j in 0..i {
            let (margin, target) = (
                (z[i] - z[j]) / temperature,
                sigmoid((teacher[i] - teacher[j]) / temperature),
            );
            loss += softplus(margin) - target * margin;
            let slope = (sigmoid(margin) - target) * temperature / pairs;
            d[i] += slope;
            d[j] -= slope;
        }
    }
    (n > 1).then(|| loss * temperature * temperature / pairs)
}

#[cfg(test)]
mod tests;
