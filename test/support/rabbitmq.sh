#!/bin/sh
# rabbitmq.sh DIR PORT DIST_PORT [ADDRESS]: becomes a throw-away private RabbitMQ on 127.0.0.1:PORT (or ADDRESS:PORT),
# with everything below DIR.
#
# The process that was started is the broker (exec all the way), so its pid is the one to end, and it ends with its
# parent. Log in as guest with the password below. The node is t<PORT>@localhost. It is ready when it sends AMQP Connection.Start, 4 to
# 12 s after the start: an open port alone is too early. No epmd daemon is used, so none stays behind.
#
# Lines of DIR/extra.conf are added to its configuration; DIR/enabled_plugins, if there, is left as it is.
#
# rabbitmqctl for it (the Erlang cookie is DIR/.erlang.cookie, made by the first start):
#   HOME=DIR RABBITMQ_CTL_ERL_ARGS="-dist_listen false -start_epmd false -erl_epmd_port DIST_PORT" \
#       /usr/lib/rabbitmq/bin/rabbitmqctl -q -n t<PORT>@localhost ...
#
# Nodes of one cluster have one cookie and one DIST_PORT, and an ADDRESS each (127.0.0.2, ...): without epmd the distribution
# port is the same for all nodes. Such a node is t<PORT>@<ADDRESS>, and rabbitmqctl needs --longnames.
set -eu

[ $# = 3 ] || [ $# = 4 ] || { echo "usage: $0 DIR PORT DIST_PORT [ADDRESS]" >&2; exit 64; }
mkdir -p "$1/mnesia" "$1/log"
dir=$(cd "$1" && pwd)
port=$2
dist_port=$3
address=${4:-127.0.0.1}
if [ $# = 4 ]; then
    node=t$port@$address
    naming="-name $node"
else
    node=t$port@localhost
    naming="-sname $node"
fi

[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || {
    echo "$0: RabbitMQ is not installed: run $(dirname "$0")/install-peers.sh" >&2
    exit 69
}

cat > "$dir/rabbitmq.conf" <<CONF
listeners.tcp.1 = $address:$port
disk_free_limit.absolute = 1MB
default_pass = canary-5b1e-password
CONF
[ ! -f "$dir/extra.conf" ] || cat "$dir/extra.conf" >> "$dir/rabbitmq.conf"
[ -f "$dir/enabled_plugins" ] || echo '[].' > "$dir/enabled_plugins"

# Settings of another broker on this machine must not reach this one.
for name in $(env | sed -n 's/^\(RABBITMQ_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done

export HOME="$dir"
export RABBITMQ_NODENAME="$node"
[ $# = 3 ] || export RABBITMQ_USE_LONGNAME=true
export RABBITMQ_NODE_IP_ADDRESS="$address"
export RABBITMQ_NODE_PORT="$port"
export RABBITMQ_DIST_PORT="$dist_port"
export RABBITMQ_CONF_ENV_FILE=/dev/null
export RABBITMQ_CONFIG_FILE="$dir/rabbitmq.conf"
export RABBITMQ_ENABLED_PLUGINS_FILE="$dir/enabled_plugins"
export RABBITMQ_MNESIA_BASE="$dir/mnesia"
export RABBITMQ_LOG_BASE="$dir/log"
export RABBITMQ_QUORUM_DIR="$dir/quorum"
export RABBITMQ_STREAM_DIR="$dir/stream"
export RABBITMQ_FEATURE_FLAGS_FILE="$dir/feature_flags"
export RABBITMQ_GENERATED_CONFIG_DIR="$dir/config"
export RABBITMQ_SCHEMA_DIR="$dir/schema"
export RABBITMQ_PID_FILE="$dir/pid"
export RUNNING_UNDER_SYSTEMD=true # makes the start script exec the virtual machine
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {$(echo "$address" | tr . ,)} $naming \
-start_epmd false -erl_epmd_port $dist_port"
# After a minute RabbitMQ starts a second, short-lived erl to make sure of epmd: that one inherits this.
export ERL_ZFLAGS="-start_epmd false"

cd "$dir"
# /usr/sbin/rabbitmq-server would change to the user rabbitmq; this one runs as whoever called.
exec setpriv --pdeathsig KILL /usr/lib/rabbitmq/bin/rabbitmq-server
