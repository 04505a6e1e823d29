//! A reader of interface definitions (varlink.org), as far as the test needs it: the members of types and of replies.

use std::collections::BTreeMap;

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
    /// The names of the parameters of each method.
    pub parameters: BTreeMap<String, Members>,
    pub errors: BTreeMap<String, Members>,
}

impl Description {
    pub fn read(texts: &[&str]) -> Self {
        let mut description = Self::default();
        for text in texts {
            let bare: Vec<&str> =
                text.lines().map(|line| line.split_once('#').map_or(line, |(code, _)| code)).collect();
            let mut tokens = Tokens(tokens(&bare.join("\n")));
            while let Some(word) = tokens.next() {
                let name = tokens.word();
                match word.as_str() {
                    "interface" => {}
                    "type" => drop(description.types.insert(name, tokens.members())),
                    "error" => drop(description.errors.insert(name, tokens.members())),
                    "method" => {
                        description.parameters.insert(name.clone(), tokens.members());
                        tokens.expect("->");
                        description.replies.insert(name, tokens.members());
                    }
                    other => panic!("{other} begins no statement"),
                }
            }
        }
        description
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

struct Tokens(std::vec::IntoIter<String>);

fn tokens(text: &str) -> std::vec::IntoIter<String> {
    let mut found: Vec<String> = Vec::new();
    let mut word = String::new();
    for letter in text.chars() {
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
    found.into_iter()
}

impl Tokens {
    fn next(&mut self) -> Option<String> {
        self.0.next()
    }

    fn word(&mut self) -> String {
        self.next().expect("a word")
    }

    fn peek(&self) -> &str {
        self.0.as_slice().first().map_or("", String::as_str)
    }

    fn expect(&mut self, token: &str) {
        assert_eq!(self.next().as_deref(), Some(token));
    }

    fn members(&mut self) -> Members {
        self.expect("(");
        let mut members = Members::new();
        while self.peek() != ")" {
            let name = self.word();
            self.expect(":");
            members.insert(name, self.kind());
            if self.peek() == "," {
                self.expect(",");
            }
        }
        self.expect(")");
        members
    }

    fn kind(&mut self) -> Kind {
        match self.word().as_str() {
            "?" => Kind::Maybe(Box::new(self.kind())),
            "[]" => Kind::List(Box::new(self.kind())),
            "bool" => Kind::Bool,
            "int" => Kind::Int,
            "string" => Kind::Text,
            "(" => {
                let mut words = vec![self.word()];
                while self.next().expect("the end of the words") == "," {
                    words.push(self.word());
                }
                Kind::Words(words)
            }
            name => Kind::Named(name.to_owned()),
        }
    }
}
