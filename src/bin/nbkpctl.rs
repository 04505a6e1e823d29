//! The door of the client.

use std::process::ExitCode;

use clap::Parser as _;

use nbkp::ctl::args::Arguments;
use nbkp::daemon::start::alone::Alone;

fn main() -> ExitCode {
    let mut work = None;
    let ended = nbkp::ctl::perform(Arguments::parse(), |paths, stand_in| match Alone::start(paths, stand_in) {
        Ok((alone, stream)) => {
            work = Some(alone);
            Ok(stream)
        }
        Err(fatal) => Err((fatal.exit_code(), fatal.sentence())),
    });
    // The client has left; what it began is brought to its end and written down.
    match work.map(Alone::finish) {
        None | Some(Ok(())) => ended,
        Some(Err(fatal)) => {
            eprintln!("nbkpctl: {}", fatal.sentence());
            ExitCode::from(fatal.exit_code())
        }
    }
}
