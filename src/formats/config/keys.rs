//! The one table of everything that may stand in a configuration file. The parser takes from it which keys exist, the
//! schema for editors is printed from it.

/// One key of a table.
#[derive(Debug)]
pub(super) struct Key {
    /// Its name.
    pub name: &'static str,
    /// What stands behind it.
    pub shape: Shape,
    /// What it is for, in one sentence.
    pub about: &'static str,
    /// Whether it can be left out.
    pub need: Need,
}

/// Whether a key can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Its table is wrong without it.
    Always,
    /// It can.
    Sometimes,
}

/// The keys of a table, in groups that several tables may share.
pub(super) type Keys = &'static [&'static [Key]];

/// What a value looks like.
#[derive(Debug)]
pub(super) enum Shape {
    /// `true` or `false`.
    Switch,
    /// A whole number, at least this and at most that.
    Whole(u32, u32),
    /// Any text.
    Text,
    /// A text that must match a pattern (for editors), described for people.
    Pattern(&'static str, &'static str),
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// A list of such values.
    List(&'static Shape),
    /// A table with these keys.
    Table(Keys),
    /// A table with exactly one of these keys.
    OneOf(Keys),
    /// A table of tables with these keys, under names of the user's choice.
    Named(Keys),
    /// Any of these.
    Either(&'static [Shape]),
}

impl Shape {
    /// The shape in words, fit to follow "must be".
    pub(super) fn in_words(&self) -> String {
        match self {
            Self::Switch => "`true` or `false`".to_owned(),
            Self::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Self::Text => "a text in quotes".to_owned(),
            Self::Pattern(_, words) => (*words).to_owned(),
            Self::Choice(texts) => texts.iter().map(|text| format!("\"{text}\"")).collect::<Vec<_>>().join(" or "),
            Self::List(_) => "a list in brackets".to_owned(),
            Self::Table(_) | Self::OneOf(_) | Self::Named(_) => "a table".to_owned(),
            Self::Either(shapes) => shapes.iter().map(Self::in_words).collect::<Vec<_>>().join(", or "),
        }
    }
}

const fn key(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, shape, about, need: Need::Sometimes }
}

const fn needed(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, shape, about, need: Need::Always }
}

const DURATION: Shape = Shape::Pattern(
    "^( *[0-9]+ *(w|d|h|m|s|ms))+ *$",
    "a duration in quotes, such as \"90s\", \"15m\", \"2h\" or \"7d\"",
);
const SIZE: Shape =
    Shape::Pattern("^(?=.*[1-9])[0-9]+ *([KMGTkmgt](i?[Bb])?|[Bb])?$", "a size in quotes, such as \"500K\" or \"2M\"");
const SHARE: Shape = Shape::Pattern("^([0-9]|[1-9][0-9]|100)%$", "a share in quotes, such as \"25%\"");
const SAMPLE: Shape = Shape::Pattern("^([1-9]|[1-9][0-9]|100)%$", "a share in quotes, such as \"5%\"");
const HOURS: Shape = Shape::Pattern(
    "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$",
    "a span of the day in quotes, such as \"22:00-06:00\"",
);
const PLACE: Shape = Shape::Pattern(
    "^[A-Za-z0-9_][A-Za-z0-9_.-]*(:(?!/)(?!(.*/)?\\.\\.(/|$)).*)?$",
    "a place in quotes, such as \"usb:documents\"",
);
const HOST: Shape = Shape::Pattern("^[A-Za-z0-9][A-Za-z0-9._:%-]*$", "a host in quotes, such as \"nas.local\"");
const UUID: Shape = Shape::Pattern("^[0-9A-Fa-f][0-9A-Fa-f-]{7,35}$", "the UUID of a filesystem in quotes");
const SOME_TIME: Shape = Shape::Pattern(
    "^(?=.*[1-9])( *[0-9]+ *(w|d|h|m|s|ms))+ *$",
    "a duration in quotes, such as \"90s\", \"15m\", \"2h\" or \"7d\"",
);
const PATH: Shape = Shape::Pattern("^(?!.*(^|/)\\.\\.(/|$))(~|~?/.*)$", "a path in quotes");
const OPERAND: Shape = Shape::Pattern("^[^-\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*$", "a text in quotes");
const GLOB: Shape = Shape::Pattern("^[^\\x00-\\x1f\\x7f]+$", "a pattern in quotes");
const FILE_NAME: Shape = Shape::Pattern("^(?!\\.{1,2}$)[^/\\x00-\\x1f\\x7f]+$", "the name of a file in quotes");
const RULE: Shape = Shape::Pattern(
    "^([-+.:HSPR!]|exclude|include|merge|dir-merge|hide|show|protect|risk|clear)[-+,/!CsrpxenwW]*([ _].+)?$",
    "a rule in quotes",
);
const GATEWAY: Shape = Shape::Pattern("^([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$", "a MAC address in quotes");
const SUBNET: Shape = Shape::Pattern("^[0-9A-Fa-f.:]+/[0-9]{1,3}$", "a subnet in quotes");
const WEB: Shape = Shape::Pattern(
    "^https?://[A-Za-z0-9\\[][!$-;=?-\\[\\]-_a-~]*$",
    "an address in quotes, such as \"https://hc.example.org/uuid\"",
);
const OFF: Shape = Shape::Choice(&["off"]);
const TEXTS: Shape = Shape::List(&Shape::Text);
const COUNT: Shape = Shape::Whole(0, 1_000_000);

/// The whole file.
pub(super) const FILE: Keys = &[&[
    key("daemon", Shape::Table(DAEMON), "The daemon's own settings."),
    key("defaults", Shape::Table(DEFAULTS), "Settings for all syncs that do not say otherwise."),
    key("locations", Shape::Named(LOCATION), "Networks that the daemon recognises."),
    key("ssh-endpoints", Shape::Named(ENDPOINT), "Ways to reach servers."),
    key("volumes", Shape::Named(VOLUME), "Named roots: directories, removable drives, directories of servers."),
    key("groups", Shape::Named(GROUP), "Volumes that rotate in one role."),
    key("credentials", Shape::Table(CREDENTIALS), "Where secrets come from."),
    key("monitoring", Shape::Table(MONITORING), "Where other programs learn how backups stand."),
    key("syncs", Shape::Named(SYNC), "The copies that are made."),
]];

/// `[daemon]`.
pub(super) const DAEMON: Keys = &[&[
    key("max-parallel", Shape::Whole(1, 1024), "How many syncs that share no drive and no server may run at once."),
    key("settle", DURATION, "Quiet time after the last event before acting on it."),
    key("grace", DURATION, "Time after a plug-in before a run starts, in which it can be held."),
    key("notify", Shape::Choice(NOTIFY), "Which desktop notifications are shown."),
]];

/// `[monitoring]`.
pub(super) const MONITORING: Keys = &[&[
    key("textfile", PATH, "A file for the text file collector of Prometheus' node exporter."),
    key("ping", WEB, "An address to which the runs of all syncs are reported that name none of their own."),
]];

/// The choices of `notify`.
pub(super) const NOTIFY: &[&str] = &["all", "problems", "none"];

/// `[locations.NAME]`.
pub(super) const LOCATION: Keys = &[&[
    key("ssids", TEXTS, "Names of Wi-Fi networks."),
    key("connections", TEXTS, "NetworkManager connection names or UUIDs."),
    key("gateways", Shape::List(&GATEWAY), "MAC addresses of the default gateway."),
    key("subnets", Shape::List(&SUBNET), "Subnets in CIDR notation, such as 192.168.7.0/24."),
]];

/// `[ssh-endpoints.NAME]`.
pub(super) const ENDPOINT: Keys = &[&[
    key("extends", Shape::Text, "The endpoint whose settings hold where this one is silent."),
    key("host", HOST, "A name, an address, or a Host of ~/.ssh/config."),
    key("port", Shape::Whole(1, 65_535), "The port."),
    key("user", OPERAND, "The remote user."),
    key("key", PATH, "The private key file."),
    key("locations", TEXTS, "The locations in which it is used; empty for anywhere."),
    key("proxy-jump", TEXTS, "The endpoints to jump through, first hop first."),
    key("connect-timeout", DURATION, "How long a connection may take to come up."),
    key("known-hosts", PATH, "The file of known host keys."),
    key("options", TEXTS, "Further options, passed as ssh -o."),
]];

/// `[volumes.NAME]`.
pub(super) const VOLUME: Keys = &[&[
    key("path", Shape::Text, "A directory of this machine, or with `ssh` of the server."),
    key("git", TEXTS, "The repositories of which bare mirrors lie in `path`, fetched before each copy."),
    key("drive", UUID, "The UUID of the filesystem on a removable drive, or of the LUKS container around it."),
    key("ssh", TEXTS, "The endpoints that reach the server, best first."),
    key("mount", Shape::Switch, "Whether the daemon mounts the drive for the run."),
    key("passphrase", Shape::Text, "The name of the credential that unlocks the LUKS container."),
    key("when-done", Shape::Choice(WHEN_DONE), "What happens to the drive after a run."),
]];

/// The choices of `when-done`.
pub(super) const WHEN_DONE: &[&str] = &["leave", "unmount", "lock", "power-off"];

/// `[groups.NAME]`.
pub(super) const GROUP: Keys = &[&[needed("volumes", TEXTS, "Its members.")]];

/// `[credentials]`.
pub(super) const CREDENTIALS: Keys = &[&[
    key("provider", Shape::Choice(PROVIDER), "Where secrets come from."),
    key("command", TEXTS, "The command that prints a secret; `{id}` in it is replaced by the credential's name."),
]];

/// The choices of `provider`.
pub(super) const PROVIDER: &[&str] = &["secret-service", "command", "file", "env"];

/// `[defaults]`.
pub(super) const DEFAULTS: Keys = &[SETTINGS];

/// `[syncs.NAME]`.
pub(super) const SYNC: Keys = &[
    &[
        needed("source", PLACE, "Where it reads: volume:subdir."),
        needed("destination", PLACE, "Where it writes: volume:subdir, or group:subdir for a copy on each member."),
    ],
    SETTINGS,
];

/// What a sync may say, and `[defaults]` for all of them.
pub(super) const SETTINGS: &[Key] = &[
    key("enabled", Shape::Switch, "Whether it runs at all."),
    key("snapshots", Shape::Choice(SNAPSHOTS), "How history is kept at the destination."),
    key("keep", Shape::Either(&[Shape::Table(KEEP), Shape::Choice(&["all"])]), "Which snapshots stay."),
    key("max-snapshots", Shape::Whole(1, 1_000_000), "How many snapshots stay: short for keep = { last = N }."),
    key("every", DURATION, "How often a copy is wanted; \"0s\" for each time both ends come within reach."),
    key("max-age", Shape::Either(&[SOME_TIME, OFF]), "The age of the last success from which a person should know."),
    key("after", TEXTS, "The syncs that go first."),
    key("filters", Shape::List(&Shape::Either(&[RULE, Shape::OneOf(FILTER)])), "What is left out."),
    key("filter-file", PATH, "A file of rsync filter rules."),
    key("one-file-system", Shape::Switch, "Whether what is mounted below the source is left out."),
    key("unchanged", Shape::Choice(UNCHANGED), "Whether a run that finds nothing new makes a snapshot."),
    key("rsync", Shape::Table(RSYNC), "How rsync is called."),
    key("when", Shape::Table(WHEN), "When it may start."),
    key("guard", Shape::Either(&[Shape::Table(GUARD), OFF]), "How much a run may delete."),
    key("verify", Shape::Either(&[Shape::Table(VERIFY), OFF]), "How often its copies are read back by themselves."),
    key("hooks", Shape::Table(HOOKS), "Commands around a run, and one for a copy that is overdue."),
    key("ping", Shape::Either(&[WEB, OFF]), "An address to which its runs are reported."),
];

/// The choices of `snapshots`.
pub(super) const SNAPSHOTS: &[&str] = &["none", "btrfs", "hard-link"];

/// The choices of `unchanged`.
pub(super) const UNCHANGED: &[&str] = &["skip", "snapshot"];

/// `keep = { … }`.
pub(super) const KEEP: Keys = &[&[
    key("last", COUNT, "The N newest."),
    key("hourly", COUNT, "One an hour."),
    key("daily", COUNT, "One a day."),
    key("weekly", COUNT, "One a week, Monday to Sunday."),
    key("monthly", COUNT, "One a month."),
    key("yearly", COUNT, "One a year."),
]];

/// An entry of `filters`; exactly one of these.
pub(super) const FILTER: Keys = &[&[
    key("exclude", GLOB, "A pattern of what is left out."),
    key("include", GLOB, "A pattern of what is not left out."),
    key("merge", PATH, "A file of rules, read once."),
    key("dir-merge", FILE_NAME, "The name of the files of rules in each directory."),
]];

/// `rsync = { … }`.
pub(super) const RSYNC: Keys = &[&[
    key("compress", Shape::Switch, "Whether data is compressed on its way to a server."),
    key("checksum", Shape::Switch, "Whether files are compared by content instead of size and time."),
    key("sparse", Shape::Switch, "Whether long runs of zeros take no room at the destination."),
    key("hard-links", Shape::Switch, "Whether names of one file stay names of one file."),
    key("bandwidth", Shape::Either(&[SIZE, OFF]), "The most bytes a second."),
    key("options", TEXTS, "Options in place of the basic ones."),
    key("extra-options", TEXTS, "Options added behind the basic ones."),
]];

/// `when = { … }`.
pub(super) const WHEN: Keys = &[&[
    key("metered", Shape::Switch, "Whether it may run over a metered connection."),
    key("battery", Shape::Either(&[Shape::Choice(&["any", "ac"]), SHARE]), "What it asks of the battery."),
    key("hours", Shape::Either(&[HOURS, Shape::Choice(&["any"])]), "The hours of the day in which it may start."),
]];

/// `guard = { … }`.
pub(super) const GUARD: Keys =
    &[&[key("max-delete", Shape::Either(&[SHARE, OFF]), "The share of the destination's files a run may delete.")]];

/// `verify = { … }`.
pub(super) const VERIFY: Keys = &[&[
    needed("every", SOME_TIME, "How long after one round the next begins."),
    key("sample", SAMPLE, "How much of the files a round reads; the rounds take turns."),
]];

/// `hooks = { … }`.
pub(super) const HOOKS: Keys = &[&[
    key("before", TEXTS, "A command before the copy; if it fails, nothing is copied, with exit code 75 for now."),
    key("after", TEXTS, "A command after a success."),
    key("failed", TEXTS, "A command after a failure or a hold."),
    key("interrupted", TEXTS, "A command after a run that was cut short."),
    key("overdue", TEXTS, "A command for a copy that is overdue: at once, and each day while it is."),
]];
