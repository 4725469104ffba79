#!/bin/sh
# Installs the real peers of the interop tests from Debian, when they are absent:
#
#   rabbitmq-server           the broker; tests start private copies of it as child processes
#   python3-oslo.messaging    the messaging library of Nova, as a client of this service
#   python3-nova              Nova itself: its compute RPC client, its objects, its functional tests
#   python3-placement ...     what those tests need, and setuptools for the entry points of the hook's package
#   chromium                  the browser in which the page of `novacompat matrix` is looked at
#   faketime                  lets the wall clock of a process jump
#   prometheus                its promtool checks the pages of metrics
#   python3-oslo.middleware   whose healthcheck ours answers like
#   systemd                   its systemd-analyze says how exposed the units are
#   strace                    shows which files the agent opens
#
# Silent and quick when all are present. As root it calls apt-get, else sudo -n; when neither is possible it
# says what to type and exits 1. It never leaves a broker running that the package would start by itself.
set -u

PYTHON=/usr/bin/python3
POLICY=/usr/sbin/policy-rc.d

say() { printf 'install-peers: %s\n' "$*" >&2; }

can_import() { [ -x "$PYTHON" ] && "$PYTHON" -c "import $1" >/dev/null 2>&1; }

missing() {
    [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || echo rabbitmq-server
    [ -x /usr/bin/chromium ] || echo chromium
    [ -x /usr/bin/strace ] || echo strace
    [ -x /usr/bin/faketime ] || echo faketime
    [ -x /usr/bin/promtool ] || echo prometheus
    [ -x /usr/bin/systemd-analyze ] || echo systemd
    # One interpreter start is enough when all are there.
    can_import 'nova.compute.rpcapi, nova.objects, oslo_middleware, placement, ddt, oslotest, requests_mock, wsgi_intercept, setuptools' && return
    can_import oslo_messaging || echo python3-oslo.messaging
    can_import 'nova.compute.rpcapi, nova.objects' || echo python3-nova
    can_import oslo_middleware || echo python3-oslo.middleware
    can_import placement || echo python3-placement
    can_import ddt || echo python3-ddt
    can_import oslotest || echo python3-oslotest
    can_import requests_mock || echo python3-requests-mock
    can_import wsgi_intercept || echo python3-wsgi-intercept
    can_import setuptools || echo python3-setuptools
}

why() {
    case $1 in
    rabbitmq-server) echo 'the broker that the interop tests run privately' ;;
    python3-oslo.messaging) echo "the messaging library of Nova, the service's real client" ;;
    chromium) echo 'the browser in which the page of `novacompat matrix` is tested' ;;
    faketime) echo 'what lets the wall clock of a process jump' ;;
    prometheus) echo 'its promtool, which checks the pages of metrics' ;;
    python3-oslo.middleware) echo 'whose healthcheck ours answers like' ;;
    systemd) echo 'its systemd-analyze, which says how exposed the units are' ;;
    strace) echo 'what shows which files the agent opens' ;;
    python3-nova) echo "Nova's own compute RPC client, objects and functional tests" ;;
    python3-setuptools) echo "what the package of Nova's hook is built with" ;;
    python3-*) echo "what Nova's functional tests need" ;;
    esac
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" >&2
}

give_up() {
    say "$1"
    say 'Type this as root, then run the command again:'
    # shellcheck disable=SC2086
    say "    apt-get update && apt-get install -y --no-install-recommends" $packages
    exit 1
}

# Debian starts a service as soon as its package is unpacked, unless this policy file says 101 ("not allowed").
# A policy that the administrator wrote is left as it is.
policy_written=no
remove_policy() {
    [ "$policy_written" = yes ] && as_root rm -f "$POLICY"
    policy_written=no
}
forbid_service_starts() {
    [ -e "$POLICY" ] && return
    trap 'remove_policy' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    policy_written=yes
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null && as_root chmod 755 "$POLICY"
}

packages=$(missing | tr '\n' ' ' | sed 's/ $//')
[ -z "$packages" ] && exit 0

say 'the interop tests need Debian packages that are not installed:'
for package in $packages; do say "    $package: $(why "$package")"; done

{ [ -e /etc/debian_version ] && command -v apt-get >/dev/null; } ||
    give_up 'this is not a Debian machine, so they cannot be installed from here.'
[ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null ||
    give_up 'this user is not root and sudo asks for a password, so they cannot be installed from here.'

# shellcheck disable=SC2086
apt-cache show $packages >/dev/null 2>&1 || apt update || give_up 'apt-get update failed.'

forbid_service_starts || give_up "cannot write $POLICY, which keeps the package from starting a broker."
say 'installing them now (once; about 800 MB, one to three minutes)'
# shellcheck disable=SC2086
apt install -y --no-install-recommends $packages ||
    { apt update && apt install -y --no-install-recommends $packages; } || # the lists were out of date
    give_up 'apt-get install failed, see above.'

left=$(missing | tr '\n' ' ')
[ -z "$left" ] || give_up "installed, but still not usable: $left"
say 'done'
