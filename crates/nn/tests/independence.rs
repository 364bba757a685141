//! The result of a row does not depend on the size of the batch, to the bit, for every kind of network and every instruction
//! set of the processor. Between instruction sets, results differ by rounding only.
#![allow(missing_docs)]

use std::process::{Child, Command, Stdio};

use burn::tensor::{Device, Tensor, TensorData};
use pfgm_cpu::simd;
use pfgm_data::Shape;
use pfgm_nn::{
    AdmUnetConfig, ConditioningSizes, ConditioningTensors, DiffusersLevel, DiffusersUnetConfig, Edm2UnetConfig,
    LevelEmbedding, MlpConfig, Ncsnv2Config, Network, NetworkConfig, NetworkInput, Precision, ScoreUnetConfig,
    UnetConfig,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The largest batch.
const BATCH: usize = 130;
/// Largest difference between two instruction sets for a whole network, in standard deviations of its output (as documented in
/// pfgm-cpu).
const ROUNDING: f32 = 1e-4;
/// Set for the process that computes with the instructions of this name.
const VECTORS: &str = "PFGM_TEST_VECTORS";

/// A network and the conditioning that it has inputs for.
struct Case {
    name: &'static str,
    config: NetworkConfig,
    shape: Shape,
    sizes: ConditioningSizes,
}

/// A small network of EDM2's.
fn edm2() -> Edm2UnetConfig {
    Edm2UnetConfig {
        width: 8,
        multipliers: vec![1, 2],
        blocks: 1,
        attention: vec![4],
        head: 8,
        frequencies: 6,
        embedding: 12,
        variance: 4,
        ..Edm2UnetConfig::default()
    }
}

/// Small networks of every kind. 3x3 kernels of 8 channels make blocks of 455 pixels, of which one is left over in a batch of
/// 64 images of 8x8.
fn cases() -> Vec<Case> {
    let image = |side: usize, channels: usize| Shape::Image { height: side, width: side, channels };
    let case = |name, config, shape, sizes| Case { name, config, shape, sizes };
    let conditioned = ConditioningSizes { classes: 3, augmentation: 2, spatial: 1 };
    let unet = UnetConfig { width: 8, multipliers: vec![1, 2], blocks: 1, attention: vec![4], dropout: 0.0 };
    let ddpmpp = ScoreUnetConfig {
        width: 8,
        multipliers: vec![1, 2],
        blocks: 1,
        attention: vec![3],
        radial: true,
        ..ScoreUnetConfig::default()
    };
    let ncsnpp = ScoreUnetConfig {
        embedding: LevelEmbedding::Fourier,
        fir: true,
        pyramid: true,
        radial: false,
        attention: vec![4],
        ..ddpmpp.clone()
    };
    let adm =
        AdmUnetConfig { width: 16, multipliers: vec![1, 3], blocks: 1, attention: vec![4], head: 16, dropout: 0.0 };
    let diffusers = DiffusersUnetConfig {
        channels: vec![8, 16],
        blocks: 1,
        down: vec![DiffusersLevel::Resnet, DiffusersLevel::Attention],
        up: vec![DiffusersLevel::AttentionResnet, DiffusersLevel::Plain],
        groups: 4,
        embedding: 8,
        dropout: 0.0,
        ..DiffusersUnetConfig::default()
    };
    let ncsnv2 = Ncsnv2Config { width: 12, multipliers: vec![1, 2, 2, 2], radial: true };
    let alone = ConditioningSizes::default();
    vec![
        case(
            "mlp",
            NetworkConfig::Mlp(MlpConfig { width: 48, blocks: 1, dropout: 0.0 }),
            Shape::Vector { len: 5 },
            alone,
        ),
        case(
            "wide mlp",
            NetworkConfig::Mlp(MlpConfig { width: 640, blocks: 1, dropout: 0.0 }),
            Shape::Vector { len: 1 },
            alone,
        ),
        case("unet", NetworkConfig::Unet(unet), image(8, 8), conditioned),
        case("score-unet, ddpm++", NetworkConfig::ScoreUnet(ddpmpp), image(5, 1), alone),
        case("score-unet, ncsn++", NetworkConfig::ScoreUnet(ncsnpp), image(8, 3), conditioned),
        case("adm-unet", NetworkConfig::AdmUnet(adm), image(8, 2), conditioned),
        case("diffusers-unet", NetworkConfig::DiffusersUnet(diffusers), image(8, 3), alone),
        case("edm2-unet", NetworkConfig::Edm2Unet(edm2()), image(8, 3), conditioned),
        case("ncsnv2", NetworkConfig::Ncsnv2(ncsnv2), image(8, 1), alone),
    ]
}

/// Values for a row: the first row's come first, whatever the size of the batch.
fn tensor(seed: u64, rows: usize, width: usize) -> Tensor<2> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = (0..rows * width).map(|_| rng.random_range(-1.5..1.5)).collect();
    Tensor::from_data(TensorData::new(values, [rows, width]), &Device::flex())
}

impl Case {
    fn network(&self) -> Network {
        let network = self.config.init(self.shape, self.sizes, 3, &Device::flex()).unwrap();
        // Initial weights of the last layers are nearly zero; these are not.
        struct Enlarge(u64);
        impl burn::module::ModuleMapper for Enlarge {
            fn map_float<const D: usize>(
                &mut self,
                param: burn::module::Param<Tensor<D>>,
            ) -> burn::module::Param<Tensor<D>> {
                self.0 += 1;
                let mut rng = ChaCha8Rng::seed_from_u64(self.0);
                param.map(|weights| {
                    let shape = weights.dims();
                    let fan = shape[..D.saturating_sub(1)].iter().product::<usize>().max(1) as f32;
                    let count = shape.iter().product();
                    let spread = if D == 1 { 0.5 } else { 1.5 / fan.sqrt() };
                    let values: Vec<f32> = (0..count).map(|_| spread * rng.random_range(-1.0..1.0_f32)).collect();
                    weights.clone() + Tensor::from_data(TensorData::new(values, shape), &weights.device())
                })
            }
        }
        burn::module::Module::map(network, &mut Enlarge(0))
    }

    /// The outputs of the rows `start..start + rows`, and if wanted the gradients of their sums for the points.
    fn run(&self, network: &Network, [start, rows]: [usize; 2], gradient: bool) -> [Vec<f32>; 2] {
        let device = if gradient { Device::flex().autodiff() } else { Device::flex() };
        let all = |seed: u64, width: usize| -> Tensor<2> {
            Tensor::from_data(tensor(seed, BATCH, width).narrow(0, start, rows).into_data(), &device)
        };
        let (x, sizes) = (all(1, self.shape.dim()), self.sizes);
        let x = if gradient { x.require_grad() } else { x };
        let pixels = match self.shape {
            Shape::Image { height, width, .. } => height * width,
            Shape::Vector { .. } => 0,
        };
        let part = |seed: u64, width: usize| (width > 0).then(|| all(seed, width));
        let output = network.forward(NetworkInput {
            x: x.clone(),
            noise: all(2, 1),
            log_sigma_ratio: all(3, 1),
            conditioning: ConditioningTensors {
                classes: part(4, sizes.classes),
                spatial: part(5, sizes.spatial * pixels),
                augmentation: part(6, sizes.augmentation),
            },
            dropout: None,
            precision: Precision::F32,
        });
        let values = |tensor: Tensor<2>| tensor.into_data().try_to_vec::<f32>().unwrap();
        if !gradient {
            return [values(output), Vec::new()];
        }
        let gradients = output.clone().sum().backward();
        [values(output.inner()), values(x.grad(&gradients).unwrap())]
    }
}

fn bits_of(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Sizes of batches: all small ones, and larger ones around whole blocks and vectors.
fn sizes() -> impl Iterator<Item = usize> {
    (1..=34).chain([57, 63, 64, 65, 71, 96, 113]).chain(127..=BATCH)
}

/// Checks all cases in batches of many sizes and returns the outputs of a batch of seven.
fn check_independence(vectors: &str) -> Vec<f32> {
    let mut outputs = Vec::new();
    for case in cases() {
        let network = case.network();
        let alone: Vec<[Vec<f32>; 2]> = (0..BATCH).map(|row| case.run(&network, [row, 1], true)).collect();
        for rows in sizes() {
            let together = case.run(&network, [0, rows], GRADIENTS.contains(&rows));
            for (kind, what) in ["output", "gradient"].into_iter().enumerate() {
                let width = together[kind].len() / rows;
                for (row, found) in together[kind].chunks_exact(width.max(1)).enumerate() {
                    let same = bits_of(found) == bits_of(&alone[row][kind]);
                    assert!(same, "{vectors}, {}: {what} of row {row} in a batch of {rows}", case.name);
                }
            }
        }
        outputs.extend(case.run(&network, [0, 7], false)[0].iter());
    }
    outputs
}

/// Sizes, around whole blocks and vectors, at which gradients are compared, too.
const GRADIENTS: [usize; 8] = [2, 3, 7, 16, 17, 33, 64, 65];

/// The part of the test that runs in a separate process for each instruction set, which a process selects once.
fn print_outputs(name: &str) {
    let arch = simd::available().into_iter().find(|arch| simd::name(*arch) == name).expect("the processor has them");
    assert!(simd::set_arch(arch), "nothing was computed before");
    let bits: Vec<String> = bits_of(&check_independence(name)).iter().map(|bits| format!("{bits:08x}")).collect();
    println!("\noutputs {}", bits.join(" "));
}

#[test]
fn rows_do_not_depend_on_the_batch() {
    if let Ok(name) = std::env::var(VECTORS) {
        return print_outputs(&name);
    }
    let start = |arch| {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "rows_do_not_depend_on_the_batch", "--nocapture"])
            .env(VECTORS, simd::name(arch))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        (simd::name(arch), child)
    };
    let children: Vec<_> = simd::available().into_iter().map(start).collect();
    let outputs_of = |(name, child): (&str, Child)| -> (String, Vec<f32>) {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{name}: {text}{}", String::from_utf8_lossy(&output.stderr));
        let line = text.lines().find_map(|line| line.strip_prefix("outputs ")).expect("the outputs");
        let value = |word: &str| f32::from_bits(u32::from_str_radix(word, 16).unwrap());
        (name.into(), line.split(' ').map(value).collect())
    };
    let all: Vec<(String, Vec<f32>)> = children.into_iter().map(outputs_of).collect();
    let (first, truth) = &all[0];
    let spread = (truth.iter().map(|value| value * value).sum::<f32>() / truth.len() as f32).sqrt();
    assert!(spread > 0.05, "the networks say something: {spread}");
    for (name, found) in &all[1..] {
        let most = found.iter().zip(truth).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / spread;
        assert!(most <= ROUNDING, "{name} and {first} differ by {most:.1e} of the standard deviation");
        assert!(most > 0.0, "{name} was computed with other instructions than {first}");
    }
}
