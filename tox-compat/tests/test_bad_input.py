"""What no honest peer sends: each gets a clear answer or none at all, and the service goes on."""

import contextlib
import json
import socket
import subprocess
import threading
import unittest
import uuid

import rig
import world

HOSTILE = {"instance_uuid": world.SEED, "source_host": "cmp-01", "dest_host": "cmp-02", "devices": [world.SEED_VF]}


def call(**fields):
    """A request that would be answered, as the inner message."""
    return {"method": "check_live_migration", "args": {"request": HOSTILE}, "version": "1.0",
            "_msg_id": uuid.uuid4().hex, "_timeout": None, "_unique_id": uuid.uuid4().hex, **fields}


class BadMessagesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = rig.Cloud()
        cls.addClassCleanup(cls.cloud.close)
        for host, device in [("cmp-01", world.seed_device()), ("cmp-02", world.target_device())]:
            cls.cloud.http_agent(host, lambda handler, host=host, device=device: rig.reply(
                handler, rig.snapshot(host, device)))
        cls.service = cls.cloud.serve()

    def setUp(self):
        self.raw = self.enterContext(self.cloud.raw())

    def assert_goes_on(self):
        """The next call is answered at once, and nothing was put back into the queues."""
        [reply] = self.raw.replies(self.raw.request("check_live_migration", args={"request": HOSTILE}))
        self.assertEqual("accept", reply["result"]["verdict"])
        for queue in (rig.TOPIC, f"{rig.TOPIC}.{rig.SERVER}"):
            self.assertEqual(0, self.raw.waiting(queue))

    def failure_of(self, msg_id):
        [reply] = self.raw.replies(msg_id)
        self.assertIsNone(reply["result"])
        return json.loads(reply["failure"])

    def test_undecodable(self):
        """Bodies that are no message are rejected, not requeued, and not answered."""
        def good():
            return call(_reply_q=self.raw.reply_queue)

        for name, body, properties in [
            ("not JSON", "]", {}),
            ("nothing", "", {}),
            ("not UTF-8", b"\xff\xfe{}", {}),
            ("an array", "[]", {}),
            ("null", "null", {}),
            ("a number", "7", {}),
            ("envelope 1.0", rig.envelope(good(), "1.0"), {}),
            ("envelope 2.5", rig.envelope(good(), "2.5"), {}),
            ("envelope 3.0", rig.envelope(good(), "3.0"), {}),
            ("envelope without minor", rig.envelope(good(), "2"), {}),
            ("envelope version is no string", json.dumps({"oslo.version": 2.0, "oslo.message": "{}"}), {}),
            ("inner is no string", json.dumps({"oslo.version": "2.0", "oslo.message": good()}), {}),
            ("inner is not JSON", json.dumps({"oslo.version": "2.0", "oslo.message": "{"}), {}),
            ("inner is an array", json.dumps({"oslo.version": "2.0", "oslo.message": "[1]"}), {}),
            ("inner is nested 100,000 times", json.dumps({"oslo.version": "2.0", "oslo.message": "[" * 100_000}), {}),
            ("text/plain", rig.envelope(good()), {"content_type": "text/plain"}),
            ("unknown compression", "\0\1", {"application_headers": {"compression": "application/x-evil"}}),
            ("not compressed", "\0\1", {"application_headers": {"compression": "application/x-gzip"}}),
        ]:
            with self.subTest(name):
                self.raw.publish(body, **properties)
                self.assert_goes_on()
                self.assertEqual([], self.raw.messages(0.05))
        self.assertEqual([], self.raw.messages(0.5))

    def test_unenveloped(self):
        """An object without envelope is the message itself, as Python has it."""
        message = call(_reply_q=self.raw.reply_queue)
        self.raw.publish(json.dumps(message))
        [reply] = self.raw.replies(message["_msg_id"])
        self.assertEqual("accept", reply["result"]["verdict"])

    def test_minimal_request(self):
        """Health probes send four fields and look for these words."""
        for method, said in [
            ("pod_health_probe_method_ignore_errors", "Endpoint does not support RPC method"),
            ("check_live_migration", "request"),
        ]:
            with self.subTest(method):
                msg_id = self.raw.request(method, args=..., version=..., _unique_id=...)
                self.assertIn(said, self.failure_of(msg_id)["message"])
                self.assert_goes_on()

    def test_odd_fields(self):
        """Fields of a wrong type are a failure reply of the form that oslo can rebuild, never silence or a crash."""
        for fields in [
            {"method": None}, {"method": 7}, {"method": {"a": 1}}, {"args": None}, {"args": []}, {"args": "x"},
            {"args": {"request": None}}, {"args": {"request": []}}, {"args": {"__proto__": {"request": HOSTILE}}},
            {"version": None}, {"version": 1.0}, {"version": "1"}, {"version": "one.two"}, {"version": []},
            {"namespace": 7}, {"namespace": {}},
        ]:
            with self.subTest(fields):
                msg_id = self.raw.request(**{"method": "check_live_migration", "args": {"request": HOSTILE}, **fields})
                replies = self.raw.replies(msg_id)
                self.assert_goes_on()
                self.assertEqual(1, len(replies), "no reply")
                self.assertIsNotNone(replies[0]["failure"], replies[0]["result"])
                failure = json.loads(replies[0]["failure"])
                self.assertTrue(all(isinstance(line, str) for line in failure["tb"]))
                self.assertIsInstance(failure["args"], list)
                self.assertIsInstance(failure["kwargs"], dict)

    def test_odd_timeout(self):
        """A call monitor that makes no sense means no heartbeats, not no answer."""
        for timeout in [0, -1, 1, 0.5, "2", "soon", True, [], {}, 1e300, 10 ** 20, [10 ** 20]]:
            with self.subTest(timeout):
                msg_id = self.raw.request("check_live_migration", args={"request": HOSTILE}, _timeout=timeout)
                [reply] = self.raw.replies(msg_id)
                self.assertEqual("accept", reply["result"]["verdict"])

    def test_hostile_reply_queue(self):
        """The caller names the reply queue: nothing arrives in a queue that is no reply queue, nobody is held up."""
        self.raw.listen("compute.other")
        for name in ["amq.rabbitmq.trace", "x" * 300, "é" * 200, "compute.other", "compute_fanout", rig.TOPIC,
                     f"{rig.TOPIC}.{rig.SERVER}", "reply_" + "f" * 32, "", None, 7, ["a"], {"a": 1}]:
            with self.subTest(name):
                self.raw.request("check_live_migration", args={"request": HOSTILE}, _reply_q=name)
                self.assert_goes_on()
        self.assertEqual([], self.raw.messages(1))

    def test_duplicate(self):
        """The same _unique_id twice, also while other calls go on, is one reply."""
        twice = {"args": {"request": HOSTILE}, "_unique_id": uuid.uuid4().hex, "_msg_id": uuid.uuid4().hex}
        self.raw.request("check_live_migration", **twice)
        self.raw.request("check_live_migration", **twice)
        self.assert_goes_on()
        self.raw.request("check_live_migration", **twice)
        self.assertEqual(1, len(self.raw.messages(1.5)))

    def test_no_reply_address(self):
        """_msg_id without _reply_q, and the reverse, cannot be answered and are survived."""
        for missing in [{"_reply_q": ...}, {"_msg_id": ...}, {"_msg_id": 7}]:
            self.raw.request("check_live_migration", args={"request": HOSTILE}, **missing)
            self.assert_goes_on()


def _reply_html(handler):
    rig.reply(handler, "<html><body>It works!</body></html>", content_type="text/html")


def _reply_huge(handler):
    """Never ends by itself; starts like a snapshot."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    handler.wfile.write(b'{"schema_version": "1.0", "host": "')
    for _ in range(2000):
        handler.wfile.write(b"x" * 1_000_000)


def _reply_half(handler):
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "5000")
    handler.end_headers()
    handler.wfile.write(b'{"schema_version": "1.0", ')


def _hang_up(handler):
    handler.connection.shutdown(socket.SHUT_RDWR)


class BadAgentsTest(unittest.TestCase):
    def test_garbage(self):
        """An agent that answers garbage makes the verdict unknown, with a code that says what kind of garbage."""
        cloud = rig.Cloud()
        self.addCleanup(cloud.close)
        cloud.http_agent("cmp-01", lambda handler: rig.reply(handler, rig.snapshot("cmp-01", world.seed_device())))
        good = rig.snapshot("cmp-02", world.target_device())
        real = cloud.http_agent("cmp-02", lambda handler: rig.reply(handler, good))
        device = world.target_device()
        table = {
            "html": (_reply_html, "agent.bad_reply"),
            "other-host": (lambda h: rig.reply(h, good), "agent.identity"),
            "huge": (_reply_huge, "agent.bad_reply"),
            "error": (lambda h: rig.reply(h, {"error": "boom"}, status=500), "agent.unavailable"),
            "not-found": (lambda h: rig.reply(h, {}, status=404), "agent.bad_reply"),
            "redirect": (lambda h: rig.reply(h, "", status=302, Location=real.url + "/v1/snapshot"), "agent.bad_reply"),
            "empty": (lambda h: rig.reply(h, ""), "agent.bad_reply"),
            "half": (_reply_half, None),
            "hang-up": (_hang_up, None),
            "null": (lambda h: rig.reply(h, "null"), "agent.bad_reply"),
            "array": (lambda h: rig.reply(h, "[]"), "agent.bad_reply"),
            "no-devices": (lambda h: rig.reply(h, {"schema_version": "1.0", "host": "no-devices"}), "agent.bad_reply"),
            "schema-2": (lambda h: rig.reply(h, {**good, "schema_version": "2.0", "host": "schema-2"}),
                         "agent.bad_reply"),
            "odd-device": (lambda h: rig.reply(h, rig.snapshot("odd-device", {**device, "attributes": {"a": 1}})),
                           "agent.bad_reply"),
        }
        for name, (answer, _) in table.items():
            cloud.http_agent(name, answer)
        cloud.serve()
        self.assertEqual("accept", cloud.check("cmp-01", "cmp-02", instance_uuid=world.SEED)["verdict"])
        for name, (_, code) in table.items():
            with self.subTest(name):
                decision = cloud.check("cmp-01", name, instance_uuid=world.SEED, timeout=14)
                self.assertEqual(("unknown", False, {}),
                                 (decision["verdict"], decision["allowed"], decision["mapping"]), decision)
                [reason] = [reason for reason in decision["reasons"] if reason["severity"] == "error"]
                self.assertTrue(reason["code"].startswith("agent."), reason)
                if code:
                    self.assertEqual(code, reason["code"], reason)
        self.assertEqual("accept", cloud.check("cmp-01", "cmp-02", instance_uuid=world.SEED)["verdict"])


class BadConfigurationTest(unittest.TestCase):
    """A configuration with a mistake: exit 78, file:line:column on stderr, nothing opened."""

    def refused(self, *lines):
        """Runs `serve` with these lines after the transport_url of a port that must not be touched."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            touched = []

            def accept():
                with contextlib.suppress(OSError):
                    touched.append(listener.accept())

            threading.Thread(target=accept, daemon=True).start()
            file = rig.FOLDER / f"typo-{uuid.uuid4().hex}.yaml"
            port = listener.getsockname()[1]
            file.write_text("\n".join([f"transport_url: rabbit://guest:{rig.PASSWORD}@127.0.0.1:{port}/", *lines]) + "\n")
            done = subprocess.run(["node", rig.MAIN, "serve", "--config-file", file], capture_output=True, text=True,
                                  timeout=60)
            listener.shutdown(socket.SHUT_RDWR)
        self.assertEqual([], touched)
        return file, done

    def test_typos(self):
        """The place of the mistake is named as an editor understands it."""
        for line, name, lines in [
            (3, "unknown key", ["host: novacompat-1", "agent_time_out: 7", "agents: {}"]),
            (3, "wrong type", ["host: novacompat-1", "max_check_time: soon", "agents: {}"]),
            (4, "wrong value in a map", ["host: novacompat-1", "agents:", "  cmp-01: 7"]),
            (3, "the same key twice", ["host: novacompat-1", "host: novacompat-2", "agents: {}"]),
            (2, "not YAML", ["agents: {cmp-01: \"http://127.0.0.1:1\""]),
        ]:
            with self.subTest(name):
                file, done = self.refused(*lines)
                self.assertEqual(78, done.returncode, done.stderr)
                # An open bracket may be reported where it opens or where the file ends.
                place = rf"{file}:{line}:\d+" if name != "not YAML" else rf"{file}:[23]:\d+"
                self.assertRegex(done.stderr, place)
                self.assertNotIn("    at ", done.stderr, "a stack trace is no help to an operator")

    def test_no_file(self):
        """A file that is not there is named."""
        done = subprocess.run(["node", rig.MAIN, "serve", "--config-file", rig.FOLDER / "absent.yaml"],
                              capture_output=True, text=True, timeout=60)
        self.assertNotEqual(0, done.returncode)
        self.assertIn("absent.yaml", done.stderr)
