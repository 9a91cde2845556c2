//! What is maximised and what must hold, as text over labels and log columns.
//!
//! ```text
//! reward     = ("+" | "-")? part (("+" | "-") part)*
//! part       = number "*" column | column "*" number | column
//! constraint = reward (">=" | "<=") (number | (number "*")? "current")
//! column     = a label's name, else a column of the log: letters, digits, "_", "." or any characters between backquotes
//! ```
//! A row's reward is the sum over what is known of it: a label that is unknown there, or an empty cell, adds 0.
use std::prelude::v1::*;

use crate::train::error::{Error, Kind, Result};

/// A weighted sum of columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Reward {
    /// As it was written.
    pub text: String,
    /// Factor and column.
    pub parts: Vec<(f64, String)>,
}

/// What a constraint compares with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// A number.
    Number(f64),
    /// This times what the current weights reach.
    Current(f64),
}

/// A reward that must reach a bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Constraint {
    /// As it was written.
    pub text: String,
    /// What is measured.
    pub reward: Reward,
    /// Whether it must be at least the bound; else at most.
    pub at_least: bool,
    /// The bound.
    pub bound: Bound,
}

impl Reward {
    /// Parses the text of `option`.
    ///
    /// # Errors
    /// [`Kind::Description`] with the first place that does not fit the grammar.
    pub fn parse(option: &'static str, text: &str) -> Result<Self> {
        let mut parser = Parser {
            text,
            at: 0,
            option,
        };
        let reward = parser.reward()?;
        parser.end()?;
        Ok(reward)
    }
}

impl Constraint {
    /// Parses the text of `--subject-to`.
    ///
    /// # Errors
    /// [`Kind::Description`] with the first place that does not fit the grammar.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parser = Parser {
            text,
            at: 0,
            option: "--subject-to",
        };
        let reward = parser.reward()?;
        let at_least = match (parser.take(">="), parser.take("<=")) {
            (true, _) => true,
            (_, true) => false,
            _ => return Err(parser.wrong("\">=\" or \"<=\" is expected")),
        };
        let bound = parser.bound()?;
        parser.end()?;
        Ok(Self {
            text: text.trim().into(),
            reward,
            at_least,
            bound,
        })
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    option: &'static str,
}

impl<'t> Parser<'t> {
    fn wrong(&self, what: &str) -> Error {
        let position = self.text[..self.at].chars().count() + 1;
        let message = format!(
            "{} \"{}\": character {position}: {what}",
            self.option,
            self.text.trim()
        );
        Error::new(Kind::Description, message)
    }

    fn rest(&mut self) -> &'t str {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        &self.text[self.at..]
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word);
        if found {
            self.at += word.len();
        }
        found
    }

    fn end(&mut self) -> Result<()> {
        match self.rest() {
            "" => Ok(()),
            _ => Err(self.wrong("\"+\", \"-\", \"*\" or the end is expected")),
        }
    }

    fn reward(&mut self) -> Result<Reward> {
        self.rest();
        let start = self.at;
        let mut parts = Vec::new();
        let mut sign = if self.take("-") { -1.0 } else { 1.0 };
        if sign > 0.0 {
            self.take("+");
        }
        loop {
            let (factor, column) = self.part()?;
            parts.push((sign * factor, column));
            sign = match (self.take("+"), self.take("-")) {
                (true, _) => 1.0,
                (_, true) => -1.0,
                _ => break,
            };
        }
        Ok(Reward {
            text: self.text[start..self.at].trim().into(),
            parts,
        })
    }

    fn part(&mut self) -> Result<(f64, String)> {
        if let Some(factor) = self.number()? {
            if !self.take("*") {
                return Err(self.wrong("\"*\" and a column are expected"));
            }
            return Ok((factor, self.column()?));
        }
        let column = self.column()?;
        if !self.take("*") {
            return Ok((1.0, column));
        }
        match self.number()? {
            Some(factor) => Ok((factor, column)),
            None => Err(self.wrong("a number is expected: a reward is a weighted sum of columns")),
        }
    }

    fn bound(&mut self) -> Result<Bound> {
        let negative = self.take("-");
        let sign = if negative { -1.0 } else { 1.0 };
        match self.number()? {
            Some(number) if self.take("*") => self.current(sign * number),
            Some(number) => Ok(Bound::Number(sign * number)),
            None => self.current(sign),
        }
    }

    fn current(&mut self, factor: f64) -> Result<Bound> {
        self.rest();
        let before = self.at;
        if self.column().is_ok_and(|name| name == "current") {
            return Ok(Bound::Current(factor));
        }
        self.at = before;
        Err(self.wrong("a number or \"current\" is expected"))
    }

    /// A number at least 0, if one begins here.
    fn number(&mut self) -> Result<Option<f64>> {
        let rest = self.rest();
        if !rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return Ok(None);
        }
        let mut end = 0;
        for (i, c) in rest.char_indices() {
            let exponent = rest[..i].ends_with(['e', 'E']);
            if c.is_alphanumeric() || c == '.' || (exponent && matches!(c, '+' | '-')) {
                end = i + c.len_utf8();
            } else {
                break;
            }
        }
        let number: Option<f64> = rest[..end].parse().ok().filter(|x: &f64| x.is_finite());
        let number = number.ok_or_else(|| self.wrong("no finite number"))?;
        self.at += end;
        Ok(Some(number))
    }

    fn column(&mut self) -> Result<String> {
        let rest = self.rest();
        if let Some(quoted) = rest.strip_prefix('`') {
            let name = quoted.split_once('`').map(|(name, _)| name);
            let name = name.filter(|n| !n.is_empty());
            let name = name.ok_or_else(|| self.wrong("a column between backquotes is expected"))?;
            self.at += name.len() + 2;
            return Ok(name.into());
        }
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.wrong("a column is expected"));
        }
        self.at += end;
        Ok(rest[..end].into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parts(text: &str) -> Vec<(f64, String)> {
        Reward::parse("--maximise", text).unwrap().parts
    }

    #[test]
    fn a_reward_is_a_weighted_sum_of_columns() {
        let of = |parts: &[(f64, &str)]| -> Vec<(f64, String)> {
            parts.iter().map(|(w, c)| (*w, (*c).to_string())).collect()
        };
        for (text, expected) in [
            ("like", of(&[(1.0, "like")])),
            (
                " watch_seconds + 20 * like",
                of(&[(1.0, "watch_seconds"), (20.0, "like")]),
            ),
            (
                "-hate*0.5 - 1e-2*`a b`",
                of(&[(-0.5, "hate"), (-0.01, "a b")]),
            ),
            ("+a.b", of(&[(1.0, "a.b")])),
        ] {
            assert_eq!(parts(text), expected, "{text}");
        }
    }

    #[test]
    fn a_constraint_compares_with_a_number_or_with_what_is_there() {
        for (text, at_least, bound) in [
            ("like >= current", true, Bound::Current(1.0)),
            ("like + share<=1.05*current", false, Bound::Current(1.05)),
            ("complete >= 0.3", true, Bound::Number(0.3)),
            ("a - b >= -2", true, Bound::Number(-2.0)),
        ] {
            let constraint = Constraint::parse(text).unwrap();
            assert_eq!(
                (constraint.at_least, constraint.bound),
                (at_least, bound),
                "{text}"
            );
        }
        assert_eq!(Constraint::parse("like  >= 1").unwrap().reward.text, "like");
    }

    #[test]
    fn mistakes_name_the_option_and_their_position() {
        for (text, position, part) in [
            ("", 1, "column"),
            ("20 like", 4, "\"*\""),
            ("a * b", 5, "weighted sum"),
            ("a + ", 5, "column"),
            ("a b", 3, "the end"),
            ("`a", 1, "backquotes"),
            ("1e999 * a", 1, "finite"),
            ("3x * a", 1, "finite"),
        ] {
            let error = Reward::parse("--maximise", text).unwrap_err().to_string();
            let at = format!("character {position}:");
            assert!(
                error.starts_with("--maximise") && error.contains(&at) && error.contains(part),
                "{text}: {error}"
            );
        }
        for (text, part) in [
            ("like", "\">=\""),
            ("like > 1", "\">=\""),
            ("like >= now", "\"current\""),
            ("like >= 1 * x", "\"current\""),
            ("like >= 1 2", "the end"),
        ] {
            let error = Constraint::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
