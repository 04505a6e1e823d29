//! How mistakes in a configuration file look to the person who made them: each `tests/config/bad/*.toml` beside the
//! text that is shown for it. `SNAPSHOTS=overwrite` writes the texts anew.

use std::error::Error;
use std::path::Path;

use nbkp::formats::config::{Colour, Context, parse};
use snapbox::{Data, assert_data_eq};

/// Reads a bad file and compares what is shown with the text beside it.
fn shown(name: &str) -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/bad");
    let text = std::fs::read_to_string(folder.join(name).with_extension("toml"))?;
    let context = Context { file: "config.toml".into(), home: "/home/a".into() };
    let Err(mistakes) = parse(&text, &context) else { return Err("the file has no mistakes".into()) };
    let expected = Data::read_from(&folder.join(name).with_extension("txt"), None);
    assert_data_eq!(mistakes.render(Colour::Plain), expected.raw());
    Ok(())
}

#[test]
fn names_that_lead_nowhere() -> Result<(), Box<dyn Error>> {
    shown("names")
}

#[test]
fn values_that_mean_nothing_or_harm() -> Result<(), Box<dyn Error>> {
    shown("values")
}

#[test]
fn syncs_that_stand_in_each_others_way() -> Result<(), Box<dyn Error>> {
    shown("overlap")
}

#[test]
fn what_is_not_toml() -> Result<(), Box<dyn Error>> {
    shown("syntax")
}
