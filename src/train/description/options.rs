//! The description as the trainer takes it.
use std::prelude::v1::*;

use super::{Description, EvaluateEvery, Task};
use crate::train::options::{
    self, DropoutRates, LearningRateDecay, OptimizerKind, TaskOptions, TrainOptions,
};

impl Description {
    /// `[network]` and `[train]` as the trainer takes them.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn train_options(&self) -> Result<TrainOptions, String> {
        let (t, n) = (&self.toml.train, &self.toml.network);
        let optimizer = |name: &str| match name {
            "adam" => Ok(OptimizerKind::Adam),
            "adagrad" => Ok(OptimizerKind::Adagrad),
            _ => Err(format!(
                "unknown optimizer \"{name}\"; \"adam\" or \"adagrad\""
            )),
        };
        Ok(TrainOptions {
            batch: t.batch,
            epochs: t.epochs,
            optimizer: optimizer(&t.optimizer)?,
            lr: t.lr,
            embedding_optimizer: optimizer(&t.embedding_optimizer)?,
            embedding_lr: t.embedding_lr,
            weight_decay: t.weight_decay,
            embedding_weight_decay: t.embedding_weight_decay,
            warmup_steps: t.warmup_steps,
            decay: match t.decay.as_str() {
                "none" => LearningRateDecay::None,
                "linear" => LearningRateDecay::Linear,
                "cosine" => LearningRateDecay::Cosine,
                other => {
                    return Err(format!(
                        "unknown decay \"{other}\"; \"none\", \"linear\" or \"cosine\""
                    ));
                }
            },
            average: t.average,
            dropout: DropoutRates {
                hidden: n.dropout,
                embedding: n.embedding_dropout,
                gate: n.gate_dropout,
                id: t.id_dropout,
            },
            patience: t.patience,
            evaluate_every: match &t.evaluate_every {
                EvaluateEvery::Steps(steps) => options::EvaluateEvery::Steps(*steps),
                EvaluateEvery::Name(name) if name == "epoch" => options::EvaluateEvery::Epoch,
                EvaluateEvery::Name(name) => {
                    return Err(format!(
                        "unknown evaluate_every \"{name}\"; \"epoch\" or a number of steps"
                    ));
                }
            },
            seed: t.seed,
            embedding_init: t.embedding_init,
            ..TrainOptions::default()
        })
    }

    /// `[[task]]` as the trainer takes them.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn task_options(&self) -> Result<Vec<TaskOptions>, String> {
        let options = |t: &Task| TaskOptions {
            weight: t.weight,
            lr: t.lr,
            huber: t.huber,
            stopped_inputs: (0..)
                .zip(&t.inputs)
                .filter(|(_, input)| input.stops_gradient())
                .fold(0, |bits, (f, _)| bits | 1 << f),
        };
        Ok(self.toml.task.iter().map(options).collect())
    }
}
