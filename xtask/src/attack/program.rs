//! The program as a child process, with limits, a deadline, and its use of time and memory.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

/// Processor time that a hostile input may take.
const PROCESSOR: Duration = Duration::from_secs(10);
/// Time after which the program hangs.
const HANGS: Duration = Duration::from_secs(60);
/// Memory that it may take beyond an honest need.
pub const MEMORY: u64 = 500 << 20;

/// The program, and the folder that it is called in.
pub struct Program {
    path: PathBuf,
    folder: PathBuf,
}

/// One call of the program.
#[derive(Clone, Default)]
pub struct Call {
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Commands of the shell before it, such as `ulimit -n 9`.
    pub before: String,
    /// File or device that standard output goes to.
    pub stdout: Option<PathBuf>,
    /// When to kill it with SIGKILL.
    pub kill_after: Option<Duration>,
}

/// How a call ended.
pub struct Outcome {
    /// The call in words.
    pub call: String,
    /// Exit code; 128 and the number of the signal if one ended it.
    pub code: i32,
    /// Whether it was killed as the call asked.
    pub killed: bool,
    hangs: bool,
    /// Processor time of all its threads.
    pub processor: Duration,
    /// Largest memory in bytes.
    pub memory: u64,
    /// Standard error.
    pub said: String,
}

impl Call {
    /// A call with these arguments, separated by spaces.
    pub fn new(arguments: &str) -> Self {
        Self { arguments: arguments.split_whitespace().map(str::to_owned).collect(), ..Self::default() }
    }

    /// The same with commands of the shell before it.
    pub fn after(self, before: impl Into<String>) -> Self {
        Self { before: before.into(), ..self }
    }
}

impl Outcome {
    /// What is wrong with it, if its honest need of memory is so many bytes.
    pub fn problem(&self, honest: u64) -> Option<String> {
        let megabytes = self.memory >> 20;
        let last: String = self.said.trim().lines().last().unwrap_or_default().chars().take(300).collect();
        let is_explained = self.code != 2 || self.said.lines().any(|line| line.starts_with("error: "));
        let problem = match self.code {
            _ if self.hangs => "hangs".to_owned(),
            _ if self.killed => return None,
            0 | 2 | 130 | 143 if !is_explained => "gives no reason".to_owned(),
            0 | 2 | 130 | 143 if self.processor > PROCESSOR => format!("takes {:.1} s", self.processor.as_secs_f64()),
            0 | 2 | 130 | 143 if self.memory > MEMORY + honest => format!("takes {megabytes} MB"),
            0 | 2 | 130 | 143 => return None,
            101 => "panics".to_owned(),
            134 => "aborts".to_owned(),
            code => format!("exit code {code}"),
        };
        Some(format!("{}: {problem}: {last}", self.call))
    }
}

impl Program {
    /// The program at a path, to be called in a folder.
    pub fn new(path: &Path, folder: &Path) -> Result<Self> {
        let path = path.canonicalize().with_context(|| path.display().to_string())?;
        Ok(Self { path, folder: folder.to_owned() })
    }

    /// Calls it and waits for its end.
    pub fn call(&self, call: &Call) -> Result<Outcome> {
        let (stdout, stderr) = (self.folder.join("stdout"), self.folder.join("stderr"));
        let stdout = match &call.stdout {
            Some(path) => File::options().write(true).open(path).with_context(|| path.display().to_string())?,
            None => File::create(stdout)?,
        };
        let before = if call.before.is_empty() { "true" } else { &call.before };
        let child = Command::new("sh")
            .args(["-c", &format!("{before} && exec \"$0\" \"$@\"")])
            .arg(&self.path)
            .args(&call.arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(File::create(&stderr)?)
            .spawn()
            .context("sh cannot be started")?;
        let mut outcome = wait(child, call.kill_after)?;
        let before = if call.before.is_empty() { String::new() } else { format!("{before}; ") };
        outcome.call = format!("{before}pfgm {}", call.arguments.join(" "));
        outcome.said = String::from_utf8_lossy(&fs::read(&stderr)?).into_owned();
        Ok(outcome)
    }

    /// Calls it with arguments that are separated by spaces.
    pub fn run(&self, arguments: &str) -> Result<Outcome> {
        self.call(&Call::new(arguments))
    }
}

/// Waits for a child's end, and for what it used.
fn wait(mut child: Child, kill_after: Option<Duration>) -> Result<Outcome> {
    let id = libc::pid_t::try_from(child.id())?;
    let start = Instant::now();
    let (mut killed, mut hangs) = (false, false);
    loop {
        let mut status = 0;
        // SAFETY: all zeros is a value of this type.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are to values of the types that the call fills.
        let ended = unsafe { libc::wait4(id, &raw mut status, libc::WNOHANG, &raw mut usage) };
        if ended < 0 {
            return Err(io::Error::last_os_error()).context("a child cannot be waited for");
        }
        if ended == id {
            let code = if libc::WIFSIGNALED(status) { 128 + libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) };
            let time = |time: libc::timeval| {
                Duration::from_secs(time.tv_sec.unsigned_abs()) + Duration::from_micros(time.tv_usec.unsigned_abs())
            };
            let processor = time(usage.ru_utime) + time(usage.ru_stime);
            let memory = usage.ru_maxrss.unsigned_abs() << 10;
            let killed = killed && code == 128 + libc::SIGKILL;
            return Ok(Outcome { call: String::new(), code, killed, hangs, processor, memory, said: String::new() });
        }
        if !killed && !hangs && kill_after.is_some_and(|after| start.elapsed() >= after) {
            killed = true;
            child.kill()?;
        } else if !hangs && start.elapsed() > HANGS {
            hangs = true;
            child.kill()?;
        }
        thread::sleep(Duration::from_millis(2));
    }
}
