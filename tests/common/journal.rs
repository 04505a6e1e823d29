//! An ear where the journal listens, for the fields that the daemon sends (systemd's native journal protocol).

use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use super::PATIENCE;

/// An ear where the journal listens.
pub struct Journal {
    socket: UnixDatagram,
    heard: std::cell::RefCell<Vec<BTreeMap<String, String>>>,
}

impl Journal {
    /// Takes the journal's place.
    pub fn listen() -> Self {
        std::fs::create_dir_all("/run/systemd/journal").unwrap();
        let socket = UnixDatagram::bind("/run/systemd/journal/socket").unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket, heard: std::cell::RefCell::default() }
    }

    /// Waits for an entry with all of these fields.
    #[track_caller]
    pub fn tells(&self, fields: &[(&str, &str)]) -> BTreeMap<String, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut buffer = vec![0; 256 << 10];
            while let Ok(length) = self.socket.recv(&mut buffer) {
                self.heard.borrow_mut().push(parse(&buffer[..length]));
            }
            let wanted = |entry: &&BTreeMap<String, String>| {
                fields.iter().all(|(key, value)| entry.get(*key).is_some_and(|found| found == value))
            };
            if let Some(entry) = self.heard.borrow().iter().find(wanted) {
                return entry.clone();
            }
            let heard = self.heard.borrow();
            assert!(Instant::now() < deadline, "waited in vain until the journal tells {fields:?}; heard: {heard:#?}");
            std::thread::sleep(Duration::from_millis(25));
        }
    }
}

/// `KEY=value` lines, or `KEY`, a length of eight bytes and the value.
fn parse(mut entry: &[u8]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    while let Some(end) = entry.iter().position(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(&entry[..end]).into_owned();
        entry = &entry[end + 1..];
        if let Some((key, value)) = line.split_once('=') {
            fields.insert(key.to_owned(), value.to_owned());
        } else if let Some((length, rest)) = entry.split_first_chunk::<8>() {
            let length = usize::try_from(u64::from_le_bytes(*length)).unwrap().min(rest.len());
            fields.insert(line, String::from_utf8_lossy(&rest[..length]).into_owned());
            entry = rest.get(length + 1..).unwrap_or_default();
        }
    }
    fields
}
