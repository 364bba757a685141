//! Mutated files for every reader, in this process. `cargo xtask attack` runs it; see there.
//!
//! `attack_readers --seed N --seconds N --folder FOLDER [--only READER]` mutates until the time is over. It writes the place of each input to
//! FOLDER/place before it is read, so that an input that ends the process can be made again:
//! `attack_readers --seed N --input READER INDEX` writes it to standard output.
//!
//! An input fails if its reader panics, takes more than ten seconds, or takes more than 500 MB beyond the rows that it returned.

mod memory;
mod mutate;
mod readers;
mod seeds;

use std::{
    fs::File,
    io::Write,
    os::unix::fs::FileExt,
    panic,
    path::{Path, PathBuf},
    process::exit,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use readers::{READERS, Reader};

/// Longest time that an input may take.
const SECONDS: u64 = 10;
/// Memory that an input may take beyond what its rows need.
const MEMORY: u64 = 500 << 20;
/// Time for which one reader is given inputs before the next one is.
const TURN: Duration = Duration::from_millis(500);

struct Options {
    seed: u64,
    seconds: u64,
    folder: PathBuf,
    only: Option<String>,
    input: Option<(String, u64)>,
}

fn options() -> Option<Options> {
    let mut options = Options { seed: 0, seconds: 60, folder: PathBuf::from("."), only: None, input: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next();
        match name.as_str() {
            "--seed" => options.seed = value()?.parse().ok()?,
            "--seconds" => options.seconds = value()?.parse().ok()?,
            "--folder" => options.folder = value()?.into(),
            "--only" => options.only = Some(value()?),
            "--input" => options.input = Some((value()?, value()?.parse().ok()?)),
            _ => return None,
        }
    }
    Some(options)
}

fn main() {
    let Some(options) = options() else {
        eprintln!(
            "attack_readers --seed N --seconds N --folder FOLDER [--only READER], or --seed N --input READER INDEX"
        );
        exit(2)
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository");
    let originals = |reader: &Reader| {
        let originals = seeds::read(root, reader.seeds);
        assert!(!originals.is_empty(), "{}: no seeds", reader.name);
        originals
    };
    if let Some((name, index)) = &options.input {
        let reader = READERS.iter().find(|reader| reader.name == name).expect("the name of a reader");
        let input = mutate::input(&originals(reader), options.seed, *index);
        return std::io::stdout().write_all(&input).expect("standard output");
    }
    let chosen = READERS.iter().filter(|reader| options.only.as_deref().is_none_or(|only| only == reader.name));
    let mut turns: Vec<Turn> = chosen.map(|reader| Turn::new(reader, originals(reader))).collect();
    let attack = Attack::start(&options);
    let end = Instant::now() + Duration::from_secs(options.seconds);
    while Instant::now() < end {
        for turn in &mut turns {
            turn.take(&attack);
        }
    }
    for turn in &turns {
        println!("{} {} inputs, largest need {} MB", turn.reader.name, turn.index, turn.most >> 20);
    }
    exit(i32::from(turns.iter().any(|turn| turn.failures > 0)));
}

/// One reader, and how far it is.
struct Turn {
    reader: &'static Reader,
    originals: Vec<Vec<u8>>,
    index: u64,
    failures: u64,
    most: u64,
}

/// What all readers have in common.
struct Attack {
    seed: u64,
    folder: PathBuf,
    place: File,
    /// Milliseconds since the start at which the input that is being read was begun; 0 if none is.
    begun: Arc<AtomicU64>,
    start: Instant,
    panicked: Arc<Mutex<String>>,
}

impl Attack {
    fn start(options: &Options) -> Self {
        let place = File::create(options.folder.join("place")).expect("the folder can be written to");
        let attack = Self {
            seed: options.seed,
            folder: options.folder.clone(),
            place,
            begun: Arc::default(),
            start: Instant::now(),
            panicked: Arc::default(),
        };
        let panicked = Arc::clone(&attack.panicked);
        panic::set_hook(Box::new(move |info| {
            let mut first = panicked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if first.is_empty() {
                *first = info.to_string().replace('\n', " ");
            }
        }));
        let (begun, start) = (Arc::clone(&attack.begun), attack.start);
        // The process that started this one finds the input by its place.
        thread::spawn(move || {
            loop {
                thread::sleep(Duration::from_millis(200));
                let begun = begun.load(Ordering::Relaxed);
                if begun != 0 && start.elapsed().as_millis() as u64 > begun + SECONDS * 1000 {
                    eprintln!("an input takes more than {SECONDS} s");
                    exit(3);
                }
            }
        });
        attack
    }
}

impl Turn {
    fn new(reader: &'static Reader, originals: Vec<Vec<u8>>) -> Self {
        Self { reader, originals, index: 0, failures: 0, most: 0 }
    }

    /// Reads inputs for a while.
    fn take(&mut self, attack: &Attack) {
        let end = Instant::now() + TURN;
        while Instant::now() < end {
            let input = mutate::input(&self.originals, attack.seed, self.index);
            let place = format!("{:<20} {:<20}\n", self.reader.name, self.index);
            attack.place.write_all_at(place.as_bytes(), 0).expect("the place can be written");
            attack.begun.store(1 + attack.start.elapsed().as_millis() as u64, Ordering::Relaxed);
            let before = memory::restart();
            let outcome = panic::catch_unwind(|| (self.reader.read)(&input));
            let need = memory::peak().saturating_sub(before);
            attack.begun.store(0, Ordering::Relaxed);
            self.most = self.most.max(need);
            match outcome {
                Ok(rows) if need > MEMORY + rows => self.fail(attack, &input, &format!("it takes {} MB", need >> 20)),
                Ok(_) => {}
                Err(_) => {
                    let mut text = attack.panicked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    self.fail(attack, &input, &text);
                    text.clear();
                }
            }
            self.index += 1;
        }
    }

    fn fail(&mut self, attack: &Attack, input: &[u8], problem: &str) {
        self.failures += 1;
        let path = attack.folder.join(format!("{}-{}-{}", self.reader.name, attack.seed, self.index));
        std::fs::write(&path, input).expect("the folder can be written to");
        println!("failure: {}: {problem}", path.display());
        if self.failures >= 20 {
            println!("failure: {}: too many failures, stopped", self.reader.name);
            exit(1);
        }
    }
}
