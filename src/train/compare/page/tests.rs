#![allow(clippy::unwrap_used)]
use super::*;
use crate::train::compare::gather::tests::comparison;

#[test]
fn a_page_is_whole_in_itself_and_escapes_every_name() {
    let c = comparison(["a\"&'", "<script>alert(1)</script>", "c"]);
    let html = page(&c).unwrap();
    assert!(!html.contains("<script"), "{html}");
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(html.contains("no &lt;positive&gt; row"));
    // Nothing is fetched: the only addresses are the names of SVG's namespace.
    let rest = html.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for word in ["http", "src=", "href=", "url(", "@import"] {
        assert!(!rest.contains(word), "{word}");
    }
    let opened = html.matches("<svg ").count();
    assert!(
        opened >= 6 && opened == html.matches("</svg>").count(),
        "{opened}"
    );
    let html = &html[html.find("<body").unwrap()..];
    assert_eq!(
        html.matches("<th").count() - html.matches("<thead").count(),
        html.matches("scope=\"").count()
    );
}

#[test]
fn equal_results_make_equal_pages_and_absent_parts_no_plots() {
    let of = || page(&comparison(["a", "b", "c"])).unwrap();
    assert_eq!(of(), of());
    assert!(!of().contains("Use of the experts") && !of().contains("Effective task weights"));
    let mut c = comparison(["a", "b", "c"]);
    for view in c
        .variants
        .iter_mut()
        .flat_map(|v| v.views.iter_mut().flatten())
    {
        let health = serde_json::json!({"gates": [[0.3, 0.7], [0.5, 0.5]], "gate_entropy": [0.61, 0.69], "expert_cosine": [[1.0, 0.25], [0.25, 1.0]], "warnings": ["expert <2> idle"]});
        view.health = serde_json::from_value(health).unwrap();
        view.history
            .iter_mut()
            .for_each(|e| e.weights = vec![0.5, 1.5]);
    }
    let html = page(&c).unwrap();
    for words in [
        "Use of the experts",
        "expert 2",
        "Effective task weights",
        "0.610 ± 0.000",
        "0.250 ± 0.000",
        "expert &lt;2&gt; idle",
    ] {
        assert!(html.contains(words), "{words}");
    }
}

#[test]
fn a_page_without_any_result_says_so() {
    let mut c = comparison(["a", "b", "c"]);
    for v in &mut c.variants {
        v.runs
            .iter_mut()
            .for_each(|r| r.state = crate::train::compare::result::State::Begun { seconds: 0.0 });
    }
    let runs = c.variants.iter().map(|v| {
        crate::train::compare::gather::VariantRuns::new(v.name.clone(), Vec::new(), v.runs.clone())
    });
    let empty = Comparison::new(
        c.experiment.clone(),
        Vec::new(),
        c.seeds.clone(),
        runs.collect(),
    );
    let html = page(&empty).unwrap();
    assert!(html.contains("What failed") && html.contains("0 of 2") && !html.contains("<svg"));
}
