//! From the scores of several tasks to the one number that orders the list.
//!
//! fused = sum over terms of weight x value, added in the order of the terms. A term's value is its task's score, or,
//! if the term is `entire`, that score times the scores it is conditional on: p(click) x E[seconds | click] is
//! seconds per impression, and only per-impression values of different tasks may be added.

#[cfg(feature = "formula")]
pub mod formula;

use crate::spec::{Spec, Term};

/// Values below this are taken as 0, so that no product with a weight is subnormal.
const LEAST: f32 = 1.0 / (1u64 << 60) as f32;

/// The score of `task` per impression: multiplied by the scores of the tasks it is given.
pub fn entire(spec: &Spec<'_>, scores: &[f32], task: usize) -> f32 {
    let score = |task: usize| scores.get(task).copied().unwrap_or(0.0);
    let mut value = score(task);
    let mut at = task;
    // `given` names an earlier task, so this ends.
    while let Some(given) = spec.tasks.get(at).and_then(|t| t.given) {
        at = usize::from(given);
        value *= score(at);
        if value < LEAST {
            return 0.0;
        }
    }
    value
}

fn value(spec: &Spec<'_>, term: &Term<'_>, scores: &[f32]) -> f32 {
    let task = usize::from(term.task);
    let value = if term.entire {
        entire(spec, scores, task)
    } else {
        scores.get(task).copied().unwrap_or(0.0)
    };
    if value < LEAST { 0.0 } else { value }
}

/// A bit for each task.
pub type TaskSet = u16;

const _: () = assert!(crate::spec::limits::TASKS <= TaskSet::BITS as usize);

/// Tasks that a fused score depends on: of terms whose weight is not 0, with what they are given if the term is entire, and
/// those that feed them. `order` has each task behind what feeds it.
pub fn live(spec: &Spec<'_>, order: &[u8], weights: Option<&[f32]>) -> TaskSet {
    let mut live: TaskSet = 0;
    for (i, term) in spec.fusion.iter().enumerate() {
        if weight(term, i, weights) != 0.0 {
            let mut task = Some(term.task);
            while let Some(at) = task {
                live |= 1 << at;
                let given = spec.tasks.get(usize::from(at)).and_then(|t| t.given);
                task = if term.entire { given } else { None };
            }
        }
    }
    with_feeding(spec, order, live)
}

/// Those tasks and all that feed them.
pub(crate) fn with_feeding(spec: &Spec<'_>, order: &[u8], mut live: TaskSet) -> TaskSet {
    for task in order.iter().rev() {
        if let (true, Some(task)) = (live & 1 << *task != 0, spec.tasks.get(usize::from(*task))) {
            for fed in &task.inputs {
                live |= 1 << fed.task;
            }
        }
    }
    live
}

fn weight(term: &Term<'_>, i: usize, weights: Option<&[f32]>) -> f32 {
    let given = weights.and_then(|w| w.get(i)).copied();
    given.unwrap_or(term.weight)
}

/// The fused score of one candidate; `weights` replace the terms' own, in order. Writes what each term adds to `terms`, which
/// may be empty.
pub fn fuse(spec: &Spec<'_>, weights: Option<&[f32]>, scores: &[f32], terms: &mut [f32]) -> f32 {
    let mut sum = 0.0;
    for (i, term) in spec.fusion.iter().enumerate() {
        let value = weight(term, i, weights) * value(spec, term, scores);
        if let Some(to) = terms.get_mut(i) {
            *to = value;
        }
        sum += value;
    }
    sum
}
