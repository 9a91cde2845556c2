//! An inspection for people.
use core::fmt;
use std::prelude::v1::*;

use super::Inspection;

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "model    {} (format {}), {} bytes",
            self.name, self.format_version, self.bytes
        )?;
        writeln!(f, "xxh3     {}\nsha256   {}", self.digest, self.sha256)?;
        writeln!(f, "\n{:<12} {:>10} {:>10}", "section", "offset", "bytes")?;
        for s in &self.sections {
            writeln!(f, "{:<12} {:>10} {:>10}", s.kind, s.offset, s.bytes)?;
        }
        writeln!(
            f,
            "\n{:<24} {:<10} {:<9} {:>6}  table",
            "feature", "side", "kind", "inputs"
        )?;
        for x in &self.features {
            let table = x.table.as_deref().unwrap_or("-");
            writeln!(
                f,
                "{:<24} {:<10} {:<9} {:>6}  {table}",
                x.name, x.side, x.kind, x.inputs
            )?;
        }
        writeln!(
            f,
            "\n{:<24} {:<10} {:>9} {:>4} {:>4} {:>10}",
            "table", "look-up", "rows", "dim", "bits", "bytes"
        )?;
        for t in &self.tables {
            writeln!(
                f,
                "{:<24} {:<10} {:>9} {:>4} {:>4} {:>10}",
                t.name, t.lookup, t.num_embeddings, t.embedding_dim, t.bits, t.bytes
            )?;
        }
        if !self.attention.is_empty() {
            writeln!(
                f,
                "\n{:<24} {:<16} {:<16} {:>4} {:>7} {:>8} {:>9} {:>13}",
                "attention", "list", "query", "dim", "max_len", "madds/row", "/candidate", "/both"
            )?;
            self.attention.iter().try_for_each(|a| write!(f, "{a}"))?;
        }
        let n = &self.network;
        let [user, item, candidate, cross] = n.inputs;
        let levels = match n.levels {
            1 => String::new(),
            levels => format!("{levels} levels of "),
        };
        writeln!(
            f,
            "\nnetwork  {}, {levels}{} experts of {:?}",
            n.kind, n.experts, n.expert_layers
        )?;
        if let Some(gate) = n.gate {
            writeln!(f, "gates    {gate}, hidden layers {:?}", n.gate_layers)?;
        }
        writeln!(
            f,
            "inputs   user {user}, item {item}, candidate {candidate}, cross {cross}"
        )?;
        writeln!(
            f,
            "\n{:<16} {:<9} {:<12} {:<24} {:<11} {:<16} tower",
            "task", "kind", "unit", "score", "calibrated", "inputs"
        )?;
        for t in &self.tasks {
            let score = match &t.given {
                Some(given) => format!("{} on {given}", t.meaning),
                None => t.meaning.to_string(),
            };
            let inputs = match t.inputs.join(", ") {
                none if none.is_empty() => "-".to_string(),
                inputs => inputs,
            };
            writeln!(
                f,
                "{:<16} {:<9} {:<12} {score:<24} {:<11} {inputs:<16} {:?}",
                t.name, t.kind, t.unit, t.calibration, t.tower_layers
            )?;
        }
        if let Some(formula) = &self.formula {
            write!(f, "\n{formula}")?;
        } else {
            writeln!(
                f,
                "\n{:<16} {:<16} {:<12} {:>10}",
                "fusion term", "task", "value", "weight"
            )?;
        }
        for t in &self.fusion {
            let value = if t.entire { "entire" } else { "conditional" };
            writeln!(
                f,
                "{:<16} {:<16} {value:<12} {:>10}",
                t.name, t.task, t.weight
            )?;
        }
        if !self.quantiles.is_empty() {
            writeln!(f, "\nquantiles of   {}", self.quantiles.join(", "))?;
        }
        writeln!(f, "\nparameters     {}", self.parameters)?;
        let m = &self.multiply_adds;
        writeln!(
            f,
            "multiply-adds  {} a candidate, {} a request",
            m.candidate, m.request
        )?;
        for s in &self.scratch {
            writeln!(
                f,
                "scratch        {} bytes for {} candidate{}",
                s.bytes,
                s.candidates,
                if s.candidates == 1 { "" } else { "s" }
            )?;
        }
        writeln!(f, "user state     {} bytes", self.state_bytes)?;
        writeln!(f, "item sums      {} bytes an item", self.item_sums_bytes)
    }
}
