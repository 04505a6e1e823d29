//! The manual page of the configuration file (man(7)), from the same table as the parser and the schema.

use std::fmt::Write as _;

use super::keys::{self, Key, Keys, Need, Shape};

/// The page nbkp.toml(5), with an example.
pub(super) fn manual(version: &str, example: &str) -> String {
    let mut page = format!(
        ".TH nbkp.toml 5 \"\" \"nbkp {version}\" \"File formats\"\n\
         .SH NAME\n\
         nbkp.toml \\- configuration of nbkpd\n\
         .SH DESCRIPTION\n\
         What \\fBnbkpd\\fR(8) copies from where to where, and when, in TOML. A person's own daemon reads\n\
         \\fI$XDG_CONFIG_HOME/nbkp/config.toml\\fR (\\fI~/.config/nbkp/config.toml\\fR), that of the system\n\
         \\fI/etc/nbkp/config.toml\\fR; \\fB\\-\\-config\\fR and \\fBNBKP_CONFIG\\fR name another file. A change\n\
         counts at once; a file with mistakes changes nothing. \\fBnbkpctl config check\\fR names all mistakes,\n\
         \\fBnbkpctl config show\\fR tells what holds where nothing is said, and \\fBnbkpctl config schema\\fR\n\
         prints the schema for editors.\n"
    );
    for key in keys::FILE.iter().copied().flatten() {
        let (title, keys) = match &key.shape {
            Shape::Named(keys) => (format!("[{}.NAME]", key.name), *keys),
            Shape::Table(keys) | Shape::OneOf(keys) => (format!("[{}]", key.name), *keys),
            Shape::Switch
            | Shape::Whole(..)
            | Shape::Text
            | Shape::Pattern(..)
            | Shape::Choice(_)
            | Shape::List(_)
            | Shape::Either(_) => continue,
        };
        let _ = write!(page, ".SH {}\n{}\n", plain(&title), text(key.about));
        // What stands in both is told once.
        let skipped = if key.name == "defaults" { "" } else { "defaults" };
        table(&mut page, keys, "", skipped);
    }
    page.push_str(".SH EXAMPLE\n.nf\n");
    for line in example.lines() {
        page.push_str(&text(line));
        page.push('\n');
    }
    page.push_str(".fi\n.SH SEE ALSO\n\\fBnbkpctl\\fR(1), \\fBnbkpd\\fR(8), \\fBrsync\\fR(1)\n");
    page
}

/// The keys of a table; those of tables in it stand behind them, with the names of both.
fn table(page: &mut String, keys: Keys, above: &str, skipped: &str) {
    for group in keys {
        let is_known = skipped == "defaults" && std::ptr::eq(*group, keys::SETTINGS);
        if is_known {
            page.push_str(".PP\nAnd each key of \\fB[defaults]\\fR, for this sync alone.\n");
            continue;
        }
        for key in *group {
            entry(page, key, above);
        }
    }
}

fn entry(page: &mut String, key: &Key, above: &str) {
    let name = format!("{above}{}", key.name);
    let need = if key.need == Need::Always { " It cannot be left out." } else { "" };
    let _ =
        write!(page, ".TP\n.B {}\n{}{need} It is {}.\n", plain(&name), text(key.about), text(&key.shape.in_words()));
    for keys in tables(&key.shape) {
        table(page, keys, &format!("{name}."), "");
    }
}

/// The tables that a value may be or hold.
fn tables(shape: &Shape) -> Vec<Keys> {
    match shape {
        Shape::Table(keys) | Shape::OneOf(keys) | Shape::Named(keys) => vec![keys],
        Shape::List(shape) => tables(shape),
        Shape::Either(shapes) => shapes.iter().flat_map(tables).collect(),
        Shape::Switch | Shape::Whole(..) | Shape::Text | Shape::Pattern(..) | Shape::Choice(_) => Vec::new(),
    }
}

/// A text as roff prints it, with what is code in bold.
fn text(text: &str) -> String {
    let mut shown = String::new();
    for (at, part) in plain(text).split('`').enumerate() {
        if at > 0 {
            shown.push_str(if at % 2 == 1 { "\\fB" } else { "\\fR" });
        }
        shown.push_str(part);
    }
    shown
}

/// A text as roff prints it: no sign of it is an order.
fn plain(text: &str) -> String {
    let shown = text.replace('\\', "\\e").replace('-', "\\-");
    if shown.starts_with(['.', '\'']) { format!("\\&{shown}") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_told_and_nothing_is_an_order() {
        let page = manual("1.2.3", "[volumes]\n.x = 1\n");
        for key in ["[volumes.NAME]", "[syncs.NAME]", ".B keep.daily\n", ".B hooks.before\n", ".B filters.exclude\n"] {
            assert!(page.contains(&key.replace('-', "\\-")), "{key}");
        }
        let orders = [".TH ", ".SH ", ".TP", ".B ", ".PP", ".nf", ".fi"];
        for line in page.lines().filter(|line| line.starts_with(['.', '\''])) {
            assert!(orders.iter().any(|order| line.starts_with(order)), "{line}");
        }
        assert_eq!(page.matches(".B snapshots\n").count(), 1, "what stands in two tables is told once");
        assert_eq!(text("`a` is .b\\c"), "\\fBa\\fR is .b\\ec");
        assert_eq!(plain(".TH"), "\\&.TH");
    }
}
