//! Loss balancing: how much each task's loss, and each task's gradient on what tasks share, weighs in a step.
//!
//! | name | factor on loss t | source |
//! |---|---|---|
//! | `fixed` | 1 | |
//! | `uncertainty` | exp(-s_t), s_t learnt | Kendall, Gal & Cipolla, CVPR 2018 |
//! | `dwa` | T softmax(L_t(e-1) / (L_t(e-2) temperature)) | Liu, Johns & Davison, CVPR 2019 |
//! | `gradnorm` | w_t, learnt so that gradients have like norms | Chen et al., ICML 2018 |
//! | `pcgrad` | 1; gradients lose what opposes another task's | Yu et al., NeurIPS 2020 |
//! | `famo` | z_t / L_t, over their sum | Liu, Feng, Stone & Liu, NeurIPS 2023 |
//!
//! The `weight` of a task in the description is another factor, on top of these. One step of the trainer is:
//!
//! 1. [`Balancer::loss_factors`]: each task's loss (mean over its rows of the batch) is multiplied by its factor.
//! 2. If [`Balancer::needs_gram`]: the backward pass stops at the shared representation, forms the inner products of the
//!    tasks' gradients there and multiplies each by its factor of [`Balancer::shared_factors`].
//! 3. The parameters take their step; if [`Balancer::re_evaluates`], the same batch's losses are computed again.
//! 4. [`Balancer::after_step`], and after the last step of an epoch [`Balancer::end_epoch`].
//!
//! Invariants: every factor is finite and at least 0 whatever the losses and gradients are, and a task without rows in a
//! batch keeps its state. A [`Balancer`] is the whole state (a checkpoint restores the same bits) and takes every random
//! draw from the key that it is given.
//!
//! Taking gradients at the shared representation (the outputs of the experts) rather than at the shared parameters
//! costs one backward pass instead of one per task. Norms and angles are those of the representation's, as in the upper
//! bound of Sener & Koltun, NeurIPS 2018, section 3.3.
use std::prelude::v1::*;

use serde::{Deserialize, Serialize};

use crate::train::random::Key;

pub(crate) mod adam;
mod dwa;
mod famo;
mod gradnorm;
mod pcgrad;
mod uncertainty;

use dwa::Dwa;
use famo::Famo;
use gradnorm::GradNorm;
use uncertainty::Uncertainty;

/// A method and its settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Balance {
    /// The weights of the description, unchanged.
    #[default]
    Fixed,
    /// Learnt variances.
    Uncertainty {
        /// Of the log variances' own Adam. Default 0.01: a hundred steps move a factor by at most e.
        lr: f64,
        /// Log variances stay in [-clamp, clamp], in (0, 10]. Default 2: factors from 0.14 to 7.4.
        clamp: f64,
    },
    /// Dynamic weight average.
    Dwa {
        /// Positive; the larger, the more even. Default 2 (as in the paper).
        temperature: f64,
    },
    /// Gradient normalization.
    GradNorm {
        /// How strongly a task that learns slowly is favoured, in [0, 10]. Default 1.5 (the paper's, on NYUv2).
        alpha: f64,
        /// Of the weights' own Adam. Default 0.025 (as in the paper).
        lr: f64,
    },
    /// Projecting conflicting gradients.
    PcGrad,
    /// Fast adaptive multitask optimization.
    Famo {
        /// Of the logits' own Adam. Default 0.025 (as in the paper's code).
        lr: f64,
        /// Pull of the logits to 0, at least 0. Default 0.001 (as in the paper).
        decay: f64,
    },
}

impl Balance {
    /// Every name that [`Balance::named`] knows.
    pub const NAMES: [&'static str; 6] =
        ["fixed", "uncertainty", "dwa", "gradnorm", "pcgrad", "famo"];

    /// The method `name` with its default settings; else a message that lists the names.
    pub fn named(name: &str) -> Result<Self, String> {
        match name {
            "fixed" => Ok(Self::Fixed),
            "uncertainty" => Ok(Self::Uncertainty {
                lr: 0.01,
                clamp: 2.0,
            }),
            "dwa" => Ok(Self::Dwa { temperature: 2.0 }),
            "gradnorm" => Ok(Self::GradNorm {
                alpha: 1.5,
                lr: 0.025,
            }),
            "pcgrad" => Ok(Self::PcGrad),
            "famo" => Ok(Self::Famo {
                lr: 0.025,
                decay: 0.001,
            }),
            _ => Err(format!(
                "no loss balancing is named '{name}'; known are {}",
                Self::NAMES.join(", ")
            )),
        }
    }

    /// Whether a step needs the inner products of the tasks' gradients.
    pub fn needs_gram(&self) -> bool {
        matches!(self, Self::GradNorm { .. } | Self::PcGrad)
    }

    /// The name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Uncertainty { .. } => "uncertainty",
            Self::Dwa { .. } => "dwa",
            Self::GradNorm { .. } => "gradnorm",
            Self::PcGrad => "pcgrad",
            Self::Famo { .. } => "famo",
        }
    }

    /// Says what is outside its range.
    pub fn check(&self) -> Result<(), String> {
        let positive = |what: &str, value: f64, most: f64| {
            if value > 0.0 && value <= most {
                Ok(())
            } else {
                Err(format!(
                    "{what} of {} is {value}, but must be above 0 and at most {most}",
                    self.name()
                ))
            }
        };
        let at_least_zero = |what: &str, value: f64, most: f64| {
            if (0.0..=most).contains(&value) {
                Ok(())
            } else {
                Err(format!(
                    "{what} of {} is {value}, but must be from 0 to {most}",
                    self.name()
                ))
            }
        };
        match *self {
            Self::Fixed | Self::PcGrad => Ok(()),
            Self::Uncertainty { lr, clamp } => {
                positive("lr", lr, 1.0)?;
                positive("clamp", clamp, 10.0)
            }
            Self::Dwa { temperature } => positive("temperature", temperature, 1e6),
            Self::GradNorm { alpha, lr } => {
                at_least_zero("alpha", alpha, 10.0)?;
                positive("lr", lr, 1.0)
            }
            Self::Famo { lr, decay } => {
                positive("lr", lr, 1.0)?;
                at_least_zero("decay", decay, 1.0)
            }
        }
    }
}

/// What a method has learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum State {
    Fixed,
    Uncertainty(Uncertainty),
    Dwa(Dwa),
    GradNorm(GradNorm),
    /// The factors of the last step, for reports.
    PcGrad(Vec<f64>),
    Famo(Famo),
}

/// The balancing of one run: a method and what it has learnt so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Balancer {
    num_tasks: usize,
    state: State,
}

impl Default for Balancer {
    /// Fixed weights of no task.
    fn default() -> Self {
        Self::new(Balance::Fixed, 0)
    }
}

impl Balancer {
    /// Nothing learnt yet: all factors are equal. `kind` has passed [`Balance::check`].
    ///
    /// Binary and duration tasks are treated alike: `balance/uncertainty.rs` says why even there.
    pub fn new(kind: Balance, num_tasks: usize) -> Self {
        let n = num_tasks;
        let state = match kind {
            Balance::Fixed => State::Fixed,
            Balance::Uncertainty { lr, clamp } => {
                State::Uncertainty(Uncertainty::new(lr, clamp, n))
            }
            Balance::Dwa { temperature } => State::Dwa(Dwa::new(temperature, n)),
            Balance::GradNorm { alpha, lr } => State::GradNorm(GradNorm::new(alpha, lr, n)),
            Balance::PcGrad => State::PcGrad(vec![1.0; n]),
            Balance::Famo { lr, decay } => State::Famo(Famo::new(lr, decay, n)),
        };
        Self { num_tasks, state }
    }

    /// The number of tasks.
    pub fn num_tasks(&self) -> usize {
        self.num_tasks
    }

    /// Factor on each task's loss in the next step, at least 0. Their mean is 1 (`fixed`, `dwa`, `gradnorm`,
    /// `pcgrad`), their sum is 1 (`famo`, as in the paper), or each is in [exp(-clamp), exp(clamp)] (`uncertainty`).
    pub fn loss_factors(&self) -> Vec<f64> {
        match &self.state {
            State::Fixed | State::PcGrad(_) => vec![1.0; self.num_tasks],
            State::Uncertainty(s) => s.factors(),
            State::Dwa(s) => s.factors(),
            State::GradNorm(s) => s.weights.clone(),
            State::Famo(s) => s.factors(),
        }
    }

    /// Whether [`Balancer::shared_factors`] must be called in every step.
    pub fn needs_gram(&self) -> bool {
        matches!(self.state, State::GradNorm(_) | State::PcGrad(_))
    }

    /// Factor on each task's gradient at the shared representation; ones but for `pcgrad`, where a factor may be of any
    /// sign and size.
    ///
    /// `gram` is `[T, T]`: inner products of the gradients, at the shared representation, of the losses times
    /// [`Balancer::loss_factors`] (and times the description's weights). Rows and columns of tasks that are not
    /// `present`, those without a row in the batch, are not read.
    pub fn shared_factors(&mut self, gram: &[f64], present: &[bool], key: Key) -> Vec<f64> {
        debug_assert!(gram.len() == self.num_tasks * self.num_tasks);
        match &mut self.state {
            State::PcGrad(last) => {
                *last = pcgrad::factors(gram, present, key);
                last.clone()
            }
            State::GradNorm(s) => {
                s.observe(gram, present);
                vec![1.0; self.num_tasks]
            }
            _ => vec![1.0; self.num_tasks],
        }
    }

    /// Learns from a step. `losses` is each task's mean loss over its rows of the batch, before the step and without any
    /// factor; `losses_after` is the same on the same rows after the step, if [`Balancer::re_evaluates`]. Values of
    /// tasks that are not `present`, and those that are not finite, are not used.
    pub fn after_step(&mut self, losses: &[f64], present: &[bool], losses_after: Option<&[f64]>) {
        debug_assert!(losses.len() == self.num_tasks && present.len() == self.num_tasks);
        match &mut self.state {
            State::Fixed | State::PcGrad(_) => {}
            State::Uncertainty(s) => s.after_step(losses, present),
            State::Dwa(s) => s.after_step(losses, present),
            State::GradNorm(s) => s.after_step(losses, present),
            State::Famo(s) => s.after_step(losses, present, losses_after.unwrap_or(losses)),
        }
    }

    /// Learns from an epoch; to be called once after its last step.
    pub fn end_epoch(&mut self) {
        if let State::Dwa(s) = &mut self.state {
            s.end_epoch();
        }
    }

    /// Whether [`Balancer::after_step`] wants the batch's losses after the step.
    pub fn re_evaluates(&self) -> bool {
        matches!(self.state, State::Famo(_))
    }

    /// For reports: what each task's gradient on the shared representation is multiplied with, by the last step
    /// (`pcgrad`) or in the next one.
    pub fn effective(&self) -> Vec<f64> {
        match &self.state {
            State::PcGrad(last) => last.clone(),
            _ => self.loss_factors(),
        }
    }
}

/// exp(x_i) over their sum.
fn softmax(x: &[f64]) -> Vec<f64> {
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let e: Vec<f64> = x.iter().map(|x| libm::exp(x - max)).collect();
    let sum: f64 = e.iter().sum();
    e.into_iter().map(|e| e / sum).collect()
}

#[cfg(test)]
mod tests;
