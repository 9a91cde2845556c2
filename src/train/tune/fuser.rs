//! What is tuned: a function with named, bounded weights from a request's scores to the numbers that order it.
//!
//! A [`Fuser`] sees a whole request at a time, so it may rank or normalise within the list. [`Terms`] is the fusion of the
//! exported file: a weight for each of its terms.
use core::fmt::Write;
use std::prelude::v1::*;

use crate::fusion;
use crate::spec::Spec;

/// One weight that may be tuned.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    /// Its name.
    pub name: String,
    /// As the file has it.
    pub default: f64,
    /// The range that is searched, in the order low, high.
    pub range: [f64; 2],
    /// Whether it is searched by its logarithm: a weight that acts by its ratio to others. Both ends of the range then have
    /// one sign.
    pub log: bool,
    /// Whether it stays at its default: of weights that only act by their ratios, one is the measure.
    pub fixed: bool,
}

impl Weight {
    /// The weight at `x` in 0..=1 of its range.
    pub fn at(&self, x: f64) -> f64 {
        let [low, high] = self.range;
        match (self.fixed, self.log) {
            (true, _) => self.default,
            (_, false) => low + x * (high - low),
            (_, true) => low * libm::pow(high / low, x),
        }
    }

    /// Where in its range a weight is, cut to 0..=1.
    pub fn place(&self, weight: f64) -> f64 {
        let [low, high] = self.range;
        let x = if self.log {
            // One of another sign, or 0, is nearest to the smallest.
            let ratio = weight / low;
            if ratio > 0.0 {
                libm::log(ratio) / libm::log(high / low)
            } else {
                0.0
            }
        } else {
            (weight - low) / (high - low)
        };
        x.clamp(0.0, 1.0)
    }
}

/// A fusion whose weights can be tuned.
pub trait Fuser: Sync {
    /// The weights, in the order that [`Fuser::fuse`] takes them.
    fn weights(&self) -> &[Weight];

    /// Fused scores of one request's candidates from their values `[candidates, width]`, task scores first. Higher is better; never NaN.
    fn fuse(&self, weights: &[f32], scores: &[f32], fused: &mut [f32]);

    /// The weights as text that a description takes.
    fn describe(&self, weights: &[f32]) -> String;
}

/// How far a weight may be from that with which its term adds as much as the measure's, either way.
const RANGE: f64 = 1000.0;
/// Largest weight that a file takes.
const WEIGHT_MAX: f64 = 1e6;

/// The file's `[[fusion.term]]`s. A term keeps the sign of its weight; a weight of 0 is taken as positive.
pub struct Terms<'m, 'a> {
    spec: &'m Spec<'a>,
    /// Values of a row, task scores first.
    width: usize,
    weights: Vec<Weight>,
}

impl<'m, 'a> Terms<'m, 'a> {
    /// Of a file, with ranges from `scores` `[rows, width]` of some rows, task scores first: an order does not change when all weights are
    /// multiplied by a number, so the first term with a weight is the measure, and each other's range is 1/1000 to 1000 times
    /// the weight with which it adds as much as the measure in the mean of the rows.
    pub fn new(spec: &'m Spec<'a>, scores: &[f32], width: usize) -> Self {
        let rows = || scores.chunks_exact(width.max(1));
        let mean = |term: usize| {
            let mut only = vec![0.0; spec.fusion.len()];
            only[term] = 1.0;
            let sum: f64 = rows()
                .map(|row| f64::from(fusion::fuse(spec, Some(&only), row, &mut [])))
                .sum();
            // A term without a value at all is as good as any other number.
            (sum / rows().len().max(1) as f64).max(1e-9)
        };
        let means: Vec<f64> = (0..spec.fusion.len()).map(mean).collect();
        let default = |i: usize| f64::from(spec.fusion[i].weight);
        let measure = (0..means.len()).find(|i| default(*i) != 0.0).unwrap_or(0);
        let measured = match means.get(measure) {
            Some(_) if default(measure) == 0.0 => 1.0,
            _ => default(measure).abs(),
        };
        let weights = spec.fusion.iter().enumerate().map(|(i, term)| {
            let equal = measured * means[measure] / means[i];
            let sign = if term.weight < 0.0 { -1.0 } else { 1.0 };
            Weight {
                name: term.name.into(),
                default: default(i),
                range: [sign * equal / RANGE, sign * (equal * RANGE).min(WEIGHT_MAX)],
                log: true,
                fixed: i == measure && default(i) != 0.0,
            }
        });
        Self {
            spec,
            width,
            weights: weights.collect(),
        }
    }
}

impl Fuser for Terms<'_, '_> {
    fn weights(&self) -> &[Weight] {
        &self.weights
    }

    fn fuse(&self, weights: &[f32], scores: &[f32], fused: &mut [f32]) {
        let rows = scores.chunks_exact(self.width);
        for (fused, row) in fused.iter_mut().zip(rows) {
            *fused = fusion::fuse(self.spec, Some(weights), row, &mut []);
        }
    }

    fn describe(&self, weights: &[f32]) -> String {
        let mut text = String::new();
        for (term, weight) in self.spec.fusion.iter().zip(weights) {
            let task = self.spec.tasks.get(usize::from(term.task));
            let task = task.map_or("", |t| t.name);
            let _ = write!(
                text,
                "\n[[fusion.term]]\nname = {:?}\ntask = {task:?}\nentire = {}\nweight = {weight:?}\n",
                term.name, term.entire
            );
        }
        text
    }
}
