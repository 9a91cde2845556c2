//! What makes fused scores of task scores: the file's terms, its formula, or the request's.

#[cfg(feature = "formula")]
use super::formula;
use super::inputs::Inputs;
use crate::error::Result;
#[cfg(feature = "formula")]
use crate::error::{Error, Status};
#[cfg(feature = "formula")]
use crate::fusion::formula::Formula;
use crate::fusion::{self, TaskSet};

/// The fusion of one request.
#[derive(Clone, Copy)]
pub(super) struct Fuser<'r, 'm, 'a> {
    pub inputs: Inputs<'r, 'm, 'a>,
    /// In place of the file's terms.
    #[cfg(feature = "formula")]
    pub formula: Option<&'r Formula<'r>>,
}

impl<'r, 'm: 'r, 'a: 'r> Fuser<'r, 'm, 'a> {
    /// # Errors
    /// For a formula: [`Status::FormulaModel`], and [`Status::BufferTooSmall`] for `columns`, the floats that there are for its
    /// columns.
    pub fn new(inputs: Inputs<'r, 'm, 'a>, columns: usize) -> Result<Self> {
        let fuser = Self {
            inputs,
            #[cfg(feature = "formula")]
            formula: inputs.formula(),
        };
        #[cfg(feature = "formula")]
        if let Some(formula) = fuser.formula {
            if formula.model() != inputs.model.digest {
                return Err(Error::new(Status::FormulaModel));
            }
            let need = formula::columns(formula, inputs.request.num_candidates);
            return match columns < need {
                true => Err(Error::at(Status::BufferTooSmall, need * 4)),
                false => Ok(fuser),
            };
        }
        let _ = columns;
        Ok(fuser)
    }

    pub fn num_terms(&self) -> usize {
        #[cfg(feature = "formula")]
        if let Some(formula) = self.formula {
            return formula.terms().count();
        }
        self.inputs.model.spec.fusion.len()
    }

    /// Tasks that fused scores depend on.
    pub fn live(&self) -> TaskSet {
        let (spec, order) = (&self.inputs.model.spec, &self.inputs.model.order);
        #[cfg(feature = "formula")]
        if let Some(formula) = self.formula {
            return fusion::with_feeding(spec, order, formula.tasks(spec));
        }
        fusion::live(spec, order, self.inputs.request.weights)
    }
}
