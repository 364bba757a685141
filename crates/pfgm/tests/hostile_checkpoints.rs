//! Malicious checkpoints: each is an error when it is read, or can be sampled from.
#![allow(missing_docs)]

use std::{collections::HashMap, panic::catch_unwind, path::Path};

use burn::tensor::Device;
use pfgm::{
    Model,
    checkpoint::{Checkpoint, CheckpointError},
    conditioning::UpscaleConfig,
    config::Config,
    memory,
    network::{AdmUnetConfig, LevelEmbedding, MlpConfig, NetworkConfig, ScoreUnetConfig, UnetConfig},
    prediction::Output,
    solver::Solver,
    spec::{ModelError, ModelSpec},
    weights,
};
use pfgm_data::{Dataset, OpenOptions};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};

fn data(name: &str) -> Dataset {
    pfgm_data::open(name, &OpenOptions::default()).unwrap()
}

fn config(network: NetworkConfig) -> Config {
    let mut config = Config::default();
    config.data.conditional = matches!(network, NetworkConfig::AdmUnet(_));
    config.network = network;
    config.train.batch = 2;
    config
}

/// Small models of several kinds.
fn models() -> Vec<ModelSpec> {
    let multipliers = vec![1, 2];
    let unet = UnetConfig { width: 4, multipliers: multipliers.clone(), blocks: 1, attention: vec![4], dropout: 0.0 };
    let adm = AdmUnetConfig {
        width: 4,
        multipliers: multipliers.clone(),
        blocks: 1,
        attention: vec![4],
        head: 4,
        dropout: 0.0,
    };
    let score = ScoreUnetConfig {
        width: 4,
        multipliers,
        blocks: 1,
        attention: vec![],
        embedding: LevelEmbedding::Fourier,
        ..ScoreUnetConfig::default()
    };
    let mut fields = config(NetworkConfig::ScoreUnet(ScoreUnetConfig { radial: true, ..score.clone() }));
    fields.flow.output = Output::Field { gamma: 5.0 };
    let mut scores = config(NetworkConfig::ScoreUnet(score));
    scores.flow.output = Output::Vp { beta_min: 0.1, beta_max: 20.0 };
    let of = |config: Config, data: &Dataset| ModelSpec::resolve(config, data).unwrap();
    let digits = data("digits");
    vec![
        of(config(NetworkConfig::Mlp(MlpConfig { width: 8, blocks: 1, dropout: 0.0 })), &data("heart")),
        of(config(NetworkConfig::Unet(unet)), &digits),
        of(config(NetworkConfig::AdmUnet(adm)), &digits),
        of(fields, &digits),
        of(scores, &digits),
    ]
}

/// The file of a checkpoint with the weights of one specification and the text of another.
fn file(model: &ModelSpec, text: &Value) -> Vec<u8> {
    let weights = weights::collect(&model.network(&Device::flex()).unwrap());
    let bytes: Vec<Vec<u8>> =
        weights.iter().map(|weight| weight.values.iter().flat_map(|value| value.to_le_bytes()).collect()).collect();
    let views = weights.iter().zip(&bytes).map(|(weight, bytes)| {
        (format!("ema.{}", weight.name), TensorView::new(Dtype::F32, weight.shape.clone(), bytes).unwrap())
    });
    let header = json!({ "format": 1, "step": 7, "record": text }).to_string();
    safetensors::serialize(views, Some(HashMap::from([("pfgm".to_owned(), header)]))).unwrap()
}

fn read(bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
    Checkpoint::parse(Path::new("model.safetensors"), bytes)
}

/// Collects the JSON pointers of all leaves.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    let mut below = |key: &str, value: &Value| leaves(value, &format!("{path}/{key}"), found);
    match value {
        Value::Object(entries) if !entries.is_empty() => entries.iter().for_each(|(key, value)| below(key, value)),
        Value::Array(items) if !items.is_empty() => {
            items.iter().enumerate().for_each(|(index, value)| below(&index.to_string(), value));
            found.push(path.to_owned());
        }
        _ => found.push(path.to_owned()),
    }
}

/// Reads a checkpoint and samples from it, as the program would.
fn use_it(bytes: &[u8]) -> bool {
    let Ok(checkpoint) = read(bytes) else { return false };
    let (spec, device) = (&checkpoint.spec, Device::flex());
    let network = checkpoint.averaged(Path::new("model.safetensors"), &device).unwrap();
    let classes = spec.data.classes.len() as u32;
    let class = (classes > 0).then_some(0);
    let model = Model::from_parts(spec.clone(), network, &device);
    // Values that are not finite give an error of the solver or samples; they do not crash.
    let _ = model.sample(1).seed(1).classes([class]).solver(Solver::heun(2)).draw();
    true
}

#[test]
fn every_value_of_a_specification_may_be_anything() {
    let evil = [
        json!(-1),
        json!(0),
        json!(1),
        json!(3),
        json!(1e-300),
        json!(-1e300),
        json!(1e300),
        json!(1e9),
        json!(1_000_000_000_u64),
        json!(u64::MAX),
        json!(null),
        json!(true),
        json!("inf"),
        json!([]),
        json!([0]),
        json!([1_000_000_000_u64]),
        json!({}),
    ];
    let (mut tried, mut used) = (0, 0);
    for model in models() {
        let text = serde_json::to_value(&model).unwrap();
        assert!(use_it(&file(&model, &text)));
        let mut places = Vec::new();
        leaves(&text, "", &mut places);
        for place in places {
            for value in &evil {
                let mut text = text.clone();
                *text.pointer_mut(&place).unwrap() = value.clone();
                let bytes = file(&model, &text);
                let outcome = catch_unwind(|| use_it(&bytes));
                assert!(outcome.is_ok(), "panicked: {place} = {value}");
                tried += 1;
                used += usize::from(outcome.is_ok_and(|used| used));
            }
        }
    }
    assert!(tried > 1000 && used > 100 && used < tried / 2, "{used} of {tried}");
}

/// Returns the error of a checkpoint whose specification has another value at a place.
fn refused(model: &ModelSpec, place: &str, value: Value) -> CheckpointError {
    let mut text = serde_json::to_value(model).unwrap();
    *text.pointer_mut(place).unwrap() = value;
    read(&file(model, &text)).map(|_| ()).unwrap_err()
}

#[test]
fn what_cannot_work_is_named() {
    let models = models();
    let unet = &models[1];
    for (place, value, key) in [
        ("/data/range", json!([255.0, 0.0]), "data.range"),
        ("/data/transform/scale", json!([0.0]), "data.transform.scale"),
        ("/data/transform/offset", json!([]), "data.transform"),
        ("/data/shape/image/height", json!(u64::MAX), "data.shape"),
        ("/data/shape/image/width", json!(0), "data.shape"),
        ("/config/flow/sigma_min", json!(-1.0), "flow.sigma_min"),
        ("/config/flow/sigma_max", json!(1e-4), "flow.sigma_max"),
        ("/config/flow/sigma_data", json!(0.0), "flow.sigma_data"),
        ("/config/flow/sigma_data", json!(null), "flow.sigma_data"),
    ] {
        match refused(unet, place, value) {
            CheckpointError::Specification { source: ModelError::Config(error), .. } => assert_eq!(error.key, key),
            other => panic!("{place}: {other}"),
        }
    }
    for (place, value) in [
        ("/config/network/blocks", json!(1_000_000_000_u64)),
        ("/config/network/width", json!(u64::MAX)),
        ("/config/network/multipliers", json!(vec![1; 64])),
        ("/config/network/multipliers", json!([1, u64::MAX / 8])),
    ] {
        let error = refused(unet, place, value);
        assert!(matches!(error, CheckpointError::Specification { source: ModelError::Network(_), .. }), "{error}");
    }
    // Sizes are compared with the tensors before the network is built: one of them has 10^13 weights.
    for (place, value) in [("/config/network/width", json!(400_000)), ("/config/network/blocks", json!(1000))] {
        let error = refused(unet, place, value);
        assert!(matches!(error, CheckpointError::Weights { .. }), "{error}");
    }
    // 36 channels in heads of 5: seven heads, which do not divide them.
    let mut heads = models[2].clone();
    if let NetworkConfig::AdmUnet(adm) = &mut heads.config.network {
        (adm.width, adm.multipliers, adm.head) = (12, vec![1, 1], 2);
        assert!(heads.weight_count().is_ok());
    }
    if let NetworkConfig::AdmUnet(adm) = &mut heads.config.network {
        adm.multipliers = vec![1, 3];
        adm.head = 5;
    }
    assert!(matches!(heads.weight_count(), Err(ModelError::Network(_))));
    // Images of 10^9 values, whose network has no more weights than that of small ones.
    let scores = &models[4];
    let mut large = scores.clone();
    large.data.shape = pfgm_data::Shape::Image { height: 1 << 16, width: 1 << 14, channels: 1 };
    if memory::available() < 60_000_000_000 {
        let error = read(&file(scores, &serde_json::to_value(&large).unwrap())).map(|_| ()).unwrap_err();
        assert!(matches!(error, CheckpointError::Memory { .. }), "{error}");
    }
    let mut upscaling = unet.clone();
    upscaling.config.upscale = Some(UpscaleConfig { factor: 3, ..UpscaleConfig::default() });
    assert!(matches!(upscaling.check(), Err(ModelError::Sides { key: "upscale.factor", .. })));
}

#[test]
fn weights_are_counted_without_being_made() {
    for model in models() {
        let network = model.network(&Device::flex()).unwrap();
        let shapes = model.network_shapes(&Device::flex()).unwrap();
        assert_eq!(weights::names_and_shapes(&shapes), weights::names_and_shapes(&network));
        let counted: usize = weights::collect(&network).iter().map(|weight| weight.values.len()).sum();
        assert_eq!(model.weight_count().unwrap(), counted);
    }
    // The largest network that may be described.
    let mut huge = models().remove(1);
    let unet = UnetConfig { width: 1 << 20, blocks: 1024, ..UnetConfig::default() };
    huge.config.network = NetworkConfig::Unet(UnetConfig { multipliers: vec![1; 4], ..unet });
    assert!(huge.weight_count().unwrap() > 1 << 53);
}
