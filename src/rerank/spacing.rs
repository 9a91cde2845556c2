//! Whether a candidate may stand at a position.

use super::rules::{NO_KEY, Spacing};

impl Spacing<'_> {
    /// How many candidates of a key so many positions have room for.
    pub(super) fn room(&self, positions: usize) -> u32 {
        let windows = positions.div_ceil(self.window.max(1) as usize) as u32;
        windows.saturating_mul(self.max)
    }

    /// The key of a candidate, if the rule is about it.
    pub(super) fn key(&self, candidate: u32) -> Option<u64> {
        let key = self.keys.get(candidate as usize).copied();
        key.filter(|key| *key != NO_KEY)
    }

    /// Whether `candidate` at `position` leaves at most `max` of its key in every window that holds the position, of what
    /// stands in `list` before `end`. Adds the positions it looks at to `steps`.
    pub(super) fn holds(
        &self,
        list: &[u32],
        candidate: u32,
        position: usize,
        end: usize,
        steps: &mut u64,
    ) -> bool {
        let Some(key) = self.key(candidate) else {
            return true;
        };
        let is = |at: usize| {
            let other = list.get(at).and_then(|other| self.key(*other));
            u32::from(at == position || other == Some(key))
        };
        let window = self.window as usize;
        let first = (position + 1).saturating_sub(window);
        let last = (position + window).min(end.max(position + 1));
        *steps += (last - first) as u64;
        // How many of the key the window has that ends at `at`.
        let mut count = 0;
        for at in first..last {
            count += is(at);
            if at >= first + window {
                count -= is(at - window);
            }
            if at >= position && count > self.max {
                return false;
            }
        }
        true
    }
}

/// Whether all of `rules` hold.
pub(super) fn all_hold(
    rules: &[Spacing<'_>],
    list: &[u32],
    candidate: u32,
    (position, end): (usize, usize),
    steps: &mut u64,
) -> bool {
    let mut rules = rules.iter();
    rules.all(|rule| rule.holds(list, candidate, position, end, steps))
}

/// Bits of the rules that do not hold.
pub(super) fn broken(
    rules: &[Spacing<'_>],
    list: &[u32],
    candidate: u32,
    (position, end): (usize, usize),
) -> u32 {
    let mut bits = 0;
    for (i, rule) in rules.iter().enumerate() {
        let holds = rule.holds(list, candidate, position, end, &mut 0);
        bits |= u32::from(!holds) << i;
    }
    bits
}
