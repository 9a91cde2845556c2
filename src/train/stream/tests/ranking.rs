//! Ranking tasks, losses over lists and teachers from a log to a file.
use super::*;
use crate::engine::{Model, OpenOptions};
use crate::train::error::Kind as ErrorKind;
use crate::train::run::{ExportOptions, Prepared, Run};
use crate::train::{evaluate, replay, scored};

/// A task of every kind of loss over lists and of teacher.
const TASKS: &str = r#"
[[task]]
name = "click"
kind = "binary"
loss = "jrc"
[[task]]
name = "like"
kind = "binary"
space = "click"
teacher = { column = "server_score", of = "logit", temperature = 2.0 }
[[task]]
name = "watch"
kind = "duration"
space = "click"
teacher = { column = "view_end_seconds" }
[[task]]
name = "complete"
kind = "binary"
space = "click"
teacher = { column = "propensity", form = "pairwise", weight = 0.3 }
[[task]]
name = "value"
kind = "rank"
utility = { watch = 1.0, like = 20.0, share = 60.0 }
loss = "lambdarank"
[[fusion.term]]
task = "value"
weight = 1.0
[export]
auc_budget = 0.01
[train]
"#;

/// The simulator's features with those tasks.
fn model(feed: &Feed, stream: &str, more: &str) -> PathBuf {
    let path = feed.model(stream, "");
    let text = fs::read_to_string(&path).unwrap().replace(MORE, more);
    // Enough for an evaluation to read a store in several parts.
    let text = text.replace("{ last = 0.1 }", "{ last = 0.4 }");
    let (head, _) = text.split_once("[[task]]").unwrap();
    let text = format!(
        "{head}{TASKS}stream = \"{stream}\"\nwhole_requests = true\nepochs = 2\nevaluate_every = 20\nlr = 0.01\n"
    );
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn lists_and_teachers_train_to_the_same_bits_streamed_resumed_or_neither() {
    let feed = Feed::new(20_000, Format::Csv);
    let models = ["never", "always"].map(|stream| model(&feed, stream, MORE));
    for model in &models {
        let report = feed.train(model, false, None).unwrap();
        let value = &report.tasks[4].1;
        // A few steps above chance.
        assert!(value.ndcg.unwrap() > 0.5 && value.ndcg_requests.unwrap() > 50);
        assert!(value.auc.is_none() && value.log_loss.is_none());
        let last = report.history.last().unwrap();
        assert!(last.tasks[4].unwrap() > 0.5);
    }
    let [memory, streamed] = models.each_ref().map(|model| feed.results(model));
    assert!(memory[0] == streamed[0], "fit");
    assert!(memory[1] == streamed[1], "parameters");
    assert!(memory[2] == streamed[2], "report");
    let error = feed.train(&models[1], false, Some(7)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Interrupted);
    feed.train(&models[1], true, None).unwrap();
    assert!(memory == feed.results(&models[1]));
}

#[test]
fn a_ranking_task_is_exported_and_its_scores_teach() {
    let feed = Feed::new(12_000, Format::Csv);
    let described = model(&feed, "never", "");
    let report = feed.train(&described, false, None).unwrap();
    let file = feed.folder.path().join("m.pkr");
    let exported = run::export(&feed.run(&described), &file, &ExportOptions::default()).unwrap();
    exported.check().unwrap();
    let value = &exported.tasks[4];
    assert_eq!(
        (value.metric, value.bias_correction, value.bias),
        ("ndcg", 0.0, None)
    );
    assert!((value.f32.unwrap() - report.tasks[4].1.ndcg.unwrap()).abs() < 1e-9);
    assert!(value.loss.unwrap().abs() < 0.01 && value.request_spearman.unwrap() > 0.99);

    // To the device it is a binary task, and by it alone the fused order has its NDCG.
    let bytes = fs::read(&file).unwrap();
    let mut opened = Box::new(Model::new());
    opened.open(&bytes, &OpenOptions::default()).unwrap();
    assert_eq!(opened.spec().tasks[4].unit, "rank");
    let d = Description::read(&described).unwrap();
    let measured = replay::measure(&d, (&opened, &file), None, false).unwrap();
    let fused = measured.fused.iter().map(|x| f64::from(*x)).collect();
    let orders = [("fused".to_string(), fused)];
    let utility = "watch + 20 * like + 60 * share";
    let of = |utility: &str| scored::orders(&d, &measured.raw, utility, &measured.rows, &orders);
    let all = of(utility).unwrap();
    // The task's own rows are fewer: some labels are too young.
    assert!((all.orders[0].ndcg.unwrap() - value.file.unwrap()).abs() < 0.03);
    assert!(all.orders[0].dcg.unwrap() > 0.0 && all.requests > 50);
    for (utility, message) in [
        ("wach", "unknown label \"wach\"; did you mean"),
        ("watch - like", "above 0"),
    ] {
        assert!(of(utility).unwrap_err().to_string().contains(message));
    }

    // The f32 run's scores, beside every row of the log.
    let run = Run::open(&feed.run(&described)).unwrap();
    let spec = run.spec_for(&d).unwrap();
    let prepared = Prepared::read(&d, &run.fit, &spec, None).unwrap();
    let rows: Vec<u32> = (0..prepared.raw.rows() as u32).skip(1).collect();
    let logits = evaluate::predict(&spec, &run.parameters().unwrap(), &prepared.data, &rows);
    let tasks = spec.tasks.iter();
    let tasks: Vec<_> = tasks.map(|t| (t.name.to_string(), t.kind, 1.0)).collect();
    let to = feed.folder.path().join("scored.csv");
    let copy = |d: &Description| {
        scored::copy_with_scores(d, None, &prepared.raw, &tasks, (&rows, &logits), &to)
    };
    copy(&d).unwrap();
    let copied = fs::read_to_string(&to).unwrap();
    let log = fs::read_to_string(feed.folder.path().join("log.csv")).unwrap();
    assert_eq!(copied.lines().count(), log.lines().count());
    let mut lines = copied.lines().zip(log.lines());
    assert!(lines.all(|(copied, line)| copied.starts_with(line)));
    assert!(
        copied
            .lines()
            .next()
            .unwrap()
            .ends_with(",score_click,score_like,score_watch,score_complete,score_value")
    );
    assert!(copied.lines().nth(1).unwrap().ends_with(",,,,,"));
    let scores = copied.lines().nth(2).unwrap().rsplit(',');
    let score: f64 = scores.take(5).last().unwrap().parse().unwrap();
    let sigmoid = crate::train::loss::sigmoid(f64::from(logits[0]));
    assert!((score - sigmoid).abs() < 1e-6);

    // A student reads them.
    let text = fs::read_to_string(&described).unwrap();
    let text = text
        .replace("path = \"log.csv\"", "path = \"scored.csv\"")
        .replace(
            "loss = \"jrc\"",
            "teacher = { column = \"score_click\", temperature = 2.0 }",
        );
    let student = feed.folder.path().join("student.toml");
    fs::write(&student, text).unwrap();
    let report = feed.train(&student, false, None).unwrap();
    assert!(report.tasks[0].1.auc.unwrap() > 0.6);
    // And what is no probability is a row with its line.
    let wrong = fs::read_to_string(&student)
        .unwrap()
        .replace("score_click", "item_id");
    fs::write(&student, wrong).unwrap();
    let error = feed.train(&student, false, None).unwrap_err().to_string();
    assert!(
        error.contains("scored.csv:2: teacher \"item_id\" is")
            && error.contains("a probability of 0 to 1 is possible"),
        "{error}"
    );
    let several = Description::parse(
        &described,
        fs::read_to_string(&described)
            .unwrap()
            .replace("path = \"log.csv\"", "path = [\"log.csv\", \"log.csv\"]"),
    )
    .unwrap();
    assert!(
        copy(&several)
            .unwrap_err()
            .to_string()
            .contains("several files")
    );
}
