//! Reports of runs to an address of the web, by the installed curl (curl(1)).

use std::time::Duration;

use super::deadline::Deadline;
use super::files;
use super::process::{self, Bell, Ended, Launch, Leftovers, ProcessError, Stream, Wanted};
use super::programs;
use crate::formats::ping;
use crate::model::{PingSign, PingUrl};

/// How long curl may take, beside the limits that it is given itself.
const LIMIT: Duration = Duration::from_secs(30);

/// Why a report did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum PingError {
    /// There is no curl.
    #[error("report a run: `curl` is not installed")]
    NoCurl,
    /// curl could not be used.
    #[error("report a run")]
    Machine(#[source] std::io::Error),
    /// The same.
    #[error("report a run")]
    Process(#[from] ProcessError),
    /// It did not arrive.
    #[error("report a run to {host}: {said}")]
    Refused {
        /// The host of the address.
        host: String,
        /// curl's own words.
        said: String,
    },
}

/// Reports a run. The address goes over curl's standard input: whoever knows it may report, too, and lists of processes
/// are seen by all.
pub fn report(url: &PingUrl, sign: PingSign) -> Result<(), PingError> {
    let program = programs::find_program("curl").ok_or(PingError::NoCurl)?;
    let input = files::in_memory(ping::curl_config(url, sign).as_bytes()).map_err(PingError::Machine)?;
    let mut environment = programs::session_environment();
    environment.extend(programs::proxy_environment());
    let arguments = ["--config", "-"].map(Into::into).to_vec();
    let launch = Launch { program, arguments, environment, input: Some(input), leftovers: Leftovers::End };
    let bell = Bell::new().map_err(PingError::Machine)?;
    let deadline = Deadline::after(LIMIT);
    let mut said = Vec::new();
    let heard = |stream: Stream, bytes: &[u8]| match stream {
        Stream::Output => {}
        Stream::Errors => said.extend(bytes.iter().take(1000_usize.saturating_sub(said.len()))),
    };
    let wanted = || if deadline.has_passed() { Wanted::Kill } else { Wanted::GoOn };
    let ended = process::start(launch, None)?.reminded(deadline).listen(&bell, heard, wanted)?;
    if ended == Ended::Code(0) {
        return Ok(());
    }
    Err(PingError::Refused { host: url.host().to_owned(), said: ping::complaint(&said, url) })
}
