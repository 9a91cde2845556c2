//! Files of a run: the checkpoint that training resumes from, and trained parameters.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `pkrtrain` or `pkrparam` |
//! | 4 | version, 1 |
//! | 4 + n | length of the header, and the header (postcard) |
//! | per array: 8 + 4 x len | len, then values of 4 bytes |
//! | 8 | XXH3-64 of all before |
//!
//! All integers and floats are little-endian. At any moment the last complete file is there ([`Replacement`]). These
//! files belong to one version of the trainer and one machine kind; what ships is the model file.
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::prelude::v1::*;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::train::balance::Balancer;
use crate::train::error::{Error, Kind};
use crate::train::files::Replacement;
use crate::train::network::{Network, Weights};
use crate::train::optimizer::State;
use crate::train::parameters::Parameters;
use crate::train::trainer::Evaluation;

const VERSION: u32 = 1;
const CHECKPOINT: &[u8; 8] = b"pkrtrain";
const PARAMETERS: &[u8; 8] = b"pkrparam";

/// Why a file of a run could not be used.
#[derive(Debug)]
pub enum FileError {
    /// The operating system refused.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
    /// The file is not what it should be.
    Bad {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// Another process trains in the folder.
    Locked {
        /// The folder.
        path: PathBuf,
    },
}

impl core::fmt::Display for FileError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Io { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Bad { path, reason } => write!(f, "{}: {reason}", path.display()),
            Self::Locked { path } => write!(f, "{}: {LOCKED}", path.display()),
        }
    }
}

const LOCKED: &str = "another process is training here; wait for it, or train into another folder";

impl From<FileError> for Error {
    fn from(e: FileError) -> Self {
        match e {
            FileError::Io { path, source } => Self::io(&path, &source),
            FileError::Bad { path, reason } => Self::in_file(Kind::Data, &path, reason),
            FileError::Locked { path } => Self::in_file(Kind::Busy, &path, LOCKED),
        }
    }
}

impl core::error::Error for FileError {}

fn io_error(path: &Path) -> impl Fn(io::Error) -> FileError + '_ {
    |source| FileError::Io {
        path: path.into(),
        source,
    }
}

/// Where a run stands, besides its numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Of everything that decides the result: a run resumes only as itself.
    pub fingerprint: u64,
    /// Steps done. The epoch, the order of its rows and every draw follow from it and the seed.
    pub step: u64,
    /// Per task: losses of this epoch, and how many steps had rows of the task.
    pub losses: Vec<(f64, u64)>,
    pub history: Vec<Evaluation>,
    pub best: Option<f64>,
    pub best_step: u64,
    /// Evaluations since the best.
    pub stale: u32,
    pub stopped_early: bool,
    /// The step in which the epochs on the device's grids began.
    pub aware_from: Option<u64>,
    pub shared_steps: u64,
    pub task_steps: Vec<u64>,
    pub has_best: bool,
    pub balancer: Balancer,
}

impl Position {
    /// Per task: mean loss of this epoch.
    pub(crate) fn mean_losses(&self) -> Vec<f64> {
        let mean = |(sum, count): &(f64, u64)| sum / (*count).max(1) as f64;
        self.losses.iter().map(mean).collect()
    }
}

/// Writes through a digest.
struct Digesting<W> {
    inner: W,
    digest: Xxh3,
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.digest.update(&bytes[..n]);
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Puts what `fill` writes, and its digest, in the place of `path`.
fn write_digested(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FileError> {
    let write = || {
        let mut out = Digesting {
            inner: BufWriter::with_capacity(1 << 20, Replacement::begin(path)?),
            digest: Xxh3::new(),
        };
        fill(&mut out)?;
        let digest = out.digest.digest();
        let mut out = out.inner;
        out.write_all(&digest.to_le_bytes())?;
        // Dropping a BufWriter hides a full disk.
        let new = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        new.place()
    };
    write().map_err(io_error(path))
}

/// Values of 4 bytes.
#[derive(Clone, Copy)]
enum Array<'a> {
    F32(&'a [f32]),
    U32(&'a [u32]),
}

fn write_file<'a>(
    path: &Path,
    magic: &[u8; 8],
    header: &impl Serialize,
    arrays: impl Iterator<Item = Array<'a>>,
) -> Result<(), FileError> {
    let bad = |_| FileError::Bad {
        path: path.into(),
        reason: "its header cannot be encoded",
    };
    let mut bytes = vec![0; postcard::experimental::serialized_size(header).map_err(bad)?];
    postcard::to_slice(header, &mut bytes).map_err(bad)?;
    write_digested(path, |out| {
        out.write_all(magic)?;
        out.write_all(&VERSION.to_le_bytes())?;
        out.write_all(&(bytes.len() as u32).to_le_bytes())?;
        out.write_all(&bytes)?;
        for array in arrays {
            match array {
                Array::F32(values) => {
                    out.write_all(&(values.len() as u64).to_le_bytes())?;
                    values
                        .iter()
                        .try_for_each(|v| out.write_all(&v.to_le_bytes()))?;
                }
                Array::U32(values) => {
                    out.write_all(&(values.len() as u64).to_le_bytes())?;
                    values
                        .iter()
                        .try_for_each(|v| out.write_all(&v.to_le_bytes()))?;
                }
            }
        }
        Ok(())
    })
}

/// What is left to read of a checked file.
struct Reader<'a> {
    path: &'a Path,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn open(path: &'a Path, bytes: &'a [u8], magic: &[u8; 8]) -> Result<Self, FileError> {
        let bad = |reason| FileError::Bad {
            path: path.into(),
            reason,
        };
        let (body, digest) = bytes
            .split_last_chunk::<8>()
            .ok_or(bad("the file is cut short"))?;
        let mut reader = Self { path, rest: body };
        if reader.take(8)? != magic {
            return Err(bad("not a file of this kind"));
        }
        if reader.take(4)? != VERSION.to_le_bytes() {
            return Err(bad("written by another version of the trainer"));
        }
        if xxh3_64(body) != u64::from_le_bytes(*digest) {
            return Err(bad(
                "its digest does not match: the file is damaged or cut short",
            ));
        }
        Ok(reader)
    }

    fn bad(&self, reason: &'static str) -> FileError {
        FileError::Bad {
            path: self.path.into(),
            reason,
        }
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], FileError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(bytes)
            .ok_or(self.bad("the file is cut short"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn header<T: Deserialize<'a>>(&mut self) -> Result<T, FileError> {
        let length = self
            .take(4)?
            .iter()
            .rev()
            .fold(0, |n, b| n << 8 | usize::from(*b));
        let bytes = self.take(length)?;
        postcard::from_bytes(bytes).map_err(|_| self.bad("its header is malformed"))
    }

    fn array<T>(&mut self, into: &mut [T], value: impl Fn([u8; 4]) -> T) -> Result<(), FileError> {
        if self.take(8)? != (into.len() as u64).to_le_bytes() {
            return Err(self.bad("it belongs to a network of other sizes"));
        }
        let bytes = self.take(into.len() * 4)?;
        for (x, bytes) in into.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *x = value(*bytes);
        }
        Ok(())
    }

    fn weights(&mut self, weights: &mut Weights<f32>) -> Result<(), FileError> {
        weights
            .tables
            .iter_mut()
            .try_for_each(|t| self.array(t, f32::from_le_bytes))?;
        self.array(&mut weights.dense, f32::from_le_bytes)
    }

    fn end(&self) -> Result<(), FileError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.bad("bytes follow its end"))
        }
    }
}

fn arrays(weights: &Weights<f32>) -> impl Iterator<Item = Array<'_>> {
    weights
        .tables
        .iter()
        .map(|t| Array::F32(t))
        .chain([Array::F32(&weights.dense)])
}

/// Replaces the checkpoint at `path`. `position` must agree with `state` and `best`.
pub(crate) fn save(
    path: &Path,
    position: &Position,
    state: &State<f32>,
    best: Option<&Weights<f32>>,
) -> Result<(), FileError> {
    let all = [&state.weights, &state.first, &state.second, &state.average]
        .into_iter()
        .chain(best);
    let averaged_to = state.averaged_to.iter().map(|rows| Array::U32(rows));
    write_file(
        path,
        CHECKPOINT,
        position,
        all.flat_map(arrays).chain(averaged_to),
    )
}

/// Reads the checkpoint at `path` into `state`, which has the right shape.
pub(crate) fn load(
    path: &Path,
    fingerprint: u64,
    state: &mut State<f32>,
) -> Result<(Position, Option<Weights<f32>>), FileError> {
    let bytes = std::fs::read(path).map_err(io_error(path))?;
    let mut reader = Reader::open(path, &bytes, CHECKPOINT)?;
    let position: Position = reader.header()?;
    if position.fingerprint != fingerprint {
        return Err(reader.bad(
            "it belongs to another description, other data, another seed or another --from; without --resume training begins anew",
        ));
    }
    for weights in [
        &mut state.weights,
        &mut state.first,
        &mut state.second,
        &mut state.average,
    ] {
        reader.weights(weights)?;
    }
    let mut best = position.has_best.then(|| state.weights.clone());
    if let Some(best) = &mut best {
        reader.weights(best)?;
    }
    state
        .averaged_to
        .iter_mut()
        .try_for_each(|rows| reader.array(rows, u32::from_le_bytes))?;
    reader.end()?;
    state.shared_steps = position.shared_steps;
    state.task_steps.clone_from(&position.task_steps);
    Ok((position, best))
}

/// Replaces the parameters at `path`.
pub fn save_parameters(
    path: &Path,
    network: &Network,
    parameters: &Parameters<f32>,
) -> Result<(), FileError> {
    if !network.fits(parameters) {
        return Err(FileError::Bad {
            path: path.into(),
            reason: "the parameters do not fit the network",
        });
    }
    write_file(
        path,
        PARAMETERS,
        &(),
        arrays(&network.weights(parameters.clone())),
    )
}

/// Reads the parameters of `network` at `path`.
pub fn load_parameters(path: &Path, network: &Network) -> Result<Parameters<f32>, FileError> {
    let bytes = std::fs::read(path).map_err(io_error(path))?;
    let mut reader = Reader::open(path, &bytes, PARAMETERS)?;
    reader.header::<()>()?;
    let mut weights = network.zeros();
    reader.weights(&mut weights)?;
    reader.end()?;
    Ok(network.parameters(weights))
}

/// The right to train in a folder, until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct RunLock {
    folder: PathBuf,
    _file: File,
}

impl RunLock {
    /// Creates `folder` if need be and takes its lock, without waiting.
    pub fn take(folder: &Path) -> Result<Self, FileError> {
        std::fs::create_dir_all(folder).map_err(io_error(folder))?;
        let path = folder.join("lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(io_error(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self {
                folder: folder.into(),
                _file: file,
            }),
            Err(std::fs::TryLockError::WouldBlock) => Err(FileError::Locked {
                path: folder.into(),
            }),
            Err(std::fs::TryLockError::Error(source)) => Err(FileError::Io { path, source }),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}
