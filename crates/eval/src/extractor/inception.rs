//! The Inception-v3 of FID (Szegedy et al., arXiv 1512.00567, in the version of 2015-12-05 that Heusel et al. use), with the
//! weight names of pytorch-fid.
//!
//! It differs from later versions: average pooling excludes pixels beyond the border, the
//! last block uses max pooling instead, and there are 1008 classes.

use super::{
    FeatureError,
    layers::{Activation, Centers, Conv, Form, Images, Names, Source, max_of_neighbors, mean_of_neighbors},
};

/// Number of features of an image.
pub const FEATURES: usize = 2048;
/// Number of classes.
pub const CLASSES: usize = 1008;
/// Side of the network's input images.
pub const SIDE: usize = 299;

/// A convolution's name, rows and columns of its kernel, and its outputs.
type Step = (&'static str, [usize; 2], usize);

/// A chain of at least one convolution.
struct Chain(Vec<Conv>);

impl Chain {
    fn forward(&self, x: &Images) -> Images {
        self.0[1..].iter().fold(self.0[0].forward(x), |x, conv| conv.forward(&x))
    }
}

/// The pooling of a branch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pool {
    /// The mean of the pixels that exist, then a convolution.
    Mean,
    /// The maximum, then a convolution.
    Max,
    /// The maximum around every second pixel, without a convolution.
    Halve,
}

/// Parallel branches, whose channels are concatenated.
struct Block {
    chains: Vec<Chain>,
    /// The last step of these chains is two parallel convolutions.
    forks: Vec<(Chain, [Conv; 2])>,
    pool: Pool,
    pooled: Option<Conv>,
}

impl Block {
    fn forward(&self, x: &Images) -> Images {
        let mut parts: Vec<Images> = self.chains.iter().map(|chain| chain.forward(x)).collect();
        for (chain, fork) in &self.forks {
            let stem = chain.forward(x);
            parts.extend(fork.iter().map(|conv| conv.forward(&stem)));
        }
        parts.push(match (&self.pooled, self.pool) {
            // Averaging and a 1x1 convolution commute, and the convolution reduces the channels.
            (Some(conv), Pool::Mean) => Activation::Relu.apply(mean_of_neighbors(&conv.forward(x))),
            (Some(conv), _) => conv.forward(&max_of_neighbors(x, 1)),
            (None, _) => max_of_neighbors(x, 2),
        });
        Images::side_by_side(&parts)
    }
}

/// Inception-v3.
pub struct Inception {
    stem: [Chain; 2],
    blocks: Vec<Block>,
    classes: Conv,
}

/// Loads blocks one after another.
struct Loader<'a, 'b>(&'a mut Source<'b>);

impl Loader<'_, '_> {
    fn conv(&mut self, block: &str, step: Step, inputs: usize, centers: Centers) -> Result<Conv, FeatureError> {
        self.followed_by(Activation::Relu, block, step, inputs, centers)
    }

    fn followed_by(
        &mut self,
        activation: Activation,
        block: &str,
        (name, [kh, kw], outputs): Step,
        inputs: usize,
        centers: Centers,
    ) -> Result<Conv, FeatureError> {
        let dot = if block.is_empty() { "" } else { "." };
        let (convolution, normalization) = (format!("{block}{dot}{name}.conv"), format!("{block}{dot}{name}.bn"));
        let names = Names { convolution: &convolution, normalization: &normalization };
        Conv::load(self.0, &names, Form { shape: [kh, kw, inputs, outputs], centers, activation })
    }

    /// Loads a chain of convolutions, of which the last has these centers.
    fn chain(&mut self, block: &str, steps: &[Step], inputs: usize, last: Centers) -> Result<Chain, FeatureError> {
        let mut inputs = inputs;
        let mut convs = Vec::new();
        for (index, &step) in steps.iter().enumerate() {
            let centers = if index + 1 == steps.len() { last } else { Centers::All };
            convs.push(self.conv(block, step, inputs, centers)?);
            inputs = step.2;
        }
        Ok(Chain(convs))
    }

    /// A block that keeps the size of its images.
    fn block(
        &mut self,
        name: &str,
        inputs: usize,
        chains: &[&[Step]],
        (pool, pooled): (Pool, usize),
    ) -> Result<Block, FeatureError> {
        let chains =
            chains.iter().map(|steps| self.chain(name, steps, inputs, Centers::All)).collect::<Result<_, _>>()?;
        // The activation follows the mean.
        let activation = if pool == Pool::Mean { Activation::None } else { Activation::Relu };
        let pooled = self.followed_by(activation, name, ("branch_pool", [1, 1], pooled), inputs, Centers::All)?;
        Ok(Block { chains, forks: Vec::new(), pool, pooled: Some(pooled) })
    }

    /// A block that halves it.
    fn halving(&mut self, name: &str, inputs: usize, chains: &[&[Step]]) -> Result<Block, FeatureError> {
        let chains = chains
            .iter()
            .map(|steps| self.chain(name, steps, inputs, Centers::EverySecond))
            .collect::<Result<_, _>>()?;
        Ok(Block { chains, forks: Vec::new(), pool: Pool::Halve, pooled: None })
    }

    /// Blocks of 35x35 pixels.
    fn large(&mut self, name: &str, inputs: usize, pooled: usize) -> Result<Block, FeatureError> {
        let chains: [&[Step]; 3] = [
            &[("branch1x1", [1, 1], 64)],
            &[("branch5x5_1", [1, 1], 48), ("branch5x5_2", [5, 5], 64)],
            &[("branch3x3dbl_1", [1, 1], 64), ("branch3x3dbl_2", [3, 3], 96), ("branch3x3dbl_3", [3, 3], 96)],
        ];
        self.block(name, inputs, &chains, (Pool::Mean, pooled))
    }

    /// Blocks of 17x17 pixels, with `width` channels inside.
    fn middle(&mut self, name: &str, width: usize) -> Result<Block, FeatureError> {
        let chains: [&[Step]; 3] = [
            &[("branch1x1", [1, 1], 192)],
            &[("branch7x7_1", [1, 1], width), ("branch7x7_2", [1, 7], width), ("branch7x7_3", [7, 1], 192)],
            &[
                ("branch7x7dbl_1", [1, 1], width),
                ("branch7x7dbl_2", [7, 1], width),
                ("branch7x7dbl_3", [1, 7], width),
                ("branch7x7dbl_4", [7, 1], width),
                ("branch7x7dbl_5", [1, 7], 192),
            ],
        ];
        self.block(name, 768, &chains, (Pool::Mean, 192))
    }

    /// Blocks of 8x8 pixels.
    fn small(&mut self, name: &str, inputs: usize, pool: Pool) -> Result<Block, FeatureError> {
        let block = self.block(name, inputs, &[&[("branch1x1", [1, 1], 320)]], (pool, 192))?;
        let mut fork = |steps: &[Step], ends: [&'static str; 2]| -> Result<(Chain, [Conv; 2]), FeatureError> {
            let stem = self.chain(name, steps, inputs, Centers::All)?;
            let wide = self.conv(name, (ends[0], [1, 3], 384), 384, Centers::All)?;
            Ok((stem, [wide, self.conv(name, (ends[1], [3, 1], 384), 384, Centers::All)?]))
        };
        let forks = vec![
            fork(&[("branch3x3_1", [1, 1], 384)], ["branch3x3_2a", "branch3x3_2b"])?,
            fork(
                &[("branch3x3dbl_1", [1, 1], 448), ("branch3x3dbl_2", [3, 3], 384)],
                ["branch3x3dbl_3a", "branch3x3dbl_3b"],
            )?,
        ];
        Ok(Block { forks, ..block })
    }
}

impl Inception {
    /// Loads the network.
    ///
    /// # Errors
    /// Returns an error if a weight is missing.
    pub fn load(source: &mut Source) -> Result<Self, FeatureError> {
        let mut loader = Loader(source);
        let first = Chain(vec![
            loader.conv("", ("Conv2d_1a_3x3", [3, 3], 32), 3, Centers::EverySecond)?,
            loader.conv("", ("Conv2d_2a_3x3", [3, 3], 32), 32, Centers::Inside)?,
            loader.conv("", ("Conv2d_2b_3x3", [3, 3], 64), 32, Centers::All)?,
        ]);
        let second = Chain(vec![
            loader.conv("", ("Conv2d_3b_1x1", [1, 1], 80), 64, Centers::All)?,
            loader.conv("", ("Conv2d_4a_3x3", [3, 3], 192), 80, Centers::Inside)?,
        ]);
        let double: &[Step] =
            &[("branch3x3dbl_1", [1, 1], 64), ("branch3x3dbl_2", [3, 3], 96), ("branch3x3dbl_3", [3, 3], 96)];
        let seven: &[Step] = &[
            ("branch7x7x3_1", [1, 1], 192),
            ("branch7x7x3_2", [1, 7], 192),
            ("branch7x7x3_3", [7, 1], 192),
            ("branch7x7x3_4", [3, 3], 192),
        ];
        let blocks = vec![
            loader.large("Mixed_5b", 192, 32)?,
            loader.large("Mixed_5c", 256, 64)?,
            loader.large("Mixed_5d", 288, 64)?,
            loader.halving("Mixed_6a", 288, &[&[("branch3x3", [3, 3], 384)], double])?,
            loader.middle("Mixed_6b", 128)?,
            loader.middle("Mixed_6c", 160)?,
            loader.middle("Mixed_6d", 160)?,
            loader.middle("Mixed_6e", 192)?,
            loader.halving("Mixed_7a", 768, &[&[("branch3x3_1", [1, 1], 192), ("branch3x3_2", [3, 3], 320)], seven])?,
            loader.small("Mixed_7b", 1280, Pool::Mean)?,
            loader.small("Mixed_7c", 2048, Pool::Max)?,
        ];
        let weight = source("fc.weight", &[CLASSES, FEATURES])?;
        let classes = Conv::product(&weight, vec![0.0; CLASSES], FEATURES);
        Ok(Self { stem: [first, second], blocks, classes })
    }

    /// Returns the means over the pixels of the last block, and the logits of the classes without bias, as in the original
    /// inception score.
    ///
    /// # Shapes
    /// `x`: `[batch, 299, 299, 3]` in [-1, 1]; results `[batch, 2048]`, `[batch, 1008]`
    pub(super) fn forward(&self, x: Images) -> [Images; 2] {
        let x = self.stem.iter().fold(x, |x, chain| max_of_neighbors(&chain.forward(&x), 2));
        let features = self.blocks.iter().fold(x, |x, block| block.forward(&x)).means();
        let logits = self.classes.forward(&features);
        [features, logits]
    }
}
