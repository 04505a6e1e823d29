//! What one table says about syncs: `[defaults]`, or one sync itself.

use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use crate::formats::config::reader::{BadValue, Fields, Node, Reading};
use crate::formats::config::{keys, rsync_options, words};
use crate::model::{
    BatteryRule, CheckRule, Every, Filter, Guard, HookCommand, Hours, KeepRules, MeteredRule, MountsBelow, PingUrl,
    Retention, SampleShare, SnapshotKind, Unchanged,
};

/// Whether a setting that can be missing holds. It is said to be off where the defaults turned it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting<T> {
    /// With this value.
    On(T),
    /// Not at all.
    Off,
}

impl<T> Setting<T> {
    fn of(value: Option<T>) -> Self {
        value.map_or(Self::Off, Self::On)
    }

    /// The value, if it holds.
    pub(super) fn value(self) -> Option<T> {
        match self {
            Self::On(value) => Some(value),
            Self::Off => None,
        }
    }
}

/// What one table says. A key that it does not hold is `None`.
#[derive(Debug, Clone, Default)]
pub(super) struct Layer {
    pub enabled: Option<bool>,
    pub snapshots: Option<SnapshotKind>,
    pub keep: Option<Spanned<Retention>>,
    pub every: Option<Every>,
    pub max_age: Option<Setting<Duration>>,
    pub after: Option<Vec<Spanned<String>>>,
    pub filters: Option<Vec<Spanned<Filter>>>,
    pub filter_file: Option<Spanned<PathBuf>>,
    pub mounts: Option<MountsBelow>,
    pub unchanged: Option<Unchanged>,
    pub compress: Option<bool>,
    pub checksum: Option<bool>,
    pub sparse: Option<bool>,
    pub hard_links: Option<bool>,
    pub bandwidth: Option<Setting<u64>>,
    pub options: Option<Vec<Spanned<String>>>,
    pub extra_options: Option<Vec<Spanned<String>>>,
    pub metered: Option<MeteredRule>,
    pub battery: Option<BatteryRule>,
    pub hours: Option<Setting<Hours>>,
    pub guard: Option<Guard>,
    pub before: Option<Setting<HookCommand>>,
    pub after_success: Option<Setting<HookCommand>>,
    pub failed: Option<Setting<HookCommand>>,
    pub interrupted: Option<Setting<HookCommand>>,
    pub overdue: Option<Setting<HookCommand>>,
    pub verify: Option<Setting<CheckRule>>,
    pub ping: Option<Setting<PingUrl>>,
    /// The programs of its hooks that hold blanks and have no arguments: most likely lines for a shell.
    pub one_text_hooks: Vec<Spanned<String>>,
}

impl Layer {
    /// What a table says.
    pub(super) fn read(reading: &mut Reading<'_>, fields: &Fields<'_>) -> Self {
        let context = reading.context;
        let every = fields.parsed(reading, "every", words::interval).map(Spanned::into_inner);
        let every = every.map(|every| if every.is_zero() { Every::Appearance } else { Every::Interval(every) });
        let mut layer = Self {
            enabled: fields.switch(reading, "enabled"),
            snapshots: fields.choice(reading, "snapshots", &SnapshotKind::WORDS),
            keep: keep(reading, fields),
            every,
            max_age: unless(reading, fields, "max-age", "off", words::some_time),
            after: fields.texts(reading, "after", |text| Ok(text.to_owned())),
            filters: filters(reading, fields),
            filter_file: fields.parsed(reading, "filter-file", |text| words::path(text, context)),
            mounts: fields
                .switch(reading, "one-file-system")
                .map(|only_one| if only_one { MountsBelow::LeftOut } else { MountsBelow::Copied }),
            unchanged: fields.choice(reading, "unchanged", &Unchanged::WORDS),
            guard: guard(reading, fields),
            verify: verify(reading, fields),
            ping: unless(reading, fields, "ping", "off", words::ping_url),
            ..Self::default()
        };
        if let Some(rsync) = fields.table(reading, "rsync") {
            layer.compress = rsync.switch(reading, "compress");
            layer.checksum = rsync.switch(reading, "checksum");
            layer.sparse = rsync.switch(reading, "sparse");
            layer.hard_links = rsync.switch(reading, "hard-links");
            layer.bandwidth = unless(reading, &rsync, "bandwidth", "off", words::bandwidth);
            layer.options = rsync.texts(reading, "options", rsync_options::option);
            layer.extra_options = rsync.texts(reading, "extra-options", rsync_options::option);
            replaced_options(reading, &rsync, layer.options.as_deref());
        }
        if let Some(when) = fields.table(reading, "when") {
            let metered = when.switch(reading, "metered");
            layer.metered = metered.map(|allowed| if allowed { MeteredRule::Allow } else { MeteredRule::Avoid });
            layer.battery = when.parsed(reading, "battery", words::battery).map(Spanned::into_inner);
            layer.hours = unless(reading, &when, "hours", "any", words::hours);
        }
        if let Some(hooks) = fields.table(reading, "hooks") {
            layer.before = hook(reading, &hooks, "before");
            layer.after_success = hook(reading, &hooks, "after");
            layer.failed = hook(reading, &hooks, "failed");
            layer.interrupted = hook(reading, &hooks, "interrupted");
            layer.overdue = hook(reading, &hooks, "overdue");
            layer.one_text_hooks = one_text_hooks(&hooks);
        }
        layer
    }

    /// What holds where this layer lies over another. The keys of `rsync`, `when` and `hooks` count one by one.
    pub(super) fn over(self, below: &Self) -> Self {
        Self {
            enabled: self.enabled.or(below.enabled),
            snapshots: self.snapshots.or(below.snapshots),
            keep: self.keep.or_else(|| below.keep.clone()),
            every: self.every.or(below.every),
            max_age: self.max_age.or(below.max_age),
            after: self.after.or_else(|| below.after.clone()),
            filters: self.filters.or_else(|| below.filters.clone()),
            filter_file: self.filter_file.or_else(|| below.filter_file.clone()),
            compress: self.compress.or(below.compress),
            mounts: self.mounts.or(below.mounts),
            unchanged: self.unchanged.or(below.unchanged),
            checksum: self.checksum.or(below.checksum),
            sparse: self.sparse.or(below.sparse),
            hard_links: self.hard_links.or(below.hard_links),
            bandwidth: self.bandwidth.or(below.bandwidth),
            options: self.options.or_else(|| below.options.clone()),
            extra_options: self.extra_options.or_else(|| below.extra_options.clone()),
            metered: self.metered.or(below.metered),
            battery: self.battery.or(below.battery),
            hours: self.hours.or(below.hours),
            guard: self.guard.or(below.guard),
            before: self.before.or_else(|| below.before.clone()),
            after_success: self.after_success.or_else(|| below.after_success.clone()),
            failed: self.failed.or_else(|| below.failed.clone()),
            interrupted: self.interrupted.or_else(|| below.interrupted.clone()),
            overdue: self.overdue.or_else(|| below.overdue.clone()),
            verify: self.verify.or(below.verify),
            ping: self.ping.or_else(|| below.ping.clone()),
            one_text_hooks: [self.one_text_hooks, below.one_text_hooks.clone()].concat(),
        }
    }
}

/// A text, or the word that turns the setting off.
fn unless<T>(
    reading: &mut Reading<'_>,
    fields: &Fields<'_>,
    key: &str,
    off: &str,
    parse: fn(&str) -> words::Read<T>,
) -> Option<Setting<T>> {
    let parse = |text: &str| if text == off { Ok(Setting::Off) } else { parse(text).map(Setting::On) };
    fields.parsed(reading, key, parse).map(Spanned::into_inner)
}

/// Whether a key holds a text rather than a table.
fn is_text(fields: &Fields<'_>, key: &str) -> bool {
    fields.get(key).is_some_and(|node| matches!(node.get_ref(), DeValue::String(_)))
}

/// Which snapshots stay, and where that is said.
fn keep(reading: &mut Reading<'_>, fields: &Fields<'_>) -> Option<Spanned<Retention>> {
    let key = if fields.get("keep").is_some() { "keep" } else { "max-snapshots" };
    rules(reading, fields).map(|keep| Spanned::new(fields.place(key), keep))
}

fn rules(reading: &mut Reading<'_>, fields: &Fields<'_>) -> Option<Retention> {
    let newest = fields.whole(reading, "max-snapshots");
    if fields.get("keep").is_some() && fields.get("max-snapshots").is_some() {
        let problem = BadValue::new("`max-snapshots` and `keep` say the same thing twice");
        reading.mistake(fields.place("max-snapshots"), problem.help("leave it out; `keep.last` is the same"));
    }
    if fields.get("keep").is_none() {
        return newest.map(|last| Retention::Rules(KeepRules { last, ..KeepRules::default() }));
    }
    if is_text(fields, "keep") {
        return fields.choice(reading, "keep", &[("all", Retention::All)]);
    }
    let table = fields.table(reading, "keep")?;
    let mut count = |key| table.whole(reading, key);
    let counts = [count("last"), count("hourly"), count("daily"), count("weekly"), count("monthly"), count("yearly")];
    let [last, hourly, daily, weekly, monthly, yearly] = counts.map(Option::unwrap_or_default);
    if counts.iter().all(|count| count.is_none_or(|count| count == 0)) {
        let wrong = table.present().any(|(key, _)| table.whole(reading, key).is_none());
        if !wrong {
            let problem = BadValue::new("`keep` keeps nothing").help("write keep = { daily = 7 }, or \"all\"");
            reading.mistake(fields.place("keep"), problem);
        }
    }
    Some(Retention::Rules(KeepRules { last, hourly, daily, weekly, monthly, yearly }))
}

fn guard(reading: &mut Reading<'_>, fields: &Fields<'_>) -> Option<Guard> {
    if is_text(fields, "guard") {
        return fields.choice(reading, "guard", &[("off", Guard::Off)]);
    }
    fields.get("guard")?;
    let table = fields.table(reading, "guard")?;
    let share = unless(reading, &table, "max-delete", "off", words::share)?;
    Some(share.value().map_or(Guard::Off, Guard::MaxDelete))
}

fn verify(reading: &mut Reading<'_>, fields: &Fields<'_>) -> Option<Setting<CheckRule>> {
    if is_text(fields, "verify") {
        return fields.choice(reading, "verify", &[("off", Setting::Off)]);
    }
    fields.get("verify")?;
    let table = fields.table(reading, "verify")?;
    if table.get("every").is_none() {
        let problem = BadValue::new("`verify` does not say how often").help("write verify = { every = \"30d\" }");
        reading.mistake(fields.place("verify"), problem);
    }
    let every = table.parsed(reading, "every", words::some_time).map(Spanned::into_inner);
    let sample = table.parsed(reading, "sample", words::sample).map(Spanned::into_inner);
    let is_whole = table.get("sample").is_none();
    let (every, share) = (every?, sample.or(is_whole.then_some(SampleShare::ALL))?);
    Some(Setting::On(CheckRule { every, share }))
}

fn hook(reading: &mut Reading<'_>, hooks: &Fields<'_>, key: &str) -> Option<Setting<HookCommand>> {
    let context = reading.context;
    if let Some(DeValue::String(text)) = hooks.get(key).map(Spanned::get_ref) {
        let problem = BadValue::new(format!("`{key}` must be a list of a program and its arguments, not a text"));
        reading.mistake(
            hooks.get(key).map_or_else(|| hooks.place(key), Spanned::span),
            problem.help(words::as_list(text)),
        );
        return None;
    }
    let written = hooks.texts(reading, key, |text| Ok(text.to_owned()))?;
    let written: Vec<_> = written.into_iter().map(Spanned::into_inner).collect();
    match words::command(&written, context) {
        Ok(command) => Some(Setting::of(command)),
        Err(problem) => {
            reading.mistake(hooks.get(key).map_or_else(|| hooks.place(key), Spanned::span), problem);
            None
        }
    }
}

/// The hooks that are one text with blanks in it, all but those of a shell.
fn one_text_hooks(hooks: &Fields<'_>) -> Vec<Spanned<String>> {
    let single = hooks.present().filter_map(|(key, _)| match hooks.get(key)?.get_ref() {
        DeValue::Array(words) => match words.first().filter(|_| words.len() == 1) {
            Some(word) => word.get_ref().as_str().map(|text| Spanned::new(word.span(), text.to_owned())),
            None => None,
        },
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Table(_) => None,
    });
    single.filter(|text| text.get_ref().trim().contains(char::is_whitespace)).collect()
}

fn replaced_options(reading: &mut Reading<'_>, rsync: &Fields<'_>, options: Option<&[Spanned<String>]>) {
    let Some(options) = options else { return };
    let all_read = rsync.list(reading, "options").is_some_and(|written| written.len() == options.len());
    if all_read && !rsync_options::recurse(options.iter().map(|option| option.get_ref().as_str())) {
        let problem = BadValue::new("with these `options` rsync would copy no directory");
        let help = "begin them with \"-a\"; `extra-options` are added to the basic ones instead";
        reading.mistake(rsync.place("options"), problem.help(help));
    }
}

fn filters(reading: &mut Reading<'_>, fields: &Fields<'_>) -> Option<Vec<Spanned<Filter>>> {
    let entries = fields.list(reading, "filters")?;
    Some(entries.iter().filter_map(|entry| filter(reading, entry)).collect())
}

fn filter(reading: &mut Reading<'_>, entry: &Node<'_>) -> Option<Spanned<Filter>> {
    if let DeValue::String(text) = entry.get_ref() {
        return match words::rule(text, reading.context) {
            Ok(rule) => Some(Spanned::new(entry.span(), rule)),
            Err(problem) => {
                reading.mistake(entry.span(), problem);
                None
            }
        };
    }
    let context = reading.context;
    let fields = reading.table(entry, keys::FILTER, "an entry of `filters`")?;
    let known: Vec<_> = fields.present().collect();
    let [(key, _)] = known.as_slice() else {
        let problem = BadValue::new("an entry of `filters` has exactly one of exclude, include, merge and dir-merge");
        reading
            .mistake(entry.span(), problem.help("write an entry for each: [{ exclude = \"a\" }, { include = \"b\" }]"));
        return None;
    };
    match *key {
        "exclude" => fields.parsed(reading, key, |text| words::pattern(text).map(Filter::Exclude)),
        "include" => fields.parsed(reading, key, |text| words::pattern(text).map(Filter::Include)),
        "merge" => fields.parsed(reading, key, |text| words::path(text, context).map(Filter::Merge)),
        _ => fields.parsed(reading, key, |text| words::file_name(text).map(Filter::DirMerge)),
    }
}
