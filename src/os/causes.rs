//! What went wrong, with all its causes: the one place where an error becomes a sentence.
//!
//! An error names what was not done, as a fragment that fits behind "could not"; why stands in its `source()` alone.

use std::error::Error;

use rustix::io::Errno;

/// An error and its causes, each once: "open /x: it does not exist".
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_told = cause.downcast_ref::<Errno>().map_or_else(|| cause.to_string(), |errno| words(*errno));
        // Errors of libraries may repeat their cause in their own text.
        if !told.ends_with(&cause_told) {
            told.push_str(": ");
            told.push_str(&cause_told);
        }
        next = cause.source();
    }
    told
}

/// What the kernel's answer about a path means to a person. Scripts on servers use the same words.
#[must_use]
pub fn words(errno: Errno) -> String {
    match errno {
        Errno::NOENT => "it does not exist".into(),
        Errno::NOTDIR => "it is not a directory".into(),
        Errno::LOOP => "a symbolic link is on the way, which is not followed".into(),
        Errno::XDEV => "another filesystem is mounted there".into(),
        Errno::NOTSUP => "it is not a regular file".into(),
        Errno::MLINK => "it has a second name (a hard link)".into(),
        other => std::io::Error::from(other).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::formats::held::HeldError;
    use crate::formats::ledger::LedgerError;
    use crate::os::directory::DirectoryError;
    use crate::os::files::ReadError;
    use crate::os::{
        account, addresses, btrfs, bus, config_file, config_watch, confine, disks, ears, held, history, logind, mounts,
        network_manager, notifications, power, process, socket, state_dir,
    };

    /// A cause of causes, as libraries have them.
    #[derive(Debug, thiserror::Error)]
    enum Library {
        #[error("it broke: {0}")]
        Repeating(#[source] std::io::Error),
        #[error("it broke")]
        Plain(#[source] std::io::Error),
    }

    /// One of each error of this floor that has a cause.
    fn errors() -> Vec<Box<dyn Error>> {
        let io = || std::io::Error::from(Errno::NOSPC);
        let bus = || zbus::Error::InvalidReply;
        let full = Errno::NOSPC;
        let json = || serde_json::from_str::<u8>("x").unwrap_err();
        let sql = || history::Unwilling::from(rusqlite::Error::InvalidQuery);
        let path = || PathBuf::from("/x/y");
        let host = "::1".parse().unwrap();
        vec![
            Box::new(account::AccountError::LookUp(7, io())),
            Box::new(addresses::AddressesError::Open(io())),
            Box::new(addresses::AddressesError::Listen(io())),
            Box::new(addresses::AddressesError::Ask("routes", io())),
            Box::new(addresses::RouteError::Ask(host, io())),
            Box::new(btrfs::BtrfsError::Look(path(), full)),
            Box::new(btrfs::BtrfsError::Create(path(), full)),
            Box::new(btrfs::BtrfsError::Snapshot(path(), full)),
            Box::new(btrfs::BtrfsError::Protect(path(), full)),
            Box::new(btrfs::BtrfsError::Delete(path(), full)),
            Box::new(bus::BusError::Connect("system bus", bus())),
            Box::new(bus::BusError::Listen("system bus", bus())),
            Box::new(config_file::ConfigFileError::Read(path(), io())),
            Box::new(config_watch::WatchError::Path(path(), io())),
            Box::new(config_watch::WatchError::Start(io())),
            Box::new(config_watch::WatchError::Directory(path(), io())),
            Box::new(confine::ConfineError::Refused(landlock::CreateRulesetError::MissingHandledAccess.into())),
            Box::new(DirectoryError::Open(path(), full)),
            Box::new(DirectoryError::Look(path(), full)),
            Box::new(DirectoryError::List(path(), full)),
            Box::new(DirectoryError::Read(path(), full)),
            Box::new(DirectoryError::Write(path(), full)),
            Box::new(DirectoryError::Create(path(), full)),
            Box::new(DirectoryError::Rename(path(), full)),
            Box::new(DirectoryError::Remove(path(), full)),
            Box::new(DirectoryError::Flush(path(), full)),
            Box::new(DirectoryError::Foreign(path(), full)),
            Box::new(DirectoryError::Lock(path(), full)),
            Box::new(disks::DisksError::Enumerate(io())),
            Box::new(ears::EarsError::Descriptor("timer", io())),
            Box::new(ears::EarsError::Thread(io())),
            Box::new(ears::EarsError::Alarm(jiff::Timestamp::UNIX_EPOCH, io())),
            Box::new(held::HeldFileError::Directory(DirectoryError::Open(path(), full))),
            Box::new(held::HeldFileError::Read(path(), ReadError::Kernel(full))),
            Box::new(held::HeldFileError::Understand(path(), HeldError::Damaged(json()))),
            Box::new(history::HistoryError::Open(path(), io())),
            Box::new(history::HistoryError::Read(path(), sql())),
            Box::new(history::HistoryError::Write(path(), sql())),
            Box::new(logind::LogindError::from(bus())),
            Box::new(mounts::MountsError::Read(io())),
            Box::new(network_manager::ManagerError::from(bus())),
            Box::new(notifications::NotificationsError::Bus(bus())),
            Box::new(notifications::NotificationsError::Service(bus())),
            Box::new(power::UpowerError::from(bus())),
            Box::new(process::ProcessError::Start(path(), io())),
            Box::new(process::ProcessError::Listen(full)),
            Box::new(process::ProcessError::Wait(io())),
            Box::new(socket::SocketError::Directory(path(), io())),
            Box::new(socket::SocketError::Bind(path(), io())),
            Box::new(socket::SocketError::Inherit(io())),
            Box::new(state_dir::StateDirError::Create(path(), io())),
            Box::new(state_dir::StateDirError::Lock(path(), io())),
            Box::new(state_dir::StateDirError::ReadLedger(path(), ReadError::NotRegular)),
            Box::new(state_dir::StateDirError::BadLedger(path(), LedgerError::Damaged(json()))),
            Box::new(state_dir::StateDirError::PutAside(path(), LedgerError::Newer(9))),
            Box::new(state_dir::StateDirError::WriteLedger(DirectoryError::Write(path(), full))),
        ]
    }

    #[test]
    fn no_error_of_this_floor_tells_its_cause_itself_and_the_chain_tells_each_once() {
        for error in errors() {
            let (own, told) = (error.to_string(), chain(&*error));
            let is_fragment = own.starts_with(|first: char| first.is_lowercase()) && !own.ends_with('.');
            assert!(is_fragment && !own.starts_with("could not"), "does not fit behind \"could not\": {own}");
            let mut next = error.source();
            assert!(next.is_some(), "it has a cause: {own}");
            while let Some(cause) = next {
                let cause_told = cause.downcast_ref::<Errno>().map_or_else(|| cause.to_string(), |it| words(*it));
                assert!(!own.contains(&cause_told), "tells its cause itself: {own}");
                assert_eq!(told.matches(&cause_told).count(), 1, "{told}");
                next = cause.source();
            }
        }
    }

    #[test]
    fn each_cause_is_told_once_and_an_answer_of_the_kernel_in_our_words() {
        let full = || std::io::Error::from(Errno::NOSPC);
        for error in [Library::Repeating(full()), Library::Plain(full())] {
            assert_eq!(chain(&error), format!("it broke: {}", full()));
        }
        let error = DirectoryError::Open("/x/y".into(), Errno::LOOP);
        assert_eq!(chain(&error), "open /x/y: a symbolic link is on the way, which is not followed");
    }
}
