//! Two levels of experts: gradients against finite differences, values by hand and PyTorch's, and whose each expert is.
#![allow(clippy::unwrap_used)]
use super::*;
use crate::spec::{
    Encoding, Feature, Layers, NetworkKind, NumberGrid, Side, Source, TaskKind, Transform,
};
use crate::train::dataset::{FeatureData, TaskData};
use crate::train::network::Span;
use crate::train::parameters::Parameters;
use crate::train::synthetic::with_own_experts;

/// The synthetic model with `shared` experts on either level and `own` of each task's own.
pub(super) fn of_two_levels(shared: u8, own: u8) -> Spec<'static> {
    let mut spec = spec();
    spec.network.kind = NetworkKind::Progressive { own };
    spec.network.num_experts = shared + own * spec.tasks.len() as u8;
    spec
}

fn layers(widths: &[u16]) -> Layers {
    Layers::from_slice(widths).unwrap()
}

#[test]
fn gradients_through_two_levels_are_those_of_finite_differences() {
    for (expert_layers, gate_layers) in [(&[4][..], &[][..]), (&[4, 3], &[3]), (&[3, 4], &[3, 2])] {
        let mut spec = of_two_levels(1, 1);
        spec.network.expert_layers = layers(expert_layers);
        spec.network.gate_layers = layers(gate_layers);
        check_differences(&spec, DropoutRates::default());
        check_differences(&spec, DROPPING);
    }
    check_differences(&of_two_levels(2, 2), DropoutRates::default());
}

#[test]
fn uneven_gates_of_either_level_are_penalised_by_the_gradient_of_finite_differences() {
    variants::check_load_balance(&of_two_levels(1, 1));
}

/// By hand, for task 0. Level 1: experts give (1, 0), shared, (0, 2), its own, and (2, 0), (1, 2), those of others. Its gate
/// has logits ln 3 and 0: shares 3/4, 1/4, so it mixes (3/4, 1/2); the shared gate has even shares: (1, 1). Level 2: the shared
/// expert doubles the first value and takes 1/2 off the second: (2, 1/2); its own gives (m_2, 4 m_1) = (1/2, 3). Its gate has the
/// logit m_1 x 4/3 ln 3 = ln 3 for the first and 0 for the second: (13/8, 9/8). A head (1, 2) + 1/4 gives 33/8.
#[test]
fn two_levels_by_hand() {
    let ln3 = libm::log(3.0);
    let mut spec = of_two_levels(1, 1);
    spec.network.expert_layers = layers(&[2]);
    spec.tasks.iter_mut().for_each(|t| t.tower_layers.clear());
    let network = Network::new(&spec);
    let mut p = network.empty_parameters::<f64>();
    for (expert, bias) in p
        .experts
        .iter_mut()
        .zip([[1.0, 0.0], [0.0, 2.0], [2.0, 0.0], [1.0, 2.0]])
    {
        expert[0].bias = bias.to_vec();
    }
    p.gates[0][0].bias[0] = ln3;
    p.upper_experts[0][0].weight = vec![2.0, 0.0, 0.0, 1.0];
    p.upper_experts[0][0].bias = vec![0.0, -0.5];
    p.upper_experts[1][0].weight = vec![0.0, 1.0, 4.0, 0.0];
    p.upper_gates[0][0].weight[0] = 4.0 / 3.0 * ln3;
    network.close_gates(&mut p, 1);
    (p.heads[0].weight, p.heads[0].bias) = (vec![1.0, 2.0], vec![0.25]);
    let logits = network.predict(&network.weights(p), &log(4, 1), &[0, 3]);
    for got in [logits[0], logits[3]] {
        assert!((got - 33.0 / 8.0).abs() < 1e-12, "{logits:?}");
    }
}

/// Of three numbers and two tasks, as `tests/torch/levels.py` has them.
fn torch_network() -> Network {
    let mut spec = Spec {
        tasks: spec().tasks,
        ..Spec::default()
    };
    for name in ["a", "b", "c"] {
        let encoding = Encoding::Number {
            transform: Transform::UNIT,
            default: 0.0,
            value: Some(NumberGrid {
                bytes: 2,
                inv_scale: 1.0,
                zero_point: 0,
            }),
            buckets: None,
        };
        let feature = Feature {
            name,
            side: Side::Cross,
            source: Source::Column,
            encoding,
        };
        spec.features.push(feature).unwrap();
    }
    spec.tasks.truncate(2);
    for task in &mut spec.tasks {
        (task.kind, task.given) = (TaskKind::Binary, None);
        task.tower_layers.clear();
    }
    spec.network.kind = NetworkKind::Progressive { own: 1 };
    spec.network.num_experts = 3;
    spec.network.expert_layers = layers(&[4, 3]);
    spec.network.gate_layers = layers(&[2]);
    assert_eq!(spec.check(), Ok(()));
    Network::new(&spec)
}

#[test]
fn logits_losses_and_gradients_of_two_levels_are_those_of_pytorch() {
    use serde_json::Value;
    const TASKS: [&str; 2] = ["click", "like"];
    let path = format!("{}/tests/torch/levels.json", env!("CARGO_MANIFEST_DIR"));
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let numbers = |v: &Value| -> Vec<f64> {
        let values = v.as_array().unwrap().iter();
        values.map(|x| x.as_f64().unwrap()).collect()
    };
    let network = torch_network();
    // What is absent there, logits of experts that a gate does not reach, is `absent`.
    let read = |of: &str, absent: f64| {
        let mut p: Parameters<f64> = network.empty_parameters();
        let groups = ["shared", "click", "like"];
        for level in 0..2 {
            let (experts, gates) = match level {
                0 => (&mut p.experts, &mut p.gates),
                _ => (&mut p.upper_experts, &mut p.upper_gates),
            };
            let name = |kind: &str, group: &str, l: usize, part: &str| {
                numbers(&file[of][format!("level.{level}.{kind}.{group}.{}.{part}", 2 * l)])
            };
            for (layers, group) in experts.iter_mut().zip(groups) {
                for (l, layer) in layers.iter_mut().enumerate() {
                    layer.weight = name("experts", group, l, "weight");
                    layer.bias = name("experts", group, l, "bias");
                }
            }
            for (g, (layers, group)) in gates
                .iter_mut()
                .zip(["click", "like", "shared"])
                .enumerate()
            {
                layers[0].weight = name("gates", group, 0, "weight");
                layers[0].bias = name("gates", group, 0, "bias");
                let (weight, bias) = (
                    name("gates", group, 1, "weight"),
                    name("gates", group, 1, "bias"),
                );
                let reached = [vec![0, 1], vec![0, 2], vec![0, 1, 2]][g].clone();
                layers[1].bias.fill(absent);
                for ((to, row), bias) in reached.into_iter().zip(weight.chunks(2)).zip(bias) {
                    layers[1].weight[2 * to..2 * to + 2].copy_from_slice(row);
                    layers[1].bias[to] = bias;
                }
            }
        }
        for (head, task) in p.heads.iter_mut().zip(TASKS) {
            head.weight = numbers(&file[of][format!("head.{task}.weight")]);
            head.bias = numbers(&file[of][format!("head.{task}.bias")]);
        }
        network.weights(p)
    };
    let x: Vec<Vec<f64>> = file["x"].as_array().unwrap().iter().map(numbers).collect();
    let number = |i: usize| FeatureData::Numbers {
        values: x.iter().map(|row| row[i] as f32).collect(),
        buckets: vec![],
    };
    let task = |task: &str| TaskData {
        labels: numbers(&file["labels"][task])
            .iter()
            .map(|x| *x as f32)
            .collect(),
        weights: vec![1.0; x.len()],
        ..TaskData::default()
    };
    let data = Dataset {
        features: (0..3).map(number).collect(),
        request: (0..x.len() as u32).collect(),
        tasks: TASKS.map(task).into(),
        gauc_group: vec![0; x.len()],
        ..Dataset::default()
    };
    let (w, want) = (read("parameters", -1e4), read("gradients", 0.0));
    let rows: Vec<u32> = (0..x.len() as u32).collect();
    let logits = network.predict(&w, &data, &rows);
    let mut g = Gradients::default();
    let options = [TaskOptions::default(); 2];
    assert!(g.compute(&plan(&network, &data, &options, None), &w, &rows, None));
    for (t, task) in TASKS.iter().enumerate() {
        for (got, want) in logits
            .iter()
            .skip(t)
            .step_by(2)
            .zip(numbers(&file["logits"][task]))
        {
            assert!((got - want).abs() < 1e-12, "{task}: {got}, PyTorch {want}");
        }
        let want = file["losses"][task].as_f64().unwrap();
        assert!((g.losses[t] - want).abs() < 1e-12, "{task}");
    }
    let mut seen = 0;
    for (i, (got, want)) in g.dense.iter().zip(&want.dense).enumerate() {
        assert!((got - want).abs() < 1e-12, "{i}: {got}, PyTorch {want}");
        seen += usize::from(*want != 0.0);
    }
    assert!(seen > 100, "{seen}");
}

/// By closed gates: what a task's own experts of the second level learn by is that task, and so is what its gates do; experts of
/// the first level learn by all, through the shared gate.
#[test]
fn own_experts_of_the_second_level_learn_by_their_task_alone() {
    let (spec, data) = (of_two_levels(2, 2), log(60, 3));
    let (network, w) = with_own_experts::<f32>(&spec, &data, 2);
    let rows: Vec<u32> = (0..60).collect();
    let mut a = Activations::default();
    network.forward(&w, &data, &rows, 0, None, &mut a);
    let reached = |gate: usize, expert: usize| gate == 3 || expert < 2 || (expert - 2) / 2 == gate;
    for shares in [&a.shares, &a.upper.shares] {
        for (gate, shares) in shares.iter().enumerate() {
            for (i, share) in shares.iter().enumerate() {
                assert_eq!(*share > 0.0, reached(gate, i % 8), "{gate} {i}");
            }
        }
    }
    let owner = |span: &Span| {
        let mut segments = network.segments.iter();
        segments.find(|s| s.range == span.weights()).unwrap().owner
    };
    let moves = |dense: &[f32], span: &Span| dense[span.weights()].iter().any(|g| *g != 0.0);
    for task in 0..3 {
        let mut options = tasks();
        for (i, o) in options.iter_mut().enumerate() {
            o.weight = f64::from(u8::from(i == task));
        }
        let mut g = Gradients::default();
        assert!(g.compute(&plan(&network, &data, &options, None), &w, &rows, None));
        for (expert, spans) in network.upper_experts().iter().enumerate() {
            let (span, of) = (&spans[0], (expert >= 2).then(|| (expert - 2) / 2));
            assert_eq!(owner(span), of);
            assert_eq!(
                moves(&g.dense, span),
                reached(task, expert),
                "{task} {expert}"
            );
        }
        for spans in &network.experts {
            assert_eq!(owner(&spans[0]), None);
            assert!(moves(&g.dense, &spans[0]));
        }
        for gates in [&network.gates[..], network.upper_gates()] {
            for (gate, spans) in gates.iter().enumerate() {
                let span = spans.last().unwrap();
                assert_eq!(owner(span), (gate < 3).then_some(gate));
                let is_of = gate == 3 || gate == task;
                assert_eq!(moves(&g.dense, span), is_of, "{task} {gate}");
                for (expert, row) in g.dense[span.weights()].chunks(span.inputs).enumerate() {
                    assert!(reached(gate, expert) || row.iter().all(|g| *g == 0.0));
                }
            }
        }
    }
}

/// A task's factor multiplies all that it wants of what it shares, once: of tables, of the first level, of shared experts.
#[test]
fn factors_of_tasks_enter_once() {
    let (spec, data) = (of_two_levels(1, 1), log(60, 3));
    let (network, w) = with_own_experts::<f64>(&spec, &data, 1);
    let rows: Vec<u32> = (0..60).collect();
    let of = |lr: f64| {
        let mut options = tasks();
        options.iter_mut().for_each(|o| o.lr = lr);
        let mut g = Gradients::default();
        assert!(g.compute(&plan(&network, &data, &options, None), &w, &rows, None));
        g
    };
    let (whole, half) = (of(1.0), of(0.5));
    for segment in network.segments.iter().filter(|s| s.owner.is_none()) {
        for i in segment.range.clone() {
            let (whole, half) = (whole.dense[i], half.dense[i]);
            assert!((0.5 * whole - half).abs() < 1e-15, "{i}: {whole} {half}");
        }
    }
    for (whole, half) in whole.tables.iter().zip(&half.tables) {
        for (whole, half) in whole.values.iter().zip(&half.values) {
            assert!((0.5 * whole - half).abs() < 1e-15, "{whole} {half}");
        }
    }
}
