//! Pixels of a canvas, anti-aliased: `tiny-skia` fills and strokes, `ab_glyph` outlines letters.

use ab_glyph::{Font, Glyph, ScaleFont};
use tiny_skia::{
    BlendMode, FillRule, LineCap, LineJoin, Mask, Paint, Path, PathBuilder, Pixmap, PixmapPaint, PremultipliedColorU8,
    Rect, Stroke, Transform,
};

use crate::{
    canvas::{Anchor, Area, Canvas, Position, Shape, font},
    color::Color,
};

/// The pixels of a canvas as red, green and blue; `scale` of them are a unit of length.
pub fn rgb(canvas: &Canvas, scale: f64) -> Vec<u8> {
    let (width, height) = canvas.size();
    let mut pixels = Pixmap::new(width, height).expect("the size was checked when the canvas was created");
    let [r, g, b] = canvas.background().rgb;
    pixels.fill(tiny_skia::Color::from_rgba8(r, g, b, 255));
    let mut raster = Raster { pixels, scale, clip: None, mask: None };
    for element in canvas.elements() {
        raster.clip(element.clip);
        raster.draw(&element.shape);
    }
    raster.pixels.pixels().iter().flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue()]).collect()
}

struct Raster {
    pixels: Pixmap,
    scale: f64,
    clip: Option<Area>,
    /// Where pixels are drawn with this clip.
    mask: Option<Mask>,
}

impl Raster {
    fn clip(&mut self, area: Option<Area>) {
        if area == self.clip {
            return;
        }
        self.clip = area;
        self.mask = area.and_then(|area| {
            let mut mask = Mask::new(self.pixels.width(), self.pixels.height())?;
            let path = PathBuilder::from_rect(self.rect(area)?);
            mask.fill_path(&path, FillRule::Winding, false, Transform::identity());
            Some(mask)
        });
    }

    fn draw(&mut self, shape: &Shape) {
        match shape {
            Shape::Curve { pieces, width, color } => self.curve(pieces, *width, *color),
            Shape::Polygon { corners, color } => {
                let mut path = PathBuilder::new();
                self.add(&mut path, corners);
                path.close();
                self.fill(path.finish(), *color);
            }
            Shape::Disc { center, radius, color } => {
                let (x, y) = self.pixel(*center);
                self.fill(PathBuilder::from_circle(x, y, (radius * self.scale) as f32), *color);
            }
            Shape::Cells { area, across, colors } => self.cells(*area, *across, colors),
            Shape::Pixels { area, across, rgb } => self.image(*area, *across, rgb),
            Shape::Text { text, at, size, anchor, color } => self.text(text, (*at, *size, *anchor), *color),
        }
    }

    fn curve(&mut self, pieces: &[Vec<Position>], width: f64, color: Color) {
        let mut path = PathBuilder::new();
        pieces.iter().for_each(|piece| self.add(&mut path, piece));
        let stroke = Stroke {
            width: (width * self.scale) as f32,
            line_cap: LineCap::Round,
            line_join: LineJoin::Round,
            ..Stroke::default()
        };
        if let Some(path) = path.finish() {
            self.pixels.stroke_path(&path, &paint(color), &stroke, Transform::identity(), self.mask.as_ref());
        }
    }

    fn add(&self, path: &mut PathBuilder, points: &[Position]) {
        for (index, &at) in points.iter().enumerate() {
            let (x, y) = self.pixel(at);
            if index == 0 { path.move_to(x, y) } else { path.line_to(x, y) }
        }
    }

    fn fill(&mut self, path: Option<Path>, color: Color) {
        if let Some(path) = path {
            let mask = self.mask.as_ref();
            self.pixels.fill_path(&path, &paint(color), FillRule::Winding, Transform::identity(), mask);
        }
    }

    fn cells(&mut self, area: Area, across: usize, colors: &[Color]) {
        let down = colors.len() / across;
        let Some(mut cells) = Pixmap::new(across as u32, down as u32) else { return };
        for (pixel, color) in cells.pixels_mut().iter_mut().zip(colors) {
            let [r, g, b] = color.rgb;
            *pixel = PremultipliedColorU8::from_rgba(r, g, b, 255).expect("opaque");
        }
        let (x, y) = self.pixel((area.left, area.top));
        let stretch = |length: f64, cells: usize| (length * self.scale / cells as f64) as f32;
        let transform = Transform::from_row(stretch(area.width, across), 0.0, 0.0, stretch(area.height, down), x, y);
        let paint = PixmapPaint { quality: tiny_skia::FilterQuality::Bilinear, ..PixmapPaint::default() };
        self.pixels.draw_pixmap(0, 0, cells.as_ref(), &paint, transform, self.mask.as_ref());
    }

    /// Copies the nearest pixel of an image to each pixel of its area.
    fn image(&mut self, area: Area, across: usize, rgb: &[u8]) {
        let down = rgb.len() / 3 / across;
        // The pixels whose centers lie within a length of the canvas, and the index of the image's pixel there.
        let covered = |from: f64, length: f64, count: usize, most: u32| -> Vec<(usize, usize)> {
            let (from, length) = (from * self.scale, length * self.scale);
            let first = (from - 0.5).ceil().clamp(0.0, f64::from(most)) as usize;
            let end = (from + length - 0.5).ceil().clamp(0.0, f64::from(most)) as usize;
            let source = |at: usize| (((at as f64 + 0.5 - from) / length * count as f64) as usize).min(count - 1);
            (first..end).map(|at| (at, source(at))).collect()
        };
        let columns = covered(area.left, area.width, across, self.pixels.width());
        let rows = covered(area.top, area.height, down, self.pixels.height());
        let stride = self.pixels.width() as usize;
        let pixels = self.pixels.pixels_mut();
        for (y, row) in rows {
            for (x, column) in &columns {
                let [r, g, b] = [0, 1, 2].map(|channel| rgb[3 * (row * across + column) + channel]);
                pixels[y * stride + x] = PremultipliedColorU8::from_rgba(r, g, b, 255).expect("opaque");
            }
        }
    }

    fn text(&mut self, text: &str, (at, size, anchor): (Position, f64, Anchor), color: Color) {
        let size = size * self.scale;
        let mut advance = 0.0;
        let glyphs: Vec<(char, Glyph)> = text
            .chars()
            .map(|letter| {
                let mut glyph = font::of(letter).as_scaled(font::scale(letter, size)).scaled_glyph(letter);
                glyph.position.x = advance;
                advance += font::advance(letter, size);
                (letter, glyph)
            })
            .collect();
        let back = font::part_before(anchor) as f32 * advance;
        let (left, base) = self.pixel(at);
        for (letter, glyph) in glyphs {
            let Some(outline) = font::of(letter).outline_glyph(glyph) else { continue };
            let bounds = outline.px_bounds();
            outline.draw(|x, y, cover| {
                let (along, up) = (bounds.min.x + x as f32 - back, bounds.min.y + y as f32);
                let (x, y) =
                    if anchor == Anchor::Upwards { (left + up, base - along) } else { (left + along, base + up) };
                self.blend(x.round() as i64, y.round() as i64, cover.min(1.0), color);
            });
        }
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
