//! The table of all keys, section by section. A test in the parent compares it with what serde reads.

use super::{Key, key};

const FIXED: &[&str] =
    &["euler", "improved-euler", "heun", "ipndm", "dpmpp-2m", "dpmpp-3m", "unipc-2", "unipc-3", "deis"];
const SDE: &[&str] = &["reverse-sde", "reverse-diffusion", "ancestral"];
const MULTISTEP: &[&str] = &["ipndm", "dpmpp-2m", "dpmpp-3m", "unipc-2", "unipc-3", "deis"];

/// Every key, section by section.
pub const KEYS: &[Key] = &[
    key("data.source", "\"\"", "a path, or a built-in data set", "The data set. A path is stored as an absolute path."),
    key(
        "data.autoencoder",
        "(none)",
        "a folder, or hf:OWNER/NAME",
        "An autoencoder (AutoencoderKL of diffusers): the flow is trained on the latents of the images, and samples are decoded.",
    ),
    key("data.columns", "[]", "names, or numbers from 1 as strings", "Columns of a table to learn; all if empty."),
    key("data.label", "(none)", "a column", "The column of a table that holds the class."),
    key("data.conditional", "false", "true or false", "Whether the network is conditioned on the classes."),
    key("data.hold_out", "0", "rows", "Rows that are not trained on; the loss is measured on them at each checkpoint."),
    key(
        "data.shrink",
        "1",
        "at least 1",
        "Factor by which images are downscaled: each pixel is the mean of a square of so many pixels a side.",
    ),
    key(
        "data.side",
        "0",
        "pixels; 0 keeps the size",
        "Side of the square to which the middle of each image file is scaled.",
    ),
    key(
        "data.load",
        "\"auto\"",
        "auto, whole or stream",
        "Whether all rows are loaded (whole), or read from their files when needed (stream); auto streams large data.",
    ),
    key("data.array", "(by its name)", "a name", "Array of an archive that holds the data."),
    key(
        "data.labels",
        "(by its name)",
        "a name",
        "Array of an archive that holds the labels; an empty name ignores labels.",
    ),
    key(
        "data.range",
        "(found by rule)",
        "two numbers, the lower one first",
        "Nominal range of the values; for images the values of black and white.",
    ),
    key("data.alpha", "\"auto\"", "auto, white, black, keep or refuse", "What is done with transparent pixels."),
    key(
        "data.header",
        "\"auto\"",
        "auto, yes or no",
        "Whether the first line of a table holds the names of its columns.",
    ),
    key(
        "data.decimal",
        "\"auto\"",
        "auto, point or comma",
        "Whether commas in the numbers of a table are decimal points.",
    ),
    key("data.classes", "\"auto\"", "auto, folders, prefix, none, or a file", "Where the classes of images come from."),
    key("data.items", "\"auto\"", "auto, one or many", "Whether each file of a folder of arrays is one row."),
    key(
        "data.limits",
        "[]",
        "NAME=VALUE, of expanded, image, rows (bytes: MB, GB), columns, entries, depth",
        "Limits on what a file may ask for, in place of those that follow from its size.",
    ),
    key(
        "flow.extra_dims",
        "128",
        "above 0, or \"inf\"",
        "Number of extra dimensions: 1 is PFGM, inf a diffusion model, anything else PFGM++.",
    )
    .symbol("D"),
    key("flow.sigma_min", "0.002", "above 0, in units of the model", "Lowest noise level: sampling ends there.")
        .symbol("sigma_min"),
    key(
        "flow.sigma_max",
        "(computed from the data by objective pfgm, else 80)",
        "above sigma_min, in units of the model",
        "Highest noise level: sampling starts there, from the prior.",
    )
    .symbol("sigma_max"),
    key(
        "flow.sigma_data",
        "(measured)",
        "above 0, in units of the model",
        "Standard deviation of the data, for the preconditioning.",
    )
    .symbol("sigma_data"),
    key(
        "flow.far_field",
        "true",
        "true or false",
        "Whether points much noisier than their noise level are preconditioned by the noise that they show. Only for finite D.",
    ),
    key(
        "flow.max_row_rms",
        "(measured)",
        "at least 0, in units of the model",
        "Largest root mean square of a row of the data.",
    ),
    key(
        "flow.detail_rms",
        "(measured)",
        "at least 0, in units of the model",
        "Largest root mean square of an image's finest details: each block of 2x2 pixels minus its mean.",
    ),
    key(
        "flow.log_level",
        "(true for networks with a Fourier embedding)",
        "true or false",
        "Whether the network takes the logarithm of the noise level. EDM's preconditioning always gives it ln(sigma) / 4.",
    ),
    key(
        "flow.output.kind",
        "\"edm\"",
        "edm, field, ve, vp, sub-vp or discrete",
        "edm: preconditioned denoiser; field: PFGM's normalized field; ve, vp, sub-vp: score models; discrete: DDPM's networks.",
    ),
    key(
        "flow.output.gamma",
        "(required)",
        "above 0",
        "Constant that keeps the normalized field smooth near the data; 5 in PFGM.",
    )
    .symbol("gamma")
    .of(&["field"]),
    key("flow.output.scaled", "(required)", "true or false", "Whether the output is the score times sigma.")
        .of(&["ve"]),
    key(
        "flow.output.unit",
        "1.0",
        "above 0",
        "Unit of noise in the model's space: 2 if the network was trained on images in [0, 1] instead of [-1, 1].",
    )
    .of(&["ve"]),
    key("flow.output.beta_min", "(required)", "above 0", "Rate of the noise at t = 0; 0.1 in the papers.")
        .symbol("beta_min")
        .of(&["vp", "sub-vp"]),
    key("flow.output.beta_max", "(required)", "above beta_min", "Rate of the noise at t = 1; 20 in the papers.")
        .symbol("beta_max")
        .of(&["vp", "sub-vp"]),
    key(
        "flow.output.schedule",
        "(required)",
        "{ kind = \"linear\", beta_start, beta_end, steps }, \"scaled-linear\" likewise, or { kind = \"squared-cosine\", steps }",
        "Noise levels of the steps of a discrete schedule (DDPM).",
    )
    .of(&["discrete"]),
    key(
        "flow.output.quantity",
        "\"epsilon\"",
        "epsilon, v or sample",
        "What the network estimates at the steps of a discrete schedule: the noise, v, or the data.",
    )
    .of(&["discrete"]),
    key(
        "objective.kind",
        "\"pfgm++\"",
        "pfgm++ or pfgm",
        "pfgm++: denoising score matching (EDM at D = inf); pfgm: matching of the field of a large batch, D = 1.",
    ),
    key(
        "objective.levels",
        "\"normal\"",
        "normal or uniform",
        "Distribution of ln sigma: normal (EDM, PFGM++), or uniform over the noise range (score models).",
    )
    .of(&["pfgm++"]),
    key("objective.mean", "-1.2", "a number", "Mean of ln sigma.").symbol("P_mean").of(&["pfgm++"]),
    key("objective.std", "1.2", "above 0", "Standard deviation of ln sigma.").symbol("P_std").of(&["pfgm++"]),
    key(
        "objective.reference",
        "0",
        "0, or at least train.batch, at most the rows",
        "Charges whose field-weighted mean is the target (stable target field); 0: the target is the perturbed charge.",
    )
    .of(&["pfgm++"]),
    key("objective.s", "0.01", "above 0, in units of the model", "Scale of the noise nearest to the data.")
        .symbol("sigma")
        .of(&["pfgm"]),
    key("objective.tau", "0.03", "above 0", "Growth rate of the noise.").symbol("tau").of(&["pfgm"]),
    key("objective.m", "(computed from the norm of the data)", "at least 1", "Largest exponent of the noise's growth.")
        .symbol("M")
        .of(&["pfgm"]),
    key(
        "objective.gamma",
        "(5)",
        "above 0",
        "Constant that keeps the target smooth near the data. Networks with output field use flow.output.gamma.",
    )
    .symbol("gamma")
    .of(&["pfgm"]),
    key(
        "objective.field_batch",
        "1024",
        "from train.batch to the rows",
        "Charges in the field of a step, the batch included.",
    )
    .of(&["pfgm"]),
    key(
        "objective.restrict",
        "true",
        "true or false",
        "Whether points with a small component along z stay near the data: m at most 0.7 M.",
    )
    .of(&["pfgm"]),
    key(
        "network.kind",
        "\"unet\"",
        "mlp, unet, score-unet, adm-unet, diffusers-unet, edm2-unet or ncsnv2",
        "mlp: residual perceptron for vectors; unet: DDPM++ of EDM; score-unet: DDPM++ and NCSN++ of score models and PFGM; adm-unet: ADM; diffusers-unet: UNet2DModel of diffusers; edm2-unet: the magnitude-preserving network of EDM2; ncsnv2: NCSNv2.",
    ),
    key("network.width", "256", "channels", "Width of the hidden layers.").of(&["mlp"]),
    key("network.width", "64", "channels, a multiple of 4", "Channels at full size.").of(&["unet"]),
    key("network.width", "128", "channels, a multiple of 4", "Channels at full size.").of(&["score-unet", "ncsnv2", "edm2-unet"]),
    key("network.width", "192", "channels, a multiple of 4", "Channels at full size.").of(&["adm-unet"]),
    key(
        "network.multipliers",
        "[1, 2, 2]",
        "one number a level",
        "Channels of each level as a multiple of width; each level after the first halves the image.",
    )
    .of(&["unet"]),
    key(
        "network.multipliers",
        "[1, 2, 2, 2]",
        "one number a level",
        "Channels of each level as a multiple of width; each level after the first halves the image.",
    )
    .of(&["score-unet", "ncsnv2"]),
    key(
        "network.multipliers",
        "[1, 2, 3, 4]",
        "one number a level",
        "Channels of each level as a multiple of width; each level after the first halves the image.",
    )
    .of(&["adm-unet", "edm2-unet"]),
    key("network.blocks", "4", "at least 1", "Residual blocks of two layers.").of(&["mlp"]),
    key("network.blocks", "2", "at least 1", "Residual blocks of a level.").of(&["unet", "diffusers-unet"]),
    key("network.blocks", "4", "at least 1", "Residual blocks of a level.").of(&["score-unet"]),
    key("network.blocks", "3", "at least 1", "Residual blocks of a level.").of(&["adm-unet", "edm2-unet"]),
    key("network.attention", "[16]", "heights in pixels", "Heights of the image at which blocks have self-attention.")
        .of(&["unet", "score-unet"]),
    key(
        "network.attention",
        "[32, 16, 8]",
        "heights in pixels",
        "Heights of the image at which blocks have self-attention.",
    )
    .of(&["adm-unet"]),
    key("network.head", "64", "channels", "Channels of an attention head.").of(&["adm-unet", "edm2-unet"]),
    key("network.dropout", "0.0", "in [0, 1)", "Probability of dropout in the blocks.").of(&["mlp", "unet", "diffusers-unet", "edm2-unet"]),
    key("network.dropout", "0.1", "in [0, 1)", "Probability of dropout in the blocks.").of(&["score-unet", "adm-unet"]),
    key(
        "network.embedding",
        "\"positional\"",
        "positional or fourier",
        "Embedding of the noise level: sinusoids of the level, or of its logarithm with random frequencies.",
    )
    .of(&["score-unet"]),
    key("network.fourier_scale", "16.0", "above 0", "Standard deviation of the random frequencies.")
        .of(&["score-unet"]),
    key(
        "network.fir",
        "false",
        "true or false",
        "Whether images are resampled with the weights 1, 3, 3, 1 instead of 2x2 boxes.",
    )
    .of(&["score-unet"]),
    key("network.pyramid", "false", "true or false", "Whether downscaled versions of the input join the way down.")
        .of(&["score-unet"]),
    key(
        "network.channels",
        "[128, 256, 256, 256]",
        "one number a level",
        "Channels of each level; each level after the first halves the image.",
    )
    .of(&["diffusers-unet"]),
    key(
        "network.down",
        "[\"plain\", \"attention\", \"plain\", \"plain\"]",
        "plain, attention, resnet or attention-resnet, one a level",
        "Levels of the way down, from full size: whether their blocks attend, and whether a residual block halves the image instead of a convolution.",
    )
    .of(&["diffusers-unet"]),
    key(
        "network.up",
        "[\"plain\", \"plain\", \"attention\", \"plain\"]",
        "plain, attention, resnet or attention-resnet, one a level",
        "Levels of the way up, from the smallest image: whether their blocks attend, and whether a residual block doubles the image.",
    )
    .of(&["diffusers-unet"]),
    key("network.middle", "\"attention\"", "attention, plain or none", "The bottom: two blocks with or without attention, or nothing.")
        .of(&["diffusers-unet"]),
    key("network.head", "0", "channels; 0 is one head", "Channels of an attention head.").of(&["diffusers-unet"]),
    key("network.groups", "32", "at least 1", "Groups of the normalizations.").of(&["diffusers-unet"]),
    key(
        "network.middle_groups",
        "(network.groups)",
        "0, or a divisor of the last level's channels",
        "Groups of the normalization before the attention at the bottom; 0 is no normalization.",
    )
    .of(&["diffusers-unet"]),
    key("network.middle_scale", "1.0", "above 0", "Divisor of the sums with shortcuts at the bottom.").of(&["diffusers-unet"]),
    key("network.activation", "\"silu\"", "silu, relu, gelu or mish", "Function between two layers of a block.").of(&["diffusers-unet"]),
    key("network.epsilon", "1e-6", "above 0", "Constant in the denominator of the normalizations.").of(&["diffusers-unet"]),
    key("network.embedding", "512", "values", "Size of the embedding of the noise level.").of(&["diffusers-unet", "edm2-unet"]),
    key(
        "network.fourier",
        "false",
        "true or false",
        "Whether random frequencies of the noise level's logarithm are embedded, and the output is divided by the level.",
    )
    .of(&["diffusers-unet"]),
    key("network.cosine_first", "false", "true or false", "Whether the cosines of the noise level come before the sines.")
        .of(&["diffusers-unet"]),
    key(
        "network.frequency_shift",
        "1.0",
        "a number",
        "Frequencies fall from 1 to 1/10000 over half the first channels minus this number.",
    )
    .of(&["diffusers-unet"]),
    key(
        "network.scale_shift",
        "false",
        "true or false",
        "Whether the embedding scales and shifts the second normalization, instead of being added before it.",
    )
    .of(&["diffusers-unet"]),
    key(
        "network.pad_after",
        "true",
        "true or false",
        "Whether images are padded below and to the right only before they are halved.",
    )
    .of(&["diffusers-unet"]),
    key("network.center", "false", "true or false", "Whether the network gets 2 x - 1 instead of x.").of(&["diffusers-unet"]),
    key("network.attention", "[16, 8]", "heights in pixels", "Heights of the image at which blocks have self-attention.").of(&["edm2-unet"]),
    key("network.frequencies", "128", "at least 1", "Random frequencies of the noise level.").of(&["edm2-unet"]),
    key("network.variance", "128", "a whole number", "Random frequencies of the estimate of the loss's variance; 0 if there is none.")
        .of(&["edm2-unet"]),
    key("network.label_balance", "0.5", "in [0, 1]", "Share of the class in the sum with the embedding of the noise level.").of(&["edm2-unet"]),
    key("network.concat_balance", "0.5", "in [0, 1]", "Share of the image of the way down in a concatenation.").of(&["edm2-unet"]),
    key("network.residual_balance", "0.3", "in [0, 1]", "Share of a block in the sum with its shortcut.").of(&["edm2-unet"]),
    key("network.attention_balance", "0.3", "in [0, 1]", "Share of attention in the sum with its shortcut.").of(&["edm2-unet"]),
    key("network.clip", "256.0", "above 0", "Largest value of an image between the blocks.").of(&["edm2-unet"]),
    key(
        "network.radial",
        "false",
        "true or false",
        "Whether the network has an output for the field's component along z; for output field.",
    )
    .of(&["score-unet", "ncsnv2"]),
    key("upscale.factor", "2", "at least 2", "Ratio of the sides of the images to those of the low-resolution images."),
    key(
        "upscale.noise",
        "0.25",
        "at least 0, in units of the model",
        "Largest standard deviation of the noise that training adds to the low-resolution images (conditioning augmentation).",
    ),
    key(
        "upscale.sample_noise",
        "0.0",
        "from 0 to upscale.noise",
        "Standard deviation of the noise that sampling adds to the low-resolution images.",
    ),
    key("train.seed", "0", "a whole number", "Seed of the initial weights and of every random choice of the training."),
    key("train.steps", "10000", "at least 1", "Optimizer steps."),
    key("train.batch", "128", "rows, at least 1", "Batch size of a step, over all processes."),
    key(
        "train.accumulate",
        "1",
        "from 1 to train.batch",
        "Parts that a batch is computed in, one after another, to save memory (gradient accumulation).",
    ),
    key(
        "train.recompute",
        "false",
        "true or false",
        "Whether activations of cheap operations are recomputed in the backward pass: less memory, more time (gradient checkpointing).",
    ),
    key("train.precision", "\"f32\"", "f32 or bf16", "Precision of the network's activations in training."),
    key("train.lr", "0.001", "above 0", "Adam's learning rate after warm-up.").symbol("alpha"),
    key("train.betas", "[0.9, 0.999]", "each in [0, 1)", "Adam's decay rates of the first and second moment.")
        .symbol("beta_1, beta_2"),
    key("train.epsilon", "1e-8", "above 0", "Adam's constant in the denominator.").symbol("epsilon"),
    key("train.warmup", "100", "steps", "Steps over which the learning rate rises linearly from 0."),
    key("train.cooldown", "0", "steps", "Steps at the end over which the learning rate falls linearly to 0."),
    key("train.clip", "1.0", "at least 0; 0 disables it", "Norm to which the gradient is clipped."),
    key("train.ema", "0.999", "in [0, 1)", "Decay of the exponential moving average of the weights, per step."),
    key("train.flip", "false", "true or false", "Whether half of the images are mirrored horizontally."),
    key(
        "train.patch",
        "0",
        "pixels; 0 disables it",
        "Side of the square patches that the network is trained on, conditioned on their position (Patch Diffusion).",
    ),
    key(
        "train.augment",
        "0.0",
        "in [0, 1); 0 disables it",
        "Probability of each kind of EDM's non-leaking augmentation, which the network is conditioned on.",
    ),
    key(
        "train.label_dropout",
        "0.1",
        "in [0, 1)",
        "Probability that a class is dropped, for classifier-free guidance.",
    )
    .symbol("p_uncond"),
    key(
        "train.checkpoint_every",
        "1000",
        "steps, at least 1",
        "Steps between checkpoints; one is always written at the end.",
    ),
    key("train.keep", "3", "at least 1", "Number of checkpoints kept."),
    key("train.log_every", "50", "steps, at least 1", "Steps between lines of the log."),
    key("sample.guidance", "1.0", "a number; 1 disables it", "Classifier-free guidance scale.").symbol("w"),
    key("sample.precision", "\"f32\"", "f32 or bf16", "Precision of the network's activations in sampling."),
    key(
        "sample.solver.method",
        "\"heun\"",
        "see `pfgm sample --help`",
        "The solver: euler, improved-euler, heun, rk45, ipndm, deis, dpmpp-2m, dpmpp-3m, unipc-2, unipc-3, reverse-sde, reverse-diffusion, ancestral.",
    ),
    key("sample.solver.steps", "18", "from 1 to 1000000", "Number of steps.").of(FIXED),
    key("sample.solver.steps", "1000", "from 1 to 1000000", "Number of steps.").of(SDE),
    key("sample.solver.order", "3", "1 to 4", "Order of the multistep method.").of(&["ipndm", "deis"]),
    key("sample.solver.schedule", "(the method's own)", "log-uniform, edm or gits", "Grid of noise levels.").of(FIXED),
    key("sample.solver.rho", "(7)", "above 0", "Exponent of schedule edm.").symbol("rho").of(FIXED),
    key(
        "sample.solver.levels",
        "(none)",
        "decreasing noise levels",
        "The noise levels themselves, instead of a schedule.",
    )
    .of(FIXED),
    key(
        "sample.solver.lower_order_final",
        "(true for dpmpp and unipc)",
        "true or false",
        "Whether the last steps have lower orders.",
    )
    .of(MULTISTEP),
    key("sample.solver.rtol", "1e-4", "above 0", "Relative tolerance.").of(&["rk45"]),
    key("sample.solver.atol", "1e-4", "above 0, in units of the model", "Absolute tolerance.").of(&["rk45"]),
    key(
        "sample.solver.denoise",
        "(false)",
        "true or false",
        "Whether a last step to sigma = 0 replaces the state by yhat; heun and reverse SDEs always end so.",
    ),
    key(
        "sample.solver.afs",
        "false",
        "true or false",
        "Analytical first step: the far field replaces the first evaluation.",
    )
    .of(FIXED),
    key("sample.solver.churn", "0.0", "at least 0; 0 disables it", "Amount of stochasticity; D infinite or 1.")
        .symbol("S_churn")
        .of(&["heun"]),
    key("sample.solver.churn_min", "(0)", "noise level", "Lowest noise level with churn.")
        .symbol("S_tmin")
        .of(&["heun"]),
    key("sample.solver.churn_max", "(unlimited)", "noise level", "Highest noise level with churn.")
        .symbol("S_tmax")
        .of(&["heun"]),
    key("sample.solver.churn_noise", "(1)", "above 0", "Standard deviation of the added noise.")
        .symbol("S_noise")
        .of(&["heun"]),
    key(
        "sample.solver.noise",
        "0.0",
        "share of sigma, at least 0",
        "Standard deviation of noise added before each step, to measure robustness.",
    )
    .of(&["euler", "improved-euler", "heun"]),
    key(
        "sample.solver.process",
        "(the model's, or ve)",
        "{ kind = \"ve\", \"vp\" or \"sub-vp\" }",
        "Process that a reverse SDE reverses; vp and sub-vp can have beta_min and beta_max.",
    )
    .of(SDE),
    key("sample.solver.corrector", "(none)", "none or langevin", "Corrector of a reverse SDE.").of(SDE),
    key("sample.solver.corrector_steps", "(1)", "at least 1", "Corrector steps at each noise level.").of(SDE),
    key("sample.solver.snr", "(0.16)", "above 0", "Signal-to-noise ratio of the corrector.").symbol("r").of(SDE),
];
