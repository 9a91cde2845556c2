//! A safetensors file, tensor by tensor: each is asked for by name and shape, and what nobody asked for is a mistake.
use std::collections::BTreeSet;
use std::path::Path;
use std::prelude::v1::*;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::train::error::{Error, Kind, Result, near_misses, one_line};

/// The tensors that a model takes from a file.
pub(super) struct Weights<'w> {
    path: &'w Path,
    file: SafeTensors<'w>,
    unused: BTreeSet<String>,
}

/// What a tensor's shape must be.
pub(super) enum Shape {
    /// This one.
    Exactly(Vec<usize>),
    /// One dimension of any size, called so.
    List(&'static str),
}

impl core::fmt::Display for Shape {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Exactly(shape) => write!(f, "{shape:?}"),
            Self::List(name) => write!(f, "[{name}]"),
        }
    }
}

impl Shape {
    fn fits(&self, shape: &[usize]) -> bool {
        match self {
            Self::Exactly(wanted) => wanted == shape,
            Self::List(_) => shape.len() == 1,
        }
    }
}

impl<'w> Weights<'w> {
    /// Reads the header of `bytes`, the contents of the file at `path`.
    pub fn open(path: &'w Path, bytes: &'w [u8]) -> Result<Self> {
        let file = SafeTensors::deserialize(bytes).map_err(|e| {
            let message = format!("not a safetensors file: {}", one_line(&e.to_string()));
            Error::in_file(Kind::Data, path, message)
        })?;
        let unused = file.names().into_iter().map(String::from).collect();
        Ok(Self { path, file, unused })
    }

    /// Tensors of the file.
    pub fn len(&self) -> usize {
        self.file.len()
    }

    /// Whether a tensor is there.
    pub fn has(&self, name: &str) -> bool {
        self.file.tensor(name).is_ok()
    }

    /// A mistake in the file.
    pub fn wrong(&self, message: impl Into<String>) -> Error {
        Error::in_file(Kind::Data, self.path, message)
    }

    fn take(&mut self, name: &str, dtypes: [Dtype; 2], shape: &Shape) -> Result<TensorView<'w>> {
        let [first, second] = dtypes;
        let Ok(view) = self.file.tensor(name) else {
            let near = near_misses(name, self.unused.iter().map(String::as_str));
            return Err(self.wrong(format!(
                "tensor \"{name}\" is missing; wanted: {first:?} {shape}{near}"
            )));
        };
        self.unused.remove(name);
        if !dtypes.contains(&view.dtype()) {
            return Err(self.wrong(format!(
                "tensor \"{name}\" is {:?}; wanted: {first:?} or {second:?}",
                view.dtype()
            )));
        }
        if !shape.fits(view.shape()) {
            return Err(self.wrong(format!(
                "tensor \"{name}\" has the shape {:?}; wanted: {shape}",
                view.shape()
            )));
        }
        Ok(view)
    }

    /// Finite numbers.
    pub fn doubles(&mut self, name: &str, shape: &Shape) -> Result<Vec<f64>> {
        let view = self.take(name, [Dtype::F32, Dtype::F64], shape)?;
        let values: Vec<f64> = if view.dtype() == Dtype::F32 {
            let bytes = view.data().as_chunks().0.iter();
            bytes.map(|b| f32::from_le_bytes(*b).into()).collect()
        } else {
            let bytes = view.data().as_chunks().0.iter();
            bytes.map(|b| f64::from_le_bytes(*b)).collect()
        };
        match values.iter().position(|x| !(*x as f32).is_finite()) {
            None => Ok(values),
            Some(at) => Err(self.wrong(format!(
                "tensor \"{name}\" has {:?} at {:?}; every value must be a finite f32",
                values[at],
                index(view.shape(), at)
            ))),
        }
    }

    /// The same, rounded to f32.
    pub fn floats(&mut self, name: &str, shape: &Shape) -> Result<Vec<f32>> {
        let values = self.doubles(name, shape)?;
        Ok(values.into_iter().map(|x| x as f32).collect())
    }

    /// 64-bit integers; signed ones as the bits that they have.
    pub fn integers(&mut self, name: &str, shape: &Shape) -> Result<Vec<u64>> {
        let view = self.take(name, [Dtype::I64, Dtype::U64], shape)?;
        let bytes = view.data().as_chunks().0.iter();
        Ok(bytes.map(|b| u64::from_le_bytes(*b)).collect())
    }

    /// Refuses what nobody asked for.
    pub fn end(&self) -> Result<()> {
        let Some(name) = self.unused.first() else {
            return Ok(());
        };
        let more = match self.unused.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Err(self.wrong(format!(
            "tensor \"{name}\"{more}: the description has no place for it; correct one of the two, or leave it out"
        )))
    }
}

/// Place of the `at`-th value of a tensor.
fn index(shape: &[usize], mut at: usize) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (i, len) in index.iter_mut().zip(shape).rev() {
        (*i, at) = (at % len.max(&1), at / len.max(&1));
    }
    index
}
