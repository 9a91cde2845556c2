//! Formulas as text: parsed, checked with the position of every mistake, compiled for the device, and evaluated here.
//!
//! ```text
//! wc * click + wd * entire(duration) * (length >= 10) + wl * quantile(like) ^ 0.5 - skip
//! ```
//!
//! A name is a weight, a task (its served score) or a number feature. What a task's score is before calibration, in the
//! request and among all impressions is `raw(task)`, `rank(task)` and `quantile(task)`; `entire(task)` is per impression, alone
//! or within those. `docs/fusion.md` has all functions.
use std::borrow::Cow;
use std::prelude::v1::*;

use crate::error::Result as CoreResult;
use crate::format::Writer;
use crate::fusion::formula::{
    self as device, CODE_BYTES, COST, Code, DEPTH, Form, FormulaHead, Input, Op, Range, Term,
    settle,
};
use crate::spec::{Encoding, Spec};
use crate::train::expression::Mistake;
use parse::{Node, Syntax, mistake};

mod lint;
mod parse;

pub use lint::{Direction, direction, unguarded};

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

/// An expression whose names are resolved and whose bounds are known.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    /// What it is.
    pub node: Leaf,
    /// Operands.
    pub operands: Vec<Tree>,
    /// Bounds of its value.
    pub range: Range,
}

/// A leaf, or an operation on operands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Leaf {
    /// A constant.
    Constant(f32),
    /// An input by index.
    Input(usize),
    /// A weight by index.
    Weight(usize),
    /// An operation.
    Op(Op),
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

/// What names in a formula may mean.
struct Scope<'s, 'a> {
    text: &'s str,
    spec: &'s Spec<'a>,
    weights: &'s [Weight],
    inputs: Vec<Input>,
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

impl Tree {
    fn evaluate(&self, input: &dyn Fn(usize) -> f32, weight: &dyn Fn(usize) -> f32) -> f32 {
        match self.node {
            Leaf::Constant(x) => settle(x),
            Leaf::Input(i) => settle(input(i)),
            Leaf::Weight(i) => settle(weight(i)),
            Leaf::Op(op) => {
                let mut values = [0.0; 3];
                for (to, operand) in values.iter_mut().zip(&self.operands) {
                    *to = operand.evaluate(input, weight);
                }
                op.apply(values)
            }
        }
    }

    fn write(&self, code: &mut Vec<u8>) {
        for operand in &self.operands {
            operand.write(code);
        }
        match self.node {
            Leaf::Constant(x) => Code::Constant(x),
            Leaf::Input(i) => Code::Input(i as u8),
            Leaf::Weight(i) => Code::Weight(i as u8),
            Leaf::Op(op) => Code::Op(op),
        }
        .write(code);
    }

    fn has(&self, leaf: Leaf) -> bool {
        self.node == leaf || self.operands.iter().any(|t| t.has(leaf))
    }

    fn cost(&self) -> u32 {
        let own = match self.node {
            Leaf::Op(op) => 1 + op.cost(),
            _ => 1,
        };
        own + self.operands.iter().map(Tree::cost).sum::<u32>()
    }

    /// Values on the stack at a time.
    fn depth(&self) -> usize {
        let operands = self.operands.iter().enumerate();
        operands
            .map(|(i, t)| i + t.depth())
            .max()
            .unwrap_or(0)
            .max(1)
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

impl Scope<'_, '_> {
    fn wrong(&self, syntax: &Syntax, message: String) -> Mistake {
        mistake(self.text, syntax.span.start, message)
    }

    fn tree(&mut self, syntax: &Syntax) -> Result<Tree, Mistake> {
        match &syntax.node {
            Node::Number(x) => {
                let x = *x as f32;
                let range = Range::new(x, x)
                    .ok_or_else(|| self.wrong(syntax, "a number is at most 2^100".to_string()))?;
                Ok(leaf(Leaf::Constant(settle(x)), range))
            }
            Node::Name(name) => self.name(syntax, name),
            Node::Call(name, arguments) => self.call(syntax, name, arguments),
        }
    }

    fn name(&mut self, syntax: &Syntax, name: &str) -> Result<Tree, Mistake> {
        let weight = self.weights.iter().position(|w| w.name == name);
        let task = self.spec.task(name);
        let feature = self.spec.feature(name);
        match (weight, task, feature) {
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => Err(self.wrong(
                syntax,
                format!(
                    "\"{name}\" is a weight and a task or feature; give the weight another name"
                ),
            )),
            (Some(i), None, None) => {
                let w = &self.weights[i];
                let range = Range::new(w.least, w.most).ok_or_else(|| {
                    self.wrong(
                        syntax,
                        format!("the bounds of \"{name}\" are not in order or above 2^100"),
                    )
                })?;
                Ok(leaf(Leaf::Weight(i), range))
            }
            (None, Some(task), _) => self.input(
                syntax,
                Input::Score {
                    task: task as u8,
                    entire: false,
                    form: Form::Calibrated,
                },
            ),
            (None, None, Some(i)) => match self.spec.features[i].encoding {
                Encoding::Number { .. } => self.input(syntax, Input::Feature(i as u8)),
                _ => Err(self.wrong(syntax, format!("feature \"{name}\" is no number"))),
            },
            (None, None, None) => {
                let list = |names: Vec<&str>| names.join(", ");
                let tasks = list(self.spec.tasks.iter().map(|t| t.name).collect());
                let weights = list(self.weights.iter().map(|w| w.name.as_str()).collect());
                Err(self.wrong(syntax, format!(
                    "there is no task, number feature or weight \"{name}\"; tasks are {tasks}; weights are {}",
                    if weights.is_empty() { "none: declare them in [fusion.weights]" } else { &weights }
                )))
            }
        }
    }

    fn input(&mut self, syntax: &Syntax, input: Input) -> Result<Tree, Mistake> {
        let range = device::range(self.spec, input)
            .ok_or_else(|| self.wrong(syntax, "this score may pass 2^100".to_string()))?;
        let at = self.inputs.iter().position(|i| *i == input);
        let at = at.unwrap_or_else(|| {
            self.inputs.push(input);
            self.inputs.len() - 1
        });
        Ok(leaf(Leaf::Input(at), range))
    }

    fn call(&mut self, syntax: &Syntax, name: &str, arguments: &[Syntax]) -> Result<Tree, Mistake> {
        if name == "entire" {
            let input = self.score(syntax, Form::Calibrated)?;
            return self.input(syntax, input);
        }
        if let Some(form) = form_of(name) {
            let [of] = arguments else {
                return Err(self.wrong(syntax, format!("{name} takes one task")));
            };
            let input = self.score(of, form)?;
            return self.input(syntax, input);
        }
        let mut operands = Vec::new();
        for argument in arguments {
            operands.push(self.tree(argument)?);
        }
        let (op, swapped, negated) = match (name, operands.len()) {
            ("+", 2) => (Op::Add, false, false),
            ("-", 2) => (Op::Sub, false, false),
            ("*", 2) => (Op::Mul, false, false),
            ("/", 2) => (Op::Div, false, false),
            ("^" | "pow", 2) => (Op::Pow, false, false),
            ("<", 2) => (Op::Less, false, false),
            ("<=", 2) => (Op::LessEqual, false, false),
            (">", 2) => (Op::Less, true, false),
            (">=", 2) => (Op::LessEqual, true, false),
            ("==", 2) => (Op::Equal, false, false),
            ("!=", 2) => (Op::Equal, false, true),
            ("and", 2) => (Op::And, false, false),
            ("or", 2) => (Op::Or, false, false),
            ("-", 1) => (Op::Neg, false, false),
            ("not", 1) => (Op::Not, false, false),
            ("abs", 1) => (Op::Abs, false, false),
            ("exp", 1) => (Op::Exp, false, false),
            ("log", 1) => (Op::Log, false, false),
            ("log1p", 1) => (Op::Log1p, false, false),
            ("sqrt", 1) => (Op::Sqrt, false, false),
            ("sigmoid", 1) => (Op::Sigmoid, false, false),
            ("logit", 1) => (Op::Logit, false, false),
            ("if", 3) => (Op::If, false, false),
            ("min" | "max", 2..) => {
                let op = if name == "min" { Op::Min } else { Op::Max };
                let mut operands = operands.into_iter();
                let first = operands
                    .next()
                    .unwrap_or(leaf(Leaf::Constant(0.0), Range::UNIT));
                return operands.try_fold(first, |all, next| {
                    self.operation(syntax, op, vec![all, next])
                });
            }
            _ => return Err(self.wrong(syntax, unknown_function(name, operands.len()))),
        };
        if swapped {
            operands.reverse();
        }
        let tree = self.operation(syntax, op, operands)?;
        match negated {
            true => self.operation(syntax, Op::Not, vec![tree]),
            false => Ok(tree),
        }
    }

    /// `task` or `entire(task)`.
    fn score(&self, syntax: &Syntax, form: Form) -> Result<Input, Mistake> {
        let (name, entire) = match &syntax.node {
            Node::Name(name) => (name, false),
            Node::Call(function, arguments) if function == "entire" => match arguments.as_slice() {
                [
                    Syntax {
                        node: Node::Name(name),
                        ..
                    },
                ] => (name, true),
                _ => return Err(self.wrong(syntax, "entire takes one task".to_string())),
            },
            _ => return Err(self.wrong(syntax, "expected a task, or entire(task)".to_string())),
        };
        let task = self.spec.task(name).ok_or_else(|| {
            let tasks: Vec<&str> = self.spec.tasks.iter().map(|t| t.name).collect();
            self.wrong(
                syntax,
                format!(
                    "there is no task \"{name}\"; tasks are {}",
                    tasks.join(", ")
                ),
            )
        })?;
        Ok(Input::Score {
            task: task as u8,
            entire: entire && self.spec.tasks[task].given.is_some(),
            form,
        })
    }

    fn operation(&self, syntax: &Syntax, op: Op, operands: Vec<Tree>) -> Result<Tree, Mistake> {
        let of = |i: usize| operands.get(i).map_or(Range::UNIT, |t| t.range);
        let range = Range::of(op, [of(0), of(1), of(2)])
            .ok_or_else(|| self.wrong(syntax, unbounded(op, of(0), of(1))))?;
        Ok(Tree {
            node: Leaf::Op(op),
            operands,
            range,
        })
    }
}

fn leaf(node: Leaf, range: Range) -> Tree {
    Tree {
        node,
        operands: Vec::new(),
        range,
    }
}

fn form_of(name: &str) -> Option<Form> {
    Some(match name {
        "raw" => Form::Raw,
        "calibrated" => Form::Calibrated,
        "rank" => Form::Rank,
        "quantile" => Form::Quantile,
        _ => return None,
    })
}

fn unknown_function(name: &str, arguments: usize) -> String {
    format!(
        "there is no function {name} of {arguments} values; there are entire, raw, calibrated, rank and quantile of a task; abs, exp, log, log1p, sqrt, sigmoid, logit of one value; pow of two; min, max of two or more; if(condition, then, else)"
    )
}

/// Why the value of `op` has no bounds, and what would have.
fn unbounded(op: Op, x: Range, y: Range) -> String {
    let between = |r: Range| format!("between {} and {}", r.low, r.high);
    let (what, remedy): (Cow<'_, str>, &str) = match op {
        Op::Div => (
            format!("the divisor is {}", between(y)).into(),
            "divide by max(..., 0.001), say",
        ),
        Op::Log => (
            format!("log takes what is above 0, this is {}", between(x)).into(),
            "take log(max(..., 0.000001)), or log1p",
        ),
        Op::Log1p | Op::Sqrt => (
            format!(
                "this takes what is not negative, and gets what is {}",
                between(x)
            )
            .into(),
            "take max(..., 0)",
        ),
        Op::Logit => (
            format!("logit takes a probability, this is {}", between(x)).into(),
            "take log(max(..., 0.000001))",
        ),
        Op::Pow if x.low < 0.0 => (
            format!("the base is {}", between(x)).into(),
            "raise max(..., 0)",
        ),
        Op::Pow if x.low == 0.0 && y.low < 0.0 => (
            "0 would be raised to a negative power".into(),
            "raise max(..., 0.001), say",
        ),
        Op::Exp => (
            format!("e is raised to what is {}", between(x)).into(),
            "take exp(min(..., 60))",
        ),
        _ => (
            "the value may pass 2^100".into(),
            "bound its parts by min and max",
        ),
    };
    format!("{what}; {remedy}")
}

#[cfg(test)]
mod tests;
