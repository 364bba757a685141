//! Layers of the networks on plain slices: convolutions with batch normalization folded into the weights, max and
//! average pooling.

use std::ops::RangeInclusive;

use pfgm_cpu::{
    Buffer,
    conv2d::{Epilogue, Filters, Geometry, forward},
};
use rayon::prelude::*;

use super::FeatureError;

/// Epsilon of the batch normalization of both networks.
const EPSILON: f64 = 1e-3;

/// A function that returns the weight of a name and a shape.
pub type Source<'a> = dyn FnMut(&str, &[usize]) -> Result<Vec<f32>, FeatureError> + 'a;

/// Images, channels-last.
pub struct Images {
    /// Images, rows and columns of pixels, channels.
    pub size: [usize; 4],
    values: Buffer,
}

impl Images {
    /// Creates images of a size with unspecified values.
    fn new(size: [usize; 4]) -> Self {
        Self { size, values: Buffer::new(size.iter().product()) }
    }

    /// Creates images from values.
    ///
    /// # Panics
    /// Panics if there are not as many.
    pub fn of(size: [usize; 4], values: &[f32]) -> Self {
        let mut images = Self::new(size);
        images.values.values_mut().copy_from_slice(values);
        images
    }

    /// `[batch, height, width, channels]`
    pub fn values(&self) -> &[f32] {
        self.values.values()
    }

    /// The rows of pixels of all images, for parallel writing.
    fn lines(&mut self) -> impl IndexedParallelIterator<Item = &mut [f32]> {
        let [_, _, width, channels] = self.size;
        self.values.values_mut().par_chunks_exact_mut(width * channels)
    }

    /// A row of pixels of an image.
    fn line(&self, image: usize, row: usize) -> &[f32] {
        let [_, height, width, channels] = self.size;
        &self.values()[(image * height + row) * width * channels..][..width * channels]
    }

    /// Returns the part from a row and column on, with zeros beyond the left and upper border.
    fn part(&self, from: [isize; 2], height: usize, width: usize) -> Self {
        let [batch, _, _, channels] = self.size;
        let mut part = Self::new([batch, height, width, channels]);
        let (skip, zeros) = (from[1].max(0) as usize * channels, (-from[1]).max(0) as usize * channels);
        part.lines().enumerate().for_each(|(line, out)| match usize::try_from((line % height) as isize + from[0]) {
            Ok(row) => {
                out[..zeros].fill(0.0);
                let count = out.len() - zeros;
                out[zeros..].copy_from_slice(&self.line(line / height, row)[skip..skip + count]);
            }
            Err(_) => out.fill(0.0),
        });
        part
    }

    /// Adds two batches of images.
    pub fn add(mut self, other: &Self) -> Self {
        assert_eq!(self.size, other.size, "images of one size");
        let sums = self.values.values_mut().par_chunks_mut(1 << 14).zip(other.values().par_chunks(1 << 14));
        sums.for_each(|(a, b)| a.iter_mut().zip(b).for_each(|(a, b)| *a += b));
        self
    }

    /// Concatenates channels.
    pub fn side_by_side(parts: &[Self]) -> Self {
        let [batch, height, width, _] = parts[0].size;
        let channels = parts.iter().map(|part| part.size[3]).sum();
        let mut all = Self::new([batch, height, width, channels]);
        all.lines().enumerate().for_each(|(line, out)| {
            let mut from = 0;
            for part in parts {
                let own = part.size[3];
                let pixels = part.line(line / height, line % height).chunks_exact(own);
                let places = out.chunks_exact_mut(channels);
                places.zip(pixels).for_each(|(out, pixel)| out[from..from + own].copy_from_slice(pixel));
                from += own;
            }
        });
        all
    }

    /// Global average pooling: images of one pixel.
    pub fn means(&self) -> Self {
        let [batch, height, width, channels] = self.size;
        let mut means = Self::new([batch, 1, 1, channels]);
        means.lines().zip(self.values().par_chunks_exact(height * width * channels)).for_each(|(out, image)| {
            out.fill(0.0);
            image.chunks_exact(channels).for_each(|pixel| out.iter_mut().zip(pixel).for_each(|(out, x)| *out += x));
            out.iter_mut().for_each(|out| *out /= (height * width) as f32);
        });
        means
    }
}

/// An activation function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// `max(x, 0)`
    Relu,
    /// `min(max(x, 0), 6)`
    Relu6,
}

impl Activation {
    pub fn apply(self, mut x: Images) -> Images {
        if self != Self::None {
            x.lines().for_each(|line| self.apply_to(line));
        }
        x
    }

    #[inline(always)]
    fn apply_to(self, values: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Relu => values.iter_mut().for_each(|x| *x = x.max(0.0)),
            Self::Relu6 => values.iter_mut().for_each(|x| *x = x.clamp(0.0, 6.0)),
        }
    }
}

/// Pixels of the input on which the pixels of the result are centered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Centers {
    /// All, with zeros beyond the border.
    All,
    /// All for which the kernel lies inside the image (no padding).
    Inside,
    /// The second, the fourth and so on. For an odd number of pixels a 3x3 kernel stays inside the image; for
    /// an even number this is TensorFlow's SAME padding.
    EverySecond,
}

/// A convolution with normalization and activation.
pub struct Conv {
    filters: Filters,
    bias: Vec<f32>,
    /// Rows and columns of the kernel, channels in and out.
    shape: [usize; 4],
    centers: Centers,
    activation: Activation,
}

/// The names of a convolution's weights and of its normalization.
pub struct Names<'a> {
    pub convolution: &'a str,
    pub normalization: &'a str,
}

/// Shape, padding and activation of a convolution.
#[derive(Clone, Copy)]
pub struct Form {
    /// Rows and columns of the kernel, channels in and out.
    pub shape: [usize; 4],
    pub centers: Centers,
    pub activation: Activation,
}

/// Weights `[out, in, kh, kw]` and a bias, normalized: `gamma (x * w - mean) / sqrt(variance + epsilon) + beta`.
fn folded(source: &mut Source, names: &Names, shape: [usize; 4]) -> Result<(Vec<f32>, Vec<f32>), FeatureError> {
    let [outputs, ..] = shape;
    let mut weight = source(&format!("{}.weight", names.convolution), &shape)?;
    let mut of = |part: &str| source(&format!("{}.{part}", names.normalization), &[outputs]);
    let (gamma, beta) = (of("weight")?, of("bias")?);
    let (mean, variance) = (of("running_mean")?, of("running_var")?);
    let mut bias = Vec::with_capacity(outputs);
    for (out, weight) in weight.chunks_exact_mut(shape[1..].iter().product()).enumerate() {
        let scale = f64::from(gamma[out]) / (f64::from(variance[out]) + EPSILON).sqrt();
        weight.iter_mut().for_each(|weight| *weight = (f64::from(*weight) * scale) as f32);
        bias.push((f64::from(beta[out]) - f64::from(mean[out]) * scale) as f32);
    }
    Ok((weight, bias))
}

/// PyTorch's `[out, in, taps]` as `[taps, in, out]`.
fn channels_last(weight: &[f32], taps: usize, inputs: usize, outputs: usize) -> Vec<f32> {
    (0..taps)
        .flat_map(|tap| (0..inputs).flat_map(move |i| (0..outputs).map(move |o| (o * inputs + i) * taps + tap)))
        .map(|at| weight[at])
        .collect()
}

impl Conv {
    pub fn load(source: &mut Source, names: &Names, form: Form) -> Result<Self, FeatureError> {
        let [kh, kw, inputs, outputs] = form.shape;
        let (weight, bias) = folded(source, names, [outputs, inputs, kh, kw])?;
        Ok(Self::new(&weight, bias, form))
    }

    /// A product of features with a matrix `[out, in]`, as a convolution of images of one pixel.
    pub fn product(weight: &[f32], bias: Vec<f32>, inputs: usize) -> Self {
        let shape = [1, 1, inputs, bias.len()];
        Self::new(weight, bias, Form { shape, centers: Centers::All, activation: Activation::None })
    }

    fn new(weight: &[f32], bias: Vec<f32>, Form { shape, centers, activation }: Form) -> Self {
        let [kh, kw, inputs, outputs] = shape;
        let weight = channels_last(weight, kh * kw, inputs, outputs);
        // Only the size of the kernel matters here.
        let filters = Filters::new(pfgm_cpu::arch(), geometry([1, kh, kw, inputs], shape, centers), &weight);
        Self { filters, bias, shape, centers, activation }
    }

    /// # Shapes
    /// `[batch, height, width, in]` to `[batch, height', width', out]`
    pub fn forward(&self, x: &Images) -> Images {
        let [_, height, width, _] = x.size;
        let [kh, kw, ..] = self.shape;
        let convolved = |x: &Images| {
            let geometry = geometry(x.size, self.shape, self.centers);
            let [out_height, out_width] = geometry.out();
            let mut y = Images::new([x.size[0], out_height, out_width, geometry.outputs]);
            let epilogue = Epilogue { bias: Some(&self.bias), ..Epilogue::NONE };
            forward(geometry, x.values(), &self.filters, epilogue, y.values.values_mut());
            y
        };
        self.activation.apply(match self.centers {
            Centers::All => convolved(x),
            Centers::Inside => {
                convolved(x).part([(kh / 2) as isize, (kw / 2) as isize], height - kh / 2 * 2, width - kw / 2 * 2)
            }
            // The kernels start at the first pixel, so one is added.
            Centers::EverySecond => {
                convolved(&x.part([-1, -1], height + 1, width + 1)).part([1, 1], height / 2, width / 2)
            }
        })
    }
}

fn geometry(size: [usize; 4], [kh, kw, inputs, outputs]: [usize; 4], centers: Centers) -> Geometry {
    let [batch, height, width, _] = size;
    let stride = if centers == Centers::EverySecond { 2 } else { 1 };
    Geometry { batch, height, width, inputs, outputs, kernel: [kh, kw], stride }
}

/// Pixels around the `at`th of a result, of which there are as many as of `count` pixels or (stride 2) every second.
#[inline(always)]
fn around(at: usize, reach: usize, stride: usize, count: usize) -> RangeInclusive<usize> {
    let center = at * stride + stride - 1;
    center.saturating_sub(reach)..=(center + reach).min(count - 1)
}

/// Depthwise convolution with normalization and ReLU6.
pub struct Depthwise {
    /// `[side, side, channels]`
    weight: Vec<f32>,
    bias: Vec<f32>,
    side: usize,
    stride: usize,
}

impl Depthwise {
    pub fn load(
        source: &mut Source,
        names: &Names,
        [side, channels, stride]: [usize; 3],
    ) -> Result<Self, FeatureError> {
        let (weight, bias) = folded(source, names, [channels, 1, side, side])?;
        Ok(Self { weight: channels_last(&weight, side * side, 1, channels), bias, side, stride })
    }

    /// At every pixel, or every second, the number of pixels being even.
    pub fn forward(&self, x: &Images) -> Images {
        let [batch, height, width, channels] = x.size;
        let mut y = Images::new([batch, height / self.stride, width / self.stride, channels]);
        let (rows, arch) = (height / self.stride, pfgm_cpu::arch());
        y.lines().enumerate().for_each(|(line, out)| {
            arch.dispatch(
                #[inline(always)]
                || self.line(x, line / rows, line % rows, out),
            );
        });
        y
    }

    #[inline(always)]
    fn line(&self, x: &Images, image: usize, row: usize, out: &mut [f32]) {
        let ([_, height, width, channels], reach) = (x.size, self.side / 2);
        for (column, out) in out.chunks_exact_mut(channels).enumerate() {
            out.copy_from_slice(&self.bias);
            let (center_row, center) = (row * self.stride + self.stride - 1, column * self.stride + self.stride - 1);
            for source in around(row, reach, self.stride, height) {
                let line = x.line(image, source);
                for from in around(column, reach, self.stride, width) {
                    let tap = (source + reach - center_row) * self.side + from + reach - center;
                    let weight = &self.weight[tap * channels..][..channels];
                    let pixel = &line[from * channels..][..channels];
                    for ((out, x), weight) in out.iter_mut().zip(pixel).zip(weight) {
                        *out += x * weight;
                    }
                }
            }
            Activation::Relu6.apply_to(out);
        }
    }
}

/// Max pooling over 3x3 pixels: around every pixel, or (stride 2) without padding.
pub fn max_of_neighbors(x: &Images, stride: usize) -> Images {
    neighbors(x, stride, |out, x| *out = out.max(x), |_, _| ())
}

/// Average pooling over 3x3 pixels, excluding those beyond the border.
pub fn mean_of_neighbors(x: &Images) -> Images {
    neighbors(x, 1, |out, x| *out += x, |out, count| *out /= count as f32)
}

/// Folds 3x3 neighbors with `join`, and applies `finish` with their number.
fn neighbors(
    x: &Images,
    stride: usize,
    join: impl Fn(&mut f32, f32) + Sync,
    finish: impl Fn(&mut f32, usize) + Sync,
) -> Images {
    let [batch, height, width, channels] = x.size;
    let size = |count: usize| (count + 1 - stride) / stride;
    let (rows, columns) = (size(height), size(width));
    let mut y = Images::new([batch, rows, columns, channels]);
    y.lines().enumerate().for_each(|(line, out)| {
        let lines = around(line % rows, 1, stride, height);
        for (column, out) in out.chunks_exact_mut(channels).enumerate() {
            let mut count = 0;
            for line in lines.clone().map(|row| x.line(line / rows, row)) {
                for from in around(column, 1, stride, width) {
                    let pixel = &line[from * channels..][..channels];
                    if count == 0 {
                        out.copy_from_slice(pixel);
                    } else {
                        out.iter_mut().zip(pixel).for_each(|(out, &x)| join(out, x));
                    }
                    count += 1;
                }
            }
            out.iter_mut().for_each(|out| finish(out, count));
        }
    });
    y
}
