//! Pictures and animations of at most 256 colors, for small files.

use std::collections::BTreeSet;

use color_quant::NeuQuant;
use rayon::prelude::*;

use crate::{PlotError, canvas::Canvas};

/// Duration of a frame in hundredths of a second.
const FRAME_TIME: u16 = 4;
/// Pixels from which colors are chosen, at most.
const LEARNED: usize = 400_000;
/// Bits of each channel in the lookup table of the nearest color.
const BITS: u32 = 6;

/// A file format of animations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Animation {
    /// GIF.
    Gif,
    /// Animated PNG.
    Png,
}

/// A palette, with a lookup table of the nearest color.
struct Palette {
    colors: Vec<[u8; 3]>,
    nearest: Vec<u8>,
}

impl Palette {
    /// Chooses at most `most` colors for these pixels; white is always among them.
    fn of(rgb: &[u8], most: usize) -> Self {
        // White would be most of what the quantizer learns, and is known.
        let inked: Vec<&[u8]> = rgb.chunks_exact(3).filter(|pixel| **pixel != [255; 3]).collect();
        let step = inked.len().div_ceil(LEARNED).max(1);
        let learned: Vec<u8> = inked.iter().step_by(step).flat_map(|p| [p[0], p[1], p[2], 255]).collect();
        let mut colors = vec![[255; 3]];
        let distinct: BTreeSet<[u8; 3]> = inked.iter().map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
        if distinct.len() < most {
            colors.extend(distinct);
        } else {
            let quantizer = NeuQuant::new(3, most - 1, &learned);
            colors.extend(quantizer.color_map_rgb().chunks_exact(3).map(|c| [c[0], c[1], c[2]]));
        }
        let side = 1_usize << BITS;
        let nearest = (0..side * side * side)
            .into_par_iter()
            .map(|cell| {
                // The corners of the cube are exactly black and white.
                let value = |shift: u32| (((cell >> shift) % side) * 255 / (side - 1)) as i32;
                let wanted = [value(2 * BITS), value(BITS), value(0)];
                let distance = |color: &[u8; 3]| -> i32 {
                    color.iter().zip(wanted).map(|(&c, w)| (i32::from(c) - w).pow(2)).sum()
                };
                let (index, _) = colors.iter().enumerate().min_by_key(|(_, color)| distance(color)).expect("white");
                index as u8
            })
            .collect();
        Self { colors, nearest }
    }

    fn indices(&self, rgb: &[u8]) -> Vec<u8> {
        let cell = |value: u8| (usize::from(value) * ((1 << BITS) - 1) + 127) / 255;
        rgb.chunks_exact(3)
            .map(|pixel| {
                let [r, g, b] = [0, 1, 2].map(|channel| cell(pixel[channel]));
                self.nearest[(r << (2 * BITS)) | (g << BITS) | b]
            })
            .collect()
    }

    fn bytes(&self) -> Vec<u8> {
        self.colors.concat()
    }
}

fn failed(error: impl std::fmt::Display) -> PlotError {
    PlotError::Draw(error.to_string())
}

/// RGB pixels as a PNG file of at most 256 colors; with pixels for each 1/96 inch, the file tells its resolution.
pub(crate) fn png((width, height): (u32, u32), rgb: &[u8], scale: Option<f64>) -> Result<Vec<u8>, PlotError> {
    let palette = Palette::of(rgb, 256);
    let mut bytes = Vec::new();
    let mut encoder = encoder(&mut bytes, (width, height), &palette);
    encoder.set_compression(png::Compression::High);
    encoder.set_pixel_dims(scale.map(|scale| {
        let per_meter = (scale * 96.0 / 0.0254).round() as u32;
        png::PixelDimensions { xppu: per_meter, yppu: per_meter, unit: png::Unit::Meter }
    }));
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(&palette.indices(rgb)).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

fn encoder<'a>(
    bytes: &'a mut Vec<u8>,
    (width, height): (u32, u32),
    palette: &Palette,
) -> png::Encoder<'a, &'a mut Vec<u8>> {
    let mut encoder = png::Encoder::new(bytes, width, height);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(palette.bytes());
    encoder.set_filter(png::Filter::NoFilter);
    encoder
}

/// Draws frames with `draw` as an animation that repeats, with 25 frames a second and one palette.
///
/// # Errors
/// Returns an error if a frame cannot be drawn, frames differ in size, or the encoder fails.
pub fn animate(
    format: Animation,
    frames: usize,
    draw: impl Fn(usize) -> Result<Canvas, PlotError> + Sync,
) -> Result<Vec<u8>, PlotError> {
    let draw = |frame| draw(frame).map(|canvas| (canvas.size(), canvas.rgb()));
    if frames == 0 {
        return Err(PlotError::Draw("an animation without a frame".into()));
    }
    // A few frames have the colors of all.
    let some = [0, frames / 4, frames / 2, 3 * frames / 4, frames - 1];
    let sample = some.par_iter().map(|&frame| Ok(draw(frame)?.1)).collect::<Result<Vec<_>, PlotError>>()?;
    // One index means "as in the previous frame".
    let palette = Palette::of(&sample.concat(), 255);
    let (size, _) = draw(0)?;
    let pictures = (0..frames)
        .into_par_iter()
        .map(|frame| {
            let (own, rgb) = draw(frame)?;
            if own != size {
                return Err(PlotError::Draw(format!("frame {frame} differs in size from the first")));
            }
            Ok(palette.indices(&rgb))
        })
        .collect::<Result<Vec<_>, PlotError>>()?;
    match format {
        Animation::Gif => gif(size, &palette, &pictures),
        Animation::Png => animated_png(size, &palette, &pictures),
    }
}

fn gif((width, height): (u32, u32), palette: &Palette, pictures: &[Vec<u8>]) -> Result<Vec<u8>, PlotError> {
    const SAME: u8 = 255;
    let side = |length: u32| u16::try_from(length).map_err(failed);
    let (width, height) = (side(width)?, side(height)?);
    let mut colors = palette.bytes();
    colors.resize(3 * 256, 0);
    let mut encoder = gif::Encoder::new(Vec::new(), width, height, &colors).map_err(failed)?;
    encoder.set_repeat(gif::Repeat::Infinite).map_err(failed)?;
    let frames: Vec<gif::Frame> = (0..pictures.len())
        .into_par_iter()
        .map(|index| {
            let mut pixels = pictures[index].clone();
            if index > 0 {
                // Unchanged pixels get one index, which compresses well.
                pixels
                    .iter_mut()
                    .zip(&pictures[index - 1])
                    .filter(|(new, old)| new == old)
                    .for_each(|(new, _)| *new = SAME);
            }
            let mut frame = gif::Frame {
                width,
                height,
                delay: FRAME_TIME,
                dispose: gif::DisposalMethod::Keep,
                transparent: (index > 0).then_some(SAME),
                buffer: pixels.into(),
                ..gif::Frame::default()
            };
            frame.make_lzw_pre_encoded();
            frame
        })
        .collect();
    for frame in &frames {
        encoder.write_lzw_pre_encoded_frame(frame).map_err(failed)?;
    }
    encoder.into_inner().map_err(failed)
}

fn animated_png(size: (u32, u32), palette: &Palette, pictures: &[Vec<u8>]) -> Result<Vec<u8>, PlotError> {
    let mut bytes = Vec::new();
    let mut encoder = encoder(&mut bytes, size, palette);
    encoder.set_compression(png::Compression::Balanced);
    encoder.set_animated(pictures.len() as u32, 0).map_err(failed)?;
    encoder.set_frame_delay(FRAME_TIME, 100).map_err(failed)?;
    let mut writer = encoder.write_header().map_err(failed)?;
    for picture in pictures {
        writer.write_image_data(picture).map_err(failed)?;
    }
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use image::AnimationDecoder;

    use super::*;
    use crate::color::{BLUE, RED};

    fn frame(index: usize) -> Result<Canvas, PlotError> {
        let mut canvas = Canvas::new(60.0, 40.0, 1.0)?;
        canvas.disc((10.0 + 10.0 * index as f64, 20.0), 6.0, if index < 2 { BLUE } else { RED });
        Ok(canvas)
    }

    /// The mean position of pixels that are not white.
    fn middle(rgb: &image::RgbImage) -> f64 {
        let dark: Vec<u32> = rgb.enumerate_pixels().filter(|(_, _, p)| p.0[1] < 140).map(|(x, ..)| x).collect();
        assert!(dark.len() > 60, "{}", dark.len());
        dark.iter().map(|&x| f64::from(x)).sum::<f64>() / dark.len() as f64
    }

    #[test]
    fn every_frame_comes_back() {
        let check = |frames: Vec<image::Frame>| {
            assert_eq!(frames.len(), 4);
            for (index, frame) in frames.into_iter().enumerate() {
                assert_eq!(frame.delay().numer_denom_ms(), (40, 1));
                let rgb = image::DynamicImage::ImageRgba8(frame.into_buffer()).into_rgb8();
                let found = middle(&rgb);
                assert!((found - 9.5 - 10.0 * index as f64).abs() < 0.6, "frame {index}: {found}");
                let inked = rgb.get_pixel(10 + 10 * index as u32, 20).0;
                let expected = if index < 2 { BLUE.rgb } else { RED.rgb };
                assert!(inked.iter().zip(expected).all(|(a, b)| a.abs_diff(b) < 8), "{inked:?}");
            }
        };
        let gif = animate(Animation::Gif, 4, frame).unwrap();
        let decoder = image::codecs::gif::GifDecoder::new(std::io::Cursor::new(gif)).unwrap();
        check(decoder.into_frames().collect_frames().unwrap());
        let png = animate(Animation::Png, 4, frame).unwrap();
        let decoder = image::codecs::png::PngDecoder::new(std::io::Cursor::new(png)).unwrap();
        check(decoder.apng().unwrap().into_frames().collect_frames().unwrap());
        assert!(animate(Animation::Gif, 0, frame).is_err());
    }

    #[test]
    fn few_colors_look_like_the_picture() {
        let mut canvas = Canvas::new(640.0, 64.0, 1.0).unwrap();
        for index in 0..640 {
            let color = crate::color::Color::rise(f64::from(index) / 639.0);
            canvas.curve([(f64::from(index) + 0.5, 0.0), (f64::from(index) + 0.5, 40.0)], 1.0, color);
        }
        let decoded = image::load_from_memory(&canvas.png().unwrap()).unwrap().into_rgb8();
        let worst = canvas.rgb().iter().zip(decoded.as_raw()).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(worst < 16, "{worst}");
        assert_eq!(decoded.get_pixel(5, 60).0, [255; 3], "the background stays white");
    }
}
