//! The page as a whole: its order is that of what a person wants to know first.

use super::markup::Markup;
use super::{copies, course, findings, flow, standing, style, timeline, year};
use crate::formats::report::ReportFacts;
use crate::model::Now;

/// What writes a part of the page.
type Part = fn(&mut Markup, &ReportFacts, &Now);

/// The parts behind the verdict, each with its name and its title.
const PARTS: [(&str, &str, Part); 7] = [
    ("syncs", "Each sync", standing::syncs),
    ("year", "The last year, day by day", year::year),
    ("course", "Sizes and durations", course::course),
    ("snapshots", "Snapshots, and what goes when", timeline::timelines),
    ("flow", "How data flows", flow::flow),
    ("copies", "Where the copies are", copies::copies),
    ("findings", "What doctor found", findings::findings),
];

/// The page.
#[must_use]
pub fn page(facts: &ReportFacts, now: &Now) -> String {
    let mut page = Markup::default();
    page.ours("<!DOCTYPE html>\n");
    page.nest("html", &[("lang", "en")], |page| {
        page.nest("head", &[], |page| head(page, facts));
        page.nest("body", &[], |page| {
            page.ours(style::SHAPES);
            page.nest("header", &[], |page| title(page, facts, now));
            page.nest("main", &[], |page| {
                standing::headline(page, facts, now);
                page.nest("nav", &[("aria-label", "Parts of this page")], contents);
                for (id, title, part) in PARTS {
                    let heading = format!("{id}-title");
                    page.nest("section", &[("id", id), ("aria-labelledby", &heading)], |page| {
                        page.leaf("h2", &[("id", &heading)], title);
                        part(page, facts, now);
                    });
                }
            });
            page.nest("footer", &[], footer);
        });
    });
    page.ours("\n");
    page.finish()
}

fn head(page: &mut Markup, facts: &ReportFacts) {
    page.ours(
        "<meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><meta name=\"referrer\" content=\"no-referrer\">\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\
         <link rel=\"icon\" href=\"data:,\">",
    );
    page.leaf("title", &[], &headed(facts));
    page.nest("style", &[], |page| page.ours(style::SHEET));
}

fn headed(facts: &ReportFacts) -> String {
    format!("How the backups of {} stand", facts.machine)
}

fn title(page: &mut Markup, facts: &ReportFacts, now: &Now) {
    page.leaf("h1", &[], &headed(facts));
    let made = facts.made.0.to_zoned(now.zone.clone());
    page.nest("p", &[("class", "faint")], |page| {
        page.text("On ");
        page.leaf(
            "time",
            &[("datetime", &facts.made.0.to_string())],
            &made.strftime("%A, %-d %B %Y, %H:%M").to_string(),
        );
        page.text(&format!(
            " ({}). This page stays as it was made: it does not follow what happens later.",
            made.strftime("%Z")
        ));
    });
}

fn contents(page: &mut Markup) {
    page.nest("ul", &[], |page| {
        for (id, title, _) in PARTS {
            page.nest("li", &[], |page| page.leaf("a", &[("href", &format!("#{id}"))], title));
        }
    });
}

fn footer(page: &mut Markup) {
    page.nest("p", &[("class", "faint")], |page| {
        page.sentence(concat!(
            "Made by `nbkpctl report` of Nomad Backup ",
            env!("CARGO_PKG_VERSION"),
            ". It holds names and paths of yours: think of that before you hand it on."
        ));
    });
}
