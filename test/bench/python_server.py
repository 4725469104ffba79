"""python_server.py URL TOPIC REPLY: a real oslo.messaging server that answers every check with the same decision.

Nothing is decided: this is what the messaging library of Nova costs by itself, with its default options.
"""

import importlib.metadata
import json
import sys

import oslo_messaging
from oslo_config import cfg


class Endpoint:
    target = oslo_messaging.Target(version="1.0")

    def __init__(self, reply):
        self._reply = reply

    def check_live_migration(self, context, request):
        return self._reply


def main(url, topic, reply):
    cfg.CONF([], project="novacompat-bench", default_config_files=[], default_config_dirs=[])
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, url)
    target = oslo_messaging.Target(exchange="nova", topic=topic, server="bench")
    server = oslo_messaging.get_rpc_server(transport, target, [Endpoint(json.loads(reply))], executor="threading")
    server.start()
    print("ready, oslo.messaging", importlib.metadata.version("oslo.messaging"), flush=True)
    server.wait()


main(*sys.argv[1:])
