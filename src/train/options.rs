//! How a network is trained: plain values, as `docs/description.md` names them.
use std::prelude::v1::*;

use serde::{Deserialize, Serialize};

use crate::train::balance::Balance;
use crate::train::loss::Steps;
use crate::train::loss::list::ListLoss;
use crate::train::loss::taught::Teaching;
use crate::train::network::fake_quantize::TableForm;
use crate::train::sampling::Sampling;
use crate::train::schedule::Schedule;

/// The rule that turns gradients into updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Adam (Kingma & Ba 2015, algorithm 1; beta 0.9 and 0.999, epsilon 1e-8), weight decay decoupled
    /// (Loshchilov & Hutter 2019).
    Adam,
    /// Adagrad (Duchi et al. 2011; epsilon 1e-10, sums start at 0).
    Adagrad,
}

/// How the learning rate falls after the warm-up, from 1 to 0 at the last step of the last epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LearningRateDecay {
    /// It does not.
    None,
    /// In a straight line.
    Linear,
    /// Half a cosine (Loshchilov & Hutter 2017, without restarts).
    Cosine,
}

/// When the stopping rows are evaluated. The last step is always evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvaluateEvery {
    /// After every epoch.
    Epoch,
    /// After every so many steps, at least 1.
    Steps(u64),
}

/// Probabilities of what is left out of a training step; each in [0, 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DropoutRates {
    /// Of an output of a hidden layer of an expert or a tower.
    pub hidden: f64,
    /// Of a whole embedding (or pooled list) of a feature.
    pub embedding: f64,
    /// Of an expert in one task's softmax.
    pub gate: f64,
    /// Of an id of a vocabulary table: its row becomes row 0, so that the out-of-vocabulary row learns.
    pub id: f64,
    /// Of all that is known in training alone.
    pub position: f64,
}

/// Training on the device's grids in the last epochs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantizationAware {
    /// The last so many, at least 1.
    pub epochs: u32,
    /// Factor on the learning rates in them, positive.
    pub lr: f64,
    /// How the file holds each table of the spec; bytes where this ends.
    pub tables: Vec<TableForm>,
}

/// `[network]` and `[train]` of a description: what is not the spec's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainOptions {
    /// Rows of a step, at least 1.
    pub batch: usize,
    /// Requests are shuffled instead of rows, and a batch ends with the request of its last row.
    pub whole_requests: bool,
    /// Passes over the training rows.
    pub epochs: u32,
    /// Of dense layers.
    pub optimizer: OptimizerKind,
    /// Of dense layers.
    pub lr: f64,
    /// Of embedding tables.
    pub embedding_optimizer: OptimizerKind,
    /// Of embedding tables.
    pub embedding_lr: f64,
    /// Decoupled, on the weights (not biases) of dense layers: each step multiplies them by 1 - lr x this.
    pub weight_decay: f64,
    /// Decoupled, on the rows that a step touches.
    pub embedding_weight_decay: f64,
    /// Steps in which the learning rate rises in a straight line.
    pub warmup_steps: u64,
    /// After the warm-up.
    pub decay: LearningRateDecay,
    /// Decay per step of the averaged parameters, in [0, 1); 0: no averages.
    pub average: f64,
    /// What is left out at random.
    pub dropout: DropoutRates,
    /// Evaluations without a better mean task metric before training stops; 0: never early.
    pub patience: u32,
    /// When the stopping rows are evaluated.
    pub evaluate_every: EvaluateEvery,
    /// Of initialisation, order of rows and dropout.
    pub seed: u64,
    /// Standard deviation of initial embeddings.
    pub embedding_init: f64,
    /// How the tasks' losses and gradients are weighed against each other.
    pub balance: Balance,
    /// Of the penalty on gates that use experts unevenly: this x (experts x sum of squared mean shares - 1) a task.
    pub load_balance: f64,
    /// Experts of an MMoE that each task has to itself, behind the shared ones; 0: every gate reaches every expert.
    pub own_experts: usize,
    /// Epochs on the device's grids; `None`: all are exact.
    pub quantization_aware: Option<QuantizationAware>,
    /// Worker threads; 0: one per core. Never changes a bit of the result.
    pub threads: usize,
    /// Seconds between checkpoints, besides those at every evaluation. Never changes a bit of the result.
    pub checkpoint_seconds: f64,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            batch: 1024,
            whole_requests: false,
            epochs: 5,
            optimizer: OptimizerKind::Adam,
            lr: 0.001,
            embedding_optimizer: OptimizerKind::Adam,
            embedding_lr: 0.001,
            weight_decay: 0.0,
            embedding_weight_decay: 0.0,
            warmup_steps: 0,
            decay: LearningRateDecay::None,
            average: 0.0,
            dropout: DropoutRates::default(),
            patience: 2,
            evaluate_every: EvaluateEvery::Epoch,
            seed: 1,
            embedding_init: 0.05,
            balance: Balance::Fixed,
            load_balance: 0.0,
            own_experts: 0,
            quantization_aware: None,
            threads: 0,
            checkpoint_seconds: 60.0,
        }
    }
}

/// A penalty on what is more probable than the task before it in a funnel.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AtMost {
    /// Task index of the one before.
    pub task: usize,
    /// On max(p - p of the one before, 0), positive.
    pub weight: f64,
}

/// `[[task]]` of a description: what is not the spec's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskOptions {
    /// Factor on the task's loss, positive.
    pub weight: f64,
    /// Factor on the updates of the task's gate, tower and head, and on its gradient on shared parameters.
    pub lr: f64,
    /// The loss is that of the product of the probabilities of this task and those that it is given, over the space of
    /// the first of them. `Binary` alone.
    pub entire_space: bool,
    /// `Binary`: a penalty on what no funnel can do.
    pub at_most: Option<AtMost>,
    /// `Binary`: which negatives train, and what positives weigh.
    pub sampling: Sampling,
    /// Bit `f` cuts the gradient to the task that feeds this one as its input number `f`.
    pub stopped_inputs: u16,
    /// `Duration`: the loss is quadratic within this distance in ln(1 + value), linear beyond; of what is restored, in units
    /// of the middle threshold.
    pub huber: f64,
    /// `Binary`: exponent of the focal loss; 0 is cross entropy.
    pub focal: f64,
    /// `Odds`: every row counts as a negative, not only those without a label.
    pub every_negative: bool,
    /// `Steps`: what they are.
    pub steps: Option<Steps>,
    /// The loss, or a part of it, is that of the rows of a request together; needs whole requests.
    pub list: Option<ListLoss>,
    /// How it learns of its teacher, for rows that have one.
    pub teaching: Option<Teaching>,
}

/// A task's weight and learning rate over the steps of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskSchedules {
    /// In place of [`TaskOptions::weight`].
    pub weight: Schedule,
    /// In place of [`TaskOptions::lr`].
    pub lr: Schedule,
}

impl Default for TaskOptions {
    fn default() -> Self {
        Self {
            weight: 1.0,
            lr: 1.0,
            entire_space: false,
            at_most: None,
            sampling: Sampling {
                keep_negatives: 1.0,
                positive_weight: 1.0,
            },
            stopped_inputs: 0,
            huber: 1.0,
            focal: 0.0,
            every_negative: false,
            steps: None,
            list: None,
            teaching: None,
        }
    }
}

impl TrainOptions {
    /// Factor on the learning rates in step `step` (counted from 0) of `steps`.
    pub fn schedule(&self, step: u64, steps: u64) -> f64 {
        if step < self.warmup_steps {
            return (step + 1) as f64 / self.warmup_steps as f64;
        }
        let rest = steps.saturating_sub(self.warmup_steps).max(1);
        let done = ((step - self.warmup_steps) as f64 / rest as f64).min(1.0);
        match self.decay {
            LearningRateDecay::None => 1.0,
            LearningRateDecay::Linear => 1.0 - done,
            LearningRateDecay::Cosine => 0.5 * (1.0 + libm::cos(core::f64::consts::PI * done)),
        }
    }

    /// Says what is outside its range of `quantization_aware`.
    pub fn check_quantization_aware(&self) -> Result<(), String> {
        if let Some(aware) = &self.quantization_aware {
            let (epochs, all) = (aware.epochs, self.epochs);
            if !(1..=all).contains(&epochs) {
                return Err(format!(
                    "quantization_aware has {epochs} epochs of {all}; at least 1, at most all"
                ));
            }
            if !(aware.lr.is_finite() && aware.lr > 0.0) {
                let lr = aware.lr;
                return Err(format!(
                    "lr of quantization_aware is {lr}, but must be positive"
                ));
            }
        }
        Ok(())
    }

    /// Says what is outside its range.
    pub fn check(&self) -> Result<(), String> {
        let d = &self.dropout;
        let positive = [("lr", self.lr), ("embedding_lr", self.embedding_lr)];
        let share = [
            ("dropout", d.hidden),
            ("embedding_dropout", d.embedding),
            ("gate_dropout", d.gate),
            ("id_dropout", d.id),
            ("[position_bias] dropout", d.position),
            ("average", self.average),
        ];
        let at_least_zero = [
            ("weight_decay", self.weight_decay),
            ("embedding_weight_decay", self.embedding_weight_decay),
            ("embedding_init", self.embedding_init),
            ("load_balance", self.load_balance),
            ("checkpoint_seconds", self.checkpoint_seconds),
        ];
        if self.batch == 0 || self.epochs == 0 || self.evaluate_every == EvaluateEvery::Steps(0) {
            return Err("batch, epochs and evaluate_every must be at least 1".into());
        }
        if let Some((name, value)) = positive.iter().find(|(_, v)| !(v.is_finite() && *v > 0.0)) {
            return Err(format!("{name} is {value}, but must be positive"));
        }
        if let Some((name, value)) = share.iter().find(|(_, v)| !(0.0..1.0).contains(v)) {
            return Err(format!(
                "{name} is {value}, but must be at least 0 and below 1"
            ));
        }
        if let Some((name, value)) = at_least_zero
            .iter()
            .find(|(_, v)| !(v.is_finite() && *v >= 0.0))
        {
            return Err(format!("{name} is {value}, but must be at least 0"));
        }
        self.check_quantization_aware()?;
        self.balance.check()
    }
}

impl TaskOptions {
    /// What to add to the task's logit in training for the logit of all rows: [`sampling::offset`](crate::train::sampling::offset).
    pub fn offset(&self) -> f64 {
        self.sampling.offset()
    }

    /// Says what is outside its range.
    pub fn check(&self) -> Result<(), String> {
        match [
            ("weight", self.weight),
            ("lr", self.lr),
            ("huber", self.huber),
            ("at_most_weight", self.at_most.map_or(1.0, |p| p.weight)),
        ]
        .iter()
        .find(|(_, v)| !(v.is_finite() && *v > 0.0))
        {
            Some((name, value)) => {
                Err(format!("{name} of a task is {value}, but must be positive"))
            }
            None => {
                if !(0.0..=10.0).contains(&self.focal) {
                    return Err(format!("focal of a task is {}; from 0 to 10", self.focal));
                }
                self.sampling.check()?;
                self.steps.as_ref().map_or(Ok(()), Steps::check)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_rises_to_one_and_decay_falls_to_zero() {
        let mut o = TrainOptions {
            warmup_steps: 4,
            ..TrainOptions::default()
        };
        assert_eq!(
            [0, 1, 2, 3, 4, 99].map(|s| o.schedule(s, 12)),
            [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
        );
        o.decay = LearningRateDecay::Linear;
        assert_eq!(
            [4, 8, 12, 13].map(|s| o.schedule(s, 12)),
            [1.0, 0.5, 0.0, 0.0]
        );
        o.decay = LearningRateDecay::Cosine;
        assert!((o.schedule(8, 12) - 0.5).abs() < 1e-12 && o.schedule(12, 12).abs() < 1e-12);
    }

    #[test]
    fn options_outside_their_range_are_named() {
        let o = TrainOptions {
            average: 1.0,
            ..TrainOptions::default()
        };
        assert!(o.check().is_err_and(|e| e.contains("average")));
        let o = TrainOptions {
            lr: f64::NAN,
            ..TrainOptions::default()
        };
        assert!(o.check().is_err_and(|e| e.contains("lr")));
        assert!(
            TaskOptions {
                huber: 0.0,
                ..TaskOptions::default()
            }
            .check()
            .is_err()
        );
        assert!(TrainOptions::default().check().is_ok() && TaskOptions::default().check().is_ok());
    }
}
