//! Dates in texts.

use std::fmt::Write;

/// Formats of days that are tried, in order.
const DAYS: [&str; 11] = [
    "yyyy-mm-dd",
    "yyyy/mm/dd",
    "dd.mm.yyyy",
    "d.m.yyyy",
    "dd/mm/yyyy",
    "mm/dd/yyyy",
    "d/m/yyyy",
    "m/d/yyyy",
    "dd-mm-yyyy",
    "mm-dd-yyyy",
    "yyyy.mm.dd",
];
/// What may follow a day.
const TIMES: [&str; 8] = ["", " HH:MM:SS", " HH:MM", "THH:MM:SS", "THH:MM:SSZ", "THH:MM", "THH:MMZ", " H:MM"];

/// A format of dates: letters stand for digits, other characters for themselves.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Format(String);

impl Format {
    /// Parses a format. It must have a year, a month and a day.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let has = |letter: char, counts: &[usize]| counts.contains(&text.matches(letter).count());
        let is_complete = has('y', &[4]) && has('m', &[1, 2]) && has('d', &[1, 2]);
        if is_complete && has('H', &[0, 1, 2]) && has('M', &[0, 2]) && has('S', &[0, 2]) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("`{text}` is not a date format; write one as dd/mm/yyyy, or yyyy-mm-dd HH:MM:SS"))
    }

    /// All formats that every text has, in the order of preference.
    pub(super) fn of<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> Vec<Self> {
        let formats = DAYS.iter().flat_map(|day| TIMES.iter().map(move |time| Self(format!("{day}{time}"))));
        formats.filter(|format| texts.clone().all(|text| format.parse(text).is_some())).collect()
    }

    /// Whether two formats give every date the same meaning.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        let order = |format: &Self| {
            let place = |letter| format.0.find(letter);
            place('d') < place('m')
        };
        order(self) == order(other) || self.0.starts_with('y')
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Seconds in a unit of the format: a day, a minute or a second.
    fn unit(&self) -> i64 {
        match () {
            () if self.0.contains('S') => 1,
            () if self.0.contains('M') => 60,
            () if self.0.contains('H') => 3600,
            () => 86_400,
        }
    }

    /// Units since the start of 1970.
    pub(super) fn parse(&self, text: &str) -> Option<f64> {
        let (mut year, mut month, mut day, mut hour, mut minute, mut second) = (0, 0, 0, 0, 0, 0);
        let mut rest = text.trim().as_bytes();
        let mut format = self.0.as_bytes();
        while let Some(&letter) = format.first() {
            let run = format.iter().take_while(|&&other| other == letter).count();
            format = &format[run..];
            let field = match letter {
                b'y' => &mut year,
                b'm' => &mut month,
                b'd' => &mut day,
                b'H' => &mut hour,
                b'M' => &mut minute,
                b'S' => &mut second,
                _ => {
                    rest =
                        (rest.len() >= run && rest[..run].iter().all(|&byte| byte == letter)).then(|| &rest[run..])?;
                    continue;
                }
            };
            let most = if run == 1 { 2 } else { run };
            let digits = rest.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
            if digits < run {
                return None;
            }
            *field = rest[..digits].iter().fold(0, |number, byte| 10 * number + i64::from(byte - b'0'));
            rest = &rest[digits..];
        }
        let is_date = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
        if !(rest.is_empty() && is_date && hour < 24 && minute < 60 && second < 60) {
            return None;
        }
        let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
        Some(seconds.div_euclid(self.unit()) as f64)
    }

    /// The text of a date, which is rounded to a whole unit between the years 0 and 9999.
    pub(super) fn write(&self, units: f64) -> String {
        let seconds = (units.round() * self.unit() as f64) as i64;
        let seconds = seconds.clamp(days(0, 1, 1) * 86_400, days(10_000, 1, 1) * 86_400 - 1);
        let (day_number, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(day_number);
        let mut text = String::new();
        let mut format = self.0.as_str();
        while let Some(letter) = format.chars().next() {
            let run = format.chars().take_while(|&other| other == letter).count();
            format = &format[run * letter.len_utf8()..];
            let number = match letter {
                'y' => year,
                'm' => month,
                'd' => day,
                'H' => of_day / 3600,
                'M' => of_day / 60 % 60,
                'S' => of_day % 60,
                _ => {
                    text.extend(std::iter::repeat_n(letter, run));
                    continue;
                }
            };
            let _ = write!(text, "{number:0run$}");
        }
        text
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days before a year, counted from the year 0 of the Gregorian calendar.
fn days_before(year: i64) -> i64 {
    let last = year - 1;
    365 * year + last.div_euclid(4) - last.div_euclid(100) + last.div_euclid(400) + 1
}

/// Days since the start of 1970.
fn days(year: i64, month: i64, day: i64) -> i64 {
    days_before(year) + (1..month).map(|month| days_in(year, month)).sum::<i64>() + day - 1 - days_before(1970)
}

/// Year, month and day of a number of days since the start of 1970.
fn civil(number: i64) -> (i64, i64, i64) {
    // A year that is not later than the wanted one.
    let mut year = 1970 + number.div_euclid(if number < 0 { 365 } else { 366 });
    while days(year + 1, 1, 1) <= number {
        year += 1;
    }
    let (mut month, mut day) = (1, number - days(year, 1, 1) + 1);
    while day > days_in(year, month) {
        day -= days_in(year, month);
        month += 1;
    }
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_and_written_as_they_were() {
        for (format, text, units) in [
            ("yyyy-mm-dd", "1970-01-01", 0.0),
            ("yyyy-mm-dd", "2000-03-01", 11_017.0),
            ("yyyy-mm-dd", "1969-12-31", -1.0),
            ("dd.mm.yyyy", "29.02.2024", 19_782.0),
            ("d/m/yyyy", "3/11/2023", 19_664.0),
            ("yyyy-mm-dd HH:MM", "1970-01-02 00:01", 1441.0),
            ("yyyy-mm-ddTHH:MM:SSZ", "2026-11-29T20:29:08Z", 1_795_984_148.0),
        ] {
            let format = Format::new(format).unwrap();
            assert_eq!(format.parse(text), Some(units), "{text}");
            assert_eq!(format.write(units + 0.3), text);
        }
        let format = Format::new("yyyy-mm-dd").unwrap();
        for wrong in ["2023-02-29", "2023-13-01", "2023-1-01", "2023-01-01x", "", "20230101"] {
            assert_eq!(format.parse(wrong), None, "{wrong}");
        }
        assert_eq!(format.write(-1e12), "0000-01-01");
        assert_eq!(format.write(1e12), "9999-12-31");
        for day in (-800_000..800_000).step_by(997) {
            assert_eq!(format.parse(&format.write(f64::from(day))).map(|d| d as i32), Some(day.max(-719_528)));
        }
        assert!(Format::new("mm/dd").is_err());
    }

    #[test]
    fn the_order_of_day_and_month_follows_from_some_row() {
        let names = |texts: &[&str]| -> Vec<String> {
            Format::of(texts.iter().copied()).iter().map(|format| format.as_str().to_owned()).collect()
        };
        assert_eq!(names(&["13/01/2020", "01/02/2020"]), ["dd/mm/yyyy", "d/m/yyyy"]);
        assert_eq!(names(&["01/13/2020"]), ["mm/dd/yyyy", "m/d/yyyy"]);
        let both = Format::of(["01/02/2020"].into_iter());
        assert!(!both[0].agrees(&both[1]) && names(&["1/2020"]).is_empty());
    }
}
