//! Checkpoints whose record describes another network than their weights, or none; configurations with hostile values.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Random, Setting, program::Call};

/// Checkpoints to begin with.
const FOLDER: &str = "crates/cli/tests/frozen/runs";
const RUNS: [&str; 4] = ["table", "mlp-pfgm", "unet", "score-vp"];

/// Values for a place in a record.
fn values() -> Vec<Value> {
    vec![
        json!(0),
        json!(-1),
        json!(1),
        json!(3),
        json!(100_000),
        json!(1_000_000_000_u64),
        json!(u64::MAX),
        json!(1e-300),
        json!(1e300),
        json!(-1e300),
        json!(null),
        json!(true),
        json!("inf"),
        json!("nan"),
        json!("x".repeat(10_000)),
        json!([]),
        json!([0]),
        json!(vec![1; 64]),
        json!([u64::MAX / 8, 3]),
        json!({}),
        json!({ "vector": { "len": 1_000_000_000_000_u64 } }),
    ]
}

/// Values for `--set KEY=VALUE`.
const TEXTS: [&str; 13] = [
    "0",
    "-1",
    "1",
    "100000",
    "1000000000",
    "9223372036854775807",
    "1e300",
    "1e-300",
    "nan",
    "inf",
    "[]",
    "[1,1,1,1,1,1,1,1,1,1,1,1,1]",
    "\"x\"",
];

/// Hostile records and configurations until the time is over.
pub fn run(setting: &Setting) -> Result<String> {
    let mut random = Random::new(setting.seed, "records");
    let keys = keys(setting)?;
    let (mut records, mut dry_runs, mut accepted) = (0, 0, 0);
    while records == 0 || !setting.is_over() {
        if random.below(3) == 0 {
            dry_runs += 1;
            let preset = *random.choose(&["digits", "heart"]);
            let changes = 1 + random.below(3);
            let set: Vec<String> =
                (0..changes).map(|_| format!(" --set {}={}", random.choose(&keys), random.choose(&TEXTS))).collect();
            let outcome = setting.program.run(&format!("train {preset} --dry-run{}", set.concat()))?;
            setting.judge(&outcome, 0, &[]);
        } else {
            records += 1;
            let path = setting.folder.join("record.safetensors");
            fs::write(&path, hostile(&setting.root, &mut random)?)?;
            let command = random.choose(&[
                "sample record.safetensors -n 1 --steps 2 -o x.png",
                "export record.safetensors -o y.safetensors",
                "train digits --from record.safetensors --dry-run",
            ]);
            let outcome = setting.program.call(&Call::new(command))?;
            accepted += usize::from(outcome.code == 0);
            setting.judge(&outcome, 0, &[&path]);
        }
    }
    Ok(format!("{records} hostile records, of which {accepted} could be used, and {dry_runs} hostile configurations"))
}

/// The keys of the configuration: lines `key = value` below `[table]`.
fn keys(setting: &Setting) -> Result<Vec<String>> {
    let call = Call::new("config");
    let outcome = setting.program.call(&call)?;
    ensure!(outcome.code == 0, "pfgm config: {}", outcome.said);
    let text = fs::read_to_string(setting.folder.join("stdout"))?;
    let words = text.lines().filter_map(|line| line.split_whitespace().next());
    let is_key = |word: &&str| {
        word.split('.').count() >= 2 && word.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == '.')
    };
    let keys: Vec<String> = words.filter(is_key).map(str::to_owned).collect();
    ensure!(keys.len() > 20, "`pfgm config` lists {} keys", keys.len());
    Ok(keys)
}

/// A checkpoint with some values of its record changed.
fn hostile(root: &Path, random: &mut Random) -> Result<Vec<u8>> {
    let path = root.join(FOLDER).join(format!("{}.safetensors", random.choose(&RUNS)));
    let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
    let length = u64::from_le_bytes(*bytes.first_chunk().context("a header")?) as usize;
    let mut header: Value = serde_json::from_slice(&bytes[8..8 + length])?;
    let record = header["__metadata__"]["pfgm"].as_str().context("a record")?;
    let mut record: Value = serde_json::from_str(record)?;
    for _ in 0..1 + random.below(3) * random.below(2) {
        let mut places = Vec::new();
        collect(&record, "", &mut places);
        let place = random.choose(&places).clone();
        *record.pointer_mut(&place).context("a place")? = random.choose(&values()).clone();
    }
    if random.below(4) == 0 {
        // The shape of a tensor, too.
        let names: Vec<String> = header.as_object().context("an object")?.keys().cloned().collect();
        let name = random.choose(&names).clone();
        let value = random.choose(&values()).clone();
        if let Some(shape) = header[&name].get_mut("shape") {
            *shape = value;
        }
    }
    header["__metadata__"]["pfgm"] = Value::String(record.to_string());
    let header = header.to_string();
    Ok([&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &bytes[8 + length..]].concat())
}

/// Every place of a value, as JSON pointers.
fn collect(value: &Value, path: &str, found: &mut Vec<String>) {
    let mut below = |key: &str, value: &Value| collect(value, &format!("{path}/{key}"), found);
    match value {
        Value::Object(entries) => entries.iter().for_each(|(key, value)| below(key, value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, value)| below(&i.to_string(), value)),
        _ => {}
    }
    if !path.is_empty() {
        found.push(path.to_owned());
    }
}
