#!/bin/sh
# Make a virtual environment from nothing: the first Python >= 3.11 on the PATH, its own venv module, then uv by pip.
set -eu
venv=$1

fits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

if [ ! -x "$venv/bin/python" ]; then
    python=
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
        if fits "$candidate"; then python=$candidate; break; fi
    done
    if [ -z "$python" ]; then
        echo "dataplat needs Python 3.11 or newer; python3 here is: $(python3 --version 2>&1 || true)" >&2
        echo "Install one, or name it: make PYTHON=/path/to/python3.11 …" >&2
        exit 1
    fi
    echo "making $venv with $($python --version)"
    if ! "$python" -m venv "$venv"; then
        rm -rf "$venv"
        echo "'$python -m venv' failed; on Debian and Ubuntu: apt-get install python3-venv" >&2
        exit 1
    fi
fi
# pip finds the index by the machine's own configuration; nothing here names one
[ -x "$venv/bin/uv" ] || "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
