//! What the options ask for.
use std::prelude::v1::*;

use super::Options;
use super::reward::{Constraint, Reward};
use super::search::Check;
use crate::train::error::{Error, Kind, Result};

/// What the texts of the options mean.
pub(super) struct Goals {
    /// The utility first.
    pub rewards: Vec<Reward>,
    pub constraints: Vec<Constraint>,
    /// The constraints by reward.
    pub checks: Vec<Check>,
    /// The front's other reward, and whether more of it is better.
    pub against: Option<(usize, bool)>,
}

impl Goals {
    pub fn parse(options: &Options<'_>) -> Result<Self> {
        let mut goals = Self {
            rewards: vec![Reward::parse("--maximise", options.maximise)?],
            constraints: Vec::new(),
            checks: Vec::new(),
            against: None,
        };
        for text in options.subject_to {
            let constraint = Constraint::parse(text)?;
            let reward = goals.index(&constraint.reward);
            goals.checks.push(Check {
                reward,
                at_least: constraint.at_least,
                bound: constraint.bound,
            });
            goals.constraints.push(constraint);
        }
        goals.against = match options.pareto {
            Some(text) => Some((goals.index(&Reward::parse("--pareto", text)?), true)),
            None => goals.checks.first().map(|c| (c.reward, c.at_least)),
        };
        goals.against = goals.against.filter(|(reward, _)| *reward != 0);
        Ok(goals)
    }

    fn index(&mut self, reward: &Reward) -> usize {
        let found = self.rewards.iter().position(|r| r.parts == reward.parts);
        found.unwrap_or_else(|| {
            self.rewards.push(reward.clone());
            self.rewards.len() - 1
        })
    }
}

/// Options that contradict each other or are out of range.
pub(super) fn check(options: &Options<'_>) -> Result<()> {
    let wrong = |message: &str| Err(Error::new(Kind::Description, message));
    if options.random.is_some() && options.by_user {
        return wrong("--lists user is for replay; lists in random order are requests");
    }
    if !(0.05..=0.95).contains(&options.held_out) {
        return wrong("--held-out is a share; 0.05 to 0.95");
    }
    if !(options.clip >= 1.0 && options.clip.is_finite()) {
        return wrong("--clip is in multiples of the mean count; at least 1");
    }
    if !(0.0..=10.0).contains(&options.margin) {
        return wrong("--margin is in standard errors; 0 to 10");
    }
    Ok(())
}
