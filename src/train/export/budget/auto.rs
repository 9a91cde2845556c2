//! The other way round: as few bytes as a budget of loss allows.
//!
//! ```text
//! every table alone at 4 bits -> tables in the order of loss a byte saved -> each is taken if every task stays within the budget
//! ```
use std::prelude::v1::*;

use super::{Alone, Plan, Planned, planned};
use crate::spec::Table;
use crate::train::error::Result;
use crate::train::export::Run;

/// The model of `run` with as many tables packed, those of stated bits apart, as leave every task's loss on the calibration
/// requests at most `auc_budget`, or what it is as described. A table is taken if it is so with all taken before, so losses that add
/// up, or noise in one of them, never go beyond the budget on these rows.
pub(in crate::train::export) fn within<'r>(
    run: &mut Run<'r>,
    auc_budget: f64,
) -> Result<Planned<'r>> {
    let described = Plan {
        packed: run.spec.tables.iter().map(Table::is_packed).collect(),
        floors: vec![0; run.spec.tables.len()],
    };
    let mut logits = None;
    let (bytes_before, before) = described.measure(run, &mut logits)?;
    let alone = Alone::measure(run, &described, (bytes_before, &before), &mut logits)?;
    let (mut plan, mut after) = (described.clone(), before.clone());
    for (_, _, t) in &alone.order {
        plan.packed[*t] = true;
        let (_, lost) = plan.measure(run, &mut logits)?;
        let mut tasks = before.iter().zip(&lost);
        let fits = |(b, l): (&Option<f64>, &Option<f64>)| {
            l.is_none_or(|l| l <= b.unwrap_or(0.0).max(auc_budget))
        };
        if tasks.all(fits) {
            after = lost;
        } else {
            plan.packed[*t] = false;
        }
    }
    let mut planned = planned(run, [&described, &plan], &alone, [before, after])?;
    planned.report.bytes_before = bytes_before;
    Ok(planned)
}
