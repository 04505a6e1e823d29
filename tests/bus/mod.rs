//! Private buses on a mini host, and the real daemons on them. All of them end with the process namespace of the host.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A bus that lets everybody do everything, as this machine's own would let root.
const CONFIGURATION: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>KIND</type>
  <listen>unix:path=SOCKET</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/>
    <allow send_type="method_call"/><allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/><allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/><allow receive_type="signal"/>
    <allow receive_type="method_return"/><allow receive_type="error"/>
    <allow send_destination="*" eavesdrop="false"/>
  </policy>
</busconfig>
"#;

/// Waits until a condition holds.
#[expect(clippy::disallowed_methods, reason = "the tests watch the time")]
pub fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A daemon that is killed with its test.
pub struct Neighbour(pub Child);

impl Neighbour {
    /// Starts it; what it says goes into `/run/NAME.log`.
    #[expect(clippy::disallowed_methods, reason = "the tests start real neighbours")]
    pub fn start(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let name = Path::new(program).file_name().unwrap().to_string_lossy().into_owned();
        let log = std::fs::File::create(format!("/run/{name}.log")).unwrap();
        let mut command = Command::new(program);
        command.args(arguments).envs(variables.iter().copied()).stdin(Stdio::null());
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn();
        Self(child.unwrap_or_else(|error| panic!("{program}: {error}")))
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a bus at this path.
pub fn bus(kind: &str, path: &str) -> Neighbour {
    let file = PathBuf::from(format!("/run/bus-{kind}.conf"));
    std::fs::create_dir_all(Path::new(path).parent().unwrap()).unwrap();
    std::fs::write(&file, CONFIGURATION.replace("KIND", kind).replace("SOCKET", path)).unwrap();
    let file = format!("--config-file={}", file.display());
    let started = Neighbour::start("/usr/bin/dbus-daemon", &[&file, "--nofork", "--nopidfile"], &[]);
    until("the bus listens", || Path::new(path).exists());
    started
}

/// The system bus, where everybody looks for it: `/run` is that of the mini host.
pub fn system_bus() -> Neighbour {
    bus("system", "/run/dbus/system_bus_socket")
}
