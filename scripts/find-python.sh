#!/bin/sh
# Prints the newest Python (3.11 or later, with venv and pip) on this machine, or says what is missing.
# PYTHON=… chooses one.
set -u

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

can_make_environments() {
    "$1" -c 'import venv, ensurepip' 2>/dev/null
}

without_venv=
for name in ${PYTHON:-python3.13 python3.12 python3.11 python3 python3.14 python}; do
    found=$(command -v "$name" 2>/dev/null) || continue
    is_new_enough "$found" || continue
    if can_make_environments "$found"; then
        echo "$found"
        exit 0
    fi
    without_venv=${without_venv:-$found}
done

if [ -n "$without_venv" ]; then
    echo "Fieldbell: $without_venv cannot make virtual environments." >&2
    echo "  Install its venv package (Debian, Ubuntu: apt-get install python3-venv) and try again." >&2
elif [ -n "${PYTHON:-}" ]; then
    echo "Fieldbell: PYTHON=$PYTHON is not a Python 3.11 or later." >&2
else
    echo "Fieldbell needs Python 3.11 or later and found none on PATH." >&2
    echo "  Install one (Debian, Ubuntu: apt-get install python3 python3-venv), or say where it is:" >&2
    echo "  make run PYTHON=/path/to/python3" >&2
fi
exit 1
