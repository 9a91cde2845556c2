//! Formulas: any expression over scores, features and named weights, as a small program that the device checks and runs.
//!
//! ```text
//! fused = term + term + ..., from the first on; each term is a program for a stack:
//!   constant f32 | input u8 | weight u8 | operation | end of the term
//! ```
//!
//! A program has no jumps, so it ends; its stack depth, its cost and the bounds of every value are known before it runs:
//! `Formula::open` refuses one that could go past a bound, divide by 0 or make a NaN. The bytes are a section of a model
//! file, or a file of their own that is shipped apart and bound to a model by the names of its inputs. `docs/format.md` has
//! the layout.

use heapless::Vec;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::TaskSet;
use crate::error::{Error, Result, Status};
use crate::format::Reader;
use crate::spec::{Encoding, Side, Spec, TaskKind};

mod code;
mod normal;
mod op;
mod run;
mod weights;

pub use code::Code;
#[cfg(feature = "train")]
pub(crate) use normal::QuantilesHead;
pub use normal::{KNOTS, Quantiles, rank};
pub use op::{MOST, Op, Range, settle};
pub use run::{LANES, Lanes, run};
pub use weights::Weight;

/// Bytes of all programs of a formula.
pub const CODE_BYTES: usize = 1024;
/// Values on the stack.
pub const DEPTH: usize = 16;
/// Inputs.
pub const INPUTS: usize = 32;
/// Named weights.
pub const WEIGHTS: usize = 32;
/// Terms.
pub const TERMS: usize = 32;
/// Cost for one candidate, in additions; see [`Op::cost`].
pub const COST: u32 = 1024;
/// Bytes of the text that a formula was made of.
pub const TEXT_BYTES: usize = 4096;
/// Features are clamped to this magnitude: a million years in seconds.
pub const FEATURE_MOST: f32 = (1u64 << 45) as f32;

/// First bytes of a formula that is shipped apart.
pub const MAGIC: [u8; 8] = *b"\x89PKFORM\n";
/// Version of formulas that this library writes and reads.
pub const VERSION: u32 = 1;
/// Bytes before the records of a formula that is shipped apart: magic, XXH3-64 of all that follows it, version, length.
pub const ENVELOPE_BYTES: usize = 24;

/// What of a score is an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// As the network has it, before calibration.
    Raw,
    /// As it is served.
    Calibrated,
    /// Its rank within the request, in (0, 1): higher scores have higher ranks, equal ones the same.
    Rank,
    /// Its quantile among the impressions that the exporter saw, in [0, 1].
    Quantile,
}

/// An input by name, as the file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Named<'a> {
    /// The score of a task.
    Score {
        /// Task.
        #[serde(borrow)]
        task: &'a str,
        /// Per impression: multiplied by the scores that it is conditional on.
        entire: bool,
        /// What of it.
        form: Form,
    },
    /// The raw value of a number feature; its default if it is missing.
    Feature {
        /// Feature.
        #[serde(borrow)]
        feature: &'a str,
    },
}

/// An input by its place in a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// See [`Named::Score`].
    Score {
        /// Task index.
        task: u8,
        /// Per impression.
        entire: bool,
        /// What of it.
        form: Form,
    },
    /// See [`Named::Feature`].
    Feature(u8),
}

/// One addend of the fused score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// Where it begins in the formula's text, byte.
    pub start: u16,
    /// Where it ends.
    pub end: u16,
}

/// How many records follow.
#[derive(Serialize, Deserialize)]
pub(crate) struct FormulaHead {
    pub text: u16,
    pub inputs: u8,
    pub weights: u8,
    pub terms: u8,
    pub code: u16,
}

/// A formula that a model can run. Borrows its bytes; some 2 kB.
#[derive(Clone, Debug, Default)]
pub struct Formula<'a> {
    /// Digest of the model that its inputs are places of.
    model: u64,
    text: &'a str,
    inputs: Vec<Input, INPUTS>,
    weights: Vec<Weight<'a>, WEIGHTS>,
    terms: Vec<Term, TERMS>,
    code: &'a [u8],
}

/// What a formula is bound to.
#[derive(Clone, Copy)]
pub(crate) struct Binding<'m, 'a> {
    pub spec: &'m Spec<'a>,
    pub quantiles: &'m [Quantiles<'a>],
    pub digest: u64,
}

impl<'a> Formula<'a> {
    /// Opens a formula that is shipped apart.
    pub(crate) fn open(&mut self, bytes: &'a [u8], binding: Binding<'_, '_>) -> Result<()> {
        let cut = Error::at(Status::Truncated, bytes.len());
        let (magic, rest) = bytes.split_first_chunk::<8>().ok_or(cut)?;
        if *magic != MAGIC {
            return Err(Error::at(Status::BadMagic, 0));
        }
        let (digest, rest) = rest.split_first_chunk().ok_or(cut)?;
        let (version, after) = rest.split_first_chunk().ok_or(cut)?;
        let (length, body) = after.split_first_chunk().ok_or(cut)?;
        if u32::from_le_bytes(*version) != VERSION {
            return Err(Error::at(Status::UnsupportedVersion, 16));
        }
        match u32::from_le_bytes(*length) as usize {
            length if length > bytes.len() => return Err(Error::at(Status::Truncated, 20)),
            length if length < bytes.len() => return Err(Error::at(Status::BadLength, 20)),
            _ => {}
        }
        if xxh3_64(rest) != u64::from_le_bytes(*digest) {
            return Err(Error::at(Status::BadDigest, 8));
        }
        self.read(Reader::new(body, ENVELOPE_BYTES), binding)
    }

    /// Makes it that of no model: it has no terms.
    pub(crate) fn clear(&mut self) {
        (self.model, self.text, self.code) = (0, "", &[]);
        self.inputs.clear();
        self.weights.clear();
        self.terms.clear();
    }

    /// Whether it has been read: a formula has a term.
    pub(crate) fn is_some(&self) -> bool {
        !self.terms.is_empty()
    }

    /// Reads the records of a formula, in place, and checks all that could go wrong when it runs.
    pub(crate) fn read(&mut self, reader: Reader<'a>, binding: Binding<'_, '_>) -> Result<()> {
        self.clear();
        let read = self.read_records(reader, binding);
        if read.is_err() {
            self.clear();
        }
        read
    }

    fn read_records(&mut self, mut reader: Reader<'a>, binding: Binding<'_, '_>) -> Result<()> {
        let spec = binding.spec;
        let head: FormulaHead = reader.record()?;
        let over = Error::at(Status::OverLimit, reader.offset());
        let (text, code) = (usize::from(head.text), usize::from(head.code));
        if text > TEXT_BYTES || code > CODE_BYTES {
            return Err(over);
        }
        let text = core::str::from_utf8(reader.bytes(text)?)
            .map_err(|_| Error::at(Status::BadRecord, reader.offset()))?;
        (self.model, self.text) = (binding.digest, text);
        let mut ranges: Vec<Range, INPUTS> = Vec::new();
        for _ in 0..head.inputs {
            let here = reader.offset();
            let named: Named<'a> = reader.record()?;
            let found = find(named, binding).and_then(|input| Some((input, range(spec, input)?)));
            let (input, range) = found.ok_or(Error::at(Status::FormulaInput, here))?;
            self.inputs.push(input).map_err(|_| over)?;
            ranges.push(range).map_err(|_| over)?;
        }
        for _ in 0..head.weights {
            let here = Error::at(Status::BadNumber, reader.offset());
            let weight: Weight<'a> = reader.record()?;
            let bounds = Range::new(weight.least, weight.most).ok_or(here)?;
            let usual = |x: f32| x == 0.0 || x.is_normal();
            let within = weight.value >= bounds.low && weight.value <= bounds.high;
            let all_usual = usual(weight.value) && usual(weight.least) && usual(weight.most);
            if !within || !all_usual || self.weight(weight.name).is_some() {
                return Err(here);
            }
            self.weights.push(weight).map_err(|_| over)?;
        }
        for _ in 0..head.terms {
            let here = Error::at(Status::Inconsistent, reader.offset());
            let term: Term = reader.record()?;
            text.get(usize::from(term.start)..usize::from(term.end))
                .ok_or(here)?;
            self.terms.push(term).map_err(|_| over)?;
        }
        let at = reader.offset();
        self.code = reader.bytes(code)?;
        reader.finish()?;
        self.check(&ranges)
            .map_err(|(status, offset)| Error::at(status, at + offset))?;
        Ok(())
    }

    /// Walks the program with bounds instead of values. What is wrong, and at which byte of the code.
    fn check(&self, inputs: &[Range]) -> Result<Range, (Status, usize)> {
        let mut stack = [Range::UNIT; DEPTH];
        let (mut len, mut cost, mut terms) = (0usize, 0, 0);
        let mut fused: Option<Range> = None;
        let mut rest = self.code;
        while !rest.is_empty() {
            let at = self.code.len() - rest.len();
            let malformed = (Status::FormulaCode, at);
            let unbounded = (Status::FormulaRange, at);
            let (instruction, after) = Code::next(rest).ok_or(malformed)?;
            rest = after;
            let value = match instruction {
                Code::Constant(x) => Range::new(x, x).ok_or(unbounded)?,
                Code::Input(i) => *inputs.get(usize::from(i)).ok_or(malformed)?,
                Code::Weight(i) => {
                    let weight = self.weights.get(usize::from(i)).ok_or(malformed)?;
                    Range::new(weight.least, weight.most).ok_or(unbounded)?
                }
                Code::Op(op) => {
                    len = len.checked_sub(op.arity()).ok_or(malformed)?;
                    let operand = |i: usize| match i < op.arity() {
                        true => stack.get(len + i).copied().unwrap_or(Range::UNIT),
                        false => Range::UNIT,
                    };
                    cost += op.cost();
                    Range::of(op, [operand(0), operand(1), operand(2)]).ok_or(unbounded)?
                }
                Code::End => {
                    let (1, Some(term)) = (len, stack.first().copied()) else {
                        return Err(malformed);
                    };
                    let sum = match fused {
                        Some(sum) => Range::of(Op::Add, [sum, term, Range::UNIT]),
                        None => Some(term),
                    };
                    fused = Some(sum.ok_or(unbounded)?);
                    (len, terms, cost) = (0, terms + 1, cost + 1);
                    continue;
                }
            };
            cost += 1;
            *stack.get_mut(len).ok_or(malformed)? = value;
            len += 1;
        }
        let end = self.code.len();
        if len != 0 || terms != self.terms.len() {
            return Err((Status::FormulaCode, end));
        }
        if cost > COST {
            return Err((Status::FormulaCost, end));
        }
        fused.ok_or((Status::FormulaCode, end))
    }

    /// The text it was made of.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Inputs, in the order of their indexes.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Weights, in the order of a request's.
    pub fn weights(&self) -> &[Weight<'a>] {
        &self.weights
    }

    /// The weight called `name`.
    pub fn weight(&self, name: &str) -> Option<usize> {
        self.weights.iter().position(|w| w.name == name)
    }

    /// Text of each addend of the fused score.
    pub fn terms(&self) -> impl Iterator<Item = &'a str> + '_ {
        let text = |t: &Term| self.text.get(usize::from(t.start)..usize::from(t.end));
        self.terms.iter().map(move |t| text(t).unwrap_or_default())
    }

    /// Digest of the model that it is bound to.
    pub fn model(&self) -> u64 {
        self.model
    }

    /// Bytes of its programs.
    pub fn code(&self) -> &'a [u8] {
        self.code
    }

    /// What a candidate costs, in additions.
    pub fn cost(&self) -> u32 {
        let (mut cost, mut rest) = (0, self.code);
        while let Some((instruction, after)) = Code::next(rest) {
            rest = after;
            cost += 1;
            if let Code::Op(op) = instruction {
                cost += op.cost();
            }
        }
        cost
    }

    /// Scores among its inputs: each needs a column of a request's length.
    pub(crate) fn scores(&self) -> impl Iterator<Item = (u8, bool, Form)> + '_ {
        self.inputs.iter().filter_map(|input| match *input {
            Input::Score { task, entire, form } => Some((task, entire, form)),
            Input::Feature(_) => None,
        })
    }

    /// Tasks that it reads, and those that they are given.
    pub(crate) fn tasks(&self, spec: &Spec<'_>) -> TaskSet {
        let mut tasks: TaskSet = 0;
        for (task, entire, _) in self.scores() {
            let mut at = Some(task);
            while let Some(task) = at {
                tasks |= 1 << task;
                let given = spec.tasks.get(usize::from(task)).and_then(|t| t.given);
                at = if entire { given } else { None };
            }
        }
        tasks
    }
}

/// The place of an input; `None` for a task, number feature or table of quantiles that the model does not have.
fn find(named: Named<'_>, binding: Binding<'_, '_>) -> Option<Input> {
    let spec = binding.spec;
    Some(match named {
        Named::Score { task, entire, form } => {
            let task = u8::try_from(spec.task(task)?).ok()?;
            // Of a task that is given nothing both are the same.
            let entire = entire && spec.tasks.get(usize::from(task))?.given.is_some();
            if form == Form::Quantile {
                quantiles(binding.quantiles, task, entire)?;
            }
            Input::Score { task, entire, form }
        }
        Named::Feature { feature } => {
            let index = spec.feature(feature)?;
            match spec.features.get(index)?.encoding {
                Encoding::Number { .. } => Input::Feature(u8::try_from(index).ok()?),
                _ => return None,
            }
        }
    })
}

/// The table of a score's quantiles.
pub(crate) fn quantiles<'m, 'a>(
    tables: &'m [Quantiles<'a>],
    task: u8,
    entire: bool,
) -> Option<&'m Quantiles<'a>> {
    tables.iter().find(|q| q.task == task && q.entire == entire)
}

/// Bounds of an input in models like `spec`.
pub fn range(spec: &Spec<'_>, input: Input) -> Option<Range> {
    match input {
        Input::Feature(_) => Range::new(-FEATURE_MOST, FEATURE_MOST),
        Input::Score {
            form: Form::Rank | Form::Quantile,
            ..
        } => Some(Range::UNIT),
        Input::Score { task, .. } => {
            let task = spec.tasks.get(usize::from(task))?;
            match task.kind {
                TaskKind::Binary => Some(Range::UNIT),
                // The greatest logit is 20.
                TaskKind::Duration | TaskKind::Odds => {
                    Range::new(0.0, crate::math::exp(20.0) * task.score_scale)
                }
                // Every step and every knot of quantiles is at most 2^30.
                kind => {
                    let most = (1u64 << 30) as f32 * kind.logits() as f32;
                    Range::new(0.0, most * task.score_scale)
                }
            }
        }
    }
}

/// Whether a feature has one value a request.
pub(crate) fn is_of_user(spec: &Spec<'_>, feature: u8) -> bool {
    let feature = spec.features.get(usize::from(feature));
    feature.is_some_and(|f| f.side == Side::User)
}
