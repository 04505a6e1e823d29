//! The options of ssh that a configuration may pass as `-o`: those that run nothing, forward nothing and do not weaken
//! the proof of the host.

use super::mistake::quoted;
use super::reader::BadValue;
use super::words::{Read, clean};
use crate::formats::similar::closest;

/// How the connection is kept, found and spoken.
const CONNECTION: &[&str] = &[
    "AddressFamily",
    "BindAddress",
    "BindInterface",
    "CanonicalizeHostname",
    "CanonicalizeMaxDots",
    "Ciphers",
    "Compression",
    "ConnectionAttempts",
    "IPQoS",
    "KexAlgorithms",
    "LogLevel",
    "MACs",
    "ObscureKeystrokeTiming",
    "RekeyLimit",
    "ServerAliveCountMax",
    "ServerAliveInterval",
    "TCPKeepAlive",
];

/// How the host proves itself.
const HOST_PROOF: &[&str] = &[
    "CASignatureAlgorithms",
    "CheckHostIP",
    "FingerprintHash",
    "GlobalKnownHostsFile",
    "HashKnownHosts",
    "HostKeyAlgorithms",
    "HostKeyAlias",
    "RequiredRSASize",
    "StrictHostKeyChecking",
    "UpdateHostKeys",
    "VerifyHostKeyDNS",
];

/// How we prove ourselves.
const OWN_PROOF: &[&str] = &[
    "CertificateFile",
    "GSSAPIAuthentication",
    "HostbasedAuthentication",
    "IdentitiesOnly",
    "IdentityAgent",
    "PreferredAuthentications",
    "PubkeyAcceptedAlgorithms",
    "PubkeyAcceptedKeyTypes",
    "PubkeyAuthentication",
];

/// Options that have a key of their own.
const KEYS: &[(&str, &str)] = &[
    ("HostName", "host"),
    ("Port", "port"),
    ("User", "user"),
    ("IdentityFile", "key"),
    ("ProxyJump", "proxy-jump"),
    ("ConnectTimeout", "connect-timeout"),
    ("UserKnownHostsFile", "known-hosts"),
];

/// What the options that are allowed look like, as a regular expression for editors.
pub(super) fn pattern() -> String {
    const PROOF: &str = "StrictHostKeyChecking";
    // There is no other way to say that case counts nothing.
    let any_case = |name: &str| -> String {
        name.chars().flat_map(|c| ['[', c.to_ascii_uppercase(), c.to_ascii_lowercase(), ']']).collect()
    };
    let names = [CONNECTION, HOST_PROOF, OWN_PROOF].into_iter().flatten().filter(|name| **name != PROOF);
    let names = names.map(|name| any_case(name)).collect::<Vec<_>>().join("|");
    let proof = any_case(PROOF);
    format!("^ *(({names}) *[= ] *[^= ].*|{proof} *[= ] *(yes|accept-new) *)$")
}

/// An option of ssh: `Key=Value` or `Key Value`, as ssh itself reads it (case counts nothing).
pub(super) fn option(text: &str) -> Read<String> {
    clean(text)?;
    let (key, value) = text.split_once(['=', ' ']).unwrap_or((text, ""));
    let (key, value) = (key.trim(), value.trim_start_matches(['=', ' ']).trim());
    let known = || [CONNECTION, HOST_PROOF, OWN_PROOF].into_iter().flatten().copied();
    if let Some((_, own)) = KEYS.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)) {
        return Err(BadValue::new(format!("the ssh option {} has a key of its own", quoted(key)))
            .help(format!("use `{own} = …`")));
    }
    let Some(name) = known().find(|name| name.eq_ignore_ascii_case(key)) else {
        let problem = BadValue::new(format!("the ssh option {} cannot be used here", quoted(key)));
        return Err(match closest(key, known()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help("only options that run and forward nothing can; ~/.ssh/config is read too"),
        });
    };
    if value.is_empty() {
        return Err(BadValue::new(format!("the ssh option `{name}` has no value"))
            .help(format!("write it as \"{name}=VALUE\"")));
    }
    // ssh strips quotes from values, so `"no"` is `no`.
    let plain = value.trim_matches('"').to_ascii_lowercase();
    if name == "StrictHostKeyChecking" && !["yes", "accept-new"].contains(&plain.as_str()) {
        return Err(BadValue::new("the host must prove itself: `StrictHostKeyChecking` can be `yes` or `accept-new`")
            .help("connect once by hand (`ssh HOST`) and accept its key"));
    }
    if name == "GlobalKnownHostsFile" && plain.contains("/dev/null") {
        return Err(BadValue::new("the host must prove itself: /dev/null knows no host"));
    }
    Ok(text.to_owned())
}

/// A name, an address, or a Host of ssh's own configuration.
pub(super) fn host(text: &str) -> Read<String> {
    let mut letters = text.chars();
    let begins = letters.next().is_some_and(|c| c.is_ascii_alphanumeric());
    if begins && text.len() <= 253 && letters.all(|c| c.is_ascii_alphanumeric() || "._:%-".contains(c)) {
        return Ok(text.to_owned());
    }
    Err(BadValue::new(format!("{} is not a host", quoted(text))).help(
        "a host begins with a letter or digit and holds letters, digits and `.` `_` `:` `%` `-`; the user is `user`",
    ))
}

/// The name of a remote user.
pub(super) fn user(text: &str) -> Read<String> {
    let mut letters = text.chars();
    let begins = letters.next().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    if begins && text.len() <= 64 && letters.all(|c| c.is_ascii_alphanumeric() || "._-$".contains(c)) {
        return Ok(text.to_owned());
    }
    Err(BadValue::new(format!("{} is not the name of a user", quoted(text)))
        .help("it begins with a letter, a digit or `_` and holds letters, digits and `.` `_` `-`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_options_are_allowed_in_both_spellings() {
        for text in [
            "ServerAliveInterval=15",
            "serveraliveinterval 15",
            "Ciphers = aes128-ctr",
            "StrictHostKeyChecking=yes",
            "StrictHostKeyChecking=accept-new",
        ] {
            assert_eq!(option(text), Ok(text.to_owned()));
        }
    }

    #[test]
    fn options_that_run_forward_or_weaken_are_refused() {
        for text in [
            "ProxyCommand=sh -c x",
            "proxycommand x",
            "LocalCommand=x",
            "PermitLocalCommand=yes",
            "KnownHostsCommand=x",
            "Match exec x",
            "Include=x",
            "PKCS11Provider=x.so",
            "SecurityKeyProvider=x.so",
            "XAuthLocation=x",
            "RemoteCommand=x",
            "LocalForward=1 x:1",
            "ForwardAgent=yes",
            "ControlPath=x",
            "SendEnv=X",
            "BatchMode=no",
            "StrictHostKeyChecking=no",
            "StrictHostKeyChecking=\"no\"",
            "StrictHostKeyChecking off",
            "StrictHostKeyChecking=ask",
            "StrictHostKeyChecking==no",
            "UserKnownHostsFile=/dev/null",
            "GlobalKnownHostsFile=/dev/null",
            "Port=22",
            "Ciphers",
            "Ciphers=",
            "Ciphers=a\nProxyCommand=x",
            "-oProxyCommand=x",
            "",
        ] {
            assert!(option(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hosts_and_users_cannot_be_options_or_commands() {
        for good in ["nas", "nas.local", "192.168.7.2", "fe80::1%eth0", "2001:db8::1", "my_nas"] {
            assert!(host(good).is_ok(), "{good}");
        }
        for bad in ["", "-oProxyCommand=x", "a b", "a;b", "$(x)", "a@b", "a\n", "ä", "::1"] {
            assert!(host(bad).is_err(), "{bad}");
        }
        for bad in ["", "-l", "a b", "a@b", "$x", "a\0"] {
            assert!(user(bad).is_err(), "{bad}");
        }
        assert!(user("backup-1").is_ok() && user("_rsync").is_ok());
    }
}
