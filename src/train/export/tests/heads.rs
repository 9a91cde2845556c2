//! Heads of several logits and odds: their means are put right as those of other tasks.
use super::*;

fn kind_of(kind: TaskKind) -> Option<usize> {
    match kind {
        TaskKind::Odds => Some(0),
        TaskKind::Steps { ordered: false, .. } => Some(1),
        TaskKind::Steps { ordered: true, .. } => Some(2),
        TaskKind::Quantile { .. } => Some(3),
        _ => None,
    }
}

/// A quarter more than the file says is asked for, of labels three times that: the former by what heads add up to, the latter
/// by the task's scale.
#[test]
fn the_mean_of_every_head_becomes_that_of_the_f32_model_and_of_the_labels() {
    let mut seen = [0; 4];
    let headed = (0..40).map(|seed| (seed, golden::with_heads(&golden::model(seed), seed)));
    let grouped = (0..16).map(|seed| (seed, golden::with_quantiles(&golden::model(seed), seed)));
    for (seed, golden) in headed.chain(grouped) {
        let scores = score(&golden);
        let tasks = golden.spec.tasks.len();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m");
        let value = |row: u32, t: usize| {
            scores[row as usize * tasks + t] / golden.spec.tasks[t].score_scale
        };
        let more = |row: u32, t: usize| match kind_of(golden.spec.tasks[t].kind) {
            Some(_) => (1.25 * value(row, t)).ln_1p(),
            None => logit(&golden, &scores, row, t),
        };
        let label = |row: u32, t: usize| match golden.spec.tasks[t].kind {
            TaskKind::Binary => row.is_multiple_of(3) as u8 as f32,
            _ => 3.0 * scores[row as usize * tasks + t],
        };
        for mean_durations in [false, true] {
            let options = Options {
                mean_durations,
                auc_budget: 1.0,
                ..Options::default()
            };
            let report = run(&golden, &more, &label, &options, HALF, &path).unwrap();
            for (t, (task, spec)) in report.tasks.iter().zip(&golden.spec.tasks).enumerate() {
                let Some(kind) = kind_of(spec.kind) else {
                    continue;
                };
                // A mean that some rows make alone says nothing of the other half.
                let rows = (0..2 * HALF).filter(|row| value(*row, t) > 0.01);
                if rows.count() < HALF as usize {
                    continue;
                }
                assert!(
                    (task.bias_correction - 1.25f64.ln()).abs() < 0.01,
                    "{seed} {task:?}"
                );
                assert!(
                    task.calibration_change.unwrap().abs() < 0.002,
                    "{seed} {task:?}"
                );
                if mean_durations {
                    assert!(task.bias.unwrap().abs() < 0.2, "{seed} {task:?}");
                }
                seen[kind] += 1;
            }
        }
    }
    println!("odds, steps of their own, steps in order, quantiles: {seen:?}");
    assert!(seen.iter().all(|n| *n >= 6), "{seen:?}");
}
