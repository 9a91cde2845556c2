//! Boosts, decays and pins.

use super::*;

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
