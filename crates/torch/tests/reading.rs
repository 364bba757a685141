//! Checkpoints written by Python: see `data/make.py`.

use std::{
    io::{Cursor, Read, Write},
    path::PathBuf,
};

use pfgm_torch::{DType, File, Format, Kind, Value, from_bytes, open};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn opened(name: &str) -> File {
    open(&path(name)).unwrap()
}

fn values(file: &File, value: Value) -> Vec<f32> {
    file.values(value.as_tensor().unwrap()).unwrap()
}

fn count(from: i32, to: i32) -> Vec<f32> {
    (from..to).map(|number| number as f32).collect()
}

#[test]
fn tensors_of_every_type_and_layout() {
    for (name, format) in [("tensors.pt", Format::Zip), ("tensors_legacy.pt", Format::Legacy)] {
        let file = opened(name);
        assert_eq!(file.format(), format);
        let root = file.root();
        assert_eq!(root.kind(), Kind::Dict);
        let tensor = |name: &str| root.get(name).unwrap().as_tensor().unwrap();
        let numbers = |name: &str| file.values(tensor(name)).unwrap();

        assert_eq!(tensor("f64").dtype, DType::F64);
        assert_eq!(numbers("f64"), [0.0, 0.125, 0.25]);
        assert_eq!(tensor("f32").shape, [2, 3]);
        assert_eq!(numbers("f32"), count(0, 6));
        assert_eq!(tensor("f16").dtype, DType::F16);
        assert_eq!(numbers("f16"), [0.0, 0.25, 0.5]);
        assert_eq!(tensor("bf16").dtype, DType::BF16);
        assert_eq!(numbers("bf16"), [0.0, 0.5, 1.0]);
        assert_eq!(file.values_f64(tensor("bf16")).unwrap(), [0.0, 0.5, 1.0]);
        assert_eq!(tensor("i64").dtype, DType::I64);
        assert_eq!(file.values_i64(tensor("i64")).unwrap(), [-(1 << 40), 0, 1 << 40]);
        assert_eq!(numbers("i32"), [-70000.0, 70000.0]);
        assert_eq!(numbers("i16"), [-300.0, 300.0]);
        assert_eq!(numbers("i8"), [-128.0, 127.0]);
        assert_eq!(numbers("u8"), [0.0, 255.0]);
        assert_eq!(tensor("bool").dtype, DType::Bool);
        assert_eq!(file.values_i64(tensor("bool")).unwrap(), [1, 0, 1]);
        assert_eq!(tensor("complex").dtype, DType::Complex64);
        assert!(file.values(tensor("complex")).unwrap_err().to_string().contains("complex"));
        assert!(file.values_i64(tensor("f32")).unwrap_err().to_string().contains("whole numbers"));

        assert!(tensor("number").shape.is_empty());
        assert_eq!(numbers("number"), [2.5]);
        assert_eq!(tensor("empty").shape, [0, 3]);
        assert!(numbers("empty").is_empty());
        assert_eq!(numbers("parameter"), count(0, 4));

        assert_eq!(tensor("transposed").shape, [4, 3]);
        assert_eq!(numbers("transposed"), [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11].map(|v| v as f32));
        assert_eq!(numbers("column"), [1.0, 5.0, 9.0]);
        assert_eq!(numbers("corner"), [6.0, 7.0, 10.0, 11.0]);
        assert_eq!(numbers("every_other"), [0.0, 3.0, 8.0, 11.0]);
        assert_eq!(tensor("column").storage, tensor("grid").storage);
        let permuted: Vec<f32> =
            (0..4).flat_map(|k| (0..2).flat_map(move |i| (0..3).map(move |j| (12 * i + 4 * j + k) as f32))).collect();
        assert_eq!(numbers("permuted"), permuted);
        assert_eq!(tensor("expanded").strides, [1, 0]);
        assert_eq!(numbers("expanded"), [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
        assert_eq!(numbers("windows"), [0.0, 1.0, 2.0, 1.0, 2.0, 3.0, 2.0, 3.0, 4.0]);

        let names: Vec<String> = root.tensors().unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), 22);
        assert_eq!(names[..2], ["f64", "f32"]);
        assert_eq!(root.state_dict().unwrap().len(), 22);
    }
    let file = opened("unsigned.pt");
    assert_eq!(values(&file, file.root().get("u16").unwrap()), [0.0, 65535.0]);
    let u64 = file.root().get("u64").unwrap().as_tensor().unwrap();
    assert_eq!(file.values_f64(u64).unwrap(), [u64::MAX as f64]);
    assert!(file.values_i64(u64).is_err());
}

#[test]
fn the_training_of_pfgm() {
    for name in ["pfgm.pth", "pfgm_legacy.pth"] {
        let file = opened(name);
        let root = file.root();
        let keys: Vec<&str> = root.entries().map(|(key, _)| key.as_str().unwrap()).collect();
        assert_eq!(keys, ["optimizer", "model", "ema", "step"]);
        assert_eq!(root.get("step").and_then(Value::as_int), Some(3));

        let model = root.get("model").unwrap().state_dict().unwrap();
        let names: Vec<&str> = model.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[..3], ["module.0.weight", "module.0.bias", "module.1.weight"]);
        assert_eq!(file.values(model[1].1).unwrap(), count(10, 13));

        let ema = root.get("ema").unwrap();
        assert_eq!(ema.get("decay").and_then(Value::as_f64), Some(0.9999));
        assert_eq!(ema.get("num_updates").and_then(Value::as_f64), Some(3.0));
        let shadow: Vec<Value> = ema.get("shadow_params").and_then(Value::as_list).unwrap().collect();
        assert_eq!(shadow.len(), 4);
        assert_eq!(values(&file, shadow[1]), [5.0, 5.5, 6.0]);

        let groups = root.get("optimizer").unwrap().get("param_groups").unwrap();
        let group = groups.as_list().unwrap().next().unwrap();
        assert_eq!(group.get("lr").and_then(Value::as_f64), Some(2e-4));
        let betas: Vec<f64> = group.get("betas").and_then(Value::as_list).unwrap().filter_map(Value::as_f64).collect();
        assert_eq!(betas, [0.9, 0.999]);

        let names: Vec<String> = root.tensors().unwrap().into_iter().map(|(name, _)| name).collect();
        assert!(names.contains(&"ema/shadow_params/3".to_owned()), "{names:?}");
    }
}

#[test]
fn networks_with_their_source() {
    for (name, key) in [("snapshot_2.pkl", "ema"), ("snapshot_4.pkl", "ema"), ("training-state-000777.pt", "net")] {
        let file = opened(name);
        let net = file.root().get(key).unwrap();
        assert_eq!(net.kind(), Kind::Object);
        assert_eq!(net.class(), Some("EDMPrecond"));
        assert_eq!(net.get("img_resolution").and_then(Value::as_int), Some(32));
        assert_eq!(net.get("sigma_data").and_then(Value::as_f64), Some(0.5));
        assert_eq!(net.get("training").and_then(Value::as_bool), Some(false));
        let meta = net.arguments().and_then(|arguments| arguments.as_list().unwrap().next()).unwrap();
        assert!(meta.get("module_src").and_then(Value::as_str).unwrap().starts_with("raise SystemExit"));

        let tensors = net.state_dict().unwrap();
        let names: Vec<&str> = tensors.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["model.enc.weight", "model.enc.filter", "model.dec.weight", "model.dec.bias"]);
        let numbers: Vec<Vec<f32>> = tensors.iter().map(|(_, tensor)| file.values(tensor).unwrap()).collect();
        assert_eq!(numbers, [count(0, 6), count(5, 7), count(7, 9), vec![0.5]]);
    }
}

#[test]
fn cycles_are_nothing_special() {
    let file = opened("cyclic.pt");
    let parent = file.root();
    assert_eq!(parent.class(), Some("networks.Module"));
    let child = parent.get("_modules").and_then(|modules| modules.get("child")).unwrap();
    assert!(child.get("_modules").and_then(|modules| modules.get("parent")).unwrap().is_same(parent));
    let itself: Vec<Value> = parent.get("itself").and_then(Value::as_list).unwrap().collect();
    assert!(itself[0].is_same(parent));
    assert!(itself[1].is_same(parent.get("itself").unwrap()));
    assert_eq!(parent.tensors().unwrap().len(), 2);
    // Modules that contain each other have no names.
    assert!(parent.state_dict().unwrap_err().to_string().contains("without end"));
}

#[test]
fn options_of_every_protocol() {
    for protocol in [0, 1, 2, 3, 5] {
        let file = opened(&format!("options_{protocol}.pkl"));
        assert_eq!(file.format(), Format::Pickle);
        let get = |name: &str| file.root().get(name).unwrap_or_else(|| panic!("{name} in protocol {protocol}"));
        let ints = |value: Value| value.as_list().unwrap().filter_map(Value::as_int).collect::<Vec<_>>();
        assert_eq!(get("big").as_big_int(), Some("1267650600228229401496703205376"));
        assert_eq!(get("big").as_f64(), Some(2f64.powi(100)));
        assert_eq!(get("negative").as_big_int(), Some("-1180591620717411303424"));
        assert_eq!(get("small").as_int(), Some(-7));
        assert_eq!(get("float").as_f64(), Some(1.5));
        assert_eq!(get("text").as_str(), Some("schr\u{f6}dinger \u{1f642} \\u"));
        assert_eq!(get("bytes").read_bytes().unwrap().unwrap(), b"\x00\xff");
        assert_eq!(get("bytearray").read_bytes().unwrap().unwrap(), b"ab");
        assert_eq!(get("set").kind(), Kind::Set);
        assert_eq!(ints(get("set")), [1]);
        assert_eq!(ints(get("frozenset")), [2]);
        assert_eq!(ints(get("tuple").as_list().unwrap().nth(1).unwrap()), [2, 3]);
        assert_eq!(get("yes").as_bool(), Some(true));
        assert!(get("none").is_none());
        assert_eq!(get("complex").class(), Some("builtins.complex"));
        assert_eq!(ints(get("defaultdict").get("a").unwrap()), [1]);
        let order: Vec<&str> = get("ordered").entries().filter_map(|(key, _)| key.as_str()).collect();
        assert_eq!(order, ["b", "a"]);
        assert_eq!(get("namespace").class(), Some("argparse.Namespace"));
        assert_eq!(get("namespace").get("lr").and_then(Value::as_f64), Some(0.5));
        assert_eq!(ints(get("size")), [2, 3]);
        assert_eq!(get("device").class(), Some("torch.device"));
        let mut device = get("device").arguments().unwrap().as_list().unwrap();
        assert_eq!(device.next().and_then(Value::as_str), Some("cuda"));
        assert_eq!(get("dtype").as_dtype(), Some(DType::F16));
        assert_eq!(get("f32").as_f64(), Some(0.25));
        assert_eq!(get("f64").as_f64(), Some(0.125));
        assert_eq!(get("i64").as_int(), Some(-5));
        assert_eq!(get("u64").as_big_int(), Some("18446744073709551615"));
        assert_eq!(get("bool").as_bool(), Some(true));
        assert_eq!(get("array").as_tensor().unwrap().shape, [2, 3]);
        assert_eq!(values(&file, get("array")), count(0, 6));
        assert_eq!(get("fortran").as_tensor().unwrap().strides, [1, 2]);
        assert_eq!(values(&file, get("fortran")), count(0, 6));
        assert_eq!(get("strings").kind(), Kind::Object);
        let shared: Vec<Value> = get("shared").as_list().unwrap().collect();
        assert!(shared[0].is_same(shared[1]));
    }
}

#[test]
fn memory_and_disk_are_alike() {
    for name in ["tensors.pt", "tensors_legacy.pt", "snapshot_4.pkl", "options_5.pkl"] {
        let (disk, memory) = (opened(name), from_bytes(std::fs::read(path(name)).unwrap()).unwrap());
        let (on_disk, in_memory) = (disk.root().tensors().unwrap(), memory.root().tensors().unwrap());
        assert_eq!(on_disk, in_memory);
        for (_, tensor) in on_disk.iter().filter(|(_, tensor)| tensor.dtype != DType::Complex64) {
            assert_eq!(disk.values_f64(tensor).unwrap(), memory.values_f64(tensor).unwrap());
        }
    }
}

/// `pfgm.pth`, its entries packed as `method` and changed by `change`, which returns whether they stay.
fn packed_anew(method: zip::CompressionMethod, change: impl Fn(&mut String, &mut Vec<u8>) -> bool) -> Vec<u8> {
    let mut old = zip::ZipArchive::new(std::fs::File::open(path("pfgm.pth")).unwrap()).unwrap();
    let mut new = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    for index in 0..old.len() {
        let mut entry = old.by_index(index).unwrap();
        let mut name = entry.name().unwrap().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        if change(&mut name, &mut content) {
            new.start_file(name, options).unwrap();
            new.write_all(&content).unwrap();
        }
    }
    new.finish().unwrap().into_inner()
}

#[test]
fn zips_that_others_packed() {
    let file = from_bytes(packed_anew(zip::CompressionMethod::Deflated, |_, _| true)).unwrap();
    let model = file.root().get("model").unwrap();
    assert_eq!(values(&file, model.get("module.0.bias").unwrap()), count(10, 13));
}

#[test]
fn zips_that_are_wrong() {
    let problem = |change: &dyn Fn(&mut String, &mut Vec<u8>)| {
        let bytes = packed_anew(zip::CompressionMethod::Stored, |name, content| {
            change(name, content);
            !name.is_empty()
        });
        from_bytes(bytes).unwrap_err().to_string()
    };
    let big = |name: &mut String, content: &mut Vec<u8>| {
        if name.ends_with("byteorder") {
            *content = b"big".to_vec();
        }
    };
    assert!(problem(&big).contains("big-endian"));
    let program = |name: &mut String, _: &mut Vec<u8>| *name = name.replace("/version", "/constants.pkl");
    assert!(problem(&program).contains("TorchScript"));
    let lacking = |name: &mut String, _: &mut Vec<u8>| {
        if name.ends_with("/data/0") {
            name.clear();
        }
    };
    assert!(problem(&lacking).contains("lacks the numbers of storage 0"));
    let headless = |name: &mut String, _: &mut Vec<u8>| *name = name.replace("data.pkl", "other.pkl");
    assert!(problem(&headless).contains("without data.pkl"));
    let short = |name: &mut String, content: &mut Vec<u8>| {
        if name.ends_with("/data/0") {
            content.truncate(4);
        }
    };
    assert!(problem(&short).contains("storage 0 has 4 bytes where"));
}

#[test]
fn files_that_are_no_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let problem = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let problem = open(&path).unwrap_err().to_string();
        assert!(problem.contains(name) && !problem.contains('\n'), "{problem}");
        problem
    };
    assert!(problem("empty.pt", b"").contains("is empty"));
    assert!(problem("text.pt", b"hello, this is no checkpoint").contains("not a checkpoint known here"));
    assert!(problem("zip.pt", b"PK\x03\x04 and no more").contains("zip is damaged"));
    assert!(problem("short.pt", b"\x80\x02]q").contains("cut off"));
    assert!(open(&folder.path().join("nothing.pt")).unwrap_err().to_string().contains("cannot be read"));
    assert!(open(folder.path()).unwrap_err().to_string().contains("is a folder"));
}
