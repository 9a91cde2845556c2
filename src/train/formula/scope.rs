//! What names and functions of a formula mean, and whether every value has bounds.
use std::borrow::Cow;
use std::prelude::v1::*;

use super::parse::{Node, Syntax, mistake};
use super::{Leaf, Tree, Weight};
use crate::fusion::formula::{self as device, Form, Input, Op, Range, settle};
use crate::spec::{Encoding, Spec};
use crate::train::expression::Mistake;

/// What names in a formula may mean.
pub(super) struct Scope<'s, 'a> {
    pub text: &'s str,
    pub spec: &'s Spec<'a>,
    pub weights: &'s [Weight],
    pub inputs: Vec<Input>,
}

impl Scope<'_, '_> {
    fn wrong(&self, syntax: &Syntax, message: String) -> Mistake {
        mistake(self.text, syntax.span.start, message)
    }

    pub fn tree(&mut self, syntax: &Syntax) -> Result<Tree, Mistake> {
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

    pub fn operation(&self, syntax: &Syntax, op: Op, operands: Vec<Tree>) -> Result<Tree, Mistake> {
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
