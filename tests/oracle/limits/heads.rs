//! Heads of several logits, odds, and quantiles within groups.

use pocketrank::spec::{Calibration, Fed, FedValue, Lookup, Side, Spec, TaskKind, Tensor};

use super::super::features::{list, number, table};
use super::super::model::{file, file_of};
use super::super::networks::{linked, networks, with_two_features};
use super::{Change, Checked, LEAST, base, changed};

const fn steps(thresholds: u8, ordered: bool) -> TaskKind {
    TaskKind::Steps {
        thresholds,
        ordered,
    }
}

const fn quantile(feature: u8, knots: u8) -> TaskKind {
    TaskKind::Quantile { feature, knots }
}

/// Watch time as a quantile among items of about one age, of which there are two groups, and that of unknown age.
fn grouped() -> Spec<'static> {
    let (_, network) = networks().swap_remove(0);
    let mut spec = linked(with_two_features("grouped"), network);
    spec.tables
        .push(table("age", 3, 2, Lookup::Buckets))
        .unwrap();
    spec.features[1].side = Side::Item;
    spec.features[1].encoding = number(true, true, Some(1));
    spec.tasks[1].kind = quantile(1, 3);
    spec
}

/// The file of that.
pub fn grouped_file(seed: u64) -> Vec<u8> {
    file(&grouped(), seed)
}

pub(super) fn checked(all: &mut Checked, seed: u64) {
    use Calibration::{Isotonic, Platt};
    use FedValue::{Logit, Probability};
    let heads: &[(&str, &'static str, Change)] = &[
        ("odds", "Ok", |s| s.tasks[1].kind = TaskKind::Odds),
        ("one threshold", "Ok", |s| s.tasks[1].kind = steps(1, true)),
        ("32 thresholds", "Ok", |s| s.tasks[1].kind = steps(32, true)),
        ("no threshold", "OverLimit", |s| {
            s.tasks[1].kind = steps(0, true)
        }),
        ("33 thresholds", "OverLimit", |s| {
            s.tasks[1].kind = steps(33, true)
        }),
        (
            "fed logits of their own without a tower",
            "Inconsistent",
            |s| s.tasks[1].kind = steps(4, false),
        ),
        ("the same with a tower", "Ok", |s| {
            s.tasks[1].kind = steps(4, false);
            s.tasks[1].tower_layers = list(&[3]);
        }),
        ("several logits feed", "Inconsistent", |s| {
            s.tasks[1].kind = steps(4, true);
            s.tasks[0].inputs = list(&[Fed {
                task: 1,
                value: Logit,
            }]);
            s.tasks[1].inputs.clear();
        }),
        ("calibrated odds", "Inconsistent", |s| {
            s.tasks[1].kind = TaskKind::Odds;
            s.tasks[1].calibration = Platt {
                scale: 1.0,
                offset: 0.0,
            };
        }),
        ("given odds", "Inconsistent", |s| {
            s.tasks[1].kind = TaskKind::Odds;
            s.tasks[2].given = Some(1);
        }),
    ];
    changed(all, seed, ("head", &|| base("softmax")), heads);
    let quantiles: &[(&str, &'static str, Change)] = &[
        ("of an item's number", "Ok", |_| ()),
        ("of a candidate's number", "Ok", |s| {
            s.features[1].side = Side::Candidate
        }),
        ("of the user's number", "Inconsistent", |s| {
            s.features[1].side = Side::User
        }),
        ("of a number of both", "Inconsistent", |s| {
            s.features[1].side = Side::Cross
        }),
        ("of a number without buckets", "Inconsistent", |s| {
            s.features[1].encoding = number(true, true, None)
        }),
        ("of an id", "Inconsistent", |s| {
            s.tasks[1].kind = quantile(0, 5)
        }),
        ("past the last feature", "Inconsistent", |s| {
            s.tasks[1].kind = quantile(2, 5)
        }),
        ("two knots", "Ok", |s| s.tasks[1].kind = quantile(1, 2)),
        ("one knot", "Inconsistent", |s| {
            s.tasks[1].kind = quantile(1, 1)
        }),
        ("no knot", "Inconsistent", |s| {
            s.tasks[1].kind = quantile(1, 0)
        }),
        ("32 knots", "Ok", |s| s.tasks[1].kind = quantile(1, 32)),
        ("33 knots", "Inconsistent", |s| {
            s.tasks[1].kind = quantile(1, 33)
        }),
        ("a logit feeds", "Ok", |s| {
            s.tasks[1].inputs.clear();
            s.tasks[0].inputs = list(&[Fed {
                task: 1,
                value: Logit,
            }]);
        }),
        ("a probability feeds", "Inconsistent", |s| {
            s.tasks[1].inputs.clear();
            s.tasks[0].inputs = list(&[Fed {
                task: 1,
                value: Probability,
            }]);
        }),
        ("given quantiles", "Inconsistent", |s| {
            s.tasks[2].given = Some(1)
        }),
        ("calibrated", "Inconsistent", |s| {
            s.tasks[1].calibration = Isotonic { knots: 2 }
        }),
    ];
    changed(all, seed, ("quantiles", &grouped), quantiles);
    numbers(all, seed);
}

/// Knots of groups, and what steps are worth.
fn numbers(all: &mut Checked, seed: u64) {
    let (least, most) = (LEAST, (1 << 30) as f32);
    let spec = grouped();
    for (knots, status) in [
        ([0.0, 0.0, -0.0, least, least, most, 1.0, 2.0, 2.0], "Ok"),
        ([1.0; 9], "Ok"),
        ([0.0, 2.0, 1.0, 0.0, 1.0, 2.0, 0.0, 1.0, 2.0], "BadScale"),
        ([0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 1.0, 0.0, 2.0], "BadScale"),
        (
            [least.next_down(), 1.0, 2.0, 0.0, 1.0, 2.0, 0.0, 1.0, 2.0],
            "BadScale",
        ),
        (
            [0.0, 1.0, most.next_up(), 0.0, 1.0, 2.0, 0.0, 1.0, 2.0],
            "BadScale",
        ),
        ([-1.0, 1.0, 2.0, 0.0, 1.0, 2.0, 0.0, 1.0, 2.0], "BadScale"),
        (
            [0.0, f32::NAN, 2.0, 0.0, 1.0, 2.0, 0.0, 1.0, 2.0],
            "BadScale",
        ),
        (
            [0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 0.0, 1.0, f32::INFINITY],
            "BadScale",
        ),
    ] {
        let given = [(Tensor::Steps(1), knots.to_vec())];
        let bytes = file_of(&spec, seed, false, &given);
        all.push((format!("quantiles: {knots:?}"), status, bytes));
    }
    let mut spec = base("attention");
    spec.tasks[1].kind = steps(2, true);
    for (worth, status) in [
        ([least, most], "Ok"),
        ([0.0, -0.0], "Ok"),
        ([least.next_down(), 1.0], "BadScale"),
        ([1.0, most.next_up()], "BadScale"),
        ([-1.0, 1.0], "BadScale"),
        ([f32::NAN, 1.0], "BadScale"),
    ] {
        let given = [(Tensor::Steps(1), worth.to_vec())];
        let bytes = file_of(&spec, seed, false, &given);
        all.push((format!("steps: {worth:?}"), status, bytes));
    }
}
