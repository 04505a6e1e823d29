//! The rule before the real polkitd and udisksd, on a system bus of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::mini::{eventually, host, sh};

const USER: &str = "setpriv --reuid 1717 --regid 1717 --clear-groups env HOME=/run/home";

/// A bus that lets everybody in, as the machine's does for what is asked here.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
  </policy>
</busconfig>
"#;

/// Loop devices look like parts of the machine to udisks2. These are to look like drives.
const AS_DRIVES: &str = r#"SUBSYSTEM=="block", KERNEL=="loop*", ENV{UDISKS_SYSTEM}="0""#;

/// The bus and the daemons on it. They go with the mini host, too.
struct Services(Vec<Child>);

impl Drop for Services {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Services {
    fn start() -> Self {
        sh("mkdir -p /run/dbus /run/udev/rules.d /run/home && chown 1717 /run/home");
        std::fs::write("/run/bus.conf", BUS).unwrap();
        std::fs::write("/run/udev/rules.d/99-drives.rules", AS_DRIVES).unwrap();
        sh("udevadm control --reload");
        // An account that udisks2 and polkit can look up, and nothing of theirs on the machine itself.
        sh("cp /etc/passwd /run/passwd && echo 'wren:x:1717:1717::/run/home:/bin/sh' >> /run/passwd");
        sh("mount --bind /run/passwd /etc/passwd");
        sh("for d in /media /var/lib/udisks2 /etc/polkit-1/rules.d; do mount -t tmpfs -o mode=755 tmpfs $d; done");
        let mut services = Self(Vec::new());
        services.launch("dbus-daemon", &["--nofork", "--config-file=/run/bus.conf"]);
        eventually("the bus is there", || Path::new("/run/dbus/system_bus_socket").exists().then_some(()));
        services.launch("/usr/lib/polkit-1/polkitd", &["--no-debug"]);
        services.launch("/usr/libexec/udisks2/udisksd", &["--no-debug"]);
        for name in ["org.freedesktop.PolicyKit1", "org.freedesktop.UDisks2"] {
            let ask = "busctl --system call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus";
            let ask = format!("{ask} NameHasOwner s {name}");
            eventually(name, || attempt(&ask).1.contains("true").then_some(()));
        }
        services
    }

    fn launch(&mut self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.0.push(command.spawn().unwrap());
    }
}

/// Whether a line of shell succeeds.
fn succeeds(line: &str) -> bool {
    Command::new("sh").args(["-c", line]).output().unwrap().status.success()
}

/// What a line of shell says, and whether it succeeds.
fn attempt(line: &str) -> (bool, String) {
    let output = Command::new("sh").args(["-c", line]).stdin(Stdio::null()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// Why this cannot run here, if it cannot.
fn missing() -> Option<String> {
    let needed =
        ["/usr/lib/polkit-1/polkitd", "/usr/libexec/udisks2/udisksd", "/usr/bin/dbus-daemon", "/usr/bin/busctl"];
    let missing: Vec<_> = needed.into_iter().filter(|path| !Path::new(path).exists()).collect();
    (!missing.is_empty()).then(|| missing.join(", "))
}

fn with_services(test: &str, scenario: impl FnOnce()) {
    if let Some(missing) = missing() {
        let why = format!("{test} did not run: these are missing: {missing}");
        assert!(!crate::required::all_must_run(), "{why}");
        println!("{why}");
        return;
    }
    host(test, || {
        let _services = Services::start();
        scenario();
    });
}

/// A loop device; it goes with its test.
struct Attached(String);

impl Drop for Attached {
    fn drop(&mut self) {
        let _ = attempt(&format!("umount --all-targets {0}; losetup --detach {0}", self.0));
    }
}

/// A drive that udisks2 knows, its node and its UUID.
fn drive(name: &str) -> (Attached, String, String) {
    sh(&format!("truncate -s 60M /run/{name}.img && mkfs.ext4 -q /run/{name}.img"));
    let node = sh(&format!("losetup --find --show /run/{name}.img"));
    let attached = Attached(node.clone());
    let uuid = sh(&format!("blkid -p -s UUID -o value {node}"));
    let object = format!("/org/freedesktop/UDisks2/block_devices/{}", node.trim_start_matches("/dev/"));
    let ask = format!(
        "busctl --system get-property org.freedesktop.UDisks2 {object} org.freedesktop.UDisks2.Block IdUUID HintSystem"
    );
    let known = format!("s \"{uuid}\"\nb false\n");
    eventually("udisks2 knows the drive", || (attempt(&ask).1 == known).then_some(()));
    (attached, node, uuid)
}

fn configure(text: &str) {
    std::fs::write("/run/home/config.toml", text).unwrap();
}

/// What the client prints for the ordinary user.
fn polkit(options: &str) -> String {
    sh(&format!("{USER} {} --config /run/home/config.toml drives polkit {options}", env!("CARGO_BIN_EXE_nbkpctl")))
}

fn mount(node: &str) -> (bool, String) {
    attempt(&format!("{USER} udisksctl mount --no-user-interaction -b {node}"))
}

/// The actions of udisks2 that polkit lets a process of the user do, without asking anybody, on what has this UUID.
fn allowed(process: u32, uuid: &str) -> Vec<String> {
    let actions = sh("pkaction | grep '^org.freedesktop.udisks2'");
    let may =
        |action: &&str| succeeds(&format!("pkcheck --action-id {action} --process {process} --detail id.uuid {uuid}"));
    actions.lines().filter(may).map(str::to_owned).collect()
}

#[test]
fn an_ordinary_user_may_mount_the_configured_drive_and_nothing_else() {
    with_services("real::an_ordinary_user_may_mount_the_configured_drive_and_nothing_else", || {
        let (_ours, node, uuid) = drive("ours");
        let (_other, other_node, other_uuid) = drive("other");
        configure(&format!(
            "[volumes.usb]\ndrive = \"{uuid}\"\nmount = true\npassphrase = \"usb\"\n[volumes.other]\n\
             drive = \"{other_uuid}\"\n"
        ));
        // A process of the user, whose session is that of nobody.
        let mut process = Command::new("setpriv")
            .args(["--reuid", "1717", "--regid", "1717", "--clear-groups", "sleep", "120"])
            .spawn()
            .unwrap();
        let refused = mount(&node);
        assert!(!refused.0 && refused.1.contains("NotAuthorized"), "{refused:?}");
        assert!(allowed(process.id(), &uuid).is_empty());

        let rule = polkit("2>/run/home/remarks");
        std::fs::write("/etc/polkit-1/rules.d/60-nbkp-wren.rules", &rule).unwrap();
        let mounted = eventually("polkitd has read the rule", || Some(mount(&node)).filter(|(done, _)| *done));
        assert!(mounted.1.contains("/media/wren/"), "{mounted:?}");
        let remarks = sh("cat /run/home/remarks");
        assert!(remarks.contains("drive `usb` has a `passphrase`") && remarks.contains(&node), "{remarks}");
        let only =
            ["encrypted-unlock", "encrypted-unlock-other-seat", "filesystem-mount", "filesystem-mount-other-seat"];
        let only = only.map(|action| format!("org.freedesktop.udisks2.{action}"));
        assert_eq!(allowed(process.id(), &uuid), only);
        assert_eq!(allowed(process.id(), &uuid.to_uppercase()), only);
        assert!(allowed(process.id(), &other_uuid).is_empty());
        assert!(allowed(std::process::id(), &uuid).len() > only.len(), "root may do everything, rule or not");

        let refused = mount(&other_node);
        assert!(!refused.0 && refused.1.contains("NotAuthorized"), "{refused:?}");
        // What we mounted ourselves is ours to unmount; what others did is not, rule or not.
        let unmounted = attempt(&format!("{USER} udisksctl unmount --no-user-interaction -b {node}"));
        assert!(unmounted.0, "{unmounted:?}");
        sh(&format!("udisksctl mount --no-user-interaction -b {node}"));
        let refused = attempt(&format!("{USER} udisksctl unmount --no-user-interaction -b {node}"));
        assert!(!refused.0 && refused.1.contains("NotAuthorized"), "{refused:?}");
        sh(&format!("udisksctl unmount -b {node}"));

        std::fs::remove_file("/etc/polkit-1/rules.d/60-nbkp-wren.rules").unwrap();
        eventually("polkitd has forgotten the rule", || allowed(process.id(), &uuid).is_empty().then_some(()));
        process.kill().unwrap();
        process.wait().unwrap();
    });
}

#[test]
fn what_is_printed_is_for_programs_too() {
    with_services("real::what_is_printed_is_for_programs_too", || {
        let (_stick, _node, uuid) = drive("ours");
        configure(&format!("[volumes.usb]\ndrive = \"{uuid}\"\nmount = true\n"));
        let answer: serde_json::Value = serde_json::from_str(&polkit("--json")).unwrap();
        let actions = ["filesystem-mount", "filesystem-mount-other-seat"];
        let actions = actions.map(|action| format!("org.freedesktop.udisks2.{action}"));
        let expected = serde_json::json!({
            "user": "wren", "uuids": [uuid], "actions": actions, "rule": format!("{}\n", polkit("")), "notes": []
        });
        assert_eq!(answer, expected);

        // Where nothing has to be allowed, nothing is printed that could end up in a file of rules.
        configure(&format!("[volumes.usb]\ndrive = \"{uuid}\"\n"));
        assert_eq!(polkit("2>/run/home/remarks"), "");
        assert!(sh("cat /run/home/remarks").contains("no drive has `mount = true`"));
        let as_root = format!("{} drives polkit", env!("CARGO_BIN_EXE_nbkpctl"));
        assert_eq!(sh(&format!("{as_root} 2>/run/home/remarks")), "");
        assert!(sh("cat /run/home/remarks").contains("root needs no rule"));
        assert!(sh(&format!("{as_root} --json")).contains(r#"{"user":"root","uuids":[],"actions":[],"rule":"""#));

        // Names that are no plain words are not written into a program that root runs.
        sh(r"sed -i 's/^wren:/DOMAIN\\wren:/' /etc/passwd ||
            sed 's/^wren:/DOMAIN\\wren:/' /run/passwd > /run/p && cat /run/p > /etc/passwd");
        configure(&format!("[volumes.usb]\ndrive = \"{uuid}\"\nmount = true\n"));
        let refused =
            attempt(&format!("{USER} {} --config /run/home/config.toml drives polkit", env!("CARGO_BIN_EXE_nbkpctl")));
        assert!(!refused.0 && refused.1.contains("holds characters that are not written into a rule"), "{refused:?}");
    });
}

/// What `doctor` says to the ordinary user, without a daemon.
fn doctor() -> serde_json::Value {
    let paths = "--config /run/home/config.toml --state-dir /run/home/state --socket /run/home/none.sock";
    let (_, said) = attempt(&format!("{USER} {} {paths} doctor --json", env!("CARGO_BIN_EXE_nbkpctl")));
    let answer = serde_json::from_str(&said);
    assert!(answer.is_ok(), "{said}");
    answer.unwrap()
}

/// Severity and code of what it found of this, and all that it said of it.
fn told(diagnosis: &serde_json::Value, subject: &str) -> (Vec<String>, String) {
    let of_it = |key: &str| -> Vec<serde_json::Value> {
        diagnosis[key].as_array().unwrap().iter().filter(|entry| entry["subject"] == subject).cloned().collect()
    };
    let word = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let found = of_it("findings");
    let codes = found.iter().map(|finding| format!("{} {}", word(&finding["severity"]), word(&finding["code"])));
    (codes.collect(), serde_json::to_string(&[of_it("tested"), found.clone()].concat()).unwrap())
}

fn mounts_of(node: &str) -> String {
    attempt(&format!("findmnt --noheadings --output TARGET --source {node}")).1
}

#[test]
fn doctor_tells_what_polkit_allows_and_mounts_nothing() {
    with_services("real::doctor_tells_what_polkit_allows_and_mounts_nothing", || {
        let (_ours, node, uuid) = drive("ours");
        let (_listed, listed_node, listed_uuid) = drive("listed");
        // fstab lets everybody mount this one: who asks udisks2 for it, whatever else they ask for, has it mounted.
        let line = format!("UUID={listed_uuid} /run/listed ext4 noauto,user 0 0\n");
        std::fs::write("/run/fstab", line).unwrap();
        sh("mkdir /run/listed && mount --bind /run/fstab /etc/fstab");
        let volume = |name: &str, uuid: &str, more: &str| {
            format!("[volumes.{name}]\ndrive = \"{uuid}\"\nmount = true\n{more}\n")
        };
        let gone = volume("gone", "2d577679-a7b6-429d-8250-3d0d80e034df", "passphrase = \"gone\"");
        configure(&format!(
            "{}{}{gone}",
            volume("usb", &uuid, "when-done = \"power-off\""),
            volume("listed", &listed_uuid, "")
        ));

        let refused = doctor();
        let (codes, words) = told(&refused, "mount usb");
        assert_eq!(codes, ["error not-authorized"], "{words}");
        assert!(words.contains("nbkpctl drives polkit") && words.contains("Not authorized"), "{words}");
        for (subject, why) in [
            ("mount listed", "/etc/fstab"),
            ("mount gone", "while it is not plugged in"),
            ("unlock gone", "only when it is unlocked"),
            ("power off usb", "only when it is powered off"),
        ] {
            let (codes, words) = told(&refused, subject);
            assert_eq!(codes, ["note permission-untested"], "{words}");
            assert!(words.contains(why), "{words}");
        }
        assert!(told(&refused, "polkit").0.is_empty() && told(&refused, "udisks2").0.is_empty(), "{refused}");
        assert_eq!((mounts_of(&node), mounts_of(&listed_node)), (String::new(), String::new()));

        std::fs::write("/etc/polkit-1/rules.d/60-nbkp-wren.rules", polkit("2>/dev/null")).unwrap();
        let words = eventually("polkitd has read the rule", || {
            let (codes, words) = told(&doctor(), "mount usb");
            codes.is_empty().then_some(words)
        });
        assert!(words.contains("udisks2 would mount it"), "{words}");
        assert_eq!((mounts_of(&node), mounts_of(&listed_node)), (String::new(), String::new()));
        // udisks2 makes the place for a mount before, and takes it away when nothing comes of it.
        assert_eq!(sh("find /media -mindepth 2"), "");

        // What was not asked for above, would have been done.
        let mounted = mount(&listed_node);
        assert!(mounted.0, "{mounted:?}");
        assert_eq!(mounts_of(&listed_node), "/run/listed\n");
        let mounted = mount(&node);
        assert!(mounted.0, "{mounted:?}");
        let (codes, words) = told(&doctor(), "mount usb");
        assert_eq!(codes, ["note permission-untested"], "{words}");
        assert!(words.contains("while it is mounted"), "{words}");
    });
}
