"""Real oslo.messaging RPC servers, each with options and names of its own.

Each line of input is JSON: {url, exchange, topic, server}; the options are in the query of the URL. Each line of output
is the answer to one: "ready", when the server consumes, and the reply queue of its transport; or else what went wrong.
"""

import json
import logging
import sys

import oslo_messaging
from oslo_config import cfg


class Endpoint:
    def ping(self, context):
        return "pong"


def start(url, exchange, topic, server):
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, url)
    target = oslo_messaging.Target(exchange=exchange, topic=topic, server=server)
    rpc_server = oslo_messaging.get_rpc_server(transport, target, [Endpoint()], executor="threading")
    rpc_server.start()
    client = oslo_messaging.get_rpc_client(transport, target)
    client.prepare(timeout=10).call({}, "ping")
    servers.append(rpc_server)
    return f"ready {transport._driver._reply_q}"


logging.disable()
cfg.CONF([], project="novacompat-test", default_config_files=[], default_config_dirs=[])
servers = []
for line in sys.stdin:
    try:
        print(start(**json.loads(line)), flush=True)
    except Exception as error:
        print(str(error).replace("\n", " "), flush=True)
