//! The arguments of every subcommand.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Multi-objective ranking on the phone: train, export and inspect the one file that the phone reads.
///
/// Exit codes: 0 done, 1 refused by a stated budget or check (or training diverged), 2 wrong usage or description,
/// 3 bad data, 4 I/O, 5 another process trains in the folder, 130 interrupted (after a checkpoint).
#[derive(Parser)]
#[command(name = "pocketrank", version, max_term_width = 100)]
pub struct Cli {
    /// Print one JSON object on standard output instead of tables.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// The whole path on a simulated feed: simulate, train, export, open as a phone would, re-rank.
    Demo(Demo),
    /// Write the log of a simulated feed with a known truth, and a matching description.
    Simulate(Simulate),
    /// Test a description, and its data if given; nothing is trained.
    Check(Check),
    /// Train the model of a description.
    Train(Train),
    /// Make a run of a model that was trained elsewhere: a description and its tensors.
    Import(Import),
    /// Train the variants of an experiment with several seeds, and hold them against the first.
    Compare(Compare),
    /// Measure a run or an exported file on a log.
    Eval(Eval),
    /// Measure what each group of features is worth to each task of a run.
    Importance(Importance),
    /// Quantize a run into a file, reopen it, replay it, and refuse it past its budget.
    Export(Export),
    /// Find the fusion's weights on a log: the most of a reward while others stay where they must.
    Tune(Box<Tune>),
    /// Say what a file holds.
    Inspect(Inspect),
    /// Rank one request of a log with an exported file.
    Rank(Rank),
    /// Write the last requests of a log to a file, as an app would send them: for its tests and for the examples.
    Requests(Requests),
    /// Check a formula against an exported file, say what it costs, and write it to a file of its own.
    Formula(Formula),
    /// Time an exported file on this machine, with random requests.
    Bench(Bench),
}

#[derive(Args)]
pub struct Demo {
    /// Where to leave the log, the run and the file; a temporary folder if not given.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Rows of the simulated log.
    #[arg(long, default_value_t = 200_000)]
    pub rows: u64,
    /// Seed of the simulation and of training.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

#[derive(Args)]
pub struct Simulate {
    /// Rows of the log.
    #[arg(long, default_value_t = 100_000)]
    pub rows: u64,
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Folder for log, truth, side tables and model.toml.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Write .csv.gz instead of .csv.
    #[arg(long, conflicts_with = "parquet")]
    pub gzip: bool,
    /// Write .parquet instead of .csv.
    #[arg(long)]
    pub parquet: bool,
    /// Close the loop: let this file order the simulated feed, and print what users did.
    #[arg(long, value_name = "FILE.pkr", requires = "model")]
    pub policy: Option<PathBuf>,
    /// Description that the policy was trained with.
    #[arg(long, value_name = "MODEL.toml")]
    pub model: Option<PathBuf>,
    /// Sessions of the closed loop.
    #[arg(long, default_value_t = 2_000)]
    pub sessions: u64,
    /// Strength of title bait; 0 removes its effect.
    #[arg(long)]
    pub bait: Option<f64>,
    /// Strength of the preference for long videos once clicked; 0 removes its effect.
    #[arg(long)]
    pub length_preference: Option<f64>,
    /// Strength of short videos' higher completion; 0 removes its effect.
    #[arg(long)]
    pub short_completion: Option<f64>,
    /// Correlation of the tasks; 0 removes it.
    #[arg(long)]
    pub task_correlation: Option<f64>,
}

#[derive(Args)]
pub struct Check {
    /// Model description.
    #[arg(value_name = "MODEL.toml")]
    pub model: PathBuf,
    /// Log file, or the folder of the description's files. Without it, and without the description's own files,
    /// only the description is tested.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Test the description alone.
    #[arg(long, conflicts_with = "data")]
    pub no_data: bool,
}

#[derive(Args)]
pub struct Train {
    /// Model description.
    #[arg(value_name = "MODEL.toml")]
    pub model: PathBuf,
    /// Folder of the run: checkpoints, the fitted features, the report. Without --resume, a run that is there is replaced.
    #[arg(long)]
    pub out: PathBuf,
    /// Log file, or the folder of the description's files.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Overrides the description's seed.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Threads; 0 is one a core. The result does not depend on it.
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// Go on from the run's checkpoint, given the same arguments; begin if there is none.
    #[arg(long)]
    pub resume: bool,
    /// Start from the parameters of another run of the same features, network and tasks; vocabularies may grow.
    #[arg(long, value_name = "RUN")]
    pub from: Option<PathBuf>,
}

#[derive(Args)]
pub struct Import {
    /// Model description.
    #[arg(value_name = "MODEL.toml")]
    pub model: PathBuf,
    /// The tensors, by the names that --list prints and docs/import.md explains.
    #[arg(
        long,
        value_name = "FILE.safetensors",
        required_unless_present = "list"
    )]
    pub weights: Option<PathBuf>,
    /// Folder of the run, which export, eval, importance and train --from take. A run that is there is replaced.
    #[arg(long, value_name = "RUN", required_unless_present = "list")]
    pub out: Option<PathBuf>,
    /// Log file, or the folder of the description's files: teaches ranges, means and boundaries that neither tensors
    /// nor description state. Without it, export has no rows to correct biases on.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Print the names and shapes of the tensors, and the order of the first layer's inputs; import nothing.
    #[arg(long, conflicts_with_all = ["weights", "out", "data"])]
    pub list: bool,
}

#[derive(Args)]
pub struct Compare {
    /// Experiment: a base description, seeds and variants.
    #[arg(value_name = "EXPERIMENT.toml")]
    pub experiment: PathBuf,
    /// Folder of the runs and of report.html. Runs that are there and still hold are kept; after an interrupt, the same
    /// command goes on.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Log file, or the folder of the descriptions' files.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Threads; 0 is one a core. The result does not depend on it.
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
}

#[derive(Args)]
pub struct Eval {
    /// Run folder or exported file.
    #[arg(value_name = "RUN|FILE.pkr")]
    pub subject: PathBuf,
    /// Model description.
    #[arg(value_name = "MODEL.toml")]
    pub model: PathBuf,
    /// Log file, or the folder of the description's files.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Which rows: the description's validation part, or all.
    #[arg(long, default_value = "validation", value_parser = ["validation", "all"])]
    pub rows: String,
    /// Measure parts too: new-user (no row in the log's training part), unseen:FEATURE (an id out of vocabulary), or
    /// bucket:FEATURE (a number with buckets), or label:LABEL (where it is positive; a label may be any expression).
    /// May be given more than once.
    #[arg(long)]
    pub slice: Vec<String>,
    /// The truth of a simulated log: measure the gap to the best prediction possible, too.
    #[arg(long, value_name = "TRUTH")]
    pub truth: Option<PathBuf>,
    /// Measure orders by a weighted sum of labels, such as "click + 0.02 * watch": NDCG@10 of each task's score and, of an
    /// exported file, of the fused score.
    #[arg(long, value_name = "LABELS")]
    pub utility: Option<String>,
    /// Write the log with the scores of the measured rows as columns score_TASK: what a smaller model learns from (teacher).
    #[arg(long, value_name = "FILE.csv")]
    pub scores: Option<PathBuf>,
    /// Of a run with [position_bias]: score each row at the reference, as the exported file does, or where it was shown.
    #[arg(long, default_value = "reference", value_parser = ["reference", "shown"])]
    pub positions: String,
}

#[derive(Args)]
pub struct Importance {
    /// Run folder.
    pub run: PathBuf,
    /// Log file or folder, if not where the run found it.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Permutations of each group.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub repeats: u32,
    /// Of the permutations.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

#[derive(Args)]
pub struct Export {
    /// Run folder.
    pub run: PathBuf,
    /// The file to write.
    #[arg(short, value_name = "FILE.pkr")]
    pub output: PathBuf,
    /// Log file or folder, if not where the run found it.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Largest size of the file: tables get 4 bits a value and rare ids lose their rows until it fits, the least harmful first.
    #[arg(long, value_name = "BYTES")]
    pub max_bytes: Option<usize>,
    /// Bits of a value in every table, 4 or 8, instead of what the description says.
    #[arg(long, value_parser = bits)]
    pub bits: Option<u8>,
    /// Take the fusion from this description of the same features and tasks instead of the run's.
    #[arg(long, value_name = "MODEL.toml")]
    pub fusion: Option<PathBuf>,
    /// Say what each table and layer loses to the device's grids.
    #[arg(long)]
    pub layers: bool,
}

fn bits(text: &str) -> Result<u8, String> {
    match text {
        "4" => Ok(4),
        "8" => Ok(8),
        _ => Err("4 or 8".into()),
    }
}

#[derive(Args)]
pub struct Tune {
    /// Exported file.
    #[arg(value_name = "FILE.pkr")]
    pub file: PathBuf,
    /// Model description: names the log's columns.
    #[arg(value_name = "MODEL.toml")]
    pub model: PathBuf,
    /// Log file, or the folder of the description's files.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Folder for weights.toml, report.json and front.svg.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// A weighted sum of labels and log columns, as "watch_seconds + 20 * like"; what is missing counts 0.
    #[arg(long, value_name = "REWARD")]
    pub maximise: String,
    /// A reward and the bound that it must keep, as "like >= current" or "complete >= 0.3". May be given more than once.
    #[arg(long, value_name = "CONSTRAINT")]
    pub subject_to: Vec<String>,
    /// Reward of the front's other axis; that of the first constraint if not given.
    #[arg(long, value_name = "REWARD")]
    pub pareto: Option<String>,
    /// Requests whose rows were shown in uniformly random order: an expression over log columns. Without it, the logged
    /// rows are ordered again, which is no causal estimate.
    #[arg(long, value_name = "EXPRESSION")]
    pub random: Option<String>,
    /// Column of the position, 0 or 1 on top; features of it are scored at the top. Without it, rows of a request stand as shown.
    #[arg(long, value_name = "COLUMN")]
    pub position: Option<String>,
    /// Which requests: the description's validation part, or all.
    #[arg(long, default_value = "validation", value_parser = ["validation", "all"])]
    pub rows: String,
    /// What is ordered: the rows of a request, or all rows of a user.
    #[arg(long, default_value = "request", value_parser = ["request", "user"])]
    pub lists: String,
    /// Share of the requests, the last ones, that the search does not see and the report is about.
    #[arg(long, default_value_t = 0.3)]
    pub held_out: f64,
    /// Weights to start from and to hold against, in the order of the terms; the file's if not given.
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true)]
    pub current: Option<Vec<f32>>,
    /// A formula to tune instead of the file's fusion, written by `pocketrank formula`.
    #[arg(long, value_name = "FORMULA.pkf")]
    pub formula: Option<PathBuf>,
    /// Learn a monotone network of so many units over the tasks' quantiles as well, and hold it against the tuned weights.
    #[arg(long, value_name = "UNITS", value_parser = units)]
    pub learn: Option<usize>,
    /// Standard errors that the search takes off the gain, and by which it keeps constraints.
    #[arg(long, default_value_t = 1.0)]
    pub margin: f64,
    /// Largest count of a row in a list in random order, in multiples of the mean.
    #[arg(long, default_value_t = 10.0)]
    pub clip: f64,
    /// Searches, the first from the current weights, the others from anywhere.
    #[arg(long, default_value_t = 3, value_parser = starts)]
    pub starts: usize,
    /// Of the search and the intervals.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Threads; 0 is one a core. The result does not depend on it.
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
}

fn units(text: &str) -> Result<usize, String> {
    let units = text.parse().ok().filter(|n| (1..=8).contains(n));
    units.ok_or_else(|| "1 to 8".into())
}

fn starts(text: &str) -> Result<usize, String> {
    let starts = text.parse().ok().filter(|n| (1..=100).contains(n));
    starts.ok_or_else(|| "1 to 100".into())
}

#[derive(Args)]
pub struct Inspect {
    /// Exported file.
    #[arg(value_name = "FILE.pkr")]
    pub file: PathBuf,
}

#[derive(Args)]
pub struct Bench {
    /// Exported file.
    #[arg(value_name = "FILE.pkr")]
    pub file: PathBuf,
    /// Candidates of a request, 1 to 4096; several numbers are measured one after the other.
    #[arg(long, value_delimiter = ',', default_value = "1,50,200,500")]
    pub candidates: Vec<usize>,
    /// Seconds for each number of candidates.
    #[arg(long, default_value_t = 1.0)]
    pub seconds: f64,
    /// Requests a second, as an app asks that scrolls; 0: one right after the other.
    #[arg(long, default_value_t = 0.0, value_name = "HERTZ")]
    pub frequency: f64,
    /// Use plain code instead of the best instruction set of this CPU.
    #[arg(long)]
    pub portable: bool,
}

#[derive(Args)]
pub struct Rank {
    /// Exported file.
    #[arg(value_name = "FILE.pkr")]
    pub file: PathBuf,
    /// Model description: names the log's columns.
    #[arg(value_name = "MODEL.toml")]
    pub model: PathBuf,
    /// Log file, or the folder of the description's files.
    #[arg(long)]
    pub log: Option<PathBuf>,
    /// Request, as the log writes it; without a request column, its number from 0.
    #[arg(long)]
    pub request: String,
    /// Candidates to print.
    #[arg(long, default_value_t = 10)]
    pub top: usize,
    /// Print every task's score and every term of the fusion, and for the first candidate (or --candidate) its gates and what
    /// each group of features does.
    #[arg(long)]
    pub explain: bool,
    /// The candidate to explain, by its index.
    #[arg(long, requires = "explain")]
    pub candidate: Option<usize>,
    /// A formula in place of the file's fusion, written by `pocketrank formula`.
    #[arg(long, value_name = "FORMULA.pkf")]
    pub formula: Option<PathBuf>,
}

#[derive(Args)]
pub struct Requests {
    /// Exported file.
    #[arg(value_name = "FILE.pkr")]
    pub file: PathBuf,
    /// Model description: names the log's columns.
    #[arg(value_name = "MODEL.toml")]
    pub model: PathBuf,
    /// The file to write.
    #[arg(short, value_name = "FILE.req")]
    pub output: PathBuf,
    /// Log file, or the folder of the description's files.
    #[arg(long)]
    pub log: Option<PathBuf>,
    /// Requests at most.
    #[arg(long, default_value_t = 100)]
    pub count: usize,
}

#[derive(Args)]
pub struct Formula {
    /// Exported file of the model that the formula is for.
    #[arg(value_name = "FILE.pkr")]
    pub file: PathBuf,
    /// The formula, as in `[fusion] formula`; without it that of the file is shown.
    pub formula: Option<String>,
    /// A named weight, `name=value` or `name=value:min:max`; may be repeated.
    #[arg(long = "weight", value_name = "NAME=VALUE[:MIN:MAX]")]
    pub weights: Vec<String>,
    /// Write it to this file, which is shipped apart from the model.
    #[arg(short, value_name = "FORMULA.pkf")]
    pub output: Option<PathBuf>,
}
