//! `pfgm studio`

use std::time::Duration;

use anyhow::Result;
use pfgm_studio::{Options, limits::ConnectionLimits};

use crate::{args::studio::StudioArgs, render::line};

pub fn run(args: &StudioArgs) -> Result<()> {
    let device = pfgm::device::open(&args.device)?;
    let StudioArgs { host, port, token, runs, .. } = args;
    let timeout = Duration::from_secs(args.timeout);
    let limits = ConnectionLimits::default();
    let options =
        Options { host: *host, port: *port, token: token.clone(), runs: runs.clone(), timeout, device, limits };
    pfgm_studio::run(options, |address| {
        line(format!("studio     {address}  (Ctrl-C ends it)"));
        // If no browser can be opened, the address has been printed.
        if !args.no_open {
            let _ = open::that_detached(address);
        }
    })?;
    line("studio ended");
    Ok(())
}
