//! What must fit together: syncs, their places, endpoints.

use super::*;

#[test]
fn endpoints_extend_each_other_but_not_in_a_circle() {
    refused("[ssh-endpoints.a]\nport = 22", &["`a` has no `host`"]);
    refused("[ssh-endpoints.a]\nhost = '-oProxyCommand=x'", &["is not a host"]);
    refused("[ssh-endpoints.a]\nhost = 'x'\nport = 70000", &["65535"]);
    refused("[ssh-endpoints.a]\nhost = 'x'\nuser = '-l'", &["user"]);
    refused("[ssh-endpoints.a]\nhost = 'x'\nkey = '-x'", &["begins with `-`"]);
    refused("[ssh-endpoints.a]\nhost = 'x'\noptions = ['ProxyCommand=x']", &["cannot be used"]);
    refused(
        "[ssh-endpoints.a]\nhost = 'x'\nlocations = ['hme']\n[locations.home]\nssids = ['x']",
        &["did you mean `home`?"],
    );
    refused("[ssh-endpoints.a]\nextends = 'b'\n[ssh-endpoints.bb]\nhost = 'x'", &["no ssh endpoint `b`", "bb"]);
    refused(
        "[ssh-endpoints.a]\nextends = 'b'\n[ssh-endpoints.b]\nextends = 'c'\n[ssh-endpoints.c]\nextends = 'a'",
        &["`extends` goes round in a circle: `", "`a` -> `b`", "`b` -> `c`", "`c` -> `a`"],
    );
    refused("[ssh-endpoints.a]\nhost = 'x'\nextends = 'a'", &["circle: `a` -> `a`"]);
    refused(
        "[ssh-endpoints.a]\nhost = 'x'\nproxy-jump = ['b']\n[ssh-endpoints.b]\nhost = 'y'\nproxy-jump = ['a']",
        &["`proxy-jump` goes round in a circle"],
    );
    refused("[locations.home]", &["never be recognised"]);
    refused("[locations.home]\nsubnets = ['192.168.7.0']", &["is not a subnet"]);
}

#[test]
fn syncs_name_places_that_are_there() {
    assert_eq!(mistakes(&with("[syncs.a]")).len(), 2);
    refused(&with("[syncs.a]\ndestination = 'usb:a'"), &["12:8", "`a` has no `source`", "VOLUME:DIRECTORY"]);
    refused(&with("[syncs.a]\nsource = 'laptop:/etc'\ndestination = 'usb'"), &["leave out the leading `/`"]);
    refused(&with("[syncs.a]\nsource = 'laptop:a/../b'\ndestination = 'usb'"), &["`..`"]);
    refused(&with("[syncs.a]\nsource = 'laptop:-x'\ndestination = 'usb'"), &["begin with `-`"]);
    refused(&with("[syncs.a]\nsource = 'offsite:x'\ndestination = 'usb'"), &["can only be a destination"]);
    refused(&with("[syncs.a]\nsource = 'laptop:x'\ndestination = 'ofsite'"), &["did you mean `offsite`?"]);
    refused(&with("[syncs.'a@b']\nsource = 'laptop:x'\ndestination = 'usb'"), &["holds `@`"]);
    refused(&with("[syncs.a]\nsource = 'laptop:x'\ndestination = 'usb'\nafter = ['a']"), &["after itself"]);
    refused(&with("[syncs.a]\nsource = 'laptop:x'\ndestination = 'usb'\nafter = ['b']"), &["no sync `b`"]);
    refused(&with("[defaults]\nafter = ['b']\n[syncs.a]\nsource = 'laptop:x'\ndestination = 'usb'"), &["no sync `b`"]);
    refused(
        &with(
            "[syncs.a]\nsource = 'laptop:x'\ndestination = 'offsite'\n[syncs.b]\nsource = 'laptop:x'\n\
             destination = 'usb'\nafter = ['a@usb']",
        ),
        &["makes no copy `a@usb`", "a@blue, a@red"],
    );
    assert_eq!("/x".parse::<crate::model::Subdir>(), Err(SubdirError::Absolute));
}

/// Two syncs with these destinations, from different sources, and volumes besides those of the base.
fn two(volumes: &str, first: &str, second: &str) -> String {
    with(&format!(
        "{volumes}\n[syncs.a]\nsource = 'laptop:a'\ndestination = '{first}'\n[syncs.b]\nsource = 'laptop:b'\n\
         destination = '{second}'\n"
    ))
}

#[test]
fn no_two_syncs_write_the_same_or_overlapping_places() {
    refused(&two("", "usb:x", "usb:x"), &["`a` and `b` write the same place: `usb:x` and `usb:x`"]);
    refused(&two("", "usb:x", "usb:x/y"), &["overlapping places"]);
    refused(&two("", "usb:x/y", "usb"), &["overlapping places: `usb:x/y` and `usb:`"]);
    refused(&two("", "usb:x/./y/", "usb:x//y"), &["the same place"]);
    refused(&two("", "offsite:x", "red:x"), &["`a@red` and `b`"]);
    let alias = "[volumes.stick]\ndrive = '2D577679-a7b6-429d-8250-3d0d80e034df'";
    refused(&two(alias, "usb:x", "stick:x"), &["the same place"]);
    let nested = "[volumes.srv]\npath = '/srv'\n[volumes.deep]\npath = '/srv/deep/'";
    refused(&two(nested, "srv:deep/x", "deep:x"), &["the same place"]);
    refused(&two(nested, "srv", "deep:x"), &["overlapping"]);
    let server = "[ssh-endpoints.lan]\nhost = 'nas'\n[ssh-endpoints.wan]\nhost = 'nas.example.org'\n\
                  [ssh-endpoints.other]\nhost = 'nas'\n\
        [volumes.n1]\nssh = ['lan', 'wan']\npath = '/srv'\n[volumes.n2]\nssh = ['wan']\npath = '/srv/x'\n\
        [volumes.n3]\nssh = ['other']\npath = '/srv'";
    refused(&two(server, "n1:x/y", "n2:y"), &["the same place"]);
    refused(&two(server, "n2", "n3:x/y"), &["overlapping"]);
    for (first, second) in [("usb:x", "usb:xy"), ("usb:x", "blue:x"), ("usb:x/a", "usb:x/b"), ("offsite:x", "usb:x")] {
        assert_eq!(mistakes(&two("", first, second)), [""; 0], "{first} {second}");
    }
    assert_eq!(mistakes(&two(nested, "srv:x", "deep:x")), [""; 0]);
    assert_eq!(mistakes(&two(server, "n1:z", "n2:z")), [""; 0]);
}

#[test]
fn each_of_many_places_below_one_is_found() {
    let mut text = with("[syncs.all]\nsource = 'laptop:all'\ndestination = 'usb:x'\n");
    for i in 0..5 {
        let _ = write!(text, "[syncs.s{i}]\nsource = 'laptop:s{i}'\ndestination = 'usb:x/{i}/d'\n");
    }
    assert_eq!(mistakes(&text).len(), 5);
}

#[test]
fn a_sync_does_not_copy_into_itself() {
    refused(&with("[syncs.a]\nsource = 'usb:x'\ndestination = 'usb:x/y'"), &["into itself"]);
    refused(&with("[syncs.a]\nsource = 'usb:x/y'\ndestination = 'usb'"), &["into itself"]);
    refused(
        &with("[volumes.b]\npath = '/home/a/b'\n[syncs.a]\nsource = 'laptop'\ndestination = 'b:x'"),
        &["into itself"],
    );
    refused(&with("[syncs.a]\nsource = 'red:x'\ndestination = 'offsite:x'"), &["`a@red`", "into itself"]);
    assert_eq!(mistakes(&with("[syncs.a]\nsource = 'usb:x'\ndestination = 'usb:y'")), [""; 0]);
}

#[test]
fn a_circle_of_syncs_is_named_in_full() {
    let text = with(
        "[syncs.a]\nsource = 'laptop:a'\ndestination = 'usb:a'\nafter = ['c']\n\
         [syncs.b]\nsource = 'usb:a'\ndestination = 'blue:b'\n\
         [syncs.c]\nsource = 'blue:b/deep'\ndestination = 'red:c'\n",
    );
    refused(&text, &["15:", "in a circle: `", "`a` -> `b`", "`b` -> `c`", "`c` -> `a`"]);
    let inferred =
        "[syncs.a]\nsource = 'usb:a'\ndestination = 'blue:a'\n[syncs.b]\nsource = 'blue:a'\ndestination = 'usb:a'\n";
    refused(&with(inferred), &["circle"]);
}

#[test]
fn in_place_is_refused_where_snapshots_share_files() {
    let text = |kind| {
        with(&format!(
            "[defaults]\nrsync = {{ extra-options = ['--inplace'] }}\n[syncs.a]\nsource = 'laptop:a'\n\
             destination = 'usb:a'\nsnapshots = '{kind}'\n"
        ))
    };
    refused(&text("hard-link"), &["in the sync `a`", "finished snapshots"]);
    refused(&text("none"), &["in the sync `a`"]);
    assert_eq!(mistakes(&text("btrfs")), [""; 0]);
}

#[test]
fn two_servers_are_refused_and_one_server_is_not() {
    let network = "[ssh-endpoints.a]\nhost = 'a'\n[ssh-endpoints.a-far]\nextends = 'a'\nhost = 'a.example.org'\n\
                   [ssh-endpoints.b]\nhost = 'b'\n\
                   [volumes.one]\nssh = ['a', 'a-far']\npath = '/one'\n[volumes.two]\nssh = ['a-far']\npath = '/two'\n\
                   [volumes.other]\nssh = ['b']\npath = '/one'\n";
    let sync = |to: &str| format!("{network}[syncs.x]\nsource = 'one:x'\ndestination = '{to}:x'\n");
    assert_eq!(mistakes(&sync("two")), Vec::<String>::new());
    let found = mistakes(&sync("other"));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains("from one server to another") && found[0].contains("through this machine"), "{found:#?}");
}
