//! `pfgm field`

mod animate;
mod compare;
mod density;
mod near_far;
mod overview;
mod posterior;
mod scene;
mod shapes;
mod story;
mod training;

use std::path::PathBuf;

use anyhow::{Result, bail};
use pfgm::extra_dims::ExtraDims;

use self::{overview::Counts, scene::Scene};
use crate::{
    args::{FieldArgs, Story},
    render::{self, PictureFile, display, line},
    resolve,
};

/// Maximum number of charges, particles, lines and frames: a typing error should not take hours.
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
    let extra_dims = resolve::extra_dims("-D", &args.extra_dims)?;
    if let Some(story) = args.story {
        return explain(args, story, extra_dims);
    }
    let format = args.animate.as_deref().map(|path| resolve::animation("--animate", path)).transpose()?;
    let scene = scene(args, "heart", extra_dims)?;
    if args.density {
        plane_only(&scene, "--density")?;
    }
    line(format!("{}: {} charges, N = {}, D = {extra_dims}", scene.name, scene.count(), scene.dim));
    if let (Some(path), Some(format)) = (&args.animate, format) {
        render::check_writable(path)?;
        render::write(path, &animate::draw(&scene, format, (args.particles, args.frames))?)?;
        line(format!("animation  {}", display(path)));
        if args.out.is_none() && !args.density {
            return Ok(());
        }
    }
    let kind = if args.density { "density" } else { "field" };
    let path = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}-{kind}.png", scene.name)));
    let file = PictureFile::chart(path)?;
    let picture = if args.density {
        density::draw(&scene)?
    } else {
        overview::draw(&scene, &Counts { lines: args.lines, particles: args.particles })?
    };
    file.write_and_print(picture, "")
}

/// Draws one explanatory figure, or all of them.
fn explain(args: &FieldArgs, story: Story, extra_dims: ExtraDims) -> Result<()> {
    if extra_dims != ExtraDims::Finite(1.0) {
        bail!("-D {extra_dims}: these figures are for D = 1 (`--story dimensions` compares others); omit -D");
    }
    if story == Story::NonCompact && args.data.is_some() {
        bail!("--story non-compact: uses its own Gaussian and Student-t charges; omit DATA");
    }
    let folder = (story == Story::All).then(|| args.out.clone().unwrap_or_else(|| PathBuf::from("physics")));
    for (figure, name) in story.figures() {
        let scene = scene(args, figure.charges(), extra_dims)?;
        plane_only(&scene, "--story")?;
        let path = match (&folder, &args.out) {
            (Some(folder), _) => folder.join(name),
            (None, Some(out)) => out.clone(),
            (None, None) => PathBuf::from(name),
        };
        let file = PictureFile::chart(path)?;
        line(name.trim_end_matches(".png"));
        file.write_and_print(figure.draw(&scene)?, "")?;
    }
    Ok(())
}

fn scene(args: &FieldArgs, default: &str, extra_dims: ExtraDims) -> Result<Scene> {
    let name = args.data.as_deref().unwrap_or(default);
    Scene::new(&resolve::dataset(name, &args.table)?, args.charges, extra_dims, (args.seed, args.scale))
}

/// Returns an error if the data do not have two dimensions.
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
