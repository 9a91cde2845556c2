//! What a formula says of itself.
use core::fmt;
use std::prelude::v1::*;

use serde::Serialize;

use crate::fusion::formula::{Formula, Weight};

/// A formula.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FormulaInfo {
    /// Its text.
    pub text: String,
    /// What a candidate costs, in additions.
    pub cost: u32,
    /// Bytes of its program.
    pub code_bytes: usize,
    /// Weights.
    pub weights: Vec<WeightInfo>,
}

/// A named weight of a formula.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WeightInfo {
    /// Name.
    pub name: String,
    /// Value in the file.
    pub value: f32,
    /// Least value of a request.
    pub min: f32,
    /// Greatest value of a request.
    pub max: f32,
}

impl fmt::Display for FormulaInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "fusion         {}", self.text)?;
        writeln!(
            f,
            "               costs {} additions a candidate; {} bytes of program",
            self.cost, self.code_bytes
        )?;
        for w in &self.weights {
            let WeightInfo {
                name,
                value,
                min,
                max,
            } = w;
            writeln!(f, "weight         {name} = {value}, {min} to {max}")?;
        }
        Ok(())
    }
}

/// What a formula says of itself.
pub fn formula(formula: &Formula<'_>) -> FormulaInfo {
    let weight = |w: &Weight<'_>| WeightInfo {
        name: w.name.to_string(),
        value: w.value,
        min: w.least,
        max: w.most,
    };
    FormulaInfo {
        text: formula.text().to_string(),
        cost: formula.cost(),
        code_bytes: formula.code().len(),
        weights: formula.weights().iter().map(weight).collect(),
    }
}
