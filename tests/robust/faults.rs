//! A kill and an I/O error at every file operation of training and export.
//!
//! The operations are counted by a shim in C (`shim.c`) that is loaded before the C library: nothing in the program
//! knows of it. Its log is also what shows that files are synced before they are renamed, which no kill can show.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::logs;
use crate::program::{Ended, Place, RUN_FILES, Result, copy, done, export, names, run, train};

/// The compiled shim.
fn shim() -> &'static Path {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/robust/shim.c");
        let name = format!("shim-{}.so", std::process::id());
        let object = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let cc = std::env::var("CC").unwrap_or_else(|_| "cc".into());
        let mut command = Command::new(cc);
        command.args([
            "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o",
        ]);
        let status = command.arg(&object).arg(source).arg("-ldl").status();
        assert!(status.unwrap().success());
        object
    })
}

/// What writing needs, besides reading.
const WRITING: &str = "open,mkdir,unlink,rename,write,fsync,ftruncate,flock,close";

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
struct Fault<'f> {
    /// Operations that count.
    set: &'f str,
    /// At which of them, from 1; 0: never.
    at: u64,
    /// "kill", or an errno.
    action: &'f str,
    /// From then on, or once.
    ever: bool,
}

impl Fault<'_> {
    /// Killed before operation `at` of those that write.
    fn kill(at: u64) -> Self {
        Self {
            set: WRITING,
            at,
            action: "kill",
            ever: false,
        }
    }

    /// Counts operations on paths under `root`; they go to `log`, if any.
    fn arm<'c>(
        &self,
        command: &'c mut Command,
        root: &Path,
        log: Option<&Path>,
    ) -> &'c mut Command {
        command
            .env("LD_PRELOAD", shim())
            .env("FAULT_ROOT", root)
            .env("FAULT_SET", self.set)
            .env("FAULT_AT", self.at.to_string())
            .env("FAULT_ACTION", self.action)
            .env("FAULT_EVER", u8::from(self.ever).to_string());
        if let Some(log) = log {
            command.env("FAULT_LOG", log);
        }
        command
    }
}

/// Runs a child that is killed at the `at`-th of some operations under `root`.
pub fn killed_at(command: &mut Command, root: &Path, operation: &str, at: u64) {
    let (action, ever) = ("kill", false);
    let fault = Fault {
        set: operation,
        at,
        action,
        ever,
    };
    let ended = run(fault.arm(command, root, None));
    assert_eq!(ended.code, None, "{ended:?}");
}

/// The operations of a child that nothing happens to.
fn operations(command: &mut Command, place: &Place, root: &Path, set: &str) -> Vec<String> {
    let log = place.path("operations");
    let (at, action, ever) = (0, "", false);
    let fault = Fault {
        set,
        at,
        action,
        ever,
    };
    done(fault.arm(command, root, Some(&log)));
    let text = fs::read_to_string(&log).unwrap();
    fs::remove_file(log).unwrap();
    text.lines().map(String::from).collect()
}

/// A place with a finished run, an older one of another description that has the same shapes, and their exports.
struct Subject {
    place: Place,
    new: Result,
    new_file: Vec<u8>,
    old_file: Vec<u8>,
}

impl Subject {
    fn new() -> Self {
        let place = Place::new(&logs::log(), logs::MODEL);
        let old = logs::MODEL.replace("transform = [\"minmax\"]", "transform = [\"standardize\"]");
        fs::write(place.path("old.toml"), old).unwrap();
        let finish = |model: &str, name: &str| {
            let (run, file) = (place.path(name), place.path(&format!("{name}.pkr")));
            done(&mut train(&place.path(model), &run));
            done(&mut export(&run, &file));
            (Result::of(&run), fs::read(file).unwrap())
        };
        let (new, new_file) = finish("model.toml", "new");
        let (old, old_file) = finish("old.toml", "old");
        assert!(new.fit != old.fit);
        assert!(new.parameters != old.parameters && new_file != old_file);
        Self {
            place,
            new,
            new_file,
            old_file,
        }
    }

    /// Training into the folder `box/run`.
    fn train(&self) -> Command {
        let mut command = train(&self.place.model(), &self.root().join("run"));
        command.args(["--threads", "1"]);
        command
    }
    /// Export of the run "new" to `box/file.pkr`.
    fn export(&self) -> Command {
        export(&self.place.path("new"), &self.root().join("file.pkr"))
    }
    fn root(&self) -> PathBuf {
        self.place.path("box")
    }
    /// The root: the older run, finished.
    fn begin_on_old_run(&self) {
        let _ = fs::remove_dir_all(self.root());
        copy(&self.place.path("old"), &self.root().join("run"));
    }
    /// The root: an export of another run.
    fn begin_on_old_file(&self) {
        let _ = fs::remove_dir_all(self.root());
        fs::create_dir(self.root()).unwrap();
        fs::write(self.root().join("file.pkr"), &self.old_file).unwrap();
    }

    /// Whatever happened instead of the `at`-th of `all` operations: the run can be exported as the old one or the new
    /// one, or says that it is not finished; then it goes on from the last checkpoint that was put in its place to the
    /// result of a run that nothing happened to, and leaves nothing else behind.
    fn recovers(&self, all: &[String], at: usize, case: &str) {
        let (run_folder, file) = (self.root().join("run"), self.root().join("file.pkr"));
        let early = run(&mut export(&run_folder, &file));
        match early.code {
            Some(0) => {
                let bytes = fs::read(&file).unwrap();
                assert!(bytes == self.old_file || bytes == self.new_file, "{case}");
            }
            code => {
                assert_eq!(code, Some(4), "{case}: {early:?}");
                assert!(early.err.contains("has not finished"), "{case}: {early:?}");
            }
        }
        let resumed = run(self.train().arg("--resume"));
        if resumed.code == Some(3)
            && resumed
                .err
                .contains("without --resume training begins anew")
        {
            // The old run's checkpoint was not touched yet.
            let old = fs::read(self.place.path("old").join("checkpoint.bin")).unwrap();
            assert!(
                fs::read(run_folder.join("checkpoint.bin")).unwrap() == old,
                "{case}"
            );
            done(&mut self.train());
        } else {
            assert_eq!(resumed.code, Some(0), "{case}: {resumed:?}");
            // A checkpoint follows every evaluation, and an evaluation is a line: none is done twice.
            let evaluated = resumed
                .err
                .lines()
                .filter(|l| l.starts_with("step "))
                .count();
            let left = checkpoints(all) - checkpoints(&all[..at - 1]);
            assert_eq!(evaluated, left, "{case}: {resumed:?}");
        }
        assert!(Result::of(&run_folder) == self.new, "{case}");
        assert_eq!(names(&run_folder), RUN_FILES, "{case}");
    }
}

/// Checkpoints that operations put in their place.
fn checkpoints(operations: &[String]) -> usize {
    let placed = |o: &&String| o.starts_with("rename ") && o.ends_with("/checkpoint.bin");
    operations.iter().filter(placed).count()
}

#[test]
fn killed_at_every_operation_of_training_a_run_goes_on_to_the_same_bytes() {
    let subject = Subject::new();
    subject.begin_on_old_run();
    let root = subject.root();
    let all = operations(&mut subject.train(), &subject.place, &root, WRITING);
    let points = all.len() as u64;
    assert!(checkpoints(&all) >= 4, "{all:#?}");
    for at in 1..=points {
        subject.begin_on_old_run();
        let fault = Fault::kill(at);
        let ended = run(fault.arm(&mut subject.train(), &root, None));
        assert_eq!(ended.code, None, "{at}: {ended:?}");
        let case = format!("killed before operation {at}, {}", all[at as usize - 1]);
        subject.recovers(&all, at as usize, &case);
    }
    println!("{points} kill points of training");
}

#[test]
fn killed_at_every_operation_of_export_the_file_is_the_old_one_or_the_new_one() {
    let subject = Subject::new();
    subject.begin_on_old_file();
    let root = subject.root();
    let file = root.join("file.pkr");
    let all = operations(&mut subject.export(), &subject.place, &root, WRITING);
    for at in 1..=all.len() as u64 {
        subject.begin_on_old_file();
        let fault = Fault::kill(at);
        let ended = run(fault.arm(&mut subject.export(), &root, None));
        assert_eq!(ended.code, None, "{at}: {ended:?}");
        let bytes = fs::read(&file).unwrap();
        assert!(bytes == subject.old_file || bytes == subject.new_file);
        done(&mut subject.export());
        assert!(fs::read(&file).unwrap() == subject.new_file);
        assert_eq!(names(&root), ["file.pkr"]);
    }
    println!("{} kill points of export", all.len());
}

/// No space left on device, input/output error.
const ERRORS: [(&str, &str); 2] = [("28", "No space left"), ("5", "Input/output error")];

/// What an error may strike: not the end of a file's use, which loses nothing after a sync.
const FALLIBLE: &str = "open,mkdir,rename,write,fsync,ftruncate,flock";

/// It failed with the code for I/O, and one line that names a file under `root` and the system's reason.
fn clear(ended: &Ended, root: &Path, reason: &str, case: &str) {
    assert_eq!(ended.code, Some(4), "{case}: {ended:?}");
    let message = ended.message();
    let named = format!("pocketrank: {}/", root.display());
    let file = message.starts_with(&named);
    assert!(file && message.contains(reason), "{case}: {message}");
}

#[test]
fn after_a_full_disk_or_an_io_error_at_any_operation_training_goes_on_from_its_checkpoint() {
    let subject = Subject::new();
    // Removing an old result must not fail unseen either.
    let set = format!("{FALLIBLE},unlink");
    let root = subject.root();
    subject.begin_on_old_run();
    let all = operations(&mut subject.train(), &subject.place, &root, &set);
    let mut points = 0;
    for (i, (action, reason)) in ERRORS.into_iter().enumerate() {
        for ever in [false, true] {
            // Each operation meets one error once and the other for ever; the long run is all four.
            let step = if crate::program::setting("POCKETRANK_ALL_FAULTS", 0) > 0 {
                1
            } else {
                2
            };
            let first = 1 + (i + usize::from(ever)) % step;
            for at in (first..=all.len()).step_by(step) {
                subject.begin_on_old_run();
                let (set, at) = (set.as_str(), at as u64);
                let fault = Fault {
                    set,
                    at,
                    action,
                    ever,
                };
                let case = format!("{fault:?} {}", all[at as usize - 1]);
                let ended = run(fault.arm(&mut subject.train(), &root, None));
                clear(&ended, &root, reason, &case);
                subject.recovers(&all, at as usize, &case);
                points += 1;
            }
        }
    }
    println!("{points} errors in {} operations of training", all.len());
}

#[test]
fn after_a_full_disk_or_an_io_error_the_exported_file_is_the_old_one() {
    let subject = Subject::new();
    let root = subject.root();
    let file = root.join("file.pkr");
    subject.begin_on_old_file();
    let all = operations(&mut subject.export(), &subject.place, &root, FALLIBLE);
    let renamed = all.iter().position(|o| o.starts_with("rename ")).unwrap();
    for (action, reason) in ERRORS {
        for (ever, at) in [false, true]
            .into_iter()
            .flat_map(|e| (1..=all.len()).map(move |at| (e, at)))
        {
            subject.begin_on_old_file();
            let fault = Fault {
                set: FALLIBLE,
                at: at as u64,
                action,
                ever,
            };
            let case = format!("{fault:?} {}", all[at - 1]);
            let ended = run(fault.arm(&mut subject.export(), &root, None));
            clear(&ended, &root, reason, &case);
            // Once it is renamed only the durability of that is in doubt.
            let expected = if at - 1 > renamed {
                &subject.new_file
            } else {
                &subject.old_file
            };
            assert!(fs::read(&file).unwrap() == *expected, "{case}");
            // What cannot be locked cannot be removed either: it may be another's.
            let left = names(&root).len() - usize::from(all[at - 1].starts_with("flock "));
            assert_eq!(left, 1, "{case}");
        }
    }
    println!("4 errors in {} operations of export", all.len());
}

#[test]
fn an_error_while_reading_names_the_file_and_changes_nothing() {
    let subject = Subject::new();
    let place = &subject.place;
    let whole = place.root();
    let resume = || {
        let mut command = train(&place.model(), &place.path("new"));
        command.arg("--resume");
        command
    };
    let before = Result::of(&place.path("new"));
    let export = || export(&place.path("new"), &place.path("again.pkr"));
    let commands: [&dyn Fn() -> Command; 2] = [&resume, &export];
    for command in commands {
        let all = operations(&mut command(), place, &whole, "read");
        let _ = fs::remove_file(place.path("again.pkr"));
        let mut at = 1;
        while at <= all.len() {
            let fault = Fault {
                set: "read",
                at: at as u64,
                action: "5",
                ever: true,
            };
            let ended = run(fault.arm(&mut command(), &whole, None));
            clear(&ended, &whole, "Input/output error", &all[at - 1]);
            let name = all[at - 1].trim_start_matches("read ");
            assert!(ended.message().contains(name), "{name}: {ended:?}");
            assert!(!place.path("again.pkr").exists() && Result::of(&place.path("new")) == before);
            // A log is many reads that are all alike.
            at += if name.ends_with(".csv") { 7 } else { 1 };
        }
        println!("{} reads", all.len());
    }
}

/// Every rename is of a file whose last operation was a sync, and is followed by a sync of the folder.
#[test]
fn files_are_synced_before_they_are_renamed_and_folders_after() {
    let subject = Subject::new();
    let root = subject.root();
    subject.begin_on_old_run();
    let mut all = operations(
        &mut subject.train(),
        &subject.place,
        &root,
        "write,ftruncate,fsync,rename",
    );
    subject.begin_on_old_file();
    all.extend(operations(
        &mut subject.export(),
        &subject.place,
        &root,
        "write,ftruncate,fsync,rename",
    ));
    let renames: Vec<usize> = (0..all.len())
        .filter(|i| all[*i].starts_with("rename "))
        .collect();
    assert!(renames.len() > 8);
    for i in renames {
        let path = Path::new(all[i].trim_start_matches("rename "));
        let (folder, name) = (path.parent().unwrap(), path.file_name().unwrap().display());
        let part = format!("fsync {}/.{name}.0.part", folder.display());
        assert_eq!(all[i - 1], part);
        assert_eq!(all[i + 1], format!("fsync {}", folder.display()));
    }
}
