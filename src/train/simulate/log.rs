//! The log in time order, and the files of a simulation.
//!
//! All users live side by side; a heap of their next request times gives the log's order, so memory holds one small record a user
//! (about 1 kB with its late labels) and never the log. A user's first request falls uniformly in the first five days.
//!
//! Nine requests of ten are ordered by the logging policy, a Plackett-Luce draw with weights exp(server score / 0.5); one of ten, by a
//! coin of its own, uniformly at random. `propensity` is the probability that the policy put this item at this position given the
//! items above it: 1 / (40 - position) when random.

use std::collections::BinaryHeap;
use std::path::Path;
use std::prelude::v1::*;

use core::cmp::Reverse;
use core::ops::ControlFlow;
use serde::Serialize;

use super::normal::{Draws, stream};
use super::table::{Cell, Table, failed};
use super::world::{INTERACTIONS, NUM_INTERACTIONS, Prediction};
use super::{Feed, Feedback, Format, Request, SimulateError, SimulateOptions, Visitor};

/// Share of requests in uniformly random order.
pub const RANDOM_SHARE: f64 = 0.1;
/// Unix time at which a log begins: 2026-01-05 00:00:00 UTC, a Monday.
pub const START_TIME: i64 = 1_767_571_200;
const ARRIVAL_SECONDS: f64 = 5.0 * 86_400.0;
const LOGGING_TEMPERATURE: f64 = 0.5;

/// One request as it was logged.
#[derive(Debug, Clone)]
pub struct LoggedRequest {
    /// Counts from 0 in time order.
    pub request_id: u64,
    /// The request, with the truth behind its methods.
    pub request: Request,
    /// Uniformly random order rather than the logging policy's.
    pub random: bool,
    /// Viewed rows, top first.
    pub rows: Vec<LoggedRow>,
}

/// One row of a logged request.
#[derive(Debug, Clone, Copy)]
pub struct LoggedRow {
    /// Which candidate.
    pub index: u32,
    /// 0 = top.
    pub position: u32,
    /// P(this item here | the items above), by the policy that ordered the request.
    pub propensity: f64,
    /// What the user did.
    pub feedback: Feedback,
}

/// The requests of a log, in time order, without end; [`simulate`] stops at the asked number of rows.
pub struct Generator<'a> {
    feed: &'a Feed,
    visitors: Vec<Visitor>,
    queue: BinaryHeap<Reverse<(i64, u32)>>,
    policy: Draws,
    next_id: u64,
}

impl<'a> Generator<'a> {
    /// The log of the feed's own options.
    pub fn new(feed: &'a Feed) -> Self {
        let seed = feed.options().seed;
        let mut policy = stream(seed, u64::MAX);
        let visitors: Vec<Visitor> = (0..feed.options().num_users())
            .map(|user| {
                feed.visitor(
                    seed,
                    user,
                    START_TIME + (ARRIVAL_SECONDS * policy.uniform()) as i64,
                )
            })
            .collect();
        let queue = visitors
            .iter()
            .zip(0..)
            .map(|(v, user)| Reverse((v.next_time(), user)))
            .collect();
        Generator {
            feed,
            visitors,
            queue,
            policy,
            next_id: 0,
        }
    }

    /// The order of a request and the propensity at each place.
    fn order(&mut self, request: &Request, random: bool) -> (Vec<u32>, Vec<f64>) {
        let num = request.candidates.len();
        let weight = |score: f64| {
            if random {
                1.0
            } else {
                libm::exp(score / LOGGING_TEMPERATURE)
            }
        };
        let weights: Vec<f64> = request
            .candidates
            .iter()
            .map(|c| weight(c.server_score))
            .collect();
        // Sorting by exponential / weight draws from Plackett-Luce, and from the uniform order where the weights are 1.
        let mut keyed: Vec<(f64, u32)> = weights
            .iter()
            .zip(0..)
            .map(|(w, i)| (self.policy.exponential() / w, i))
            .collect();
        keyed.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let order: Vec<u32> = keyed.iter().map(|(_, i)| *i).collect();
        // Summed from the bottom, so that the last place has exactly 1.
        let mut propensities = vec![1.0; num];
        let mut below = 0.0;
        for (place, index) in order.iter().enumerate().rev() {
            let w = weights[*index as usize];
            below += w;
            propensities[place] = w / below;
        }
        (order, propensities)
    }
}

impl Iterator for Generator<'_> {
    type Item = LoggedRequest;

    fn next(&mut self) -> Option<LoggedRequest> {
        let Reverse((_, user)) = self.queue.pop()?;
        let request = self.visitors[user as usize].next_request(self.feed);
        let random = self.policy.uniform() < RANDOM_SHARE;
        let (order, propensities) = self.order(&request, random);
        let visitor = &mut self.visitors[user as usize];
        let feedback = visitor.respond(self.feed, &request, &order).ok()?;
        self.queue.push(Reverse((visitor.next_time(), user)));
        let rows = feedback
            .into_iter()
            .zip(order.iter().zip(&propensities))
            .zip(0..)
            .map(|((feedback, (index, propensity)), position)| LoggedRow {
                index: *index,
                position,
                propensity: *propensity,
                feedback,
            })
            .collect();
        let request_id = self.next_id;
        self.next_id += 1;
        Some(LoggedRequest {
            request_id,
            request,
            random,
            rows,
        })
    }
}

/// What a simulation wrote.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Rows of the log.
    pub rows: u64,
    /// Requests of the log.
    pub requests: u64,
    /// Users, and so rows of `users.csv`.
    pub users: u32,
    /// Items, and so rows of `items.csv`.
    pub items: u32,
    /// From the first request to the last, days.
    pub days: f64,
    /// Requests in uniformly random order, share of all.
    pub random_share: f64,
    /// Valid impressions.
    pub valid: u64,
    /// Clicks per valid impression.
    pub click_rate: f64,
    /// Completions per click.
    pub complete_rate: f64,
    /// Watch seconds per click.
    pub watch_seconds: f64,
    /// Interactions per valid impression, in the order like, comment, favourite, share.
    pub interaction_rates: [f64; NUM_INTERACTIONS],
}

/// Simulates `options.rows` rows into the folder `out` (made if it is not there): `log.csv`, `truth.csv` (both `.gz` if asked),
/// `items.csv`, `users.csv`, or all four as `.parquet`, and `model.toml`. `progress` is told the number of rows so far about every 10,000 rows and
/// can stop the run; a file gets its final name only when it is whole.
///
/// # Errors
/// Options outside their ranges, a file that cannot be written, or a stop.
pub fn simulate(
    options: &SimulateOptions,
    out: &Path,
    mut progress: impl FnMut(u64) -> ControlFlow<()>,
) -> Result<Summary, SimulateError> {
    let feed = Feed::new(*options)?;
    std::fs::create_dir_all(out).map_err(failed(out))?;
    let format = options.format;
    let create = |name: &str, format: Format, columns: &[(&str, Cell)]| {
        let path = out.join(format!("{name}.{}", format.extension()));
        Table::create(&path, format, columns)
    };
    let mut log = create("log", format, &log_columns())?;
    let truth_names = truth_columns();
    let truth_names: Vec<(&str, Cell)> = truth_names
        .iter()
        .map(|(name, cell)| (name.as_str(), *cell))
        .collect();
    let mut truth = create("truth", format, &truth_names)?;
    let mut generator = Generator::new(&feed);
    let mut counts = Counts::default();
    let mut reported = 0;
    while counts.rows < options.rows {
        let Some(logged) = generator.next() else {
            break;
        };
        counts.requests(&logged);
        for row in &logged.rows {
            if counts.rows == options.rows {
                break;
            }
            let request = &logged.request;
            let (Some(visible), Some(latent)) = (
                request.predict_visible(&feed, row.index, row.position),
                request.predict_latent(&feed, row.index, row.position),
            ) else {
                continue;
            };
            log_row(&mut log, &logged, row);
            truth_row(
                &mut truth,
                counts.rows,
                logged.request_id,
                request,
                row,
                &visible,
                &latent,
            );
            counts.row(&row.feedback);
        }
        log.flush_when_full()?;
        truth.flush_when_full()?;
        if counts.rows - reported >= 10_000 {
            reported = counts.rows;
            if progress(reported).is_break() {
                return Err(SimulateError::Stopped);
            }
        }
    }
    log.finish()?;
    truth.finish()?;

    let mut items = create("items", format.of_side_tables(), &ITEM_COLUMNS)?;
    for (item, id) in feed.items().iter().zip(0..) {
        items.int(id);
        items.int(item.topic.into());
        items.int(item.author.into());
        items.word(&format!("{:.3}", item.quality));
        items.word(&format!("{:.3}", item.bait));
        items.int(item.length_seconds.into());
        items.end_row();
        items.flush_when_full()?;
    }
    items.finish()?;
    let mut users = create("users", format.of_side_tables(), &USER_COLUMNS)?;
    for (visitor, id) in generator.visitors.iter().zip(0..) {
        users.int(id);
        for part in visitor.profile() {
            users.int(part.into());
        }
        users.end_row();
        users.flush_when_full()?;
    }
    users.finish()?;
    let path = out.join("model.toml");
    std::fs::write(&path, model_description(format)).map_err(failed(&path))?;
    Ok(counts.summary(&feed))
}

/// The matching model description.
pub fn model_description(format: Format) -> String {
    let template = include_str!("model.toml");
    let side = format.of_side_tables().extension();
    template
        .replace("\"log.csv\"", &format!("\"log.{}\"", format.extension()))
        .replace("\"items.csv\"", &format!("\"items.{side}\""))
        .replace("\"users.csv\"", &format!("\"users.{side}\""))
}

const ITEM_COLUMNS: [(&str, Cell); 6] = [
    ("item_id", Cell::Int),
    ("topic", Cell::Int),
    ("author", Cell::Int),
    ("quality", Cell::Number),
    ("bait", Cell::Number),
    ("length_seconds", Cell::Int),
];

const USER_COLUMNS: [(&str, Cell); 5] = [
    ("user_id", Cell::Int),
    ("age_group", Cell::Int),
    ("gender", Cell::Int),
    ("region", Cell::Int),
    ("device", Cell::Int),
];

fn log_columns() -> Vec<(&'static str, Cell)> {
    let ints = |names: &'static [&'static str]| names.iter().map(|name| (*name, Cell::Int));
    let mut columns: Vec<_> =
        ints(&["request_id", "user_id", "time", "item_id", "position"]).collect();
    columns.extend([
        ("server_score", Cell::Number),
        ("policy", Cell::Text),
        ("propensity", Cell::Number),
    ]);
    columns.extend(ints(&["screen_ms", "valid", "view_end_seconds", "click"]));
    columns.push(("watch_seconds", Cell::Number));
    columns.extend(ints(&["complete"]).chain(ints(&INTERACTIONS)));
    columns
}

fn truth_columns() -> Vec<(String, Cell)> {
    let mut columns: Vec<(String, Cell)> = ["row", "request_id", "type", "state"]
        .map(|name| (name.into(), Cell::Int))
        .into();
    columns.extend([
        ("watch_seconds".into(), Cell::Number),
        ("complete".into(), Cell::Int),
    ]);
    for sort in ["visible", "latent"] {
        for task in ["click", "complete"].iter().chain(&INTERACTIONS) {
            columns.push((format!("p_{sort}_{task}"), Cell::Number));
        }
        columns.push((format!("watch_mean_{sort}"), Cell::Number));
        columns.push((format!("watch_median_{sort}"), Cell::Number));
    }
    columns
}

fn log_row(table: &mut Table, logged: &LoggedRequest, row: &LoggedRow) {
    let request = &logged.request;
    let feedback = &row.feedback;
    let candidate = &request.candidates[row.index as usize];
    table.int(logged.request_id);
    table.int(u64::from(request.user_id));
    table.int(request.time as u64);
    table.int(u64::from(candidate.item_id));
    table.int(u64::from(row.position));
    table.fixed::<3>(candidate.server_score);
    table.word(if logged.random { "random" } else { "logged" });
    table.fixed::<7>(row.propensity);
    table.int(u64::from(feedback.screen_ms));
    table.int(u64::from(feedback.valid));
    table.int(u64::from(feedback.view_end_seconds));
    table.int(u64::from(feedback.click));
    if feedback.click {
        table.fixed::<3>(feedback.watch_seconds);
        table.int(u64::from(feedback.complete));
        feedback
            .interactions
            .iter()
            .for_each(|made| table.int(u64::from(*made)));
    } else {
        (0..2 + NUM_INTERACTIONS).for_each(|_| table.missing());
    }
    table.end_row();
}

fn truth_row(
    table: &mut Table,
    number: u64,
    request_id: u64,
    request: &Request,
    row: &LoggedRow,
    visible: &Prediction,
    latent: &Prediction,
) {
    table.int(number);
    table.int(request_id);
    table.int(request.latent_type() as u64);
    table.int(request.latent_state() as u64);
    table.fixed::<3>(row.feedback.watch_seconds);
    table.int(u64::from(row.feedback.complete));
    for p in [visible, latent] {
        table.fixed::<7>(p.click);
        table.fixed::<7>(p.complete);
        p.interactions.iter().for_each(|p| table.fixed::<7>(*p));
        table.fixed::<4>(p.watch_mean);
        table.fixed::<4>(p.watch_median);
    }
    table.end_row();
}

#[derive(Default)]
struct Counts {
    rows: u64,
    requests: u64,
    random: u64,
    first_time: i64,
    last_time: i64,
    valid: u64,
    clicks: u64,
    completes: u64,
    watch_seconds: f64,
    interactions: [u64; NUM_INTERACTIONS],
}

impl Counts {
    fn requests(&mut self, logged: &LoggedRequest) {
        if self.requests == 0 {
            self.first_time = logged.request.time;
        }
        self.last_time = logged.request.time;
        self.requests += 1;
        self.random += u64::from(logged.random);
    }

    fn row(&mut self, feedback: &Feedback) {
        self.rows += 1;
        self.valid += u64::from(feedback.valid);
        if feedback.click {
            self.clicks += 1;
            self.completes += u64::from(feedback.complete);
            self.watch_seconds += feedback.watch_seconds;
            for (count, made) in self.interactions.iter_mut().zip(feedback.interactions) {
                *count += u64::from(made);
            }
        }
    }

    fn summary(&self, feed: &Feed) -> Summary {
        let per = |count: f64, of: u64| count / of.max(1) as f64;
        Summary {
            rows: self.rows,
            requests: self.requests,
            users: feed.options().num_users(),
            items: feed.items().len() as u32,
            days: (self.last_time - self.first_time) as f64 / 86_400.0,
            random_share: per(self.random as f64, self.requests),
            valid: self.valid,
            click_rate: per(self.clicks as f64, self.valid),
            complete_rate: per(self.completes as f64, self.clicks),
            watch_seconds: per(self.watch_seconds, self.clicks),
            interaction_rates: self.interactions.map(|n| per(n as f64, self.valid)),
        }
    }
}
