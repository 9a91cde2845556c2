//! What a header of the C ABI declares: functions with their parameters, structs with their fields.

/// The header that apps are built with.
pub const HEADER: &str = include_str!("../../include/pocketrank.h");

/// One declared function, parameter or field: its type with `*` behind it and one space between words, and its name.
#[derive(Clone, Debug)]
pub struct Declared {
    pub kind: String,
    pub name: String,
}

/// Of a declaration.
pub fn declared(text: &str) -> Declared {
    let spaced = text.replace('*', " * ");
    let mut words: Vec<&str> = spaced.split_whitespace().collect();
    let name = words.pop().unwrap().to_owned();
    let kind = words.join(" ").replace(" *", "*");
    Declared { kind, name }
}

/// Lines of a header without comments: those of the preprocessor, and the others.
pub fn lines(header: &str) -> (Vec<String>, Vec<String>) {
    let mut parts = header.split("/*");
    let mut code = parts.next().unwrap().to_owned();
    parts.for_each(|p| code.push_str(p.split_once("*/").unwrap().1));
    let lines = code.lines().map(|line| line.split("//").next().unwrap());
    let lines = lines.map(|line| line.trim_end().to_owned());
    lines.partition(|line| line.starts_with('#'))
}

/// Every function of a header with its parameters.
pub fn functions(header: &str) -> Vec<(Declared, Vec<Declared>)> {
    let code = lines(header).1.join("\n");
    let mut found = Vec::new();
    for statement in code.split(';').filter(|s| s.contains('(')) {
        let (head, parameters) = statement.split_once('(').unwrap();
        let function = declared(head.rsplit('{').next().unwrap()); // behind `extern "C"`
        let parameters = parameters.trim().trim_end_matches(')');
        let parameters = parameters.split(',').filter(|p| p.trim() != "void");
        found.push((function, parameters.map(declared).collect()));
    }
    found
}

/// The fields of every struct.
pub fn structs(header: &str) -> Vec<(String, Vec<Declared>)> {
    let code = lines(header).1.join("\n");
    let mut found = Vec::new();
    for part in code.split("typedef struct {").skip(1) {
        let (fields, after) = part.split_once('}').unwrap();
        let name = after.split(';').next().unwrap().trim().to_owned();
        let fields = fields.split(';').map(str::trim).filter(|f| !f.is_empty());
        found.push((name, fields.map(declared).collect()));
    }
    found
}
