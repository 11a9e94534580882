#!/bin/sh
# debs.sh FOLDER: puts Python and the certificates of authorities, as Debian 12 has them, into FOLDER, with all that they
# need beyond what debian:bookworm-slim holds, and SHA256SUMS of them. apt checks their signatures. It needs no root and
# installs nothing. It has to run on Debian 12, or in a container of the base image.
set -eu

[ "$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" = bookworm ] && command -v apt-get > /dev/null || {
    echo "debs.sh: this needs Debian 12. Elsewhere run it in a container of debian:bookworm-slim, after apt-get update." >&2
    exit 2
}
mkdir -p "$1"
cd "$1"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: > "$work/status"

# As apt would install it where nothing is installed yet.
closure() {
    apt-get -o "Dir::State::status=$work/status" -o Debug::NoLocking=1 --simulate --no-install-recommends \
        install "$@" | awk '$1 == "Inst" { print $2 }' | sort
}

closure '?essential' apt > "$work/base"
closure '?essential' apt python3 ca-certificates > "$work/all"
comm -13 "$work/base" "$work/all" > "$work/missing"
[ -s "$work/missing" ] || { echo "debs.sh: apt knows no python3; run apt-get update first." >&2; exit 1; }

rm -f ./*.deb SHA256SUMS
# apt's own user could not write here.
xargs apt-get -o APT::Sandbox::User=root --quiet=2 download < "$work/missing"
sha256sum ./*.deb > SHA256SUMS
