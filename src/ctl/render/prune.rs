//! What was pruned, or would be.

use super::page::{Page, Tone, paint};
use crate::formats::text::{count, printable};
use crate::formats::wire::{Pruned, SyncProblem};
use crate::model::Pruning;

/// Each snapshot with its reason, and the sum.
#[must_use]
pub fn pruned(pruned: &Pruned, pruning: Pruning) -> String {
    let mut page = Page::default();
    for snapshot in &pruned.pruned {
        let what = match (pruning, snapshot.removed) {
            (Pruning::Pretended, _) => "would go",
            (Pruning::Real, true) => "is gone",
            (Pruning::Real, false) => "is still there",
        };
        let (sync, name) = (paint(Tone::Title, printable(&snapshot.sync)), printable(&snapshot.name));
        page.line(format!("{sync}: {name} {what}: {}", printable(&snapshot.reason)));
    }
    problems(&mut page, &pruned.problems);
    let removed = pruned.pruned.iter().filter(|snapshot| snapshot.removed || pruning == Pruning::Pretended).count();
    let removed = u64::try_from(removed).unwrap_or(u64::MAX);
    let sum = match (pruning, removed) {
        (_, 0) => "every snapshot is kept by a rule".to_owned(),
        (Pruning::Real, _) => format!("{} deleted", count(removed, "snapshot")),
        (Pruning::Pretended, _) => format!("{} would be deleted; nothing was changed", count(removed, "snapshot")),
    };
    if removed > 0 || pruned.problems.is_empty() && pruned.pruned.is_empty() {
        page.line(sum);
    }
    page.finish()
}

/// Adds the syncs with which something was not possible.
pub fn problems(page: &mut Page, problems: &[SyncProblem]) {
    for problem in problems {
        let sync = paint(Tone::Title, printable(&problem.sync));
        page.line(format!("{sync}: {}", paint(Tone::Notice, printable(&problem.message))));
    }
}

#[cfg(test)]
mod tests {
    use super::super::page::plain;
    use super::*;
    use crate::formats::wire::PrunedSnapshot;

    #[test]
    fn each_snapshot_goes_with_its_reason() {
        let snapshot = PrunedSnapshot {
            sync: "documents".into(),
            name: "2026-11-22T17:30:00.000Z".into(),
            path: "/m".into(),
            reason: "no rule keeps it".into(),
            removed: true,
        };
        let kept = PrunedSnapshot { removed: false, reason: "it is busy".into(), ..snapshot.clone() };
        let problem = SyncProblem { sync: "mail".into(), message: "drive `usb` is not plugged in".into() };
        let reply = Pruned { pruned: vec![snapshot, kept], problems: vec![problem] };
        let expected = "\
documents: 2026-11-22T17:30:00.000Z is gone: no rule keeps it
documents: 2026-11-22T17:30:00.000Z is still there: it is busy
mail: drive `usb` is not plugged in
1 snapshot deleted
";
        assert_eq!(plain(&pruned(&reply, Pruning::Real)), expected);
        let text = pruned(&reply, Pruning::Pretended);
        assert!(text.contains("2 snapshots would be deleted; nothing was changed"), "{text}");
        let nothing = Pruned { pruned: vec![], problems: vec![] };
        assert_eq!(pruned(&nothing, Pruning::Real), "every snapshot is kept by a rule\n");
    }
}
