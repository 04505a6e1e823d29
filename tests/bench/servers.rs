//! Figures about servers, beside the bare commands.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::measure::{ExecEar, Table, median, milliseconds, wall};
use super::{Effort, own_program};
use crate::common::mini_host::MiniHost;
use crate::common::server::Server;
use crate::common::until;

/// How long an address takes to become a question to the server, beside somebody who only hears of the address.
pub fn address_to_question(host: &MiniHost, effort: &Effort, table: &Table) {
    let ssh = own_program(host, "ssh");
    let nas = host.server("nas").prepared_for("documents");
    host.source("documents");
    // Nothing runs: only the question is wanted.
    host.configure(&host.config().server(&nas).sync("documents", "nas", "hard-link", "enabled = false"));
    let daemon = host.start();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..effort.pairs * 5 {
        let asked = nas.admitted();
        let ear = ExecEar::at(&ssh);
        let moment = Instant::now();
        nas.join();
        ours.push(milliseconds(ear.since(moment)));
        until("the server was asked", || nas.admitted() > asked);
        // Behind this it has answered: a question that is cut off would be waited for.
        host.ctl(&["scan", "-q"]).exits(0);
        nas.leave();

        // Else it would ask a server that leaves at once, and wait for it.
        daemon.signal(Signal::STOP);
        let mut monitor = Command::new("ip").args(["-o", "monitor", "address"]).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(monitor.stdout.take().unwrap()).lines();
        let (tell, told) = sync_channel(1024);
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
        // What it says of an address that comes and goes tells that it listens.
        until("the monitor listens", || {
            nas.join();
            nas.leave();
            told.recv_timeout(Duration::from_millis(100)).is_ok()
        });
        while told.recv_timeout(Duration::from_millis(100)).is_ok() {}
        let moment = Instant::now();
        nas.join();
        told.recv().unwrap();
        theirs.push(milliseconds(moment.elapsed()));
        let _ = monitor.kill();
        let _ = monitor.wait();
        nas.leave();
        daemon.signal(Signal::CONT);
        host.ctl(&["scan", "-q"]).exits(0);
    }
    table.difference("address to the first question to its server", "ms", median(ours), median(theirs), 20.0);
    daemon.stop();
}

/// What a run to a server costs that has nothing to do, without one connection, beside the bare rsync.
pub fn nothing_to_do_there(host: &MiniHost, effort: &Effort, table: &Table) {
    let nas = host.server("far");
    nas.join();
    let source = host.source("wide");
    source.fill(effort.files);
    let there = nas.root.join("wide");
    std::fs::create_dir(&there).unwrap();
    std::fs::write(there.join(".nbkp-dst"), "").unwrap();
    host.configure(&host.config().server(&nas).sync("wide", "far", "none", "every = \"52w\""));
    let daemon = host.start();
    host.run_ends("wide", 1, "ok");
    let mut ratios = Vec::new();
    let mut references = Vec::new();
    for _ in 0..effort.pairs {
        let our = wall(|| drop(host.ctl(&["run", "wide", "--wait", "-q"]).exits(0)));
        let connection = wall(|| assert!(ssh(&nas).arg("true").status().unwrap().success()));
        let shell: Vec<String> = words(&ssh(&nas));
        let mut rsync = Command::new("rsync");
        rsync.args(["-a", "--delete-delay", "--partial-dir=.rsync-partial", "--modify-window=-1", "--exclude=.nbkp*"]);
        rsync.arg("-e").arg(shell[..shell.len() - 1].join(" ")).arg("--").arg(source.path.join(""));
        rsync.arg(format!("root@{}:{}/", nas.address(), there.display()));
        let their = wall(|| assert!(rsync.status().unwrap().success()));
        references.push(milliseconds(their));
        ratios.push(milliseconds(our.saturating_sub(connection)) / milliseconds(their));
    }
    let reference = median(references);
    let what = format!("nothing to do over {} files to a server, wall", effort.files);
    table.ratio(&what, "ms", median(ratios) * reference, reference, 1.05);
    daemon.stop();
}

fn ssh(server: &Server) -> Command {
    let known = server.file("known");
    let mut command = Command::new("ssh");
    command.args(["-o", "BatchMode=yes", "-o"]).arg(format!("UserKnownHostsFile={}", known.display()));
    command.arg("-i").arg(server.file("user")).arg(format!("root@{}", server.address()));
    command.stdin(Stdio::null());
    command
}

fn words(command: &Command) -> Vec<String> {
    let program = PathBuf::from(command.get_program());
    let rest = command.get_args().map(|word| word.to_string_lossy().into_owned());
    std::iter::once(program.display().to_string()).chain(rest).collect()
}
