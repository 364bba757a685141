//! The log of a training: one JSON object a line.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

use pfgm_data::atomic;

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// Steps taken.
    pub step: u64,
    /// The mean loss since the last line.
    pub loss: f64,
    /// The norm of the gradient of the last step, before clipping.
    pub gradient_norm: f64,
    /// The learning rate of the last step.
    pub lr: f64,
    /// Items per second since the last line.
    pub images_per_second: f64,
    /// Seconds of training since the program started.
    pub seconds: f64,
    /// The loss of the averaged weights on the held-out rows, where it was measured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub held_out_loss: Option<f64>,
}

/// An open log.
pub struct Log(File);

impl Log {
    /// Opens a log for a training that has taken `step` steps; lines of later steps, which a checkpoint did not keep,
    /// are dropped.
    ///
    /// # Errors
    /// When the file cannot be read or written.
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

    /// Adds a line.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&mut self, line: &LogLine) -> io::Result<()> {
        let mut text = serde_json::to_string(line).expect("a log line is plain data");
        text.push('\n');
        self.0.write_all(text.as_bytes())
    }

    /// The lines of a log.
    ///
    /// # Errors
    /// When the file cannot be read; lines that are no log lines are passed over.
    pub fn read(path: &Path) -> io::Result<Vec<LogLine>> {
        Ok(fs::read_to_string(path)?.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }
}
