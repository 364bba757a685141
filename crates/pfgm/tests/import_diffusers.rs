//! Compares imported folders of diffusers with the results of that library.
#![allow(missing_docs)]

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
};

use pfgm::{
    conditioning::Conditioning,
    denoiser::NetworkDenoiser,
    flow::{Denoiser, Flow, Query},
    import::{ImportError, Imported, Method, Request, import},
    prediction::Output,
    solver::{self, Solver},
    weights,
};
use pfgm_data::npz::{Floats, read_arrays};

fn parity(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity").join(name)
}

fn case(name: &str) -> BTreeMap<String, Floats> {
    let path = parity(name);
    read_arrays(&path, &fs::read(&path).unwrap()).unwrap()
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

fn read(name: &str, classes: Vec<Option<u32>>) -> (Imported, NetworkDenoiser) {
    let imported = import(&parity(name), &Request::default()).unwrap();
    let device = pfgm::device::open("cpu").unwrap();
    let by_name: HashMap<_, _> = imported.average.iter().map(|w| (w.name.clone(), w.clone())).collect();
    let network = weights::assign(imported.spec.network(&device).unwrap(), &by_name).unwrap();
    let denoiser = imported.spec.denoiser(&network, Conditioning::from(classes), 1.0, 64, &device);
    (imported, denoiser)
}

#[test]
fn denoisers_and_ddim() {
    for name in ["diffusers_ddpm", "diffusers_v_cond", "diffusers_resnet", "diffusers_learned", "diffusers_zero_snr"] {
        let case = case(&format!("{name}.npz"));
        let integers = |key: &str| -> Vec<usize> { case[key].values.iter().map(|&value| value as usize).collect() };
        let classes: Vec<Option<u32>> =
            case.get("labels").map_or_else(Vec::new, |labels| labels.values.iter().map(|&v| Some(v as u32)).collect());
        let (imported, denoiser) = read(name, classes);
        let Output::Discrete { schedule, .. } = &imported.spec.config.flow.output else { panic!("{name}") };
        // Their table is in single precision.
        let levels = schedule.levels();
        let theirs: Vec<f64> = case["alphas_cumprod"].values.iter().map(|&value| f64::from(value)).collect();
        let ours: Vec<f64> = levels.iter().map(|sigma| 1.0 / (1.0 + sigma * sigma)).collect();
        assert!(difference(&ours, &theirs) < 1e-5, "{name}");
        let dim = imported.spec.dim();
        // x_t = sqrt(alpha_bar) (y + sigma n)
        let scaled = |x: &[f64], steps: &[usize]| -> Vec<f64> {
            x.chunks_exact(dim)
                .zip(steps)
                .flat_map(|(row, &step)| row.iter().map(move |x| (x, step)))
                .map(|(x, step)| x / ours[step].sqrt())
                .collect()
        };
        let steps = integers("timestep");
        let x = scaled(&rows(&case["x"]), &steps);
        let sigma: Vec<f64> = steps.iter().map(|&step| levels[step]).collect();
        let mut out = vec![0.0; x.len()];
        let item: Vec<usize> = (0..sigma.len()).collect();
        denoiser.denoise(&Query { x: &x, sigma: &sigma, item: &item }, &mut out);
        // Relative to each row: at high levels, the estimates are large.
        for (index, (found, wanted)) in out.chunks_exact(dim).zip(rows(&case["denoised"]).chunks_exact(dim)).enumerate()
        {
            let found = difference(found, wanted);
            assert!(found < 1e-4, "{name}, step {}: {found:.1e}", steps[index]);
        }
        let steps = integers("ddim_timesteps");
        let grid: Vec<f64> = steps.iter().map(|&step| levels[step]).collect();
        let range = (grid[grid.len() - 1], grid[0]);
        let prior = rows(&case["prior_x"]);
        let mut x = scaled(&prior, &vec![steps[0]; prior.len() / dim]);
        let flow = Flow { denoiser: &denoiser, extra_dims: imported.spec.extra_dims() };
        // DDIM is Euler's method in sigma; its last step goes to 0.
        let solver: Solver = Solver::euler(grid.len() - 1).levels(grid).denoise(true).into();
        solver::sample(&flow, &solver, range, &mut x).unwrap();
        let found = difference(&x, &rows(&case["sample_ddim10"]));
        assert!(found < 1e-3, "{name}, DDIM: {found:.1e}");
    }
}

/// A copy of a folder with changes of its configurations.
fn changed(file: &str, from: &str, to: &str) -> (tempfile::TempDir, Result<Imported, ImportError>) {
    let folder = tempfile::tempdir().unwrap();
    for part in ["unet", "scheduler"] {
        fs::create_dir(folder.path().join(part)).unwrap();
        for entry in fs::read_dir(parity("diffusers_v_cond").join(part)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.path().join(part).join(entry.file_name())).unwrap();
        }
    }
    let path = folder.path().join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(&path, text.replace(from, to)).unwrap();
    let imported = import(folder.path(), &Request::default());
    (folder, imported)
}

#[test]
fn options_that_are_not_supported_are_named() {
    for (file, from, to, name) in [
        ("unet/config.json", "\"act_fn\": \"silu\"", "\"act_fn\": \"elu\"", "act_fn"),
        ("unet/config.json", "\"DownBlock2D\"", "\"SkipDownBlock2D\"", "SkipDownBlock2D"),
        ("unet/config.json", "\"AttnUpBlock2D\"", "\"AttnSkipUpBlock2D\"", "AttnSkipUpBlock2D"),
        (
            "unet/config.json",
            "\"mid_block_type\": \"UNetMidBlock2D\"",
            "\"mid_block_type\": \"Other\"",
            "mid_block_type",
        ),
        ("unet/config.json", "\"out_channels\": 1", "\"out_channels\": 3", "out_channels"),
        ("unet/config.json", "\"upsample_type\": \"conv\"", "\"upsample_type\": \"kernel\"", "upsample_type"),
        ("unet/config.json", "\"positional\"", "\"learned\"", "time_embedding_type"),
        ("unet/config.json", "\"class_embed_type\": null", "\"class_embed_type\": \"identity\"", "class_embed_type"),
        ("unet/config.json", "\"class_embed_type\": null", "\"class_embed_type\": \"timestep\"", "class_embedding"),
        ("unet/config.json", "\"dropout\": 0.0", "\"dropout\": 0.0, \"tomorrow\": 1", "tomorrow"),
        ("unet/config.json", "\"norm_num_groups\": 4", "\"norm_num_groups\": 5", "groups"),
        ("unet/config.json", "UNet2DModel", "UNet2DConditionModel", "_class_name"),
        ("scheduler/scheduler_config.json", "\"trained_betas\": null", "\"trained_betas\": [0.1]", "trained_betas"),
        ("scheduler/scheduler_config.json", "DDPMScheduler", "FlowMatchEulerDiscreteScheduler", "FlowMatchEuler"),
        ("scheduler/scheduler_config.json", "v_prediction", "flow", "prediction_type"),
        ("scheduler/scheduler_config.json", "\"num_train_timesteps\": 1000", "\"num_train_timesteps\": 1", "steps"),
    ] {
        let (_folder, imported) = changed(file, from, to);
        let error = imported.map(|_| ()).unwrap_err();
        assert!(matches!(error, ImportError::Unsupported { .. } | ImportError::Spec { .. }), "{name}: {error}");
        assert!(error.to_string().contains(name), "{name}: {error}");
    }
    // Sizes that the weights do not have.
    for (from, to) in [
        ("\"layers_per_block\": 1", "\"layers_per_block\": 1000000000"),
        ("32\n", "64\n"),
        ("\"AttnUpBlock2D\"", "\"UpBlock2D\""),
    ] {
        let (_folder, imported) = changed("unet/config.json", from, to);
        let error = imported.map(|_| ()).unwrap_err();
        assert!(!matches!(error, ImportError::Torch(_)), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let error = import(folder.path(), &Request::default()).map(|_| ()).unwrap_err();
    assert!(matches!(error, ImportError::Unsupported { .. }), "{error}");
    let request = Request { method: Some(Method::Vp), ..Request::default() };
    let error = import(&parity("diffusers_ddpm"), &request).map(|_| ()).unwrap_err();
    assert!(matches!(error, ImportError::Contradiction { field: "method", .. }), "{error}");
}

#[test]
fn what_is_not_used_is_said() {
    let (imported, _) = read("diffusers_zero_snr", Vec::new());
    let Output::Discrete { schedule, .. } = &imported.spec.config.flow.output else { panic!("not discrete") };
    let levels = schedule.levels();
    assert_eq!((levels[999], imported.spec.range()), (f64::INFINITY, (levels[0], levels[998])));
    let said = |imported: &Imported, words: &str| imported.assumed.iter().any(|sentence| sentence.contains(words));
    assert!(said(&imported, "rescale_betas_zero_snr") && said(&imported, "clip_sample"), "{:?}", imported.assumed);
    let (imported, _) = read("diffusers_learned", Vec::new());
    assert!(said(&imported, "variance"), "{:?}", imported.assumed);
}

/// A copy of a folder's network in one folder with its scheduler.
fn flat(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for part in ["unet", "scheduler"] {
        for entry in fs::read_dir(parity(name).join(part)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
    }
    folder
}

#[test]
fn folders_without_parts_and_lists_of_files() {
    // As google/ddpm-cifar10-32 has it: the scheduler beside the network.
    let folder = flat("diffusers_v_cond");
    let imported = import(folder.path(), &Request::default()).unwrap();
    let (with_parts, _) = read("diffusers_v_cond", Vec::new());
    assert_eq!(imported.spec.config.flow.output, with_parts.spec.config.flow.output);
    let folder = flat("diffusers_zero_snr");
    let index = folder.path().join("diffusion_pytorch_model.safetensors.index.json");
    let text = fs::read_to_string(&index).unwrap();
    let problem = |text: String| {
        fs::write(&index, text).unwrap();
        import(folder.path(), &Request::default()).map(|_| ()).unwrap_err().to_string()
    };
    let first = text.split('"').find(|part| part.contains("-00001-of-")).unwrap().to_owned();
    assert!(problem(text.replace(&first, "../elsewhere.safetensors")).contains("elsewhere"));
    assert!(problem(text.replace(&first, "missing.safetensors")).contains("missing"));
    let added = text.replacen("\"weight_map\": {", &format!("\"weight_map\": {{ \"more\": \"{first}\","), 1);
    assert!(problem(added).contains("`more`"));
}

#[test]
fn exported_folders_are_the_imported_ones() {
    for name in ["diffusers_ddpm", "diffusers_v_cond", "diffusers_resnet", "diffusers_learned", "diffusers_zero_snr"] {
        let model = pfgm::Model::import(parity(name)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        model.export_diffusers(folder.path()).unwrap();
        let again = pfgm::Model::import(folder.path()).unwrap();
        let mut spec = again.spec().clone();
        spec.data.name.clone_from(&model.spec().data.name);
        spec.config.data.source.clone_from(&model.spec().config.data.source);
        let (found, wanted) = (serde_json::to_value(&spec).unwrap(), serde_json::to_value(model.spec()).unwrap());
        assert_eq!(found, wanted, "{name}");
        let x: Vec<f64> = (0..model.spec().dim()).map(|at| ((at * 37) % 101) as f64 / 50.0 - 1.0).collect();
        let classes = if spec.data.classes.is_empty() { vec![None] } else { vec![Some(1)] };
        let yhat = |model: &pfgm::Model| model.yhat(&x, &[1.5], &classes).unwrap();
        assert_eq!(yhat(&again), yhat(&model), "{name}");
    }
    let error = pfgm::Model::load("digits").unwrap().export_diffusers(Path::new("nowhere")).unwrap_err().to_string();
    assert!(error.contains("block-for-block"), "{error}");
}
