# find ROOT ITS-SENTINEL DIRECTORY ITS-SENTINEL HOW TEST PATTERN COPY…: tells the entries of these copies that a test of
# `find` fits, each once: as it is in the first of them. A name with a line break is only told of (`strange`) if HOW is `lines`;
# if it is `odd`, these names alone are told, with a NUL for each line break.
serving=
enter "$1" "$2" "$3" "$DESTINATION_SENTINEL" "$4"
top=$PWD how=$5 test=$6 pattern=$7
shift 7
odd='*
*'

once() {
    command -v awk >/dev/null 2>&1 || exec cat
    exec awk '/^entry / { key = substr($0, index($0, " ./")); if (told[key]++) next } { print }'
}

look() {
    case $how in
        odd) find . "$test" "$pattern" -path "$odd" -print0 2>/dev/null | tr '\000\n' '\n\000' ;;
        *)
            find . "$test" "$pattern" \( -path "$odd" -exec printf 'strange\n' ';' -o \
                -exec stat -c 'entry %f %s %y %n' {} + \) 2>/dev/null || echo partly
            ;;
    esac
}

for copy; do
    cd -P -- "$top" 2>/dev/null || break
    below "$copy" || continue
    printf 'copy %s\n' "$copy"
    TZ=UTC0 look
done | (once) | head -c 12000000
exit 0
