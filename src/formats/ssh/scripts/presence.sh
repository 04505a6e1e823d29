# presence ROOT ITS-SENTINEL DIRECTORY FILE ITS-TEXT PLACE PATH…: tells of each of these entries below the place whether it is
# `there` or `gone`. A directory that cannot be looked into is `shut`, and nothing is told of what may lie in it.
serving=
enter "$1" "$2" "$3" "$4" "$5"
below "$6" || say lost "$PWD/$6 is not there"
shift 6
last=
for path; do
    if [ -e "$path" ] || [ -h "$path" ]; then
        printf 'there %s\n' "$path"
        continue
    fi
    # The innermost part of its path that is left.
    left=${path%/*}
    until [ "$left" = . ] || [ -e "$left" ] || [ -h "$left" ]; do
        left=${left%/*}
    done
    if [ "$left" != "$last" ]; then
        last=$left is=gone
        # Who may pass through a directory but not list it is told truly what is not in it. One that should list and does
        # not is broken.
        if [ -d "$left" ] && { [ ! -x "$left" ] || { [ -r "$left" ] && ! ls -a "$left" >/dev/null 2>&1; }; }; then
            is=shut
            printf 'shut %s\n' "$left"
        fi
    fi
    [ "$is" = shut ] || printf 'gone %s\n' "$path"
done
exit 0
