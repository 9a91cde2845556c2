//! The instructions of a program, and their bytes.

use super::op::Op;

/// An instruction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Code {
    /// Puts a constant on the stack.
    Constant(f32),
    /// Puts an input there.
    Input(u8),
    /// Puts a weight there.
    Weight(u8),
    /// Takes its operands, puts its value.
    Op(Op),
    /// Ends a term, whose value is all that is on the stack.
    End,
}

impl Code {
    const END: u8 = 0;
    const CONSTANT: u8 = 1;
    const INPUT: u8 = 2;
    const WEIGHT: u8 = 3;

    /// The first instruction of `code`, and the rest; `None` at the end and for a byte that begins none.
    #[inline]
    pub fn next(code: &[u8]) -> Option<(Code, &[u8])> {
        let (first, rest) = code.split_first()?;
        Some(match *first {
            Self::END => (Code::End, rest),
            Self::CONSTANT => {
                let (bytes, rest) = rest.split_first_chunk()?;
                (Code::Constant(f32::from_le_bytes(*bytes)), rest)
            }
            Self::INPUT | Self::WEIGHT => {
                let (index, rest) = rest.split_first()?;
                match *first {
                    Self::INPUT => (Code::Input(*index), rest),
                    _ => (Code::Weight(*index), rest),
                }
            }
            byte => (Code::Op(Op::of(byte)?), rest),
        })
    }

    /// Appends its bytes.
    #[cfg(feature = "std")]
    pub fn write(self, to: &mut std::vec::Vec<u8>) {
        match self {
            Code::End => to.push(Self::END),
            Code::Constant(x) => {
                to.push(Self::CONSTANT);
                to.extend_from_slice(&x.to_le_bytes());
            }
            Code::Input(i) => to.extend_from_slice(&[Self::INPUT, i]),
            Code::Weight(i) => to.extend_from_slice(&[Self::WEIGHT, i]),
            Code::Op(op) => to.push(op as u8),
        }
    }
}
