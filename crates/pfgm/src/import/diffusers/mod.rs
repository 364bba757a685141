//! Folders that the library diffusers writes: `UNet2DModel` with the schedule of its training.

mod config;
mod export;
mod schedule;
mod weights;

use std::path::{Path, PathBuf};

use pfgm_data::{Shape, Transform};
use pfgm_nn::DiffusersUnetConfig;

pub use self::export::{DiffusersFolder, diffusers_folder};
pub use self::weights::{take_attention, take_block};
use self::{
    config::{Size, Unet},
    schedule::Scheduler,
};
use super::{
    ImportError, Imported, Problem, Request, check,
    folder::{read_json, read_weights},
};
use crate::{
    config::{Config, DataConfig, FlowConfig, SampleConfig, TrainConfig},
    extra_dims::ExtraDims,
    network::NetworkConfig,
    prediction::Output,
    solver::Solver,
    spec::{DataInfo, ModelSpec},
};

/// Folders of the network in a pipeline's folder; averages first.
const FOLDERS: [&str; 3] = ["unet_ema", "unet", "."];

/// Where the scheduler's configuration is in a pipeline's folder. Pipelines of a network alone have no folders.
const SCHEDULERS: [&str; 2] = ["scheduler/scheduler_config.json", "scheduler_config.json"];

/// Imports a folder: a pipeline's with `unet` and `scheduler`, or a network's own.
pub fn import(folder: &Path, request: &Request) -> Result<Imported, ImportError> {
    let unsupported = |path: &Path, problem: String| ImportError::Unsupported { path: path.to_owned(), problem };
    let found = FOLDERS.iter().map(|name| folder.join(name)).find(|folder| folder.join("config.json").is_file());
    let Some(network_folder) = found else {
        return Err(unsupported(folder, "no unet/config.json in this folder: not a pipeline of diffusers".into()));
    };
    let config_path = network_folder.join("config.json");
    let unet: Unet = read_json(&config_path)?;
    let network = unet.network().map_err(|problem| unsupported(&config_path, problem))?;
    let mut notes = vec![format!("weights: those of `{}`", network_folder.display())];
    let (scheduler_path, scheduler) = scheduler(folder, &mut notes)?;
    let output = scheduler.output().map_err(|problem| unsupported(&scheduler_path, problem))?;
    notes.extend(scheduler.notes());
    if unet.has_variance() {
        notes.push("half of the outputs, a variance, are not used".into());
    }
    if unet.is_fourier() {
        notes.push("the network takes the logarithm of the step: flows end at step 1".into());
    }
    check_request(request).map_err(|problem| problem.at(folder))?;
    let size = image_size(request, &unet).map_err(|problem| problem.at(folder))?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let spec = specification(&name, &unet, output, network.clone(), size);
    let (weights_path, mut tensors) = read_weights(&network_folder)?;
    let taken = weights::take(&mut tensors, &unet, &network).and_then(|()| tensors.finish());
    let weights = taken.map_err(|problem| unsupported(&weights_path, problem))?;
    check(folder, &spec, &weights)?;
    Ok(Imported { spec, step: 0, average: weights, assumed: notes })
}

/// Reads the scheduler of a pipeline's folder; DDPM's if there is none.
fn scheduler(folder: &Path, notes: &mut Vec<String>) -> Result<(PathBuf, Scheduler), ImportError> {
    let found = SCHEDULERS.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    let Some(path) = found else {
        notes.push("no scheduler: 1000 steps, beta from 1e-4 to 0.02, noise predicted, as DDPM is published".into());
        return Ok((folder.to_owned(), Scheduler::default()));
    };
    let scheduler = read_json(&path)?;
    Ok((path, scheduler))
}

fn check_request(request: &Request) -> Result<(), Problem> {
    let Request { method, size: _, extra_dims, images, like, autoencoder } = request;
    let given = [
        ("method", method.is_some()),
        ("extra_dims", extra_dims.is_some()),
        ("images", images.is_some()),
        ("like", like.is_some()),
        ("autoencoder", autoencoder.is_some()),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        Some((field, _)) => Err(Problem::Contradiction(field, "the folder's scheduler says it; omit it".into())),
        None => Ok(()),
    }
}

fn image_size(request: &Request, unet: &Unet) -> Result<[usize; 2], Problem> {
    let found = unet.sample_size.map(|size| match size {
        Size::Square(side) => [side, side],
        Size::Rectangle(sides) => sides,
    });
    let problem = "the configuration has no sample_size; give height and width";
    request.size.or(found).ok_or_else(|| Problem::Missing("size", problem.into()))
}

fn specification(
    name: &str,
    unet: &Unet,
    output: Output,
    network: DiffusersUnetConfig,
    [height, width]: [usize; 2],
) -> ModelSpec {
    let range = match &output {
        Output::Discrete { schedule, .. } => {
            let lowest = usize::from(network.fourier);
            (schedule.levels().get(lowest).copied().unwrap_or(0.0), schedule.highest())
        }
        _ => (0.0, 0.0),
    };
    let classes = unet.num_class_embeds.unwrap_or(0);
    let config = Config {
        data: DataConfig { source: name.to_owned(), conditional: classes > 0, ..DataConfig::default() },
        flow: FlowConfig {
            extra_dims: ExtraDims::Infinite,
            sigma_min: range.0,
            sigma_max: Some(range.1),
            sigma_data: Some(0.5),
            far_field: false,
            output,
            ..FlowConfig::default()
        },
        network: NetworkConfig::DiffusersUnet(network),
        // Nobody hid the classes from it.
        train: TrainConfig { label_dropout: 0.0, ..TrainConfig::default() },
        sample: SampleConfig { solver: Solver::heun(18).into(), ..SampleConfig::default() },
        ..Config::default()
    };
    let data = DataInfo {
        name: name.to_owned(),
        shape: Shape::Image { height, width, channels: unet.in_channels },
        // Bytes to [-1, 1].
        transform: Transform { offset: vec![127.5], scale: vec![127.5] },
        range: (0.0, 255.0),
        columns: Vec::new(),
        classes: (0..classes.min(1 << 20)).map(|class| class.to_string()).collect(),
        class_counts: Vec::new(),
        whole_columns: Vec::new(),
        table: None,
        rows: 0,
    };
    ModelSpec { config, data }
}
