//! What a description may say, but hardly means.
use std::prelude::v1::*;

use crate::train::description::Description;

/// Warnings, one a line.
pub fn warnings(d: &Description) -> Vec<String> {
    let given = |task: usize| {
        let space = d.toml.task[task].space.as_ref()?;
        d.task(space.get_ref())
    };
    let mut all = Vec::new();
    for term in &d.toml.fusion.term {
        let name = term.task.get_ref();
        let given = d.task(name).and_then(given);
        if let (false, true, Some(given)) = (term.entire, term.weight != 0.0, given) {
            let given = d.toml.task[given].name.get_ref();
            all.push(format!(
                "{}:{}: the fusion adds the score of \"{name}\" given \"{given}\", as if every candidate had it: set entire = true for its value per impression",
                d.file.display(),
                d.at(&term.task)
            ));
        }
    }
    all
}
