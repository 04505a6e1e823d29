//! The report: one page of HTML that needs nothing but itself, as a pure function of what was asked.
//!
//! What comes from people, drives and servers reaches the page through `markup` alone, which lets no text be markup.

mod copies;
mod course;
mod findings;
mod flow;
mod markup;
mod page;
mod standing;
mod style;
mod timeline;
mod verdict;
mod year;

pub use page::page;
