#![allow(clippy::unwrap_used)]
use super::*;
use crate::train::compare::result::{Bin, Exported, ExportedTask};

/// A result whose tasks are a binary one and a duration.
fn finished(auc: f64, spearman: f64) -> State {
    let history = [10, 20].map(|step| {
        serde_json::json!({"step": step, "quality": auc, "tasks": [auc, spearman], "losses": [0.5, 0.5]})
    });
    let report = serde_json::json!({
        "tasks": [["click", {"rows": 100, "auc": auc, "calibration": 1.0}], ["watch", {"rows": 50, "spearman": spearman}]],
        "steps": 20, "best_step": 10, "stopped_early": false, "rows": [80, 10, 100], "parameters": [40, 60],
        "history": history
    });
    let bin = |x: f64| Bin {
        rows: 10,
        predicted: x,
        actual: x * x,
    };
    let task = |name: &str| ExportedTask {
        name: name.into(),
        metric: "auc".into(),
        f32: Some(auc),
        file: Some(auc - 0.001),
        loss: Some(0.001),
    };
    let tasks = vec![task("click"), task("watch")];
    State::Finished(Box::new(Finished {
        seconds: 1.5,
        report,
        calibration: vec![vec![bin(0.1), bin(0.3)]; 2],
        multiply_adds: [100, 12_345],
        export: Some(Exported {
            bytes: 4096,
            tasks,
            refused: None,
        }),
    }))
}

/// Three variants of two seeds; the third fails in one of them.
pub(crate) fn comparison(names: [&str; 3]) -> Comparison {
    let runs = |states: Vec<State>| {
        let run = |state| RunResult {
            fingerprint: "0".into(),
            state,
        };
        states.into_iter().map(run).collect::<Vec<_>>()
    };
    let failed = State::Failed {
        message: "no <positive> row".into(),
    };
    let states = [
        vec![finished(0.7, 0.4), finished(0.72, 0.42)],
        vec![finished(0.71, 0.3), finished(0.73, 0.32)],
        vec![finished(0.75, 0.4), failed],
    ];
    let variants = names.iter().zip(states).map(|(name, states)| {
        let changes = vec![format!("network.experts = \"<{name}>\"")];
        VariantRuns::new((*name).into(), changes, runs(states))
    });
    Comparison::new(
        "e.toml".into(),
        vec!["log.csv".into()],
        vec![1, 2],
        variants.collect(),
    )
}

#[test]
fn differences_pair_seeds_that_both_have() {
    let c = comparison(["a", "b", "c"]);
    let row = |metric: &str, variant: &str| {
        let found = c
            .metrics
            .iter()
            .find(|r| r.metric == metric && r.variant == variant);
        found.unwrap().clone()
    };
    assert!(row("auc", "a").difference.is_none());
    let b = row("auc", "b").difference.unwrap();
    assert!(b.n == 2 && (b.mean - 0.01).abs() < 1e-12);
    assert!(row("auc", "b").excludes_zero && row("spearman", "b").excludes_zero);
    let third = row("auc", "c").difference.unwrap();
    assert!(third.n == 1 && third.interval.is_none() && (third.mean - 0.05).abs() < 1e-12);
    assert_eq!(row("auc", "c").value.unwrap().n, 1);
    assert!(!c.metrics.iter().any(|r| r.metric == "mae"));
    assert_eq!(c.failures.len(), 1);
    assert_eq!(
        (c.failures[0].variant.as_str(), c.failures[0].seed),
        ("c", 2)
    );
    let cost = &c.costs[2];
    assert_eq!(
        (cost.runs, cost.device_bytes, cost.multiply_adds),
        (1, Some(4096), Some([100, 12_345]))
    );
    assert_eq!(cost.int8_loss[1].0, "watch");
}

#[test]
fn a_refused_file_is_a_failure_that_keeps_its_metrics() {
    let c = comparison(["a", "b", "c"]);
    let mut runs = c.variants[0].runs.clone();
    if let State::Finished(finished) = &mut runs[1].state {
        finished.export.as_mut().unwrap().refused = Some("the file is not written".into());
    }
    let variant = VariantRuns::new("a".into(), Vec::new(), runs);
    let c = Comparison::new("e.toml".into(), Vec::new(), vec![7, 8], vec![variant]);
    assert_eq!((c.failures.len(), c.failures[0].seed), (1, 8));
    assert_eq!((c.metrics[0].value.unwrap().n, c.costs[0].runs), (2, 2));
}
