#!/usr/bin/env bash
# Prints the figures that the program is to reach, beside those of the bare commands, taken in one go on this machine.
# About five minutes behind the build; `--quick` takes fewer pairs, fewer files and shorter times.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=packaging/debian.sh
source packaging/debian.sh

effort=full
case ${1:-} in
    '') ;;
    --quick) effort=quick ;;
    *) give_up "usage: tests/bench/run.sh [--quick]" ;;
esac
[[ $(id -u) -eq 0 ]] || give_up "The figures take root: drives, mounts and namespaces."
program_packages
debian_packages mkfs.ext4=e2fsprogs strace=strace python3=python3 blkid=util-linux
say "building"
cargo test --release --locked --quiet --no-run --test whole
say "figures ($effort; load of this machine: $(cut -d ' ' -f 1-3 /proc/loadavg), $(nproc) processors)"
NBKP_FIGURES=$effort cargo test --release --locked --quiet --test whole
