//! The candidate of one position.

use super::chance::{Draw, PROPENSITY_MIN};
use super::chance::{below, bits, normal, probability, uniform};
use super::list::{ALLOWED, List, OUT, TAKEN};
use super::plan::Plan;
use super::rules::{Exploration, SCORE_MAX, Spacing};
use super::spacing::all_hold;
use super::values::{cut, is_scored};
use crate::math::clamp;

/// What a plan says of a class at this position: not asked yet, no, yes.
const OPEN: u32 = 0;
const NEVER: u32 = 1;
const ALWAYS: u32 = 2;

/// Indices of draws of a position as a whole: no candidate has them.
const WHETHER: usize = u32::MAX as usize;
const WHICH: usize = u32::MAX as usize - 1;

/// The rules that the plan does not keep, as far as they hold at one position: all of them, then always one less.
fn levels<'r>(rules: &'r [Spacing<'r>], kept: usize) -> impl Iterator<Item = &'r [Spacing<'r>]> {
    let levels = (kept..=rules.len()).rev();
    levels.map(move |level| rules.get(kept..level).unwrap_or_default())
}

impl<'l> List<'l> {
    fn objective(&self, candidate: u32) -> f32 {
        let objective = self.objective.get(candidate as usize).copied();
        objective.unwrap_or(f32::NEG_INFINITY)
    }

    fn value(&self, candidate: u32) -> f32 {
        let value = self.values.current.get(candidate as usize).copied();
        value.unwrap_or(f32::NEG_INFINITY)
    }

    /// Whether `a` is better than `b`, of a lower index: by objective, then by value.
    fn is_better(&self, a: u32, b: u32) -> bool {
        let (x, y) = (self.objective(a), self.objective(b));
        x > y || (x == y && self.value(a) > self.value(b))
    }

    /// Candidates without a position whose other flags are `flags`.
    fn flagged(&self, flags: u32) -> impl Iterator<Item = u32> + Clone + '_ {
        let all = self.flags.iter().enumerate();
        let open = all.filter(move |(_, has)| **has & (OUT | TAKEN | flags) == flags);
        open.map(|(candidate, _)| candidate as u32)
    }

    /// The best of those with `flags` that `may`.
    fn best(&self, flags: u32, mut may: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut best: Option<u32> = None;
        for candidate in self.flagged(flags) {
            let is_better = best.is_none_or(|best| self.is_better(candidate, best));
            if is_better && may(candidate) {
                best = Some(candidate);
            }
        }
        best
    }

    /// Whether `rules` hold for `candidate` behind what is in the list.
    fn holds(&self, rules: &[Spacing<'_>], candidate: u32, at: usize, steps: &mut u64) -> bool {
        all_hold(rules, self.placed, candidate, (at, self.pinned), steps)
    }

    fn mark(&self, class: u32) -> u32 {
        self.marks.get(class as usize).copied().unwrap_or(NEVER)
    }

    fn set_mark(&mut self, class: u32, mark: u32) {
        if let Some(to) = self.marks.get_mut(class as usize) {
            *to = mark;
        }
    }

    /// The candidate of a free position, and its propensity.
    pub(super) fn choose(
        &mut self,
        position: usize,
        plan: Option<&mut Plan<'_>>,
    ) -> Option<(u32, f32)> {
        if self.rules.exploration != Exploration::None {
            return self.explore(position, plan);
        }
        let rules = self.rules.spacings;
        let mut steps = self.steps;
        let best = match plan {
            None => self.best(0, |c| self.holds(rules, c, position, &mut steps)),
            Some(plan) => self.planned(position, plan, &mut steps),
        };
        self.steps = steps;
        best.map(|best| (best, 1.0))
    }

    /// The best candidate behind which what is left can be arranged, of those that break the fewest other rules.
    fn planned(&mut self, position: usize, plan: &mut Plan<'_>, steps: &mut u64) -> Option<u32> {
        self.marks.fill(OPEN);
        plan.begin(position);
        for rules in levels(self.rules.spacings, plan.kept) {
            while let Some(best) = self.best(0, |c| {
                let class = plan.class(c);
                let may = self.mark(class) == OPEN && !plan.excludes(class);
                may && self.holds(rules, c, position, steps)
            }) {
                let class = plan.class(best);
                if plan.allows(class, position) {
                    plan.keep();
                    return Some(best);
                }
                self.set_mark(class, NEVER);
            }
        }
        None
    }

    /// Flags whom chance may choose at this position: those that break the fewest rules, and of them those that were scored, if
    /// there are any.
    fn allow(&mut self, position: usize, mut plan: Option<&mut Plan<'_>>) {
        self.marks.fill(OPEN);
        let mut kept = 0;
        if let Some(plan) = plan.as_deref_mut() {
            plan.begin(position);
            kept = plan.kept;
        }
        for rules in levels(self.rules.spacings, kept) {
            let (mut any, mut any_scored) = (false, false);
            for candidate in 0..self.flags.len() as u32 {
                let is_allowed = self.may(rules, candidate, position, plan.as_deref_mut());
                if let Some(flags) = self.flags.get_mut(candidate as usize) {
                    *flags &= !ALLOWED;
                    if is_allowed {
                        *flags |= ALLOWED;
                        any = true;
                    }
                }
                any_scored |= is_allowed && is_scored(self.value(candidate));
            }
            if any_scored {
                for (flags, value) in self.flags.iter_mut().zip(&*self.values.current) {
                    if !is_scored(*value) {
                        *flags &= !ALLOWED;
                    }
                }
            }
            if any {
                return;
            }
        }
    }

    fn may(
        &mut self,
        rules: &[Spacing<'_>],
        candidate: u32,
        position: usize,
        plan: Option<&mut Plan<'_>>,
    ) -> bool {
        let flags = self.flags.get(candidate as usize).copied();
        let is_open = flags.is_some_and(|flags| flags & (OUT | TAKEN) == 0);
        let mut steps = self.steps;
        let holds = is_open && self.holds(rules, candidate, position, &mut steps);
        self.steps = steps;
        let Some(plan) = plan.filter(|_| holds) else {
            return holds;
        };
        let class = plan.class(candidate);
        if self.mark(class) == OPEN {
            let allows = plan.allows(class, position);
            self.set_mark(class, if allows { ALWAYS } else { NEVER });
        }
        self.mark(class) == ALWAYS
    }

    /// The candidate that chance takes, and how probable it was.
    fn explore(&mut self, position: usize, mut plan: Option<&mut Plan<'_>>) -> Option<(u32, f32)> {
        self.allow(position, plan.as_deref_mut());
        let best = self.best(ALLOWED, |_| true)?;
        let (chosen, propensity) = match self.rules.exploration {
            _ if !is_scored(self.value(best)) => (best, 1.0),
            Exploration::None => (best, 1.0),
            Exploration::Epsilon { seed, epsilon } => {
                let count = self.flagged(ALLOWED).count() as u32;
                let mut chosen = best;
                if uniform(bits(seed, position, WHETHER)) < epsilon {
                    let which = below(bits(seed, position, WHICH), count) as usize;
                    chosen = self.flagged(ALLOWED).nth(which).unwrap_or(best);
                }
                let share = epsilon / count as f32;
                let rest = if chosen == best { 1.0 - epsilon } else { 0.0 };
                (chosen, clamp(share + rest, PROPENSITY_MIN, 1.0))
            }
            Exploration::Thompson { seed, sigma } => self.draw(position, seed, sigma)?,
        };
        if let Some(plan) = plan {
            let class = plan.class(chosen);
            plan.follow(class, position);
        }
        Some((chosen, propensity))
    }

    /// The candidate with the greatest draw, and the probability of that.
    fn draw(&self, position: usize, seed: u64, sigma: &[f32]) -> Option<(u32, f32)> {
        let unit = self.spread.unit(&self.values);
        let draw = |candidate: u32| {
            let sigma = sigma.get(candidate as usize).copied().unwrap_or_default();
            Draw {
                mean: self.objective(candidate),
                deviation: cut(clamp(cut(sigma) * unit, 0.0, SCORE_MAX)),
            }
        };
        let mut chosen: Option<(u32, f32)> = None;
        for candidate in self.flagged(ALLOWED) {
            let Draw { mean, deviation } = draw(candidate);
            let z = normal(bits(seed, position, candidate as usize));
            let drawn = cut(mean + cut(deviation * z));
            let is_greatest = chosen.is_none_or(|(best, most)| {
                drawn > most || (drawn == most && self.is_better(candidate, best))
            });
            if is_greatest {
                chosen = Some((candidate, drawn));
            }
        }
        let (chosen, _) = chosen?;
        let rivals = self.flagged(ALLOWED).filter(|c| *c != chosen).map(draw);
        Some((chosen, probability(draw(chosen), rivals)))
    }
}
