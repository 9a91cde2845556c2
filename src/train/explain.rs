//! Why a candidate has its place: scores, gates, terms of the fusion, and what each group of features does.
//!
//! A group's effect is the exact difference to the same request without its features
//! ([`Request::without`](crate::engine::Request::without)): what the device would have answered had the app sent none of them, or
//! had the user no past where they are made of it. Effects of groups don't add up to anything: features act together.
use std::prelude::v1::*;

use serde::Serialize;

use crate::error::Result;
use crate::spec::Spec;
use crate::train::description::Description;
use crate::train::importance;
use crate::train::replay::Ranker;
use crate::train::requests::OwnedRequest;

/// One candidate of one request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// Its index.
    pub candidate: usize,
    /// Its place, from 1.
    pub rank: usize,
    /// Its fused score: the sum of the terms, in their order.
    pub fused: f32,
    /// Value of each term of the fusion.
    pub terms: Vec<f32>,
    /// By task.
    pub tasks: Vec<TaskShare>,
    /// By group of features.
    pub groups: Vec<GroupEffect>,
}

/// A task's score, and what it is mixed of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskShare {
    /// Task.
    pub task: String,
    /// Score.
    pub score: f32,
    /// Share of each expert in its mixture.
    pub gates: Vec<f32>,
}

/// The candidate without a group of features.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupEffect {
    /// `group` of its features, or a feature's own name.
    pub group: String,
    /// Place without it, from 1.
    pub rank: usize,
    /// Fused score without it.
    pub fused: f32,
    /// Score of each task without it.
    pub scores: Vec<f32>,
}

/// Feature indices by group, as `importance` has them, for [`explain`].
pub fn groups(d: &Description, spec: &Spec<'_>) -> Vec<(String, Vec<u32>)> {
    let place = |i: usize| spec.feature(d.toml.feature[i].name.get_ref());
    let groups = importance::groups(d).into_iter();
    let indices = |of: Vec<usize>| of.into_iter().filter_map(place).map(|i| i as u32).collect();
    groups.map(|(name, of)| (name, indices(of))).collect()
}

/// Explains `candidate` of `request`.
///
/// # Errors
/// Those of [`Model::rank`](crate::engine::Model::rank) and [`Model::gates`](crate::engine::Model::gates).
pub fn explain(
    ranker: &mut Ranker<'_, '_>,
    spec: &Spec<'_>,
    request: &OwnedRequest,
    candidate: usize,
    groups: &[(String, Vec<u32>)],
) -> Result<Explanation> {
    let gates = ranker.gates(request, candidate)?;
    let mut effects = Vec::new();
    for (group, without) in groups {
        ranker.rank_without(request, without)?;
        effects.push(GroupEffect {
            group: group.clone(),
            rank: place(&ranker.order, candidate),
            fused: ranker.fused[candidate],
            scores: row(&ranker.scores, request, candidate).to_vec(),
        });
    }
    ranker.rank(request)?;
    let experts = usize::from(spec.network.num_experts).max(1);
    let scores = row(&ranker.scores, request, candidate);
    let tasks = spec.tasks.iter().zip(scores).zip(gates.chunks(experts));
    Ok(Explanation {
        candidate,
        rank: place(&ranker.order, candidate),
        fused: ranker.fused[candidate],
        terms: row(&ranker.terms, request, candidate).to_vec(),
        tasks: tasks
            .map(|((task, score), gates)| TaskShare {
                task: task.name.to_string(),
                score: *score,
                gates: gates.to_vec(),
            })
            .collect(),
        groups: effects,
    })
}

fn place(order: &[u32], candidate: usize) -> usize {
    let at = order.iter().position(|c| *c as usize == candidate);
    at.map_or(0, |at| at + 1)
}

fn row<'v>(values: &'v [f32], request: &OwnedRequest, candidate: usize) -> &'v [f32] {
    let width = values.len() / request.num_candidates.max(1);
    &values[candidate * width..(candidate + 1) * width]
}
