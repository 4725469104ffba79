"""python_server.py URL HOST...: a real oslo.messaging server of the topic compute for each host, as nova-compute has.

Each message that `note` gets is a line on standard output, and so is that `hold` has begun, which ends with `release`.
"""

import logging
import sys
import threading
import time

import nova.exception
import oslo_messaging
from oslo_config import cfg
from oslo_messaging.rpc import dispatcher


class Endpoint:
    target = oslo_messaging.Target(version="1.5")

    def __init__(self, host):
        self._host = host
        self._is_released = threading.Event()

    def echo(self, context, **arguments):
        return {"host": self._host, "arguments": arguments, "request_id": context.get("request_id")}

    def find(self, context, instance_id):
        raise nova.exception.InstanceNotFound(instance_id=instance_id)

    def slow(self, context, seconds):
        time.sleep(seconds)
        return "done"

    def hold(self, context):
        print(self._host, "holds", flush=True)
        self._is_released.wait(60)
        return "done"

    def release(self, context):
        self._is_released.set()

    def note(self, context, text):
        print(self._host, text, flush=True)


def main(url, *hosts):
    # A method that fails on purpose leaves its traceback otherwise.
    logging.disable()
    cfg.CONF([], project="novacompat-test", default_config_files=[], default_config_dirs=[])
    cfg.CONF.register_opts(dispatcher._dispatcher_opts)
    cfg.CONF.set_override("rpc_ping_enabled", True)
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, url)
    for host in hosts:
        target = oslo_messaging.Target(exchange="nova", topic="compute", server=host)
        oslo_messaging.get_rpc_server(transport, target, [Endpoint(host)], executor="threading").start()
    print("ready", flush=True)
    time.sleep(600)


main(*sys.argv[1:])
