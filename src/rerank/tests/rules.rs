//! Boosts, decays, pins, and what is refused.

use super::*;
use crate::error::Status;

#[test]
fn without_rules_a_list_is_top_k() {
    let mut random = Random(2);
    for n in 1..60 {
        let fused: Vec<f32> = (0..n)
            .map(|_| match random.below(6) {
                0 => f32::NEG_INFINITY,
                1 => -0.0,
                v => v as f32 - 3.0 + if v < 4 { 0.0 } else { random.unit() },
            })
            .collect();
        for k in 1..=n {
            let mut order = vec![0; k];
            top_k(&fused, &mut order);
            let (slots, report) = list(&Rules::default(), &fused, k);
            assert_eq!(candidates(&slots), order);
            assert_eq!(report.placed as usize, k);
            assert!(slots.iter().all(|s| s.score == fused[s.candidate as usize]));
            assert!(
                slots
                    .iter()
                    .all(|s| (s.relaxed, s.boost, s.decay) == (0, 0.0, 1.0))
            );
        }
    }
}

#[test]
fn a_boost_doubles_the_lead_whatever_the_sign() {
    for offset in [-100.0, -3.0, 0.0, 50.0] {
        let fused = [2.0, 1.5, 1.0, 0.0].map(|x| x + offset);
        let rules = Rules {
            factors: &[1.0, 2.0, 0.5, 7.0],
            ..Rules::default()
        };
        let (slots, _) = list(&rules, &fused, 4);
        assert_eq!(candidates(&slots), [1, 0, 2, 3], "{offset}");
        let boosts: Vec<f32> = slots.iter().map(|s| s.boost).collect();
        assert_eq!(boosts, [1.5, 0.0, -0.5, 0.0]);
        let rules = Rules {
            bonuses: &[0.0, 0.0, 1.5, -1.0],
            ..Rules::default()
        };
        let (slots, _) = list(&rules, &fused, 4);
        assert_eq!(candidates(&slots), [2, 0, 1, 3]);
        assert_eq!(slots[0].score, 2.5 + offset);
    }
    // What was not scored has nothing to boost.
    let rules = Rules {
        factors: &[1.0, 9.0],
        bonuses: &[0.0, 9.0],
        ..Rules::default()
    };
    let (slots, _) = list(&rules, &[-5.0, f32::NEG_INFINITY], 2);
    assert_eq!(candidates(&slots), [0, 1]);
    assert_eq!(slots[1].boost, 0.0);
}

#[test]
fn repeated_keys_decay_to_the_floor() {
    for offset in [-40.0, 0.0] {
        let keys = [1, 1, 1, 1, 2, NO_KEY];
        let fused = [10.0, 9.0, 8.0, 7.5, 4.5, 0.0].map(|x| x + offset);
        let decays = [Decay {
            keys: &keys,
            factor: 0.5,
            floor: 0.2,
        }];
        let rules = Rules {
            decays: &decays,
            ..Rules::default()
        };
        let (slots, _) = list(&rules, &fused, 6);
        // 0.8 x 0.5^n + 0.2 of the height above the last one: 0.6, 0.4, 0.3.
        assert_eq!(candidates(&slots), [0, 1, 4, 2, 3, 5]);
        let want = [1.0, 0.6, 1.0, 0.4, 0.3, 1.0];
        for (slot, want) in slots.iter().zip(want) {
            assert!((slot.decay - want).abs() < 1e-6, "{slot:?}");
            let height = fused[slot.candidate as usize] - offset;
            assert!((slot.score - offset - height * want).abs() < 1e-5);
        }
    }
}

#[test]
fn decays_multiply_and_pins_count() {
    let (one, two) = ([1, 1, 2], [7, 8, 7]);
    let decays = [
        Decay {
            keys: &one,
            factor: 0.5,
            floor: 0.0,
        },
        Decay {
            keys: &two,
            factor: 0.25,
            floor: 0.0,
        },
    ];
    let pins = [Pin {
        position: 0,
        candidate: 0,
    }];
    let rules = Rules {
        decays: &decays,
        pins: &pins,
        ..Rules::default()
    };
    let (slots, _) = list(&rules, &[0.0, 4.0, 5.0], 3);
    assert_eq!(candidates(&slots), [0, 1, 2]);
    assert_eq!((slots[1].decay, slots[2].decay), (0.5, 0.25));
    let (one, two) = ([1, 2, 1], [7, 8, 7]);
    let decays = [
        Decay {
            keys: &one,
            ..decays[0]
        },
        Decay {
            keys: &two,
            ..decays[1]
        },
    ];
    let rules = Rules {
        decays: &decays,
        ..rules
    };
    assert_eq!(list(&rules, &[0.0, 4.0, 5.0], 3).0[2].decay, 0.125);
}

#[test]
fn pins_blocked_positions_and_hidden_candidates() {
    let fused = [5.0, 4.0, 3.0, f32::NEG_INFINITY];
    let pins = [Pin {
        position: 2,
        candidate: 3,
    }];
    let rules = Rules {
        pins: &pins,
        blocked: &[1],
        hidden: &[0],
        ..Rules::default()
    };
    let (slots, report) = list(&rules, &fused, 6);
    let none = NO_CANDIDATE;
    assert_eq!(candidates(&slots), [1, none, 3, 2, none, none]);
    assert_eq!(report.placed, 3);
    assert_eq!(slots[2].score, f32::NEG_INFINITY);
    // A blocked position keeps two of an author apart; a pin keeps others away.
    let keys = [9, 9, 9, 1];
    let spacings = [Spacing::gap(&keys, 2)];
    let rules = Rules {
        spacings: &spacings,
        blocked: &[1],
        ..Rules::default()
    };
    assert_eq!(candidates(&list(&rules, &fused, 5).0), [0, none, 1, 3, 2]);
    let pins = [Pin {
        position: 1,
        candidate: 1,
    }];
    let rules = Rules {
        spacings: &spacings,
        pins: &pins,
        ..Rules::default()
    };
    let (slots, report) = list(&rules, &fused, 3);
    assert_eq!(candidates(&slots), [3, 1, 0]);
    assert_eq!((report.relaxed, report.kept, slots[2].relaxed), (1, 0, 1));
}

#[test]
fn what_is_out_of_bounds_is_refused_by_part_and_index() {
    let fused = [1.0, 2.0];
    let refusal = |rules: &Rules<'_>, fused: &[f32], positions: usize| {
        let need = scratch_len(fused.len(), positions, 0);
        let (mut floats, mut words) = (vec![0.0; need.floats], vec![0; need.words]);
        let mut scratch = Scratch {
            floats: &mut floats,
            words: &mut words,
        };
        let before = Slot {
            candidate: 77,
            ..Slot::default()
        };
        let mut out = vec![before; positions];
        let error = rerank(rules, fused, &mut scratch, &mut out).expect_err("a bad rule");
        assert!(out.iter().all(|slot| *slot == before), "nothing is written");
        (error.status, error.feature, error.candidate)
    };
    let none = u32::MAX;
    let keys = [1, 2];
    let spacing = Spacing::gap(&keys, 2);
    let decay = Decay {
        keys: &keys,
        factor: 0.5,
        floor: 0.5,
    };
    let pin = |position, candidate| Pin {
        position,
        candidate,
    };
    let many = [spacing; SPACINGS + 1];
    let too_many = [decay; DECAYS + 1];
    let bad_spacings = [
        [spacing, Spacing { max: 0, ..spacing }],
        [
            spacing,
            Spacing {
                window: 0,
                ..spacing
            },
        ],
        [
            spacing,
            Spacing {
                window: WINDOW + 1,
                ..spacing
            },
        ],
        [
            spacing,
            Spacing {
                keys: &keys[..1],
                ..spacing
            },
        ],
    ];
    let bad_decays = [
        [
            decay,
            Decay {
                factor: 0.0,
                ..decay
            },
        ],
        [
            decay,
            Decay {
                factor: f32::NAN,
                ..decay
            },
        ],
        [
            decay,
            Decay {
                floor: 1.1,
                ..decay
            },
        ],
        [decay, Decay { keys: &[], ..decay }],
    ];
    let bad_pins = [
        [pin(0, 0), pin(0, 1)],
        [pin(0, 0), pin(1, 0)],
        [pin(0, 0), pin(2, 1)],
        [pin(0, 0), pin(1, 2)],
    ];
    let base = Rules::default();
    let mut cases: Vec<(Rules<'_>, Part, u32)> = vec![
        (
            Rules {
                factors: &[1.0],
                ..base
            },
            Part::Factors,
            none,
        ),
        (
            Rules {
                factors: &[1.0, -1.0],
                ..base
            },
            Part::Factors,
            1,
        ),
        (
            Rules {
                factors: &[f32::NAN, 1.0],
                ..base
            },
            Part::Factors,
            0,
        ),
        (
            Rules {
                bonuses: &[0.0, f32::INFINITY],
                ..base
            },
            Part::Bonuses,
            1,
        ),
        (
            Rules {
                decays: &too_many,
                ..base
            },
            Part::Decays,
            none,
        ),
        (
            Rules {
                spacings: &many,
                ..base
            },
            Part::Spacings,
            none,
        ),
        (
            Rules {
                blocked: &[1, 1],
                ..base
            },
            Part::Blocked,
            1,
        ),
        (
            Rules {
                blocked: &[2],
                ..base
            },
            Part::Blocked,
            0,
        ),
        (
            Rules {
                hidden: &[1, 1],
                ..base
            },
            Part::Hidden,
            1,
        ),
        (
            Rules {
                hidden: &[2],
                ..base
            },
            Part::Hidden,
            0,
        ),
        (
            Rules {
                pins: &bad_pins[0][..1],
                blocked: &[0],
                ..base
            },
            Part::Blocked,
            0,
        ),
        (
            Rules {
                pins: &bad_pins[0][..1],
                hidden: &[0],
                ..base
            },
            Part::Hidden,
            0,
        ),
        (
            Rules {
                dim: 1,
                vectors: &[1],
                ..base
            },
            Part::Diversity,
            none,
        ),
        (
            Rules {
                diversity: Diversity::Mmr { lambda: 0.5 },
                ..base
            },
            Part::Diversity,
            none,
        ),
        (
            Rules {
                diversity: Diversity::Mmr { lambda: 1.5 },
                dim: 1,
                vectors: &[1, 2],
                ..base
            },
            Part::Diversity,
            none,
        ),
        (
            Rules {
                diversity: Diversity::Dpp { theta: f32::NAN },
                dim: 1,
                vectors: &[1, 2],
                ..base
            },
            Part::Diversity,
            none,
        ),
        (
            Rules {
                exploration: Exploration::Epsilon {
                    seed: 0,
                    epsilon: 1.5,
                },
                ..base
            },
            Part::Exploration,
            none,
        ),
        (
            Rules {
                exploration: Exploration::Thompson {
                    seed: 0,
                    sigma: &[1.0],
                },
                ..base
            },
            Part::Exploration,
            none,
        ),
        (
            Rules {
                exploration: Exploration::Thompson {
                    seed: 0,
                    sigma: &[1.0, -1.0],
                },
                ..base
            },
            Part::Exploration,
            1,
        ),
    ];
    cases.extend(bad_spacings.iter().map(|s| {
        (
            Rules {
                spacings: s,
                ..base
            },
            Part::Spacings,
            1,
        )
    }));
    cases.extend(
        bad_decays
            .iter()
            .map(|d| (Rules { decays: d, ..base }, Part::Decays, 1)),
    );
    cases.extend(
        bad_pins
            .iter()
            .map(|p| (Rules { pins: p, ..base }, Part::Pins, 1)),
    );
    for (i, (rules, part, index)) in cases.iter().enumerate() {
        let want = (Status::BadRule, *part as u32, *index);
        assert_eq!(refusal(rules, &fused, 2), want, "case {i}");
    }
    for bad in [f32::NAN, f32::INFINITY, 2e30, -2e30] {
        assert_eq!(refusal(&base, &[0.0, bad], 2), (Status::NotFinite, none, 1));
    }
    assert_eq!(refusal(&base, &[], 2).0, Status::CandidateCount);
    assert_eq!(refusal(&base, &fused, 0).0, Status::CandidateCount);
    assert_eq!(
        refusal(&base, &fused, POSITIONS + 1).0,
        Status::CandidateCount
    );
    let mut scratch = Scratch {
        floats: &mut [0.0; 40],
        words: &mut [0; 10],
    };
    let small = rerank(&base, &fused, &mut scratch, &mut [Slot::default(); 2]);
    assert_eq!(small.expect_err("too small").status, Status::BufferTooSmall);
}

/// Magnitudes at the ends of what is allowed give no NaN, infinity or subnormal.
#[test]
fn extremes_stay_finite() {
    let tiny = f32::MIN_POSITIVE;
    let fused = [SCORE_MAX, -SCORE_MAX, tiny, 0.0, -tiny, 1.0];
    let keys = [1; 6];
    let decays = [Decay {
        keys: &keys,
        factor: tiny,
        floor: 0.0,
    }; DECAYS];
    for diversity in [
        Diversity::None,
        Diversity::Mmr { lambda: tiny },
        Diversity::Dpp { theta: THETA_MAX },
    ] {
        for sigma in [[0.0, tiny, 1.0, SCORE_MAX, SCORE_MAX, 1e-20], [tiny; 6]] {
            for fused in [fused, [tiny; 6], [0.0, tiny, 2e-38, 3e-38, -tiny, -2e-38]] {
                let rules = Rules {
                    factors: &[FACTOR_MAX, 1.0, 0.5, tiny, FACTOR_MAX, 2.0],
                    bonuses: &[SCORE_MAX, 0.0, -SCORE_MAX, tiny, 1.0, 0.0],
                    decays: &decays,
                    diversity,
                    vectors: &[127, -128, -128, -128, 1, 0, 0, 0, 127, 127, 1, 1],
                    dim: 2,
                    exploration: Exploration::Thompson {
                        seed: 3,
                        sigma: &sigma,
                    },
                    ..Rules::default()
                };
                for slot in list(&rules, &fused, 6).0 {
                    let numbers = [
                        slot.score,
                        slot.propensity,
                        slot.boost,
                        slot.decay,
                        slot.similarity,
                    ];
                    for x in numbers {
                        assert!(x == 0.0 || x.is_normal(), "{slot:?}");
                    }
                    assert!(slot.propensity >= PROPENSITY_MIN && slot.propensity <= 1.0);
                }
            }
        }
    }
}
