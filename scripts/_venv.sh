# shellcheck shell=bash
# Sourced by the scripts here: finds a Python (find_python) and keeps .venv in step with setup.cfg, pyproject.toml and
# constraints.txt (ensure_venv). Works in the bash 3.2 of macOS.

root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." >/dev/null && pwd)
venv=$root/.venv

export PYTHONUTF8=1                        # Japanese is read and printed as UTF-8 in any locale
export PIP_DISABLE_PIP_VERSION_CHECK=1
unset PYTHONHOME PYTHONPATH                # what is tested is what is in .venv

fail() { # MESSAGE
    echo "$1" >&2
    exit 2
}

# Prints the version of a Python that can serve, and the path of the interpreter itself: not of a pyenv shim, nor of a
# virtual environment that happens to be active. The imports fail where ensurepip is packaged apart (Debian) or where
# Python was built without a library it needs.
# shellcheck disable=SC2016
probe='
import sys
version = "%d.%d" % sys.version_info[:2]
if version not in ("3.9", "3.10", "3.11", "3.12", "3.13") or sys.implementation.name != "cpython":
    sys.exit(1)
import sysconfig
if sysconfig.get_config_var("Py_GIL_DISABLED"):
    sys.exit(1)
try:
    import ctypes, ensurepip, ssl, venv, zlib
except ImportError as error:
    sys.exit("%s lacks the module %s" % (sys.executable, error.name))
print(version + " " + sys._base_executable)
'

candidates() { # VERSION: PATH first, then pyenv, newest patch first
    type -ap "python$1" python3 python || true
    printf '%s\n' "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/"python$1" | sort -rV
}

# VERSION: sets `python` and returns 0 if there is one of that version. `lacking` collects why others would not do.
lacking=
find_version() {
    local candidate answer
    while IFS= read -r candidate; do
        [ -x "$candidate" ] || continue
        if answer=$("$candidate" -c "$probe" 2>&1 </dev/null); then
            if [ "${answer%% *}" = "$1" ]; then
                python=${answer#* }
                return 0
            fi
        elif [[ $answer == *" lacks the module "* && $lacking != *"$answer"* ]]; then
            lacking="$lacking ($answer)"
        fi
    done < <(candidates "$1")
    return 1
}

find_python() { # sets `python`: $PYTHON, or that of a .venv in order, or the best there is
    local version answer
    if [ -n "${PYTHON-}" ]; then
        answer=$("$PYTHON" -c "$probe" 2>&1 </dev/null) ||
            fail "PYTHON=$PYTHON is not a Python 3.9 to 3.13 that can make virtual environments: name another, or leave PYTHON unset."
        python=${answer#* }
        return
    fi
    if holds "[test]" || holds "[report]"; then
        python=$venv/bin/python
        return
    fi
    # 3.13 comes last: there MXNet runs on a NumPy newer than it asks for
    for version in 3.12 3.11 3.10 3.9 3.13; do
        if find_version "$version"; then return; fi
    done
    fail "No Python 3.9 to 3.13 that can make virtual environments was found$lacking: install one, such as python3.12 (with python3.12-venv on Debian and Ubuntu), or name it with PYTHON=/path/to/python3.12."
}

has_mxnet_wheel() { # PYTHON: whether MXNet 1.9.1 was built for this platform
    "$1" -c '
import platform, sys
wheels = {("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "x86_64")}
musl = sys.platform == "linux" and platform.libc_ver()[0] != "glibc"
sys.exit((sys.platform, platform.machine()) not in wheels or musl)'
}

install() { # PYTHON REQUIREMENT...: MXNet goes in by itself where pip would refuse its numpy<2
    "$1" -m pip install --quiet --no-warn-conflicts --constraint "$root/constraints.txt" "${@:2}" </dev/null || return
    if "$1" -c 'import sys; sys.exit(sys.version_info < (3, 13))' && has_mxnet_wheel "$1"; then
        "$1" -m pip install --quiet --no-deps --constraint "$root/constraints.txt" mxnet </dev/null
    fi
}

# All that an installation depends on. Kept as .venv/installed[report] (and .venv/installed[test]) once it is complete,
# so that one that was interrupted, or whose Python or folder has changed, is never taken for a sound one.
state_of() { # PYTHON
    echo "$root" && "$1" -c 'import sys; print(sys.version, sys.base_prefix)' 2>/dev/null &&
        cat "$root/setup.cfg" "$root/pyproject.toml" "$root/constraints.txt"
}

holds() { # EXTRAS: whether .venv has them, in their present state
    local state
    state=$(state_of "${PYTHON:-$venv/bin/python}") && [ "$state" = "$(cat "$venv/installed$1" 2>/dev/null)" ] &&
        "$venv/bin/python" -c 'import gluon_lstm, numpy' 2>/dev/null
}

ensure_venv() { # EXTRAS ("[report]" or "[test]") MEGABYTES: makes .venv, or leaves it alone when it is in order
    find_python
    echo "Python $("$python" -c 'import platform; print(platform.python_version())') ($python)"
    if holds "[test]" || holds "$1"; then return; fi
    if holds "[report]"; then
        echo "Adding what the tests need to .venv (about 30 MB to download)"
    else
        echo "Making .venv (about $2 MB to download)"
        "$python" -m venv --clear "$venv"
    fi
    rm -f "$venv/installed"*
    (cd "$root" && install "$venv/bin/python" --editable ".$1")
    state_of "$venv/bin/python" >"$venv/installed$1"
}
