//! Integer kernels and the choice among them.
//!
//! Inputs are activation bytes 0..=127, weights are i8 in [-127, 127], sums are i32. Two products fit an i16 and a
//! whole sum fits an i32 ([`limits`](crate::spec::limits) proves it at compile time), so every kernel is exact and
//! may add in any order.

mod portable;

use crate::spec::PANEL;

/// An instruction set that detection has found: only [`Isa::detect`] and [`Isa::PORTABLE`] make one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Isa(Kind);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Portable,
}

impl Isa {
    /// Plain Rust, on every CPU; defines what the others must return.
    pub const PORTABLE: Isa = Isa(Kind::Portable);

    /// The best that this CPU has.
    pub fn detect() -> Self {
        Self::PORTABLE
    }

    /// Its name: "portable".
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
        }
    }
}

/// Sums of one input row against one panel: `sum[j] = Σ input[4 g + i] x weight[g][j][i]`, where `weight` is
/// `[groups][16][4]` i8 and `input` has 4 bytes a group. What is longer than the other is left out.
#[inline]
pub fn panel(isa: Isa, input: &[u8], weight: &[u8]) -> [i32; PANEL] {
    match isa.0 {
        Kind::Portable => portable::panel(input, weight),
    }
}

/// `Σ input[i] x weight[i]` over the shorter of the two.
#[inline]
pub fn dot(isa: Isa, input: &[u8], weight: &[u8]) -> i32 {
    match isa.0 {
        Kind::Portable => portable::dot(input, weight),
    }
}
