//! Charts of points in the plane and of the columns of a table.

use crate::{
    Area, Axis, Canvas, Color, Entry, Mark, Panel, PlotError,
    color::{BLUE, GRAY, GREEN, RED, SERIES},
    header, legend_height,
};

/// Rows that are drawn in one color.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// The name in the legend.
    pub name: &'a str,
    /// The values, row after row.
    pub values: &'a [f32],
}

const COLORS: [Color; 4] = [GRAY, RED, BLUE, GREEN];
/// Pixels of a unit of length.
const SCALE: f64 = 1.6;
/// Share of the values that is cut off at each end of an axis, so that one outlier does not hide the others.
const TAIL: f64 = 0.002;
/// Width and height of a chart in the plane.
const PLANE: f64 = 400.0;

/// Draws points in the plane, with a color for each series. Axes leave out points that are far from all others, and a label says how many.
///
/// # Shapes
/// The values of each series: `[points, 2]`
///
/// # Errors
/// Returns an error if there is no point.
pub fn scatter(series: &[Series], axes: [&str; 2], title: &str) -> Result<Canvas, PlotError> {
    let column = |index: usize| series.iter().flat_map(move |s| s.values.iter().skip(index).step_by(2).copied());
    let spans = [span(column(0))?, span(column(1))?];
    let points = || series.iter().flat_map(|series| series.values.chunks_exact(2));
    let shown = |point: &&[f32]| point.iter().zip(spans).all(|(&v, (low, high))| (low..=high).contains(&f64::from(v)));
    let outside = points().count() - points().filter(shown).count();
    let entries = legend(series, Mark::Dot);
    let axis = |index: usize, label: &str| Axis::linear(label, spans[index].0, spans[index].1);
    let mut canvas = Canvas::new(PLANE, PLANE + legend_height(&entries, PLANE), SCALE)?;
    let cell = canvas.area();
    let cell = header(&mut canvas, cell, title, &entries);
    let (x, y) = (axis(0, &with_outside(axes[0], outside, "point")), axis(1, axes[1]));
    let mut panel = Panel::new(&mut canvas, cell, "", x, y);
    for (series, color) in series.iter().zip(COLORS.into_iter().cycle()) {
        let count = series.values.len() / 2;
        let radius = (26.0 / (count.max(1) as f64).sqrt()).clamp(1.0, 2.4);
        let points = series.values.chunks_exact(2).map(|p| [f64::from(p[0]), f64::from(p[1])]);
        panel.dots(points, radius, color.faded(0.7));
    }
    Ok(canvas)
}

/// A label that says how many values an axis leaves out.
fn with_outside(label: &str, outside: usize, what: &str) -> String {
    match outside {
        0 => label.to_owned(),
        1 => format!("{label} (1 {what} not shown)"),
        _ => format!("{label} ({outside} {what}s not shown)"),
    }
}

/// Draws ROC curves on axes from 0 to 1, and the diagonal of chance.
///
/// # Shapes
/// The values of each series: `[corners, 2]`, pairs of the false and the true positive rate
///
/// # Errors
/// Returns an error if the picture is too large.
pub fn roc_curves(series: &[Series], title: &str) -> Result<Canvas, PlotError> {
    let colored = || series.iter().zip(SERIES.into_iter().cycle());
    let chance = [("chance, AUC 0.5", Mark::Line, GRAY)];
    let entries: Vec<Entry> = colored().map(|(series, color)| (series.name, Mark::Line, color)).chain(chance).collect();
    let mut canvas = Canvas::new(PLANE, PLANE + legend_height(&entries, PLANE), SCALE)?;
    let cell = canvas.area();
    let cell = header(&mut canvas, cell, title, &entries);
    let axis = |label: &str| Axis::linear(label, -0.02, 1.02);
    let mut panel = Panel::new(&mut canvas, cell, "", axis("false positive rate"), axis("true positive rate"));
    panel.curve([[0.0, 0.0], [1.0, 1.0]], 1.0, GRAY);
    for (series, color) in colored() {
        let points = series.values.chunks_exact(2).map(|p| [f64::from(p[0]), f64::from(p[1])]);
        panel.curve(points, 1.4, color);
    }
    Ok(canvas)
}

fn legend<'a>(series: &[Series<'a>], mark: Mark) -> Vec<Entry<'a>> {
    series.iter().zip(COLORS.into_iter().cycle()).map(|(series, color)| (series.name, mark, color)).collect()
}

/// Columns that are drawn, at most.
const MOST_COLUMNS: usize = 36;
/// Parts of an axis in which values are counted: as many as the square root of their number, within limits.
const FEWEST_BINS: usize = 8;
const MOST_BINS: usize = 40;

/// Width and height of a histogram of one of so many: few are larger.
fn cell_size(count: usize) -> (f64, f64) {
    match count {
        0 | 1 => (480.0, 340.0),
        2 => (340.0, 260.0),
        3..=6 => (260.0, 200.0),
        _ => (200.0, 150.0),
    }
}

/// A column of [`histograms`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    /// The label of the axis.
    pub name: String,
    /// The names of the values 0, 1, 2, ...; none for numbers.
    pub levels: Vec<String>,
    /// Texts at some values, instead of numbers; not with `levels`.
    pub texts: Vec<(f64, String)>,
}

impl Column {
    /// Creates a column of numbers.
    pub fn numbers(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// Draws the histogram of each of the first 36 columns, with an outline for each series. An axis leaves out values that are far from all
/// others, and its label says how many. Values that are not finite are missing, and are not drawn.
///
/// # Shapes
/// The values of each series: `[rows, columns.len()]`
///
/// # Errors
/// Returns an error if a column has no finite value, or there is no column.
pub fn histograms(series: &[Series], columns: &[Column]) -> Result<Canvas, PlotError> {
    let drawn = columns.len().min(MOST_COLUMNS);
    let across = (drawn as f64).sqrt().ceil() as usize;
    let down = drawn.div_ceil(across.max(1));
    let (width, height) = cell_size(drawn);
    let entries = legend(series, Mark::Line);
    let top = legend_height(&entries, width * across as f64);
    let mut canvas = Canvas::new(width * across as f64, top + height * down as f64, SCALE)?;
    let whole = canvas.area();
    header(&mut canvas, whole, "", &entries);
    for (index, about) in columns.iter().enumerate().take(drawn) {
        let (left, above) = (width * (index % across) as f64, top + height * (index / across) as f64);
        let cell = Area { left, top: above - UNTITLED, width, height: height + UNTITLED };
        let column = |series: &Series| series.values.iter().skip(index).step_by(columns.len()).copied().collect();
        let values: Vec<Vec<f32>> = series.iter().map(column).collect();
        histogram(&mut canvas, cell, about, &values)?;
    }
    Ok(canvas)
}

/// The part of a cell that a title would need.
const UNTITLED: f64 = 14.0;

/// A mean, and half the width of its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean<'a> {
    /// The mean.
    pub value: f64,
    /// Half the width of its interval, if it is known.
    pub half: Option<f64>,
    /// The text in the legend.
    pub name: &'a str,
}

/// Draws the histogram of a series with its mean.
///
/// # Errors
/// Returns an error if there is no finite value.
pub fn distribution(series: Series, label: &str, mean: Mean) -> Result<Canvas, PlotError> {
    let (width, height) = cell_size(1);
    let entries = [(series.name, Mark::Line, COLORS[0]), (mean.name, Mark::Line, RED)];
    let top = legend_height(&entries, width);
    let mut canvas = Canvas::new(width, top + height, SCALE)?;
    let whole = canvas.area();
    header(&mut canvas, whole, "", &entries);
    let cell = Area { left: 0.0, top: top - UNTITLED, width, height: height + UNTITLED };
    let mut panel = histogram(&mut canvas, cell, &Column::numbers(label), &[series.values.to_vec()])?;
    let (low, high) = panel.spans()[1];
    if let Some(half) = mean.half.filter(|half| half.is_finite()) {
        let (left, right) = (mean.value - half, mean.value + half);
        let [(first, last), _] = panel.spans();
        let [left, right] = [left, right].map(|end| end.clamp(first, last));
        panel.fill(&[[left, low], [right, low], [right, high], [left, high]], RED.faded(0.12));
    }
    panel.curve([[mean.value, low], [mean.value, high]], 1.4, RED);
    Ok(canvas)
}

/// Draws the histogram of one column.
fn histogram<'a>(
    canvas: &'a mut Canvas,
    cell: Area,
    column: &Column,
    values: &[Vec<f32>],
) -> Result<Panel<'a>, PlotError> {
    let values: Vec<Vec<f32>> =
        values.iter().map(|values| values.iter().copied().filter(|value| value.is_finite()).collect()).collect();
    let (span, bins) = bins(&values, column.levels.len())?;
    let (low, high) = span;
    let outside = values.iter().flatten().filter(|value| !(low..=high).contains(&f64::from(**value))).count();
    let label = with_outside(&column.name, outside, "value");
    let shares: Vec<Vec<f64>> = values.iter().map(|values| shares(values, span, bins)).collect();
    let top = shares.iter().flatten().copied().fold(1e-9, f64::max) * 1.1;
    let levels = column.levels.iter().enumerate().map(|(at, name)| (at as f64, name.clone()));
    let names = levels.chain(column.texts.iter().cloned()).filter(|(value, _)| (low..=high).contains(value)).collect();
    let axes = (Axis::linear(&label, low, high).with_names(names), Axis::linear("share of the rows", 0.0, top));
    let mut panel = Panel::new(canvas, cell, "", axes.0, axes.1);
    let width = (high - low) / bins as f64;
    // Named values have bars of their own.
    let gap = if column.levels.is_empty() { 0.0 } else { 0.12 * width };
    for (shares, color) in shares.iter().zip(COLORS.into_iter().cycle()) {
        let step = |(bin, &share): (usize, &f64)| {
            let (left, right) = (low + bin as f64 * width + gap, low + (bin + 1) as f64 * width - gap);
            let bar = [[left, 0.0], [left, share], [right, share], [right, 0.0]];
            if gap > 0.0 { bar.to_vec() } else { bar[1..3].to_vec() }
        };
        let outline: Vec<[f64; 2]> = shares.iter().enumerate().flat_map(step).collect();
        panel.fill(&[&[[low, 0.0]], &outline[..], &[[high, 0.0]]].concat(), color.faded(0.15));
        panel.curve(outline, 1.25, color);
    }
    Ok(panel)
}

/// The range of a histogram, and the number of its bars: one for each named value, or each whole number if there are few.
fn bins(values: &[Vec<f32>], levels: usize) -> Result<((f64, f64), usize), PlotError> {
    if levels > 0 {
        return Ok(((-0.5, levels as f64 - 0.5), levels));
    }
    let all = || values.iter().flatten().copied();
    let (low, high) = robust_span(all())?;
    if all().all(|value| value.fract() == 0.0) {
        let inside = || all().map(f64::from).filter(move |value| (low..=high).contains(value));
        let (first, last) = (inside().fold(f64::INFINITY, f64::min), inside().fold(f64::NEG_INFINITY, f64::max));
        if last - first < MOST_BINS as f64 {
            return Ok(((first - 0.5, last + 0.5), (last - first) as usize + 1));
        }
    }
    let most = values.iter().map(Vec::len).max().unwrap_or(0);
    Ok(((low, high), ((most as f64).sqrt() as usize).clamp(FEWEST_BINS, MOST_BINS)))
}

/// The share of the values in each of the equal parts of a span.
fn shares(values: &[f32], (low, high): (f64, f64), bins: usize) -> Vec<f64> {
    let mut shares = vec![0.0; bins];
    for &value in values {
        let bin = (f64::from(value) - low) / (high - low) * bins as f64;
        if (0.0..bins as f64).contains(&bin) {
            shares[bin as usize] += 1.0 / values.len() as f64;
        }
    }
    shares
}

/// A little more than the range of the values that are not far from all others: at most four times the distance of the quartiles beyond
/// them. If more than 2 % of the values are farther, the distribution has heavy tails, and the range is that of all but the outermost.
fn robust_span(values: impl Iterator<Item = f32>) -> Result<(f64, f64), PlotError> {
    const FENCE: f64 = 4.0;
    const MOST_OUTSIDE: f64 = 0.02;
    let mut sorted: Vec<f64> = values.map(f64::from).filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted.get((share * sorted.len() as f64) as usize).copied().unwrap_or(0.0);
    let (first, third) = (at(0.25), at(0.75));
    let fence = FENCE * (third - first);
    let inside: Vec<f32> = sorted
        .iter()
        .filter(|value| (first - fence..=third + fence).contains(*value))
        .map(|&value| value as f32)
        .collect();
    let is_few = (sorted.len() - inside.len()) as f64 <= MOST_OUTSIDE * sorted.len() as f64;
    if is_few && inside.len() > 1 && third > first {
        return span_of(inside.into_iter(), 0.0);
    }
    span(sorted.into_iter().map(|value| value as f32))
}

/// A little more than the range of all but the outermost values.
fn span(values: impl Iterator<Item = f32>) -> Result<(f64, f64), PlotError> {
    span_of(values, TAIL)
}

/// A little more than the range of all but this share of the values at each end.
fn span_of(values: impl Iterator<Item = f32>, tail: f64) -> Result<(f64, f64), PlotError> {
    let mut sorted: Vec<f64> = values.map(f64::from).filter(|value| value.is_finite()).collect();
    if sorted.is_empty() {
        return Err(PlotError::Draw("no values".into()));
    }
    sorted.sort_by(f64::total_cmp);
    let cut = (tail * sorted.len() as f64) as usize;
    let (low, high) = (sorted[cut], sorted[sorted.len() - 1 - cut]);
    let margin = if high > low { 0.06 * (high - low) } else { 0.5 };
    Ok((low - margin, high + margin))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canvas::Shape;

    fn texts(canvas: &Canvas) -> Vec<&str> {
        let shapes = canvas.elements().iter().map(|element| &element.shape);
        shapes
            .filter_map(|shape| if let Shape::Text { text, .. } = shape { Some(text.as_str()) } else { None })
            .collect()
    }

    #[test]
    fn points_and_curves_have_labels_and_a_legend() {
        let values: Vec<f32> = (0..200).flat_map(|row| [row as f32, -(row as f32)]).collect();
        let series = [Series { name: "data", values: &values }, Series { name: "samples", values: &values[..20] }];
        let dots = |canvas: &Canvas, color: Color| {
            let is = |shape: &Shape| matches!(shape, Shape::Disc { color: found, .. } if found.rgb == color.rgb);
            canvas.elements().iter().filter(|element| is(&element.shape)).count()
        };
        let drawn = scatter(&series, ["alpha", "beta"], "points").unwrap();
        // One more in the legend.
        assert_eq!((dots(&drawn, GRAY), dots(&drawn, RED)), (201, 11));
        for text in ["alpha", "beta", "points", "data", "samples"] {
            assert!(texts(&drawn).contains(&text), "{text}");
        }
        let drawn = roc_curves(&series, "two detectors").unwrap();
        for text in ["false positive rate", "two detectors", "data", "samples", "chance, AUC 0.5"] {
            assert!(texts(&drawn).contains(&text), "{text}");
        }
        // A point far from 999 others is left out, and the axis says so.
        let mut values: Vec<f32> = (0..1998).map(|index| (index % 37) as f32).collect();
        values.extend([1e6, 0.0]);
        let drawn = scatter(&[Series { name: "data", values: &values }], ["alpha", "beta"], "").unwrap();
        assert!(texts(&drawn).contains(&"alpha (1 point not shown)"), "{:?}", texts(&drawn));
        assert!(scatter(&[Series { name: "none", values: &[] }], ["", ""], "").is_err());
    }

    #[test]
    fn each_column_has_its_histogram() {
        let columns = ["one", "two", "three"].map(Column::numbers);
        let values: Vec<f32> = (0..90).map(|index| (index % 7) as f32).collect();
        let drawn = histograms(&[Series { name: "rows", values: &values }], &columns).unwrap();
        assert_eq!(drawn.size(), (832, 662), "two by two cells and a line of the legend");
        for text in ["one", "two", "three", "rows"] {
            assert_eq!(texts(&drawn).iter().filter(|found| **found == text).count(), 1, "{text}");
        }
        assert!(histograms(&[], &[]).is_err());
    }

    #[test]
    fn values_with_names_have_a_bar_each_and_missing_ones_none() {
        let levels = ["low", "middle", "high"].map(String::from).to_vec();
        let grade = Column { name: "grade".into(), levels, texts: Vec::new() };
        let day = Column { texts: vec![(10.0, "1970-01-11".into()), (1e9, "far".into())], ..Column::numbers("day") };
        let values: Vec<f32> = (0..60).flat_map(|row| [[0.0, 0.0, f32::NAN, 2.0][row % 4], row as f32 + 0.5]).collect();
        let drawn = histograms(&[Series { name: "rows", values: &values }], &[grade.clone(), day]).unwrap();
        for text in ["low", "middle", "high", "grade", "1970-01-11"] {
            assert_eq!(texts(&drawn).iter().filter(|found| **found == text).count(), 1, "{text}");
        }
        assert!(!texts(&drawn).contains(&"far"), "outside of the axis");
        let grades: Vec<f32> = values.iter().step_by(2).copied().filter(|value| value.is_finite()).collect();
        let (span, bins) = bins(std::slice::from_ref(&grades), 3).unwrap();
        let found = shares(&grades, span, bins);
        let expected = [2.0 / 3.0, 0.0, 1.0 / 3.0];
        assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-9), "{found:?}");
        // Whole numbers have a bar each, too.
        assert_eq!(super::bins(&[vec![3.0, 5.0, 5.0, 8.0]], 0).unwrap(), ((2.5, 8.5), 6));
    }

    #[test]
    fn outliers_do_not_squash_the_others_and_are_counted() {
        let mut values: Vec<f32> = (0..200).map(|index| (index % 20) as f32).collect();
        values.extend([1e6, -1e6]);
        let drawn = histograms(&[Series { name: "rows", values: &values }], &[Column::numbers("one")]).unwrap();
        assert!(texts(&drawn).contains(&"one (2 values not shown)"), "{:?}", texts(&drawn));
        let (low, high) = robust_span(values.iter().copied()).unwrap();
        assert!(low > -5.0 && low < 0.0 && high > 19.0 && high < 24.0, "{low} {high}");
        // Nothing is left out of a column of two values, or of one with heavy tails.
        let two: Vec<f32> = (0..100).map(|index| (index / 90) as f32).collect();
        assert_eq!(robust_span(two.iter().copied()).unwrap(), span(two.iter().copied()).unwrap());
        let heavy: Vec<f32> = (1..100).map(|index| 1e3 / index as f32).collect();
        assert!(robust_span(heavy.iter().copied()).unwrap().1 > 900.0);
    }

    #[test]
    fn a_distribution_has_its_mean_and_interval() {
        let values: Vec<f32> = (0..100).map(|index| index as f32).collect();
        let mean = |half| Mean { value: 49.5, half, name: "mean 49.5" };
        let draw = |half| distribution(Series { name: "rows", values: &values }, "nats", mean(half)).unwrap();
        let filled = |canvas: &Canvas| {
            let is = |shape: &Shape| matches!(shape, Shape::Polygon { color, .. } if color.rgb == RED.rgb);
            canvas.elements().iter().filter(|element| is(&element.shape)).count()
        };
        assert_eq!([filled(&draw(Some(3.0))), filled(&draw(None))], [1, 0]);
        assert!(
            ["rows", "mean 49.5", "nats", "share of the rows"].iter().all(|text| texts(&draw(None)).contains(text))
        );
    }

    #[test]
    fn shares_are_of_all_values() {
        let shares = shares(&[0.0, 0.0, 39.5, 100.0], (0.0, 40.0), 40);
        assert_eq!((shares[0], shares[39], shares.iter().sum::<f64>()), (0.5, 0.25, 0.75));
    }
}
