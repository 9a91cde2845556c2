//! Heads of every kind: gradients, and what their scores are.
use super::*;
use crate::train::loss::{Steps, sigmoid};

fn cread() -> Steps {
    Steps::Restored {
        alpha: 1.0,
        restoration: 0.6,
        ordering: 0.8,
    }
}

fn ordinal() -> Steps {
    let mut levels = [0.0; limits::LOGITS];
    levels[..3].copy_from_slice(&[2.0, 8.0, 30.0]);
    Steps::Ordinal {
        levels,
        worth: levels,
    }
}

/// Within groups by age.
const QUANTILES: TaskKind = TaskKind::Quantile {
    feature: 6,
    knots: 5,
};

/// The network of the synthetic spec with one of the tasks' kinds, and the tasks' options.
fn with_head(
    task: usize,
    kind: TaskKind,
    steps: Option<Steps>,
    data: &Dataset,
) -> (Network, Vec<TaskOptions>, Weights<f64>) {
    let mut spec = spec();
    spec.tasks[task].kind = kind;
    assert_eq!(spec.check(), Ok(()));
    let network = Network::new(&spec);
    let mut tasks = tasks();
    (tasks[task].steps, tasks[task].every_negative) = (steps, true);
    tasks[0].focal = 2.0;
    let rows: Vec<u32> = (0..data.request.len() as u32).collect();
    let w: Weights<f64> = weights(&network, data);
    let mut p = network.parameters(w);
    let heads = p.heads.clone();
    network.begin_steps(&mut p, data, &rows, &tasks);
    if kind.head_rows() > 1 {
        // Apart from each other, so that some are not in order.
        p.heads[task].weight = heads[task].weight.iter().map(|w| 2.0 * w).collect();
    }
    (network.clone(), tasks, network.weights(p))
}

#[test]
fn gradients_of_every_head_are_those_of_finite_differences() {
    let data = log(48, 3);
    let rows: Vec<u32> = (0..48).collect();
    let steps = |thresholds, ordered| TaskKind::Steps {
        thresholds,
        ordered,
    };
    for (name, kind, options) in [
        ("odds", TaskKind::Odds, None),
        ("cread", steps(6, false), Some(cread())),
        ("ordinal", steps(3, true), Some(ordinal())),
        ("quantiles", QUANTILES, None),
    ] {
        let (network, tasks, mut w) = with_head(1, kind, options, &data);
        let total = |w: &Weights<f64>| {
            let mut g = Gradients::default();
            assert!(g.compute(&plan(&network, &data, &tasks, None), w, &rows, None));
            (g.losses.iter().sum::<f64>(), g)
        };
        let want = total(&w).1.dense;
        let scale = want.iter().fold(0.0, |m: f64, g| m.max(g.abs()));
        for (i, want) in want.iter().enumerate() {
            let steps = &network.steps[1];
            if steps.weights().contains(&i) || steps.biases().contains(&i) {
                assert_eq!(*want, 0.0, "{name}: thresholds and steps are not learned");
                continue;
            }
            let mut at = |x: f64| {
                let old = core::mem::replace(&mut w.dense[i], want * 0.0);
                w.dense[i] = old + x;
                let loss = total(&w).0;
                w.dense[i] = old;
                loss
            };
            let h = 1e-5;
            let slope = |at: &mut dyn FnMut(f64) -> f64, h: f64| (at(h) - at(-h)) / (2.0 * h);
            let got = (4.0 * slope(&mut at, h) - slope(&mut at, 2.0 * h)) / 3.0;
            let error = (got - want).abs() / want.abs().max(1e-3 * scale);
            assert!(
                error < 1e-6,
                "{name}, value {i}: {got} by difference, {want}"
            );
        }
    }
}

/// What is predicted of a row is ln(1 + the quantity), whatever its logits are.
#[test]
fn predictions_are_logarithms_of_quantities() {
    let data = log(16, 5);
    let kind = TaskKind::Steps {
        thresholds: 4,
        ordered: false,
    };
    let (network, _, mut w) = with_head(1, kind, Some(cread()), &data);
    let (head, steps) = (network.heads[1], network.steps[1]);
    w.dense[head.weights()].fill(0.0);
    w.dense[head.biases()].copy_from_slice(&[0.0, 1.0, -1.0, libm::log(3.0)]);
    w.dense[steps.biases()].copy_from_slice(&[1.0, 2.0, 0.0, 4.0]);
    let value = 0.5 + 2.0 * sigmoid(1.0) + 4.0 * 0.75;
    let got = network.predict(&w, &data, &[3])[1];
    assert!((got - libm::log1p(value)).abs() < 1e-12);

    let (network, _, mut w) = with_head(1, TaskKind::Odds, None, &data);
    let head = network.heads[1];
    w.dense[head.weights()].fill(0.0);
    w.dense[head.bias] = libm::log(7.0);
    let got = network.predict(&w, &data, &[3])[1];
    assert!((got - libm::log(8.0)).abs() < 1e-12);

    // A quarter of the way up in the group of each row.
    let (network, _, mut w) = with_head(1, QUANTILES, None, &data);
    let (head, steps) = (network.heads[1], network.steps[1]);
    assert_eq!(steps.outputs, 6 * 5);
    w.dense[head.weights()].fill(0.0);
    w.dense[head.bias] = -libm::log(3.0);
    for (i, value) in w.dense[steps.biases()].iter_mut().enumerate() {
        *value = (i / 5 * 100 + i % 5) as f64;
    }
    let rows: Vec<u32> = (0..16).collect();
    for (row, z) in network.predict(&w, &data, &rows).chunks(3).enumerate() {
        let value = 100.0 * f64::from(data.bucket(6, row)) + 1.0;
        assert!((z[1] - libm::log1p(value)).abs() < 1e-9, "{row}");
    }

    // Logits in order, however large what is learned is.
    let kind = TaskKind::Steps {
        thresholds: 3,
        ordered: true,
    };
    let (network, _, mut w) = with_head(1, kind, Some(ordinal()), &data);
    let head = network.heads[1];
    w.dense[head.biases()].copy_from_slice(&[1.0, 40.0, -40.0]);
    let mut a = Activations::default();
    network.forward(&w, &data, &[0, 1], 0, None, &mut a);
    for z in a.steps[1].chunks(3) {
        assert!((z[0] - z[1] - 40.0).abs() < 1e-9 && z[1] >= z[2]);
    }
}

#[test]
fn batches_without_rows_or_with_one_are_finite() {
    let mut data = log(48, 3);
    let steps = |thresholds, ordered| TaskKind::Steps {
        thresholds,
        ordered,
    };
    for (kind, options) in [
        (TaskKind::Odds, None),
        (steps(6, false), Some(cread())),
        (steps(3, true), Some(ordinal())),
        (QUANTILES, None),
    ] {
        let (network, mut tasks, w) = with_head(1, kind, options, &data);
        for every in [false, true] {
            tasks[1].every_negative = every;
            for label in [0.0, 1e9] {
                data.tasks[1].labels.fill(label);
                for rows in [&[0u32][..], &[5, 9]] {
                    let mut g = Gradients::default();
                    let plan = plan(&network, &data, &tasks, None);
                    assert!(g.compute(&plan, &w, rows, None), "{kind:?} {label}");
                }
            }
        }
    }
}

/// Each group with enough rows begins with its own quantiles, the others with those of all.
#[test]
fn quantiles_begin_as_those_of_each_group() {
    let data = log(4000, 3);
    let (network, _, w) = with_head(1, QUANTILES, None, &data);
    let tables: Vec<&[f64]> = w.dense[network.steps[1].biases()].chunks(5).collect();
    let mut labels = vec![Vec::new(); 7];
    for row in 0..4000 {
        if data.tasks[1].weights[row] > 0.0 {
            let label = f64::from(data.tasks[1].labels[row]);
            labels[data.bucket(6, row) as usize].push(label);
            labels[6].push(label);
        }
    }
    labels.iter_mut().for_each(|of| of.sort_by(f64::total_cmp));
    let mut own = 0;
    for (group, table) in tables.iter().enumerate() {
        let few = labels[group].len() < crate::train::loss::GROUP_LABELS_MIN;
        own += usize::from(!few);
        let of = &labels[if few { 6 } else { group }];
        let (last, middle) = (of[of.len() - 1], of[of.len() / 2]);
        assert_eq!([table[0], table[4]], [of[0], last], "{group}");
        assert!((table[2] / middle - 1.0).abs() < 0.05, "{group}: {table:?}");
    }
    assert!((3..6).contains(&own), "{own}");
    assert_eq!(w.dense[network.heads[1].bias], 0.0);
}

/// The mean of each row's own loss, where every row weighs alike.
#[test]
fn a_batch_has_the_mean_of_the_losses_that_its_tasks_have() {
    let data = log(48, 3);
    let rows: Vec<u32> = (0..48).collect();
    let (network, tasks, w) = with_head(1, TaskKind::Odds, None, &data);
    let mut g = Gradients::default();
    assert!(g.compute(&plan(&network, &data, &tasks, None), &w, &rows, None));
    let mut a = Activations::default();
    network.forward(&w, &data, &rows, 0, None, &mut a);
    let of = |t: usize| {
        let labels = &data.tasks[t];
        let rows = a
            .logits
            .chunks(3)
            .zip(labels.labels.iter().zip(&labels.weights));
        rows.map(move |(z, (y, weight))| (z[t], f64::from(*y), f64::from(*weight)))
    };
    let mean = |sum: &dyn Fn(f64, f64) -> [f64; 2], t: usize| {
        let each = of(t).map(|(z, y, w)| sum(z, y).map(|x| w * x));
        let [loss, weight] = each.fold([0.0; 2], |[l, w], [a, b]| [l + a, w + b]);
        tasks[t].weight * loss / weight
    };
    let focal = mean(&|z, y| [focal_loss(2.0, z, y).0, 1.0], 0);
    let odds = mean(&|z, y| [odds_loss(z, y, 1.0).0, y + 1.0], 1);
    assert!(
        (g.losses[0] - focal).abs() < 1e-12,
        "{} {focal}",
        g.losses[0]
    );
    assert!((g.losses[1] - odds).abs() < 1e-12, "{} {odds}", g.losses[1]);
}
