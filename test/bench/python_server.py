"""python_server.py URL TOPIC DECISION: a real oslo.messaging server with its default options.

Nothing is decided: this is what the messaging library of Nova costs by itself. `echo` returns its value and
looks at no request, `check_live_migration` returns the decision, and `nothing` None.
"""

import importlib.metadata
import json
import sys

import oslo_messaging
from oslo_config import cfg


class Endpoint:
    target = oslo_messaging.Target(version="1.0")

    def __init__(self, decision):
        self._decision = decision

    def echo(self, context, value, request):
        return value

    def check_live_migration(self, context, request):
        return self._decision

    def nothing(self, context, value, request):
        return None


def main(url, topic, decision):
    cfg.CONF([], project="novacompat-bench", default_config_files=[], default_config_dirs=[])
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, url)
    target = oslo_messaging.Target(exchange="nova", topic=topic, server="bench")
    server = oslo_messaging.get_rpc_server(transport, target, [Endpoint(json.loads(decision))], executor="threading")
    server.start()
    print("ready, oslo.messaging", importlib.metadata.version("oslo.messaging"), flush=True)
    server.wait()


main(*sys.argv[1:])
