//! What is refused, by which part and index.

use super::*;
use crate::error::Status;

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
