#!/usr/bin/env bash
# From a clean clone to generated posts: creates .venv, trains for one minute on data/posts_ja.txt, and generates posts
# that begin with こんにち. PYTHON=/path/to/python3.12 selects the Python.
set -eu
# shellcheck source-path=SCRIPTDIR source=_venv.sh
. "$(dirname "$0")/_venv.sh"

find_python
has_mxnet_wheel "$python" ||
    fail "Training is not possible here, because MXNet 1.9.1 has wheels for Linux (glibc) on x86-64 and aarch64 and macOS on x86-64 only: use one of those, WSL2, Colab or a Linux container."
ensure_venv "[report]" 240

cd "$root"
out=runs/quickstart
n=1
while [ -e "$out" ]; do
    n=$((n + 1))
    out=runs/quickstart-$n
done

"$venv/bin/python" -m gluon_lstm train data/posts_ja.txt --out "$out" --minutes 1 </dev/null
"$venv/bin/python" -m gluon_lstm generate "$out" --prefix こんにち --posts 5 --seed 1 </dev/null

quoted_root=$(printf '%s' "$root" | sed "s/'/'\\\\''/g")
case ${LC_ALL:-${LC_MESSAGES:-${LANG:-}}} in
ja*) next='次は、自分の投稿で：' ;;
*) next='Next, with posts of your own:' ;;
esac
cat <<END

$next
  cd '$quoted_root'
  .venv/bin/gluon-lstm train my_posts.txt --out runs/mine
  .venv/bin/gluon-lstm generate runs/mine --prefix こんにち
  .venv/bin/gluon-lstm report my_posts.txt --out runs/report
END
