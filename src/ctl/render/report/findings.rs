//! What `doctor` found, with what to do about it.

use super::markup::Markup;
use super::standing::{class, sign};
use super::verdict::Grade;
use crate::formats::report::ReportFacts;
use crate::model::{Now, Severity};

/// The findings, in the order of what was tested.
pub fn findings(page: &mut Markup, facts: &ReportFacts, _now: &Now) {
    if facts.doctor.findings.is_empty() {
        let tested = facts.doctor.tested.len();
        page.leaf("p", &[], &format!("Nothing: {tested} things were tested, and each is as it should be."));
        return;
    }
    page.nest("ul", &[("class", "remarks")], |page| {
        for wanted in [Grade::Bad, Grade::Notice, Grade::Calm] {
            let graded = facts.doctor.findings.iter().map(|finding| (grade(finding.severity.known()), finding));
            for (grade, finding) in graded.filter(|(grade, _)| *grade == wanted) {
                page.nest("li", &[("class", class(grade))], |page| {
                    sign(page, grade);
                    page.nest("div", &[], |page| {
                        page.leaf("strong", &[], &finding.subject);
                        page.text(&format!(" ({}): ", finding.severity));
                        page.sentence(&finding.message);
                        if !finding.fix.is_empty() {
                            page.nest("div", &[("class", "hint")], |page| page.sentence(&finding.fix));
                        }
                    });
                });
            }
        }
    });
}

fn grade(severity: Option<Severity>) -> Grade {
    match severity {
        Some(Severity::Error) => Grade::Bad,
        Some(Severity::Warning) | None => Grade::Notice,
        Some(Severity::Note) => Grade::Calm,
    }
}
