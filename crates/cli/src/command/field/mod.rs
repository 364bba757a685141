//! `pfgm field`

mod animate;
mod density;
mod overview;
mod scene;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use pfgm::augmentation::Augmentation;
use pfgm_plot::Animation;

use self::{overview::Counts, scene::Scene};
use crate::{
    args::{DataArgs, FieldArgs},
    output::{self, line, shown},
    resolve,
};

/// Charges, particles, lines and frames at the most: a slip of the pen should not take hours.
const MOST: usize = 100_000;

pub fn run(args: &FieldArgs) -> Result<()> {
    for (flag, value, least) in [
        ("--charges", args.charges, 2),
        ("--lines", args.lines, 1),
        ("--particles", args.particles, 1),
        ("--frames", args.frames, 2),
    ] {
        if !(least..=MOST).contains(&value) {
            bail!("{flag} {value}: give a number from {least} to {MOST}");
        }
    }
    let augmentation = resolve::augmentation("-D", &args.augmentation)?;
    let format = args.animate.as_deref().map(animation_format).transpose()?;
    let scene = scene(args, augmentation)?;
    line(format!("{}: {} charges in {} dimensions, D = {augmentation}", scene.name, scene.count(), scene.dim));
    if let (Some(path), Some(format)) = (&args.animate, format) {
        output::check_writable(path)?;
        output::write(path, &animate::draw(&scene, format, (args.particles, args.frames))?)?;
        line(format!("animation  {}", shown(path)));
        if args.out.is_none() && !args.density {
            return Ok(());
        }
    }
    let kind = if args.density { "density" } else { "field" };
    let path = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}-{kind}.png", scene.name)));
    output::check_writable(&path)?;
    let picture = if args.density {
        plane_only(&scene, "--density")?;
        density::draw(&scene)?
    } else {
        overview::draw(&scene, &Counts { lines: args.lines, particles: args.particles })?
    };
    output::write(&path, &picture)?;
    line(format!("picture    {}", shown(&path)));
    Ok(())
}

fn scene(args: &FieldArgs, augmentation: Augmentation) -> Result<Scene> {
    let table = DataArgs { columns: args.table.columns.clone(), label: args.table.label.clone() };
    let name = args.data.as_deref().unwrap_or("heart");
    Scene::new(&resolve::dataset(name, &table)?, args.charges, augmentation, args.seed)
}

/// Some pictures show the plane of the data.
fn plane_only(scene: &Scene, flag: &str) -> Result<()> {
    if scene.dim != 2 {
        bail!(
            "{flag}: draws charges in the plane, and {} has {} columns; choose two with --columns",
            scene.name,
            scene.dim
        );
    }
    Ok(())
}

fn animation_format(path: &Path) -> Result<Animation> {
    match path.extension().map(|extension| extension.to_string_lossy().to_lowercase()).as_deref() {
        Some("gif") => Ok(Animation::Gif),
        Some("png" | "apng") => Ok(Animation::Png),
        _ => bail!("--animate {}: end its name in .gif, .png or .apng", path.display()),
    }
}
