#!/bin/sh
# build.sh [TAG]: builds the image of what prepare.sh has laid out, with whichever of docker, podman and buildah is here.
set -eu
cd "$(dirname "$0")/../.."
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml | head -n 1)
revision=$(git rev-parse HEAD 2> /dev/null || echo unknown)
sbom=$(sha256sum .image/sbom.cdx.json | cut -d ' ' -f 1)
tag=${1:-checkout-service:$version}

set -- --tag "$tag" --file deploy/image/Dockerfile \
    --build-arg "VERSION=$version" --build-arg "REVISION=$revision" --build-arg "SBOM_SHA256=$sbom" .
if command -v docker > /dev/null && docker info > /dev/null 2>&1; then
    exec docker build --network none "$@"
elif command -v podman > /dev/null; then
    exec podman build --format docker --network none "$@"
elif command -v buildah > /dev/null; then
    # Where to store, and how to isolate, for machines that let it do less. With chroot it knows no networks of its own.
    # shellcheck disable=SC2086 # these are several words
    exec buildah ${BUILDAH_STORAGE:-} bud --format docker ${BUILDAH_ISOLATION:---network none} "$@"
fi
echo "build.sh: neither docker nor podman nor buildah is here." >&2
exit 2
