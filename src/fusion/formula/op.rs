//! The operations of a program: what each computes, what it costs, and between which bounds its result lies.

use crate::math;

/// Values of less magnitude are 0, so that no operation meets or makes a subnormal, which some hosts take for 0.
pub const LEAST: f32 = 1.0 / (1u64 << 60) as f32;
/// The greatest magnitude that a program may reach, by its bounds: 2^100. So no product or quotient is infinite.
pub const MOST: f32 = (1u64 << 50) as f32 * (1u64 << 50) as f32;

/// Log-odds are those of probabilities within [1e-6, 1 - 1e-6].
const ODDS_LEAST: f32 = 1e-6;

/// An operation on the topmost values of the stack. True is 1, false is 0, and what is not 0 counts as true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Op {
    /// x + y.
    Add = 16,
    /// x - y.
    Sub = 17,
    /// x y.
    Mul = 18,
    /// x / y, where y cannot be 0.
    Div = 19,
    /// The lesser.
    Min = 20,
    /// The greater.
    Max = 21,
    /// x^y = e^(y ln x), where x is not negative; 0^y is 0, and 0^0 is 1.
    Pow = 22,
    /// x < y.
    Less = 23,
    /// x <= y.
    LessEqual = 24,
    /// x = y.
    Equal = 25,
    /// Both.
    And = 26,
    /// Either.
    Or = 27,
    /// -x.
    Neg = 32,
    /// |x|.
    Abs = 33,
    /// e^x.
    Exp = 34,
    /// ln x, where x is positive.
    Log = 35,
    /// ln(1 + x), where x is not negative.
    Log1p = 36,
    /// Square root, where x is not negative.
    Sqrt = 37,
    /// 1 / (1 + e^-x).
    Sigmoid = 38,
    /// Log-odds ln(x / (1 - x)) of a probability, which is taken to be within [1e-6, 1 - 1e-6].
    Logit = 39,
    /// Not x.
    Not = 40,
    /// y if x, else z.
    If = 48,
}

impl Op {
    /// All of them.
    pub const ALL: [Op; 22] = [
        Op::Add,
        Op::Sub,
        Op::Mul,
        Op::Div,
        Op::Min,
        Op::Max,
        Op::Pow,
        Op::Less,
        Op::LessEqual,
        Op::Equal,
        Op::And,
        Op::Or,
        Op::Neg,
        Op::Abs,
        Op::Exp,
        Op::Log,
        Op::Log1p,
        Op::Sqrt,
        Op::Sigmoid,
        Op::Logit,
        Op::Not,
        Op::If,
    ];

    /// The operation of a byte of code.
    pub fn of(byte: u8) -> Option<Self> {
        Self::ALL.iter().find(|op| **op as u8 == byte).copied()
    }

    /// Values that it takes from the stack.
    pub const fn arity(self) -> usize {
        match self as u8 {
            ..32 => 2,
            32..48 => 1,
            48.. => 3,
        }
    }

    /// Its cost in additions, by their times on one core.
    pub const fn cost(self) -> u32 {
        match self {
            Op::Div | Op::Sqrt => 4,
            Op::Exp | Op::Sigmoid => 8,
            Op::Log | Op::Log1p | Op::Logit => 16,
            Op::Pow => 24,
            _ => 1,
        }
    }

    /// Its value. Finite for arguments within bounds that [`Range::of`] accepts.
    #[inline(always)]
    pub fn apply(self, [x, y, z]: [f32; 3]) -> f32 {
        let truth = |holds: bool| if holds { 1.0 } else { 0.0 };
        settle(match self {
            Op::Add => x + y,
            Op::Sub => x - y,
            Op::Mul => x * y,
            Op::Div => x / y,
            Op::Min => {
                if y < x {
                    y
                } else {
                    x
                }
            }
            Op::Max => {
                if y > x {
                    y
                } else {
                    x
                }
            }
            Op::Pow => pow(x, y),
            Op::Less => truth(x < y),
            Op::LessEqual => truth(x <= y),
            Op::Equal => truth(x == y),
            Op::And => truth(x != 0.0 && y != 0.0),
            Op::Or => truth(x != 0.0 || y != 0.0),
            Op::Neg => -x,
            Op::Abs => x.abs(),
            Op::Exp => math::exp(x),
            Op::Log => libm::logf(x),
            Op::Log1p => libm::log1pf(x),
            Op::Sqrt => libm::sqrtf(x),
            Op::Sigmoid => math::sigmoid(x),
            Op::Logit => {
                let p = math::clamp(x, ODDS_LEAST, 1.0 - ODDS_LEAST);
                libm::logf(p / (1.0 - p))
            }
            Op::Not => truth(x == 0.0),
            Op::If => {
                if x != 0.0 {
                    y
                } else {
                    z
                }
            }
        })
    }
}

/// `x`, or 0 if it is smaller than `LEAST`; never -0.
#[inline(always)]
pub fn settle(x: f32) -> f32 {
    if x > -LEAST && x < LEAST { 0.0 } else { x }
}

/// The exponent is that of a result between [`LEAST`] and [`MOST`], or of one that is 0.
#[inline(always)]
fn pow(x: f32, y: f32) -> f32 {
    if x == 0.0 {
        return if y == 0.0 { 1.0 } else { 0.0 };
    }
    math::exp(y * libm::logf(x))
}

/// Bounds of a value, both finite and settled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// It is not below this.
    pub low: f32,
    /// It is not above this.
    pub high: f32,
}

impl Range {
    /// A probability, a truth value.
    pub const UNIT: Range = Range {
        low: 0.0,
        high: 1.0,
    };

    /// From `low` to `high`; `None` unless both are in order and at most [`MOST`] in magnitude.
    pub fn new(low: f32, high: f32) -> Option<Self> {
        // Written so that NaN is refused.
        let holds = low >= -MOST && low <= high && high <= MOST;
        holds.then(|| Range {
            low: settle(low),
            high: settle(high),
        })
    }

    /// Bounds of `op` on values within these; `None` if the result may be NaN, infinite or too large.
    ///
    /// Rounding is monotone, so the bounds of what is monotone are its values at the ends. The polynomials of e^x and ln x
    /// are off by a few units of the last place, which `widen` covers.
    pub fn of(op: Op, [x, y, z]: [Range; 3]) -> Option<Range> {
        let ends = |f: fn(f32, f32) -> f32| {
            let corners = [
                f(x.low, y.low),
                f(x.low, y.high),
                f(x.high, y.low),
                f(x.high, y.high),
            ];
            hull(&corners)
        };
        match op {
            Op::Add => Range::new(x.low + y.low, x.high + y.high),
            Op::Sub => Range::new(x.low - y.high, x.high - y.low),
            Op::Mul => ends(|x, y| x * y),
            // What is settled and not 0 is at least LEAST in magnitude.
            Op::Div if y.low > 0.0 || y.high < 0.0 => ends(|x, y| x / y),
            Op::Div => None,
            Op::Min => Range::new(least(x.low, y.low), least(x.high, y.high)),
            Op::Max => Range::new(most(x.low, y.low), most(x.high, y.high)),
            Op::Pow if x.low > 0.0 => {
                // y ln x is monotone in either; its rounding is within what e^x is widened by.
                ends(|x, y| libm::logf(x) * y)?.exp()
            }
            Op::Pow if x.low == 0.0 && y.low >= 0.0 => {
                // ln of the least value that is not 0 is -41.6; 0^y is 0 or 1.
                let x = Range {
                    low: LEAST,
                    high: most(x.high, LEAST),
                };
                let positive = Range::of(Op::Pow, [x, y, z])?;
                Range::new(0.0, most(positive.high, 1.0))
            }
            Op::Pow => None,
            Op::Less | Op::LessEqual | Op::Equal | Op::And | Op::Or | Op::Not => Some(Range::UNIT),
            Op::Neg => Range::new(-x.high, -x.low),
            Op::Abs if x.low >= 0.0 => Some(x),
            Op::Abs => Range::new(0.0, most(-x.low, x.high)),
            Op::Exp => x.exp(),
            Op::Log if x.low > 0.0 => Range::new(libm::logf(x.low), libm::logf(x.high))?.widen(),
            Op::Log1p if x.low >= 0.0 => Range::new(libm::log1pf(x.low), libm::log1pf(x.high))?
                .widen()?
                .positive(),
            Op::Sqrt if x.low >= 0.0 => Range::new(libm::sqrtf(x.low), libm::sqrtf(x.high)),
            Op::Log | Op::Log1p | Op::Sqrt => None,
            Op::Sigmoid => Some(Range::UNIT),
            Op::Logit if x.low >= 0.0 && x.high <= 1.0 => Range::new(-14.0, 14.0),
            Op::Logit => None,
            Op::If => Range::new(least(y.low, z.low), most(y.high, z.high)),
        }
    }

    /// Of e^x; an exponent above 69 may pass 2^100, and one below -87 is taken to be that.
    fn exp(self) -> Option<Range> {
        if self.high > 69.0 {
            return None;
        }
        Range::new(math::exp(self.low), math::exp(self.high))?
            .widen()?
            .positive()
    }

    /// Without what is below 0.
    fn positive(self) -> Option<Range> {
        Range::new(most(self.low, 0.0), most(self.high, 0.0))
    }

    /// A hundred thousandth wider at both ends, times 1 or the end's own size.
    fn widen(self) -> Option<Range> {
        let by = |end: f32| 1e-5 * most(end.abs(), LEAST * 1e6);
        Range::new(self.low - by(self.low), self.high + by(self.high))
    }
}

fn least(x: f32, y: f32) -> f32 {
    Op::Min.apply([x, y, 0.0])
}

fn most(x: f32, y: f32) -> f32 {
    Op::Max.apply([x, y, 0.0])
}

/// The least and the greatest of `values`; `None` if one of them is NaN or too large.
fn hull(values: &[f32; 4]) -> Option<Range> {
    let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
    for value in values {
        Range::new(*value, *value)?;
        low = if *value < low { *value } else { low };
        high = if *value > high { *value } else { high };
    }
    Range::new(low, high)
}
