//! The reply of `Doctor`.

use serde::{Deserialize, Serialize};

use super::Term;
use crate::model::{Area, Examined, FindingCode, Flaw, OthersRights, Severity, Verdict};

/// `Doctor`: what was tested, and what a person could mend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// The version of whoever tested.
    pub version: String,
    /// What was found, in the order of what was tested.
    pub findings: Vec<FindingEntry>,
    /// What was tested.
    pub tested: Vec<TestedEntry>,
}

/// Something that a person could mend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingEntry {
    /// Its code.
    pub code: Term<FindingCode>,
    /// How much it matters.
    pub severity: Term<Severity>,
    /// What it is about.
    pub subject: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub fix: String,
    /// What `doctor --fix` does about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mend: Option<MendEntry>,
}

/// What mends a finding and harms nobody: others lose these rights to something of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MendEntry {
    /// Of what.
    pub path: String,
    /// Which rights, in the words of `chmod`.
    pub takes: Term<OthersRights>,
}

/// What `doctor --fix` has done, and what was found after it.
#[derive(Debug, Serialize)]
pub struct Mended<'a> {
    /// What was mended, as sentences.
    pub mended: &'a [String],
    /// What could not be, and why, as sentences.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub not_mended: &'a [String],
    /// What was found then.
    #[serde(flatten)]
    pub diagnosis: &'a Diagnosis,
}

/// A thing that was tested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestedEntry {
    /// Where it belongs.
    pub area: Term<Area>,
    /// What it is.
    pub subject: String,
    /// What was seen of it; empty if something was found.
    pub message: String,
    /// The codes of what was found, which stand in `findings` in the same order.
    pub codes: Vec<Term<FindingCode>>,
}

impl Diagnosis {
    /// The reply of this program that tells these.
    #[must_use]
    pub fn new(examined: &[Examined]) -> Self {
        let mut diagnosis =
            Self { version: env!("CARGO_PKG_VERSION").to_owned(), findings: Vec::new(), tested: Vec::new() };
        diagnosis.extend(examined);
        diagnosis
    }

    /// The same, with this before the rest.
    #[must_use]
    pub fn behind(self, first: &Examined) -> Self {
        let mut whole = Self { version: self.version, findings: Vec::new(), tested: Vec::new() };
        whole.extend(std::slice::from_ref(first));
        whole.findings.extend(self.findings);
        whole.tested.extend(self.tested);
        whole
    }

    fn extend(&mut self, examined: &[Examined]) {
        for thing in examined {
            let found = thing.verdict.findings();
            self.tested.push(TestedEntry {
                area: thing.area.into(),
                subject: thing.subject.clone(),
                message: match &thing.verdict {
                    Verdict::Well(what) => what.clone(),
                    Verdict::Found(_) => String::new(),
                },
                codes: found.iter().map(|finding| finding.code.into()).collect(),
            });
            self.findings.extend(found.iter().map(|finding| FindingEntry {
                code: finding.code.into(),
                severity: finding.severity.into(),
                subject: thing.subject.clone(),
                message: finding.message.clone(),
                fix: finding.fix.clone(),
                // A path that is no text is left to its person.
                mend: finding.mend.as_ref().and_then(|mend| {
                    Some(MendEntry { path: mend.path.to_str()?.to_owned(), takes: mend.takes.into() })
                }),
            }));
        }
    }

    /// Whether this was found.
    #[must_use]
    pub fn has(&self, flaw: Flaw) -> bool {
        self.findings.iter().any(|finding| finding.code.is(FindingCode::Flaw(flaw)))
    }

    /// How many findings are of this severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity.is(severity)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::json;

    #[test]
    fn findings_stand_in_the_order_of_what_was_tested() {
        let two = vec![Flaw::ToolMissing.error("it is missing", "install it"), Flaw::Degraded.note("so", "do so")];
        let examined = [
            Area::Tools.well("ssh", "/usr/bin/ssh"),
            Area::Tools.examined("rsync", Verdict::Found(two)),
            Area::Syncs.examined("mail", Flaw::Overdue.warning("old", "look")),
        ];
        let first = Area::Daemon.examined("nbkpd", Flaw::DaemonNotRunning.error("none", "start it"));
        let diagnosis = Diagnosis::new(&examined).behind(&first);
        let codes: Vec<&str> = diagnosis.findings.iter().map(|finding| finding.code.as_str()).collect();
        assert_eq!(codes, ["daemon-not-running", "tool-missing", "degraded", "overdue"]);
        let of_each: Vec<&str> = diagnosis.tested.iter().flat_map(|test| &test.codes).map(Term::as_str).collect();
        assert_eq!(of_each, codes);
        assert_eq!([Severity::Error, Severity::Warning, Severity::Note].map(|s| diagnosis.count(s)), [2, 1, 1]);
        assert!(diagnosis.has(Flaw::Overdue) && !diagnosis.has(Flaw::StateFull));
        let text = json::text(&diagnosis.findings);
        let expected = concat!(
            r#"{"code":"tool-missing","severity":"error","subject":"rsync","#,
            r#""message":"it is missing","fix":"install it"}"#
        );
        assert!(text.contains(expected), "{text}");
    }
}
