//! The closed loop.

use std::prelude::v1::*;

use super::super::measure::three_policies;
use super::super::{Feed, RequestView, SimulateError, SimulateOptions, run_policy};

fn feed() -> Feed {
    Feed::new(SimulateOptions {
        rows: 20_000,
        seed: 2,
        ..SimulateOptions::default()
    })
    .unwrap()
}

#[test]
fn better_rankers_keep_users_longer() {
    let feed = feed();
    let [none, click, fused] = three_policies(&feed, 300).unwrap();
    assert!(click.clicks / click.views > none.clicks / none.views * 1.3);
    assert!(fused.watch_seconds > 1.2 * none.watch_seconds);
    assert!(fused.watch_seconds / fused.views > 1.2 * click.watch_seconds / click.views);
    assert!(fused.requests > none.requests);
    assert!(click.bait_share > 2.0 * fused.bait_share);
}

#[test]
fn history_shows_labels_with_the_time_they_are_known() {
    let feed = feed();
    let (mut known, mut waiting) = (0, 0);
    let report = run_policy(
        &feed,
        |view: &RequestView<'_>| {
            for row in view.history {
                let (click, click_at) = row.label("click").unwrap();
                assert!(click_at < view.request.time && row.time < view.request.time);
                assert_eq!(row.label("watch_seconds").is_some(), click == 1.0);
                assert_eq!(row.label("no such label"), None);
                if let Some((_, at)) = row.label("share") {
                    if at < view.request.time {
                        known += 1
                    } else {
                        waiting += 1
                    }
                }
            }
            (0..40).rev().collect()
        },
        20,
        1,
    )
    .unwrap();
    assert_eq!(report.sessions, 20);
    assert!(known > 0 && waiting > 0);
}

#[test]
fn an_order_that_is_not_one_is_refused() {
    let feed = feed();
    for order in [
        vec![],
        vec![0; 40],
        (0..11).collect(),
        (30..50).collect::<Vec<u32>>(),
    ] {
        let result = run_policy(&feed, |_| order.clone(), 1, 1);
        assert!(matches!(result, Err(SimulateError::Order(_))), "{order:?}");
    }
}
