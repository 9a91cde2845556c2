//! What a description may say, but hardly means.
use std::prelude::v1::*;

use crate::spec::Spec;
use crate::train::description::{CalibrationKind, Description, Feedback, Objective};
use crate::train::formula::{Formula, direction, unguarded};

/// Warnings, one a line.
pub fn warnings(d: &Description) -> Vec<String> {
    let line = |line: u64, message: String| format!("{}:{line}: {message}", d.file.display());
    let mut all = Vec::new();
    for task in &d.toml.task {
        if task.focal > 0.0 && task.calibration == CalibrationKind::None {
            let name = task.name.get_ref();
            all.push(line(d.at(&task.name), format!(
                "focal loss does not learn probabilities: give \"{name}\" a calibration, as \"platt\""
            )));
        }
    }
    for term in &d.toml.fusion.term {
        let name = term.task.get_ref();
        let task = d.task(name).map(|t| &d.toml.task[t]);
        let adds = d
            .toml
            .fusion
            .term
            .iter()
            .filter(|t| t.weight != 0.0)
            .count()
            > 1;
        if adds && term.weight != 0.0 && task.is_some_and(|t| t.kind == Objective::Rank) {
            all.push(line(d.at(&term.task), format!(
                "\"{name}\" is learnt from orders: its score is no probability, and the fusion adds it to others as one; write a formula with rank({name}) or quantile({name}), or order by it alone"
            )));
        }
        let space = task.and_then(|t| t.space.as_ref());
        let given = space.filter(|s| d.task(s.get_ref()).is_some());
        if let (false, true, Some(given)) = (term.entire, term.weight != 0.0, given) {
            let given = given.get_ref();
            all.push(line(d.at(&term.task), format!(
                "the fusion adds the score of \"{name}\" given \"{given}\", as if every candidate had it: set entire = true for its value per impression"
            )));
        }
        if term.weight > 0.0 && task.is_some_and(|t| t.feedback == Feedback::Negative) {
            all.push(line(d.at(&term.task), format!(
                "\"{name}\" is negative feedback, and the fusion rises with it: give it a weight below 0"
            )));
        }
    }
    // A description that was read has no mistake in its formula.
    if let (Ok(Some(formula)), Some(text)) = (d.formula(), &d.toml.fusion.formula) {
        let negative = d.toml.task.iter().map(|t| t.feedback == Feedback::Negative);
        let negative: Vec<bool> = negative.collect();
        let found = of_formula(&formula, &d.outline(), &negative);
        all.extend(found.into_iter().map(|message| line(d.at(text), message)));
    }
    all
}

/// Warnings about a formula for models like `spec`, of whose tasks these are negative feedback.
pub fn of_formula(formula: &Formula, spec: &Spec<'_>, negative: &[bool]) -> Vec<String> {
    let name = |task: usize| spec.tasks[task].name;
    let conditional = unguarded(formula, spec).into_iter().map(|task| {
        let given = spec.tasks[task].given.map_or("", |g| name(usize::from(g)));
        format!(
            "the formula adds the score of \"{0}\" given \"{given}\", as if every candidate had it: write entire({0}) for its value per impression",
            name(task)
        )
    });
    let rising = (0..spec.tasks.len())
        .filter(|t| negative.get(*t) == Some(&true) && direction(formula, *t).rises);
    let rising = rising.map(|task| {
        format!(
            "\"{}\" is negative feedback, and the fused score may rise with it: subtract it, or bound its weight by 0",
            name(task)
        )
    });
    conditional.chain(rising).collect()
}
