//! Spacing against all arrangements of small lists, and how long the search may take.

use super::*;

/// A list to be made, and who may stand where.
struct Case {
    fused: Vec<f32>,
    keys: Vec<Vec<u64>>,
    bounds: Vec<(u32, u32)>,
    pins: Vec<Pin>,
    blocked: Vec<u32>,
    positions: usize,
}

impl Case {
    fn random(random: &mut Random) -> Self {
        let candidates = 1 + random.below(7) as usize;
        let positions = 1 + random.below(8) as usize;
        let fused = (0..candidates).map(|_| match random.below(8) {
            0 => f32::NEG_INFINITY,
            _ => random.unit() - 0.5,
        });
        let fused = fused.collect();
        let rules = random.below(3) as usize;
        let kinds = 1 + random.below(4);
        let keys = (0..rules).map(|_| random.keys(candidates, kinds)).collect();
        let bound = |_| (1 + random.below(4) as u32 / 3, 1 + random.below(6) as u32);
        let bounds = (0..rules).map(bound).collect();
        let mut seats: Vec<u32> = (0..positions as u32).collect();
        let mut free: Vec<u32> = (0..candidates as u32).collect();
        let mut draw = |from: &mut Vec<u32>| {
            let at = random.below(from.len() as u64) as usize;
            from.swap_remove(at)
        };
        let (mut pins, mut blocked) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let chance = draw(&mut vec![0, 1, 2, 3, 4, 5]);
            if chance == 0 && !seats.is_empty() && !free.is_empty() {
                pins.push(Pin {
                    position: draw(&mut seats),
                    candidate: draw(&mut free),
                });
            }
            if chance == 1 && !seats.is_empty() {
                blocked.push(draw(&mut seats));
            }
        }
        Self {
            fused,
            keys,
            bounds,
            pins,
            blocked,
            positions,
        }
    }

    fn spacings(&self) -> Vec<Spacing<'_>> {
        let rules = self.keys.iter().zip(&self.bounds);
        rules
            .map(|(keys, (max, window))| Spacing {
                keys,
                max: *max,
                window: *window,
            })
            .collect()
    }

    /// Rule `r` broken in a window of `list` that holds a position of `of`.
    fn breaks(&self, r: usize, list: &[u32], of: impl Fn(usize) -> bool) -> bool {
        let (max, window) = self.bounds[r];
        let key = |c: u32| {
            self.keys[r]
                .get(c as usize)
                .copied()
                .filter(|k| *k != NO_KEY)
        };
        (0..list.len()).any(|start| {
            let end = (start + window as usize).min(list.len());
            (start..end).filter(|at| of(*at)).any(|at| {
                let own = key(list[at]);
                let same = list[start..end].iter().filter(|c| key(**c) == own).count();
                own.is_some() && same > max as usize
            })
        })
    }

    fn is_pinned(&self, position: usize) -> bool {
        self.pins
            .iter()
            .any(|pin| pin.position as usize == position)
    }

    /// Whether some arrangement keeps the first `rules`; with `pins_count`, also where pins break them among themselves.
    fn is_possible(&self, rules: usize, pins_count: bool) -> bool {
        let mut list = vec![NO_CANDIDATE; self.positions];
        for pin in &self.pins {
            list[pin.position as usize] = pin.candidate;
        }
        let is_pinned = |c: &u32| self.pins.iter().any(|pin| pin.candidate == *c);
        let open: Vec<u32> = (0..self.fused.len() as u32)
            .filter(|c| !is_pinned(c))
            .collect();
        self.completes(&mut list, 0, &open, rules, pins_count)
    }

    fn completes(
        &self,
        list: &mut [u32],
        at: usize,
        open: &[u32],
        rules: usize,
        pins_count: bool,
    ) -> bool {
        if at == self.positions || open.is_empty() {
            let of = |at: usize| pins_count || !self.is_pinned(at);
            return !(0..rules).any(|r| self.breaks(r, list, of));
        }
        if self.is_pinned(at) || self.blocked.contains(&(at as u32)) {
            return self.completes(list, at + 1, open, rules, pins_count);
        }
        (0..open.len()).any(|i| {
            let mut rest = open.to_vec();
            list[at] = rest.remove(i);
            let completes = self.completes(list, at + 1, &rest, rules, pins_count);
            list[at] = NO_CANDIDATE;
            completes
        })
    }

    fn check(&self, exploration: Exploration<'_>) -> (bool, bool) {
        let spacings = self.spacings();
        let rules = Rules {
            spacings: &spacings,
            pins: &self.pins,
            blocked: &self.blocked,
            exploration,
            ..Rules::default()
        };
        let (slots, report) = list(&rules, &self.fused, self.positions);
        let list = candidates(&slots);
        let mut seen: Vec<u32> = list
            .iter()
            .copied()
            .filter(|c| *c != NO_CANDIDATE)
            .collect();
        assert_eq!(seen.len(), report.placed as usize);
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), report.placed as usize, "nobody twice");
        for pin in &self.pins {
            assert_eq!(list[pin.position as usize], pin.candidate);
        }
        for position in &self.blocked {
            assert_eq!(list[*position as usize], NO_CANDIDATE);
        }
        let free = self.positions - self.pins.len() - self.blocked.len();
        let open = self.fused.len() - self.pins.len();
        assert_eq!(seen.len(), self.pins.len() + free.min(open));

        let broken = |r: usize| self.breaks(r, &list, |_| true);
        let bits = (0..spacings.len()).fold(0, |bits, r| bits | u32::from(broken(r)) << r);
        assert_eq!(report.relaxed, bits, "reported is what is broken");
        assert_eq!(slots.iter().fold(0, |bits, slot| bits | slot.relaxed), bits);
        let possible = self.is_possible(spacings.len(), true);
        assert_eq!(possible, bits == 0, "{:?} {list:?}", self.bounds);
        // The last rule is given up first: all that can be kept from the first on are.
        let most = (0..=spacings.len())
            .rev()
            .find(|rules| self.is_possible(*rules, false));
        let most = most.expect("no rules are always possible");
        assert_eq!(report.kept as usize, most);
        for r in 0..most {
            assert!(
                !self.breaks(r, &list, |at| !self.is_pinned(at)),
                "rule {r} of {most}"
            );
        }
        (possible, report.steps > 0 && possible)
    }
}

#[test]
fn rules_are_kept_whenever_any_arrangement_keeps_them() {
    let mut random = Random(1);
    let (mut possible, mut impossible) = (0, 0);
    for round in 0..6000 {
        let case = Case::random(&mut random);
        let exploration = match round % 4 {
            0 => Exploration::Epsilon {
                seed: round,
                epsilon: 0.7,
            },
            _ => Exploration::None,
        };
        match case.check(exploration) {
            (true, _) => possible += 1,
            (false, _) => impossible += 1,
        }
    }
    assert!(
        possible > 3000 && impossible > 600,
        "{possible} {impossible}"
    );
}

/// Greedy by score would come to an end: the frequent author has to begin.
#[test]
fn the_best_that_can_be_completed_is_taken() {
    let keys = [1, 2, 2, 2, 3];
    let fused = [5.0, 4.0, 3.0, 2.0, 1.0];
    let spacings = [Spacing::gap(&keys, 2)];
    let rules = Rules {
        spacings: &spacings,
        ..Rules::default()
    };
    let (slots, report) = list(&rules, &fused, 5);
    assert_eq!(candidates(&slots), [1, 0, 2, 4, 3]);
    assert_eq!((report.relaxed, report.kept), (0, 1));
    // Of the first three positions alone nothing stands in the way.
    assert_eq!(candidates(&list(&rules, &fused, 3).0), [0, 1, 4]);
}

#[test]
fn the_last_rule_is_given_up_first() {
    // No two of one author next to each other is possible, no two of one category is not.
    let (authors, categories) = ([1, 1, 2, 2], [5, 5, 5, 6]);
    let fused = [4.0, 3.0, 2.0, 1.0];
    let (first, second) = (Spacing::gap(&authors, 2), Spacing::gap(&categories, 2));
    let both = [first, second];
    let rules = Rules {
        spacings: &both,
        ..Rules::default()
    };
    let (slots, report) = list(&rules, &fused, 4);
    assert_eq!((report.relaxed, report.kept), (2, 1));
    assert_eq!(candidates(&slots), [0, 3, 1, 2]);
    assert_eq!(
        slots.iter().map(|s| s.relaxed).collect::<Vec<_>>(),
        [0, 0, 0, 2]
    );
    let other = [second, first];
    let rules = Rules {
        spacings: &other,
        ..Rules::default()
    };
    let (_, report) = list(&rules, &fused, 4);
    // Not even the first can be kept now; the other is wherever that does not matter.
    assert_eq!((report.relaxed, report.kept), (1, 0));
}

#[test]
fn at_most_two_in_a_window_of_four() {
    let keys = [1, 1, 1, 1, 2, 2];
    let fused = [6.0, 5.0, 4.0, 3.0, 2.0, 1.0];
    let spacings = [Spacing {
        keys: &keys,
        max: 2,
        window: 4,
    }];
    let rules = Rules {
        spacings: &spacings,
        ..Rules::default()
    };
    assert_eq!(candidates(&list(&rules, &fused, 6).0), [0, 1, 4, 5, 2, 3]);
}

/// Many keys that hardly fit, and a rule that can't be kept but is seen to be so only at the end: the search gives up.
#[test]
fn the_search_ends_within_its_looks() {
    let mut random = Random(3);
    for (candidates, kinds, window) in [(64, 9, 9), (400, 21, 20), (4096, 300, WINDOW)] {
        let keys: Vec<Vec<u64>> = (0..3).map(|_| random.keys(candidates, kinds)).collect();
        let spacings: Vec<Spacing<'_>> =
            keys.iter().map(|keys| Spacing::gap(keys, window)).collect();
        let fused: Vec<f32> = (0..candidates).map(|_| random.unit()).collect();
        let positions = candidates.min(400);
        for exploration in [
            Exploration::None,
            Exploration::Epsilon {
                seed: 1,
                epsilon: 0.5,
            },
        ] {
            let rules = Rules {
                spacings: &spacings,
                exploration,
                ..Rules::default()
            };
            let (slots, report) = list_in(0, &rules, &fused, positions);
            assert_eq!(report.placed as usize, positions);
            assert!(slots.iter().all(|slot| slot.candidate != NO_CANDIDATE));
            // A plan for each number of rules, then one allowance for all positions; the first pass looks at each candidate.
            let first = 3 * (positions * candidates * window as usize) as u64;
            let searches = (spacings.len() as u64 + 2)
                * (SEARCH_STEPS + (3 * candidates) as u64 * u64::from(window));
            println!("{candidates}: {} steps, kept {}", report.steps, report.kept);
            assert!(report.steps < first + searches, "{}", report.steps);
        }
    }
}
