//! Enums whose variants are words: in JSON, history, logs and journal. Each has one table, from which words are made
//! and read.

/// An enum whose variants are words.
pub trait Worded: Copy + Eq {
    /// The word of a variant.
    fn word(self) -> &'static str;

    /// The variant of a word; `None` if there is none, as when a newer program wrote it.
    fn of_word(word: &str) -> Option<Self>;
}

/// The table of the words of an enum.
macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal,)* }) => {
        impl $type {
            /// The words, each with its variant.
            pub const WORDS: [(&'static str, Self); [$($word),*].len()] = [$(($word, Self::$variant)),*];

            /// The word that it is everywhere.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl $crate::model::Worded for $type {
            fn word(self) -> &'static str {
                self.as_str()
            }

            fn of_word(word: &str) -> Option<Self> {
                Self::WORDS.into_iter().find(|(known, _)| *known == word).map(|(_, variant)| variant)
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use words;
