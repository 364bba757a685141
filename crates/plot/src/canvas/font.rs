//! The font of all pictures, which is part of the program, so that they are the same on every machine.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, ScaleFont};

use crate::canvas::Anchor;

pub static FONT: LazyLock<FontRef<'static>> =
    LazyLock::new(|| FontRef::try_from_slice(dejavu::sans::regular()).expect("the font of the crate `dejavu`"));

/// Height of the font, from the lowest to the highest letter, as a multiple of its size.
pub const HEIGHT: f64 = 1.16;

/// The width of a text.
pub fn width(text: &str, size: f64) -> f64 {
    let font = FONT.as_scaled((size * HEIGHT) as f32);
    text.chars().map(|letter| f64::from(font.h_advance(font.glyph_id(letter)))).sum()
}

/// The part of a text's width that lies before its position.
pub fn part_before(anchor: Anchor) -> f64 {
    match anchor {
        Anchor::Start => 0.0,
        Anchor::Middle | Anchor::Upwards => 0.5,
        Anchor::End => 1.0,
    }
}
