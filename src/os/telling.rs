//! Programs that only tell something: they are started, heard, and ended if they take too long.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::causes::chain;
use super::deadline::Deadline;
use super::process::{self, Bell, Ended, Launch, Leftovers, ProcessError, Stream, Wanted};

/// How long they may take to tell.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most that is kept of what they say, in bytes.
const MOST: usize = 256 << 10;

/// Runs a program, and returns how it ended and what it said on standard output; or why not, as a sentence fragment.
pub fn told(
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(String, OsString)>,
) -> Result<(Ended, Vec<u8>), String> {
    told_within(PATIENCE, program, arguments, environment)
}

/// The same for one that may take so long.
pub fn told_within(
    patience: Duration,
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(String, OsString)>,
) -> Result<(Ended, Vec<u8>), String> {
    said_within(patience, program, arguments, environment).map(|said| (said.ended, said.output))
}

/// What a program said.
#[derive(Debug)]
pub struct HeardProgram {
    /// How it ended.
    pub ended: Ended,
    /// What it said on standard output.
    pub output: Vec<u8>,
    /// What it said on standard error.
    pub complaint: Vec<u8>,
    /// Whether it took too long, and was ended for that.
    pub is_late: bool,
}

/// The same, with what it complained of.
pub fn said_within(
    patience: Duration,
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(String, OsString)>,
) -> Result<HeardProgram, String> {
    let launch = Launch { program, arguments, environment, input: None, leftovers: Leftovers::End };
    let running = process::start(launch, None).map_err(|error| could_not(&error))?;
    let deadline = Deadline::after(patience);
    let bell = Bell::new().map_err(|error| error.to_string())?;
    let (mut output, mut complaint) = (Vec::new(), Vec::new());
    let hear = |stream: Stream, bytes: &[u8]| {
        let heard = match stream {
            Stream::Output => &mut output,
            Stream::Errors => &mut complaint,
        };
        if heard.len() < MOST {
            heard.extend_from_slice(bytes);
        }
    };
    let mut is_late = false;
    let wanted = || {
        is_late |= deadline.has_passed();
        if is_late { Wanted::Kill } else { Wanted::GoOn }
    };
    let ended = running.reminded(deadline).listen(&bell, hear, wanted);
    ended.map(|ended| HeardProgram { ended, output, complaint, is_late }).map_err(|error| could_not(&error))
}

fn could_not(error: &ProcessError) -> String {
    format!("could not {}", chain(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::programs;

    fn shell(patience: Duration, line: &str) -> Result<(Ended, Vec<u8>), String> {
        told_within(patience, programs::find_program("sh").unwrap(), vec!["-c".into(), line.into()], Vec::new())
    }

    #[test]
    fn what_is_said_and_how_it_ended_are_told() {
        assert_eq!(shell(PATIENCE, "echo out; echo err >&2; exit 3"), Ok((Ended::Code(3), b"out\n".to_vec())));
        assert!(
            told("/no/such/program".into(), Vec::new(), Vec::new()).unwrap_err().starts_with("could not start /no")
        );
    }

    #[test]
    fn one_that_was_ended_by_others_is_not_late() {
        let said = |patience: u64, line: &str| {
            let (program, words) = (programs::find_program("sh").unwrap(), vec!["-c".into(), line.into()]);
            let said = said_within(Duration::from_millis(patience), program, words, Vec::new()).unwrap();
            (said.ended, said.is_late)
        };
        assert_eq!(said(60_000, "kill -9 $$"), (Ended::Signal(9), false));
        assert_eq!(said(50, "exec sleep 600"), (Ended::Signal(9), true));
    }

    #[test]
    fn one_that_says_nothing_is_ended() {
        assert_eq!(shell(Duration::from_millis(50), "exec sleep 600"), Ok((Ended::Signal(9), Vec::new())));
    }
}
