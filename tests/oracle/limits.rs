//! Models at the limits of what networks and tasks may be, and just beyond them.

use heapless::Vec as List;
use pocketrank::format::seal;
use pocketrank::spec::{
    Calibration, Encoding, Fed, FedValue, Gate, Layer, Lookup, NetworkKind, Pooling, Side, Source,
    Spec, TaskKind, Tensor,
};

use super::features::{list, number, table};
use super::model::{file, file_of};
use super::networks::{attending_spec, linked, networks, with_two_features};

/// What the last feature attends to.
fn attend(spec: &mut Spec<'static>, of: u8, query: u8, dim: u16) {
    spec.features[5].source = Source::Attention { of, query, dim };
}

/// Length, pooling, weights and table of a feature's list.
fn rows<'s>(
    spec: &'s mut Spec<'static>,
    feature: usize,
) -> (&'s mut u16, &'s mut Pooling, &'s mut bool, &'s mut u8) {
    match &mut spec.features[feature].encoding {
        Encoding::Rows {
            table,
            max_len,
            pooling,
            weighted,
            ..
        } => (max_len, pooling, weighted, table),
        _ => unreachable!(),
    }
}

/// More features that attend, like the last.
fn more(spec: &mut Spec<'static>, count: usize) {
    const NAMES: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];
    for name in &NAMES[..count] {
        let feature = pocketrank::spec::Feature {
            name,
            ..spec.features[5]
        };
        spec.features.push(feature).unwrap();
    }
}

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

/// A name, the status with which it is refused (`"Ok"` if it is not), and a file: what is checked of networks and tasks.
pub fn checked(seed: u64) -> Vec<(String, &'static str, Vec<u8>)> {
    use Calibration::{Isotonic, Platt};
    use FedValue::{Logit, Probability};
    let base = |network: &str| {
        let (name, network) = networks().into_iter().find(|n| n.0 == network).unwrap();
        linked(with_two_features(name), network)
    };
    let fed = |task, value| Fed { task, value };
    let mut all: Vec<(String, &'static str, Vec<u8>)> = Vec::new();
    type Change = fn(&mut Spec<'static>);
    let changes: &[(&str, &str, &'static str, Change)] = &[
        ("bottom", "two experts", "Inconsistent", |s| {
            s.network.num_experts = 2
        }),
        ("single", "three experts", "Inconsistent", |s| {
            s.network.num_experts = 3
        }),
        ("embedding", "five experts", "Inconsistent", |s| {
            s.network.num_experts = 5
        }),
        ("embedding", "no expert", "OverLimit", |s| {
            s.network.num_experts = 0
        }),
        ("softmax", "16 experts", "Ok", |s| {
            s.network.num_experts = 16
        }),
        ("softmax", "17 experts", "OverLimit", |s| {
            s.network.num_experts = 17
        }),
        ("bottom", "gate without gates", "Inconsistent", |s| {
            s.network.gate = Gate::Attention
        }),
        ("single", "layer without gates", "Inconsistent", |s| {
            s.network.gate_layers = list(&[3])
        }),
        ("softmax 1", "wide gate", "Ok", |s| {
            s.network.gate_layers = list(&[1024])
        }),
        ("softmax 1", "too wide a gate", "OverLimit", |s| {
            s.network.gate_layers = list(&[1025])
        }),
        ("softmax 2", "no width", "OverLimit", |s| {
            s.network.gate_layers = list(&[3, 0])
        }),
        ("levels", "16 experts", "Ok", |s| {
            s.network.num_experts = 16;
            s.network.kind = NetworkKind::Progressive { own: 3 };
        }),
        ("levels", "17 experts", "OverLimit", |s| {
            s.network.num_experts = 17
        }),
        ("levels", "one shared expert", "Ok", |s| {
            s.network.num_experts = 5
        }),
        ("levels", "no shared expert", "Inconsistent", |s| {
            s.network.num_experts = 4
        }),
        ("levels", "no expert of its own", "Inconsistent", |s| {
            s.network.kind = NetworkKind::Progressive { own: 0 }
        }),
        (
            "levels",
            "more of their own than all",
            "Inconsistent",
            |s| s.network.kind = NetworkKind::Progressive { own: 255 },
        ),
        ("levels", "attention gates", "Inconsistent", |s| {
            s.network.gate = Gate::Attention
        }),
        ("levels 1", "as many layers as there may be", "Ok", |s| {
            s.network.num_experts = 16;
            s.network.expert_layers = list(&[2; 4]);
            s.network.gate_layers = list(&[2; 2]);
        }),
    ];
    for (of, name, status, change) in changes {
        let mut spec = base(of);
        change(&mut spec);
        all.push((format!("{of}: {name}"), status, file(&spec, seed)));
    }
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
    for (name, status, change) in heads {
        let mut spec = base("softmax");
        change(&mut spec);
        all.push((format!("head: {name}"), status, file(&spec, seed)));
    }
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
    for (name, status, change) in quantiles {
        let mut spec = grouped();
        change(&mut spec);
        all.push((format!("quantiles: {name}"), status, file(&spec, seed)));
    }
    let attention: &[(&str, &'static str, Change)] = &[
        ("as it is", "Ok", |_| ()),
        ("a list past the last feature", "Inconsistent", |s| {
            attend(s, 6, 0, 8)
        }),
        ("an id past the last feature", "Inconsistent", |s| {
            attend(s, 2, 6, 8)
        }),
        ("an id for a list", "Inconsistent", |s| attend(s, 0, 0, 8)),
        ("itself for a list", "Inconsistent", |s| attend(s, 5, 0, 8)),
        ("a list for an id", "Inconsistent", |s| attend(s, 2, 2, 8)),
        ("a number for an id", "Inconsistent", |s| attend(s, 2, 1, 8)),
        ("keys of no value", "OverLimit", |s| attend(s, 2, 0, 0)),
        ("keys of one value", "Ok", |s| attend(s, 2, 0, 1)),
        ("keys of 64 values", "Ok", |s| attend(s, 2, 0, 64)),
        ("keys of 65 values", "OverLimit", |s| attend(s, 2, 0, 65)),
        ("of side user", "Inconsistent", |s| {
            s.features[5].side = Side::User
        }),
        ("of side candidate", "Inconsistent", |s| {
            s.features[5].side = Side::Candidate
        }),
        ("an id of the user", "Inconsistent", |s| {
            s.features[3].side = Side::User
        }),
        ("a list of the item", "Inconsistent", |s| {
            s.features[2].side = Side::Item
        }),
        ("another length", "Inconsistent", |s| *rows(s, 5).0 = 18),
        ("a sum", "Inconsistent", |s| *rows(s, 5).1 = Pooling::Sum),
        ("a sum for a list", "Ok", |s| *rows(s, 2).1 = Pooling::Sum),
        ("weights", "Inconsistent", |s| *rows(s, 5).2 = true),
        ("a weighted list", "Inconsistent", |s| *rows(s, 2).2 = true),
        ("a row of its own", "Inconsistent", |s| {
            s.features[5].encoding = s.features[3].encoding
        }),
        ("eight that attend", "Ok", |s| more(s, 6)),
        ("nine that attend", "OverLimit", |s| more(s, 7)),
    ];
    for (name, status, change) in attention {
        let mut spec = attending_spec(3);
        change(&mut spec);
        all.push((format!("attention: {name}"), status, file(&spec, seed)));
    }
    let single = attending_spec(8);
    all.push((
        "attention: single".into(),
        "Inconsistent",
        file(&single, seed),
    ));
    let with = file(&attending_spec(0), seed);
    let without = file(&base("softmax"), seed);
    let section = |bytes: &[u8]| {
        let at = (0..).map(|i| 64 + 16 * i).find(|at| bytes[*at] == 23);
        at.unwrap()
    };
    // A later kind in its place, and its kind for the section that readers skip.
    let mut bytes = with.clone();
    bytes[section(&with)] = 24;
    seal(&mut bytes);
    all.push((
        "attention: another kind".into(),
        "UnknownSection",
        bytes.clone(),
    ));
    bytes[section(&with) + 4] = 0;
    seal(&mut bytes);
    all.push(("attention: no section".into(), "MissingSection", bytes));
    let mut bytes = without.clone();
    let later = (0..)
        .map(|i| 64 + 16 * i)
        .find(|at| bytes[*at] == 19)
        .unwrap();
    bytes[later] = 23;
    seal(&mut bytes);
    all.push((
        "attention: a section for nothing".into(),
        "Inconsistent",
        bytes,
    ));
    let calibrations: &[(usize, Calibration, &'static str)] = &[
        (
            1,
            Platt {
                scale: 1.0,
                offset: 0.0,
            },
            "Inconsistent",
        ),
        (1, Isotonic { knots: 2 }, "Inconsistent"),
        (0, Isotonic { knots: 1 }, "Inconsistent"),
        (0, Isotonic { knots: 2 }, "Ok"),
        (0, Isotonic { knots: 32 }, "Ok"),
        (0, Isotonic { knots: 33 }, "Inconsistent"),
        (
            0,
            Platt {
                scale: 1e-3,
                offset: -1e3,
            },
            "Ok",
        ),
        (
            0,
            Platt {
                scale: 1e3,
                offset: 1e3,
            },
            "Ok",
        ),
        (
            0,
            Platt {
                scale: 0.99e-3,
                offset: 0.0,
            },
            "BadNumber",
        ),
        (
            0,
            Platt {
                scale: 1.01e3,
                offset: 0.0,
            },
            "BadNumber",
        ),
        (
            0,
            Platt {
                scale: -1.0,
                offset: 0.0,
            },
            "BadNumber",
        ),
        (
            0,
            Platt {
                scale: f32::NAN,
                offset: 0.0,
            },
            "BadNumber",
        ),
        (
            0,
            Platt {
                scale: 1.0,
                offset: 1.01e3,
            },
            "BadNumber",
        ),
        (
            0,
            Platt {
                scale: 1.0,
                offset: 1e-40,
            },
            "BadNumber",
        ),
    ];
    for (task, calibration, status) in calibrations {
        let mut spec = base("single");
        spec.tasks[*task].calibration = *calibration;
        all.push((
            format!("{task}: {calibration:?}"),
            status,
            file(&spec, seed),
        ));
    }
    let inputs: &[(usize, &[Fed], &'static str)] = &[
        (3, &[fed(4, Logit)], "Inconsistent"),
        (3, &[fed(3, Logit)], "Inconsistent"),
        (0, &[fed(1, Logit)], "Inconsistent"),
        (3, &[fed(2, Logit)], "Inconsistent"),
        (3, &[fed(1, Logit)], "Inconsistent"),
        (2, &[fed(3, Logit), fed(3, Probability)], "Inconsistent"),
        (0, &[fed(3, Logit), fed(2, Logit)], "Ok"),
        (1, &[fed(0, Logit), fed(3, Logit), fed(2, Logit)], "Ok"),
    ];
    for (task, inputs, status) in inputs {
        let mut spec = base("attention 1");
        spec.tasks[*task].inputs = list(inputs);
        all.push((format!("{task}: {inputs:?}"), status, file(&spec, seed)));
    }
    let mut spec = base("attention");
    (spec.tasks[1].inputs, spec.tasks[2].inputs) = (List::new(), list(&[fed(1, Probability)]));
    all.push((
        "probability of a duration".into(),
        "Inconsistent",
        file(&spec, seed),
    ));
    spec.tasks[2].inputs = list(&[fed(1, Logit)]);
    all.push(("logit of a duration".into(), "Ok", file(&spec, seed)));

    let (least, gap) = (2.0f32.powi(-40), 2.0f32.powi(-20));
    let mut numbers = |tensor, numbers: &[f32], status| {
        let given = [(tensor, numbers.to_vec())];
        let bytes = file_of(&base("attention"), seed, false, &given);
        all.push((format!("{tensor:?}: {numbers:?}"), status, bytes));
    };
    // Two knots of task 3, and the weights of what task 1's head is fed.
    for (knots, status) in [
        ([-100.0, 100.0, least, 1.0], "Ok"),
        ([-100.00001, 100.0, least, 1.0], "BadScale"),
        ([-100.0, 100.00001, least, 1.0], "BadScale"),
        ([-100.0, 100.0, least.next_down(), 1.0], "BadScale"),
        ([-100.0, 100.0, 0.0, 1.0], "BadScale"),
        ([-100.0, 100.0, 0.5, 1.0f32.next_up()], "BadScale"),
        ([0.0, gap, 0.5, 0.5], "Ok"),
        ([0.0, gap.next_down(), 0.5, 0.5], "BadScale"),
        ([1.0, 1.0 + gap, 0.5, 0.5], "Ok"),
        ([1.0, (1.0 + gap).next_down(), 0.5, 0.5], "BadScale"),
        ([64.0, 64.0, 0.5, 0.5], "Ok"),
        ([64.0, 64.0f32.next_down(), 0.5, 0.5], "BadScale"),
        ([0.0, 1.0, 0.5, 0.5f32.next_down()], "BadScale"),
        ([f32::NAN, 1.0, 0.5, 0.5], "BadScale"),
        ([0.0, 1.0, 0.5, f32::NAN], "BadScale"),
        ([1e-40, 1.0, 0.5, 0.5], "BadScale"),
        ([-0.0, 1.0, 0.5, 0.5], "Ok"),
    ] {
        numbers(Tensor::Knots(3), &knots, status);
    }
    let most = (1 << 20) as f32;
    for (weights, status) in [
        ([least, -least, 0.0], "Ok"),
        ([most, -most, -0.0], "Ok"),
        ([1.0, least.next_down(), 1.0], "BadScale"),
        ([1.0, 1.0, -least.next_down()], "BadScale"),
        ([most.next_up(), 1.0, 1.0], "BadScale"),
        ([1.0, 1.0, -most.next_up()], "BadScale"),
        ([1.0, f32::NAN, 1.0], "BadScale"),
        ([f32::INFINITY, 1.0, 1.0], "BadScale"),
        ([1.0, 1.0, 1e-40], "BadScale"),
    ] {
        numbers(Tensor::Fed(Layer::Head { task: 1 }), &weights, status);
    }
    let spec = grouped();
    let most = (1 << 30) as f32;
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
    let most = (1 << 30) as f32;
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
    all
}
