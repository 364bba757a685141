//! `pfgm presets`

use anyhow::{Result, bail};
use pfgm::presets::{CASCADES, PRESETS, find, find_cascade};

use crate::{render, resolve::nearest};

pub fn run(name: Option<&str>) -> Result<()> {
    let Some(name) = name else {
        for preset in PRESETS {
            render::line(format!("{:<14} {}", preset.name, preset.description()));
        }
        render::line("\nCascades, for `pfgm cascade train NAME`:");
        for preset in CASCADES {
            render::line(format!("{:<18} {}", preset.name, preset.description()));
        }
        render::line("\nPrint one with `pfgm presets NAME`; change it with `pfgm train NAME --set KEY=VALUE`.");
        return Ok(());
    };
    let Some(preset) = find(name).or_else(|| find_cascade(name)) else {
        let hint = nearest(name, PRESETS.iter().chain(CASCADES).map(|preset| preset.name));
        let hint = hint.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
        bail!("{name}: no preset of that name{hint}");
    };
    render::line(preset.text.trim_end());
    Ok(())
}
