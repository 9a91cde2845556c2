//! A formula over the candidates of a request: what it reads is kept in columns until all of them have been scored, since
//! ranks compare them.

use super::dense::row_mut;
use super::fuser::Fuser;
use super::{Model, ScratchLen};
use crate::error::Result;
use crate::fusion;
use crate::fusion::formula::{
    Binding, FEATURE_MOST, Form, Formula, Input, LANES, Lanes, Quantiles, is_of_user, quantiles,
    rank, run, settle,
};
use crate::math::{clamp, sigmoid};
use crate::spec::{Encoding, TaskKind, limits};

/// Floats of the columns of so many candidates: one for each score that is read, and two to find ranks.
pub(super) fn columns(formula: &Formula<'_>, candidates: usize) -> usize {
    (formula.scores().count() + 2) * candidates
}

/// `need`, and columns of `formula` or of as many scores as there are tasks.
pub(super) fn with_columns(
    need: ScratchLen,
    tasks: usize,
    formula: Option<&Formula<'_>>,
    candidates: usize,
) -> ScratchLen {
    let candidates = candidates.min(limits::CANDIDATES);
    let own = formula.map_or(0, |formula| columns(formula, candidates));
    ScratchLen {
        floats: need.floats + own.max((tasks + 2) * candidates),
        ..need
    }
}

impl<'a> Model<'a> {
    /// Opens a formula that is shipped apart, for this model.
    ///
    /// # Errors
    /// Statuses 2xx for its envelope, 3xx for its records, 7xx for what it would do: [`Status::FormulaInput`] for a task or
    /// feature that this model does not have.
    ///
    /// [`Status::FormulaInput`]: crate::error::Status::FormulaInput
    pub fn open_formula<'f>(&self, bytes: &'f [u8]) -> Result<Formula<'f>> {
        let mut formula = Formula::default();
        self.open_formula_into(bytes, &mut formula)?;
        Ok(formula)
    }

    /// The same into a place of the caller's: a formula has some 2 kB.
    ///
    /// # Errors
    /// Those of [`open_formula`](Self::open_formula); no request takes `formula` then.
    pub fn open_formula_into<'f>(&self, bytes: &'f [u8], formula: &mut Formula<'f>) -> Result<()> {
        let binding = Binding {
            spec: &self.spec,
            quantiles: &self.quantiles,
            digest: self.digest,
        };
        formula.open(bytes, binding)
    }

    /// The fusion, if the file has a formula.
    pub fn formula(&self) -> Option<&Formula<'a>> {
        Some(&self.formula).filter(|formula| formula.is_some())
    }

    /// Distributions of scores that the file has.
    pub fn quantiles(&self) -> &[Quantiles<'a>] {
        &self.quantiles
    }

    /// As [`scratch_len`](Self::scratch_len), for requests with `formula`.
    pub fn scratch_len_with(&self, formula: &Formula<'_>, candidates_max: usize) -> ScratchLen {
        let need = self.sizes.scratch_len(candidates_max);
        with_columns(need, self.spec.tasks.len(), Some(formula), candidates_max)
    }
}

impl Fuser<'_, '_, '_> {
    /// Keeps what a formula reads of the scores and logits of the candidate at `position`; `false` without a formula.
    pub fn keep(
        &self,
        position: usize,
        (scores, logits): (&[f32], &[f32]),
        to: &mut [f32],
    ) -> bool {
        let Some(formula) = self.formula else {
            return false;
        };
        let spec = &self.inputs.model.spec;
        let mut raws = [0.0; limits::TASKS];
        // A link costs more than what is done here besides.
        let logits = if self.reads_raw_scores() { logits } else { &[] };
        for (((raw, task), score), logit) in
            raws.iter_mut().zip(&spec.tasks).zip(scores).zip(logits)
        {
            *raw = match task.kind {
                TaskKind::Binary => sigmoid(*logit),
                _ => *score,
            };
        }
        for (column, (task, entire, form)) in formula.scores().enumerate() {
            let of = if form == Form::Raw { &raws } else { scores };
            let task = usize::from(task);
            let value = match entire {
                true => fusion::entire(spec, of, task),
                false => of.get(task).copied().unwrap_or(0.0),
            };
            if let Some(to) = to.get_mut(column * self.inputs.scored() + position) {
                *to = settle(value);
            }
        }
        true
    }

    /// Whether a formula reads what scores do not tell.
    pub fn reads_raw_scores(&self) -> bool {
        self.formula
            .is_some_and(|f| f.scores().any(|(_, _, form)| form == Form::Raw))
    }

    /// Fuses the candidates of kept columns: fused scores and, unless it is empty, `[candidates, terms]`. Nothing without a
    /// formula.
    pub fn fuse(&self, columns: &mut [f32], (fused, terms): (&mut [f32], &mut [f32])) {
        let Some(formula) = self.formula else { return };
        let count = self.inputs.scored();
        let scores = formula.scores().count();
        let Some((columns, spare)) = columns.split_at_mut_checked(scores * count) else {
            return;
        };
        self.normalize(formula, columns, spare);
        let weights = self.inputs.request.weights.unwrap_or_default();
        let weight = |i: u8| {
            let i = usize::from(i);
            let own = formula.weights().get(i).map_or(0.0, |w| w.value);
            weights.get(i).copied().unwrap_or(own)
        };
        let num_terms = if terms.is_empty() {
            0
        } else {
            self.num_terms()
        };
        for start in (0..count).step_by(LANES) {
            let rows = LANES.min(count - start);
            let mut sum = [0.0; LANES];
            let mut index = 0;
            run(
                formula.code(),
                &mut |i, to| self.input(formula, columns, (i, start, rows), to),
                &weight,
                &mut |values| {
                    for (row, (sum, value)) in sum.iter_mut().zip(values).enumerate().take(rows) {
                        *sum = if index == 0 {
                            *value
                        } else {
                            settle(*sum + *value)
                        };
                        let candidate = self.inputs.candidate(start + row);
                        if let Some(to) = row_mut(terms, candidate, num_terms).get_mut(index) {
                            *to = *value;
                        }
                    }
                    index += 1;
                },
            );
            for (row, sum) in sum.iter().enumerate().take(rows) {
                if let Some(to) = fused.get_mut(self.inputs.candidate(start + row)) {
                    *to = *sum;
                }
            }
        }
    }

    /// From scores to ranks and quantiles, where the formula reads those.
    fn normalize(&self, formula: &Formula<'_>, columns: &mut [f32], spare: &mut [f32]) {
        let count = self.inputs.scored();
        let Some((sorted, spare)) = spare.split_at_mut_checked(count) else {
            return;
        };
        let spare = spare.get_mut(..count).unwrap_or_default();
        let columns = columns.chunks_exact_mut(count.max(1));
        for (column, (task, entire, form)) in columns.zip(formula.scores()) {
            match form {
                Form::Rank => rank(column, sorted, spare),
                Form::Quantile => {
                    if let Some(table) = quantiles(&self.inputs.model.quantiles, task, entire) {
                        column.iter_mut().for_each(|x| *x = table.at(*x));
                    }
                }
                Form::Raw | Form::Calibrated => {}
            }
        }
    }

    /// Values of input `i` for the rows from position `start` on.
    fn input(
        &self,
        formula: &Formula<'_>,
        columns: &[f32],
        (i, start, rows): (u8, usize, usize),
        to: &mut Lanes,
    ) {
        let i = usize::from(i);
        match formula.inputs().get(i) {
            Some(Input::Feature(feature)) => {
                let user = is_of_user(&self.inputs.model.spec, *feature);
                for (row, to) in to.iter_mut().enumerate().take(rows) {
                    let index = match user {
                        true => 0,
                        false => self.inputs.candidate(start + row),
                    };
                    *to = self.feature(*feature, index);
                }
            }
            _ => {
                // Columns are those of the scores alone.
                let before = formula.inputs().iter().take(i);
                let column = before.filter(|input| matches!(input, Input::Score { .. }));
                let at = column.count() * self.inputs.scored() + start;
                let from = columns.get(at..at + rows).unwrap_or_default();
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            }
        }
    }

    /// Raw value of a number feature, its default if missing, within [`FEATURE_MOST`].
    fn feature(&self, feature: u8, index: usize) -> f32 {
        let i = usize::from(feature);
        let Some(f) = self.inputs.model.spec.features.get(i) else {
            return 0.0;
        };
        let raw = self.inputs.raw_of(i, f, index);
        let raw = match f.encoding {
            Encoding::Number { default, .. } if raw.is_nan() => default,
            _ => raw,
        };
        clamp(raw, -FEATURE_MOST, FEATURE_MOST)
    }
}
