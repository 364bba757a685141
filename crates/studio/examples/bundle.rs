//! A run's averaged weights and its record as a checkpoint small enough to come along: `bundle RUN OUT.safetensors`.

use std::path::Path;

use pfgm::train::checkpoint::{self, Checkpoint, Group};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, run, out] = arguments.as_slice() else { return Err("bundle RUN OUT.safetensors".into()) };
    let whole = Checkpoint::read(&checkpoint::find(Path::new(run))?)?;
    let average = whole.group(Group::Average).values().cloned().collect();
    Checkpoint::new(whole.step, whole.record.clone(), [(Group::Average, average)]).write(Path::new(out))?;
    Ok(())
}
