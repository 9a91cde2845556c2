//! Killed at random moments, resumed, exported: the bytes of a run that nobody touched.
use core::time::Duration;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::program::{
    Place, RUN_FILES, Random, Result, done, export, names, program, setting, train,
};
use crate::{faults, logs};

/// A simulated log, and a description that uses most of the trainer and checkpoints every 4 steps.
fn place() -> Place {
    let place = Place::empty();
    let out = place.root();
    let seed = ["simulate", "--rows", "3000", "--out"];
    done(program(seed).arg(&out));
    let mut text = fs::read_to_string(place.model()).unwrap();
    for (from, to) in [
        (
            "batch = 1024\nepochs = 5\n",
            "batch = 256\nepochs = 6\npatience = 0\nevaluate_every = 4\naverage = 0.95\nid_dropout = 0.1\n",
        ),
        ("experts = 4\n", "experts = 4\ndropout = 0.1\n"),
        ("[export]\n", "[export]\nauc_budget = 1.0\n"),
    ] {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    fs::write(place.model(), text).unwrap();
    place
}

/// Runs a child for so long, then kills it. True if it was killed, false if it had ended well before.
fn killed(command: &mut Command, after: Duration) -> bool {
    use std::os::unix::process::ExitStatusExt;
    let (out, err) = (Stdio::null(), Stdio::null());
    let mut child = command.stdout(out).stderr(err).spawn().unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(
        status.signal() == Some(9) || status.code() == Some(0),
        "{status:?}"
    );
    status.signal() == Some(9)
}

/// Kills of `POCKETRANK_KILLS` (12) that hit, at moments drawn by `POCKETRANK_KILL_SEED` (1).
#[test]
fn killed_at_random_and_resumed_is_byte_for_byte_never_killed() {
    let (wanted, seed) = (
        setting("POCKETRANK_KILLS", 12),
        setting("POCKETRANK_KILL_SEED", 1),
    );
    let place = place();
    let (run, file) = (place.path("whole"), place.path("whole.pkr"));
    let begin = Instant::now();
    done(&mut train(&place.model(), &run));
    let train_ms = begin.elapsed().as_millis() as u64;
    let begin = Instant::now();
    done(&mut export(&run, &file));
    let export_ms = begin.elapsed().as_millis() as u64;
    let (whole, whole_file) = (Result::of(&run), fs::read(&file).unwrap());
    println!("seed {seed}: training takes {train_ms} ms, export {export_ms} ms");

    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let (mut kills, mut in_export, mut rounds) = (0, 0, 0);
    while kills < wanted {
        rounds += 1;
        let (run, file) = (place.path("run"), place.path("file.pkr"));
        let mut line = String::new();
        let start = |resume: bool, random: &mut Random| {
            let mut command = train(&place.model(), &run);
            command.arg(format!("--threads={}", 1 + random.below(2)));
            if resume {
                command.arg("--resume");
            }
            command
        };
        // Once, then again during the resumption, and so on.
        let mut resume = false;
        loop {
            let after = Duration::from_millis(random.below(train_ms * 6 / 5 + 1));
            line += &format!(" {} ms", after.as_millis());
            if !killed(&mut start(resume, &mut random), after) {
                break;
            }
            kills += 1;
            resume = random.below(8) > 0;
            if random.below(3) == 0 {
                break;
            }
        }
        done(&mut start(true, &mut random));
        assert_eq!(Result::of(&run), whole, "killed after{line}");
        assert_eq!(names(&run), RUN_FILES);
        while random.below(2) == 0 {
            let after = Duration::from_millis(random.below(export_ms * 6 / 5 + 1));
            let hit = killed(&mut export(&run, &file), after);
            (kills, in_export) = (kills + u64::from(hit), in_export + u64::from(hit));
            let there = fs::read(&file).ok();
            assert!(there.is_none_or(|bytes| bytes == whole_file));
        }
        done(&mut export(&run, &file));
        assert!(fs::read(&file).unwrap() == whole_file);
        fs::remove_dir_all(&run).unwrap();
        fs::remove_file(&file).unwrap();
        println!("round {rounds}:{line}");
    }
    let parts: Vec<String> = names(&place.root())
        .into_iter()
        .filter(|n| n.contains(".part"))
        .collect();
    assert_eq!(parts, [""; 0]);
    println!("{kills} kills ({in_export} of exports) in {rounds} rounds survived");
}

/// Trains and exports, every child changed by `change`.
fn trained(place: &Place, name: &str, change: &dyn Fn(&mut Command)) -> (Result, Vec<u8>) {
    let (run, file) = (place.path(name), place.path(&format!("{name}.pkr")));
    for mut command in [train(&place.model(), &run), export(&run, &file)] {
        change(&mut command);
        done(&mut command);
    }
    (Result::of(&run), fs::read(file).unwrap())
}

#[test]
fn one_thread_and_two_give_the_same_bytes() {
    let place = place();
    let threads = |n: &'static str| {
        trained(&place, n, &move |command| {
            command.env("RAYON_NUM_THREADS", n);
            if command.get_args().next() == Some("train".as_ref()) {
                command.args(["--threads", n]);
            }
        })
    };
    assert!(threads("1") == threads("2"));
}

/// Where the sun stands elsewhere, numbers have commas and the lower case of I is no i.
fn elsewhere(command: &mut Command) {
    command.env("TZ", "Asia/Kathmandu");
    for variable in ["LC_ALL", "LC_NUMERIC", "LANG"] {
        command.env(variable, "tr_TR.UTF-8");
    }
}

#[test]
fn a_run_that_is_resumed_in_another_locale_and_time_zone_is_the_same() {
    let place = Place::new(&logs::log(), logs::MODEL);
    let here = |command: &mut Command| {
        command.env("TZ", "UTC").env("LC_ALL", "C");
    };
    let whole = trained(&place, "here", &here);
    assert!(trained(&place, "elsewhere", &elsewhere) == whole);

    // A checkpoint of the middle of the run, from here.
    let (run, file) = (place.path("both"), place.path("both.pkr"));
    let mut first = train(&place.model(), &run);
    here(&mut first);
    faults::killed_at(&mut first, &run, "rename", 8);
    assert!(run.join("checkpoint.bin").exists() && !run.join("parameters.bin").exists());
    let mut second = train(&place.model(), &run);
    elsewhere(&mut second);
    done(second.arg("--resume"));
    let mut third = export(&run, &file);
    elsewhere(&mut third);
    done(&mut third);
    assert!((Result::of(&run), fs::read(file).unwrap()) == whole);
}
