//! A comparison as a table and as a self-contained page.

use std::{collections::BTreeSet, fmt::Write, fs, path::PathBuf};

use anyhow::{Context, Result};
use pfgm::extra_dims::ExtraDims;
use pfgm_eval::WIDE;
use pfgm_plot::{Curve, Dot, Format, curves};

use super::{
    cell::Finished,
    file::ALL_BITS,
    plan::{Cell, Known, Plan, REPETITION},
};
use crate::{
    args::{ChartFormat, FigureArgs},
    render,
};

/// Curves in a figure of all runs, at most.
const MOST_CURVES: usize = 24;

/// The scores: name in the report, name in the table, and whether the page has them.
const SCORES: [(&str, &str, bool); 7] = [
    ("frechet_distance", "fd", true),
    ("kid", "kid", true),
    ("inception_score", "is", false),
    ("precision", "precision", true),
    ("recall", "recall", true),
    ("density", "density", false),
    ("coverage", "coverage", false),
];

/// A cell and its result.
struct Row<'a> {
    run: &'a Known,
    cell: &'a Cell,
    found: &'a Result<Finished, String>,
}

impl Row<'_> {
    fn score(&self, score: &str, part: &str) -> Option<f64> {
        self.found.as_ref().ok()?.number(score, part)
    }

    fn distance(&self) -> Option<f64> {
        self.score("frechet_distance", "value")
    }

    /// The distance at a position, with its interval.
    fn dot(&self, x: f64) -> Option<Dot> {
        let error = self.score("frechet_distance", "standard_error").unwrap_or(0.0);
        Some(Dot { x, y: self.distance()?, error: WIDE * error })
    }

    fn nfe(&self) -> f64 {
        self.found.as_ref().map_or(f64::NAN, |found| found.nfe)
    }
}

fn rows<'a>(plan: &'a Plan, found: &'a [Result<Finished, String>]) -> Vec<Row<'a>> {
    let of = |(cell, found): (&'a Cell, _)| Row { run: &plan.runs[cell.run], cell, found };
    plan.cells.iter().zip(found).map(of).collect()
}

/// Every cell as a row of a CSV table.
pub fn table(plan: &Plan, found: &[Result<Finished, String>]) -> Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let mut header: Vec<String> =
        ["run", "d", "method", "steps", "settings", "rtol", "noise", "bits", "samples", "nfe", "seconds_per_image"]
            .map(String::from)
            .to_vec();
    for (_, name, _) in SCORES {
        header.extend([name.to_owned(), format!("{name}_standard_error")]);
    }
    header.extend(["fd_bias".to_owned(), "failed".to_owned()]);
    table.write_record(&header)?;
    let text = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    for row in rows(plan, found) {
        let (solver, finished) = (&row.cell.choice.solver, row.found.as_ref().ok());
        let mut record = vec![
            row.run.name.clone(),
            row.run.spec.extra_dims().to_string(),
            solver.method().to_string(),
            solver.steps().map_or_else(String::new, |steps| steps.to_string()),
            row.cell.settings(&[]),
            solver.tolerance().map_or_else(String::new, |tolerance| tolerance.rtol.to_string()),
            solver.perturbation().to_string(),
            row.cell.bits.to_string(),
            plan.file.samples.to_string(),
            text(finished.map(|found| found.nfe)),
            text(finished.map(|found| found.seconds)),
        ];
        for (score, ..) in SCORES {
            record.extend(["value", "standard_error"].map(|part| text(row.score(score, part))));
        }
        record.push(text(row.score("frechet_distance", "bias")));
        record.push(row.found.as_ref().err().cloned().unwrap_or_default());
        table.write_record(&record)?;
    }
    table.into_inner().context("the table")
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;color:#26282e;max-width:1100px;margin:2em auto;padding:0 1em}\
h1,h2{font-weight:600}img{max-width:100%;height:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:13px}\
th,td{padding:.25em .7em;border-bottom:1px solid #e2e4e8;text-align:right}th{position:sticky;top:0;background:#fff}\
.l{text-align:left}.best{font-weight:700;color:#005ea2}.e{color:#969aa2;font-size:11px}pre{background:#f5f6f8;padding:1em;overflow:auto}\
.wide{overflow-x:auto}figure{margin:1em 0}figcaption{color:#6a6e76;font-size:13px}";

/// Folders of a comparison.
pub struct Folders {
    /// The pictures of samples, which the page shows.
    pub cells: PathBuf,
    /// The figures, which are written as SVG and PDF, or in the format of the style.
    pub figures: PathBuf,
    /// How the figures are drawn.
    pub style: FigureArgs,
}

/// The page: figures, pictures, the table, and the file. Writes the figures as files, too.
pub fn page(plan: &Plan, found: &[Result<Finished, String>], folders: &Folders) -> Result<String> {
    let (rows, file) = (rows(plan, found), &plan.file);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>pfgm compare</title><style>{STYLE}</style></head><body>\n\
         <h1>{} runs, {} cells</h1>\n<p>{} samples of each cell from seed {}, against {} by {}. Bars and intervals are of 95 %. \
         Seconds are of the sampling alone.</p>\n",
        plan.runs.len(),
        plan.cells.len(),
        file.samples,
        file.seed,
        escaped(&plan.reference_name()),
        plan.features.extractor().name(),
    );
    let shared = overall(&rows, plan);
    for (title, axis, drawn) in &shared {
        figure(&mut page, folders, drawn, (axis, title))?;
    }
    for (index, run) in plan.runs.iter().enumerate() {
        let own: Vec<&Row> = rows.iter().filter(|row| row.cell.run == index).collect();
        write!(
            page,
            "<h2>{}</h2>\n<p>D = {}, {}</p>\n",
            escaped(&run.name),
            run.spec.extra_dims(),
            escaped(&run.spec.data.name)
        )?;
        let drawn = grouped(own.iter().copied(), |row| row.cell.curve(), |row| row.nfe());
        // If all cells have the same number of evaluations, only figures of other axes are informative.
        if shared.is_empty() || drawn.iter().any(|curve| curve.dots.len() > 1) {
            figure(&mut page, folders, &drawn, ("evaluations of each sample (NFE)", &run.name))?;
        }
        if let Some(best) = best(&own) {
            let path = folders.cells.join(format!("{}.png", best.cell.id()));
            let picture = fs::read(&path).with_context(|| format!("{}: cannot be read", path.display()))?;
            let caption = format!("its best cell: {}", best.cell.title(&[]));
            image(&mut page, ("png", &picture), &caption)?;
        }
    }
    page.push_str("<h2>All cells</h2>\n");
    cells_table(&mut page, &rows, plan)?;
    write!(page, "<h2>The file</h2>\n<pre>{}</pre>\n</body></html>\n", escaped(&plan.text))?;
    Ok(page)
}

/// A title, the label of the axis, and the curves.
type Figure = (String, &'static str, Vec<Curve>);

/// Figures of all runs: over the evaluations, and over every other axis.
fn overall(rows: &[Row], plan: &Plan) -> Vec<Figure> {
    let different = |of: &dyn Fn(&Row) -> String| rows.iter().map(of).collect::<BTreeSet<_>>().len();
    let named = |row: &Row, what: String| {
        if plan.runs.len() > 1 { format!("{}: {what}", row.run.name) } else { what }
    };
    let mut figures: Vec<Figure> = Vec::new();
    if different(&|row| row.run.spec.extra_dims().to_string()) == plan.runs.len() {
        let finite = |row: &&Row| matches!(row.run.spec.extra_dims(), ExtraDims::Finite(_));
        let d = |row: &Row| match row.run.spec.extra_dims() {
            ExtraDims::Finite(d) => d,
            ExtraDims::Infinite => f64::INFINITY,
        };
        let drawn = grouped(rows.iter().filter(finite), |row| row.cell.title(&[REPETITION]), d);
        figures.push(("finite D".to_owned(), "number of extra dimensions D", drawn));
    }
    if different(&|row| row.cell.choice.solver.perturbation().to_string()) > 1 {
        let drawn = grouped(
            rows.iter(),
            |row| named(row, row.cell.title(&["noise", REPETITION])),
            |row| row.cell.choice.solver.perturbation(),
        );
        figures.push(("noise before each step".to_owned(), "noise of each step, as a share of its level", drawn));
    }
    if different(&|row| row.cell.bits.to_string()) > 1 {
        let rounded = rows.iter().filter(|row| row.cell.bits != ALL_BITS);
        let drawn =
            grouped(rounded, |row| named(row, row.cell.title(&["bits", REPETITION])), |row| f64::from(row.cell.bits));
        figures.push(("rounded weights".to_owned(), "bits of a weight", drawn));
    }
    // A cell that does not change along an axis is not a curve.
    figures.iter_mut().for_each(|(.., drawn)| drawn.retain(|curve| curve.dots.len() > 1));
    let drawn = grouped(rows.iter(), |row| named(row, row.cell.curve()), |row| row.nfe());
    // If all cells have the same number of evaluations, only figures of other axes are informative.
    if plan.runs.len() > 1 && (figures.is_empty() || drawn.iter().any(|curve| curve.dots.len() > 1)) {
        figures.insert(0, ("all runs".to_owned(), "evaluations of each sample (NFE)", drawn));
    }
    figures.retain(|(.., drawn)| (1..=MOST_CURVES).contains(&drawn.len()));
    figures
}

/// Curves of cells with the same name, in the order of their positions.
fn grouped<'a>(
    rows: impl Iterator<Item = &'a Row<'a>>,
    name: impl Fn(&Row) -> String,
    place: impl Fn(&Row) -> f64,
) -> Vec<Curve> {
    let mut found: Vec<Curve> = Vec::new();
    for row in rows {
        let Some(dot) = row.dot(place(row)) else { continue };
        let name = name(row);
        match found.iter_mut().find(|curve| curve.name == name) {
            Some(curve) => curve.dots.push(dot),
            None => found.push(Curve { name, dots: vec![dot] }),
        }
    }
    for curve in &mut found {
        curve.dots.sort_by(|a, b| a.x.total_cmp(&b.x));
        curve.dots = curve.dots.chunk_by(|a, b| a.x == b.x).map(pooled).collect();
    }
    found
}

/// The mean of repetitions at one position, with the 95 % interval of Student's t distribution that their spread gives; a single dot stays as
/// it is.
fn pooled(dots: &[Dot]) -> Dot {
    const T: [f64; 10] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];
    let count = dots.len() as f64;
    let y = dots.iter().map(|dot| dot.y).sum::<f64>() / count;
    let Some(free) = dots.len().checked_sub(2) else { return dots[0] };
    let variance = dots.iter().map(|dot| (dot.y - y).powi(2)).sum::<f64>() / (count - 1.0);
    let t = T.get(free).copied().unwrap_or(WIDE);
    Dot { y, error: t * (variance / count).sqrt(), ..dots[0] }
}

fn best<'a>(rows: &[&'a Row<'a>]) -> Option<&'a Row<'a>> {
    let distance = |row: &Row| row.distance().unwrap_or(f64::INFINITY);
    let finished = rows.iter().copied().filter(|row| row.found.is_ok());
    finished.min_by(|a, b| distance(a).total_cmp(&distance(b)))
}

fn figure(page: &mut String, folders: &Folders, drawn: &[Curve], (axis, title): (&str, &str)) -> Result<()> {
    // If no cell has a distance, there is nothing to draw.
    if drawn.is_empty() {
        return Ok(());
    }
    let chart = folders.style.apply(curves(drawn, [axis, "Frechet distance (FD), 95 % bars"], title)?)?;
    let (svg, name) = (chart.svg()?, file_name(&format!("{title}-{axis}")));
    for format in folders.style.style.format.map_or(vec![ChartFormat::Svg, ChartFormat::Pdf], |format| vec![format]) {
        let path = folders.figures.join(format!("{name}.{}", format.ending()));
        render::write(&path, &Format::of(&path)?.encode(&chart)?)?;
    }
    image(page, ("svg+xml", &svg), &format!("{title}: FD against the {axis}"))
}

/// A title as the name of a file: letters, digits and hyphens.
fn file_name(title: &str) -> String {
    let words = title.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}

fn image(page: &mut String, (format, bytes): (&str, &[u8]), caption: &str) -> Result<()> {
    let caption = escaped(caption);
    let data = base64(bytes);
    writeln!(
        page,
        "<figure><img alt=\"{caption}\" src=\"data:image/{format};base64,{data}\"><figcaption>{caption}</figcaption></figure>"
    )?;
    Ok(())
}

fn cells_table(page: &mut String, rows: &[Row], plan: &Plan) -> Result<()> {
    let shown = SCORES
        .iter()
        .filter(|(score, _, always)| *always || rows.iter().any(|row| row.score(score, "value").is_some()));
    let shown: Vec<_> = shown.collect();
    page.push_str("<div class=\"wide\"><table>\n<tr><th class=\"l\">run</th><th>D</th><th class=\"l\">solver</th><th>NFE</th><th>s per image</th>");
    for (_, name, _) in &shown {
        let name = if name.len() < 4 { name.to_uppercase() } else { (*name).to_owned() };
        write!(page, "<th>{name}</th>")?;
    }
    page.push_str("</tr>\n");
    for row in rows {
        let own: Vec<&Row> = rows.iter().filter(|other| other.cell.run == row.cell.run).collect();
        let is_best = best(&own).is_some_and(|best| std::ptr::eq(best, row));
        let (name, d) = (escaped(&plan.runs[row.cell.run].name), row.run.spec.extra_dims());
        let solver = escaped(&row.cell.title(&[]));
        write!(page, "<tr><td class=\"l\">{name}</td><td>{d}</td><td class=\"l\">{solver}</td>")?;
        match row.found {
            Ok(found) => {
                write!(page, "<td>{:.1}</td><td>{:.2e}</td>", found.nfe, found.seconds)?;
                for (score, name, _) in &shown {
                    let class = if is_best && *name == "fd" { " class=\"best\"" } else { "" };
                    match (row.score(score, "value"), row.score(score, "standard_error")) {
                        (Some(value), Some(error)) => {
                            let (value, error) = (digits(value), digits(WIDE * error));
                            write!(page, "<td{class}>{value} <span class=\"e\">&plusmn;{error}</span></td>")?;
                        }
                        (Some(value), None) => write!(page, "<td{class}>{}</td>", digits(value))?,
                        _ => page.push_str("<td></td>"),
                    }
                }
            }
            Err(error) => {
                write!(page, "<td class=\"l\" colspan=\"{}\">failed: {}</td>", shown.len() + 2, escaped(error))?
            }
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table></div>\n");
    Ok(())
}

/// Three decimals, or more for small numbers.
fn digits(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.01 { format!("{value:.1e}") } else { format!("{value:.3}") }
}

/// Text escaped for HTML.
fn escaped(text: &str) -> String {
    let pairs = [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;")];
    pairs.iter().fold(text.to_owned(), |text, (plain, safe)| text.replace(plain, safe))
}

/// Bytes in base64 (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for part in bytes.chunks(3) {
        let at = |index: usize| u32::from(part.get(index).copied().unwrap_or(0));
        let word = at(0) << 16 | at(1) << 8 | at(2);
        for letter in 0..4 {
            let index = (word >> (18 - 6 * letter)) & 63;
            text.push(if letter <= part.len() { char::from(LETTERS[index as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_are_pooled_with_the_interval_of_their_mean() {
        let dot = |y: f64| Dot { x: 10.0, y, error: 7.0 };
        assert_eq!(pooled(&[dot(3.0)]), dot(3.0));
        // Mean 2, standard deviation 1, standard error 1/sqrt(3), t of two degrees of freedom 4.303.
        let found = pooled(&[dot(1.0), dot(2.0), dot(3.0)]);
        assert_eq!((found.x, found.y), (10.0, 2.0));
        assert!((found.error - 4.303 / 3.0_f64.sqrt()).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn text_and_bytes_go_into_a_page() {
        for (bytes, letters) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), letters);
        }
        assert_eq!(escaped("a<b & \"c\">"), "a&lt;b &amp; &quot;c&quot;&gt;");
        assert_eq!(file_name("no <D>-evaluations (NFE)"), "no-d-evaluations-nfe");
    }
}
