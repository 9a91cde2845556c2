//! What candidates lose that are similar to the list: maximal marginal relevance, and greedy determinantal point processes.
//!
//! Dot products of i8 are exact in f32 (256 x 128^2 = 2^22), so a cosine is three correctly rounded operations. What follows is
//! done element by element over the candidates in the order of the list, and so the same bits on every CPU.

use super::rules::{Diversity, Rules};
use super::values::{Values, cut, is_scored};
use crate::math::clamp;

/// A residual variance counts as at least this, 2^-10: f32 leaves noise of about 2^-20. When that of every candidate is below,
/// the rest goes by score.
pub const RESIDUAL_MIN: f32 = 1.0 / 1024.0;

/// Entries of a factor below this, 2^-50, are 0: their products are normal.
fn entry(x: f32) -> f32 {
    if x.abs() < 1.0 / (1u64 << 50) as f32 {
        0.0
    } else {
        x
    }
}

/// Similarities of all candidates to what is in the list.
pub(super) struct Spread<'s> {
    diversity: Diversity,
    vectors: &'s [i8],
    dim: usize,
    /// Lengths of vectors.
    norms: &'s mut [f32],
    /// MMR: the greatest cosine. DPP: the variance that the list leaves.
    state: &'s mut [f32],
    /// DPP: columns of the Cholesky factor, one for each candidate of the list, `[rows, candidates]`.
    rows: &'s mut [f32],
    /// Candidates in the list.
    len: usize,
    /// Rows used.
    used: usize,
}

/// Rows of the Cholesky factor: the rank of S is at most `dim` + 2, one of them for vectors of zeros.
pub(super) fn num_rows(positions: usize, dim: usize) -> usize {
    if dim == 0 { 0 } else { positions.min(dim + 2) }
}

impl<'s> Spread<'s> {
    /// `norms` and `state` have a value for each candidate, `rows` [`num_rows`] for each.
    pub fn new(
        rules: &Rules<'s>,
        norms: &'s mut [f32],
        state: &'s mut [f32],
        rows: &'s mut [f32],
    ) -> Self {
        let mut spread = Self {
            diversity: rules.diversity,
            vectors: rules.vectors,
            dim: rules.dim,
            norms,
            state,
            rows,
            len: 0,
            used: 0,
        };
        if spread.is_some() {
            for i in 0..spread.norms.len() {
                let norm = libm::sqrtf(spread.dot(i, i));
                if let Some(to) = spread.norms.get_mut(i) {
                    *to = norm;
                }
            }
        }
        spread.reset();
        spread
    }

    /// As before anything is in the list.
    pub fn reset(&mut self) {
        (self.len, self.used) = (0, 0);
        let start = match self.diversity {
            Diversity::Dpp { .. } => 1.0,
            _ => 0.0,
        };
        self.state.fill(start);
    }

    /// Whether there is any diversity.
    pub fn is_some(&self) -> bool {
        self.diversity != Diversity::None
    }

    fn vector(&self, candidate: usize) -> &[i8] {
        let at = candidate * self.dim;
        self.vectors.get(at..at + self.dim).unwrap_or_default()
    }

    fn dot(&self, a: usize, b: usize) -> f32 {
        let pairs = self.vector(a).iter().zip(self.vector(b));
        let sum: i32 = pairs.map(|(x, y)| i32::from(*x) * i32::from(*y)).sum();
        sum as f32
    }

    fn cosine(&self, a: usize, b: usize) -> f32 {
        let norm = |i: usize| self.norms.get(i).copied().unwrap_or_default();
        match (norm(a), norm(b)) {
            (0.0, 0.0) => 1.0,
            (0.0, _) | (_, 0.0) => 0.0,
            (x, y) => clamp(self.dot(a, b) / (x * y), -1.0, 1.0),
        }
    }

    /// What `candidate` is compared by, between diversity and relevance.
    pub fn objective(&self, values: &Values<'_>, candidate: usize) -> f32 {
        let current = values.current.get(candidate).copied();
        let current = current.unwrap_or(f32::NEG_INFINITY);
        if !is_scored(current) {
            return f32::NEG_INFINITY;
        }
        let state = self.state.get(candidate).copied().unwrap_or_default();
        match self.diversity {
            Diversity::None => current,
            Diversity::Mmr { lambda } => {
                cut(cut(lambda * values.relevance(candidate)) - cut((1.0 - lambda) * state))
            }
            Diversity::Dpp { theta } => {
                let relevance = cut(2.0 * theta * values.relevance(candidate));
                cut(relevance + libm::logf(self.variance(state)))
            }
        }
    }

    /// A residual variance as it counts.
    fn variance(&self, state: f32) -> f32 {
        // Without a row left what it says is of an earlier list; but then every direction is in the list.
        let is_left = self.used < self.rows.len() / self.state.len().max(1);
        clamp(if is_left { state } else { 0.0 }, RESIDUAL_MIN, 1.0)
    }

    /// What one unit of a fused score is in the objective.
    pub fn unit(&self, values: &Values<'_>) -> f32 {
        match self.diversity {
            Diversity::None => 1.0,
            Diversity::Mmr { lambda } => cut(lambda * values.scale),
            Diversity::Dpp { theta } => cut(2.0 * theta * values.scale),
        }
    }

    /// How similar `candidate` is to the list: the greatest cosine, or the share of its variance that the list explains.
    pub fn similarity(&self, candidate: usize) -> f32 {
        let state = self.state.get(candidate).copied().unwrap_or_default();
        match self.diversity {
            Diversity::Dpp { .. } => clamp(1.0 - state, 0.0, 1.0),
            _ => state,
        }
    }

    /// Makes others less welcome that are similar to `candidate`, which is in the list now.
    pub fn placed(&mut self, candidate: usize) {
        match self.diversity {
            Diversity::None => {}
            Diversity::Mmr { .. } => {
                for i in 0..self.state.len() {
                    let cosine = self.cosine(i, candidate);
                    if let Some(state) = self.state.get_mut(i)
                        && (self.len == 0 || cosine > *state)
                    {
                        *state = cosine;
                    }
                }
            }
            Diversity::Dpp { .. } => self.condition(candidate),
        }
        self.len += 1;
    }

    /// One step of the incremental Cholesky factor, on S alone: q_i^2 multiplies what is left of S_ii.
    fn condition(&mut self, candidate: usize) {
        let candidates = self.state.len();
        let variance = self.state.get(candidate).copied().unwrap_or_default();
        // What the list explains already adds nothing but noise.
        if variance < RESIDUAL_MIN || self.used >= self.rows.len() / candidates.max(1) {
            return;
        }
        let root = libm::sqrtf(variance);
        let begin = self.used * candidates;
        for i in 0..candidates {
            let own = match i == candidate {
                true => 1.0,
                false => 0.5 * (1.0 + self.cosine(i, candidate)),
            };
            if let Some(to) = self.rows.get_mut(begin + i) {
                *to = own;
            }
        }
        let Some((before, row)) = self.rows.split_at_mut_checked(begin) else {
            return;
        };
        for earlier in before.chunks_exact(candidates.max(1)) {
            let own = earlier.get(candidate).copied().unwrap_or_default();
            for (to, x) in row.iter_mut().zip(earlier) {
                *to -= own * *x;
            }
        }
        for (to, state) in row.iter_mut().zip(self.state.iter_mut()) {
            *to = entry(*to / root);
            *state = cut(*state - *to * *to);
        }
        self.used += 1;
    }
}
