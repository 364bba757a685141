//! The letters of a PDF file: outlines of those that are in use, and the characters that they stand for.

use ab_glyph::{Font, OutlineCurve, Point};
use pdf_writer::{
    Content, Filter, Finish, Name, Pdf, Rect, Ref, Str,
    types::{SystemInfo, UnicodeCmap},
};

use super::deflated;
use crate::canvas::font::{self, FONT};

/// Code of the first letter of a font: codes below are control characters.
const FIRST: u8 = 32;
/// Letters of a font, at most: from [`FIRST`] to 255.
const MOST: usize = 224;

/// The letters in use, in the order of their first use. A Type 3 font has at most 224 of them.
#[derive(Default)]
pub struct Letters {
    letters: Vec<char>,
}

impl Letters {
    /// The codes of a text, and the name of the font of each part.
    pub fn encode(&mut self, text: &str) -> Vec<(String, Vec<u8>)> {
        let places: Vec<usize> = text.chars().map(|letter| self.place(letter)).collect();
        let parts = places.chunk_by(|a, b| a / MOST == b / MOST);
        parts.map(|part| (name(part[0] / MOST), part.iter().map(|place| code(*place)).collect())).collect()
    }

    fn place(&mut self, letter: char) -> usize {
        self.letters.iter().position(|known| *known == letter).unwrap_or_else(|| {
            self.letters.push(letter);
            self.letters.len() - 1
        })
    }

    /// Writes the fonts, and returns their names and objects.
    pub fn write(&self, pdf: &mut Pdf, new: &mut impl FnMut() -> Ref) -> Vec<(String, Ref)> {
        let fonts = self.letters.chunks(MOST).enumerate();
        fonts.map(|(index, letters)| (name(index), write_font(letters, pdf, new))).collect()
    }
}

/// The name of a font in the resources of a page.
fn name(index: usize) -> String {
    format!("F{index}")
}

fn code(place: usize) -> u8 {
    FIRST + (place % MOST) as u8
}

fn write_font(letters: &[char], pdf: &mut Pdf, new: &mut impl FnMut() -> Ref) -> Ref {
    let (id, to_unicode) = (new(), new());
    let names: Vec<String> = (0..letters.len()).map(|index| format!("g{index}")).collect();
    let outlines: Vec<Ref> = letters.iter().map(|_| new()).collect();
    let unit = 1.0 / FONT.units_per_em().unwrap_or(2048.0);
    let mut font = pdf.type3_font(id);
    // A box of zeros stands for that of all letters.
    font.bbox(Rect::new(0.0, 0.0, 0.0, 0.0)).matrix([unit, 0.0, 0.0, unit, 0.0, 0.0]);
    font.first_char(FIRST).last_char(code(letters.len() - 1)).to_unicode(to_unicode);
    font.widths(letters.iter().map(|&letter| width(letter)));
    font.encoding_custom().differences().consecutive(FIRST, names.iter().map(|name| Name(name.as_bytes())));
    font.char_procs().pairs(names.iter().zip(&outlines).map(|(name, outline)| (Name(name.as_bytes()), *outline)));
    font.resources();
    font.finish();
    for (letter, outline) in letters.iter().zip(outlines) {
        pdf.stream(outline, &deflated(&outlined(*letter))).filter(Filter::FlateDecode);
    }
    let system = SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"UCS"), supplement: 0 };
    let mut table = UnicodeCmap::<u8>::new(Name(b"Letters"), system);
    for (index, &letter) in letters.iter().enumerate() {
        table.pair(code(index), letter);
    }
    pdf.stream(to_unicode, &deflated(&table.finish())).filter(Filter::FlateDecode);
    id
}

/// The factor from the units of a letter's font to those of [`FONT`].
fn units(letter: char) -> f32 {
    let em = |font: &ab_glyph::FontRef| font.units_per_em().unwrap_or(2048.0);
    em(&FONT) / em(font::of(letter))
}

/// The width of a letter in units of [`FONT`].
fn width(letter: char) -> f32 {
    let font = font::of(letter);
    units(letter) * font.h_advance_unscaled(font.glyph_id(letter))
}

/// The outline of a letter as the content of a stream. Quadratic curves become cubic ones.
fn outlined(letter: char) -> Vec<u8> {
    let mut content = Content::new();
    let (font, unit, width) = (font::of(letter), units(letter), width(letter));
    let Some(outline) = font.outline(font.glyph_id(letter)) else {
        content.start_shape_glyph(width, 0.0, 0.0, 0.0, 0.0);
        return content.finish().into_vec();
    };
    let scaled = |point: Point| ab_glyph::point(unit * point.x, unit * point.y);
    let (a, b) = (scaled(outline.bounds.min), scaled(outline.bounds.max));
    content.start_shape_glyph(width, a.x.min(b.x), a.y.min(b.y), a.x.max(b.x), a.y.max(b.y));
    let curves = outline.curves.iter().map(|curve| match *curve {
        OutlineCurve::Line(start, end) => OutlineCurve::Line(scaled(start), scaled(end)),
        OutlineCurve::Quad(start, middle, end) => OutlineCurve::Quad(scaled(start), scaled(middle), scaled(end)),
        OutlineCurve::Cubic(start, first, second, end) => {
            OutlineCurve::Cubic(scaled(start), scaled(first), scaled(second), scaled(end))
        }
    });
    let mut at: Option<Point> = None;
    for curve in curves {
        let (OutlineCurve::Line(start, end) | OutlineCurve::Quad(start, _, end) | OutlineCurve::Cubic(start, .., end)) =
            curve;
        if at != Some(start) {
            content.move_to(start.x, start.y);
        }
        match curve {
            OutlineCurve::Line(..) => content.line_to(end.x, end.y),
            OutlineCurve::Quad(_, middle, _) => {
                let between = |end: f32, middle: f32| end + 2.0 / 3.0 * (middle - end);
                let (x1, y1) = (between(start.x, middle.x), between(start.y, middle.y));
                let (x2, y2) = (between(end.x, middle.x), between(end.y, middle.y));
                content.cubic_to(x1, y1, x2, y2, end.x, end.y)
            }
            OutlineCurve::Cubic(_, first, second, _) => {
                content.cubic_to(first.x, first.y, second.x, second.y, end.x, end.y)
            }
        };
        at = Some(end);
    }
    content.fill_nonzero();
    content.finish().into_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_letters_than_codes_need_a_second_font() {
        let mut letters = Letters::default();
        let text: String = (0..300).filter_map(|index| char::from_u32(0x4e00 + index)).collect();
        let parts = letters.encode(&text);
        let lengths: Vec<(&str, usize)> = parts.iter().map(|(font, codes)| (font.as_str(), codes.len())).collect();
        assert_eq!(lengths, [("F0", 224), ("F1", 76)]);
        assert_eq!((parts[0].1[0], parts[0].1[223], parts[1].1[0]), (32, 255, 32));
        // Known letters keep their codes.
        assert_eq!(letters.encode(&text[..3]), [("F0".to_owned(), vec![32])]);
    }

    #[test]
    fn outlines_close_and_quadratic_curves_keep_their_ends() {
        let drawn = String::from_utf8(outlined('o')).unwrap();
        // The letter has an outer and an inner contour.
        assert_eq!(drawn.matches(" m\n").count(), 2, "{drawn}");
        assert!(drawn.matches(" c\n").count() >= 16 && drawn.ends_with("f"), "{drawn}");
        assert!(String::from_utf8(outlined(' ')).unwrap().ends_with("d1"));
    }
}
