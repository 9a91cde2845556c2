//! One simulated user: asks for a list, views it in the order a ranker chose, reacts, stays or leaves.
//!
//! A request offers [`NUM_CANDIDATES`] items drawn uniformly without repetition; the user views the first 8 to 12. A viewed row
//! is on screen for a time that says nothing about the user; it is a valid impression from 500 ms on. After the request the user
//! stays with probability Φ(1.0 + 0.22 · satisfaction), clamped to [0.5, 0.98], where satisfaction is the sum over clicked rows
//! of min(ln(1 + watch / 10 s), 2) - 0.75: a click that disappoints costs, a long watch pays. Between two requests of a session
//! pass the views and 2 s + an exponential of mean 6 s; between sessions 1 h + an exponential of mean 13 h.

use std::prelude::v1::*;

use super::catalog::{Item, draw_profile, thousandths};
use super::filter::{Belief, interaction_likelihoods};
use super::normal::{Draws, stream};
use super::world::{
    INTERACTION_DELAY_SECONDS, NUM_INTERACTIONS, NUM_TYPES, Prediction, STATE_START, STATE_STEP,
    World,
};
use super::{Feed, SimulateError};

/// Candidates of a request.
pub const NUM_CANDIDATES: usize = 40;
/// Milliseconds on screen from which an impression is valid.
pub const VALID_MS: u32 = 500;
/// Fewest and most rows of a request that are viewed; their mean is 10.
pub const VIEWS: core::ops::RangeInclusive<u32> = 8..=12;

const STAY_BASE: f64 = 1.0;
const STAY_SATISFACTION: f64 = 0.22;
const SESSION_GAP_SECONDS: (f64, f64) = (3_600.0, 46_800.0);
const REQUEST_GAP_SECONDS: (f64, f64) = (2.0, 6.0);

/// One candidate of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Index into [`Feed::items`].
    pub item_id: u32,
    /// 0.5 quality + 0.7 bait knob · bait + 0.5 · fresh noise, in thousandths: what the server thinks of the item.
    pub server_score: f64,
}

/// A list to order. What a model may use is public; the truth and the bound are behind methods.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who asks.
    pub user_id: u32,
    /// Levels of age group, gender, region and device.
    pub profile: [u32; 4],
    /// Unix seconds.
    pub time: i64,
    /// Whether the previous request is more than an hour past.
    pub session_starts: bool,
    /// What can be shown.
    pub candidates: Vec<Candidate>,
    belief: Belief,
    prior: Belief,
    unseen: Belief,
    kind: usize,
    state: usize,
}

impl Request {
    /// The best prediction from what is visible before the request, for candidate `index` at `position` (0 = top).
    pub fn predict_visible(&self, feed: &Feed, index: u32, position: u32) -> Option<Prediction> {
        Some(
            feed.world
                .predict(&self.belief, self.item(feed, index)?, position),
        )
    }

    /// The same from the profile alone: the best that a model without history can do.
    pub fn predict_profile(&self, feed: &Feed, index: u32, position: u32) -> Option<Prediction> {
        Some(
            feed.world
                .predict(&self.prior, self.item(feed, index)?, position),
        )
    }

    /// The best of one who knows of the type all that was visible, of the session's state only how it moves: what
    /// [`Self::predict_visible`] is above this, it has from the drift within sessions.
    pub fn predict_without_drift(
        &self,
        feed: &Feed,
        index: u32,
        position: u32,
    ) -> Option<Prediction> {
        let belief = self.belief.with_states_of(&self.unseen);
        Some(
            feed.world
                .predict(&belief, self.item(feed, index)?, position),
        )
    }

    /// The truth: the type and the state are known.
    pub fn predict_latent(&self, feed: &Feed, index: u32, position: u32) -> Option<Prediction> {
        Some(
            feed.world
                .predict_latent(self.item(feed, index)?, position, self.kind, self.state),
        )
    }

    /// The item of candidate `index`.
    pub fn item<'a>(&self, feed: &'a Feed, index: u32) -> Option<&'a Item> {
        feed.items
            .get(self.candidates.get(index as usize)?.item_id as usize)
    }

    /// The true type, for the truth file.
    pub fn latent_type(&self) -> usize {
        self.kind
    }

    /// The true state, for the truth file.
    pub fn latent_state(&self) -> usize {
        self.state
    }

    /// The belief of the exact filter.
    pub fn belief(&self) -> &Belief {
        &self.belief
    }
}

/// What came back for one viewed row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Feedback {
    /// Milliseconds on screen.
    pub screen_ms: u32,
    /// On screen for at least [`VALID_MS`].
    pub valid: bool,
    /// Clicked; never where not valid.
    pub click: bool,
    /// Seconds from the request until the user was done with the row: click and watch are known after that.
    pub view_end_seconds: u32,
    /// Seconds the user watched, replays included; for an unclicked row what would have been watched.
    pub watch_seconds: f64,
    /// Whether that watch reaches the completion threshold.
    pub complete: bool,
    /// Interactions, in the order of [`super::INTERACTIONS`]; never where not clicked.
    pub interactions: [bool; NUM_INTERACTIONS],
}

/// A late label on its way: known strictly after `known_at`.
#[derive(Debug, Clone, Copy)]
struct Pending {
    known_at: i64,
    likelihood: [f64; NUM_TYPES],
}

/// One user over time. Made by [`Feed::visitor`].
#[derive(Debug, Clone)]
pub struct Visitor {
    draws: Draws,
    user_id: u32,
    profile: [u32; 4],
    kind: usize,
    state: usize,
    prior: [f64; NUM_TYPES],
    belief: Belief,
    /// What no row has moved: the profile, and the states as their chain alone has them.
    unseen: Belief,
    pending: Vec<Pending>,
    next_time: i64,
    session_starts: bool,
    requests: u64,
}

impl Visitor {
    pub(crate) fn new(world: &World, seed: u64, user_id: u32, first_time: i64) -> Self {
        let mut draws = stream(seed, 1 + u64::from(user_id));
        let profile = draw_profile(&mut draws);
        let prior = world.type_prior(&profile);
        let kind = draws.choice(&prior);
        Visitor {
            draws,
            user_id,
            profile,
            kind,
            state: 0,
            prior,
            belief: Belief::from_types(prior),
            unseen: Belief::from_types(prior),
            pending: Vec::new(),
            next_time: first_time,
            session_starts: true,
            requests: 0,
        }
    }

    /// Visible profile: age group, gender, region, device.
    pub fn profile(&self) -> [u32; 4] {
        self.profile
    }

    /// When the next request comes, Unix seconds.
    pub fn next_time(&self) -> i64 {
        self.next_time
    }

    /// Whether the next request starts a session, that is, the user has left.
    pub fn has_left(&self) -> bool {
        self.session_starts && self.requests > 0
    }

    /// The next list to order. Answer it with [`Visitor::respond`] before asking again.
    pub fn next_request(&mut self, feed: &Feed) -> Request {
        let chain = if self.session_starts {
            &STATE_START
        } else {
            &STATE_STEP[self.state]
        };
        self.state = self.draws.choice(chain);
        self.belief.step(self.session_starts);
        self.unseen.step(self.session_starts);
        let (now, belief) = (self.next_time, &mut self.belief);
        self.pending.retain(|label| {
            let waits = label.known_at >= now;
            if !waits {
                belief.observe_type(&label.likelihood);
            }
            waits
        });
        let num_items = feed.items.len() as u32;
        let mut candidates: Vec<Candidate> = Vec::with_capacity(NUM_CANDIDATES);
        while candidates.len() < NUM_CANDIDATES {
            let item_id = self.draws.below(num_items);
            if candidates.iter().all(|c| c.item_id != item_id) {
                let item = &feed.items[item_id as usize];
                let score = 0.5 * item.quality
                    + 0.7 * feed.options.knobs.bait * item.bait
                    + 0.5
                        * (self.draws.uniform() + self.draws.uniform() - 1.0)
                        * 2.449_489_742_783_178;
                candidates.push(Candidate {
                    item_id,
                    server_score: thousandths(score),
                });
            }
        }
        Request {
            user_id: self.user_id,
            profile: self.profile,
            time: now,
            session_starts: self.session_starts,
            candidates,
            belief: self.belief,
            prior: Belief::from_types(self.prior),
            unseen: self.unseen,
            kind: self.kind,
            state: self.state,
        }
    }

    /// The user views the list in `order` (indexes into the candidates, best first; at least the 12 first, each once) and
    /// the answer holds one entry a viewed row. The same numbers are drawn whatever the order, so two rankers that meet the
    /// same user see the same luck.
    ///
    /// # Errors
    /// An order that is too short, repeats an index or names one that does not exist.
    pub fn respond(
        &mut self,
        feed: &Feed,
        request: &Request,
        order: &[u32],
    ) -> Result<Vec<Feedback>, SimulateError> {
        check_order(order, request.candidates.len())?;
        let world = &feed.world;
        let num_views = VIEWS.start() + self.draws.below(VIEWS.end() - VIEWS.start() + 1);
        let mut feedback = Vec::with_capacity(num_views as usize);
        let (mut clock, mut satisfaction) = (0.0, 0.0);
        for (position, index) in (0..num_views).zip(order) {
            let Some(item) = request.item(feed, *index) else {
                continue;
            };
            let row = self.view(world, item, position, &mut clock);
            if row.valid {
                let watched = row.click.then_some(row.watch_seconds);
                self.belief.observe_view(world, item, position, watched);
            }
            if row.click {
                let p = world.interactions_given_watch(item, row.watch_seconds);
                let likelihoods = interaction_likelihoods(&p, &row.interactions);
                let seen_at = request.time + i64::from(row.view_end_seconds);
                for (likelihood, delay) in likelihoods.iter().zip(INTERACTION_DELAY_SECONDS) {
                    self.pending.push(Pending {
                        known_at: seen_at + i64::from(delay),
                        likelihood: *likelihood,
                    });
                }
                satisfaction += libm::log1p(row.watch_seconds / 10.0).min(2.0) - 0.75;
            }
            feedback.push(row);
        }
        let stays = world
            .normal
            .cdf(STAY_BASE + STAY_SATISFACTION * satisfaction)
            .clamp(0.5, 0.98);
        self.session_starts = self.draws.uniform() >= stays;
        let (least, mean) = if self.session_starts {
            SESSION_GAP_SECONDS
        } else {
            REQUEST_GAP_SECONDS
        };
        let gap = least + mean * self.draws.exponential();
        self.next_time = request.time + (libm::ceil(clock) + libm::ceil(gap)) as i64;
        self.requests += 1;
        Ok(feedback)
    }

    /// One row; always the same number of draws.
    fn view(&mut self, world: &World, item: &Item, position: u32, clock: &mut f64) -> Feedback {
        let shown = 0.93 - 0.015 * f64::from(position);
        let (is_valid, duration) = (self.draws.uniform() < shown, self.draws.uniform());
        let (clicks, noise) = (self.draws.uniform(), self.draws.normal());
        let luck: [f64; NUM_INTERACTIONS] = core::array::from_fn(|_| self.draws.uniform());

        let screen_ms = if is_valid {
            VALID_MS + (-1500.0 * libm::log(duration)) as u32
        } else {
            (duration * f64::from(VALID_MS)) as u32
        };
        let (p_click, mu) = world.response(item, position, self.kind, self.state);
        let click = is_valid && clicks < p_click;
        let ln_watch = mu + super::world::WATCH_SD * noise;
        let watch_seconds = thousandths(libm::exp(ln_watch)).max(0.001);
        let mut interactions = [false; NUM_INTERACTIONS];
        if click {
            let p = world.interactions_given_watch(item, watch_seconds);
            for (j, made) in interactions.iter_mut().enumerate() {
                *made = luck[j] < p[j][self.kind];
            }
        }
        *clock += f64::from(screen_ms) / 1000.0 + if click { watch_seconds } else { 0.0 };
        Feedback {
            screen_ms,
            valid: is_valid,
            click,
            view_end_seconds: libm::ceil(*clock) as u32,
            watch_seconds,
            complete: libm::log(watch_seconds) >= world.ln_complete(item),
            interactions,
        }
    }
}

fn check_order(order: &[u32], num_candidates: usize) -> Result<(), SimulateError> {
    let needed = num_candidates.min(*VIEWS.end() as usize);
    if order.len() < needed {
        return Err(SimulateError::Order(format!(
            "{} of at least {needed} candidates are ordered",
            order.len()
        )));
    }
    let mut seen = vec![false; num_candidates];
    for index in order {
        match seen.get_mut(*index as usize) {
            Some(seen) if !*seen => *seen = true,
            Some(_) => {
                return Err(SimulateError::Order(format!(
                    "candidate {index} is ordered twice"
                )));
            }
            None => {
                return Err(SimulateError::Order(format!(
                    "candidate {index} of {num_candidates} does not exist"
                )));
            }
        }
    }
    Ok(())
}
