//! The normal distribution and the random draws, the same bits on every platform.
//!
//! Φ is read from a table of (Φ, φ) at multiples of 1/128 on [-8, 8] by cubic Hermite interpolation: the error is below
//! 2e-11 (h⁴/384 · max|Φ''''|), and a look-up costs a tenth of `erfc`. A row of the log needs about a hundred of them.

use std::prelude::v1::*;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const STEPS_PER_UNIT: f64 = 128.0;
const LIMIT: f64 = 8.0;
const CELLS: usize = 2 * 8 * 128;

/// √(2π).
pub(crate) const SQRT_TAU: f64 = 2.506_628_274_631_000_5;

/// Φ and φ by table.
#[derive(Debug, Clone)]
pub(crate) struct Normal {
    /// Coefficients of 1, u, u², u³ on the cell that begins at -8 + i / 128, u in 0..=1.
    cells: Vec<[f64; 4]>,
}

impl Normal {
    pub(crate) fn new() -> Self {
        let node = |i: usize| {
            let x = i as f64 / STEPS_PER_UNIT - LIMIT;
            let p = 0.5 * libm::erfc(-x * core::f64::consts::FRAC_1_SQRT_2);
            (p, density(x) / STEPS_PER_UNIT)
        };
        let cells = (0..CELLS)
            .map(|i| {
                let ((p0, m0), (p1, m1)) = (node(i), node(i + 1));
                let rise = p1 - p0;
                [p0, m0, 3.0 * rise - 2.0 * m0 - m1, m0 + m1 - 2.0 * rise]
            })
            .collect();
        Normal { cells }
    }

    /// The cell of x clamped to [-8, 8], and where in it.
    #[inline]
    fn cell(&self, x: f64) -> (&[f64; 4], f64) {
        let at = (x.clamp(-LIMIT, LIMIT) + LIMIT) * STEPS_PER_UNIT;
        let i = (at as i32 as usize).min(CELLS - 1);
        (&self.cells[i], at - i as f64)
    }

    /// Φ(x), x clamped to [-8, 8]: never 0.
    #[inline]
    pub(crate) fn cdf(&self, x: f64) -> f64 {
        let (c, u) = self.cell(x);
        c[0] + u * (c[1] + u * (c[2] + u * c[3]))
    }

    /// Φ(x) and its derivative.
    #[inline]
    pub(crate) fn cdf_and_density(&self, x: f64) -> (f64, f64) {
        let (c, u) = self.cell(x);
        let slope = c[1] + u * (2.0 * c[2] + u * (3.0 * c[3]));
        (
            c[0] + u * (c[1] + u * (c[2] + u * c[3])),
            slope * STEPS_PER_UNIT,
        )
    }
}

/// φ(x).
pub(crate) fn density(x: f64) -> f64 {
    libm::exp(-0.5 * x * x) / SQRT_TAU
}

/// Independent random streams of one seed: stream 0 is the catalogue, stream `1 + user` a user.
pub(crate) fn stream(seed: u64, index: u64) -> Draws {
    let mut key = *b"\0\0\0\0\0\0\0\0pocketrank.simulate.1...";
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(index);
    Draws(rng)
}

/// A random stream. Every conversion is spelled out here, so that a new version of `rand` cannot change a log.
#[derive(Debug, Clone)]
pub(crate) struct Draws(ChaCha8Rng);

impl Draws {
    /// Uniform on (0, 1): the middles of 2^52 equal cells.
    pub(crate) fn uniform(&mut self) -> f64 {
        ((self.0.next_u64() >> 12) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64)
    }

    /// Uniform on 0..n; the bias is below n / 2^64.
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        ((u128::from(self.0.next_u64()) * u128::from(n)) >> 64) as u32
    }

    /// Standard normal (Box and Muller's cosine branch: always two uniforms).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(self.uniform()));
        radius * libm::cos(core::f64::consts::TAU * self.uniform())
    }

    /// Exponential of mean 1.
    pub(crate) fn exponential(&mut self) -> f64 {
        -libm::log(self.uniform())
    }

    /// Index drawn with the given probabilities (they sum to 1).
    pub(crate) fn choice(&mut self, probabilities: &[f64]) -> usize {
        let mut rest = self.uniform();
        for (i, p) in probabilities.iter().enumerate() {
            if rest < *p {
                return i;
            }
            rest -= p;
        }
        probabilities.len().saturating_sub(1)
    }
}
