//! A canvas as a PDF file of one page: shapes stay shapes, and texts can be selected and searched.

mod letters;

use std::{collections::BTreeSet, io::Write};

use flate2::{Compression, write::ZlibEncoder};
use pdf_writer::{
    Content, Filter, Finish, Name, Pdf, Rect, Ref, Str,
    types::{LineCapStyle, LineJoinStyle},
};

use self::letters::Letters;
use crate::{
    canvas::{Anchor, Area, Canvas, Position, Shape, font},
    color::Color,
};

/// Points of a unit of length: 1/96 inch in points of 1/72 inch.
const POINTS: f32 = 0.75;
/// Distance of the control points of a quarter of a circle, in radii.
const ARC: f64 = 0.552_284_75;

/// Writes a canvas as a PDF file.
pub fn write(canvas: &Canvas) -> Vec<u8> {
    let Area { width, height, .. } = canvas.area();
    let [width, height] = [width, height].map(|length| POINTS * length as f32);
    let mut page =
        Page { content: Content::new(), opacities: BTreeSet::new(), letters: Letters::default(), images: Vec::new() };
    // The y-axis of a page runs upwards.
    page.content.transform([POINTS, 0.0, 0.0, -POINTS, 0.0, height]);
    page.draw(&Shape::Polygon { corners: canvas.area().corners().to_vec(), color: canvas.background() });
    page.content.set_line_cap(LineCapStyle::RoundCap).set_line_join(LineJoinStyle::RoundJoin);
    for group in canvas.elements().chunk_by(|a, b| a.clip == b.clip) {
        page.content.save_state();
        if let Some(area) = group[0].clip {
            let [x, y, width, height] = [area.left, area.top, area.width, area.height].map(length);
            page.content.rect(x, y, width, height).clip_nonzero().end_path();
        }
        group.iter().for_each(|element| page.draw(&element.shape));
        page.content.restore_state();
    }
    page.finish(width, height)
}

/// Compresses the bytes of a stream.
pub fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory can be written to")
}

/// An image in the resources of a page.
struct Image {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
    /// Whether colors are interpolated between the pixels.
    is_smooth: bool,
}

struct Page {
    content: Content,
    /// The opacities in use, from 0 to 255.
    opacities: BTreeSet<u8>,
    letters: Letters,
    images: Vec<Image>,
}

impl Page {
    fn draw(&mut self, shape: &Shape) {
        match shape {
            Shape::Curve { pieces, width, color } => {
                let [r, g, b] = self.paint(*color);
                self.content.set_stroke_rgb(r, g, b).set_line_width(length(*width));
                pieces.iter().for_each(|piece| self.path(piece));
                self.content.stroke();
            }
            Shape::Polygon { corners, color } => {
                self.fill_with(*color);
                self.path(corners);
                self.content.close_path().fill_nonzero();
            }
            Shape::Disc { center, radius, color } => {
                self.fill_with(*color);
                self.circle(*center, *radius);
            }
            Shape::Cells { area, across, colors } => {
                let rgb = colors.iter().flat_map(|color| color.rgb).collect();
                self.image(*area, Image { width: *across, height: colors.len() / across, rgb, is_smooth: true });
            }
            Shape::Pixels { area, across, rgb } => {
                let height = rgb.len() / 3 / across;
                self.image(*area, Image { width: *across, height, rgb: rgb.clone(), is_smooth: false });
            }
            Shape::Text { text, at, size, anchor, color } => {
                self.fill_with(*color);
                self.text(text, *at, *size, *anchor);
            }
        }
    }

    /// Sets the opacity of a color, and returns its red, green and blue.
    fn paint(&mut self, color: Color) -> [f32; 3] {
        self.opacities.insert(color.alpha);
        self.content.set_parameters(Name(opacity_name(color.alpha).as_bytes()));
        color.rgb.map(|value| (f32::from(value) / 255.0 * 1000.0).round() / 1000.0)
    }

    fn fill_with(&mut self, color: Color) {
        let [r, g, b] = self.paint(color);
        self.content.set_fill_rgb(r, g, b);
    }

    fn path(&mut self, points: &[Position]) {
        for (index, at) in points.iter().enumerate() {
            let (x, y) = (length(at.0), length(at.1));
            if index == 0 {
                self.content.move_to(x, y)
            } else {
                self.content.line_to(x, y)
            };
        }
    }

    fn circle(&mut self, (x, y): Position, radius: f64) {
        let at = |right: f64, down: f64| (length(x + right * radius), length(y + down * radius));
        let (begin_x, begin_y) = at(1.0, 0.0);
        self.content.move_to(begin_x, begin_y);
        // Quarters from the direction (a, b) to the direction (-b, a).
        for (a, b) in [(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)] {
            let ((x1, y1), (x2, y2), (x3, y3)) =
                (at(a - ARC * b, b + ARC * a), at(ARC * a - b, ARC * b + a), at(-b, a));
            self.content.cubic_to(x1, y1, x2, y2, x3, y3);
        }
        self.content.close_path().fill_nonzero();
    }

    fn image(&mut self, area: Area, image: Image) {
        let name = image_name(self.images.len());
        self.images.push(image);
        let [x, bottom, width, height] = [area.left, area.top + area.height, area.width, area.height].map(length);
        self.paint(Color { rgb: [0; 3], alpha: 255 });
        self.content.save_state().transform([width, 0.0, 0.0, -height, x, bottom]);
        self.content.x_object(Name(name.as_bytes())).restore_state();
    }

    fn text(&mut self, text: &str, (x, y): Position, size: f64, anchor: Anchor) {
        let back = font::part_before(anchor) * font::width(text, size);
        let matrix = match anchor {
            Anchor::Upwards => [0.0, -1.0, -1.0, 0.0, length(x), length(y + back)],
            _ => [1.0, 0.0, 0.0, -1.0, length(x - back), length(y)],
        };
        self.content.begin_text().set_text_matrix(matrix);
        for (font, codes) in self.letters.encode(text) {
            self.content.set_font(Name(font.as_bytes()), size as f32).show(Str(&codes));
        }
        self.content.end_text();
    }

    fn finish(self, width: f32, height: f32) -> Vec<u8> {
        let mut last = 0;
        let mut new = || {
            last += 1;
            Ref::new(last)
        };
        let [catalog, pages, page, content, info] = [(); 5].map(|()| new());
        let opacities: Vec<(u8, Ref)> = self.opacities.iter().map(|&opacity| (opacity, new())).collect();
        let images: Vec<(Image, Ref)> = self.images.into_iter().map(|image| (image, new())).collect();
        let mut pdf = Pdf::new();
        pdf.catalog(catalog).pages(pages);
        pdf.pages(pages).kids([page]).count(1);
        pdf.document_info(info).producer(pdf_writer::TextStr("pfgm"));
        let fonts = self.letters.write(&mut pdf, &mut new);
        let mut described = pdf.page(page);
        described.parent(pages).media_box(Rect::new(0.0, 0.0, width, height)).contents(content);
        let mut resources = described.resources();
        let mut states = resources.ext_g_states();
        for (opacity, id) in &opacities {
            states.pair(Name(opacity_name(*opacity).as_bytes()), id);
        }
        states.finish();
        let mut of_name = resources.fonts();
        for (name, id) in &fonts {
            of_name.pair(Name(name.as_bytes()), id);
        }
        of_name.finish();
        let mut of_name = resources.x_objects();
        for (index, (_, id)) in images.iter().enumerate() {
            of_name.pair(Name(image_name(index).as_bytes()), id);
        }
        of_name.finish();
        resources.finish();
        described.finish();
        for (opacity, id) in opacities {
            let share = f32::from(opacity) / 255.0;
            pdf.ext_graphics(id).stroking_alpha(share).non_stroking_alpha(share);
        }
        for (image, id) in images {
            write_image(&mut pdf, id, &image);
        }
        pdf.stream(content, &deflated(&self.content.finish())).filter(Filter::FlateDecode);
        pdf.finish()
    }
}

fn write_image(pdf: &mut Pdf, id: Ref, image: &Image) {
    let samples = deflated(&image.rgb);
    let mut written = pdf.image_xobject(id, &samples);
    written.filter(Filter::FlateDecode);
    written.width(image.width as i32).height(image.height as i32).bits_per_component(8).interpolate(image.is_smooth);
    written.color_space().device_rgb();
}

fn opacity_name(opacity: u8) -> String {
    format!("A{opacity}")
}

fn image_name(index: usize) -> String {
    format!("I{index}")
}

/// A length with at most two decimals.
fn length(value: f64) -> f32 {
    ((100.0 * value).round() / 100.0) as f32
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io::Read};

    use flate2::read::ZlibDecoder;

    use super::*;
    use crate::color::{BLUE, INK};

    fn find(bytes: &[u8], part: &[u8], from: usize) -> Option<usize> {
        bytes[from..].windows(part.len()).position(|window| window == part).map(|at| from + at)
    }

    /// The objects of a file by number, found by its table of references.
    fn objects(file: &[u8]) -> BTreeMap<usize, Vec<u8>> {
        assert!(file.starts_with(b"%PDF-1.7") && file.ends_with(b"%%EOF"));
        let tail = String::from_utf8_lossy(&file[file.len() - 40..]).into_owned();
        let start: usize = tail.split("startxref").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
        let table = String::from_utf8_lossy(&file[start..]).into_owned();
        let mut lines = table.lines();
        assert_eq!(lines.next(), Some("xref"));
        let count: usize = lines.next().unwrap().strip_prefix("0 ").unwrap().trim().parse().unwrap();
        let object = |(number, line): (usize, &str)| {
            let offset: usize = line[..10].parse().unwrap();
            let begin = format!("{number} 0 obj\n");
            assert!(file[offset..].starts_with(begin.as_bytes()), "object {number}");
            let end = find(file, b"endobj", offset).unwrap();
            (number, file[offset + begin.len()..end].to_vec())
        };
        lines.take(count).enumerate().skip(1).map(object).collect()
    }

    /// The bytes of a compressed stream.
    fn stream(object: &[u8]) -> Vec<u8> {
        let start = find(object, b"stream\n", 0).unwrap() + 7;
        let mut bytes = Vec::new();
        ZlibDecoder::new(&object[start..]).read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn text_of(object: &[u8]) -> String {
        String::from_utf8_lossy(object).into_owned()
    }

    /// The letters that codes stand for, in a table of `<code> <UTF-16>` lines.
    fn letters(table: &str) -> BTreeMap<u8, char> {
        let lines = table.lines().filter(|line| line.starts_with('<') && line.matches('<').count() == 2);
        let pairs = lines.filter_map(|line| line.split_once("> <"));
        let pairs = pairs.map(|(code, letter)| (&code[1..], letter.trim_end_matches('>')));
        // The codes' range looks the same, but its ends are 00 and FF.
        let pairs = pairs.filter(|(_, letter)| letter.len() == 4);
        pairs
            .map(|(code, letter)| {
                let letter = u32::from_str_radix(letter, 16).unwrap();
                (u8::from_str_radix(code, 16).unwrap(), char::from_u32(letter).unwrap())
            })
            .collect()
    }

    #[test]
    fn a_reader_finds_page_shapes_and_text() {
        let mut canvas = Canvas::new(100.0, 80.0, 2.0).unwrap();
        let area = Area { left: 10.0, top: 10.0, width: 40.0, height: 40.0 };
        canvas.clip(Some(area));
        canvas.curve([(0.0, 1.0 / 3.0), (3.0, 4.0)], 1.5, BLUE.faded(0.5));
        canvas.clip(None);
        canvas.disc((50.0, 20.0), 3.0, INK);
        canvas.cells(area, 2, &[BLUE, INK, INK, BLUE]);
        canvas.text("|x − y| ≤ σ", (5.0, 6.0), 9.0, Anchor::Start, INK);
        let objects = objects(&canvas.pdf());
        let with =
            |part: &str| objects.values().map(|object| text_of(object)).find(|text| text.contains(part)).unwrap();
        let page = with("/Type /Page\n");
        assert!(page.contains("/MediaBox [0 0 75 60]"), "{page}");
        assert!(with("/CA 0.5019").contains("/ca 0.5019"));
        assert!(with("/Subtype /Image").contains("/Width 2"));
        let number: usize = page.split("/Contents ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        let content = stream(&objects[&number]);
        let shown = text_of(&content);
        for part in ["10 10 40 40 re\nW", "0 0.33 m\n3 4 l\nS", "/A128 gs", "53 20 m", "/I0 Do", "/F0 9 Tf"] {
            assert!(shown.contains(part), "{part} is not in {shown}");
        }
        // The text, by the font's table of letters.
        let font = with("/Subtype /Type3");
        let number: usize = font.split("/ToUnicode ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        let letters = letters(&text_of(&stream(&objects[&number])));
        let codes = shown.split("Tf\n").nth(1).unwrap().split(" Tj").next().unwrap();
        let codes: Vec<u8> = match codes.strip_prefix('<') {
            Some(hex) => {
                (0..(hex.len() - 1) / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
            }
            None => codes.trim_matches(['(', ')']).bytes().collect(),
        };
        let text: String = codes.iter().map(|code| letters[code]).collect();
        assert_eq!(text, "|x − y| ≤ σ");
    }
}
