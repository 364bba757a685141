//! Models in files: runs, checkpoints, bundled weights, published checkpoints.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use safetensors::{Dtype, tensor::TensorView};

use super::{Model, TrainingState};
use crate::{
    autoencoder::{Autoencoder, AutoencoderPart},
    bundled,
    checkpoint::{self, Checkpoint, CheckpointError, Group},
    device,
    error::{Error, Result},
    import::{self, Request, diffusers_folder, released_names},
    onnx_file,
    train::{RunLock, TrainError},
    weights::{self, Weight},
};

/// Names of the weights in an exported file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WeightNames {
    /// A checkpoint of averaged weights, which [`Model::load`] reads.
    #[default]
    Checkpoint,
    /// The paths of fields in this crate's networks, in their order.
    Own,
    /// The names of PFGM's published checkpoints; DDPM++ and NCSN++ networks only.
    Pfgm,
}

impl Model {
    /// Loads the averaged weights of a run's latest checkpoint, a checkpoint file or, if nothing of that name exists, a bundled model
    /// (`digits`, `fashion-mnist`), onto the CPU.
    ///
    /// ```
    /// use pfgm::prelude::*;
    ///
    /// let model = Model::load("digits")?;
    /// assert_eq!((model.dim(), model.classes().len()), (64, 10));
    /// assert!(Model::load("no such run").is_err());
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if there is no such model, or its file is damaged.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Self::load_on(path, &device::open("cpu")?)
    }

    /// Loads a model as [`Model::load`] does, onto a device: see [`device::open`].
    ///
    /// # Errors
    /// Returns an error if there is no such model, its file is damaged, or the device does not support its precision.
    pub fn load_on(path: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let path = path.as_ref();
        if !bundled::exists(path) {
            let names: Vec<_> = bundled::BUNDLED.iter().map(|bundled| bundled.name).collect();
            let problem =
                format!("{}: no such run or checkpoint; bundled models are {}", path.display(), names.join(", "));
            return Err(Error::argument("path", problem));
        }
        Self::from_checkpoint(&bundled::open(path)?, path, device)
    }

    /// Loads a bundled model (`digits`, `fashion-mnist`) onto a device, even if a file with its name exists.
    ///
    /// # Errors
    /// Returns an error if there is no such model, or the device does not support its precision.
    pub fn bundled(name: &str, device: &Device) -> Result<Self> {
        let path = Path::new(name);
        let bundled = bundled::find(path).ok_or_else(|| {
            let names: Vec<_> = bundled::BUNDLED.iter().map(|bundled| bundled.name).collect();
            Error::argument("name", format!("no bundled model `{name}`; there are {}", names.join(", ")))
        })?;
        Self::from_checkpoint(&bundled::checkpoint(bundled), path, device)
    }

    /// Loads a run's latest checkpoint with the state of its training, so that [`Model::fit`] continues exactly where it ended.
    ///
    /// ```
    /// use pfgm::{device, prelude::*};
    ///
    /// let (data, folder) = (Dataset::open("disk")?, tempfile::tempdir().unwrap());
    /// let mut model = Model::builder().build(&data)?;
    /// model.fit(&data, Fit::steps(3).batch(16))?;
    /// model.save(folder.path())?;
    /// let mut again = Model::resume(folder.path(), &device::open("cpu")?)?;
    /// assert_eq!(again.fit(&data, Fit::steps(5).batch(16))?.steps, 5);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if there is no such run, its file is damaged, or it has no state of a training.
    pub fn resume(path: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let path = path.as_ref();
        let checkpoint = Checkpoint::read(&checkpoint::find(path)?)?;
        if checkpoint.group(Group::First).is_empty() {
            let problem =
                format!("{}: holds averaged weights only; load it with `load`, and train it anew", path.display());
            return Err(Error::argument("path", problem));
        }
        let model = Self::from_checkpoint(&checkpoint, path, device)?;
        Ok(Self { training: TrainingState::Resumable(Box::new(checkpoint)), ..model })
    }

    fn from_checkpoint(checkpoint: &Checkpoint, path: &Path, device: &Device) -> Result<Self> {
        let (spec, network) = (checkpoint.spec.clone(), checkpoint.averaged(path, device)?);
        spec.config.sample.precision.check(&spec.config.network, device)?;
        Ok(Self::assemble(spec, network, device, checkpoint.step))
    }

    /// Saves the model as a run: its configuration and a checkpoint, with the state of the training if there is one.
    ///
    /// ```
    /// use pfgm::prelude::*;
    ///
    /// let folder = tempfile::tempdir().unwrap();
    /// let model = Model::load("digits")?;
    /// model.save(folder.path())?;
    /// let again = Model::load(folder.path())?;
    /// assert_eq!(again.sample(1).draw()?, model.sample(1).draw()?);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if the folder has a checkpoint of a later step, cannot be written, or is written to by another process.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, error))?;
        let _lock = RunLock::acquire(folder).map_err(TrainError::from)?;
        let path = checkpoint::path_of(folder, self.step);
        if let Some(latest) = checkpoint::list(folder).pop().filter(|latest| *latest > path) {
            let problem =
                format!("{}: has a later checkpoint, {}; name another folder", folder.display(), latest.display());
            return Err(Error::argument("folder", problem));
        }
        self.begin_folder(folder)?;
        Ok(self.checkpoint().write(&path)?)
    }

    /// The model as the bytes of a checkpoint file, with the state of the training if there is one.
    ///
    /// ```
    /// use pfgm::{device, prelude::*};
    ///
    /// let model = Model::load("digits")?;
    /// let again = Model::from_bytes(&model.to_bytes()?, &device::open("cpu")?)?;
    /// assert_eq!(again.sample(1).draw()?, model.sample(1).draw()?);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if two weights have the same name.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        Ok(self.checkpoint().to_bytes()?)
    }

    /// Reads a model from the bytes of a checkpoint file, onto a device. If they have the state of a training, [`Model::fit`] goes on with
    /// it.
    ///
    /// # Errors
    /// Returns an error if the bytes are damaged, or the device does not compute in the model's precision.
    pub fn from_bytes(bytes: &[u8], device: &Device) -> Result<Self> {
        let path = Path::new("the bytes");
        let checkpoint = Checkpoint::parse(path, bytes)?;
        let model = Self::from_checkpoint(&checkpoint, path, device)?;
        if checkpoint.group(Group::First).is_empty() {
            return Ok(model);
        }
        Ok(Self { training: TrainingState::Resumable(Box::new(checkpoint)), ..model })
    }

    /// The model as a checkpoint.
    fn checkpoint(&self) -> Checkpoint {
        match &self.training {
            TrainingState::Resumable(state) => self.with_spec(state),
            _ => Checkpoint::new(self.step, self.spec.clone(), [(Group::Average, weights::collect(&self.network))]),
        }
    }

    /// A checkpoint of this model with its specification as it is now.
    pub(super) fn with_spec(&self, checkpoint: &Checkpoint) -> Checkpoint {
        let mut checkpoint = checkpoint.clone();
        checkpoint.spec = self.spec.clone();
        checkpoint
    }

    /// Writes the averaged weights to one file in the safetensors format.
    ///
    /// ```
    /// use pfgm::prelude::*;
    ///
    /// let folder = tempfile::tempdir().unwrap();
    /// let file = folder.path().join("weights.safetensors");
    /// let model = Model::load("digits")?;
    /// model.export(&file, WeightNames::Checkpoint)?;
    /// assert_eq!(Model::load(&file)?.sample(1).draw()?, model.sample(1).draw()?);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if the network has no weights of such names, or the file cannot be written.
    pub fn export(&self, path: impl AsRef<Path>, names: WeightNames) -> Result<()> {
        let (path, average) = (path.as_ref(), weights::collect(&self.network));
        let weights = match names {
            WeightNames::Checkpoint => {
                return Ok(Checkpoint::new(self.step, self.spec.clone(), [(Group::Average, average)]).write(path)?);
            }
            WeightNames::Own => average,
            WeightNames::Pfgm => {
                let by_name = average.into_iter().map(|weight| (weight.name.clone(), weight)).collect();
                released_names(&self.spec.config.network, &by_name)
                    .map_err(|problem| Error::argument("names", problem))?
            }
        };
        let file = self.safetensors(&weights);
        pfgm_data::atomic::write(path, &file).map_err(|error| Error::io(path, error))
    }

    /// Writes the averaged weights as a folder of diffusers: `UNet2DModel` with a `DDPMScheduler`.
    ///
    /// # Errors
    /// Returns an error if diffusers has no equal of the network or the schedule, or a file cannot be written.
    pub fn export_diffusers(&self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        let average = weights::collect(&self.network);
        let by_name = average.into_iter().map(|weight| (weight.name.clone(), weight)).collect();
        let written = diffusers_folder(&self.spec, &by_name).map_err(|problem| Error::argument("format", problem))?;
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            let parent = path.parent().unwrap_or(folder);
            std::fs::create_dir_all(parent).map_err(|error| Error::io(parent, error))?;
            pfgm_data::atomic::write(&path, bytes).map_err(|error| Error::io(&path, error))
        };
        for (name, text) in &written.files {
            write(name, text.as_bytes())?;
        }
        write("unet/diffusion_pytorch_model.safetensors", &safetensors(&written.weights, HashMap::new()))
    }

    /// Writes the model as a graph of ONNX (opset 18), with the averaged weights, in the model's space, in single precision, for any batch size
    /// and, for images, any height and width: `yhat(x, sigma, labels)`, or the consistency function `f(x, sigma, labels)` of a distilled
    /// model. A model that upscales has its low-resolution image as a further input. Weights of more than 2 GB are written to a second file,
    /// `NAME.data` in the folder of `NAME`. Returns the paths of the files.
    ///
    /// ```
    /// use pfgm::prelude::*;
    ///
    /// let folder = tempfile::tempdir().unwrap();
    /// let file = folder.path().join("digits.onnx");
    /// assert_eq!(Model::load("digits")?.export_onnx(&file)?, [file]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn export_onnx(&self, path: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
        self.export_onnx_with(path.as_ref(), onnx_file::MOST_BYTES)
    }

    /// As [`Model::export_onnx`], with another limit of the first file's weights.
    fn export_onnx_with(&self, path: &Path, most_bytes: usize) -> Result<Vec<PathBuf>> {
        let (graph, metadata) = (self.spec.graph(&self.network), self.spec.graph_metadata());
        onnx_file::write(path, &graph, &self.spec.data.name, &metadata, most_bytes)
    }

    /// Writes half of the autoencoder of a flow of latents as a graph of ONNX: see [`Autoencoder::export_onnx`]. Latents are in the units of the
    /// flow's data.
    ///
    /// # Errors
    /// Returns an error if the flow is not one of latents, its autoencoder cannot be read, or the file cannot be written.
    pub fn export_autoencoder(&self, path: impl AsRef<Path>, part: AutoencoderPart) -> Result<Vec<PathBuf>> {
        match Autoencoder::of(&self.spec.config.data, &self.device)? {
            Some(autoencoder) => autoencoder.export_onnx(path, part),
            None => Err(Error::argument("part", "the flow is not one of latents (data.autoencoder); omit it")),
        }
    }

    fn safetensors(&self, weights: &[Weight]) -> Vec<u8> {
        let spec = serde_json::to_string(&self.spec).expect("a spec is plain data");
        let metadata = HashMap::from([("pfgm".to_owned(), spec), ("step".to_owned(), self.step.to_string())]);
        safetensors(weights, metadata)
    }

    /// Imports a published checkpoint of PFGM, PFGM++, EDM or a score model, onto the CPU. Properties that the file does not contain are
    /// assumed as published for CIFAR-10: see [`Model::assumptions`].
    ///
    /// ```no_run
    /// use pfgm::prelude::*;
    ///
    /// let model = Model::import("edm-cifar10-32x32-uncond-vp.pkl")?;
    /// for assumption in model.assumptions() {
    ///     println!("assumed: {assumption}");
    /// }
    /// model.save("runs/edm")?;
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if the file is not a checkpoint of a known network.
    pub fn import(path: impl AsRef<Path>) -> Result<Self> {
        Self::import_with(path, &Request::default(), &device::open("cpu")?)
    }

    /// Imports a published checkpoint like [`Model::import`], with given properties, onto a device.
    ///
    /// # Errors
    /// Returns an error if the file is not a checkpoint of a known network, or `request` contradicts it.
    pub fn import_with(path: impl AsRef<Path>, request: &Request, device: &Device) -> Result<Self> {
        let imported = import::import(path.as_ref(), request)?;
        let by_name = imported.average.into_iter().map(|weight| (weight.name.clone(), weight)).collect();
        let network = weights::assign(imported.spec.network(device)?, &by_name)?;
        let model = Self::assemble(imported.spec, network, device, imported.step);
        Ok(Self { assumptions: imported.assumed, ..model })
    }

    /// Returns the path of a run's latest checkpoint.
    ///
    /// # Errors
    /// Returns an error if there is none.
    pub fn latest_checkpoint(run: impl AsRef<Path>) -> Result<PathBuf, CheckpointError> {
        checkpoint::find(run.as_ref())
    }
}

/// A safetensors file.
fn safetensors(weights: &[Weight], metadata: HashMap<String, String>) -> Vec<u8> {
    let little_endian = |weight: &Weight| weight.values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let bytes: Vec<Vec<u8>> = weights.iter().map(little_endian).collect();
    let views = weights.iter().zip(&bytes).map(|(weight, bytes)| {
        // The length of `bytes` follows from the shape, so this cannot fail.
        let view = TensorView::new(Dtype::F32, weight.shape.clone(), bytes).expect("four bytes a value");
        (weight.name.clone(), view)
    });
    safetensors::serialize(views, Some(metadata)).expect("names are unique")
}

#[cfg(test)]
mod tests {
    use pfgm_data::Dataset;

    use super::*;
    use crate::{
        conditioning::{LowResolution, UpscaleConfig},
        config::Config,
        model::Distill,
    };

    #[test]
    fn many_weights_go_to_a_file_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let model = Model::load("digits").unwrap();
        let size = |path: &Path| std::fs::metadata(path).unwrap().len() as usize;
        let whole = folder.path().join("whole.onnx");
        assert_eq!(model.export_onnx_with(&whole, onnx_file::MOST_BYTES).unwrap(), std::slice::from_ref(&whole));
        let (graph, weights) = (folder.path().join("parts.onnx"), folder.path().join("parts.onnx.data"));
        assert_eq!(model.export_onnx_with(&graph, 1000).unwrap(), [graph.clone(), weights.clone()]);
        assert!(size(&whole) > 4 * model.weights() && size(&whole) < 5 * model.weights());
        // Small constants stay with the graph.
        assert!(size(&weights) < 4 * model.weights() && size(&weights) > 9 * 4 * model.weights() / 10);
        assert!(size(&graph) + size(&weights) > size(&whole));
        let text = std::fs::read(&graph).unwrap();
        let has = |name: &[u8]| text.windows(name.len()).any(|window| window == name);
        assert!(has(b"parts.onnx.data") && has(b"sigma") && has(b"labels") && has(b"yhat"));
    }

    #[test]
    fn graphs_name_what_they_take_and_compute() {
        let digits = Dataset::open("digits").unwrap().select(&[0, 1, 2]);
        let model = Model::load("digits").unwrap();
        let distilled = model.distill(&digits, Distill::consistency(2)).unwrap();
        let mut config = Config::for_data(&digits);
        config.data.source = "digits".into();
        config.upscale = Some(UpscaleConfig { factor: 2, ..UpscaleConfig::default() });
        let upscaling = Model::from_config(config, &digits).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.onnx");
        for (model, output, takes_image) in
            [(&model, "yhat", false), (&distilled, "f", false), (&upscaling, "yhat", true)]
        {
            model.export_onnx(&file).unwrap();
            let bytes = std::fs::read(&file).unwrap();
            // Fields of Protobuf: field 1 with the length of the name, then field 2 (the type of a value, or the text of an entry).
            let has = |name: &str| {
                let named = [&[0x0a, name.len() as u8][..], name.as_bytes(), &[0x12]].concat();
                bytes.windows(named.len()).any(|window| window == named)
            };
            assert_eq!((has("yhat"), has("f")), (output == "yhat", output == "f"));
            assert_eq!([has("low_resolution"), has("low_resolution_noise"), has("factor")], [takes_image; 3]);
        }
        let error = model.export_autoencoder(&file, AutoencoderPart::Encoder).unwrap_err();
        assert!(error.to_string().contains("data.autoencoder"), "{error}");
    }

    #[test]
    fn upscaling_and_distilled_models_are_evaluated() {
        let digits = Dataset::open("digits").unwrap().select(&[0, 1, 2]);
        let mut config = Config::for_data(&digits);
        config.data.source = "digits".into();
        config.upscale = Some(UpscaleConfig { factor: 2, ..UpscaleConfig::default() });
        let upscaling = Model::from_config(config, &digits).unwrap();
        let x = vec![0.5; 2 * 64];
        assert!(upscaling.predict(&x, &[1.0, 1.0], &[]).is_err());
        let of =
            |image: &[f32], noise| upscaling.predict_upscaled(&x, &[1.0, 1.0], &[], LowResolution { image, noise });
        assert!(of(&[0.5; 16], 0.1).unwrap_err().to_string().contains("16 for each"));
        let found = of(&[[0.5; 16], [-0.5; 16]].concat(), 0.1).unwrap().yhat;
        assert!(found.iter().all(|value| value.is_finite()));
        let low = LowResolution { image: &[0.5; 32], noise: 0.0 };
        let model = Model::load("digits").unwrap();
        assert!(
            model.predict_upscaled(&x, &[1.0, 1.0], &[], low).unwrap_err().to_string().contains("does not upscale")
        );
        // Before its training, a distilled model jumps where its start has yhat.
        let distilled = model.distill(&digits, Distill::consistency(2)).unwrap();
        let yhat = model.predict(&x, &[1.0, 1.0], &[]).unwrap().yhat;
        assert_eq!(distilled.predict(&x, &[1.0, 1.0], &[]).unwrap().yhat, yhat);
    }
}
