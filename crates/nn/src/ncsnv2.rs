//! NCSNv2 (arXiv 2006.09011): a RefineNet (arXiv 1611.06612) with instance normalization that keeps the channels' means.
//! It has no embedding: it estimates the noise level from the image.

mod onnx;

use burn::{
    backend::ops::MaxPoolOptions,
    module::{Module, Param},
    tensor::{DType, Device, Tensor, TensorData, module::max_pool2d},
};
use pfgm_burn_ops::{Filter, GroupNormOptions, downsample2x, group_norm};
use pfgm_data::Shape;
use serde::{Deserialize, Serialize};

use crate::{
    MAX_CHANNELS, NetworkError, NetworkInput,
    initializer::Initializer,
    layers::{Conv, elu},
    unet::frame::{self, Frame},
};

/// Configuration of an [`Ncsnv2`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ncsnv2Config {
    /// Channels at full size, a multiple of 4.
    pub width: usize,
    /// Channels of each level as a multiple of width, at least three levels. Levels after the first halve the image, except
    /// for the last two, whose convolutions are dilated by 2 and 4 pixels. Published: 1, 2, 2, 2 for images below 96 pixels;
    /// 1, 2, 2, 4, 4 up to 128; 1, 2, 2, 2, 4, 4 up to 256.
    pub multipliers: Vec<usize>,
    /// Whether the network has an output for the field's component along z; for output field.
    pub radial: bool,
}

impl Default for Ncsnv2Config {
    fn default() -> Self {
        Self { width: 128, multipliers: vec![1, 2, 2, 2], radial: false }
    }
}

/// Two blocks per level on the way down, one refinement block per level on the way up.
#[derive(Module, Debug)]
pub struct Ncsnv2 {
    input: Conv,
    /// Two blocks per level.
    down: Vec<Block>,
    /// From the smallest level up.
    up: Vec<Refine>,
    norm: InstanceNorm,
    output: Conv,
    #[module(skip)]
    frame: Frame,
    radial: bool,
}

/// The dilation of a block's convolutions, or the change of the image's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Dilated convolutions with this dilation.
    Dilated(usize),
    /// Convolutions, then average pooling of 2x2 pixels.
    Halved,
}

/// `shortcut(x) + conv(elu(norm(conv(elu(norm(x))))))`.
#[derive(Module, Debug)]
struct Block {
    norm0: InstanceNorm,
    conv0: Conv,
    norm1: InstanceNorm,
    conv1: Conv,
    skip: Option<Conv>,
    #[module(skip)]
    reach: Reach,
}

/// Instance normalization that adds back, for each channel, the distance of its mean from those of the others.
#[derive(Module, Debug)]
struct InstanceNorm {
    alpha: Param<Tensor<1>>,
    gamma: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
}

/// A block of a RefineNet: each image passes through residual units; all are resized and summed, then pooled in a chain.
#[derive(Module, Debug)]
struct Refine {
    adapt: Vec<Residuals>,
    /// Empty if there is one image.
    fuse: Vec<Conv>,
    pool: Vec<Conv>,
    out: Residuals,
}

/// Residual units `x + conv(elu(conv(elu(x))))`, of convolutions without bias.
#[derive(Module, Debug)]
struct Residuals {
    convs: Vec<Conv>,
}

impl Ncsnv2Config {
    pub(crate) fn init(&self, shape: Shape, init: &mut Initializer) -> Result<Ncsnv2, NetworkError> {
        let levels = self.multipliers.len();
        if levels < 3 {
            let problem = "give at least three levels";
            return Err(NetworkError::Size { key: "multipliers", value: format!("{:?}", self.multipliers), problem });
        }
        // The last two levels do not halve the image.
        let frame = Frame::checked(shape, self.width, &self.multipliers[..levels - 2], 1)?;
        if self.multipliers.iter().any(|multiplier| !(1..=MAX_CHANNELS / self.width).contains(multiplier)) {
            let problem = "give one positive number for each level, for at most 1048576 channels";
            return Err(NetworkError::Size { key: "multipliers", value: format!("{:?}", self.multipliers), problem });
        }
        let channels: Vec<usize> = self.multipliers.iter().map(|multiplier| multiplier * self.width).collect();
        let input = Conv::new(3, [frame.channels, channels[0]], 1.0, init);
        let (mut down, mut inputs) = (Vec::new(), channels[0]);
        for (level, &outputs) in channels.iter().enumerate() {
            let (first, second) = match levels - level {
                1 => (Reach::Dilated(4), Reach::Dilated(4)),
                2 => (Reach::Dilated(2), Reach::Dilated(2)),
                _ if level == 0 => (Reach::Dilated(1), Reach::Dilated(1)),
                _ => (Reach::Halved, Reach::Dilated(1)),
            };
            // The first block of every level but the first has a convolution as its shortcut.
            down.push(Block::new(inputs, outputs, first, level > 0, init));
            down.push(Block::new(outputs, outputs, second, false, init));
            inputs = outputs;
        }
        let (mut up, mut below) = (Vec::new(), None);
        for level in (0..levels).rev() {
            let outputs = if level + 1 == levels { channels[level] } else { channels[level.saturating_sub(1)] };
            let images: Vec<usize> = [channels[level]].into_iter().chain(below).collect();
            up.push(Refine::new(&images, outputs, if level == 0 { 3 } else { 1 }, init));
            below = Some(outputs);
        }
        let norm = InstanceNorm::new(channels[0], init);
        let output = Conv::new(3, [channels[0], frame.channels + usize::from(self.radial)], 1e-5, init);
        Ok(Ncsnv2 { input, down, up, norm, output, frame, radial: self.radial })
    }

    pub(crate) fn activations(&self, shape: Shape) -> usize {
        let Shape::Image { height, width, .. } = shape else { return 0 };
        let halvings = self.multipliers.len().saturating_sub(3);
        let level = |(level, multiplier): (usize, &usize)| {
            let halved = level.min(halvings);
            // Number of images (with a level's channels) that its two blocks and its refinement keep, measured.
            [height >> halved, width >> halved, *multiplier, self.width].into_iter().fold(80, usize::saturating_mul)
        };
        self.multipliers.iter().enumerate().map(level).fold(0, usize::saturating_add)
    }
}

impl Block {
    fn new(inputs: usize, outputs: usize, reach: Reach, shortcut: bool, init: &mut Initializer) -> Self {
        // A block that halves the image, or is dilated instead, changes its channels in the second convolution.
        let middle = if shortcut { inputs } else { outputs };
        let side = if reach == Reach::Halved { 1 } else { 3 };
        Self {
            norm0: InstanceNorm::new(inputs, init),
            conv0: Conv::new(3, [inputs, middle], 1.0, init),
            norm1: InstanceNorm::new(middle, init),
            conv1: Conv::new(3, [middle, outputs], 1.0, init),
            skip: shortcut.then(|| Conv::new(side, [inputs, outputs], 1.0, init)),
            reach,
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let h = elu(self.norm0.forward(x.clone()));
        let distance = if let Reach::Dilated(distance) = self.reach { distance } else { 1 };
        let h = elu(self.norm1.forward(dilated(&self.conv0, h, distance)));
        let h = dilated(&self.conv1, h, distance);
        let x = match &self.skip {
            Some(skip) => dilated(skip, x, distance),
            None => x,
        };
        let sum = h + x;
        if self.reach == Reach::Halved { downsample2x(sum, Filter::Box) } else { sum }
    }
}

/// Computes a dilated convolution: the pixels that are `distance` apart form separate images.
fn dilated(conv: &Conv, x: Tensor<4>, distance: usize) -> Tensor<4> {
    if distance == 1 {
        return conv.forward(x);
    }
    let [batch, height, width, channels] = x.dims();
    let (rows, columns) = (height.div_ceil(distance), width.div_ceil(distance));
    // The convolution pads with zeros as well.
    let beyond = [(0, 0), (0, rows * distance - height), (0, columns * distance - width), (0, 0)];
    let x = x.pad(beyond, 0.0).reshape([batch, rows, distance, columns, distance, channels]);
    let apart = x.permute([0, 2, 4, 1, 3, 5]).reshape([batch * distance * distance, rows, columns, channels]);
    let y = conv.forward(apart);
    let [_, _, _, outputs] = y.dims();
    let y = y.reshape([batch, distance, distance, rows, columns, outputs]).permute([0, 3, 1, 4, 2, 5]);
    let y = y.reshape([batch, rows * distance, columns * distance, outputs]);
    y.slice([0..batch, 0..height, 0..width, 0..outputs])
}

impl InstanceNorm {
    fn new(channels: usize, init: &mut Initializer) -> Self {
        let (alpha, gamma) = (init.normal(channels, 1.0, 0.02), init.normal(channels, 1.0, 0.02));
        Self { alpha, gamma, beta: init.constant(channels, 0.0) }
    }

    /// Computes `gamma (h + alpha (mean - m) / s) + beta`, where `h` has zero mean and unit variance in each channel, `mean` is
    /// the channel's mean before, and `m` and `s` are mean and standard deviation of the channels' means.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        const EPSILON: f64 = 1e-5;
        let [batch, height, width, channels] = x.dims();
        let means = x
            .clone()
            .reshape([batch, height * width, channels])
            .cast(DType::F32)
            .mean_dim(1)
            .reshape([batch, channels]);
        let centered = means.clone() - means.mean_dim(1);
        let variance = centered.clone().square().sum_dim(1).div_scalar(channels.saturating_sub(1).max(1) as f64);
        let apart = centered / variance.add_scalar(EPSILON).sqrt();
        let gamma: Tensor<2> = self.gamma.val().unsqueeze();
        let beta = apart * self.alpha.val().unsqueeze() * gamma.clone() + self.beta.val().unsqueeze();
        let how = GroupNormOptions { groups: channels, epsilon: EPSILON, activate: false };
        group_norm(x, gamma, beta, how)
    }
}

impl Residuals {
    fn new(channels: usize, blocks: usize, init: &mut Initializer) -> Self {
        Self { convs: (0..2 * blocks).map(|_| Conv::without_bias(3, [channels, channels], 1.0, init)).collect() }
    }

    fn forward(&self, mut x: Tensor<4>) -> Tensor<4> {
        for pair in self.convs.chunks_exact(2) {
            let h = pair[0].forward(elu(x.clone()));
            x = pair[1].fused(elu(h), None, Some(x), 1.0);
        }
        x
    }
}

impl Refine {
    fn new(images: &[usize], outputs: usize, blocks: usize, init: &mut Initializer) -> Self {
        let fused = if images.len() > 1 { images } else { &[] };
        Self {
            adapt: images.iter().map(|&channels| Residuals::new(channels, 2, init)).collect(),
            fuse: fused.iter().map(|&channels| Conv::new(3, [channels, outputs], 1.0, init)).collect(),
            pool: (0..2).map(|_| Conv::without_bias(3, [outputs, outputs], 1.0, init)).collect(),
            out: Residuals::new(outputs, blocks, init),
        }
    }

    /// The result has the size of the first image.
    fn forward(&self, images: Vec<Tensor<4>>) -> Tensor<4> {
        let [_, height, width, _] = images[0].dims();
        let mut adapted = self.adapt.iter().zip(images).map(|(adapt, image)| adapt.forward(image));
        let fused = match self.fuse.is_empty() {
            true => adapted.next(),
            false => {
                let brought =
                    adapted.zip(&self.fuse).map(|(image, conv)| resized(conv.forward(image), [height, width]));
                brought.reduce(|sum, image| sum + image)
            }
        };
        let mut sum = elu(fused.expect("a refinement has at least one image"));
        let mut path = sum.clone();
        for conv in &self.pool {
            path = conv.forward(max_pool_5x5(path));
            sum = sum + path.clone();
        }
        self.out.forward(sum)
    }
}

/// Computes the maximum of the 5x5 pixels around each.
fn max_pool_5x5(x: Tensor<4>) -> Tensor<4> {
    let (kernel_size, stride, padding, dilation) = ([5; 2], [1; 2], [(2, 2); 2], [1; 2]);
    let options = MaxPoolOptions { kernel_size, stride, padding, dilation, ceil_mode: false };
    max_pool2d(x.permute([0, 3, 1, 2]), options).permute([0, 2, 3, 1])
}

/// Resizes images bilinearly, with aligned corners.
fn resized(x: Tensor<4>, [rows, columns]: [usize; 2]) -> Tensor<4> {
    let [batch, height, width, channels] = x.dims();
    if [height, width] == [rows, columns] {
        return x;
    }
    let device = x.device();
    let [down, across] =
        [bilinear(height, rows, &device), bilinear(width, columns, &device)].map(|shares| shares.cast(x.dtype()));
    let x = down.unsqueeze::<3>().expand([batch, rows, height]).matmul(x.reshape([batch, height, width * channels]));
    let x = x.reshape([batch * rows, width, channels]);
    let x = across.unsqueeze::<3>().expand([batch * rows, columns, width]).matmul(x);
    x.reshape([batch, rows, columns, channels])
}

/// Returns the weights of `from` values in `to` values evenly spread over the same interval, `[to, from]`.
fn bilinear(from: usize, to: usize, device: &Device) -> Tensor<2> {
    let mut shares = vec![0.0_f32; to * from];
    for (at, row) in shares.chunks_exact_mut(from).enumerate() {
        let place = at as f64 * (from - 1) as f64 / (to - 1).max(1) as f64;
        let before = (place as usize).min(from - 1);
        let share = place - before as f64;
        row[before] = (1.0 - share) as f32;
        if share > 0.0 {
            row[before + 1] = share as f32;
        }
    }
    Tensor::from_data(TensorData::new(shares, [to, from]), device)
}

impl Ncsnv2 {
    pub(crate) fn rows_in_cache(&self) -> usize {
        self.frame.rows_in_cache(self.norm.gamma.dims()[0])
    }

    /// # Shapes
    /// `[batch, N]` to `[batch, N]`, or `[batch, N + 1]` with the component along r at the end
    pub(crate) fn forward(&self, input: NetworkInput) -> Tensor<2> {
        let mut x = self.input.forward(self.frame.enter(input.x, None));
        let mut levels = Vec::new();
        for blocks in self.down.chunks_exact(2) {
            x = blocks[1].forward(blocks[0].forward(x));
            levels.push(x.clone());
        }
        let mut below: Option<Tensor<4>> = None;
        for refine in &self.up {
            let level = levels.pop().expect("a refinement for every level");
            below = Some(refine.forward([level].into_iter().chain(below).collect()));
        }
        let x = below.expect("at least three levels");
        let y = self.output.forward(elu(self.norm.forward(x)));
        frame::with_radial(self.frame.leave(y), self.radial)
    }
}
