# hands ROOT ITS-SENTINEL DIRECTORY FILE ITS-TEXT USE APART: tells whose account this is, whose the end is, which rsync is
# there, and, to root, whether rsync gets a root of its own (apart.sh). USE is `source` or `destination`.
serving=
enter "$1" "$2" "$3" "$4" "$5"
printf 'account %s\n' "$(id -u)"
printf 'owner %s\n' "$(stat -c %u .)"
printf 'rsync %s\n' "$(rsync --version 2>/dev/null | head -n 1)"
[ "$(id -u)" = 0 ] || exit 0
here=$PWD is=$(stat -c %d:%i .)
if [ "$6" = source ]; then
    set -- "$7" "$here" "$is" '' ''
else
    set -- "$7" '' '' "$here" "$is"
fi
if ! command -v pivot_root >/dev/null || ! command -v unshare >/dev/null; then
    echo 'without pivot_root and unshare (util-linux) are not there'
    exit 0
fi
# Nothing can be told behind it: what became a root of its own does not come back.
said=$(unshare --mount --propagation slave sh -c "$1" nbkp "$2" "$3" "$4" "$5" '' try 2>&1 </dev/null) &&
    printf 'apart %s\n' "$said" ||
    printf 'without %s\n' "$(printf %s "$said" | tr '\n\t' '  ' | head -c 300)"
exit 0
