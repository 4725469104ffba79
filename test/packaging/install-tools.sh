#!/bin/sh
# Installs what the tests of the package need from Debian, when it is absent: mmdebstrap, which makes the clean system, and lintian.
set -eu
command -v mmdebstrap >/dev/null && command -v lintian >/dev/null && exit 0
[ "$(id -u)" = 0 ] || { echo 'install-tools: type as root: apt-get install -y --no-install-recommends mmdebstrap lintian' >&2; exit 1; }
echo 'install-tools: installing mmdebstrap and lintian' >&2
apt-get -q update >&2
DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends mmdebstrap lintian >&2
