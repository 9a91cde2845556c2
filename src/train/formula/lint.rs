//! What a formula may say, but hardly means: signs and units.
use std::prelude::v1::*;

use super::{Formula, Leaf, Tree};
use crate::fusion::formula::{Form, Input, Op};
use crate::spec::Spec;

/// Which way a value may go when a task's score rises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Direction {
    /// It may rise.
    pub rises: bool,
    /// It may fall.
    pub falls: bool,
}

impl Direction {
    fn or(self, other: Self) -> Self {
        Self {
            rises: self.rises || other.rises,
            falls: self.falls || other.falls,
        }
    }

    fn turned(self) -> Self {
        Self {
            rises: self.falls,
            falls: self.rises,
        }
    }

    fn either(self) -> Self {
        self.or(self.turned())
    }

    /// Of a product with a factor between these bounds.
    fn times(self, low: f32, high: f32) -> Self {
        match (low >= 0.0, high <= 0.0) {
            (true, true) => Self::default(),
            (true, false) => self,
            (false, true) => self.turned(),
            (false, false) => self.either(),
        }
    }
}

/// Which way the fused score may go when the score of `task` rises, for any weights within their bounds.
pub fn direction(formula: &Formula, task: usize) -> Direction {
    let of = |tree: &Tree| of_tree(formula, tree, task);
    let terms = formula.terms.iter().map(|(_, tree)| of(tree));
    terms.fold(Direction::default(), Direction::or)
}

fn of_tree(formula: &Formula, tree: &Tree, task: usize) -> Direction {
    let Leaf::Op(op) = tree.node else {
        let Leaf::Input(i) = tree.node else {
            return Direction::default();
        };
        let rises =
            matches!(formula.inputs[i], Input::Score { task: t, .. } if usize::from(t) == task);
        return Direction {
            rises,
            falls: false,
        };
    };
    let of = |i: usize| of_tree(formula, &tree.operands[i], task);
    let range = |i: usize| tree.operands[i].range;
    match op {
        Op::Add | Op::Min | Op::Max | Op::And | Op::Or => of(0).or(of(1)),
        Op::Sub => of(0).or(of(1).turned()),
        Op::Mul => {
            let (x, y) = (range(0), range(1));
            of(0).times(y.low, y.high).or(of(1).times(x.low, x.high))
        }
        Op::Div => {
            let (x, y) = (range(0), range(1));
            let divisor = of(1).turned().times(x.low, x.high);
            of(0).times(y.low, y.high).or(divisor)
        }
        Op::Pow => {
            let (x, y) = (range(0), range(1));
            // d x^y / dy has the sign of ln x.
            of(0)
                .times(y.low, y.high)
                .or(of(1).times(x.low - 1.0, x.high - 1.0))
        }
        Op::Less | Op::LessEqual => of(0).turned().or(of(1)),
        Op::Equal => of(0).or(of(1)).either(),
        Op::Neg | Op::Not => of(0).turned(),
        // Its derivative has the sign of its argument.
        Op::Abs => of(0).times(range(0).low, range(0).high),
        Op::Exp | Op::Log | Op::Log1p | Op::Sqrt | Op::Sigmoid | Op::Logit => of(0),
        Op::If => of(0).either().or(of(1)).or(of(2)),
    }
}

/// Tasks whose conditional score is added as if every candidate had it: in no product with the score that it is conditional
/// on. Ranks and quantiles have no unit, and what is only compared is not added.
pub fn unguarded(formula: &Formula, spec: &Spec<'_>) -> Vec<usize> {
    let mut all = Vec::new();
    for (_, tree) in &formula.terms {
        conditional(formula, spec, tree, &mut all);
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn conditional(formula: &Formula, spec: &Spec<'_>, tree: &Tree, all: &mut Vec<usize>) {
    let mut factors = Vec::new();
    collect(tree, &mut factors);
    let mut found = Vec::new();
    let mut tasks = Vec::new();
    for factor in factors {
        match factor.node {
            Leaf::Input(i) => {
                if let Input::Score { task, entire, form } = formula.inputs[i] {
                    let task = usize::from(task);
                    tasks.push(task);
                    let has_unit = matches!(form, Form::Raw | Form::Calibrated);
                    if has_unit && !entire && spec.tasks[task].given.is_some() {
                        found.push(task);
                    }
                }
            }
            Leaf::Op(Op::Less | Op::LessEqual | Op::Equal) => {}
            Leaf::Op(op) => {
                let skipped = usize::from(op == Op::If);
                for operand in tree_operands(factor).skip(skipped) {
                    conditional(formula, spec, operand, &mut found);
                }
            }
            _ => {}
        }
    }
    let given = |task: &usize| spec.tasks[*task].given.map(usize::from);
    found.retain(|task| given(task).is_some_and(|g| !tasks.contains(&g)));
    all.append(&mut found);
}

fn tree_operands(tree: &Tree) -> impl Iterator<Item = &Tree> {
    tree.operands.iter()
}

/// The factors of a product, and of the bases of its powers and the numerators of its quotients.
fn collect<'t>(tree: &'t Tree, factors: &mut Vec<&'t Tree>) {
    let through: &[usize] = match tree.node {
        Leaf::Op(Op::Mul) => &[0, 1],
        Leaf::Op(Op::Pow | Op::Div | Op::Neg | Op::Sqrt | Op::Log1p) => &[0],
        _ => return factors.push(tree),
    };
    for i in through {
        collect(&tree.operands[*i], factors);
    }
}
