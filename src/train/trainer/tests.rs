//! Whole runs on small logs.
#![allow(clippy::unwrap_used)]
use core::panic;
use std::path::Path;

use super::*;
use crate::spec::Layers;
use crate::train::checkpoint::{load_parameters, save_parameters};
use crate::train::initialize::NEW_ROW;
use crate::train::network::Network;
use crate::train::network::gather::Dropout;
use crate::train::options::{DropoutRates, LearningRateDecay, OptimizerKind};
use crate::train::synthetic::{log, spec, split, true_click_logit};

mod aware;
mod relations;

fn options() -> TrainOptions {
    TrainOptions {
        batch: 300,
        epochs: 3,
        lr: 0.01,
        embedding_lr: 0.02,
        average: 0.9,
        warmup_steps: 3,
        decay: LearningRateDecay::Cosine,
        dropout: DropoutRates {
            hidden: 0.1,
            embedding: 0.1,
            gate: 0.1,
            id: 0.1,
            position: 0.0,
        },
        evaluate_every: EvaluateEvery::Steps(4),
        patience: 3,
        threads: 1,
        ..TrainOptions::default()
    }
}

fn run(
    data: &Dataset,
    split: &Split,
    options: &TrainOptions,
    folder: Option<&Path>,
    stop_after: Option<u64>,
) -> Result<Outcome, TrainError> {
    run_spec(&spec(), data, split, options, folder, stop_after)
}

fn run_spec(
    spec: &Spec<'_>,
    data: &Dataset,
    split: &Split,
    options: &TrainOptions,
    folder: Option<&Path>,
    stop_after: Option<u64>,
) -> Result<Outcome, TrainError> {
    let interrupt = AtomicBool::new(false);
    let lock = folder.map(RunLock::take).transpose()?;
    let job = Job {
        spec,
        data,
        split,
        options,
        schedules: &[],
        tasks: &[TaskOptions::default(); 3],
        from: None,
        bias: None,
        folder: lock.as_ref(),
        resume: true,
        interrupt: &interrupt,
    };
    interrupt.store(stop_after == Some(0), Ordering::Relaxed);
    Training::begin(&job)?.train(&mut |p| {
        interrupt.store(
            stop_after.is_some_and(|n| p.step + 1 >= n),
            Ordering::Relaxed,
        )
    })
}

fn finished(outcome: Result<Outcome, TrainError>) -> Trained {
    match outcome.unwrap() {
        Outcome::Finished(trained) => *trained,
        Outcome::Interrupted { step } => panic!("interrupted after {step}"),
    }
}

fn bits(trained: &Trained) -> Vec<u32> {
    let network = Network::new(&spec());
    let w = network.weights(trained.parameters.clone());
    w.tables
        .iter()
        .flatten()
        .chain(&w.dense)
        .map(|x| x.to_bits())
        .collect()
}

#[test]
fn one_two_and_three_threads_train_the_same_bits() {
    let (data, split) = (log(2000, 1), split(2000));
    let of = |threads| {
        finished(run(
            &data,
            &split,
            &TrainOptions {
                threads,
                ..options()
            },
            None,
            None,
        ))
    };
    let one = of(1);
    for threads in [2, 3] {
        let more = of(threads);
        assert_eq!(bits(&one), bits(&more));
        assert_eq!(one, more);
    }
}

#[test]
fn another_seed_trains_other_bits() {
    let (data, split) = (log(1000, 1), split(1000));
    let of = |seed| {
        bits(&finished(run(
            &data,
            &split,
            &TrainOptions { seed, ..options() },
            None,
            None,
        )))
    };
    assert_ne!(of(1), of(2));
}

#[test]
fn an_interrupted_and_resumed_run_is_byte_for_byte_the_uninterrupted_one() {
    let (data, split) = (log(1500, 2), split(1500));
    for (optimizer, average) in [(OptimizerKind::Adam, 0.9), (OptimizerKind::Adagrad, 0.0)] {
        let options = TrainOptions {
            optimizer,
            embedding_optimizer: optimizer,
            average,
            ..options()
        };
        let whole_folder = tempfile::tempdir().unwrap();
        let whole = finished(run(
            &data,
            &split,
            &options,
            Some(whole_folder.path()),
            None,
        ));
        let folder = tempfile::tempdir().unwrap();
        let mut interruptions = 0;
        let resumed = loop {
            // In every step or every third one, at other threads each time.
            let options = TrainOptions {
                threads: 1 + interruptions % 2,
                ..options.clone()
            };
            let steps = 1 + interruptions as u64 * 2;
            match run(&data, &split, &options, Some(folder.path()), Some(steps)).unwrap() {
                Outcome::Finished(trained) => break *trained,
                Outcome::Interrupted { .. } => interruptions += 1,
            }
        };
        assert!(interruptions >= 4, "{interruptions}");
        assert_eq!(whole, resumed);
        for file in [CHECKPOINT_FILE, PARAMETERS_FILE] {
            let read = |folder: &Path| std::fs::read(folder.join(file)).unwrap();
            assert_eq!(read(whole_folder.path()), read(folder.path()), "{file}");
        }
        // A finished run resumes to the same result at once.
        assert_eq!(
            whole,
            finished(run(&data, &split, &options, Some(folder.path()), None))
        );
    }
}

#[test]
fn a_run_folder_trains_one_process_at_a_time() {
    let (data, split) = (log(400, 2), split(400));
    let folder = tempfile::tempdir().unwrap();
    let lock = RunLock::take(folder.path()).unwrap();
    let outcome = run(&data, &split, &options(), Some(folder.path()), None);
    assert!(matches!(
        outcome,
        Err(TrainError::File(FileError::Locked { .. }))
    ));
    drop(lock);
    finished(run(&data, &split, &options(), Some(folder.path()), None));
}

#[test]
fn a_damaged_or_foreign_checkpoint_is_refused_by_name() {
    let (data, split) = (log(400, 2), split(400));
    let folder = tempfile::tempdir().unwrap();
    run(&data, &split, &options(), Some(folder.path()), Some(2)).unwrap();
    let path = folder.path().join(CHECKPOINT_FILE);
    let good = std::fs::read(&path).unwrap();
    let refused = |bytes: &[u8], options: &TrainOptions| {
        std::fs::write(&path, bytes).unwrap();
        match run(&data, &split, options, Some(folder.path()), None) {
            Err(TrainError::File(FileError::Bad { reason, .. })) => reason,
            other => panic!("{other:?}"),
        }
    };
    for at in (0..good.len()).step_by(good.len() / 50) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        refused(&bytes, &options());
        refused(&good[..at], &options());
    }
    let mut longer = good.clone();
    longer.push(0);
    refused(&longer, &options());
    assert!(
        refused(
            &good,
            &TrainOptions {
                seed: 9,
                ..options()
            }
        )
        .contains("seed")
    );
}

#[test]
fn a_run_that_diverges_is_an_error_and_saves_nothing() {
    let (data, split) = (log(1000, 3), split(1000));
    for (lr, optimizer) in [
        (1e9, OptimizerKind::Adam),
        (1e9, OptimizerKind::Adagrad),
        (1e38, OptimizerKind::Adam),
    ] {
        let options = TrainOptions {
            lr,
            embedding_lr: lr,
            optimizer,
            average: 0.0,
            warmup_steps: 0,
            ..options()
        };
        let folder = tempfile::tempdir().unwrap();
        let outcome = run(&data, &split, &options, Some(folder.path()), None);
        assert!(
            matches!(outcome, Err(TrainError::NotFinite { .. })),
            "{lr} {outcome:?}"
        );
        assert!(!folder.path().join(PARAMETERS_FILE).exists());
    }
}

#[test]
fn a_value_that_is_not_finite_stops_the_run_before_it_is_saved() {
    let (mut data, split) = (log(1000, 3), split(1000));
    data.tasks[0].labels[700] = f32::NAN;
    let folder = tempfile::tempdir().unwrap();
    let options = TrainOptions {
        evaluate_every: EvaluateEvery::Epoch,
        ..options()
    };
    let outcome = run(&data, &split, &options, Some(folder.path()), None);
    assert!(matches!(
        outcome,
        Err(TrainError::NotFinite {
            what: "loss or gradient",
            ..
        })
    ));
    assert!(!folder.path().join(CHECKPOINT_FILE).exists());
}

#[test]
fn degenerate_logs_train_to_finite_parameters() {
    type Change = fn(&mut Dataset);
    let cases: [(&str, Change); 4] = [
        ("no positives", |d| d.tasks[0].labels.fill(0.0)),
        ("all positives", |d| d.tasks[0].labels.fill(1.0)),
        ("an empty task", |d| d.tasks[1].weights.fill(0.0)),
        ("one task alone", |d| {
            d.tasks[1..].iter_mut().for_each(|t| t.weights.fill(0.0))
        }),
    ];
    for (name, change) in cases {
        let (mut data, split) = (log(500, 4), split(500));
        change(&mut data);
        let trained = finished(run(&data, &split, &options(), None, None));
        assert!(
            bits(&trained)
                .iter()
                .all(|x| f32::from_bits(*x).is_finite()),
            "{name}"
        );
    }
    let data = log(8, 4);
    let one = Split {
        train: vec![3],
        stop: vec![],
        validation: vec![4],
    };
    let trained = finished(run(&data, &one, &options(), None, None));
    assert!(
        bits(&trained)
            .iter()
            .all(|x| f32::from_bits(*x).is_finite())
    );
    let none = Split {
        train: vec![],
        ..one
    };
    assert!(matches!(
        run(&data, &none, &options(), None, None),
        Err(TrainError::NoRows)
    ));
}

#[test]
fn patience_ends_a_run_and_keeps_the_best_parameters() {
    let (data, split) = (log(1500, 5), split(1500));
    // Far too many epochs for so few rows: it overfits.
    let options = TrainOptions {
        epochs: 60,
        decay: LearningRateDecay::None,
        dropout: DropoutRates::default(),
        average: 0.0,
        ..options()
    };
    let trained = finished(run(&data, &split, &options, None, None));
    assert!(trained.stopped_early && trained.steps < 240);
    let best = trained
        .history
        .iter()
        .max_by(|a, b| a.quality.unwrap().total_cmp(&b.quality.unwrap()))
        .unwrap();
    assert_eq!(best.step, trained.best_step);
    let metrics =
        crate::train::evaluate::evaluate(&spec(), &trained.parameters, &data, &split.stop);
    let again: Vec<Option<f64>> = metrics.iter().map(TaskMetrics::quality).collect();
    assert_eq!(again, best.tasks);
}

#[test]
fn what_can_be_learnt_is_learnt() {
    let (mut spec, data, split) = (spec(), log(20_000, 6), split(20_000));
    // The other tests' widths of 3 to 5 are too few: a tower of three ReLUs may die.
    spec.network.expert_layers = Layers::from_slice(&[32, 16]).unwrap();
    for task in &mut spec.tasks {
        task.tower_layers = Layers::from_slice(&[16]).unwrap();
    }
    let options = TrainOptions {
        batch: 512,
        epochs: 30,
        lr: 0.005,
        embedding_lr: 0.02,
        dropout: DropoutRates::default(),
        evaluate_every: EvaluateEvery::Epoch,
        ..options()
    };
    let trained = finished(run_spec(&spec, &data, &split, &options, None, None));
    let m = &trained.metrics;
    let truth: Vec<f64> = split
        .validation
        .iter()
        .map(|r| true_click_logit(&data, *r))
        .collect();
    let column = |x: &[f32]| {
        split
            .validation
            .iter()
            .map(|r| f64::from(x[*r as usize]))
            .collect::<Vec<f64>>()
    };
    let (labels, weights) = (
        column(&data.tasks[0].labels),
        column(&data.tasks[0].weights),
    );
    let bound = crate::train::metrics::auc(&truth, &labels, &weights).unwrap();
    assert!(
        bound > 0.75 && m[0].auc.unwrap() > bound - 0.015,
        "{bound} {:?}",
        m[0]
    );
    // The mean of ln(1 + watch time) is linear in the item: 0.8; the like is 0.7 or 0.2: 0.72.
    assert!(m[1].spearman.unwrap() > 0.77, "{:?}", m[1]);
    assert!(m[2].auc.unwrap() > 0.68, "{:?}", m[2]);
    assert!((m[0].calibration.unwrap() - 1.0).abs() < 0.1, "{:?}", m[0]);
}

#[test]
fn trained_parameters_are_read_back_and_refused_by_another_network() {
    let (mut spec, data) = (spec(), log(100, 1));
    let network = Network::new(&spec);
    let p = network.initialize(&data, &[1, 2, 3], 1, 0.1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(PARAMETERS_FILE);
    save_parameters(&path, &network, &p).unwrap();
    assert_eq!(load_parameters(&path, &network).unwrap(), p);
    spec.network.num_experts += 1;
    assert!(load_parameters(&path, &Network::new(&spec)).is_err());
    assert!(save_parameters(&path, &Network::new(&spec), &p).is_err());
}

#[test]
fn a_warm_start_maps_rows_and_gives_new_rows_the_oov_row() {
    let (mut spec, data) = (spec(), log(100, 1));
    let old_network = Network::new(&spec);
    let old: Parameters<f32> = old_network.initialize(&data, &[1, 2, 3], 1, 0.1);
    spec.tables[0].num_embeddings = 4;
    let network = Network::new(&spec);
    let fresh = network.initialize(&data, &[1, 2, 3], 2, 0.1);
    let rows = vec![vec![0, 7, NEW_ROW, 2], vec![], vec![], vec![]];
    let warm = network.warm_start(fresh.clone(), &old, &rows, 3).unwrap();
    let row = |p: &Parameters<f32>, r: usize| p.tables[0][r * 3..r * 3 + 3].to_vec();
    assert_eq!(
        [row(&warm, 0), row(&warm, 1), row(&warm, 3)],
        [row(&old, 0), row(&old, 7), row(&old, 2)]
    );
    for (new, oov) in row(&warm, 2).iter().zip(row(&old, 0)) {
        assert!(*new != oov && (new - oov).abs() < 0.01);
    }
    assert_eq!(
        (&warm.tables[1..], &warm.experts, &warm.heads),
        (&old.tables[1..], &old.experts, &old.heads)
    );
    assert!(
        network
            .warm_start(
                fresh.clone(),
                &old,
                &[vec![0; 4], vec![], vec![], vec![0; 9]],
                3
            )
            .is_err()
    );
    assert!(
        network
            .warm_start(
                fresh.clone(),
                &old,
                &[vec![99; 4], vec![], vec![], vec![]],
                3
            )
            .is_err()
    );
    spec.network.num_experts = 3;
    assert!(
        Network::new(&spec)
            .warm_start(fresh, &old, &rows, 3)
            .is_err()
    );
}

#[test]
fn ids_turn_into_the_oov_row_as_often_as_id_dropout_says() {
    let (spec, data) = (spec(), log(256, 1));
    let network = Network::new(&spec);
    let rows: Vec<u32> = (0..256).collect();
    let mut weights = network.zeros::<f32>();
    // Vocabulary tables read 1 at row 0 and 0 elsewhere.
    weights.tables[0][..3].fill(1.0);
    weights.tables[1][..4].fill(1.0);
    let rates = DropoutRates {
        id: 0.25,
        ..DropoutRates::default()
    };
    let mut x = vec![0.0; 256 * network.num_inputs];
    network.gather(
        &weights,
        &data,
        &rows,
        0,
        Dropout::of(rates, 1, 1).as_ref(),
        &mut x,
    );
    let user = network.inputs.iter().find(|i| i.feature == 1).unwrap();
    let dropped = x
        .chunks(network.num_inputs)
        .filter(|x| x[user.offset] == 1.0)
        .count();
    assert!((40..90).contains(&dropped), "{dropped} of 256");
}
