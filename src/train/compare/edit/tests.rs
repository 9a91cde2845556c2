#![allow(clippy::unwrap_used)]
use super::*;

const BASE: &str = r#"
[data]
path = ["a.csv", "/b.csv"] # logs
validation = { path = "v.csv" }

[[data.join]]
path = "items.csv"
key = "item"

[[feature]]
name = "age"
kind = "number"

[[feature]]
name = "user.id"
kind = "id"
dim = 4

[network]
kind = "mmoe" # a comment
experts = 4

[[task]]
name = "click"
kind = "binary"

[[task]]
name = "share"
kind = "binary"

[[fusion.term]]
task = "click"
weight = 1.0
"#;

fn value(text: &str) -> toml::Value {
    let table: toml::Table = format!("x = {text}").parse().unwrap();
    table["x"].clone()
}

/// The base after one change, read again.
fn after(path: &str, new: &str) -> core::result::Result<toml::Table, String> {
    let mut document: DocumentMut = BASE.parse().unwrap();
    set(&mut document, path, &value(new))?;
    Ok(document.to_string().parse().unwrap())
}

fn without(path: &str) -> core::result::Result<toml::Table, String> {
    let mut document: DocumentMut = BASE.parse().unwrap();
    remove(&mut document, path)?;
    Ok(document.to_string().parse().unwrap())
}

#[test]
fn keys_are_replaced_and_created_and_comments_stay() {
    let mut document: DocumentMut = BASE.parse().unwrap();
    set(&mut document, "network.kind", &value("\"shared-bottom\"")).unwrap();
    set(&mut document, "network.dropout", &value("0.1")).unwrap();
    let text = document.to_string();
    assert!(
        text.contains("kind = \"shared-bottom\" # a comment\n"),
        "{text}"
    );
    assert!(text.contains("experts = 4\ndropout = 0.1\n"), "{text}");
    let created = after("train.lr", "0.5").unwrap();
    assert_eq!(created["train"]["lr"].as_float(), Some(0.5));
    let list = after("network.expert_layers", "[64, 32]").unwrap();
    assert_eq!(
        list["network"]["expert_layers"].as_array().unwrap().len(),
        2
    );
}

#[test]
fn elements_are_addressed_by_name() {
    let t = after("task.share.lr", "2.0").unwrap();
    assert_eq!(t["task"][1]["lr"].as_float(), Some(2.0));
    assert!(t["task"][0].get("lr").is_none());
    let t = after("fusion.term.click.weight", "3").unwrap();
    assert_eq!(t["fusion"]["term"][0]["weight"].as_integer(), Some(3));
    let t = after("feature.\"user.id\".dim", "8").unwrap();
    assert_eq!(t["feature"][1]["dim"].as_integer(), Some(8));
    let t = after("data.join.\"items.csv\".key", "\"id\"").unwrap();
    assert_eq!(t["data"]["join"][0]["key"].as_str(), Some("id"));
}

#[test]
fn tables_are_merged_into_sections_and_elements_and_add_elements() {
    let t = after("network", "{ kind = \"x\", dropout = 0.5 }").unwrap();
    assert_eq!(
        (
            t["network"]["kind"].as_str(),
            t["network"]["experts"].as_integer()
        ),
        (Some("x"), Some(4))
    );
    for path in ["task.click", "task"] {
        let new = if path == "task" {
            "{ click.lr = 2 }"
        } else {
            "{ lr = 2 }"
        };
        let t = after(path, new).unwrap();
        assert_eq!(
            (
                t["task"][0]["lr"].as_integer(),
                t["task"][0]["kind"].as_str()
            ),
            (Some(2), Some("binary"))
        );
    }
    let t = after("task.save", "{ kind = \"binary\" }").unwrap();
    assert_eq!(
        (
            t["task"].as_array().unwrap().len(),
            t["task"][2]["name"].as_str()
        ),
        (3, Some("save"))
    );
    let t = after("label.click", "{ delay = 1 }").unwrap();
    assert_eq!(t["label"][0]["name"].as_str(), Some("click"));
    // A table that is a value is replaced whole: its keys exclude each other.
    let t = after("data.validation", "{ last = 0.1 }").unwrap();
    assert!(t["data"]["validation"].get("path").is_none());
}

#[test]
fn elements_and_keys_are_removed() {
    let t = without("task.share").unwrap();
    assert_eq!(t["task"].as_array().unwrap().len(), 1);
    let t = without("feature.\"user.id\".dim").unwrap();
    assert!(t["feature"][1].get("dim").is_none());
    assert!(without("network").unwrap().get("network").is_none());
    assert!(without("fusion.term.click").unwrap().get("task").is_some());
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let wrong = [
        (
            after("task.clik.lr", "2"),
            "no [[task]] is named \"clik\"; did you mean \"click\"?",
        ),
        (
            after("label.click.delay", "2"),
            "no [[label]] is named \"click\"; there is none",
        ),
        (after("task.click", "2"), "\"task.click\" is an element"),
        (
            after("network.kind.x", "2"),
            "\"network.kind\" is not a table",
        ),
        (after("network..x", "2"), "is no path"),
        (without("task.clik"), "no [[task]] is named \"clik\""),
        (
            without("task.click.space"),
            "there is no key \"task.click.space\"",
        ),
        (without("network.drop"), "there is no key \"network.drop\""),
        (without("train.lr"), "there is no table \"train\""),
    ];
    for (result, words) in wrong {
        let message = result.unwrap_err();
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn data_paths_become_absolute() {
    let mut document: DocumentMut = BASE.parse().unwrap();
    make_absolute(&mut document, Path::new("/data")).unwrap();
    let text = document.to_string();
    assert!(
        text.contains("path = [\"/data/a.csv\", \"/b.csv\"] # logs"),
        "{text}"
    );
    assert!(
        text.contains("path = \"/data/v.csv\"") && text.contains("path = \"/data/items.csv\""),
        "{text}"
    );
}
