//! Projecting conflicting gradients (Yu et al., NeurIPS 2020, algorithm 1): v_i starts as g_i; for every other task j in
//! random order, if v_i . g_j < 0, then v_i -= (v_i . g_j) / |g_j|^2 g_j; the gradient used is the sum of all v_i.
//!
//! Every v_i is a combination of the g_k, and so is their sum: sum of c_k g_k. With row a_i of v_i's coefficients and the
//! Gram matrix G, v_i . g_j = sum over k of a_ik G_kj and |g_j|^2 = G_jj, so c needs G alone.
//!
//! A g_j whose norm is below 1e-12 of g_i's is passed over: its direction is rounding, and its factor could be of any size.
use std::prelude::v1::*;

use crate::train::random::Key;

/// Squared norms below this share of the projected gradient's count as 0.
const NEGLIGIBLE: f64 = 1e-24;

/// c, 1 for tasks that are not `present`.
pub(super) fn factors(gram: &[f64], present: &[bool], key: Key) -> Vec<f64> {
    let n = present.len();
    let tasks = || (0..n).filter(|t| present[*t]);
    let mut sum: Vec<f64> = present.iter().map(|p| f64::from(!*p)).collect();
    for i in tasks() {
        let mut others: Vec<usize> = tasks().filter(|j| *j != i).collect();
        key.at(i as u64).shuffle(&mut others);
        let mut a = vec![0.0; n];
        a[i] = 1.0;
        for j in others {
            let product: f64 = tasks().map(|k| a[k] * gram[k * n + j]).sum();
            let square = gram[j * n + j];
            if product < 0.0 && square > NEGLIGIBLE * gram[i * n + i] {
                let step = product / square;
                // Not for squares near the smallest float.
                if step.is_finite() {
                    a[j] -= step;
                }
            }
        }
        for (s, a) in sum.iter_mut().zip(a) {
            *s += a;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    fn gram(g: &[Vec<f64>]) -> Vec<f64> {
        g.iter()
            .flat_map(|a| g.iter().map(move |b| dot(a, b)))
            .collect()
    }

    /// The algorithm on the vectors themselves.
    fn projected(g: &[Vec<f64>], present: &[bool], key: Key) -> Vec<f64> {
        let mut sum = vec![0.0; g[0].len()];
        for i in (0..g.len()).filter(|i| present[*i]) {
            let mut order: Vec<usize> = (0..g.len()).filter(|j| *j != i && present[*j]).collect();
            key.at(i as u64).shuffle(&mut order);
            let mut v = g[i].clone();
            for j in order {
                let product = dot(&v, &g[j]);
                if product < 0.0 {
                    let step = product / dot(&g[j], &g[j]);
                    v.iter_mut().zip(&g[j]).for_each(|(v, g)| *v -= step * g);
                }
            }
            sum.iter_mut().zip(v).for_each(|(s, v)| *s += v);
        }
        sum
    }

    fn combined(g: &[Vec<f64>], present: &[bool], c: &[f64]) -> Vec<f64> {
        (0..g[0].len())
            .map(|d| {
                let tasks = (0..g.len()).filter(|t| present[*t]);
                tasks.map(|t| c[t] * g[t][d]).sum()
            })
            .collect()
    }

    #[test]
    fn conflict_of_two_is_the_one_computed_by_hand() {
        // (1, 0) and (-1, 1): each loses its part along the other. v_1 = (1, 0) + 1/2 (-1, 1), v_2 = (-1, 1) + (1, 0).
        let c = factors(&[1.0, -1.0, -1.0, 2.0], &[true, true], Key::new(1));
        assert_eq!(c, [2.0, 1.5]);
    }

    #[test]
    fn gradients_without_conflict_are_left_alone() {
        let c = factors(&[1.0, 0.5, 0.5, 2.0], &[true, true], Key::new(1));
        assert_eq!(c, [1.0, 1.0]);
        assert_eq!(factors(&[4.0], &[true], Key::new(1)), [1.0]);
    }

    #[test]
    fn factors_give_the_sum_of_explicit_projections() {
        let mut conflicts = 0;
        for case in 0..2000u64 {
            let key = Key::new(case);
            let (n, dim) = (1 + (case % 4) as usize, 2 + (case % 5) as usize);
            let g: Vec<Vec<f64>> = (0..n)
                .map(|t| {
                    let scale = if key.at(0).at(t as u64).chance(0.1) {
                        0.0
                    } else {
                        libm::pow(10.0, 1.5 * key.at(1).at(t as u64).normal())
                    };
                    (0..dim)
                        .map(|d| scale * key.at(2).at(t as u64).at(d as u64).normal())
                        .collect()
                })
                .collect();
            let present: Vec<bool> = (0..n)
                .map(|t| !key.at(3).at(t as u64).chance(0.15))
                .collect();
            for order in 0..3 {
                let order = key.at(4).at(order);
                let c = factors(&gram(&g), &present, order);
                conflicts += usize::from(c.iter().any(|c| *c != 1.0));
                let size: f64 = g.iter().map(|g| libm::sqrt(dot(g, g))).sum();
                let got = combined(&g, &present, &c);
                for (got, want) in got.iter().zip(projected(&g, &present, order)) {
                    assert!((got - want).abs() <= 1e-9 * size, "{case} {got} {want}");
                }
            }
        }
        assert!(conflicts > 2000, "{conflicts}");
    }

    #[test]
    fn the_order_matters_and_is_drawn() {
        let g = [vec![1.0, 0.0], vec![-1.0, 0.4], vec![-0.6, -1.0]];
        let all: Vec<Vec<f64>> = (0..50)
            .map(|seed| factors(&gram(&g), &[true; 3], Key::new(seed)))
            .collect();
        assert!(all.iter().any(|c| *c != all[0]));
        assert_eq!(all[7], factors(&gram(&g), &[true; 3], Key::new(7)));
    }

    #[test]
    fn vanishing_and_opposite_gradients_stay_finite() {
        for gram in [
            [0.0; 4],
            [1.0, -1e-200, -1e-200, 0.0],
            [1.0, -1e-160, -1e-160, 1e-320],
            [1.0, -1.0, -1.0, 1.0],
            [f64::NAN; 4],
        ] {
            let c = factors(&gram, &[true, true], Key::new(1));
            assert!(c.iter().all(|c| c.is_finite()), "{gram:?} {c:?}");
        }
        // Two opposite gradients cancel: v_1 = g_1 + g_2 = 0.
        assert_eq!(
            factors(&[1.0, -1.0, -1.0, 1.0], &[true, true], Key::new(1)),
            [2.0, 2.0]
        );
    }
}
