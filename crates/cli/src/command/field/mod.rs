//! `pfgm field`

mod animate;
mod compare;
mod density;
mod near_far;
mod overview;
mod scene;
mod shapes;
mod story;
mod training;

use std::path::PathBuf;

use anyhow::{Result, bail};
use pfgm::augmentation::Augmentation;

pub use self::story::Story;
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
        resolve::within(flag, value, least..=MOST)?;
    }
    resolve::within("--scale", args.scale, 0.5..=8.0)?;
    let augmentation = resolve::augmentation("-D", &args.augmentation)?;
    if let Some(story) = args.story {
        return tell(args, story, augmentation);
    }
    let format = args.animate.as_deref().map(|path| resolve::animation("--animate", path)).transpose()?;
    let scene = scene(args, "heart", augmentation)?;
    if args.density {
        plane_only(&scene, "--density")?;
    }
    line(format!("{}: {} charges, N = {}, D = {augmentation}", scene.name, scene.count(), scene.dim));
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
        density::draw(&scene)?
    } else {
        overview::draw(&scene, &Counts { lines: args.lines, particles: args.particles })?
    };
    output::write(&path, &picture)?;
    line(format!("picture    {}", shown(&path)));
    Ok(())
}

/// Draws one figure of the story, or all of them.
fn tell(args: &FieldArgs, story: Story, augmentation: Augmentation) -> Result<()> {
    if augmentation != Augmentation::Finite(1.0) {
        bail!("-D {augmentation}: the story is told at D = 1 (`--story dimensions` compares others); leave -D away");
    }
    if story == Story::NonCompact && args.data.is_some() {
        bail!("--story non-compact: has Gaussian and Student-t charges of its own; leave DATA away");
    }
    let folder = (story == Story::All).then(|| args.out.clone().unwrap_or_else(|| PathBuf::from("physics")));
    for (figure, name) in story.figures() {
        let scene = scene(args, figure.charges(), augmentation)?;
        plane_only(&scene, "--story")?;
        let path = match (&folder, &args.out) {
            (Some(folder), _) => folder.join(name),
            (None, Some(out)) => out.clone(),
            (None, None) => PathBuf::from(name),
        };
        output::check_writable(&path)?;
        line(name.trim_end_matches(".png"));
        let picture = figure.draw(&scene)?;
        output::write(&path, &picture)?;
        line(format!("picture    {}", shown(&path)));
    }
    Ok(())
}

fn scene(args: &FieldArgs, default: &str, augmentation: Augmentation) -> Result<Scene> {
    let table = DataArgs { columns: args.table.columns.clone(), label: args.table.label.clone() };
    let name = args.data.as_deref().unwrap_or(default);
    Scene::new(&resolve::dataset(name, &table)?, args.charges, augmentation, (args.seed, args.scale))
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
