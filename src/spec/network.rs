//! What follows from the kind of network: gates, widths, the order of tasks.

use heapless::Vec;

use super::{Gate, NetworkKind, Spec, limits};

impl Spec<'_> {
    /// Copies of the embeddings and inputs: one, or one a task in [`NetworkKind::Single`].
    pub fn groups(&self) -> usize {
        if self.network.kind == NetworkKind::Single {
            self.tasks.len()
        } else {
            1
        }
    }

    /// Whether tasks mix experts by gates.
    pub fn has_gates(&self) -> bool {
        #[cfg(feature = "levels")]
        if self.own_experts().is_some() {
            return true;
        }
        self.network.kind == NetworkKind::Mmoe
    }

    /// Of a network with a second level of experts: those that a task has to itself, on either.
    #[cfg(feature = "levels")]
    pub fn own_experts(&self) -> Option<usize> {
        match self.network.kind {
            NetworkKind::Progressive { own } => Some(usize::from(own)),
            _ => None,
        }
    }

    /// The mixture of the first level that an expert of the second reads: a task's, or behind those the shared gate's.
    #[cfg(feature = "levels")]
    pub fn mixture_of(&self, expert: usize) -> usize {
        let (own, tasks) = (self.own_experts().unwrap_or(0), self.tasks.len());
        let shared = usize::from(self.network.num_experts).saturating_sub(own * tasks);
        let behind = expert.checked_sub(shared);
        behind.and_then(|e| e.checked_div(own)).unwrap_or(tasks)
    }

    /// Gates on the inputs, if there are gates: one a task, and the shared one of a network with a second level.
    pub fn input_gates(&self) -> usize {
        #[cfg(feature = "levels")]
        if self.own_experts().is_some() {
            return self.tasks.len() + 1;
        }
        self.tasks.len()
    }

    /// Whether every task has an expert of its own.
    pub fn has_own_experts(&self) -> bool {
        matches!(
            self.network.kind,
            NetworkKind::SharedEmbedding | NetworkKind::Single
        )
    }

    /// Outputs of a gate's layer, counted from its first; the last is past its hidden layers.
    pub fn gate_width(&self, layer: usize) -> usize {
        match (self.network.gate_layers.get(layer), self.network.gate) {
            _ if !self.has_gates() => 0,
            (Some(width), _) => usize::from(*width),
            (None, Gate::Softmax) => usize::from(self.network.num_experts),
            (None, Gate::Attention) => self.mixture_width(),
        }
    }

    /// Outputs of a group's first layer: every expert's first hidden layer, then the first layer of every gate on the inputs.
    pub fn first_outputs(&self) -> usize {
        let experts = usize::from(self.network.num_experts);
        match self.network.kind {
            NetworkKind::Single => self.expert_width(0),
            _ => experts * self.expert_width(0) + self.input_gates() * self.gate_width(0),
        }
    }

    /// Width of an expert's layer; 0 past the last.
    pub fn expert_width(&self, layer: usize) -> usize {
        self.network
            .expert_layers
            .get(layer)
            .map_or(0, |w| usize::from(*w))
    }

    /// Width of an expert's output, and so of every mixture and query.
    pub fn mixture_width(&self) -> usize {
        self.network
            .expert_layers
            .last()
            .map_or(0, |w| usize::from(*w))
    }

    /// The tasks so that each stands behind those that it is fed; `None` if tasks are fed in a circle.
    pub fn order(&self) -> Option<Vec<u8, { limits::TASKS }>> {
        let mut order: Vec<u8, { limits::TASKS }> = Vec::new();
        // Every round adds the tasks whose inputs are there, in the order of the file.
        while order.len() < self.tasks.len() {
            let before = order.len();
            for (i, task) in self.tasks.iter().enumerate() {
                // `contains` would bring in a search by words, for at most 16 bytes.
                #[allow(clippy::manual_contains)]
                let there = |task: u8| order.iter().any(|t| *t == task);
                let ready = task.inputs.iter().all(|fed| there(fed.task));
                if ready && !there(i as u8) {
                    order.push(i as u8).ok()?;
                }
            }
            if order.len() == before {
                return None;
            }
        }
        Some(order)
    }
}
