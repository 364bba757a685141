//! Compares the U-Nets with a plain implementation in double precision, which reads the weights by their names and loops
//! over levels and blocks as the papers' programs do.
#![allow(missing_docs)]

use std::collections::HashMap;

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Device, Tensor, TensorData},
};
use pfgm_data::Shape;
use pfgm_nn::{
    AdmUnetConfig, ConditioningSizes, ConditioningTensors, LevelEmbedding, Network, NetworkConfig, NetworkInput,
    Precision, ScoreUnetConfig, UnetConfig,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The weights of a network by their names.
struct Weights(HashMap<String, (Vec<usize>, Vec<f64>)>);

impl Weights {
    fn of(network: &Network) -> Self {
        struct Reader {
            path: Vec<String>,
            found: HashMap<String, (Vec<usize>, Vec<f64>)>,
        }
        impl ModuleVisitor for Reader {
            fn enter_module(&mut self, name: &str, _: &str) {
                self.path.push(name.into());
            }
            fn exit_module(&mut self, _: &str, _: &str) {
                self.path.pop();
            }
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let values: Vec<f32> = param.val().into_data().try_to_vec().unwrap();
                let values = values.into_iter().map(f64::from).collect();
                // The first name is the variant's of `Network`.
                self.found.insert(self.path[1..].join("."), (param.dims().to_vec(), values));
            }
        }
        let mut reader = Reader { path: Vec::new(), found: HashMap::new() };
        network.visit(&mut reader);
        Self(reader.found)
    }

    fn get(&self, name: &str) -> Option<&(Vec<usize>, Vec<f64>)> {
        self.0.get(name)
    }

    fn values(&self, name: &str) -> &[f64] {
        &self.get(name).unwrap_or_else(|| panic!("no weight {name}")).1
    }
}

/// Replaces weights by normal ones that keep the signal near unit variance, because the last layers are initialized near zero.
struct Draw(ChaCha8Rng);

impl ModuleMapper for Draw {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Self(rng) = self;
        param.map(|weights| {
            let shape = weights.dims();
            let fan = shape[..D - 1].iter().product::<usize>().max(1) as f32;
            let (mean, spread) = if D == 1 { (0.5, 0.5) } else { (0.0, 1.7 / fan.sqrt()) };
            let count = shape.iter().product();
            let values: Vec<f32> = (0..count).map(|_| mean + spread * rng.random_range(-1.0..1.0_f32)).collect();
            Tensor::from_data(TensorData::new(values, shape), &weights.device())
        })
    }
}

/// An image, channels-last.
#[derive(Clone)]
struct Image {
    height: usize,
    width: usize,
    channels: usize,
    values: Vec<f64>,
}

impl Image {
    fn new(height: usize, width: usize, channels: usize) -> Self {
        Self { height, width, channels, values: vec![0.0; height * width * channels] }
    }

    fn at(&self, row: usize, column: usize, channel: usize) -> f64 {
        self.values[(row * self.width + column) * self.channels + channel]
    }

    /// The value, or zero beyond the border.
    fn padded(&self, row: isize, column: isize, channel: usize) -> f64 {
        let inside = |at: isize, size: usize| usize::try_from(at).ok().filter(|&at| at < size);
        match (inside(row, self.height), inside(column, self.width)) {
            (Some(row), Some(column)) => self.at(row, column, channel),
            _ => 0.0,
        }
    }

    fn fill(height: usize, width: usize, channels: usize, value: impl Fn(usize, usize, usize) -> f64) -> Self {
        let mut image = Self::new(height, width, channels);
        for (at, out) in image.values.iter_mut().enumerate() {
            *out = value(at / channels / width, at / channels % width, at % channels);
        }
        image
    }

    fn map(&self, value: impl Fn(f64) -> f64) -> Self {
        Self { values: self.values.iter().map(|&x| value(x)).collect(), ..self.clone() }
    }

    fn zip(&self, other: &Self, value: impl Fn(f64, f64) -> f64) -> Self {
        let values = self.values.iter().zip(&other.values).map(|(&a, &b)| value(a, b)).collect();
        Self { values, ..self.clone() }
    }

    fn concat(&self, other: &Self) -> Self {
        Self::fill(self.height, self.width, self.channels + other.channels, |row, column, channel| {
            match channel.checked_sub(self.channels) {
                None => self.at(row, column, channel),
                Some(channel) => other.at(row, column, channel),
            }
        })
    }

    fn downsampled(&self, taps: &[f64]) -> Self {
        let border = (taps.len() / 2 - 1) as isize;
        Self::fill(self.height / 2, self.width / 2, self.channels, |row, column, channel| {
            let mut sum = 0.0;
            for (i, a) in taps.iter().enumerate() {
                for (j, b) in taps.iter().enumerate() {
                    let (row, column) = ((2 * row + i) as isize - border, (2 * column + j) as isize - border);
                    sum += a * b * self.padded(row, column, channel);
                }
            }
            sum
        })
    }

    fn upsampled(&self, taps: &[f64]) -> Self {
        let border = taps.len() / 2 - 1;
        // A pixel of the result takes the tap at its distance from twice a pixel's place.
        let tap = |to: usize, from: usize| (to + border).checked_sub(2 * from).and_then(|at| taps.get(at)).copied();
        Self::fill(2 * self.height, 2 * self.width, self.channels, |row, column, channel| {
            let mut sum = 0.0;
            for from_row in 0..self.height {
                for from_column in 0..self.width {
                    let weight = tap(row, from_row).zip(tap(column, from_column));
                    let (a, b) = weight.unwrap_or_default();
                    sum += 4.0 * a * b * self.at(from_row, from_column, channel);
                }
            }
            sum
        })
    }
}

fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

/// Differences between the papers' programs.
#[derive(Clone)]
struct Family {
    adm: bool,
    /// The convention of EDM's DDPM++: attention in the first block at the bottom, doubling at the start of a level.
    edm: bool,
    width: usize,
    multipliers: Vec<usize>,
    blocks: usize,
    attention: Vec<usize>,
    head: usize,
    fir: bool,
    pyramid: bool,
    fourier: bool,
}

struct Reference<'a> {
    family: &'a Family,
    weights: &'a Weights,
    embedding: Vec<f64>,
}

#[derive(Clone, Copy, PartialEq)]
enum Size {
    Keep,
    Down,
    Up,
}

impl Reference<'_> {
    fn taps(&self) -> &'static [f64] {
        if self.family.fir { &[0.125, 0.375, 0.375, 0.125] } else { &[0.5, 0.5] }
    }

    fn linear(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let (shape, weight) = self.weights.get(&format!("{name}.weight")).unwrap();
        let mut y = self.weights.get(&format!("{name}.bias")).map_or(vec![0.0; shape[1]], |bias| bias.1.clone());
        for (x, row) in x.iter().zip(weight.chunks_exact(shape[1])) {
            y.iter_mut().zip(row).for_each(|(y, weight)| *y += x * weight);
        }
        y
    }

    fn conv(&self, name: &str, x: &Image) -> Image {
        let (shape, weight) = self.weights.get(&format!("{name}.weight")).unwrap();
        let bias = self.weights.values(&format!("{name}.bias"));
        let [side, _, inputs, outputs] = shape[..] else { panic!("four sides") };
        Image::fill(x.height, x.width, outputs, |row, column, out| {
            let mut sum = bias[out];
            for i in 0..side {
                for j in 0..side {
                    let (row, column) =
                        ((row + i) as isize - side as isize / 2, (column + j) as isize - side as isize / 2);
                    for channel in 0..inputs {
                        let weight = weight[((i * side + j) * inputs + channel) * outputs + out];
                        sum += weight * x.padded(row, column, channel);
                    }
                }
            }
            sum
        })
    }

    /// Normalized in groups of at least four channels, times gamma plus beta.
    fn norm(&self, name: &str, x: &Image) -> Image {
        let epsilon = if self.family.adm { 1e-5 } else { 1e-6 };
        let groups =
            (1..=(x.channels / 4).clamp(1, 32)).rev().find(|groups| x.channels.is_multiple_of(*groups)).unwrap();
        let size = x.channels / groups;
        let (gamma, beta) =
            (self.weights.values(&format!("{name}.gamma")), self.weights.values(&format!("{name}.beta")));
        let of_group = |group: usize| -> Vec<f64> {
            x.values.iter().enumerate().filter(|(at, _)| at % x.channels / size == group).map(|(_, x)| *x).collect()
        };
        let statistics: Vec<(f64, f64)> = (0..groups)
            .map(|group| {
                let values = of_group(group);
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64;
                (mean, 1.0 / (variance + epsilon).sqrt())
            })
            .collect();
        Image::fill(x.height, x.width, x.channels, |row, column, channel| {
            let (mean, scale) = statistics[channel / size];
            (x.at(row, column, channel) - mean) * scale * gamma[channel] + beta[channel]
        })
    }

    fn scale(&self) -> f64 {
        if self.family.adm { 1.0 } else { 0.5_f64.sqrt() }
    }

    fn attention(&self, name: &str, x: &Image) -> Image {
        let qkv = self.conv(&format!("{name}.qkv"), &self.norm(&format!("{name}.norm"), x));
        let channels = x.channels;
        let heads = if self.family.adm { (channels / self.family.head).max(1) } else { 1 };
        let (size, pixels) = (channels / heads, x.height * x.width);
        let part =
            |which: usize, pixel: usize, channel: usize| qkv.values[pixel * 3 * channels + which * channels + channel];
        let mut mixed = Image::new(x.height, x.width, channels);
        for head in 0..heads {
            let range = head * size..(head + 1) * size;
            for query in 0..pixels {
                let logit = |key: usize| {
                    range.clone().map(|c| part(0, query, c) * part(1, key, c)).sum::<f64>() / (size as f64).sqrt()
                };
                let weights: Vec<f64> = (0..pixels).map(|key| logit(key).exp()).collect();
                let total: f64 = weights.iter().sum();
                for c in range.clone() {
                    let sum: f64 = (0..pixels).map(|key| weights[key] * part(2, key, c)).sum();
                    mixed.values[query * channels + c] = sum / total;
                }
            }
        }
        self.conv(&format!("{name}.project"), &mixed).zip(x, |a, b| (a + b) * self.scale())
    }

    fn resized(&self, x: &Image, size: Size) -> Image {
        match size {
            Size::Keep => x.clone(),
            Size::Down => x.downsampled(self.taps()),
            Size::Up => x.upsampled(self.taps()),
        }
    }

    fn block(&self, name: &str, x: &Image, size: Size) -> Image {
        let h = self.resized(&self.norm(&format!("{name}.norm0"), x).map(silu), size);
        let h = self.conv(&format!("{name}.conv0"), &h);
        let e = self.linear(&format!("{name}.embedding"), &self.embedding);
        let (channels, norm1) = (h.channels, format!("{name}.norm1"));
        let h = if self.family.adm {
            let normal = self.norm(&norm1, &h);
            Image::fill(h.height, h.width, channels, |r, c, k| {
                silu(normal.at(r, c, k) * (1.0 + e[k]) + e[channels + k])
            })
        } else {
            let shifted = Image::fill(h.height, h.width, channels, |r, c, k| h.at(r, c, k) + e[k]);
            self.norm(&norm1, &shifted).map(silu)
        };
        let mut x = self.resized(x, size);
        if self.weights.get(&format!("{name}.skip.weight")).is_some() {
            x = self.conv(&format!("{name}.skip"), &x);
        }
        let x = self.conv(&format!("{name}.conv1"), &h).zip(&x, |a, b| (a + b) * self.scale());
        let attends = self.weights.get(&format!("{name}.attention.norm.gamma")).is_some();
        if attends { self.attention(&format!("{name}.attention"), &x) } else { x }
    }

    /// The image blurred, convolved and halved: every second pixel of a valid convolution of the blurred image, which is
    /// one pixel larger than the image and begins with the blur of two pixels beyond the border.
    fn pyramid(&self, name: &str, image: &Image) -> Image {
        let taps = self.taps();
        let blurred = Image::fill(image.height + 1, image.width + 1, image.channels, |row, column, channel| {
            let mut sum = 0.0;
            for (i, a) in taps.iter().enumerate() {
                for (j, b) in taps.iter().enumerate() {
                    sum += a * b * image.padded((row + i) as isize - 2, (column + j) as isize - 2, channel);
                }
            }
            sum
        });
        let all = self.conv(name, &blurred);
        Image::fill(image.height / 2, image.width / 2, all.channels, |r, c, k| all.at(2 * r + 1, 2 * c + 1, k))
    }

    /// From the padded image with its conditioning to the features before the output.
    fn walk(&self, image: &Image, input: &Image) -> Image {
        let Family { multipliers, blocks, edm, adm, pyramid, .. } = self.family;
        let mut x = self.conv("input", input);
        let (mut stored, mut joined, mut block) = (vec![x.clone()], image.clone(), 0);
        for level in 0..multipliers.len() {
            if level > 0 {
                x = self.block(&format!("down.{block}"), &x, Size::Down);
                block += 1;
                if *pyramid {
                    joined = self.pyramid(&format!("pyramid.{}", level - 1), &joined);
                    x = joined.zip(&x, |a, b| (a + b) * 0.5_f64.sqrt());
                    joined = x.clone();
                }
                stored.push(x.clone());
            }
            for _ in 0..*blocks {
                x = self.block(&format!("down.{block}"), &x, Size::Keep);
                block += 1;
                stored.push(x.clone());
            }
        }
        x = self.block("middle.0", &x, Size::Keep);
        if !edm && !adm {
            x = self.attention("middle_attention", &x);
        }
        x = self.block("middle.1", &x, Size::Keep);
        block = 0;
        for level in (0..multipliers.len()).rev() {
            if (*edm || *adm) && level + 1 < multipliers.len() {
                x = self.block(&format!("up.{block}"), &x, Size::Up);
                block += 1;
            }
            for _ in 0..=*blocks {
                x = self.block(&format!("up.{block}"), &x.concat(&stored.pop().unwrap()), Size::Keep);
                block += 1;
            }
            if !edm && !adm && level > 0 {
                x = self.block(&format!("up.{block}"), &x, Size::Up);
                block += 1;
            }
        }
        assert!(stored.is_empty());
        assert!(self.weights.get(&format!("up.{block}.norm0.gamma")).is_none(), "all blocks were used");
        x
    }

    fn output(&self, x: &Image) -> Image {
        self.conv("output", &self.norm("norm", x).map(silu))
    }
}

/// One item: the point, its level, and its conditioning.
struct Item {
    x: Vec<f64>,
    noise: f64,
    log_sigma_ratio: f64,
    class: usize,
    labels: Vec<f64>,
    spatial: Vec<f64>,
}

fn embedding(family: &Family, reference: &Reference, item: &Item, classes: usize) -> Vec<f64> {
    let half = family.width / 2;
    let rate = |k: usize| {
        let last = if family.adm { half } else { (half - 1).max(1) };
        10_000_f64.powf(-(k as f64) / last as f64)
    };
    let angles: Vec<f64> = if family.fourier {
        let frequencies = reference.weights.values("frequencies");
        frequencies.iter().map(|frequency| std::f64::consts::TAU * frequency * item.noise).collect()
    } else {
        (0..half).map(|k| item.noise * rate(k)).collect()
    };
    let (sin, cos) = (angles.iter().map(|a| a.sin()), angles.iter().map(|a| a.cos()));
    let mut waves: Vec<f64> =
        if family.edm || family.adm { cos.chain(sin).collect() } else { sin.chain(cos).collect() };
    let add = |to: &mut Vec<f64>, more: Vec<f64>| to.iter_mut().zip(more).for_each(|(to, more)| *to += more);
    let prefix = if family.edm { "embedding." } else { "" };
    let one_hot =
        |value: f64| -> Vec<f64> { (0..classes).map(|c| if c == item.class { value } else { 0.0 }).collect() };
    if family.edm {
        add(&mut waves, reference.linear("embedding.far", &[item.log_sigma_ratio]));
    }
    if !family.adm {
        add(&mut waves, reference.linear(&format!("{prefix}classes"), &one_hot((classes as f64).sqrt())));
    }
    add(&mut waves, reference.linear(&format!("{prefix}deformation"), &item.labels));
    let mlp = if family.edm { "embedding.mlp." } else { "" };
    let hidden: Vec<f64> = reference.linear(&format!("{mlp}first"), &waves).into_iter().map(silu).collect();
    let mut out = reference.linear(&format!("{mlp}second"), &hidden);
    if family.adm {
        add(&mut out, reference.linear("classes", &one_hot(1.0)));
    }
    out.into_iter().map(silu).collect()
}

/// The raw output of an item.
fn evaluate(family: &Family, weights: &Weights, shape: [usize; 3], item: &Item, radial: bool) -> Vec<f64> {
    let [height, width, channels] = shape;
    let stride = 1 << (family.multipliers.len() - 1);
    let padded = [height, width].map(|side: usize| side.next_multiple_of(stride));
    let image = |values: &[f64], channels: usize| {
        Image::fill(padded[0], padded[1], channels, |row, column, channel| {
            if row < height && column < width { values[(row * width + column) * channels + channel] } else { 0.0 }
        })
    };
    let mut reference = Reference { family, weights, embedding: Vec::new() };
    reference.embedding = embedding(family, &reference, item, 3);
    let x = image(&item.x, channels);
    let y = reference.output(&reference.walk(&x, &x.concat(&image(&item.spatial, 1))));
    let outputs = if radial { y.channels - 1 } else { y.channels };
    let pixels = (0..height).flat_map(|row| (0..width).map(move |column| (row, column)));
    let mut out: Vec<f64> = pixels
        .clone()
        .flat_map(|(row, column)| (0..outputs).map(move |k| (row, column, k)))
        .map(|(r, c, k)| y.at(r, c, k))
        .collect();
    if radial {
        out.push(pixels.map(|(row, column)| y.at(row, column, outputs)).sum::<f64>() / (height * width) as f64);
    }
    out
}

fn tensor(rows: &[Vec<f64>]) -> Tensor<2> {
    let values: Vec<f32> = rows.iter().flatten().map(|&value| value as f32).collect();
    Tensor::from_data(TensorData::new(values, [rows.len(), rows[0].len()]), &Device::flex())
}

/// Compares a network with the reference on a batch of two.
fn compare(what: &str, config: &NetworkConfig, family: &Family, shape: [usize; 3]) {
    let [height, width, channels] = shape;
    let sizes = ConditioningSizes { classes: 3, augmentation: 2, spatial: 1 };
    let network = config.init(Shape::Image { height, width, channels }, sizes, 1, &Device::flex()).unwrap();
    let network = network.map(&mut Draw(ChaCha8Rng::seed_from_u64(5)));
    let weights = Weights::of(&network);
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    // Single precision, so that both see the same numbers.
    let mut draw =
        |count: usize| -> Vec<f64> { (0..count).map(|_| f64::from(rng.random_range(-1.5..1.5_f32))).collect() };
    let items: Vec<Item> = (0..2)
        .map(|class| Item {
            x: draw(height * width * channels),
            noise: draw(1)[0],
            log_sigma_ratio: draw(1)[0],
            class,
            labels: draw(2),
            spatial: draw(height * width),
        })
        .collect();
    let rows = |of: &dyn Fn(&Item) -> Vec<f64>| tensor(&items.iter().map(of).collect::<Vec<_>>());
    let output = network.forward(NetworkInput {
        x: rows(&|item| item.x.clone()),
        noise: rows(&|item| vec![item.noise]),
        log_sigma_ratio: rows(&|item| vec![item.log_sigma_ratio]),
        conditioning: ConditioningTensors {
            classes: Some(rows(&|item| (0..3).map(|class| f64::from(u8::from(class == item.class))).collect())),
            spatial: Some(rows(&|item| item.spatial.clone())),
            augmentation: Some(rows(&|item| item.labels.clone())),
        },
        dropout: None,
        precision: Precision::F32,
    });
    let found: Vec<f32> = output.into_data().try_to_vec().unwrap();
    let wanted: Vec<f64> =
        items.iter().flat_map(|item| evaluate(family, &weights, shape, item, config.is_radial())).collect();
    assert_eq!(found.len(), wanted.len(), "{what}");
    let spread = (wanted.iter().map(|x| x * x).sum::<f64>() / wanted.len() as f64).sqrt();
    assert!(spread > 0.05 && spread.is_finite(), "{what}: the network says something, {spread}");
    let error = found.iter().zip(&wanted).map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max) / spread;
    assert!(error < 2e-4, "{what}: {error:.1e} of the standard deviation");
}

/// Sizes that two halvings divide, and sizes that they do not.
const SHAPES: [[usize; 3]; 3] = [[8, 8, 2], [5, 7, 1], [4, 6, 3]];

fn family(width: usize, attention: Vec<usize>) -> Family {
    Family {
        adm: false,
        edm: false,
        width,
        multipliers: vec![1, 2, 2],
        blocks: 1,
        attention,
        head: 1,
        fir: false,
        pyramid: false,
        fourier: false,
    }
}

#[test]
fn ddpmpp() {
    for shape in SHAPES {
        let family = Family { edm: true, blocks: 2, ..family(8, vec![4]) };
        let config = NetworkConfig::Unet(UnetConfig {
            width: family.width,
            multipliers: family.multipliers.clone(),
            blocks: family.blocks,
            attention: family.attention.clone(),
            dropout: 0.3,
        });
        compare(&format!("ddpm++ {shape:?}"), &config, &family, shape);
    }
}

#[test]
fn score_sde() {
    for (fir, pyramid, fourier, radial) in
        [(false, false, false, true), (true, true, true, false), (true, false, false, false)]
    {
        for shape in SHAPES {
            let family = Family { fir, pyramid, fourier, ..family(8, vec![4, 8]) };
            let config = NetworkConfig::ScoreUnet(ScoreUnetConfig {
                width: family.width,
                multipliers: family.multipliers.clone(),
                blocks: family.blocks,
                attention: family.attention.clone(),
                dropout: 0.1,
                embedding: if fourier { LevelEmbedding::Fourier } else { LevelEmbedding::Positional },
                fourier_scale: 1.0,
                fir,
                pyramid,
                radial,
            });
            compare(&format!("score-unet, fir {fir}, pyramid {pyramid}, {shape:?}"), &config, &family, shape);
        }
    }
}

#[test]
fn adm() {
    for shape in SHAPES {
        let family = Family { adm: true, head: 4, ..family(8, vec![2, 4]) };
        let config = NetworkConfig::AdmUnet(AdmUnetConfig {
            width: family.width,
            multipliers: family.multipliers.clone(),
            blocks: family.blocks,
            attention: family.attention.clone(),
            head: family.head,
            dropout: 0.1,
        });
        compare(&format!("adm {shape:?}"), &config, &family, shape);
    }
}

#[test]
fn attention_at_a_height_without_a_level_is_reported() {
    let shape = Shape::Image { height: 8, width: 8, channels: 1 };
    let unet = |attention: Vec<usize>| NetworkConfig::Unet(UnetConfig { attention, ..UnetConfig::default() });
    assert_eq!(unet(vec![8, 2]).unused_attention(shape), None);
    assert_eq!(unet(Vec::new()).unused_attention(shape), None);
    let notice = unet(vec![16, 4]).unused_attention(shape).unwrap();
    assert_eq!((notice.unused.as_slice(), notice.levels.as_slice()), (&[16][..], &[8, 4, 2][..]));
    assert!(notice.to_string().contains("16") && notice.to_string().contains("8, 4, 2"), "{notice}");
    assert_eq!(unet(vec![16]).unused_attention(Shape::Vector { len: 8 }), None);
}
