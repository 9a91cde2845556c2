//! The parameters of a network, in the precision of training.
use std::prelude::v1::*;

use crate::spec::{Side, Spec};

/// A dense layer, `y = W x + b`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dense<R> {
    /// Outputs.
    pub outputs: usize,
    /// Inputs.
    pub inputs: usize,
    /// `[outputs, inputs]`, row-major.
    pub weight: Vec<R>,
    /// `[outputs]`.
    pub bias: Vec<R>,
}

/// The projections of a feature that attends, without biases.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Projections<R> {
    /// Of the candidate's row: `[dim, embedding_dim]`.
    pub query: Dense<R>,
    /// Of the list's rows: `[dim, embedding_dim]`.
    pub key: Dense<R>,
}

/// All parameters of a network. A group's input vector is the sides in [`Side::ALL`] order, each in the order of
/// [`Spec::inputs`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters<R> {
    /// `[num_embeddings, embedding_dim]` per table and group: number `table x groups + group`.
    pub tables: Vec<Vec<R>>,
    /// Per expert, its layers; each is followed by ReLU.
    pub experts: Vec<Vec<Dense<R>>>,
    /// Per task, its gate: hidden layers, each followed by ReLU, then logits over the experts or the query; with a second
    /// level of experts behind them the shared gate. Empty without gates.
    pub gates: Vec<Vec<Dense<R>>>,
    /// Per expert of a second level, its layers, each followed by ReLU; empty without.
    pub upper_experts: Vec<Vec<Dense<R>>>,
    /// Per task, its gate over those.
    pub upper_gates: Vec<Vec<Dense<R>>>,
    /// Per task, its hidden layers, each followed by ReLU. The first one's inputs (without layers the head's) are the
    /// mixture, then what the task is fed.
    pub towers: Vec<Vec<Dense<R>>>,
    /// Per task: its logits. Of logits in order ([`TaskKind::Steps`](crate::spec::TaskKind::Steps)) the first row of weights
    /// is that of all, and the bias of each but the first is softplus' argument of how far it lies below the one before.
    pub heads: Vec<Dense<R>>,
    /// Per task of several logits, not learned by gradients: `weight` the thresholds that its logits are about, `bias` what
    /// being above each is worth. Per task of quantiles `bias` alone: `[groups, knots]`. Without outputs for other tasks.
    pub steps: Vec<Dense<R>>,
    /// Per feature that attends, in order ([`Spec::attentions`]).
    pub attention: Vec<Projections<R>>,
    /// Per tower on what is known in training alone: hidden layers, then one logit. Empty in what is served.
    pub bias: Vec<Vec<Dense<R>>>,
}

/// Inputs of the network: all sides together.
pub fn num_inputs(spec: &Spec<'_>) -> usize {
    Side::ALL.iter().map(|side| spec.side_values(*side)).sum()
}
