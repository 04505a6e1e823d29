//! HTML as it is written: names of elements and attributes are ours, all else is text and never markup.

use std::fmt::Write as _;

use crate::formats::text::printable;

/// Attributes of an element: names with their values.
pub type Attributes<'a> = &'a [(&'static str, &'a str)];

/// A piece of a page that grows.
#[derive(Debug, Default)]
pub struct Markup {
    html: String,
}

impl Markup {
    /// Adds something of ours that is markup as it is.
    pub fn ours(&mut self, html: &'static str) {
        self.html.push_str(html);
    }

    /// Adds text.
    pub fn text(&mut self, text: &str) {
        self.escaped(&printable(text));
    }

    /// Adds an element with what is inside of it.
    pub fn nest(&mut self, name: &'static str, attributes: Attributes<'_>, inside: impl FnOnce(&mut Self)) {
        self.begin(name, attributes);
        self.html.push('>');
        inside(self);
        // Writing to a string cannot fail.
        let _ = write!(self.html, "</{name}>");
    }

    /// Adds an element that holds text.
    pub fn leaf(&mut self, name: &'static str, attributes: Attributes<'_>, text: &str) {
        self.nest(name, attributes, |inside| inside.text(text));
    }

    /// Adds an element of a drawing that holds nothing.
    pub fn shape(&mut self, name: &'static str, attributes: Attributes<'_>) {
        self.begin(name, attributes);
        self.html.push_str("/>");
    }

    /// Adds a sentence in which what stands between backquotes is a command or a name.
    pub fn sentence(&mut self, text: &str) {
        if !text.matches('`').count().is_multiple_of(2) {
            // One without a fellow means nothing.
            self.text(text);
            return;
        }
        for (at, part) in text.split('`').enumerate() {
            if at.is_multiple_of(2) {
                self.text(part);
            } else {
                self.leaf("code", &[], part);
            }
        }
    }

    /// The whole.
    pub fn finish(self) -> String {
        self.html
    }

    fn begin(&mut self, name: &'static str, attributes: Attributes<'_>) {
        let _ = write!(self.html, "<{name}");
        for (key, value) in attributes {
            let _ = write!(self.html, " {key}=\"");
            self.escaped(&printable(value));
            self.html.push('"');
        }
    }

    fn escaped(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.html.push_str("&amp;"),
                '<' => self.html.push_str("&lt;"),
                '>' => self.html.push_str("&gt;"),
                '"' => self.html.push_str("&quot;"),
                '\'' => self.html.push_str("&#39;"),
                other => self.html.push(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Markup)) -> String {
        let mut page = Markup::default();
        write(&mut page);
        page.finish()
    }

    #[test]
    fn no_text_is_markup_and_no_value_ends_its_attribute() {
        let bad = "</p><script>\"&'\u{7}\u{202e}";
        let shown = "&lt;/p&gt;&lt;script&gt;&quot;&amp;&#39;\\u{7}\\u{202e}";
        assert_eq!(written(|page| page.text(bad)), shown);
        assert_eq!(written(|page| page.leaf("p", &[("title", bad)], bad)), format!("<p title=\"{shown}\">{shown}</p>"));
        assert_eq!(written(|page| page.shape("use", &[("href", bad)])), format!("<use href=\"{shown}\"/>"));
        let code = "`<b>` is `not` bold";
        assert_eq!(written(|page| page.sentence(code)), "<code>&lt;b&gt;</code> is <code>not</code> bold");
        assert_eq!(written(|page| page.sentence("a ` b")), "a ` b");
    }
}
