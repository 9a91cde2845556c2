//! Losses of whole requests: between the forward pass of a batch and its backward pass, when all logits are there.
//!
//! A batch is cut into shards by rows, so a request may lie in two. Requests are computed in parallel, each alone, and added
//! in their order: the bits do not depend on threads.
use std::prelude::v1::*;

use core::ops::Range;

use rayon::prelude::*;

use super::{Plan, Shard};
use crate::train::dataset::TaskData;
use crate::train::loss::list::{self, ListLoss};
use crate::train::network::forward::SHARD_ROWS;
use crate::train::options::TaskOptions;
use crate::train::real::Real;

/// What a task learns of a request as a whole.
#[derive(Clone, Copy)]
enum Term {
    Loss(ListLoss),
    /// The order of its teacher, at a temperature.
    Teacher(f64),
}

/// What a task learns of whole requests, and its share of the task's loss.
fn term(task: &TaskOptions) -> Option<(Term, f64)> {
    let taught = task.teaching.filter(|t| t.pairs);
    let taught = taught.map(|t| (Term::Teacher(t.temperature), t.weight));
    let learnt = task.list.map(|l| (Term::Loss(l), l.share()));
    learnt.or(taught)
}

/// Share of its rows' own losses in a task's loss.
pub(super) fn row_share(task: &TaskOptions) -> f64 {
    term(task).map_or(1.0, |(_, share)| 1.0 - share)
}

impl Term {
    /// What the loss is held against at a row; `None`: the row takes no part.
    fn target(self, data: &TaskData, row: usize) -> Option<f64> {
        let inside = data.weights[row] > 0.0;
        let value = match self {
            Term::Loss(_) => data.labels.get(row),
            Term::Teacher(_) => data.teacher.get(row).filter(|t| !t.is_nan()),
        };
        value.filter(|_| inside).map(|v| f64::from(*v))
    }

    fn counts(self, targets: &[f64]) -> bool {
        match self {
            Term::Loss(loss) => loss.counts(targets),
            Term::Teacher(_) => targets.len() > 1,
        }
    }

    /// The loss of a request and its derivatives by logits and levels.
    fn of(self, z: &[f64], levels: &[f64], targets: &[f64]) -> Option<(f64, Vec<f64>, Vec<f64>)> {
        let mut d = vec![0.0; z.len()];
        let mut d_levels = vec![0.0; levels.len()];
        let loss = match self {
            Term::Teacher(temperature) => list::as_taught(z, targets, temperature, &mut d),
            Term::Loss(ListLoss::Pairwise) => list::pairwise(z, targets, &mut d),
            Term::Loss(ListLoss::ListNet) => list::list_net(z, targets, &mut d),
            Term::Loss(ListLoss::Softmax) => list::softmax(z, targets, &mut d),
            Term::Loss(ListLoss::LambdaRank(places)) => {
                list::lambda_rank(z, targets, places, &mut d)
            }
            Term::Loss(ListLoss::RegressionCompatible(_)) => {
                list::regression_compatible(z, targets, &mut d)
            }
            Term::Loss(ListLoss::Jrc(_)) => list::jrc(z, levels, targets, &mut d, &mut d_levels),
        };
        loss.map(|loss| (loss, d, d_levels))
    }
}

/// The requests of a batch, by places in it; none if no task asks for them.
pub(super) struct Requests(Vec<Range<usize>>);

/// The rows of a request that take part: places in the batch, and what the loss is held against.
pub(super) struct Members {
    places: Vec<usize>,
    targets: Vec<f64>,
}

impl Requests {
    pub fn new(plan: &Plan<'_>, rows: &[u32]) -> Self {
        if plan.tasks.iter().all(|task| term(task).is_none()) {
            return Self(Vec::new());
        }
        let of = |row: &u32| plan.data.request.get(*row as usize);
        let mut begin = 0;
        let requests = rows.chunk_by(|a, b| of(a) == of(b)).map(|request| {
            let range = begin..begin + request.len();
            begin = range.end;
            range
        });
        Self(requests.collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The requests that count in a task's loss over lists.
    pub fn of(&self, plan: &Plan<'_>, rows: &[u32], task: usize) -> Vec<Members> {
        let Some((term, _)) = term(&plan.tasks[task]) else {
            return Vec::new();
        };
        let data = &plan.data.tasks[task];
        let members = |range: &Range<usize>| {
            let target = |place: usize| Some((place, term.target(data, rows[place] as usize)?));
            let (places, targets) = range.clone().filter_map(target).unzip();
            let members = Members { places, targets };
            term.counts(&members.targets).then_some(members)
        };
        self.0.iter().filter_map(members).collect()
    }

    /// Adds the derivatives of every task's loss over lists to those of the shards' logits; by task, the losses.
    pub fn add<R: Real>(&self, plan: &Plan<'_>, rows: &[u32], shards: &mut [Shard<R>]) -> Vec<f64> {
        let tasks = plan.tasks.len();
        let mut losses = vec![0.0; tasks];
        for (t, task) in plan.tasks.iter().enumerate() {
            let Some((term, share)) = term(task).filter(|_| task.weight != 0.0) else {
                continue;
            };
            let at = |place: usize| (place % SHARD_ROWS) * tasks + t;
            let all = self.of(plan, rows, t);
            let factor = task.weight * share / all.len().max(1) as f64;
            let computed = all.par_iter().map(|members| {
                let of = |values: &dyn Fn(&Shard<R>) -> &[R]| -> Vec<f64> {
                    let value = |place: &usize| {
                        let values = values(&shards[place / SHARD_ROWS]);
                        values.get(at(*place)).map(|z| z.to_f64())
                    };
                    members.places.iter().filter_map(value).collect()
                };
                let (z, levels) = (
                    of(&|s| &s.activations.logits),
                    of(&|s| &s.activations.levels),
                );
                term.of(&z, &levels, &members.targets)
            });
            let computed: Vec<_> = computed.collect();
            for (members, computed) in all.iter().zip(computed) {
                let Some((loss, d, d_levels)) = computed else {
                    continue;
                };
                losses[t] += loss * factor;
                for (i, place) in members.places.iter().enumerate() {
                    let g = &mut shards[place / SHARD_ROWS].gradients;
                    g.logits[at(*place)] += R::from_f64(d[i] * factor);
                    if let (Some(level), Some(d)) = (g.levels.get_mut(at(*place)), d_levels.get(i))
                    {
                        *level += R::from_f64(d * factor);
                    }
                }
            }
        }
        losses
    }
}
