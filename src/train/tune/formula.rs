//! A formula as what is tuned, and as what is learned: both read a row's inputs, which no weight changes.
//!
//! The engine computes the inputs once, ranks within the request and quantiles included, as the terms of a formula that has
//! nothing else.
use core::fmt::Write;
use std::prelude::v1::*;

use super::fuser::{Fuser, Weight};
use crate::engine::Model;
use crate::fusion::formula::{self as device, Input, LANES};
use crate::spec::Spec;
use crate::train::description::{Description, Feedback};
use crate::train::error::{Error, Kind, Result};
use crate::train::formula;
use crate::train::learned::{self, Network};

/// Which inputs rows have behind their task scores: first those of the formula, then those that a learned fusion reads.
pub struct Inputs {
    /// The file of the formula whose terms they are; empty without one.
    pub file: Vec<u8>,
    /// How many the formula reads.
    pub of_formula: usize,
    /// Names of the others, and whether more is better.
    pub learned: Vec<(String, f64)>,
}

impl Inputs {
    /// Those of `formula`, and with `learn` a quantile of every task.
    ///
    /// # Errors
    /// [`Kind::Description`] if the file has no quantiles to learn from, or there are too many inputs.
    pub fn new(
        d: &Description,
        model: &Model<'_>,
        formula: Option<&device::Formula<'_>>,
        learn: bool,
    ) -> Result<Self> {
        let spec = model.spec();
        let read = formula.map_or(&[][..], |f| f.inputs());
        let mut names: Vec<String> = read.iter().map(|i| name(spec, *i)).collect();
        let tasks = d.toml.task.iter().filter(|_| learn);
        let learned: Vec<(String, f64)> = tasks
            .map(|t| {
                let sign = if t.feedback == Feedback::Negative {
                    -1.0
                } else {
                    1.0
                };
                (format!("quantile(`{}`)", t.name.get_ref()), sign)
            })
            .collect();
        names.extend(learned.iter().map(|(name, _)| name.clone()));
        let file = match names.is_empty() {
            true => Vec::new(),
            false => file(model, &names.join(" + "))?,
        };
        Ok(Self {
            file,
            of_formula: read.len(),
            learned,
        })
    }

    /// Values of a row behind its task scores.
    pub fn width(&self) -> usize {
        self.of_formula + self.learned.len()
    }
}

fn file(model: &Model<'_>, text: &str) -> Result<Vec<u8>> {
    let wrong = |why: String| Error::new(Kind::Description, why);
    let compiled = formula::Formula::compile(text, model.spec(), &[]);
    let compiled = compiled.map_err(|e| wrong(format!("the fusion's inputs: {}", e.message)))?;
    let file = compiled
        .file()
        .map_err(|e| wrong(format!("the fusion's inputs: {:?}", e.status)))?;
    if model.open_formula(&file).is_ok() {
        return Ok(file);
    }
    let message = "a learned fusion reads quantiles, which the file does not have; export it with [export] quantiles = true";
    Err(wrong(message.into()))
}

fn name(spec: &Spec<'_>, input: Input) -> String {
    match input {
        Input::Feature(i) => format!("`{}`", spec.features[usize::from(i)].name),
        Input::Score { task, entire, form } => {
            let task = format!("`{}`", spec.tasks[usize::from(task)].name);
            let of = if entire {
                format!("entire({task})")
            } else {
                task
            };
            match form {
                device::Form::Raw => format!("raw({of})"),
                device::Form::Calibrated => of,
                device::Form::Rank => format!("rank({of})"),
                device::Form::Quantile => format!("quantile({of})"),
            }
        }
    }
}

/// The weights of a formula.
pub struct OfFormula<'f> {
    formula: &'f device::Formula<'f>,
    weights: Vec<Weight>,
    tasks: usize,
    width: usize,
}

impl<'f> OfFormula<'f> {
    /// Of rows with so many task scores and, in all, so many values.
    pub fn new(formula: &'f device::Formula<'f>, tasks: usize, width: usize) -> Self {
        let weight = |w: &device::Weight<'_>| Weight {
            name: w.name.to_string(),
            default: w.value.into(),
            range: [w.least.into(), w.most.into()],
            // By its ratios where 0 is out of the range.
            log: w.least > 0.0 || w.most < 0.0,
            fixed: w.least == w.most,
        };
        Self {
            weights: formula.weights().iter().map(weight).collect(),
            formula,
            tasks,
            width,
        }
    }
}

impl Fuser for OfFormula<'_> {
    fn weights(&self) -> &[Weight] {
        &self.weights
    }

    fn fuse(&self, weights: &[f32], rows: &[f32], fused: &mut [f32]) {
        let rows: Vec<&[f32]> = rows.chunks_exact(self.width).collect();
        for (rows, fused) in rows.chunks(LANES).zip(fused.chunks_mut(LANES)) {
            let mut first = true;
            device::run(
                self.formula.code(),
                &mut |input, to| {
                    for (to, row) in to.iter_mut().zip(rows) {
                        *to = row[self.tasks + usize::from(input)];
                    }
                },
                &|weight| weights[usize::from(weight)],
                &mut |values| {
                    for (sum, value) in fused.iter_mut().zip(values) {
                        *sum = match first {
                            true => *value,
                            false => device::settle(*sum + *value),
                        };
                    }
                    first = false;
                },
            );
        }
    }

    fn describe(&self, weights: &[f32]) -> String {
        let mut text = format!(
            "\n[fusion]\nformula = {:?}\n\n[fusion.weights]\n",
            self.formula.text()
        );
        for (w, value) in self.formula.weights().iter().zip(weights) {
            let (name, least, most) = (w.name, w.least, w.most);
            let _ = writeln!(
                text,
                "{name:?} = {{ value = {value:?}, min = {least:?}, max = {most:?} }}"
            );
        }
        text
    }
}

/// A fusion that was learned from lists of rows: its network, and the formula that it is.
pub struct Learned {
    /// The network.
    pub network: Network,
    /// Its formula.
    pub text: String,
}

/// Learns from rows of `width` values, the last ones those of `inputs`.
pub fn learn(
    lists: &learned::Lists<'_>,
    inputs: &[(String, f64)],
    units: usize,
    seed: u64,
) -> Learned {
    let options = learned::Options {
        units,
        seed,
        ..learned::Options::default()
    };
    let signs: Vec<f64> = inputs.iter().map(|(_, sign)| *sign).collect();
    let names: Vec<String> = inputs.iter().map(|(name, _)| name.clone()).collect();
    let network = learned::learn(lists, &signs, &options);
    Learned {
        text: network.text(&names),
        network,
    }
}
