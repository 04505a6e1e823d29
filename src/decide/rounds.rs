//! When copies are read back by themselves, and how much of them at a time.

use jiff::Timestamp;

use crate::model::{CheckProof, CheckReport, CheckRound, CheckRounds, CheckRule, CheckSums, Outcome, SampleShare};

/// So many hundredths of a copy are read at a time: what comes before it costs no more than what was read of these.
const SLICE: u8 = 5;

/// The same where something came before it: some copies are so large that there is never more time than for this.
const SMALL_SLICE: u8 = 1;

/// How a check fared that was made before in this round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastSlice {
    /// It was read to its end, or there was none.
    Whole,
    /// Something else came first.
    CutShort,
}

/// When a copy is to be read back next. Nothing is, before there is a copy; one that was never read back is at once.
#[must_use]
pub fn next_check(
    rule: CheckRule,
    rounds: &CheckRounds,
    last_success: Option<Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    let success = last_success?;
    if let Some(round) = &rounds.under_way {
        return Some(round.began.min(now));
    }
    // A clock that was ahead puts nothing off.
    let Some(finished) = rounds.finished.map(|finished| finished.min(now)) else { return Some(success.min(now)) };
    finished.checked_add(rule.every).ok()
}

/// How much is read next, in the round that is under way or begins.
#[must_use]
pub fn next_slice(rule: CheckRule, rounds: &CheckRounds, last: LastSlice) -> SampleShare {
    let (read, found) = rounds.under_way.as_ref().map_or((0, CheckSums::default()), |round| (round.read, round.sums));
    let wanted = if read < rule.share.as_percent() { rule.share.as_percent() } else { wanted(rule, &found) };
    let left = wanted.saturating_sub(read).max(1);
    let slice = match last {
        LastSlice::Whole => SLICE,
        LastSlice::CutShort => SMALL_SLICE,
    };
    SampleShare::percent(left.min(slice)).unwrap_or(SampleShare::ALL)
}

/// How far the rounds are after a slice that was read, and the round that is over with it.
#[must_use]
pub fn after_slice(
    mut rounds: CheckRounds,
    rule: CheckRule,
    (slice, report): (SampleShare, &CheckReport),
    (began, now): (Timestamp, Timestamp),
) -> (CheckRounds, Option<CheckRound>) {
    let mut round = rounds.under_way.take().unwrap_or(CheckRound { began, read: 0, sums: CheckSums::default() });
    round.read = round.read.saturating_add(slice.as_percent());
    round.sums = together(round.sums, report.sums());
    if round.read < wanted(rule, &round.sums) {
        rounds.under_way = Some(round);
        return (rounds, None);
    }
    (finished(&rounds, &round.sums, now), Some(round))
}

/// How much of a copy a round reads that has found this so far: of a copy with few files there may be none in a sample,
/// so that it goes on until there is one.
fn wanted(rule: CheckRule, found: &CheckSums) -> u8 {
    let is_blank = found.files == 0 && found.passed_over == 0 && found.damaged == 0;
    if is_blank { SampleShare::ALL.as_percent() } else { rule.share.as_percent() }
}

/// How far the rounds are once one is over that has found this.
#[must_use]
pub fn finished(rounds: &CheckRounds, sums: &CheckSums, now: Timestamp) -> CheckRounds {
    let verified = if sums.proof() == CheckProof::Sound { Some(now) } else { rounds.verified };
    CheckRounds { finished: Some(now), verified, under_way: None }
}

fn together(one: CheckSums, other: CheckSums) -> CheckSums {
    CheckSums {
        files: one.files.saturating_add(other.files),
        bytes: one.bytes.saturating_add(other.bytes),
        compared: one.compared.saturating_add(other.compared),
        passed_over: one.passed_over.saturating_add(other.passed_over),
        damaged: one.damaged.saturating_add(other.damaged),
        doubtful: one.doubtful.saturating_add(other.doubtful),
    }
}

/// How a check counts that has found this.
#[must_use]
pub fn outcome(sums: &CheckSums) -> Outcome {
    match sums.proof() {
        CheckProof::Sound => Outcome::Ok,
        CheckProof::Damaged | CheckProof::Doubted => Outcome::Failed,
        CheckProof::Nothing => Outcome::Skipped,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3600).unwrap()
    }

    fn rule(percent: u8) -> CheckRule {
        CheckRule { every: Duration::from_hours(24), share: SampleShare::percent(percent).unwrap() }
    }

    fn report(files: u64) -> CheckReport {
        CheckReport {
            sync: "documents".parse().unwrap(),
            snapshot: None,
            newest: None,
            files,
            bytes: files * 10,
            with_source: files,
            with_copies: 0,
            passed_over: 0,
            sound: BTreeSet::new(),
            damaged: vec![],
            doubtful: vec![],
            settled: BTreeSet::new(),
            remarks: vec![],
        }
    }

    #[test]
    fn a_copy_is_read_back_once_it_is_there_and_then_by_its_rule() {
        let next = |rounds: &CheckRounds, success| next_check(rule(5), rounds, success, at(100));
        let never = CheckRounds::default();
        assert_eq!(next(&never, None), None, "nothing was copied");
        assert_eq!(next(&never, Some(at(90))), Some(at(90)));
        let done = CheckRounds { finished: Some(at(95)), ..CheckRounds::default() };
        assert_eq!(next(&done, Some(at(99))), Some(at(95 + 24)));
        let ahead = CheckRounds { finished: Some(at(1_000)), ..CheckRounds::default() };
        assert_eq!(next(&ahead, Some(at(99))), Some(at(124)), "a clock that was ahead");
        let round = CheckRound { began: at(98), read: 1, sums: CheckSums::default() };
        let begun = CheckRounds { finished: Some(at(95)), verified: None, under_way: Some(round) };
        assert_eq!(next(&begun, Some(at(99))), Some(at(98)), "a round that was begun goes on");
    }

    #[test]
    fn a_round_reads_its_share_in_slices_and_no_more() {
        for (percent, cut_short) in [(1, 0), (4, 0), (5, 1), (12, 1), (100, 0), (100, 30)] {
            let (mut rounds, mut read, mut slices) = (CheckRounds::default(), 0, 0_u64);
            let over = loop {
                let last = if slices < cut_short { LastSlice::CutShort } else { LastSlice::Whole };
                let slice = next_slice(rule(percent), &rounds, last);
                read += slice.as_percent();
                slices += 1;
                let (after, over) =
                    after_slice(rounds, rule(percent), (slice, &report(3)), (at(i64::from(read)), at(200)));
                rounds = after;
                if let Some(over) = over {
                    break over;
                }
                assert!(slices < 200);
            };
            assert_eq!((read, over.read, over.sums.files), (percent, percent, slices * 3));
            let verified = Some(at(200));
            assert_eq!(rounds, CheckRounds { finished: verified, verified, under_way: None });
        }
    }

    #[test]
    fn a_smaller_share_in_the_configuration_ends_a_round_that_has_read_more() {
        let round = CheckRound { began: at(1), read: 40, sums: CheckSums { files: 7, ..CheckSums::default() } };
        let rounds = CheckRounds { under_way: Some(round), ..CheckRounds::default() };
        let slice = next_slice(rule(5), &rounds, LastSlice::Whole);
        assert_eq!(slice.as_percent(), 1);
        assert!(after_slice(rounds, rule(5), (slice, &report(1)), (at(2), at(3))).1.is_some());
    }

    #[test]
    fn a_round_goes_on_until_it_has_read_a_file_or_all_that_there_is() {
        let run = |files_at: u8| {
            let (mut rounds, mut read) = (CheckRounds::default(), 0);
            loop {
                let slice = next_slice(rule(5), &rounds, LastSlice::Whole);
                let files = if (read..read + slice.as_percent()).contains(&files_at) { 2 } else { 0 };
                read += slice.as_percent();
                let (after, over) = after_slice(rounds, rule(5), (slice, &report(files)), (at(1), at(200)));
                rounds = after;
                if let Some(over) = over {
                    return (over.read, over.sums.files, rounds.verified.is_some());
                }
            }
        };
        assert_eq!([run(0), run(52), run(200)], [(5, 2, true), (55, 2, true), (100, 0, false)]);
    }

    #[test]
    fn only_what_was_compared_proves_anything() {
        let sums =
            |compared, damaged, doubtful| CheckSums { files: 9, compared, damaged, doubtful, ..CheckSums::default() };
        for (sums, expected) in [
            (sums(9, 0, 0), CheckProof::Sound),
            (sums(1, 0, 0), CheckProof::Sound),
            (sums(0, 0, 0), CheckProof::Nothing),
            (CheckSums::default(), CheckProof::Nothing),
            (sums(9, 0, 1), CheckProof::Doubted),
            (sums(0, 1, 1), CheckProof::Damaged),
        ] {
            assert_eq!(sums.proof(), expected, "{sums:?}");
            let before = CheckRounds { verified: Some(at(1)), ..CheckRounds::default() };
            let after = finished(&before, &sums, at(7));
            let proven = if expected == CheckProof::Sound { at(7) } else { at(1) };
            assert_eq!((after.finished, after.verified), (Some(at(7)), Some(proven)), "{sums:?}");
        }
    }
}
