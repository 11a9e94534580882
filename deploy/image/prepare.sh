#!/bin/sh
# prepare.sh [PYTHON]: lays out in .image/ all that the image is made of: wheels of the lock by their hashes, the wheel of
# this checkout, Debian's packages, and the list of what is in it. This is the part that needs a network.
set -eu
cd "$(dirname "$0")/../.."
python=${1:-.venv/bin/python}

rm -rf .image
"$python" -m tests.supply_chain image --to .image
deploy/image/debs.sh .image/debs
