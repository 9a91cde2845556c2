//! Running a program over the candidates of a request, some at a time.

use super::op::{Op, settle};
use super::{Code, DEPTH};

/// Candidates that go through a program together: what an operation is costs more to find out than its values.
pub const LANES: usize = 16;

/// One value of each candidate.
pub type Lanes = [f32; LANES];

/// Runs `code`, which has been checked, and calls `term` with the value of each of its terms. `input` and `weight` give their
/// values by index.
pub fn run(
    code: &[u8],
    input: &mut dyn FnMut(u8, &mut Lanes),
    weight: &dyn Fn(u8) -> f32,
    term: &mut dyn FnMut(&Lanes),
) {
    let mut stack = [[0.0; LANES]; DEPTH];
    let mut len = 0;
    let mut rest = code;
    while let Some((instruction, after)) = Code::next(rest) {
        rest = after;
        match instruction {
            Code::Op(op) => {
                len = usize::saturating_sub(len, op.arity());
                if let Some(operands) = stack.get_mut(len..) {
                    apply(op, operands);
                }
                len += 1;
            }
            Code::End => {
                len = 0;
                term(stack.first().unwrap_or(&[0.0; LANES]));
            }
            leaf => {
                if let Some(top) = stack.get_mut(len) {
                    match leaf {
                        Code::Constant(x) => top.fill(settle(x)),
                        Code::Weight(i) => top.fill(settle(weight(i))),
                        Code::Input(i) => {
                            input(i, top);
                            top.iter_mut().for_each(|x| *x = settle(*x));
                        }
                        _ => {}
                    }
                    len += 1;
                }
            }
        }
    }
}

/// `operands[0] = op(operands)`.
fn apply(op: Op, operands: &mut [Lanes]) {
    let [x, rest @ ..] = operands else { return };
    let none = &[0.0; LANES];
    let (y, z) = (rest.first().unwrap_or(none), rest.get(1).unwrap_or(none));
    // A loop for each operation, so that a lane costs no choice.
    macro_rules! each {
        ($($name:ident)*) => {
            match op {
                $(Op::$name => for ((x, y), z) in x.iter_mut().zip(y).zip(z) {
                    *x = Op::$name.apply([*x, *y, *z]);
                })*
            }
        };
    }
    each!(Add Sub Mul Div Min Max Pow Less LessEqual Equal And Or Neg Abs Exp Log Log1p Sqrt Sigmoid Logit Not If);
}
