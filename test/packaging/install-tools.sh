#!/bin/sh
# Installs what the tests of the package need from Debian, when it is absent: mmdebstrap, which makes the clean system, lintian,
# and podman, which builds the image.
set -eu
packages='mmdebstrap lintian podman crun'
command -v mmdebstrap >/dev/null && command -v lintian >/dev/null && command -v podman >/dev/null && exit 0
[ "$(id -u)" = 0 ] || { echo "install-tools: type as root: apt-get install -y --no-install-recommends $packages" >&2; exit 1; }
echo "install-tools: installing $packages" >&2
apt-get -q update >&2
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $packages >&2
