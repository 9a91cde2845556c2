//! The desktop side: from logs to one model file.

pub mod checkpoint;
pub mod dataset;
pub mod evaluate;
pub mod gradient;
pub mod initialize;
pub mod loss;
pub mod metrics;
pub mod network;
pub mod optimizer;
pub mod options;
pub mod parameters;
pub mod random;
pub mod real;
pub mod trainer;
pub mod vocabulary;
