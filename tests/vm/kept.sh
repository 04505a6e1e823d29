# Things that take long to make are kept in $cache until what they are made of changes. Sourced by `run` and `disk`.

# keep NAME STAMP COMMAND…: makes a thing, unless it was made with the same stamp.
keep() {
    local name=$1 stamp=$2 begun=$SECONDS
    shift 2
    if [[ $(cat "$cache/$name.made" 2>/dev/null) == "$stamp" ]]; then
        return
    fi
    rm -f "$cache/$name.made"
    printf '%-10s' "$name"
    ("$@") >"$cache/$name.log" 2>&1 & # behind `||` no command would end it
    wait $! || give_up "That did not work; the last of $cache/$name.log:
$(tail -n 15 "$cache/$name.log")"
    echo "$stamp" >"$cache/$name.made"
    printf '%4d s\n' $((SECONDS - begun))
}

# stamp_of PATH…: changes with anything in these files and directories.
stamp_of() {
    tar --create --sort=name --mtime=@0 --owner=0 --group=0 --absolute-names --file - "$@" | sha256sum | cut -d ' ' -f 1
}
