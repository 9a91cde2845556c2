//! Formulas as text: parsed, checked with the position of every mistake, compiled for the device, and evaluated here.
//!
//! ```text
//! wc * click + wd * entire(duration) * (length >= 10) + wl * quantile(like) ^ 0.5 - skip
//! ```
//!
//! A name is a weight, a task (its served score) or a number feature. What a task's score is before calibration, in the
//! request and among all impressions is `raw(task)`, `rank(task)` and `quantile(task)`; `entire(task)` is per impression, alone
//! or within those. `docs/fusion.md` has all functions.
use std::prelude::v1::*;

use crate::error::Result as CoreResult;
use crate::format::Writer;
use crate::fusion::formula::{
    self as device, CODE_BYTES, COST, Code, DEPTH, FormulaHead, Input, Op, Range, Term,
};
use crate::spec::Spec;
use crate::train::expression::Mistake;
use parse::{Node, Syntax, mistake};

mod lint;
mod parse;
mod scope;
mod tree;

pub use lint::{Direction, direction, unguarded};
use scope::Scope;
pub use tree::{Leaf, Tree};

/// A weight of a formula.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    /// Unique name.
    pub name: String,
    /// Its value unless a request has another.
    pub value: f32,
    /// Least value of a request.
    pub least: f32,
    /// Greatest value of a request.
    pub most: f32,
}

/// A formula that was checked against a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Formula {
    /// Its text.
    pub text: String,
    /// Inputs by place in the model.
    pub inputs: Vec<Input>,
    /// Weights, in the order in which they were declared.
    pub weights: Vec<Weight>,
    /// Addends, with the bytes of the text that each takes.
    pub terms: Vec<(core::ops::Range<usize>, Tree)>,
    /// Names of the inputs' tasks and features.
    names: Vec<String>,
}

impl Formula {
    /// Parses and checks `text` for models like `spec`, with these weights.
    ///
    /// # Errors
    /// The first mistake: grammar, an unknown or doubtful name, a value that could be NaN or infinite, a program that the device
    /// would refuse for its size, depth or cost.
    pub fn compile(text: &str, spec: &Spec<'_>, weights: &[Weight]) -> Result<Self, Mistake> {
        let start = |message: String| mistake(text, 0, message);
        if text.len() > device::TEXT_BYTES {
            return Err(start(format!(
                "the formula has {} bytes; at most {}",
                text.len(),
                device::TEXT_BYTES
            )));
        }
        if weights.len() > device::WEIGHTS {
            return Err(start(format!(
                "there are {} weights; at most {}",
                weights.len(),
                device::WEIGHTS
            )));
        }
        let mut scope = Scope {
            text,
            spec,
            weights,
            inputs: Vec::new(),
        };
        let mut addends = Vec::new();
        split(parse::parse(text)?, false, &mut addends);
        let mut terms: Vec<(core::ops::Range<usize>, Tree)> = Vec::new();
        let mut sum: Option<Range> = None;
        for (syntax, negative) in addends {
            let mut tree = scope.tree(&syntax)?;
            if negative {
                tree = scope.operation(&syntax, Op::Neg, vec![tree])?;
            }
            let total = match sum {
                Some(sum) => Range::of(Op::Add, [sum, tree.range, Range::UNIT]),
                None => Some(tree.range),
            };
            sum = Some(total.ok_or_else(|| {
                mistake(
                    text,
                    syntax.span.start,
                    "the sum may grow beyond 2^100".into(),
                )
            })?);
            terms.push((syntax.span, tree));
        }
        if terms.len() > device::TERMS {
            return Err(start(format!(
                "the formula has {} terms; at most {}: put some in parentheses",
                terms.len(),
                device::TERMS
            )));
        }
        if scope.inputs.len() > device::INPUTS {
            return Err(start(format!(
                "the formula has {} inputs; at most {}",
                scope.inputs.len(),
                device::INPUTS
            )));
        }
        let formula = Self {
            names: scope.inputs.iter().map(|i| name_of(spec, *i)).collect(),
            text: text.to_string(),
            inputs: scope.inputs,
            weights: weights.to_vec(),
            terms,
        };
        let code = formula.code();
        if code.len() > CODE_BYTES {
            return Err(start(format!(
                "the program has {} bytes; at most {CODE_BYTES}",
                code.len()
            )));
        }
        if formula.cost() > COST {
            return Err(start(format!(
                "a candidate costs {} additions; at most {COST}",
                formula.cost()
            )));
        }
        if let Some(deep) = formula
            .terms
            .iter()
            .map(|(_, t)| t.depth())
            .find(|d| *d > DEPTH)
        {
            return Err(start(format!(
                "a term keeps {deep} values at a time; at most {DEPTH}: compute what is deep first"
            )));
        }
        Ok(formula)
    }

    /// Whether a weight of this name is in it.
    pub fn uses(&self, name: &str) -> bool {
        let i = self.weights.iter().position(|w| w.name == name);
        i.is_some_and(|i| self.terms.iter().any(|(_, t)| t.has(Leaf::Weight(i))))
    }

    /// Bytes of its programs.
    pub fn code(&self) -> Vec<u8> {
        let mut code = Vec::new();
        for (_, tree) in &self.terms {
            tree.write(&mut code);
            Code::End.write(&mut code);
        }
        code
    }

    /// What a candidate costs, in additions.
    pub fn cost(&self) -> u32 {
        self.terms.iter().map(|(_, t)| t.cost() + 1).sum()
    }

    /// Its records, for a section of a model file.
    ///
    /// # Errors
    /// Those of [`Writer::record`], for names over the limit.
    pub fn section(&self) -> CoreResult<Writer> {
        let mut writer = Writer::default();
        let code = self.code();
        writer.record(&FormulaHead {
            text: self.text.len() as u16,
            inputs: self.inputs.len() as u8,
            weights: self.weights.len() as u8,
            terms: self.terms.len() as u8,
            code: code.len() as u16,
        })?;
        writer.bytes(self.text.as_bytes());
        for (input, name) in self.inputs.iter().zip(&self.names) {
            writer.record(&match *input {
                Input::Score { entire, form, .. } => device::Named::Score {
                    task: name,
                    entire,
                    form,
                },
                Input::Feature(_) => device::Named::Feature { feature: name },
            })?;
        }
        for w in &self.weights {
            let Weight {
                name,
                value,
                least,
                most,
            } = w;
            let (value, least, most) = (*value, *least, *most);
            writer.record(&device::Weight {
                name,
                value,
                least,
                most,
            })?;
        }
        for (span, _) in &self.terms {
            writer.record(&Term {
                start: span.start as u16,
                end: span.end as u16,
            })?;
        }
        writer.bytes(&code);
        Ok(writer)
    }

    /// A file of its own, to be shipped apart.
    ///
    /// # Errors
    /// Those of [`section`](Self::section).
    pub fn file(&self) -> CoreResult<Vec<u8>> {
        let section = self.section()?;
        let body = section.as_bytes();
        let length = (device::ENVELOPE_BYTES + body.len()) as u32;
        let mut rest = Vec::new();
        rest.extend_from_slice(&device::VERSION.to_le_bytes());
        rest.extend_from_slice(&length.to_le_bytes());
        rest.extend_from_slice(body);
        let mut file = device::MAGIC.to_vec();
        file.extend_from_slice(&xxhash_rust::xxh3::xxh3_64(&rest).to_le_bytes());
        file.extend_from_slice(&rest);
        Ok(file)
    }

    /// Values of all terms for inputs and weights by index, without the device's program. The fused score is their sum, from the
    /// first on.
    pub fn evaluate(
        &self,
        input: &dyn Fn(usize) -> f32,
        weight: &dyn Fn(usize) -> f32,
    ) -> Vec<f32> {
        let value = |(_, tree): &(_, Tree)| tree.evaluate(input, weight);
        self.terms.iter().map(value).collect()
    }
}

/// The addends of a sum at the top, each with whether it is subtracted.
fn split(syntax: Syntax, negative: bool, addends: &mut Vec<(Syntax, bool)>) {
    match syntax.node {
        Node::Call(sign, mut operands) if matches!(&*sign, "+" | "-") && operands.len() == 2 => {
            if let (Some(right), Some(left)) = (operands.pop(), operands.pop()) {
                split(left, negative, addends);
                // The right side of an operator is a product or in parentheses: one term.
                addends.push((right, negative != (sign == "-")));
            }
        }
        _ => addends.push((syntax, negative)),
    }
}

fn name_of(spec: &Spec<'_>, input: Input) -> String {
    let name = match input {
        Input::Score { task, .. } => spec.tasks.get(usize::from(task)).map(|t| t.name),
        Input::Feature(i) => spec.features.get(usize::from(i)).map(|f| f.name),
    };
    name.unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests;
