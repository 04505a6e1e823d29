//! How mistakes in a configuration file look to the person who made them: each `tests/config/bad/*.toml` beside the
//! text that is shown for it. `SNAPSHOTS=overwrite` writes the texts anew.

use std::error::Error;
use std::path::Path;

use nbkp::formats::config::{Colour, Context, Doubt, Surroundings, check, parse};
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
fn what_can_be_used_and_is_hardly_meant() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/doubtful");
    let text = std::fs::read(folder.join("all.toml"))?;
    let context = Context { file: "config.toml".into(), home: "/home/a".into() };
    let around = Surroundings {
        rules: &|file| match file.to_str() {
            Some("/home/a/excludes.txt") => Ok(b"# a list\n.cache\n*.tmp\n".to_vec()),
            Some("/home/a/patterns") => Ok(b"- ok\n- ~/x\n+ {a,b}\n".to_vec()),
            _ => Err("read it: No such file or directory (os error 2)".to_owned()),
        },
        drive: &|uuid, _| {
            let doubt = Doubt { message: "it is a partition".into(), help: "write another".into() };
            (uuid.as_str() == "aaaa-0001").then_some(doubt)
        },
        is_there: &|path| {
            ["/var", "/home", "/home/a", "/home/a/Documents"].into_iter().any(|there| path == Path::new(there))
        },
    };
    let checked = check(&text, &context, &around).map_err(|mistakes| mistakes.summary())?;
    let expected = Data::read_from(&folder.join("all.txt"), None);
    assert_data_eq!(checked.warnings.render(Colour::Plain), expected.raw());
    // A file that means what it says is not nagged about.
    let everything = std::fs::read(folder.with_file_name("everything.toml"))?;
    let readable = Surroundings { rules: &|_| Ok(b"- *.o\n".to_vec()), ..around };
    let checked = check(&everything, &context, &readable).map_err(|mistakes| mistakes.summary())?;
    assert_eq!(checked.warnings.to_list(), []);
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
