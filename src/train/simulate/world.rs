//! The constants of the world and what one user does with one item, given type and state.
//!
//! Every probability is Φ of a sum of visible and latent parts, and ln(watch seconds) is normal, so the latent parts can be
//! integrated out in closed form. For type k, state s, an item of topic t, quality q, bait b and length ℓ at position p
//! (0 = top), with z = ln(ℓ / 40 s) / 0.9 and the knobs β (bait), λ (length), κ (completion), ρ (task correlation):
//!
//! ```text
//! click        Φ(C0 + A[k][t] + 0.20 q + 0.9 β b G[k] H[s] + λ (J[s] + J0) z + S[s] - 0.28 ln(1 + p))
//! ln watch     N(μ, 0.8²),  μ = ln 18 + 0.45 mix(ρ, A, B)[k][t] + 0.30 q - 1.5 β b + λ (L0 + L[s]) z + M[s] - 0.03 p
//! complete     watch ≥ θ(ℓ),  θ = 0.95 · 40 · exp(0.9 z (κ + (1 - κ) λ L0 / 0.9)); κ = 1 is 95 % of the length
//! interaction  Φ(a + R[k] + c · mix(ρ, A, D)[k][t] + d q - e β b + f (ln watch - ln 18)), once clicked
//! ```
//! with mix(ρ, A, X) = ρ A + √(1 - ρ²) X. Watch seconds count replays, so they may exceed the length.
//!
//! Invariant: nothing here depends on an item's id, so a model that sees the visible columns misses nothing about items.

use std::prelude::v1::*;

use super::Knobs;
use super::catalog::Item;
use super::filter::Belief;
use super::normal::Normal;

/// Number of user types.
pub const NUM_TYPES: usize = 5;
/// Number of session states: explore, relax, hurry.
pub const NUM_STATES: usize = 3;
/// Number of topics.
pub const NUM_TOPICS: usize = 12;
/// Number of delayed interactions.
pub const NUM_INTERACTIONS: usize = 4;
/// Names of the interactions, in the order of every array here.
pub const INTERACTIONS: [&str; NUM_INTERACTIONS] = ["like", "comment", "favourite", "share"];
/// Seconds from the end of a row's view until the interaction, made or not, is known.
pub const INTERACTION_DELAY_SECONDS: [u32; NUM_INTERACTIONS] = [600, 3600, 1800, 7200];

/// Levels of the visible profile: age group, gender, region, device.
pub const PROFILE_LEVELS: [u32; 4] = [6, 3, 8, 4];

/// ln 40 s, the median length.
pub(crate) const LN_LENGTH: f64 = 3.688_879_454_113_936;
/// Standard deviation of ln length.
pub(crate) const LENGTH_SD: f64 = 0.9;
/// ln 18 s, the centre of watch time.
const LN_WATCH: f64 = 2.890_371_757_896_165;
/// Standard deviation of ln watch given type, state, item and position.
pub(crate) const WATCH_SD: f64 = 0.8;
/// exp(0.8² / 2): mean of a log-normal over its median.
const MEAN_TO_MEDIAN: f64 = 1.377_127_764_335_957_2;
/// ln of the share of the length that counts as complete.
const LN_COMPLETE: f64 = -0.051_293_294_387_550_58;

const CLICK_BASE: f64 = -0.62;
const CLICK_QUALITY: f64 = 0.20;
const CLICK_BAIT: f64 = 0.9;
const CLICK_LENGTH: f64 = -0.48;
const CLICK_POSITION: f64 = -0.28;
const CLICK_STATE: [f64; NUM_STATES] = [0.0, 0.30, -0.35];
const CLICK_LENGTH_STATE: [f64; NUM_STATES] = [0.0, 0.22, -0.25];
const BAIT_TYPE: [f64; NUM_TYPES] = [1.1, 0.7, 1.2, 1.3, 0.6];
const BAIT_STATE: [f64; NUM_STATES] = [1.0, 0.7, 1.4];

const WATCH_AFFINITY: f64 = 0.45;
const WATCH_QUALITY: f64 = 0.30;
const WATCH_BAIT: f64 = -1.5;
const WATCH_LENGTH: f64 = 0.60;
const WATCH_LENGTH_STATE: [f64; NUM_STATES] = [0.0, 0.12, -0.15];
const WATCH_STATE: [f64; NUM_STATES] = [0.0, 0.45, -0.60];
const WATCH_POSITION: f64 = -0.03;

const INTERACTION_BASE: [f64; NUM_INTERACTIONS] = [-1.35, -2.68, -2.0, -2.75];
const INTERACTION_TYPE: [[f64; NUM_TYPES]; NUM_INTERACTIONS] = [
    [0.15, -0.20, 0.20, 0.05, -0.10],
    [0.15, 0.12, -0.05, -0.15, -0.05],
    [-0.20, 0.05, 0.20, -0.15, 0.20],
    [0.10, 0.08, 0.02, 0.10, -0.25],
];
const INTERACTION_AFFINITY: [f64; NUM_INTERACTIONS] = [0.40, 0.35, 0.35, 0.35];
const INTERACTION_QUALITY: [f64; NUM_INTERACTIONS] = [0.35, 0.40, 0.40, 0.45];
const INTERACTION_BAIT: [f64; NUM_INTERACTIONS] = [-0.8, -0.8, -0.9, -1.0];
const INTERACTION_WATCH: [f64; NUM_INTERACTIONS] = [0.25, 0.20, 0.25, 0.20];

/// Click affinity of a type for a topic: sport, games, news, finance, food, travel, beauty, music, comedy, tech, science,
/// pets.
const AFFINITY: [[f64; NUM_TOPICS]; NUM_TYPES] = [
    [
        0.9, 0.9, -0.2, -0.4, -0.5, -0.3, -0.8, 0.2, 0.5, 0.3, -0.4, -0.4,
    ],
    [
        0.2, -0.7, 0.9, 0.9, -0.2, 0.2, -0.7, -0.4, -0.5, 0.4, 0.1, -0.5,
    ],
    [
        -0.7, -0.8, -0.3, -0.5, 0.9, 0.7, 0.9, 0.1, -0.1, -0.6, -0.4, 0.5,
    ],
    [
        -0.3, 0.1, -0.6, -0.8, -0.1, -0.1, 0.2, 0.9, 0.9, -0.5, -0.6, 0.6,
    ],
    [
        -0.5, 0.2, 0.2, 0.2, -0.3, 0.1, -0.6, -0.3, -0.3, 0.9, 0.9, -0.1,
    ],
];
/// The part of the watch affinity that is not the click affinity.
const WATCH_OWN: [[f64; NUM_TOPICS]; NUM_TYPES] = [
    [
        0.4, -0.5, 0.6, -0.2, 0.3, 0.5, -0.4, -0.6, 0.2, -0.3, 0.6, -0.5,
    ],
    [
        -0.6, 0.5, -0.3, 0.4, 0.6, -0.4, 0.3, 0.5, -0.5, -0.2, -0.4, 0.2,
    ],
    [
        0.5, 0.3, -0.5, 0.6, -0.4, 0.4, -0.2, -0.5, 0.6, 0.3, -0.6, -0.1,
    ],
    [
        -0.4, 0.6, 0.4, -0.6, -0.3, -0.5, 0.6, 0.3, -0.4, 0.5, 0.2, -0.3,
    ],
    [
        0.2, -0.6, -0.4, 0.3, 0.5, -0.3, -0.5, 0.4, 0.5, -0.6, 0.3, 0.6,
    ],
];
/// The part of the interaction affinity that is not the click affinity.
const INTERACTION_OWN: [[f64; NUM_TOPICS]; NUM_TYPES] = [
    [
        -0.5, 0.4, -0.4, 0.5, 0.2, -0.6, 0.5, 0.3, -0.3, 0.6, -0.2, 0.1,
    ],
    [
        0.5, -0.3, 0.4, -0.5, -0.6, 0.3, 0.2, -0.4, 0.6, -0.1, 0.5, -0.5,
    ],
    [
        0.3, -0.5, 0.6, 0.2, 0.4, -0.4, -0.6, 0.5, -0.2, 0.3, -0.5, 0.4,
    ],
    [
        -0.6, 0.5, 0.3, -0.4, -0.2, 0.6, 0.4, -0.5, 0.3, -0.4, 0.2, -0.3,
    ],
    [
        0.4, -0.2, -0.6, 0.3, 0.5, 0.2, -0.3, 0.6, -0.5, -0.4, -0.1, 0.5,
    ],
];

/// Logits of the type prior by level of each profile column; the device says nothing.
const PRIOR_AGE: [[f64; NUM_TYPES]; 6] = [
    [0.7, -1.0, 0.1, 0.9, -0.3],
    [0.6, -0.5, 0.3, 0.5, 0.2],
    [0.2, 0.0, 0.3, 0.1, 0.4],
    [-0.1, 0.5, 0.2, -0.2, 0.3],
    [-0.4, 0.9, 0.0, -0.4, 0.0],
    [-0.7, 1.2, -0.1, -0.5, -0.4],
];
const PRIOR_GENDER: [[f64; NUM_TYPES]; 3] = [
    [0.5, 0.2, -0.7, -0.1, 0.2],
    [-0.6, -0.2, 0.7, 0.2, -0.2],
    [0.0, 0.0, 0.0, 0.0, 0.0],
];
const PRIOR_REGION: [[f64; NUM_TYPES]; 8] = [
    [0.3, 0.0, -0.2, 0.1, 0.0],
    [-0.3, 0.3, 0.0, -0.1, 0.2],
    [0.0, -0.2, 0.3, 0.2, -0.3],
    [0.2, 0.2, -0.3, -0.2, 0.1],
    [-0.2, 0.0, 0.2, 0.3, -0.2],
    [0.1, -0.3, 0.0, 0.0, 0.3],
    [0.0, 0.3, -0.1, -0.3, 0.0],
    [-0.1, -0.3, 0.1, 0.0, -0.1],
];

/// State at the start of a session.
pub(crate) const STATE_START: [f64; NUM_STATES] = [0.40, 0.30, 0.30];
/// Transition between two requests of one session, `[from][to]`.
pub(crate) const STATE_STEP: [[f64; NUM_STATES]; NUM_STATES] =
    [[0.92, 0.04, 0.04], [0.05, 0.92, 0.03], [0.05, 0.03, 0.92]];

/// What is expected of one row. Everything but `click` is conditional on a click.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// P(click) of a valid impression.
    pub click: f64,
    /// P(complete | click).
    pub complete: f64,
    /// P(interaction | click), in the order of [`INTERACTIONS`]; the watch time is integrated out.
    pub interactions: [f64; NUM_INTERACTIONS],
    /// E[watch seconds | click].
    pub watch_mean: f64,
    /// Median of watch seconds given a click.
    pub watch_median: f64,
}

/// P(click) and the mean of ln(watch) by type and state, for one row.
pub(crate) struct Responses {
    pub(crate) click: [[f64; NUM_STATES]; NUM_TYPES],
    pub(crate) ln_watch: [[f64; NUM_STATES]; NUM_TYPES],
}

/// The world with its knobs set: everything that turns (type, state, item, position) into distributions.
#[derive(Debug, Clone)]
pub struct World {
    knobs: Knobs,
    /// Added to ln(watch).
    watch_affinity: [[f64; NUM_TOPICS]; NUM_TYPES],
    /// Its exponential.
    watch_factor: [[f64; NUM_TOPICS]; NUM_TYPES],
    /// 1 / √(1 + f² σ²) of each interaction's watch slope f.
    interaction_shrink: [f64; NUM_INTERACTIONS],
    interaction_affinity: [[f64; NUM_TOPICS]; NUM_TYPES],
    /// ln(1 + position).
    ln_position: Vec<f64>,
    pub(crate) normal: Normal,
}

/// Positions with a table entry; later ones look like the last.
const POSITIONS: usize = 64;

impl World {
    /// The world under `knobs`.
    pub fn new(knobs: Knobs) -> Self {
        let own = libm::sqrt((1.0 - knobs.task_correlation * knobs.task_correlation).max(0.0));
        let mix = |other: &[[f64; NUM_TOPICS]; NUM_TYPES]| {
            let mut mixed = [[0.0; NUM_TOPICS]; NUM_TYPES];
            for (k, row) in mixed.iter_mut().enumerate() {
                for (t, cell) in row.iter_mut().enumerate() {
                    *cell = knobs.task_correlation * AFFINITY[k][t] + own * other[k][t];
                }
            }
            mixed
        };
        let watch_affinity = mix(&WATCH_OWN).map(|row| row.map(|a| WATCH_AFFINITY * a));
        World {
            knobs,
            watch_affinity,
            watch_factor: watch_affinity.map(|row| row.map(libm::exp)),
            interaction_shrink: INTERACTION_WATCH
                .map(|f| 1.0 / libm::sqrt(1.0 + f * f * WATCH_SD * WATCH_SD)),
            interaction_affinity: mix(&INTERACTION_OWN),
            ln_position: (0..POSITIONS).map(|p| libm::log1p(p as f64)).collect(),
            normal: Normal::new(),
        }
    }

    /// P(type | visible profile).
    pub fn type_prior(&self, profile: &[u32; 4]) -> [f64; NUM_TYPES] {
        let [age, gender, region, _] = profile.map(|level| level as usize);
        let mut prior = [0.0; NUM_TYPES];
        for (k, p) in prior.iter_mut().enumerate() {
            let at = |table: &[[f64; NUM_TYPES]], level: usize| {
                table.get(level).map_or(0.0, |row| row[k])
            };
            *p = libm::exp(
                at(&PRIOR_AGE, age) + at(&PRIOR_GENDER, gender) + at(&PRIOR_REGION, region),
            );
        }
        let sum: f64 = prior.iter().sum();
        prior.map(|p| p / sum)
    }

    /// The parts of a row that do not depend on the type, by state: the click argument, its bait part, ln(watch).
    fn of_state(&self, item: &Item, position: u32, s: usize) -> (f64, f64, f64) {
        let Knobs { bait, length, .. } = self.knobs;
        let z = item.length_z();
        let p = (position as usize).min(POSITIONS - 1);
        let click = CLICK_BASE
            + CLICK_QUALITY * item.quality
            + CLICK_POSITION * self.ln_position[p]
            + CLICK_STATE[s]
            + length * (CLICK_LENGTH + CLICK_LENGTH_STATE[s]) * z;
        let ln_watch = LN_WATCH
            + WATCH_QUALITY * item.quality
            + WATCH_BAIT * bait * item.bait
            + WATCH_POSITION * p as f64
            + WATCH_STATE[s]
            + length * (WATCH_LENGTH + WATCH_LENGTH_STATE[s]) * z;
        (
            click,
            CLICK_BAIT * bait * item.bait * BAIT_STATE[s],
            ln_watch,
        )
    }

    /// P(click) and the mean of ln(watch) of one type and state.
    pub(crate) fn response(
        &self,
        item: &Item,
        position: u32,
        kind: usize,
        state: usize,
    ) -> (f64, f64) {
        let (click, bait, ln_watch) = self.of_state(item, position, state);
        let topic = item.topic as usize;
        (
            self.normal
                .cdf(click + AFFINITY[kind][topic] + bait * BAIT_TYPE[kind]),
            ln_watch + self.watch_affinity[kind][topic],
        )
    }

    pub(crate) fn responses(&self, item: &Item, position: u32) -> Responses {
        let topic = item.topic as usize;
        let mut responses = Responses {
            click: [[0.0; NUM_STATES]; NUM_TYPES],
            ln_watch: [[0.0; NUM_STATES]; NUM_TYPES],
        };
        for s in 0..NUM_STATES {
            let (click, bait, ln_watch) = self.of_state(item, position, s);
            for k in 0..NUM_TYPES {
                let x = click + AFFINITY[k][topic] + bait * BAIT_TYPE[k];
                responses.click[k][s] = self.normal.cdf(x);
                responses.ln_watch[k][s] = ln_watch + self.watch_affinity[k][topic];
            }
        }
        responses
    }

    /// ln of the watch time from which an item counts as complete.
    pub(crate) fn ln_complete(&self, item: &Item) -> f64 {
        let Knobs {
            length, completion, ..
        } = self.knobs;
        let slope = completion * LENGTH_SD + (1.0 - completion) * length * WATCH_LENGTH;
        LN_COMPLETE + LN_LENGTH + slope * item.length_z()
    }

    /// The probit argument of each interaction by type, at ln(watch) = ln 18 s.
    fn interaction_bases(&self, item: &Item) -> [[f64; NUM_TYPES]; NUM_INTERACTIONS] {
        let mut bases = [[0.0; NUM_TYPES]; NUM_INTERACTIONS];
        for (j, row) in bases.iter_mut().enumerate() {
            let of_item = INTERACTION_BASE[j]
                + INTERACTION_QUALITY[j] * item.quality
                + INTERACTION_BAIT[j] * self.knobs.bait * item.bait;
            for (k, base) in row.iter_mut().enumerate() {
                *base = of_item
                    + INTERACTION_TYPE[j][k]
                    + INTERACTION_AFFINITY[j] * self.interaction_affinity[k][item.topic as usize];
            }
        }
        bases
    }

    /// P(interaction | click, watch time, type), `[interaction][type]`.
    pub(crate) fn interactions_given_watch(
        &self,
        item: &Item,
        watch_seconds: f64,
    ) -> [[f64; NUM_TYPES]; NUM_INTERACTIONS] {
        let excess = libm::log(watch_seconds) - LN_WATCH;
        let mut p = self.interaction_bases(item);
        for (j, row) in p.iter_mut().enumerate() {
            for cell in row.iter_mut() {
                *cell = self.normal.cdf(*cell + INTERACTION_WATCH[j] * excess);
            }
        }
        p
    }

    /// The truth about a row: type and state known.
    pub fn predict_latent(
        &self,
        item: &Item,
        position: u32,
        kind: usize,
        state: usize,
    ) -> Prediction {
        let (click, mu) = self.response(item, position, kind, state);
        let bases = self.interaction_bases(item);
        let mut interactions = [0.0; NUM_INTERACTIONS];
        for (j, p) in interactions.iter_mut().enumerate() {
            *p = self.normal.cdf(self.marginal(j, bases[j][kind], mu));
        }
        let watch_median = libm::exp(mu);
        Prediction {
            click,
            complete: self.normal.cdf((mu - self.ln_complete(item)) / WATCH_SD),
            interactions,
            watch_mean: watch_median * MEAN_TO_MEDIAN,
            watch_median,
        }
    }

    /// What is expected of a row by one who holds `belief` about type and state.
    pub fn predict(&self, belief: &Belief, item: &Item, position: u32) -> Prediction {
        let responses = self.responses(item, position);
        let bases = self.interaction_bases(item);
        let ln_complete = self.ln_complete(item);
        let mut weights = [[0.0; NUM_STATES]; NUM_TYPES];
        let (mut click, mut complete, mut mean) = (0.0, 0.0, 0.0);
        let topic = item.topic as usize;
        let factors: [f64; NUM_STATES] = core::array::from_fn(|s| {
            libm::exp(responses.ln_watch[0][s] - self.watch_affinity[0][topic])
        });
        let mut interactions = [0.0; NUM_INTERACTIONS];
        for (k, row) in weights.iter_mut().enumerate() {
            for (s, cell) in row.iter_mut().enumerate() {
                let weight = belief.joint[k][s] * responses.click[k][s];
                *cell = weight;
                let mu = responses.ln_watch[k][s];
                click += weight;
                complete += weight * self.normal.cdf((mu - ln_complete) / WATCH_SD);
                mean += weight * factors[s] * self.watch_factor[k][topic];
                for j in 0..NUM_INTERACTIONS {
                    interactions[j] += weight * self.normal.cdf(self.marginal(j, bases[j][k], mu));
                }
            }
        }
        Prediction {
            click,
            complete: complete / click,
            interactions: interactions.map(|p| p / click),
            watch_mean: mean / click * MEAN_TO_MEDIAN,
            watch_median: libm::exp(self.mixture_median(&weights, &responses.ln_watch, click)),
        }
    }

    /// Median of the normal mixture of the given weights (sum `total`) and means: Newton's method kept inside a bracket.
    fn mixture_median(
        &self,
        weights: &[[f64; NUM_STATES]; NUM_TYPES],
        means: &[[f64; NUM_STATES]; NUM_TYPES],
        total: f64,
    ) -> f64 {
        let (mut low, mut high, mut x) = (f64::INFINITY, f64::NEG_INFINITY, 0.0);
        for (w, m) in weights.as_flattened().iter().zip(means.as_flattened()) {
            low = low.min(*m);
            high = high.max(*m);
            x += w * m / total;
        }
        // 3 steps are usual; the limit is never met while Newton halves the bracket at worst.
        for _ in 0..60 {
            let (mut cdf, mut slope) = (0.0, 0.0);
            for (w, m) in weights.as_flattened().iter().zip(means.as_flattened()) {
                let u = (x - m) / WATCH_SD;
                let (p, density) = self.normal.cdf_and_density(u);
                cdf += w * p;
                slope += w * density;
            }
            let excess = cdf / total - 0.5;
            if excess > 0.0 {
                high = x
            } else {
                low = x
            }
            let mut next = x - excess * total * WATCH_SD / slope;
            if !(low..=high).contains(&next) {
                next = 0.5 * (low + high);
            }
            let step = next - x;
            x = next;
            // Newton squares the error: what is left is below 1e-11.
            if step.abs() < 1e-6 {
                break;
            }
        }
        x
    }

    /// The probit argument after ln(watch) ~ N(mu, 0.8²) is integrated out:
    /// E Φ(a + f X) = Φ((a + f μ) / √(1 + f² σ²)).
    fn marginal(&self, interaction: usize, base: f64, mu: f64) -> f64 {
        (base + INTERACTION_WATCH[interaction] * (mu - LN_WATCH))
            * self.interaction_shrink[interaction]
    }
}
