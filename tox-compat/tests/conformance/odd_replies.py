"""The replies: what a client may find in its reply queue. A row is (name, publications, options of the call).

A publication is built from the request that is being answered, by `reply(...)`, which overrides or removes (...) fields of
an ordinary answer. After WAIT the next publication is sent a second later.
"""

import bz2
import dataclasses
import json
import uuid
import zlib

from conformance.messages import RAW, Publication, envelope, nested

WAIT = "wait"
# More than any reply of the table takes, but for those that never come; a multiple of the 0.5 s after which
# oslo.messaging 14.8 to 18.1 looks at its reply queue.
TIMEOUT = 8


@dataclasses.dataclass
class Reply:
    section: str
    name: str
    build: object  # request -> list of Publication or WAIT
    timeout: float = TIMEOUT
    monitor: float | None = None


def reply(raw=None, seal=envelope, times=1, properties=None, **fields):
    def build(request):
        message = {"result": 7, "failure": None, "ending": True, "_msg_id": request["_msg_id"],
                   "_unique_id": uuid.uuid4().hex, **fields}
        message = {name: value for name, value in message.items() if value is not ...}
        inner = json.dumps(message).replace(json.dumps(RAW), raw or "null")
        return [Publication(seal(inner), properties or {})] * times
    return build


def value(text):
    return reply(raw=text, result=RAW)


def body(data, **properties):
    return lambda _request: [Publication(data, properties)]


def compressed(compress, name):
    return reply(seal=lambda inner: compress(envelope(inner)),
                 properties={"application_headers": {"compression": name}})


def failure(raw=None, result=None, **fields):
    """An answer with a failure, by default a ValueError; `raw` is its text instead."""
    described = {"class": "ValueError", "module": "builtins", "message": "no", "tb": ["Traceback\n", "ValueError: no\n"],
                 "args": ["no"], "kwargs": {}, **fields}
    described = {name: value for name, value in described.items() if value is not ...}
    return reply(result=result, failure=json.dumps(described) if raw is None else raw)


def remote(name, **fields):
    """A failure of a class that the client may rebuild, as Nova's client those of nova.exception."""
    return failure(**{"class": name, "module": "remote_errors", "tb": [], **fields})


def several(*builds):
    return lambda request: [publication for build in builds
                            for publication in ([WAIT] if build is WAIT else build(request))]


heartbeat = reply(result=None, ending=False)

FRAMES = [
    ("plain reply", reply()),
    ("no reply", lambda _request: []),
    ("no envelope", reply(seal=str.encode)),
    ("compact JSON", reply(seal=lambda inner: envelope(inner).replace(b'": ', b'":'))),
    ("envelope 1.0, no other reply", reply(seal=lambda inner: envelope(inner, "1.0"))),
    ("envelope 2.0.0", reply(seal=lambda inner: envelope(inner, "2.0.0"))),
    ("body is not JSON, then a reply", several(body(b"]"), reply())),
    ("body is empty, then a reply", several(body(b""), reply())),
    ("body is an array, then a reply", several(body(b"[1]"), reply())),
    ("inner message not in a string, then a reply", several(
        body(b'{"oslo.version": "2.0", "oslo.message": {}}'), reply())),
    ("content_type text/plain", reply(properties={"content_type": "text/plain"})),
    ("content_type with charset", reply(properties={"content_type": "application/json; charset=utf-8"})),
    ("content_encoding missing", reply(properties={"content_encoding": None})),
    ("headers missing", reply(properties={"application_headers": None})),
    ("compression gzip (zlib format)", compressed(zlib.compress, "application/x-gzip")),
    ("compression bz2", compressed(bz2.compress, "application/x-bz2")),
    ("compression unknown", compressed(zlib.compress, "application/x-evil")),
    ("correlation_id and reply_to", reply(properties={"correlation_id": "7", "reply_to": "x"})),
]
FIELDS = [
    ("result missing", reply(result=...)),
    ("failure missing", reply(failure=...)),
    ("ending missing", reply(ending=...)),
    ("ending missing, result null", reply(ending=..., result=None)),
    ("ending null", reply(ending=None)),
    ("ending 1", reply(ending=1)),
    ("ending \"true\"", reply(ending="true")),
    ("ending 0", reply(ending=0)),
    ("_msg_id missing, then a reply", several(reply(_msg_id=...), reply())),
    ("_msg_id of nobody, then a reply", several(reply(_msg_id="f" * 32, result=8), reply())),
    ("_msg_id a number, then a reply", several(reply(_msg_id=7, result=8), reply())),
    ("_msg_id an object, then a reply", several(reply(_msg_id={}, result=8), reply())),
    ("_msg_id __proto__, then a reply", several(reply(_msg_id="__proto__", result=8), reply())),
    ("_unique_id missing", reply(_unique_id=...)),
    ("the same reply twice", reply(times=2)),
    ("two replies: the first counts", several(reply(result=1), reply(result=2))),
    ("the value, then the end (before Newton)", several(reply(ending=False), reply(result=None))),
    ("unknown fields", reply(x=1, log_failure=True)),
    ("reply after 1 s", several(WAIT, reply())),
]
VALUES = [
    *((text, value(text)) for text in [
        "null", "false", "0", '""', "[]", "{}", "1.0", "-0.0", "NaN", "[Infinity, -Infinity]", "1e400",
        "9007199254740993", "1180591620717411303424", '"\\ud83d\\ude00"', '"\\ud800"', '{"__proto__": {"x": 1}}',
        '{"a": 1, "a": 2}']),
    ("60 arrays nested", value(nested(60))),
    ("100,000 arrays nested", value(nested(100_000))),
    ("string of 1 MB", value(json.dumps("x" * 1_000_000))),
    ("string of 5 MB", value(json.dumps("x" * 5_000_000))),
]
FAILURES = [
    ("ValueError", failure()),
    ("module exceptions (Python 2)", failure(module="exceptions")),
    ("no such class in builtins", failure(**{"class": "NoSuchError"})),
    ("class is a function: builtins.eval", failure(**{"class": "eval", "args": ["1+1"]})),
    ("class SystemExit, no Exception", failure(**{"class": "SystemExit"})),
    ("class KeyError", failure(**{"class": "KeyError", "args": ["k"], "message": "'k'"})),
    ("foreign module", failure(**{"class": "MissingError", "module": "nova.other"})),
    ("dispatcher's NoSuchMethod", failure(**{
        "class": "NoSuchMethod", "module": "oslo_messaging.rpc.dispatcher",
        "message": "Endpoint does not support RPC method m", "args": ["Endpoint does not support RPC method m"]})),
    ("rebuilt", remote("Plain")),
    ("rebuilt, with kwargs", remote("WithKwargs", message="foo", args=["foo"], kwargs={"code": 500})),
    ("rebuilt, kwargs with message", remote("WithKwargs", message="foo", args=["foo"], kwargs={"message": "foo"})),
    ("rebuilt, unknown kwargs", remote("Plain", kwargs={"code": 500})),
    ("rebuilt, its constructor raises", remote("Picky")),
    ("rebuilt, class does not exist", remote("NewerThanTheClient")),
    ("rebuilt, class is no class", remote("NOT_A_CLASS")),
    ("rebuilt, class is no exception", remote("NotAnException")),
    ("names that end in _Remote", failure(**{"class": "ValueError_Remote", "module": "builtins_Remote"})),
    ("class missing", failure(**{"class": ...})),
    ("module missing", failure(module=...)),
    ("class null", failure(**{"class": None})),
    ("module null", failure(module=None)),
    ("message missing", failure(message=...)),
    ("message null", failure(message=None)),
    ("tb missing", failure(tb=...)),
    ("tb null", failure(tb=None)),
    ("tb a string", failure(tb="Traceback")),
    ("tb of numbers", failure(tb=[7])),
    ("args missing", failure(args=...)),
    ("args null", failure(args=None)),
    ("kwargs missing", failure(kwargs=...)),
    ("kwargs null", failure(kwargs=None)),
    ("message of 100,000 letters", failure(message="x" * 100_000, args=["x" * 100_000])),
    ("failure is an object", reply(result=None, failure={"class": "ValueError", "module": "builtins"})),
    ("failure is empty text", reply(failure="")),
    ("failure is false", reply(failure=False)),
    ("failure is not JSON", failure(raw="it broke")),
    ("failure is JSON null", failure(raw="null")),
    ("failure is an array", failure(raw="[]")),
    ("failure and result", failure(result=7)),
    ("failure without end", reply(result=None, ending=False, failure=json.dumps(
        {"class": "ValueError", "module": "builtins", "message": "no", "tb": [], "args": ["no"], "kwargs": {}}))),
]
# Two signs of life may be so many seconds apart.
MONITOR = 4
MONITORED = [
    ("heartbeats, then a reply, call monitor", several(*[WAIT, heartbeat] * MONITOR, WAIT, reply()),
     TIMEOUT + MONITOR, MONITOR),
    ("heartbeat that nobody asked for, then a reply", several(heartbeat, WAIT, reply())),
    ("one heartbeat, then nothing, call monitor", heartbeat, TIMEOUT + MONITOR, MONITOR),
    ("reply later than the call monitor allows", several(*[WAIT] * (MONITOR + 2), reply()), TIMEOUT + MONITOR, MONITOR),
]

REPLIES = [Reply(section, *row) for section, rows in {
    "Frames": FRAMES, "Fields": FIELDS, "Values": VALUES, "Failures": FAILURES, "Call monitor": MONITORED,
}.items() for row in rows]
