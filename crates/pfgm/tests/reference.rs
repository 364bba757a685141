//! The meanings of configuration keys are the doc comments of the fields that hold their values.
#![allow(missing_docs)]

use std::{fs, path::PathBuf};

use pfgm::config::reference::{KEYS, Key};

/// Tables without kinds: the section, the file under `crates`, and the type.
const TABLES: [(&str, &str, &str); 6] = [
    ("data", "pfgm/src/config/mod.rs", "DataConfig"),
    ("flow", "pfgm/src/config/mod.rs", "FlowConfig"),
    ("upscale", "pfgm/src/conditioning/spatial.rs", "UpscaleConfig"),
    ("train", "pfgm/src/config/train.rs", "TrainConfig"),
    ("sample", "pfgm/src/config/mod.rs", "SampleConfig"),
    ("sample.solver", "flow/src/solver/overrides.rs", "SolverOverrides"),
];

/// Tables with kinds: the section, the kind, the file, and the type or variant.
const KINDS: [(&str, &str, &str, &str); 16] = [
    ("flow.output", "field", "pfgm/src/prediction/mod.rs", "Field"),
    ("flow.output", "ve", "pfgm/src/prediction/mod.rs", "Ve"),
    ("flow.output", "vp", "pfgm/src/prediction/mod.rs", "Vp"),
    ("flow.output", "sub-vp", "pfgm/src/prediction/mod.rs", "SubVp"),
    ("flow.output", "discrete", "pfgm/src/prediction/mod.rs", "Discrete"),
    ("objective", "pfgm++", "pfgm/src/objective/pfgmpp.rs", "DenoisingObjective"),
    ("objective", "pfgm", "pfgm/src/objective/pfgm.rs", "FieldObjective"),
    ("objective", "consistency", "pfgm/src/objective/consistency.rs", "ConsistencyObjective"),
    ("objective", "ipfm", "pfgm/src/objective/inverse.rs", "InverseObjective"),
    ("network", "mlp", "nn/src/mlp.rs", "MlpConfig"),
    ("network", "unet", "nn/src/unet/ddpmpp.rs", "UnetConfig"),
    ("network", "score-unet", "nn/src/unet/score_sde.rs", "ScoreUnetConfig"),
    ("network", "adm-unet", "nn/src/unet/adm.rs", "AdmUnetConfig"),
    ("network", "diffusers-unet", "nn/src/unet/diffusers/mod.rs", "DiffusersUnetConfig"),
    ("network", "edm2-unet", "nn/src/unet/edm2/mod.rs", "Edm2UnetConfig"),
    ("network", "ncsnv2", "nn/src/ncsnv2.rs", "Ncsnv2Config"),
];

/// Kinds themselves: the key, and the type and field of the table.
const TAGS: [(&str, &str, &str); 3] = [
    ("flow.output.kind", "FlowConfig", "output"),
    ("objective.kind", "Config", "objective"),
    ("network.kind", "Config", "network"),
];

fn crates() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The doc comment of a field of a type, or of a variant of an enumeration, on one line.
fn doc_comment(file: &str, of: &str, field: &str) -> String {
    let text = fs::read_to_string(crates().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let begin =
        |line: &&str| [format!("pub struct {of} {{"), format!("{of} {{")].iter().any(|begin| line.trim() == begin);
    let lines = text.lines().skip_while(|line| !begin(line)).skip(1).map(str::trim);
    let mut comment: Vec<&str> = Vec::new();
    for line in lines.take_while(|line| !line.starts_with('}')) {
        let name = line.trim_start_matches("pub ").split(':').next().unwrap_or_default();
        if let Some(part) = line.strip_prefix("///") {
            comment.push(part.trim());
        } else if name == field {
            return comment.join(" ");
        } else if !line.starts_with("#[") {
            comment.clear();
        }
    }
    panic!("{file}: {of} has no field {field}")
}

/// The meaning of a key, which is the same for all kinds that have it.
fn meaning(key: &Key) -> String {
    if let Some((_, of, field)) = TAGS.iter().find(|(path, ..)| *path == key.path) {
        return doc_comment("pfgm/src/config/mod.rs", of, field);
    }
    if let Some((_, file, of)) = TABLES.iter().find(|(section, ..)| *section == key.section()) {
        return doc_comment(file, of, key.name());
    }
    let of_kind = |kind: &&str| {
        let (.., file, of) = KINDS.iter().find(|(section, own, ..)| *section == key.section() && own == kind).unwrap();
        doc_comment(file, of, key.name())
    };
    let meanings: Vec<String> = key.kinds.iter().map(of_kind).collect();
    assert!(meanings.windows(2).all(|pair| pair[0] == pair[1]), "{}: write one row a meaning: {meanings:?}", key.path);
    meanings.into_iter().next().unwrap_or_else(|| panic!("{}: no kinds", key.path))
}

#[test]
fn meanings_are_the_doc_comments_of_the_fields() {
    let path = crates().join("pfgm/src/config/reference/meanings.rs");
    let kept = fs::read_to_string(&path).unwrap();
    let (head, _) = kept.split_once("= &[\n").unwrap();
    let mut text = format!("{head}= &[\n");
    for key in KEYS {
        let meaning = meaning(key);
        assert!(!meaning.is_empty() && !meaning.contains('|'), "{}: {meaning}", key.path);
        text.push_str(&format!("    ({:?}, &{:?}, {meaning:?}),\n", key.path, key.kinds));
    }
    text.push_str("];\n");
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap();
    assert!(kept == text, "meanings.rs is stale: run UPDATE_REFERENCE=1 cargo test -p pfgm --test reference");
}
