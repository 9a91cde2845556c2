//! A fit as a file, and the counts of its ids as another one beside it.
use std::path::Path;
use std::prelude::v1::*;

use xxhash_rust::xxh3::xxh3_64;

use super::{Fit, VERSION};
use crate::train::error::{Error, Kind, Result};

impl Fit {
    /// Writes the fit: a postcard record, then its XXH3-64.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut bytes = postcard::to_allocvec(self)
            .map_err(|e| Error::in_file(Kind::Io, path, format!("{e}")))?;
        let digest = xxh3_64(&bytes);
        // First, so that a fit never stands beside counts that are not its own.
        let mut counts = postcard::to_allocvec(&(digest, &self.counts))
            .map_err(|e| Error::in_file(Kind::Io, path, format!("{e}")))?;
        let counts_digest = xxh3_64(&counts);
        counts.extend_from_slice(&counts_digest.to_le_bytes());
        crate::train::files::write_atomically(&path.with_extension("counts"), &counts)?;
        bytes.extend_from_slice(&digest.to_le_bytes());
        crate::train::files::write_atomically(path, &bytes)
    }

    /// The counts beside a fit; none if there is no such file, a damaged one or that of another fit.
    fn load_counts(path: &Path, fit: u64) -> Result<Vec<(String, Vec<u32>)>> {
        let path = path.with_extension("counts");
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Self::counts_in(&bytes, fit).unwrap_or_default()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(Error::io(&path, &e)),
        }
    }

    fn counts_in(bytes: &[u8], fit: u64) -> Option<Vec<(String, Vec<u32>)>> {
        let (record, digest) = bytes.split_last_chunk::<8>()?;
        (xxh3_64(record) == u64::from_le_bytes(*digest)).then_some(())?;
        let (of, counts) = postcard::from_bytes::<(u64, _)>(record).ok()?;
        (of == fit).then_some(counts)
    }

    /// Reads a fit.
    ///
    /// # Errors
    /// [`Kind::Io`], or [`Kind::Data`] for a file that is none, or was cut or changed.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, &e))?;
        let bad = || {
            Error::in_file(
                Kind::Data,
                path,
                "not a fit of this version, or a changed one; train again",
            )
        };
        let (record, digest) = bytes.split_last_chunk::<8>().ok_or_else(bad)?;
        if xxh3_64(record) != u64::from_le_bytes(*digest) {
            return Err(bad());
        }
        match postcard::take_from_bytes::<Self>(record) {
            Ok((mut fit, [])) if fit.version == VERSION => {
                fit.counts = Self::load_counts(path, xxh3_64(record))?;
                Ok(fit)
            }
            _ => Err(bad()),
        }
    }
}
