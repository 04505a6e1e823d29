//! The terminal behind standard output.

use std::io::{self, IsTerminal as _};
use std::thread;

use nix::sys::signal::{self, SigSet, Signal};
use rustix::process::{getpid, kill_process};

/// How many lines and columns a terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Its lines, at least one.
    pub lines: usize,
    /// Its columns, at least one.
    pub columns: usize,
}

/// The columns of the terminal behind standard output, if there is one; of one that does not know, those that any has.
#[must_use]
pub fn columns() -> Option<usize> {
    io::stdout().is_terminal().then(|| extent().map_or(80, |extent| extent.columns))
}

/// Whether a person sits at both ends of this process, and can be asked something.
#[must_use]
pub fn has_person() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// The next line that a person types, without its end; `None` when they end the input.
pub fn typed() -> io::Result<Option<String>> {
    let mut line = String::new();
    let read = io::stdin().read_line(&mut line)?;
    Ok((read > 0).then(|| line.trim_end_matches(['\n', '\r']).to_owned()))
}

/// Has a last word said when Ctrl-C ends this process, which it does all the same. For processes that start no threads
/// before.
pub fn before_interrupted(say: impl FnOnce() + Send + 'static) {
    let interrupt = SigSet::from(Signal::SIGINT);
    // Without it the process ends without a word.
    if interrupt.thread_block().is_err() {
        return;
    }
    let spoken = thread::Builder::new().name("last words".into()).spawn(move || {
        if interrupt.wait().is_ok() {
            say();
            let _ = interrupt.thread_unblock();
            let _ = signal::raise(Signal::SIGINT);
        }
    });
    if spoken.is_err() {
        let _ = interrupt.thread_unblock();
    }
}

/// Has this done when Ctrl-C or the end of the terminal asks this process to end, which it does not do by itself then:
/// a second time it does. For processes that start no threads before.
pub fn once_interrupted(stop: impl FnOnce() + Send + 'static) {
    let mut asked = SigSet::from(Signal::SIGINT);
    asked.extend(&[Signal::SIGTERM, Signal::SIGHUP].into_iter().collect::<SigSet>());
    // Without it the process ends at once.
    if asked.thread_block().is_err() {
        return;
    }
    let heard = thread::Builder::new().name("interrupts".into()).spawn(move || {
        if asked.wait().is_ok() {
            stop();
        }
        // Whatever else of this process may listen for it.
        if asked.wait().is_ok() {
            let _gone = kill_process(getpid(), rustix::process::Signal::KILL);
        }
    });
    if heard.is_err() {
        let _ = asked.thread_unblock();
    }
}

/// The extent of the terminal behind standard output; `None` if there is none or it does not know.
#[must_use]
pub fn extent() -> Option<Extent> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    let known = size.ws_row > 0 && size.ws_col > 0;
    known.then(|| Extent { lines: size.ws_row.into(), columns: size.ws_col.into() })
}
