//! What pictures of runs share: folders of seeds, and lines through the means of their dots.

use core::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::ranged1d::Ranged;
use plotters::prelude::*;

/// Grey, blue, vermilion, green and sky blue of Okabe and Ito's palette, which colour-blind readers tell apart.
pub const COLOURS: [RGBColor; 5] = [
    RGBColor(110, 110, 110),
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(86, 180, 233),
];

/// A line: its name, its colour, and at each place the values of the seeds.
pub type Line<'l> = (&'l str, RGBColor, Vec<(f64, &'l [f64])>);

/// Folders in a folder, by name.
pub fn folders(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(path)?.collect::<std::io::Result<Vec<_>>>()?;
    let paths = entries.iter().map(fs::DirEntry::path);
    let mut paths: Vec<PathBuf> = paths.filter(|p| p.is_dir()).collect();
    paths.sort();
    Ok(paths)
}

pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The white sheet that pictures are drawn on.
pub fn sheet(out: &Path) -> Result<DrawingArea<SVGBackend<'_>, Shift>, Box<dyn Error>> {
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder)?;
    }
    let root = SVGBackend::new(out, (640, 400)).into_drawing_area();
    root.fill(&WHITE)?;
    Ok(root)
}

/// The size of text and margins of all pictures.
pub fn on<'a, 'b>(
    root: &'a DrawingArea<SVGBackend<'b>, Shift>,
) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut chart = ChartBuilder::on(root);
    chart.margin(16).x_label_area_size(44).y_label_area_size(60);
    chart
}

/// Draws lines through the means, with a dot for each seed, and says at the lower right which is which.
pub fn draw<'a, X, Y>(
    chart: &mut ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>,
    lines: &[Line<'_>],
    text: u32,
) -> Result<(), Box<dyn Error>>
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    for (name, colour, points) in lines {
        let stroke = colour.stroke_width(2);
        let means = points.iter().map(|(x, values)| (*x, mean(values)));
        chart
            .draw_series(LineSeries::new(means, stroke))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], stroke));
        let seeds = points
            .iter()
            .flat_map(|(x, values)| values.iter().map(move |y| (*x, *y)));
        chart.draw_series(seeds.map(|at| Circle::new(at, 3, colour.mix(0.5).filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .label_font(("sans-serif", text))
        .background_style(WHITE.mix(0.8))
        .draw()?;
    Ok(())
}
