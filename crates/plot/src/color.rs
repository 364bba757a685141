//! Colors that color-blind readers can distinguish (after Okabe and Ito, *Color Universal Design*, 2008), for a white background.

/// A color with opacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color {
    /// Red, green and blue.
    pub rgb: [u8; 3],
    /// Opacity: 255 is opaque.
    pub alpha: u8,
}

const fn opaque(rgb: [u8; 3]) -> Color {
    Color { rgb, alpha: 255 }
}

/// The background.
pub const WHITE: Color = opaque([255; 3]);
/// Text and axes.
pub const INK: Color = opaque([38, 40, 46]);
/// Secondary elements.
pub const GRAY: Color = opaque([150, 154, 162]);
/// Guide lines.
pub const FAINT: Color = opaque([226, 228, 232]);
/// Charges.
pub const RED: Color = opaque([197, 64, 20]);
/// Fields and field lines.
pub const BLUE: Color = opaque([0, 94, 162]);
/// The third series.
pub const GREEN: Color = opaque([0, 136, 104]);
/// The fourth series.
pub const PURPLE: Color = opaque([150, 86, 140]);

/// The colors of series, in order.
pub const SERIES: [Color; 8] = [
    BLUE,
    RED,
    GREEN,
    PURPLE,
    opaque([214, 146, 0]),
    opaque([60, 160, 215]),
    opaque([92, 72, 40]),
    opaque([120, 124, 132]),
];

/// Color scale of densities, from white to dark blue.
const DENSITY: [[u8; 3]; 6] =
    [[255, 255, 255], [222, 235, 245], [158, 202, 225], [74, 144, 196], [20, 88, 158], [8, 40, 96]];
/// Color scale of heights, from the charges (red) to the hemisphere (blue).
const RISE: [[u8; 3]; 4] = [[204, 76, 24], [196, 120, 120], [112, 130, 180], [0, 84, 156]];

impl Color {
    /// The color with this opacity, from 0 to 1.
    pub fn faded(self, share: f64) -> Self {
        Self { alpha: (255.0 * share.clamp(0.0, 1.0)).round() as u8, ..self }
    }

    /// The color of a density from 0 to 1.
    pub fn density(share: f64) -> Self {
        opaque(between(&DENSITY, share))
    }

    /// The color of a height from 0 to 1.
    pub fn rise(share: f64) -> Self {
        opaque(between(&RISE, share))
    }
}

/// Light or dark pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// A white background.
    #[default]
    Light,
    /// A dark background, for projection in a dark room: every color keeps its hue, and light and dark change places.
    Dark,
}

impl Theme {
    /// A color of the light theme in this theme.
    pub fn color(self, color: Color) -> Color {
        const BRIGHTEST: f64 = 0.94;
        const DARKEST: f64 = 0.07;
        if self == Self::Light {
            return color;
        }
        let [r, g, b] = color.rgb.map(|value| f64::from(value) / 255.0);
        let (least, most) = (r.min(g).min(b), r.max(g).max(b));
        let lightness = 0.5 * (least + most);
        // HSL: saturation is the chroma as a share of the largest at a lightness.
        let room = |lightness: f64| 1.0 - (2.0 * lightness - 1.0_f64).abs();
        let saturation = if most > least { (most - least) / room(lightness) } else { 0.0 };
        let turned = BRIGHTEST - lightness * (BRIGHTEST - DARKEST);
        let chroma = saturation * room(turned);
        let factor = if most > least { chroma / (most - least) } else { 0.0 };
        let value = |value: f64| (255.0 * (turned + factor * (value - lightness)).clamp(0.0, 1.0)).round() as u8;
        Color { rgb: [r, g, b].map(value), ..color }
    }
}

fn between(stops: &[[u8; 3]], share: f64) -> [u8; 3] {
    let place = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) } * (stops.len() - 1) as f64;
    let first = (place as usize).min(stops.len() - 2);
    let part = place - first as f64;
    [0, 1, 2].map(|c| {
        let (a, b) = (f64::from(stops[first][c]), f64::from(stops[first + 1][c]));
        (a + part * (b - a)).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dark_theme_turns_lightness_and_keeps_hue() {
        let dark = |color| Theme::Dark.color(color).rgb;
        assert!(dark(WHITE).iter().all(|&value| value < 25), "{:?}", dark(WHITE));
        assert!(dark(INK).iter().all(|&value| value > 190), "{:?}", dark(INK));
        for color in SERIES {
            let (turned, mut order, mut after) = (dark(color), [0, 1, 2], [0, 1, 2]);
            order.sort_by_key(|&channel| (color.rgb[channel], channel));
            after.sort_by_key(|&channel| (turned[channel], channel));
            assert_eq!(order, after, "{color:?} {turned:?}");
            let background = dark(WHITE).map(i32::from);
            let contrast: i32 = turned.iter().zip(background).map(|(&a, b)| (i32::from(a) - b).abs()).sum();
            assert!(contrast > 180, "{color:?} {turned:?}");
        }
        assert_eq!(Theme::Light.color(RED), RED);
        assert_eq!(Theme::Dark.color(BLUE.faded(0.5)).alpha, 128);
    }
}
