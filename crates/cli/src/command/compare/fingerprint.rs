//! Fingerprints: short hashes of models, data and files.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use pfgm::{Model, weights};
use pfgm_data::Dataset;

/// FNV-1a over words of 32 bits instead of bytes. It is not cryptographic.
#[derive(Clone, Copy)]
pub struct Fingerprint(u64);

impl Fingerprint {
    pub fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn push_word(&mut self, word: u32) {
        self.0 = (self.0 ^ u64::from(word)).wrapping_mul(0x0000_0100_0000_01b3);
        // Mixes high bits into low ones, which multiplication does not.
        self.0 ^= self.0 >> 32;
    }

    pub fn floats(&mut self, values: &[f32]) {
        self.push_word(values.len() as u32);
        values.iter().for_each(|value| self.push_word(value.to_bits()));
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.push_word(bytes.len() as u32);
        bytes.iter().for_each(|&byte| self.push_word(u32::from(byte)));
    }

    pub fn text(self) -> String {
        format!("{:016x}", self.0)
    }
}

/// The fingerprint of a model: its weights and its specification.
pub fn of_model(model: &Model) -> Result<String> {
    let mut found = Fingerprint::new();
    found.bytes(&serde_json::to_vec(model.spec())?);
    for weight in weights::collect(model.network()) {
        found.bytes(weight.name.as_bytes());
        found.floats(&weight.values);
    }
    Ok(found.text())
}

/// The fingerprint of all rows of a data set.
pub fn of_dataset(dataset: &Dataset) -> Result<String> {
    let mut found = Fingerprint::new();
    found.bytes(dataset.shape.to_string().as_bytes());
    let mut row = vec![0.0; dataset.shape.dim()];
    for index in 0..dataset.len() {
        dataset.read(index, &mut row)?;
        found.floats(&row);
    }
    Ok(found.text())
}

/// The fingerprint of a file.
pub fn of_file(path: &Path) -> Result<String> {
    let mut found = Fingerprint::new();
    found.bytes(&fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))?);
    Ok(found.text())
}

/// The fingerprint of a text.
pub fn of_text(text: &str) -> String {
    let mut found = Fingerprint::new();
    found.bytes(text.as_bytes());
    found.text()
}
