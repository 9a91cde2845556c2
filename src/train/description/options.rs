//! The description as the trainer takes it.
use std::prelude::v1::*;

use super::{BalanceChoice, Description, EvaluateEvery, Loss, Task};
use crate::spec::{Spec, Table};
use crate::train::balance::Balance;
use crate::train::network::fake_quantize::TableForm;
use crate::train::options::{
    self, AtMost, DropoutRates, LearningRateDecay, OptimizerKind, TaskOptions, TaskSchedules,
    TrainOptions,
};
use crate::train::sampling::Sampling;

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
            whole_requests: t.whole_requests,
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
                position: self.toml.position_bias.as_ref().map_or(0.0, |b| b.dropout),
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
            balance: match &t.balance {
                BalanceChoice::Name(name) => Balance::named(name)?,
                BalanceChoice::Settings(balance) => *balance,
            },
            load_balance: n.load_balance,
            own_experts: n.own_experts(),
            embedding_init: t.embedding_init,
            quantization_aware: t.quantization_aware.as_ref().map(|aware| {
                let aware = aware.get_ref();
                options::QuantizationAware {
                    epochs: aware.epochs,
                    lr: aware.lr,
                    tables: Vec::new(),
                }
            }),
            ..TrainOptions::default()
        })
    }

    /// How the file holds each table of `spec`, as far as the description says.
    pub fn table_forms(&self, spec: &Spec<'_>) -> Vec<TableForm> {
        let form = |table: &Table<'_>| match self.table_bits(table.name) {
            _ if self.is_server(table.name) => TableForm::Vector,
            bits => TableForm::of_bits(bits.unwrap_or(Table::WHOLE)),
        };
        spec.tables.iter().map(form).collect()
    }

    /// `[[task]]` as the trainer takes them.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn task_options(&self) -> Result<Vec<TaskOptions>, String> {
        let options = |t: &Task| TaskOptions {
            // Where they change, the schedules count; these only must hold.
            weight: t.weight.constant().unwrap_or(1.0),
            lr: t.lr.constant().unwrap_or(1.0),
            huber: t.huber,
            focal: t.focal,
            every_negative: t.has_loss(Loss::Odds),
            steps: t.steps(),
            list: t.list_loss(),
            teaching: t.teacher.as_ref().map(|t| t.get_ref().teaching()),
            entire_space: t.entire_space,
            at_most: t.at_most.as_ref().and_then(|parent| {
                let task = self.task(parent.get_ref())?;
                let weight = t.at_most_weight;
                Some(AtMost { task, weight })
            }),
            sampling: Sampling {
                keep_negatives: t.keep_negatives,
                positive_weight: t.positive_weight,
            },
            stopped_inputs: (0..)
                .zip(&t.inputs)
                .filter(|(_, input)| input.get_ref().stops_gradient())
                .fold(0, |bits, (f, _)| bits | 1 << f),
        };
        Ok(self.toml.task.iter().map(options).collect())
    }

    /// Weights and learning rates of tasks that change from step to step; empty if none does.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn task_schedules(&self) -> Result<Vec<TaskSchedules>, String> {
        for task in &self.toml.task {
            let name = task.name.get_ref();
            task.weight.check(&format!("weight of task \"{name}\""))?;
            task.lr.check(&format!("lr of task \"{name}\""))?;
        }
        let tasks = self.toml.task.iter();
        let changes = |t: &Task| t.weight.constant().is_none() || t.lr.constant().is_none();
        if !tasks.clone().any(changes) {
            return Ok(Vec::new());
        }
        let schedules = |t: &Task| TaskSchedules {
            weight: t.weight.clone(),
            lr: t.lr.clone(),
        };
        Ok(tasks.map(schedules).collect())
    }
}
