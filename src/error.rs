//! Every way in which the core can refuse, as one flat number and one position.
//!
//! Numbers come in fixed blocks of a hundred per class and are never reused: apps log them, and a log of last
//! year must still mean the same thing.

/// What went wrong. The discriminants are the C ABI's `PKR_*` numbers.
///
/// | block | class |
/// |---|---|
/// | 0 | success |
/// | 100 | arguments of a call |
/// | 200 | envelope of the model file |
/// | 300 | directory and metadata records of the model file |
/// | 400 | tensors of the model file |
/// | 500 | contents of a request |
/// | 600 | user state |
/// | 700 | formulas of the fusion |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// A required pointer is NULL.
    NullPointer = 101,
    /// A pointer is not aligned for its type.
    Misaligned = 102,
    /// `struct_size` names no known version of the struct.
    StructSize = 103,
    /// A buffer is smaller than the call needs; the detail's offset is the bytes or elements needed.
    BufferTooSmall = 104,
    /// Two buffers that must be apart overlap.
    Overlap = 105,
    /// A handle was closed, copied or never opened.
    Stale = 106,
    /// A count times its element size does not fit the address space.
    LengthOverflow = 107,
    /// An option or enumeration has a value that is not defined.
    BadOption = 108,
    /// The instruction set asked for is not available here. Not given by this version, which takes what there is.
    IsaUnavailable = 109,

    /// The bytes end before the envelope or the length it states.
    Truncated = 201,
    /// The first bytes are not a pocketrank model's.
    BadMagic = 202,
    /// The file is of a format version that this library does not read.
    UnsupportedVersion = 203,
    /// The stated length is not the number of bytes given, or is over the limit.
    BadLength = 204,
    /// The XXH3-64 digest does not match: the bytes were changed.
    BadDigest = 205,
    /// The SHA-256 digest does not match (`verify` only).
    BadSha256 = 206,
    /// Reserved bytes of the envelope are not zero.
    BadReserved = 207,

    /// The section directory overlaps, is unordered, or points outside the file.
    BadDirectory = 301,
    /// A section that this version must have is absent.
    MissingSection = 302,
    /// A required section is of an unknown kind or version.
    UnknownSection = 303,
    /// A metadata record is malformed.
    BadRecord = 304,
    /// A metadata record is not in its one canonical encoding, or bytes follow it.
    NotCanonical = 305,
    /// A count is over the limit in `spec.rs`.
    OverLimit = 306,
    /// Records contradict each other (an index out of range, a wrong side, a task given itself).
    Inconsistent = 307,
    /// A number in a record is NaN, infinite or outside its range.
    BadNumber = 308,

    /// A tensor's type or shape is not what the records require.
    BadShape = 401,
    /// A tensor's padding is not canonical: its data does not start on 64 bytes, or a pad byte or a weight past the
    /// edges of its panels is not zero.
    BadPadding = 402,
    /// A weight is -128 or an activation byte is above 127.
    ByteOutOfRange = 403,
    /// A scale or bias is NaN, infinite or outside its range.
    BadScale = 404,
    /// A vocabulary bucket contradicts itself or holds a key that its hash does not lead to.
    BadVocabulary = 405,

    /// No candidates, or more than the model's limit or the scratch was sized for.
    CandidateCount = 501,
    /// More columns than the model has features.
    UnknownFeature = 502,
    /// A column's form does not fit its feature (ids for a number, rows for a vector, ...).
    WrongForm = 503,
    /// A column has another number of values than the request needs.
    ColumnLength = 504,
    /// Offsets of a ragged column decrease or run past its values.
    BadOffsets = 505,
    /// `strict`: a value is missing.
    MissingValue = 506,
    /// `strict`: a number is NaN or infinite.
    NotFinite = 507,
    /// `strict`: an id or row is not in its table.
    UnknownId = 508,
    /// A fusion weight is not finite or its magnitude is over 1e6.
    BadWeight = 509,
    /// A task or fusion term of that index does not exist.
    UnknownTask = 510,
    /// A vector column has a byte above 127.
    VectorByte = 511,
    /// Item sums are of another model or layout, or were changed; the candidate is in the detail.
    StaleSums = 512,
    /// An index of a candidate or slot is past the last one, or candidates do not increase.
    BadIndex = 513,
    /// A rule of a re-ranking is out of its bounds, of another number of candidates, or contradicts another; which part of the
    /// rules is the detail's feature, which element of it the candidate.
    BadRule = 514,

    /// The state belongs to another layout: reset it.
    StateLayout = 601,
    /// The state's checksum does not match: reset it.
    StateCorrupt = 602,
    /// An event names a label or key that the model does not have.
    UnknownLabel = 603,
    /// An event's time is more than 2^40 seconds from 1970: milliseconds instead of seconds, perhaps.
    BadTime = 604,

    /// A formula names a task or number feature that the model does not have, or a quantile of which it has no table.
    FormulaInput = 701,
    /// A program is malformed: a byte that is no instruction, an index of no input or weight, too few or too many values on
    /// the stack, another number of terms than stated.
    FormulaCode = 702,
    /// A program costs more than it may.
    FormulaCost = 703,
    /// A program may divide by 0, or make a NaN or a value over 2^100, for some request.
    FormulaRange = 704,
    /// A formula was opened for another model.
    FormulaModel = 705,
    /// A formula has a raw score or a feature as input and the call has only scores.
    FormulaScores = 706,
}

/// A refusal: what, and where. `feature`, `candidate` and `offset` are [`Error::NOWHERE`] when they do not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// What went wrong.
    pub status: Status,
    /// Feature index of the request column or record.
    pub feature: u32,
    /// Candidate index within the request.
    pub candidate: u32,
    /// Byte offset within the model file, or the size needed.
    pub offset: u64,
}

impl Error {
    /// A position that does not apply.
    pub const NOWHERE: u32 = u32::MAX;

    /// `status` with no position.
    pub const fn new(status: Status) -> Self {
        Self {
            status,
            feature: Self::NOWHERE,
            candidate: Self::NOWHERE,
            offset: u64::MAX,
        }
    }
    /// `status` at a byte of the model file, or with the size that would have been enough.
    pub const fn at(status: Status, offset: usize) -> Self {
        Self {
            status,
            feature: Self::NOWHERE,
            candidate: Self::NOWHERE,
            offset: offset as u64,
        }
    }
    /// `status` in the column of `feature`.
    pub const fn feature(status: Status, feature: usize) -> Self {
        Self {
            status,
            feature: feature as u32,
            candidate: Self::NOWHERE,
            offset: u64::MAX,
        }
    }
    /// `status` of `candidate`.
    #[cfg(any(feature = "session", feature = "rerank"))]
    pub const fn candidate(status: Status, candidate: usize) -> Self {
        Self::cell(status, Self::NOWHERE as usize, candidate)
    }
    /// `status` in the column of `feature` at `candidate`.
    pub const fn cell(status: Status, feature: usize, candidate: usize) -> Self {
        Self {
            status,
            feature: feature as u32,
            candidate: candidate as u32,
            offset: u64::MAX,
        }
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?} ({})", self.status, self.status as u16)?;
        if self.feature != Self::NOWHERE {
            write!(f, ", feature {}", self.feature)?;
        }
        if self.candidate != Self::NOWHERE {
            write!(f, ", candidate {}", self.candidate)?;
        }
        match (self.offset, self.status) {
            (u64::MAX, _) => Ok(()),
            (needed, Status::BufferTooSmall) => write!(f, ", {needed} needed"),
            (offset, _) => write!(f, ", byte {offset}"),
        }
    }
}

impl core::error::Error for Error {}

/// `Result` of the core.
pub type Result<T, E = Error> = core::result::Result<T, E>;

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn an_error_says_what_and_where() {
        let of = |error: Error| error.to_string();
        assert_eq!(of(Error::new(Status::Stale)), "Stale (106)");
        assert_eq!(
            of(Error::at(Status::BadDigest, 8)),
            "BadDigest (205), byte 8"
        );
        assert_eq!(
            of(Error::at(Status::BufferTooSmall, 96)),
            "BufferTooSmall (104), 96 needed"
        );
        assert_eq!(
            of(Error::cell(Status::NotFinite, 3, 5)),
            "NotFinite (507), feature 3, candidate 5"
        );
    }
}
