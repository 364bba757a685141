//! Charts of points in the plane and of the columns of a table.

use std::sync::Once;

use plotters::{
    coord::Shift,
    prelude::*,
    style::{FontStyle, register_font},
};

use crate::{PlotError, png};

/// Rows that are drawn in one color.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// The name in the legend.
    pub name: &'a str,
    /// The values, row after row.
    pub values: &'a [f32],
}

const COLORS: [RGBColor; 4] =
    [RGBColor(150, 150, 150), RGBColor(200, 30, 60), RGBColor(30, 90, 180), RGBColor(20, 140, 80)];
const FONT: &str = "sans-serif";
/// Share of the values that is cut off at each end of an axis, so that one outlier does not hide the others.
const TAIL: f64 = 0.002;

/// Draws points in the plane, with a color for each series.
///
/// # Shapes
/// The values of each series: `[points, 2]`
///
/// # Errors
/// Returns an error if there is no point, or the drawing library fails.
pub fn scatter(series: &[Series], axes: [&str; 2], title: &str) -> Result<Vec<u8>, PlotError> {
    let column = |index: usize| series.iter().flat_map(move |s| s.values.iter().skip(index).step_by(2).copied());
    let (x, y) = (span(column(0))?, span(column(1))?);
    draw((640, 640), |area| {
        let mut chart = ChartBuilder::on(area)
            .caption(title, (FONT, 20))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(55)
            .build_cartesian_2d(x.0..x.1, y.0..y.1)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc(axes[0])
            .y_desc(axes[1])
            .label_style((FONT, 14))
            .draw()?;
        for (index, series) in series.iter().enumerate() {
            let color = COLORS[index % COLORS.len()];
            let points = series.values.chunks_exact(2).map(|p| (f64::from(p[0]), f64::from(p[1])));
            chart
                .draw_series(points.map(|point| Circle::new(point, 2, color.mix(0.7).filled())))?
                .label(series.name)
                .legend(move |(x, y)| Circle::new((x + 8, y), 4, color.filled()));
        }
        chart.configure_series_labels().background_style(WHITE.mix(0.8)).label_font((FONT, 14)).draw()?;
        Ok(())
    })
}

/// Columns that are drawn, at most.
const MOST_COLUMNS: usize = 36;

/// Draws the histogram of each of the first 36 columns, with an outline for each series.
///
/// # Shapes
/// The values of each series: `[rows, columns.len()]`
///
/// # Errors
/// Returns an error if there is no value, or the drawing library fails.
pub fn histograms(series: &[Series], columns: &[String]) -> Result<Vec<u8>, PlotError> {
    const BINS: usize = 40;
    let drawn = columns.len().min(MOST_COLUMNS);
    let across = (drawn as f64).sqrt().ceil() as usize;
    let down = drawn.div_ceil(across.max(1));
    let spans = (0..drawn)
        .map(|c| span(series.iter().flat_map(|s| s.values.iter().skip(c).step_by(columns.len()).copied())))
        .collect::<Result<Vec<_>, _>>()?;
    draw((300 * across as u32, 220 * down as u32), |area| {
        for (c, panel) in area.split_evenly((down, across)).iter().enumerate().take(drawn) {
            let (low, high) = spans[c];
            let densities: Vec<Vec<f64>> = series
                .iter()
                .map(|series| {
                    let values: Vec<f32> = series.values.iter().skip(c).step_by(columns.len()).copied().collect();
                    density(&values, (low, high), BINS)
                })
                .collect();
            let top = densities.iter().flatten().copied().fold(1e-9, f64::max) * 1.1;
            let mut chart = ChartBuilder::on(panel)
                .caption(&columns[c], (FONT, 15))
                .margin(8)
                .x_label_area_size(22)
                .build_cartesian_2d(low..high, 0.0..top)?;
            chart.configure_mesh().disable_mesh().x_labels(4).label_style((FONT, 12)).draw()?;
            for (index, (series, density)) in series.iter().zip(&densities).enumerate() {
                let color = COLORS[index % COLORS.len()];
                let width = (high - low) / BINS as f64;
                let steps = density.iter().enumerate().flat_map(|(bin, &value)| {
                    let left = low + bin as f64 * width;
                    [(left, value), (left + width, value)]
                });
                chart
                    .draw_series(LineSeries::new(steps, color.stroke_width(2)))?
                    .label(series.name)
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], color.stroke_width(2)));
            }
            if c == 0 {
                chart.configure_series_labels().background_style(WHITE.mix(0.8)).label_font((FONT, 12)).draw()?;
            }
        }
        Ok(())
    })
}

/// The share of the values in each of `bins` equal parts of a span.
fn density(values: &[f32], (low, high): (f64, f64), bins: usize) -> Vec<f64> {
    let mut counts = vec![0.0; bins];
    for &value in values {
        let bin = (f64::from(value) - low) / (high - low) * bins as f64;
        if (0.0..bins as f64).contains(&bin) {
            counts[bin as usize] += 1.0 / values.len() as f64;
        }
    }
    counts
}

/// A little more than the range of all but the outermost values.
fn span(values: impl Iterator<Item = f32>) -> Result<(f64, f64), PlotError> {
    let mut sorted: Vec<f64> = values.map(f64::from).filter(|value| value.is_finite()).collect();
    if sorted.is_empty() {
        return Err(PlotError::Draw("no values".into()));
    }
    sorted.sort_by(f64::total_cmp);
    let cut = (TAIL * sorted.len() as f64) as usize;
    let (low, high) = (sorted[cut], sorted[sorted.len() - 1 - cut]);
    let margin = if high > low { 0.06 * (high - low) } else { 0.5 };
    Ok((low - margin, high + margin))
}

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// Draws on white and returns the PNG file.
fn draw(
    (width, height): (u32, u32),
    content: impl FnOnce(&Area) -> Result<(), Box<dyn std::error::Error>>,
) -> Result<Vec<u8>, PlotError> {
    static REGISTER: Once = Once::new();
    // The font is part of the program, so that pictures are the same on every machine.
    REGISTER.call_once(|| {
        let _ = register_font(FONT, FontStyle::Normal, dejavu::sans::regular());
    });
    let mut rgb = vec![255; 3 * width as usize * height as usize];
    {
        let area = BitMapBackend::with_buffer(&mut rgb, (width, height)).into_drawing_area();
        let failed = |error: Box<dyn std::error::Error>| PlotError::Draw(error.to_string());
        area.fill(&WHITE).map_err(|error| failed(error.into()))?;
        content(&area).map_err(failed)?;
        area.present().map_err(|error| failed(error.into()))?;
    }
    png(width, height, &rgb)
}
