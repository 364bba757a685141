//! Malicious files: each gives an error or harmless values.

use std::{io::Write, path::Path};

use pfgm_torch::{File, Kind, TorchError, Value, from_bytes};

/// Reads all values and tensors.
fn exhaust(file: &File) {
    let root = file.root();
    let _ = format!("{root:?}");
    let _ = root.state_dict();
    for (key, value) in root.entries() {
        let _ = (key.as_f64(), value.state_dict());
    }
    for (_, tensor) in root.tensors().unwrap_or_default() {
        let _ = file.values(tensor);
        let _ = file.values_i64(tensor);
    }
}

fn problem(bytes: impl Into<Vec<u8>>) -> String {
    let problem = from_bytes(bytes.into()).unwrap_err().to_string();
    assert!(problem.starts_with("<bytes>: ") && !problem.contains('\n'), "{problem}");
    problem
}

/// Asserts that opening these bytes exceeds a limit.
fn too_much(bytes: Vec<u8>) {
    let error = from_bytes(bytes).unwrap_err();
    assert!(matches!(error, TorchError::TooMuch { .. }), "{error}");
}

/// A short string.
fn text(text: &str) -> Vec<u8> {
    [&[0x8c, text.len() as u8], text.as_bytes()].concat()
}

fn int(value: i64) -> Vec<u8> {
    [&[0x8a, 8], value.to_le_bytes().as_slice()].concat()
}

#[test]
fn calls_are_refused() {
    let pickles: [(&str, &[u8]); 14] = [
        ("os.system", b"cos\nsystem\n(S'echo harm'\ntR."),
        ("os.system", b"(ios\nsystem\n."),
        ("os.system", b"(cos\nsystem\nS'echo harm'\no."),
        ("os.system", b"\x80\x02cos\nsystem\n)\x81."),
        ("os.system", b"\x80\x04cos\nsystem\n)}\x92."),
        ("posix.system", b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04harm\x85R."),
        ("posix.system", b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x94h\x02\x8c\x04harm\x85R."),
        ("builtins.eval", b"\x80\x02c__builtin__\neval\nX\x01\x00\x00\x001\x85R."),
        ("builtins.exec", b"\x80\x02cbuiltins\nexec\nX\x01\x00\x00\x001\x85R."),
        ("builtins.getattr", b"\x80\x02cbuiltins\ngetattr\n)R."),
        ("subprocess.Popen", b"\x80\x02csubprocess\nPopen\n)R."),
        ("pickle.loads", b"\x80\x02cpickle\nloads\nC\x01.\x85R."),
        ("os.system", b"\x80\x02ccopy_reg\n_reconstructor\ncos\nsystem\nc__builtin__\nobject\nN\x87R."),
        ("os.system", b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(cos\nsystem\nN)NtR."),
    ];
    for (name, pickle) in pickles {
        let error = from_bytes(pickle.to_vec()).unwrap_err();
        assert!(matches!(&error, TorchError::Refused { name: called, .. } if called == name), "{error}");
        let message = format!("<bytes>: asks to run {name}, which a checkpoint has no reason to: refused");
        assert_eq!(error.to_string(), message);
    }
    // A name alone is harmless, and so is an unknown function.
    let file = from_bytes(b"cos\nsystem\n.".to_vec()).unwrap();
    assert_eq!((file.root().kind(), file.root().class()), (Kind::Class, Some("os.system")));
    let file = from_bytes(b"charmless\nfunction\n(I1\ntR(dS'a'\nI2\nsb.".to_vec()).unwrap();
    assert_eq!(file.root().class(), Some("harmless.function"));
    assert_eq!(file.root().arguments().unwrap().as_list().unwrap().next().and_then(Value::as_int), Some(1));
    assert_eq!(file.root().get("a").and_then(Value::as_int), Some(2));
}

#[test]
fn nesting_is_no_recursion() {
    let depth = 100_000;
    let lists = [vec![b']'; depth], vec![b'a'; depth - 1], vec![b'.']].concat();
    let tuples = [vec![b')'], vec![0x85; depth], vec![b'.']].concat();
    for pickle in [lists, tuples] {
        let file = from_bytes(pickle).unwrap();
        assert!(file.root().tensors().unwrap_err().to_string().contains("levels"));
    }
    let marks = [vec![b'('; depth], vec![b'l'; depth], vec![b'.']].concat();
    assert!(problem(marks).contains("open marks"));
}

#[test]
fn billions_of_laughs() {
    // Each list contains the previous one twice.
    let mut pickle = b"\x80\x04]\x94".to_vec();
    for level in 0..200u8 {
        pickle.extend([b']', 0x94, b'(', b'h', level, b'h', level, b'e']);
    }
    pickle.push(b'.');
    let file = from_bytes(pickle).unwrap();
    assert_eq!(file.root().tensors().unwrap(), []);

    // Each module contains the previous one twice.
    let mut pickle = b"\x80\x04cm\nM\n\x94".to_vec();
    let children = |child: u8| {
        let child = [b'h', child];
        [b"}".as_slice(), &text("_modules"), b"}(", &text("a"), &child, &text("b"), &child, b"us"].concat()
    };
    pickle.extend(b"h\x00)\x81\x94");
    for level in 1..100 {
        pickle.extend(b"h\x00)\x81\x94");
        pickle.extend(children(level));
        pickle.push(b'b');
    }
    pickle.push(b'.');
    let file = from_bytes(pickle).unwrap();
    assert!(file.root().state_dict().unwrap_err().to_string().contains("without end"));

    // A list that is copied into a set again and again.
    let mut pickle = b"\x80\x04c__builtin__\nset\n\x94]\x94(".to_vec();
    pickle.extend([b'N'; 10_000]);
    pickle.extend(b"e\x85\x94");
    pickle.extend(b"h\x00h\x02R0".repeat(10_000));
    pickle.extend(b"N.");
    assert!(problem(pickle).contains("more values than its size explains"));

    // A string that is encoded again and again.
    let mut pickle = b"\x80\x04c_codecs\nencode\n\x94X\x00\x00\x10\x00".to_vec();
    pickle.resize(pickle.len() + (1 << 20), b'x');
    pickle.extend([b"\x94".as_slice(), &text("latin1"), b"\x86\x94"].concat());
    pickle.extend(b"h\x00h\x02R0".repeat(10_000));
    pickle.extend(b"N.");
    assert!(problem(pickle).contains("more bytes than its size explains"));
}

#[test]
fn checkpoints_inside_each_other() {
    let inside = |bytes: &[u8]| {
        let len = (bytes.len() as u32).to_le_bytes();
        [b"\x80\x04ctorch.storage\n_load_from_bytes\nB".as_slice(), &len, bytes, b"\x85R."].concat()
    };
    let one = inside(b"\x80\x04K\x07.");
    assert_eq!(from_bytes(one.clone()).unwrap().root().as_int(), Some(7));
    let mut many = one;
    for _ in 0..1000 {
        many = inside(&many);
    }
    assert!(problem(many).contains("checkpoints inside checkpoints"));
}

/// Returns a stream with one storage that declares `listed` elements and contains `stored`, and a tensor that views it.
fn stream(listed: i64, stored: u64, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let tuple =
        |items: &[i64]| [b"(".to_vec(), items.iter().flat_map(|&item| int(item)).collect(), vec![b't']].concat();
    let system = [b"\x80\x02}".to_vec(), text("little_endian"), b"\x88s.".to_vec()].concat();
    let storage = [b"(".to_vec(), text("storage"), b"ctorch\nFloatStorage\n".to_vec(), text("0"), text("cpu")].concat();
    let storage = [storage, int(listed), b"tQ".to_vec()].concat();
    let tensor = [b"ctorch._utils\n_rebuild_tensor_v2\n(".to_vec(), storage, int(offset), tuple(shape)].concat();
    let tensor = [tensor, tuple(strides), b"\x89}tR.".to_vec()].concat();
    let numbers: Vec<u8> = (0..stored).flat_map(|number| (number as f32).to_le_bytes()).collect();
    [
        b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.".to_vec(),
        system,
        tensor,
        [b"]".to_vec(), text("0"), b"a.".to_vec()].concat(),
        stored.to_le_bytes().to_vec(),
        numbers,
    ]
    .concat()
}

#[test]
fn tensors_outside_of_their_storage() {
    let file = from_bytes(stream(6, 6, 1, &[2, 2], &[3, 1])).unwrap();
    let tensor = file.root().as_tensor().unwrap();
    assert_eq!(file.values(tensor).unwrap(), [1.0, 2.0, 4.0, 5.0]);
    assert!(file.values(&pfgm_torch::Tensor { storage: 1, ..tensor.clone() }).is_err());
    assert!(file.values(&pfgm_torch::Tensor { offset: 0, ..tensor.clone() }).is_ok());
    assert!(file.values(&pfgm_torch::Tensor { offset: 2, ..tensor.clone() }).is_err());
    assert!(file.values(&pfgm_torch::Tensor { shape: vec![4], ..tensor.clone() }).is_err());

    let max = i64::MAX;
    for (message, bytes) in [
        ("does not have the 28 bytes", stream(7, 6, 0, &[2], &[1])),
        ("does not have the 20 bytes", stream(5, 6, 0, &[2], &[1])),
        ("impossible size", stream(-1, 6, 0, &[2], &[1])),
        ("impossible size", stream(max, 6, 0, &[2], &[1])),
        ("reaches byte 28", stream(6, 6, 0, &[7], &[1])),
        ("reaches byte 28", stream(6, 6, 1, &[2, 2], &[4, 1])),
        ("reaches byte 28", stream(6, 6, 6, &[], &[])),
        ("no number of elements", stream(6, 6, -1, &[2], &[1])),
        ("contain -2", stream(6, 6, 0, &[-2], &[1])),
        ("contain -1", stream(6, 6, 0, &[2], &[-1])),
        ("beyond all memory", stream(6, 6, 0, &[max, max, 2], &[0, 0, 0])),
        ("beyond all memory", stream(6, 6, 0, &[3], &[max])),
        ("beyond all memory", stream(6, 6, 0, &[2, 2], &[max, max])),
        ("beyond all memory", stream(6, 6, max, &[2], &[max])),
        ("has strides", stream(6, 6, 0, &[2], &[1, 1])),
        ("100 dimensions", stream(6, 6, 0, &[1; 100], &[1; 100])),
    ] {
        let problem = problem(bytes);
        assert!(problem.contains(message), "{problem}");
    }
    too_much(stream(6, 6, 0, &[max], &[0]));
    let file = from_bytes(stream(6, 6, 99, &[max, max, 0], &[max, max, max])).unwrap();
    let tensor = file.root().as_tensor().unwrap();
    assert_eq!((tensor.elements(), file.values(tensor).unwrap()), (0, vec![]));
}

#[test]
fn lengths_beyond_the_file() {
    for pickle in [
        b"\x80\x04X\xff\xff\xff\xffa".as_slice(),
        b"\x80\x04B\xff\xff\xff\xffa",
        b"\x80\x04T\xff\xff\xff\xffa",
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xffa",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xffa",
        b"\x80\x04\x96\xff\xff\xff\xff\xff\xff\xff\x7fa",
    ] {
        assert!(problem(pickle).contains("cut off"));
    }
    assert!(problem(b"\x80\x04\x8b\xff\xff\xff\xff.").contains("a whole number of"));
    assert!(problem([b"\x80\x04L".to_vec(), vec![b'9'; 2000], b"L\n.".to_vec()].concat()).contains("a line of"));
    assert!(problem(b"\x80\x04h\x05.").contains("nothing is memorized"));
    assert!(problem(b"\x80\x04.").contains("stack is empty"));
    assert!(problem(b"\x80\x04K\x01(00.").contains("stack is empty"));
    assert!(problem(b"\x80\x04u.").contains("no mark"));
    assert!(problem(b"\x80\x09N.").contains("protocol 9"));
    assert!(problem(b"\x80\x04}(K\x01u.").contains("has no value"));
    assert!(problem(b"\x80\x04\x82\x01.").contains("extension registry"));
    assert!(problem(b"\x80\x04K\x01)R.").contains("neither a class nor a function"));
    assert!(problem(b"\x80\x04NQ.").contains("outside of it"));
}

#[test]
fn zips_that_inflate() {
    // Sets the size of the only entry to `claimed`, in the directory and in the local header.
    let bomb = |claimed: u32| {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let deflated = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        zip.start_file("a/data.pkl", deflated).unwrap();
        zip.write_all(&vec![b'N'; 1 << 20]).unwrap();
        let mut bytes = zip.finish().unwrap().into_inner();
        let directory = bytes.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
        bytes[directory + 24..directory + 28].copy_from_slice(&claimed.to_le_bytes());
        bytes
    };
    assert!(problem(bomb(1 << 20)).contains("cut off"));
    too_much(bomb(1 << 31));
    assert!(problem(bomb(1000)).contains("not of the 1000 bytes"));
    assert!(problem(bomb(1 << 21)).contains("not of the 2097152 bytes"));
}

/// A zip of `data.pkl` and storages, each deflated or not.
fn zip(pickle: &[u8], storages: &[Vec<u8>], deflated: bool) -> Vec<u8> {
    use zip::CompressionMethod::{Deflated, Stored};
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let method = if deflated { Deflated } else { Stored };
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    let entries = storages.iter().enumerate().map(|(index, bytes)| (format!("a/data/{index}"), bytes.as_slice()));
    for (name, bytes) in [("a/data.pkl".to_owned(), pickle)].into_iter().chain(entries) {
        zip.start_file(name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A list of tensors: for each the storage and its elements, the tensor's shape and strides.
fn tensors(list: &[(usize, i64, Vec<i64>, Vec<i64>)]) -> Vec<u8> {
    let tuple =
        |items: &[i64]| [b"(".to_vec(), items.iter().flat_map(|&item| int(item)).collect(), vec![b't']].concat();
    let mut pickle = b"\x80\x02]".to_vec();
    for (storage, count, shape, strides) in list {
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        pickle.extend([text("storage"), b"ctorch\nFloatStorage\n".to_vec(), text(&storage.to_string())].concat());
        pickle.extend([text("cpu"), int(*count), b"tQ".to_vec(), int(0), tuple(shape), tuple(strides)].concat());
        pickle.extend(b"\x89}tRa");
    }
    pickle.push(b'.');
    pickle
}

#[test]
fn tensors_that_take_more_than_the_file() {
    let small = vec![0_u8; 64];
    let one = |shape: Vec<i64>, strides: Vec<i64>| (0, 16, shape, strides);
    let file = |list: &[_]| zip(&tensors(list), std::slice::from_ref(&small), false);
    // Stride 0 is allowed within the budget for all tensors.
    let some = [one(vec![1 << 20], vec![0]), one(vec![16], vec![1])];
    assert_eq!(from_bytes(file(&some)).unwrap().root().tensors().unwrap().len(), 2);
    too_much(file(&vec![one(vec![1 << 20], vec![0]); 100]));
    too_much(file(&[one(vec![1 << 30], vec![0])]));
    // Overlapping rows.
    too_much(file(&[one(vec![8; 12], vec![0; 12])]));
    // The same megabyte repeatedly, and two of its elements with the range between them.
    let million = vec![0_u8; 1 << 20];
    let views = |shape: Vec<i64>, strides: Vec<i64>| vec![(0, 1 << 18, shape, strides); 200];
    let file = |list: &[_]| zip(&tensors(list), std::slice::from_ref(&million), false);
    too_much(file(&views(vec![1 << 18], vec![1])));
    too_much(file(&views(vec![2], vec![(1 << 18) - 1])));
    assert!(from_bytes(file(&views(vec![1 << 18], vec![1])[..20])).is_ok());
    // Compressed zeros: too many of them, or decompressed for each of many tensors.
    let zeros = vec![vec![0_u8; 1 << 24]; 8];
    let whole: Vec<_> = (0..8).map(|storage| (storage, 1 << 22, vec![1 << 22], vec![1])).collect();
    too_much(zip(&tensors(&whole), &zeros, true));
    let parts = vec![(0, 1 << 18, vec![1], vec![1]); 200];
    too_much(zip(&tensors(&parts), std::slice::from_ref(&million), true));
    let all = from_bytes(zip(&tensors(&parts[..4]), std::slice::from_ref(&million), true)).unwrap();
    assert_eq!(all.values(all.root().tensors().unwrap()[3].1).unwrap(), [0.0]);
}

/// The files in the folder of `make.py`.
fn fixtures() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension != "py")).collect();
    assert_eq!(files.len(), 14);
    files.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn cut_off_anywhere() {
    for bytes in fixtures() {
        for len in 0..bytes.len() {
            if let Ok(file) = from_bytes(bytes[..len].to_vec()) {
                exhaust(&file);
            }
        }
    }
}

#[test]
fn damaged_anywhere() {
    // xorshift64: the same damage in every run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut opened = 0;
    for bytes in fixtures() {
        for _ in 0..2000 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + random(4) {
                let place = random(damaged.len());
                damaged[place] = if random(2) == 0 { random(256) as u8 } else { damaged[place] ^ 1 << random(8) };
            }
            if let Ok(file) = from_bytes(damaged) {
                opened += 1;
                exhaust(&file);
            }
        }
    }
    assert!(opened > 1000, "{opened}");
}

/// A safetensors file of a header and so many bytes.
fn safetensors(header: &str, bytes: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![0; bytes]].concat()
}

#[test]
fn safetensors_with_impossible_headers() {
    let good = r#"{"__metadata__":{"by":"hand"},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let file = from_bytes(safetensors(good, 8)).unwrap();
    assert_eq!((file.metadata("by"), file.root().state_dict().unwrap()[0].1.shape.clone()), (Some("hand"), vec![2]));
    let tensor = |dtype: &str, shape: &str, offsets: &str| {
        format!(r#"{{"a":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    for header in [
        tensor("F32", "[2]", "[0,16]"),
        tensor("F32", "[2]", "[4,12]"),
        tensor("F32", "[2]", "[8,0]"),
        tensor("F32", "[-2]", "[0,8]"),
        tensor("F32", "[4294967296,4294967296,4294967296]", "[0,8]"),
        tensor("F9", "[2]", "[0,8]"),
        tensor("F32", "[18446744073709551615,0]", "[0,8]"),
        tensor("F32", "2", "[0,8]"),
        tensor("F32", "[2]", "[0,8,16]"),
        tensor("F32", "[1.5]", "[0,6]"),
        format!("{{\"a\":{}{}", "[".repeat(5000), "]".repeat(5000)),
        "{".into(),
        "{\"a\":7}".into(),
    ] {
        let error = from_bytes(safetensors(&header, 8)).unwrap_err();
        assert!(matches!(error, TorchError::Malformed { .. }), "{header}: {error}");
    }
    // The same million elements under many names.
    let names = |count: usize| {
        let one = |name: usize| format!(r#""{name}":{{"dtype":"F32","shape":[262144],"data_offsets":[0,1048576]}}"#);
        format!("{{{}}}", (0..count).map(one).collect::<Vec<_>>().join(","))
    };
    assert!(from_bytes(safetensors(&names(4), 1 << 20)).is_ok());
    too_much(safetensors(&names(1000), 1 << 20));
}
