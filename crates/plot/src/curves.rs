//! Curves through measured values with error bars.

use crate::{
    PlotError,
    canvas::{Anchor, Area, Canvas},
    color::{Color, INK, SERIES},
    panel::{Axis, Panel},
};

/// A measured value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dot {
    /// Position on the horizontal axis.
    pub x: f64,
    /// The value.
    pub y: f64,
    /// Half the length of the error bar; none if it is 0 or not finite.
    pub error: f64,
}

/// Values that are joined.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The name in the legend.
    pub name: String,
    /// The values, in the order in which they are joined.
    pub dots: Vec<Dot>,
}

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 400.0;
const SCALE: f64 = 1.6;
const TEXT: f64 = 9.0;
const LINE: f64 = 15.0;
/// Ratio of the ends of an axis from which on it is logarithmic.
const WIDE: f64 = 4.0;

/// Draws curves with error bars and a legend. Axes of positive values with a wide range are logarithmic.
///
/// # Errors
/// Returns an error if there is no finite value, or the picture is too large.
pub fn curves(curves: &[Curve], axes: [&str; 2], title: &str) -> Result<Canvas, PlotError> {
    let finite = |dot: &&Dot| dot.x.is_finite() && dot.y.is_finite();
    let dots = || curves.iter().flat_map(|curve| &curve.dots).filter(finite);
    let bars = dots().flat_map(|dot| {
        let error = if dot.error.is_finite() { dot.error } else { 0.0 };
        [dot.y - error, dot.y + error]
    });
    let middles: Vec<f64> = dots().map(|dot| dot.y).collect();
    let x = axis(axes[0], dots().map(|dot| dot.x), &[])?;
    let y = axis(axes[1], bars, &middles)?;
    let names = curves.iter().map(|curve| Canvas::text_width(&curve.name, TEXT)).fold(0.0, f64::max) + 40.0;
    let height = HEIGHT.max(LINE * curves.len() as f64 + 70.0);
    let mut canvas = Canvas::new(WIDTH + names, height, SCALE)?;
    let mut panel = Panel::new(&mut canvas, Area { left: 0.0, top: 0.0, width: WIDTH, height }, title, x, y);
    for (index, curve) in curves.iter().enumerate() {
        let color = SERIES[index % SERIES.len()];
        let dots: Vec<&Dot> = curve.dots.iter().filter(finite).collect();
        panel.curve(dots.iter().map(|dot| [dot.x, dot.y]), 1.4, color);
        let [_, (low, _)] = panel.spans();
        for dot in dots.iter().filter(|dot| dot.error > 0.0 && dot.error.is_finite()) {
            let end = (dot.y - dot.error).max(low);
            panel.curve([[dot.x, end], [dot.x, dot.y + dot.error]], 1.0, color.faded(0.7));
        }
        for dot in dots {
            mark(&mut |radius, color| panel.dots([[dot.x, dot.y]], radius, color), index, color);
        }
    }
    for (index, curve) in curves.iter().enumerate() {
        let color = SERIES[index % SERIES.len()];
        let y = 38.0 + LINE * index as f64;
        let (left, middle) = (WIDTH, (WIDTH + 9.0, y));
        canvas.curve([(left, y), (left + 18.0, y)], 1.4, color);
        mark(&mut |radius, color| canvas.disc(middle, radius, color), index, color);
        canvas.text(&curve.name, (left + 24.0, y + 3.2), TEXT, Anchor::Start, INK);
    }
    Ok(canvas)
}

/// Draws a dot; hollow if the colors are used a second time.
fn mark(disc: &mut dyn FnMut(f64, Color), index: usize, color: Color) {
    disc(3.2, color);
    if (index / SERIES.len()) % 2 == 1 {
        disc(1.9, Color { rgb: [255; 3], alpha: 255 });
    }
}

/// An axis that contains all values. `middles` decide whether it is logarithmic if there are any, so that an error bar below zero does
/// not matter.
fn axis(label: &str, values: impl Iterator<Item = f64>, middles: &[f64]) -> Result<Axis, PlotError> {
    let values: Vec<f64> = values.collect();
    let ends = |values: &[f64]| {
        values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)))
    };
    let (mut low, high) = ends(&values);
    if !(low.is_finite() && high.is_finite()) {
        return Err(PlotError::Draw("no finite values".into()));
    }
    let (smallest, largest) = if middles.is_empty() { (low, high) } else { ends(middles) };
    if smallest > 0.0 && largest > WIDE * smallest {
        low = low.max(0.5 * smallest);
        let margin = (high / low).powf(0.06);
        return Ok(Axis::logarithmic(label, low / margin, high * margin));
    }
    let margin = if high > low { 0.06 * (high - low) } else { 0.5 * high.abs().max(1.0) };
    Ok(Axis::linear(label, low - margin, high + margin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(x: f64, y: f64, error: f64) -> Dot {
        Dot { x, y, error }
    }

    #[test]
    fn draws_what_is_finite() {
        let curve = |name: &str, dots: &[Dot]| Curve { name: name.into(), dots: dots.to_vec() };
        let one = curve("one", &[dot(5.0, 30.0, 1.0), dot(50.0, 2.0, 3.0), dot(10.0, f64::NAN, 0.0)]);
        let two = curve("two", &[dot(20.0, 4.0, f64::NAN)]);
        let file = curves(&[one, two], ["NFE", "FD"], "a run").unwrap().png().unwrap();
        let image = image::load_from_memory(&file).unwrap().into_rgb8();
        for color in &SERIES[..2] {
            let near = |pixel: &[u8; 3]| pixel.iter().zip(&color.rgb).all(|(a, b)| a.abs_diff(*b) <= 2);
            assert!(image.pixels().filter(|pixel| near(&pixel.0)).count() > 60, "{color:?}");
        }
        assert!(curves(&[curve("none", &[dot(1.0, f64::NAN, 0.0)])], ["", ""], "").is_err());
    }

    #[test]
    fn axes_are_logarithmic_where_values_span_much() {
        let found = axis("", [0.5, 200.0, -3.0].into_iter(), &[1.0, 100.0]).unwrap();
        assert!(found.logarithmic && found.low > 0.0 && found.low < 1.0 && found.high > 200.0);
        assert!(!axis("", [0.0, 0.1].into_iter(), &[]).unwrap().logarithmic);
        let one = axis("", [3.0].into_iter(), &[]).unwrap();
        assert!(one.low < 3.0 && one.high > 3.0);
    }
}
