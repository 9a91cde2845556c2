//! What handles have in common that borrow bytes of the caller: models and formulas.

use core::mem::offset_of;
use core::ptr::addr_of_mut;

use super::model::PKR_MEMORY_ALIGNMENT;
use super::pointer::{Inputs, Span};
use crate::error::{Error, Result, Status};

/// What a handle says it is, so that one of another kind is told.
pub(super) trait Kind {
    const MAGIC: u64;
}

/// Content of a handle, in C's order: who hands in a handle of another kind, which may be shorter, has its first 16 bytes read
/// and no more.
#[repr(C)]
pub(super) struct Borrowing<T> {
    magic: u64,
    address: usize,
    bytes: Span,
    content: T,
}

const _: () = assert!(offset_of!(Borrowing<u64>, address) == 8);
const _: () = assert!(align_of::<Borrowing<u64>>() <= PKR_MEMORY_ALIGNMENT);

impl<T: Kind> Borrowing<T> {
    /// The content of an open handle.
    ///
    /// # Safety
    /// Unless NULL or misaligned, `handle` leads to memory that [`make`](Self::make) was given, not freed since.
    pub(super) unsafe fn open<'a>(inputs: Inputs<'_>, handle: *const Self) -> Result<&'a T> {
        let span = Span::of(handle, 1)?;
        // SAFETY: `Span::of` checked NULL and alignment; the memory is live by this function's contract, and both fields
        // are integers, of which every bit pattern is valid.
        let (magic, address) = unsafe { ((*handle).magic, (*handle).address) };
        if magic != T::MAGIC || address != handle.addr() {
            return Err(Error::new(Status::Stale));
        }
        inputs.apart(span)?;
        // SAFETY: the magic and the address are written last by `make`, so the whole handle is initialised, and it is never
        // written again before it is closed.
        let handle = unsafe { &*handle };
        inputs.apart(handle.bytes)?;
        Ok(&handle.content)
    }

    /// Makes a handle that borrows `bytes`: of `empty`, once `fill` has succeeded. Written field by field, where it will live: a
    /// model is kilobytes, and the stack is the app's.
    ///
    /// # Safety
    /// `handle` is claimed memory of this type, aligned for it.
    #[inline(always)]
    pub(super) unsafe fn make(
        handle: *mut Self,
        bytes: Span,
        empty: fn() -> T,
        fill: impl FnOnce(&mut T) -> Result<()>,
    ) -> Result<()> {
        // SAFETY: by this function's contract; the content is initialised before it is referred to.
        unsafe {
            addr_of_mut!((*handle).magic).write(0);
            addr_of_mut!((*handle).content).write(empty());
            fill(&mut *addr_of_mut!((*handle).content))?;
            addr_of_mut!((*handle).bytes).write(bytes);
            addr_of_mut!((*handle).address).write(handle.addr());
            addr_of_mut!((*handle).magic).write(T::MAGIC);
        }
        Ok(())
    }

    /// Closes a handle, which is stale from then on.
    ///
    /// # Safety
    /// As [`open`](Self::open); nobody else uses the handle.
    pub(super) unsafe fn close(inputs: Inputs<'_>, handle: *mut Self) -> Result<()> {
        // SAFETY: by this function's contract; the reference is dropped before the writes.
        unsafe {
            Self::open(inputs, handle)?;
            addr_of_mut!((*handle).magic).write(0);
            addr_of_mut!((*handle).address).write(0);
        }
        Ok(())
    }
}
