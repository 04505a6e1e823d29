//! Two machines with one configuration: each destination has one writer.

use std::fs;

use crate::kills::tree;
use crate::rig::{Drive, Ground};
use nbkp::backup::errands::preview::preview;
use nbkp::formats::log;
use nbkp::model::{Conclusion, HoldReason, SnapshotKind};
use nbkp::os::ssh::SshPlace;

#[test]
fn a_destination_that_another_writer_has_is_left_as_it_is() {
    let kinds: &[SnapshotKind] = if crate::needs_root() {
        &[SnapshotKind::None, SnapshotKind::HardLink, SnapshotKind::Btrfs]
    } else {
        &[SnapshotKind::None, SnapshotKind::HardLink]
    };
    for kind in kinds.iter().copied() {
        let drive = (kind == SnapshotKind::Btrfs).then(Drive::btrfs);
        let mut ground = drive.as_ref().map_or_else(|| Ground::new(kind), |drive| Ground::on(drive, kind));
        ground.write("a", "of the first");
        let lock = ground.destination.join(".nbkp/lock");
        // An earlier version left no writer, and the first that comes takes it over.
        fs::create_dir(lock.parent().unwrap()).unwrap();
        fs::write(&lock, "").unwrap();
        let first = ground.run();
        assert_eq!(first.conclusion, Conclusion::Ok, "{kind:?}");
        let ours = first.writer.unwrap();
        let said = fs::read_to_string(&lock).unwrap();
        assert!(said.starts_with(&format!("written-by {ours} ")), "{said}");
        let records = log::records(&fs::read(ground.destination.join(".nbkp/log.jsonl")).unwrap());
        assert_eq!(records.last().unwrap().writer.as_deref(), Some(ours.as_str()));

        // The same configuration, where another source was prepared.
        fs::write(ground.source.join(".nbkp-src"), "id = \"another\"\n").unwrap();
        ground.write("a", "of the second");
        let copy = if kind == SnapshotKind::None { ground.destination.clone() } else { ground.latest() };
        let before = (tree(&copy), ground.snapshots());
        for _ in 0..2 {
            let Conclusion::Held(reason) = ground.run().conclusion else { panic!("{kind:?}") };
            let HoldReason::ForeignWriter { writer, .. } = &reason else { panic!("{reason:?}") };
            assert_eq!(writer.id, ours);
            assert_eq!((tree(&copy), ground.snapshots()), before, "{kind:?}");
            let preview = preview(&ground.job, &SshPlace::new("/nowhere".into())).unwrap();
            assert_eq!(preview.hold, Some(reason));
        }
        // A person approved, and this one has it now.
        ground.job.writers = [ours.clone()].into();
        let second = ground.run();
        assert_eq!(second.conclusion, Conclusion::Ok);
        assert_ne!(second.writer.as_ref(), Some(&ours));
        // The first one is asked in its turn.
        fs::write(ground.source.join(".nbkp-src"), "").unwrap();
        assert!(matches!(ground.run().conclusion, Conclusion::Held(_)));
    }
}
