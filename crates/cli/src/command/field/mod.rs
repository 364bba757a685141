//! `pfgm field`

mod animate;
mod compare;
mod density;
mod images;
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

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::ValueEnum;
use pfgm::extra_dims::ExtraDims;

use self::{overview::Counts, scene::Scene};
use crate::{
    args::{FieldArgs, Frames, Story},
    render::{AnimationFile, PictureFile, line},
    resolve,
};

/// Maximum number of charges, particles, lines and frames: a typing error should not take hours.
const MOST: usize = 100_000;
/// Frames of an animation by default.
const FRAMES: usize = 120;

pub fn run(args: &FieldArgs) -> Result<()> {
    for (flag, value, least) in [
        ("--charges", args.charges, 2),
        ("--lines", args.lines, 1),
        ("--particles", args.particles, 1),
        ("--frames", frames(args), 2),
    ] {
        resolve::within(flag, value, least..=MOST)?;
    }
    let extra_dims = resolve::extra_dims("-D", &args.extra_dims)?;
    if let Some(story) = args.story {
        return explain(args, story, extra_dims);
    }
    let animation = animation(args)?;
    let scene = scene(args, "heart", extra_dims)?;
    if args.density {
        plane_only(&scene, "--density")?;
    }
    line(format!("{}: {} charges, N = {}, D = {extra_dims}", scene.name, scene.count(), scene.dim));
    if let Some(animation) = animation {
        animate::draw(&scene, &animation, (args.particles, frames(args)))?;
        if args.out.is_none() && !args.density {
            return Ok(());
        }
    }
    let kind = if args.density { "density" } else { "field" };
    let default = format!("{}-{kind}.png", scene.name);
    let file = PictureFile::new(args.figure, args.out.as_deref(), default)?;
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
    if args.animate.is_some() || Frames::folder(&args.frames).is_some() {
        return move_story(args, story);
    }
    let folder = (story == Story::All).then(|| args.out.clone().unwrap_or_else(|| PathBuf::from("physics")));
    for (figure, name) in story.figures() {
        let scene = scene(args, figure.charges(), extra_dims)?;
        plane_only(&scene, "--story")?;
        let file = match &folder {
            Some(folder) => PictureFile::new(args.figure, None, folder.join(name))?,
            None => PictureFile::new(args.figure, args.out.as_deref(), name)?,
        };
        line(name.trim_end_matches(".png"));
        file.write_and_print(figure.draw(&scene)?, "")?;
    }
    Ok(())
}

/// Writes the animation of a figure that moves.
fn move_story(args: &FieldArgs, story: Story) -> Result<()> {
    if !story.moves() {
        let names: Vec<String> = Story::value_variants()
            .iter()
            .filter(|story| story.moves())
            .filter_map(|story| Some(story.to_possible_value()?.get_name().to_owned()))
            .collect();
        let flag = if args.animate.is_some() { "--animate" } else { "--frames DIR" };
        bail!("{flag}: only these figures move: {}; omit {flag}, or choose one with --story", names.join(", "));
    }
    let Some(file) = animation(args)? else { return Ok(()) };
    let scene = scene(args, story.charges(), ExtraDims::Finite(1.0))?;
    plane_only(&scene, "--story")?;
    story.animate(&scene, &file, frames(args))
}

/// The animation to write, checked before the computation.
fn animation(args: &FieldArgs) -> Result<Option<AnimationFile>> {
    AnimationFile::new(args.animate.as_deref(), Frames::folder(&args.frames), args.figure)
}

/// Frames of the animation.
fn frames(args: &FieldArgs) -> usize {
    Frames::count(&args.frames).unwrap_or(FRAMES)
}

/// Pixels for each unit of length.
fn scale(args: &FieldArgs) -> f64 {
    let moves = args.animate.is_some() || Frames::folder(&args.frames).is_some();
    let default = if moves { 1.0 } else { 2.0 };
    args.figure.scale().unwrap_or(default)
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
