"""python_server.py URL TOPIC: a real oslo.messaging server with the endpoints of test/support/conformance-server.ts."""

import collections
import os
import sys
import time

import oslo_messaging
from oslo_config import cfg
from remote_errors import Plain, WithKwargs

executed = collections.Counter()


class Unspeakable:
    """No JSON, and nothing that oslo.serialization knows how to take apart."""

    __slots__ = ()


def _circle():
    circle = []
    circle.append(circle)
    return circle


FAILURES = {
    "ValueError": lambda: ValueError("no"),
    "no arguments": lambda: ValueError(),
    "two arguments": lambda: ValueError("no", 7),
    "unicode": lambda: ValueError("caf\u00e9 \U0001f600"),
    "lines": lambda: ValueError("one\ntwo"),
    "NotImplementedError": lambda: NotImplementedError(),
    "own module": lambda: Plain("no"),
    "kwargs": lambda: WithKwargs("Migration pre-check error: foo", reason="foo", code=500),
    "big": lambda: ValueError("x" * 100_000),
    "unexpected": lambda: RuntimeError("password=secret"),
}
RESULTS = {
    "nothing": lambda: None,
    "false": lambda: False,
    "zero": lambda: 0,
    "empty text": lambda: "",
    "empty list": lambda: [],
    "fraction": lambda: 1.5,
    "whole float": lambda: 1.0,
    "NaN": lambda: float("nan"),
    "2^70": lambda: 2 ** 70,
    "circle": _circle,
    "no JSON": Unspeakable,
}


class Methods:
    target = oslo_messaging.Target(version="1.5")
    attribute = 7

    def echo(self, ctxt, value):
        executed[ctxt.get("case")] += 1
        return value

    def add(self, ctxt, a, b=1):
        executed[ctxt.get("case")] += 1
        return a + b

    def fail(self, ctxt, kind):
        executed[ctxt.get("case")] += 1
        raise FAILURES[kind]()

    def give(self, ctxt, kind):
        executed[ctxt.get("case")] += 1
        return RESULTS[kind]()

    def slow(self, ctxt, seconds):
        executed[ctxt.get("case")] += 1
        time.sleep(seconds)
        return "slept"

    def note(self, ctxt):
        executed[ctxt.get("case")] += 1

    def context(self, ctxt):
        executed[ctxt.get("case")] += 1
        return ctxt

    def _private(self, ctxt):
        executed[ctxt.get("case")] += 1


class Newer:
    """Lacks `echo`: a version that only this one has makes it NoSuchMethod instead of UnsupportedVersion."""

    target = oslo_messaging.Target(version="1.9")

    def newer(self, ctxt):
        executed[ctxt.get("case")] += 1
        return "1.9"


class Named:
    target = oslo_messaging.Target(namespace="named", version="1.5")

    def hello(self, ctxt, name="world"):
        executed[ctxt.get("case")] += 1
        return f"hello {name}"


class BaseApi:
    """As every Nova service has it (nova/baserpc.py)."""

    target = oslo_messaging.Target(namespace="baseapi", version="1.1")

    def ping(self, ctxt, arg):
        executed[ctxt.get("case")] += 1
        return {"service": "conformance", "arg": arg}


class ReadBack:
    target = oslo_messaging.Target(namespace="read-back", version="1.0")

    def executions(self, ctxt):
        return dict(executed)


def main(url, topic):
    # oslo.messaging registers this option when it creates the server, and reads it at once.
    os.environ["OS_DEFAULT__RPC_PING_ENABLED"] = "true"
    cfg.CONF([], project="conformance", default_config_files=[], default_config_dirs=[])
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, url)
    server = oslo_messaging.get_rpc_server(
        transport, oslo_messaging.Target(exchange="nova", topic=topic, server="host"),
        [Methods(), Newer(), Named(), BaseApi(), ReadBack()], executor="threading")
    server.start()
    print("ready", flush=True)
    server.wait()


main(*sys.argv[1:])
