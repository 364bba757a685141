//! The plan of a U-Net: the stages of its forward pass, from the configuration.
//!
//! The U-Nets of all papers have the same structure: down through smaller and smaller images, through the bottom, and up again,
//! with skip connections from the way down. They differ in a few rules ([`Style`]) and in their blocks. A plan
//! lists the resulting stages; [`walk`](super::walk) depends on nothing else.

/// One stage of the forward pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Applies the next residual block.
    Block(BlockPlan),
    /// Stores the image for a skip connection.
    Store,
    /// Concatenates the image that was stored last.
    Concat,
    /// Applies self-attention to images of so many channels.
    Attention(usize),
    /// Halves the pyramid of the input by a convolution and adds it to the image.
    Pyramid {
        /// Channels of the pyramid.
        inputs: usize,
        /// Channels of the image.
        outputs: usize,
    },
}

/// The change of an image's size in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resample {
    /// None.
    Keep,
    /// Half the height and width.
    Down,
    /// Twice the height and width.
    Up,
}

/// Sizes of a residual block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockPlan {
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// The change of the image's size.
    pub resample: Resample,
    /// Whether self-attention follows.
    pub attention: bool,
}

/// The rules in which U-Nets differ, apart from their blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether a level of the way up starts with the block that doubles the image. Otherwise the level below ends with it.
    pub upsample_first: bool,
    /// Whether all blocks of a level attend on the way up. Otherwise the last one does.
    pub attention_up: bool,
    /// Whether attention is a separate stage between the blocks at the bottom. Otherwise it is a part of the first block.
    pub separate_attention: bool,
    /// Whether downsampled versions of the input are added on the way down (NCSN++).
    pub pyramid: bool,
}

/// The sizes that a plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct Sizes<'a> {
    /// Channels at full size.
    pub width: usize,
    /// Channels of each level as a multiple of `width`.
    pub multipliers: &'a [usize],
    /// Residual blocks of a level.
    pub blocks: usize,
    /// Heights of the image at which blocks attend.
    pub attention: &'a [usize],
    /// Height of the image at full size.
    pub height: usize,
    /// Channels of the input image.
    pub channels: usize,
}

impl Sizes<'_> {
    /// Whether blocks of a level attend.
    fn attends(&self, level: usize) -> bool {
        self.attention.contains(&(self.height >> level))
    }
}

/// The stages of a U-Net between its input convolution and its output convolution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The way down.
    pub down: Vec<Stage>,
    /// The bottom.
    pub middle: Vec<Stage>,
    /// The way up.
    pub up: Vec<Stage>,
    /// Channels at the end.
    pub channels: usize,
}

impl Plan {
    /// Makes the plan of a U-Net.
    pub fn new(sizes: &Sizes, style: Style) -> Self {
        let mut channels = sizes.width;
        let (down, stored) = way_down(sizes, style, &mut channels);
        let block = |attention| {
            Stage::Block(BlockPlan { inputs: channels, outputs: channels, resample: Resample::Keep, attention })
        };
        let middle = if style.separate_attention {
            vec![block(false), Stage::Attention(channels), block(false)]
        } else {
            vec![block(true), block(false)]
        };
        let up = way_up(sizes, style, &mut channels, stored);
        Self { down, middle, up, channels }
    }
}

/// Returns the stages of the way down and the channels of the images that they store.
fn way_down(sizes: &Sizes, style: Style, channels: &mut usize) -> (Vec<Stage>, Vec<usize>) {
    let (mut stages, mut stored, mut pyramid) = (vec![Stage::Store], vec![*channels], sizes.channels);
    for (level, multiplier) in sizes.multipliers.iter().enumerate() {
        if level > 0 {
            let (inputs, outputs) = (*channels, *channels);
            stages.push(Stage::Block(BlockPlan { inputs, outputs, resample: Resample::Down, attention: false }));
            if style.pyramid {
                stages.push(Stage::Pyramid { inputs: pyramid, outputs });
                pyramid = outputs;
            }
            stages.push(Stage::Store);
            stored.push(outputs);
        }
        for _ in 0..sizes.blocks {
            let (inputs, outputs, attention) = (*channels, multiplier * sizes.width, sizes.attends(level));
            stages.push(Stage::Block(BlockPlan { inputs, outputs, resample: Resample::Keep, attention }));
            stages.push(Stage::Store);
            stored.push(outputs);
            *channels = outputs;
        }
    }
    (stages, stored)
}

/// Returns the stages of the way up, which concatenate images of `stored` channels.
fn way_up(sizes: &Sizes, style: Style, channels: &mut usize, mut stored: Vec<usize>) -> Vec<Stage> {
    let mut stages = Vec::new();
    let double = |channels: usize| {
        Stage::Block(BlockPlan { inputs: channels, outputs: channels, resample: Resample::Up, attention: false })
    };
    for (level, multiplier) in sizes.multipliers.iter().enumerate().rev() {
        if style.upsample_first && level + 1 < sizes.multipliers.len() {
            stages.push(double(*channels));
        }
        for index in 0..=sizes.blocks {
            let inputs = *channels + stored.pop().expect("one stored image for every block of the way up");
            let outputs = multiplier * sizes.width;
            let attention = sizes.attends(level) && (style.attention_up || index == sizes.blocks);
            stages.push(Stage::Concat);
            stages.push(Stage::Block(BlockPlan { inputs, outputs, resample: Resample::Keep, attention }));
            *channels = outputs;
        }
        if !style.upsample_first && level > 0 {
            stages.push(double(*channels));
        }
    }
    stages
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Sizes = Sizes { width: 4, multipliers: &[1, 2], blocks: 1, attention: &[4], height: 8, channels: 3 };
    const STYLE: Style = Style { upsample_first: true, attention_up: false, separate_attention: false, pyramid: false };

    /// A block as `inputs>outputs`, with `/` or `*` where it halves or doubles the image, and `a` where it attends.
    fn text(stages: &[Stage]) -> String {
        let word = |stage: &Stage| match stage {
            Stage::Block(BlockPlan { inputs, outputs, resample, attention }) => {
                let sign = match resample {
                    Resample::Keep => "",
                    Resample::Down => "/",
                    Resample::Up => "*",
                };
                format!("{inputs}>{outputs}{sign}{}", if *attention { "a" } else { "" })
            }
            Stage::Store => "store".into(),
            Stage::Concat => "concat".into(),
            Stage::Attention(channels) => format!("attention{channels}"),
            Stage::Pyramid { inputs, outputs } => format!("pyramid{inputs}>{outputs}"),
        };
        stages.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_plan_of_edm() {
        let plan = Plan::new(&SIZES, STYLE);
        assert_eq!(text(&plan.down), "store 4>4 store 4>4/ store 4>8a store");
        assert_eq!(text(&plan.middle), "8>8a 8>8");
        assert_eq!(text(&plan.up), "concat 16>8 concat 12>8a 8>8* concat 12>4 concat 8>4",);
        assert_eq!(plan.channels, 4);
    }

    #[test]
    fn the_plan_of_score_sde() {
        let style = Style { upsample_first: false, separate_attention: true, pyramid: true, ..STYLE };
        let plan = Plan::new(&SIZES, style);
        assert_eq!(text(&plan.down), "store 4>4 store 4>4/ pyramid3>4 store 4>8a store");
        assert_eq!(text(&plan.middle), "8>8 attention8 8>8");
        assert_eq!(text(&plan.up), "concat 16>8 concat 12>8a 8>8* concat 12>4 concat 8>4");
    }

    #[test]
    fn every_stored_image_is_concatenated() {
        let count = |stages: &[Stage], wanted: &Stage| stages.iter().filter(|stage| *stage == wanted).count();
        for blocks in 1..4 {
            for multipliers in [&[1][..], &[1, 2, 3], &[2, 2, 2, 4]] {
                for upsample_first in [false, true] {
                    let sizes = Sizes { blocks, multipliers, ..SIZES };
                    let plan = Plan::new(&sizes, Style { upsample_first, attention_up: true, ..STYLE });
                    let stored = count(&plan.down, &Stage::Store);
                    assert_eq!(stored, count(&plan.up, &Stage::Concat));
                    assert_eq!(stored, multipliers.len() * (blocks + 1));
                }
            }
        }
    }
}
