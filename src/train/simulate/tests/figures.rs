//! What the world is like: the bound, what falls short of it, and how one objective alone goes wrong.

use std::prelude::v1::*;

use super::super::measure::{bounds, single_objective};
use super::super::{Feed, Knobs, SimulateOptions};

fn feed(rows: u64, seed: u64, knobs: Knobs) -> Feed {
    Feed::new(SimulateOptions {
        rows,
        seed,
        knobs,
        ..SimulateOptions::default()
    })
    .unwrap()
}

#[test]
fn bound_is_above_popularity_logistic_regression_and_profile() {
    let b = bounds(&feed(60_000, 4, Knobs::default())).unwrap();
    let bound = b.visible[0];
    assert!((0.70..=0.85).contains(&bound), "{bound}");
    assert!(b.click_popularity <= bound - 0.04, "{}", b.click_popularity);
    assert!(b.click_logistic <= bound - 0.02, "{}", b.click_logistic);
    assert!(b.profile[0] <= bound - 0.02, "{}", b.profile[0]);
    for t in 0..6 {
        assert!(
            b.visible[t] > b.profile[t] && b.latent[t] > b.visible[t],
            "task {t}"
        );
    }
}

#[test]
fn drift_within_sessions_is_worth_less_than_a_hundredth_of_click_auc() {
    let on = Knobs::default();
    let strongest = Knobs {
        bait: 2.0,
        length: 2.0,
        ..on
    };
    for knobs in [on, strongest] {
        let b = bounds(&feed(60_000, 4, knobs)).unwrap();
        let drift = b.visible[0] - b.without_drift[0];
        assert!((0.001..0.01).contains(&drift), "{knobs:?}: {drift}");
        assert!(b.without_drift[0] > b.profile[0] + 0.02, "{b:?}");
    }
}

#[test]
fn one_objective_alone_goes_wrong_only_with_its_knob() {
    let ratios = |knobs| single_objective(&feed(10_000, 4, knobs), 200, 500);
    let default = Knobs::default();
    let on = ratios(default);
    assert!(on.click_bait >= 2.0, "{on:?}");
    assert!(on.duration_length >= 1.5, "{on:?}");
    assert!(on.completion_length <= 0.6, "{on:?}");
    let vanishes = |ratio: f64| (0.85..=1.15).contains(&ratio);
    let off = ratios(Knobs {
        bait: 0.0,
        ..default
    });
    assert!(vanishes(off.click_bait), "{off:?}");
    let off = ratios(Knobs {
        length: 0.0,
        ..default
    });
    assert!(vanishes(off.duration_length), "{off:?}");
    let off = ratios(Knobs {
        completion: 0.0,
        ..default
    });
    assert!(vanishes(off.completion_length), "{off:?}");
}
