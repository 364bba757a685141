//! `pfgm field`

mod animate;
mod compare;
mod density;
mod inertia;
mod moving;
mod near_far;
mod norms;
mod overview;
mod posterior;
mod potential;
mod scene;
mod shapes;
mod story;
mod training;
mod tube;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::ValueEnum;
use pfgm::extra_dims::ExtraDims;

use self::{overview::Counts, scene::Scene};
use crate::{
    args::{FieldArgs, Story},
    render::{AnimationFile, PictureFile, line},
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
    resolve::within("--scale", scale(args), 0.5..=8.0)?;
    let extra_dims = resolve::extra_dims("-D", &args.extra_dims)?;
    if let Some(story) = args.story {
        return explain(args, story, extra_dims);
    }
    let animation = args.animate.clone().map(|path| AnimationFile::new("--animate", path)).transpose()?;
    let animation = animation.map(|file| file.styled(args.figure));
    let scene = scene(args, "heart", extra_dims)?;
    if args.density {
        plane_only(&scene, "--density")?;
    }
    line(format!("{}: {} charges, N = {}, D = {extra_dims}", scene.name, scene.count(), scene.dim));
    if let Some(animation) = animation {
        animate::draw(&scene, &animation, (args.particles, args.frames))?;
        if args.out.is_none() && !args.density {
            return Ok(());
        }
    }
    let kind = if args.density { "density" } else { "field" };
    let default = PathBuf::from(format!("{}-{kind}.png", scene.name));
    let file = PictureFile::chart(args.figure.path(args.out.as_deref(), default)?)?.styled(args.figure);
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
    if story.has_own_charges() && args.data.is_some() {
        let name = story.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        bail!("--story {name}: uses its own charges; omit DATA");
    }
    if let Some(path) = &args.animate {
        return move_story(args, story, path);
    }
    let folder = (story == Story::All).then(|| args.out.clone().unwrap_or_else(|| PathBuf::from("physics")));
    for (figure, name) in story.figures() {
        let scene = scene(args, figure.charges(), extra_dims)?;
        plane_only(&scene, "--story")?;
        let path = match (&folder, &args.out) {
            (Some(folder), _) => args.figure.path(None, folder.join(name))?,
            (None, out) => args.figure.path(out.as_deref(), PathBuf::from(name))?,
        };
        let file = PictureFile::chart(path)?.styled(args.figure);
        line(name.trim_end_matches(".png"));
        file.write_and_print(figure.draw(&scene)?, "")?;
    }
    Ok(())
}

/// Writes the animation of a figure that moves.
fn move_story(args: &FieldArgs, story: Story, path: &Path) -> Result<()> {
    if !story.moves() {
        let names: Vec<String> = Story::value_variants()
            .iter()
            .filter(|story| story.moves())
            .filter_map(|story| Some(story.to_possible_value()?.get_name().to_owned()))
            .collect();
        bail!("--animate: only these figures move: {}; omit --animate, or choose one with --story", names.join(", "));
    }
    let file = AnimationFile::new("--animate", path.to_owned())?.styled(args.figure);
    let scene = scene(args, story.charges(), ExtraDims::Finite(1.0))?;
    plane_only(&scene, "--story")?;
    story.animate(&scene, &file, args.frames)
}

/// Pixels for each unit of length.
fn scale(args: &FieldArgs) -> f64 {
    let default = if args.animate.is_some() { 1.0 } else { 2.0 };
    args.figure.scale().or(args.scale).unwrap_or(default)
}

fn scene(args: &FieldArgs, default: &str, extra_dims: ExtraDims) -> Result<Scene> {
    let name = args.data.as_deref().unwrap_or(default);
    Scene::new(&resolve::dataset(name, &args.table)?, args.charges, extra_dims, (args.seed, scale(args)))
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
