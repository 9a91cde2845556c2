//! As few bytes as a budget of loss allows.
use super::*;

fn within(auc_budget: f64) -> Options {
    Options {
        auto_bits: true,
        auc_budget,
        resamples: 20,
        ..Options::default()
    }
}

#[test]
fn tables_are_packed_as_long_as_the_budget_of_loss_allows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m");
    for even_second in [false, true] {
        let subject = subject(even_second);
        let bits =
            |auc_budget: f64| {
                let report = subject.export(&within(auc_budget), &path).unwrap();
                let budget = report.budget.unwrap();
                assert_eq!(
                    (budget.max_bytes, budget.bytes_before),
                    (None, subject.bytes())
                );
                assert!(budget.losses.iter().all(|(_, [before, after])| {
                    after.unwrap() <= before.unwrap().max(auc_budget)
                }));
                let of = |t: usize| budget.tables[t].bits[1];
                (report.bytes, [of(0), of(1)])
            };
        let one = if even_second { [8, 4] } else { [4, 8] };
        let (less, packed) = bits(0.005);
        assert_eq!(packed, one);
        let (least, packed) = bits(1.0);
        assert_eq!(packed, [4, 4]);
        assert!(least < less && less < subject.bytes());
        let (as_described, packed) = bits(0.0);
        assert!(packed == [8, 8] && as_described == subject.bytes() || packed == one);
    }
}

#[test]
fn stated_bits_stay_and_a_size_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m");
    let mut subject = subject(true);
    subject.pinned[1] = true;
    let report = subject.export(&within(1.0), &path).unwrap();
    let bits: Vec<u8> = report
        .budget
        .unwrap()
        .tables
        .iter()
        .map(|t| t.bits[1])
        .collect();
    assert_eq!(bits, [4, 8]);
    let options = Options {
        max_bytes: Some(subject.bytes()),
        ..within(1.0)
    };
    let budget = subject.export(&options, &path).unwrap().budget.unwrap();
    assert!(budget.tables.iter().all(|t| t.bits == [8, 8]));
}
