//! Figures about getting files back, and about reading copies, beside the bare commands.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::measure::{Table, median, milliseconds, wall};
use super::{Effort, directory_sync, own_rsync};
use crate::common::drive::Filesystem::Ext4;
use crate::common::mini_host::MiniHost;
use crate::common::run;

/// So many snapshots hold the file whose versions are wanted.
const SNAPSHOTS: i64 = 500;

/// The versions of a file, with a client, over many snapshots on a drive.
pub fn versions_of_a_file(host: &MiniHost, effort: &Effort, table: &Table) {
    let source = host.source("letters");
    source.write("deep/letter", "the newest");
    let mut usb = host.drive("letters", Ext4).prepared_for("letters");
    host.configure(&host.config().drive(&usb).sync("letters", "letters", "hard-link", "every = \"7d\""));
    let daemon = host.start();
    usb.plug();
    host.run_ends("letters", 1, "ok");
    let copies = usb.destination("letters");
    let newest: jiff::Timestamp = copies.latest_name().parse().unwrap();
    for hours in 1..SNAPSHOTS {
        let made = newest - jiff::SignedDuration::from_hours(hours);
        let snapshot = copies.snapshot(&made.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string());
        // A new version each day.
        snapshot.write("deep/letter", format!("of day {}", hours / 24));
        let time = format!("@{}", newest.as_second() - hours / 24 * 86_400);
        run("touch", &[&"-d", &time, &snapshot.path.join("deep/letter")]);
    }
    let letter = source.path.join("deep/letter").into_os_string().into_string().unwrap();
    let told = host.ctl(&["versions", &letter, "--json"]).exits(0).json();
    assert!(told["versions"].as_array().unwrap().len() > 20, "{told}");
    let times = (0..effort.pairs * 3).map(|_| milliseconds(wall(|| drop(host.ctl(&["versions", &letter]).exits(0)))));
    table.figure(&format!("versions of a file over {SNAPSHOTS} snapshots"), "ms", median(times.collect()), 30.0);
    daemon.stop();
}

/// Many files, out of a copy to a new place.
pub fn many_files_back(host: &MiniHost, effort: &Effort, table: &Table) {
    let rsync = own_rsync(host);
    let (_, destination, lines) = directory_sync(host, "back", effort.files);
    host.configure(&host.config().also(&lines));
    let daemon = host.start();
    host.run_ends("back", 1, "ok");
    let (ours, theirs) = (host.root.join("restored"), host.root.join("copied"));
    let restore = ["restore", "from-back:", "--to", ours.to_str().unwrap(), "-q"];
    let bare = || {
        let mut command = Command::new(&rsync);
        command.arg("-a").arg(destination.join("")).arg(&theirs).stdout(Stdio::null());
        command
    };
    pairs(
        table,
        &format!("restore of {} files, wall", effort.files),
        1.05,
        (effort.pairs, &|| {
            for place in [&ours, &theirs] {
                let _none = std::fs::remove_dir_all(place);
            }
            // Neither pays for what the other left to be written.
            run("sync", &[&"-f", &host.root]);
        }),
        &|| drop(host.ctl(&restore).exits(0)),
        &|| assert!(bare().status().unwrap().success()),
    );
    daemon.stop();
    for path in [&theirs, &destination] {
        std::fs::remove_dir_all(path).unwrap();
    }
}

/// Names among ten times as many as there are files elsewhere, in a copy without history.
pub fn names_in_a_copy(host: &MiniHost, effort: &Effort, table: &Table) {
    host.source("names");
    let copy = host.root.join("names-copy/names");
    std::fs::create_dir_all(&copy).unwrap();
    std::fs::write(host.root.join("names-copy/.nbkp-vol"), "").unwrap();
    std::fs::write(copy.join(".nbkp-dst"), "").unwrap();
    let names = effort.files * 10;
    for number in 0..names {
        let folder = copy.join(format!("folder-{:04}", number / 500));
        if number % 500 == 0 {
            std::fs::create_dir(&folder).unwrap();
        }
        symlink("x", folder.join(format!("name-{number}"))).unwrap();
    }
    let volume = format!("[volumes.disk]\npath = \"{}\"\n", host.root.join("names-copy").display());
    // No run is wanted: the copy has what the source never had.
    host.configure(&host.config().also(&volume).sync("names", "disk", "none", "enabled = false"));
    let daemon = host.start();
    let find = || {
        let mut command = Command::new("find");
        command.arg(&copy).args(["-name", "*9999"]).stdout(Stdio::null());
        command
    };
    let asked = ["find", "*9999", "-q"];
    pairs(
        table,
        &format!("find over {names} names, wall"),
        1.3,
        (effort.pairs, &|| ()),
        &|| drop(host.ctl(&asked).exits(0)),
        &|| assert!(find().status().unwrap().success()),
    );
    daemon.stop();
    std::fs::remove_dir_all(host.root.join("names-copy")).unwrap();
}

/// A copy that is read back and compared with its source, beside reading both.
pub fn a_copy_read_back(host: &MiniHost, effort: &Effort, table: &Table) {
    let (source, destination, lines) = directory_sync(host, "proof", 100);
    for part in 0..8 {
        source.write_big(&format!("part-{part}"), effort.big / 8, part);
    }
    host.configure(&host.config().also(&lines));
    let daemon = host.start();
    host.run_ends("proof", 1, "ok");
    let read = |place: &Path| {
        let script = "find \"$1\" -type f -exec cat {} +";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(place).stdout(Stdio::null());
        assert!(command.status().unwrap().success());
    };
    pairs(
        table,
        &format!("verify of {} MiB in memory, wall", effort.big),
        1.05,
        (effort.pairs, &|| ()),
        &|| drop(host.ctl(&["verify", "proof", "-q"]).exits(0)),
        &|| [&source.path, &destination].into_iter().for_each(|place| read(place)),
    );
    daemon.stop();
    for path in [&source.path, &destination] {
        std::fs::remove_dir_all(path).unwrap();
    }
}

/// Ours and theirs, one after the other, as often as is said, each behind what makes the ground the same.
fn pairs(
    table: &Table,
    what: &str,
    limit: f64,
    (count, before): (usize, &dyn Fn()),
    ours: &dyn Fn(),
    theirs: &dyn Fn(),
) {
    let (mut bare, mut ratios): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    let took = |work: &dyn Fn()| -> Duration {
        before();
        wall(work)
    };
    for _ in 0..count {
        let (our, their) = (milliseconds(took(ours)), milliseconds(took(theirs)));
        bare.push(their);
        ratios.push(our / their);
    }
    let reference = median(bare);
    table.ratio(what, "ms", median(ratios) * reference, reference, limit);
}
