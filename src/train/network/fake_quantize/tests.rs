//! The forward pass on grids against the engine, and its gradient against one by hand.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::engine::{Model, OpenOptions};
use crate::features::hash_int;
use crate::spec::NumberGrid;
use crate::spec::{Fed, FedValue, Gate, Layers, Lookup, NetworkKind, Table, Task, TaskKind};
use crate::train::evaluate::duration_score;
use crate::train::export;
use crate::train::gradient::{Gradients, Plan};
use crate::train::loss::{Steps, sigmoid};
use crate::train::options::{TaskOptions, TrainOptions};
use crate::train::parameters::Parameters;
use crate::train::quantize::{Lookups, quantize};
use crate::train::requests::{OwnedColumn, OwnedLists, OwnedRequest};
use crate::train::synthetic::{self, log, spec, train};
use crate::train::vocabulary;

mod attention;

/// Every kind of network and gate, of usual depth; some tables packed.
fn variants() -> Vec<(&'static str, Spec<'static>)> {
    let of = |kind: NetworkKind, experts: u8, gate: Gate, gate_layers: &[u16]| {
        let mut spec = spec();
        (spec.network.kind, spec.network.num_experts) = (kind, experts);
        spec.network.expert_layers = Layers::from_slice(&[24, 16, 12]).unwrap();
        spec.network.gate = gate;
        spec.network.gate_layers = Layers::from_slice(gate_layers).unwrap();
        for (task, widths) in spec.tasks.iter_mut().zip([&[12, 8][..], &[10], &[]]) {
            task.tower_layers = Layers::from_slice(widths).unwrap();
        }
        for (to, value) in [(1, FedValue::Logit), (2, FedValue::Probability)] {
            spec.tasks[to].inputs.push(Fed { task: 0, value }).unwrap();
        }
        // A sum that clips, and one that does not.
        for feature in &mut spec.features {
            if let Encoding::Rows {
                pooling: Pooling::Sum,
                weighted,
                divisor,
                ..
            } = &mut feature.encoding
            {
                *divisor = if *weighted { 2 } else { 1 };
            }
        }
        spec
    };
    // The duration with another head.
    let headed = |kind: TaskKind| {
        let mut spec = of(NetworkKind::Mmoe, 3, Gate::Softmax, &[]);
        spec.tasks[1].kind = kind;
        spec
    };
    let mut packed = of(NetworkKind::Mmoe, 3, Gate::Softmax, &[]);
    packed.tables[0].bits = Table::PACKED;
    packed.tables[2].bits = Table::PACKED;
    // The last two features attend to the history.
    let mut attending = of(NetworkKind::Mmoe, 3, Gate::Softmax, &[]);
    let attend = synthetic::attending().features;
    for feature in attend.into_iter().skip(attending.features.len()) {
        attending.features.push(feature).unwrap();
    }
    let mut packed_attending = attending.clone();
    packed_attending.tables[1].bits = Table::PACKED;
    vec![
        ("attending to lists", attending),
        ("attending to packed lists", packed_attending),
        ("mmoe", of(NetworkKind::Mmoe, 3, Gate::Softmax, &[])),
        ("packed tables", packed),
        (
            "deep gates",
            of(NetworkKind::Mmoe, 3, Gate::Softmax, &[8, 6]),
        ),
        ("attention", of(NetworkKind::Mmoe, 3, Gate::Attention, &[])),
        (
            "deep attention",
            of(NetworkKind::Mmoe, 3, Gate::Attention, &[9]),
        ),
        (
            "shared bottom",
            of(NetworkKind::SharedBottom, 1, Gate::Softmax, &[]),
        ),
        (
            "shared embedding",
            of(NetworkKind::SharedEmbedding, 3, Gate::Softmax, &[]),
        ),
        ("single", of(NetworkKind::Single, 3, Gate::Softmax, &[])),
        (
            "two levels",
            of(NetworkKind::Progressive { own: 1 }, 5, Gate::Softmax, &[8]),
        ),
        ("odds", headed(TaskKind::Odds)),
        (
            "quantiles",
            headed(TaskKind::Quantile {
                feature: 6,
                knots: 9,
            }),
        ),
        ("steps of their own", headed(steps(5, false))),
        ("steps in order", headed(steps(3, true))),
    ]
}

fn steps(thresholds: u8, ordered: bool) -> TaskKind {
    TaskKind::Steps {
        thresholds,
        ordered,
    }
}

/// What tasks of several logits learn.
fn options_of(spec: &Spec<'_>) -> Vec<TaskOptions> {
    let mut levels = [0.0; limits::LOGITS];
    levels[..3].copy_from_slice(&[1.0, 4.0, 20.0]);
    let of_kind = |kind| match kind {
        TaskKind::Steps { ordered: true, .. } => Some(Steps::Ordinal {
            levels,
            worth: levels,
        }),
        TaskKind::Steps { .. } => Some(Steps::Restored {
            alpha: 1.0,
            restoration: 0.1,
            ordering: 0.1,
        }),
        _ => None,
    };
    let options = |task: &Task<'_>| TaskOptions {
        steps: of_kind(task.kind),
        ..TaskOptions::default()
    };
    spec.tasks.iter().map(options).collect()
}

fn forms(spec: &Spec<'_>) -> Vec<TableForm> {
    let form = |t: &Table<'_>| match t.is_packed() {
        true => TableForm::Packed,
        false => TableForm::Whole,
    };
    spec.tables.iter().map(form).collect()
}

fn trained(spec: &Spec<'_>, data: &Dataset) -> Parameters<f32> {
    let options = TrainOptions {
        batch: 120,
        epochs: 4,
        lr: 0.01,
        embedding_lr: 0.03,
        embedding_init: 0.3,
        threads: 1,
        ..TrainOptions::default()
    };
    train(spec, data, &options, &options_of(spec), &[]).parameters
}

/// What makes the rows of the synthetic log those of a file.
fn lookups(spec: &Spec<'_>) -> Lookups {
    let vocabulary = |t: &Table<'_>| match t.lookup {
        Lookup::Vocabulary(_) => {
            let keys = 1..u64::from(t.num_embeddings);
            vocabulary::build(&mut keys.map(hash_int).collect::<Vec<_>>())
        }
        _ => Vec::new(),
    };
    let boundaries = |encoding: Encoding| match encoding {
        Encoding::Number {
            buckets: Some(_), ..
        } => vec![-1.0, 0.0, 1.0, 2.0],
        _ => Vec::new(),
    };
    Lookups {
        vocabularies: spec.tables.iter().map(vocabulary).collect(),
        boundaries: spec
            .features
            .iter()
            .map(|f| boundaries(f.encoding))
            .collect(),
        knots: Vec::new(),
    }
}

/// One row of the synthetic log as a request.
fn request(spec: &Spec<'_>, data: &Dataset, row: usize) -> OwnedRequest {
    let user = |f: usize| spec.features[f].side == crate::spec::Side::User;
    let column = |(f, values): (usize, &FeatureData)| {
        let at = if user(f) {
            data.request[row] as usize
        } else {
            row
        };
        match values {
            FeatureData::Rows(rows) => OwnedColumn::Rows {
                rows: vec![rows[at]],
                lists: None,
            },
            FeatureData::Lists {
                offsets,
                rows,
                weights,
            } => {
                let range = offsets[at] as usize..offsets[at + 1] as usize;
                let weights = weights.as_ref().map(|w| {
                    let w = w[range.clone()].iter();
                    w.map(|w| f32::from(*w) / 32768.0).collect()
                });
                OwnedColumn::Rows {
                    rows: rows[range.clone()].to_vec(),
                    lists: Some(OwnedLists {
                        offsets: vec![0, range.len() as u32],
                        weights,
                    }),
                }
            }
            FeatureData::Numbers { values, buckets } => {
                // Of a number without a value, one that lies in the bucket.
                let of_bucket = |bucket: u32| match bucket {
                    0 => f32::NAN,
                    n => n as f32 - 2.5,
                };
                let value = values.get(at).copied();
                OwnedColumn::Floats(vec![value.unwrap_or_else(|| of_bucket(buckets[at]))])
            }
            FeatureData::Vectors(bytes) => OwnedColumn::Bytes(bytes[3 * at..3 * at + 3].to_vec()),
        }
    };
    OwnedRequest {
        num_candidates: 1,
        columns: data.features.iter().enumerate().map(column).collect(),
        ..OwnedRequest::default()
    }
}

/// Scores `[rows, tasks]` of the exported file.
fn device_scores(spec: &Spec<'_>, p: &Parameters<f32>, data: &Dataset, rows: &[u32]) -> Vec<f32> {
    let bytes = quantize(spec, p, &lookups(spec)).unwrap();
    let mut model = Box::new(Model::new());
    model.open(&bytes, &OpenOptions::default()).unwrap();
    let replayed = export::replay(&model, &mut |visit| {
        rows.iter().try_for_each(|row| {
            let request = request(spec, data, *row as usize);
            visit(&request.as_request(&request.columns()), &[*row])
        })
    });
    replayed.unwrap().scores
}

fn scores<R: Real>(spec: &Spec<'_>, logits: &[R]) -> Vec<f64> {
    let tasks = spec.tasks.len();
    let score = |(i, z): (usize, &R)| match spec.tasks[i % tasks].kind {
        TaskKind::Binary => sigmoid(z.to_f64()),
        _ => duration_score(z.to_f64(), 1.0),
    };
    logits.iter().enumerate().map(score).collect()
}

/// Largest and root mean square difference relative to the latter's spread, and the share of scores that differ by more than 1e-5.
fn differences(scores: &[f64], device: &[f32]) -> [f64; 3] {
    let pairs = || {
        scores
            .iter()
            .zip(device)
            .map(|(a, b)| (a - f64::from(*b)).abs() / (1.0 + a.abs()))
    };
    let n = scores.len() as f64;
    [
        pairs().fold(0.0, f64::max),
        (pairs().map(|d| d * d).sum::<f64>() / n).sqrt(),
        pairs().filter(|d| *d > 1e-5).count() as f64 / n,
    ]
}

#[test]
fn the_forward_pass_on_grids_is_the_engines() {
    let data = log(1200, 3);
    let rows: Vec<u32> = (900..1200).collect();
    for (name, spec) in variants() {
        let p = trained(&spec, &data);
        let device = device_scores(&spec, &p, &data, &rows);
        let mut network = Network::new(&spec);
        let mut weights = network.weights(p);
        let exact = scores(&spec, &network.predict(&weights, &data, &rows));
        weights.dense = network
            .put_on_grids(&spec, &forms(&spec), &weights)
            .unwrap();
        let fake = scores(&spec, &network.predict(&weights, &data, &rows));
        let wide = |values: &[f32]| values.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
        let weights = Weights {
            tables: weights.tables.iter().map(|t| wide(t)).collect(),
            dense: wide(&weights.dense),
        };
        let fake_f64 = scores(&spec, &network.predict(&weights, &data, &rows));
        let (exact, fake, fake_f64) = (
            differences(&exact, &device),
            differences(&fake, &device),
            differences(&fake_f64, &device),
        );
        std::eprintln!("{name}: exact {exact:?}, on grids {fake:?}, in f64 {fake_f64:?}");
        for [most, rms, differ] in [fake, fake_f64] {
            assert!(most < 1e-3 && rms < 1e-4 && differ < 0.01, "{name}");
            assert!(rms < exact[1] / 200.0, "{name}");
        }
    }
}

/// One number, one expert of two outputs, one head.
fn small() -> (Spec<'static>, Dataset) {
    let (mut small, all) = (spec(), log(4, 1));
    let whole = NumberGrid {
        inv_scale: 1.0,
        zero_point: 0,
        bytes: 1,
    };
    small.tables.clear();
    small.features.retain(|f| f.name == "price");
    if let Encoding::Number { value, .. } = &mut small.features[0].encoding {
        *value = Some(whole);
    }
    small.tasks.truncate(1);
    small.tasks[0].tower_layers = Layers::new();
    (small.network.kind, small.network.num_experts) = (NetworkKind::SharedBottom, 1);
    small.network.expert_layers = Layers::from_slice(&[2]).unwrap();
    let values = vec![2.6; 4];
    let data = Dataset {
        features: vec![FeatureData::Numbers {
            values,
            buckets: Vec::new(),
        }],
        tasks: all.tasks.into_iter().take(1).collect(),
        ..all
    };
    (small, data)
}

#[test]
fn rounded_values_and_gradients_straight_through_them_by_hand() {
    let (spec, mut data) = small();
    (data.tasks[0].labels[0], data.tasks[0].weights[0]) = (1.0, 1.0);
    let mut network = Network::new(&spec);
    let mut p = network.empty_parameters();
    p.experts[0][0].weight = vec![1.0, 0.5];
    p.experts[0][0].bias = vec![0.0, 0.1];
    p.heads[0].weight = vec![0.3, -1.0];
    let mut weights = network.weights(p);
    weights.dense = network.put_on_grids(&spec, &[], &weights).unwrap();
    let weights = Weights {
        tables: Vec::new(),
        dense: weights.dense.iter().map(|x| f64::from(*x)).collect(),
    };
    let tasks = [TaskOptions::default()];
    let plan = Plan {
        network: &network,
        data: &data,
        tasks: &tasks,
        dropout: None,
        load_balance: 0.0,
    };
    let mut g = Gradients::<f64>::default();
    assert!(g.compute(&plan, &weights, &[0], None));
    // x = 3, not 2.6; relu: 3 and 1.6, of which the mixture's grid, 3 / 127, makes 127 and 68 steps; the head's first weight is
    // 38 / 127.
    let (step, head) = (3.0 / 127.0, 38.0 / 127.0);
    let mixture = [127.0 * step, 68.0 * step];
    let logit = head * mixture[0] - mixture[1];
    let d = sigmoid(logit) - 1.0;
    let close = |found: f64, right: f64| assert!((found - right).abs() < 1e-6, "{found} {right}");
    close(g.losses[0], (1.0 + (-logit).exp()).ln());
    let (first, head_span) = (network.experts[0][0], network.heads[0]);
    for (found, right) in [
        (
            &g.dense[head_span.weights()],
            [d * mixture[0], d * mixture[1]],
        ),
        (&g.dense[first.weights()], [d * head * 3.0, -d * 3.0]),
        (&g.dense[first.biases()], [d * head, -d]),
    ] {
        found.iter().zip(right).for_each(|(f, r)| close(*f, r));
    }
}

#[test]
fn an_activation_that_rounds_to_0_is_no_output_that_was_cut_off() {
    let (spec, _) = small();
    let mut network = Network::new(&spec);
    let weights = network.weights(network.empty_parameters());
    network.put_on_grids(&spec, &[], &weights).unwrap();
    let mut y = [0.0, 100.0, 0.3, 0.0, 1e-20, 0.0];
    network.round::<f64>(&mut y, 3, 0, 3);
    assert_eq!((y[0], y[3], y[5]), (0.0, 0.0, 0.0));
    assert!((y[1] - 100.0).abs() < 1e-5);
    assert!(
        y[2] > 0.0 && y[2] < 1e-17 && y[4] > 0.0 && y[4] < 1e-17,
        "{y:?}"
    );
    // What diverged stays so.
    let mut y = [f64::NAN, 1.0, f64::INFINITY];
    network.round(&mut y, 3, 0, 3);
    assert!(y[0].is_nan() && y[2].is_infinite());
    let mut z = [f64::NAN, 1.0];
    softmax_q15(&mut z);
    assert!(z.iter().all(|z| z.is_nan()));
}

#[test]
fn the_errors_of_layers_are_of_the_device_and_a_packed_table_loses_most() {
    let rows: Vec<u32> = (900..1200).collect();
    for (name, mut spec) in variants() {
        // A sum that clips would cost more than all else.
        spec.features
            .retain(|f| f.name != "words" && f.name != "tags");
        let mut data = log(1200, 3);
        data.features.drain(4..6);
        let p = trained(&spec, &data);
        let report = export::layers(&spec, &p, &forms(&spec), &data, &rows).unwrap();
        assert_eq!(report.rows, 300);
        let of = |name: &str| report.errors.iter().find(|e| e.name == name).unwrap();
        let device = device_scores(&spec, &p, &data, &rows);
        let network = Network::new(&spec);
        let exact = network.predict(&network.weights(p), &data, &rows);
        let logit = |p: f32| f64::from(p).ln() - (-f64::from(p)).ln_1p();
        let mut worst = 0.0f64;
        for t in [0, 2] {
            let a: Vec<f64> = exact
                .iter()
                .skip(t)
                .step_by(3)
                .map(|z| f64::from(*z))
                .collect();
            let b = device.iter().skip(t).step_by(3).map(|p| logit(*p));
            let mean = a.iter().sum::<f64>() / 300.0;
            let moved: f64 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
            let spread: f64 = a.iter().map(|a| (a - mean) * (a - mean)).sum();
            worst = worst.max((moved / spread).sqrt());
        }
        let all = of("all together");
        if all.task != "watch" {
            assert!((all.alone.unwrap() / worst - 1.0).abs() < 0.01, "{name}");
        }
        let head = of("head click").outputs.unwrap();
        assert!(head > 0.0 && head < 0.2, "{name} {report}");
        for e in &report.errors {
            let alone = e.alone.unwrap();
            assert!(
                alone.is_finite() && alone < 1.5 * all.alone.unwrap(),
                "{name} {report}"
            );
        }
        if name.starts_with("attending") {
            for (what, most) in [("query", 0.3), ("key", 0.3), ("steps, shares", 0.3)] {
                let error = of(&format!("attention attend again, {what}"));
                let outputs = error.outputs.unwrap();
                assert!(outputs > 0.0 && outputs < most, "{name} {report}");
                assert!(error.alone.unwrap() > 0.0, "{name} {report}");
            }
        }
        if name == "packed tables" {
            let user = of("table user");
            let least = ["table item", "table age", "gate watch", "head like"];
            assert!(least.iter().all(|n| of(n).alone < user.alone), "{report}");
            // One of the numbers is cut off at its grid's end.
            assert!(of("numbers").alone > user.alone, "{report}");
            assert!(
                user.outputs > of("table item").outputs.map(|x| 3.0 * x),
                "{report}"
            );
            assert!(report.to_string().contains("tower click, layer 1"));
        }
    }
}
