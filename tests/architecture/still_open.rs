//! What is still to be opened: the names of complaints that are known.
//!
//! An entry that nothing complains of any more is an offence itself, so that this list only shrinks. It is to be empty.

/// The first lines of the complaints, grouped as the rules are.
pub const STILL_OPEN: &[&str] = &[
    "`backup/place` must not know `backup/snapshots`",
    "more than one type is called `Heard`",
    "more than one type is called `Stage`",
    "src/backup/drives/here.rs: `std::thread::sleep` belongs into `os`",
    "src/backup/drives/there.rs: `std::thread::sleep` belongs into `os`",
    "src/daemon/inlets/observer/memory.rs: wider than 120 columns",
    "src/daemon/inlets/senses/mod.rs: wider than 120 columns",
    "src/daemon/inlets/senses/sleep.rs: wider than 120 columns",
    "src/daemon/inlets/senses: a circle: manager, mod, network, power, sleep",
    "src/daemon/outlets/notifier.rs: wider than 120 columns",
    "src/daemon/outlets/reporter.rs: wider than 120 columns",
    "src/daemon/serving/doctor: a circle: buses, drives, files, mod",
    "src/daemon/start/alone.rs: wider than 120 columns",
    "src/daemon/start/inheritance.rs: wider than 120 columns",
    "src/daemon/world/announcements.rs: wider than 120 columns",
    "src/daemon/world/candidates.rs: wider than 120 columns",
    "src/daemon/world/closing.rs: wider than 120 columns",
    "src/daemon/world/containers.rs: wider than 120 columns",
    "src/daemon/world/decisions.rs: wider than 120 columns",
    "src/daemon/world/drives.rs: wider than 120 columns",
    "src/daemon/world/histories.rs: wider than 120 columns",
    "src/daemon/world/jobs.rs: wider than 120 columns",
    "src/daemon/world/leftovers.rs: wider than 120 columns",
    "src/daemon/world/plan.rs: wider than 120 columns",
    "src/daemon/world/reach.rs: wider than 120 columns",
    "src/daemon/world/tests.rs: wider than 120 columns",
    "src/daemon/world/tests/server_drives.rs: wider than 120 columns",
    "src/daemon/world/tests/servers.rs: wider than 120 columns",
    "src/daemon/world/volumes.rs: wider than 120 columns",
    "src/model: a circle: layout, snapshot",
    "tests/worker/kills.rs: wider than 120 columns",
];
