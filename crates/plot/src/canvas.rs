//! Anti-aliased lines, discs and text on white.
//!
//! plotters rounds each point to a whole pixel, which turns field lines into steps. Here positions are real numbers: `tiny-skia` fills
//! and strokes, `ab_glyph` outlines the letters of the font that is part of the program.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, Glyph, ScaleFont};
use tiny_skia::{
    BlendMode, FillRule, LineCap, LineJoin, Mask, Paint, Path, PathBuilder, Pixmap, PixmapPaint, PremultipliedColorU8,
    Rect, Stroke, Transform,
};

use crate::{PlotError, color::Color, indexed};

static FONT: LazyLock<FontRef<'static>> =
    LazyLock::new(|| FontRef::try_from_slice(dejavu::sans::regular()).expect("the font of the crate `dejavu`"));

/// A position on a canvas, from its top left corner.
pub type Position = (f64, f64);

/// A rectangle on a canvas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    /// The left edge.
    pub left: f64,
    /// The top edge.
    pub top: f64,
    /// The width.
    pub width: f64,
    /// The height.
    pub height: f64,
}

impl Area {
    /// The area without margins of these widths: left, top, right, bottom.
    pub fn inset(self, [left, top, right, bottom]: [f64; 4]) -> Self {
        Self {
            left: self.left + left,
            top: self.top + top,
            width: self.width - left - right,
            height: self.height - top - bottom,
        }
    }

    /// Columns of the area with these relative widths.
    pub fn columns(self, shares: &[f64]) -> Vec<Self> {
        let total: f64 = shares.iter().sum();
        let mut left = self.left;
        shares
            .iter()
            .map(|share| {
                let width = self.width * share / total;
                left += width;
                Self { left: left - width, width, ..self }
            })
            .collect()
    }

    /// Equal rows of the area.
    pub fn rows(self, count: usize) -> Vec<Self> {
        let height = self.height / count as f64;
        (0..count).map(|row| Self { top: self.top + height * row as f64, height, ..self }).collect()
    }
}

/// The alignment of a text at its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The text begins there.
    Start,
    /// The text is centered there.
    Middle,
    /// The text ends there.
    End,
    /// The text is centered there and runs upwards.
    Upwards,
}

/// A picture to draw on. Lengths are in its own units, of `scale` pixels each.
pub struct Canvas {
    pixels: Pixmap,
    scale: f64,
    clip: Option<Mask>,
}

impl Canvas {
    /// Creates a white canvas.
    ///
    /// # Errors
    /// Returns an error if the size is 0 or too large.
    pub fn new(width: f64, height: f64, scale: f64) -> Result<Self, PlotError> {
        let pixels = |length: f64| (length * scale).round() as u32;
        let mut pixels = Pixmap::new(pixels(width), pixels(height))
            .ok_or_else(|| PlotError::Draw(format!("no picture is {width} wide and {height} high")))?;
        pixels.fill(tiny_skia::Color::WHITE);
        Ok(Self { pixels, scale, clip: None })
    }

    /// The whole canvas.
    pub fn area(&self) -> Area {
        let length = |pixels: u32| f64::from(pixels) / self.scale;
        Area { left: 0.0, top: 0.0, width: length(self.pixels.width()), height: length(self.pixels.height()) }
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.pixels.width(), self.pixels.height())
    }

    /// Clips all later drawing to an area; `None` ends clipping.
    pub fn clip(&mut self, area: Option<Area>) {
        self.clip = area.and_then(|area| {
            let mut mask = Mask::new(self.pixels.width(), self.pixels.height())?;
            let path = PathBuilder::from_rect(self.rect(area)?);
            mask.fill_path(&path, FillRule::Winding, false, Transform::identity());
            Some(mask)
        });
    }

    /// Draws a curve through points. Points that are not finite, or very far away, interrupt it.
    pub fn curve(&mut self, points: impl IntoIterator<Item = Position>, width: f64, color: Color) {
        let mut path = PathBuilder::new();
        let mut down = false;
        for at in points {
            let (x, y) = self.pixel(at);
            if !(x.abs() < 1e5 && y.abs() < 1e5) {
                down = false;
            } else if down {
                path.line_to(x, y);
            } else {
                path.move_to(x, y);
                down = true;
            }
        }
        let stroke = Stroke {
            width: (width * self.scale) as f32,
            line_cap: LineCap::Round,
            line_join: LineJoin::Round,
            ..Stroke::default()
        };
        if let Some(path) = path.finish() {
            self.pixels.stroke_path(&path, &paint(color), &stroke, Transform::identity(), self.clip.as_ref());
        }
    }

    /// Draws a curve with a color for each point.
    pub fn shaded_curve(&mut self, points: &[(Position, Color)], width: f64) {
        let mut start = 0;
        while start + 1 < points.len() {
            let color = points[start].1;
            let same = points[start..].iter().take_while(|(_, other)| *other == color).count();
            // One point more, so that the pieces meet.
            let end = (start + same + 1).min(points.len());
            self.curve(points[start..end].iter().map(|(at, _)| *at), width, color);
            start += same;
        }
    }

    /// Draws a filled polygon.
    pub fn fill(&mut self, corners: impl IntoIterator<Item = Position>, color: Color) {
        let mut path = PathBuilder::new();
        for (index, at) in corners.into_iter().enumerate() {
            let (x, y) = self.pixel(at);
            if index == 0 { path.move_to(x, y) } else { path.line_to(x, y) }
        }
        path.close();
        self.fill_path(path.finish(), color);
    }

    /// Draws a filled rectangle.
    pub fn fill_area(&mut self, area: Area, color: Color) {
        let path = self.rect(area).map(PathBuilder::from_rect);
        self.fill_path(path, color);
    }

    /// Draws a disc.
    pub fn disc(&mut self, at: Position, radius: f64, color: Color) {
        let (x, y) = self.pixel(at);
        self.fill_path(PathBuilder::from_circle(x, y, (radius * self.scale) as f32), color);
    }

    fn fill_path(&mut self, path: Option<Path>, color: Color) {
        if let Some(path) = path {
            let clip = self.clip.as_ref();
            self.pixels.fill_path(&path, &paint(color), FillRule::Winding, Transform::identity(), clip);
        }
    }

    /// Draws an arrow.
    pub fn arrow(&mut self, from: Position, to: Position, width: f64, color: Color) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx.hypot(dy);
        if !(length.is_finite() && length > 0.0) {
            return;
        }
        let (ux, uy) = (dx / length, dy / length);
        let head = (3.2 * width).min(length);
        let back = (to.0 - head * ux, to.1 - head * uy);
        let side = 0.55 * head;
        self.curve([from, back], width, color);
        self.fill([to, (back.0 - side * uy, back.1 + side * ux), (back.0 + side * uy, back.1 - side * ux)], color);
    }

    /// Draws cells, `across` in a row, over an area, without interpolation.
    pub fn cells(&mut self, area: Area, across: usize, colors: &[Color]) {
        let down = colors.len() / across.max(1);
        let Some(mut cells) = Pixmap::new(across as u32, down as u32) else { return };
        for (pixel, color) in cells.pixels_mut().iter_mut().zip(colors) {
            let [r, g, b] = color.rgb;
            *pixel = PremultipliedColorU8::from_rgba(r, g, b, 255).expect("opaque");
        }
        let (x, y) = self.pixel((area.left, area.top));
        let stretch = |length: f64, cells: usize| (length * self.scale / cells as f64) as f32;
        let transform = Transform::from_row(stretch(area.width, across), 0.0, 0.0, stretch(area.height, down), x, y);
        let paint = PixmapPaint { quality: tiny_skia::FilterQuality::Bilinear, ..PixmapPaint::default() };
        let clip = self.clip.clone();
        self.clip(Some(area));
        self.pixels.draw_pixmap(0, 0, cells.as_ref(), &paint, transform, self.clip.as_ref());
        self.clip = clip;
    }

    /// Draws a line of text; its position is on the baseline.
    pub fn text(&mut self, text: &str, at: Position, size: f64, anchor: Anchor, color: Color) {
        let font = FONT.as_scaled((size * self.scale * 1.16) as f32);
        let mut advance = 0.0;
        let glyphs: Vec<Glyph> = text
            .chars()
            .map(|letter| {
                let mut glyph = font.scaled_glyph(letter);
                glyph.position.x = advance;
                advance += font.h_advance(glyph.id);
                glyph
            })
            .collect();
        let back = match anchor {
            Anchor::Start => 0.0,
            Anchor::Middle | Anchor::Upwards => 0.5 * advance,
            Anchor::End => advance,
        };
        let (left, base) = self.pixel(at);
        for glyph in glyphs {
            let Some(outline) = font.outline_glyph(glyph) else { continue };
            let bounds = outline.px_bounds();
            outline.draw(|x, y, cover| {
                let (along, up) = (bounds.min.x + x as f32 - back, bounds.min.y + y as f32);
                let (x, y) =
                    if anchor == Anchor::Upwards { (left + up, base - along) } else { (left + along, base + up) };
                self.blend(x.round() as i64, y.round() as i64, cover.min(1.0), color);
            });
        }
    }

    /// The width of a text.
    pub fn text_width(text: &str, size: f64) -> f64 {
        let font = FONT.as_scaled((size * 1.16) as f32);
        text.chars().map(|letter| f64::from(font.h_advance(font.glyph_id(letter)))).sum()
    }

    fn blend(&mut self, x: i64, y: i64, cover: f32, color: Color) {
        let (width, height) = (i64::from(self.pixels.width()), i64::from(self.pixels.height()));
        if !((0..width).contains(&x) && (0..height).contains(&y)) {
            return;
        }
        let pixel = &mut self.pixels.pixels_mut()[(y * width + x) as usize];
        let share = cover * f32::from(color.alpha) / 255.0;
        let mix = |old: u8, new: u8| (f32::from(old) + share * (f32::from(new) - f32::from(old))).round() as u8;
        let [r, g, b] = color.rgb;
        let mixed = (mix(pixel.red(), r), mix(pixel.green(), g), mix(pixel.blue(), b));
        *pixel = PremultipliedColorU8::from_rgba(mixed.0, mixed.1, mixed.2, 255).expect("opaque");
    }

    /// The pixels as red, green and blue.
    pub fn rgb(&self) -> Vec<u8> {
        self.pixels.pixels().iter().flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue()]).collect()
    }

    /// The picture as a PNG file of at most 256 colors.
    ///
    /// # Errors
    /// Returns an error if the encoder fails.
    pub fn png(&self) -> Result<Vec<u8>, PlotError> {
        indexed::png(self.size(), &self.rgb())
    }

    fn pixel(&self, at: Position) -> (f32, f32) {
        ((at.0 * self.scale) as f32, (at.1 * self.scale) as f32)
    }

    fn rect(&self, area: Area) -> Option<Rect> {
        let (x, y) = self.pixel((area.left, area.top));
        Rect::from_xywh(x, y, (area.width * self.scale) as f32, (area.height * self.scale) as f32)
    }
}

fn paint(color: Color) -> Paint<'static> {
    let [r, g, b] = color.rgb;
    let mut paint = Paint { anti_alias: true, blend_mode: BlendMode::SourceOver, ..Paint::default() };
    paint.set_color_rgba8(r, g, b, color.alpha);
    paint
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::color::{BLUE, INK};

    fn dark(canvas: &Canvas, area: Area) -> usize {
        let (width, _) = canvas.size();
        let inside = |index: usize| {
            let (x, y) = ((index % width as usize) as f64, (index / width as usize) as f64);
            x >= area.left && x < area.left + area.width && y >= area.top && y < area.top + area.height
        };
        canvas.rgb().chunks(3).enumerate().filter(|(index, p)| inside(*index) && p[0] < 128).count()
    }

    #[test]
    fn draws_where_it_is_told_and_nowhere_else() {
        let mut canvas = Canvas::new(60.0, 40.0, 2.0).unwrap();
        assert_eq!(canvas.size(), (120, 80));
        canvas.disc((15.0, 20.0), 5.0, BLUE);
        let whole = Area { left: 0.0, top: 0.0, width: 120.0, height: 80.0 };
        let count = dark(&canvas, whole);
        // pi (2 * 5)^2 = 314 pixels.
        assert!((count as f64 - 314.0).abs() < 12.0, "{count}");
        assert_eq!(dark(&canvas, Area { left: 18.0, top: 28.0, width: 25.0, height: 25.0 }), count);
        // Clipped parts do not show.
        canvas.clip(Some(Area { left: 0.0, top: 0.0, width: 30.0, height: 40.0 }));
        canvas.curve([(40.0, 0.0), (40.0, 40.0)], 3.0, INK);
        assert_eq!(dark(&canvas, whole), count);
        canvas.clip(None);
        canvas.curve([(40.0, 0.0), (40.0, f64::NAN), (40.0, 30.0), (40.0, 40.0)], 3.0, INK);
        assert!((dark(&canvas, whole) as i64 - count as i64 - 6 * 20).abs() < 30, "only the last part is drawn");
    }

    #[test]
    fn text_stands_on_its_line_and_about_its_place() {
        let area = |left, top, width, height| Area { left, top, width, height };
        let width = Canvas::text_width("Hamburg", 10.0);
        assert!((35.0..65.0).contains(&width), "{width}");
        let draw = |anchor| {
            let mut canvas = Canvas::new(200.0, 200.0, 1.0).unwrap();
            canvas.text("HHHHHHHH", (100.0, 100.0), 12.0, anchor, INK);
            canvas
        };
        let all = area(0.0, 0.0, 200.0, 200.0);
        for (anchor, where_to) in [
            (Anchor::Start, area(100.0, 80.0, 100.0, 21.0)),
            (Anchor::End, area(0.0, 80.0, 101.0, 21.0)),
            (Anchor::Middle, area(50.0, 80.0, 100.0, 21.0)),
            (Anchor::Upwards, area(80.0, 50.0, 21.0, 100.0)),
        ] {
            let canvas = draw(anchor);
            assert!(dark(&canvas, all) > 60, "{anchor:?}");
            assert_eq!(dark(&canvas, all), dark(&canvas, where_to), "{anchor:?}");
        }
    }
}
