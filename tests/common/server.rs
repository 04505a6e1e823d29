//! Servers: each a machine of its own in the network, behind a cable, with a real sshd. Only the disk is shared.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::config::Config;
use super::drive::Destination;
use super::folder::Folder;
use super::{attempt, run, text_of, until};

/// A server.
pub struct Server {
    /// Its name, and that of its endpoint and its volume.
    pub name: String,
    /// The root of its volume.
    pub root: PathBuf,
    ground: PathBuf,
    number: u8,
    sshd: RefCell<Option<Child>>,
}

impl Server {
    /// Puts a server into the network, switched on. Its cable is plugged in; the address of this end is for
    /// [`Self::join`].
    pub fn new(place: &Path, name: &str, number: u8) -> Self {
        let ground = place.join(format!("server-{name}"));
        std::fs::create_dir_all(ground.join("volume")).unwrap();
        std::fs::create_dir_all("/run/sshd").unwrap();
        for key in ["host", "other-host", "user", "stranger"] {
            run("ssh-keygen", &[&"-q", &"-t", &"ed25519", &"-N", &"", &"-f", &ground.join(key)]);
        }
        std::fs::copy(ground.join("user.pub"), ground.join("admitted")).unwrap();
        std::fs::write(ground.join("volume/.nbkp-vol"), "").unwrap();
        let root = ground.join("volume");
        let server = Self { name: name.into(), root, ground, number, sshd: RefCell::new(None) };
        server.knows("host");
        let (ours, space) = (server.link(), server.space());
        run("ip", &[&"netns", &"add", &space]);
        run("ip", &[&"link", &"add", &ours, &"type", &"veth", &"peer", &"name", &"eth0", &"netns", &space]);
        run("ip", &[&"link", &"set", &ours, &"up"]);
        for words in [&["link", "set", "lo", "up"][..], &["link", "set", "eth0", "up"]] {
            server.ip(words);
        }
        server.ip(&["addr", "add", &format!("{}/24", server.address()), "dev", "eth0"]);
        server.switch_on();
        server
    }

    /// Its address.
    pub fn address(&self) -> String {
        format!("10.77.{}.1", self.number)
    }

    /// The address of whoever is at the other end of its cable, with the length of the network's prefix.
    pub fn our_address(&self) -> String {
        format!("10.77.{}.2/24", self.number)
    }

    /// Our end of its cable.
    pub fn link(&self) -> String {
        format!("to-{}", self.name)
    }

    fn space(&self) -> String {
        format!("nbkp-{}", self.name)
    }

    /// Runs `ip` on the server.
    pub fn ip(&self, words: &[&str]) {
        let space = self.space();
        let mut all: Vec<&dyn super::AsArgument> = vec![&"-n", &space];
        all.extend(super::arguments(words));
        run("ip", &all);
    }

    /// A file of its keys.
    pub fn file(&self, name: &str) -> PathBuf {
        self.ground.join(name)
    }

    /// Starts its sshd.
    pub fn switch_on(&self) {
        self.switch_on_with("host");
    }

    /// Starts its sshd with this host key.
    pub fn switch_on_with(&self, key: &str) {
        let shown = self.ground.display();
        // Start files of whoever runs the tests say nothing there. A test may write more of its settings.
        let config = format!(
            "Include {shown}/*.more\nPort 22\nListenAddress {}\n\
             HostKey {shown}/{key}\nAuthorizedKeysFile {shown}/admitted\nStrictModes no\n\
             PidFile none\nUsePAM no\nPermitRootLogin yes\nLogLevel VERBOSE\nMaxStartups 100\nSetEnv HOME={shown}\n",
            self.address()
        );
        std::fs::write(self.ground.join("sshd_config"), config).unwrap();
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log_file()).unwrap();
        // Unlike `ip netns exec`, this leaves it the mounts of this machine, also those that come later.
        let child = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", self.space()))
            .args(["--", "/usr/sbin/sshd", "-D", "-e", "-f"])
            .arg(self.ground.join("sshd_config"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        *self.sshd.borrow_mut() = Some(child);
        until("the server listens", || {
            let space = self.space();
            let listening = attempt("ip", &[&"netns", &"exec", &space, &"ss", &"-Hltn", &"sport = :22"]);
            !listening.stdout.is_empty()
        });
    }

    fn log_file(&self) -> PathBuf {
        self.ground.with_file_name(format!("sshd-{}.log", self.name))
    }

    /// What its sshd wrote.
    pub fn log(&self) -> String {
        text_of(self.log_file())
    }

    /// How many connections it has admitted so far.
    pub fn admitted(&self) -> usize {
        self.log().matches("Accepted publickey").count()
    }

    /// Switches it off: all that runs on it is gone at once.
    pub fn switch_off(&self) {
        // A fork may have come in between.
        until("nothing runs on the server", || {
            self.signal("KILL");
            self.processes().is_empty()
        });
        if let Some(mut child) = self.sshd.borrow_mut().take() {
            child.wait().unwrap();
        }
    }

    /// Sends a signal to all that runs on it.
    pub fn signal(&self, signal: &str) {
        for process in self.processes() {
            attempt("kill", &[&"-s", &signal, &process]);
        }
    }

    fn processes(&self) -> Vec<String> {
        let listed = attempt("ip", &[&"netns", &"pids", &self.space()]);
        String::from_utf8_lossy(&listed.stdout).lines().map(str::to_owned).collect()
    }

    /// Whoever logs in there is this ordinary user, and they may use the key to it. ssh wants one that has a name here.
    pub fn admits_as(&self, user: u32) {
        let command =
            format!("exec setpriv --reuid={user} --regid={user} --clear-groups sh -c \\\"$SSH_ORIGINAL_COMMAND\\\"");
        let key = text_of(self.ground.join("user.pub"));
        std::fs::write(self.ground.join("admitted"), format!("command=\"{command}\" {key}")).unwrap();
        std::os::unix::fs::chown(self.ground.join("user"), Some(user), None).unwrap();
    }

    /// Takes the file of known hosts to say this of it.
    pub fn knows(&self, key: &str) {
        let public = text_of(self.ground.join(format!("{key}.pub")));
        std::fs::write(self.ground.join("known"), format!("{} {public}", self.address())).unwrap();
    }

    /// Our end of its cable gets its address: the network is joined.
    pub fn join(&self) {
        run("ip", &[&"addr", &"add", &self.our_address(), &"dev", &self.link()]);
    }

    /// Our end loses its address: the network is left.
    pub fn leave(&self) {
        run("ip", &[&"addr", &"flush", &"dev", &self.link()]);
    }

    /// Makes it ready for a sync to `SERVER:NAME`.
    pub fn prepared_for(self, name: &str) -> Self {
        let destination = self.root.join(name);
        std::fs::create_dir_all(destination.join("snapshots")).unwrap();
        std::fs::write(destination.join(".nbkp-dst"), "").unwrap();
        std::os::unix::fs::symlink("/dev/null", destination.join("latest")).unwrap();
        self
    }

    /// The lines of a configuration that name it.
    pub fn endpoint(&self) -> String {
        let (name, address, shown) = (&self.name, self.address(), self.ground.display());
        format!(
            "[ssh-endpoints.{name}]\nhost = \"{address}\"\nuser = \"root\"\nkey = \"{shown}/user\"\n\
             known-hosts = \"{shown}/known\"\nconnect-timeout = \"3s\"\n"
        )
    }

    /// The lines that name its volume.
    pub fn volume(&self) -> String {
        format!("[volumes.{0}]\nssh = [\"{0}\"]\npath = \"{1}\"\n", self.name, self.root.display())
    }

    /// A destination on it.
    pub fn destination(&self, name: &str) -> Destination {
        Destination { root: self.root.join(name) }
    }

    /// A folder of its volume.
    pub fn folder(&self, name: &str) -> Folder {
        Folder::at(self.root.join(name))
    }
}

impl Config {
    /// With a server: its endpoint and its volume.
    pub fn server(self, server: &Server) -> Self {
        self.also(&server.endpoint()).also(&server.volume())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal("KILL");
        if let Some(mut child) = self.sshd.borrow_mut().take() {
            let _ = child.wait();
        }
    }
}
