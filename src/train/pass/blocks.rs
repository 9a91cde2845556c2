//! Byte strings that are put away and taken back: in memory up to a limit, beyond it in a file without a name.
//!
//! A block is freed when it is taken and is the first that the next string of its size gets, so that the room taken is that
//! of the strings that were ever away at one time. Sizes have four steps an octave: a string wastes at most a quarter.
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::prelude::v1::*;

use rustc_hash::FxHashMap;

use crate::train::files::{read_at, write_at};

/// Bytes of the smallest block.
const SMALLEST: usize = 64;

/// Where a string is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// In memory, or behind all of it in the file.
    at: u64,
    len: u32,
}

/// Strings that are away.
pub(super) struct Blocks {
    memory: Vec<u8>,
    /// Bytes of `memory` at most.
    memory_bytes_max: usize,
    /// Where the file is made.
    folder: Option<PathBuf>,
    file: Option<File>,
    file_bytes: u64,
    /// Free ones by size.
    free: FxHashMap<usize, Vec<u64>>,
}

fn block_bytes(len: usize) -> usize {
    let step = len.next_power_of_two() / 8;
    len.next_multiple_of(step.max(SMALLEST))
}

impl Blocks {
    /// None yet; of those to come, `memory_bytes_max` bytes stay in memory if there is a folder for the others, else all.
    pub fn new(folder: Option<&Path>, memory_bytes_max: usize) -> Self {
        Self {
            memory: Vec::new(),
            memory_bytes_max: folder.map_or(usize::MAX, |_| memory_bytes_max),
            folder: folder.map(Path::to_path_buf),
            file: None,
            file_bytes: 0,
            free: FxHashMap::default(),
        }
    }

    /// A string instead of what is in `string`; it is away no more.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn take(&mut self, place: Place, string: &mut Vec<u8>) -> io::Result<()> {
        let len = place.len as usize;
        string.clear();
        match (self.in_file(place.at), &self.file) {
            (Some(offset), Some(file)) => {
                string.resize(len, 0);
                read_at(file, string, offset)?;
            }
            _ => {
                let at = place.at as usize;
                string.extend_from_slice(&self.memory[at..at + len]);
            }
        }
        let free = self.free.entry(block_bytes(len)).or_default();
        free.push(place.at);
        Ok(())
    }

    /// Puts a string away.
    ///
    /// # Errors
    /// A file that cannot be made or written.
    pub fn put(&mut self, string: &[u8]) -> io::Result<Place> {
        let bytes = block_bytes(string.len());
        let free = self.free.get_mut(&bytes).and_then(Vec::pop);
        let at = match free {
            Some(at) => at,
            None => self.new_block(bytes)?,
        };
        match (self.in_file(at), &self.file) {
            (Some(offset), Some(file)) => write_at(file, string, offset)?,
            _ => {
                let at = at as usize;
                self.memory[at..at + string.len()].copy_from_slice(string);
            }
        }
        let len = string.len() as u32;
        Ok(Place { at, len })
    }

    fn in_file(&self, at: u64) -> Option<u64> {
        at.checked_sub(self.memory_bytes_max as u64)
    }

    fn new_block(&mut self, bytes: usize) -> io::Result<u64> {
        let at = self.memory.len();
        if bytes <= self.memory_bytes_max - at {
            if self.folder.is_some() && self.memory.capacity() == 0 {
                // At once: a list that grows leaves its old places behind. The system gives what is touched.
                self.memory.reserve_exact(self.memory_bytes_max);
            }
            self.memory.resize(at + bytes, 0);
            return Ok(at as u64);
        }
        if let (None, Some(folder)) = (&self.file, &self.folder) {
            self.file = Some(tempfile::tempfile_in(folder)?);
        }
        let at = self.file_bytes;
        self.file_bytes += bytes as u64;
        Ok(self.memory_bytes_max as u64 + at)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn strings_come_back_from_memory_and_from_the_file() {
        let folder = tempfile::tempdir().unwrap();
        for memory_bytes_max in [0, 64, 1_000, 100_000] {
            let mut blocks = Blocks::new(Some(folder.path()), memory_bytes_max);
            let mut away: Vec<(Place, Vec<u8>)> = Vec::new();
            let mut taken = vec![7; 3];
            for i in 0..2_000_usize {
                if away.len() == 40 {
                    let (place, expected) = away.swap_remove(i * 31 % 40);
                    blocks.take(place, &mut taken).unwrap();
                    assert_eq!(taken, expected);
                }
                let string = vec![i as u8; i * i % 700];
                away.push((blocks.put(&string).unwrap(), string));
            }
            assert!(blocks.memory.len() <= memory_bytes_max);
            // 40 of at most 700 bytes, by size: nothing is lost on the way.
            let all = blocks.memory.len() as u64 + blocks.file_bytes;
            assert!(all < 4 * 40 * 700, "{all}");
            for (place, expected) in away {
                blocks.take(place, &mut taken).unwrap();
                assert_eq!(taken, expected);
            }
        }
    }

    #[test]
    fn without_a_folder_everything_is_in_memory() {
        let mut blocks = Blocks::new(None, 10);
        let place = blocks.put(&[1; 500]).unwrap();
        let mut taken = Vec::new();
        blocks.take(place, &mut taken).unwrap();
        assert_eq!(taken, [1; 500]);
        assert!(blocks.file.is_none());
    }

    #[test]
    fn a_block_wastes_at_most_a_quarter() {
        for len in 256..5_000 {
            let bytes = block_bytes(len);
            assert!(len <= bytes && 4 * bytes <= 5 * len, "{len} {bytes}");
        }
    }
}
