#!/usr/bin/env bash
# Builds nbkp and shows it at work: a sandbox, a virtual drive, a real daemon. Installs what is missing; leaves nothing
# behind but the build. Arguments go to `nbkpctl demo`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=packaging/debian.sh
source packaging/debian.sh

program_packages
say "building (a few minutes the first time)"
cargo build --release --locked --bins
say "the demonstration"
exec target/release/nbkpctl demo "$@"
