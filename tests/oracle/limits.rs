//! Models at the limits of what networks and tasks may be, and just beyond them.

use heapless::Vec as List;
use pocketrank::spec::{Calibration, Fed, FedValue, Gate, Layer, NetworkKind, Spec, Tensor};

use super::features::list;
use super::model::{file, file_of};
use super::networks::{linked, networks, with_two_features};

#[path = "limits/attention.rs"]
mod attention;
#[path = "limits/heads.rs"]
mod heads;

pub use heads::grouped_file;

/// A name, the status with which it is refused (`"Ok"` if it is not), and a file.
type Checked = Vec<(String, &'static str, Vec<u8>)>;

type Change = fn(&mut Spec<'static>);

/// 2^-40, below which no number but 0 may be.
const LEAST: f32 = 1.0 / (1u64 << 40) as f32;

fn base(network: &str) -> Spec<'static> {
    let (name, network) = networks().into_iter().find(|n| n.0 == network).unwrap();
    linked(with_two_features(name), network)
}

/// Files of a spec, each with one change.
fn changed(
    all: &mut Checked,
    seed: u64,
    (of, spec): (&str, &dyn Fn() -> Spec<'static>),
    changes: &[(&str, &'static str, Change)],
) {
    for (name, status, change) in changes {
        let mut spec = spec();
        change(&mut spec);
        all.push((format!("{of}: {name}"), status, file(&spec, seed)));
    }
}

/// What is checked of networks and tasks.
pub fn checked(seed: u64) -> Checked {
    let mut all = Checked::new();
    networks_and_gates(&mut all, seed);
    heads::checked(&mut all, seed);
    attention::checked(&mut all, seed);
    calibrations_and_inputs(&mut all, seed);
    numbers(&mut all, seed);
    all
}

fn networks_and_gates(all: &mut Checked, seed: u64) {
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
}

fn calibrations_and_inputs(all: &mut Checked, seed: u64) {
    use Calibration::{Isotonic, Platt};
    use FedValue::{Logit, Probability};
    let fed = |task, value| Fed { task, value };
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
}

/// Knots, and weights of what tasks feed.
fn numbers(all: &mut Checked, seed: u64) {
    let (least, gap) = (LEAST, 2.0f32.powi(-20));
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
}
