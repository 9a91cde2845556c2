//! The table and the plot.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::fusions::fusions;
use crate::models::VARIANTS;
use crate::{Result, Row};

/// The largest change of watch time, likes and bait share against the first model, each as a share of it.
fn changes(first: &[f64; 4], other: &[f64; 4]) -> [f64; 3] {
    [1, 2, 3].map(|i| (other[i] / first[i] - 1.0).abs())
}

pub fn print(table: &[Row]) {
    println!(
        "| model | fusion | watch s | likes | bait share | off the first model, % | off the model of the same orders, % | utility / raw tuned again |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut sums = [[0.0; 3]; 2];
    let mut worst = [f64::INFINITY; 3];
    let fusions = fusions();
    for (i, frozen, again) in table {
        let percent = |change: [f64; 3]| change.map(|c| format!("{:.1}", 100.0 * c)).join(" / ");
        let variant = &VARIANTS[*i];
        for (f, fusion) in fusions.iter().enumerate() {
            let m = &frozen[f];
            let off = |model: usize| changes(&table[model].1[f], m);
            sums[0][f] += off(0).iter().sum::<f64>();
            let same = variant.same_as.map(off);
            sums[1][f] += same.map_or(0.0, |off| off.iter().sum::<f64>());
            worst[f] = worst[f].min(m[0] / again[0]);
            println!(
                "| {} | {} | {:.1} | {:.3} | {:.3} | {} | {} | {:.4} |",
                variant.name,
                fusion.name,
                m[1],
                m[2],
                m[3],
                percent(off(0)),
                same.map_or(String::new(), percent),
                m[0] / again[0]
            );
        }
        println!(
            "| {} | raw, tuned again | {:.1} | {:.3} | {:.3} | {} | | 1 |",
            variant.name,
            again[1],
            again[2],
            again[3],
            percent(changes(&table[0].1[0], again))
        );
    }
    let scores_alone = VARIANTS.iter().filter(|v| v.same_as.is_some()).count();
    for (f, fusion) in fusions.iter().enumerate() {
        let mean = |k: usize, models: usize| 100.0 * sums[k][f] / (3 * models) as f64;
        println!(
            "{}: mean change off the first model {:.2} % (raw has {:.2} times as much); where scores alone moved {:.2} %; least utility {:.4}",
            fusion.name,
            mean(0, table.len() - 1),
            sums[0][0] / sums[0][f],
            mean(1, scores_alone),
            worst[f]
        );
    }
}

/// Of raw scores, quantiles and ranks: told apart by who sees no red or green (Okabe and Ito's).
const COLORS: [RGBColor; 3] = [
    RGBColor(110, 110, 110),
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
];

/// Changes of the three metrics by model and fusion.
pub fn plot(table: &[Row], path: &Path) -> Result<()> {
    let root = SVGBackend::new(path, (900, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let first = table[0].1;
    let most = table
        .iter()
        .flat_map(|(_, frozen, _)| (0..3).map(|f| changes(&first[f], &frozen[f])))
        .map(|c| 100.0 * c.iter().sum::<f64>() / 3.0)
        .fold(1.0, f64::max);
    let models = table.len() - 1;
    let mut chart = ChartBuilder::on(&root)
        .caption(
            "Change of the top ten with frozen weights",
            ("sans-serif", 18),
        )
        .margin(10)
        .x_label_area_size(60)
        .y_label_area_size(55)
        .build_cartesian_2d(0.0..models as f64, 0.0..most * 1.1)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .y_desc("mean change of watch time, likes, bait, %")
        .draw()?;
    for (f, fusion) in fusions().iter().enumerate() {
        let color = COLORS[f];
        chart
            .draw_series(table.iter().skip(1).enumerate().map(|(i, (_, frozen, _))| {
                let change = changes(&first[f], &frozen[f]).iter().sum::<f64>() / 3.0;
                let left = i as f64 + 0.14 + 0.24 * f as f64;
                Rectangle::new([(left, 0.0), (left + 0.22, 100.0 * change)], color.filled())
            }))?
            .label(fusion.name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 10, y + 5)], color.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE)
        .draw()?;
    let step = 825 / models as i32;
    for (i, row) in table.iter().skip(1).enumerate() {
        let name = VARIANTS[row.0].name;
        let (a, b) = name.split_once(", ").unwrap_or((name, ""));
        for (line, part) in [a, b].into_iter().enumerate() {
            let at = (65 + step * i as i32 + step / 2, 365 + 16 * line as i32);
            let centre = Pos::new(HPos::Center, VPos::Top);
            let style = ("sans-serif", 11).into_text_style(&root).pos(centre);
            root.draw(&Text::new(part, at, style))?;
        }
    }
    root.present()?;
    Ok(())
}
