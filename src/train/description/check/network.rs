//! Network and training.
use std::prelude::v1::*;

use crate::spec::{Gate, NetworkKind, limits};
use crate::train::description::{Description, Named, Network, StopOn};
use crate::train::error::{Result, near_misses};

impl Description {
    pub(super) fn check_network(&self) -> Result<()> {
        let n = &self.toml.network;
        let at = &n.kind;
        if n.kind().is_none() {
            let words = Network::KINDS.map(|(word, _)| word);
            let near = near_misses(at.get_ref(), words.into_iter());
            let message = format!(
                "unknown network \"{}\"{near}; one of \"{}\"",
                at.get_ref(),
                words.join("\", \"")
            );
            return Err(self.mistake(at, message));
        }
        let experts = usize::from(n.experts);
        if !(1..=limits::EXPERTS).contains(&experts) {
            let message = format!("experts is {experts}; 1 to {}", limits::EXPERTS);
            return Err(self.mistake(at, message));
        }
        if n.own_experts() > 0 || n.kind.get_ref() == "ple" {
            let all = n.all_experts(self.toml.task.len());
            if n.task_experts == 0 || all > limits::EXPERTS {
                let message = format!(
                    "{experts} shared experts and {} for each of {} tasks are {all}; a task has at least one, and there are at most {}",
                    n.task_experts,
                    self.toml.task.len(),
                    limits::EXPERTS
                );
                return Err(self.mistake(at, message));
            }
            let left_out = [
                ("gate = \"attention\"", n.gate == Gate::Attention),
                ("gate_dropout", n.gate_dropout != 0.0),
                ("load_balance", n.load_balance != 0.0),
            ];
            if let Some((key, _)) = left_out.iter().find(|(_, used)| *used) {
                let message =
                    format!("{key} is for gates that reach every expert; in \"ple\" none does");
                return Err(self.mistake(at, message));
            }
        }
        if !(1..=2).contains(&n.levels) {
            let message = format!("levels is {}; 1 or 2", n.levels);
            return Err(self.mistake(at, message));
        }
        if n.expert_layers.is_empty() {
            let message = "expert_layers is empty; an expert has at least one layer";
            return Err(self.mistake(at, message));
        }
        let own = matches!(
            n.kind(),
            Some(NetworkKind::SharedEmbedding | NetworkKind::Single)
        );
        if own && self.toml.task.len() > limits::EXPERTS {
            let message = format!(
                "{} tasks; at most {}",
                self.toml.task.len(),
                limits::EXPERTS
            );
            return Err(self.mistake(at, message));
        }
        if n.gate_layers.len() > limits::GATE_LAYERS {
            let message = format!(
                "gate_layers has {}; at most {}",
                n.gate_layers.len(),
                limits::GATE_LAYERS
            );
            return Err(self.mistake(at, message));
        }
        self.layers(at, &n.gate_layers)?;
        self.layers(at, &n.expert_layers)?;
        self.layers(at, &n.tower_layers)
    }

    /// Widths of layers.
    pub(super) fn layers(&self, at: &Named, layers: &[u16]) -> Result<()> {
        let fits = |w: &u16| (1..=limits::WIDTH).contains(&usize::from(*w));
        if layers.len() > limits::LAYERS || !layers.iter().all(fits) {
            let message = format!(
                "layers are {layers:?}; at most {} of 1 to {}",
                limits::LAYERS,
                limits::WIDTH
            );
            return Err(self.mistake(at, message));
        }
        Ok(())
    }

    pub(super) fn check_train(&self) -> Result<()> {
        let at = &self.toml.network.kind;
        match &self.toml.train.stop_on {
            StopOn::Last { last } if !(*last > 0.0 && *last < 1.0) => {
                let message = format!("stop_on last is {last}; a share above 0 and below 1");
                return Err(self.mistake(at, message));
            }
            StopOn::Name(name) if name != "validation" && name != "none" => {
                let message = format!(
                    "unknown stop_on \"{name}\"; {{ last = share }}, \"validation\" or \"none\""
                );
                return Err(self.mistake(at, message));
            }
            _ => {}
        }
        let options = self.train_options();
        let tasks = self
            .task_schedules()
            .and_then(|_| self.task_options())
            .and_then(|tasks| tasks.iter().try_for_each(|t| t.check()));
        if let Ok(options) = &options {
            let shared = self.toml.network.kind() != Some(NetworkKind::Single);
            if options.balance.needs_gram() && !shared {
                let message = format!(
                    "balance \"{}\" compares gradients on shared layers, and network \"single\" has none",
                    options.balance.name()
                );
                return Err(self.mistake(at, message));
            }
        }
        if let (Ok(options), Some(aware)) = (&options, &self.toml.train.quantization_aware) {
            let checked = options.check_quantization_aware();
            checked.map_err(|message| self.mistake(aware, message))?;
        }
        let checked = options.and_then(|o| o.check()).and(tasks);
        checked.map_err(|message| self.mistake(&self.toml.network.kind, message))
    }
}
