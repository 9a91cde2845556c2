//! A simulated feed whose truth is known.
//!
//! Users of a hidden type in a hidden, changing session state view lists, click, watch and react ([`visitor`], [`world`]). An exact
//! forward filter ([`filter`]) says what the best possible model could have predicted from what was visible: the bound that trained
//! models are held against. [`simulate`] writes a log, its truth apart, side tables and the matching model description;
//! [`policy`] lets a ranker choose the order and counts what users do.
//!
//! One invariant: the truth never enters the log, and a label never moves the filter before it is known.
//!
//! docs/simulator.md holds the files, columns, delays and measured figures.

pub mod catalog;
pub mod filter;
pub mod log;
pub mod measure;
mod normal;
pub mod policy;
mod table;
pub mod visitor;
pub mod world;

#[cfg(test)]
mod tests;

use std::prelude::v1::*;

use core::fmt;
use serde::{Deserialize, Serialize};

pub use catalog::Item;
pub use log::{Generator, LoggedRequest, LoggedRow, Summary, simulate};
pub use policy::{PolicyReport, RequestView, run_policy};
pub use visitor::{Candidate, Feedback, Request, Visitor};
pub use world::{INTERACTION_DELAY_SECONDS, INTERACTIONS, Prediction, World};

/// Strengths of what makes one objective alone go wrong. 1 is the world as documented, 0 removes the effect.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Knobs {
    /// Bait raises clicks and lowers watch time and interactions. 0 to 2; default 1.
    pub bait: f64,
    /// Longer items are watched longer and clicked a little less; states differ in it. 0 to 2; default 1.
    pub length: f64,
    /// Short items are completed more. 1 (the default) is the plain rule of 95 % of the length; towards 0 the rule is corrected
    /// for the length until the probability of completion does not depend on it. 0 to 1.
    pub completion: f64,
    /// Correlation of what a type clicks with what it watches and reacts to. 0 to 1; default 0.7.
    pub task_correlation: f64,
}

impl Default for Knobs {
    fn default() -> Self {
        Knobs {
            bait: 1.0,
            length: 1.0,
            completion: 1.0,
            task_correlation: 0.7,
        }
    }
}

/// How tables are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `.csv`.
    #[default]
    Csv,
    /// `.csv.gz`; side tables are plain.
    #[serde(rename = "csv.gz")]
    CsvGzip,
    /// `.parquet`: the same values, to the bit.
    Parquet,
}

impl Format {
    /// What file names end in.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::CsvGzip => "csv.gz",
            Format::Parquet => "parquet",
        }
    }

    fn of_side_tables(self) -> Self {
        match self {
            Format::CsvGzip => Format::Csv,
            other => other,
        }
    }
}

/// What to simulate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimulateOptions {
    /// Rows of the log, 1 to 10^9; the last request is cut there. Users (rows / 450, at least 20) and items
    /// ([`catalog::num_items`]) follow from it.
    pub rows: u64,
    /// Everything follows from the seed, the rows and the knobs, byte for byte.
    pub seed: u64,
    /// How log, truth and side tables are written.
    pub format: Format,
    /// Strengths of the effects.
    pub knobs: Knobs,
}

impl Default for SimulateOptions {
    fn default() -> Self {
        SimulateOptions {
            rows: 100_000,
            seed: 1,
            format: Format::Csv,
            knobs: Knobs::default(),
        }
    }
}

impl SimulateOptions {
    /// Number of users of the log: 45 requests of 10 rows each on average.
    pub fn num_users(&self) -> u32 {
        (self.rows / 450).clamp(20, 4_000_000) as u32
    }

    fn check(&self) -> Result<(), SimulateError> {
        if !(1..=1_000_000_000).contains(&self.rows) {
            return Err(SimulateError::Options(format!(
                "rows is {}; it must be 1 to 1000000000",
                self.rows
            )));
        }
        let Knobs {
            bait,
            length,
            completion,
            task_correlation,
        } = self.knobs;
        let limits = [
            ("bait", bait, 2.0),
            ("length", length, 2.0),
            ("completion", completion, 1.0),
            ("task_correlation", task_correlation, 1.0),
        ];
        for (name, value, most) in limits {
            if !(0.0..=most).contains(&value) {
                return Err(SimulateError::Options(format!(
                    "{name} is {value}; it must be 0 to {most}"
                )));
            }
        }
        Ok(())
    }
}

/// The world with its catalogue: what every visitor of one simulation shares.
#[derive(Debug, Clone)]
pub struct Feed {
    options: SimulateOptions,
    world: World,
    items: Vec<Item>,
}

impl Feed {
    /// The catalogue and the world of `options`.
    ///
    /// # Errors
    /// Rows or knobs outside their ranges.
    pub fn new(options: SimulateOptions) -> Result<Self, SimulateError> {
        options.check()?;
        let items = catalog::draw_items(
            &mut normal::stream(options.seed, 0),
            catalog::num_items(options.rows),
        );
        Ok(Feed {
            options,
            world: World::new(options.knobs),
            items,
        })
    }

    /// Items by `item_id`.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The distributions.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// What was asked for.
    pub fn options(&self) -> &SimulateOptions {
        &self.options
    }

    /// User `user_id` of the stream of users that `seed` names, whose first request comes at `first_time` (Unix seconds).
    /// The log's users are 0..[`SimulateOptions::num_users`] of the options' own seed.
    pub fn visitor(&self, seed: u64, user_id: u32, first_time: i64) -> Visitor {
        Visitor::new(&self.world, seed, user_id, first_time)
    }
}

/// Why a simulation stopped.
#[derive(Debug)]
#[non_exhaustive]
pub enum SimulateError {
    /// An option is outside its range.
    Options(String),
    /// A ranker's order is not one.
    Order(String),
    /// A file could not be written.
    Io {
        /// What was being done.
        context: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The progress callback asked to stop.
    Stopped,
}

impl fmt::Display for SimulateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SimulateError::Options(why) | SimulateError::Order(why) => f.write_str(why),
            SimulateError::Io { context, source } => write!(f, "{context}: {source}"),
            SimulateError::Stopped => f.write_str("stopped"),
        }
    }
}

impl core::error::Error for SimulateError {}
