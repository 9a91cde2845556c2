//! All values of a number: in row order while they are read, then in order of size.
//!
//! Those of a log in memory stay there. Those of a streamed one wait in a file without a name, are sorted in runs of 16 MiB
//! in their places, and merged into a second one, so that what is in memory does not grow with the log: 128 KiB a number
//! while they are read, a run and 64 KiB for each run while they are sorted. Order statistics and sums in order are those
//! of a sorted list, to the bit.
use core::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::prelude::v1::*;

use crate::train::files::{read_at, write_at};

/// Values that wait in memory before they go to the file, and that are read from it at a time.
const BUFFERED: usize = 1 << 15;
/// Values that are sorted in memory.
const RUN: usize = 1 << 22;
/// Values of a run that are read at a time while runs are merged.
const MERGED: usize = 1 << 14;

/// Floats in a file.
#[derive(Debug)]
pub(super) struct Floats {
    file: File,
    len: usize,
}

impl Floats {
    fn new(folder: &Path) -> io::Result<Self> {
        let file = tempfile::tempfile_in(folder)?;
        Ok(Self { file, len: 0 })
    }

    /// Values from `start` on instead of those in `values`, at most `most` and not beyond `end`.
    fn read(&self, start: usize, end: usize, most: usize, values: &mut Vec<f32>) -> io::Result<()> {
        values.clear();
        let mut piece = [0; 4 << 10];
        let mut left = end.saturating_sub(start).min(most);
        let mut at = 4 * start as u64;
        while left > 0 {
            let bytes = (4 * left).min(piece.len());
            read_at(&self.file, &mut piece[..bytes], at)?;
            let read = piece[..bytes].as_chunks().0.iter();
            values.extend(read.map(|x| f32::from_le_bytes(*x)));
            at += bytes as u64;
            left -= bytes / 4;
        }
        Ok(())
    }

    fn write(&self, start: usize, values: &[f32]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(4 * BUFFERED.min(values.len()));
        let mut at = 4 * start as u64;
        for values in values.chunks(BUFFERED) {
            bytes.clear();
            bytes.extend(values.iter().flat_map(|x| x.to_le_bytes()));
            write_at(&self.file, &bytes, at)?;
            at += bytes.len() as u64;
        }
        Ok(())
    }
}

/// Values in row order.
#[derive(Debug, Default)]
pub(super) struct Values {
    buffer: Vec<f32>,
    file: Option<Floats>,
}

impl Values {
    /// The next ones; they wait in `folder`, or in memory.
    pub fn extend(
        &mut self,
        values: impl Iterator<Item = f32>,
        folder: Option<&Path>,
    ) -> io::Result<()> {
        self.buffer.extend(values);
        let Some(folder) = folder.filter(|_| self.buffer.len() >= BUFFERED) else {
            return Ok(());
        };
        let file = match self.file.take() {
            Some(file) => file,
            None => Floats::new(folder)?,
        };
        let file = self.file.insert(file);
        file.write(file.len, &self.buffer)?;
        file.len += self.buffer.len();
        self.buffer.clear();
        Ok(())
    }

    /// What `kept` makes of them, which is never NaN nor -0, in order of size.
    pub fn sorted(
        self,
        kept: impl Fn(f32) -> Option<f32>,
        folder: Option<&Path>,
    ) -> io::Result<Sorted> {
        self.sorted_by(RUN, kept, folder)
    }

    fn sorted_by(
        self,
        run: usize,
        kept: impl Fn(f32) -> Option<f32>,
        folder: Option<&Path>,
    ) -> io::Result<Sorted> {
        let Self { buffer, file } = self;
        let keep = |values: &mut Vec<f32>| {
            // In place: a list in memory may be most of what there is.
            let mut len = 0;
            for i in 0..values.len() {
                if let Some(x) = kept(values[i]) {
                    values[len] = x;
                    len += 1;
                }
            }
            values.truncate(len);
            values.sort_unstable_by(f32::total_cmp);
        };
        let (Some(mut file), Some(folder)) = (file, folder) else {
            let mut values = buffer;
            keep(&mut values);
            return Ok(Sorted::Memory(values));
        };
        file.write(file.len, &buffer)?;
        file.len += buffer.len();
        drop(buffer);
        let mut values = Vec::with_capacity(run.min(file.len));
        let mut runs = Vec::new();
        let (mut read, mut len) = (0, 0);
        while read < file.len {
            file.read(read, file.len, run, &mut values)?;
            read = file.len.min(read + run);
            keep(&mut values);
            if read == file.len && runs.is_empty() {
                return Ok(Sorted::Memory(values));
            }
            // Never beyond what was read.
            file.write(len, &values)?;
            runs.push((len, len + values.len()));
            len += values.len();
        }
        drop(values);
        Ok(Sorted::File(merge(&file, &runs, folder)?))
    }
}

/// Runs of a file, each sorted, as one in a file of its own.
fn merge(file: &Floats, runs: &[(usize, usize)], folder: &Path) -> io::Result<Floats> {
    // A key grows as `total_cmp` has it, and is its own inverse.
    let flip = |bits: i32| bits ^ (((bits >> 31) as u32) >> 1) as i32;
    let mut cursors: Vec<Cursor> = runs.iter().copied().map(Cursor::new).collect();
    let mut heap = BinaryHeap::with_capacity(runs.len());
    for (i, cursor) in cursors.iter_mut().enumerate() {
        if let Some(x) = cursor.next(file)? {
            heap.push(Reverse((flip(x.to_bits() as i32), i)));
        }
    }
    let mut merged = Floats::new(folder)?;
    let mut out = BufWriter::with_capacity(4 * BUFFERED, &merged.file);
    let mut len = 0;
    while let Some(mut least) = heap.peek_mut() {
        let Reverse((key, i)) = *least;
        out.write_all(&flip(key).to_le_bytes())?;
        len += 1;
        match cursors[i].next(file)? {
            Some(x) => *least = Reverse((flip(x.to_bits() as i32), i)),
            None => {
                std::collections::binary_heap::PeekMut::pop(least);
            }
        }
    }
    out.flush()?;
    drop(out);
    merged.len = len;
    Ok(merged)
}

/// A run that is merged.
struct Cursor {
    next: usize,
    end: usize,
    values: Vec<f32>,
    at: usize,
}

impl Cursor {
    fn new((next, end): (usize, usize)) -> Self {
        Self {
            next,
            end,
            values: Vec::new(),
            at: 0,
        }
    }

    fn next(&mut self, file: &Floats) -> io::Result<Option<f32>> {
        if self.at == self.values.len() {
            file.read(self.next, self.end, MERGED, &mut self.values)?;
            self.next += self.values.len();
            self.at = 0;
        }
        let value = self.values.get(self.at).copied();
        self.at += usize::from(value.is_some());
        Ok(value)
    }
}

/// Values in order of size.
#[derive(Debug)]
pub(super) enum Sorted {
    Memory(Vec<f32>),
    File(Floats),
}

impl Sorted {
    pub fn len(&self) -> usize {
        match self {
            Self::Memory(values) => values.len(),
            Self::File(file) => file.len,
        }
    }

    /// The `i`th smallest, from 0.
    pub fn at(&self, i: usize) -> io::Result<Option<f32>> {
        match self {
            Self::Memory(values) => Ok(values.get(i).copied()),
            Self::File(file) => {
                let mut value = Vec::new();
                file.read(i, file.len, 1, &mut value)?;
                Ok(value.first().copied())
            }
        }
    }

    /// The sum of what `of` makes of each, taken in order.
    pub fn sum(&self, of: impl Fn(f32) -> f64) -> io::Result<f64> {
        // What the sum of no number is in the standard library.
        let mut sum = -0.0;
        match self {
            Self::Memory(values) => values.iter().for_each(|x| sum += of(*x)),
            Self::File(file) => {
                let (mut start, mut values) = (0, Vec::new());
                while start < file.len {
                    file.read(start, file.len, BUFFERED, &mut values)?;
                    start += values.len();
                    values.iter().for_each(|x| sum += of(*x));
                }
            }
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::train::random::Key;

    /// As a log of numbers has them: many equal, some missing, both zeros.
    fn values(n: u64) -> impl Iterator<Item = f32> {
        (0..n).map(|i| {
            let x = Key::new(5).at(i).uniform();
            match i % 7 {
                0 => f32::NAN,
                1 => 0.0,
                2 => -0.0,
                3 => (4.0 * x) as f32 - 2.0,
                _ => libm::tan(3.0 * x) as f32,
            }
        })
    }

    #[test]
    fn values_in_files_give_the_bits_of_those_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let kept = |x: f32| (!x.is_nan()).then(|| x.clamp(-3.0, 3.0) + 0.0);
        for n in [0, 1, 100, 32_768, 32_769, 100_000, 131_072] {
            let of = |folder: Option<&Path>| {
                let mut all = Values::default();
                for start in (0..n).step_by(5_000) {
                    let piece = values(n).skip(start as usize).take(5_000);
                    all.extend(piece, folder).unwrap();
                }
                all
            };
            let memory = of(None).sorted(kept, None).unwrap();
            let mut expected: Vec<f32> = values(n).filter_map(kept).collect();
            expected.sort_unstable_by(f32::total_cmp);
            for run in [1_000, 32_768, 50_000, RUN] {
                let values = of(Some(folder.path()));
                let sorted = values.sorted_by(run, kept, Some(folder.path())).unwrap();
                assert_eq!(
                    matches!(sorted, Sorted::File(_)),
                    n as usize > run && n as usize >= BUFFERED,
                    "{n} {run}"
                );
                assert_eq!(sorted.len(), expected.len());
                assert_eq!(memory.len(), expected.len());
                for i in (0..n as usize).step_by(997) {
                    let bits = |x: io::Result<Option<f32>>| x.unwrap().map(f32::to_bits);
                    assert_eq!(bits(sorted.at(i)), expected.get(i).map(|x| x.to_bits()));
                    assert_eq!(bits(memory.at(i)), bits(sorted.at(i)));
                }
                let square = |x: f32| f64::from(x) * f64::from(x);
                let sum: f64 = expected.iter().map(|x| square(*x)).sum();
                assert_eq!(sorted.sum(square).unwrap().to_bits(), sum.to_bits());
                assert_eq!(memory.sum(square).unwrap().to_bits(), sum.to_bits());
            }
        }
    }
}
