//! Plots as SVG text. They stand on white, with axes of their own: the page around them may be dark.
//!
//! Colours are those of Okabe & Ito (2008), which people with any form of colour vision tell apart; who is who stands
//! in the page's legends and tables, so a plot has no text but axes and row names.
use std::prelude::v1::*;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::statistics::Difference;

/// A plot, or why it could not be drawn.
pub type Drawn = Result<String, String>;

const COLORS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(110, 110, 110),
    RGBColor(150, 130, 20),
];
pub(crate) const INK: RGBColor = RGBColor(40, 40, 40);
pub(crate) const GRID: RGBColor = RGBColor(225, 225, 225);
pub(crate) const FONT: (&str, i32) = ("sans-serif", 18);
/// Width of every plot, and height of those that are no rows.
const SIZE: (u32, u32) = (460, 300);
/// Height of one row, and room for row names.
const ROW: (u32, u32) = (28, 168);
/// Characters of a row's name.
const NAME_CHARS: usize = 16;
/// Of names beside rows.
const NAME_FONT: (&str, i32) = ("sans-serif", 16);
/// Pixels between a name and its row.
const NAME_GAP: i32 = 8;
// DejaVu Sans, one of the widest that a browser may take, has 0.62 em a letter.
const _: () = assert!(NAME_CHARS as i32 * NAME_FONT.1 * 62 / 100 + NAME_GAP <= ROW.1 as i32);

/// The colours, then the same ones darker.
pub(crate) fn color(i: usize) -> RGBColor {
    let RGBColor(r, g, b) = COLORS[i % COLORS.len()];
    let darker = |x: u8| (f64::from(x) * 0.55) as u8;
    if (i / COLORS.len()).is_multiple_of(2) {
        RGBColor(r, g, b)
    } else {
        RGBColor(darker(r), darker(g), darker(b))
    }
}

/// The colour of series `i`, for legends.
pub fn hex(i: usize) -> String {
    let RGBColor(r, g, b) = color(i);
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// One line of a plot.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its colour.
    pub color: usize,
    /// Points by x.
    pub points: Vec<(f64, f64)>,
    /// One seed of several: thin and light.
    pub light: bool,
    /// With a dot at every point.
    pub dots: bool,
}

/// The least range that holds all `values`, with a little room.
pub(crate) fn range(values: impl Iterator<Item = f64>) -> Option<core::ops::Range<f64>> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for v in values.filter(|v| v.is_finite()) {
        (low, high) = (low.min(v), high.max(v));
    }
    let room = ((high - low) * 0.05)
        .max(high.abs().max(low.abs()) * 1e-3)
        .max(1e-9);
    (low <= high).then_some(low - room..high + room)
}

/// A number on an axis whose range is `width`: as many decimals as tell its ticks apart.
pub(crate) fn tick(width: f64) -> impl Fn(&f64) -> String {
    let decimals = (1.0 - libm::floor(libm::log10(width.max(1e-9)))).clamp(0.0, 6.0) as usize;
    move |v: &f64| {
        let text = format!("{v:.decimals$}");
        // -0.00 is 0.00 here.
        match text.strip_prefix('-') {
            Some(rest) if rest.chars().all(|c| c == '0' || c == '.') => rest.into(),
            _ => text,
        }
    }
}

/// Draws into a string; `label` is what the plot says to those who do not see it.
pub(crate) fn drawn(
    size: (u32, u32),
    label: &str,
    draw: impl FnOnce(&DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), String>,
) -> Drawn {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE).map_err(|e| e.to_string())?;
        draw(&root)?;
        root.present().map_err(|e| e.to_string())?;
    }
    let label = maud::html! { (label) }.into_string().replace('"', "&quot;");
    Ok(svg.replacen(
        "<svg ",
        &format!("<svg role=\"img\" aria-label=\"{label}\" "),
        1,
    ))
}

/// Lines over a common x; with `diagonal`, also the line y = x. `None` without a point.
pub fn lines(label: &str, lines: &[Line], axes: (&str, &str), diagonal: bool) -> Option<Drawn> {
    let points = || lines.iter().flat_map(|l| l.points.iter().copied());
    let (mut xs, mut ys) = (range(points().map(|p| p.0))?, range(points().map(|p| p.1))?);
    if diagonal {
        let both = xs.start.min(ys.start)..xs.end.max(ys.end);
        (xs, ys) = (both.clone(), both);
    }
    Some(drawn(SIZE, label, |root| {
        let (low, high) = (xs.start, xs.end);
        let (x_tick, y_tick) = (tick(high - low), tick(ys.end - ys.start));
        let mut chart = ChartBuilder::on(root)
            .margin(10)
            .margin_right(22)
            .x_label_area_size(42)
            .y_label_area_size(88)
            .build_cartesian_2d(xs, ys)
            .map_err(|e| e.to_string())?;
        let whole = |v: &f64| {
            if high - low > 20.0 {
                format!("{v:.0}")
            } else {
                x_tick(v)
            }
        };
        chart
            .configure_mesh()
            .x_desc(axes.0)
            .y_desc(axes.1)
            .x_labels(5)
            .y_labels(5)
            .x_label_formatter(&whole)
            .y_label_formatter(&y_tick)
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(INK)
            .label_style(FONT.into_font().color(&INK))
            .draw()
            .map_err(|e| e.to_string())?;
        if diagonal {
            let line = LineSeries::new([(low, low), (high, high)], INK.mix(0.5));
            chart.draw_series(line).map_err(|e| e.to_string())?;
        }
        // Light lines first: means lie over them.
        for line in lines
            .iter()
            .filter(|l| l.light)
            .chain(lines.iter().filter(|l| !l.light))
        {
            let (alpha, width) = if line.light { (0.45, 1) } else { (1.0, 2) };
            let style = color(line.color).mix(alpha).stroke_width(width);
            let points = line.points.iter().copied();
            let series = LineSeries::new(points.clone(), style);
            chart.draw_series(series).map_err(|e| e.to_string())?;
            if line.dots {
                let dots = points.map(|p| Circle::new(p, 3, color(line.color).filled()));
                chart.draw_series(dots).map_err(|e| e.to_string())?;
            }
        }
        Ok(())
    }))
}

type RowChart<'c, 'a> = ChartContext<
    'c,
    SVGBackend<'a>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

/// Rows with names to the left, the first on top; row i is y from i to i + 1.
fn rows(
    label: &str,
    names: &[String],
    xs: core::ops::Range<f64>,
    x: &str,
    draw: impl FnOnce(&mut RowChart<'_, '_>) -> Result<(), String>,
) -> Drawn {
    let count = names.len() as u32;
    drawn((SIZE.0, count * ROW.0 + 64), label, |root| {
        let x_tick = tick(xs.end - xs.start);
        let mut chart = ChartBuilder::on(root)
            .margin(10)
            .margin_right(22)
            .margin_left(ROW.1)
            .x_label_area_size(42)
            .build_cartesian_2d(xs.clone(), f64::from(count)..0.0)
            .map_err(|e| e.to_string())?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .x_desc(x)
            .x_labels(5)
            .x_label_formatter(&x_tick)
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(INK)
            .label_style(FONT.into_font().color(&INK))
            .draw()
            .map_err(|e| e.to_string())?;
        draw(&mut chart)?;
        let style = NAME_FONT
            .into_font()
            .color(&INK)
            .pos(Pos::new(HPos::Right, VPos::Center));
        for (i, name) in names.iter().enumerate() {
            let (left, y) = chart.backend_coord(&(xs.start, i as f64 + 0.5));
            let text = Text::new(shortened(name), (left - NAME_GAP, y), style.clone());
            root.draw(&text).map_err(|e| e.to_string())?;
        }
        Ok(())
    })
}

/// A name that fits beside its row.
fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME_CHARS {
        return name.into();
    }
    let start: String = name.chars().take(NAME_CHARS - 1).collect();
    format!("{start}…")
}

/// A difference to draw: its row, its colour, and the difference.
pub type Interval = (usize, usize, Difference);

/// Differences as points with their intervals, and a line at 0. `None` without one.
pub fn differences(
    label: &str,
    names: &[String],
    intervals: &[Interval],
    x: &str,
) -> Option<Drawn> {
    let ends = |d: &Difference| {
        let [low, high] = d.interval.unwrap_or([d.mean; 2]);
        [low, d.mean, high]
    };
    if intervals.is_empty() {
        return None;
    }
    let values = intervals.iter().flat_map(|(_, _, d)| ends(d));
    let xs = range(values.chain([0.0]))?;
    Some(rows(label, names, xs, x, |chart| {
        let zero = LineSeries::new([(0.0, 0.0), (0.0, names.len() as f64)], INK);
        chart.draw_series(zero).map_err(|e| e.to_string())?;
        for (row, of, d) in intervals {
            let (y, [low, mean, high]) = (*row as f64 + 0.5, ends(d));
            let style = color(*of).stroke_width(2);
            let bar = LineSeries::new([(low, y), (high, y)], style);
            chart.draw_series(bar).map_err(|e| e.to_string())?;
            let dot = Circle::new((mean, y), 4, color(*of).filled());
            chart.draw_series([dot]).map_err(|e| e.to_string())?;
        }
        Ok(())
    }))
}

/// Rows of shares that add up to 1, one colour a share. `None` without one.
pub fn shares(label: &str, names: &[String], shares: &[Vec<f64>], x: &str) -> Option<Drawn> {
    if shares.iter().all(Vec::is_empty) {
        return None;
    }
    Some(rows(label, names, 0.0..1.0, x, |chart| {
        for (row, parts) in shares.iter().enumerate() {
            let (mut left, y) = (0.0, row as f64);
            for (i, part) in parts.iter().enumerate() {
                let right = left + part;
                let bar = Rectangle::new([(left, y + 0.15), (right, y + 0.85)], color(i).filled());
                chart.draw_series([bar]).map_err(|e| e.to_string())?;
                left = right;
            }
        }
        Ok(())
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn plots_are_drawn_with_escaped_names_and_only_if_there_is_something() {
        let line = Line {
            color: 9,
            points: vec![(0.0, 0.5), (10.0, 0.7)],
            light: false,
            dots: true,
        };
        let svg = lines("a \"b\" <c>", &[line], ("step", "AUC"), false)
            .unwrap()
            .unwrap();
        assert!(
            svg.contains("aria-label=\"a &quot;b&quot; &lt;c&gt;\""),
            "{svg}"
        );
        assert!(lines("", &[], ("", ""), false).is_none());
        let names = [
            "<i>&".to_string(),
            "a name that is much too long".to_string(),
        ];
        let svg = shares("", &names, &[vec![0.5, 0.5], vec![1.0]], "x")
            .unwrap()
            .unwrap();
        assert!(
            !svg.contains("<i>")
                && svg.contains("&lt;i&gt;&amp;")
                && svg.contains("a name that is …"),
            "{svg}"
        );
        let d = Difference {
            n: 1,
            mean: 0.1,
            interval: None,
        };
        assert!(differences("", &names, &[(0, 1, d)], "x").unwrap().is_ok());
        assert!(differences("", &names, &[], "x").is_none());
    }

    #[test]
    fn ticks_tell_their_range_apart() {
        assert_eq!(tick(0.05)(&0.712), "0.712");
        assert_eq!(tick(0.05)(&-0.0001), "0.000");
        assert_eq!(tick(300.0)(&120.4), "120");
        assert_eq!(range([1.0, 1.0].into_iter()).unwrap(), 0.999..1.001);
        assert!(range([f64::NAN].into_iter()).is_none());
    }
}
