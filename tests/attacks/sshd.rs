//! A server that root enters: a real sshd on the loopback, with keys of its own.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// It ends when it is dropped.
pub struct Sshd {
    place: tempfile::TempDir,
    pub port: u16,
    child: Child,
}

impl Sshd {
    pub fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let here = place.path().display();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let made = format!(
            "cd {here}; for key in host user; do ssh-keygen -q -t ed25519 -N '' -f $key; done
             mkdir -p /run/sshd home; printf '[127.0.0.1]:{port} ' | cat - host.pub >known"
        );
        assert!(Command::new("sh").args(["-ec", &made]).status().unwrap().success());
        let settings = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {here}/host\nAuthorizedKeysFile {here}/user.pub\n\
             PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nMaxStartups 100\nMaxSessions 20\n\
             SetEnv HOME={here}/home\n"
        );
        fs::write(place.path().join("config"), settings).unwrap();
        let mut command = Command::new("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f"]).arg(place.path().join("config"));
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Self { place, port, child };
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "sshd does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        server
    }

    /// Where a file of it lies.
    pub fn file(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
