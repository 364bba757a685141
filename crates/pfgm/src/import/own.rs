//! Files exported by this crate, whose metadata contain the whole specification.

use std::{collections::HashMap, path::Path};

use pfgm_torch::File;

use super::{ImportError, Imported, Problem, Request, score_sde, tensors::Tensors};
use crate::{
    checkpoint::{Checkpoint, Group},
    device,
    spec::{ModelError, ModelSpec},
    weights::{self, Weight},
};

/// The key of the metadata.
const KEY: &str = "pfgm";

/// Imports a file with the specification of this crate; None if it has none.
pub fn import(file: &File, path: &Path, request: &Request) -> Result<Option<Imported>, ImportError> {
    let Some(text) = file.metadata(KEY) else { return Ok(None) };
    let imported = match serde_json::from_str::<ModelSpec>(text) {
        Ok(spec) => exported(file, path, spec)?,
        // A checkpoint has more entries than the specification.
        Err(_) => {
            let checkpoint = Checkpoint::read(path).map_err(|source| ImportError::Checkpoint(Box::new(source)))?;
            let average: Vec<Weight> = checkpoint.group(Group::Average).values().cloned().collect();
            Imported { spec: checkpoint.spec.clone(), step: checkpoint.step, average, assumed: Vec::new() }
        }
    };
    check_request(request, &imported.spec).map_err(|problem| problem.at(path))?;
    Ok(Some(imported))
}

/// Weights under this crate's names, or under those of PFGM's authors.
fn exported(file: &File, path: &Path, spec: ModelSpec) -> Result<Imported, ImportError> {
    let wrong = |source: ModelError| ImportError::Spec { path: path.to_owned(), source };
    spec.check().map_err(wrong)?;
    let network = spec.network_shapes(&device::cpu()).map_err(|error| wrong(error.into()))?;
    let tensors = Tensors::read(file, &file.root().state_dict()?, "")?;
    let average = if tensors.has("all_modules.0.") {
        score_sde::convert(tensors).map_err(|problem| ImportError::unsupported(file, problem))?.weights
    } else {
        tensors.into_weights()
    };
    let by_name: HashMap<_, _> = average.iter().map(|weight| (weight.name.clone(), weight.clone())).collect();
    weights::check(&network, &by_name).map_err(|source| ImportError::Weights { path: path.to_owned(), source })?;
    let step = file.metadata("step").and_then(|step| step.parse().ok()).unwrap_or(0);
    Ok(Imported { spec, step, average, assumed: Vec::new() })
}

/// Checks that the request does not contradict the file, which contains all properties.
fn check_request(request: &Request, spec: &ModelSpec) -> Result<(), Problem> {
    let Request { method, size, extra_dims, images, like, autoencoder } = request;
    let said = |field| Err(Problem::Contradiction(field, "the file has its whole configuration; omit it".into()));
    match (size, spec.data.shape) {
        (Some([height, width]), pfgm_data::Shape::Image { height: rows, width: columns, .. })
            if (*height, *width) != (rows, columns) =>
        {
            return said("size");
        }
        (Some(_), pfgm_data::Shape::Vector { .. }) => return said("size"),
        _ => {}
    }
    let given = [
        ("method", method.is_some()),
        ("extra_dims", extra_dims.is_some_and(|asked| asked != spec.extra_dims())),
        ("images", images.is_some()),
        ("like", like.is_some()),
        ("autoencoder", autoencoder.is_some()),
    ];
    given.into_iter().find(|(_, given)| *given).map_or(Ok(()), |(field, _)| said(field))
}
