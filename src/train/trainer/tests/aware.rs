//! Epochs on the device's grids.
use super::*;
use crate::train::balance::Balance;
use crate::train::network::fake_quantize::TableForm;
use crate::train::options::QuantizationAware;

fn aware(epochs: u32) -> TrainOptions {
    TrainOptions {
        quantization_aware: Some(QuantizationAware {
            epochs,
            lr: 0.5,
            tables: vec![TableForm::Packed, TableForm::Whole, TableForm::Vector],
        }),
        ..options()
    }
}

/// Patience ends the exact epochs of this one early.
fn impatient() -> TrainOptions {
    TrainOptions {
        epochs: 20,
        patience: 1,
        lr: 0.05,
        decay: LearningRateDecay::None,
        ..aware(1)
    }
}

#[test]
fn the_last_epochs_on_grids_train_the_same_bits_at_any_number_of_threads() {
    let (data, split) = (log(1500, 1), split(1500));
    let of = |threads, options: &TrainOptions| {
        let options = TrainOptions {
            threads,
            ..options.clone()
        };
        finished(run(&data, &split, &options, None, None))
    };
    let famo = TrainOptions {
        balance: Balance::named("famo").unwrap(),
        ..aware(1)
    };
    for options in [aware(1), famo] {
        let one = of(1, &options);
        assert_eq!(one, of(3, &options));
        assert_eq!(one.quantized_from, Some(8));
        let exact = TrainOptions {
            quantization_aware: None,
            ..options
        };
        assert_ne!(bits(&one), bits(&of(1, &exact)));
    }
}

#[test]
fn an_interrupted_run_with_epochs_on_grids_is_byte_for_byte_the_uninterrupted_one() {
    let (data, split) = (log(1500, 2), split(1500));
    for options in [aware(2), impatient()] {
        let whole_folder = tempfile::tempdir().unwrap();
        let folder = Some(whole_folder.path());
        let whole = finished(run(&data, &split, &options, folder, None));
        let folder = tempfile::tempdir().unwrap();
        let mut stop_after = 0;
        let resumed = loop {
            stop_after += 1;
            let path = Some(folder.path());
            match run(&data, &split, &options, path, Some(stop_after)).unwrap() {
                Outcome::Finished(trained) => break *trained,
                Outcome::Interrupted { .. } => {}
            }
        };
        assert!(stop_after > 6, "{stop_after}");
        assert_eq!(whole, resumed);
        for file in [CHECKPOINT_FILE, PARAMETERS_FILE] {
            let read = |folder: &Path| std::fs::read(folder.join(file)).unwrap();
            assert_eq!(read(whole_folder.path()), read(folder.path()), "{file}");
        }
    }
}

#[test]
fn the_best_of_the_epochs_on_grids_is_the_best_by_what_the_device_computes() {
    let (data, split) = (log(1500, 5), split(1500));
    for options in [aware(2), impatient()] {
        let trained = finished(run(&data, &split, &options, None, None));
        let from = trained.quantized_from.unwrap();
        let epochs = options.quantization_aware.as_ref().unwrap();
        if options.patience == 1 {
            assert!(from < 19 * 4, "{from}");
        } else {
            assert_eq!(from, 4);
        }
        assert!(trained.steps <= from + 4 * u64::from(epochs.epochs));
        let on_grids = trained.history.iter().filter(|e| e.quantized);
        assert_eq!(on_grids.clone().next().unwrap().step, from);
        let exact = |e: &Evaluation| !e.quantized;
        assert!(
            trained
                .history
                .iter()
                .all(|e| exact(e) == (e.step < from) || e.step == from)
        );
        let best = on_grids.max_by(|a, b| {
            let better = a.quality.unwrap().total_cmp(&b.quality.unwrap());
            // Of equals the first.
            better.then(b.step.cmp(&a.step))
        });
        let best = best.unwrap();
        assert_eq!(best.step, trained.best_step);
        let spec = spec();
        let mut network = Network::new(&spec);
        let mut weights = network.weights(trained.parameters.clone());
        weights.dense = network
            .put_on_grids(&spec, &epochs.tables, &weights)
            .unwrap();
        let logits = network.predict(&weights, &data, &split.stop);
        let metrics = network.metrics(&logits, &data, &split.stop);
        let again: Vec<Option<f64>> = metrics.iter().map(TaskMetrics::quality).collect();
        assert_eq!(again, best.tasks);
        // What is reported is the f32 network's.
        let exact =
            crate::train::evaluate::evaluate(&spec, &trained.parameters, &data, &split.validation);
        assert_eq!(exact, trained.metrics);
    }
}

#[test]
fn values_that_no_file_holds_end_the_epochs_on_grids() {
    let (data, split) = (log(600, 3), split(600));
    let options = TrainOptions {
        lr: 1e7,
        embedding_lr: 1e7,
        average: 0.0,
        warmup_steps: 0,
        ..aware(3)
    };
    let outcome = run(&data, &split, &options, None, None);
    assert!(
        matches!(outcome, Err(TrainError::NotFinite { .. })),
        "{outcome:?}"
    );
}
