//! Small networks and logs for tests: every encoding, side and kind of task.
use core::sync::atomic::AtomicBool;
use std::path::{Path, PathBuf};
use std::prelude::v1::*;

use crate::spec::{
    Calibration, Encoding, Feature, Grid, IdType, Layers, Lookup, Network, NetworkKind, NumberGrid,
    Pooling, Side, Source, Spec, Table, Task, TaskKind, Transform,
};
use crate::train::dataset::{Dataset, FeatureData, Split, TaskData};
use crate::train::loss::sigmoid;
use crate::train::network;
use crate::train::options::{TaskOptions, TaskSchedules, TrainOptions};
use crate::train::random::Key;
use crate::train::real::Real;
use crate::train::run;
use crate::train::trainer::{Job, Outcome, Trained, Training};

pub(crate) const USERS: usize = 40;
pub(crate) const ITEMS: usize = 30;
const ROWS_PER_REQUEST: usize = 4;

fn layers(widths: &[u16]) -> Layers {
    Layers::from_slice(widths).expect("few layers")
}

fn task(name: &'static str, kind: TaskKind, given: Option<u8>, widths: &[u16]) -> Task<'static> {
    Task {
        name,
        unit: "",
        kind,
        given,
        tower_layers: layers(widths),
        inputs: Default::default(),
        calibration: Calibration::None,
        score_scale: 1.0,
    }
}

/// Two experts of two layers; towers of two, one and no layers.
pub(crate) fn spec() -> Spec<'static> {
    let mut spec = Spec {
        name: "synthetic",
        ..Spec::default()
    };
    let vocabulary = Lookup::Vocabulary(IdType::Int);
    for (name, rows, dim, lookup) in [
        ("user", USERS + 1, 3, vocabulary),
        ("item", ITEMS + 1, 4, vocabulary),
        ("topic", 9, 2, Lookup::Hash(IdType::Int)),
        ("age", 6, 2, Lookup::Buckets),
    ] {
        spec.tables
            .push(Table {
                name,
                num_embeddings: rows as u32,
                embedding_dim: dim,
                bits: 8,
                lookup,
            })
            .expect("few tables");
    }
    let transform = Transform {
        low: -10.0,
        high: 10.0,
        log1p: false,
        shift: 0.0,
        scale: 1.0,
    };
    let grid = Grid {
        inv_scale: 16.0,
        zero_point: 64,
    };
    let lists = |table, pooling, weighted| Encoding::Rows {
        table,
        max_len: 5,
        pooling,
        weighted,
        divisor: 1,
    };
    let row = |table| Encoding::Row {
        table,
        default_row: 0,
    };
    let number = |value: bool, buckets| Encoding::Number {
        transform,
        default: 0.0,
        value: value.then_some(NumberGrid {
            inv_scale: 48.0,
            zero_point: 192,
            bytes: 3,
        }),
        buckets,
    };
    for (name, side, encoding) in [
        ("item", Side::Item, row(1)),
        ("user", Side::User, row(0)),
        ("history", Side::User, lists(1, Pooling::Mean, false)),
        ("topics", Side::Item, lists(2, Pooling::Mean, true)),
        ("tags", Side::Cross, lists(2, Pooling::Sum, true)),
        ("words", Side::Item, lists(2, Pooling::Sum, false)),
        ("age", Side::Candidate, number(true, Some(3))),
        ("price", Side::Item, number(true, None)),
        ("place", Side::Candidate, number(false, Some(3))),
        ("picture", Side::Item, Encoding::Vector { dim: 3, grid }),
    ] {
        spec.features
            .push(Feature {
                name,
                side,
                source: Source::Column,
                encoding,
            })
            .expect("few features");
    }
    spec.network = Network {
        kind: NetworkKind::Mmoe,
        num_experts: 2,
        expert_layers: layers(&[5, 4]),
        ..Network::default()
    };
    for task in [
        task("click", TaskKind::Binary, None, &[4, 3]),
        task("watch", TaskKind::Duration, Some(0), &[3]),
        task("like", TaskKind::Binary, Some(0), &[]),
    ] {
        spec.tasks.push(task).expect("few tasks");
    }
    spec
}

/// [`spec`], in which two features attend to the history, by projections of their own.
pub(crate) fn attending() -> Spec<'static> {
    let mut spec = spec();
    for (name, dim) in [("attend", 3), ("attend again", 5)] {
        let source = Source::Attention {
            of: 2,
            query: 0,
            dim,
        };
        let encoding = Encoding::Rows {
            table: 1,
            max_len: 5,
            pooling: Pooling::Mean,
            weighted: false,
            divisor: 1,
        };
        let feature = Feature {
            name,
            side: Side::Cross,
            source,
            encoding,
        };
        spec.features.push(feature).expect("few features");
    }
    spec
}

/// The true logit of a click.
fn click_logit(user: u32, item: u32, age: f32) -> f64 {
    let half = |even: bool| if even { 0.5 } else { -0.5 };
    let slope = if item.is_multiple_of(2) { 1.0 } else { -0.5 };
    f64::from(age) * slope + 2.0 * half(user.is_multiple_of(2)) + 1.6 * half(item.is_multiple_of(2))
}

/// The true logit of a click in `row` of a [`log`].
pub(crate) fn true_click_logit(data: &Dataset, row: u32) -> f64 {
    let (row, request) = (row as usize, data.request[row as usize] as usize);
    match (&data.features[0], &data.features[1], &data.features[6]) {
        (
            FeatureData::Rows(items),
            FeatureData::Rows(users),
            FeatureData::Numbers { values, .. },
        ) => click_logit(users[request], items[row], values[row]),
        _ => f64::NAN,
    }
}

/// A log of `n` rows: the click depends on user, item and age (see [`true_click_logit`]), watch time and
/// like on the item; both of the latter exist on clicked rows alone.
pub(crate) fn log(n: usize, seed: u64) -> Dataset {
    let key = Key::new(seed);
    let below =
        |stream: u64, i: usize, n: usize| (key.at(stream).at(i as u64).bits() % n as u64) as usize;
    let requests = n.div_ceil(ROWS_PER_REQUEST);
    let users: Vec<u32> = (0..requests)
        .map(|r| 1 + below(0, r, USERS) as u32)
        .collect();
    let items: Vec<u32> = (0..n).map(|i| 1 + below(1, i, ITEMS) as u32).collect();
    let lists = |stream: u64, count: usize, rows: usize, weighted: bool| {
        let (mut offsets, mut ids, mut weights) = (vec![0], Vec::new(), Vec::new());
        for i in 0..count {
            // Some lists are empty.
            for j in 0..below(stream, i, 5) {
                ids.push(below(stream + 1, i * 8 + j, rows) as u32);
                weights.push(below(stream + 2, i * 8 + j, 32769) as u16);
            }
            offsets.push(ids.len() as u32);
        }
        FeatureData::Lists {
            offsets,
            rows: ids,
            weights: weighted.then_some(weights),
        }
    };
    let ages: Vec<f32> = (0..n)
        .map(|i| key.at(20).at(i as u64).normal() as f32)
        .collect();
    let bucket = |x: &f32| 1 + (x + 2.0).clamp(0.0, 4.0) as u32;
    let logit = |i: usize| click_logit(users[i / ROWS_PER_REQUEST], items[i], ages[i]);
    let clicked = |i: usize| key.at(30).at(i as u64).chance(sigmoid(logit(i)));
    let liked = |i: usize| {
        key.at(31)
            .at(i as u64)
            .chance(if items[i].is_multiple_of(3) { 0.7 } else { 0.2 })
    };
    let watched =
        |i: usize| (f64::from(items[i]) * 0.2 + key.at(32).at(i as u64).normal()).exp() as f32;
    let of = |label: &dyn Fn(usize) -> f32, space: &dyn Fn(usize) -> bool| TaskData {
        labels: (0..n)
            .map(|i| if space(i) { label(i) } else { 0.0 })
            .collect(),
        weights: (0..n)
            .map(|i| {
                if space(i) {
                    1.0 + (i % 3) as f32 * 0.25
                } else {
                    0.0
                }
            })
            .collect(),
        ..TaskData::default()
    };
    let all = |_: usize| true;
    Dataset {
        features: vec![
            FeatureData::Rows(items.clone()),
            FeatureData::Rows(users.clone()),
            lists(2, requests, ITEMS + 1, false),
            lists(5, n, 9, true),
            lists(8, n, 9, true),
            lists(11, n, 9, false),
            FeatureData::Numbers {
                values: ages.clone(),
                buckets: ages.iter().map(bucket).collect(),
            },
            FeatureData::Numbers {
                values: ages.iter().map(|a| a * a - 1.0).collect(),
                buckets: vec![],
            },
            FeatureData::Numbers {
                values: vec![],
                buckets: (0..n).map(|i| below(21, i, 6) as u32).collect(),
            },
            FeatureData::Vectors((0..3 * n).map(|i| below(22, i, 128) as u8).collect()),
        ],
        request: (0..n).map(|i| (i / ROWS_PER_REQUEST) as u32).collect(),
        time: (0..requests as i64).collect(),
        tasks: vec![
            of(&|i| u8::from(clicked(i)).into(), &all),
            of(&watched, &clicked),
            of(&|i| u8::from(liked(i)).into(), &clicked),
        ],
        gauc_group: (0..n).map(|i| users[i / ROWS_PER_REQUEST]).collect(),
        line: (0..n as u64).map(|i| i + 2).collect(),
    }
}

/// A network of `spec` whose tasks have `own` experts each to themselves, and parameters that no gate reaches others' with.
pub(crate) fn with_own_experts<R: Real>(
    spec: &Spec<'_>,
    data: &Dataset,
    own: usize,
) -> (network::Network, network::Weights<R>) {
    let mut network = network::Network::new(spec);
    network.own_experts(own);
    let rows: Vec<u32> = (0..data.request.len() as u32).collect();
    let mut p = network.initialize::<R>(data, &rows, 7, 0.5);
    network.close_gates(&mut p, own);
    let weights = network.weights(p);
    (network, weights)
}

/// The first 80 % train, the next 10 % stop, the rest validate.
pub(crate) fn split(n: usize) -> Split {
    let rows = |from: usize, to: usize| (from as u32..to as u32).collect();
    Split {
        train: rows(0, n * 8 / 10),
        stop: rows(n * 8 / 10, n * 9 / 10),
        validation: rows(n * 9 / 10, n),
    }
}

/// What training on the synthetic split gives, in memory.
pub fn train(
    spec: &Spec<'_>,
    data: &Dataset,
    options: &TrainOptions,
    tasks: &[TaskOptions],
    schedules: &[TaskSchedules],
) -> Trained {
    let interrupt = AtomicBool::new(false);
    let split = split(data.request.len());
    let job = Job {
        spec,
        data,
        split: &split,
        options,
        tasks,
        schedules,
        from: None,
        bias: None,
        folder: None,
        resume: false,
        interrupt: &interrupt,
    };
    let outcome = Training::begin(&job).and_then(|training| training.train(&mut |_| {}));
    match outcome.expect("the synthetic log is fine") {
        Outcome::Finished(trained) => *trained,
        Outcome::Interrupted { .. } => unreachable!("nobody interrupts"),
    }
}

/// A folder with log.csv, model.toml and the run that `train` makes of them.
pub(crate) struct TrainedLog {
    folder: tempfile::TempDir,
}

impl TrainedLog {
    /// `log` begins with the header.
    pub fn new(description: &str, log: impl IntoIterator<Item = Vec<String>>) -> Self {
        let trained = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        let mut to = csv::Writer::from_path(trained.path("log.csv")).expect("a file");
        for record in log {
            to.write_record(record).expect("a line");
        }
        to.flush().expect("a file");
        std::fs::write(trained.path("model.toml"), description).expect("a file");
        train_file(&trained.path("model.toml"), &trained.path("run"));
        trained
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Trains a description's file to a folder, as `train` does without options.
pub(crate) fn train_file(model: &Path, out: &Path) {
    let options = run::Options {
        model,
        data: None,
        out,
        seed: None,
        threads: 0,
        resume: false,
        from: None,
    };
    run::train(&options, &AtomicBool::new(false), &mut |_| {}).expect("the log is fine");
}
