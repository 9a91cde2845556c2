//! The writing side, for the exporter.

use std::vec;
use std::vec::Vec;

use serde::Serialize;

use super::{
    ALIGN, ENTRY_BYTES, ENVELOPE_BYTES, MAGIC, RECORD_BYTES, TensorHead, VERSION, digest, sha256,
};
use crate::error::{Error, Result, Status};
use crate::spec::{Dtype, limits};

/// Appends records and tensors to a section that will start on a multiple of [`ALIGN`].
#[derive(Clone, Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Appends a record.
    ///
    /// # Errors
    /// [`Status::BadRecord`] if its encoding is longer than a reader accepts.
    pub fn record<T: Serialize>(&mut self, record: &T) -> Result<()> {
        let mut buffer = [0; RECORD_BYTES];
        let bytes =
            postcard::to_slice(record, &mut buffer).map_err(|_| Error::new(Status::BadRecord))?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends bytes of which a record before them tells.
    #[cfg(feature = "formula")]
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// What has been written.
    #[cfg(feature = "formula")]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends a tensor; `data` must have the bytes of its type and shape.
    ///
    /// # Errors
    /// [`Status::BadShape`].
    pub fn tensor(&mut self, dtype: Dtype, rows: usize, cols: usize, data: &[u8]) -> Result<()> {
        let bad = Error::new(Status::BadShape);
        if dtype.bytes(rows, cols) != Some(data.len()) {
            return Err(bad);
        }
        let (rows, cols) = (
            u32::try_from(rows).map_err(|_| bad)?,
            u32::try_from(cols).map_err(|_| bad)?,
        );
        let len = u32::try_from(data.len()).map_err(|_| bad)?;
        // The pad's own length takes one byte whatever it is, so the head's size is known before the pad.
        let mut head = Writer::default();
        head.record(&TensorHead {
            dtype: dtype as u8,
            rows,
            cols,
            pad: &[],
        })?;
        head.record(&len)?;
        let at = self.bytes.len() + head.bytes.len();
        let zeros = [0; ALIGN];
        let pad = zeros
            .get(..at.next_multiple_of(ALIGN) - at)
            .unwrap_or_default();
        self.record(&TensorHead {
            dtype: dtype as u8,
            rows,
            cols,
            pad,
        })?;
        self.record(&len)?;
        self.bytes.extend_from_slice(data);
        Ok(())
    }
}

/// A file of `sections`, with both digests: kind, flags and contents of each.
///
/// # Errors
/// [`Status::BadLength`] for a file over [`limits::FILE_BYTES`].
pub fn assemble(sections: &[(u16, u32, Writer)]) -> Result<Vec<u8>> {
    let mut file = vec![0; ENVELOPE_BYTES + sections.len() * ENTRY_BYTES];
    for (i, (kind, flags, section)) in sections.iter().enumerate() {
        file.resize(file.len().next_multiple_of(ALIGN), 0);
        let (offset, len) = (file.len() as u32, section.bytes.len() as u32);
        file.extend_from_slice(&section.bytes);
        if file.len() > limits::FILE_BYTES {
            return Err(Error::new(Status::BadLength));
        }
        let mut entry = Vec::with_capacity(ENTRY_BYTES);
        entry.extend_from_slice(&kind.to_le_bytes());
        entry.extend_from_slice(&1u16.to_le_bytes());
        for field in [*flags, offset, len] {
            entry.extend_from_slice(&field.to_le_bytes());
        }
        let at = ENVELOPE_BYTES + i * ENTRY_BYTES;
        file[at..at + ENTRY_BYTES].copy_from_slice(&entry);
    }
    let len = file.len() as u32;
    file[..8].copy_from_slice(&MAGIC);
    file[16..20].copy_from_slice(&VERSION.to_le_bytes());
    file[20..24].copy_from_slice(&len.to_le_bytes());
    file[56..60].copy_from_slice(&(sections.len() as u32).to_le_bytes());
    seal(&mut file);
    Ok(file)
}

/// `file`, whose envelope and directory hold, with more sections.
///
/// # Errors
/// Those of [`assemble`].
#[cfg(feature = "formula")]
pub fn append(file: &[u8], more: Vec<(u16, u32, Writer)>) -> Result<Vec<u8>> {
    let count = super::read_u32(file, 56)? as usize;
    let mut sections = Vec::new();
    for at in (0..count).map(|i| ENVELOPE_BYTES + i * ENTRY_BYTES) {
        let field = |at: usize| super::read_u32(file, at).map(|x| x as usize);
        let (start, len) = (field(at + 8)?, field(at + 12)?);
        let bytes = file.get(start..start + len).unwrap_or_default().to_vec();
        let (kind, flags) = (super::read_u16(file, at)?, super::read_u32(file, at + 4)?);
        sections.push((kind, flags, Writer { bytes }));
    }
    sections.extend(more);
    assemble(&sections)
}

/// Writes both digests of a file whose other bytes stand.
pub fn seal(file: &mut [u8]) {
    let sha = sha256(file);
    file[24..56].copy_from_slice(&sha);
    let digest = digest(file);
    file[8..16].copy_from_slice(&digest.to_le_bytes());
}
