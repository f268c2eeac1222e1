#!/usr/bin/env bash
# Installs the package, not editable, into a new environment of each Python from 3.9 to 3.13 found on this machine, trains
# one step, generates, and prints a table. Exits with 1 if one of them fails or none is found.
set -eu
# shellcheck source-path=SCRIPTDIR source=_venv.sh
. "$(dirname "$0")/_venv.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# a copy, without files of earlier builds
mkdir "$work/source"
(cd "$root" && cp -R gluon_lstm setup.cfg pyproject.toml README.md LICENSE "$work/source")

train_and_generate() { # DIRECTORY: outside of the repository, so that the installed package is imported
    cd "$1" || return
    export XDG_CACHE_HOME="$1/cache"
    bin/gluon-lstm train "$root/data/posts_ja.txt" --steps 1 --hidden 16 --out model </dev/null &&
        bin/gluon-lstm generate model --prefix こんにち --posts 1 --seed 1 </dev/null
}

row='
import platform, sys
from importlib.metadata import distributions

versions = {each.metadata["Name"]: each.version for each in distributions()}
print("%-8s %-8s %-8s %7ss  %s" % (
    platform.python_version(), versions.get("numpy", "-"), versions.get("mxnet", "-"), *sys.argv[1:]))'

table=$(printf '%-8s %-8s %-8s %8s  %s' python numpy mxnet install trained)
for version in 3.9 3.10 3.11 3.12 3.13; do
    find_version "$version" || continue
    echo "Python $version ($python)"
    here=$work/$version
    start=$SECONDS
    "$python" -m venv "$here"
    install "$here/bin/python" "$work/source" || true # a failure shows in the next step
    seconds=$((SECONDS - start))
    if (train_and_generate "$here"); then trained=yes; else trained=no; fi
    table=$table$'\n'$("$here/bin/python" -c "$row" "$seconds" "$trained")
done

echo
echo "$table"
[[ $table == *yes* && $table != *"  no"* ]]
