//! The fusion's weights from a log: those that maximise a reward of its rows while others stay where they must.
//!
//! The file scores every row once. From there weights cost an order a list: the rows of a list are ordered by their fused
//! scores and count by the rank they get ([`mod@placement`]), so the value of weights is a mean of rewards. [`search`] finds the
//! weights on the first part of the log's lists; everything that is reported is measured on the rest, which the search has not
//! seen, with intervals over lists ([`interval`]).
//!
//! Memory is that of reading the log, and for each row of a list 4 bytes a task and 8 a reward.
use std::path::Path;
use std::prelude::v1::*;

use crate::engine::Model;
use crate::fusion::formula::Formula;
use crate::train::description::Description;
use crate::train::error::{Error, Kind, Result};

pub mod formula;
pub mod fuser;
mod goals;
pub mod interval;
pub mod placement;
mod plot;
pub mod read;
pub mod report;
pub mod reward;
pub mod sample;
pub mod search;

use formula::{Inputs, Learned, OfFormula};
use fuser::{Fuser, Terms};
use goals::Goals;
use interval::bootstrap;
use placement::Placement;
pub use report::{Kept, Part, Policy, Report, write};
use reward::Reward;
use sample::{Sample, Values};
use search::{Point, Problem};

/// Effective rows below which a randomised slice says too little.
pub const EFFECTIVE_MIN: f64 = 500.0;
/// Draws of the intervals.
pub const DRAWS: u64 = 1000;
/// Points of the front.
const FRONT_POINTS: usize = 12;

/// What to tune, on what.
#[derive(Clone, Debug)]
pub struct Options<'o> {
    /// As [`Description::logs`] takes it.
    pub data: Option<&'o Path>,
    /// What is maximised.
    pub maximise: &'o str,
    /// What must hold.
    pub subject_to: &'o [String],
    /// A reward for the front's other axis, of which more is better; the first constraint's if absent.
    pub pareto: Option<&'o str>,
    /// Which rows were shown in uniformly random order: an expression. Without it, replay.
    pub random: Option<&'o str>,
    /// Column of the position; rows stand in the order shown without it.
    pub position: Option<&'o str>,
    /// All requests instead of the description's validation part.
    pub all: bool,
    /// A list is all rows of a user in a part of the log instead of those of a request.
    pub by_user: bool,
    /// Share of the requests, the last ones, that is reported on.
    pub held_out: f64,
    /// Weights that constraints and differences start from; the file's if absent.
    pub current: Option<&'o [f32]>,
    /// A formula whose weights are tuned; that of the file, or its terms, if absent.
    pub formula: Option<&'o Formula<'o>>,
    /// Hidden units of a fusion that is learned from the same lists and held against the tuned one.
    pub learn: Option<usize>,
    /// Standard errors that are taken off the gain, and by which a constraint must be kept.
    pub margin: f64,
    /// Counts above this are cut.
    pub clip: f64,
    /// Searches from different places.
    pub starts: usize,
    /// Of the search and the intervals.
    pub seed: u64,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            data: None,
            maximise: "",
            subject_to: &[],
            pareto: None,
            random: None,
            position: None,
            all: false,
            by_user: false,
            held_out: 0.3,
            current: None,
            formula: None,
            learn: None,
            margin: 1.0,
            clip: 10.0,
            starts: 3,
            seed: 1,
        }
    }
}

/// Finds weights of an exported file's fusion on a log; `file` is where `model` was opened from.
///
/// # Errors
/// Those of reading; [`Kind::Description`] for options that contradict; [`Kind::Refused`] for a randomised slice of fewer
/// than [`EFFECTIVE_MIN`] effective rows and for constraints that no weights keep.
pub fn tune(
    d: &Description,
    (model, file): (&Model<'_>, &Path),
    options: &Options<'_>,
) -> Result<Report> {
    goals::check(options)?;
    let goals = Goals::parse(options)?;
    let rewards: Vec<&Reward> = goals.rewards.iter().collect();
    let formula = options
        .formula
        .or(model.formula().map(|f| f as &Formula<'_>));
    let inputs = Inputs::new(d, model, formula, options.learn.is_some())?;
    let lists = read::lists(d, (model, file), options, &rewards, &inputs)?;
    let tasks: Vec<&str> = model.spec().tasks.iter().map(|t| t.name).collect();
    let width = tasks.len() + inputs.width();
    match formula {
        Some(formula) => {
            let fuser = OfFormula::new(formula, tasks.len(), width);
            found(&fuser, &tasks, &inputs, &lists, &goals, options)
        }
        None => {
            let fuser = Terms::new(model.spec(), lists.parts[0].scores(), width);
            found(&fuser, &tasks, &inputs, &lists, &goals, options)
        }
    }
}

/// How rows count, how positions are examined, and what that is called.
fn placement(parts: &[Sample; 2], options: &Options<'_>) -> (Placement, Vec<f64>, String) {
    let len_max = parts.iter().flat_map(Sample::lengths).max().unwrap_or(0);
    if options.random.is_none() {
        let name = "replay: mean reward of the logged rows, weighted by 1 / log2(1 + rank) in the order of the weights; no causal estimate";
        return (Placement::replay(len_max), Vec::new(), name.into());
    }
    let mut examination = placement::examination(&parts[0].by_position());
    // A position that only the later lists have is examined as the last one.
    let last = examination.last().copied().unwrap_or(1.0);
    examination.resize(len_max, last);
    let placement = Placement::position_based(&examination, options.clip);
    let name = "position-based, clipped, self-normalised inverse propensity on lists in random order: mean reward of their rows in the order of the weights";
    (placement, examination, name.into())
}

/// What puts rows in order.
enum Order {
    Weights(Vec<f32>),
    Task(usize),
    Learned(Learned),
}

fn found(
    fuser: &dyn Fuser,
    tasks: &[&str],
    inputs: &Inputs,
    lists: &read::Lists,
    goals: &Goals,
    options: &Options<'_>,
) -> Result<Report> {
    let [searched, rest] = &lists.parts;
    let (placement, examination, estimator) = placement(&lists.parts, options);
    let parts = [searched, rest].map(|sample| Part {
        lists: sample.lists(),
        rows: sample.rows(),
        effective: placement.effective(sample.lengths()),
    });
    enough(&parts, options)?;
    let from = current(fuser, options)?;
    let problem = Problem {
        fuser,
        sample: searched,
        placement: &placement,
        checks: &goals.checks,
        current: &searched.values(&placement, fuser, &from),
        from: &from,
        margin: options.margin,
    };
    let mut seen: Vec<Point> = Vec::new();
    let best = best(&problem, options, &mut seen)?;
    if let Some(against) = goals.against {
        problem.along_front(against, options.seed, &mut |p| seen.push(p.clone()));
    }
    let looked_at = seen.len();
    let front = goals.against.map_or(Vec::new(), |against| {
        seen.push(best.clone());
        search::front(seen, against, FRONT_POINTS)
    });
    let equal = fuser.weights().iter().map(|w| match w.default < 0.0 {
        true => -1.0,
        false => 1.0,
    });
    let description = fuser.describe(&best.weights);
    let mut orders = vec![
        ("current", Order::Weights(from.clone())),
        ("tuned", Order::Weights(best.weights)),
        ("equal weights", Order::Weights(equal.collect())),
    ];
    let mut learned_text = None;
    if let Some(units) = options.learn {
        let learned = learned(searched, &examination, inputs, (units, options.seed));
        learned_text = Some(learned.text.clone());
        orders.push(("learned", Order::Learned(learned)));
    }
    let alone = tasks.iter().enumerate();
    orders.extend(alone.map(|(t, name)| (*name, Order::Task(t))));
    let named = orders.len();
    orders.extend(
        front
            .into_iter()
            .map(|p| ("front", Order::Weights(p.weights))),
    );

    let values = |sample: &Sample, order: &Order| match order {
        Order::Weights(weights) => sample.values(&placement, fuser, weights),
        Order::Task(task) => sample.values_of_task(&placement, *task),
        Order::Learned(learned) => {
            let value = |row: &[f32]| learned.network.value(row);
            sample.values_of(&placement, inputs.learned.len(), &value)
        }
    };
    let held: Vec<Values> = orders
        .iter()
        .map(|(_, order)| values(rest, order))
        .collect();
    let kept = goals.checks.iter().zip(&goals.constraints);
    let kept = kept.map(|(check, constraint)| {
        let (slack, error) = check.slack(&held[1], &held[0]);
        Kept {
            constraint: constraint.text.clone(),
            slack,
            error,
        }
    });
    let kept = kept.collect();
    let measured = bootstrap(&held, goals.rewards.len(), DRAWS, options.seed);
    let policies = orders.into_iter().zip(measured);
    let mut policies: Vec<Policy> = policies
        .map(|((name, order), measured)| {
            let values = values(searched, &order);
            Policy {
                name: name.into(),
                searched: (0..goals.rewards.len()).map(|r| values.mean(r)).collect(),
                weights: match order {
                    Order::Weights(weights) => Some(weights),
                    Order::Task(_) | Order::Learned(_) => None,
                },
                measured,
            }
        })
        .collect();
    let front = policies.split_off(named);
    let mut report = Report {
        estimator,
        causal: options.random.is_some(),
        parts,
        single: lists.single,
        examination,
        rewards: goals.rewards.iter().map(|r| r.text.clone()).collect(),
        weights: fuser.weights().iter().map(|w| w.name.clone()).collect(),
        looked_at,
        policies,
        kept,
        front_reward: goals.against.map(|a| a.0),
        front,
        description,
        learned: learned_text,
        plot: None,
    };
    report.plot = plot::front(&report)?;
    Ok(report)
}

/// A fusion learned from the lists that are searched.
fn learned(
    sample: &Sample,
    examination: &[f64],
    inputs: &Inputs,
    (units, seed): (usize, u64),
) -> Learned {
    let (values, utilities) = sample.learnable(inputs.learned.len(), examination);
    let lists = crate::train::learned::Lists {
        offsets: sample.offsets(),
        inputs: &values,
        utilities: &utilities,
    };
    formula::learn(&lists, &inputs.learned, units, seed)
}

/// The weights that constraints and differences start from.
fn current(fuser: &dyn Fuser, options: &Options<'_>) -> Result<Vec<f32>> {
    let weights = fuser.weights();
    let from: Vec<f32> = match options.current {
        Some(weights) => weights.to_vec(),
        None => weights.iter().map(|w| w.default as f32).collect(),
    };
    let message = if let Some(weight) = from.iter().find(|w| !w.is_finite()) {
        format!("--current has a weight {weight}; finite numbers")
    } else if from.len() != weights.len() {
        let (given, terms) = (from.len(), weights.len());
        format!("--current has {given} weights; the fusion has {terms}")
    } else if weights.iter().all(|w| w.fixed) {
        String::from("the fusion has one term, whose weight orders nothing; give it more")
    } else {
        return Ok(from);
    };
    Err(Error::new(Kind::Description, message))
}

/// The best weights, which keep every constraint.
fn best(problem: &Problem<'_>, options: &Options<'_>, seen: &mut Vec<Point>) -> Result<Point> {
    let mut see = |p: &Point| seen.push(p.clone());
    let best = problem.best(options.starts.max(1), options.seed, &mut see);
    if best.missing > 0.0 {
        let message = format!(
            "no weights keep {} by {} standard errors on the {} lists searched; the nearest are off by {:.2} % of the current value. Loosen it, lower --margin or bring more rows",
            options.subject_to.join(" and "),
            options.margin,
            problem.sample.lists(),
            best.missing * 100.0
        );
        return Err(Error::new(Kind::Refused, message));
    }
    Ok(best)
}

/// Whether both parts can say something.
fn enough(parts: &[Part; 2], options: &Options<'_>) -> Result<()> {
    for (part, name) in parts.iter().zip(["to search", "to report on"]) {
        if part.lists == 0 {
            let message = match options.random {
                Some(text) => format!("no list {name} of two rows or more in which {text}"),
                None => format!(
                    "no list {name} of two rows or more; --lists user makes one of all rows of a user"
                ),
            };
            return Err(Error::new(Kind::Data, message));
        }
        if options.random.is_some() && part.effective < EFFECTIVE_MIN {
            let message = format!(
                "the lists in random order {name} are worth {:.0} rows ({} lists, {} rows), of at least {EFFECTIVE_MIN}; bring a longer log or more of it in random order",
                part.effective, part.lists, part.rows
            );
            return Err(Error::new(Kind::Refused, message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
