//! Logs and options that give nothing to learn, or too much: never a NaN in a file, and a message that says what to do.
use std::fs;
use std::path::Path;

use crate::logs::{self, MODEL};
use crate::program::{Place, done, export, not_finite, program, refused, run, train};

/// The log with each row's cells changed.
fn changed(change: impl Fn(usize, &mut Vec<String>)) -> String {
    let text = logs::log();
    let mut lines = text.lines();
    let mut log = format!("{}\n", lines.next().unwrap());
    for (i, line) in lines.enumerate() {
        let mut cells: Vec<String> = line.split(',').map(String::from).collect();
        change(i, &mut cells);
        log += &(cells.join(",") + "\n");
    }
    log
}

const LENGTH: usize = 4;
const CLICK: usize = 5;
const WATCH: usize = 6;

/// What is in a run's folder is finite.
fn finite(run: &Path) {
    for name in ["parameters.bin", "checkpoint.bin"] {
        let path = run.join(name);
        assert!(!path.exists() || not_finite(&path) == 0, "{name}");
    }
}

/// Trains, exports and measures; everything is finite.
fn succeeds(name: &str, log: &str, model: &str) {
    let place = Place::new(log, model);
    let (run, file) = (place.path("run"), place.path("file.pkr"));
    done(&mut train(&place.model(), &run));
    assert!(run.join("parameters.bin").exists(), "{name}");
    finite(&run);
    done(&mut export(&run, &file));
    // Opening tests every scale, bias and boundary of the file.
    done(program(["inspect"]).arg(&file));
    done(program(["eval"]).arg(&file).arg(place.model()));
}

/// Training is refused with a code and a message, and leaves no result.
fn fails(log: &str, model: &str, code: i32, words: &[&str]) -> Place {
    let place = Place::new(log, model);
    let folder = place.path("run");
    refused(&mut train(&place.model(), &folder), code, words);
    assert!(!folder.join("parameters.bin").exists());
    finite(&folder);
    let ended = run(&mut export(&folder, &place.path("file.pkr")));
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(!place.path("file.pkr").exists());
    place
}

#[test]
fn poor_logs_train_to_finite_files() {
    let rare = changed(|i, c| {
        let click = matches!(i, 7 | 404 | 640 | 870 | 950);
        (c[CLICK], c[WATCH]) = (u8::from(click).to_string(), "3".into());
    });
    succeeds("hardly a positive: none in most batches", &rare, MODEL);
    succeeds(
        "a constant number",
        &changed(|_, c| c[LENGTH] = "7".into()),
        MODEL,
    );
    succeeds(
        "a number that is always missing",
        &changed(|_, c| c[LENGTH].clear()),
        MODEL,
    );
    succeeds(
        "a constant duration",
        &changed(|_, c| c[WATCH] = "5".into()),
        MODEL,
    );
    succeeds(
        "a duration of 0",
        &changed(|_, c| c[WATCH] = "0".into()),
        MODEL,
    );
    let far = changed(|i, c| c[LENGTH] = if i % 2 == 0 { "3e38" } else { "1e-42" }.into());
    succeeds("numbers at the end of the range", &far, MODEL);
    let one = MODEL.replace("batch = 100", "batch = 1");
    succeeds(
        "one row a step",
        &changed(|_, _| {}),
        &one.replace("epochs = 2", "epochs = 1"),
    );
}

#[test]
fn a_task_of_one_class_is_refused_by_name() {
    for (value, class) in [("0", "positive"), ("1", "negative")] {
        let log = changed(|_, c| c[CLICK] = value.into());
        let words = ["model.toml:", "task \"click\"", class, "it needs both"];
        fails(&log, MODEL, 3, &words);
    }
    let nowhere = MODEL.replace("space = \"click\"", "space = \"length > 1000\"");
    let words = ["task \"watch\"", "no training row", "check space"];
    fails(&logs::log(), &nowhere, 3, &words);
}

#[test]
fn values_that_are_no_numbers_are_refused_with_their_line() {
    for value in ["nan", "NaN", "inf", "-inf", "1e999"] {
        for column in [LENGTH, CLICK, WATCH] {
            let log = changed(|i, c| {
                if i == 123 {
                    c[column] = value.into();
                }
            });
            fails(&log, MODEL, 3, &["log.csv:125: "]);
        }
        for key in ["lr", "embedding_lr"] {
            let name = value.trim_start_matches("1e999").to_lowercase();
            if !name.is_empty() {
                let model = MODEL.replace(&format!("\n{key} = 0.01"), &format!("\n{key} = {name}"));
                fails(&logs::log(), &model, 2, &[key, "must be positive"]);
            }
        }
    }
}

#[test]
fn a_run_that_diverges_says_so_and_saves_nothing_of_it() {
    let words = ["model.toml: training diverged", "lower lr"];
    for lr in ["1e9", "1e38"] {
        for optimizer in ["adam", "adagrad"] {
            let of = format!(
                "lr = {lr}\noptimizer = \"{optimizer}\"\nembedding_optimizer = \"{optimizer}\""
            );
            let model = MODEL.replacen("\nlr = 0.01", &format!("\n{of}"), 1);
            let model = model.replace("epochs = 2", "epochs = 50");
            let model = model.replace("embedding_lr = 0.01", &format!("embedding_lr = {lr}"));
            fails(&logs::log(), &model, 1, &words);
        }
    }
}

/// Weight decay that multiplies weights by -999 a step: finite at first, so there is a checkpoint.
#[test]
fn a_run_that_diverges_late_keeps_its_last_finite_checkpoint() {
    let model = MODEL.replace("average = 0.9", "average = 0.9\nweight_decay = 1e5");
    let words = ["training diverged"];
    let place = fails(&logs::log(), &model, 1, &words);
    let run = place.path("run");
    let checkpoint = fs::read(run.join("checkpoint.bin")).unwrap();
    refused(train(&place.model(), &run).arg("--resume"), 1, &words);
    assert!(fs::read(run.join("checkpoint.bin")).unwrap() == checkpoint);
}
