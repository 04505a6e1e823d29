# links ROOT ITS-SENTINEL DIRECTORY ITS-SENTINEL TOKEN NAME…: tells the symbolic links in these entries of `snapshots`. A
# directory that cannot be listed counts as one: what is in it may be. `odd` stands for a name that no line can hold.
serving=
enter "$1" "$2" "$3" "$DESTINATION_SENTINEL" "$4"
ours "$5"
shift 5
top=$PWD

# all: each followed by a zero byte.
all() {
    find . -type d ! -perm -400 -prune -print0 -o -type l -print0 2>/dev/null && return
    find . -type d -exec sh -c 'for path; do [ -r "$path" ] || printf "%s\0" "$path"; done' sh {} + 2>/dev/null ||
        printf '\n\0'
}

for name; do
    cd -- "$top" && below "$SNAPSHOTS/$name" || say lost "$top/$SNAPSHOTS/$name is not there"
    printf 'base %s\n' "$name"
    all | tr '\n\000' '\001\n' | sed 's/^.*'"$(printf '\001')"'.*$/odd/; s/^\./link ./'
done
exit 0
