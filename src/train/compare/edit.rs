//! Changes to a description's text by dotted paths.
//!
//! `network.dropout` is a key, `task.click.lr` a key of the element of `[[task]]` that is named `click`. A path is written
//! as TOML writes dotted keys, so a name with a dot is quoted: `feature."user.age".dim`.
use std::path::Path;
use std::prelude::v1::*;

use toml_edit::{
    Array, ArrayOfTables, DocumentMut, InlineTable, Item, Key, Table, TableLike, Value,
};

use crate::train::error::near_misses;

type Result<T> = core::result::Result<T, String>;

/// The keys that name an element of an array, first choice first; `None` if `path` is no array of named elements.
fn naming_keys(path: &str) -> Option<&'static [&'static str]> {
    match path {
        "task" | "feature" | "label" | "table" => Some(&["name"]),
        "fusion.term" => Some(&["name", "task"]),
        "data.join" => Some(&["path"]),
        _ => None,
    }
}

fn parse(path: &str) -> Result<Vec<String>> {
    let keys = Key::parse(path).map_err(|e| format!("\"{path}\" is no path: {e}"))?;
    Ok(keys.iter().map(|k| k.get().to_string()).collect())
}

/// Sets what `path` addresses. Missing keys and sections are created; a table on a section or an element is merged into
/// it key by key, and a table on an element that does not exist adds it.
///
/// # Errors
/// What is wrong with the path, and what exists.
pub fn set(document: &mut DocumentMut, path: &str, value: &toml::Value) -> Result<()> {
    let value: Value = value
        .to_string()
        .parse()
        .map_err(|e| format!("\"{path}\": {e}"))?;
    set_in(document.as_table_mut(), "", &parse(path)?, value)
}

/// Takes out what `path` addresses.
///
/// # Errors
/// As [`set`]; also for a key that is not there.
pub fn remove(document: &mut DocumentMut, path: &str) -> Result<()> {
    remove_in(document.as_table_mut(), "", &parse(path)?)
}

fn join(at: &str, key: &str) -> String {
    if at.is_empty() {
        key.into()
    } else {
        format!("{at}.{key}")
    }
}

fn set_in(table: &mut dyn TableLike, at: &str, path: &[String], value: Value) -> Result<()> {
    let Some((first, rest)) = path.split_first() else {
        return Err("an empty path".into());
    };
    let here = join(at, first);
    let Some((second, deeper)) = rest.split_first() else {
        return match value {
            // A section, or an array by the names of its elements.
            Value::InlineTable(keys) if at.is_empty() || naming_keys(&here).is_some() => {
                for (key, value) in keys {
                    set_in(table, at, &[first.clone(), key.to_string()], value)?;
                }
                Ok(())
            }
            value => {
                put(table, first, value);
                Ok(())
            }
        };
    };
    let Some(naming) = naming_keys(&here) else {
        let item = table.entry(first).or_insert_with(|| {
            let mut section = Table::new();
            section.set_implicit(at.is_empty() && !deeper.is_empty());
            Item::Table(section)
        });
        let inner = item
            .as_table_like_mut()
            .ok_or_else(|| format!("\"{here}\" is not a table, so \"{second}\" cannot be in it"))?;
        return set_in(inner, &here, rest, value);
    };
    if let Some(found) = table
        .get_mut(first)
        .and_then(|item| element(item, naming, second))
    {
        let here = join(&here, second);
        return match value {
            value if !deeper.is_empty() => set_in(found, &here, deeper, value),
            Value::InlineTable(keys) => {
                keys.into_iter()
                    .for_each(|(key, value)| put(found, &key, value));
                Ok(())
            }
            _ => Err(format!(
                "\"{here}\" is an element; set its keys, or a table of them"
            )),
        };
    }
    match value {
        Value::InlineTable(keys) if deeper.is_empty() => {
            let mut element = InlineTable::new();
            element.insert(naming[0], second.as_str().into());
            element.extend(keys);
            add(
                table
                    .entry(first)
                    .or_insert(Item::ArrayOfTables(ArrayOfTables::new())),
                element,
            )
        }
        _ => Err(no_element(table, first, &here, naming, second)),
    }
}

/// Sets a key and keeps the comments around it.
fn put(table: &mut dyn TableLike, key: &str, mut value: Value) {
    if let Some(Item::Value(old)) = table.get(key) {
        *value.decor_mut() = old.decor().clone();
    }
    table.insert(key, Item::Value(value));
}

fn remove_in(table: &mut dyn TableLike, at: &str, path: &[String]) -> Result<()> {
    let Some((first, rest)) = path.split_first() else {
        return Err("an empty path".into());
    };
    let here = join(at, first);
    let Some((second, deeper)) = rest.split_first() else {
        let names: Vec<String> = table.iter().map(|(key, _)| key.to_string()).collect();
        return table.remove(first).map(|_| ()).ok_or_else(|| {
            let near = near_misses(first, names.iter().map(String::as_str));
            format!("there is no key \"{here}\"{near}")
        });
    };
    let naming = naming_keys(&here);
    let found = table.get_mut(first).and_then(|item| match naming {
        Some(naming) if deeper.is_empty() => take_out(item, naming, second).then_some(None),
        Some(naming) => element(item, naming, second).map(|e| Some((e, deeper))),
        None => item.as_table_like_mut().map(|t| Some((t, rest))),
    });
    match (found, naming) {
        (Some(None), _) => Ok(()),
        (Some(Some((inner, rest))), Some(_)) => remove_in(inner, &join(&here, second), rest),
        (Some(Some((inner, rest))), None) => remove_in(inner, &here, rest),
        (None, Some(naming)) => Err(no_element(table, first, &here, naming, second)),
        (None, None) => Err(format!("there is no table \"{here}\"")),
    }
}

/// The name of an element.
fn name<'t>(element: &'t dyn TableLike, naming: &[&str]) -> Option<&'t str> {
    let named = naming.iter().find_map(|key| element.get(key));
    named.and_then(Item::as_str)
}

/// The element of this name.
fn element<'t>(item: &'t mut Item, naming: &[&str], wanted: &str) -> Option<&'t mut dyn TableLike> {
    match item {
        Item::ArrayOfTables(tables) => tables
            .iter_mut()
            .find(|t| name(*t, naming) == Some(wanted))
            .map(|t| t as &mut dyn TableLike),
        Item::Value(Value::Array(values)) => values
            .iter_mut()
            .filter_map(Value::as_inline_table_mut)
            .find(|t| name(*t, naming) == Some(wanted))
            .map(|t| t as &mut dyn TableLike),
        _ => None,
    }
}

/// Names of all elements.
fn names(item: &Item, naming: &[&str]) -> Vec<String> {
    let own = |t: &dyn TableLike| name(t, naming).map(String::from);
    match item {
        Item::ArrayOfTables(tables) => tables.iter().filter_map(|t| own(t)).collect(),
        Item::Value(Value::Array(values)) => values
            .iter()
            .filter_map(|v| own(v.as_inline_table()?))
            .collect(),
        _ => Vec::new(),
    }
}

fn no_element(
    table: &dyn TableLike,
    key: &str,
    here: &str,
    naming: &[&str],
    wanted: &str,
) -> String {
    let names = table
        .get(key)
        .map(|item| names(item, naming))
        .unwrap_or_default();
    let near = near_misses(wanted, names.iter().map(String::as_str));
    format!("no [[{here}]] is named \"{wanted}\"{near}")
}

/// Removes the element of this name; whether there was one.
fn take_out(item: &mut Item, naming: &[&str], wanted: &str) -> bool {
    let is_wanted = |t: &dyn TableLike| name(t, naming) == Some(wanted);
    match item {
        Item::ArrayOfTables(tables) => {
            let at = tables.iter().position(|t| is_wanted(t));
            at.map(|i| tables.remove(i)).is_some()
        }
        Item::Value(Value::Array(values)) => {
            let wanted = |v: &Value| v.as_inline_table().is_some_and(|t| is_wanted(t));
            let at = values.iter().position(wanted);
            at.map(|i| values.remove(i)).is_some()
        }
        _ => false,
    }
}

fn add(item: &mut Item, element: InlineTable) -> Result<()> {
    match item {
        Item::ArrayOfTables(tables) => tables.push(element.into_table()),
        Item::Value(Value::Array(values)) => values.push(Value::InlineTable(element)),
        _ => return Err("elements stand in an array".into()),
    }
    Ok(())
}

/// Makes the data paths of a description in `folder` absolute.
///
/// # Errors
/// For a path that is not UTF-8.
pub fn make_absolute(document: &mut DocumentMut, folder: &Path) -> Result<()> {
    let Some(data) = document.get_mut("data").and_then(Item::as_table_like_mut) else {
        return Ok(());
    };
    if let Some(Item::Value(path)) = data.get_mut("path") {
        match path {
            Value::Array(paths) => absolute_all(paths, folder)?,
            path => absolute(path, folder)?,
        }
    }
    let validation = data.get_mut("validation").and_then(Item::as_table_like_mut);
    if let Some(Item::Value(path)) = validation.and_then(|v| v.get_mut("path")) {
        absolute(path, folder)?;
    }
    let joins: Vec<&mut dyn TableLike> = match data.get_mut("join") {
        Some(Item::ArrayOfTables(joins)) => {
            joins.iter_mut().map(|j| j as &mut dyn TableLike).collect()
        }
        Some(Item::Value(Value::Array(joins))) => {
            let joins = joins.iter_mut().filter_map(Value::as_inline_table_mut);
            joins.map(|j| j as &mut dyn TableLike).collect()
        }
        _ => Vec::new(),
    };
    for join in joins {
        if let Some(Item::Value(path)) = join.get_mut("path") {
            absolute(path, folder)?;
        }
    }
    Ok(())
}

fn absolute_all(paths: &mut Array, folder: &Path) -> Result<()> {
    paths.iter_mut().try_for_each(|path| absolute(path, folder))
}

/// Anything but text stays: the description's own check names it.
fn absolute(value: &mut Value, folder: &Path) -> Result<()> {
    let Some(path) = value.as_str() else {
        return Ok(());
    };
    let whole = folder.join(path);
    let whole = std::path::absolute(&whole).unwrap_or(whole);
    let text = whole
        .to_str()
        .ok_or_else(|| format!("{} is not UTF-8", whole.display()))?;
    let mut new = Value::from(text);
    *new.decor_mut() = value.decor().clone();
    *value = new;
    Ok(())
}

#[cfg(test)]
mod tests;
