//! Files that are whole or not there.
use std::io::Write;
use std::path::Path;

use crate::train::error::{Error, Result};

/// Writes `bytes` as `path`: into a temporary file beside it, synced, renamed, and the folder synced. A crash at any
/// point leaves the old file or the new one.
///
/// # Errors
/// [`Kind::Io`](crate::train::error::Kind::Io).
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let io = |e: std::io::Error| Error::io(path, &e);
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
    file.write_all(bytes).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(path).map_err(|e| io(e.error))?;
    std::fs::File::open(folder)
        .and_then(|f| f.sync_all())
        .map_err(io)
}
