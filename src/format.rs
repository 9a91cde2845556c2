//! The model file: envelope, section directory, canonical postcard records. `docs/format.md` has every byte.
//!
//! ```text
//! 0   magic              8 bytes   89 50 4B 52 41 4E 4B 0A
//! 8   digest             u64       XXH3-64 of bytes 16..length
//! 16  format version     u32       2
//! 20  length             u32       bytes of the file
//! 24  sha256             32 bytes  SHA-256 of bytes 16..24 and 56..length
//! 56  number of sections u32
//! 60  reserved           u32       0
//! 64  directory          16 bytes a section {kind u16, version u16, flags u32, offset u32, bytes u32}
//! ..  sections           each from the next multiple of 64, zeros between
//! ```
//!
//! Bytes are checked once, in reading order; what was checked is then trusted. The digest comes first, since postcard
//! alone would decode most corruptions as another model.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result, Status};
use crate::spec::{Dtype, limits};
use record::{Decoder, Malformed};

mod record;
#[cfg(feature = "std")]
mod write;

/// The first eight bytes: a byte that is no text, the name, a line feed that a text transfer would change.
pub const MAGIC: [u8; 8] = *b"\x89PKRANK\n";
/// The version that this library writes and reads.
pub const VERSION: u32 = 2;
/// Bytes of the envelope.
pub const ENVELOPE_BYTES: usize = 64;
/// Bytes of a directory entry.
pub const ENTRY_BYTES: usize = 16;
/// Sections and tensor data start on multiples of this, relative to the file.
pub const ALIGN: usize = 64;
/// Sections that a file may have.
pub const SECTIONS: usize = 32;
/// Directory flag: a reader that does not know the section must refuse the file.
pub const REQUIRED: u32 = 1;

/// What a section holds. Numbers 18 to 22 are reserved, in this order, for: calibration, golden requests, training
/// ranges, signature, delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum SectionKind {
    /// Metadata records.
    Spec = 1,
    /// Vocabularies and bucket boundaries.
    Lookups = 2,
    /// Embedding tables.
    Embeddings = 3,
    /// Dense layers.
    Layers = 4,
    /// A [formula](crate::fusion::formula) in place of the spec's terms. Required: without it the order is another one.
    #[cfg(feature = "formula")]
    Formula = 16,
    /// Distributions of scores, for formulas. Optional.
    #[cfg(feature = "formula")]
    Quantiles = 17,
    /// Projections of features that attend ([`Source::Attention`](crate::spec::Source::Attention)), in every file that has
    /// such features. Required: readers that know no attention refuse the file by its directory.
    #[cfg(feature = "attention")]
    Attention = 23,
}

impl SectionKind {
    /// Those that the file of every model has come first; a file may lack the others.
    pub const NEEDED: usize = 4;

    /// The sections of this version, in file order.
    pub const ALL: &[SectionKind] = &[
        SectionKind::Spec,
        SectionKind::Lookups,
        SectionKind::Embeddings,
        SectionKind::Layers,
        #[cfg(feature = "formula")]
        SectionKind::Formula,
        #[cfg(feature = "formula")]
        SectionKind::Quantiles,
        #[cfg(feature = "attention")]
        SectionKind::Attention,
    ];
}

/// A file whose envelope and directory hold.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    bytes: &'a [u8],
    digest: u64,
    sections: [(usize, &'a [u8]); SectionKind::ALL.len()],
}

impl<'a> File<'a> {
    /// Checks the envelope with its XXH3-64 digest, and the directory.
    ///
    /// # Errors
    /// Statuses 2xx and 301 to 303.
    pub fn check(bytes: &'a [u8]) -> Result<Self> {
        let length = envelope_length(bytes)?;
        if length != bytes.len() {
            return Err(Error::at(
                if length > bytes.len() {
                    Status::Truncated
                } else {
                    Status::BadLength
                },
                20,
            ));
        }
        let digest = read_u64(bytes, 8)?;
        if xxh3_64(bytes.get(16..).unwrap_or_default()) != digest {
            return Err(Error::at(Status::BadDigest, 8));
        }
        if read_u32(bytes, 60)? != 0 {
            return Err(Error::at(Status::BadReserved, 60));
        }
        let sections = directory(bytes)?;
        Ok(Self {
            bytes,
            digest,
            sections,
        })
    }

    /// XXH3-64 of the file.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Checks the SHA-256 of the envelope: once per installation.
    ///
    /// # Errors
    /// [`Status::BadSha256`].
    pub fn verify(&self) -> Result<()> {
        if self.bytes.get(24..56) == Some(sha256(self.bytes).as_slice()) {
            Ok(())
        } else {
            Err(Error::at(Status::BadSha256, 24))
        }
    }

    /// A reader at the start of a section.
    pub fn section(&self, kind: SectionKind) -> Reader<'a> {
        let (offset, bytes) = self.sections.get(place(kind)).copied().unwrap_or_default();
        Reader::new(bytes, offset)
    }

    /// A reader at the start of a section that the file may lack.
    #[cfg(any(feature = "formula", feature = "attention"))]
    pub fn optional(&self, kind: SectionKind) -> Option<Reader<'a>> {
        let reader = self.section(kind);
        // No section begins where the envelope is.
        (reader.offset != 0).then_some(reader)
    }
}

/// Place of a kind among [`SectionKind::ALL`].
fn place(kind: SectionKind) -> usize {
    match kind {
        #[cfg(feature = "formula")]
        SectionKind::Formula | SectionKind::Quantiles => kind as usize - 16 + SectionKind::NEEDED,
        #[cfg(feature = "attention")]
        SectionKind::Attention => SectionKind::ALL.len() - 1,
        kind => kind as usize - 1,
    }
}

/// The length that the envelope states, after its magic, version and bounds; the cheap first look at a file.
///
/// # Errors
/// [`Status::Truncated`], [`Status::BadMagic`], [`Status::UnsupportedVersion`], [`Status::BadLength`].
pub fn envelope_length(bytes: &[u8]) -> Result<usize> {
    let magic = bytes
        .get(..MAGIC.len())
        .ok_or(Error::at(Status::Truncated, bytes.len()))?;
    if magic != MAGIC {
        return Err(Error::at(Status::BadMagic, 0));
    }
    if bytes.len() < ENVELOPE_BYTES {
        return Err(Error::at(Status::Truncated, bytes.len()));
    }
    if read_u32(bytes, 16)? != VERSION {
        return Err(Error::at(Status::UnsupportedVersion, 16));
    }
    let length = read_u32(bytes, 20)? as usize;
    if !(ENVELOPE_BYTES..=limits::FILE_BYTES).contains(&length) {
        return Err(Error::at(Status::BadLength, 20));
    }
    Ok(length)
}

/// The SHA-256 that belongs into the envelope of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(bytes.get(16..24).unwrap_or_default());
    hash.update(bytes.get(56..).unwrap_or_default());
    hash.finalize().into()
}

/// The XXH3-64 that belongs into the envelope of `bytes`, after its SHA-256.
pub fn digest(bytes: &[u8]) -> u64 {
    xxh3_64(bytes.get(16..).unwrap_or_default())
}

fn directory(bytes: &[u8]) -> Result<[(usize, &[u8]); SectionKind::ALL.len()]> {
    let count = read_u32(bytes, 56)? as usize;
    if count > SECTIONS {
        return Err(Error::at(Status::OverLimit, 56));
    }
    let mut end = ENVELOPE_BYTES + count * ENTRY_BYTES;
    let mut sections = [None; SectionKind::ALL.len()];
    for i in 0..count {
        let at = ENVELOPE_BYTES + i * ENTRY_BYTES;
        let bad = Error::at(Status::BadDirectory, at);
        let (kind, version, flags) = (
            read_u16(bytes, at)?,
            read_u16(bytes, at + 2)?,
            read_u32(bytes, at + 4)?,
        );
        let (offset, len) = (
            read_u32(bytes, at + 8)? as usize,
            read_u32(bytes, at + 12)? as usize,
        );
        // Sections follow each other in order, each from the next multiple of 64 with zeros before it.
        let between = bytes.get(end..offset).ok_or(bad)?;
        if offset != end.next_multiple_of(ALIGN)
            || between.iter().any(|b| *b != 0)
            || flags > REQUIRED
        {
            return Err(bad);
        }
        end = offset.checked_add(len).ok_or(bad)?;
        let section = bytes.get(offset..end).ok_or(bad)?;
        match SectionKind::ALL.iter().position(|k| *k as u16 == kind) {
            Some(known) if version == 1 => {
                let slot = sections.get_mut(known).ok_or(bad)?;
                if slot.replace((offset, section)).is_some() {
                    return Err(bad);
                }
            }
            _ if flags & REQUIRED != 0 => return Err(Error::at(Status::UnknownSection, at)),
            _ => {}
        }
    }
    if end != bytes.len() {
        return Err(Error::at(Status::BadLength, end));
    }
    let mut all = [(0, [].as_slice()); SectionKind::ALL.len()];
    for (i, (to, from)) in all.iter_mut().zip(sections).enumerate() {
        match from {
            Some(section) => *to = section,
            None if i < SectionKind::NEEDED => {
                return Err(Error::at(Status::MissingSection, 56));
            }
            None => {}
        }
    }
    Ok(all)
}

/// A position in a section.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    offset: usize,
}

/// The longest record: names and units of 64 bytes and a few numbers.
const RECORD_BYTES: usize = 256;

/// What stands before a tensor's data.
#[derive(Serialize, Deserialize)]
struct TensorHead<'a> {
    dtype: u8,
    rows: u32,
    cols: u32,
    #[serde(borrow)]
    pad: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of `bytes`, which begin at `offset` of their file.
    pub fn new(bytes: &'a [u8], offset: usize) -> Self {
        Self {
            rest: bytes,
            offset,
        }
    }

    /// Borrows the next `count` bytes, of which a record before them has told.
    ///
    /// # Errors
    /// [`Status::BadShape`] if there are not as many.
    #[cfg(feature = "formula")]
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(Error::at(Status::BadShape, self.offset))?;
        self.rest = rest;
        self.offset += count;
        Ok(bytes)
    }

    /// Byte of the file where the reader stands.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Decodes the next record, which must be in its one canonical encoding.
    ///
    /// # Errors
    /// [`Status::BadRecord`], [`Status::NotCanonical`].
    pub fn record<T: Deserialize<'a>>(&mut self) -> Result<T> {
        let mut decoder = Decoder::new(self.rest);
        let record = T::deserialize(&mut decoder)
            .map_err(|Malformed| Error::at(Status::BadRecord, self.offset))?;
        let used = self.rest.len() - decoder.rest.len();
        if decoder.overlong || used > RECORD_BYTES {
            return Err(Error::at(Status::NotCanonical, self.offset));
        }
        self.rest = decoder.rest;
        self.offset += used;
        Ok(record)
    }

    /// Borrows the data of the next tensor; `rows` 0 takes any number of them.
    ///
    /// # Errors
    /// [`Status::BadRecord`], [`Status::NotCanonical`], [`Status::BadShape`], [`Status::BadPadding`].
    pub fn tensor(&mut self, dtype: Dtype, rows: usize, cols: usize) -> Result<&'a [u8]> {
        let start = self.offset;
        let head: TensorHead<'a> = self.record()?;
        let shape = (head.rows as usize, head.cols as usize);
        if head.dtype != dtype as u8 || (rows != 0 && shape.0 != rows) || shape.1 != cols {
            return Err(Error::at(Status::BadShape, start));
        }
        let len: u32 = self.record()?;
        let len = len as usize;
        if Some(len) != dtype.bytes(shape.0, shape.1) {
            return Err(Error::at(Status::BadShape, start));
        }
        if head.pad.len() >= ALIGN
            || !self.offset.is_multiple_of(ALIGN)
            || head.pad.iter().any(|b| *b != 0)
        {
            return Err(Error::at(Status::BadPadding, start));
        }
        let (data, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(Error::at(Status::BadShape, start))?;
        self.rest = rest;
        self.offset += len;
        Ok(data)
    }

    /// Nothing may follow the last record.
    ///
    /// # Errors
    /// [`Status::NotCanonical`].
    pub fn finish(self) -> Result<()> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Error::at(Status::NotCanonical, self.offset))
        }
    }
}

fn read<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    let field = bytes
        .get(at..)
        .and_then(|b| b.first_chunk())
        .ok_or(Error::at(Status::Truncated, bytes.len()))?;
    Ok(*field)
}
fn read_u16(bytes: &[u8], at: usize) -> Result<u16> {
    read(bytes, at).map(u16::from_le_bytes)
}
fn read_u32(bytes: &[u8], at: usize) -> Result<u32> {
    read(bytes, at).map(u32::from_le_bytes)
}
fn read_u64(bytes: &[u8], at: usize) -> Result<u64> {
    read(bytes, at).map(u64::from_le_bytes)
}

#[cfg(all(feature = "std", feature = "formula"))]
pub use write::append;
#[cfg(feature = "std")]
pub use write::{Writer, assemble, seal};
