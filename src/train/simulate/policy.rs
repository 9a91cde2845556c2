//! The closed loop: a ranker orders every list, and the users that it gets are the users that it made.

use std::prelude::v1::*;

use serde::Serialize;

use super::log::START_TIME;
use super::world::NUM_INTERACTIONS;
use super::{Feed, Feedback, Item, Request, SimulateError};
use super::{INTERACTION_DELAY_SECONDS, INTERACTIONS};

/// Sessions that one user has before the next user comes: the first is cold, the last has four behind it.
pub const SESSIONS_PER_USER: u32 = 5;
/// Rows of the list that the report's shares look at.
pub const TOP: usize = 10;

/// What a ranker may look at.
#[derive(Debug, Clone, Copy)]
pub struct RequestView<'a> {
    /// Counts from 0 over the whole run.
    pub request_id: u64,
    /// User, profile, time and candidates.
    pub request: &'a Request,
    /// The user's earlier rows, oldest first; labels only as they are known.
    pub history: &'a [PastRow],
    /// Items by id.
    pub feed: &'a Feed,
}

impl RequestView<'_> {
    /// The item of candidate `index`.
    pub fn item(&self, index: u32) -> Option<&Item> {
        self.request.item(self.feed, index)
    }
}

/// A row that the user has viewed before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PastRow {
    /// Its request.
    pub request_id: u64,
    /// Time of that request, Unix seconds.
    pub time: i64,
    /// What was shown.
    pub item_id: u32,
    /// Where, 0 = top.
    pub position: u32,
    /// The candidate's server score.
    pub server_score: f64,
    feedback: Feedback,
}

impl PastRow {
    /// Whether it was a valid impression.
    pub fn valid(&self) -> bool {
        self.feedback.valid
    }

    /// The value of the log column `label` and the time after which it is known, or `None`: no such column, or empty there.
    /// A ranker must not use what is not strictly before its request's time.
    pub fn label(&self, label: &str) -> Option<(f64, i64)> {
        let seen_at = self.time + i64::from(self.feedback.view_end_seconds);
        let feedback = &self.feedback;
        match label {
            "click" => Some((f64::from(u8::from(feedback.click)), seen_at)),
            _ if !feedback.click => None,
            "watch_seconds" => Some((feedback.watch_seconds, seen_at)),
            "complete" => Some((f64::from(u8::from(feedback.complete)), seen_at)),
            _ => {
                let j = INTERACTIONS.iter().position(|name| *name == label)?;
                let made = f64::from(u8::from(feedback.interactions[j]));
                Some((made, seen_at + i64::from(INTERACTION_DELAY_SECONDS[j])))
            }
        }
    }
}

/// What users did under a ranker. Everything per session unless said.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PolicyReport {
    /// Sessions run.
    pub sessions: u64,
    /// Requests.
    pub requests: f64,
    /// Viewed rows.
    pub views: f64,
    /// Clicks.
    pub clicks: f64,
    /// Watch time, seconds.
    pub watch_seconds: f64,
    /// Completions.
    pub completes: f64,
    /// Interactions, in the order like, comment, favourite, share.
    pub interactions: [f64; NUM_INTERACTIONS],
    /// From the first request to the end of the last view, seconds.
    pub session_seconds: f64,
    /// Items with bait above 0.5 among the first ten of a list, share.
    pub bait_share: f64,
    /// Mean length of the first ten of a list, seconds.
    pub length_seconds: f64,
}

/// Runs `sessions` sessions of fresh users (5 each, drawn from `seed`) whose lists `rank` orders: it returns indexes into the
/// candidates, best first, at least 12.
///
/// # Errors
/// An order that is not one ([`super::Visitor::respond`]).
pub fn run_policy(
    feed: &Feed,
    mut rank: impl FnMut(&RequestView<'_>) -> Vec<u32>,
    sessions: u64,
    seed: u64,
) -> Result<PolicyReport, SimulateError> {
    let mut total = PolicyReport {
        sessions,
        ..PolicyReport::default()
    };
    let mut done = 0;
    let mut user = 0;
    let mut request_id = 0;
    let mut history = Vec::new();
    while done < sessions {
        let mut visitor = feed.visitor(seed, user, START_TIME);
        user += 1;
        history.clear();
        let last = (done + u64::from(SESSIONS_PER_USER)).min(sessions);
        let mut began = visitor.next_time();
        while done < last {
            let request = visitor.next_request(feed);
            let order = rank(&RequestView {
                request_id,
                request: &request,
                history: &history,
                feed,
            });
            let feedback = visitor.respond(feed, &request, &order)?;
            total.count(feed, &request, &order, &feedback);
            let mut ended = request.time;
            for ((feedback, index), position) in feedback.iter().zip(&order).zip(0..) {
                let candidate = &request.candidates[*index as usize];
                history.push(PastRow {
                    request_id,
                    time: request.time,
                    item_id: candidate.item_id,
                    position,
                    server_score: candidate.server_score,
                    feedback: *feedback,
                });
                ended = ended.max(request.time + i64::from(feedback.view_end_seconds));
            }
            request_id += 1;
            if visitor.has_left() {
                total.session_seconds += (ended - began) as f64;
                began = visitor.next_time();
                done += 1;
            }
        }
    }
    Ok(total.averaged())
}

impl PolicyReport {
    fn count(&mut self, feed: &Feed, request: &Request, order: &[u32], feedback: &[Feedback]) {
        self.requests += 1.0;
        self.views += feedback.len() as f64;
        for row in feedback.iter().filter(|row| row.click) {
            self.clicks += 1.0;
            self.watch_seconds += row.watch_seconds;
            self.completes += f64::from(u8::from(row.complete));
            for (sum, made) in self.interactions.iter_mut().zip(row.interactions) {
                *sum += f64::from(u8::from(made));
            }
        }
        let (bait_share, length_seconds) = top_of_list(feed, request, order);
        self.bait_share += bait_share;
        self.length_seconds += length_seconds;
    }

    fn averaged(mut self) -> Self {
        let requests = self.requests.max(1.0);
        let sessions = (self.sessions as f64).max(1.0);
        self.bait_share /= requests;
        self.length_seconds /= requests;
        for sum in [
            &mut self.requests,
            &mut self.views,
            &mut self.clicks,
            &mut self.watch_seconds,
            &mut self.completes,
            &mut self.session_seconds,
        ] {
            *sum /= sessions;
        }
        self.interactions = self.interactions.map(|sum| sum / sessions);
        self
    }
}

/// Bait share and mean length (seconds) of the first ten of an order.
pub fn top_of_list(feed: &Feed, request: &Request, order: &[u32]) -> (f64, f64) {
    let top: Vec<&Item> = order
        .iter()
        .take(TOP)
        .filter_map(|index| request.item(feed, *index))
        .collect();
    let num = top.len().max(1) as f64;
    let bait = top.iter().filter(|item| item.is_bait()).count() as f64;
    let length: f64 = top.iter().map(|item| f64::from(item.length_seconds)).sum();
    (bait / num, length / num)
}
