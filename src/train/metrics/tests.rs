//! Oracles: every metric again by its definition, over all pairs.
#![allow(clippy::unwrap_used)]
use super::*;
use crate::train::random::Key;

fn draws(seed: u64, n: usize, levels: u64) -> Vec<f64> {
    (0..n)
        .map(|i| (Key::new(seed).at(i as u64).bits() % levels) as f64)
        .collect()
}

fn naive_auc(s: &[f64], y: &[f64], w: &[f64]) -> f64 {
    let (mut won, mut total) = (0.0, 0.0);
    for i in 0..s.len() {
        for j in 0..s.len() {
            let weight = w[i] * y[i] * w[j] * (1.0 - y[j]);
            total += weight;
            won += weight
                * if s[i] > s[j] {
                    1.0
                } else if s[i] == s[j] {
                    0.5
                } else {
                    0.0
                };
        }
    }
    won / total
}

#[test]
fn auc_and_expected_auc_count_pairs() {
    for seed in 0..20 {
        let n = 60 + seed as usize;
        let (s, y) = (draws(seed, n, 17), draws(seed + 100, n, 2));
        let w: Vec<f64> = draws(seed + 200, n, 4).iter().map(|w| w + 0.5).collect();
        assert!((auc(&s, &y, &w).unwrap() - naive_auc(&s, &y, &w)).abs() < 1e-12);
        let p: Vec<f64> = draws(seed + 300, n, 11).iter().map(|p| p / 10.0).collect();
        assert!((expected_auc(&s, &p, &w).unwrap() - naive_auc(&s, &p, &w)).abs() < 1e-12);
    }
    assert_eq!(auc(&[1.0, 2.0], &[1.0, 1.0], &[1.0, 1.0]), None);
    assert_eq!(auc(&[], &[], &[]), None);
}

#[test]
fn gauc_weights_groups_by_rows_and_skips_one_class_groups() {
    for seed in 0..20 {
        let n = 200;
        let (s, y, w) = (draws(seed, n, 9), draws(seed + 1000, n, 2), vec![1.0; n]);
        let g: Vec<u32> = draws(seed + 2000, n, 60)
            .iter()
            .map(|g| *g as u32)
            .collect();
        let (mut sum, mut used) = (0.0, 0);
        for group in 0..60 {
            let rows: Vec<usize> = (0..n).filter(|i| g[*i] == group).collect();
            let of = |v: &[f64]| rows.iter().map(|i| v[*i]).collect::<Vec<_>>();
            let positives = of(&y).iter().sum::<f64>() as usize;
            if positives > 0 && positives < rows.len() {
                sum += naive_auc(&of(&s), &of(&y), &of(&w)) * rows.len() as f64;
                used += rows.len();
            }
        }
        let (got, skipped) = gauc(&s, &y, &w, &g);
        assert!((got.unwrap() - sum / used as f64).abs() < 1e-12);
        assert!((skipped.unwrap() - (n - used) as f64 / n as f64).abs() < 1e-12);
    }
    assert_eq!(gauc(&[1.0], &[1.0], &[1.0], &[0]), (None, Some(1.0)));
}

#[test]
fn xauc_counts_pairs_of_unequal_labels() {
    for seed in 0..20 {
        let n = 30 + 3 * seed as usize;
        let (s, y) = (draws(seed, n, 13), draws(seed + 50, n, 7));
        let w = draws(seed + 90, n, 4);
        let (mut won, mut pairs) = (0.0, 0.0);
        for i in 0..n {
            for j in 0..n {
                if y[i] > y[j] {
                    pairs += w[i] * w[j];
                    won += w[i]
                        * w[j]
                        * if s[i] > s[j] {
                            1.0
                        } else if s[i] == s[j] {
                            0.5
                        } else {
                            0.0
                        };
                }
            }
        }
        assert!((xauc(&s, &y, &w).unwrap() - won / pairs).abs() < 1e-12);
    }
    assert_eq!(xauc(&[1.0, 2.0], &[3.0, 3.0], &[1.0, 1.0]), None);
}

#[test]
fn spearman_is_pearson_of_ranks_by_counting() {
    for seed in 0..20 {
        let n = 40;
        let (a, b) = (draws(seed, n, 15), draws(seed + 77, n, 30));
        let rank = |v: &[f64], i: usize| {
            let below = v.iter().filter(|x| **x < v[i]).count() as f64;
            let equal = v.iter().filter(|x| **x == v[i]).count() as f64;
            below + (equal + 1.0) / 2.0
        };
        let (ra, rb): (Vec<f64>, Vec<f64>) = (0..n).map(|i| (rank(&a, i), rank(&b, i))).unzip();
        let mean = |v: &[f64]| v.iter().sum::<f64>() / n as f64;
        let covariance = |u: &[f64], v: &[f64]| {
            u.iter().zip(v).map(|(x, y)| x * y).sum::<f64>() / n as f64 - mean(u) * mean(v)
        };
        let want = covariance(&ra, &rb) / (covariance(&ra, &ra) * covariance(&rb, &rb)).sqrt();
        assert!((spearman(&a, &b).unwrap() - want).abs() < 1e-10);
    }
    assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]), None);
}

#[test]
fn binary_metrics_of_a_case_by_hand() {
    let z = [libm::log(3.0), 0.0];
    let m = TaskMetrics::binary(&z, &[1.0, 0.0], &[1.0, 3.0], &[0, 0]);
    let log_loss = (-(0.75f64.ln()) - 3.0 * 0.5f64.ln()) / 4.0;
    let entropy = -0.25 * 0.25f64.ln() - 0.75 * 0.75f64.ln();
    assert!((m.log_loss.unwrap() - log_loss).abs() < 1e-12);
    assert!((m.normalized_entropy.unwrap() - log_loss / entropy).abs() < 1e-12);
    assert!((m.calibration.unwrap() - ((0.75 + 1.5) / 4.0) / 0.25).abs() < 1e-12);
    assert_eq!(
        (m.auc, m.gauc, m.gauc_skipped),
        (Some(1.0), Some(1.0), Some(0.0))
    );
}

#[test]
fn duration_metrics_of_a_case_by_hand() {
    let m = TaskMetrics::duration(&[1.0, 5.0, 2.0], &[2.0, 3.0, 2.0], &[1.0, 1.0, 2.0]);
    assert_eq!(
        (m.mae, m.xauc, m.mean_score),
        (Some(0.75), Some(1.0), Some(2.5))
    );
    assert!((m.rmse.unwrap() - 1.25f64.sqrt()).abs() < 1e-12);
}

#[test]
fn no_rows_have_no_metrics() {
    let none = TaskMetrics::default();
    assert_eq!(TaskMetrics::binary(&[], &[], &[], &[]), none);
    assert_eq!(TaskMetrics::duration(&[], &[], &[]), none);
}

#[test]
fn ndcg_of_a_case_by_hand() {
    let second = 1.0 / libm::log2(3.0);
    // Order 1, 2, 0: gains 2, 0, 3 against 3, 2, 0.
    let (scores, utilities) = ([0.1, 0.9, 0.5], [3.0, 2.0, 0.0]);
    let want = (2.0 + 3.0 * 0.5) / (3.0 + 2.0 * second);
    assert!((ndcg(&scores, &utilities, 10).unwrap() - want).abs() < 1e-12);
    let want = 2.0 / 3.0;
    assert!((ndcg(&scores, &utilities, 1).unwrap() - want).abs() < 1e-12);
    // Two rows of one score are worth a draw.
    let want = (1.0 + second) / 2.0;
    assert!((ndcg(&[0.5, 0.5], &[0.0, 4.0], 10).unwrap() - want).abs() < 1e-12);
    assert!((ndcg(&[0.5, 0.5], &[0.0, 4.0], 1).unwrap() - 0.5).abs() < 1e-12);
    assert_eq!(ndcg(&[0.5, 0.5], &[0.0, 0.0], 10), None);
    assert_eq!(ndcg(&[], &[], 10), None);
    // The mean is over requests with something to win; DCG counts all.
    let requests = [7, 7, 9, 9, 3];
    let (scores, utilities) = ([1.0, 0.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0, 2.0]);
    let m = TaskMetrics::ranking(&scores, &utilities, &[1.0; 5], &requests);
    assert!((m.ndcg.unwrap() - (second + 1.0) / 2.0).abs() < 1e-12);
    assert_eq!((m.ndcg_requests, m.rows, m.quality()), (Some(2), 5, m.ndcg));
    let dcg = mean_dcg(&scores, &utilities, &requests, 10).unwrap();
    assert!((dcg - (second + 2.0) / 3.0).abs() < 1e-12);
}
