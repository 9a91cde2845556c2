//! What is left can still be arranged: a complete list that keeps the rules is always at hand.
//!
//! Candidates with the same keys under all rules are one *class*: which of them stands somewhere makes no difference to what
//! can follow. A plan is a class for every free position, so that all rules that it is made for hold. A candidate may be taken
//! when a plan exists that goes on from it: the one at hand, the same with two positions changed over, or one that a depth-first
//! search finds, the class with most candidates left first. Looks are counted, and after [`SEARCH_STEPS`] nothing is looked for
//! any more: the plan at hand is followed, so that it ends and rules still hold.

use super::rules::{NO_CANDIDATE, Spacing};
use super::spacing::all_hold;

/// Looks, at a class or at a position of a window, that the searches of one plan may take: a few milliseconds.
pub const SEARCH_STEPS: u64 = 1 << 22;

const NO_CLASS: u32 = u32::MAX;

/// Classes and plan of one list.
pub(super) struct Plan<'p> {
    rules: &'p [Spacing<'p>],
    /// Rules that the plan keeps: so many from the first on.
    pub kept: usize,
    /// Candidates of pinned positions, [`NO_CANDIDATE`] for free ones, others for blocked ones.
    seats: &'p [u32],
    /// A candidate of the class for each position, with seats.
    list: &'p mut [u32],
    /// The same while it is looked for.
    trial: &'p mut [u32],
    /// The class tried last at each position.
    tried: &'p mut [u32],
    /// Class of each candidate.
    classes: &'p mut [u32],
    /// Candidates without a position of each class.
    left: &'p mut [u32],
    /// A candidate of each class.
    first: &'p mut [u32],
    num_classes: usize,
    /// The class that the next position must have, since there is no room for it behind; [`NO_CLASS`] if there is none.
    forced: u32,
    /// Positions before this one can be filled: there are candidates enough.
    end: usize,
    /// Looks of all searches.
    pub steps: u64,
    /// Looks at which searches end.
    limit: u64,
}

/// Words that a plan works in.
pub(super) struct PlanWords<'p> {
    pub list: &'p mut [u32],
    pub trial: &'p mut [u32],
    pub tried: &'p mut [u32],
    pub classes: &'p mut [u32],
    pub left: &'p mut [u32],
    pub first: &'p mut [u32],
    /// At least twice as many as candidates, a power of two.
    pub table: &'p mut [u32],
}

fn at(words: &[u32], index: usize) -> u32 {
    words.get(index).copied().unwrap_or(NO_CANDIDATE)
}

fn set(words: &mut [u32], index: usize, value: u32) {
    if let Some(to) = words.get_mut(index) {
        *to = value;
    }
}

/// Copies words, as many as both have.
fn copy(from: &[u32], to: &mut [u32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

fn change(words: &mut [u32], index: u32, by: i32) {
    if let Some(to) = words.get_mut(index as usize) {
        *to = to.wrapping_add_signed(by);
    }
}

impl<'p> Plan<'p> {
    /// Classes of the candidates that `is_open`, and a plan that keeps as many rules as can be kept, from the first on.
    pub fn new(
        rules: &'p [Spacing<'p>],
        seats: &'p [u32],
        end: usize,
        is_open: impl Fn(u32) -> bool,
        words: PlanWords<'p>,
    ) -> Self {
        let PlanWords {
            list,
            trial,
            tried,
            classes,
            left,
            first,
            table,
        } = words;
        let mut plan = Self {
            rules,
            kept: rules.len(),
            seats,
            list,
            trial,
            tried,
            classes,
            left,
            first,
            num_classes: 0,
            forced: NO_CLASS,
            end,
            steps: 0,
            limit: 0,
        };
        plan.classify(table, is_open);
        copy(seats, plan.trial);
        while plan.kept > 0 {
            plan.limit = plan.steps + SEARCH_STEPS;
            if plan.search(0) {
                break;
            }
            plan.kept -= 1;
        }
        copy(plan.trial, plan.list);
        plan.limit = plan.steps + SEARCH_STEPS;
        plan
    }

    /// Finds the class of each candidate by a table of hashes with linear probing.
    fn classify(&mut self, table: &mut [u32], is_open: impl Fn(u32) -> bool) {
        table.fill(NO_CLASS);
        let mask = table.len().saturating_sub(1);
        let rules = self.rules;
        for candidate in 0..self.classes.len() {
            let keys = |c: usize| rules.iter().map(move |rule| rule.keys.get(c));
            let hash = keys(candidate).fold(0u64, |hash, key| {
                let key = key.copied().unwrap_or_default();
                (hash.rotate_left(5) ^ key).wrapping_mul(0x517C_C1B7_2722_0A95)
            });
            let mut slot = (hash >> 32) as usize & mask;
            // Half of the table stays empty, so this ends.
            let class = loop {
                let class = at(table, slot);
                if class == NO_CLASS {
                    break None;
                }
                let other = at(self.first, class as usize) as usize;
                if keys(other).eq(keys(candidate)) {
                    break Some(class);
                }
                slot = (slot + 1) & mask;
            };
            let class = class.unwrap_or_else(|| {
                let class = self.num_classes as u32;
                set(table, slot, class);
                set(self.first, self.num_classes, candidate as u32);
                set(self.left, self.num_classes, 0);
                self.num_classes += 1;
                class
            });
            set(self.classes, candidate, class);
            if is_open(candidate as u32) {
                change(self.left, class, 1);
            }
        }
    }

    /// Class of a candidate.
    pub fn class(&self, candidate: u32) -> u32 {
        at(self.classes, candidate as usize)
    }

    fn is_free(&self, position: usize) -> bool {
        at(self.seats, position) == NO_CANDIDATE
    }

    /// Whether the rules of the plan hold for `class` at `position` of the trial.
    fn holds(&mut self, class: u32, position: usize) -> bool {
        let rules = self.rules.get(..self.kept).unwrap_or_default();
        let candidate = at(self.first, class as usize);
        let places = (position, self.trial.len());
        all_hold(rules, self.trial, candidate, places, &mut self.steps)
    }

    /// Before anything is asked about a free position.
    pub fn begin(&mut self, position: usize) {
        self.forced = NO_CLASS;
        if self.kept > 0 {
            let spare = self.spare(position);
            let classes = 0..self.num_classes as u32;
            self.steps += self.num_classes as u64;
            let mut forced = classes.filter(|class| self.is_too_many(*class, position + 1, spare));
            self.forced = forced.next().unwrap_or(NO_CLASS);
        }
    }

    /// Whether a class cannot stand at the position, by its number alone.
    pub fn excludes(&self, class: u32) -> bool {
        self.forced != NO_CLASS && self.forced != class
    }

    /// Whether what is left can be arranged behind a candidate of `class` at `position`; the trial is then such a plan. Without
    /// a rule to keep anything goes, and there is no plan.
    pub fn allows(&mut self, class: u32, position: usize) -> bool {
        if self.kept == 0 {
            return true;
        }
        if self.excludes(class) {
            return false;
        }
        copy(self.list, self.trial);
        let planned = self.class(at(self.list, position));
        planned == class
            || self.exchange(class, planned, position)
            || self.search_behind(class, position)
    }

    /// Makes the trial that [`allows`](Self::allows) left the plan.
    pub fn keep(&mut self) {
        copy(self.trial, self.list);
    }

    /// Makes what [`allows`](Self::allows) found for `class` at this position the plan, whatever was looked at since.
    pub fn follow(&mut self, class: u32, position: usize) {
        // The same looks as then, so no more than there were to take.
        let limit = core::mem::replace(&mut self.limit, self.steps + SEARCH_STEPS);
        if self.allows(class, position) {
            self.keep();
        }
        self.limit = limit;
    }

    /// Takes a candidate out of those that are left.
    pub fn placed(&mut self, candidate: u32, position: usize) {
        let class = self.class(candidate);
        change(self.left, class, -1);
        set(self.list, position, candidate);
    }

    /// The plan with `class` at `position`, and what stood there where `class` was planned for.
    fn exchange(&mut self, class: u32, planned: u32, position: usize) -> bool {
        let candidate = at(self.first, class as usize);
        let mut count = 0;
        for later in position + 1..self.end {
            if self.steps >= self.limit {
                return false;
            }
            self.steps += 1;
            if !self.is_free(later) || self.class(at(self.list, later)) != class {
                continue;
            }
            count += 1;
            set(self.trial, position, candidate);
            set(self.trial, later, at(self.first, planned as usize));
            // Only where one came in can a window have more of a key.
            if self.holds(class, position) && self.holds(planned, later) {
                return true;
            }
            set(self.trial, later, candidate);
        }
        // One that is not in the plan comes in.
        set(self.trial, position, candidate);
        at(self.left, class as usize) > count && self.holds(class, position)
    }

    fn search_behind(&mut self, class: u32, position: usize) -> bool {
        for (to, seat) in self.trial.iter_mut().zip(self.seats).skip(position) {
            *to = *seat;
        }
        if self.steps >= self.limit || !self.holds(class, position) {
            return false;
        }
        set(self.trial, position, at(self.first, class as usize));
        change(self.left, class, -1);
        let found = self.search(position + 1);
        change(self.left, class, 1);
        found
    }

    /// Fills the free positions of `trial` from `from` on, by depth-first search.
    fn search(&mut self, from: usize) -> bool {
        // The same all the way, since each step takes one of both.
        let spare = self.spare(from);
        let mut position = from;
        set(self.tried, position, NO_CLASS);
        let found = loop {
            if position >= self.end {
                break true;
            }
            if self.steps >= self.limit {
                break false;
            }
            if self.is_free(position) {
                match self.next(position, spare) {
                    Some(class) => {
                        set(self.tried, position, class);
                        set(self.trial, position, at(self.first, class as usize));
                        change(self.left, class, -1);
                    }
                    None => match self.back(from, position) {
                        Some(before) => {
                            position = before;
                            continue;
                        }
                        None => break false,
                    },
                }
            }
            position += 1;
            set(self.tried, position, NO_CLASS);
        };
        // What is left is as it was.
        while let Some(before) = self.back(from, position) {
            if found {
                // Only the count: the trial is the plan.
                set(
                    self.trial,
                    before,
                    at(self.first, at(self.tried, before) as usize),
                );
            }
            position = before;
        }
        found
    }

    /// Empties the last position before `position` that the search has filled.
    fn back(&mut self, from: usize, position: usize) -> Option<usize> {
        let before = (from..position).rev().find(|p| self.is_free(*p))?;
        change(self.left, at(self.tried, before), 1);
        set(self.trial, before, NO_CANDIDATE);
        Some(before)
    }

    /// The class to try at `position` after the one tried last: of those that may stand there the one with most candidates left,
    /// the first of equals. None if a class has more that need a position than its rules have room for.
    fn next(&mut self, position: usize, spare: u32) -> Option<u32> {
        let last = at(self.tried, position);
        let before = match last {
            NO_CLASS => (u32::MAX, 0),
            class => (at(self.left, class as usize), class),
        };
        let mut best = (0, NO_CLASS);
        self.steps += self.num_classes as u64;
        for class in 0..self.num_classes as u32 {
            let left = at(self.left, class as usize);
            if self.is_too_many(class, position, spare) {
                return None;
            }
            let is_later = left < before.0 || (left == before.0 && class > before.1);
            if left > best.0 && is_later && self.holds(class, position) {
                best = (left, class);
            }
        }
        (best.1 != NO_CLASS).then_some(best.1)
    }

    /// How many candidates stay without one of the positions from `from` on.
    fn spare(&self, from: usize) -> u32 {
        let free = (from..self.end).filter(|p| self.is_free(*p)).count() as u32;
        let left = self.left.iter().take(self.num_classes);
        left.sum::<u32>().saturating_sub(free)
    }

    /// Whether more of a class need a position than its rules have room for from `position` on.
    fn is_too_many(&self, class: u32, position: usize, spare: u32) -> bool {
        let left = at(self.left, class as usize);
        if left <= spare {
            return false;
        }
        let first = at(self.first, class as usize);
        let mut rules = self.rules.iter().take(self.kept);
        let room = |rule: &Spacing<'_>| rule.room(self.end.saturating_sub(position));
        rules.any(|rule| rule.key(first).is_some() && left - spare > room(rule))
    }
}
