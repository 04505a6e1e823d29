//! What single texts of the configuration mean: places, paths, hosts, hours, filter rules, commands.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use jiff::civil::Time;

use crate::formats::config::context::Context;
use crate::formats::config::mistake::quoted;
use crate::formats::config::reader::BadValue;
use crate::formats::duration;
use crate::formats::rsync::rules::{self, NoRule, Rule, RuleLines};
use crate::model::{BatteryRule, Filter, HookCommand, Hours, PingUrl, SampleShare};

/// What can be read of one text.
pub(super) type Read<T> = Result<T, BadValue>;

/// Refuses a text with control characters: it would reach a command line, a file name or a log.
pub(super) fn clean(text: &str) -> Read<&str> {
    match text.chars().find(|c| c.is_control()) {
        Some(c) => {
            Err(BadValue::new(format!("{} holds the control character {c:?}", quoted(text))).help("leave it out"))
        }
        None if text.is_empty() => Err(BadValue::new("the text is empty")),
        None => Ok(text),
    }
}

/// Refuses also what begins with `-`, since it could be taken for an option.
pub(super) fn operand(text: &str) -> Read<&str> {
    if text.starts_with('-') {
        return Err(BadValue::new(format!("{} begins with `-` and could be taken for an option", quoted(text))));
    }
    clean(text)
}

/// A name, checked by its type.
pub(super) fn name<T>(text: &str) -> Read<T>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| BadValue::new(format!("{} is not a name: {error}", quoted(text))))
}

/// A duration.
pub(super) fn interval(text: &str) -> Read<Duration> {
    duration::parse(text).map_err(|error| {
        BadValue::new(format!("{} is not a duration: {error}", quoted(text)))
            .help("write it like \"90s\", \"15m\", \"2h\", \"7d\" or \"1h30m\"; the units are w, d, h, m, s and ms")
    })
}

/// A duration that is not zero.
pub(super) fn some_time(text: &str) -> Read<Duration> {
    match interval(text)? {
        Duration::ZERO => Err(BadValue::new("the duration must not be zero")),
        duration => Ok(duration),
    }
}

/// A number of bytes a second that is not zero.
pub(super) fn bandwidth(text: &str) -> Read<u64> {
    let size = duration::parse_size(text).map_err(|error| {
        BadValue::new(format!("{} is not a size: {error}", quoted(text)))
            .help("write it like \"500K\" or \"2M\"; the units are K, M, G and T")
    })?;
    if size == 0 {
        return Err(BadValue::new("a bandwidth of zero copies nothing").help("leave it out for no limit"));
    }
    Ok(size)
}

/// An address to which runs are reported.
pub(super) fn ping_url(text: &str) -> Read<PingUrl> {
    PingUrl::new(text).ok_or_else(|| {
        BadValue::new(format!("{} is no address to which runs can be reported", quoted(text)))
            .help("write it like \"https://hc.example.org/uuid\", without blanks, quotes or `#`")
    })
}

/// A share in percent.
pub(super) fn share(text: &str) -> Read<u8> {
    let digits = text.strip_suffix('%').filter(|digits| digits.chars().all(|c| c.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).filter(|share| *share <= 100).ok_or_else(|| {
        BadValue::new(format!("{} is not a share", quoted(text))).help("write it like \"25%\", from 0% to 100%")
    })
}

/// How much of a copy is read: a share that is not nothing.
pub(super) fn sample(text: &str) -> Read<SampleShare> {
    let share = share(text)?;
    SampleShare::percent(share)
        .ok_or_else(|| BadValue::new("a sample of 0% reads nothing").help("write it like \"5%\", from 1% to 100%"))
}

/// What is asked of the battery.
pub(super) fn battery(text: &str) -> Read<BatteryRule> {
    match text {
        "any" => Ok(BatteryRule::Any),
        "ac" => Ok(BatteryRule::Mains),
        _ => share(text).map(BatteryRule::AtLeast).map_err(|problem| {
            problem.help("`battery` is \"any\", \"ac\" (on mains power only) or at least a charge such as \"30%\"")
        }),
    }
}

/// A span of the day.
pub(super) fn hours(text: &str) -> Read<Hours> {
    let span = text.split_once('-').and_then(|(from, to)| Some(Hours { from: clock(from)?, to: clock(to)? }));
    span.ok_or_else(|| {
        BadValue::new(format!("{} is not a span of the day", quoted(text))).help("write it like \"22:00-06:00\"")
    })
}

fn clock(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |text: &str| text.len() == 2 && text.chars().all(|c| c.is_ascii_digit());
    if !two_digits(hour) || !two_digits(minute) {
        return None;
    }
    match (hour.parse().ok()?, minute.parse().ok()?) {
        // The end of a day is the beginning of the next.
        (24, 0) => Some(Time::midnight()),
        (hour, minute) => Time::new(hour, minute, 0, 0).ok(),
    }
}

/// An absolute path of this machine, `~` replaced by the home directory.
pub(super) fn path(text: &str, context: &Context) -> Read<PathBuf> {
    clean(text)?;
    let path = match text.strip_prefix('~') {
        Some("") => context.home.clone(),
        Some(rest) => match rest.strip_prefix('/') {
            Some(rest) => context.home.join(rest.trim_start_matches('/')),
            None => {
                return Err(BadValue::new(format!("{} names the home directory of another user", quoted(text)))
                    .help("write it as an absolute path"));
            }
        },
        None => PathBuf::from(text),
    };
    if !path.is_absolute() {
        return Err(BadValue::new(format!("{} is a relative path", quoted(text)))
            .help("write it as an absolute path, or begin it with `~/`"));
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(BadValue::new(format!("{} holds `..`", quoted(text))).help("write the path without it"));
    }
    // Joining the components drops `.`, doubled and trailing slashes, so that equal places are equal paths.
    Ok(path.components().collect())
}

/// A directory of a server: absolute, or relative to the home directory of the remote user.
pub(super) fn remote_path(text: &str) -> Read<PathBuf> {
    operand(text)?;
    let text = if text == "~" { "" } else { text.strip_prefix("~/").unwrap_or(text) };
    if text.starts_with('~') {
        return Err(BadValue::new(format!("{} names the home directory of another user", quoted(text)))
            .help("write it as an absolute path"));
    }
    let path = Path::new(text);
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(BadValue::new(format!("{} holds `..`", quoted(text))).help("write the path without it"));
    }
    let plain: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
    if plain.to_string_lossy().starts_with('-') {
        return Err(BadValue::new(format!("{} begins with `-`", quoted(text))).help("write it as an absolute path"));
    }
    Ok(plain)
}

/// A pattern of an rsync filter rule.
pub(super) fn pattern(text: &str) -> Read<String> {
    clean(text).map(str::to_owned)
}

/// The name of the files of filter rules in each directory.
pub(super) fn file_name(text: &str) -> Read<String> {
    clean(text)?;
    if text.contains('/') || text == "." || text == ".." {
        return Err(BadValue::new(format!("{} is not the name of a file", quoted(text)))
            .help("`dir-merge` takes a name without directories; `merge` takes a path"));
    }
    Ok(text.to_owned())
}

/// A filter rule in rsync's own words (rsync(1), "FILTER RULES").
pub(super) fn rule(text: &str, context: &Context) -> Read<Filter> {
    clean(text)?;
    match rules::rule(text.as_bytes()) {
        Ok(Rule::Pattern(_) | Rule::Other | Rule::Clear) => Ok(Filter::Rule(text.into())),
        Ok(Rule::Merge(lines, file)) => {
            let file = path(&String::from_utf8_lossy(file), context)?;
            let named = |name: &str| Filter::Rule([OsStr::new(name), file.as_os_str()].into_iter().collect());
            Ok(match lines {
                RuleLines::Rules => Filter::Merge(file),
                RuleLines::Excludes => named("merge,- "),
                RuleLines::Includes => named("merge,+ "),
            })
        }
        Err(NoRule::Name) => {
            Err(BadValue::new(format!("{} does not begin with the name of a filter rule", quoted(text)))
                .help("begin it with `- ` (exclude) or `+ ` (include), or write { exclude = \"…\" }"))
        }
        Err(NoRule::Modifier(letter)) => {
            Err(BadValue::new(format!("{} has the modifier `{letter}`, which cannot be used here", quoted(text)))
                .help("put a space between the name of the rule and its pattern"))
        }
        Err(NoRule::Pattern) => {
            Err(BadValue::new(format!("the filter rule {} has no pattern, or one too much", quoted(text))))
        }
    }
}

/// The words of a command: a program, then its arguments. An empty list is no command.
pub(super) fn command(words: &[String], context: &Context) -> Read<Option<HookCommand>> {
    let Some((program, arguments)) = words.split_first() else { return Ok(None) };
    operand(program)?;
    // A script may be given as one argument, with line ends; nothing may hold the byte that ends every argument.
    if let Some(argument) = arguments.iter().find(|a| a.chars().any(|c| c.is_control() && !"\n\t".contains(c))) {
        return Err(BadValue::new(format!("the argument {} holds a control character", quoted(argument))));
    }
    let program = if program.starts_with('~') {
        let path = path(program, context)?;
        let unreadable = || BadValue::new("the home directory is not UTF-8").help("write the program without `~`");
        path.into_os_string().into_string().map_err(|_| unreadable())?
    } else if program.contains('/') && !program.starts_with('/') {
        let problem = BadValue::new(format!("the program {} is a relative path", quoted(program)));
        let is_a_line = arguments.is_empty() && program.contains(char::is_whitespace);
        return Err(problem.help(if is_a_line {
            as_list(program)
        } else {
            "write an absolute path, or a name that is found in PATH".to_owned()
        }));
    } else {
        program.clone()
    };
    Ok(Some(HookCommand { program, arguments: arguments.to_vec() }))
}

/// How a command that is written as one text is written as a list.
pub(super) fn as_list(text: &str) -> String {
    let for_a_shell = text.contains(['|', '&', ';', '<', '>', '$', '`', '*', '"', '\'', '\\', '(', ')', '\n']);
    let list = |words: &[&str]| words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ");
    if for_a_shell {
        return format!("write [{}]", list(&["sh", "-c", text]));
    }
    format!("write [{}]", list(&text.split_whitespace().collect::<Vec<_>>()))
}

/// A MAC address, in lower case with colons.
pub(super) fn gateway(text: &str) -> Read<String> {
    let parts: Vec<&str> = text.split([':', '-']).collect();
    let hexadecimal = |part: &&str| part.len() == 2 && part.chars().all(|c| c.is_ascii_hexdigit());
    if parts.len() == 6 && parts.iter().all(hexadecimal) {
        return Ok(parts.join(":").to_ascii_lowercase());
    }
    Err(BadValue::new(format!("{} is not a MAC address", quoted(text)))
        .help("write it like \"52:54:00:12:35:02\"; `ip neighbour` shows that of the gateway"))
}

/// A subnet in CIDR notation.
pub(super) fn subnet(text: &str) -> Read<String> {
    text.parse().map(|subnet: ipnet::IpNet| subnet.to_string()).map_err(|_| {
        BadValue::new(format!("{} is not a subnet", quoted(text))).help("write it like \"192.168.7.0/24\"")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        Context { file: "config.toml".into(), home: "/home/a".into() }
    }

    #[test]
    fn paths_are_absolute_and_plain() {
        for (text, expected) in [
            ("~", Some("/home/a")),
            ("~/x//y/", Some("/home/a/x/y")),
            ("/srv/./b", Some("/srv/b")),
            ("/", Some("/")),
            ("srv", None),
            ("./srv", None),
            ("~bob/x", None),
            ("/a/../b", None),
            ("", None),
            ("/a\nb", None),
        ] {
            assert_eq!(path(text, &context()).ok(), expected.map(PathBuf::from), "{text:?}");
        }
        // Equal as paths is not equal as text.
        assert_eq!(path("/srv//b/", &context()).unwrap().as_os_str(), "/srv/b");
    }

    #[test]
    fn remote_paths_are_absolute_or_below_the_home_directory() {
        for (text, expected) in [
            ("/srv/b", Some("/srv/b")),
            ("backups/", Some("backups")),
            ("~/backups", Some("backups")),
            ("~", Some("")),
            (".", Some("")),
            ("~bob", None),
            ("-e", None),
            ("./-e", None),
            ("~/-e", None),
            ("a/../b", None),
        ] {
            assert_eq!(remote_path(text).ok(), expected.map(PathBuf::from), "{text:?}");
        }
    }

    #[test]
    fn hours_are_read_to_the_minute() {
        for text in ["22:00-06:00", "00:00-24:00"] {
            assert!(hours(text).is_ok(), "{text}");
        }
        for text in [
            "22-06",
            "25:00-06:00",
            "22:00",
            "22:60-23:00",
            "9:00-10:00",
            "24:30-01:00",
            "-",
            "+1:00-02:00",
            "08:30 - 17:15",
        ] {
            assert!(hours(text).is_err(), "{text}");
        }
        assert_eq!(hours("22:00-24:00").unwrap().to_string(), "22:00-00:00");
    }

    #[test]
    fn filter_rules_begin_with_a_name_of_rsync() {
        for text in [
            "- *.tmp",
            "+ *.jpg",
            "H .git",
            "exclude,! x",
            "-! x",
            "-,! x",
            ":C",
            "dir-merge .rules",
            "!",
            "clear",
            "P_x",
            ":n- .ignore",
        ] {
            assert!(rule(text, &context()).is_ok(), "{text}");
        }
        assert_eq!(rule(". ~/rules", &context()), Ok(Filter::Merge("/home/a/rules".into())));
        assert_eq!(rule("merge,- ~/list", &context()), Ok(Filter::Rule("merge,- /home/a/list".into())));
        for text in [". rules", "merge,s /x", "merge,- list", ".C"] {
            assert!(rule(text, &context()).is_err(), "{text}");
        }
        for text in ["*.tmp", "--delete", "-delete", "foo bar", "-", "- ", "! x", "", "- a\nb", "exclude", "excludes x"]
        {
            assert!(rule(text, &context()).is_err(), "{text}");
        }
    }

    #[test]
    fn commands_name_a_program_that_is_no_option() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let read = |list: &[&str]| command(&words(list), &context()).map(|c| c.map(|c| c.program));
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["notify", "-x", "a\nb"]), Ok(Some("notify".to_owned())));
        assert_eq!(read(&["~/bin/x"]), Ok(Some("/home/a/bin/x".to_owned())));
        for bad in [&["-x"][..], &["bin/x"], &[""], &["x", "a\0b"], &["a\nb"]] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn networks_are_read_in_their_notations() {
        assert_eq!(gateway("52-54-00-12-35-0A"), Ok("52:54:00:12:35:0a".to_owned()));
        assert_eq!(subnet("192.168.7.0/24"), Ok("192.168.7.0/24".to_owned()));
        assert_eq!(subnet("FE80::/10"), Ok("fe80::/10".to_owned()));
        for bad in ["192.168.7.0", "192.168.7.0/33", "::/129", "x/8", "10.0.0.0/+8", "/"] {
            assert!(subnet(bad).is_err(), "{bad}");
        }
        for bad in ["52:54:00:12:35", "52:54:00:12:35:0g", ""] {
            assert!(gateway(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shares_go_from_nothing_to_all() {
        assert_eq!((share("0%"), share("100%")), (Ok(0), Ok(100)));
        for bad in ["101%", "25", "%", "-1%", "+1%", "2.5%", ""] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }
}
