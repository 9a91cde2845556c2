#![allow(clippy::unwrap_used)]
use std::fs;

use super::*;
use crate::spec::TaskKind;
use crate::train::golden::{self, GoldenModel};
use crate::train::random::Key;
use crate::train::requests::OwnedRequest;

mod budget;
mod formula;
mod heads;

const CANDIDATES: usize = 14;
const REQUESTS: u64 = 40;

/// A golden model with a binary task and a duration that is not 0.
fn subject() -> (GoldenModel, Vec<f32>) {
    (0..)
        .map(|seed| {
            let golden = golden::model(seed);
            let scores = score(&golden);
            (golden, scores)
        })
        .find(|(golden, scores)| {
            let tasks = &golden.spec.tasks;
            let varied = |t: usize| {
                scores
                    .iter()
                    .skip(t)
                    .step_by(tasks.len())
                    .filter(|s| **s > 0.02 && **s < 0.98)
                    .count()
            };
            let has = |kind| {
                (0..tasks.len())
                    .any(|t| tasks[t].kind == kind && varied(t) > scores.len() / tasks.len() / 2)
            };
            has(TaskKind::Binary) && has(TaskKind::Duration)
        })
        .unwrap()
}

fn requests(golden: &GoldenModel, part: u64) -> Vec<OwnedRequest> {
    (0..REQUESTS)
        .map(|i| golden::request(golden, part * REQUESTS + i, CANDIDATES))
        .collect()
}

/// Calls `visit` with requests whose rows are numbered on from `row`.
fn hand_out(requests: &[OwnedRequest], mut row: u32, visit: &mut Visit<'_>) -> Result<()> {
    for request in requests {
        let columns = request.columns();
        let rows: Vec<u32> = (row..row + CANDIDATES as u32).collect();
        visit(&request.as_request(&columns), &rows)?;
        row += CANDIDATES as u32;
    }
    Ok(())
}

/// Scores of the file as it is, of all rows of both parts.
fn score(golden: &GoldenModel) -> Vec<f32> {
    let model = open(&golden.bytes).unwrap();
    let all: Vec<OwnedRequest> = requests(golden, 0)
        .into_iter()
        .chain(requests(golden, 1))
        .collect();
    replay(&model, &mut |visit| hand_out(&all, 0, visit))
        .unwrap()
        .scores
}

fn logit(golden: &GoldenModel, scores: &[f32], row: u32, t: usize) -> f32 {
    let task = &golden.spec.tasks[t];
    let score = scores[row as usize * golden.spec.tasks.len() + t];
    match task.kind {
        TaskKind::Binary => (score / (1.0 - score)).ln().clamp(-9.0, 9.0),
        // All logits below 0 score 0.
        TaskKind::Duration if score == 0.0 => -1.0,
        _ => (score / task.score_scale).ln_1p(),
    }
}

fn run(
    golden: &GoldenModel,
    logit: &dyn Fn(u32, usize) -> f32,
    label: &dyn Fn(u32, usize) -> f32,
    options: &Options,
    replay_from: u32,
    path: &Path,
) -> Result<Report> {
    let rows = 2 * (REQUESTS as usize * CANDIDATES) as u32;
    let tasks: Vec<TaskData> = (0..golden.spec.tasks.len())
        .map(|t| TaskData {
            labels: (0..rows).map(|row| label(row, t)).collect(),
            weights: vec![1.0; rows as usize],
            ..TaskData::default()
        })
        .collect();
    let parts = [requests(golden, 0), requests(golden, 1)];
    let tables = golden.spec.tables.len();
    let mut run = Run {
        counts: &vec![Vec::new(); tables],
        pinned: &vec![false; tables],
        server: &[],
        spec: &golden.spec,
        parameters: &golden.parameters,
        lookups: &golden.lookups,
        tasks: &tasks,
        logits: &mut |rows| {
            rows.iter()
                .flat_map(|row| (0..tasks.len()).map(|t| logit(*row, t)))
                .collect()
        },
        calibration: &mut |visit| hand_out(&parts[0], 0, visit),
        replay: &mut |visit| hand_out(&parts[1], replay_from, visit),
    };
    export(&mut run, options, path)
}

const HALF: u32 = REQUESTS as u32 * CANDIDATES as u32;

#[test]
fn a_shift_of_the_f32_logits_is_found_and_corrected() {
    let (golden, scores) = subject();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pkr");
    let shifted = |row, t| logit(&golden, &scores, row, t) + 0.3;
    let label = |row: u32, _| row.is_multiple_of(3) as u8 as f32;
    // Durations that score 0 hide their logit, so a shift changes which of them tie.
    let options = Options {
        auc_budget: 0.02,
        ..Options::default()
    };
    let report = run(&golden, &shifted, &label, &options, HALF, &path).unwrap();
    for (task, spec) in report.tasks.iter().zip(&golden.spec.tasks) {
        if spec.kind == TaskKind::Binary {
            assert!((task.bias_correction - 0.3).abs() < 0.01, "{task:?}");
            assert!(task.calibration_change.unwrap().abs() < 0.005, "{task:?}");
        }
        assert!(task.request_spearman.is_none_or(|s| s > 0.99), "{task:?}");
        assert!(task.spearman.is_none_or(|s| s > 0.99), "{task:?}");
        assert_eq!(
            task.request_spearman.is_some(),
            task.spearman_requests > 0,
            "{task:?}"
        );
    }
    assert_eq!(
        (report.calibration_rows, report.replay_rows),
        (HALF as usize, HALF as usize)
    );
    assert!(
        report.top10_overlap.is_some_and(|share| share > 0.9),
        "{report}"
    );
    assert!(report.check().is_ok(), "{report}");
    let written = fs::read(&path).unwrap();
    assert_eq!(
        format!("{:016x}", open(&written).unwrap().digest()),
        report.digest
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(report.to_string().contains("fused top-10 overlap"));
    assert!(
        serde_json::to_string(&report)
            .unwrap()
            .contains("\"loss_interval\":[")
    );
}

#[test]
fn a_loss_beyond_the_budget_is_refused_and_the_old_file_stays() {
    let (golden, _) = subject();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pkr");
    fs::write(&path, "old").unwrap();
    // Labels that follow logits which the file knows nothing of.
    let logit = |row: u32, t: usize| Key::new(t as u64).at(row.into()).normal() as f32;
    let label = |row: u32, t: usize| if logit(row, t) > 0.0 { 1.0 } else { 0.0 };
    let report = run(&golden, &logit, &label, &Options::default(), HALF, &path).unwrap();
    let error = report.check().unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.message.contains("auc_budget"), "{error}");
    let lost = report.tasks.iter().find(|t| t.metric == "auc").unwrap();
    let [low, high] = lost.loss_interval.unwrap();
    assert!(
        lost.f32 == Some(1.0) && low < lost.loss.unwrap() && lost.loss.unwrap() < high && low > 0.3
    );
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_duration_scale_makes_the_mean_score_the_mean_label() {
    let (golden, scores) = subject();
    let folder = tempfile::tempdir().unwrap();
    let logit = |row, t| logit(&golden, &scores, row, t);
    let label = |row: u32, t: usize| match golden.spec.tasks[t].kind {
        TaskKind::Binary => row.is_multiple_of(3) as u8 as f32,
        _ => 3.0 * scores[row as usize * golden.spec.tasks.len() + t],
    };
    let options = Options {
        mean_durations: true,
        ..Options::default()
    };
    let report = run(
        &golden,
        &logit,
        &label,
        &options,
        HALF,
        &folder.path().join("m"),
    )
    .unwrap();
    for (task, spec) in report.tasks.iter().zip(&golden.spec.tasks) {
        if let (TaskKind::Duration, Some(bias)) = (spec.kind, task.bias) {
            assert!(bias.abs() < 0.01, "{task:?}");
        }
    }
}

#[test]
fn replaying_calibration_rows_is_refused() {
    let (golden, scores) = subject();
    let folder = tempfile::tempdir().unwrap();
    let logit = |row, t| logit(&golden, &scores, row, t);
    let label = |row: u32, _| (row % 2) as f32;
    let path = folder.path().join("m");
    let error = run(
        &golden,
        &logit,
        &label,
        &Options::default(),
        HALF - 1,
        &path,
    )
    .unwrap_err();
    assert_eq!(error.kind, Kind::Data);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_retransformation_factor_is_the_ratio_of_means() {
    let labels = [10.0, 2.0, 99.0];
    let logits = [3.0f32.ln_1p(), -1.0, 5.0];
    let factor = retransformation(&logits, &labels, &[1.0, 1.0, 0.0]).unwrap();
    assert!((factor - 12.0 / 3.0).abs() < 1e-6, "{factor}");
    assert_eq!(retransformation(&logits, &labels, &[0.0; 3]), None);
}
