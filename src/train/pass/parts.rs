//! Which rows train, which stop, and which validate.
use std::prelude::v1::*;

use crate::train::dataset::Split;
use crate::train::description::{Description, StopOn};
use crate::train::error::{Error, Kind, Result};
use crate::train::log::RawLog;

/// What a row is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Gradients.
    Train,
    /// Stopping.
    Stop,
    /// The report.
    Validation,
}

/// Which requests do what.
pub struct Splitter {
    held: Vec<bool>,
    /// Trained requests after which they are held out for stopping.
    stop_from: u32,
    seen: u32,
    last: Option<u32>,
}

impl Splitter {
    /// From the requests of which a row is picked for validation, one by one.
    ///
    /// # Errors
    /// [`Kind::Description`] for an unknown `stop_on`.
    pub fn new(d: &Description, mut held: Vec<bool>, validation_from: Option<u32>) -> Result<Self> {
        let requests = held.len() as u32;
        let cut = |share: f64, of: u32| of - (libm::round(f64::from(of) * share) as u32).min(of);
        let from = match (d.toml.data.validation.last, validation_from) {
            (_, Some(from)) => Some(from),
            (Some(share), None) => Some(cut(share, requests)),
            (None, None) => None,
        };
        if let Some(late) = from.and_then(|from| held.get_mut(from as usize..)) {
            late.fill(true);
        }
        let train_requests = held.iter().filter(|h| !**h).count() as u32;
        let stop_from = match &d.toml.train.stop_on {
            StopOn::Last { last } => cut(*last, train_requests),
            StopOn::Name(name) if name == "validation" || name == "none" => train_requests,
            StopOn::Name(name) => {
                let message = format!(
                    "unknown stop_on \"{name}\"; {{ last = share }}, \"validation\" or \"none\""
                );
                return Err(Error::in_file(Kind::Description, &d.file, message));
            }
        };
        Ok(Self {
            held,
            stop_from,
            seen: 0,
            last: None,
        })
    }

    /// The part of the next row, which is of `request`. Rows are asked for in log order.
    pub fn part(&mut self, request: u32) -> Part {
        if self.held[request as usize] {
            return Part::Validation;
        }
        if self.last != Some(request) {
            self.seen += 1;
            self.last = Some(request);
        }
        if self.seen > self.stop_from {
            Part::Stop
        } else {
            Part::Train
        }
    }

    /// From the first row again.
    pub fn rewind(&mut self) {
        (self.seen, self.last) = (0, None);
    }
}

/// Which rows do what, before anything is learned.
///
/// # Errors
/// [`Kind::Data`] if a part that must not be empty is.
pub fn split(d: &Description, raw: &RawLog) -> Result<Split> {
    // A request is held out as a whole if one of its rows is.
    let mut held = vec![false; raw.requests()];
    for (request, picked) in raw.request.iter().zip(&raw.validation) {
        held[*request as usize] |= picked;
    }
    let mut splitter = Splitter::new(d, held, raw.validation_from)?;
    let mut split = Split::default();
    for (row, request) in (0..).zip(&raw.request) {
        split.push(splitter.part(*request), row);
    }
    split.close(d)?;
    Ok(split)
}

impl Split {
    pub(crate) fn push(&mut self, part: Part, row: u32) {
        let rows = match part {
            Part::Train => &mut self.train,
            Part::Stop => &mut self.stop,
            Part::Validation => &mut self.validation,
        };
        rows.push(row);
    }

    pub(crate) fn close(&mut self, d: &Description) -> Result<()> {
        if matches!(&d.toml.train.stop_on, StopOn::Name(name) if name == "validation") {
            self.stop.clone_from(&self.validation);
        }
        if self.train.is_empty() {
            return Err(Error::in_file(
                Kind::Data,
                &d.file,
                "no training row is left by validation and stop_on",
            ));
        }
        Ok(())
    }
}
