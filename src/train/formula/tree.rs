//! A checked expression: what it computes here, and what it is as a program.
use std::prelude::v1::*;

use crate::fusion::formula::{Code, Op, Range, settle};

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

impl Tree {
    pub(super) fn evaluate(
        &self,
        input: &dyn Fn(usize) -> f32,
        weight: &dyn Fn(usize) -> f32,
    ) -> f32 {
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

    pub(super) fn write(&self, code: &mut Vec<u8>) {
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

    pub(super) fn has(&self, leaf: Leaf) -> bool {
        self.node == leaf || self.operands.iter().any(|t| t.has(leaf))
    }

    pub(super) fn cost(&self) -> u32 {
        let own = match self.node {
            Leaf::Op(op) => 1 + op.cost(),
            _ => 1,
        };
        own + self.operands.iter().map(Tree::cost).sum::<u32>()
    }

    /// Values on the stack at a time.
    pub(super) fn depth(&self) -> usize {
        let operands = self.operands.iter().enumerate();
        operands
            .map(|(i, t)| i + t.depth())
            .max()
            .unwrap_or(0)
            .max(1)
    }
}
