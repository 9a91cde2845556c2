//! What must hold of the network and its tasks.

use super::{holds, number_in, weight_is_valid, within};
use crate::error::{Error, Result, Status};
use crate::spec::{Calibration, FedValue, Gate, NetworkKind, Spec, TaskKind, limits};

impl Spec<'_> {
    pub(super) fn check_network(&self) -> Result<()> {
        let n = &self.network;
        let experts = usize::from(n.num_experts);
        within(experts, limits::EXPERTS)?;
        within(n.expert_layers.len(), limits::LAYERS)?;
        within(n.gate_layers.len() + 1, limits::GATE_LAYERS + 1)?;
        match n.kind {
            NetworkKind::Mmoe => {}
            NetworkKind::SharedBottom => holds(experts == 1)?,
            NetworkKind::SharedEmbedding | NetworkKind::Single => {
                holds(experts == self.tasks.len())?;
            }
            // Every mixture is read by an expert; a bias closes softmax gates alone.
            #[cfg(feature = "levels")]
            NetworkKind::Progressive { own } => {
                let own = usize::from(own);
                holds(own > 0 && own * self.tasks.len() < experts && n.gate == Gate::Softmax)?;
            }
        }
        // A model has one encoding: what means nothing is written one way.
        holds(self.has_gates() || (n.gate == Gate::Softmax && n.gate_layers.is_empty()))?;
        let towers = self.tasks.iter().flat_map(|t| t.tower_layers.iter());
        for width in n.expert_layers.iter().chain(&n.gate_layers).chain(towers) {
            within(usize::from(*width), limits::WIDTH)?;
        }
        Ok(())
    }

    pub(super) fn check_tasks(&self) -> Result<()> {
        within(self.tasks.len(), limits::TASKS)?;
        for (i, task) in self.tasks.iter().enumerate() {
            number_in(task.score_scale, 1e-6, 1e6)?;
            let kind = |t: usize| self.tasks.get(t).map(|t| t.kind);
            let binary = |t: usize| kind(t) == Some(TaskKind::Binary);
            if let TaskKind::Steps {
                thresholds,
                ordered,
            } = task.kind
            {
                within(usize::from(thresholds), limits::LOGITS)?;
                // What is fed to a head is added to its one sum.
                holds(ordered || task.inputs.is_empty() || !task.tower_layers.is_empty())?;
            }
            #[cfg(feature = "quantile")]
            if let TaskKind::Quantile { feature, knots } = task.kind {
                let knots = (2..=limits::KNOTS).contains(&usize::from(knots));
                holds(knots && self.num_groups(feature) > 0)?;
            }
            for (j, fed) in task.inputs.iter().enumerate() {
                let of = usize::from(fed.task);
                holds(of < self.tasks.len() && of != i)?;
                // Of several logits none is the task's.
                holds(!matches!(kind(of), Some(TaskKind::Steps { .. })))?;
                holds(fed.value == FedValue::Logit || binary(of))?;
                holds(task.inputs.iter().skip(j + 1).all(|f| f.task != fed.task))?;
            }
            match task.calibration {
                Calibration::None => {}
                Calibration::Platt { scale, offset } => {
                    holds(binary(i))?;
                    number_in(scale, 1e-3, 1e3)?;
                    number_in(offset, -1e3, 1e3)?;
                }
                Calibration::Isotonic { knots } => {
                    holds(binary(i) && (2..=limits::KNOTS).contains(&usize::from(knots)))?;
                }
            }
            if let Some(given) = task.given {
                let given = usize::from(given);
                holds(given < i && binary(given))?;
            }
        }
        holds(self.order().is_some())?;
        for term in &self.fusion {
            holds(usize::from(term.task) < self.tasks.len())?;
            holds(weight_is_valid(term.weight)).map_err(|_| Error::new(Status::BadNumber))?;
        }
        Ok(())
    }
}
