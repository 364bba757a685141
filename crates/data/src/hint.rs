//! Hints for converting formats that are not supported.

/// What is said beside a conversion where a feature of the program reads the format.
fn feature(name: &str) -> String {
    format!(", or install the program with `cargo install --path crates/cli --features {name}`")
}

pub(crate) fn is_dicom(first: &[u8]) -> bool {
    first.get(128..132) == Some(b"DICM")
}

/// The way to convert DICOM.
pub(crate) fn dicom() -> String {
    let code = "import pydicom,numpy; d=pydicom.dcmread(\"FILE\"); \
                numpy.save(\"FILE.npy\", d.pixel_array[None]*float(d.get(\"RescaleSlope\",1))+float(d.get(\"RescaleIntercept\",0)))";
    format!("; it is DICOM: convert it with python -c '{code}'{}", feature("dicom"))
}

/// Returns how to convert a file, by its first bytes and its lowercase name; starts with a semicolon.
pub(crate) fn conversion(first: &[u8], name: &str) -> Option<String> {
    let python = |module: &str, code: &str| format!("; it is {module}: convert it with python -c '{code}'");
    Some(match first {
        [0x89, b'H', b'D', b'F', ..] => {
            let code = "import h5py,numpy; f=h5py.File(\"FILE\"); numpy.savez(\"FILE.npz\", **{k:f[k][()] for k in f})";
            python("HDF5", code) + &feature("hdf5")
        }
        [b'A', b'R', b'R', b'O', b'W', b'1', ..] => python(
            "Arrow",
            "import pyarrow.feather as f; f.read_table(\"FILE\").to_pandas().to_csv(\"FILE.csv\",index=False)",
        ),
        _ if is_dicom(first) => dicom(),
        _ if name.ends_with(".nii") => python(
            "NIfTI",
            "import nibabel,numpy; numpy.save(\"FILE.npy\", numpy.moveaxis(nibabel.load(\"FILE\").get_fdata(),2,0))",
        ),
        [0xFD, b'7', b'z', b'X', b'Z', ..] => "; it is packed with xz: unpack it with `xz -d FILE`".into(),
        [b'7', b'z', 0xBC, 0xAF, ..] => "; it is a 7z archive: unpack it with `7z x FILE` and give the folder".into(),
        [b'R', b'a', b'r', b'!', ..] => {
            "; it is a RAR archive: unpack it with `unrar x FILE` and give the folder".into()
        }
        [0xD0, 0xCF, 0x11, 0xE0, ..] => "; it is an old Excel file: save it as CSV".into(),
        [0x80, 2..=5, ..] => python(
            "a pickle, which is not run",
            "import pickle,numpy; d=pickle.load(open(\"FILE\",\"rb\")); numpy.savez(\"FILE.npz\", x=d)",
        ),
        [b'{' | b'[', ..] if name.ends_with(".json") || name.ends_with(".jsonl") => {
            python("JSON", "import pandas; pandas.read_json(\"FILE\").to_csv(\"FILE.csv\",index=False)")
        }
        _ if name.ends_with(".tfrecord") || name.contains(".tfrecord-") => {
            "; it is TensorFlow's: write the images to a folder with tensorflow_datasets".into()
        }
        _ => return None,
    })
}

/// Returns how to convert a zip with another format; `has` returns whether the name of some entry contains a text.
pub(crate) fn in_zip(has: &dyn Fn(&str) -> bool) -> Option<String> {
    match () {
        () if has("data.pkl") => Some(
            "; it is a file of PyTorch: convert it with python -c 'import torch,numpy; numpy.save(\"FILE.npy\", \
             torch.load(\"FILE\").numpy())'"
                .into(),
        ),
        () if has("xl/workbook.xml") => Some("; it is an Excel file: save it as CSV".into()),
        () => None,
    }
}
