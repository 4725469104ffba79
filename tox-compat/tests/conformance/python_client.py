"""python_client.py URL TOPIC: reads calls as JSON lines from stdin, {case, timeout, monitor}, makes all of them at once
with the real oslo.messaging client, and prints how each ended as JSON lines (see test/support/conformance-client.ts)."""

import concurrent.futures
import json
import os
import sys

import oslo_messaging
from oslo_config import cfg


def outcome_of(call):
    try:
        return {"kind": "value", "value": json.dumps(call())}
    except oslo_messaging.MessagingTimeout:
        return {"kind": "timeout"}
    except oslo_messaging.RemoteError as error:
        # It does not keep the module.
        return {"kind": "failure", "class": error.exc_type, "module": None, "message": error.value}
    except Exception as error:
        return describe(error)


def describe(error):
    """An exception of the other side that was rebuilt, or one of the client itself."""
    name, module = type(error).__name__, type(error).__module__
    # The text of a rebuilt exception is its message, a line break and the traceback, even when that is empty.
    text = error.args[0] if module == "builtins" and error.args else error
    message, rebuilt, _ = str(text).partition("\n")
    if name.endswith("_Remote"):
        return {"kind": "failure", "class": name.removesuffix("_Remote"), "module": module.removesuffix("_Remote"),
                "message": message}
    if rebuilt and module == "builtins":
        return {"kind": "failure", "class": name, "module": module, "message": message}
    return {"kind": "error", "class": name}


def main(url, topic):
    cfg.CONF([], project="conformance", default_config_files=[], default_config_dirs=[])
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, url, allowed_remote_exmods=["remote_errors"])
    client = oslo_messaging.get_rpc_client(transport, oslo_messaging.Target(exchange="nova", topic=topic))
    calls = [json.loads(line) for line in sys.stdin]

    def make(call):
        prepared = client.prepare(timeout=call["timeout"], call_monitor_timeout=call["monitor"])
        return {"case": call["case"], "outcome": outcome_of(lambda: prepared.call({}, call["case"]))}

    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        for line in pool.map(make, calls):
            print(json.dumps(line), flush=True)
    # Its threads would keep it alive for ten seconds.
    os._exit(0)


main(*sys.argv[1:])
