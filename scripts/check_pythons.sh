#!/usr/bin/env bash
# Installs the package as a user would, not editable, into a fresh environment of each Python from 3.9 to 3.13 found
# here, trains one step, generates, and prints a table. Exits with 1 if one of them fails or none is found.
set -eu
. "$(dirname "$0")/_venv.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# a copy, so that nothing is built into the repository nor left over from an earlier build
mkdir "$work/source"
(cd "$root" && cp -R gluon_lstm setup.cfg pyproject.toml README.md LICENSE "$work/source")

train_and_generate() { # FOLDER: away from the repository, so that what is imported is what was installed
    cd "$1"
    export XDG_CACHE_HOME="$1/cache"
    bin/gluon-lstm train "$root/data/posts_ja.txt" --steps 1 --hidden 16 --out model </dev/null &&
        bin/gluon-lstm generate model --prefix こんにち --posts 1 --seed 1 </dev/null
}

table=$(printf '%-8s %-8s %-8s %8s  %s' python numpy mxnet install trained)
failed=0
found=0
for version in 3.9 3.10 3.11 3.12 3.13; do
    find_version "$version" || continue
    found=$((found + 1))
    here=$work/$version
    echo "Python $version ($python)"
    start=$SECONDS
    "$python" -m venv "$here"
    if ! (set -e && install "$here/bin/python" "$work/source"); then :; fi
    seconds=$((SECONDS - start))
    trained=yes
    (train_and_generate "$here") || { trained=no && failed=1; }
    # shellcheck disable=SC2046
    table="$table
$(printf '%-8s %-8s %-8s %7ss  %s' $("$here/bin/python" -c '
import platform
from importlib.metadata import PackageNotFoundError, version

def installed(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"

print(platform.python_version(), installed("numpy"), installed("mxnet"))') "$seconds" "$trained")"
done

echo
echo "$table"
[ "$found" -gt 0 ] && [ "$failed" = 0 ]
