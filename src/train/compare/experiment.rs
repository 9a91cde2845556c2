//! An experiment: one TOML file that names a base description, seeds, and variants of the base.
//!
//! A variant is the base's text with some keys set and some elements taken out, so it keeps the base's order and comments.
//! Every variant is rendered and checked as a description before anything is trained.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::prelude::v1::*;

use serde::Deserialize;
use toml::Spanned;
use toml_edit::DocumentMut;

use super::edit;
use crate::train::description::{Description, Named, malformed};
use crate::train::error::{Error, Kind, Result, one_line};

/// Bytes of a variant's name.
const NAME_BYTES: usize = 64;
/// Names that the experiment's folder uses itself.
const RESERVED: [&str; 2] = ["lock", super::PAGE_FILE];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Toml {
    base: Option<Named>,
    seeds: Spanned<Vec<u64>>,
    #[serde(default = "yes")]
    export: bool,
    #[serde(default)]
    variant: Vec<VariantToml>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VariantToml {
    name: Named,
    model: Option<Named>,
    #[serde(default)]
    set: BTreeMap<Named, toml::Value>,
    #[serde(default)]
    remove: Vec<Named>,
}

impl VariantToml {
    /// Where a description that does not hold went wrong: at the only change, or somewhere in the variant.
    fn blamed(&self) -> &Named {
        let mut changes = self.remove.iter().chain(self.set.keys());
        match (changes.next(), changes.next()) {
            (Some(only), None) => only,
            _ => &self.name,
        }
    }
}

fn yes() -> bool {
    true
}

/// An experiment whose variants all hold.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// The file it was read from.
    pub file: PathBuf,
    /// Seeds that every variant is trained with, distinct.
    pub seeds: Vec<u64>,
    /// Whether runs are exported too.
    pub export: bool,
    /// Variants; the others are paired with the first.
    pub variants: Vec<Variant>,
}

/// A description to train.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Unique name.
    pub name: String,
    /// Its folder's name: the name, with bytes that file systems dislike as `%XX`.
    pub folder: String,
    /// What it changes, a line each.
    pub changes: Vec<String>,
    /// The base's text with these changes.
    pub text: String,
    /// The same with absolute data paths, so that it means the same in any folder.
    pub description: Description,
}

impl Experiment {
    /// Reads an experiment and renders its variants.
    ///
    /// # Errors
    /// [`Kind::Io`]; [`Kind::Description`] with the experiment's line and, if one is to blame, the variant.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).map_err(|e| Error::io(file, &e))?;
        Self::parse(file, &text)
    }

    /// The same with `text` as the contents of `file`.
    ///
    /// # Errors
    /// As [`Experiment::read`].
    pub fn parse(file: &Path, text: &str) -> Result<Self> {
        let source = Source { file, text };
        let toml: Toml = toml::from_str(text).map_err(|e| source.syntax(&e))?;
        let seeds = toml.seeds.get_ref();
        if seeds.is_empty() {
            return Err(source.mistake(&toml.seeds, "no seeds; at least one is needed"));
        }
        if let Some(twice) = (1..seeds.len()).find(|i| seeds[..*i].contains(&seeds[*i])) {
            let message = format!("seed {} stands here twice", seeds[twice]);
            return Err(source.mistake(&toml.seeds, message));
        }
        if toml.variant.is_empty() {
            let message = "no [[variant]]; at least one is needed, two make a comparison";
            return Err(Error::in_file(Kind::Description, file, message));
        }
        let mut variants: Vec<Variant> = Vec::new();
        for v in &toml.variant {
            let variant = source.variant(toml.base.as_ref(), v)?;
            // Some file systems do not tell upper from lower case.
            let same = |other: &&Variant| other.folder.eq_ignore_ascii_case(&variant.folder);
            if let Some(other) = variants.iter().find(same) {
                let message = format!(
                    "variant \"{}\" has the name of variant \"{}\", or differs from it only in case",
                    variant.name, other.name
                );
                return Err(source.mistake(&v.name, message));
            }
            variants.push(variant);
        }
        Ok(Self {
            file: file.to_path_buf(),
            seeds: toml.seeds.into_inner(),
            export: toml.export,
            variants,
        })
    }
}

/// The experiment's own text.
struct Source<'s> {
    file: &'s Path,
    text: &'s str,
}

impl Source<'_> {
    fn line(&self, at: usize) -> u64 {
        let before = self.text.bytes().take(at);
        1 + before.filter(|b| *b == b'\n').count() as u64
    }

    fn mistake<T>(&self, at: &Spanned<T>, message: impl Into<String>) -> Error {
        let line = self.line(at.span().start);
        Error::at_line(Kind::Description, self.file, line, message)
    }

    fn syntax(&self, e: &toml::de::Error) -> Error {
        malformed(self.file, self.text, e)
    }

    fn variant(&self, base: Option<&Named>, v: &VariantToml) -> Result<Variant> {
        let name = v.name.get_ref();
        let fail = |at: &Named, message: &str| {
            self.mistake(at, format!("variant \"{name}\": {}", one_line(message)))
        };
        let folder = folder_name(name).map_err(|message| fail(&v.name, &message))?;
        let Some(model) = v.model.as_ref().or(base) else {
            let message = "no description; give `base` at the top, or `model` here";
            return Err(fail(&v.name, message));
        };
        let parent = self.file.parent().unwrap_or(Path::new(""));
        let path = parent.join(model.get_ref());
        let text = std::fs::read_to_string(&path)
            .map_err(|e| fail(model, &format!("{}: {e}", path.display())))?;
        // The base's own mistakes keep the base's own lines.
        Description::parse(&path, text.clone())?;
        let mut document: DocumentMut = text.parse().map_err(|e| fail(model, &format!("{e}")))?;
        for path in &v.remove {
            edit::remove(&mut document, path.get_ref()).map_err(|message| fail(path, &message))?;
        }
        for (path, value) in &v.set {
            edit::set(&mut document, path.get_ref(), value)
                .map_err(|message| fail(path, &message))?;
        }
        let text = document.to_string();
        edit::make_absolute(&mut document, path.parent().unwrap_or(Path::new("")))
            .map_err(|message| fail(&v.name, &message))?;
        let description = Description::parse(&path, document.to_string())
            .map_err(|e| fail(v.blamed(), &does_not_hold(&e, &document.to_string())))?;
        let other = v.model.iter().map(|m| format!("base {}", m.get_ref()));
        let removed = v
            .remove
            .iter()
            .map(|path| format!("without {}", path.get_ref()));
        let set = v
            .set
            .iter()
            .map(|(path, value)| format!("{} = {value}", path.get_ref()));
        Ok(Variant {
            name: name.clone(),
            folder,
            changes: other.chain(removed).chain(set).collect(),
            text,
            description,
        })
    }
}

/// A mistake of the rendered description, with the line that it is in: that text is in no file yet.
fn does_not_hold(e: &Error, text: &str) -> String {
    let line = e.line.and_then(|n| text.lines().nth(n as usize - 1));
    match line.map(str::trim).filter(|line| !line.is_empty()) {
        Some(line) => format!("its description does not hold at `{line}`: {}", e.message),
        None => format!("its description does not hold: {}", e.message),
    }
}

/// A folder's name for a variant's, one to one.
fn folder_name(name: &str) -> core::result::Result<String, String> {
    if name.is_empty() || name.len() > NAME_BYTES {
        return Err(format!("a name has 1 to {NAME_BYTES} bytes"));
    }
    if RESERVED.iter().any(|r| r.eq_ignore_ascii_case(name)) {
        return Err("the folder of the experiment has a file of this name; take another".into());
    }
    let mut folder = String::new();
    for (i, byte) in name.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || b"-_+=,".contains(&byte);
        if plain || (byte == b'.' && i > 0) {
            folder.push(char::from(byte));
        } else {
            folder += &format!("%{byte:02X}");
        }
    }
    Ok(folder)
}

#[cfg(test)]
mod tests;
