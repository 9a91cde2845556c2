//! What a list must look like beside the scores, and the bounds of it.

use crate::error::{Error, Result, Status};
use crate::spec::limits;

/// Spacing rules of one call, at most.
pub const SPACINGS: usize = 8;
/// Decays of one call, at most.
pub const DECAYS: usize = 4;
/// Positions of one list, at most.
pub const POSITIONS: usize = limits::CANDIDATES;
/// Positions of a spacing rule's window, at most.
pub const WINDOW: u32 = 256;
/// The greatest magnitude of a fused score, a bonus and a sigma: no sum or product of a re-ranking overflows.
pub const SCORE_MAX: f32 = (1u128 << 100) as f32;
/// The greatest factor of a boost.
pub const FACTOR_MAX: f32 = 1024.0;
/// The greatest weight of relevance beside diversity: past it no similarity matters.
pub const THETA_MAX: f32 = 1024.0;

/// A key that no other candidate shares.
pub const NO_KEY: u64 = u64::MAX;
/// The candidate of an empty slot.
pub const NO_CANDIDATE: u32 = u32::MAX;

/// At most `max` candidates of one key in any `window` positions that follow each other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spacing<'r> {
    /// A key of each candidate; [`NO_KEY`] is under no rule.
    pub keys: &'r [u64],
    /// Candidates, at least 1.
    pub max: u32,
    /// Positions, 1..=[`WINDOW`]; blocked and pinned ones count.
    pub window: u32,
}

impl<'r> Spacing<'r> {
    /// At least `gap` positions from one candidate of a key to the next: at most one in a window of `gap`.
    pub fn gap(keys: &'r [u64], gap: u32) -> Self {
        Self {
            keys,
            max: 1,
            window: gap,
        }
    }
}

/// Less for each candidate whose key is in the list already: a factor of (1 - floor) x factor^n + floor behind n of them, as
/// `DiversityDiscountProvider` of github.com/twitter/the-algorithm has it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Decay<'r> {
    /// A key of each candidate; [`NO_KEY`] does not decay.
    pub keys: &'r [u64],
    /// Within (0, 1].
    pub factor: f32,
    /// Within [0, 1].
    pub floor: f32,
}

/// A candidate that has a position whatever the rules are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Pin {
    /// Its position, from 0 on.
    pub position: u32,
    /// The candidate.
    pub candidate: u32,
}

/// What similar candidates lose. Both read [`Rules::vectors`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Diversity {
    /// Nothing.
    #[default]
    None,
    /// Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): lambda x rel - (1 - lambda) x the greatest cosine to
    /// what is in the list.
    Mmr {
        /// Weight of relevance, within [0, 1].
        lambda: f32,
    },
    /// The greedy list of a determinantal point process (Chen, Zhang and Zhou, NeurIPS 2018) of the kernel q_i q_j S_ij with
    /// q = e^(theta x rel) and S = (1 + cosine) / 2.
    Dpp {
        /// Weight of relevance, within [0, [`THETA_MAX`]].
        theta: f32,
    },
}

/// Chance, from a seed: the same seed gives the same list. A slot says how probable its candidate was.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Exploration<'r> {
    /// None.
    #[default]
    None,
    /// Any candidate that the rules allow with probability `epsilon`, else the best.
    Epsilon {
        /// Of the request: all positions draw from it.
        seed: u64,
        /// Within [0, 1].
        epsilon: f32,
    },
    /// The best of draws: each position adds to each candidate's fused score a normal one of its own (Thompson 1933).
    Thompson {
        /// Of the request: all positions draw from it.
        seed: u64,
        /// Standard deviation of each candidate's fused score, within [0, [`SCORE_MAX`]].
        sigma: &'r [f32],
    },
}

/// The rules of one list. The default is none: the order of [`top_k`](super::top_k).
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules<'r> {
    /// By candidate, within [0, [`FACTOR_MAX`]]: multiplies its distance above the least scored candidate's fused score, so
    /// that 2 is a boost and 0.5 the contrary whatever the sign of scores. Empty: 1.
    pub factors: &'r [f32],
    /// By candidate: added after that, in units of fused scores. Empty: 0.
    pub bonuses: &'r [f32],
    /// At most [`DECAYS`], each on the distance above the least boosted score; together they multiply.
    pub decays: &'r [Decay<'r>],
    /// At most [`SPACINGS`], the most important first: if they cannot all be kept, the last is given up first.
    pub spacings: &'r [Spacing<'r>],
    /// Candidates with a position. They count in windows and decays.
    pub pins: &'r [Pin],
    /// Positions that stay empty, for what the app puts there itself.
    pub blocked: &'r [u32],
    /// Candidates that get no position.
    pub hidden: &'r [u32],
    /// Diversity.
    pub diversity: Diversity,
    /// Vectors on one scale, `[candidates, dim]`, as [`Model::vectors`](crate::engine::Model::vectors) makes them; their
    /// lengths do not matter. A vector of zeros is similar to others of zeros alone, as ids that the model doesn't know are.
    pub vectors: &'r [i8],
    /// Values of a vector, at most [`limits::EMBEDDING_DIM`]; 0 without vectors.
    pub dim: usize,
    /// Exploration.
    pub exploration: Exploration<'r>,
}

/// Which part of [`Rules`] is refused: `feature` of a [`Status::BadRule`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Part {
    /// `factors`; the detail's candidate is the candidate.
    Factors = 0,
    /// `bonuses`; the candidate.
    Bonuses = 1,
    /// `decays`; the index of the decay.
    Decays = 2,
    /// `spacings`; the index of the rule.
    Spacings = 3,
    /// `pins`; the index of the pin.
    Pins = 4,
    /// `blocked`; the index in it.
    Blocked = 5,
    /// `hidden`; the index in it.
    Hidden = 6,
    /// `diversity`, `vectors` and `dim`.
    Diversity = 7,
    /// `exploration`; the candidate of a sigma.
    Exploration = 8,
}

/// The refusal of a part as a whole.
fn whole(part: Part) -> Error {
    Error::feature(Status::BadRule, part as usize)
}

/// The refusal of an element.
pub(super) fn element(part: Part, index: usize) -> Error {
    Error::cell(Status::BadRule, part as usize, index)
}

/// Refuses the first element that is not `valid`.
fn all<T>(part: Part, elements: &[T], valid: impl Fn(&T) -> bool) -> Result<()> {
    match elements.iter().position(|element| !valid(element)) {
        Some(index) => Err(element(part, index)),
        None => Ok(()),
    }
}

/// Refuses what has neither an element for each candidate nor none.
fn each<T>(part: Part, elements: &[T], candidates: usize) -> Result<()> {
    match elements.len() {
        len if len == 0 || len == candidates => Ok(()),
        _ => Err(whole(part)),
    }
}

impl Rules<'_> {
    /// Checks lengths and ranges for a list of so many candidates and positions. What pins, blocked positions and hidden
    /// candidates say of each other is checked where they are seated.
    pub(super) fn check(&self, candidates: usize, positions: usize) -> Result<()> {
        if !(1..=limits::CANDIDATES).contains(&candidates) {
            return Err(Error::at(Status::CandidateCount, limits::CANDIDATES));
        }
        if !(1..=POSITIONS).contains(&positions) {
            return Err(Error::at(Status::CandidateCount, POSITIONS));
        }
        each(Part::Factors, self.factors, candidates)?;
        all(Part::Factors, self.factors, |x| {
            (0.0..=FACTOR_MAX).contains(x)
        })?;
        each(Part::Bonuses, self.bonuses, candidates)?;
        all(Part::Bonuses, self.bonuses, |x| x.abs() <= SCORE_MAX)?;
        if self.decays.len() > DECAYS {
            return Err(whole(Part::Decays));
        }
        all(Part::Decays, self.decays, |decay| {
            let factor = decay.factor > 0.0 && decay.factor <= 1.0;
            factor && (0.0..=1.0).contains(&decay.floor) && decay.keys.len() == candidates
        })?;
        if self.spacings.len() > SPACINGS {
            return Err(whole(Part::Spacings));
        }
        all(Part::Spacings, self.spacings, |rule| {
            let window = (1..=WINDOW).contains(&rule.window);
            window && rule.max > 0 && rule.keys.len() == candidates
        })?;
        self.check_diversity(candidates)?;
        match self.exploration {
            Exploration::None => Ok(()),
            Exploration::Epsilon { epsilon, .. } => match (0.0..=1.0).contains(&epsilon) {
                true => Ok(()),
                false => Err(whole(Part::Exploration)),
            },
            Exploration::Thompson { sigma, .. } if sigma.len() == candidates => {
                all(Part::Exploration, sigma, |x| (0.0..=SCORE_MAX).contains(x))
            }
            Exploration::Thompson { .. } => Err(whole(Part::Exploration)),
        }
    }

    fn check_diversity(&self, candidates: usize) -> Result<()> {
        let valid = match self.diversity {
            Diversity::None => true,
            Diversity::Mmr { lambda } => self.dim > 0 && (0.0..=1.0).contains(&lambda),
            Diversity::Dpp { theta } => self.dim > 0 && (0.0..=THETA_MAX).contains(&theta),
        };
        // Dimensions are bounded, so the product is.
        let fits = self.dim <= limits::EMBEDDING_DIM && self.vectors.len() == candidates * self.dim;
        match valid && fits {
            true => Ok(()),
            false => Err(whole(Part::Diversity)),
        }
    }
}
