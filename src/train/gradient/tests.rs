//! Gradients against finite differences, and what rows without weight must not do.
use super::*;
use crate::spec::{Fed, FedValue, Gate, NetworkKind, Spec};
use crate::train::network::bias::Bias;
use crate::train::options::{AtMost, DropoutRates};
use crate::train::synthetic::{log, spec};

fn tasks() -> Vec<TaskOptions> {
    [(1.0, 0.6), (0.7, 0.9), (2.0, 1.0)]
        .map(|(weight, huber)| TaskOptions {
            weight,
            huber,
            ..TaskOptions::default()
        })
        .to_vec()
}

fn plan<'p>(
    network: &'p Network,
    data: &'p Dataset,
    tasks: &'p [TaskOptions],
    dropout: Option<&'p Dropout>,
) -> Plan<'p> {
    Plan {
        network,
        data,
        tasks,
        dropout,
        load_balance: 0.0,
    }
}

/// Larger embeddings than usual, so that differences are far above rounding.
fn weights<R: Real>(network: &Network, data: &Dataset) -> Weights<R> {
    let rows: Vec<u32> = (0..data.request.len() as u32).collect();
    let mut p = network.initialize(data, &rows, 7, 0.5);
    let biases = p
        .experts
        .iter_mut()
        .flatten()
        .chain(p.gates.iter_mut().flatten())
        .chain(p.towers.iter_mut().flatten())
        .chain(p.bias.iter_mut().flatten());
    for (i, b) in biases.flat_map(|l| &mut l.bias).enumerate() {
        *b = R::from_f64(0.3 * crate::train::random::Key::new(8).at(i as u64).normal());
    }
    network.weights(p)
}

/// All gradients of a table as if dense.
fn dense_table<R: Real>(network: &Network, g: &Gradients<R>, table: usize) -> Vec<R> {
    let plan = network.tables[table];
    let mut out = vec![R::ZERO; plan.num_embeddings * plan.dim];
    for (row, values) in g.tables[table]
        .rows
        .iter()
        .zip(g.tables[table].values.chunks(plan.dim))
    {
        out[*row as usize * plan.dim..][..plan.dim].copy_from_slice(values);
    }
    out
}

fn all_gradients<R: Real>(network: &Network, g: &Gradients<R>) -> Weights<R> {
    let tables = (0..network.tables.len())
        .map(|t| dense_table(network, g, t))
        .collect();
    Weights {
        tables,
        dense: g.dense.clone(),
    }
}

/// Every parameter of every kind: experts' first and later layers, gates, towers, heads, tables read as single rows,
/// buckets and pooled lists of each kind.
fn check_differences(spec: &Spec<'_>, rates: DropoutRates) {
    check_tasks_differences(spec, &tasks(), rates);
}

fn check_tasks_differences(spec: &Spec<'_>, tasks: &[TaskOptions], rates: DropoutRates) {
    assert_eq!(spec.check(), Ok(()));
    check_network_differences(Network::new(spec), tasks, rates);
}

fn check_network_differences(mut network: Network, tasks: &[TaskOptions], rates: DropoutRates) {
    let data = log(48, 3);
    network.offsets = vec![-0.7, 0.0, 0.3];
    let rows: Vec<u32> = (0..48).rev().collect();
    let dropout = Dropout::of(rates, 5, 9);
    let mut w: Weights<f64> = weights(&network, &data);
    let total = |w: &Weights<f64>| {
        let mut g = Gradients::default();
        assert!(g.compute(
            &plan(&network, &data, tasks, dropout.as_ref()),
            w,
            &rows,
            None
        ));
        (g.losses.iter().sum::<f64>(), g)
    };
    let want = all_gradients(&network, &total(&w).1);
    let scale = want
        .dense
        .iter()
        .chain(want.tables.iter().flatten())
        .fold(0.0, |m: f64, g| m.max(g.abs()));
    let h = 1e-5;
    let mut checked = 0;
    for part in 0..=network.tables.len() {
        let values = |w: &mut Weights<f64>, i: usize, x: f64| match w.tables.get_mut(part) {
            Some(table) => table[i] += x,
            None => w.dense[i] += x,
        };
        let want = want.tables.get(part).unwrap_or(&want.dense);
        for (i, want) in want.iter().enumerate() {
            let mut at = |x: f64| {
                values(&mut w, i, x);
                let loss = total(&w).0;
                values(&mut w, i, -x);
                loss
            };
            // Richardson's extrapolation of central differences.
            let slope = |at: &mut dyn FnMut(f64) -> f64, h: f64| (at(h) - at(-h)) / (2.0 * h);
            let got = (4.0 * slope(&mut at, h) - slope(&mut at, 2.0 * h)) / 3.0;
            let error = (got - want).abs() / want.abs().max(1e-3 * scale);
            assert!(
                error < 1e-6,
                "part {part}, value {i}: {got} by difference, {want} derived"
            );
            checked += usize::from(*want != 0.0);
        }
    }
    assert!(checked > 300, "{checked} gradients are not 0");
}

#[test]
fn every_gradient_is_that_of_finite_differences() {
    check_differences(&spec(), DropoutRates::default());
}

#[test]
fn gradients_under_dropout_are_those_of_the_same_draws() {
    check_differences(&spec(), DROPPING);
}

const DROPPING: DropoutRates = DropoutRates {
    hidden: 0.2,
    embedding: 0.2,
    gate: 0.2,
    id: 0.2,
    position: 0.0,
};

/// Every kind of network, gate and relation.
fn variants() -> Vec<(&'static str, Spec<'static>)> {
    let of = |change: &dyn Fn(&mut Spec<'static>)| {
        let mut spec = spec();
        change(&mut spec);
        spec
    };
    let kind = |kind: NetworkKind, experts: u8| {
        of(&|s| (s.network.kind, s.network.num_experts) = (kind, experts))
    };
    let gate = |gate: Gate, layers: &[u16]| {
        of(&|s| {
            s.network.gate = gate;
            s.network.gate_layers = crate::spec::Layers::from_slice(layers).expect("few layers");
        })
    };
    let fed = |s: &mut Spec<'static>, to: usize, task: u8, value: FedValue| {
        s.tasks[to].inputs.push(Fed { task, value }).expect("few");
    };
    vec![
        ("shared bottom", kind(NetworkKind::SharedBottom, 1)),
        ("shared embedding", kind(NetworkKind::SharedEmbedding, 3)),
        ("single", kind(NetworkKind::Single, 3)),
        ("deep gates", gate(Gate::Softmax, &[3])),
        ("deeper gates", gate(Gate::Softmax, &[3, 4])),
        ("attention", gate(Gate::Attention, &[])),
        ("deep attention", gate(Gate::Attention, &[3, 2])),
        (
            "attention on one layer",
            of(&|s| {
                s.network.gate = Gate::Attention;
                s.network.expert_layers.truncate(1);
            }),
        ),
        ("fed logit", of(&|s| fed(s, 1, 0, FedValue::Logit))),
        (
            "fed probability",
            of(&|s| fed(s, 2, 0, FedValue::Probability)),
        ),
        (
            "fed in a chain, against the order of the tasks",
            of(&|s| {
                fed(s, 0, 1, FedValue::Logit);
                fed(s, 0, 2, FedValue::Probability);
                fed(s, 2, 1, FedValue::Logit);
            }),
        ),
        (
            "fed between single models",
            of(&|s| {
                (s.network.kind, s.network.num_experts) = (NetworkKind::Single, 3);
                fed(s, 1, 0, FedValue::Probability);
                fed(s, 2, 1, FedValue::Logit);
            }),
        ),
    ]
}

#[test]
fn every_variant_has_the_gradients_of_finite_differences() {
    for (name, spec) in variants() {
        std::eprintln!("{name}");
        check_differences(&spec, DropoutRates::default());
    }
    for (name, spec) in variants().into_iter().skip(2).step_by(4) {
        std::eprintln!("{name}, dropping");
        check_differences(&spec, DROPPING);
    }
}

#[test]
fn losses_over_the_entire_space_and_penalties_have_the_gradients_of_finite_differences() {
    let mut tasks = tasks();
    (tasks[2].entire_space, tasks[0].weight) = (true, 0.5);
    check_tasks_differences(&spec(), &tasks, DropoutRates::default());
    let mut single = spec();
    (single.network.kind, single.network.num_experts) = (NetworkKind::Single, 3);
    check_tasks_differences(&single, &tasks, DropoutRates::default());
    tasks[2].entire_space = false;
    tasks[2].at_most = Some(AtMost {
        task: 0,
        weight: 0.6,
    });
    check_tasks_differences(&spec(), &tasks, DropoutRates::default());
}

/// The last two features are known in training alone.
fn with_bias(layers: &[usize]) -> Network {
    let all = spec();
    let mut served = spec();
    served.features.truncate(all.features.len() - 2);
    let bias = Bias {
        spec: &all,
        tasks: vec![2, 0],
        layers: layers.to_vec(),
        reference: log(1, 1),
    };
    Network::with_bias(&served, &bias)
}

#[test]
fn towers_on_what_is_known_in_training_alone_have_the_gradients_of_finite_differences() {
    for layers in [&[][..], &[4, 3]] {
        check_network_differences(with_bias(layers), &tasks(), DropoutRates::default());
    }
    let rates = DropoutRates {
        position: 0.4,
        ..DropoutRates::default()
    };
    check_network_differences(with_bias(&[4]), &tasks(), rates);
}

/// The served network scores as the one in training does where its towers read the reference.
#[test]
fn folded_towers_are_those_of_the_reference_value() {
    let (network, data) = (with_bias(&[4]), log(80, 3));
    let mut served = spec();
    served.features.truncate(served.features.len() - 2);
    let served = Network::new(&served);
    let w: Weights<f64> = weights(&network, &data);
    let rows: Vec<u32> = (0..80).collect();
    let logits = network.predict(&w, &data, &rows);
    let towers = network.bias_logits(&w, &data, &rows);
    for reference in [0, 17] {
        let at = &towers[reference * 2..][..2];
        let mut p = network.parameters(w.clone());
        network.fold_bias(&mut p, at);
        assert!(served.fits(&p));
        let folded = served.predict(&served.weights(p), &data, &rows);
        for (i, z) in folded.chunks(3).enumerate() {
            // Task 2 has the first tower, task 0 the second, task 1 none.
            let want = |t: usize, b: usize| logits[i * 3 + t] - towers[i * 2 + b] + at[b];
            assert!((z[2] - want(2, 0)).abs() < 1e-9 && (z[0] - want(0, 1)).abs() < 1e-9);
            assert_eq!(z[1], logits[i * 3 + 1]);
        }
    }
}

#[test]
fn over_the_entire_space_a_row_counts_until_the_chain_breaks() {
    let (mut spec, mut data) = (spec(), log(8, 3));
    spec.tasks[1].kind = crate::spec::TaskKind::Binary;
    spec.tasks[2].given = Some(1);
    let network = Network::new(&spec);
    for (t, (weights, labels)) in [
        ([1.0, 2.0, 3.0, 4.0, 0.0], [0.0, 1.0, 1.0, 1.0, 1.0]),
        ([0.0, 1.5, 2.5, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0, 1.0]),
        ([0.0, 0.0, 0.5, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0, 1.0]),
    ]
    .into_iter()
    .enumerate()
    {
        data.tasks[t].weights = weights.to_vec();
        data.tasks[t].labels = labels.to_vec();
    }
    let seen: Vec<_> = (0..5)
        .map(|r| sample(&network, &data, r, 2, true))
        .collect();
    // Not clicked; clicked alone; all three; clicked, the second unknown; not in the space of the first.
    assert_eq!(
        seen,
        [(1.0, 0.0), (2.0, 0.0), (0.5, 1.0), (0.0, 0.0), (0.0, 0.0)]
    );
}

#[test]
fn a_stopped_input_changes_no_gradient_of_the_task_that_feeds_it() {
    let (mut spec, data) = (spec(), log(200, 3));
    let fed = Fed {
        task: 0,
        value: FedValue::Logit,
    };
    spec.tasks[1].inputs.push(fed).expect("few");
    let network = Network::new(&spec);
    let w: Weights<f64> = weights(&network, &data);
    let rows: Vec<u32> = (0..200).collect();
    let of = |stopped: u16, weight: f64| {
        let mut tasks = tasks();
        (tasks[1].stopped_inputs, tasks[1].weight) = (stopped, weight);
        let mut g = Gradients::default();
        assert!(g.compute(&plan(&network, &data, &tasks, None), &w, &rows, None));
        g.dense[network.heads[0].weights()].to_vec()
    };
    assert_eq!(of(1, 1.0), of(1, 5.0));
    assert_ne!(of(0, 1.0), of(0, 5.0));
}

/// Factors on the tasks' gradients at the shared representation, against gradients of each task alone.
#[test]
fn a_factor_on_the_shared_representation_leaves_gates_and_towers_alone() {
    for (name, spec) in variants().into_iter().take(7) {
        if name == "single" {
            continue;
        }
        let (network, data) = (Network::new(&spec), log(300, 3));
        let w: Weights<f64> = weights(&network, &data);
        let rows: Vec<u32> = (0..300).collect();
        let mut seen = Vec::new();
        let mut compute = |factors: [f64; 3]| {
            let mut g = Gradients::default();
            let mut balance = |gram: &[f64], present: &[bool]| {
                seen.push((gram.to_vec(), present.to_vec()));
                factors.to_vec()
            };
            assert!(g.compute(
                &plan(&network, &data, &tasks(), None),
                &w,
                &rows,
                Some(&mut balance)
            ));
            all_gradients(&network, &g)
        };
        let parts = [0, 1, 2, 9].map(|only| {
            let mut factors = [0.0; 3];
            if let Some(f) = factors.get_mut(only) {
                *f = 1.0;
            }
            compute(factors)
        });
        let (whole, mixed) = (compute([1.0; 3]), compute([0.5, 2.0, -1.0]));
        for i in 0..whole.dense.len() {
            // The last part has what does not go through the shared representation.
            let own = |t: usize| parts[t].dense[i] - parts[3].dense[i];
            let sum = parts[3].dense[i] + own(0) + own(1) + own(2);
            assert!((sum - whole.dense[i]).abs() < 1e-9, "{name}");
            let sum = parts[3].dense[i] + 0.5 * own(0) + 2.0 * own(1) - own(2);
            assert!((sum - mixed.dense[i]).abs() < 1e-9, "{name}");
        }
        for segment in network.segments.iter().filter(|s| s.owner.is_some()) {
            assert_eq!(
                mixed.dense[segment.range.clone()],
                whole.dense[segment.range.clone()]
            );
        }
        let (gram, present) = &seen[0];
        assert_eq!(present, &[true; 3]);
        for s in 0..3 {
            assert!(gram[s * 3 + s] > 0.0);
            for t in 0..3 {
                assert_eq!(gram[s * 3 + t], gram[t * 3 + s]);
                let most = libm::sqrt(gram[s * 3 + s] * gram[t * 3 + t]);
                assert!(gram[s * 3 + t].abs() <= most * (1.0 + 1e-12), "{name}");
            }
        }
    }
}

#[test]
fn a_network_of_one_layer_experts_has_the_gradients_of_finite_differences() {
    let (mut spec, data) = (spec(), log(40, 4));
    spec.network.expert_layers.truncate(1);
    spec.network.num_experts = 3;
    let network = Network::new(&spec);
    let rows: Vec<u32> = (0..40).collect();
    let mut w: Weights<f64> = weights(&network, &data);
    let compute = |w: &Weights<f64>| {
        let mut g = Gradients::default();
        assert!(g.compute(&plan(&network, &data, &tasks(), None), w, &rows, None));
        g
    };
    let want = compute(&w).dense;
    for i in (0..want.len()).step_by(3) {
        let mut at = |x: f64| {
            let before = w.dense[i];
            w.dense[i] += x;
            let loss: f64 = compute(&w).losses.iter().sum();
            w.dense[i] = before;
            loss
        };
        let got = (at(1e-5) - at(-1e-5)) / 2e-5;
        assert!((got - want[i]).abs() < 1e-8, "{i}: {got} {}", want[i]);
    }
}

fn bits(w: &Weights<f32>) -> Vec<u32> {
    w.tables
        .iter()
        .flatten()
        .chain(&w.dense)
        .map(|x| x.to_bits())
        .collect()
}

/// Gradients of task `only`'s loss alone.
fn of_task(
    network: &Network,
    w: &Weights<f32>,
    data: &mut Dataset,
    rows: &[u32],
    only: usize,
) -> Weights<f32> {
    let before: Vec<Vec<f32>> = data.tasks.iter().map(|t| t.weights.clone()).collect();
    data.tasks
        .iter_mut()
        .enumerate()
        .filter(|(t, _)| *t != only)
        .for_each(|(_, t)| t.weights.fill(0.0));
    let mut g = Gradients::default();
    assert!(g.compute(&plan(network, data, &tasks(), None), w, rows, None));
    data.tasks
        .iter_mut()
        .zip(before)
        .for_each(|(t, weights)| t.weights = weights);
    all_gradients(network, &g)
}

#[test]
fn rows_outside_the_space_leave_every_gradient_bit_identical() {
    let (spec, mut data) = (spec(), log(2400, 5));
    let network = Network::new(&spec);
    let w: Weights<f32> = weights(&network, &data);
    for task in [1, 2] {
        let in_space = |r: &u32| data.tasks[task].weights[*r as usize] > 0.0;
        let (inside, outside): (Vec<u32>, Vec<u32>) = (0..2400).partition(in_space);
        for (n, extra) in [
            (1, 1),
            (200, 40),
            (255, 1),
            (256, 300),
            (300, 700),
            (900, 513),
        ] {
            let mut rows = inside[..n].to_vec();
            let alone = of_task(&network, &w, &mut data, &rows, task);
            rows.extend(&outside[..extra]);
            let among = of_task(&network, &w, &mut data, &rows, task);
            assert_eq!(
                bits(&alone),
                bits(&among),
                "task {task}, {n} rows and {extra} more"
            );
            assert!(
                alone
                    .dense
                    .iter()
                    .chain(alone.tables.iter().flatten())
                    .any(|g| *g != 0.0)
            );
        }
    }
}

#[test]
fn rows_outside_the_space_that_come_between_change_only_the_order_of_sums() {
    let (spec, mut data) = (spec(), log(600, 6));
    let network = Network::new(&spec);
    let w: Weights<f32> = weights(&network, &data);
    let rows: Vec<u32> = (0..600).collect();
    let inside: Vec<u32> = rows
        .iter()
        .copied()
        .filter(|r| data.tasks[1].weights[*r as usize] > 0.0)
        .collect();
    let (alone, among) = (
        of_task(&network, &w, &mut data, &inside, 1),
        of_task(&network, &w, &mut data, &rows, 1),
    );
    let pairs = alone.dense.iter().chain(alone.tables.iter().flatten());
    for (a, b) in pairs.zip(among.dense.iter().chain(among.tables.iter().flatten())) {
        assert!((a - b).abs() < 1e-5);
    }
}

#[test]
fn a_task_without_rows_adds_nothing_anywhere() {
    let (spec, mut data) = (spec(), log(300, 7));
    let network = Network::new(&spec);
    let w: Weights<f32> = weights(&network, &data);
    let rows: Vec<u32> = (0..300).collect();
    let none = of_task(&network, &w, &mut data, &rows, 99);
    assert!(bits(&none).iter().all(|x| *x == 0));
}

#[test]
fn the_gradient_is_the_sum_of_the_tasks_gradients() {
    let (spec, mut data) = (spec(), log(300, 8));
    let network = Network::new(&spec);
    let w: Weights<f32> = weights(&network, &data);
    let rows: Vec<u32> = (0..300).collect();
    let parts: Vec<_> = (0..3)
        .map(|t| of_task(&network, &w, &mut data, &rows, t))
        .collect();
    let mut g = Gradients::default();
    assert!(g.compute(&plan(&network, &data, &tasks(), None), &w, &rows, None));
    for (i, whole) in g.dense.iter().enumerate() {
        let sum: f32 = parts.iter().map(|p| p.dense[i]).sum();
        assert!((whole - sum).abs() < 1e-5, "{i}: {whole} {sum}");
    }
}

#[test]
fn a_tasks_lr_scales_its_gradient_on_shared_parameters_alone() {
    let (spec, mut data) = (spec(), log(300, 9));
    data.tasks[1].weights.fill(0.0);
    data.tasks[2].weights.fill(0.0);
    let network = Network::new(&spec);
    let w: Weights<f64> = weights(&network, &data);
    let rows: Vec<u32> = (0..300).collect();
    let of = |lr: f64| {
        let mut tasks = tasks();
        tasks[0].lr = lr;
        let mut g = Gradients::default();
        assert!(g.compute(&plan(&network, &data, &tasks, None), &w, &rows, None));
        all_gradients(&network, &g)
    };
    let (one, half) = (of(1.0), of(0.5));
    for segment in &network.segments {
        let factor = if segment.owner.is_some() { 1.0 } else { 0.5 };
        for i in segment.range.clone() {
            assert!((one.dense[i] * factor - half.dense[i]).abs() < 1e-12);
        }
    }
    for (a, b) in one
        .tables
        .iter()
        .flatten()
        .zip(half.tables.iter().flatten())
    {
        assert!((a * 0.5 - b).abs() < 1e-12);
    }
}

#[test]
fn logits_do_not_depend_on_the_other_rows() {
    let (spec, data) = (spec(), log(700, 10));
    let network = Network::new(&spec);
    let w: Weights<f32> = weights(&network, &data);
    let rows: Vec<u32> = (0..700).collect();
    let all = network.predict(&w, &data, &rows);
    for row in [0, 1, 255, 256, 300, 699] {
        let alone = network.predict(&w, &data, &[row]);
        assert_eq!(alone, all[row as usize * 3..][..3]);
    }
}

#[test]
fn the_softmax_of_dropped_experts_is_over_the_others_and_never_empty() {
    let (mut spec, data) = (spec(), log(256, 11));
    spec.network.num_experts = 4;
    let network = Network::new(&spec);
    let w: Weights<f32> = weights(&network, &data);
    let rates = DropoutRates {
        gate: 0.5,
        ..DropoutRates::default()
    };
    let mut a = Activations::default();
    let rows: Vec<u32> = (0..256).collect();
    network.forward(
        &w,
        &data,
        &rows,
        0,
        Dropout::of(rates, 1, 1).as_ref(),
        &mut a,
    );
    let (mut dropped, mut whole) = (0, 0);
    for shares in &a.shares {
        for gate in shares.chunks(4) {
            assert!((gate.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            let zeros = gate.iter().filter(|g| **g == 0.0).count();
            dropped += zeros;
            whole += usize::from(zeros == 0);
        }
    }
    // Of 768 gates, 1/16 keep all and 1/16 would have lost all.
    assert!(
        (1300..1600).contains(&dropped) && (60..140).contains(&whole),
        "{dropped} {whole}"
    );
}

/// The inner products against gradients of each task alone, written out over the whole batch.
#[test]
fn inner_products_are_those_of_the_tasks_gradients_flattened_over_the_batch() {
    for (name, spec) in variants().into_iter().take(6) {
        let own = spec.network.kind == NetworkKind::SharedEmbedding;
        if spec.network.kind == NetworkKind::Single {
            continue;
        }
        let (network, mut data) = (Network::new(&spec), log(300, 3));
        let w: Weights<f64> = weights(&network, &data);
        let rows: Vec<u32> = (0..300).collect();
        let mut gram = Vec::new();
        let mut balance = |g: &[f64], _: &[bool]| {
            gram = g.to_vec();
            vec![1.0; 3]
        };
        let mut g = Gradients::default();
        let of_all = tasks();
        let all = plan(&network, &data, &of_all, None);
        assert!(g.compute(&all, &w, &rows, Some(&mut balance)));
        let flattened: Vec<Vec<f64>> = (0..3)
            .map(|only| {
                let before: Vec<Vec<f32>> = data.tasks.iter().map(|t| t.weights.clone()).collect();
                let others = data
                    .tasks
                    .iter_mut()
                    .enumerate()
                    .filter(|(t, _)| *t != only);
                others.for_each(|(_, t)| t.weights.fill(0.0));
                let mut g = Gradients::default();
                assert!(g.compute(&plan(&network, &data, &tasks(), None), &w, &rows, None));
                for (task, weights) in data.tasks.iter_mut().zip(before) {
                    task.weights = weights;
                }
                let mut flat = Vec::new();
                for shard in &g.shards {
                    let (a, g) = (&shard.activations, &shard.gradients);
                    if own {
                        flat.extend_from_slice(&g.x);
                        continue;
                    }
                    let width = network.mixture_width();
                    for (i, dm) in g.mixture_of(only).chunks(width).enumerate() {
                        let shares = a.shares.get(only).map_or(vec![1.0], |shares| {
                            shares[i * network.num_experts..][..network.num_experts].to_vec()
                        });
                        flat.extend(shares.iter().flat_map(|s| dm.iter().map(move |d| s * d)));
                    }
                }
                flat
            })
            .collect();
        for s in 0..3 {
            for t in 0..3 {
                let pairs = flattened[s].iter().zip(&flattened[t]);
                let want: f64 = pairs.map(|(a, b)| a * b).sum();
                let got = gram[s * 3 + t];
                assert!(
                    (got - want).abs() < 1e-12 + 1e-9 * want.abs(),
                    "{name} {s} {t}"
                );
            }
        }
    }
}

/// The penalty on uneven use of experts: by hand for two rows, by differences for all parameters.
#[test]
fn uneven_gates_are_penalised_by_the_gradient_of_finite_differences() {
    let (spec, data) = (spec(), log(64, 12));
    let network = Network::new(&spec);
    let w: Weights<f64> = weights(&network, &data);
    let rows: Vec<u32> = (0..64).collect();
    let tasks = tasks();
    let penalty = |w: &Weights<f64>| {
        let mut a = Activations::default();
        network.forward(w, &data, &rows, 0, None, &mut a);
        let experts = network.num_experts as f64;
        let of = |shares: &Vec<f64>| {
            let mean = |e: usize| shares.iter().skip(e).step_by(2).sum::<f64>() / 64.0;
            experts * (mean(0) * mean(0) + mean(1) * mean(1)) - 1.0
        };
        a.shares.iter().map(of).sum::<f64>()
    };
    let of = |load_balance: f64| {
        let plan = Plan {
            load_balance,
            ..plan(&network, &data, &tasks, None)
        };
        let mut g = Gradients::default();
        assert!(g.compute(&plan, &w, &rows, None));
        g.dense
    };
    let (with, without) = (of(0.3), of(0.0));
    let mut seen = 0;
    for i in 0..with.len() {
        let mut w = w.clone();
        let mut at = |x: f64| {
            w.dense[i] += x;
            let p = penalty(&w);
            w.dense[i] -= x;
            p
        };
        let got = 0.3 * (at(1e-5) - at(-1e-5)) / 2e-5;
        assert!((got - (with[i] - without[i])).abs() < 1e-8, "{i}");
        seen += usize::from(got.abs() > 1e-6);
    }
    assert!(seen > 20, "{seen}");
}
