# shellcheck shell=bash
# Sourced by the other scripts: finds a Python (find_python) and creates or updates .venv when setup.cfg, pyproject.toml
# or constraints.txt changes (ensure_venv). Works in the bash 3.2 of macOS.

root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." >/dev/null && pwd)
venv=$root/.venv

export PYTHONUTF8=1                        # UTF-8 in any locale
export PIP_DISABLE_PIP_VERSION_CHECK=1
unset PYTHONHOME PYTHONPATH                # test the packages of .venv only

fail() { # MESSAGE
    echo "$1" >&2
    exit 2
}

# Prints the version of a supported Python and the path of the interpreter itself, not of a pyenv shim or an active
# virtual environment. The imports fail where ensurepip is a separate package (Debian), or where Python was built
# without a required library.
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

# VERSION: sets `python` and returns 0 if a Python of that version is found. `rejected` collects reasons for rejection.
rejected=
find_version() {
    local candidate answer
    while IFS= read -r candidate; do
        [ -x "$candidate" ] || continue
        if answer=$("$candidate" -c "$probe" 2>&1 </dev/null); then
            if [ "${answer%% *}" = "$1" ]; then
                python=${answer#* }
                return 0
            fi
        elif [[ $answer == *" lacks the module "* && $rejected != *"$answer"* ]]; then
            rejected="$rejected ($answer)"
        fi
    done < <(candidates "$1")
    return 1
}

find_python() { # sets `python`: $PYTHON, or that of a complete .venv, or the first supported version
    local version answer
    if [ -n "${PYTHON-}" ]; then
        answer=$("$PYTHON" -c "$probe" 2>&1 </dev/null) ||
            fail "PYTHON=$PYTHON is not a Python 3.9 to 3.13 that can make virtual environments: name another, or leave PYTHON unset."
        python=${answer#* }
        return
    fi
    if has_extras "[test]" || has_extras "[report]"; then
        python=$venv/bin/python
        return
    fi
    # 3.13 last: there MXNet runs with a NumPy newer than its requirement
    for version in 3.12 3.11 3.10 3.9 3.13; do
        if find_version "$version"; then return; fi
    done
    fail "No Python 3.9 to 3.13 that can make virtual environments was found$rejected: install one, such as python3.12 (with python3.12-venv on Debian and Ubuntu), or name it with PYTHON=/path/to/python3.12."
}

has_mxnet_wheel() { # PYTHON: whether MXNet 1.9.1 has a wheel for this platform
    "$1" -c '
import platform, sys
wheels = {("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "x86_64")}
musl = sys.platform == "linux" and platform.libc_ver()[0] != "glibc"
sys.exit((sys.platform, platform.machine()) not in wheels or musl)'
}

install() { # PYTHON REQUIREMENT...: installs MXNet separately where pip would reject its numpy<2
    "$1" -m pip install --quiet --no-warn-conflicts --constraint "$root/constraints.txt" "${@:2}" </dev/null || return
    if "$1" -c 'import sys; sys.exit(sys.version_info < (3, 13))' && has_mxnet_wheel "$1"; then
        "$1" -m pip install --quiet --no-deps --constraint "$root/constraints.txt" mxnet </dev/null
    fi
}

# Everything an installation depends on. Stored as .venv/installed[report] (or .venv/installed[test]) when complete, so
# that .venv is installed again after an interruption, or when Python or the directory has changed.
state_of() { # PYTHON
    echo "$root" && "$1" -c 'import sys; print(sys.version, sys.base_prefix)' 2>/dev/null &&
        cat "$root/setup.cfg" "$root/pyproject.toml" "$root/constraints.txt"
}

has_extras() { # EXTRAS: whether .venv has them in the current state
    local state
    state=$(state_of "${PYTHON:-$venv/bin/python}") && [ "$state" = "$(cat "$venv/installed$1" 2>/dev/null)" ] &&
        "$venv/bin/python" -c 'import gluon_lstm, numpy' 2>/dev/null
}

ensure_venv() { # EXTRAS ("[report]" or "[test]") MEGABYTES: creates .venv unless it is complete
    find_python
    echo "Python $("$python" -c 'import platform; print(platform.python_version())') ($python)"
    if has_extras "[test]" || has_extras "$1"; then return; fi
    if has_extras "[report]"; then
        echo "Adding what the tests need to .venv (about 60 MB to download)"
    else
        echo "Making .venv (about $2 MB to download)"
        "$python" -m venv --clear "$venv"
    fi
    rm -f "$venv/installed"*
    (cd "$root" && install "$venv/bin/python" --editable ".$1")
    state_of "$venv/bin/python" >"$venv/installed$1"
}
