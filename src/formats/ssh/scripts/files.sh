# files ROOT ITS-SENTINEL DIRECTORY ITS-SENTINEL PLACE DIRECTORY…: tells the regular files and the directories in each of
# these directories below the place, and how the files are. A name that no line can hold is only counted.
serving=
enter "$1" "$2" "$3" "$DESTINATION_SENTINEL" "$4"
below "$5" || say lost "$PWD/$5 is not there"
shift 5
top=$PWD
TZ=UTC0
export TZ
line='
'

for directory; do
    cd -P -- "$top" || say lost "$top is not there"
    below "$directory" || continue
    cd -P -- "$top" || say lost "$top is not there"
    place=./$directory
    [ -n "$directory" ] || place=.
    find "$place" -mindepth 1 -maxdepth 1 -type d ! -name "*$line*" -exec printf 'directory %s\n' {} + 2>/dev/null
    find "$place" -mindepth 1 -maxdepth 1 -type f ! -name "*$line*" -exec stat -c 'file %s %d %i %Z %y %n' {} + \
        2>/dev/null
    find "$place" -mindepth 1 -maxdepth 1 -name "*$line*" -exec sh -c 'printf "odd %s %s\n" "$#" "$0"' "$directory" {} + \
        2>/dev/null
    [ -r "$place" ] && ls "$place" >/dev/null 2>&1 || printf 'closed %s\n' "$directory"
done
exit 0
