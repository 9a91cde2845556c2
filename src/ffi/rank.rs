//! The one call of a request.

use core::mem::MaybeUninit;
use core::ptr::addr_of_mut;

use super::formula::{open_formula, pkr_formula};
use super::model::{open_model, pkr_model};
use super::pointer::{Inputs, Outputs, Plain, Versioned, call};
use super::scratch::{open_scratch, pkr_scratch};
use super::status::{pkr_error_detail, pkr_status};
use crate::engine::{Column, ItemSums, Lists, Model, Output, Request, Scratch, Summary};
use crate::error::{Error, Result, Status};

/// The app has no values: `values` and all else are ignored.
pub const PKR_FORM_MISSING: u32 = 0;
/// `values` are uint64_t ids of a table of ints; UINT64_MAX is a missing id.
pub const PKR_FORM_IDS: u32 = 1;
/// `values` are UTF-8 bytes; `offsets` divide them into ids. An empty id is missing.
pub const PKR_FORM_TEXT: u32 = 2;
/// `values` are uint32_t rows of the feature's table, resolved before by `pkr_row_of`; UINT32_MAX is a missing row.
/// Not for features by which others are keyed (crosses, rates by key): those need the id.
pub const PKR_FORM_ROWS: u32 = 3;
/// `values` are floats; NaN is a missing number.
pub const PKR_FORM_FLOATS: u32 = 4;
/// `values` are bytes 0..127 of vectors on the model's grid, `dim` a value.
pub const PKR_FORM_BYTES: u32 = 5;

/// The values of one feature for one request: one value (or one list) for a feature of the user's side, one per
/// candidate for all others. Fields that a form does not name must be 0; a column with NULL in every pointer is missing.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pkr_column {
    /// sizeof(pkr_column).
    pub struct_size: u32,
    /// PKR_FORM_*.
    pub form: u32,
    /// The values, in the form's type and aligned for it.
    pub values: *const core::ffi::c_void,
    /// Values; for text and vectors, bytes.
    pub count: usize,
    /// PKR_FORM_TEXT: byte offsets, the i-th id is bytes `offsets[i]` to `offsets[i + 1]`.
    pub offsets: *const u32,
    /// Ids + 1.
    pub num_offsets: usize,
    /// Lists: the i-th list is ids (or rows) `list_offsets[i]` to `list_offsets[i + 1]`. NULL: every value stands alone.
    pub list_offsets: *const u32,
    /// Lists + 1.
    pub num_list_offsets: usize,
    /// Lists of a weighted feature: one weight in [0, 1] per id. NULL: all are 1.
    pub weights: *const f32,
    /// Ids.
    pub num_weights: usize,
}

// SAFETY: repr(C), begins with struct_size, integers and raw pointers only.
unsafe impl Versioned for pkr_column {}

/// Flag of a request: answer with a 5xx status where a value is missing, not finite or unknown, instead of counting it.
pub const PKR_STRICT: u32 = 1;

/// A candidate whose item sums were not kept.
pub const PKR_NO_SLOT: u32 = 0xFFFFFFFF;

/// One request.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pkr_request {
    /// sizeof(pkr_request).
    pub struct_size: u32,
    /// 0 or PKR_STRICT.
    pub flags: u32,
    /// Candidates, 1 to what the scratch was made for.
    pub num_candidates: u32,
    /// Candidates to score at most: a deadline that the app turns into a count. 0: all. The others keep their order
    /// behind the scored ones.
    pub max_candidates: u32,
    /// Time of the request, Unix seconds.
    pub time: i64,
    /// Columns by feature index. Features past the end are missing; derived features take PKR_FORM_MISSING.
    pub columns: *const pkr_column,
    /// Columns; at most the model's features.
    pub num_columns: usize,
    /// The user's state; NULL: a user without a past.
    pub state: *const u8,
    /// Bytes of it; at least what `pkr_model_info` says.
    pub state_bytes: usize,
    /// Weights of the fusion's terms, or of its formula; NULL: those of the file.
    pub weights: *const f32,
    /// Terms of the model, or weights of its formula; 0 with NULL.
    pub num_weights: usize,
    /// Candidates to score, by increasing index; NULL: all. Needs a library with sessions.
    pub only: *const u32,
    /// How many; at most `num_candidates`.
    pub num_only: usize,
    /// Item sums that were kept, in slots of `item_sums_bytes` of `pkr_model_info`: what `pkr_item_sums` wrote. NULL: none.
    /// Columns of item features are then read only where other features, or groups of quantiles, are made of them. Needs a
    /// library with sessions.
    pub item_sums: *const u8,
    /// Bytes of all slots.
    pub item_sums_bytes: usize,
    /// The slot of each candidate, PKR_NO_SLOT for one whose sums are computed here. NULL: candidate i has slot i.
    pub item_slots: *const u32,
    /// `num_candidates`, or 0 with NULL.
    pub num_item_slots: usize,
    /// A formula that takes the place of the file's fusion; NULL: none. Needs a library with formulas.
    pub formula: *const pkr_formula,
    /// Features to leave out, by index: as if their columns were missing, and, for those made of the user's past, as for a user
    /// without one. The difference is what they do to an order. NULL: none. Not together with item sums. Needs a library with
    /// formulas.
    pub without: *const u32,
    /// How many.
    pub num_without: usize,
}

// SAFETY: repr(C), begins with struct_size, integers and raw pointers only.
unsafe impl Versioned for pkr_request {}

/// Where results go, and what happened. Pointers and lengths are the caller's; the rest is written on success.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pkr_result {
    /// sizeof(pkr_result).
    pub struct_size: u32,
    /// Candidates scored.
    pub scored: u32,
    /// The best candidates, best first, as indices; equal ones by index. NULL: not wanted.
    pub order: *mut u32,
    /// How many are wanted; no more than `num_candidates` are written.
    pub order_len: usize,
    /// Fused score of each candidate, negative infinity if it was not scored. NULL: not wanted.
    pub fused: *mut f32,
    /// 0, or at least `num_candidates`; as many are written.
    pub fused_len: usize,
    /// Scores, `[num_candidates, num_tasks]` row by row, 0 for candidates not scored. NULL: not wanted.
    pub scores: *mut f32,
    /// 0, or at least `num_candidates * num_tasks`; as many are written.
    pub scores_len: usize,
    /// Values that were missing from columns and took their default.
    pub missing: u32,
    /// Numbers that were infinite and were clamped.
    pub not_finite: u32,
    /// Ids outside their vocabulary and rows outside their table, which took row 0.
    pub unknown_ids: u32,
    /// Lists longer than their feature's `max_len`, whose later ids were dropped.
    pub cut_lists: u32,
    /// Why: values of the fusion's terms, `[num_candidates, num_terms]` row by row. A fused score is their sum, added in their
    /// order. Those of candidates not scored are 0. NULL: not wanted.
    pub terms: *mut f32,
    /// 0, or at least `num_candidates * num_terms`; as many are written. `num_terms` of `pkr_model_info`, or of the request's
    /// formula.
    pub terms_len: usize,
}

// SAFETY: repr(C), begins with struct_size, integers and raw pointers only.
unsafe impl Versioned for pkr_result {}

/// Elements of an output of which `needed` are written if it is wanted.
fn output_len(len: usize, needed: usize) -> Result<usize> {
    match len {
        0 => Ok(0),
        len if len < needed => Err(Error::at(Status::BufferTooSmall, needed)),
        _ => Ok(needed),
    }
}

/// The engine's view of a column.
///
/// # Safety
/// Every pointer is NULL, misaligned, or leads to as much live memory as its count says.
unsafe fn column<'r>(inputs: Inputs<'_>, column: &pkr_column) -> Result<Column<'r>> {
    let c = column;
    if c.form == PKR_FORM_MISSING {
        return Ok(Column::Missing);
    }
    let nothing =
        c.count == 0 && c.num_offsets == 0 && c.num_list_offsets == 0 && c.num_weights == 0;
    if nothing
        && c.values.is_null()
        && c.offsets.is_null()
        && c.list_offsets.is_null()
        && c.weights.is_null()
    {
        return Ok(Column::Missing);
    }
    let is_text = c.form == PKR_FORM_TEXT;
    let may_be_lists = matches!(c.form, PKR_FORM_IDS | PKR_FORM_TEXT | PKR_FORM_ROWS);
    let unlisted = c.list_offsets.is_null() && c.num_list_offsets == 0;
    if (!is_text && (!c.offsets.is_null() || c.num_offsets != 0))
        || (!may_be_lists && !unlisted)
        || (unlisted && (!c.weights.is_null() || c.num_weights != 0))
    {
        return Err(Error::new(Status::WrongForm));
    }
    // SAFETY: by this function's contract.
    unsafe {
        let lists = match unlisted {
            true => None,
            false => Some(Lists {
                offsets: inputs.slice(c.list_offsets, c.num_list_offsets)?,
                weights: match c.weights.is_null() && c.num_weights == 0 {
                    true => None,
                    false => Some(inputs.slice(c.weights, c.num_weights)?),
                },
            }),
        };
        match c.form {
            PKR_FORM_IDS => Ok(Column::Ids {
                ids: inputs.slice(c.values.cast(), c.count)?,
                lists,
            }),
            PKR_FORM_TEXT => Ok(Column::Text {
                utf8: inputs.slice(c.values.cast(), c.count)?,
                offsets: inputs.slice(c.offsets, c.num_offsets)?,
                lists,
            }),
            PKR_FORM_ROWS => Ok(Column::Rows {
                rows: inputs.slice(c.values.cast(), c.count)?,
                lists,
            }),
            PKR_FORM_FLOATS => Ok(Column::Floats(inputs.slice(c.values.cast(), c.count)?)),
            PKR_FORM_BYTES => Ok(Column::Bytes(inputs.slice(c.values.cast(), c.count)?)),
            _ => Err(Error::new(Status::BadOption)),
        }
    }
}

/// Turns the caller's columns into the engine's, in the scratch.
///
/// # Safety
/// As [`column`], for `len` columns at `columns`.
unsafe fn columns<'r>(
    inputs: Inputs<'_>,
    columns: *const pkr_column,
    len: usize,
    into: &'r mut [MaybeUninit<Column<'r>>],
) -> Result<&'r [Column<'r>]> {
    inputs.apart(super::pointer::Span::of(columns, len)?)?;
    let into = into
        .get_mut(..len)
        .ok_or(Error::at(Status::BufferTooSmall, len))?;
    for (feature, slot) in into.iter_mut().enumerate() {
        let at = |e: Error| Error {
            feature: feature as u32,
            ..e
        };
        // SAFETY: `Span::of` checked the array; its structs and what they point to are live by this function's contract.
        let value = unsafe {
            let c = inputs.structure(columns.add(feature)).map_err(at)?;
            column(inputs, &c).map_err(at)?
        };
        slot.write(value);
    }
    // SAFETY: the loop wrote every slot.
    Ok(unsafe { into.assume_init_ref() })
}

/// Elements that may be left out: `None` for NULL and no elements.
///
/// # Safety
/// As [`Inputs::slice`].
pub(super) unsafe fn optional<'r, T: Plain>(
    inputs: Inputs<'_>,
    pointer: *const T,
    len: usize,
) -> Result<Option<&'r [T]>> {
    match pointer.is_null() && len == 0 {
        true => Ok(None),
        // SAFETY: by this function's contract.
        false => Ok(Some(unsafe { inputs.slice(pointer, len)? })),
    }
}

/// A request with as many candidates as a scratch was made for.
///
/// # Safety
/// As [`Inputs::structure`].
unsafe fn read_request(
    inputs: Inputs<'_>,
    request: *const pkr_request,
    candidates_max: usize,
) -> Result<pkr_request> {
    // SAFETY: by this function's contract.
    let asked = unsafe { inputs.structure(request)? };
    match asked.num_candidates as usize {
        n if n == 0 || n > candidates_max => Err(Error::at(Status::CandidateCount, candidates_max)),
        _ => Ok(asked),
    }
}

/// The engine's view of a request to `model`, whose columns go into `parts`.
///
/// # Safety
/// Unless NULL or misaligned, `request` and every pointer in it lead to as much live memory as is stated.
pub(super) unsafe fn request_of<'r>(
    inputs: Inputs<'_>,
    request: *const pkr_request,
    model: &Model<'_>,
    (candidates_max, into): (usize, &'r mut [MaybeUninit<Column<'r>>]),
) -> Result<Request<'r>> {
    // SAFETY: by this function's contract.
    unsafe {
        let asked = read_request(inputs, request, candidates_max)?;
        let num_candidates = asked.num_candidates as usize;
        if asked.flags & !PKR_STRICT != 0 {
            return Err(Error::new(Status::BadOption));
        }
        let features = model.spec().features.len();
        if asked.num_columns > features {
            return Err(Error::feature(Status::UnknownFeature, features));
        }
        let item_sums = optional(inputs, asked.item_sums, asked.item_sums_bytes)?;
        let slots = optional(inputs, asked.item_slots, asked.num_item_slots)?;
        let formula = open_formula(inputs, asked.formula)?;
        #[cfg(not(feature = "formula"))]
        let super::formula::NoFormula = formula;
        #[cfg(not(feature = "formula"))]
        if asked.num_without != 0 {
            return Err(Error::new(Status::BadOption));
        }
        Ok(Request {
            num_candidates,
            columns: columns(inputs, asked.columns, asked.num_columns, into)?,
            state: optional(inputs, asked.state, asked.state_bytes)?,
            time: asked.time,
            weights: optional(inputs, asked.weights, asked.num_weights)?,
            #[cfg(feature = "formula")]
            formula,
            #[cfg(feature = "formula")]
            without: optional(inputs, asked.without, asked.num_without)?.unwrap_or_default(),
            max_candidates: asked.max_candidates as usize,
            strict: asked.flags & PKR_STRICT != 0,
            only: optional(inputs, asked.only, asked.num_only)?,
            item_sums: item_sums.map(|bytes| ItemSums {
                bytes,
                slots: slots.unwrap_or_default(),
            }),
        })
    }
}

/// Terms of a request's fusion.
///
/// # Safety
/// As [`open_formula`].
unsafe fn num_terms(
    inputs: Inputs<'_>,
    model: &Model<'_>,
    formula: *const pkr_formula,
) -> Result<usize> {
    // SAFETY: by this function's contract.
    let formula = unsafe { open_formula(inputs, formula)? };
    #[cfg(feature = "formula")]
    if let Some(formula) = formula {
        return Ok(formula.terms().count());
    }
    #[cfg(not(feature = "formula"))]
    let super::formula::NoFormula = formula;
    Ok(model.num_terms())
}

/// Where `result` wants order, fused scores and scores of `num_candidates`.
///
/// # Safety
/// As [`Outputs::structure`] and [`Outputs::slice`], for `result` and the outputs that it names.
pub(super) unsafe fn output_of<'o>(
    outputs: &mut Outputs,
    result: *mut pkr_result,
    num_candidates: usize,
    (num_tasks, num_terms): (usize, usize),
) -> Result<Output<'o>> {
    // SAFETY: by this function's contract.
    unsafe {
        let wanted = outputs.structure(result)?;
        let num_scores = num_candidates.saturating_mul(num_tasks);
        let num_values = num_candidates.saturating_mul(num_terms);
        Ok(Output {
            order: outputs.slice(wanted.order, wanted.order_len.min(num_candidates))?,
            fused: outputs.slice(wanted.fused, output_len(wanted.fused_len, num_candidates)?)?,
            scores: outputs.slice(wanted.scores, output_len(wanted.scores_len, num_scores)?)?,
            terms: outputs.slice(wanted.terms, output_len(wanted.terms_len, num_values)?)?,
        })
    }
}

/// Writes what happened.
///
/// # Safety
/// `result` was claimed.
unsafe fn summarize(result: *mut pkr_result, summary: &Summary) {
    // SAFETY: by this function's contract.
    unsafe {
        addr_of_mut!((*result).scored).write(summary.scored);
        addr_of_mut!((*result).missing).write(summary.missing);
        addr_of_mut!((*result).not_finite).write(summary.not_finite);
        addr_of_mut!((*result).unknown_ids).write(summary.unknown_ids);
        addr_of_mut!((*result).cut_lists).write(summary.cut_lists);
    }
}

/// Handles and structs of a call that scores candidates.
pub(super) struct Ranking {
    pub(super) model: *const pkr_model,
    pub(super) scratch: *mut pkr_scratch,
    pub(super) request: *const pkr_request,
    pub(super) result: *mut pkr_result,
}

impl Ranking {
    /// Claims scratch and outputs, reads the request, hands them to `run` and writes what happened. Scores are wanted of as
    /// many candidates as `rows` says.
    ///
    /// # Safety
    /// As [`pkr_rank`].
    pub(super) unsafe fn run(
        self,
        outputs: &mut Outputs,
        rows: fn(&pkr_request) -> usize,
        run: impl FnOnce(
            Inputs<'_>,
            &Model<'static>,
            &Request<'_>,
            &mut Scratch<'_>,
            &mut Output<'_>,
        ) -> Result<Summary>,
    ) -> Result<()> {
        // SAFETY: by this function's contract.
        unsafe {
            let mut parts = open_scratch(outputs, self.scratch)?;
            // Read before the outputs are claimed, since they say how much of them is used; checked against them below.
            let asked = read_request(outputs.seal(), self.request, parts.candidates_max)?;
            let model = open_model(outputs.seal(), self.model)?;
            let widths = (
                model.spec().tasks.len(),
                num_terms(outputs.seal(), model, asked.formula)?,
            );
            let mut output = output_of(outputs, self.result, rows(&asked), widths)?;
            let inputs = outputs.seal();
            open_model(inputs, self.model)?;
            let into = (parts.candidates_max, parts.columns);
            let request = request_of(inputs, self.request, model, into)?;
            let summary = run(inputs, model, &request, &mut parts.scratch, &mut output)?;
            summarize(self.result, &summary);
            Ok(())
        }
    }
}

/// All candidates of a request.
pub(super) fn all_candidates(request: &pkr_request) -> usize {
    request.num_candidates as usize
}

/// Scores and orders the candidates of one request. On any error nothing but `detail` is written: keep the order that
/// the server sent.
///
/// One bad candidate does not lose a feed: missing and NaN values take the feature's default, infinities are clamped,
/// unknown ids take row 0, and all of them are counted in `result`. With PKR_STRICT they are errors instead.
///
/// Threads: any, one scratch each. Lifetimes: nothing is kept. Cost: linear in the candidates; no allocation, lock or
/// system call. `detail` may be NULL.
/// Errors: 1xx for arguments, 5xx for the request with feature and candidate in `detail`, 6xx for the state.
///
/// # Safety
/// Every pointer that is neither NULL nor misaligned leads to live memory of the stated size; during the call nobody
/// writes to inputs or uses outputs and scratch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_rank(
    model: *const pkr_model,
    scratch: *mut pkr_scratch,
    request: *const pkr_request,
    result: *mut pkr_result,
    detail: *mut pkr_error_detail,
) -> pkr_status {
    // SAFETY: the pointers are as `Outputs` and `Inputs` need them by this function's contract.
    unsafe {
        call(detail, |outputs| {
            let ranking = Ranking {
                model,
                scratch,
                request,
                result,
            };
            ranking.run(
                outputs,
                all_candidates,
                |_, model, request, scratch, output| model.rank(request, scratch, output),
            )
        })
    }
}
