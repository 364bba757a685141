//! `Model`: a trained flow.

mod train;

use std::path::PathBuf;

use numpy::{PyArray1, PyReadonlyArray1};
use pfgm::{
    autoencoder::AutoencoderPart,
    device,
    import::{Method, Request},
    model::{Integration, Latents, Samples, Trace, WeightNames},
    prelude::{Likelihood as HowLikely, Probe},
    solver::Solver,
};
use pfgm_flow::extra_dims::ExtraDims;
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict},
};

use self::train::Trained;
use crate::{
    data::{Rows, list_of},
    failure::{Failure, Result},
    operator::{self, Approach, Operator},
    options::{How, Likelihood, Measured, Sampling, numbers},
    solver,
    watch::Watch,
};

/// A flat array of double precision.
pub type Doubles<'py> = PyReadonlyArray1<'py, f64>;
/// Values, class numbers and evaluations a row.
pub type Drawn<'py> = (Bound<'py, PyAny>, Vec<Option<u32>>, f64);

/// A trained flow.
#[pyclass(frozen, module = "pfgm._pfgm")]
pub struct Model {
    // The network is aligned to lines of the cache, the objects of Python's allocator are not.
    inner: Box<pfgm::Model>,
}

/// What a published checkpoint does not say by itself.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Published {
    method: Option<String>,
    size: Option<[usize; 2]>,
    extra_dims: Option<f64>,
    images: Option<(f64, f64)>,
    autoencoder: Option<String>,
}

impl Published {
    fn request(self) -> Result<Request> {
        const METHODS: [Method; 6] = [Method::Pfgm, Method::Ve, Method::Vp, Method::SubVp, Method::PfgmPp, Method::Edm];
        let find = |name: String| {
            let known = METHODS.map(Method::as_str).join(", ");
            let found = METHODS.into_iter().find(|method| method.as_str() == name);
            found.ok_or_else(|| Failure::of("method", format!("unknown method `{name}`, expected one of {known}")))
        };
        let extra_dims = |d: f64| if d.is_finite() { ExtraDims::Finite(d) } else { ExtraDims::Infinite };
        Ok(Request {
            method: self.method.map(find).transpose()?,
            size: self.size,
            extra_dims: self.extra_dims.map(extra_dims),
            images: self.images,
            like: None,
            autoencoder: self.autoencoder,
        })
    }
}

/// The slice of a flat array.
pub fn slice<'a>(array: &'a Doubles<'_>) -> Result<&'a [f64]> {
    Ok(array.as_slice().map_err(PyErr::from)?)
}

/// Samples as an array: in double precision if single precision would round them visibly.
pub fn drawn<'py>(py: Python<'py>, samples: Samples) -> Drawn<'py> {
    let (classes, nfe) = (samples.classes.clone(), samples.nfe());
    let values = match samples.wide_values() {
        Some(wide) => PyArray1::from_slice(py, wide).into_any(),
        None => PyArray1::from_vec(py, samples.into_values()).into_any(),
    };
    (values, classes, nfe)
}

#[pymethods]
impl Model {
    /// Trains a model on rows; see `train::run`.
    #[staticmethod]
    fn train(
        py: Python<'_>,
        rows: &Rows,
        options: &Bound<'_, PyAny>,
        report: Option<Py<PyAny>>,
        start: Option<&Self>,
    ) -> Result<Trained> {
        train::run(py, &rows.set, options, report, start)
    }

    /// Loads a run, a checkpoint file or a bundled model.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf, device: String) -> Result<Self> {
        let load = || -> Result<pfgm::Model> { Ok(pfgm::Model::load_on(path, &opened(&device)?)?) };
        Ok(Self::new(py.detach(load)?))
    }

    /// Imports a published checkpoint.
    #[staticmethod]
    fn import_checkpoint(py: Python<'_>, path: PathBuf, published: &Bound<'_, PyAny>, device: String) -> Result<Self> {
        let request = published.extract::<Published>()?.request()?;
        let load = || -> Result<pfgm::Model> { Ok(pfgm::Model::import_with(path, &request, &opened(&device)?)?) };
        Ok(Self::new(py.detach(load)?))
    }

    /// Reads a model from the bytes of a checkpoint.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, bytes: &[u8]) -> Result<Self> {
        let load = || -> Result<pfgm::Model> { Ok(pfgm::Model::from_bytes(bytes, &opened("cpu")?)?) };
        Ok(Self::new(py.detach(load)?))
    }

    /// The model as the bytes of a checkpoint, with the state of its training.
    fn to_bytes<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| self.inner.to_bytes())?;
        Ok(PyBytes::new(py, &bytes))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> Result<(Py<PyAny>, (Bound<'py, PyBytes>,))> {
        let read = py.get_type::<Self>().getattr("from_bytes")?.unbind();
        Ok((read, (self.to_bytes(py)?,)))
    }

    /// Saves the model as a run.
    fn save(&self, py: Python<'_>, folder: PathBuf) -> Result<()> {
        Ok(py.detach(|| self.inner.save(folder))?)
    }

    /// Writes the averaged weights for other programs.
    fn export(&self, py: Python<'_>, path: PathBuf, format: &str, part: &str) -> Result<()> {
        let write = || match (format, part) {
            ("onnx", "encoder") => self.inner.export_autoencoder(path, AutoencoderPart::Encoder).map(drop),
            ("onnx", "decoder") => self.inner.export_autoencoder(path, AutoencoderPart::Decoder).map(drop),
            ("onnx", _) => self.inner.export_onnx(path).map(drop),
            ("diffusers", _) => self.inner.export_diffusers(path),
            _ => self.inner.export(path, WeightNames::Checkpoint),
        };
        Ok(py.detach(write)?)
    }

    /// What is known about the model.
    fn info<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyDict>> {
        let (model, spec) = (&self.inner, self.inner.spec());
        let (sigma_min, sigma_max) = spec.range();
        let info = PyDict::new(py);
        info.set_item("name", &spec.data.name)?;
        info.set_item("row_shape", list_of(spec.data.shape))?;
        info.set_item("classes", model.classes())?;
        info.set_item("columns", &spec.data.columns)?;
        info.set_item("range", spec.data.range)?;
        info.set_item("rows", spec.data.rows)?;
        info.set_item("step", model.step())?;
        info.set_item("weights", model.weights())?;
        info.set_item("D", number_of(spec.extra_dims()))?;
        info.set_item("sigma_min", sigma_min)?;
        info.set_item("sigma_max", sigma_max)?;
        info.set_item("assumptions", model.assumptions())?;
        let config = serde_json::to_string(&spec.config).map_err(|error| Failure::Value(error.to_string()))?;
        info.set_item("config", config)?;
        Ok(info)
    }

    /// Draws samples.
    fn sample<'py>(&self, py: Python<'py>, what: &Bound<'py, PyAny>, how: &Bound<'py, PyAny>) -> Result<Drawn<'py>> {
        let (what, how): (Sampling, How) = (what.extract()?, how.extract()?);
        let classes = what.classes.map(|names| numbers(&self.inner, &names)).transpose()?;
        let solver = solver::changed(&how.solver, &self.inner.spec().config.sample.solver)?;
        let samples = py.detach(|| {
            let watch = Watch::new(how.progress.as_ref());
            let mut sampling = self.inner.sample(0).seeds(what.seeds).latent_scale(what.latent_scale);
            sampling = sampling.batch(how.batch_size).observer(|progress| watch.observe(progress));
            if let Some(classes) = classes {
                sampling = sampling.classes(classes);
            }
            if let Some(solver) = solver {
                sampling = sampling.solver(solver);
            }
            if let Some(guidance) = how.guidance {
                sampling = sampling.guidance(guidance);
            }
            if let Some(weaker) = &what.autoguide {
                sampling = sampling.autoguide(&weaker.get().inner);
            }
            if let Some((low, high)) = what.guidance_levels {
                sampling = sampling.guidance_levels(low..=high);
            }
            let result = sampling.draw();
            watch.finish(result.map_err(Failure::from))
        })?;
        Ok(drawn(py, samples))
    }

    /// Moves rows up the flow; returns their latents and the evaluations a row.
    fn encode<'py>(
        &self,
        py: Python<'py>,
        rows: &Rows,
        how: &Bound<'py, PyAny>,
    ) -> Result<(Bound<'py, PyArray1<f64>>, f64)> {
        let how: How = how.extract()?;
        let solver = self.invertible(&how)?;
        let latents = py.detach(|| {
            let watch = Watch::new(how.progress.as_ref());
            let result = self.inner.encode(&rows.set, integration(&how, solver, &watch));
            watch.finish(result.map_err(Failure::from))
        })?;
        let nfe = latents.nfe;
        Ok((PyArray1::from_vec(py, latents.x), nfe))
    }

    /// Moves latents down the flow to data.
    fn decode<'py>(
        &self,
        py: Python<'py>,
        latents: Doubles<'py>,
        classes: Vec<Option<String>>,
        how: &Bound<'py, PyAny>,
    ) -> Result<Drawn<'py>> {
        let how: How = how.extract()?;
        let latents = Latents::new(slice(&latents)?.to_vec(), numbers(&self.inner, &classes)?);
        let solver = self.invertible(&how)?;
        let samples = py.detach(|| {
            let watch = Watch::new(how.progress.as_ref());
            let result = self.inner.decode(&latents, integration(&how, solver, &watch));
            watch.finish(result.map_err(Failure::from))
        })?;
        Ok(drawn(py, samples))
    }

    /// The logarithm of the density of each row in nats, and the evaluations a row.
    fn log_density<'py>(
        &self,
        py: Python<'py>,
        rows: &Rows,
        what: &Bound<'py, PyAny>,
        how: &Bound<'py, PyAny>,
    ) -> Result<(Bound<'py, PyArray1<f64>>, f64)> {
        let (what, how): (Likelihood, How) = (what.extract()?, how.extract()?);
        let trace = trace_of(&what.trace)?;
        let solver = self.invertible(&how)?;
        let found = py.detach(|| {
            let watch = Watch::new(how.progress.as_ref());
            let mut likelihood = HowLikely::default().trace(trace).probes(what.n_probes).draws(what.n_draws);
            likelihood = likelihood.seed(what.seed).batch(how.batch_size).observer(|progress| watch.observe(progress));
            if let Some(solver) = solver {
                likelihood = likelihood.solver(solver);
            }
            let result = self.inner.log_likelihood(&rows.set, likelihood);
            watch.finish(result.map_err(Failure::from))
        })?;
        Ok((PyArray1::from_slice(py, found.values()), found.nfe()))
    }

    /// `yhat` at points of the model's space.
    fn yhat<'py>(
        &self,
        py: Python<'py>,
        x: Doubles<'py>,
        sigma: Doubles<'py>,
        classes: Vec<Option<String>>,
    ) -> Result<Bound<'py, PyArray1<f64>>> {
        let (x, sigma, classes) = (slice(&x)?, slice(&sigma)?, numbers(&self.inner, &classes)?);
        Ok(PyArray1::from_vec(py, py.detach(|| self.inner.yhat(x, sigma, &classes))?))
    }

    /// `yhat`, and the product of `v` with its Jacobian, at points of the model's space.
    fn vjp<'py>(
        &self,
        py: Python<'py>,
        x: Doubles<'py>,
        sigma: Doubles<'py>,
        classes: Vec<Option<String>>,
        v: Doubles<'py>,
    ) -> Result<[Bound<'py, PyArray1<f64>>; 2]> {
        let (x, sigma, classes) = (slice(&x)?, slice(&sigma)?, numbers(&self.inner, &classes)?);
        let v = slice(&v)?;
        let (yhat, product) = py.detach(|| self.inner.vjp(x, sigma, &classes, v))?;
        Ok([yhat, product].map(|values| PyArray1::from_vec(py, values)))
    }

    /// Draws rows from their posterior distribution given a measurement.
    fn posterior<'py>(
        &self,
        py: Python<'py>,
        measured: &Bound<'py, PyAny>,
        operator: Operator<'py>,
        how: &Bound<'py, PyAny>,
    ) -> Result<Drawn<'py>> {
        let (measured, how): (Measured, How) = (measured.extract()?, how.extract()?);
        let classes = numbers(&self.inner, &measured.classes)?;
        let solver = solver::changed(&how.solver, &self.inner.spec().config.sample.solver)?;
        let approach = operator::approach(&measured, self.inner.spec().config.flow.sigma_data.unwrap_or(1.0))?;
        let operator = operator.linear(self.inner.dim())?;
        let samples = py.detach(|| {
            let watch = Watch::new(how.progress.as_ref());
            let mut posterior = pfgm::model::Posterior::new(measured.n, measured.noise).seed(measured.seed);
            posterior = posterior.classes(classes).batch(how.batch_size);
            posterior = posterior.observer(|progress| watch.observe(progress));
            posterior = match approach {
                Approach::Guidance(guidance) => posterior.guidance(guidance),
                Approach::Particles(count) => posterior.particles(count),
            };
            if let Some(guidance) = how.guidance {
                posterior = posterior.guidance_scale(guidance);
            }
            if let Some(solver) = solver {
                posterior = posterior.solver(solver);
            }
            let result = self.inner.posterior(&measured.a, &*operator, posterior);
            watch.finish(operator.finish(result.map_err(Failure::from)))
        })?;
        Ok(drawn(py, samples))
    }

    /// Rows as points of the model's space.
    fn to_model_space<'py>(&self, py: Python<'py>, rows: &Rows) -> Result<Bound<'py, PyArray1<f64>>> {
        let spec = self.inner.spec();
        let points = py.detach(|| Ok::<_, pfgm::Error>(spec.points(&spec.unlabeled_rows(&rows.set)?)))?;
        Ok(PyArray1::from_vec(py, points))
    }

    /// Points of the model's space in the data's own units.
    fn to_data_units<'py>(&self, py: Python<'py>, x: Doubles<'py>) -> Result<Bound<'py, PyArray1<f32>>> {
        let x = slice(&x)?;
        Ok(PyArray1::from_vec(py, py.detach(|| self.inner.spec().to_data_units(x))))
    }

    /// `count` latents on the way from each row of `from` to the same row of `to`.
    fn interpolate<'py>(
        &self,
        py: Python<'py>,
        from: Doubles<'py>,
        to: Doubles<'py>,
        count: usize,
    ) -> Result<Bound<'py, PyArray1<f64>>> {
        let rows = slice(&from)?.len() / self.inner.dim();
        let [from, to] = [slice(&from)?, slice(&to)?].map(|x| Latents::new(x.to_vec(), vec![None; rows]));
        if count < 2 || from.x.len() != to.x.len() {
            return Err(Failure::of("n", format!("{count}: give at least 2, and as many rows at both ends")));
        }
        Ok(PyArray1::from_vec(py, from.interpolate(&to, count).x))
    }
}

impl Model {
    /// A model of the library as an object of Python.
    pub fn new(model: pfgm::Model) -> Self {
        Self { inner: Box::new(model) }
    }

    /// The library's model.
    pub fn inner(&self) -> &pfgm::Model {
        &self.inner
    }

    /// The solver that leads up as well as down with the changes that are asked for.
    pub fn invertible(&self, how: &How) -> Result<Option<Solver>> {
        solver::changed(&how.solver, &self.inner.spec().invertible_solver())
    }
}

/// A device by its name.
pub fn opened(name: &str) -> Result<pfgm::burn::tensor::Device> {
    device::open(name).map_err(|error| Failure::of("device", error))
}

fn integration<'a>(how: &How, solver: Option<Solver>, watch: &'a Watch<'a>) -> Integration<'a> {
    let mut integration = Integration::default().batch(how.batch_size).observer(|progress| watch.observe(progress));
    if let Some(solver) = solver {
        integration = integration.solver(solver);
    }
    if let Some(guidance) = how.guidance {
        integration = integration.guidance(guidance);
    }
    integration
}

/// How the divergence is computed, by its name.
pub fn trace_of(name: &str) -> Result<Trace> {
    match name {
        "auto" => Ok(Trace::Auto),
        "exact" => Ok(Trace::Exact),
        "rademacher" => Ok(Trace::Probes(Probe::Rademacher)),
        "gaussian" => Ok(Trace::Probes(Probe::Gaussian)),
        _ => Err(Failure::of("trace", format!("unknown trace `{name}`, expected auto, exact, rademacher or gaussian"))),
    }
}

/// D as a number.
fn number_of(extra_dims: ExtraDims) -> f64 {
    match extra_dims {
        ExtraDims::Finite(d) => d,
        ExtraDims::Infinite => f64::INFINITY,
    }
}
