//! Lines, discs and text on white, at real positions.
//!
//! A canvas keeps what was drawn; `raster` makes pixels of it, `svg` and `pdf` write it as shapes and text.

mod font;
pub mod indexed;
mod ink;
mod pdf;
mod raster;
mod svg;

use crate::{
    PlotError,
    color::{Color, Theme, WHITE},
};

/// Pixels of a picture, at most.
const MOST_PIXELS: u64 = 1 << 28;
/// Points farther away from the origin are not drawn.
const FAR: f64 = 1e5;

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

    /// The corners, from the top left, in turn.
    pub(crate) fn corners(self) -> [Position; 4] {
        let (right, bottom) = (self.left + self.width, self.top + self.height);
        [(self.left, self.top), (right, self.top), (right, bottom), (self.left, bottom)]
    }

    /// Whether a position lies inside.
    pub fn contains(self, (x, y): Position) -> bool {
        (self.left..=self.left + self.width).contains(&x) && (self.top..=self.top + self.height).contains(&y)
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

/// A shape, or a text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    /// A curve with round ends; each of its pieces has at least two points.
    Curve { pieces: Vec<Vec<Position>>, width: f64, color: Color },
    /// A filled polygon.
    Polygon { corners: Vec<Position>, color: Color },
    /// A disc.
    Disc { center: Position, radius: f64, color: Color },
    /// Colored cells over an area, `across` in a row.
    Cells { area: Area, across: usize, colors: Vec<Color> },
    /// Opaque pixels with sharp edges over an area, `across` in a row: red, green and blue of each.
    Pixels { area: Area, across: usize, rgb: Vec<u8> },
    /// A line of text whose position is on the baseline.
    Text { text: String, at: Position, size: f64, anchor: Anchor, color: Color },
}

/// A shape, and the area beyond which it does not show.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Element {
    pub clip: Option<Area>,
    pub shape: Shape,
}

/// A picture to draw on. Lengths are in its own units: of `scale` pixels each, and of 1/96 inch in vector formats.
#[derive(Clone, Debug)]
pub struct Canvas {
    area: Area,
    scale: f64,
    background: Color,
    clip: Option<Area>,
    elements: Vec<Element>,
}

impl Canvas {
    /// Creates a white canvas.
    ///
    /// # Errors
    /// Returns an error if the size is 0 or too large.
    pub fn new(width: f64, height: f64, scale: f64) -> Result<Self, PlotError> {
        let area = Area { left: 0.0, top: 0.0, width, height };
        let canvas = Self { area, scale, background: WHITE, clip: None, elements: Vec::new() };
        canvas.checked()
    }

    /// Returns an error if the size is 0 or too large.
    fn checked(self) -> Result<Self, PlotError> {
        let (across, down) = self.size();
        if !(1..=MOST_PIXELS).contains(&(u64::from(across) * u64::from(down))) {
            let Area { width, height, .. } = self.area;
            return Err(PlotError::Draw(format!("no picture is {width} wide and {height} high")));
        }
        Ok(self)
    }

    /// The same picture with this many pixels for each unit of length.
    ///
    /// # Errors
    /// Returns an error if the size is 0 or too large.
    pub fn scaled(self, scale: f64) -> Result<Self, PlotError> {
        Self { scale, ..self }.checked()
    }

    /// The same picture with an even number of pixels in both directions, as encoders of films need them: odd ones get one more, of the
    /// background.
    #[must_use]
    pub fn even(mut self) -> Self {
        let (width, height) = self.size();
        self.area.width = f64::from(width.next_multiple_of(2)) / self.scale;
        self.area.height = f64::from(height.next_multiple_of(2)) / self.scale;
        self
    }

    /// The same picture in the colors of a theme.
    #[must_use]
    pub fn themed(mut self, theme: Theme) -> Self {
        self.background = theme.color(self.background);
        for Element { shape, .. } in &mut self.elements {
            match shape {
                Shape::Curve { color, .. }
                | Shape::Polygon { color, .. }
                | Shape::Disc { color, .. }
                | Shape::Text { color, .. } => *color = theme.color(*color),
                Shape::Cells { colors, .. } => colors.iter_mut().for_each(|color| *color = theme.color(*color)),
                // Images are data.
                Shape::Pixels { .. } => {}
            }
        }
        self
    }

    /// The same picture with each text replaced.
    #[must_use]
    pub fn translated(mut self, translate: impl Fn(&str) -> String) -> Self {
        for Element { shape, .. } in &mut self.elements {
            if let Shape::Text { text, .. } = shape {
                *text = translate(text);
            }
        }
        self
    }

    /// The texts, in the order in which they were drawn.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.elements.iter().filter_map(|element| match &element.shape {
            Shape::Text { text, .. } => Some(text.as_str()),
            _ => None,
        })
    }

    /// The background.
    pub(crate) fn background(&self) -> Color {
        self.background
    }

    /// The whole canvas.
    pub fn area(&self) -> Area {
        self.area
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        let pixels = |length: f64| (length * self.scale).round() as u32;
        (pixels(self.area.width), pixels(self.area.height))
    }

    /// What was drawn, in its order.
    pub(crate) fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// Clips all later drawing to an area; `None` ends clipping.
    pub fn clip(&mut self, area: Option<Area>) {
        self.clip = area;
    }

    fn draw(&mut self, shape: Shape) {
        self.elements.push(Element { clip: self.clip, shape });
    }

    /// Draws a curve through points. Points that are not finite, or very far away, interrupt it.
    pub fn curve(&mut self, points: impl IntoIterator<Item = Position>, width: f64, color: Color) {
        let mut pieces = vec![Vec::new()];
        for (x, y) in points {
            if !(x.abs() < FAR && y.abs() < FAR) {
                pieces.push(Vec::new());
            } else if let Some(piece) = pieces.last_mut() {
                piece.push((x, y));
            }
        }
        pieces.retain(|piece| piece.len() > 1);
        if !pieces.is_empty() {
            self.draw(Shape::Curve { pieces, width, color });
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

    /// Draws a filled polygon. One with a corner that is not finite is not drawn.
    pub fn fill(&mut self, corners: impl IntoIterator<Item = Position>, color: Color) {
        let corners: Vec<Position> = corners.into_iter().collect();
        if corners.len() > 2 && corners.iter().all(|(x, y)| x.is_finite() && y.is_finite()) {
            self.draw(Shape::Polygon { corners, color });
        }
    }

    /// Draws a filled rectangle.
    pub fn fill_area(&mut self, area: Area, color: Color) {
        let (right, bottom) = (area.left + area.width, area.top + area.height);
        if area.width > 0.0 && area.height > 0.0 {
            self.fill([(area.left, area.top), (right, area.top), (right, bottom), (area.left, bottom)], color);
        }
    }

    /// Draws a disc. One that is not at a finite position is not drawn.
    pub fn disc(&mut self, center: Position, radius: f64, color: Color) {
        if center.0.abs() < FAR && center.1.abs() < FAR && radius > 0.0 {
            self.draw(Shape::Disc { center, radius, color });
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

    /// Draws opaque cells, `across` in a row, over an area; colors are interpolated between their centers.
    pub fn cells(&mut self, area: Area, across: usize, colors: &[Color]) {
        if across > 0 && colors.len() >= across {
            let colors = colors[..colors.len() / across * across].to_vec();
            let clip = self.clip.replace(area);
            self.draw(Shape::Cells { area, across, colors });
            self.clip = clip;
        }
    }

    /// Draws an image of opaque pixels with sharp edges over an area, `across` in a row: red, green and blue of each pixel. Themes leave it
    /// as it is.
    pub fn image(&mut self, area: Area, across: usize, rgb: Vec<u8>) {
        if across > 0 && !rgb.is_empty() && rgb.len().is_multiple_of(3 * across) {
            self.draw(Shape::Pixels { area, across, rgb });
        }
    }

    /// Draws a line of text; its position is on the baseline.
    pub fn text(&mut self, text: &str, at: Position, size: f64, anchor: Anchor, color: Color) {
        if !text.is_empty() {
            self.draw(Shape::Text { text: text.to_owned(), at, size, anchor, color });
        }
    }

    /// Whether the fonts have every letter of a text.
    pub fn can_write(text: &str) -> bool {
        text.chars().all(font::has)
    }

    /// The width of a text.
    pub fn text_width(text: &str, size: f64) -> f64 {
        font::width(text, size)
    }

    /// The pixels as red, green and blue.
    pub fn rgb(&self) -> Vec<u8> {
        raster::rgb(self, self.scale)
    }

    /// The picture as a PNG file, of at most 256 colors if its background is white and it shows no image.
    ///
    /// # Errors
    /// Returns an error if the encoder fails.
    pub fn png(&self) -> Result<Vec<u8>, PlotError> {
        let shows_image = self.elements.iter().any(|element| matches!(element.shape, Shape::Pixels { .. }));
        if self.background != WHITE || shows_image {
            // Dark shades and images need more colors than a palette has.
            let (width, height) = self.size();
            return crate::png(width, height, &self.rgb());
        }
        indexed::png(self.size(), &self.rgb(), Some(self.scale))
    }

    /// The picture as an SVG file.
    ///
    /// # Errors
    /// Returns an error if the encoder of [`Canvas::cells`] fails.
    pub fn svg(&self) -> Result<Vec<u8>, PlotError> {
        svg::write(self).map(String::into_bytes)
    }

    /// The picture as a PDF file of one page.
    pub fn pdf(&self) -> Vec<u8> {
        pdf::write(self)
    }
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
    fn an_even_canvas_has_at_most_one_more_pixel() {
        for (width, scale) in [(31.0, 1.0), (30.0, 1.0), (30.4, 1.3), (333.3, 2.0833)] {
            let canvas = Canvas::new(width, 20.0, scale).unwrap();
            let (before, (after, height)) = (canvas.size().0, canvas.even().size());
            assert!(after % 2 == 0 && height % 2 == 0 && after - before <= 1, "{width} {scale}: {before} {after}");
        }
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
