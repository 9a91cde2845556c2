//! From rules and fused scores to a list, position by position.
//!
//! A first pass takes the best candidate that the spacing rules allow behind what is in the list. It is all that most requests
//! need. If it comes to an end too early, or if there is chance in the list, whose probabilities must not depend on what would
//! have come later, every position is taken with a [`Plan`] of the rest in hand.
//!
//! Invariant: the list depends on rules and scores alone, not on what scratch held.

use super::plan::{Plan, PlanWords};
use super::rules::{DECAYS, Exploration, NO_CANDIDATE, Part, Rules, SCORE_MAX, element};
use super::spacing::broken;
use super::spread::{Spread, num_rows};
use super::values::{Values, cut, is_scored};
use crate::error::{Error, Result, Status};

/// What stands at one position, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
pub struct Slot {
    /// Index of the candidate; [`NO_CANDIDATE`] for a blocked position and where there are no candidates left.
    pub candidate: u32,
    /// Bit i: spacing rule i is broken here, since otherwise no list would have been possible.
    pub relaxed: u32,
    /// What the candidate was compared by: its fused score after boosts and decays; with diversity the objective of that.
    pub score: f32,
    /// Probability that this candidate was taken here, given the slots before; 1 without exploration.
    pub propensity: f32,
    /// What boosts have added to its fused score.
    pub boost: f32,
    /// What decays have multiplied its distance above the least score by.
    pub decay: f32,
    /// How similar it is to the slots before: the greatest cosine, or the share of its variance that they explain.
    pub similarity: f32,
}

/// What happened in a successful call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Slots with a candidate.
    pub placed: u32,
    /// All slots' `relaxed`.
    pub relaxed: u32,
    /// Spacing rules that are kept wherever no pin breaks them: so many from the first on.
    pub kept: u32,
    /// Looks that it took to keep them.
    pub steps: u64,
}

/// Working memory, owned by the caller; see [`scratch_len`]. Its contents never influence a result.
#[derive(Debug)]
pub struct Scratch<'s> {
    /// f32 values.
    pub floats: &'s mut [f32],
    /// u32 values.
    pub words: &'s mut [u32],
}

/// Sizes of a [`Scratch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScratchLen {
    /// Elements of `floats`.
    pub floats: usize,
    /// Elements of `words`.
    pub words: usize,
}

/// Scratch of any rules for so many candidates and positions, with vectors of `dim` values (0: without): for 200 candidates,
/// 10 positions and 16 values 21 kB.
pub fn scratch_len(candidates: usize, positions: usize, dim: usize) -> ScratchLen {
    ScratchLen {
        floats: candidates * (5 + DECAYS + num_rows(positions, dim)),
        words: 5 * positions + 5 * candidates + table_len(candidates),
    }
}

fn table_len(candidates: usize) -> usize {
    (2 * candidates).next_power_of_two()
}

/// Takes the first `len` elements.
fn take<'a, T>(from: &mut &'a mut [T], len: usize) -> Option<&'a mut [T]> {
    let (taken, rest) = core::mem::take(from).split_at_mut_checked(len)?;
    *from = rest;
    Some(taken)
}

/// The seat of a blocked position: no candidate has that index.
const BLOCKED: u32 = NO_CANDIDATE - 1;

/// Never to be chosen: hidden, or pinned.
pub(super) const OUT: u32 = 1;
/// In the list.
pub(super) const TAKEN: u32 = 2;
/// Allowed at this position, where there is chance.
pub(super) const ALLOWED: u32 = 4;

/// A list while it is made.
pub(super) struct List<'l> {
    pub(super) rules: &'l Rules<'l>,
    pub(super) values: Values<'l>,
    pub(super) spread: Spread<'l>,
    /// What each candidate is compared by at this position.
    pub(super) objective: &'l mut [f32],
    pub(super) flags: &'l mut [u32],
    /// What the plan has said of each class at this position.
    pub(super) marks: &'l mut [u32],
    /// Candidates by position.
    pub(super) placed: &'l mut [u32],
    /// Positions before this one have pins.
    pub(super) pinned: usize,
    pub(super) steps: u64,
}

/// Makes a list of `out.len()` positions: the best by `fused` under `rules`. Candidates with a fused score of negative infinity
/// were not scored: they come last, by index.
///
/// # Errors
/// [`Status::BadRule`] with a [`Part`] and an index; [`Status::CandidateCount`]; [`Status::NotFinite`] for a fused score that is
/// NaN, positive infinity or beyond [`SCORE_MAX`], with its candidate; [`Status::BufferTooSmall`] for scratch. `out` is written
/// only on success.
pub fn rerank(
    rules: &Rules<'_>,
    fused: &[f32],
    scratch: &mut Scratch<'_>,
    out: &mut [Slot],
) -> Result<Report> {
    rules.check(fused.len(), out.len())?;
    let refused = |v: &f32| is_scored(*v) && v.abs() > SCORE_MAX || v.is_nan();
    if let Some(candidate) = fused.iter().position(refused) {
        return Err(Error::candidate(Status::NotFinite, candidate));
    }
    let need = scratch_len(fused.len(), out.len(), rules.dim);
    let small = Error::at(Status::BufferTooSmall, (need.floats + need.words) * 4);
    let (candidates, positions) = (fused.len(), out.len());

    let mut floats = &mut *scratch.floats;
    let mut float = |len: usize| take(&mut floats, len).ok_or(small);
    let (boosted, current) = (float(candidates)?, float(candidates)?);
    let powers = float(candidates * rules.decays.len())?;
    let (objective, norms, state) = (float(candidates)?, float(candidates)?, float(candidates)?);
    let rows = float(candidates * num_rows(positions, rules.dim))?;
    let mut words = &mut *scratch.words;
    let mut word = |len: usize| take(&mut words, len).ok_or(small);
    let (flags, marks) = (word(candidates)?, word(candidates)?);
    let (placed, seats) = (word(positions)?, word(positions)?);
    let plan_words = PlanWords {
        list: word(positions)?,
        trial: word(positions)?,
        tried: word(positions)?,
        classes: word(candidates)?,
        left: word(candidates)?,
        first: word(candidates)?,
        table: word(table_len(candidates))?,
    };

    let pinned = seat(rules, seats, flags)?;
    let seats = &*seats;
    let mut list = List {
        rules,
        values: Values::new(rules, fused, boosted, current, powers),
        spread: Spread::new(rules, norms, state, rows),
        objective,
        flags,
        marks,
        placed,
        pinned,
        steps: 0,
    };
    let has_chance = rules.exploration != Exploration::None;
    let needs_plan = has_chance && !rules.spacings.is_empty();
    let report = match needs_plan {
        true => None,
        false => list.fill(fused, seats, None, out),
    };
    if let Some(report) = report {
        return Ok(report);
    }
    let is_open = |candidate: u32| {
        list.flags
            .get(candidate as usize)
            .is_some_and(|f| f & OUT == 0)
    };
    let num_open = (0..candidates as u32).filter(|c| is_open(*c)).count();
    let end = last_seat(seats, num_open);
    let mut plan = Plan::new(rules.spacings, seats, end, is_open, plan_words);
    let report = list.fill(fused, seats, Some(&mut plan), out);
    Ok(report.unwrap_or_default())
}

/// The position behind the last free seat that one of so many candidates can have.
fn last_seat(seats: &[u32], candidates: usize) -> usize {
    let free = seats
        .iter()
        .enumerate()
        .filter(|(_, s)| **s == NO_CANDIDATE);
    free.map(|(position, _)| position)
        .nth(candidates)
        .unwrap_or(seats.len())
}

/// Seats pins and blocked positions, and marks who is not to be chosen. Returns the position behind the last pin.
fn seat(rules: &Rules<'_>, seats: &mut [u32], flags: &mut [u32]) -> Result<usize> {
    seats.fill(NO_CANDIDATE);
    flags.fill(0);
    let mut pinned = 0;
    let mut out = |part, index, candidate: u32| match flags.get_mut(candidate as usize) {
        Some(flags) if *flags == 0 => {
            *flags = OUT;
            Ok(())
        }
        _ => Err(element(part, index)),
    };
    let mut sit = |part, index, position: u32, who| match seats.get_mut(position as usize) {
        Some(seat) if *seat == NO_CANDIDATE => {
            *seat = who;
            Ok(())
        }
        _ => Err(element(part, index)),
    };
    for (index, pin) in rules.pins.iter().enumerate() {
        sit(Part::Pins, index, pin.position, pin.candidate)?;
        out(Part::Pins, index, pin.candidate)?;
        pinned = pinned.max(pin.position as usize + 1);
    }
    for (index, position) in rules.blocked.iter().enumerate() {
        sit(Part::Blocked, index, *position, BLOCKED)?;
    }
    for (index, candidate) in rules.hidden.iter().enumerate() {
        out(Part::Hidden, index, *candidate)?;
    }
    Ok(pinned)
}

impl<'l> List<'l> {
    /// Fills all positions; `None` if without a plan no candidate is allowed at one of them.
    fn fill(
        &mut self,
        fused: &[f32],
        seats: &[u32],
        mut plan: Option<&mut Plan<'_>>,
        out: &mut [Slot],
    ) -> Option<Report> {
        self.values.reset();
        self.spread.reset();
        let mut open = 0;
        for flags in self.flags.iter_mut() {
            *flags &= OUT;
            open += usize::from(*flags == 0);
        }
        for (to, seat) in self.placed.iter_mut().zip(seats) {
            *to = *seat;
        }
        let rules = self.rules.spacings;
        let kept = plan.as_ref().map_or(rules.len(), |plan| plan.kept);
        let mut report = Report {
            kept: kept as u32,
            ..Report::default()
        };
        self.compare();
        for (position, (slot, seat)) in out.iter_mut().zip(seats).enumerate() {
            *slot = Slot {
                candidate: NO_CANDIDATE,
                propensity: 1.0,
                decay: 1.0,
                ..Slot::default()
            };
            let (candidate, propensity, end) = match *seat {
                BLOCKED => continue,
                NO_CANDIDATE if open == 0 => continue,
                NO_CANDIDATE => {
                    let (candidate, propensity) = self.choose(position, plan.as_deref_mut())?;
                    open -= 1;
                    if let Some(plan) = plan.as_deref_mut() {
                        plan.placed(candidate, position);
                    }
                    (candidate, propensity, self.pinned)
                }
                // Only what stands before it can be blamed on a pin.
                pinned => (pinned, 1.0, 0),
            };
            let index = candidate as usize;
            let boosted = self.values.boosted.get(index).copied();
            let boosted = boosted.filter(|b| is_scored(*b));
            *slot = Slot {
                candidate,
                relaxed: broken(rules, self.placed, candidate, (position, end)),
                score: self.spread.objective(&self.values, index),
                propensity,
                boost: boosted
                    .zip(fused.get(index))
                    .map_or(0.0, |(b, f)| cut(b - *f)),
                decay: self.values.decay(self.rules.decays, index),
                similarity: self.spread.similarity(index),
            };
            report.placed += 1;
            report.relaxed |= slot.relaxed;
            if let (Some(flags), Some(to)) =
                (self.flags.get_mut(index), self.placed.get_mut(position))
            {
                (*flags, *to) = (*flags | TAKEN, candidate);
            }
            self.values.placed(self.rules.decays, index);
            self.spread.placed(index);
            if self.spread.is_some() || !self.rules.decays.is_empty() {
                self.compare();
            }
        }
        report.steps = self.steps + plan.map_or(0, |plan| plan.steps);
        Some(report)
    }

    /// What candidates are compared by, now that the list has changed.
    fn compare(&mut self) {
        for (candidate, (to, flags)) in self.objective.iter_mut().zip(&*self.flags).enumerate() {
            if *flags & (OUT | TAKEN) == 0 {
                *to = self.spread.objective(&self.values, candidate);
            }
        }
    }
}
