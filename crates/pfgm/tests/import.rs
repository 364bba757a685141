//! Compares imported checkpoints with the results of the authors' code (tests/parity; see strip.py there).
#![allow(missing_docs)]

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use pfgm::{
    checkpoint::{Checkpoint, Group},
    conditioning::Conditioning,
    denoiser::NetworkDenoiser,
    extra_dims::ExtraDims,
    field::ExactField,
    flow::{Counted, Denoiser, Flow, Query},
    import::{ImportError, Imported, Method, Request, import, released_names},
    likelihood::{Density, Prior, Trace},
    network::Network,
    prediction::{Arithmetic, Output, Prediction},
    prior,
    solver::{self, Solver, authors_code},
    weights,
};
use pfgm_data::npz::{Floats, read_arrays};

const SIZE: Option<[usize; 2]> = Some([16, 16]);

fn parity(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity").join(name)
}

fn case(name: &str) -> BTreeMap<String, Floats> {
    let path = parity(name);
    read_arrays(&path, &std::fs::read(&path).unwrap()).unwrap()
}

/// An image array with channels last, row after row.
fn rows(array: &Floats) -> Vec<f64> {
    let [_, channels, height, width] = array.shape[..] else { panic!("{:?}", array.shape) };
    let plane = height * width;
    let row = |row: &[f32]| -> Vec<f64> {
        (0..plane * channels).map(|at| f64::from(row[at % channels * plane + at / channels])).collect()
    };
    array.values.chunks_exact(plane * channels).flat_map(row).collect()
}

/// The largest difference, relative to the largest value.
fn difference(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    found.iter().zip(expected).fold(0.0, |most: f64, (a, b)| most.max((a - b).abs())) / largest
}

fn read(name: &str, request: &Request) -> (Imported, NetworkDenoiser) {
    read_with(name, request, Conditioning::default())
}

fn read_with(name: &str, request: &Request, conditioning: Conditioning) -> (Imported, NetworkDenoiser) {
    let imported = import(&parity(name), request).unwrap();
    let device = pfgm::device::open("cpu").unwrap();
    let by_name: HashMap<_, _> = imported.average.iter().map(|w| (w.name.clone(), w.clone())).collect();
    let network: Network = weights::assign(imported.spec.network(&device).unwrap(), &by_name).unwrap();
    let denoiser = imported.spec.denoiser(&network, conditioning, 1.0, 64, &device);
    (imported, denoiser)
}

fn yhat(denoiser: &dyn Denoiser, x: &[f64], sigma: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; x.len()];
    let item: Vec<usize> = (0..sigma.len()).collect();
    denoiser.denoise(&Query { x, sigma, item: &item }, &mut out);
    out
}

#[test]
fn released_names_and_layouts_come_back() {
    let (imported, _) = read("pfgm_ncsnpp.pth", &Request { size: SIZE, ..Request::default() });
    let by_name: HashMap<_, _> = imported.average.iter().map(|w| (w.name.clone(), w.clone())).collect();
    let written = released_names(&imported.spec.config.network, &by_name).unwrap();
    let file = pfgm_torch::open(&parity("pfgm_ncsnpp.pth")).unwrap();
    let model = file.root().get("model").unwrap().state_dict().unwrap();
    let averages = file.root().get("ema").unwrap().get("shadow_params").unwrap();
    let mut averages = averages.as_list().unwrap();
    let expected: Vec<_> = model.iter().filter(|(name, _)| name != "module.sigmas").collect();
    assert_eq!(written.len(), expected.len());
    for (weight, (name, tensor)) in written.iter().zip(expected) {
        assert_eq!(weight.name, name.strip_prefix("module.").unwrap());
        // The frequencies are not trained, so they have no average.
        let tensor = if weight.name.ends_with("0.W") && weight.shape.len() == 1 {
            *tensor
        } else {
            averages.next().unwrap().as_tensor().unwrap()
        };
        assert_eq!(weight.shape, tensor.shape, "{name}");
        assert_eq!(weight.values, file.values(tensor).unwrap(), "{name}");
    }
}

#[test]
fn fields_of_pfgm() {
    for name in ["pfgm_ddpmpp", "pfgm_ncsnpp"] {
        let (imported, denoiser) = read(&format!("{name}.pth"), &Request { size: SIZE, ..Request::default() });
        assert_eq!(imported.spec.extra_dims(), ExtraDims::Finite(1.0));
        assert_eq!(imported.step, 1234);
        let case = case(&format!("{name}.npz"));
        let x = rows(&case["x"]);
        let z: Vec<f64> = case["z"].values.iter().map(|&z| f64::from(z)).collect();
        let coefficients = denoiser.prediction().coefficients(&x, &z);
        let raw = denoiser.raw(&x, &coefficients);
        let dim = imported.spec.dim();
        let field: Vec<f64> = raw.chunks_exact(dim + 1).flat_map(|row| &row[..dim]).map(|&v| f64::from(v)).collect();
        let radial: Vec<f64> = raw.chunks_exact(dim + 1).map(|row| f64::from(row[dim])).collect();
        let expected: Vec<f64> = case["field_z"].values.iter().map(|&v| f64::from(v)).collect();
        assert!(difference(&field, &rows(&case["field_x"])) < 1e-4, "{name}");
        assert!(difference(&radial, &expected) < 1e-4, "{name}");
    }
}

#[test]
fn released_samplers_of_pfgm_to_the_letter() {
    for name in ["pfgm_ddpmpp", "pfgm_ncsnpp"] {
        let (imported, denoiser) = read(&format!("{name}.pth"), &Request { size: SIZE, ..Request::default() });
        let denoiser = denoiser.with_arithmetic(Arithmetic::AuthorsCode { z_exp: 5.0 });
        let case = case(&format!("{name}.npz"));
        for (solver, key, allowed) in [
            (Solver::euler(10).into(), "forward_euler", 1e-3),
            (Solver::improved_euler(10).into(), "improved_euler", 1e-3),
            (Solver::rk45(1e-4).into(), "rk45", 1e-2),
        ] {
            let solver: Solver = solver;
            let counted = Counted::new(&denoiser);
            let flow = Flow { denoiser: &counted, extra_dims: imported.spec.extra_dims() };
            let mut x = rows(&case["prior_x"]);
            authors_code(&flow, &solver, imported.spec.range(), 16 * 16, &mut x).unwrap();
            let found = difference(&x, &rows(&case[&format!("sample_{key}")]));
            assert!(found < allowed, "{name}, {key}: {found:.1e}");
            let nfe = counted.rows() as f32 / case["prior_x"].shape[0] as f32;
            assert_eq!(nfe, case[&format!("nfe_{key}")].values[0], "{name}, {key}");
        }
    }
}

#[test]
fn targets_of_pfgm_are_the_field_of_the_data() {
    let case = case("pfgm_ddpmpp.npz");
    let (gamma, dim) = (5.0, 768);
    // Points and targets are flat there, in the order of the data.
    let flat = |name: &str| -> Vec<f64> { case[name].values.iter().map(|&value| f64::from(value)).collect() };
    let field = ExactField::new(flat("data"), dim, ExtraDims::Finite(1.0));
    let (points, targets) = (flat("perturbed"), flat("target"));
    let mut found = Vec::new();
    for point in points.chunks_exact(dim + 1) {
        let (x, z) = point.split_at(dim);
        let yhat = yhat(&field, x, z);
        let toward: Vec<f64> = x.iter().zip(&yhat).map(|(x, y)| x - y).chain([z[0]]).collect();
        let size = toward.iter().map(|value| value * value).sum::<f64>().sqrt();
        found.extend(toward.iter().map(|value| -(dim as f64).sqrt() * value / (size + gamma)));
    }
    assert!(difference(&found, &targets) < 1e-4, "{:.1e}", difference(&found, &targets));
}

#[test]
fn scores_of_ve_and_vp() {
    for (name, method) in [("ve_ncsnpp", Method::Ve), ("vp_ddpmpp", Method::Vp)] {
        let (imported, denoiser) = read(&format!("{name}.pth"), &Request { size: SIZE, ..Request::default() });
        let output = imported.spec.config.flow.output.clone();
        assert_eq!(matches!(output, Output::Ve { .. }), method == Method::Ve);
        let case = case(&format!("{name}.npz"));
        let x = rows(&case["x"]);
        let dim = imported.spec.dim();
        let mut score = Vec::new();
        for (x, &t) in x.chunks_exact(dim).zip(&case["t"].values) {
            let t = f64::from(t);
            let (sigma, mean) = match output {
                Output::Ve { .. } => (0.01 * 5000_f64.powf(t), 1.0),
                // beta from 0.1 to 20.
                _ => {
                    let mean = (-t * t * 19.9 / 4.0 - t * 0.05).exp();
                    ((1.0 - mean * mean).sqrt() / mean, mean)
                }
            };
            let x: Vec<f64> = x.iter().map(|x| x / mean).collect();
            let yhat = yhat(&denoiser, &x, &[sigma]);
            score.extend(x.iter().zip(&yhat).map(|(x, y)| (y - x) / (sigma * sigma * mean)));
        }
        let found = difference(&score, &rows(&case["score"]));
        assert!(found < 1e-4, "{name}: {found:.1e}");
    }
}

#[test]
fn denoiser_and_samples_of_pfgmpp() {
    let case = case("pfgmpp.npz");
    let classes: Vec<Option<u32>> =
        case["labels"].values.chunks_exact(4).map(|row| row.iter().position(|v| *v > 0.5).map(|c| c as u32)).collect();
    let (imported, denoiser) = read_with("pfgmpp.pt", &Request::default(), classes.into());
    // The file contains D.
    assert_eq!(imported.spec.extra_dims(), ExtraDims::Finite(128.0));
    assert_eq!((imported.step, imported.spec.data.classes.len()), (777, 4));
    let sigma: Vec<f64> = case["sigma"].values.iter().map(|&sigma| f64::from(sigma)).collect();
    let found = difference(&yhat(&denoiser, &rows(&case["x"]), &sigma), &rows(&case["denoised"]));
    assert!(found < 1e-4, "denoised: {found:.1e}");
    let flow = Flow { denoiser: &denoiser, extra_dims: imported.spec.extra_dims() };
    let mut x = rows(&case["prior_x"]);
    solver::sample(&flow, &Solver::heun(18).into(), imported.spec.range(), &mut x).unwrap();
    let found = difference(&x, &rows(&case["sample_heun18"]));
    assert!(found < 1e-3, "18 steps of Heun: {found:.1e}");
}

#[test]
fn denoisers_of_edm_in_other_forms() {
    for name in ["edm_ncsnpp", "edm_ddpmpp", "edm_adm"] {
        let request = Request { method: Some(Method::Edm), ..Request::default() };
        let classes = Conditioning::from(vec![Some(2), Some(0)]);
        let (imported, denoiser) = read_with(&format!("{name}.pth"), &request, classes.clone());
        assert_eq!(imported.spec.extra_dims(), ExtraDims::Infinite);
        let case = case(&format!("{name}.npz"));
        let sigma: Vec<f64> = case["sigma"].values.iter().map(|&sigma| f64::from(sigma)).collect();
        let found = difference(&yhat(&denoiser, &rows(&case["x"]), &sigma), &rows(&case["denoised"]));
        assert!(found < 1e-4, "{name}: {found:.1e}");
        // The raw output with labels of augmentation.
        let labels = case["deformed"].values.chunks_exact(9).map(|row| row.try_into().unwrap()).collect();
        let (_, denoiser) = read_with(&format!("{name}.pth"), &request, classes.with_augmentation(labels));
        let x = rows(&case["x"]);
        let raw = denoiser.raw(&x, &denoiser.prediction().coefficients(&x, &sigma));
        let raw: Vec<f64> = raw.into_iter().map(f64::from).collect();
        let found = difference(&raw, &rows(&case["raw_deformed"]));
        assert!(found < 1e-4, "{name}, augmented: {found:.1e}");
    }
}

#[test]
fn divergences_along_the_flow() {
    for name in ["edm_ncsnpp", "edm_ddpmpp"] {
        let request = Request { method: Some(Method::Edm), ..Request::default() };
        let (_, denoiser) = read_with(&format!("{name}.pth"), &request, vec![Some(2), Some(0)].into());
        let case = case(&format!("{name}.npz"));
        let (extra_dims, range) = (ExtraDims::Infinite, (0.1, 10.0));
        let solver: Solver = Solver::euler(8).into();
        let density = Density { denoiser: &denoiser, extra_dims, range, solver, prior: Prior::Exact };
        let found = density.log(&rows(&case["start"]), Trace::Probes(&rows(&case["probe"]))).unwrap();
        let apart = difference(&found.latents, &rows(&case["up"]));
        assert!(apart < 1e-4, "{name}, latents: {apart:.1e}");
        // ln p without the prior and the closed-form part.
        let dim = denoiser.dim();
        let closed = dim as f64 * 100_f64.ln();
        let integral: Vec<f64> = found
            .values
            .iter()
            .zip(found.latents.chunks_exact(dim))
            .map(|(log, latent)| {
                log - closed - prior::log_density(extra_dims, dim, 10.0, latent.iter().map(|x| x * x).sum())
            })
            .collect();
        let expected: Vec<f64> = case["integral"].values.iter().map(|&value| f64::from(value)).collect();
        let apart = difference(&integral, &expected);
        assert!(apart < 1e-4, "{name}, integral of the divergence: {apart:.1e}");
    }
}

#[test]
fn scores_of_images_between_zero_and_one() {
    // The same network, imported as one that was trained on images in [0, 1]: x = 2 u - 1, and sigma is doubled.
    let request = Request { method: Some(Method::Ve), size: SIZE, ..Request::default() };
    let (_, denoiser) = read("ve_ncsnpp.pth", &request);
    let (imported, halved) = read("ve_ncsnpp.pth", &Request { images: Some((0.0, 1.0)), ..request });
    assert_eq!(imported.spec.range(), (0.02, 100.0));
    let x: Vec<f64> = (0..denoiser.dim()).map(|at| ((at * 37) % 101) as f64 / 25.0 - 2.0).collect();
    // The network's input is the image in [-1, 1] in both cases; its output times its sigma is a step towards yhat in units of sigma.
    let step = |denoiser: &NetworkDenoiser, sigma: f64| -> Vec<f64> {
        yhat(denoiser, &x, &[sigma]).iter().zip(&x).map(|(y, x)| (y - x) / sigma).collect()
    };
    assert!(difference(&step(&halved, 3.0), &step(&denoiser, 1.5)) < 1e-6);
}

#[test]
fn scores_of_ncsnv2() {
    let (imported, denoiser) = read("ncsnv2.pth", &Request { size: Some([10, 6]), ..Request::default() });
    // From 0.01 to 50 in images of [0, 1].
    let (lowest, highest) = imported.spec.range();
    assert!((lowest - 0.02).abs() < 1e-6 && (highest - 100.0).abs() < 1e-3);
    let case = case("ncsnv2.npz");
    let (x, sigma) = (rows(&case["x"]), &case["sigma"].values);
    let sigma: Vec<f64> = sigma.iter().map(|&sigma| f64::from(sigma)).collect();
    let yhat = yhat(&denoiser, &x, &sigma);
    let per_row = x.chunks_exact(denoiser.dim()).zip(yhat.chunks_exact(denoiser.dim())).zip(&sigma);
    let score: Vec<f64> =
        per_row.flat_map(|((x, y), sigma)| x.iter().zip(y).map(move |(x, y)| (y - x) / (sigma * sigma))).collect();
    for (found, expected) in score.chunks_exact(denoiser.dim()).zip(rows(&case["score"]).chunks_exact(denoiser.dim())) {
        let found = difference(found, expected);
        assert!(found < 1e-4, "{found:.1e}");
    }
}

#[test]
fn exact_arithmetic_agrees_with_the_networks_own_component_where_the_field_is_one() {
    // A field of one charge: both formulas for v_z must give the same yhat, the charge.
    let (dim, gamma) = (12, 5.0);
    for z in [1e-2, 0.7, 30.0] {
        let x: Vec<f64> = (0..dim).map(|i| 0.3 * f64::from(i) - 1.0).collect();
        let size = (x.iter().map(|x| x * x).sum::<f64>() + z * z).sqrt();
        let factor = -f64::from(dim).sqrt() / (size + gamma);
        let raw: Vec<f32> = x.iter().chain([&z]).map(|value| (factor * value) as f32).collect();
        let (_, denoiser) = read("pfgm_ddpmpp.pth", &Request { size: SIZE, ..Request::default() });
        for arithmetic in [Arithmetic::Exact, Arithmetic::AuthorsCode { z_exp: 0.0 }] {
            let prediction = Prediction { arithmetic, ..denoiser.prediction() };
            let coefficients = prediction.coefficients(&x, &[z]);
            let mut out = vec![1.0; x.len()];
            prediction.to_yhat(&coefficients[0], &x, &raw, &mut out);
            // The charge is at the origin; rounding errors of the field grow as z approaches zero.
            let largest = out.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
            let allowed = if arithmetic == Arithmetic::Exact { 2e-5 / z.min(1.0) } else { 1e-2 };
            assert!(largest < allowed, "{arithmetic:?} at z = {z}: {largest:.1e}");
        }
    }
}

#[test]
fn denoisers_of_edm_with_other_preconditioners() {
    for (name, output, lowest) in [
        ("edm_precond_vp", Output::Vp { beta_min: 0.1, beta_max: 20.0 }, 2e-3),
        ("edm_precond_ve", Output::Ve { scaled: true, unit: 2.0 }, 0.02),
    ] {
        let request = Request { method: Some(Method::Edm), ..Request::default() };
        let (imported, denoiser) = read(&format!("{name}.pkl"), &request);
        assert_eq!(imported.spec.extra_dims(), ExtraDims::Infinite);
        assert_eq!(imported.spec.config.flow.output, output);
        let (low, high) = imported.spec.range();
        assert!((low - lowest).abs() < 1e-12 && high == 80.0, "{low} {high}");
        let case = case(&format!("{name}.npz"));
        let numbers = |name: &str| -> Vec<f64> { case[name].values.iter().map(|&value| f64::from(value)).collect() };
        let found = difference(&yhat(&denoiser, &rows(&case["x"]), &numbers("sigma")), &rows(&case["denoised"]));
        assert!(found < 1e-4, "{name}, denoised: {found:.1e}");
        // The last level, 0, is the solver's own.
        let levels = numbers("levels");
        let levels = levels[..levels.len() - 1].to_vec();
        let range = (levels[levels.len() - 1], levels[0]);
        let flow = Flow { denoiser: &denoiser, extra_dims: imported.spec.extra_dims() };
        let mut x = rows(&case["prior_x"]);
        solver::sample(&flow, &Solver::heun(10).levels(levels).into(), range, &mut x).unwrap();
        let found = difference(&x, &rows(&case["sample_heun10"]));
        assert!(found < 1e-3, "{name}, 10 steps of Heun: {found:.1e}");
    }
}

#[test]
fn denoiser_samples_and_variance_of_edm2() {
    let case = case("edm2_cond.npz");
    let labels = &case["labels"];
    let classes: Vec<Option<u32>> = labels
        .values
        .chunks_exact(labels.shape[1])
        .map(|row| row.iter().position(|value| *value > 0.5).map(|class| class as u32))
        .collect();
    let (imported, denoiser) = read_with("edm2_cond.pkl", &Request::default(), classes.into());
    assert_eq!(imported.spec.extra_dims(), ExtraDims::Infinite);
    assert_eq!(imported.spec.data.classes.len(), 5);
    let numbers = |name: &str| -> Vec<f64> { case[name].values.iter().map(|&value| f64::from(value)).collect() };
    let found = difference(&yhat(&denoiser, &rows(&case["x"]), &numbers("sigma")), &rows(&case["denoised"]));
    assert!(found < 1e-4, "denoised: {found:.1e}");
    let coefficients = denoiser.prediction().coefficients(&rows(&case["x"]), &numbers("sigma"));
    let variance: Vec<f64> = denoiser.log_variance(&coefficients).unwrap().into_iter().map(f64::from).collect();
    let found = difference(&variance, &numbers("logvar"));
    assert!(found < 1e-4, "log-variance: {found:.1e}");
    let levels = numbers("levels");
    let levels = levels[..levels.len() - 1].to_vec();
    let range = (levels[levels.len() - 1], levels[0]);
    let flow = Flow { denoiser: &denoiser, extra_dims: imported.spec.extra_dims() };
    let mut x = rows(&case["prior_x"]);
    solver::sample(&flow, &Solver::heun(10).levels(levels).into(), range, &mut x).unwrap();
    let found = difference(&x, &rows(&case["sample_heun10"]));
    assert!(found < 1e-3, "10 steps of Heun: {found:.1e}");
}

/// A pickle of protocol 2: short strings, numbers, and an object of a class with attributes.
mod pickle {
    pub fn text(text: &str) -> Vec<u8> {
        [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
    }

    pub fn float(value: f64) -> Vec<u8> {
        [b"G".as_slice(), &value.to_be_bytes()].concat()
    }

    pub fn dict(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let items = entries.iter().flat_map(|(key, value)| [text(key), value.clone()].concat()).collect();
        [b"}(".to_vec(), items, b"u".to_vec()].concat()
    }

    pub fn object(module: &str, class: &str, attributes: &[(&str, Vec<u8>)]) -> Vec<u8> {
        [format!("c{module}\n{class}\n)\x7f").into_bytes(), dict(attributes), b"b".to_vec()].concat()
    }
}

#[test]
fn preconditioners_are_named() {
    use pickle::{dict, float, object};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.pkl");
    let problem = |class: &str, attributes: &[(&str, Vec<u8>)]| {
        let module = object("training.networks", class, attributes);
        let bytes = [b"\x80\x02".to_vec(), dict(&[("ema", module)]), b".".to_vec()].concat();
        // `)` and 0x81 make an instance; the helper wrote 0x7f so that it is text.
        let bytes: Vec<u8> = bytes.into_iter().map(|byte| if byte == 0x7f { 0x81 } else { byte }).collect();
        std::fs::write(&path, bytes).unwrap();
        import(&path, &Request::default()).unwrap_err()
    };
    for (class, attributes) in [
        ("iCTPrecond", vec![]),
        ("VPPrecond", vec![("M", float(500.0)), ("beta_min", float(0.1)), ("beta_d", float(19.9))]),
        ("EDMPrecond", vec![]),
        ("iDDPMPrecond", vec![("C_1", float(0.5)), ("C_2", float(0.008))]),
    ] {
        let error = problem(class, &attributes);
        assert!(matches!(error, ImportError::Unsupported { .. }), "{class}: {error}");
    }
}

#[test]
fn requests_that_contradict_their_files() {
    let contradicted = |name: &str, request: Request| match import(&parity(name), &request).map(|_| ()) {
        Err(ImportError::Contradiction { field, .. }) => field,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(contradicted("pfgmpp.pt", Request { size: Some([32, 32]), ..Request::default() }), "size");
    let request = Request { method: Some(Method::Pfgm), size: SIZE, ..Request::default() };
    assert_eq!(contradicted("vp_ddpmpp.pth", request), "method");
    let request = Request { extra_dims: Some(ExtraDims::Finite(3.0)), size: SIZE, ..Request::default() };
    assert_eq!(contradicted("vp_ddpmpp.pth", request), "extra_dims");
    let request = Request { method: Some(Method::PfgmPp), ..Request::default() };
    assert_eq!(contradicted("edm_precond_vp.pkl", request), "method");
    // Weights without their module.
    let error = import(&parity("edm_ddpmpp.pth"), &Request::default()).map(|_| ()).unwrap_err();
    assert!(matches!(error, ImportError::Missing { field: "method", .. }), "{error}");
    let error = import(&parity("vp_ddpmpp.pth"), &Request { size: Some([2, 3]), ..Request::default() })
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(error, ImportError::Spec { .. }), "{error}");
    let error = import(&parity("strip.py"), &Request::default()).map(|_| ()).unwrap_err();
    assert!(matches!(error, ImportError::Torch(_)), "{error}");
}

/// A safetensors file of weights under other names, with metadata.
fn safetensors(weights: &[(String, &weights::Weight)], metadata: &[(&str, String)]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = weights
        .iter()
        .map(|(_, weight)| weight.values.iter().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    let views = weights.iter().zip(&bytes).map(|((name, weight), bytes)| {
        (
            name.clone(),
            safetensors::tensor::TensorView::new(safetensors::Dtype::F32, weight.shape.clone(), bytes).unwrap(),
        )
    });
    let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    safetensors::serialize(views, Some(metadata)).unwrap()
}

#[test]
fn prefixes_and_averages() {
    let (imported, _) = read("pfgm_ncsnpp.pth", &Request { size: SIZE, ..Request::default() });
    let by_name: HashMap<_, _> = imported.average.iter().map(|w| (w.name.clone(), w.clone())).collect();
    let names = released_names(&imported.spec.config.network, &by_name).unwrap();
    let zeros: Vec<weights::Weight> =
        names.iter().map(|w| weights::Weight { values: vec![0.0; w.values.len()], ..w.clone() }).collect();
    let named = |prefix: &str, weights: &'_ [weights::Weight]| -> Vec<(String, weights::Weight)> {
        weights.iter().map(|weight| (format!("{prefix}{}", weight.name), weight.clone())).collect()
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.safetensors");
    for parts in [
        vec![named("", &names)],
        vec![named("module.", &names)],
        vec![named("_orig_mod.module.model.", &names)],
        vec![named("net.", &names)],
        vec![named("model.", &zeros), named("model_ema.", &names)],
        vec![named("", &zeros), named("ema_model.module.", &names)],
    ] {
        let all: Vec<(String, weights::Weight)> = parts.concat();
        let all: Vec<(String, &weights::Weight)> = all.iter().map(|(name, weight)| (name.clone(), weight)).collect();
        std::fs::write(&path, safetensors(&all, &[])).unwrap();
        let again = import(&path, &Request { size: SIZE, ..Request::default() }).unwrap();
        let sorted = |mut weights: Vec<weights::Weight>| {
            weights.sort_by(|a, b| a.name.cmp(&b.name));
            weights
        };
        assert!(sorted(again.average) == sorted(imported.average.clone()), "{}", all[0].0);
        let average = all.iter().any(|(name, _)| name.contains("ema"));
        assert_eq!(again.assumed[0].contains("moving average (`"), average, "{}", again.assumed[0]);
    }
}

#[test]
fn exports_of_every_kind_come_back() {
    let (imported, _) = read("pfgm_ncsnpp.pth", &Request { size: SIZE, ..Request::default() });
    let own = imported.average.clone();
    let by_name: HashMap<_, _> = own.iter().map(|w| (w.name.clone(), w.clone())).collect();
    let theirs = released_names(&imported.spec.config.network, &by_name).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.safetensors");
    let text = serde_json::to_string(&imported.spec).unwrap();
    let metadata = [("pfgm", text.clone()), ("step", "7".to_owned())];
    let list = |weights: &'_ [weights::Weight]| -> Vec<(String, weights::Weight)> {
        weights.iter().map(|weight| (weight.name.clone(), weight.clone())).collect()
    };
    let write = |weights: &[weights::Weight], metadata: &[(&str, String)]| {
        let weights = list(weights);
        let weights: Vec<_> = weights.iter().map(|(name, weight)| (name.clone(), weight)).collect();
        std::fs::write(&path, safetensors(&weights, metadata)).unwrap();
    };
    let check = |imported: &Imported| {
        let found: HashMap<_, _> = imported.average.iter().map(|w| (w.name.clone(), w.clone())).collect();
        assert!(found == by_name && imported.step == 7);
        assert_eq!(serde_json::to_string(&imported.spec).unwrap(), text);
    };
    for weights in [&own, &theirs] {
        write(weights, &metadata);
        check(&import(&path, &Request { size: SIZE, ..Request::default() }).unwrap());
    }
    let checkpoint = Checkpoint::new(7, imported.spec.clone(), [(Group::Average, own.clone())]);
    checkpoint.write(&path).unwrap();
    check(&import(&path, &Request::default()).unwrap());
    // The metadata of the file take precedence, and their numbers are not trusted.
    write(&own, &metadata);
    let error = import(&path, &Request { method: Some(Method::Ve), ..Request::default() }).map(|_| ()).unwrap_err();
    assert!(matches!(error, ImportError::Contradiction { field: "method", .. }), "{error}");
    write(&own[1..], &metadata);
    let error = import(&path, &Request::default()).map(|_| ()).unwrap_err();
    assert!(matches!(error, ImportError::Weights { .. }), "{error}");
    write(&own, &[("pfgm", text.replace("\"sigma_min\":0.001", "\"sigma_min\":-1"))]);
    let error = import(&path, &Request::default()).map(|_| ()).unwrap_err();
    assert!(matches!(error, ImportError::Spec { .. }), "{error}");
}

#[test]
fn errors_are_one_line_whatever_names_a_file_has() {
    let (path, problem, field) = (PathBuf::from("a.pt"), "the tensor `b\nc` is unknown".to_owned(), "kind");
    for error in [
        ImportError::Unsupported { path: path.clone(), problem: problem.clone() },
        ImportError::Contradiction { path: path.clone(), field, problem: problem.clone() },
        ImportError::Missing { path: path.clone(), field, problem },
        ImportError::Weights { path, source: weights::WeightError::Surplus("b\nc".into()) },
    ] {
        let error = error.to_string();
        assert!(error.contains("`b c`") && !error.contains('\n'), "{error}");
    }
}
