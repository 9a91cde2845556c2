//! Files that are whole or not there.
//!
//! A file is written beside its place as `.NAME.N.part`, synced, renamed over the old one, and its folder synced: a crash
//! at any point leaves the old file or the new one. A part is locked while it is written, and N is the first number whose
//! part nobody writes: what a killed process left is written over, so kills leave no heap of files behind.
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::prelude::v1::*;

use crate::train::error::{Error, Result};

/// Writers of one file at a time.
const WRITERS: usize = 100;

/// What will be the file at a path; nothing of it stays if it is dropped before [`Replacement::place`].
#[derive(Debug)]
pub struct Replacement {
    file: File,
    part: PathBuf,
    path: PathBuf,
    placed: bool,
}

impl Replacement {
    /// Begins an empty file beside `path`, readable by whom the umask says.
    ///
    /// # Errors
    /// The system's.
    pub fn begin(path: &Path) -> io::Result<Self> {
        let name = path
            .file_name()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not the name of a file"))?;
        for n in 0..WRITERS {
            let mut part = OsString::from(".");
            part.push(name);
            part.push(format!(".{n}.part"));
            let part = path.with_file_name(part);
            let file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&part)?;
            match file.try_lock() {
                // Between opening and locking its writer may have put it in its place: then it is no part any more.
                Ok(()) if is_at(&file, &part) => {
                    let new = Self {
                        file,
                        part,
                        path: path.into(),
                        placed: false,
                    };
                    new.file.set_len(0)?;
                    return Ok(new);
                }
                Ok(()) | Err(fs::TryLockError::WouldBlock) => {}
                Err(fs::TryLockError::Error(e)) => return Err(e),
            }
        }
        Err(io::Error::other("too many processes are writing it"))
    }

    /// What was written so far.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Makes what was written the file at the path, durably.
    ///
    /// # Errors
    /// The system's. A failed sync is not tried again: what it lost may not be written by a second one.
    pub fn place(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.part, &self.path)?;
        self.placed = true;
        sync_folder(&self.path)
    }
}

impl Write for Replacement {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.placed {
            let _ = fs::remove_file(&self.part);
        }
    }
}

/// Whether `path` still names `file`.
fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let id = |m: fs::Metadata| (m.dev(), m.ino());
        match (file.metadata(), fs::symlink_metadata(path)) {
            (Ok(a), Ok(b)) => id(a) == id(b),
            _ => false,
        }
    }
    #[cfg(not(unix))]
    {
        let _ = (file, path);
        true
    }
}

/// Makes renames and removals in the folder of `path` durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    if cfg!(unix) {
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    } else {
        Ok(())
    }
}

/// Makes `bytes` the file at `path`.
///
/// # Errors
/// [`Kind::Io`](crate::train::error::Kind::Io).
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    Replacement::begin(path)
        .and_then(|mut new| {
            new.write_all(bytes)?;
            new.place()
        })
        .map_err(|e| Error::io(path, &e))
}

/// Removes the file at `path`, durably, if there is one.
///
/// # Errors
/// [`Kind::Io`](crate::train::error::Kind::Io).
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder(path),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
    .map_err(|e| Error::io(path, &e))
}

/// Fills `buffer` from a file, whatever its position is.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    {
        std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
    }
    #[cfg(windows)]
    {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = offset + done as u64;
            match std::os::windows::fs::FileExt::seek_read(file, rest, at)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => done += n,
            }
        }
        Ok(())
    }
}

/// Writes `bytes` into a file, whatever its position is.
pub(crate) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    {
        std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
    }
    #[cfg(windows)]
    {
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            let at = offset + done as u64;
            match std::os::windows::fs::FileExt::seek_write(file, rest, at)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                n => done += n,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn two_writers_of_one_file_do_not_mix_and_the_last_to_end_wins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let (mut one, mut two) = (
            Replacement::begin(&path).unwrap(),
            Replacement::begin(&path).unwrap(),
        );
        one.write_all(b"one").unwrap();
        two.write_all(b"two, longer").unwrap();
        two.place().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two, longer");
        one.place().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn what_a_killed_writer_left_is_written_over_and_a_dropped_one_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(
            folder.path().join(".a.0.part"),
            b"long remains of a dead process",
        )
        .unwrap();
        let mut new = Replacement::begin(&path).unwrap();
        assert_eq!(names(folder.path()), [".a.0.part"]);
        new.write_all(b"new").unwrap();
        new.place().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        drop(Replacement::begin(&path).unwrap());
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn a_removed_file_is_gone_and_may_have_been_so_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write_atomically(&path, b"a").unwrap();
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(names(folder.path()), [""; 0]);
    }
}
