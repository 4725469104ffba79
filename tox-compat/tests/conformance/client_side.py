"""Has both clients make all calls at once, and answers them with the odd replies."""

import heapq
import itertools
import json
import pathlib
import subprocess
import sys
import time

import amqp

import rig
from conformance.messages import amqp_properties
from conformance.odd_replies import REPLIES, WAIT

HERE = pathlib.Path(__file__).resolve().parent
CLIENTS = {
    "python": [sys.executable, HERE / "python_client.py"],
    "ours": ["node", rig.REPOSITORY / "dist/test/support/conformance-client.js"],
}


class Responder:
    """Answers each call by the row of the table that its method names."""

    def __init__(self, cloud, topics):
        self._replies = {reply.name: reply for reply in REPLIES}
        self._later = []
        self._order = itertools.count()
        self._connection = amqp.Connection(f"127.0.0.1:{cloud.broker.port}", userid="guest", password=rig.PASSWORD,
                                           virtual_host=cloud.vhost)
        self._connection.connect()
        self._channel = self._connection.channel()
        self._channel.exchange_declare("nova", "topic", durable=False, auto_delete=False)
        for topic in topics:
            self._channel.queue_declare(topic, durable=False, auto_delete=False)
            self._channel.queue_bind(topic, "nova", routing_key=topic)
            self._channel.basic_consume(topic, no_ack=True, callback=self._on_call)

    def _on_call(self, message):
        request = json.loads(json.loads(message.body)["oslo.message"])
        due = time.monotonic()
        for publication in self._replies[request["method"]].build(request):
            if publication is WAIT:
                due += 1
            else:
                heapq.heappush(self._later, (due, next(self._order), request["_reply_q"], publication))

    def serve_until(self, done):
        while not done():
            while self._later and self._later[0][0] <= time.monotonic():
                _, _, queue, publication = heapq.heappop(self._later)
                self._publish(queue, publication)
            try:
                self._connection.drain_events(timeout=0.05)
            except TimeoutError:
                continue

    def _publish(self, queue, publication):
        message = amqp.Message(publication.body, **amqp_properties(publication))
        self._channel.basic_publish(message, exchange="", routing_key=queue)


def observe(cloud):
    """{(side, reply name): outcome}"""
    topics = {side: f"{side}-client" for side in CLIENTS}
    responder = Responder(cloud, topics.values())
    calls = "".join(json.dumps({"case": reply.name, "timeout": reply.timeout, "monitor": reply.monitor}) + "\n"
                    for reply in REPLIES)
    running = {}
    for side, command in CLIENTS.items():
        files = {stream: rig.FOLDER / f"{side}-client.{stream}" for stream in ("in", "out", "log")}
        files["in"].write_text(calls)
        with open(files["in"]) as stdin, open(files["out"], "w") as stdout, open(files["log"], "w") as stderr:
            child = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command, cloud.url, topics[side]],
                                     stdin=stdin, stdout=stdout, stderr=stderr)
        running[side] = (child, files)
    deadline = time.monotonic() + 60
    responder.serve_until(lambda: time.monotonic() > deadline
                          or all(child.poll() is not None for child, _ in running.values()))
    outcomes = {}
    for side, (child, files) in running.items():
        child.kill()
        if child.wait() != 0:
            raise AssertionError(f"the client of {side} ended with {child.returncode}:\n{files['log'].read_text()}")
        for line in files["out"].read_text().splitlines():
            outcome = json.loads(line)
            outcomes[side, outcome["case"]] = outcome["outcome"]
    return {key: comparable(outcome, outcomes["python", key[1]]) for key, outcome in outcomes.items()}


def comparable(outcome, pythons):
    if outcome["kind"] == "value":
        return {**outcome, "value": json.loads(outcome["value"])}
    if pythons.get("module", ...) is None:
        # A RemoteError does not keep it.
        return {**outcome, "module": None}
    return outcome
