"""Sends every odd request to both servers at once and records what each makes of it."""

import collections
import json
import re
import time
import uuid

import amqp

import rig
from conformance.messages import Address, amqp_properties
from conformance.odd_requests import REQUESTS, call

SIDES = ["python", "ours"]
DEAD_LETTERS = "rejected"
# A request that gets no answer from a server that should give one holds up the others for so long.
QUIET = 6
# Long enough for what follows an answer by mistake: a second one, or heartbeats, which are 1 s apart.
AFTERMATH = 2.5
PATIENCE = 40


class Recorder:
    """One raw connection, with a reply queue for each request to each server."""

    def __init__(self, cloud):
        # All that a server rejects goes here, with the application id that says which request it was.
        cloud.broker.control("set_policy", "-p", cloud.vhost, "--apply-to", "queues", DEAD_LETTERS, "^(python|ours)",
                             json.dumps({"dead-letter-exchange": "", "dead-letter-routing-key": DEAD_LETTERS}))
        self._connection = amqp.Connection(f"127.0.0.1:{cloud.broker.port}", userid="guest", password=rig.PASSWORD,
                                           virtual_host=cloud.vhost)
        self._connection.connect()
        self.channel = self._connection.channel()
        self.frames = collections.defaultdict(list)
        self.rejected = collections.Counter()
        self.addresses = {}
        self._last_answer = 0.0
        self.channel.queue_declare(DEAD_LETTERS, exclusive=True)
        self.channel.basic_consume(DEAD_LETTERS, no_ack=True, callback=self._on_rejected)

    def _on_rejected(self, message):
        [death] = message.headers["x-death"]
        side = death["queue"].partition(".")[0].partition("_")[0]
        self.rejected[side, message.properties["app_id"], death["reason"]] += 1

    def listen(self, side, case):
        key = (side, case)
        address = Address(case, f"reply_{uuid.uuid4().hex}")
        self.addresses[key] = address
        for queue in [address.reply_queue, "answers." + address.reply_queue]:
            self.channel.queue_declare(queue, exclusive=True, auto_delete=False, nowait=True)
            self.channel.basic_consume(queue, no_ack=True, nowait=True, consumer_tag=queue,
                                       callback=lambda message: self._on_frame(key, message))
        return address

    def _on_frame(self, key, message):
        self.frames[key].append(message)
        if not is_heartbeat(message):
            self._last_answer = time.monotonic()

    def publish(self, side, case, publication):
        message = amqp.Message(publication.body, app_id=case, **amqp_properties(publication))
        exchange, key = (f"{side}_fanout", "") if publication.fanout else ("nova", f"{side}.host")
        self.channel.basic_publish(message, exchange=exchange, routing_key=key)

    def receive_until(self, done, seconds):
        deadline = time.monotonic() + seconds
        while not done() and time.monotonic() < deadline:
            try:
                self._connection.drain_events(timeout=0.1)
            except TimeoutError:
                pass
            # Counting the answers of all requests costs more than receiving them one by one.
            time.sleep(0.05)

    def answers(self, side, case):
        return sum(not is_heartbeat(frame) for frame in self.frames[side, case])

    def send(self, requests):
        """Publishes all requests to both servers and waits for their answers, or until nothing comes any more."""
        for request in requests:
            for side in SIDES:
                for publication in request.build(self.listen(side, request.name)):
                    self.publish(side, request.name, publication)
        self._last_answer = time.monotonic()
        self.receive_until(lambda: time.monotonic() > self._last_answer + QUIET or all(
            self.answers(side, request.name) >= request.answers for request in requests for side in SIDES), PATIENCE)

    def ask(self, side, case, **fields):
        """An honest call with its result."""
        for publication in call(**fields)(self.listen(side, case)):
            self.publish(side, case, publication)
        self.receive_until(lambda: self.answers(side, case), PATIENCE)
        [frame] = self.frames[side, case]
        return message_of(frame)["result"]

    def left(self, side):
        """How often a request is still in a queue of a server that has ended."""
        left = collections.Counter()
        for queue in [side, f"{side}.host"]:
            while (message := self.channel.basic_get(queue, no_ack=True)) is not None:
                left[message.properties["app_id"]] += 1
        return left


def message_of(frame):
    return json.loads(json.loads(frame.body)["oslo.message"])


def is_heartbeat(frame):
    return not message_of(frame)["ending"]


def observe(cloud, servers):
    """{(side, request name): observation}; ends the servers."""
    recorder = Recorder(cloud)
    # Heartbeats are counted, so nothing may hold up the servers then.
    at_rest = [request for request in REQUESTS if request.section == "Call monitor"]
    for wave in [[request for request in REQUESTS if request not in at_rest], at_rest]:
        recorder.send(wave)
    recorder.receive_until(lambda: False, AFTERMATH)
    executed = {side: recorder.ask(side, "read-back", method="executions", namespace="read-back", version="1.0",
                                   args={}) for side in SIDES}
    for server in servers:
        server.kill()
    left = {side: recorder.left(side) for side in SIDES}
    return {(side, request.name): observation(recorder, side, request, executed[side], left[side])
            for request in REQUESTS for side in SIDES}


def observation(recorder, side, request, executed, left):
    """What is compared, without what differs from run to run."""
    frames = recorder.frames[side, request.name]
    address = recorder.addresses[side, request.name]
    beats = [is_heartbeat(frame) for frame in frames]
    last = max((index for index, beat in enumerate(beats) if not beat), default=-1)
    seen = {
        "settled": settled(recorder.rejected, side, request.name, left),
        "executed": executed.get(request.name, 0),
        "heartbeats": sum(beats[:last + 1]) if last >= 0 else sum(beats),
        "heartbeats after the answer": last >= 0 and any(beats[last + 1:]),
        "answers": [described(frame, address) for frame, beat in zip(frames, beats) if not beat],
    }
    shapes = {json.dumps(described(frame, address), sort_keys=True) for frame, beat in zip(frames, beats) if beat}
    return {**seen, **({"heartbeat": [json.loads(shape) for shape in sorted(shapes)]} if shapes else {})}


def settled(rejected, side, case, left):
    reasons = [reason for (where, name, reason), _ in rejected.items() if (where, name) == (side, case)]
    if left[case]:
        reasons.append("left in the queue")
    return " and ".join(sorted(reasons)) or "acked"


def described(frame, address):
    """A frame's properties and decoded fields; ids and tracebacks only by their kind."""
    properties = {name: value for name, value in frame.properties.items()}
    if re.fullmatch("[0-9a-f]{32}", properties.get("message_id", "")):
        properties["message_id"] = "an id"
    body = json.loads(frame.body)
    message = json.loads(body.pop("oslo.message"))
    if message.get("_msg_id") == address.msg_id:
        message["_msg_id"] = "that of the request"
    if re.fullmatch("[0-9a-f]{32}", str(message.get("_unique_id"))):
        message["_unique_id"] = "an id"
    if isinstance(message.get("failure"), str):
        failure = json.loads(message["failure"])
        if failure["tb"] and all(isinstance(line, str) for line in failure["tb"]):
            failure["tb"] = "lines"
        message["failure"] = failure
    return {"properties": properties, "exchange": frame.delivery_info["exchange"], "envelope": body, **message}
