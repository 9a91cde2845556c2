//! Every way in which the training side can refuse: what for (and so the exit code), where, and one line of text.
use std::prelude::v1::*;

use std::fmt;
use std::io;
use std::path::Path;

/// Class of a refusal. The discriminants are the exit codes of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A stated budget or check is not met.
    Refused = 1,
    /// Wrong usage or a wrong description.
    Description = 2,
    /// Bad data.
    Data = 3,
    /// A file could not be read or written.
    Io = 4,
    /// Another process trains in the same folder.
    Busy = 5,
    /// Interrupted, after a checkpoint.
    Interrupted = 130,
}

/// A refusal. Displays as one line: `FILE:LINE: what is wrong; what would be right`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Its class.
    pub kind: Kind,
    /// File that it is about, if any.
    pub file: Option<String>,
    /// Line of that file, from 1.
    pub line: Option<u64>,
    /// What is wrong; what would be right.
    pub message: String,
}

/// `Result` of the training side.
pub type Result<T> = core::result::Result<T, Error>;

impl Error {
    /// A refusal that belongs to no file.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            file: None,
            line: None,
            message: message.into(),
        }
    }

    /// A refusal that belongs to a file.
    pub fn in_file(kind: Kind, file: &Path, message: impl Into<String>) -> Self {
        Self {
            kind,
            file: Some(file.display().to_string()),
            line: None,
            message: message.into(),
        }
    }

    /// A refusal that belongs to a line of a file, from 1.
    pub fn at_line(kind: Kind, file: &Path, line: u64, message: impl Into<String>) -> Self {
        Self {
            line: Some(line),
            ..Self::in_file(kind, file, message)
        }
    }

    /// A file could not be read or written.
    pub fn io(file: &Path, error: &io::Error) -> Self {
        Self::in_file(Kind::Io, file, one_line(&error.to_string()))
    }

    /// Exit code of the command line.
    pub fn exit_code(&self) -> u8 {
        self.kind as u8
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{file}:{line}: {}", self.message),
            (Some(file), None) => write!(f, "{file}: {}", self.message),
            (None, _) => f.write_str(&self.message),
        }
    }
}

impl core::error::Error for Error {}

/// `text` without line breaks: terminals and logs get one line an error.
pub(crate) fn one_line(text: &str) -> String {
    text.split('\n')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}

/// The names nearest to `wrong`, as the end of a message: `; did you mean "a" or "b"?`, or the first few that exist.
pub(crate) fn near_misses<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> String {
    let mut near: Vec<(usize, &str)> = Vec::new();
    let mut all: Vec<&str> = Vec::new();
    for name in names {
        all.push(name);
        let distance = edit_distance(wrong, name);
        let related =
            !wrong.is_empty() && (name.contains(wrong) || wrong.contains(name)) && name.len() > 2;
        if distance <= 1 + wrong.chars().count() / 4 || related {
            near.push((distance, name));
        }
    }
    near.sort();
    // Only the nearest, and names that hold the wrong one or are held by it.
    let best = near.first().map_or(0, |(distance, _)| *distance);
    near.retain(|(distance, name)| {
        *distance == best || name.contains(wrong) || wrong.contains(name)
    });
    near.truncate(3);
    if near.is_empty() {
        if all.is_empty() {
            return String::from("; there is none");
        }
        let more = all.len().saturating_sub(8);
        let list = all
            .iter()
            .take(8)
            .map(|n| format!("\"{n}\""))
            .collect::<Vec<_>>()
            .join(", ");
        let tail = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        return format!("; there are {list}{tail}");
    }
    let list = near
        .iter()
        .map(|(_, n)| format!("\"{n}\""))
        .collect::<Vec<_>>()
        .join(" or ");
    format!("; did you mean {list}?")
}

/// Levenshtein distance in characters, case ignored.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.to_lowercase().chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_distance_counts_single_edits() {
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("Click", "click"), 0);
    }

    #[test]
    fn near_misses_name_what_was_meant() {
        assert_eq!(
            near_misses("clik", ["like", "click"].into_iter()),
            "; did you mean \"click\"?"
        );
        assert_eq!(
            near_misses("zzz", ["like"].into_iter()),
            "; there are \"like\""
        );
    }

    #[test]
    fn errors_show_file_and_line_on_one_line() {
        let error = Error::at_line(
            Kind::Data,
            Path::new("log.csv"),
            7,
            "label \"click\" is 2; 0 or 1",
        );
        assert_eq!(error.to_string(), "log.csv:7: label \"click\" is 2; 0 or 1");
        assert_eq!(error.exit_code(), 3);
    }
}
