//! The handle of a formula, which requests have in every library.

use core::mem::offset_of;

#[cfg(feature = "formula")]
use super::handle::{Borrowing, Kind};
use super::pointer::Inputs;
#[cfg(feature = "formula")]
use crate::error::Result;
#[cfg(not(feature = "formula"))]
use crate::error::{Error, Result, Status};
#[cfg(feature = "formula")]
use crate::fusion::formula::Formula;

/// A formula that was opened for a model, in memory of the caller. Immutable: any number of threads may use it. It borrows the
/// bytes it was opened from: they must stay where they are, unchanged, until it is closed. A copy answers PKR_ERR_STALE.
pub struct pkr_formula(pub(super) Content);

#[cfg(feature = "formula")]
pub(super) type Content = Borrowing<Formula<'static>>;
/// A library without formulas has no handle of one.
#[cfg(not(feature = "formula"))]
pub(super) type Content = ();

const _: () = assert!(offset_of!(pkr_formula, 0) == 0);

#[cfg(feature = "formula")]
impl Kind for Formula<'static> {
    const MAGIC: u64 = u64::from_le_bytes(*b"pkrFormu");
}

/// The formula of a request; `None` for NULL.
///
/// # Safety
/// Unless NULL or misaligned, `handle` leads to memory that `pkr_formula_open` was given, not freed since.
#[cfg(feature = "formula")]
pub(super) unsafe fn open_formula<'a>(
    inputs: Inputs<'_>,
    handle: *const pkr_formula,
) -> Result<Option<&'a Formula<'a>>> {
    if handle.is_null() {
        return Ok(None);
    }
    // SAFETY: by this function's contract.
    let formula: &'a Formula<'static> = unsafe { Content::open(inputs, handle.cast())? };
    Ok(Some(formula))
}

/// What a library without formulas has in place of one.
#[cfg(not(feature = "formula"))]
pub(super) struct NoFormula;

/// A library without formulas takes none.
///
/// # Safety
/// None is needed; the other one's signature.
#[cfg(not(feature = "formula"))]
pub(super) unsafe fn open_formula(_: Inputs<'_>, handle: *const pkr_formula) -> Result<NoFormula> {
    match handle.is_null() {
        true => Ok(NoFormula),
        false => Err(Error::new(Status::BadOption)),
    }
}
