//! A YAML text as a tree of values, each with its place.
//!
//! Values are told apart as the Python tool's own reader does (YAML 1.1: `yes` is true, `010` is a number). What is
//! read is bounded: a few lines of aliases can stand for more values than fit into any memory.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use crate::formats::config::{RawMistake, quoted};
use crate::formats::python_tool::values::{YamlEntry, YamlNode, YamlValue, YamlWeight, plain};

/// How many values a file may hold, those that aliases repeat counted each time.
const MOST_VALUES: usize = 50_000;

/// How many bytes the texts of a file may come to: those that aliases repeat count each time, and those that they may
/// repeat once more.
const MOST_BYTES: usize = 4 << 20;

/// How many bytes one text may have: more than any path or command.
const LONGEST: usize = 8 << 10;

/// How many lists and tables may lie in one another.
const DEEPEST: usize = 32;

/// The one document of a text; `None` if it is empty.
pub(super) fn tree(text: &str) -> Result<Option<YamlNode>, Vec<RawMistake>> {
    let mut builder = Builder::default();
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(|error| {
            let at = error.marker().byte_offset().unwrap_or(text.len());
            vec![mistake(at..at + 1, format!("this is not YAML: {}", error.info()), None)]
        })?;
        builder.take(event, place(&span, text)).map_err(|found| vec![found])?;
    }
    if builder.found.is_empty() { Ok(builder.root) } else { Err(builder.found) }
}

fn place(span: &Span, text: &str) -> Range<usize> {
    let offset = |marker: &granit_parser::Marker| marker.byte_offset().unwrap_or(text.len());
    offset(&span.start)..offset(&span.end)
}

/// A mistake, as it is told with its place.
pub(super) fn mistake(span: Range<usize>, message: impl Into<String>, help: Option<String>) -> RawMistake {
    RawMistake { span, message: message.into(), help }
}

/// A list or table that is not at its end.
struct Unclosed {
    /// The number of its anchor; 0 for none.
    anchor: usize,
    at: Range<usize>,
    inside: Inside,
}

enum Inside {
    List(Vec<YamlNode>),
    /// The entries, those that are merged in, and a key that has no value yet.
    Table(Vec<YamlEntry>, Vec<YamlEntry>, Option<(String, Range<usize>)>),
}

#[derive(Default)]
struct Builder {
    root: Option<YamlNode>,
    open: Vec<Unclosed>,
    /// What aliases stand for, each with what it weighs.
    anchors: BTreeMap<usize, (YamlNode, YamlWeight)>,
    documents: usize,
    weight: YamlWeight,
    found: Vec<RawMistake>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, at: Range<usize>) -> Result<(), RawMistake> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    let help = "keep one of them: the Python tool reads one".to_owned();
                    return Err(mistake(at, "the file holds a second document", Some(help)));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                if text.len() > LONGEST {
                    return Err(mistake(at, format!("this text is longer than {} KiB", LONGEST >> 10), None));
                }
                let weight = YamlWeight::of_text(&text);
                self.count(weight, &at)?;
                let value = scalar(&text, style, tag.as_deref(), &at)?;
                self.place(YamlNode { span: at, value }, anchor, weight)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.descend(Unclosed { anchor, at, inside: Inside::List(Vec::new()) }, tag.as_deref())
            }
            Event::MappingStart(_, anchor, tag) => {
                let inside = Inside::Table(Vec::new(), Vec::new(), None);
                self.descend(Unclosed { anchor, at, inside }, tag.as_deref())
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => {
                let Some((node, weight)) = self.anchors.get(&anchor).cloned() else {
                    return Err(mistake(at, "this alias stands for something that holds it", None));
                };
                self.count(weight, &at)?;
                // A mistake in what an alias stands for is told where the alias is: there it does not fit.
                self.place(YamlNode { span: at, value: node.value }, 0, weight)
            }
            Event::UnresolvedAlias(name) => Err(mistake(at, format!("no anchor {}", quoted(&name)), None)),
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd | Event::Anchor(..) => Ok(()),
            // The parser may learn of more; none of it is a value.
            _ => Ok(()),
        }
    }

    fn count(&mut self, more: YamlWeight, at: &Range<usize>) -> Result<(), RawMistake> {
        self.weight += more;
        let message = if self.weight.values > MOST_VALUES {
            format!("the file comes to more than {MOST_VALUES} values from here on")
        } else if self.weight.bytes > MOST_BYTES {
            format!("the texts of the file come to more than {} MiB from here on", MOST_BYTES >> 20)
        } else {
            return Ok(());
        };
        Err(mistake(at.clone(), message, Some("no configuration does; look at its aliases".to_owned())))
    }

    fn descend(&mut self, opened: Unclosed, tag: Option<&Tag>) -> Result<(), RawMistake> {
        self.count(YamlWeight::of_text(""), &opened.at)?;
        if self.open.len() >= DEEPEST {
            return Err(mistake(opened.at, format!("more than {DEEPEST} lists and tables lie in one another"), None));
        }
        let usual = match opened.inside {
            Inside::List(_) => "seq",
            Inside::Table(..) => "map",
        };
        if tag.is_some_and(|tag| tag.core_suffix() != Some(usual)) {
            return Err(strange_tag(opened.at));
        }
        self.open.push(opened);
        Ok(())
    }

    fn close(&mut self) -> Result<(), RawMistake> {
        let Some(Unclosed { anchor, at, inside }) = self.open.pop() else { return Ok(()) };
        let value = match inside {
            Inside::List(nodes) => YamlValue::List(nodes),
            Inside::Table(mut entries, merged, _) => {
                for entry in merged {
                    if entries.iter().all(|own| own.key != entry.key) {
                        entries.push(entry);
                    }
                }
                YamlValue::Table(entries)
            }
        };
        let weight = value.weight();
        self.place(YamlNode { span: at, value }, anchor, weight)
    }

    /// Puts a value where it belongs: into what is open, as a key or behind one.
    fn place(&mut self, node: YamlNode, anchor: usize, weight: YamlWeight) -> Result<(), RawMistake> {
        if anchor != 0 {
            // It is kept once more, to be repeated.
            self.count(YamlWeight { values: 0, ..weight }, &node.span)?;
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        match self.open.last_mut().map(|open| &mut open.inside) {
            None => self.root = Some(node),
            Some(Inside::List(nodes)) => nodes.push(node),
            Some(Inside::Table(entries, merged, key)) => match key.take() {
                None => *key = Some(key_of(node)?),
                Some((name, at)) if name == "<<" => merged.extend(merges(node, at)?),
                Some((name, at)) => {
                    if entries.iter().any(|entry| entry.key == name) {
                        let message = format!("{} is in this table twice", quoted(&name));
                        let help = "leave one of them out; the Python tool takes the last one".to_owned();
                        self.found.push(mistake(at.clone(), message, Some(help)));
                    }
                    entries.push(YamlEntry { key: name, at, node });
                }
            },
        }
        Ok(())
    }
}

fn key_of(node: YamlNode) -> Result<(String, Range<usize>), RawMistake> {
    match node.value {
        YamlValue::Text(text) | YamlValue::Odd(text) => Ok((text, node.span)),
        YamlValue::Whole(number) => Ok((number.to_string(), node.span)),
        YamlValue::Switch(_) | YamlValue::Null | YamlValue::List(_) | YamlValue::Table(_) => {
            Err(mistake(node.span, "a key must be a text", Some("write it in quotes".to_owned())))
        }
    }
}

/// The entries of the tables that `<<` takes in; what comes first counts.
fn merges(node: YamlNode, at: Range<usize>) -> Result<Vec<YamlEntry>, RawMistake> {
    let nodes = match node.value {
        YamlValue::Table(entries) => return Ok(entries),
        YamlValue::List(nodes) => nodes,
        YamlValue::Null | YamlValue::Switch(_) | YamlValue::Whole(_) | YamlValue::Odd(_) | YamlValue::Text(_) => {
            return Err(mistake(at, "behind `<<` stands a table, or a list of tables", None));
        }
    };
    let mut merged = Vec::new();
    let mut known = BTreeSet::new();
    for node in nodes {
        let YamlValue::Table(entries) = node.value else {
            return Err(mistake(at, "behind `<<` stands a table, or a list of tables", None));
        };
        merged.extend(entries.into_iter().filter(|entry| known.insert(entry.key.clone())));
    }
    Ok(merged)
}

fn strange_tag(at: Range<usize>) -> RawMistake {
    let help = "leave it out: the Python tool refuses it, too".to_owned();
    mistake(at, "this value has a tag that makes something else of it", Some(help))
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, at: &Range<usize>) -> Result<YamlValue, RawMistake> {
    match tag.map(Tag::core_suffix) {
        None if style == ScalarStyle::Plain => Ok(plain(text)),
        None | Some(Some("str")) => Ok(YamlValue::Text(text.to_owned())),
        Some(Some("int" | "bool" | "null" | "float")) => Ok(plain(text)),
        Some(_) => Err(strange_tag(at.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(node: &YamlNode) -> String {
        match &node.value {
            YamlValue::Null => "~".to_owned(),
            YamlValue::Switch(on) => on.to_string(),
            YamlValue::Whole(number) => number.to_string(),
            YamlValue::Odd(text) => format!("?{text}"),
            YamlValue::Text(text) => format!("{text:?}"),
            YamlValue::List(nodes) => format!("[{}]", nodes.iter().map(shown).collect::<Vec<_>>().join(" ")),
            YamlValue::Table(entries) => {
                let entry = |entry: &YamlEntry| format!("{}:{}", entry.key, shown(&entry.node));
                format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(" "))
            }
        }
    }

    fn read(text: &str) -> String {
        match tree(text) {
            Ok(node) => node.as_ref().map(shown).unwrap_or_default(),
            Err(found) => found.iter().map(|one| one.message.clone()).collect::<Vec<_>>().join("; "),
        }
    }

    #[test]
    fn plain_texts_are_what_the_python_tool_takes_them_for() {
        for (text, expected) in [
            ("a: yes", "{a:true}"),
            ("a: Off", "{a:false}"),
            ("a: ~", "{a:~}"),
            ("a:", "{a:~}"),
            ("a: '~'", "{a:\"~\"}"),
            ("a: 5022", "{a:5022}"),
            ("a: -3", "{a:-3}"),
            ("a: 010", "{a:?010}"),
            ("a: 0x1F", "{a:?0x1F}"),
            ("a: 1.5", "{a:?1.5}"),
            ("a: 1.5e+3", "{a:?1.5e+3}"),
            ("a: 22:30", "{a:?22:30}"),
            ("a: 2026-01-02", "{a:?2026-01-02}"),
            ("a: 10.0.0.43", "{a:\"10.0.0.43\"}"),
            ("a: 2001db8::1", "{a:\"2001db8::1\"}"),
            ("a: 256c3f2b-6f62-4213-b278-fae76c35b804", "{a:\"256c3f2b-6f62-4213-b278-fae76c35b804\"}"),
            ("a: 2024-photos", "{a:\"2024-photos\"}"),
            ("a: .rsync-filter", "{a:\".rsync-filter\"}"),
            ("a: !!str 22", "{a:\"22\"}"),
            ("a: |\n  x\n  y\n", "{a:\"x\\ny\\n\"}"),
            ("- 1\n- [a, {b: c}]\n", "[1 [\"a\" {b:\"c\"}]]"),
            ("# nothing\n", ""),
        ] {
            assert_eq!(read(text), expected, "{text:?}");
        }
    }

    #[test]
    fn aliases_and_merges_stand_for_what_they_name() {
        assert_eq!(read("a: &x [1, 2]\nb: *x\n"), "{a:[1 2] b:[1 2]}");
        assert_eq!(read("a: &x {k: 1, l: 2}\nb: {<<: *x, l: 3}\n"), "{a:{k:1 l:2} b:{l:3 k:1}}");
        assert_eq!(read("a: &x {k: 1}\nb: &y {k: 2, m: 3}\nc:\n  <<: [*x, *y]\n"), "{a:{k:1} b:{k:2 m:3} c:{k:1 m:3}}");
    }

    #[test]
    fn what_is_no_one_configuration_is_refused() {
        for (text, why) in [
            ("a: [1", "this is not YAML"),
            ("a: 1\na: 2\nb: {c: 1, c: 2}\n", "`a` is in this table twice; `c` is in this table twice"),
            ("a: 1\n---\nb: 2\n", "second document"),
            ("a: !secret x", "tag"),
            ("a: !!set {x}", "tag"),
            ("? [a]\n: b\n", "a key must be a text"),
            ("a: &x [*x]", "stands for something that holds it"),
            ("a: *x", "this is not YAML"),
            ("<<: 3", "behind `<<`"),
            (&format!("a: {}{}", "[".repeat(40), "]".repeat(40)), "lie in one another"),
        ] {
            assert!(read(text).contains(why), "{text:?}: {}", read(text));
        }
    }

    #[test]
    fn texts_that_are_repeated_count_each_time() {
        let text = "x".repeat(LONGEST);
        // 40,000 values, which would come to 160 MiB twice: as what they are, and as what may be repeated.
        let list = format!("a: &a {text}\nb: &b [{}]\n", vec!["*a"; 200].join(", "));
        let bomb = format!("{list}c: &c [{}]\n", vec!["*b"; 100].join(", "));
        assert!(read(&bomb).contains("come to more than 4 MiB"), "{}", read(&bomb).len());
        assert!(!read(&list).contains("come to more than"), "{}", read(&list).len());
        let keys = format!("a: &a {{{}: 1}}\nb: [{}]\n", "k".repeat(1000), vec!["*a"; 5000].join(", "));
        assert!(read(&keys).contains("come to more than 4 MiB"), "{}", read(&keys).len());
        let nested =
            format!("a: &a {text}\nb: {}{}{}\n", "&x [".repeat(30), vec!["*a"; 100].join(", "), "]".repeat(30));
        assert!(read(&nested).contains("come to more than 4 MiB"), "{}", read(&nested).len());
        assert!(read(&format!("a: {text}x")).contains("this text is longer than 8 KiB"));
        assert!(read(&format!("? {text}x\n: a")).contains("this text is longer than 8 KiB"));
    }

    #[test]
    fn a_bomb_of_aliases_costs_no_more_than_any_file() {
        use std::fmt::Write as _;
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..30 {
            let below = format!("*a{}", level - 1);
            let _ = writeln!(bomb, "a{level}: &a{level} [{}]", vec![below; 10].join(", "));
        }
        // One that is not stopped never ends.
        assert!(read(&bomb).contains("more than 50000 values"), "{}", read(&bomb));
    }
}
