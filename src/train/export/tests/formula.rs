//! A formula and the distributions of scores go into the file.

use super::*;
use crate::spec::{Encoding, Source};

/// The subject without terms, which a file with a formula does not have.
fn plain() -> (GoldenModel, Vec<f32>) {
    let (mut golden, scores) = subject();
    golden.spec.fusion.clear();
    (golden, scores)
}

fn with(golden: &GoldenModel, scores: &[f32], text: &str, path: &Path) -> Report {
    let options = Options {
        auc_budget: 1.0,
        formula: Some(Formula::compile(text, &golden.spec, &[]).unwrap()),
        quantiles: true,
        ..Options::default()
    };
    let logit = |row, t| logit(golden, scores, row, t);
    let label = |row: u32, _| (row % 2) as f32;
    run(golden, &logit, &label, &options, HALF, path).unwrap()
}

#[test]
fn quantiles_are_those_of_the_files_own_scores() {
    let (golden, scores) = plain();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pkr");
    let task = golden.spec.tasks[0].name;
    let text = format!("quantile(`{task}`) + rank(entire(`{task}`))");
    let report = with(&golden, &scores, &text, &path);
    // Scores alone make this order, so it is compared.
    assert!(
        report.top10_overlap.is_some_and(|share| share > 0.9),
        "{report}"
    );
    let bytes = fs::read(&path).unwrap();
    let model = open(&bytes).unwrap();
    assert_eq!(model.formula().unwrap().text(), text);
    let calibration = requests(&golden, 0);
    let replayed = replay(&model, &mut |visit| hand_out(&calibration, 0, visit)).unwrap();
    let tasks = golden.spec.tasks.len();
    for table in model.quantiles() {
        let of = |row: &[f32]| match table.entire {
            true => crate::fusion::entire(model.spec(), row, table.task.into()),
            false => row[usize::from(table.task)],
        };
        let all: Vec<f32> = replayed.scores.chunks(tasks).map(of).collect();
        let count = all.len() as f32;
        for x in &all {
            let below = all.iter().filter(|y| *y < x).count() as f32 / count;
            let not_above = all.iter().filter(|y| *y <= x).count() as f32 / count;
            // Two knots of 1/48 and what is between them.
            let got = table.at(*x);
            assert!(
                got > below - 0.045 && got < not_above + 0.045,
                "{} {}: {below} {got} {not_above}",
                table.task,
                table.entire
            );
        }
    }
    assert!(model.quantiles().len() >= tasks - 1);
}

#[test]
fn orders_that_scores_alone_do_not_make_are_not_compared() {
    let (golden, scores) = plain();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pkr");
    let task = golden.spec.tasks[0].name;
    let is_number = |f: &&crate::spec::Feature<'_>| {
        matches!(f.encoding, Encoding::Number { .. }) && f.source == Source::Column
    };
    let number = golden.spec.features.iter().find(is_number).unwrap().name;
    for text in [format!("raw(`{task}`)"), format!("`{task}` + `{number}`")] {
        let report = with(&golden, &scores, &text, &path);
        assert_eq!(report.top10_overlap, None, "{text}");
    }
}
