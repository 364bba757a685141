//! Presets of published models have the released values, which `published.toml` lists with their sources.
#![allow(missing_docs)]

use std::collections::BTreeSet;

use pfgm::{
    config::{Config, RateSchedule},
    extra_dims::ExtraDims,
    network::{LevelEmbedding, NetworkConfig, ScoreUnetConfig},
    objective::{Levels, Objective, Restriction},
    prediction::Output,
    presets::{self, PRESETS},
    solver::Solver,
};
use toml::{Table, Value};

/// Presets of this project, which were not published elsewhere.
const OWN: [&str; 5] = ["digits", "heart", "fashion-mnist", "wine", "edm2-digits"];

#[test]
fn the_preset_of_a_table_finds_the_kinds_of_its_columns() {
    let wine: Config = toml::from_str(presets::find("wine").unwrap().text).unwrap();
    assert!(wine.data.kinds.is_some_and(|kinds| kinds.is_empty()) && wine.data.label.is_none());
}

/// The released values of a model; those that it shares with another are listed there.
fn published(all: &Table, name: &str) -> Table {
    let mut own = all[name].as_table().unwrap_or_else(|| panic!("{name}: no table")).clone();
    let mut values = match own.remove("like") {
        Some(other) => published(all, other.as_str().unwrap()),
        None => Table::new(),
    };
    own.remove("source").unwrap_or_else(|| panic!("{name}: no source"));
    values.extend(own);
    values
}

/// Values of a row, by the name of the preset.
fn dim(name: &str) -> f64 {
    let side = match name {
        "celeba64" | "ffhq64-pfgmpp" | "edm2-img64-s" => 64.0,
        "bedroom256" => 256.0,
        _ => 32.0,
    };
    3.0 * side * side
}

fn close(a: &Value, b: &Value) -> bool {
    let number = |value: &Value| value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64));
    match (number(a), number(b), a.as_array(), b.as_array()) {
        // The presets have four digits.
        (Some(a), Some(b), ..) => (a - b).abs() <= 5e-4 * a.abs().max(b.abs()),
        (.., Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| close(a, b)),
        _ => a == b,
    }
}

fn table(values: Vec<(&str, Value)>) -> Table {
    values.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn list(values: &[usize]) -> Value {
    Value::Array(values.iter().map(|&value| Value::Integer(value as i64)).collect())
}

fn whole(value: usize) -> Value {
    Value::Integer(value as i64)
}

/// The network and the training under score-SDE's names. `squares` is the number of squared errors of a row.
fn as_score_sde(config: &Config, squares: f64, reduce_mean: bool) -> Table {
    let NetworkConfig::ScoreUnet(network) = &config.network else { panic!("{:?}", config.network) };
    let ScoreUnetConfig { width, multipliers, blocks, attention, dropout, fir, pyramid, .. } = network;
    let train = &config.train;
    // A gradient of half the sum is this many times that of the mean.
    let factor = if reduce_mean { 1.0 } else { squares / 2.0 };
    let embedding = if network.embedding == LevelEmbedding::Fourier { "fourier" } else { "positional" };
    table(vec![
        ("n_iters", Value::Integer(train.steps as i64 + 1)),
        ("small_batch_size", whole(train.batch)),
        ("reduce_mean", reduce_mean.into()),
        ("random_flip", train.flip.into()),
        ("nf", whole(*width)),
        ("ch_mult", list(multipliers)),
        ("num_res_blocks", whole(*blocks)),
        ("attn_resolutions", list(attention)),
        ("dropout", (*dropout).into()),
        ("fir", (*fir).into()),
        ("progressive_input", if *pyramid { "residual" } else { "none" }.into()),
        ("embedding_type", embedding.into()),
        ("fourier_scale", network.fourier_scale.into()),
        ("ema_rate", train.ema.into()),
        ("lr", train.lr.into()),
        ("beta1", train.betas[0].into()),
        ("eps", (factor * train.epsilon).into()),
        ("warmup", Value::Integer(train.warmup as i64)),
        ("grad_clip", (factor * train.clip).into()),
    ])
}

/// PFGM, under the names of its code.
fn as_poisson_flow(config: &Config, dim: f64, reduce_mean: bool) -> Table {
    let (Objective::Field(objective), Output::Field { gamma }) = (&config.objective, &config.flow.output) else {
        panic!("{:?}", config.flow)
    };
    assert_eq!(config.flow.extra_dims, ExtraDims::Finite(1.0));
    let solver = if matches!(config.sample.solver, Solver::Rk45(_)) { "rk45" } else { "other" };
    let mut values = as_score_sde(config, dim + 1.0, reduce_mean);
    values.extend(table(vec![
        ("batch_size", whole(objective.field_batch)),
        ("gamma", (*gamma).into()),
        ("tau", objective.tau.into()),
        ("restrict_M", (objective.restrict == Restriction::Whole).into()),
        ("M", Value::Integer(objective.m.unwrap().into())),
        ("sigma_end", objective.s.into()),
        ("z_max", config.flow.sigma_max.unwrap().into()),
        ("z_min", config.flow.sigma_min.into()),
        ("upper_norm", config.sample.upper_norm.unwrap().into()),
        ("z_exp", config.sample.z_exp.unwrap().into()),
        ("ode_solver", solver.into()),
    ]));
    values
}

/// A score model, under the names of score-SDE.
fn as_score_model(config: &Config, dim: f64, reduce_mean: bool) -> Table {
    let mut values = as_score_sde(config, dim, reduce_mean);
    let Objective::Denoising(objective) = &config.objective else { panic!("{:?}", config.objective) };
    assert_eq!((objective.levels, config.flow.extra_dims), (Levels::Uniform, ExtraDims::Infinite));
    values.extend(table(match &config.flow.output {
        Output::Ve { scaled, unit } => vec![
            ("scale_by_sigma", (*scaled).into()),
            ("sigma_min", (config.flow.sigma_min / unit).into()),
            ("sigma_max", (config.flow.sigma_max.unwrap() / unit).into()),
        ],
        Output::Vp { beta_min, beta_max } | Output::SubVp { beta_min, beta_max } => {
            vec![("beta_min", (*beta_min).into()), ("beta_max", (*beta_max).into())]
        }
        other => panic!("{other:?}"),
    }));
    values
}

/// EDM and PFGM++, under the names of EDM's options.
fn as_edm(config: &Config, dim: f64) -> Table {
    let Objective::Denoising(objective) = &config.objective else { panic!("{:?}", config.objective) };
    let (train, flow) = (&config.train, &config.flow);
    let (arch, width, multipliers, blocks, attention, dropout) = match &config.network {
        NetworkConfig::Unet(net) => ("ddpmpp", net.width, &net.multipliers, net.blocks, &net.attention, net.dropout),
        NetworkConfig::ScoreUnet(net) => {
            assert!(net.fir && net.pyramid && net.embedding == LevelEmbedding::Fourier && net.fourier_scale == 16.0);
            ("ncsnpp", net.width, &net.multipliers, net.blocks, &net.attention, net.dropout)
        }
        other => panic!("{other:?}"),
    };
    let million = train.batch as f64 / 1e6;
    assert!(train.clip == 0.0 && objective.levels == Levels::Normal && flow.output == Output::Edm);
    let mut values = table(vec![
        ("cond", config.data.conditional.into()),
        ("arch", arch.into()),
        ("duration", (train.steps as f64 * million).into()),
        ("batch", whole(train.batch)),
        ("cbase", whole(width)),
        ("cres", list(multipliers)),
        ("num_blocks", whole(blocks)),
        ("attn_resolutions", list(attention)),
        ("lr", train.lr.into()),
        ("betas", Value::Array(train.betas.map(Value::Float).to_vec())),
        // The loss is the sum over the values of a row.
        ("eps", (dim * train.epsilon).into()),
        // The half-life of the average.
        ("ema", (million * 0.5_f64.ln() / train.ema.ln()).into()),
        ("ema_rampup_ratio", train.ema_rampup.into()),
        ("lr_rampup_kimg", (train.warmup as f64 * 1e3 * million).into()),
        ("dropout", dropout.into()),
        ("augment", train.augment.into()),
        ("xflip", train.flip.into()),
        ("P_mean", objective.mean.into()),
        ("P_std", objective.std.into()),
        ("sigma_data", flow.sigma_data.unwrap().into()),
        ("steps", whole(config.sample.solver.steps().unwrap())),
        ("sigma_min", flow.sigma_min.into()),
        ("sigma_max", flow.sigma_max.unwrap().into()),
    ]);
    if let ExtraDims::Finite(d) = flow.extra_dims {
        values.insert("aug_dim".to_owned(), d.into());
    }
    values
}

/// EDM2, under the names of its options; `decay` and `lr_rampup_mimg` are those of its learning rate.
fn as_edm2(config: &Config, dim: f64) -> Table {
    let (Objective::Denoising(objective), NetworkConfig::Edm2Unet(network)) = (&config.objective, &config.network)
    else {
        panic!("{:?}", config.objective)
    };
    let (train, flow) = (&config.train, &config.flow);
    assert!(train.clip == 0.0 && objective.levels == Levels::Normal && flow.output == Output::Edm);
    assert!(train.normalize_weights && objective.log_variance && train.schedule == RateSchedule::InverseSqrt);
    // Half-lives that are a share of the training: a power-function average.
    assert!(train.ema > 0.9999 && train.ema_rampup == 0.05);
    let mebi = train.batch as f64 / f64::from(1 << 20);
    table(vec![
        ("cond", config.data.conditional.into()),
        ("duration", (train.steps as f64 * mebi).into()),
        ("batch", whole(train.batch)),
        ("channels", whole(network.width)),
        ("channel_mult", list(&network.multipliers)),
        ("num_blocks", whole(network.blocks)),
        ("attn_resolutions", list(&network.attention)),
        ("channel_mult_noise", (network.frequencies as f64 / network.width as f64).into()),
        ("channel_mult_emb", (network.embedding as f64 / network.width as f64).into()),
        ("logvar_channels", whole(network.variance)),
        ("channels_per_head", whole(network.head)),
        ("lr", train.lr.into()),
        ("decay", Value::Integer(train.decay_after as i64)),
        ("lr_rampup_mimg", (train.warmup as f64 * train.batch as f64 / 1e6).into()),
        ("betas", Value::Array(train.betas.map(Value::Float).to_vec())),
        // The loss is the sum over the values of a row.
        ("eps", (dim * train.epsilon).into()),
        ("ema_stds", Value::Array(train.sigma_rel.map(Value::Float).to_vec())),
        ("snapshot", (train.snapshot_every as f64 * mebi).into()),
        ("dropout", network.dropout.into()),
        ("xflip", train.flip.into()),
        ("label_dropout", train.label_dropout.into()),
        ("P_mean", objective.mean.into()),
        ("P_std", objective.std.into()),
        ("sigma_data", flow.sigma_data.unwrap().into()),
        ("steps", whole(config.sample.solver.steps().unwrap())),
        ("sigma_min", flow.sigma_min.into()),
        ("sigma_max", flow.sigma_max.unwrap().into()),
    ])
}

#[test]
fn presets_have_the_released_values() {
    let all: Table = include_str!("published.toml").parse().unwrap();
    let names: BTreeSet<&str> = PRESETS.iter().map(|preset| preset.name).filter(|name| !OWN.contains(name)).collect();
    assert_eq!(names, all.keys().map(String::as_str).collect());
    for name in names {
        let config: Config = toml::from_str(presets::find(name).unwrap().text).unwrap();
        let released = published(&all, name);
        let reduce_mean = released.get("reduce_mean").and_then(Value::as_bool).unwrap_or_default();
        let own = match (&config.objective, &config.flow.output) {
            _ if matches!(config.network, NetworkConfig::Edm2Unet(_)) => as_edm2(&config, dim(name)),
            (_, Output::Edm) => as_edm(&config, dim(name)),
            (Objective::Field(_), _) => as_poisson_flow(&config, dim(name), reduce_mean),
            _ => as_score_model(&config, dim(name), reduce_mean),
        };
        let keys = |table: &Table| -> BTreeSet<String> { table.keys().cloned().collect() };
        assert_eq!(keys(&own), keys(&released), "{name}");
        for (key, value) in &released {
            assert!(close(&own[key], value), "{name}: {key} is {}, released is {value}", own[key]);
        }
    }
}
