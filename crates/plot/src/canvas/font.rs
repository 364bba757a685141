//! The fonts of all pictures, which are part of the program, so that they are the same on every machine.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, PxScale, ScaleFont};

use crate::canvas::Anchor;

/// The font of letters and symbols.
pub static FONT: LazyLock<FontRef<'static>> =
    LazyLock::new(|| FontRef::try_from_slice(dejavu::sans::regular()).expect("the font of the crate `dejavu`"));

/// Noto Sans SC with the characters of the program's Chinese texts only (crates/plot/assets/subset.py, SIL Open Font License 1.1).
static CHINESE: LazyLock<FontRef<'static>> =
    LazyLock::new(|| FontRef::try_from_slice(include_bytes!("../../assets/chinese.ttf")).expect("the font in assets"));

/// Height of [`FONT`], from the lowest to the highest letter, as a multiple of its size.
const HEIGHT: f64 = 1.16;

/// Whether a letter is in the second font only.
fn is_chinese(letter: char) -> bool {
    FONT.glyph_id(letter).0 == 0 && CHINESE.glyph_id(letter).0 != 0
}

/// The font of a letter.
pub fn of(letter: char) -> &'static FontRef<'static> {
    if is_chinese(letter) { &CHINESE } else { &FONT }
}

/// Whether a font has this letter.
pub fn has(letter: char) -> bool {
    of(letter).glyph_id(letter).0 != 0
}

/// The scale at which a letter of [`of`] has this size.
pub fn scale(letter: char, size: f64) -> PxScale {
    let height = match CHINESE.units_per_em() {
        Some(em) if is_chinese(letter) => f64::from(CHINESE.height_unscaled() / em),
        _ => HEIGHT,
    };
    PxScale::from((size * height) as f32)
}

/// The width of a letter.
pub fn advance(letter: char, size: f64) -> f32 {
    let font = of(letter).as_scaled(scale(letter, size));
    font.h_advance(font.glyph_id(letter))
}

/// The width of a text.
pub fn width(text: &str, size: f64) -> f64 {
    text.chars().map(|letter| f64::from(advance(letter, size))).sum()
}

/// The part of a text's width that lies before its position.
pub fn part_before(anchor: Anchor) -> f64 {
    match anchor {
        Anchor::Start => 0.0,
        Anchor::Middle | Anchor::Upwards => 0.5,
        Anchor::End => 1.0,
    }
}
