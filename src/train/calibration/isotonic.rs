//! The never falling probabilities with the least weighted squared error, by pooling adjacent violators (Ayer et al. 1955;
//! Barlow et al. 1972): rows of one logit are one block; while a block's mean label is not above that of the block before, the
//! two become one.
//!
//! The fit is flat within a block. Its two ends are points (z, p) and a line between the points of neighbouring blocks
//! makes a map of all logits, exact on every row. Of these points at most 32 stay: first the outermost two, then, one
//! by one, the point at which the map so far costs most. Cost is weight x (p_map - p_fit)^2 / (2 p_fit (1 - p_fit)), the second
//! order of the Kullback-Leibler divergence, so of the log loss given away; a point carries half of its block's weight.
//! Only ends can be worst: within a block the fit is flat and the map never falls.
use std::prelude::v1::*;

use super::{Calibration, MIN_PROBABILITY, check, interpolate};

/// Most knots of a map.
pub const MAX_KNOTS: usize = 32;

/// Rows whose fit is one probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Block {
    pub low: f64,
    pub high: f64,
    pub weight: f64,
    /// Sum of weight x label.
    pub positive: f64,
}

impl Block {
    pub(super) fn mean(&self) -> f64 {
        self.positive / self.weight
    }
}

/// The fit, by rising logit and rising mean. Rows of weight 0 are left out.
pub(super) fn pool(logits: &[f64], labels: &[f64], weights: &[f64]) -> Vec<Block> {
    let mut order: Vec<usize> = (0..logits.len()).filter(|i| weights[*i] > 0.0).collect();
    order.sort_by(|a, b| logits[*a].total_cmp(&logits[*b]));
    let mut blocks: Vec<Block> = Vec::new();
    for tie in order.chunk_by(|a, b| logits[*a] == logits[*b]) {
        let z = logits[tie[0]];
        let mut block = Block {
            low: z,
            high: z,
            weight: tie.iter().map(|i| weights[*i]).sum(),
            positive: tie.iter().map(|i| weights[*i] * labels[*i]).sum(),
        };
        while let Some(before) = blocks.pop_if(|b| b.mean() >= block.mean()) {
            block = Block {
                low: before.low,
                high: block.high,
                weight: before.weight + block.weight,
                positive: before.positive + block.positive,
            };
        }
        blocks.push(block);
    }
    blocks
}

/// A point of the fit that may become a knot.
struct Point {
    z: f64,
    p: f64,
    weight: f64,
}

/// Fits a never falling map to rows with labels 0 or 1, in [1e-6, 1 - 1e-6], with at most [`MAX_KNOTS`] knots.
pub fn isotonic(logits: &[f64], labels: &[f64], weights: &[f64]) -> Result<Calibration, String> {
    check(logits, labels, weights)?;
    let blocks = pool(logits, labels, weights);
    if blocks.len() < 2 {
        return Err(
            "the best rising map is a constant, which would tie all rows: labels must be more frequent where logits \
             are higher"
                .into(),
        );
    }
    let points = blocks.iter().flat_map(|b| {
        let p = b.mean().clamp(MIN_PROBABILITY, 1.0 - MIN_PROBABILITY);
        let weight = b.weight / 2.0;
        let ends = [b.low, b.high].map(|z| Point { z, p, weight });
        let count = if b.low < b.high { 2 } else { 1 };
        ends.into_iter().take(count)
    });
    let points: Vec<Point> = points.collect();
    let mut knots = vec![0, points.len() - 1];
    loop {
        let logits: Vec<f64> = knots.iter().map(|k| points[*k].z).collect();
        let probabilities: Vec<f64> = knots.iter().map(|k| points[*k].p).collect();
        let cost = |point: &Point| {
            let d = interpolate(&logits, &probabilities, point.z) - point.p;
            point.weight * d * d / (2.0 * point.p * (1.0 - point.p))
        };
        let costs = points.iter().map(cost).enumerate();
        // The first of equals, so that the map does not depend on chance.
        let worst = costs.fold((0, 0.0), |w, c| if c.1 > w.1 { c } else { w });
        let at = knots.partition_point(|k| *k < worst.0);
        if knots.len() == MAX_KNOTS || worst.1 <= 0.0 || knots.get(at) == Some(&worst.0) {
            return Ok(Calibration::Isotonic {
                logits,
                probabilities,
            });
        }
        knots.insert(at, worst.0);
    }
}
