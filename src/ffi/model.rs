//! Opening and closing models.

use core::mem::offset_of;

use super::handle::{Borrowing, Kind};
use super::pointer::{Inputs, Span, Versioned, call};
use super::status::{pkr_error_detail, pkr_status};
use crate::engine::{Model, OpenOptions};
use crate::error::{Error, Result, Status};
use crate::format;
use crate::kernels::Isa;

/// Alignment of all memory handed to the library for handles; what malloc returns is aligned so.
pub const PKR_MEMORY_ALIGNMENT: usize = 8;

impl Kind for Model<'static> {
    const MAGIC: u64 = u64::from_le_bytes(*b"pkrModel");
}

/// An open model, in memory of the caller. Immutable: any number of threads may use it, each with its own
/// pkr_scratch. It borrows the bytes it was opened from: they must stay where they are, unchanged, until it is closed
/// and no call on it runs. It must not be moved or copied: a copy answers PKR_ERR_STALE.
pub struct pkr_model(Content);

type Content = Borrowing<Model<'static>>;

const _: () = assert!(offset_of!(pkr_model, 0) == 0);
const _: () = assert!(align_of::<pkr_model>() <= PKR_MEMORY_ALIGNMENT);

/// The model behind a handle.
///
/// # Safety
/// Unless NULL or misaligned, `handle` leads to memory that [`pkr_model_open`] was given, not freed since.
pub(super) unsafe fn open_model<'a>(
    inputs: Inputs<'_>,
    handle: *const pkr_model,
) -> Result<&'a Model<'static>> {
    // SAFETY: by this function's contract.
    unsafe { Content::open(inputs, handle.cast()) }
}

/// What opening a model needs.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pkr_requirements {
    /// sizeof(pkr_requirements).
    pub struct_size: u32,
    /// Alignment of the memory, in bytes.
    pub alignment: u32,
    /// Bytes of memory for the handle. The same for every model of one version of the library.
    pub model_bytes: usize,
}

// SAFETY: repr(C), begins with struct_size, integers only.
unsafe impl Versioned for pkr_requirements {}

/// The best instruction set that the library can tell this CPU has.
pub const PKR_CPU_AUTO: u32 = 0;
/// Plain code that every CPU runs. Scores are the same bits.
pub const PKR_CPU_PORTABLE: u32 = 1;
/// aarch64 with dot products: a third of the arithmetic instructions of plain NEON, on CPUs that have them (Armv8.2 cores from
/// 2018 on). Only for an app that has asked: `getauxval(AT_HWCAP) & HWCAP_ASIMDDP` on Linux and Android, `sysctlbyname` of
/// `hw.optional.arm.FEAT_DotProd` on Apple's systems. On a CPU without them the first request ends the process. The library
/// can't find out by itself: it links to no system library, and the CPU's identification register may not be read before
/// Linux 4.11. Scores are the same bits.
pub const PKR_CPU_NEON_DOTPROD: u32 = 2;
/// aarch64 with products of matrices: half the product instructions of PKR_CPU_NEON_DOTPROD, on CPUs that have them (Armv8.6 and
/// Armv9 cores). In libraries built with feature `i8mm` only (`ffi/build.sh` builds with it); elsewhere PKR_ERR_BAD_OPTION.
/// Only for an app that has asked: `getauxval(AT_HWCAP2) & HWCAP2_I8MM` on Linux and Android, `sysctlbyname` of
/// `hw.optional.arm.FEAT_I8MM` on Apple's systems. On a CPU without them the first request ends the process. Scores are the
/// same bits.
pub const PKR_CPU_NEON_I8MM: u32 = 3;

/// How to open a model.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pkr_open_options {
    /// sizeof(pkr_open_options).
    pub struct_size: u32,
    /// A PKR_CPU_ value; PKR_ERR_BAD_OPTION for one that this library was not built for.
    pub cpu: u32,
}

// SAFETY: repr(C), begins with struct_size, integers only.
unsafe impl Versioned for pkr_open_options {}

/// Tells how much memory `pkr_model_open` needs. Looks at the first 64 bytes only, so that a wrong file is refused
/// before memory is found for it; whether the rest is sound is for `pkr_model_open` to say. What scratch and user state
/// need depends on the model: `pkr_scratch_bytes` and `pkr_model_info` tell it after opening.
///
/// Threads: any. Lifetimes: keeps nothing. Cost: none.
/// Errors: PKR_ERR_TRUNCATED, PKR_ERR_BAD_MAGIC, PKR_ERR_UNSUPPORTED_VERSION, PKR_ERR_BAD_LENGTH; 1xx for arguments.
///
/// # Safety
/// `bytes` leads to `len` bytes, `out` to a `pkr_requirements`; or they are NULL or misaligned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_model_query(
    bytes: *const u8,
    len: usize,
    out: *mut pkr_requirements,
) -> pkr_status {
    // SAFETY: no detail; the pointers are as `Outputs` and `Inputs` need them by this function's contract.
    unsafe {
        call(core::ptr::null_mut(), |outputs| {
            outputs.structure(out)?;
            format::envelope_length(outputs.seal().slice(bytes, len)?)?;
            out.write(pkr_requirements {
                struct_size: size_of::<pkr_requirements>() as u32,
                alignment: PKR_MEMORY_ALIGNMENT as u32,
                model_bytes: size_of::<pkr_model>(),
            });
            Ok(())
        })
    }
}

/// Checks a model file and opens it in place.
///
/// `bytes[len]` may lie at any address (flash, mapped file, resource). `memory[memory_bytes]` must be aligned to
/// PKR_MEMORY_ALIGNMENT and as large as `pkr_model_query` says; it holds the handle. `options` may be NULL for the
/// defaults, `detail` may be NULL. On success `*out` is the handle; otherwise `*out` is as before and the contents of
/// `memory` are unspecified.
///
/// Threads: any; the handle may then be shared. Lifetimes: `bytes` and `memory` are borrowed until `pkr_model_close`.
/// Cost: reads every byte once, linear in `len`.
/// Errors: 1xx for arguments, 2xx to 4xx for the file with its byte offset in `detail`.
///
/// # Safety
/// Every pointer that is neither NULL nor misaligned leads to live memory of the stated size, and nobody writes to
/// `bytes` or uses `memory` until the model is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_model_open(
    bytes: *const u8,
    len: usize,
    memory: *mut u8,
    memory_bytes: usize,
    options: *const pkr_open_options,
    out: *mut *mut pkr_model,
    detail: *mut pkr_error_detail,
) -> pkr_status {
    // SAFETY: the pointers are as `Outputs` and `Inputs` need them by this function's contract.
    unsafe {
        call(detail, |outputs| {
            outputs.claim(out, 1)?;
            let handle = memory.cast::<pkr_model>();
            Span::of(handle, 1)?;
            if memory_bytes < size_of::<pkr_model>() {
                return Err(Error::at(Status::BufferTooSmall, size_of::<pkr_model>()));
            }
            outputs.claim(memory, memory_bytes)?;
            let inputs = outputs.seal();
            let bytes_span = Span::of(bytes, len)?;
            let bytes: &'static [u8] = inputs.slice(bytes, len)?;
            let isa = match options.is_null() {
                true => None,
                false => isa(inputs.structure(options)?.cpu)?,
            };
            Content::make(handle.cast(), bytes_span, Model::new, |model| {
                model.open(bytes, &OpenOptions { isa })
            })?;
            out.write(handle);
            Ok(())
        })
    }
}

fn isa(cpu: u32) -> Result<Option<Isa>> {
    match cpu {
        PKR_CPU_AUTO => Ok(None),
        PKR_CPU_PORTABLE => Ok(Some(Isa::PORTABLE)),
        #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
        // SAFETY: the app says that it has asked.
        PKR_CPU_NEON_DOTPROD => Ok(Some(unsafe { Isa::dotprod() })),
        #[cfg(all(feature = "i8mm", target_arch = "aarch64", target_endian = "little"))]
        // SAFETY: the app says that it has asked.
        PKR_CPU_NEON_I8MM => Ok(Some(unsafe { Isa::i8mm() })),
        _ => Err(Error::new(Status::BadOption)),
    }
}

/// Closes a model. Its memory and bytes are the caller's again.
///
/// Threads: no other call on this model may run or follow. Cost: none.
/// Errors: PKR_ERR_STALE if it was closed before or is a copy; PKR_ERR_NULL_POINTER, PKR_ERR_MISALIGNED.
///
/// # Safety
/// `model` is NULL, misaligned, or leads to memory that `pkr_model_open` was given, not freed since.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_model_close(model: *mut pkr_model) -> pkr_status {
    // SAFETY: by this function's contract.
    unsafe {
        call(core::ptr::null_mut(), |outputs| {
            Content::close(outputs.seal(), model.cast())
        })
    }
}
