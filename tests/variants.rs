//! Every line that a description can change, from a log to a file: trained, exported, opened and held against the f32 run.
#![allow(clippy::unwrap_used)]

use core::ops::ControlFlow;
use core::sync::atomic::AtomicBool;
use std::fs;
use std::path::{Path, PathBuf};

use pocketrank::engine::{Model, OpenOptions};
use pocketrank::spec::{Calibration, NetworkKind, TaskKind};
use pocketrank::train::description::Description;
use pocketrank::train::export;
use pocketrank::train::position;
use pocketrank::train::run;
use pocketrank::train::simulate::{SimulateOptions, simulate};

const ROWS: u64 = 12_000;

struct Feed {
    folder: tempfile::TempDir,
    text: String,
}

impl Feed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = SimulateOptions {
            rows: ROWS,
            ..SimulateOptions::default()
        };
        simulate(&options, folder.path(), |_| ControlFlow::Continue(())).unwrap();
        let text = fs::read_to_string(folder.path().join("model.toml")).unwrap();
        // Rare tasks have too few positives in so small a log.
        let text = ["comment", "favourite", "share"]
            .iter()
            .fold(text, |text, task| {
                let text = without(&text, &format!("[[task]]\nname = \"{task}\""));
                without(&text, &format!("[[fusion.term]]\ntask = \"{task}\""))
            });
        let text = text.replace("epochs = 5", "epochs = 2");
        // A loss is known to some thousandths on so few rows.
        let text = text.replace("[export]", "[export]\nauc_budget = 0.02");
        let text = text.replace("expert_layers = [64, 32]", "expert_layers = [24, 12]");
        Self { folder, text }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let model = self.folder.path().join(format!("{name}.toml"));
        fs::write(&model, text).unwrap();
        model
    }

    fn train(&self, name: &str, text: &str) -> (PathBuf, run::Report) {
        self.train_from(name, text, None)
    }

    /// The same from the parameters of another run.
    fn train_from(&self, name: &str, text: &str, from: Option<&Path>) -> (PathBuf, run::Report) {
        let model = self.write(name, text);
        let out = self.folder.path().join(name);
        let options = run::Options {
            model: &model,
            data: None,
            out: &out,
            seed: None,
            threads: 0,
            resume: false,
            from,
        };
        let report = run::train(&options, &AtomicBool::new(false), &mut |_| {}).unwrap();
        (out, report)
    }
}

/// A text without the paragraph that begins so.
fn without(text: &str, begin: &str) -> String {
    let start = text.find(begin).unwrap();
    let end = text[start..]
        .find("\n\n")
        .map_or(text.len(), |n| start + n + 2);
    format!("{}{}", &text[..start], &text[end..])
}

/// A text with lines behind a task's name.
fn with_task(text: &str, task: &str, lines: &str) -> String {
    let name = format!("[[task]]\nname = \"{task}\"\n");
    assert!(text.contains(&name));
    text.replace(&name, &format!("{name}{lines}\n"))
}

fn export(run: &Path) -> (Vec<u8>, export::Report) {
    let file = run.with_extension("pkr");
    let report = run::export(run, &file, &Default::default()).unwrap();
    (fs::read(file).unwrap(), report)
}

/// The file opens, and its scores are those of the f32 run but for quantization.
fn check(name: &str, file: &[u8], report: &export::Report) {
    let mut model = Box::new(Model::new());
    model.open(file, &OpenOptions::default()).unwrap();
    assert_eq!(model.spec().tasks.len(), report.tasks.len(), "{name}");
    for task in &report.tasks {
        // The likes of some thousand rows are few: one swap of scores is a thousandth.
        assert!(task.loss.unwrap() < 0.01, "{name}: {task:?}");
        assert!(task.spearman.unwrap() > 0.99, "{name}: {task:?}");
    }
}

#[test]
fn every_network_gate_and_relation_goes_from_a_log_to_a_file() {
    let feed = Feed::new();
    let base = &feed.text;
    let kind = |kind: &str| base.replace("kind = \"mmoe\"", &format!("kind = \"{kind}\""));
    let gate = |lines: &str| base.replace("experts = 4", &format!("experts = 4\n{lines}"));
    let variants = [
        ("single", kind("single")),
        ("shared-embedding", kind("shared-embedding")),
        ("shared-bottom", kind("shared-bottom")),
        ("mmoe", base.clone()),
        ("attention", gate("gate = \"attention\"")),
        (
            "deep-attention",
            gate("gate = \"attention\"\ngate_layers = [8, 6]"),
        ),
        ("deep-gates", gate("gate_layers = [8]")),
        (
            "two-levels",
            kind("ple").replace("experts = 4", "experts = 2\nlevels = 2\ngate_layers = [8]"),
        ),
        (
            "inputs",
            with_task(
                &with_task(base, "like", "inputs = [\"click\", \"complete\"]"),
                "duration",
                "inputs = [{ task = \"click\", value = \"probability\", stop_gradient = false }]",
            ),
        ),
        (
            "entire-space",
            with_task(base, "complete", "entire_space = true"),
        ),
        (
            "label-space-and-row-weights",
            with_task(base, "like", "weight_column = \"length_seconds\"")
                .replace("name = \"like\"\nweight_column", "name = \"like\"\nlabel = \"like\"\nweight_column")
                .replace("[[feature]]\nname = \"age_group\"", "[[label]]\nname = \"finished\"\nvalue = \"complete\"\ndelay_column = \"view_end_seconds\"\n\n[[feature]]\nname = \"age_group\"")
                .replace("kind = \"binary\"\nspace = \"click\"\n\n# Rare", "kind = \"binary\"\nspace = \"finished\"\n\n# Rare"),
        ),
        (
            "single-inputs",
            with_task(&kind("single"), "duration", "inputs = [\"complete\"]"),
        ),
    ];
    for (name, text) in &variants {
        let (run, report) = feed.train(name, text);
        let (file, exported) = export(&run);
        check(name, &file, &exported);
        let mut model = Box::new(Model::new());
        model.open(&file, &OpenOptions::default()).unwrap();
        let kind = model.spec().network.kind;
        let gates = matches!(kind, NetworkKind::Mmoe | NetworkKind::Progressive { .. });
        assert_eq!(model.spec().own_experts().is_some(), *name == "two-levels");
        assert_eq!(
            report.health.gates.len(),
            if gates { 4 } else { 0 },
            "{name}"
        );
        assert_eq!(report.health.warnings, Vec::<String>::new(), "{name}");
    }
}

/// The simulated feed with attention to the clicked topics, under every kind of dropout.
fn attending(feed: &Feed) -> String {
    let feature = "[[feature]]\nname = \"attended\"\nkind = \"attention\"\nof = \"clicked_topics\"\nquery = \"topic\"\n\n[network]\nembedding_dropout = 0.05";
    let text = feed.text.replacen("[network]", feature, 1);
    text.replacen("[train]", "[train]\nid_dropout = 0.02", 1)
}

#[test]
fn attention_goes_from_a_log_to_a_file_with_terms_and_with_a_formula() {
    let feed = Feed::new();
    let text = attending(&feed);
    let start = text.find("[[fusion.term]]").unwrap();
    let end = text[start..]
        .find("[export]")
        .map_or(text.len(), |n| start + n);
    let formula = format!(
        "{}[fusion]\nformula = \"click + 0.1 * rank(like)\"\n\n{}",
        &text[..start],
        &text[end..]
    );
    for (name, text) in [("attending", text.clone()), ("formula", formula)] {
        let (run, _) = feed.train(name, &text);
        let (file, exported) = export(&run);
        check(name, &file, &exported);
        let seen = pocketrank::train::inspect::inspect(&file).unwrap();
        let attention = &seen.attention[0];
        assert_eq!(
            (attention.dim, attention.max_len, attention.per_row),
            (16, 50, 16 * 8)
        );
        assert!(
            seen.to_string()
                .contains("attended                 clicked_topics   topic")
        );
    }
    let of = |name: &str| fs::read(feed.folder.path().join(name).join("parameters.bin"));
    let streamed = text.replacen("[train]", "[train]\nstream = \"always\"", 1);
    let (run, _) = feed.train("streamed", &streamed);
    let names: Vec<_> = fs::read_dir(&run)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(
        of("streamed").unwrap_or_else(|e| panic!("{e} {names:?}")),
        of("attending").unwrap()
    );
}

/// Seconds by their quantile among candidates of about one length: the same parameters of a streamed log, and on grids.
#[test]
fn quantiles_go_from_a_log_to_a_file() {
    let feed = Feed::new();
    let lines = "loss = \"d2q\"\nd2q = { group = \"length_seconds\", knots = 12 }";
    let text = with_task(&feed.text, "duration", lines);
    let (run, _) = feed.train("quantiles", &text);
    let (file, exported) = export(&run);
    check("quantiles", &file, &exported);
    let of = |name: &str| exported.tasks.iter().find(|t| t.name == name).unwrap();
    let duration = of("duration");
    assert!(duration.f32.unwrap() > 0.3, "{duration:?}");
    assert!(duration.bias.unwrap().abs() < 0.1, "{duration:?}");
    let mut model = Box::new(Model::new());
    model.open(&file, &OpenOptions::default()).unwrap();
    let spec = model.spec();
    let task = spec.task("duration").unwrap();
    let group = spec.feature("length_seconds").unwrap();
    let (feature, knots) = (group as u8, 12);
    assert_eq!(spec.tasks[task].kind, TaskKind::Quantile { feature, knots });
    let seen = pocketrank::train::inspect::inspect(&file).unwrap();
    assert!(seen.to_string().contains("quantile"), "{seen}");
    let streamed = text.replacen("[train]", "[train]\nstream = \"always\"", 1);
    let (again, _) = feed.train("streamed", &streamed);
    let parameters = |run: &Path| fs::read(run.join("parameters.bin")).unwrap();
    assert_eq!(parameters(&again), parameters(&run));
    let aware = "[train]\nquantization_aware = { epochs = 1 }";
    let (aware, _) = feed.train("aware", &text.replacen("[train]", aware, 1));
    let (file, exported) = export(&aware);
    check("aware", &file, &exported);
    // A run goes on from another with the quantiles that its network knows.
    let (out, _) = feed.train_from("warm", &text, Some(&run));
    let tables = |folder: &Path| {
        let p = run::Run::open(folder).unwrap().parameters().unwrap();
        p.steps[task].bias.clone()
    };
    assert_eq!(tables(&out), tables(&run));
    assert_eq!(tables(&run).len() % 12, 0);
}

#[test]
fn attention_learns_on_the_grids_of_its_file_and_its_table_is_packed() {
    let feed = Feed::new();
    let aware = "[train]\nquantization_aware = { epochs = 1 }";
    let text = attending(&feed).replacen("[train]", aware, 1);
    let text = text.replacen("[export]", "[export]\nbits = \"auto\"", 1);
    let (run, report) = feed.train("aware", &text);
    assert!(report.quantized_from.is_some());
    assert!(report.history.iter().any(|e| e.quantized));
    let file = run.with_extension("pkr");
    let options = run::ExportOptions {
        layers: true,
        ..Default::default()
    };
    let exported = run::export(&run, &file, &options).unwrap();
    let bytes = fs::read(file).unwrap();
    let mut model = Box::new(Model::new());
    model.open(&bytes, &OpenOptions::default()).unwrap();
    let budget = exported.budget.as_ref().unwrap();
    let topic = budget.tables.iter().find(|t| t.name == "topic").unwrap();
    assert_eq!(topic.bits, [8, 4], "{budget:?}");
    let layers = exported.layers.as_ref().unwrap();
    for part in ["query", "key", "steps, shares"] {
        let name = format!("attention attended, {part}");
        let error = layers.errors.iter().find(|e| e.name == name).unwrap();
        assert!(error.outputs.unwrap() > 0.0 && error.alone.unwrap() > 0.0);
    }
    for task in &exported.tasks {
        assert!(task.loss.unwrap() < 0.02, "{task:?}");
    }
}

#[test]
fn sampled_calibrated_and_biased_tasks_are_put_right_in_the_file() {
    let feed = Feed::new();
    let text = with_task(
        &feed.text,
        "click",
        "keep_negatives = 0.5\npositive_weight = 2.0\ncalibration = \"platt\"",
    );
    let text = with_task(&text, "complete", "calibration = \"isotonic\"");
    let text = with_task(&text, "like", "calibration = \"temperature\"");
    let position = "[[feature]]\nname = \"position\"\nside = \"candidate\"\nkind = \"number\"\ntransform = [\"log1p\", \"standardize\"]\n\n";
    let text = text.replace(position, "").replace(
        "[network]",
        "[[feature]]\nname = \"shown\"\ncolumn = \"position\"\ntrain_only = true\nside = \"candidate\"\nkind = \"number\"\nvalue = false\nbuckets = 20\ndim = 4\n\n[position_bias]\ntasks = [\"click\"]\nreference = { shown = 0 }\n\n[network]",
    );
    let text = text.replace("batch = 1024", "batch = 128");
    let (run, report) = feed.train("corrected", &text);
    let (file, exported) = export(&run);
    let mut model = Box::new(Model::new());
    model.open(&file, &OpenOptions::default()).unwrap();
    let spec = model.spec();
    assert!(spec.feature("shown").is_none() && spec.feature("position").is_none());
    let of = |name: &str| spec.tasks[spec.task(name).unwrap()].calibration;
    assert!(matches!(of("click"), Calibration::Platt { .. }));
    assert!(matches!(of("complete"), Calibration::Isotonic { .. }));
    assert!(matches!(of("like"), Calibration::Platt { offset: 0.0, .. }));
    assert_eq!(of("duration"), Calibration::None);
    for task in &exported.tasks {
        assert!(task.spearman.unwrap() > 0.98, "{task:?}");
    }
    let curve = &report.position_bias[0];
    assert_eq!(
        (curve.task.as_str(), &curve.features[..]),
        ("click", &["shown".to_string()][..])
    );
    let at = |position: f64| {
        let mut points = curve.points.iter();
        points.find(|p| p.0 == [position]).unwrap().1
    };
    assert!(at(0.0) == 0.0 && at(9.0) < at(0.0), "{curve:?}");

    // The rows of the first request stand at 0, 1, ...: each gets the logit of its own.
    let opened = run::Run::open(&run).unwrap();
    let (d, fit) = (&opened.description, &opened.fit);
    let prepared = run::Prepared::read(d, fit, &fit.spec(d).unwrap(), None).unwrap();
    let curves = opened.report().unwrap().position_bias;
    let (tasks, click) = (report.tasks.len(), d.task("click").unwrap());
    let mut logits = vec![0.0; 8 * tasks];
    let rows = [0, 1, 2, 3, 4, 5, 6, 7];
    position::add_shown(d, &prepared.raw, &curves, &rows, &mut logits).unwrap();
    for (i, of_row) in logits.chunks(tasks).enumerate() {
        let others: f32 = of_row.iter().sum::<f32>() - of_row[click];
        assert_eq!((of_row[click], others), (at(i as f64), 0.0), "position {i}");
    }
    let refused = position::add_shown(d, &prepared.raw, &[], &rows, &mut logits);
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("no position curve")
    );
}

#[test]
fn descriptions_of_the_simulated_feed_are_valid() {
    for file in [
        "simulator/topics.toml",
        "simulator/crosses.toml",
        "simulator/position.toml",
        "attention/interests.toml",
        "attention/feed.toml",
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        Description::read(&folder.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    }
}
