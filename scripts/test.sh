#!/usr/bin/env bash
# All checks: ruff, mypy and the tests, in .venv, which is created if needed. Arguments are passed to pytest, which runs
# the tests in parallel on all cores. PYTHON=/path/to/python3.12 selects the Python.
set -eu
# shellcheck source-path=SCRIPTDIR source=_venv.sh
. "$(dirname "$0")/_venv.sh"

ensure_venv "[test]" 340

# Pages are tested in a Chromium that is there; continuous integration installs Debian's, and fails without one.
if ! command -v chromium chromium-browser google-chrome >/dev/null; then
    if [ -n "${CI-}" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium >/dev/null
    else
        echo "No chromium: the tests of pages in a browser are left out (on Debian: apt-get install chromium)"
    fi
fi

cd "$root"
"$venv/bin/python" -m ruff check --quiet .
"$venv/bin/python" -m mypy
# pytest rewrites the assertions of all test files, which takes 5 s, and keeps the result as bytecode.
unset PYTHONDONTWRITEBYTECODE
# The kernels are compiled once, not by each process of pytest.
"$venv/bin/python" -c 'from gluon_lstm.lstm.fast import precompile; precompile.wait(precompile.start())'
# Each process of pytest has a core of its own: threads of BLAS would only wait for each other.
OPENBLAS_NUM_THREADS=1 "$venv/bin/python" -m pytest -n auto --dist worksteal "$@" </dev/null
