//! What `include/pocketrank.h` declares: functions with their parameters, structs with their fields.

/// One declared parameter or field: its type with `*` behind it, and its name.
#[derive(Clone, Debug)]
pub struct Declared {
    pub kind: String,
    pub name: String,
}

fn declared(text: &str) -> Declared {
    let spaced = text.replace('*', " * ");
    let mut words: Vec<&str> = spaced.split_whitespace().collect();
    let name = words.pop().unwrap().to_owned();
    let kind = words.join(" ").replace(" *", "*");
    Declared { kind, name }
}

fn code() -> String {
    let header = include_str!("../../include/pocketrank.h");
    let mut parts = header.split("/*");
    let mut code = parts.next().unwrap().to_owned();
    parts.for_each(|p| code.push_str(p.split_once("*/").unwrap().1));
    let lines = code.lines().filter(|l| !l.starts_with('#'));
    lines.collect::<Vec<_>>().join("\n")
}

/// Every function of the header with its parameters.
pub fn functions() -> Vec<(String, Vec<Declared>)> {
    let code = code();
    let mut found = Vec::new();
    for statement in code.split(';').filter(|s| s.contains('(')) {
        let (head, parameters) = statement.split_once('(').unwrap();
        let name = declared(head).name;
        let parameters = parameters.trim().trim_end_matches(')');
        let parameters = parameters.split(',').filter(|p| p.trim() != "void");
        found.push((name, parameters.map(declared).collect()));
    }
    found
}

/// The fields of every struct that has `struct_size`.
pub fn structs() -> Vec<(String, Vec<Declared>)> {
    let code = code();
    let mut found = Vec::new();
    for part in code.split("typedef struct {").skip(1) {
        let (fields, after) = part.split_once('}').unwrap();
        let name = after.split(';').next().unwrap().trim().to_owned();
        let fields = fields.split(';').map(str::trim).filter(|f| !f.is_empty());
        found.push((name, fields.map(declared).collect()));
    }
    found
}
