//! Intervals by resampling lists with replacement (Efron 1979): percentiles of the means of so many samples of as many lists.
//!
//! All weights are measured on the same draws, so differences are paired. Lists are taken as independent; lists of one user
//! are less than that, so a log of few users with many lists each has wider intervals than these.
use std::prelude::v1::*;

use rayon::prelude::*;
use serde::Serialize;

use super::sample::Values;
use crate::train::random::Key;

/// A mean with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// On the sample itself.
    pub mean: f64,
    /// The 2.5 and 97.5 % points.
    pub interval: [f64; 2],
}

/// What one of several weights gets: each reward, and each less that of the first weights.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// By reward.
    pub rewards: Vec<Interval>,
    /// By reward: the difference to the first weights, of which this is then 0.
    pub differences: Vec<Interval>,
}

/// Measures several weights' values on one sample with `draws` draws.
pub fn bootstrap(values: &[Values], rewards: usize, draws: u64, seed: u64) -> Vec<Measured> {
    let Some(first) = values.first() else {
        return Vec::new();
    };
    let num_lists = first.rows.len();
    let width = values.len() * rewards;
    // One row a list, so that a draw reads it once.
    let mut table = vec![0.0; num_lists * width];
    for (i, values) in values.iter().enumerate() {
        for (list, sums) in values.lists.chunks_exact(rewards).enumerate() {
            let at = list * width + i * rewards;
            table[at..at + rewards].copy_from_slice(sums);
        }
    }
    let mean_of = |lists: &mut dyn Iterator<Item = usize>| {
        let (mut sums, mut rows) = (vec![0.0; width], 0.0);
        for list in lists {
            rows += first.rows[list];
            let row = &table[list * width..(list + 1) * width];
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += value;
            }
        }
        sums.iter_mut().for_each(|s| *s /= f64::max(rows, 1.0));
        sums
    };
    let whole = mean_of(&mut (0..num_lists));
    let drawn: Vec<Vec<f64>> = (0..draws)
        .into_par_iter()
        .map(|draw| {
            let key = Key::new(seed).at(draw);
            let list = |i: usize| {
                let bits = u128::from(key.at(i as u64).bits());
                ((bits * num_lists as u128) >> 64) as usize
            };
            mean_of(&mut (0..num_lists).map(list))
        })
        .collect();
    let interval = |of: &dyn Fn(&[f64]) -> f64| {
        let mut all: Vec<f64> = drawn.iter().map(|d| of(d)).collect();
        all.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = libm::floor(share * all.len() as f64) as usize;
            all.get(place.min(all.len().saturating_sub(1)))
                .copied()
                .unwrap_or(f64::NAN)
        };
        Interval {
            mean: of(&whole),
            interval: [at(0.025), at(0.975)],
        }
    };
    let measured = |i: usize| Measured {
        rewards: (0..rewards)
            .map(|r| interval(&|d| d[i * rewards + r]))
            .collect(),
        differences: (0..rewards)
            .map(|r| interval(&|d| d[i * rewards + r] - d[r]))
            .collect(),
    };
    (0..values.len()).map(measured).collect()
}
