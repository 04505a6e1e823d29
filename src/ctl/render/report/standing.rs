//! How everything stands, in words: first what is wrong, then each sync.

use super::markup::Markup;
use super::verdict::{Beside, Grade, Remark, SyncVerdict, surroundings, verdict};
use crate::ctl::render::tallies::data;
use crate::formats::report::ReportFacts;
use crate::formats::text::{count, relative};
use crate::formats::wire::{SyncStatusEntry, SyncTally};
use crate::model::{Freshness, Now, Severity, SyncState};

/// The class of a grade, and the shape that stands for it.
#[must_use]
pub fn class(grade: Grade) -> &'static str {
    match grade {
        Grade::Good => "good",
        Grade::Calm => "calm",
        Grade::Notice => "notice",
        Grade::Bad => "bad",
    }
}

/// A sign of a grade: its shape and its colour say the same as the word beside it.
pub fn sign(page: &mut Markup, grade: Grade) {
    let shape = format!("#sign-{}", class(grade));
    page.nest("svg", &[("class", "sign"), ("viewBox", "0 0 16 16"), ("aria-hidden", "true")], |page| {
        page.shape("use", &[("href", &shape)]);
    });
}

/// The sums of a sync.
#[must_use]
pub fn tally_of<'a>(facts: &'a ReportFacts, sync: &str) -> Option<&'a SyncTally> {
    facts.history.stats.iter().flatten().find(|tally| tally.sync == sync)
}

/// What there is to say of each sync.
#[must_use]
pub fn verdicts<'a>(facts: &'a ReportFacts, now: &Now) -> Vec<(&'a SyncStatusEntry, SyncVerdict)> {
    let (dead, findings) = (facts.dead.as_deref(), facts.doctor.findings.as_slice());
    let beside = |sync: &SyncStatusEntry| Beside { tally: tally_of(facts, &sync.name), dead, findings };
    facts.status.syncs.iter().map(|sync| (sync, verdict(sync, beside(sync), now))).collect()
}

/// The verdict on everything: one sentence, and all that is behind it.
pub fn headline(page: &mut Markup, facts: &ReportFacts, now: &Now) {
    let around = surroundings(&facts.status, facts.dead.as_deref());
    let verdicts = verdicts(facts, now);
    let found = facts.doctor.count(Severity::Error);
    let (grade, sentence) = judged(&around, &verdicts, found, facts);
    page.nest("section", &[("id", "verdict"), ("class", class(grade)), ("aria-labelledby", "verdict-title")], |page| {
        page.nest("h2", &[("id", "verdict-title")], |page| {
            sign(page, grade);
            page.text(&sentence);
        });
        let wrong: Vec<_> = verdicts.iter().filter(|(_, verdict)| is_told(verdict.grade)).collect();
        let found_word = (found > 0).then(|| count(u64::try_from(found).unwrap_or(u64::MAX), "error"));
        if around.is_empty() && wrong.is_empty() && found_word.is_none() {
            return;
        }
        page.nest("ul", &[("class", "remarks")], |page| {
            for one in around.chunks(1) {
                item(page, None, one);
            }
            for wanted in [Grade::Bad, Grade::Notice] {
                for (sync, verdict) in wrong.iter().filter(|(_, verdict)| verdict.grade == wanted) {
                    let told = verdict.remarks.iter().filter(|remark| is_told(remark.grade));
                    item(page, Some(&sync.name), &told.cloned().collect::<Vec<_>>());
                }
            }
            if let Some(errors) = found_word {
                page.nest("li", &[("class", "bad")], |page| {
                    sign(page, Grade::Bad);
                    page.nest("div", &[], |page| {
                        page.text("doctor found ");
                        page.leaf("a", &[("href", "#findings")], &errors);
                    });
                });
            }
        });
    });
}

/// What a copy that is told of with these words is not: whole, and as fresh as its time says.
const DOUBTS: [&str; 7] = ["old", "old data", "with a warning", "never copied", "unknown", "damaged", "in doubt"];

fn is_told(grade: Grade) -> bool {
    grade >= Grade::Notice
}

/// The sentence above all others. It is good only if nothing at all is not.
fn judged(
    around: &[Remark],
    verdicts: &[(&SyncStatusEntry, SyncVerdict)],
    found: usize,
    facts: &ReportFacts,
) -> (Grade, String) {
    // One that is disabled counts where something is wrong with its copies.
    let counts = |(sync, verdict): &&(&SyncStatusEntry, SyncVerdict)| {
        !sync.state.is(SyncState::Disabled) || is_told(verdict.grade)
    };
    let enabled: Vec<_> = verdicts.iter().filter(counts).collect();
    let many = |grade: Grade| enabled.iter().filter(|(_, verdict)| verdict.grade == grade).count();
    let (bad, notices) = (many(Grade::Bad), many(Grade::Notice));
    let all = enabled.len();
    let is_fresh = |(sync, verdict): &&(&SyncStatusEntry, SyncVerdict)| {
        let is_doubted = verdict.remarks.iter().any(|remark| DOUBTS.contains(&remark.word));
        sync.freshness.is(Freshness::Fresh) && !is_doubted
    };
    let are_fresh = enabled.iter().all(is_fresh);
    let of = |number: usize| if all == 1 { "The only sync".to_owned() } else { format!("{number} of {all} syncs") };
    let needs = |number: usize| if number == 1 { "needs" } else { "need" };
    if facts.dead.is_some() {
        let more = if bad > 0 { format!(", and {} {} you", of(bad).to_lowercase(), needs(bad)) } else { String::new() };
        return (Grade::Bad, format!("No daemon runs: no copies are made{more}"));
    }
    if all == 0 {
        return (Grade::Bad, "No sync is enabled: nothing is copied".to_owned());
    }
    let worst_around = around.iter().map(|remark| remark.grade).max().unwrap_or(Grade::Good);
    let fresh = if are_fresh { "every copy is fresh, but " } else { "" };
    match () {
        () if bad > 0 => (Grade::Bad, format!("{} {} you", of(bad), needs(bad))),
        () if worst_around == Grade::Bad || found > 0 => {
            (Grade::Bad, sentence(&format!("{fresh}something about the backups is wrong")))
        }
        () if notices > 0 => (
            Grade::Notice,
            sentence(&format!("{fresh}{} {} a look", of(notices).replace("The", "the"), needs(notices))),
        ),
        () if worst_around == Grade::Notice => (Grade::Notice, sentence(&format!("{fresh}something deserves a look"))),
        () if many(Grade::Calm) > 0 => {
            let is_busy = |verdict: &SyncVerdict| ["running", "queued"].contains(&verdict.word);
            let calm = enabled.iter().filter(|(_, verdict)| verdict.grade == Grade::Calm);
            let busy = calm.filter(|(_, verdict)| is_busy(verdict)).count();
            let idle = many(Grade::Calm).saturating_sub(busy);
            let syncs = |all: usize| count(u64::try_from(all).unwrap_or(u64::MAX), "sync");
            let mut parts = vec!["Every copy is fresh".to_owned()];
            parts.extend((busy > 0).then(|| format!("{} at work or in the queue", syncs(busy))));
            parts.extend((idle > 0).then(|| format!("{} cannot or need not run right now", syncs(idle))));
            (Grade::Calm, parts.join("; "))
        }
        () => (Grade::Good, "Every copy is fresh, and the last run of each went well".to_owned()),
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What is to be said of one sync, or of no sync, the worst first.
fn item(page: &mut Markup, sync: Option<&str>, remarks: &[Remark]) {
    let worst = remarks.first().map_or(Grade::Calm, |remark| remark.grade);
    page.nest("li", &[("class", class(worst))], |page| {
        sign(page, worst);
        page.nest("div", &[], |page| {
            if let Some(sync) = sync {
                page.leaf("strong", &[], sync);
            }
            for remark in remarks {
                page.nest("p", &[], |page| {
                    page.sentence(&remark.text);
                    if !remark.hint.is_empty() {
                        page.text(" ");
                        page.nest("span", &[("class", "hint")], |page| page.sentence(&format!("→ {}", remark.hint)));
                    }
                });
            }
        });
    });
}

/// Each sync as a card.
pub fn syncs(page: &mut Markup, facts: &ReportFacts, now: &Now) {
    page.nest("div", &[("class", "cards")], |page| {
        for (sync, verdict) in verdicts(facts, now) {
            page.nest("article", &[("class", class(verdict.grade))], |page| card(page, facts, (sync, &verdict), now));
        }
    });
    if facts.status.syncs.is_empty() {
        page.leaf("p", &[], "The configuration has no sync.");
    }
}

fn card(page: &mut Markup, facts: &ReportFacts, (sync, verdict): (&SyncStatusEntry, &SyncVerdict), now: &Now) {
    page.leaf("h3", &[], &sync.name);
    page.nest("p", &[("class", "word")], |page| {
        sign(page, verdict.grade);
        page.text(verdict.word);
    });
    if let Some(entry) = facts.list.syncs.iter().find(|entry| entry.name == sync.name) {
        page.nest("p", &[("class", "way")], |page| {
            page.leaf("span", &[], &entry.source);
            page.text(" → ");
            page.leaf("span", &[], &entry.destination);
        });
    }
    page.nest("dl", &[], |page| {
        let mut pair = |name: &str, value: &str| {
            page.leaf("dt", &[], name);
            page.leaf("dd", &[], value);
        };
        let copied = sync.last_success.map_or_else(|| "never".to_owned(), |moment| relative(moment.0, now.wall));
        pair("copied", &copied);
        if let Some(tally) = tally_of(facts, &sync.name) {
            pair("data", &data(tally, now).replace('`', ""));
        }
        if let Some(run) = &sync.last_run {
            pair("last run", &format!("{} {}", run.outcome, relative(run.finished.0, now.wall)));
        }
        if let Some(next) = sync.next_due.filter(|_| facts.dead.is_none() && !sync.state.is(SyncState::Disabled)) {
            let next = if next.0 <= now.wall { "due".to_owned() } else { relative(next.0, now.wall) };
            pair("next", &next);
        }
    });
    for remark in verdict.remarks.iter().filter(|remark| remark.grade < Grade::Notice) {
        page.nest("p", &[("class", "hint")], |page| page.sentence(&remark.text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::wire::Reply;
    use crate::model::BootTime;

    const SAMPLE: &str = r#"{"parameters":{"version":1,
      "daemon":{"pid":7,"version":"0.1.0","started":"2026-11-22T14:30:00.000Z","state":"idle","config":"/c.toml",
        "config_error":null,"degraded":[]},
      "locations":[],"network":{"online":null,"metered":null},"volumes":[],
      "syncs":[{"name":"a","state":"idle","freshness":"fresh","obstacles":[],"last_success":"2026-11-22T15:30:00.000Z",
          "last_run":null,"next_due":null,"overdue_at":"2026-11-29T15:30:00.000Z"},
        {"name":"b","state":"idle","freshness":"fresh","obstacles":[],"last_success":"2026-11-22T15:30:00.000Z",
          "last_run":null,"next_due":null,"overdue_at":"2026-11-29T15:30:00.000Z"}],
      "queue":[],"running":[]}}"#;

    fn facts(change: &[(&str, &str)]) -> ReportFacts {
        let mut text = SAMPLE.to_owned();
        for (old, new) in change {
            assert!(text.contains(old), "{old}");
            text = text.replacen(old, new, 1);
        }
        let read = |text: &str| Reply::read(text.as_bytes()).unwrap().unwrap();
        ReportFacts {
            made: read(r#"{"parameters":{"m":"2026-11-22T17:30:00.000Z"}}"#)
                .decode::<std::collections::BTreeMap<String, crate::formats::wire::Moment>>()
                .unwrap()["m"],
            machine: "lap".into(),
            days: 90,
            dead: None,
            status: read(&text).decode().unwrap(),
            list: read(r#"{"parameters":{"syncs":[],"volumes":[],"groups":[],"locations":[]}}"#).decode().unwrap(),
            history: read(r#"{"parameters":{"runs":[]}}"#).decode().unwrap(),
            snapshots: read(r#"{"parameters":{"snapshots":[]}}"#).decode().unwrap(),
            doctor: read(r#"{"parameters":{"version":"0","findings":[],"tested":[]}}"#).decode().unwrap(),
        }
    }

    fn said(facts: &ReportFacts) -> (Grade, String) {
        let now = Now { boot: BootTime::default(), wall: facts.made.0, zone: jiff::tz::TimeZone::UTC };
        let around = surroundings(&facts.status, facts.dead.as_deref());
        judged(&around, &verdicts(facts, &now), facts.doctor.count(Severity::Error), facts)
    }

    fn check(change: &[(&str, &str)], grade: Grade, sentence: &str) {
        assert_eq!(said(&facts(change)), (grade, sentence.to_owned()));
    }

    #[test]
    fn the_first_sentence_is_good_only_where_all_is() {
        let fresh = "\"freshness\":\"fresh\"";
        check(&[], Grade::Good, "Every copy is fresh, and the last run of each went well");
        check(&[(fresh, "\"freshness\":\"overdue\"")], Grade::Bad, "1 of 2 syncs needs you");
        check(&[(fresh, "\"freshness\":\"never\"")], Grade::Notice, "1 of 2 syncs needs a look");
        let idle = "[],\"last_success\"";
        let away = r#"[{"code":"destination-volume-absent","message":"m","hint":""}],"last_success""#;
        check(&[(idle, away)], Grade::Calm, "Every copy is fresh; 1 sync cannot or need not run right now");
        let busy = ("\"state\":\"idle\",\"freshness\"", "\"state\":\"running\",\"freshness\"");
        check(&[busy], Grade::Calm, "Every copy is fresh; 1 sync at work or in the queue");
        // Without `max-age` any age passes for fresh.
        let old = ("2026-11-22T15:30:00.000Z", "2023-11-22T15:30:00.000Z");
        let unlimited = ("\"2026-11-29T15:30:00.000Z\"", "null");
        check(&[old, unlimited], Grade::Notice, "1 of 2 syncs needs a look");
        let broken = ("\"config_error\":null", "\"config_error\":\"line 3\"");
        check(&[broken], Grade::Bad, "Every copy is fresh, but something about the backups is wrong");
        let degraded = ("\"degraded\":[]", "\"degraded\":[\"udev cannot be heard\"]");
        check(&[degraded], Grade::Notice, "Every copy is fresh, but something deserves a look");
        let (state, disabled) = ("\"state\":\"idle\",\"freshness\"", "\"state\":\"disabled\",\"freshness\"");
        check(&[(state, disabled), (state, disabled)], Grade::Bad, "No sync is enabled: nothing is copied");
        let paused = ("\"state\":\"idle\",\"config\"", "\"state\":\"paused\",\"config\"");
        check(&[paused], Grade::Notice, "Every copy is fresh, but something deserves a look");
    }

    #[test]
    fn a_dead_daemon_and_what_doctor_finds_are_never_good() {
        let dead = ReportFacts { dead: Some("nbkpd is not running".into()), ..facts(&[]) };
        assert_eq!(said(&dead), (Grade::Bad, "No daemon runs: no copies are made".into()));
        let found = r#"{"parameters":{"version":"0","findings":[{"code":"tool-missing","severity":"error","subject":"s",
            "message":"m","fix":"f"}],"tested":[]}}"#;
        let doctor = Reply::read(found.as_bytes()).unwrap().unwrap().decode().unwrap();
        assert_eq!(said(&ReportFacts { doctor, ..facts(&[]) }).0, Grade::Bad);
    }
}
