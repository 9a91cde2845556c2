//! Status numbers, their names, and where an error happened.

use core::ffi::{CStr, c_char};

use super::pointer::Versioned;
use crate::error::{Error, Status};

/// Outcome of a call: `PKR_OK` or one of `PKR_ERR_*`. Numbers come in fixed blocks of a hundred per class and are
/// never reused, so they may be logged.
pub type pkr_status = u32;

/// Done.
pub const PKR_OK: pkr_status = 0;
/// A required pointer is NULL.
pub const PKR_ERR_NULL_POINTER: pkr_status = 101;
/// A pointer is not aligned for its type.
pub const PKR_ERR_MISALIGNED: pkr_status = 102;
/// `struct_size` names no known version of the struct.
pub const PKR_ERR_STRUCT_SIZE: pkr_status = 103;
/// A buffer is smaller than the call needs; the detail's offset is the bytes or elements needed.
pub const PKR_ERR_BUFFER_TOO_SMALL: pkr_status = 104;
/// Two buffers that must be apart overlap.
pub const PKR_ERR_OVERLAP: pkr_status = 105;
/// A handle was closed, copied or never opened.
pub const PKR_ERR_STALE: pkr_status = 106;
/// A count times its element size does not fit the address space.
pub const PKR_ERR_LENGTH_OVERFLOW: pkr_status = 107;
/// An option or enumeration has a value that is not defined.
pub const PKR_ERR_BAD_OPTION: pkr_status = 108;
/// The instruction set asked for is not available here. Not given by this version, which takes what there is.
pub const PKR_ERR_ISA_UNAVAILABLE: pkr_status = 109;
/// The bytes end before the envelope or the length it states.
pub const PKR_ERR_TRUNCATED: pkr_status = 201;
/// The first bytes are not a pocketrank model's.
pub const PKR_ERR_BAD_MAGIC: pkr_status = 202;
/// The file is of a format version that this library does not read.
pub const PKR_ERR_UNSUPPORTED_VERSION: pkr_status = 203;
/// The stated length is not the number of bytes given, or is over the limit.
pub const PKR_ERR_BAD_LENGTH: pkr_status = 204;
/// The XXH3-64 digest does not match: the bytes were changed.
pub const PKR_ERR_BAD_DIGEST: pkr_status = 205;
/// The SHA-256 digest does not match (`verify` only).
pub const PKR_ERR_BAD_SHA256: pkr_status = 206;
/// Reserved bytes of the envelope are not zero.
pub const PKR_ERR_BAD_RESERVED: pkr_status = 207;
/// The section directory overlaps, is unordered, or points outside the file.
pub const PKR_ERR_BAD_DIRECTORY: pkr_status = 301;
/// A section that this version must have is absent.
pub const PKR_ERR_MISSING_SECTION: pkr_status = 302;
/// A required section is of an unknown kind or version.
pub const PKR_ERR_UNKNOWN_SECTION: pkr_status = 303;
/// A metadata record is malformed.
pub const PKR_ERR_BAD_RECORD: pkr_status = 304;
/// A metadata record is not in its one canonical encoding, or bytes follow it.
pub const PKR_ERR_NOT_CANONICAL: pkr_status = 305;
/// A count is over the limit in `spec.rs`.
pub const PKR_ERR_OVER_LIMIT: pkr_status = 306;
/// Records contradict each other (an index out of range, a wrong side, a task given itself).
pub const PKR_ERR_INCONSISTENT: pkr_status = 307;
/// A number in a record is NaN, infinite or outside its range.
pub const PKR_ERR_BAD_NUMBER: pkr_status = 308;
/// A tensor's type or shape is not what the records require.
pub const PKR_ERR_BAD_SHAPE: pkr_status = 401;
/// A tensor's padding is not canonical: its data does not start on 64 bytes, or a pad byte is not zero.
pub const PKR_ERR_BAD_PADDING: pkr_status = 402;
/// A weight is -128 or an activation byte is above 127.
pub const PKR_ERR_BYTE_OUT_OF_RANGE: pkr_status = 403;
/// A scale or bias is NaN, infinite or outside its range.
pub const PKR_ERR_BAD_SCALE: pkr_status = 404;
/// A vocabulary bucket contradicts itself or holds a key that its hash does not lead to.
pub const PKR_ERR_BAD_VOCABULARY: pkr_status = 405;
/// No candidates, or more than the model's limit or the scratch was sized for.
pub const PKR_ERR_CANDIDATE_COUNT: pkr_status = 501;
/// More columns than the model has features.
pub const PKR_ERR_UNKNOWN_FEATURE: pkr_status = 502;
/// A column's form does not fit its feature (ids for a number, rows for a vector, ...).
pub const PKR_ERR_WRONG_FORM: pkr_status = 503;
/// A column has another number of values than the request needs.
pub const PKR_ERR_COLUMN_LENGTH: pkr_status = 504;
/// Offsets of a ragged column decrease or run past its values.
pub const PKR_ERR_BAD_OFFSETS: pkr_status = 505;
/// `PKR_STRICT`: a value is missing.
pub const PKR_ERR_MISSING_VALUE: pkr_status = 506;
/// `PKR_STRICT`: a number is NaN or infinite.
pub const PKR_ERR_NOT_FINITE: pkr_status = 507;
/// `PKR_STRICT`: an id or row is not in its table.
pub const PKR_ERR_UNKNOWN_ID: pkr_status = 508;
/// A fusion weight is not finite or its magnitude is over 1e6.
pub const PKR_ERR_BAD_WEIGHT: pkr_status = 509;
/// A task or fusion term of that index does not exist.
pub const PKR_ERR_UNKNOWN_TASK: pkr_status = 510;
/// A vector column has a byte above 127.
pub const PKR_ERR_VECTOR_BYTE: pkr_status = 511;
/// Item sums are of another model or layout, or were changed; the candidate is in the detail. Make them again.
pub const PKR_ERR_STALE_SUMS: pkr_status = 512;
/// An index of a candidate or slot is past the last one, or candidates do not increase.
pub const PKR_ERR_BAD_INDEX: pkr_status = 513;
/// A rule of a re-ranking is out of its bounds, of another number of candidates, or contradicts another: `feature` of the
/// detail is one of PKR_RULES_*, `candidate` the index of the element.
pub const PKR_ERR_BAD_RULE: pkr_status = 514;
/// The state belongs to another layout: reset it.
pub const PKR_ERR_STATE_LAYOUT: pkr_status = 601;
/// The state's checksum does not match: reset it.
pub const PKR_ERR_STATE_CORRUPT: pkr_status = 602;
/// An event names a label or key that the model does not have.
pub const PKR_ERR_UNKNOWN_LABEL: pkr_status = 603;
/// An event's time is beyond 2^40 seconds: milliseconds, most likely.
pub const PKR_ERR_BAD_TIME: pkr_status = 604;
/// A formula names a task or number feature that the model does not have, or a quantile of which it has no table.
pub const PKR_ERR_FORMULA_INPUT: pkr_status = 701;
/// A formula's program is malformed.
pub const PKR_ERR_FORMULA_CODE: pkr_status = 702;
/// A formula's program costs more than it may.
pub const PKR_ERR_FORMULA_COST: pkr_status = 703;
/// A formula's program may divide by 0, or make a NaN or a value over 2^100, for some request.
pub const PKR_ERR_FORMULA_RANGE: pkr_status = 704;
/// A formula was opened for another model.
pub const PKR_ERR_FORMULA_MODEL: pkr_status = 705;
/// A formula needs more than scores, and the call has nothing else.
pub const PKR_ERR_FORMULA_SCORES: pkr_status = 706;

// One line a status: its number and its name for people, in step. One text of all names costs a fourth of the code of a
// pointer for each. A test holds this list against `error::Status`.
macro_rules! names {
    ($($name:ident)*) => {
        const STATUSES: &[pkr_status] = &[$($name),*];
        const NAMES: &[u8] = concat!($(stringify!($name), "\0",)* "PKR_ERR_UNKNOWN\0").as_bytes();
    };
}
names!(
    PKR_OK
    PKR_ERR_NULL_POINTER
    PKR_ERR_MISALIGNED
    PKR_ERR_STRUCT_SIZE
    PKR_ERR_BUFFER_TOO_SMALL
    PKR_ERR_OVERLAP
    PKR_ERR_STALE
    PKR_ERR_LENGTH_OVERFLOW
    PKR_ERR_BAD_OPTION
    PKR_ERR_ISA_UNAVAILABLE
    PKR_ERR_TRUNCATED
    PKR_ERR_BAD_MAGIC
    PKR_ERR_UNSUPPORTED_VERSION
    PKR_ERR_BAD_LENGTH
    PKR_ERR_BAD_DIGEST
    PKR_ERR_BAD_SHA256
    PKR_ERR_BAD_RESERVED
    PKR_ERR_BAD_DIRECTORY
    PKR_ERR_MISSING_SECTION
    PKR_ERR_UNKNOWN_SECTION
    PKR_ERR_BAD_RECORD
    PKR_ERR_NOT_CANONICAL
    PKR_ERR_OVER_LIMIT
    PKR_ERR_INCONSISTENT
    PKR_ERR_BAD_NUMBER
    PKR_ERR_BAD_SHAPE
    PKR_ERR_BAD_PADDING
    PKR_ERR_BYTE_OUT_OF_RANGE
    PKR_ERR_BAD_SCALE
    PKR_ERR_BAD_VOCABULARY
    PKR_ERR_CANDIDATE_COUNT
    PKR_ERR_UNKNOWN_FEATURE
    PKR_ERR_WRONG_FORM
    PKR_ERR_COLUMN_LENGTH
    PKR_ERR_BAD_OFFSETS
    PKR_ERR_MISSING_VALUE
    PKR_ERR_NOT_FINITE
    PKR_ERR_UNKNOWN_ID
    PKR_ERR_BAD_WEIGHT
    PKR_ERR_UNKNOWN_TASK
    PKR_ERR_VECTOR_BYTE
    PKR_ERR_STALE_SUMS
    PKR_ERR_BAD_INDEX
    PKR_ERR_BAD_RULE
    PKR_ERR_STATE_LAYOUT
    PKR_ERR_STATE_CORRUPT
    PKR_ERR_UNKNOWN_LABEL
    PKR_ERR_BAD_TIME
    PKR_ERR_FORMULA_INPUT
    PKR_ERR_FORMULA_CODE
    PKR_ERR_FORMULA_COST
    PKR_ERR_FORMULA_RANGE
    PKR_ERR_FORMULA_MODEL
    PKR_ERR_FORMULA_SCORES
);

/// All names from that of a status on. Its own ends with the first NUL, which is there.
fn names_from(status: pkr_status) -> &'static [u8] {
    let mut statuses = STATUSES.iter();
    let mut before = statuses
        .position(|s| *s == status)
        .unwrap_or(STATUSES.len());
    // From behind the NUL of the name before.
    let mut names = NAMES;
    while let (1.., Some((byte, rest))) = (before, names.split_first()) {
        before -= usize::from(*byte == 0);
        names = rest;
    }
    names
}

/// Name of a status, as "PKR_ERR_STALE".
pub fn status_name(status: pkr_status) -> &'static CStr {
    CStr::from_bytes_until_nul(names_from(status)).unwrap_or_default()
}

/// Where an error happened. Written only when a call fails, and then only if the caller passed one.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct pkr_error_detail {
    /// sizeof(pkr_error_detail).
    pub struct_size: u32,
    /// What the call returned.
    pub status: pkr_status,
    /// Feature index, or PKR_NOWHERE.
    pub feature: u32,
    /// Candidate index, or PKR_NOWHERE.
    pub candidate: u32,
    /// Byte offset within the model file, or the bytes or elements that would have been enough; UINT64_MAX if neither.
    pub offset: u64,
}

// SAFETY: repr(C), begins with struct_size, integers only.
unsafe impl Versioned for pkr_error_detail {}

/// An index that does not apply.
pub const PKR_NOWHERE: u32 = 0xFFFFFFFF;

impl pkr_error_detail {
    pub(super) fn from_error(error: &Error) -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            status: error.status as u32,
            feature: error.feature,
            candidate: error.candidate,
            offset: error.offset,
        }
    }
}

const _: () = assert!(PKR_NOWHERE == Error::NOWHERE && PKR_OK == Status::Ok as u32);

/// Version of this ABI: grows by one when a function or struct field is added. An app built against version n runs
/// with every library of version n or later.
pub const PKR_ABI_VERSION: u32 = 1;

/// Version of the ABI of the library that is linked; compare with PKR_ABI_VERSION of the header.
///
/// Threads: any. Cost: none.
#[unsafe(no_mangle)]
pub extern "C" fn pkr_abi_version() -> u32 {
    PKR_ABI_VERSION
}

/// Version of the library, as "0.1.0". Static, NUL-terminated.
///
/// Threads: any. Cost: none.
#[unsafe(no_mangle)]
pub extern "C" fn pkr_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Name of a status, as "PKR_ERR_STALE"; "PKR_ERR_UNKNOWN" for a number that this version does not define. Static,
/// NUL-terminated, never NULL.
///
/// Threads: any. Cost: none.
#[unsafe(no_mangle)]
pub extern "C" fn pkr_status_name(status: pkr_status) -> *const c_char {
    // Without a search for the NUL, whose code may panic for all that a compiler for wasm knows.
    names_from(status).as_ptr().cast()
}
