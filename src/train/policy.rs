//! An exported model as the ranker of the simulated feed: the closed loop, and what each objective alone would show.
use std::prelude::v1::*;

use serde::Serialize;

use crate::engine::{Column, Model};
use crate::features::{self, Event, Key};
use crate::fusion::formula::Formula;
use crate::rerank;
use crate::spec::{Encoding, Side, Source};
use crate::train::description::{Description, IdKind};
use crate::train::error::{Error, Kind, Result};
use crate::train::log::key_of;
use crate::train::replay::{self, Ranker};
use crate::train::requests::{OwnedColumn, OwnedRequest};
use crate::train::simulate::policy::PastRow;
use crate::train::simulate::{
    Feed, Item, Knobs, PolicyReport, RequestView, SimulateError, SimulateOptions, run_policy,
};

/// Ranks requests of a simulated feed with an exported model.
pub struct FeedRanker<'m, 'a> {
    d: &'m Description,
    model: &'m Model<'a>,
    ranker: Ranker<'m, 'a>,
    keys: Vec<usize>,
    state: Vec<u8>,
}

/// What of a row a column may hold. The position is that of the top for every candidate: where it will stand is what
/// is being decided.
struct View<'v> {
    profile: [u32; 4],
    user: u32,
    item_id: u32,
    item: &'v Item,
    position: u32,
    server_score: f64,
}

impl View<'_> {
    fn cell(&self, column: &str) -> Option<f64> {
        let [age, gender, region, device] = self.profile;
        Some(match column {
            "age_group" => age.into(),
            "gender" => gender.into(),
            "region" => region.into(),
            "device" => device.into(),
            "user_id" => self.user.into(),
            "item_id" => self.item_id.into(),
            "topic" => self.item.topic.into(),
            "author" => self.item.author.into(),
            "quality" => self.item.quality,
            "bait" => self.item.bait,
            "length_seconds" => self.item.length_seconds.into(),
            "position" => self.position.into(),
            "server_score" => self.server_score,
            _ => return None,
        })
    }
}

impl<'m, 'a> FeedRanker<'m, 'a> {
    /// A ranker with `model`, which `d` describes.
    ///
    /// # Errors
    /// [`Kind::Description`] for another model's description, or a feature that the simulated feed does not have.
    pub fn new(d: &'m Description, model: &'m Model<'a>) -> Result<Self> {
        Self::with(d, model, None)
    }

    /// The same, by a formula instead of the file's fusion.
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn with(
        d: &'m Description,
        model: &'m Model<'a>,
        formula: Option<&'m Formula<'m>>,
    ) -> Result<Self> {
        replay::fits(d, model)?;
        let item = Item::new(0, 0, 0.0, 0.0, 60);
        let any = View {
            profile: [0; 4],
            user: 0,
            item_id: 0,
            item: &item,
            position: 0,
            server_score: 0.0,
        };
        for (f, spec) in d.toml.feature.iter().zip(&model.spec().features) {
            let vector = matches!(spec.encoding, Encoding::Vector { .. });
            if vector {
                let message = format!(
                    "\"{}\" is a vector; the simulated feed sends none: export with the table in the file",
                    f.name.get_ref()
                );
                return Err(d.mistake(&f.name, message));
            }
            if spec.source == Source::Column && any.cell(f.column()).is_none() {
                let message = format!("the simulated feed has no column \"{}\"", f.column());
                return Err(d.mistake(&f.name, message));
            }
        }
        Ok(Self {
            d,
            model,
            ranker: Ranker::with(model, formula),
            keys: features::key_features(model.spec()).collect(),
            state: vec![0; model.state_bytes()],
        })
    }

    /// Scores a request; results are in [`Self::results`].
    ///
    /// # Errors
    /// [`Kind::Data`] if the engine refuses it.
    pub fn rank(&mut self, view: &RequestView<'_>) -> Result<()> {
        let refused = |e: crate::error::Error| {
            Error::new(
                Kind::Data,
                format!("the engine refuses a simulated request: {:?}", e.status),
            )
        };
        self.update_state(view).map_err(refused)?;
        let request = view.request;
        let views: Vec<View<'_>> = request
            .candidates
            .iter()
            .zip(0..)
            .filter_map(|(c, i)| {
                Some(View {
                    profile: request.profile,
                    user: request.user_id,
                    item_id: c.item_id,
                    item: view.item(i)?,
                    position: 0,
                    server_score: c.server_score,
                })
            })
            .collect();
        let spec = self.model.spec();
        let columns = self
            .d
            .toml
            .feature
            .iter()
            .zip(&spec.features)
            .map(|(f, s)| {
                if s.source != Source::Column {
                    return OwnedColumn::Missing;
                }
                let values = if s.side == Side::User { 1 } else { views.len() };
                let cells = views
                    .iter()
                    .take(values)
                    .map(|v| v.cell(f.column()).unwrap_or(f64::NAN));
                match s.encoding {
                    Encoding::Number { .. } => {
                        OwnedColumn::Floats(cells.map(|x| x as f32).collect())
                    }
                    _ => OwnedColumn::Ids {
                        ids: cells.map(|x| x as i64 as u64).collect(),
                        lists: None,
                    },
                }
            });
        let owned = OwnedRequest {
            num_candidates: views.len(),
            columns: columns.collect(),
            state: Some(self.state.clone()),
            time: request.time,
            ..OwnedRequest::default()
        };
        self.ranker.rank(&owned).map_err(refused)?;
        Ok(())
    }

    /// Order, fused scores and task scores of the last request.
    pub fn results(&self) -> &Ranker<'m, 'a> {
        &self.ranker
    }

    /// The user's state from all labels known strictly before the request.
    fn update_state(&mut self, view: &RequestView<'_>) -> crate::error::Result<()> {
        if self.state.is_empty() {
            return Ok(());
        }
        let spec = self.model.spec();
        features::reset(spec, &mut self.state)?;
        let mut known: Vec<(i64, usize, u8, f32)> = Vec::new();
        for (i, row) in view.history.iter().enumerate() {
            for (label, l) in self.d.toml.label.iter().enumerate() {
                let column = l.value.as_ref().unwrap_or(&l.name).get_ref();
                // A click is known for valid impressions only, as the description's `known` says.
                if column == "click" && !row.valid() {
                    continue;
                }
                if let Some((value, at)) = row.label(column)
                    && at < view.request.time
                {
                    known.push((at, i, label as u8, value as f32));
                }
            }
        }
        known.sort_unstable_by_key(|k| (k.0, k.1, k.2));
        let keys: Vec<Vec<Key>> = known
            .iter()
            .map(|k| self.row_keys(view, &view.history[k.1]))
            .collect();
        let events: Vec<Event<'_>> = known
            .iter()
            .zip(&keys)
            .map(|((time, _, label, value), keys)| Event {
                time: *time,
                label: *label,
                value: *value,
                keys,
            })
            .collect();
        features::apply(spec, &mut self.state, &events)
    }

    fn row_keys(&self, view: &RequestView<'_>, row: &PastRow) -> Vec<Key> {
        let Some(item) = view.feed.items().get(row.item_id as usize) else {
            return Vec::new();
        };
        let past = View {
            profile: view.request.profile,
            user: view.request.user_id,
            item_id: row.item_id,
            item,
            position: row.position,
            server_score: row.server_score,
        };
        let spec = self.model.spec();
        let key = |i: &usize| {
            let x = past.cell(self.d.toml.feature[*i].column())?;
            let hash = match spec.features[*i].encoding {
                Encoding::Number { transform, .. } => {
                    let row = features::bucket_row(&transform, self.model.boundaries(*i), x as f32);
                    features::hash_int(row.into())
                }
                _ => key_of(x as i64 as u64, IdKind::Int).filter(|k| *k != Column::NO_ID)?,
            };
            Some(Key {
                feature: *i as u8,
                hash,
            })
        };
        self.keys.iter().filter_map(key).collect()
    }
}

/// Lets a model order the simulated feed for so many sessions, and counts what users do.
///
/// # Errors
/// Those of [`FeedRanker`].
pub fn close_the_loop(
    d: &Description,
    model: &Model<'_>,
    knobs: Knobs,
    sessions: u64,
    seed: u64,
) -> Result<PolicyReport> {
    let feed = feed(knobs, seed)?;
    let mut ranker = FeedRanker::new(d, model)?;
    let mut failed = None;
    let report = run_policy(
        &feed,
        |view| {
            if let Err(e) = ranker.rank(view) {
                failed.get_or_insert(e);
                return (0..view.request.candidates.len() as u32).collect();
            }
            ranker.results().order.clone()
        },
        sessions,
        seed,
    );
    match failed {
        Some(error) => Err(error),
        None => report.map_err(refused),
    }
}

fn feed(knobs: Knobs, seed: u64) -> Result<Feed> {
    Feed::new(SimulateOptions {
        rows: 200_000,
        seed,
        knobs,
        ..SimulateOptions::default()
    })
    .map_err(refused)
}

fn refused(e: SimulateError) -> Error {
    Error::new(Kind::Description, e.to_string())
}

/// Means over the top ten of lists that one objective orders.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TopTen {
    /// The objective: a task, or "fused".
    pub objective: String,
    /// Share of bait.
    pub bait_share: f64,
    /// Seconds.
    pub length_seconds: f64,
    /// Expected watch time of the ten, seconds, by the truth.
    pub watch_seconds: f64,
    /// Expected clicks of the ten, by the truth.
    pub clicks: f64,
    /// Expected likes of the ten, by the truth.
    pub likes: f64,
}

/// What each task alone would put on top of the same requests, against the fused order that users really see.
///
/// # Errors
/// Those of [`FeedRanker`].
pub fn compare_objectives(
    d: &Description,
    model: &Model<'_>,
    knobs: Knobs,
    sessions: u64,
    seed: u64,
) -> Result<(Vec<TopTen>, PolicyReport)> {
    let feed = feed(knobs, seed)?;
    let mut ranker = FeedRanker::new(d, model)?;
    let names: Vec<String> = model
        .spec()
        .tasks
        .iter()
        .map(|t| t.name.to_string())
        .chain(["fused".to_string()])
        .collect();
    let mut tops: Vec<TopTen> = names
        .iter()
        .map(|n| TopTen {
            objective: n.clone(),
            ..TopTen::default()
        })
        .collect();
    let (mut requests, mut failed) = (0.0, None);
    let tasks = names.len() - 1;
    let report = run_policy(
        &feed,
        |view| {
            let n = view.request.candidates.len();
            if let Err(e) = ranker.rank(view) {
                failed.get_or_insert(e);
                return (0..n as u32).collect();
            }
            let results = ranker.results();
            for (t, top) in tops.iter_mut().enumerate() {
                let scores: Vec<f32> = if t == tasks {
                    results.fused.clone()
                } else {
                    (0..n).map(|c| results.scores[c * tasks + t]).collect()
                };
                let mut order = vec![0; n.min(10)];
                rerank::top_k(&scores, &mut order);
                top.add(view, &order);
            }
            requests += 1.0;
            results.order.clone()
        },
        sessions,
        seed,
    )
    .map_err(refused)?;
    if let Some(error) = failed {
        return Err(error);
    }
    for top in &mut tops {
        for sum in [
            &mut top.bait_share,
            &mut top.length_seconds,
            &mut top.watch_seconds,
            &mut top.clicks,
            &mut top.likes,
        ] {
            *sum /= requests;
        }
    }
    Ok((tops, report))
}

impl TopTen {
    fn add(&mut self, view: &RequestView<'_>, order: &[u32]) {
        let ten = order.len().max(1) as f64;
        for (position, index) in (0..).zip(order) {
            if let (Some(item), Some(p)) = (
                view.item(*index),
                view.request.predict_latent(view.feed, *index, position),
            ) {
                self.bait_share += f64::from(u8::from(item.is_bait())) / ten;
                self.length_seconds += f64::from(item.length_seconds) / ten;
                self.watch_seconds += p.click * p.watch_mean;
                self.clicks += p.click;
                self.likes += p.click * p.interactions[0];
            }
        }
    }
}
