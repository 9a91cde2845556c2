//! Paired bootstrap over requests of metrics of two score lists on the same rows.
use std::prelude::v1::*;

use rayon::prelude::*;

use crate::train::random::Key;

/// Rows in the order of one score list, with runs of ties.
pub(super) struct Ranking {
    /// Row indices, ascending score.
    order: Vec<u32>,
    /// Whether a row of `order` has the score of the one before it.
    tied: Vec<bool>,
}

impl Ranking {
    pub fn new(scores: &[f64]) -> Self {
        let mut order: Vec<u32> = (0..scores.len() as u32).collect();
        let score = |i: &u32| scores[*i as usize];
        order.sort_by(|a, b| score(a).total_cmp(&score(b)));
        let tied = (0..order.len())
            .map(|i| i > 0 && score(&order[i]) == score(&order[i - 1]))
            .collect();
        Self { order, tied }
    }

    /// Runs of equal scores, ascending.
    fn runs(&self) -> impl Iterator<Item = &[u32]> {
        let mut at = 0;
        core::iter::from_fn(move || {
            let start = at;
            at += 1;
            while self.tied.get(at) == Some(&true) {
                at += 1;
            }
            self.order.get(start..at)
        })
    }

    /// AUC of labels in [0, 1], each row counted by its weight.
    pub fn auc(&self, labels: &[f64], weights: &[f64]) -> Option<f64> {
        let (mut below, mut won, mut total) = (0.0, 0.0, 0.0);
        for run in self.runs() {
            let (mut p, mut n) = (0.0, 0.0);
            for i in run {
                let (y, w) = (labels[*i as usize], weights[*i as usize]);
                p += y * w;
                n += (1.0 - y) * w;
            }
            won += p * (below + 0.5 * n);
            below += n;
            total += p;
        }
        (total > 0.0 && below > 0.0).then(|| won / (total * below))
    }

    /// Middle ranks of rows that stand for `weights` rows each, less half the sum of weights.
    fn ranks(&self, weights: &[f64]) -> Vec<f64> {
        let half = weights.iter().sum::<f64>() / 2.0;
        let mut ranks = vec![0.0; weights.len()];
        let mut below = 0.0;
        for run in self.runs() {
            let here: f64 = run.iter().map(|i| weights[*i as usize]).sum();
            for i in run {
                ranks[*i as usize] = below + here / 2.0 - half;
            }
            below += here;
        }
        ranks
    }

    /// Spearman's correlation with `other`, each row counted by its weight.
    pub fn spearman(&self, other: &Ranking, weights: &[f64]) -> Option<f64> {
        let (a, b) = (self.ranks(weights), other.ranks(weights));
        let product = |x: &[f64], y: &[f64]| {
            let rows = x.iter().zip(y).zip(weights);
            rows.map(|((x, y), w)| x * y * w).sum::<f64>()
        };
        let (aa, bb) = (product(&a, &a), product(&b, &b));
        (aa > 0.0 && bb > 0.0).then(|| product(&a, &b) / libm::sqrt(aa * bb))
    }
}

/// Standard error and 95 % percentile interval of a statistic of row weights under resampling of requests.
///
/// `request` is the request of each row, never decreasing. Resamples on which the statistic is not defined are left
/// out; `None` if fewer than two are left.
pub(super) fn bootstrap(
    request: &[u32],
    weights: &[f64],
    resamples: usize,
    seed: u64,
    statistic: &(dyn Fn(&[f64]) -> Option<f64> + Sync),
) -> Option<(f64, [f64; 2])> {
    let starts: Vec<usize> = (0..request.len())
        .filter(|i| *i == 0 || request[*i] != request[*i - 1])
        .collect();
    let requests = starts.len();
    let one = |resample: usize| {
        let key = Key::new(seed).at(resample as u64);
        let mut counts = vec![0u32; requests];
        for i in 0..requests {
            let drawn = (u128::from(key.at(i as u64).bits()) * requests as u128) >> 64;
            counts[drawn as usize] += 1;
        }
        let mut resampled = weights.to_vec();
        for (r, start) in starts.iter().enumerate() {
            let end = starts.get(r + 1).copied().unwrap_or(weights.len());
            resampled[*start..end]
                .iter_mut()
                .for_each(|w| *w *= f64::from(counts[r]));
        }
        statistic(&resampled)
    };
    let all: Vec<Option<f64>> = (0..resamples).into_par_iter().map(one).collect();
    let mut values: Vec<f64> = all.into_iter().flatten().collect();
    if values.len() < 2 {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0);
    let quantile = |q: f64| values[((n - 1.0) * q + 0.5) as usize];
    Some((libm::sqrt(variance), [quantile(0.025), quantile(0.975)]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::train::metrics;

    #[test]
    fn weights_count_rows_as_often_as_copies_of_them_would() {
        for seed in 0..50 {
            let key = Key::new(seed);
            let n = 2 + seed as usize;
            let draw = |stream: u64, most: u64| -> Vec<f64> {
                (0..n)
                    .map(|i| (key.at(stream).at(i as u64).bits() % most) as f64)
                    .collect()
            };
            let (a, b, labels, weights) = (draw(0, 9), draw(1, 7), draw(2, 2), draw(3, 4));
            let copies = |values: &[f64]| -> Vec<f64> {
                let rows = values.iter().zip(&weights);
                rows.flat_map(|(x, w)| core::iter::repeat_n(*x, *w as usize))
                    .collect()
            };
            let near = |got: Option<f64>, want: Option<f64>| {
                assert_eq!(got.is_some(), want.is_some());
                assert!((got.unwrap_or(0.0) - want.unwrap_or(0.0)).abs() < 1e-12);
            };
            near(
                Ranking::new(&a).spearman(&Ranking::new(&b), &weights),
                metrics::spearman(&copies(&a), &copies(&b)),
            );
            let ones = vec![1.0; copies(&a).len()];
            near(
                Ranking::new(&a).auc(&labels, &weights),
                metrics::auc(&copies(&a), &copies(&labels), &ones),
            );
        }
    }

    #[test]
    fn the_standard_error_of_a_mean_is_that_of_its_requests() {
        // 400 requests of 5 equal rows: the error is that of 400 draws, not of 2000.
        let value = |r: u32| Key::new(9).at(u64::from(r)).normal();
        let request: Vec<u32> = (0..2000).map(|i| i / 5).collect();
        let weights = vec![1.0; 2000];
        let mean = |w: &[f64]| {
            let sum: f64 = request.iter().zip(w).map(|(r, w)| value(*r) * w).sum();
            Some(sum / w.iter().sum::<f64>())
        };
        let (error, [low, high]) = bootstrap(&request, &weights, 400, 1, &mean).unwrap();
        assert!((error - 0.05).abs() < 0.008, "{error}");
        let center = mean(&weights).unwrap();
        assert!(low < center && center < high && (high - low - 4.0 * error).abs() < error);
    }
}
