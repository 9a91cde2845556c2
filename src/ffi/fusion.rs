//! Formulas that an app loads beside its model, and why an order is as it is. In libraries built with feature `formula`.

use core::ffi::c_char;
use core::ptr::null_mut;

use super::formula::{Content, open_formula, pkr_formula};
use super::model::{open_model, pkr_model};
use super::pointer::{Inputs, Outputs, Span, Versioned, call};
use super::rank::{pkr_request, request_of};
use super::scratch::{open_scratch, pkr_scratch};
use super::status::{pkr_error_detail, pkr_status};
use crate::engine::Model;
use crate::error::{Error, Result, Status};
use crate::fusion::formula::Formula;

/// Bytes of memory that `pkr_formula_open` needs, the same for every formula of one version of the library.
///
/// Threads: any. Cost: none.
#[unsafe(no_mangle)]
pub extern "C" fn pkr_formula_bytes() -> usize {
    size_of::<pkr_formula>()
}

/// Checks a formula that was shipped apart from its model and opens it in place, for `model` alone: with another one requests
/// answer PKR_ERR_FORMULA_MODEL. It takes the place of the model's fusion in requests that name it.
///
/// `bytes[len]` may lie at any address. `memory[memory_bytes]` must be aligned to PKR_MEMORY_ALIGNMENT and as large as
/// `pkr_formula_bytes` says. `detail` may be NULL. On success `*out` is the handle; otherwise it is as before.
///
/// Threads: any; the handle may then be shared. Lifetimes: `bytes` and `memory` are borrowed until `pkr_formula_close`; the
/// model is not. Cost: linear in `len`, which is at most some kilobytes.
/// Errors: 1xx; 2xx and 3xx for the bytes, with the offset in `detail`; PKR_ERR_FORMULA_INPUT for a task or feature that the
/// model does not have; PKR_ERR_FORMULA_CODE, PKR_ERR_FORMULA_COST, PKR_ERR_FORMULA_RANGE for a program that may not run.
///
/// # Safety
/// Every pointer that is neither NULL nor misaligned leads to live memory of the stated size, and nobody writes to
/// `bytes` or uses `memory` until the formula is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_formula_open(
    model: *const pkr_model,
    bytes: *const u8,
    len: usize,
    memory: *mut u8,
    memory_bytes: usize,
    out: *mut *mut pkr_formula,
    detail: *mut pkr_error_detail,
) -> pkr_status {
    // SAFETY: the pointers are as `Outputs` and `Inputs` need them by this function's contract.
    unsafe {
        call(detail, |outputs| {
            outputs.claim(out, 1)?;
            let handle = memory.cast::<pkr_formula>();
            Span::of(handle, 1)?;
            if memory_bytes < size_of::<pkr_formula>() {
                return Err(Error::at(Status::BufferTooSmall, size_of::<pkr_formula>()));
            }
            outputs.claim(memory, memory_bytes)?;
            let inputs = outputs.seal();
            let span = Span::of(bytes, len)?;
            let bytes: &'static [u8] = inputs.slice(bytes, len)?;
            let model = open_model(inputs, model)?;
            Content::make(handle.cast(), span, Formula::default, |formula| {
                model.open_formula_into(bytes, formula)
            })?;
            out.write(handle);
            Ok(())
        })
    }
}

/// Closes a formula. Its memory and bytes are the caller's again.
///
/// Threads: no other call with this formula may run or follow. Cost: none.
/// Errors: PKR_ERR_STALE if it was closed before or is a copy; PKR_ERR_NULL_POINTER, PKR_ERR_MISALIGNED.
///
/// # Safety
/// `formula` is NULL, misaligned, or leads to memory that `pkr_formula_open` was given, not freed since.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_formula_close(formula: *mut pkr_formula) -> pkr_status {
    // SAFETY: by this function's contract.
    unsafe {
        call(null_mut(), |outputs| {
            Content::close(outputs.seal(), formula.cast())
        })
    }
}

/// A formula.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pkr_formula_information {
    /// sizeof(pkr_formula_information).
    pub struct_size: u32,
    /// Named weights, and so weights of a request.
    pub num_weights: u32,
    /// Addends of the fused score.
    pub num_terms: u32,
    /// What a candidate costs, in additions; at most 1,024.
    pub cost: u32,
    /// The text that it was made of; not NUL-terminated.
    pub text: *const c_char,
    /// Bytes of it.
    pub text_bytes: usize,
}

// SAFETY: repr(C), begins with struct_size, integers and raw pointers only.
unsafe impl Versioned for pkr_formula_information {}

/// A named weight of a formula.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pkr_weight_information {
    /// sizeof(pkr_weight_information).
    pub struct_size: u32,
    /// Its value unless a request has another.
    pub value: f32,
    /// Least value of a request.
    pub least: f32,
    /// Greatest value of a request.
    pub most: f32,
    /// Name; not NUL-terminated.
    pub name: *const c_char,
    /// Bytes of it.
    pub name_bytes: usize,
}

// SAFETY: repr(C), begins with struct_size, numbers and raw pointers only.
unsafe impl Versioned for pkr_weight_information {}

/// The formula that was asked for, or that of the model's file.
///
/// # Safety
/// As [`open_formula`] and [`open_model`].
unsafe fn of<'a>(
    inputs: Inputs<'_>,
    model: *const pkr_model,
    formula: *const pkr_formula,
) -> Result<&'a Formula<'a>> {
    // SAFETY: by this function's contract.
    unsafe {
        let model: &'a Model<'static> = open_model(inputs, model)?;
        let asked = open_formula(inputs, formula)?;
        let unknown = Error::new(Status::UnknownTask);
        asked.or(model.formula().map(|f| f as _)).ok_or(unknown)
    }
}

/// Describes `formula`, or with NULL that of the model's file.
///
/// Threads: any. Lifetimes: the text lives until the formula, or the model, is closed. Cost: linear in its program.
/// Errors: PKR_ERR_UNKNOWN_TASK for a model that has no formula; 1xx.
///
/// # Safety
/// Every pointer is NULL, misaligned, or leads to live memory of its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_formula_info(
    model: *const pkr_model,
    formula: *const pkr_formula,
    out: *mut pkr_formula_information,
) -> pkr_status {
    // SAFETY: by this function's contract.
    unsafe {
        call(null_mut(), |outputs| {
            outputs.structure(out)?;
            let formula = of(outputs.seal(), model, formula)?;
            out.write(pkr_formula_information {
                struct_size: size_of::<pkr_formula_information>() as u32,
                num_weights: formula.weights().len() as u32,
                num_terms: formula.terms().count() as u32,
                cost: formula.cost(),
                text: formula.text().as_ptr().cast(),
                text_bytes: formula.text().len(),
            });
            Ok(())
        })
    }
}

/// Describes weight `index`, 0 to `num_weights - 1`, of `formula`, or with NULL of that of the model's file: the meaning of a
/// request's `weights[index]`.
///
/// Threads: any. Lifetimes: the name lives until the formula, or the model, is closed. Cost: none.
/// Errors: PKR_ERR_UNKNOWN_TASK; 1xx.
///
/// # Safety
/// Every pointer is NULL, misaligned, or leads to live memory of its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_weight_info(
    model: *const pkr_model,
    formula: *const pkr_formula,
    index: u32,
    out: *mut pkr_weight_information,
) -> pkr_status {
    // SAFETY: by this function's contract.
    unsafe {
        call(null_mut(), |outputs| {
            outputs.structure(out)?;
            let formula = of(outputs.seal(), model, formula)?;
            let unknown = Error::new(Status::UnknownTask);
            let weight = formula.weights().get(index as usize).ok_or(unknown)?;
            out.write(pkr_weight_information {
                struct_size: size_of::<pkr_weight_information>() as u32,
                value: weight.value,
                least: weight.least,
                most: weight.most,
                name: weight.name.as_ptr().cast(),
                name_bytes: weight.name.len(),
            });
            Ok(())
        })
    }
}

/// Index of the weight called `name[name_bytes]` of `formula`, or with NULL of that of the model's file.
///
/// Threads: any. Cost: linear in the weights. Errors: PKR_ERR_UNKNOWN_TASK; 1xx.
///
/// # Safety
/// Every pointer is NULL, misaligned, or leads to live memory of the stated size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_weight_index(
    model: *const pkr_model,
    formula: *const pkr_formula,
    name: *const u8,
    name_bytes: usize,
    out: *mut u32,
) -> pkr_status {
    // SAFETY: by this function's contract.
    unsafe {
        call(null_mut(), |outputs| {
            outputs.claim(out, 1)?;
            let inputs = outputs.seal();
            let formula = of(inputs, model, formula)?;
            let name = inputs.slice(name, name_bytes)?;
            let found = formula
                .weights()
                .iter()
                .position(|w| w.name.as_bytes() == name);
            out.write(found.ok_or(Error::new(Status::UnknownTask))? as u32);
            Ok(())
        })
    }
}

/// Text of term `index`, 0 to `num_terms - 1`, of `formula`, or with NULL of that of the model's file: what `terms` of a
/// result is about. Not NUL-terminated.
///
/// Threads: any. Lifetimes: the text lives until the formula, or the model, is closed. Cost: linear in the terms.
/// Errors: PKR_ERR_UNKNOWN_TASK; 1xx.
///
/// # Safety
/// Every pointer is NULL, misaligned, or leads to live memory of its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_term_text(
    model: *const pkr_model,
    formula: *const pkr_formula,
    index: u32,
    text: *mut *const c_char,
    text_bytes: *mut usize,
) -> pkr_status {
    // SAFETY: by this function's contract.
    unsafe {
        call(null_mut(), |outputs| {
            outputs.claim(text, 1)?;
            outputs.claim(text_bytes, 1)?;
            let formula = of(outputs.seal(), model, formula)?;
            let term = formula.terms().nth(index as usize);
            let term = term.ok_or(Error::new(Status::UnknownTask))?;
            text.write(term.as_ptr().cast());
            text_bytes.write(term.len());
            Ok(())
        })
    }
}

/// Why: shares of the experts in every task's mixture for one candidate of `request`, `out[num_tasks * num_experts]` row by row;
/// each row adds up to 1. Together with the `terms` of a result and with requests that leave features out this tells how an
/// order came about.
///
/// Threads: any, one scratch each. Cost: that of a request with one candidate. `detail` may be NULL.
/// Errors: those of `pkr_rank`; PKR_ERR_CANDIDATE_COUNT for a candidate that the request does not have;
/// PKR_ERR_BUFFER_TOO_SMALL unless `out_len` is `num_tasks * num_experts`, which `detail` then tells.
///
/// # Safety
/// As `pkr_rank`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_gates(
    model: *const pkr_model,
    scratch: *mut pkr_scratch,
    request: *const pkr_request,
    candidate: u32,
    out: *mut f32,
    out_len: usize,
    detail: *mut pkr_error_detail,
) -> pkr_status {
    // SAFETY: the pointers are as `Outputs` and `Inputs` need them by this function's contract.
    unsafe {
        call(detail, |outputs| {
            let mut parts = open_scratch(outputs, scratch)?;
            let out = outputs.slice(out, out_len)?;
            let inputs = outputs.seal();
            let model = open_model(inputs, model)?;
            let into = (parts.candidates_max, parts.columns);
            let request = request_of(inputs, request, model, into)?;
            model.gates(&request, candidate as usize, &mut parts.scratch, out)
        })
    }
}

/// Writes weights to try on one user, for tuning online: each weight of `formula` (with NULL, of that of the model's file), or
/// of `weights[num_weights]`, times e^(sigma z), within its bounds, where z is standard normal and depends on `seed` (the user),
/// `salt` (the experiment) and the weight's name alone. Pass them as a request's weights, and log them with what was shown.
///
/// Threads: any. Cost: none. `weights` may be NULL.
/// Errors: PKR_ERR_UNKNOWN_TASK for another number of weights; PKR_ERR_BAD_WEIGHT for one out of its bounds, and for a sigma
/// outside [0, 4]; PKR_ERR_BUFFER_TOO_SMALL unless `out_len` is the number of weights; 1xx.
///
/// # Safety
/// Every pointer is NULL, misaligned, or leads to live memory of the stated size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_weights_perturb(
    model: *const pkr_model,
    formula: *const pkr_formula,
    weights: *const f32,
    num_weights: usize,
    seed: u64,
    salt: u64,
    sigma: f32,
    out: *mut f32,
    out_len: usize,
) -> pkr_status {
    // SAFETY: by this function's contract.
    unsafe {
        call(null_mut(), |outputs: &mut Outputs| {
            let out = outputs.slice(out, out_len)?;
            let inputs = outputs.seal();
            let formula = of(inputs, model, formula)?;
            let weights = super::rank::optional(inputs, weights, num_weights)?;
            formula.perturb(weights, (seed, salt), sigma, out)
        })
    }
}
