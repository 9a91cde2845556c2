//! The front of the utility and another reward, drawn: what was measured on the lists that were not searched.
use std::prelude::v1::*;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Policy, Report};
use crate::train::compare::plots::{FONT, GRID, INK, color, drawn, range, tick};
use crate::train::error::{Error, Kind, Result};

/// Width and height.
const SIZE: (u32, u32) = (760, 480);
/// Of the names beside dots.
const NAME_FONT: (&str, i32) = ("sans-serif", 15);

/// Characters that an axis has room for.
const NAME_CHARS: usize = 44;

fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME_CHARS {
        return name.into();
    }
    let start: String = name.chars().take(NAME_CHARS - 1).collect();
    format!("{start}…")
}

/// The front as SVG; `None` without one.
pub fn front(report: &Report) -> Result<Option<String>> {
    let Some(reward) = report.front_reward else {
        return Ok(None);
    };
    let at = |p: &Policy| {
        let means = &p.measured.rewards;
        (means[reward].mean, means[0].mean)
    };
    let line: Vec<(f64, f64)> = report.front.iter().map(at).collect();
    let dots: Vec<(&str, (f64, f64))> = report
        .policies
        .iter()
        .map(|p| (p.name.as_str(), at(p)))
        .collect();
    let all = || line.iter().copied().chain(dots.iter().map(|d| d.1));
    let (Some(xs), Some(ys)) = (range(all().map(|p| p.0)), range(all().map(|p| p.1))) else {
        return Ok(None);
    };
    let label = format!("{} over {}", report.rewards[0], report.rewards[reward]);
    let svg = drawn(SIZE, &label, |root| {
        let (x_tick, y_tick) = (tick(xs.end - xs.start), tick(ys.end - ys.start));
        let mut chart = ChartBuilder::on(root)
            .margin(14)
            .margin_right(110)
            .x_label_area_size(46)
            .y_label_area_size(88)
            .build_cartesian_2d(xs, ys)
            .map_err(|e| e.to_string())?;
        chart
            .configure_mesh()
            .x_desc(shortened(&report.rewards[reward]))
            .y_desc(shortened(&report.rewards[0]))
            .x_labels(6)
            .y_labels(6)
            .x_label_formatter(&x_tick)
            .y_label_formatter(&y_tick)
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(INK)
            .label_style(FONT.into_font().color(&INK))
            .draw()
            .map_err(|e| e.to_string())?;
        let series = LineSeries::new(line.iter().copied(), color(0).stroke_width(2)).point_size(3);
        chart.draw_series(series).map_err(|e| e.to_string())?;
        for (i, (name, at)) in dots.iter().enumerate() {
            if dots[..i].iter().any(|d| d.1 == *at) {
                continue;
            }
            // The current weights, the tuned ones, and all others in grey; the first two beside the front's end.
            let of = [1, 2].get(i).copied().unwrap_or(6);
            let (place, side) = match i {
                0 => ((-8, -7), HPos::Right),
                1 => ((0, 8), HPos::Center),
                _ => ((8, -7), HPos::Left),
            };
            let font = NAME_FONT.into_font().color(&INK);
            let style = font.pos(Pos::new(side, VPos::Top));
            let dot = EmptyElement::at(*at)
                + Circle::new((0, 0), 5, color(of).filled())
                + Text::new((*name).to_string(), place, style);
            chart.draw_series([dot]).map_err(|e| e.to_string())?;
        }
        Ok(())
    });
    svg.map(Some)
        .map_err(|e| Error::new(Kind::Io, format!("the front cannot be drawn: {e}")))
}
