//! The program as a child, and the files of a run.
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program with arguments.
pub fn program<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pocketrank"));
    command.args(args).stdin(Stdio::null());
    command
}

/// `train` of a description into a folder.
pub fn train(model: &Path, run: &Path) -> Command {
    program([
        OsStr::new("train"),
        model.as_ref(),
        "--out".as_ref(),
        run.as_ref(),
    ])
}

/// `export` of a run to a file.
pub fn export(run: &Path, file: &Path) -> Command {
    program([
        OsStr::new("export"),
        run.as_ref(),
        "-o".as_ref(),
        file.as_ref(),
    ])
}

/// How a child ended.
#[derive(Debug)]
pub struct Ended {
    /// `None`: by a signal.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// Its message: the last line of what it said.
    pub fn message(&self) -> &str {
        self.err.lines().last().unwrap_or("")
    }
}

/// Runs a child to its end. No child may ever panic.
pub fn run(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let ended = Ended {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    };
    assert!(!ended.err.contains("panicked"), "{ended:?}");
    ended
}

/// Runs a child that must succeed.
pub fn done(command: &mut Command) -> Ended {
    let ended = run(command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended
}

/// Runs a child that must be refused with this code, in one line that holds all of `words`.
pub fn refused(command: &mut Command, code: i32, words: &[&str]) {
    let ended = run(command);
    assert_eq!(ended.code, Some(code), "{ended:?}");
    let message = ended.message();
    assert!(message.starts_with("pocketrank: "), "{message}");
    for word in words {
        assert!(message.contains(word), "no \"{word}\" in: {message}");
    }
}

/// A finished run and its export.
#[derive(Debug, PartialEq)]
pub struct Result {
    pub parameters: Vec<u8>,
    pub fit: Vec<u8>,
    pub report: Vec<u8>,
}

impl Result {
    pub fn of(run: &Path) -> Self {
        let read = |name| fs::read(run.join(name)).unwrap();
        Self {
            parameters: read("parameters.bin"),
            fit: read("fit.bin"),
            report: read("report.json"),
        }
    }
}

/// Names in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let name = |e: std::io::Result<fs::DirEntry>| e.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}

/// All that a finished run leaves.
pub const RUN_FILES: [&str; 8] = [
    "checkpoint.bin",
    "fit.bin",
    "fit.counts",
    "lock",
    "model.toml",
    "parameters.bin",
    "report.json",
    "run.json",
];

/// Copies a run's folder.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in names(from) {
        fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}

/// Values of 4 bytes in `parameters.bin` or `checkpoint.bin` that are NaN or infinite as f32. The counters of a
/// checkpoint are read as floats too; as small integers they are finite.
pub fn not_finite(path: &Path) -> usize {
    let bytes = fs::read(path).unwrap();
    let header = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let (mut rest, mut found) = (&bytes[16 + header..bytes.len() - 8], 0);
    while let Some((length, values)) = rest.split_first_chunk::<8>() {
        let (values, after) = values.split_at(4 * u64::from_le_bytes(*length) as usize);
        let floats = values.as_chunks::<4>().0.iter();
        found += floats
            .filter(|x| !f32::from_le_bytes(**x).is_finite())
            .count();
        rest = after;
    }
    assert!(rest.is_empty());
    found
}

/// A number from the environment.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// xorshift64 (Marsaglia, "Xorshift RNGs", 2003).
pub struct Random(pub u64);

impl Random {
    /// In 0..n.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

/// A folder with a log and a description.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// With `log.csv` and `model.toml`.
    pub fn new(log: &str, model: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("log.csv"), log).unwrap();
        fs::write(folder.path().join("model.toml"), model).unwrap();
        Self { folder }
    }
    /// Empty.
    pub fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }
    /// The folder, as the system calls it.
    pub fn root(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }
    pub fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }
    pub fn model(&self) -> PathBuf {
        self.path("model.toml")
    }
}
