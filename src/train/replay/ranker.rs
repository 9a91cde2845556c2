//! An engine that ranks one request after the other, in memory of its own.
use std::prelude::v1::*;

use crate::engine::{Model, Output, Request, Scratch};
use crate::fusion::formula::Formula;
use crate::spec::limits;
use crate::train::requests::OwnedRequest;

/// An engine with scratch and outputs of its own, for one request after the other.
pub struct Ranker<'m, 'a> {
    model: &'m Model<'a>,
    floats: Vec<f32>,
    bytes: Vec<u8>,
    /// Best candidates first, all of them.
    pub order: Vec<u32>,
    /// Fused score of each candidate.
    pub fused: Vec<f32>,
    /// `[candidates, tasks]`.
    pub scores: Vec<f32>,
    /// Values of the fusion's terms, `[candidates, terms]`.
    pub terms: Vec<f32>,
    formula: Option<&'m Formula<'m>>,
}

impl<'m, 'a> Ranker<'m, 'a> {
    /// For requests of any length that the engine takes.
    pub fn new(model: &'m Model<'a>) -> Self {
        Self::with(model, None)
    }

    /// The same, by a formula instead of the file's fusion.
    pub fn with(model: &'m Model<'a>, formula: Option<&'m Formula<'m>>) -> Self {
        let need = match formula {
            Some(formula) => model.scratch_len_with(formula, limits::CANDIDATES),
            None => model.scratch_len(limits::CANDIDATES),
        };
        let (floats, bytes) = (vec![0.0; need.floats], vec![0; need.bytes]);
        Self {
            model,
            floats,
            bytes,
            order: Vec::new(),
            fused: Vec::new(),
            scores: Vec::new(),
            terms: Vec::new(),
            formula,
        }
    }

    /// Ranks a request; results are in the fields.
    ///
    /// # Errors
    /// Those of [`Model::rank`].
    pub fn rank(&mut self, request: &OwnedRequest) -> crate::error::Result<crate::engine::Summary> {
        self.rank_without(request, &[])
    }

    /// Ranks a request as if it came without some features.
    ///
    /// # Errors
    /// Those of [`Model::rank`].
    pub fn rank_without(
        &mut self,
        request: &OwnedRequest,
        without: &[u32],
    ) -> crate::error::Result<crate::engine::Summary> {
        let n = request.num_candidates;
        self.order.resize(n, 0);
        self.fused.resize(n, 0.0);
        self.scores.resize(n * self.model.spec().tasks.len(), 0.0);
        let terms = self
            .formula
            .map_or(self.model.num_terms(), |f| f.terms().count());
        self.terms.resize(n * terms, 0.0);
        let columns = request.columns();
        let mut scratch = Scratch {
            floats: &mut self.floats,
            bytes: &mut self.bytes,
        };
        let mut output = Output {
            order: &mut self.order,
            fused: &mut self.fused,
            scores: &mut self.scores,
            terms: &mut self.terms,
        };
        let request = Request {
            formula: self.formula,
            without,
            ..request.as_request(&columns)
        };
        self.model.rank(&request, &mut scratch, &mut output)
    }
}

impl Ranker<'_, '_> {
    /// Shares of the experts in every task's mixture for a candidate of a request, `[tasks, experts]`.
    ///
    /// # Errors
    /// Those of [`Model::gates`].
    pub fn gates(
        &mut self,
        request: &OwnedRequest,
        candidate: usize,
    ) -> crate::error::Result<Vec<f32>> {
        let spec = self.model.spec();
        let experts = usize::from(spec.network.num_experts);
        let mut gates = vec![0.0; spec.tasks.len() * experts];
        let columns = request.columns();
        let mut scratch = Scratch {
            floats: &mut self.floats,
            bytes: &mut self.bytes,
        };
        let request = request.as_request(&columns);
        self.model
            .gates(&request, candidate, &mut scratch, &mut gates)?;
        Ok(gates)
    }
}
