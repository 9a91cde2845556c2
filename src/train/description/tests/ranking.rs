//! Ranking tasks, losses over lists and teachers: what is right, and what each mistake is told.
use super::*;
use crate::train::loss::list::ListLoss;

/// A ranking task behind the others, and whole requests.
fn model() -> String {
    let rank = "[[task]]\nname = \"value\"\nkind = \"rank\"\nutility = { click = 1.0, watch = 0.02 }\nloss = \"pairwise\"\n";
    MODEL.replace("[train]", &format!("{rank}[train]\nwhole_requests = true"))
}

#[allow(unused_qualifications)] // Two globs have a `Result`.
fn parsed(replace: &str, with: &str) -> core::result::Result<Description, Error> {
    parsed_with(&model(), replace, with)
}

#[test]
fn every_loss_and_teacher_is_read() {
    let click = "name = \"click\"\nkind = \"binary\"\n";
    let watch = "kind = \"duration\"\n";
    let of = |d: &Description, task: &str| {
        let options = d.task_options().unwrap();
        options[d.task(task).unwrap()]
    };
    let d = parsed("click = 1.0", "click = 3.0").unwrap();
    assert_eq!(d.learnt_labels(&d.toml.task[2]), [(0, 3.0), (1, 0.02)]);
    for (line, want) in [
        ("loss = \"pairwise\"", ListLoss::Pairwise),
        ("", ListLoss::Softmax),
        ("loss = \"listnet\"", ListLoss::ListNet),
        ("loss = \"lambdarank\"", ListLoss::LambdaRank(10)),
        (
            "loss = \"lambdarank\"\nndcg_at = 0",
            ListLoss::LambdaRank(0),
        ),
    ] {
        let d = parsed("loss = \"pairwise\"", line).unwrap();
        assert_eq!(of(&d, "value").list, Some(want));
    }
    for (line, want) in [
        ("loss = \"jrc\"", ListLoss::Jrc(0.5)),
        (
            "loss = \"rcr\"\nlist_weight = 0.2",
            ListLoss::RegressionCompatible(0.2),
        ),
    ] {
        let d = parsed(click, &format!("{click}{line}\n")).unwrap();
        assert_eq!(of(&d, "click").list, Some(want));
    }
    let label = parsed(
        "utility = { click = 1.0, watch = 0.02 }",
        "label = \"watch\"",
    )
    .unwrap();
    assert_eq!(label.learnt_labels(&label.toml.task[2]), [(1, 1.0)]);
    let teacher =
        "teacher = { column = \"t\", of = \"logit\", temperature = 2.0, form = \"pairwise\" }\n";
    let taught = parsed(click, &format!("{click}{teacher}")).unwrap();
    let teaching = of(&taught, "click").teaching.unwrap();
    assert_eq!(
        (teaching.weight, teaching.temperature, teaching.pairs),
        (0.5, 2.0, true)
    );
    let taught = parsed(watch, &format!("{watch}teacher = {{ column = \"t\" }}\n")).unwrap();
    assert!(!of(&taught, "watch").teaching.unwrap().pairs);
}

#[test]
fn every_mistake_of_a_ranking_task_is_one_line_with_its_place() {
    let click = |lines: &str| {
        let task = "name = \"click\"\nkind = \"binary\"\n";
        (task, format!("{task}{lines}\n"))
    };
    let watch = |lines: &str| {
        (
            "kind = \"duration\"\n",
            format!("kind = \"duration\"\n{lines}\n"),
        )
    };
    let value = |from: &'static str, to: &str| (from, to.to_string());
    let loss = "loss = \"pairwise\"\n";
    let cases: Vec<((&str, String), &str)> = vec![
        (
            value("watch = 0.02", "wach = 0.02"),
            "unknown label \"wach\"; did you mean \"watch\"?",
        ),
        (
            value("watch = 0.02", "watch = -1"),
            "the factor of \"watch\" is -1; 0.000001 to 1000000",
        ),
        (
            value("kind = \"rank\"", "kind = \"binary\""),
            "has a utility, which only ranking tasks have",
        ),
        (
            value("kind = \"rank\"", "kind = \"rank\"\nlabel = \"click\""),
            "task \"value\" has label and utility; one of them",
        ),
        (
            value(loss, "loss = \"pairwise\"\ncalibration = \"platt\"\n"),
            "has calibration, which only binary tasks have",
        ),
        (
            value(loss, "loss = \"jrc\"\n"),
            "cannot have this loss; ranking tasks have one of \"pairwise\", \"listnet\", \"softmax\", \"lambdarank\"",
        ),
        (
            value(loss, "loss = \"pairwise\"\nndcg_at = 5\n"),
            "has ndcg_at, which the loss \"lambdarank\" has",
        ),
        (
            value(loss, "loss = \"pairwise\"\nweight_column = \"w\"\n"),
            "learns from lists, which have no weight_column",
        ),
        (
            value("whole_requests = true", ""),
            "task \"value\" learns from lists; [train] needs whole_requests = true",
        ),
        (
            value(loss, "loss = \"paiwise\"\n"),
            "unknown variant `paiwise`",
        ),
        (
            click("loss = \"pairwise\""),
            "task \"click\" cannot have this loss",
        ),
        (
            click("loss = \"jrc\"\nlist_weight = 1.0"),
            "list_weight is 1; above 0 and below 1",
        ),
        (
            click("list_weight = 0.5"),
            "has list_weight, which the losses \"jrc\" and \"rcr\" have",
        ),
        (
            click("loss = \"rcr\"\nkeep_negatives = 0.5"),
            "learns from lists, which have no keep_negatives",
        ),
        (
            click("loss = \"rcr\"\nteacher = { column = \"t\" }"),
            "it takes neither loss nor entire_space then",
        ),
        (
            click("teacher = { column = \"t\", weight = 1.5 }"),
            "weight of the teacher is 1.5; above 0 and at most 1",
        ),
        (
            click("teacher = { column = \"t\", temperature = 0 }"),
            "temperature is 0; 0.1 to 100",
        ),
        (
            click("teacher = { column = \"t\", form = \"list\" }"),
            "unknown \"list\"; one of \"pointwise\", \"pairwise\"",
        ),
        (
            click("teacher = { colum = \"t\" }"),
            "unknown key \"colum\"; did you mean \"column\"?",
        ),
        (
            watch("teacher = { column = \"t\", temperature = 2.0 }"),
            "it has neither of, form nor temperature",
        ),
        (
            watch("loss = \"jrc\""),
            "task \"watch\" cannot have this loss",
        ),
        (
            value(loss, "teacher = { column = \"t\" }\n"),
            "binary and duration tasks have one",
        ),
        (
            value(
                "[train]\n",
                "[[task]]\nname = \"late\"\nlabel = \"click\"\nkind = \"binary\"\ninputs = [{ task = \"value\", value = \"probability\" }]\n[train]\n",
            ),
            "task \"value\" is not binary; it has a logit, but no probability",
        ),
        (
            value(
                "[train]\n",
                "[[task]]\nname = \"late\"\nlabel = \"click\"\nkind = \"binary\"\nspace = \"value\"\n[train]\n",
            ),
            "task \"value\" is not binary; a space is its positives",
        ),
    ];
    for ((replace, with), message) in cases {
        let error = parsed(replace, &with).unwrap_err().to_string();
        assert!(
            error.starts_with("m.toml:") && error.contains(message) && error.lines().count() == 1,
            "{with}: {error}"
        );
    }
    let unlisted = model().replace("time = \"time\"\n", "").replace(
        "[[feature]]\nname = \"last\"\nkind = \"last_ids\"\nof = \"item\"\nlabel = \"click\"\n",
        "",
    );
    let error = Description::parse(Path::new("m.toml"), unlisted).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("[data] needs request, or user and time"),
        "{error}"
    );
}
