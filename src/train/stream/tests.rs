#![allow(clippy::unwrap_used)]
use core::ops::ControlFlow;
use core::sync::atomic::{AtomicBool, Ordering};
use std::fs;
use std::path::PathBuf;

use super::*;
use crate::train::run::{self, Options};
use crate::train::simulate::{Format, SimulateOptions, simulate};

mod ranking;

/// A vocabulary of crosses and a position tower, on top of what the simulator's own description has.
const MORE: &str = r#"
[[feature]]
name = "bait_topic"
kind = "cross"
of = ["topic", "bait"]
vocabulary = { min_count = 2, min_users = 80 }
dim = 4
[[feature]]
name = "shown_at"
column = "position"
side = "candidate"
kind = "number"
buckets = 5
dim = 2
train_only = true
[position_bias]
tasks = ["click"]
reference = { shown_at = 0 }
"#;

struct Feed {
    folder: tempfile::TempDir,
}

impl Feed {
    fn new(rows: u64, format: Format) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = SimulateOptions {
            rows,
            seed: 3,
            format,
            ..SimulateOptions::default()
        };
        simulate(&options, folder.path(), |_| ControlFlow::Continue(())).unwrap();
        Self { folder }
    }

    fn model(&self, stream: &str, train: &str) -> PathBuf {
        let text = fs::read_to_string(self.folder.path().join("model.toml")).unwrap();
        let (head, tail) = text.split_once("[network]").unwrap();
        let tail = tail.replace("epochs = 5", "epochs = 2");
        let settings = format!("[train]\nstream = \"{stream}\"\n{train}\n");
        // Of several logits, whose thresholds a streamed log learns too.
        let tail = tail.replace(
            "kind = \"duration\"",
            "kind = \"duration\"\nloss = \"cread\"",
        );
        let tail = tail.replace("[train]\n", &settings);
        let path = self.folder.path().join(format!("{stream}.toml"));
        fs::write(&path, format!("{head}{MORE}[network]{tail}")).unwrap();
        path
    }

    fn train(&self, model: &Path, resume: bool, stop: Option<u64>) -> Result<run::Report> {
        let out = self.run(model);
        let options = Options {
            model,
            data: None,
            out: &out,
            seed: None,
            threads: 2,
            resume,
            from: None,
        };
        let interrupt = AtomicBool::new(false);
        run::train(&options, &interrupt, &mut |p| {
            interrupt.store(Some(p.step) == stop, Ordering::Relaxed);
        })
    }

    fn run(&self, model: &Path) -> PathBuf {
        model.with_extension("run")
    }

    fn results(&self, model: &Path) -> [Vec<u8>; 3] {
        let out = self.run(model);
        ["fit.bin", "parameters.bin", "report.json"].map(|name| fs::read(out.join(name)).unwrap())
    }
}

#[test]
fn a_streamed_log_trains_to_the_bits_of_one_in_memory() {
    let feed = Feed::new(40_000, Format::Parquet);
    for train in [
        "average = 0.9\nid_dropout = 0.1\nevaluate_every = 20\nquantization_aware = { epochs = 1 }",
        "whole_requests = true\nstop_on = \"validation\"",
    ] {
        let models = ["never", "always"].map(|stream| feed.model(stream, train));
        for model in &models {
            let report = feed.train(model, false, None).unwrap();
            let few = &report.few_users[0];
            assert!(few.table == "bait_topic" && few.ids > 0, "{few}");
            let curve = &report.position_bias[0];
            assert_eq!(curve.features, ["shown_at"]);
            // Every place in a list, once.
            assert!((10..=256).contains(&curve.points.len()));
        }
        let [memory, streamed] = models.each_ref().map(|model| feed.results(model));
        assert!(memory[0] == streamed[0], "fit: {train}");
        assert!(memory[1] == streamed[1], "parameters: {train}");
        assert!(memory[2] == streamed[2], "report: {train}");
    }
}

#[test]
fn a_streamed_run_resumes_to_the_same_bits_and_leaves_no_file_of_its_own() {
    let feed = Feed::new(20_000, Format::CsvGzip);
    let model = feed.model("always", "");
    feed.train(&model, false, None).unwrap();
    let whole = feed.results(&model);
    let error = feed.train(&model, false, Some(7)).unwrap_err();
    assert_eq!(error.kind, Kind::Interrupted);
    feed.train(&model, true, None).unwrap();
    assert!(whole == feed.results(&model));
    let mut names: Vec<String> = fs::read_dir(feed.run(&model))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected = [
        "checkpoint.bin",
        "fit.bin",
        "fit.counts",
        "lock",
        "model.toml",
        "parameters.bin",
    ];
    assert_eq!(names[..6], expected);
    assert_eq!(names[6..], ["report.json", "run.json"]);
}

#[test]
fn several_logs_with_malformed_rows_and_a_warm_start_give_the_same_bits_too() {
    let feed = Feed::new(40_000, Format::Csv);
    let log = fs::read_to_string(feed.folder.path().join("log.csv")).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    // The second file begins in the middle of a request; the third is reported on.
    for (name, range) in [
        ("a", 1..17_003),
        ("b", 17_003..35_000),
        ("c", 35_000..40_001),
    ] {
        let mut part = vec![lines[0], lines[range.start], "not a row"];
        part.extend(&lines[range.start + 1..range.end]);
        let path = feed.folder.path().join(format!("{name}.csv"));
        fs::write(path, part.join("\n")).unwrap();
    }
    let train = "gauc_key = \"request\"\nevaluate_every = 10";
    let models = ["never", "always"].map(|stream| feed.model(stream, train));
    for model in &models {
        let text = fs::read_to_string(model).unwrap();
        let text = text
            .replace("path = \"log.csv\"", "path = [\"a.csv\", \"b.csv\"]\nmax_bad_rows = 3")
            .replace("{ last = 0.1 }", "{ path = \"c.csv\" }")
            .replace("[[data.join]]\npath = \"users", "[data.columns]\nhour = { of = \"time\", part = \"hour\" }\n[[data.join]]\npath = \"users");
        fs::write(model, text).unwrap();
        let report = feed.train(model, false, None).unwrap();
        assert_eq!(report.quarantined_rows, 3);
    }
    assert!(feed.results(&models[0]) == feed.results(&models[1]));
    // From the first run, both ways.
    let again = models.each_ref().map(|model| {
        let out = model.with_extension("again");
        let options = Options {
            model,
            data: None,
            out: &out,
            seed: Some(2),
            threads: 1,
            resume: false,
            from: Some(&feed.run(&models[0])),
        };
        run::train(&options, &AtomicBool::new(false), &mut |_| ()).unwrap();
        fs::read(out.join("parameters.bin")).unwrap()
    });
    assert!(again[0] == again[1]);
}

#[test]
fn a_log_that_changes_between_two_passes_is_refused() {
    let feed = Feed::new(2_000, Format::Csv);
    let d = Description::read(&feed.model("always", "")).unwrap();
    let mut outline = outline(&d, None).unwrap();
    let path = feed.folder.path().join("log.csv");
    let log = fs::read_to_string(&path).unwrap();
    for rows in [1_500, 2_002] {
        let changed: Vec<&str> = log
            .lines()
            .chain(log.lines().skip(2_000))
            .take(rows)
            .collect();
        fs::write(&path, changed.join("\n")).unwrap();
        let error = learn(&d, None, &mut outline, None, feed.folder.path()).unwrap_err();
        assert_eq!(error.kind, Kind::Data);
        assert!(
            error.to_string().contains("changed while it was read"),
            "{error}"
        );
    }
}

#[test]
fn only_logs_that_would_fill_memory_are_streamed() {
    let feed = Feed::new(3_000, Format::Csv);
    let d = Description::read(&feed.model("auto", "")).unwrap();
    assert!(!wanted(&d, None));
    let rows = estimate_rows(&feed.folder.path().join("log.csv"));
    assert!((2_900..3_100).contains(&rows), "{rows}");
    // By the figure in docs/simulator.md, 0.4 GB for 10^6 rows.
    let bytes = estimate_bytes(&d);
    assert!((300..600).contains(&bytes), "{bytes}");
}
