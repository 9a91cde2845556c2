//! The search for weights: CMA-ES (Hansen & Ostermeier 2001; the crate `cmaes`) under constraints.
//!
//! Weights are searched in 0..=1 of their ranges ([`Weight::at`](super::fuser::Weight::at)). What lies outside is cut to the
//! range and pays the squared distance. Points are ranked by Deb's rules (2000): what keeps every constraint goes before
//! what does not, the former by their gain, the latter by how far they are off.
//!
//! The search looks at thousands of weights, so the best estimate is one that was lucky. The gain is therefore the utility above
//! that of the current weights less [`Problem::margin`] standard errors of this paired difference (counterfactual risk
//! minimisation: Swaminathan & Joachims, ICML 2015), and a constraint is kept if it is by as many of its own: where the log
//! cannot tell, weights stay.
//!
//! One invariant: a search is a function of the sample and the seed. Points are evaluated one after the other; only the lists
//! of a point are spread over threads, and their sums do not depend on how.
use std::prelude::v1::*;

use cmaes::{CMAESOptions, DVector};

use super::fuser::Fuser;
use super::placement::Placement;
use super::reward::Bound;
use super::sample::{Sample, Values};
use crate::train::random::Key;

/// Evaluations of one start, a free weight and on top.
const EVALUATIONS: [usize; 2] = [120, 200];
/// Evaluations of one point of the front, a free weight and on top.
const FRONT_EVALUATIONS: [usize; 2] = [40, 80];
/// Points of the front, between its two ends.
const FRONT_STEPS: usize = 8;
/// What a point that breaks a constraint starts with; utilities are some multiple of the current one, far below it.
const BROKEN: f64 = 1e6;

/// A constraint on a reward of the sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Check {
    /// Which reward.
    pub reward: usize,
    /// At least the bound; else at most.
    pub at_least: bool,
    /// The bound.
    pub bound: Bound,
}

impl Check {
    /// How far `values` are on the right side of the bound, and the standard error of that. `current`: what the current weights
    /// get from the same sample.
    pub fn slack(&self, values: &Values, current: &Values) -> (f64, f64) {
        let (slack, error) = match self.bound {
            Bound::Number(bound) => {
                values.difference(self.reward, values.rows.iter().map(|n| n * bound))
            }
            Bound::Current(factor) => {
                values.difference(self.reward, current.of(self.reward).map(|v| factor * v))
            }
        };
        (if self.at_least { slack } else { -slack }, error)
    }
}

/// What is searched.
pub struct Problem<'p> {
    /// What makes an order of weights.
    pub fuser: &'p dyn Fuser,
    /// The lists; reward 0 is the utility.
    pub sample: &'p Sample,
    /// How much a row counts.
    pub placement: &'p Placement,
    /// What must hold.
    pub checks: &'p [Check],
    /// What the current weights get.
    pub current: &'p Values,
    /// The current weights.
    pub from: &'p [f32],
    /// Standard errors that are taken off the gain, and by which a constraint must be kept.
    pub margin: f64,
}

/// Weights that were looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// In the fuser's order.
    pub weights: Vec<f32>,
    /// Mean of each reward.
    pub means: Vec<f64>,
    /// Mean utility above that of the current weights, less the margin.
    pub gain: f64,
    /// Sum over constraints of what is missing, margin included, as a share of the current value; 0 if all are kept.
    pub missing: f64,
}

impl Point {
    /// Deb's rules: less is better.
    fn cost(&self, scale: f64) -> f64 {
        if self.missing > 0.0 {
            BROKEN * (1.0 + self.missing)
        } else {
            -self.gain / scale
        }
    }
}

impl Problem<'_> {
    /// Weights at a place of the search.
    fn weights(&self, x: &[f64]) -> Vec<f32> {
        let mut x = x.iter();
        let weights = self.fuser.weights().iter();
        weights
            .map(|w| {
                let place = if w.fixed { None } else { x.next() };
                w.at(place.copied().unwrap_or(0.0).clamp(0.0, 1.0)) as f32
            })
            .collect()
    }

    /// Where the current weights are. Only ratios count where one is fixed, so the others go with it to its default.
    pub(super) fn start(&self) -> Vec<f64> {
        let weights = || self.fuser.weights().iter().zip(self.from);
        let measure = weights().find(|(w, from)| w.fixed && w.default * f64::from(**from) > 0.0);
        let by = measure.map_or(1.0, |(w, from)| w.default / f64::from(*from));
        weights()
            .filter(|(w, _)| !w.fixed)
            .map(|(w, from)| w.place(f64::from(*from) * by))
            .collect()
    }

    /// Free weights.
    pub fn dimensions(&self) -> usize {
        self.fuser.weights().iter().filter(|w| !w.fixed).count()
    }

    /// What weights get.
    pub fn point(&self, weights: Vec<f32>) -> Point {
        let values = self.sample.values(self.placement, self.fuser, &weights);
        let of = |check: &Check| {
            let (slack, error) = check.slack(&values, self.current);
            let size = self.current.mean(check.reward).abs().max(1e-12);
            (self.margin * error - slack).max(0.0) / size
        };
        let (gain, error) = values.difference(0, self.current.of(0));
        Point {
            gain: gain - self.margin * error,
            means: (0..values.lists.len() / values.rows.len().max(1))
                .map(|reward| values.mean(reward))
                .collect(),
            missing: self.checks.iter().map(of).sum(),
            weights,
        }
    }

    /// Minimises `cost` of points from `start`; `seen` gets every point that is looked at.
    fn descend(
        &self,
        (start, step): (Vec<f64>, f64),
        evaluations: usize,
        seed: Key,
        cost: &dyn Fn(&Point) -> f64,
        seen: &mut dyn FnMut(&Point),
    ) {
        let objective = |x: &DVector<f64>| {
            let outside: f64 = x
                .iter()
                .map(|x| {
                    let out = (-x).max(x - 1.0).max(0.0);
                    out * out
                })
                .sum();
            let point = self.point(self.weights(x.as_slice()));
            seen(&point);
            cost(&point) + outside
        };
        let options = CMAESOptions::new(start, step)
            .max_function_evals(evaluations)
            .tol_fun(1e-9)
            .tol_x(1e-4)
            .seed(seed.bits());
        // Refused are only a dimension of 0 and a population below 4.
        if let Ok(mut search) = options.build(objective) {
            search.run();
        }
    }

    /// The best weights of `starts` searches: the first from the current weights, the others from anywhere. `seen` gets all
    /// points.
    pub fn best(&self, starts: usize, seed: u64, seen: &mut dyn FnMut(&Point)) -> Point {
        let mut best = self.point(self.from.to_vec());
        let scale = best.means[0].abs().max(1e-12);
        let cost = |p: &Point| p.cost(scale);
        let dimensions = self.dimensions();
        for i in 0..starts {
            let seed = Key::new(seed).at(i as u64);
            let (start, step) = match i {
                0 => (self.start(), 0.1),
                _ => {
                    let x = (0..dimensions).map(|k| 0.2 + 0.6 * seed.at(k as u64).uniform());
                    (x.collect(), 0.2)
                }
            };
            let evaluations = EVALUATIONS[0] * dimensions + EVALUATIONS[1];
            self.descend((start, step), evaluations, seed, &cost, &mut |p| {
                if cost(p) < cost(&best) {
                    best = p.clone();
                }
                seen(p);
            });
        }
        best
    }

    /// Looks along the front of the utility and the reward `against`, whatever the constraints: weighted sums of the two, from
    /// one alone to the other alone, each from where the last ended.
    pub fn along_front(&self, against: (usize, bool), seed: u64, seen: &mut dyn FnMut(&Point)) {
        let (reward, more) = against;
        let size = |reward: usize| self.current.mean(reward).abs().max(1e-12);
        let sizes = [size(0), size(reward)];
        let sign = if more { 1.0 } else { -1.0 };
        let mut from = self.start();
        for i in 0..=FRONT_STEPS {
            let share = i as f64 / FRONT_STEPS as f64;
            let cost = |p: &Point| {
                -(1.0 - share) * p.means[0] / sizes[0] - share * sign * p.means[reward] / sizes[1]
            };
            let mut best: Option<Point> = None;
            let [each, more] = FRONT_EVALUATIONS;
            let evaluations = each * self.dimensions() + more;
            let seed = Key::new(seed).at(1000 + i as u64);
            self.descend((from.clone(), 0.1), evaluations, seed, &cost, &mut |p| {
                if best.as_ref().is_none_or(|b| cost(p) < cost(b)) {
                    best = Some(p.clone());
                }
                seen(p);
            });
            if let Some(best) = best {
                let weights = self.fuser.weights().iter().zip(&best.weights);
                let free = weights.filter(|(w, _)| !w.fixed);
                from = free.map(|(w, at)| w.place(f64::from(*at))).collect();
            }
        }
    }
}

/// At most `most` of the points that no other beats in both rewards, by rising first reward; `more` is whether more of
/// the second is better.
pub fn front(mut points: Vec<Point>, (reward, more): (usize, bool), most: usize) -> Vec<Point> {
    let second = |p: &Point| {
        if more {
            p.means[reward]
        } else {
            -p.means[reward]
        }
    };
    points.sort_by(|a, b| {
        let by_first = b.means[0].total_cmp(&a.means[0]);
        by_first.then(second(b).total_cmp(&second(a)))
    });
    let mut kept: Vec<Point> = Vec::new();
    for point in points {
        if kept.last().is_none_or(|last| second(&point) > second(last)) {
            kept.push(point);
        }
    }
    kept.reverse();
    let (Some(first), Some(last)) = (kept.first(), kept.last()) else {
        return kept;
    };
    // Evenly by both rewards, each as a share of its width; the ends stay.
    let widths = [
        (last.means[0] - first.means[0]).max(1e-300),
        (second(first) - second(last)).max(1e-300),
    ];
    let along = |p: &Point, q: &Point| {
        (p.means[0] - q.means[0]).abs() / widths[0] + (second(p) - second(q)).abs() / widths[1]
    };
    let mut thinned: Vec<Point> = Vec::new();
    let step = 2.0 / most.saturating_sub(1).max(1) as f64;
    let num = kept.len();
    for (i, point) in kept.into_iter().enumerate() {
        let far = thinned
            .last()
            .is_none_or(|last| along(last, &point) >= step);
        if far {
            thinned.push(point);
        } else if i + 1 == num {
            if thinned.len() > 1 {
                thinned.pop();
            }
            thinned.push(point);
        }
    }
    thinned
}
