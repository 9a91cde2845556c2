//! The desktop side: from logs to one model file.

pub mod balance;
pub mod calibration;
pub mod check;
pub mod checkpoint;
pub mod dataset;
pub mod description;
pub mod error;
pub mod evaluate;
pub mod export;
pub mod expression;
pub mod files;
pub mod fit;
pub mod golden;
pub mod gradient;
pub mod initialize;
pub mod inspect;
pub mod log;
pub mod loss;
pub mod metrics;
pub mod network;
pub mod optimizer;
pub mod options;
pub mod parameters;
pub mod pass;
pub mod policy;
pub mod quantize;
pub mod random;
pub mod real;
pub mod replay;
pub mod requests;
pub mod run;
pub mod sampling;
pub mod schedule;
pub mod simulate;
pub mod slices;
pub mod store;
pub mod stream;
pub mod trainer;
pub mod truth;
pub mod vocabulary;
pub mod warm;

#[cfg(test)]
pub(crate) mod synthetic;
