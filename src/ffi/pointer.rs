//! From the caller's pointers to references: the one place that checks them.
//!
//! Outputs are claimed first and must be apart from each other; then every input must be apart from all outputs. Inputs
//! may overlap inputs. What cannot be checked is the caller's promise: that non-NULL memory is live, as long as stated
//! and not written by another thread meanwhile.

use core::alloc::Layout;

use super::status::{PKR_OK, pkr_error_detail, pkr_status};
use crate::error::{Error, Result, Status};

/// Types whose every bit pattern is valid, so that caller memory may be read as them.
///
/// # Safety
/// Integers and floats only, no padding.
pub(super) unsafe trait Plain: Copy {}
// SAFETY: every bit pattern of these primitives is a value.
unsafe impl Plain for u8 {}
// SAFETY: as above.
#[cfg(feature = "rerank")]
unsafe impl Plain for i8 {}
// SAFETY: as above.
unsafe impl Plain for u32 {}
// SAFETY: as above.
unsafe impl Plain for u64 {}
// SAFETY: as above.
unsafe impl Plain for f32 {}

/// Structs of the ABI that begin with their own size.
///
/// # Safety
/// `repr(C)`, first field `struct_size: u32`, all fields integers, floats, raw pointers or arrays of them.
pub(super) unsafe trait Versioned: Copy {}

/// A range of addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    start: usize,
    bytes: usize,
}

impl Span {
    const EMPTY: Span = Span { start: 0, bytes: 0 };

    /// `len` elements at `pointer`: not NULL unless empty, aligned, within the address space.
    #[inline(always)]
    pub(super) fn of<T>(pointer: *const T, len: usize) -> Result<Self> {
        Self::of_elements(pointer.addr(), len, Layout::new::<T>())
    }

    // Types differ by size and alignment alone: of these checks, and of those below that take a layout, the library has one
    // copy instead of one a type.
    #[inline(never)]
    fn of_elements(start: usize, len: usize, element: Layout) -> Result<Self> {
        let bytes = len
            .checked_mul(element.size())
            .ok_or(Error::new(Status::LengthOverflow))?;
        if bytes == 0 {
            return Ok(Self::EMPTY);
        }
        if start == 0 {
            return Err(Error::new(Status::NullPointer));
        }
        if start & (element.align() - 1) != 0 {
            return Err(Error::new(Status::Misaligned));
        }
        if isize::try_from(bytes).is_err() || start.checked_add(bytes).is_none() {
            return Err(Error::new(Status::LengthOverflow));
        }
        Ok(Self { start, bytes })
    }

    fn overlaps(self, other: Self) -> bool {
        // `Span::of` made sure that start + bytes does not wrap.
        self.bytes != 0
            && other.bytes != 0
            && self.start < other.start.wrapping_add(other.bytes)
            && other.start < self.start.wrapping_add(self.bytes)
    }
}

/// Outputs of one call: result structs, arrays, handle memory.
pub(super) struct Outputs {
    spans: [Span; Outputs::MAX],
    len: usize,
}

impl Outputs {
    const MAX: usize = 8;

    /// Claims a range for writing.
    #[inline(always)]
    pub(super) fn claim<T>(&mut self, pointer: *const T, len: usize) -> Result<()> {
        self.claim_elements(pointer.addr(), len, Layout::new::<T>())
    }

    #[inline(never)]
    fn claim_elements(&mut self, start: usize, len: usize, element: Layout) -> Result<()> {
        let span = Span::of_elements(start, len, element)?;
        let (used, free) = self
            .spans
            .split_at_mut_checked(self.len)
            .ok_or(Error::new(Status::Overlap))?;
        if used.iter().any(|other| other.overlaps(span)) {
            return Err(Error::new(Status::Overlap));
        }
        *free.first_mut().ok_or(Error::new(Status::Overlap))? = span;
        self.len += 1;
        Ok(())
    }

    /// Claims `len` elements for writing.
    ///
    /// # Safety
    /// Unless NULL or misaligned, `pointer` leads to that much live memory that nobody else uses during the call.
    pub(super) unsafe fn slice<'a, T: Plain>(
        &mut self,
        pointer: *mut T,
        len: usize,
    ) -> Result<&'a mut [T]> {
        self.claim(pointer, len)?;
        if len == 0 {
            return Ok(&mut []);
        }
        // SAFETY: `claim` checked NULL, alignment, length and that no other output overlaps; `Inputs` refuses inputs
        // that do; any bit pattern is a `T` (`Plain`); the rest is this function's contract.
        Ok(unsafe { core::slice::from_raw_parts_mut(pointer, len) })
    }

    /// Claims a struct for writing and returns what it says now.
    ///
    /// # Safety
    /// As [`Outputs::slice`].
    pub(super) unsafe fn structure<T: Versioned>(&mut self, pointer: *mut T) -> Result<T> {
        self.claim(pointer, 1)?;
        // SAFETY: this function's contract.
        unsafe { read_versioned(pointer) }
    }

    /// No further outputs; inputs may follow.
    pub(super) fn seal(&self) -> Inputs<'_> {
        Inputs(self)
    }
}

/// Inputs of one call, held against its outputs.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'o>(&'o Outputs);

impl Inputs<'_> {
    #[inline(never)]
    fn elements_apart(self, start: usize, len: usize, element: Layout) -> Result<()> {
        self.apart(Span::of_elements(start, len, element)?)
    }

    /// Checks that a range overlaps no output.
    // Of many callers one copy.
    #[inline(never)]
    pub(super) fn apart(self, span: Span) -> Result<()> {
        let used = self.0.spans.get(..self.0.len).unwrap_or_default();
        if used.iter().any(|output| output.overlaps(span)) {
            return Err(Error::new(Status::Overlap));
        }
        Ok(())
    }

    /// `len` elements for reading.
    ///
    /// # Safety
    /// Unless NULL or misaligned, `pointer` leads to that much live memory that nobody writes while `'a` lasts.
    pub(super) unsafe fn slice<'a, T: Plain>(
        self,
        pointer: *const T,
        len: usize,
    ) -> Result<&'a [T]> {
        self.elements_apart(pointer.addr(), len, Layout::new::<T>())?;
        if len == 0 {
            return Ok(&[]);
        }
        // SAFETY: `Span::of` checked NULL, alignment and length, `apart` that no output overlaps; any bit pattern is a
        // `T` (`Plain`); the rest is this function's contract.
        Ok(unsafe { core::slice::from_raw_parts(pointer, len) })
    }

    /// A copy of a struct.
    ///
    /// # Safety
    /// As [`Inputs::slice`].
    pub(super) unsafe fn structure<T: Versioned>(self, pointer: *const T) -> Result<T> {
        self.elements_apart(pointer.addr(), 1, Layout::new::<T>())?;
        // SAFETY: this function's contract.
        unsafe { read_versioned(pointer) }
    }
}

#[inline(never)]
fn check_size(struct_size: u32, size: usize) -> Result<()> {
    match struct_size as usize == size {
        true => Ok(()),
        false => Err(Error {
            offset: size as u64,
            ..Error::new(Status::StructSize)
        }),
    }
}

/// Reads a struct whose size is that of this version.
///
/// # Safety
/// `pointer` is aligned, not NULL, and leads to a live `struct_size` and as many bytes as it says.
unsafe fn read_versioned<T: Versioned>(pointer: *const T) -> Result<T> {
    // SAFETY: `Versioned` structs begin with a u32, which is live by this function's contract.
    let struct_size = unsafe { pointer.cast::<u32>().read() };
    check_size(struct_size, size_of::<T>())?;
    // SAFETY: the caller vouched for `struct_size` bytes, and every bit pattern is a `T` (`Versioned`).
    Ok(unsafe { pointer.read() })
}

/// Runs the body of an ABI function and turns its outcome into a status and, unless NULL, a detail.
///
/// # Safety
/// `detail` is NULL, misaligned, or leads to a live `pkr_error_detail` that nobody else uses during the call.
pub(super) unsafe fn call(
    detail: *mut pkr_error_detail,
    body: impl FnOnce(&mut Outputs) -> Result<()>,
) -> pkr_status {
    let mut outputs = Outputs {
        spans: [Span::EMPTY; Outputs::MAX],
        len: 0,
    };
    if !detail.is_null() {
        // SAFETY: this function's contract.
        if let Err(error) = unsafe { outputs.structure(detail) } {
            return error.status as u32;
        }
    }
    let Err(error) = body(&mut outputs) else {
        return PKR_OK;
    };
    // What overlaps may be the detail itself: writing it could harm an input.
    if !detail.is_null() && error.status != Status::Overlap {
        // SAFETY: `outputs.structure` found it not misaligned and of the right size.
        unsafe { detail.write(pkr_error_detail::from_error(&error)) };
    }
    error.status as u32
}
