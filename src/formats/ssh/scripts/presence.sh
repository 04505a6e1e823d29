# presence ROOT ITS-SENTINEL DIRECTORY FILE ITS-TEXT PLACE PATH…: tells of each of these entries below the place whether it is
# `there` or `gone`. A directory that cannot be looked into is `shut`, and nothing is told of what may lie in it; so is what has a
# name and cannot be looked at, as a mount whose other side is dead: what it hides is not gone.
serving=
enter "$1" "$2" "$3" "$4" "$5"
below "$6" || say lost "$PWD/$6 is not there"
shift 6

# Whether one of the names in a directory is that of something that cannot be looked at; with a path, whether that is the one.
# The names of a directory are listed without a look at what they stand for.
has_dead() {
    for entry in "$1"/* "$1"/.[!.]* "$1"/..?*; do
        case ${entry#"$1"/} in
            # What no name fits stands for itself.
            '*' | '.[!.]*' | '..?*') continue ;;
        esac
        if [ ! -e "$entry" ] && [ ! -h "$entry" ] && [ "${2-$entry}" = "$entry" ]; then
            return 0
        fi
    done
    return 1
}

# Whether an entry is dead in a directory whose names cannot be listed: how it cannot be looked at tells.
is_dead() {
    case $(ls -d "$1" 2>&1) in
        *'No such file or directory' | *'Not a directory' | *'Too many levels of symbolic links' | *'File name too long') return 1 ;;
    esac
}

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
        last=$left is=gone dead=
        # Who may pass through a directory but not list it is told truly what is not in it. One that should list and does
        # not is broken.
        if [ -d "$left" ] && { [ ! -x "$left" ] || { [ -r "$left" ] && ! ls -a "$left" >/dev/null 2>&1; }; }; then
            is=shut
            printf 'shut %s\n' "$left"
        elif [ ! -r "$left" ] || has_dead "$left"; then
            dead=perhaps
        fi
    fi
    [ "$is" = gone ] || continue
    if [ "$dead" ]; then
        next=${path#"$left"/}
        next=$left/${next%%/*}
        if if [ -r "$left" ]; then has_dead "$left" "$next"; else is_dead "$next"; fi; then
            printf 'shut %s\n' "$next"
            continue
        fi
    fi
    printf 'gone %s\n' "$path"
done
exit 0
