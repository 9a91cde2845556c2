//! Small logs and their descriptions.
use crate::program::Random;

/// A description of [`log`]: ids, a number with buckets, a derived rate, the hour, two tasks.
pub const MODEL: &str = r#"
[data]
path = "log.csv"
user = "user"
request = "request"
time = "time"
time_unit = "iso"
validation = { last = 0.2 }

[data.columns]
hour = { of = "time", part = "hour", offset_hours = 8 }

[[label]]
name = "click"
delay = 10

[[label]]
name = "watch"
delay = 60
log1p = true

[[feature]]
name = "user"
side = "user"
kind = "id"
dim = 4
vocabulary = { min_count = 1 }

[[feature]]
name = "item"
side = "item"
kind = "id"
id_type = "string"
dim = 4
vocabulary = { min_count = 1 }

[[feature]]
name = "length"
side = "item"
kind = "number"
transform = ["log1p", "standardize"]
buckets = 4
dim = 2

[[feature]]
name = "hour"
side = "user"
kind = "number"
transform = ["minmax"]

[[feature]]
name = "click_rate"
kind = "rate"
label = "click"
half_life_events = 20
buckets = 3
dim = 2

[network]
kind = "mmoe"
experts = 2
expert_layers = [8]
tower_layers = [4]

[[task]]
name = "click"
kind = "binary"

[[task]]
name = "watch"
kind = "duration"
space = "click"

[train]
batch = 100
epochs = 2
lr = 0.01
embedding_lr = 0.01
evaluate_every = 3
average = 0.9
patience = 0

[[fusion.term]]
task = "click"
weight = 1.0

[export]
name = "small"
auc_budget = 0.5
"#;

/// The header of [`log`].
pub const HEADER: &str = "user,request,time,item,length,click,watch\n";

/// Rows in requests of five, three minutes apart, of users `users` and items `items`: liked by parity, longer if longer.
pub fn rows(
    rows: usize,
    first_request: usize,
    users: core::ops::Range<u64>,
    items: core::ops::Range<u64>,
) -> String {
    let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ (first_request as u64 + 1));
    let mut log = String::new();
    let mut user = 0;
    for row in 0..rows {
        let request = first_request + row / 5;
        if row % 5 == 0 {
            user = users.start + random.below(users.end - users.start);
        }
        let item = items.start + random.below(items.end - items.start);
        let length = 5 + item * 7 % 90;
        let likes = if (user + item).is_multiple_of(2) {
            7
        } else {
            2
        };
        let click = u64::from(random.below(10) < likes);
        let watch = click * (1 + random.below(length));
        let minutes = request * 3;
        let (day, hour, minute) = (1 + minutes / 1440, minutes / 60 % 24, minutes % 60);
        log += &format!(
            "{user},{request},2023-03-{day:02}T{hour:02}:{minute:02}:00,item {item},{length},{click},{watch}\n"
        );
    }
    log
}

/// A log for [`MODEL`].
pub fn log() -> String {
    format!("{HEADER}{}", rows(1000, 0, 0..30, 0..40))
}
