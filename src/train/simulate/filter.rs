//! The exact forward filter over type × state, fed only with what has arrived.
//!
//! With B the joint belief at a request and T the transition of the states:
//!
//! ```text
//! next request of the session   B[k][s] <- Σ_r B[k][r] T[r][s]
//! first request of a session    B[k][s] <- (Σ_r B[k][r]) start[s]
//! a valid row, not clicked      B[k][s] *= 1 - Φ_click(k, s)
//! a valid row, watched w        B[k][s] *= Φ_click(k, s) · exp(-(ln w - μ(k, s))² / 2σ²)
//! an interaction arrives        B[k][s] *= Φ_j(k, w)  or  1 - Φ_j(k, w)
//! ```
//! A type never changes and interactions do not depend on the state, so a late label multiplies the joint exactly, whenever it
//! comes. `complete` is a function of the watch time and adds nothing. Rows that were not valid, how many rows were seen, gaps
//! and leaving depend on the latent variables only through what is already observed, so they carry no likelihood.

use super::catalog::Item;
use super::world::{
    NUM_INTERACTIONS, NUM_STATES, NUM_TYPES, STATE_START, STATE_STEP, WATCH_SD, World,
};

/// P(type, state | what has arrived), `[type][state]`, sums to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Belief {
    pub(crate) joint: [[f64; NUM_STATES]; NUM_TYPES],
}

impl Belief {
    /// What the profile alone says, at the start of a session.
    pub fn from_types(types: [f64; NUM_TYPES]) -> Self {
        Belief {
            joint: types.map(|p| STATE_START.map(|start| p * start)),
        }
    }

    /// P(type, state).
    pub fn probability(&self, kind: usize, state: usize) -> f64 {
        self.joint[kind][state]
    }

    /// This belief about the type, the states from `other`: what is left if nothing of the session is known.
    pub(crate) fn with_states_of(&self, other: &Belief) -> Belief {
        let mut joint = [[0.0; NUM_STATES]; NUM_TYPES];
        for (row, own) in joint.iter_mut().zip(&self.joint) {
            let kind: f64 = own.iter().sum();
            for (s, cell) in row.iter_mut().enumerate() {
                *cell = kind * other.joint.iter().map(|of| of[s]).sum::<f64>();
            }
        }
        Belief { joint }
    }

    /// One step of the state chain; `session_starts` draws the state afresh.
    pub(crate) fn step(&mut self, session_starts: bool) {
        for row in &mut self.joint {
            let before = *row;
            let total: f64 = before.iter().sum();
            for (s, cell) in row.iter_mut().enumerate() {
                *cell = if session_starts {
                    total * STATE_START[s]
                } else {
                    before
                        .iter()
                        .zip(&STATE_STEP)
                        .map(|(p, step)| p * step[s])
                        .sum()
                };
            }
        }
    }

    /// A valid row came back: `watch_seconds` is `None` where there was no click.
    pub(crate) fn observe_view(
        &mut self,
        world: &World,
        item: &Item,
        position: u32,
        watch_seconds: Option<f64>,
    ) {
        let responses = world.responses(item, position);
        let ln_watch = watch_seconds.map(libm::log);
        for k in 0..NUM_TYPES {
            for s in 0..NUM_STATES {
                let click = responses.click[k][s];
                self.joint[k][s] *= match ln_watch {
                    None => 1.0 - click,
                    Some(x) => {
                        let u = (x - responses.ln_watch[k][s]) / WATCH_SD;
                        click * libm::exp(-0.5 * u * u)
                    }
                };
            }
        }
        self.normalise();
    }

    /// A late label arrived, with its likelihood by type.
    pub(crate) fn observe_type(&mut self, likelihood: &[f64; NUM_TYPES]) {
        for (row, factor) in self.joint.iter_mut().zip(likelihood) {
            for cell in row.iter_mut() {
                *cell *= factor;
            }
        }
        self.normalise();
    }

    fn normalise(&mut self) {
        let total: f64 = self.joint.as_flattened().iter().sum();
        for cell in self.joint.as_flattened_mut() {
            *cell /= total;
        }
    }
}

/// P(the observed label | type) of each interaction of a clicked row.
pub(crate) fn interaction_likelihoods(
    p: &[[f64; NUM_TYPES]; NUM_INTERACTIONS],
    observed: &[bool; NUM_INTERACTIONS],
) -> [[f64; NUM_TYPES]; NUM_INTERACTIONS] {
    let mut likelihoods = *p;
    for (row, made) in likelihoods.iter_mut().zip(observed) {
        if !made {
            *row = row.map(|p| 1.0 - p);
        }
    }
    likelihoods
}
