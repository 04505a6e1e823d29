//! rsync's exit codes (`rsync(1)`, EXIT VALUES), one table.

use crate::model::TransferEnd;

/// What the exit code means.
#[must_use]
pub fn meaning(code: i32) -> TransferEnd {
    match code {
        0 => TransferEnd::Complete,
        // 1 syntax or usage, 2 protocol incompatibility, 3 selecting input or output, 4 action not supported,
        // 5 starting the protocol, 6 the log file, 13 diagnostics, 21 waitpid: the call or the program is wrong.
        1..=6 | 13 | 21 => TransferEnd::Usage(code),
        // 10 socket, 12 protocol stream, 30 timeout, 35 connection timeout, 255 ssh.
        10 | 12 | 30 | 35 | 255 => TransferEnd::Connection(code),
        // A file could not be written, or the directory could not be used: the complaints have the errno.
        11 => TransferEnd::FileError,
        // 14 inter-process communication, 22 memory; of its processes one crashed (15) or was killed (16).
        14..=16 | 22 => TransferEnd::Exhausted(code),
        // 20 SIGINT, SIGTERM or SIGHUP; 19 SIGUSR1, which rsync sends to its own processes then.
        19 | 20 => TransferEnd::Stopped,
        23 => TransferEnd::Partial,
        24 => TransferEnd::Vanished,
        25 => TransferEnd::DeletionLimit,
        // What a shell or a wrapper says when it cannot run it.
        126 | 127 => TransferEnd::Missing,
        _ => TransferEnd::Unknown(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_manual_has_a_row() {
        for code in [0, 1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 16, 19, 20, 21, 22, 23, 24, 25, 30, 35, 126, 127, 255]
        {
            assert_ne!(meaning(code), TransferEnd::Unknown(code), "{code}");
        }
        assert_eq!(meaning(0), TransferEnd::Complete);
        assert_eq!(meaning(77), TransferEnd::Unknown(77));
        assert_eq!(meaning(-1), TransferEnd::Unknown(-1));
    }
}
