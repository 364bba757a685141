//! Log of a training: one JSON object per line.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

use pfgm_data::atomic;

/// Line of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// Number of steps taken.
    pub step: u64,
    /// Mean loss since the last line.
    pub loss: f64,
    /// Norm of the gradient of the last step, before clipping.
    pub gradient_norm: f64,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Items per second since the last line.
    pub images_per_second: f64,
    /// Seconds of training since the program started.
    pub seconds: f64,
    /// Loss of the averaged weights on held-out rows; `None` if not measured at this step.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub held_out_loss: Option<f64>,
}

/// An open log.
pub struct Log(File);

impl Log {
    /// Opens the log of a training that has taken `step` steps. Drops lines of later steps, which are taken again.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read or written.
    pub fn open(path: &Path, step: u64) -> io::Result<Self> {
        if path.exists() {
            let lines = BufReader::new(File::open(path)?).lines().collect::<io::Result<Vec<_>>>()?;
            let kept: String = lines
                .iter()
                .filter(|line| serde_json::from_str::<LogLine>(line).is_ok_and(|line| line.step <= step))
                .flat_map(|line| [line.as_str(), "\n"])
                .collect();
            atomic::write(path, kept.as_bytes())?;
        }
        Ok(Self(OpenOptions::new().create(true).append(true).open(path)?))
    }

    /// Appends a line.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn add(&mut self, line: &LogLine) -> io::Result<()> {
        let mut text = serde_json::to_string(line).expect("a log line is plain data");
        text.push('\n');
        self.0.write_all(text.as_bytes())
    }

    /// Reads the lines of a log. Lines that are not valid are skipped.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read.
    pub fn read(path: &Path) -> io::Result<Vec<LogLine>> {
        Ok(fs::read_to_string(path)?.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }
}
