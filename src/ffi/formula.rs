//! The handle of a formula, which requests have in every library.

use core::mem::offset_of;

use super::model::PKR_MEMORY_ALIGNMENT;
use super::pointer::{Inputs, Span};
use crate::error::{Error, Result, Status};
#[cfg(feature = "formula")]
use crate::fusion::formula::Formula;

#[cfg(feature = "formula")]
pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"pkrFormu");

/// A formula that was opened for a model, in memory of the caller. Immutable: any number of threads may use it. It borrows the
/// bytes it was opened from: they must stay where they are, unchanged, until it is closed. A copy answers PKR_ERR_STALE.
pub struct pkr_formula(pub(super) Content);

/// In C's order, for the reason given at the content of `pkr_model`.
#[repr(C)]
pub(super) struct Content {
    pub(super) magic: u64,
    pub(super) address: usize,
    pub(super) bytes: Span,
    #[cfg(feature = "formula")]
    pub(super) formula: Formula<'static>,
}

const _: () = assert!(offset_of!(pkr_formula, 0) == 0 && offset_of!(Content, address) == 8);
const _: () = assert!(align_of::<pkr_formula>() <= PKR_MEMORY_ALIGNMENT);

/// The formula behind a handle.
///
/// # Safety
/// Unless NULL or misaligned, `handle` leads to memory that `pkr_formula_open` was given, not freed since.
#[cfg(feature = "formula")]
pub(super) unsafe fn open<'a>(
    inputs: Inputs<'_>,
    handle: *const pkr_formula,
) -> Result<&'a pkr_formula> {
    let span = Span::of(handle, 1)?;
    // SAFETY: `Span::of` checked NULL and alignment; the memory is live by this function's contract, and both fields
    // are integers, of which every bit pattern is valid.
    let (magic, address) = unsafe { ((*handle).0.magic, (*handle).0.address) };
    if magic != MAGIC || address != handle.addr() {
        return Err(Error::new(Status::Stale));
    }
    inputs.apart(span)?;
    // SAFETY: magic and address are written last by `pkr_formula_open`, so the whole handle is initialised, and it is never
    // written again before it is closed.
    let handle = unsafe { &*handle };
    inputs.apart(handle.0.bytes)?;
    Ok(handle)
}

/// The formula of a request; `None` for NULL.
///
/// # Safety
/// As [`open`].
#[cfg(feature = "formula")]
pub(super) unsafe fn open_formula<'a>(
    inputs: Inputs<'_>,
    handle: *const pkr_formula,
) -> Result<Option<&'a Formula<'a>>> {
    if handle.is_null() {
        return Ok(None);
    }
    // SAFETY: by this function's contract.
    Ok(Some(unsafe { &open(inputs, handle)?.0.formula }))
}

/// A library without formulas takes none.
///
/// # Safety
/// None is needed; the other one's signature.
#[cfg(not(feature = "formula"))]
pub(super) unsafe fn open_formula(_: Inputs<'_>, handle: *const pkr_formula) -> Result<()> {
    match handle.is_null() {
        true => Ok(()),
        false => Err(Error::new(Status::BadOption)),
    }
}
