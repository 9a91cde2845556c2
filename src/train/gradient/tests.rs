//! Gradients against finite differences, and what rows without weight must not do.
use super::*;
use crate::spec::{Feature, Source, Spec};
use crate::train::dataset::FeatureData;
use crate::train::options::DropoutRates;
use crate::train::synthetic::{log, spec};

pub(crate) mod attention;
mod heads;
mod lists;
mod upper;
mod variants;

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
        .chain(p.upper_experts.iter_mut().flatten())
        .chain(p.upper_gates.iter_mut().flatten())
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

fn check_network_differences(network: Network, tasks: &[TaskOptions], rates: DropoutRates) {
    check_data_differences(network, &log(48, 3), tasks, rates);
}

/// On a log of 48 rows.
fn check_data_differences(
    mut network: Network,
    data: &Dataset,
    tasks: &[TaskOptions],
    rates: DropoutRates,
) {
    network.offsets = vec![-0.7, 0.0, 0.3];
    let rows: Vec<u32> = (0..48).rev().collect();
    let dropout = Dropout::of(rates, 5, 9);
    let mut w: Weights<f64> = weights(&network, data);
    for (i, x) in network.level_weights(&mut w).enumerate() {
        *x = 0.2 * crate::train::random::Key::new(9).at(i as u64).normal();
    }
    let total = |w: &Weights<f64>| {
        let mut g = Gradients::default();
        assert!(g.compute(
            &plan(&network, data, tasks, dropout.as_ref()),
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
    let (mut checked, mut turned) = (0, 0);
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
            let mut by_difference = |h: f64| {
                let got = (4.0 * slope(&mut at, h) - slope(&mut at, 2.0 * h)) / 3.0;
                (got, (got - want).abs() / want.abs().max(1e-3 * scale))
            };
            let (got, error) = by_difference(h);
            if error >= 1e-6 {
                // A ReLU may turn within h. Closer by, rounding shows.
                let (closer, error) = by_difference(h / 100.0);
                assert!(
                    error < 1e-4,
                    "part {part}, value {i}: {got} or {closer} by difference, {want} derived"
                );
                turned += 1;
            }
            checked += usize::from(*want != 0.0);
        }
    }
    assert!(checked > 300, "{checked} gradients are not 0");
    assert!(100 * turned < checked, "{turned} of {checked} are in doubt");
}

#[test]
fn every_gradient_is_that_of_finite_differences() {
    check_differences(&spec(), DropoutRates::default());
}

#[test]
fn gradients_under_dropout_are_those_of_the_same_draws() {
    check_differences(&spec(), DROPPING);
}

/// As an id of two hashes does: other rows for some ids, for one of them the same row twice.
#[test]
fn a_table_read_twice_has_the_gradients_of_finite_differences() {
    let (mut spec, mut data) = (spec(), log(48, 3));
    let second = Feature {
        name: "item:hash2",
        source: Source::Cross { left: 0, right: 0 },
        ..spec.features[0]
    };
    assert!(spec.features.push(second).is_ok());
    let FeatureData::Rows(items) = &data.features[0] else {
        unreachable!("the first feature is an id")
    };
    let rows: Vec<u32> = items.iter().map(|i| i * i % 30).collect();
    let twice = rows.iter().zip(items).filter(|(a, b)| a == b).count();
    assert!((1..rows.len()).contains(&twice), "{twice}");
    data.features.push(FeatureData::Rows(rows));
    assert_eq!(spec.check(), Ok(()));
    check_data_differences(
        Network::new(&spec),
        &data,
        &tasks(),
        DropoutRates::default(),
    );
}

const DROPPING: DropoutRates = DropoutRates {
    hidden: 0.2,
    embedding: 0.2,
    gate: 0.2,
    id: 0.2,
    position: 0.0,
};

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
