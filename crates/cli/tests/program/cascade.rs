//! Cascades: training, interruption, resuming, sampling, errors.

use std::fs;

use pfgm_data::npz::{Column, Named, write_npz};

use crate::support::{pfgm, refuses, succeeds, temporary};

/// A cascade that trains quickly.
const TINY: &str = r#"
[data]
source = "digits"
conditional = true
hold_out = 5

[network]
kind = "unet"
width = 8
multipliers = [1, 2]
blocks = 1
attention = []

[train]
batch = 8
warmup = 1
checkpoint_every = 2
steps = 4

[sample.solver]
steps = 3

[[stage]]

[[stage]]
upscale = { factor = 2, noise = 0.2 }

[[stage]]
upscale = { factor = 2 }
"#;

#[test]
fn trains_resumes_and_samples_every_flow() {
    let dir = temporary();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("tiny.toml"), TINY).unwrap();
    let said = succeeds(dir.path(), &["cascade", "train", "tiny.toml", "--out", "whole"]);
    for part in ["rows of 2x2x1", "rows of 4x4x1", "rows of 8x8x1", "downscaled samples differ", "cascade sample whole"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    // Stopped after the base and half of the first upscaling, and resumed.
    let steps = ["--set", "upscale-1.train.steps=2", "--set", "upscale-2.train.steps=2"];
    succeeds(dir.path(), &[&["cascade", "train", "tiny.toml", "--out", "parts"], &steps[..]].concat());
    fs::remove_dir_all(at("parts/upscale-2")).unwrap();
    let other = ["cascade", "train", "parts", "--resume", "--set", "base.network.width=12"];
    refuses(dir.path(), &other, &["base: was started with another configuration"]);
    let steps = ["--set", "train.steps=4"];
    let said = succeeds(dir.path(), &[&["cascade", "train", "parts", "--resume"], &steps[..]].concat());
    assert!(said.contains("4 of 4 steps are taken") && said.contains("resuming parts/upscale-1 at step 2"), "{said}");
    for flow in ["base", "upscale-1", "upscale-2"] {
        let last = |run: &str| fs::read(at(run).join(flow).join("checkpoints/step-00000004.safetensors")).unwrap();
        assert!(last("whole") == last("parts"), "{flow}: the checkpoints differ");
    }

    // A sample depends only on its seed, not on the other samples.
    let image = |arguments: &[&str]| {
        let said = succeeds(dir.path(), &[&["cascade", "sample", "whole", "--images", "one"], arguments].concat());
        assert!(said.contains("5.0 + 5.0 + 5.0 evaluations each"), "{said}");
        let bytes = fs::read(at("one/000005.png")).unwrap();
        fs::remove_dir_all(at("one")).unwrap();
        bytes
    };
    assert_eq!(image(&["--seeds", "5"]), image(&["-n", "8", "--batch", "3"]));
    assert!(at("whole/samples.png").exists() && at("whole/samples-stages.png").exists());

    // Images of the data, unchanged or downscaled first.
    let said = succeeds(dir.path(), &["cascade", "sample", "whole", "--from", "digits", "-n", "3", "--npz", "x.npz"]);
    assert!(said.contains("0.0 + 5.0 + 5.0 evaluations each"), "{said}");
    let said = succeeds(dir.path(), &["data", "x.npz", "-o", "sheet.png"]);
    assert!(said.contains("rows       3") && said.contains("8 high, 8 wide"), "{said}");

    // Each flow is exported; one that upscales is evaluated with low-resolution images.
    let said = succeeds(dir.path(), &["export", "whole/upscale-2", "--format", "onnx", "-o", "graph.onnx"]);
    assert!(said.contains("yhat(x, sigma, labels, low_resolution, low_resolution_noise), opset 18"), "{said}");
    refuses(dir.path(), &["export", "whole/base", "-o", "x", "--part", "decoder"], &["--part", "--format onnx"]);
    let decoder = ["export", "whole/base", "-o", "x", "--format", "onnx", "--part", "decoder"];
    refuses(dir.path(), &decoder, &["--part", "data.autoencoder"]);
    let predict = |low: &[usize]| {
        let (points, small) = (vec![0.0; 128], vec![0.0; low.iter().product()]);
        let arrays = [
            Named { name: "x", shape: &[2, 1, 8, 8], values: Column::Floats(&points) },
            Named { name: "sigma", shape: &[2], values: Column::Floats(&[1.0, 2.0]) },
            Named { name: "low_resolution", shape: low, values: Column::Floats(&small) },
        ];
        write_npz(fs::File::create(at("points.npz")).unwrap(), &arrays).unwrap();
        ["predict", "whole/upscale-2", "--at", "points.npz", "-o", "found.npz"]
    };
    let said = succeeds(dir.path(), &predict(&[2, 1, 4, 4]));
    assert!(said.contains("yhat, output of 2 points"), "{said}");
    refuses(dir.path(), &predict(&[2, 1, 2, 2]), &["points.npz", "`low_resolution`", "[2, 1, 4, 4]"]);

    // The base of a cascade is a normal run; a run that upscales cannot be sampled by itself.
    succeeds(dir.path(), &["sample", "whole/base", "-n", "2"]);
    for command in ["sample", "evaluate", "schedule"] {
        let more: &[&str] = if command == "schedule" { &["--steps", "4"] } else { &[] };
        refuses(dir.path(), &[&[command, "whole/upscale-1"], more].concat(), &["upscales images", "cascade sample"]);
    }
    refuses(dir.path(), &["cascade", "sample", "whole", "--noise", "0.9"], &["--noise 0.9", "from 0 to 0.2"]);
    refuses(dir.path(), &["cascade", "sample", "whole", "--batch", "0"], &["--batch 0", "from 1 to"]);
    refuses(dir.path(), &["cascade", "sample", "whole", "--npz", "whole"], &["whole: is a folder; name a file"]);
    refuses(dir.path(), &["cascade", "sample", "whole", "--from", "heart"], &["--from heart", "2x2x1 or 8x8x1"]);
    fs::remove_dir_all(at("whole/upscale-2")).unwrap();
    refuses(dir.path(), &["cascade", "sample", "whole"], &["no upscale-2", "--resume"]);
}

#[test]
fn what_cannot_be_a_cascade_is_refused() {
    let dir = temporary();
    fs::write(dir.path().join("tiny.toml"), TINY).unwrap();
    let refused = |more: &[&str], parts: &[&str]| {
        refuses(dir.path(), &[&["cascade", "train", "tiny.toml", "--out", "x"], more].concat(), parts);
    };
    refuses(dir.path(), &["cascade", "train", "digits-48"], &["did you mean `digits-4-8`?"]);
    refused(&["--set", "upscale-1.upscale.factor=3"], &["digits", "6 times smaller"]);
    refused(&["--set", "objective.kind=pfgm"], &["objective", "pfgm++"]);
    refused(&["--set", "upscale-2.upscale.sample_noise=1"], &["upscale-2", "from 0 to upscale.noise"]);
    refused(&["--distributed"], &["--distributed", "works in one process"]);
    refused(&["--data", "heart"], &["heart", "times smaller"]);
    refuses(dir.path(), &["cascade", "sample", "nowhere"], &["nowhere", "no base"]);
    refuses(dir.path(), &["cascade", "train", "nowhere", "--resume"], &["nowhere", "no cascade in it"]);
    refuses(dir.path(), &["train", "digits", "--out", "x", "--set", "data.shrink=3"], &["3 times smaller", "divides"]);
    assert!(!dir.path().join("x/base").exists());
    // Every bundled cascade can be resolved.
    let said = String::from_utf8(pfgm(dir.path(), &["presets"]).stdout).unwrap();
    for cascade in ["digits-4-8", "fashion-mnist-7-28", "cifar10-16-32"] {
        assert!(said.contains(cascade));
        let said = succeeds(dir.path(), &["cascade", "train", cascade, "--data", "digits", "--dry-run"]);
        assert!(said.contains("# upscale-1") && said.contains("factor = 2"), "{said}");
    }
}
