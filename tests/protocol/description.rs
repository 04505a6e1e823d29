//! A reader of interface definitions (varlink.org) that refuses what breaks their grammar, as strict clients do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use nbkp::formats::wire::{DESCRIPTION, SERVICE_DESCRIPTION};
use serde_json::Value;

/// What a value may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Int,
    Text,
    /// One of these words.
    Words(Vec<String>),
    List(Box<Kind>),
    /// Null or absent, or this.
    Maybe(Box<Kind>),
    /// A type of the definition.
    Named(String),
}

/// The members of an object.
pub type Members = BTreeMap<String, Kind>;

/// What interface definitions say.
#[derive(Debug, Default)]
pub struct Description {
    types: BTreeMap<String, Members>,
    /// What each method replies.
    pub replies: BTreeMap<String, Members>,
    /// The parameters of each method.
    pub parameters: BTreeMap<String, Members>,
    pub errors: BTreeMap<String, Members>,
}

impl Description {
    /// Reads our own definitions, which keep the rules.
    pub fn read(texts: &[&str]) -> Self {
        Self::parse(texts).unwrap_or_else(|mistake| panic!("{mistake}"))
    }

    fn parse(texts: &[&str]) -> Result<Self, String> {
        let mut description = Self::default();
        for text in texts {
            let mut tokens = Tokens(tokens(text));
            tokens.expect("interface")?;
            tokens.name(is_interface)?;
            let mut names = BTreeSet::new();
            while let Some(word) = tokens.next() {
                let name = tokens.name(is_name)?;
                // Types, methods and errors share their names.
                if !names.insert(name.clone()) {
                    return Err(format!("{name} stands twice"));
                }
                match word.as_str() {
                    "type" => drop(description.types.insert(name, tokens.members()?)),
                    "error" => drop(description.errors.insert(name, tokens.members()?)),
                    "method" => {
                        description.parameters.insert(name.clone(), tokens.members()?);
                        tokens.expect("->")?;
                        description.replies.insert(name, tokens.members()?);
                    }
                    other => return Err(format!("{other} begins no statement")),
                }
            }
        }
        description.knows_its_types().map(|()| description)
    }

    fn knows_its_types(&self) -> Result<(), String> {
        let members =
            [&self.types, &self.replies, &self.parameters, &self.errors].into_iter().flat_map(BTreeMap::values);
        let missing =
            members.flat_map(BTreeMap::values).filter_map(Kind::named).find(|name| !self.types.contains_key(*name));
        missing.map_or(Ok(()), |name| Err(format!("there is no type {name}")))
    }

    /// Whether an object has the described members and no others, each of its kind. `at` tells where, if not.
    pub fn check(&self, expected: &Members, value: &Value, at: &str) {
        let object = value.as_object().unwrap_or_else(|| panic!("{at} is no object: {value}"));
        for name in object.keys() {
            assert!(expected.contains_key(name), "{at}.{name} is not described");
        }
        for (name, kind) in expected {
            self.check_kind(kind, object.get(name).unwrap_or(&Value::Null), &format!("{at}.{name}"));
        }
    }

    fn check_kind(&self, kind: &Kind, value: &Value, at: &str) {
        match kind {
            Kind::Bool => assert!(value.is_boolean(), "{at}: {value}"),
            Kind::Int => assert!(value.is_i64() || value.is_u64(), "{at}: {value}"),
            Kind::Text => assert!(value.is_string(), "{at}: {value}"),
            Kind::Words(words) => assert!(words.iter().any(|word| value == word), "{at}: {value}"),
            Kind::Maybe(_) if value.is_null() => {}
            Kind::Maybe(kind) => self.check_kind(kind, value, at),
            Kind::List(kind) => {
                for value in value.as_array().unwrap_or_else(|| panic!("{at} is no list: {value}")) {
                    self.check_kind(kind, value, at);
                }
            }
            Kind::Named(name) => self.check(&self.types[name], value, at),
        }
    }
}

impl Kind {
    /// The type of the definition that it is made of, if it is made of one.
    fn named(&self) -> Option<&str> {
        match self {
            Self::Bool | Self::Int | Self::Text | Self::Words(_) => None,
            Self::List(kind) | Self::Maybe(kind) => kind.named(),
            Self::Named(name) => Some(name),
        }
    }
}

/// As the definition writes it.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Text => f.write_str("string"),
            Self::Words(words) => write!(f, "({})", words.join(", ")),
            Self::List(kind) => write!(f, "[]{kind}"),
            Self::Maybe(kind) => write!(f, "?{kind}"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

/// `[A-Z][A-Za-z0-9]*`: a type, a method, an error.
fn is_name(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_uppercase()) && word.chars().all(|each| each.is_ascii_alphanumeric())
}

/// `[A-Za-z](_?[A-Za-z0-9])*`: a member, or a word of an enum.
fn is_member(word: &str) -> bool {
    let known = |each: char| each.is_ascii_alphanumeric() || each == '_';
    word.starts_with(|first: char| first.is_ascii_alphabetic())
        && word.chars().all(known)
        && !word.ends_with('_')
        && !word.contains("__")
}

/// Labels between dots, two at least.
fn is_interface(word: &str) -> bool {
    let is_label = |label: &str| !label.is_empty() && label.chars().all(|each| each.is_ascii_alphanumeric());
    word.contains('.') && word.starts_with(|first: char| first.is_ascii_alphabetic()) && word.split('.').all(is_label)
}

struct Tokens(std::vec::IntoIter<String>);

fn tokens(text: &str) -> std::vec::IntoIter<String> {
    let mut found: Vec<String> = Vec::new();
    for line in text.lines() {
        let mut word = String::new();
        // A line ends a word, and a comment.
        for letter in line.chars().take_while(|letter| *letter != '#').chain([' ']) {
            if letter.is_ascii_alphanumeric() || letter == '_' || letter == '.' {
                word.push(letter);
                continue;
            }
            if !word.is_empty() {
                found.push(std::mem::take(&mut word));
            }
            match letter {
                '>' if found.last().is_some_and(|last| last == "-") => *found.last_mut().unwrap() = "->".into(),
                ']' if found.last().is_some_and(|last| last == "[") => *found.last_mut().unwrap() = "[]".into(),
                letter if letter.is_whitespace() => {}
                letter => found.push(letter.into()),
            }
        }
    }
    found.into_iter()
}

impl Tokens {
    fn next(&mut self) -> Option<String> {
        self.0.next()
    }

    fn peek(&self) -> &str {
        self.0.as_slice().first().map_or("", String::as_str)
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        match self.next() {
            Some(found) if found == token => Ok(()),
            found => Err(format!("{found:?} stands where {token} should")),
        }
    }

    fn name(&mut self, is_right: fn(&str) -> bool) -> Result<String, String> {
        match self.next() {
            Some(name) if is_right(&name) => Ok(name),
            found => Err(format!("{found:?} is no name here")),
        }
    }

    /// What stands between brackets with commas, up to the end.
    fn listed(&mut self, mut one: impl FnMut(&mut Self) -> Result<(), String>) -> Result<(), String> {
        self.expect("(")?;
        while self.peek() != ")" {
            one(self)?;
            if self.peek() != ")" {
                self.expect(",")?;
            }
        }
        self.expect(")")
    }

    fn members(&mut self) -> Result<Members, String> {
        let mut members = Members::new();
        self.listed(|tokens| {
            let name = tokens.name(is_member)?;
            tokens.expect(":")?;
            match members.insert(name.clone(), tokens.kind()?) {
                None => Ok(()),
                Some(_) => Err(format!("{name} stands twice")),
            }
        })?;
        Ok(members)
    }

    fn kind(&mut self) -> Result<Kind, String> {
        if self.peek() == "(" {
            let mut words = Vec::new();
            self.listed(|tokens| tokens.name(is_member).map(|word| words.push(word)))?;
            return Ok(Kind::Words(words));
        }
        Ok(match self.next().unwrap_or_default().as_str() {
            "?" if self.peek() == "?" => return Err("what may be null is nothing else before".into()),
            "?" => Kind::Maybe(Box::new(self.kind()?)),
            "[]" => Kind::List(Box::new(self.kind()?)),
            "bool" => Kind::Bool,
            "int" => Kind::Int,
            "string" => Kind::Text,
            name if is_name(name) => Kind::Named(name.to_owned()),
            other => return Err(format!("{other:?} is no type")),
        })
    }
}

#[test]
fn our_definitions_keep_the_rules_and_others_do_not() {
    Description::read(&[DESCRIPTION, SERVICE_DESCRIPTION]);
    for (definition, mistake) in [
        ("method A() -> ()", "should"),
        ("interface nbkp", "no name"),
        ("interface a.b\nmethod A() -> ()\ntype A (a: int)", "A stands twice"),
        ("interface a.b\nerror A ()\ntype A (a: int)", "A stands twice"),
        ("interface a.b\ntype A (a: int, a: string)", "a stands twice"),
        ("interface a.b\ntype a (a: int)", "no name"),
        ("interface a.b\ntype A (a-b: int)", "should"),
        ("interface a.b\ntype A (a_: int)", "no name"),
        ("interface a.b\ntype A (a: ??int)", "null"),
        ("interface a.b\ntype A (a: number)", "no type"),
        ("interface a.b\ntype A (a: (hard-link))", "should"),
        ("interface a.b\ntype A (a: ?[]B)", "there is no type B"),
        ("interface a.b\nmethod A()", "should"),
        ("interface a.b\nstruct A ()", "begins no statement"),
    ] {
        let refused = Description::parse(&[definition]).unwrap_err();
        assert!(refused.contains(mistake), "{definition}: {refused}");
    }
}
