//! Charts in areas of a canvas, with axes and a title.

mod axis;
mod contours;
mod legend;

pub use axis::Axis;
pub(crate) use axis::number;
use legend::{ENTRY, draw_entry};
pub use legend::{Entry, header, legend_height};

use crate::{
    canvas::{Anchor, Area, Canvas, Position},
    color::{Color, FAINT, GRAY, INK},
};

const TITLE: f64 = 12.5;
const LABEL: f64 = 10.5;
const TICK: f64 = 9.0;
/// Distance from the lower end of a panel to the base of the label of its axis.
const LABEL_DOWN: f64 = 28.0;

/// The mark of a series in a legend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A dot.
    Dot,
    /// A line.
    Line,
}

/// A chart to draw on.
pub struct Panel<'a> {
    canvas: &'a mut Canvas,
    frame: Area,
    x: Axis,
    y: Axis,
}

impl<'a> Panel<'a> {
    /// Creates a chart in a cell of a canvas.
    pub fn new(canvas: &'a mut Canvas, cell: Area, title: &str, x: Axis, y: Axis) -> Self {
        let frame = frame_of(cell);
        let mut panel = Self { canvas, frame, x, y };
        heading(panel.canvas, cell, title);
        panel.draw_axes();
        panel
    }

    /// Creates a square chart with equal scales, which extends equally far from `middle` in each direction.
    pub fn square(
        canvas: &'a mut Canvas,
        cell: Area,
        title: &str,
        labels: [&str; 2],
        (middle, reach): ([f64; 2], f64),
    ) -> Self {
        let x = Axis::linear(labels[0], middle[0] - reach, middle[0] + reach);
        let y = Axis::linear(labels[1], middle[1] - reach, middle[1] + reach);
        Self::new(canvas, fitted(cell, 1.0), title, x, y)
    }

    /// Creates a chart with equal scales for a vertical section through space: from `-reach` to `reach`, and up to `height`.
    pub fn section(
        canvas: &'a mut Canvas,
        cell: Area,
        title: &str,
        labels: [&str; 2],
        (middle, reach, height): (f64, f64, f64),
    ) -> Self {
        let x = Axis::linear(labels[0], middle - reach, middle + reach);
        Self::new(canvas, fitted(cell, 0.5 * height / reach), title, x, Axis::linear(labels[1], 0.0, height))
    }

    /// The spans of the axes.
    pub fn spans(&self) -> [(f64, f64); 2] {
        [(self.x.low, self.x.high), (self.y.low, self.y.high)]
    }

    /// The area between the axes.
    pub fn frame(&self) -> Area {
        self.frame
    }

    /// The position of a point on the canvas.
    pub fn place(&self, x: f64, y: f64) -> Position {
        let Area { left, top, width, height } = self.frame;
        (left + self.x.share(x) * width, top + (1.0 - self.y.share(y)) * height)
    }

    fn draw_axes(&mut self) {
        let Area { left, top, width, height } = self.frame;
        let bottom = top + height;
        let corners = [(left, top), (left, bottom), (left + width, bottom), (left + width, top), (left, top)];
        self.canvas.curve(corners, 0.8, GRAY);
        if self.x.label.is_empty() {
            return;
        }
        for axis::Tick { value, text, size, down } in self.x.marks(width) {
            let (x, _) = self.place(value, self.y.low);
            self.canvas.curve([(x, top), (x, bottom)], 0.6, FAINT);
            self.canvas.text(&text, (x, bottom + down), size, Anchor::Middle, INK);
        }
        for value in self.y.ticks(height / 34.0) {
            let (_, y) = self.place(self.x.low, value);
            self.canvas.curve([(left, y), (left + width, y)], 0.6, FAINT);
            self.canvas.text(&number(value, self.y.logarithmic), (left - 5.0, y + 3.2), TICK, Anchor::End, INK);
        }
        let (x, y) = (self.x.label.clone(), self.y.label.clone());
        // A long label gets smaller letters, so that it stays within its cell.
        let fitted = |text: &str, room: f64| LABEL * (room / Canvas::text_width(text, LABEL).max(1.0)).clamp(0.6, 1.0);
        let sizes = [fitted(&x, width + 2.0 * BORDER[2]), fitted(&y, height + BORDER[1] + BORDER[3])];
        self.canvas.text(&x, (left + 0.5 * width, bottom + LABEL_DOWN), sizes[0], Anchor::Middle, INK);
        self.canvas.text(&y, (left - 38.0, top + 0.5 * height), sizes[1], Anchor::Upwards, INK);
    }

    fn clipped(&mut self, draw: impl FnOnce(&mut Self)) {
        self.canvas.clip(Some(self.frame));
        draw(self);
        self.canvas.clip(None);
    }

    /// Draws a curve through points.
    pub fn curve(&mut self, points: impl IntoIterator<Item = [f64; 2]>, width: f64, color: Color) {
        let places: Vec<Position> = points.into_iter().map(|[x, y]| self.place(x, y)).collect();
        self.clipped(|panel| panel.canvas.curve(places, width, color));
    }

    /// Draws a curve with a color for each point.
    pub fn shaded_curve(&mut self, points: &[([f64; 2], Color)], width: f64) {
        let places: Vec<(Position, Color)> = points.iter().map(|([x, y], c)| (self.place(*x, *y), *c)).collect();
        self.clipped(|panel| panel.canvas.shaded_curve(&places, width));
    }

    /// Draws many curves, each with a color.
    pub fn curves(&mut self, curves: impl IntoIterator<Item = (Vec<[f64; 2]>, Color)>, width: f64) {
        self.clipped(|panel| {
            for (points, color) in curves {
                let places: Vec<Position> = points.into_iter().map(|[x, y]| panel.place(x, y)).collect();
                panel.canvas.curve(places, width, color);
            }
        });
    }

    /// Draws a dot at each point.
    pub fn dots(&mut self, points: impl IntoIterator<Item = [f64; 2]>, radius: f64, color: Color) {
        self.colored_dots(points.into_iter().map(|point| (point, color)), radius);
    }

    /// Draws a dot at each point, each with a color.
    pub fn colored_dots(&mut self, points: impl IntoIterator<Item = ([f64; 2], Color)>, radius: f64) {
        self.clipped(|panel| {
            for ([x, y], color) in points {
                let place = panel.place(x, y);
                panel.canvas.disc(place, radius, color);
            }
        });
    }

    /// Draws an arrow of this length on the canvas, centered at a point.
    pub fn arrow(&mut self, [x, y]: [f64; 2], along: [f64; 2], length: f64, (width, color): (f64, Color)) {
        let (middle, norm) = (self.place(x, y), along[0].hypot(along[1]));
        let (dx, dy) = (0.5 * length * along[0] / norm, -0.5 * length * along[1] / norm);
        let (from, to) = ((middle.0 - dx, middle.1 - dy), (middle.0 + dx, middle.1 + dy));
        self.clipped(|panel| panel.canvas.arrow(from, to, width, color));
    }

    /// Draws a bar for each value, over the whole x-axis.
    pub fn bars(&mut self, values: &[f64], color: Color) {
        let width = self.frame.width / values.len() as f64;
        let base = self.place(self.x.low, self.y.low.max(0.0)).1;
        for (index, &value) in values.iter().enumerate() {
            let top = self.place(self.x.low, value).1.max(self.frame.top);
            let left = self.frame.left + index as f64 * width;
            let bar = Area { left: left + 0.08 * width, top, width: 0.84 * width, height: base - top };
            self.canvas.fill_area(bar, color);
        }
    }

    /// Draws the values of a grid over the whole panel, from the top left, on the color scale of densities.
    pub fn cells(&mut self, across: usize, shares: &[f64]) {
        let colors: Vec<Color> = shares.iter().map(|&share| Color::density(share)).collect();
        self.canvas.cells(self.frame, across, &colors);
    }

    /// The centers of the cells of a grid over the whole panel.
    pub fn cell_middles(&self, across: usize, down: usize) -> Vec<[f64; 2]> {
        let along = |(low, high): (f64, f64), share: f64| low + share * (high - low);
        let [x, y] = self.spans();
        (0..across * down)
            .map(|cell| {
                let (column, row) = (cell % across, cell / across);
                let share = |index: usize, count: usize| (index as f64 + 0.5) / count as f64;
                [along(x, share(column, across)), along(y, 1.0 - share(row, down))]
            })
            .collect()
    }

    /// Draws a vector from one point to another.
    pub fn vector(&mut self, from: [f64; 2], to: [f64; 2], width: f64, color: Color) {
        let (from, to) = (self.place(from[0], from[1]), self.place(to[0], to[1]));
        self.clipped(|panel| panel.canvas.arrow(from, to, width, color));
    }

    /// Draws a filled polygon.
    pub fn fill(&mut self, corners: &[[f64; 2]], color: Color) {
        let places: Vec<Position> = corners.iter().map(|[x, y]| self.place(*x, *y)).collect();
        self.clipped(|panel| panel.canvas.fill(places, color));
    }

    /// Draws the lines along which the values of a grid over the whole panel, from the top left, have these levels.
    pub fn contours(&mut self, across: usize, values: &[f64], levels: &[f64], (width, color): (f64, Color)) {
        let middles = self.cell_middles(across, values.len() / across);
        let grid = contours::Grid { across, middles: &middles, values };
        let pieces: Vec<_> = levels.iter().flat_map(|level| grid.segments(*level)).collect();
        self.curves(pieces.into_iter().map(|[a, b]| (vec![a, b], color)), width);
    }

    /// Draws a text beside a point.
    pub fn label(&mut self, [x, y]: [f64; 2], text: &str, color: Color) {
        let (left, base) = self.place(x, y);
        let anchor = if left > self.frame.left + 0.75 * self.frame.width { Anchor::End } else { Anchor::Start };
        let aside = if anchor == Anchor::End { -6.0 } else { 6.0 };
        self.canvas.text(text, (left + aside, base - 5.0), TICK, anchor, color);
    }

    /// Draws a legend where it hides the least of what has been drawn; the corners come first.
    pub fn legend(&mut self, entries: &[Entry]) {
        let widest = entries.iter().map(|(name, ..)| Canvas::text_width(name, TICK)).fold(0.0, f64::max);
        let Area { left, top, width, height } = self.free_area(
            (widest + 30.0, ENTRY * entries.len() as f64 + 8.0),
            [(1.0, 0.0), (0.0, 0.0), (1.0, 1.0), (0.0, 1.0)],
        );
        self.canvas.fill_area(Area { left, top, width, height }, BACK);
        for (index, found) in entries.iter().enumerate() {
            draw_entry(self.canvas, (left, top + 11.0 + ENTRY * index as f64), *found);
        }
    }

    /// Draws a note where it hides the least, in the lower left corner if that is empty.
    pub fn note(&mut self, lines: &[&str]) {
        let widest = lines.iter().map(|line| Canvas::text_width(line, TICK)).fold(0.0, f64::max);
        let size = (widest + 10.0, 13.0 * lines.len() as f64 + 6.0);
        let area = self.free_area(size, [(0.0, 1.0), (1.0, 1.0), (0.0, 0.0), (1.0, 0.0)]);
        self.canvas.fill_area(area, BACK);
        for (index, line) in lines.iter().enumerate() {
            let at = (area.left + 5.0, area.top + 12.0 + 13.0 * index as f64);
            self.canvas.text(line, at, TICK, Anchor::Start, INK);
        }
    }

    /// The area of this size within the frame on which the least has been drawn. Corners, as shares of the free width and height, come
    /// first in their order.
    fn free_area(&self, (width, height): (f64, f64), corners: [(f64, f64); 4]) -> Area {
        const STEPS: i32 = 6;
        const GAP: f64 = 6.0;
        let frame = self.frame.inset([GAP; 4]);
        let at = |(across, down): (f64, f64)| Area {
            left: frame.left + across * (frame.width - width).max(0.0),
            top: frame.top + down * (frame.height - height).max(0.0),
            width,
            height,
        };
        let inner = (0..=STEPS).flat_map(|down| (0..=STEPS).map(move |across| (across, down)));
        let inner =
            inner.map(|(across, down)| (f64::from(across) / f64::from(STEPS), f64::from(down) / f64::from(STEPS)));
        let candidates = corners.into_iter().chain(inner).map(at);
        // Of equally good areas, the first.
        let drawn = self.canvas.ink_within(self.frame);
        let hidden = |area: &Area| drawn.iter().filter(|at| area.contains(**at)).count();
        candidates.min_by_key(hidden).expect("a corner")
    }
}

/// The background of legends and notes.
const BACK: Color = Color { rgb: [255; 3], alpha: 225 };

/// Margins around the frame of a panel: left, top, right, bottom.
const BORDER: [f64; 4] = [52.0, 30.0, 14.0, 38.0];

fn frame_of(cell: Area) -> Area {
    cell.inset(BORDER)
}

/// The central part of a cell whose frame has this ratio of height to width.
fn fitted(cell: Area, ratio: f64) -> Area {
    let frame = frame_of(cell);
    let width = frame.width.min(frame.height / ratio);
    let (side, end) = (0.5 * (frame.width - width), 0.5 * (frame.height - ratio * width));
    cell.inset([side, end, side, end])
}

/// Draws a title over a cell.
pub fn heading(canvas: &mut Canvas, cell: Area, title: &str) {
    let frame = frame_of(cell);
    canvas.text(title, (frame.left + 0.5 * frame.width, cell.top + 19.0), TITLE, Anchor::Middle, INK);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::color::BLUE;

    #[test]
    fn a_legend_hides_nothing_if_there_is_room() {
        let legend_of = |points: &[[f64; 2]]| {
            let mut canvas = Canvas::new(400.0, 300.0, 1.0).unwrap();
            let cell = canvas.area();
            let axes = (Axis::linear("x", 0.0, 1.0), Axis::linear("y", 0.0, 1.0));
            let mut panel = Panel::new(&mut canvas, cell, "", axes.0, axes.1);
            panel.dots(points.iter().copied(), 2.0, BLUE);
            let before = panel.canvas.elements().len();
            panel.legend(&[("points", Mark::Dot, BLUE)]);
            match &canvas.elements()[before].shape {
                crate::canvas::Shape::Polygon { corners, .. } => corners[0],
                other => panic!("{other:?}"),
            }
        };
        let empty = legend_of(&[]);
        assert!(empty.0 > 250.0 && empty.1 < 60.0, "the top right corner: {empty:?}");
        assert!(legend_of(&[[0.95, 0.95]]).0 < 120.0, "then the top left one");
        let (left, top) = legend_of(&[[0.95, 0.95], [0.05, 0.95]]);
        assert!(left > 250.0 && top > 150.0, "then the lower right one: {left} {top}");
        let corners = [[0.95, 0.95], [0.05, 0.95], [0.95, 0.05], [0.05, 0.05]];
        let (left, top) = legend_of(&corners);
        assert!((100.0..260.0).contains(&left) || (80.0..200.0).contains(&top), "then between: {left} {top}");
    }

    #[test]
    fn a_legend_above_the_frame_hides_nothing() {
        let entries =
            [("first", Mark::Dot, BLUE), ("second", Mark::Line, BLUE), ("a rather long third name", Mark::Line, BLUE)];
        let mut canvas = Canvas::new(260.0, 300.0, 1.0).unwrap();
        let cell = canvas.area();
        let left = header(&mut canvas, cell, "title", &entries);
        assert_eq!(left.top, legend_height(&entries, cell.width));
        assert_eq!(left.top, 28.0, "two of them fit into a line");
        let before = canvas.elements().len();
        let axes = (Axis::linear("x", 0.0, 1.0), Axis::linear("y", 0.0, 1.0));
        let frame = Panel::new(&mut canvas, left, "", axes.0, axes.1).frame();
        let drawn = canvas.elements()[..before].to_vec();
        for element in drawn {
            if let crate::canvas::Shape::Text { text, at, size, .. } = element.shape {
                assert!(at.1 < frame.top && at.1 - size > 0.0, "{text} at {at:?}, the frame begins at {}", frame.top);
                assert!(text == "title" || at.0 + Canvas::text_width(&text, size) < cell.width, "{text}");
            }
        }
    }

    #[test]
    fn points_lie_where_the_axes_say() {
        let mut canvas = Canvas::new(300.0, 200.0, 1.0).unwrap();
        let cell = canvas.area();
        let mut panel = Panel::square(&mut canvas, cell, "", ["x", "y"], ([2.0, -1.0], 3.0));
        let frame = panel.frame();
        let (x, y) = panel.place(2.0, -1.0);
        assert!((x - frame.left - 0.5 * frame.width).abs() < 1e-9 && (y - frame.top - 0.5 * frame.height).abs() < 1e-9);
        // The scales are equal.
        let (right, up) = (panel.place(3.0, -1.0), panel.place(2.0, 0.0));
        assert!((right.0 - x - (y - up.1)).abs() < 1e-9);
        let [(low, high), (bottom, top)] = panel.spans();
        assert_eq!([low, high, bottom, top], [-1.0, 5.0, -4.0, 2.0]);
        panel.dots([[2.0, -1.0], [100.0, 100.0]], 4.0, BLUE);
        let (width, _) = canvas.size();
        let pixel = (y as usize * width as usize + x as usize) * 3;
        assert_eq!(&canvas.rgb()[pixel..pixel + 3], BLUE.rgb);
        let blue = canvas.rgb().chunks(3).filter(|p| *p == BLUE.rgb).count();
        assert!((28..=55).contains(&blue), "one dot, and what lies outside is not drawn: {blue}");
    }
}
