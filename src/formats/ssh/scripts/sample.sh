# sample ROOT ITS-SENTINEL DIRECTORY ITS-SENTINEL PLACE DIRECTORIES FILES: tells the same of so many files below the place as
# `sizes.sh` does, from so many of its directories, both taken at random.
serving=
enter "$1" "$2" "$3" "$DESTINATION_SENTINEL" "$4"
below "$5" || say lost "$PWD/$5 is not there"
directories=$6 files=$7

# So many of these lines.
some() { shuf -n "$1" 2>/dev/null || head -n "$1"; }

chosen=$(find . -type d 2>/dev/null | head -n 20000 | some "$directories")
set -f
IFS='
'
set --
for directory in $chosen; do
    case $directory in
        . | ./*) set -- "$@" "$directory" ;;
    esac
done
[ $# -eq 0 ] || find "$@" -maxdepth 1 -type f -exec stat -c 'size %s %f %n' {} + 2>/dev/null |
    head -n 20000 | some "$files"
exit 0
