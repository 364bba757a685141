//! A canvas as an SVG file: shapes stay shapes, and texts stay texts.

use std::fmt::Write;

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    PlotError,
    canvas::{Anchor, Area, Canvas, Position, Shape},
    color::Color,
    png,
};

/// The font of the pixel formats, and fonts with letters of nearly the same widths.
const FONTS: &str = "DejaVu Sans, Bitstream Vera Sans, Verdana, Noto Sans SC, Noto Sans CJK SC, PingFang SC, Microsoft YaHei, sans-serif";

/// Writes a canvas as an SVG file.
pub fn write(canvas: &Canvas) -> Result<String, PlotError> {
    let Area { width, height, .. } = canvas.area();
    let (width, height) = (number(width), number(height));
    let mut file = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"{FONTS}\" stroke-linecap=\"round\" stroke-linejoin=\"round\">\n<rect width=\"100%\" height=\"100%\" \
         fill=\"{}\"/>\n",
        hexadecimal(canvas.background())
    );
    let mut areas: Vec<Area> = Vec::new();
    for group in canvas.elements().chunk_by(|a, b| a.clip == b.clip) {
        if let Some(area) = group[0].clip {
            let id = clip(&mut file, &mut areas, area);
            push(&mut file, format_args!("<g clip-path=\"url(#{id})\">\n"));
        }
        for element in group {
            shape(&mut file, &element.shape)?;
        }
        if group[0].clip.is_some() {
            file.push_str("</g>\n");
        }
    }
    file.push_str("</svg>\n");
    Ok(file)
}

fn push(file: &mut String, arguments: std::fmt::Arguments) {
    file.write_fmt(arguments).expect("memory can be written to");
}

/// The name of a clipping path, which is written where it is needed first.
fn clip(file: &mut String, areas: &mut Vec<Area>, area: Area) -> String {
    if let Some(index) = areas.iter().position(|known| *known == area) {
        return format!("clip{index}");
    }
    let id = format!("clip{}", areas.len());
    areas.push(area);
    let [x, y, width, height] = [area.left, area.top, area.width, area.height].map(number);
    push(
        file,
        format_args!(
            "<clipPath id=\"{id}\"><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/></clipPath>\n"
        ),
    );
    id
}

fn shape(file: &mut String, shape: &Shape) -> Result<(), PlotError> {
    match shape {
        Shape::Curve { pieces, width, color } => {
            let path: String = pieces.iter().map(|piece| path(piece)).collect();
            let (width, paint) = (number(*width), paint("stroke", *color));
            push(file, format_args!("<path d=\"{path}\" fill=\"none\" stroke-width=\"{width}\"{paint}/>\n"));
        }
        Shape::Polygon { corners, color } => {
            push(file, format_args!("<path d=\"{}z\"{}/>\n", path(corners), paint("fill", *color)));
        }
        Shape::Disc { center, radius, color } => {
            let [x, y, r] = [center.0, center.1, *radius].map(number);
            push(file, format_args!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{r}\"{}/>\n", paint("fill", *color)));
        }
        Shape::Cells { area, across, colors } => {
            let rgb: Vec<u8> = colors.iter().flat_map(|color| color.rgb).collect();
            image(file, *area, (*across, &rgb), "")?;
        }
        Shape::Pixels { area, across, rgb } => {
            image(file, *area, (*across, rgb), " style=\"image-rendering:pixelated\"")?
        }
        Shape::Text { text, at, size, anchor, color } => {
            let [x, y, size] = [at.0, at.1, *size].map(number);
            let place = match anchor {
                Anchor::Start => String::new(),
                Anchor::Middle => " text-anchor=\"middle\"".to_owned(),
                Anchor::End => " text-anchor=\"end\"".to_owned(),
                Anchor::Upwards => format!(" text-anchor=\"middle\" transform=\"rotate(-90 {x} {y})\""),
            };
            let (paint, text) = (paint("fill", *color), escaped(text));
            push(file, format_args!("<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\"{place}{paint}>{text}</text>\n"));
        }
    }
    Ok(())
}

/// Writes an image over an area, with further attributes.
fn image(file: &mut String, area: Area, (across, rgb): (usize, &[u8]), more: &str) -> Result<(), PlotError> {
    let data = BASE64_STANDARD.encode(png(across as u32, (rgb.len() / 3 / across) as u32, rgb)?);
    let [x, y, width, height] = [area.left, area.top, area.width, area.height].map(number);
    push(
        file,
        format_args!(
            "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\"{more} \
             href=\"data:image/png;base64,{data}\"/>\n"
        ),
    );
    Ok(())
}

fn path(points: &[Position]) -> String {
    let mut path = String::new();
    for (index, (x, y)) in points.iter().enumerate() {
        let letter = if index == 0 { 'M' } else { 'L' };
        push(&mut path, format_args!("{letter}{} {}", number(*x), number(*y)));
    }
    path
}

fn hexadecimal(color: Color) -> String {
    let [r, g, b] = color.rgb;
    format!("#{r:02x}{g:02x}{b:02x}")
}

fn paint(attribute: &str, color: Color) -> String {
    let paint = format!(" {attribute}=\"{}\"", hexadecimal(color));
    match color.alpha {
        255 => paint,
        alpha => format!("{paint} {attribute}-opacity=\"{}\"", number(f64::from(alpha) / 255.0)),
    }
}

/// A length with at most two decimals.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A text between tags. XML has no control characters.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            letter if letter.is_control() => escaped.push(char::REPLACEMENT_CHARACTER),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::color::{BLUE, INK};

    /// The elements' names and the texts of an XML file. Panics if tags are not nested as XML demands.
    fn parsed(file: &str) -> (Vec<String>, Vec<String>) {
        let (mut names, mut texts, mut open): (Vec<String>, Vec<String>, Vec<String>) = Default::default();
        let mut rest = file;
        while let Some(start) = rest.find('<') {
            let text = &rest[..start];
            assert!(!text.contains('>') && text.matches('&').count() == text.matches(';').count(), "{text}");
            if !text.trim().is_empty() {
                texts.push(text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"));
            }
            let end = start + rest[start..].find('>').expect("the tag's end");
            let tag = &rest[start + 1..end];
            assert!(!tag.contains('<') && tag.matches('"').count().is_multiple_of(2), "{tag}");
            let name: String = tag.trim_start_matches('/').chars().take_while(|c| c.is_alphanumeric()).collect();
            if tag.starts_with('/') {
                assert_eq!(open.pop(), Some(name));
            } else {
                names.push(name.clone());
                if !tag.ends_with('/') {
                    open.push(name);
                }
            }
            rest = &rest[end + 1..];
        }
        assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest}");
        (names, texts)
    }

    #[test]
    fn shapes_are_shapes_and_texts_are_texts() {
        let mut canvas = Canvas::new(100.0, 80.0, 2.0).unwrap();
        let area = Area { left: 10.0, top: 10.0, width: 40.0, height: 40.0 };
        canvas.clip(Some(area));
        canvas.curve([(0.0, 1.0 / 3.0), (f64::NAN, 0.0), (1.0, 2.0), (3.0, 4.0)], 1.5, BLUE.faded(0.5));
        canvas.clip(None);
        canvas.disc((50.0, -0.001), 3.0, INK);
        canvas.fill([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)], INK);
        canvas.cells(area, 2, &[BLUE, INK, INK, BLUE]);
        canvas.text("a < b & \u{1}\u{3c3}", (5.0, 6.0), 9.0, Anchor::Upwards, INK);
        canvas.clip(Some(area));
        canvas.disc((50.0, 40.0), 3.0, INK);
        let file = String::from_utf8(canvas.svg().unwrap()).unwrap();
        let (names, texts) = parsed(&file);
        let expected = ["svg", "rect", "clipPath", "rect", "g", "path", "circle", "path", "g", "image", "text", "g"];
        assert_eq!(names[..12], expected);
        assert_eq!(texts, ["a < b & \u{fffd}\u{3c3}"]);
        for part in [
            "<path d=\"M1 2L3 4\" fill=\"none\" stroke-width=\"1.5\" stroke=\"#005ea2\" stroke-opacity=\"0.5\"/>",
            "<circle cx=\"50\" cy=\"0\" r=\"3\" fill=\"#26282e\"/>",
            "<path d=\"M0 0L1 0L0 1z\" fill=\"#26282e\"/>",
            "transform=\"rotate(-90 5 6)\"",
        ] {
            assert!(file.contains(part), "{part} is not in {file}");
        }
        assert_eq!(file.matches("<clipPath").count(), 1, "an area is defined once");
    }
}
