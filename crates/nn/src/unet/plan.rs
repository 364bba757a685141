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
    /// The part of the network that it is in.
    pub side: Side,
    /// The level whose image it gets, from 0 at full size.
    pub level: usize,
}

/// A part of a U-Net.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The way down, the encoder.
    Down,
    /// The bottom.
    Middle,
    /// The way up, the decoder.
    Up,
}

/// What stands at the bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Middle {
    /// Two blocks, the first of which attends.
    AttendingBlock,
    /// Two blocks with attention between them, a stage of its own.
    Attention,
    /// Two blocks without attention.
    Blocks,
    /// Nothing.
    Nothing,
}

/// The rules in which U-Nets differ, apart from their blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether a level of the way up starts with the block that doubles the image. Otherwise the level below ends with it.
    pub upsample_first: bool,
    /// Whether all blocks of a level attend on the way up. Otherwise the last one does.
    pub attention_up: bool,
    /// The bottom.
    pub middle: Middle,
    /// Whether halved versions of the input join the way down.
    pub pyramid: bool,
}

/// Sizes of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Channels of its images.
    pub channels: usize,
    /// Whether blocks attend on the way down.
    pub attention_down: bool,
    /// Whether blocks attend on the way up.
    pub attention_up: bool,
}

/// The sizes that a plan is made from.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// Channels of the input convolution's result.
    pub width: usize,
    /// From full size to the smallest image.
    pub levels: Vec<Level>,
    /// Residual blocks of a level.
    pub blocks: usize,
    /// Channels of the input image.
    pub channels: usize,
}

impl Sizes {
    /// The sizes of a network whose levels have multiples of `width` channels, and whose blocks attend to images of some heights, down
    /// and up.
    pub fn of_multiples(
        width: usize,
        multipliers: &[usize],
        blocks: usize,
        attention: &[usize],
        frame: super::frame::Frame,
    ) -> Self {
        let level = |(level, multiplier): (usize, &usize)| {
            let attends = attention.contains(&(frame.padded[0] >> level));
            Level { channels: multiplier * width, attention_down: attends, attention_up: attends }
        };
        let levels = multipliers.iter().enumerate().map(level).collect();
        Self { width, levels, blocks, channels: frame.channels }
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
        let level = sizes.levels.len() - 1;
        let block = |attention| {
            let (resample, side) = (Resample::Keep, Side::Middle);
            Stage::Block(BlockPlan { inputs: channels, outputs: channels, resample, attention, side, level })
        };
        let middle = match style.middle {
            Middle::AttendingBlock => vec![block(true), block(false)],
            Middle::Attention => vec![block(false), Stage::Attention(channels), block(false)],
            Middle::Blocks => vec![block(false), block(false)],
            Middle::Nothing => Vec::new(),
        };
        let up = way_up(sizes, style, &mut channels, stored);
        Self { down, middle, up, channels }
    }
}

/// Returns the stages of the way down and the channels of the images that they store.
fn way_down(sizes: &Sizes, style: Style, channels: &mut usize) -> (Vec<Stage>, Vec<usize>) {
    let side = Side::Down;
    let (mut stages, mut stored, mut pyramid) = (vec![Stage::Store], vec![*channels], sizes.channels);
    for (level, &Level { channels: width, attention_down: attention, .. }) in sizes.levels.iter().enumerate() {
        if level > 0 {
            let (inputs, outputs, resample) = (*channels, *channels, Resample::Down);
            stages.push(Stage::Block(BlockPlan {
                inputs,
                outputs,
                resample,
                attention: false,
                side,
                level: level - 1,
            }));
            if style.pyramid {
                stages.push(Stage::Pyramid { inputs: pyramid, outputs });
                pyramid = outputs;
            }
            stages.push(Stage::Store);
            stored.push(outputs);
        }
        for _ in 0..sizes.blocks {
            let (inputs, outputs, resample) = (*channels, width, Resample::Keep);
            stages.push(Stage::Block(BlockPlan { inputs, outputs, resample, attention, side, level }));
            stages.push(Stage::Store);
            stored.push(outputs);
            *channels = outputs;
        }
    }
    (stages, stored)
}

/// Returns the stages of the way up, which concatenate images of `stored` channels.
fn way_up(sizes: &Sizes, style: Style, channels: &mut usize, mut stored: Vec<usize>) -> Vec<Stage> {
    let (mut stages, side) = (Vec::new(), Side::Up);
    let double = |channels: usize, level: usize| {
        let (inputs, outputs, resample) = (channels, channels, Resample::Up);
        Stage::Block(BlockPlan { inputs, outputs, resample, attention: false, side, level })
    };
    for (level, &Level { channels: outputs, attention_up: attends, .. }) in sizes.levels.iter().enumerate().rev() {
        if style.upsample_first && level + 1 < sizes.levels.len() {
            stages.push(double(*channels, level + 1));
        }
        for index in 0..=sizes.blocks {
            let inputs = *channels + stored.pop().expect("one stored image for every block of the way up");
            let attention = attends && (style.attention_up || index == sizes.blocks);
            let resample = Resample::Keep;
            stages.push(Stage::Concat);
            stages.push(Stage::Block(BlockPlan { inputs, outputs, resample, attention, side, level }));
            *channels = outputs;
        }
        if !style.upsample_first && level > 0 {
            stages.push(double(*channels, level));
        }
    }
    stages
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: Style =
        Style { upsample_first: true, attention_up: false, middle: Middle::AttendingBlock, pyramid: false };

    /// Levels of multiples of four channels, with attention at the second.
    fn sizes(multipliers: &[usize], blocks: usize) -> Sizes {
        let level = |(level, multiplier): (usize, &usize)| Level {
            channels: 4 * multiplier,
            attention_down: level == 1,
            attention_up: level == 1,
        };
        Sizes { width: 4, levels: multipliers.iter().enumerate().map(level).collect(), blocks, channels: 3 }
    }

    /// A block as `inputs>outputs`, with `/` or `*` where it halves or doubles the image, and `a` where it attends.
    fn text(stages: &[Stage]) -> String {
        let word = |stage: &Stage| match stage {
            Stage::Block(BlockPlan { inputs, outputs, resample, attention, .. }) => {
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
        let plan = Plan::new(&sizes(&[1, 2], 1), STYLE);
        assert_eq!(text(&plan.down), "store 4>4 store 4>4/ store 4>8a store");
        assert_eq!(text(&plan.middle), "8>8a 8>8");
        assert_eq!(text(&plan.up), "concat 16>8 concat 12>8a 8>8* concat 12>4 concat 8>4",);
        assert_eq!(plan.channels, 4);
    }

    #[test]
    fn the_plan_of_score_sde() {
        let style = Style { upsample_first: false, middle: Middle::Attention, pyramid: true, ..STYLE };
        let plan = Plan::new(&sizes(&[1, 2], 1), style);
        assert_eq!(text(&plan.down), "store 4>4 store 4>4/ pyramid3>4 store 4>8a store");
        assert_eq!(text(&plan.middle), "8>8 attention8 8>8");
        assert_eq!(text(&plan.up), "concat 16>8 concat 12>8a 8>8* concat 12>4 concat 8>4");
    }

    #[test]
    fn levels_that_attend_one_way_and_an_empty_bottom() {
        let mut sizes = sizes(&[1, 3], 1);
        sizes.levels[0].attention_down = true;
        sizes.levels[1].attention_up = false;
        let style = Style { upsample_first: false, attention_up: true, middle: Middle::Nothing, pyramid: false };
        let plan = Plan::new(&sizes, style);
        assert_eq!(text(&plan.down), "store 4>4a store 4>4/ store 4>12a store");
        assert_eq!(text(&plan.middle), "");
        assert_eq!(text(&plan.up), "concat 24>12 concat 16>12 12>12* concat 16>4 concat 8>4");
        let levels = |stages: &[Stage]| -> Vec<usize> {
            stages
                .iter()
                .filter_map(|stage| if let Stage::Block(plan) = stage { Some(plan.level) } else { None })
                .collect()
        };
        assert_eq!((levels(&plan.down), levels(&plan.up)), (vec![0, 0, 1], vec![1, 1, 1, 0, 0]));
    }

    #[test]
    fn every_stored_image_is_concatenated() {
        let count = |stages: &[Stage], wanted: &Stage| stages.iter().filter(|stage| *stage == wanted).count();
        for blocks in 1..4 {
            for multipliers in [&[1][..], &[1, 2, 3], &[2, 2, 2, 4]] {
                for upsample_first in [false, true] {
                    let plan =
                        Plan::new(&sizes(multipliers, blocks), Style { upsample_first, attention_up: true, ..STYLE });
                    let stored = count(&plan.down, &Stage::Store);
                    assert_eq!(stored, count(&plan.up, &Stage::Concat));
                    assert_eq!(stored, multipliers.len() * (blocks + 1));
                }
            }
        }
    }
}
