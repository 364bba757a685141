//! Legends above the frames of panels.

use super::{BORDER, Mark, TICK, heading};
use crate::{
    canvas::{Anchor, Area, Canvas, Position},
    color::{Color, INK},
};

/// Height of a line of a legend.
pub(super) const ENTRY: f64 = 14.0;
/// Width of an entry of a legend without its text, and with a gap behind it.
const AROUND: f64 = 40.0;

/// An entry of a legend: its name, and the mark and the color of what it names.
pub type Entry<'a> = (&'a str, Mark, Color);

/// Draws an entry of a legend.
pub(super) fn draw_entry(canvas: &mut Canvas, (left, middle): Position, (name, mark, color): Entry) {
    match mark {
        Mark::Dot => canvas.disc((left + 13.0, middle), 3.0, color),
        Mark::Line => canvas.curve([(left + 5.0, middle), (left + 20.0, middle)], 1.8, color),
    }
    canvas.text(name, (left + 25.0, middle + 3.2), TICK, Anchor::Start, INK);
}

/// The lines of a legend in a cell: the entries of each, and their positions from the left.
fn legend_lines<'a>(entries: &[Entry<'a>], cell_width: f64) -> Vec<Vec<(f64, Entry<'a>)>> {
    let room = cell_width - BORDER[0] - BORDER[2] + AROUND;
    let mut lines: Vec<Vec<(f64, Entry)>> = Vec::new();
    let mut end = f64::INFINITY;
    for &entry in entries {
        let width = Canvas::text_width(entry.0, TICK) + AROUND;
        if end + width > room {
            lines.push(Vec::new());
            end = 0.0;
        }
        if let Some(line) = lines.last_mut() {
            line.push((end, entry));
        }
        end += width;
    }
    lines
}

/// The height that [`header`] needs for a legend in a cell of this width.
pub fn legend_height(entries: &[Entry], cell_width: f64) -> f64 {
    ENTRY * legend_lines(entries, cell_width).len() as f64
}

/// Draws a title and a legend at the top of a cell, and returns what is left of the cell for a panel without a title. Unlike
/// `Panel::legend`, the legend lies outside of the frame, where it can hide nothing.
pub fn header(canvas: &mut Canvas, cell: Area, title: &str, entries: &[Entry]) -> Area {
    heading(canvas, cell, title);
    // Without a title, the legend begins higher.
    let up = if title.is_empty() { 16.0 } else { 0.0 };
    let lines = legend_lines(entries, cell.width);
    let down = ENTRY * lines.len() as f64 - up;
    for (index, line) in lines.into_iter().enumerate() {
        let middle = cell.top + BORDER[1] - up + ENTRY * (index as f64 + 0.4);
        for (left, entry) in line {
            draw_entry(canvas, (cell.left + BORDER[0] - 5.0 + left, middle), entry);
        }
    }
    cell.inset([0.0, down, 0.0, 0.0])
}
