#!/bin/sh
# Removes what `make run` has made in var/, and nothing that is not the demo's.
set -eu
cd "$(dirname "$0")/.."

if [ ! -e var ]; then
    echo "There is no demo data."
    exit 0
fi
if [ -e var/fieldbell.db ] && [ ! -e var/demo ] && [ "${FORCE:-}" != 1 ]; then
    echo "var/fieldbell.db was not made by 'make run': it is left as it is." >&2
    echo "  To remove it all the same: make clean FORCE=1" >&2
    exit 1
fi
if [ -e var/demo/run.pid ] && kill -0 "$(cat var/demo/run.pid)" 2>/dev/null; then
    echo "The demo is running (process $(cat var/demo/run.pid)): stop it first." >&2
    exit 1
fi
rm -rf var
echo "The demo's data is gone; 'make run' starts anew."
