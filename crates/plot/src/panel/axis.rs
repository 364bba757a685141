//! Axes and their ticks.

use super::TICK;
use crate::Canvas;

/// Distance from the axis to the base of the texts of its ticks.
const TICK_DOWN: f64 = 13.0;
/// Share of the usual size that letters have at least.
const SMALLER: f64 = 0.8;
/// Width that a name has at least.
const NARROWEST: f64 = 14.0;

/// An axis of a panel.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// The label; if it is empty, the axis has no ticks either.
    pub label: String,
    /// The value at its start.
    pub low: f64,
    /// The value at its end.
    pub high: f64,
    /// Whether it is logarithmic.
    pub logarithmic: bool,
    /// Texts at values, instead of ticks at round numbers; none for an axis of numbers.
    pub names: Vec<(f64, String)>,
}

/// A tick with its text.
pub(super) struct Tick {
    pub value: f64,
    pub text: String,
    /// Size of the letters.
    pub size: f64,
    /// Distance from the axis to the base of the text.
    pub down: f64,
}

impl Axis {
    /// Creates a linear axis.
    pub fn linear(label: &str, low: f64, high: f64) -> Self {
        Self { label: label.to_owned(), low, high, logarithmic: false, names: Vec::new() }
    }

    /// Creates a logarithmic axis.
    pub fn logarithmic(label: &str, low: f64, high: f64) -> Self {
        Self { label: label.to_owned(), low, high, logarithmic: true, names: Vec::new() }
    }

    /// The same axis with texts at values, instead of ticks at round numbers.
    #[must_use]
    pub fn with_names(self, names: Vec<(f64, String)>) -> Self {
        Self { names, ..self }
    }

    /// The ticks of a horizontal axis of this width.
    pub(super) fn marks(&self, width: f64) -> Vec<Tick> {
        if !self.names.is_empty() {
            return self.named(width);
        }
        let mark = |value| Tick { value, text: number(value, self.logarithmic), size: TICK, down: TICK_DOWN };
        self.ticks(width / 52.0).into_iter().map(mark).collect()
    }

    /// The ticks of an axis with names. If the names do not fit side by side, their letters are smaller, then they alternate between two
    /// lines, then they are cut. Of very many names only some are written.
    fn named(&self, width: f64) -> Vec<Tick> {
        let step = (self.names.len() as f64 * NARROWEST / width).ceil().max(1.0) as usize;
        let shown: Vec<&(f64, String)> = self.names.iter().step_by(step).collect();
        let gap = shown.windows(2).map(|pair| self.share(pair[1].0) - self.share(pair[0].0)).fold(1.0, f64::min);
        let room = 0.94 * gap * width;
        let widest = shown.iter().map(|(_, text)| Canvas::text_width(text, TICK)).fold(1.0, f64::max);
        let lines = if SMALLER * widest > room { 2 } else { 1 };
        let room = room * f64::from(lines);
        let size = TICK * (room / widest).clamp(SMALLER, 1.0);
        let mark = |(at, (value, text)): (usize, &&(f64, String))| {
            let down = if lines == 2 { [TICK_DOWN - 3.0, TICK_DOWN + 6.0][at % 2] } else { TICK_DOWN };
            Tick { value: *value, text: cut(text, size, room), size, down }
        };
        shown.iter().enumerate().map(mark).collect()
    }

    /// The position of a value as a share of the axis.
    pub(super) fn share(&self, value: f64) -> f64 {
        if self.logarithmic {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }

    /// The values of the ticks.
    pub(super) fn ticks(&self, most: f64) -> Vec<f64> {
        if self.logarithmic {
            let (first, last) = (self.low.log10().ceil() as i32, self.high.log10().floor() as i32);
            if last - first < 2 {
                // If there is hardly a power of ten, its multiples by 2 and 5 are added.
                let multiples = (first - 1..=last).flat_map(|power| [1.0, 2.0, 5.0].map(|m| m * 10_f64.powi(power)));
                return multiples.filter(|value| (self.low..=self.high).contains(value)).collect();
            }
            let step = (f64::from(last - first + 1) / most).ceil().max(1.0) as usize;
            return (first..=last).step_by(step).map(|power| 10_f64.powi(power)).collect();
        }
        let rough = (self.high - self.low) / most;
        let power = 10_f64.powf(rough.log10().floor());
        let nice = [1.0, 2.0, 5.0, 10.0];
        let fits = nice.iter().position(|nice| nice * power >= rough).unwrap_or(3);
        // One tick alone gives no scale.
        let steps = nice[..=fits].iter().rev().map(|nice| nice * power).chain([0.5 * power, 0.2 * power]);
        steps.map(|step| self.multiples(step)).find(|ticks| ticks.len() > 1).unwrap_or_default()
    }

    /// The multiples of a step on the axis.
    fn multiples(&self, step: f64) -> Vec<f64> {
        let first = (self.low / step - 1e-9).ceil();
        let count = (self.high / step + 1e-9).floor() - first;
        (0..=count as i64).map(|index| (first + index as f64) * step).collect()
    }
}

/// A text, with dots instead of its last letters if it is too wide.
fn cut(text: &str, size: f64, room: f64) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    let mut shown = text.to_owned();
    while letters.len() > 1 && Canvas::text_width(&shown, size) > room {
        letters.pop();
        shown = letters.iter().chain(['…'].iter()).collect();
    }
    shown
}

/// A number without unneeded digits.
pub(crate) fn number(value: f64, logarithmic: bool) -> String {
    if logarithmic && !(1e-3..1e4).contains(&value) {
        const RAISED: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
        let power = value.log10().round() as i32;
        let digits: String = power.abs().to_string().bytes().map(|digit| RAISED[usize::from(digit - b'0')]).collect();
        return format!("10{}{digits}", if power < 0 { "⁻" } else { "" });
    }
    // Ten digits hide rounding errors of a multiple of the step.
    let rounded: f64 = format!("{value:.10}").parse().unwrap_or(value);
    if rounded == 0.0 { "0".to_owned() } else { format!("{rounded}").replace('-', "−") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_within_the_axis() {
        assert_eq!(Axis::linear("", -1.2, 1.3).ticks(6.0), [-1.0, -0.5, 0.0, 0.5, 1.0]);
        assert_eq!(Axis::linear("", 0.0, 100.0).ticks(5.0), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        // Multiples of 5 would be one alone.
        assert_eq!(Axis::linear("", 5.6, 14.6).ticks(2.6), [6.0, 8.0, 10.0, 12.0, 14.0]);
        let found = Axis::logarithmic("", 5e-4, 2e3).ticks(10.0);
        assert_eq!(found.len(), 7);
        assert!((found[0] - 1e-3).abs() < 1e-12 && (found[6] - 1e3).abs() < 1e-6, "{found:?}");
        assert_eq!(Axis::logarithmic("", 1e-6, 1e6).ticks(5.0).len(), 5);
    }

    #[test]
    fn numbers_have_no_needless_digits() {
        assert_eq!(number(0.1 + 0.2, false), "0.3");
        assert_eq!(number(-2.0, false), "−2");
        assert_eq!(number(1e-7, true), "10⁻⁷");
        assert_eq!(number(1e5, true), "10⁵");
        assert_eq!(number(100.0, true), "100");
    }

    #[test]
    fn names_do_not_overlap() {
        let names = |texts: &[&str]| -> Vec<(f64, String)> {
            texts.iter().enumerate().map(|(at, text)| (at as f64, (*text).to_owned())).collect()
        };
        let marks = |texts: &[&str]| {
            let high = texts.len() as f64 - 0.5;
            Axis::linear("", -0.5, high).with_names(names(texts)).marks(180.0)
        };
        let short = marks(&["low", "high"]);
        assert!(short[0].text == "low" && short[0].size == TICK && short[0].down == short[1].down);
        let medium = marks(&["excellent", "sufficient", "poor", "good", "very good"]);
        assert!(medium[0].down != medium[1].down && medium[1].text == "sufficient", "two lines");
        let long = marks(&[
            "an extraordinarily long name",
            "another extraordinarily long name",
            "short",
            "long names are cut",
        ]);
        assert!(long[0].text.ends_with('…') && long[2].text == "short", "{}", long[0].text);
        for ticks in [&medium, &long] {
            for line in [0, 1] {
                let line: Vec<&Tick> = ticks.iter().skip(line).step_by(2).collect();
                for pair in line.windows(2) {
                    let half = |tick: &Tick| 0.5 * Canvas::text_width(&tick.text, tick.size);
                    let between = 180.0 / ticks.len() as f64 * (pair[1].value - pair[0].value);
                    assert!(half(pair[0]) + half(pair[1]) <= between, "{} {}", pair[0].text, pair[1].text);
                }
            }
        }
        let many: Vec<String> = (0..60).map(|level| level.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(marks(&many).len(), 12, "every fifth");
    }
}
