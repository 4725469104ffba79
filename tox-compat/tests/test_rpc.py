"""The service as an oslo.messaging RPC server: dispatch, casts, fanout, call monitor, several servers."""

import time
import unittest
import uuid

import oslo_messaging

import rig
import world

REQUEST = {"source_host": "cmp-01", "dest_host": "cmp-02", "instance_uuid": world.SEED}


def request(instance_uuid):
    """A question whose instance uuid can be found in the log of the service that answered it."""
    return {**REQUEST, "instance_uuid": instance_uuid, "devices": [world.SEED_VF]}


class RpcTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = rig.Cloud()
        cls.addClassCleanup(cls.cloud.close)
        for host, device in [("cmp-01", world.seed_device()), ("cmp-02", world.target_device())]:
            cls.cloud.http_agent(host, lambda handler, host=host, device=device: rig.reply(
                handler, rig.snapshot(host, device)))

        def slow(handler):
            time.sleep(2.2)
            rig.reply(handler, rig.snapshot("cmp-slow", world.target_device()))

        cls.cloud.http_agent("cmp-slow", slow)
        cls.cloud.http_agent("cmp-silent", lambda handler: time.sleep(20))
        cls.service = cls.cloud.serve()

    def assert_answers(self):
        decision = self.cloud.call("check_live_migration", request=request(str(uuid.uuid4())))
        self.assertEqual("accept", decision["verdict"])

    def test_rank_destinations(self):
        """1.1: every host with its decision, the best first; a client that asks in version 1.0 is served all the same."""
        asked = {"source_host": "cmp-01", "dest_hosts": ["cmp-unheard-of", "cmp-02"], "instance_uuid": world.SEED,
                 "devices": [world.SEED_VF]}
        for version in ["1.1", "1.0"]:
            reply = self.cloud.call("rank_destinations", target={"version": version}, request=asked)
            self.assertEqual([("cmp-02", "accept"), ("cmp-unheard-of", "unknown")],
                             [(host["host"], host["verdict"]) for host in reply["hosts"]], reply)
            for host in reply["hosts"]:
                self.assertLessEqual(len(host["text"].encode()), 228)
                self.assertTrue(host["text"].endswith(f"[{host['id']}]"), host)

    def assert_refused(self, exc_type, method, **target):
        with self.assertRaises(oslo_messaging.RemoteError) as caught:
            self.cloud.call(method, target=target)
        self.assertEqual(exc_type, caught.exception.exc_type, caught.exception.value)
        return caught.exception.value

    def test_unknown_method(self):
        """As oslo's dispatcher: names that nobody exposed, private or inherited ones among them, are no methods."""
        for method in ["no_such_method", "_x", "_private", "__init__", "__class__", "constructor", "toString",
                       "__proto__", "hasOwnProperty", "valueOf", "dispatch", "get", ""]:
            with self.subTest(method):
                said = self.assert_refused("NoSuchMethod", method)
                self.assertEqual(f"Endpoint does not support RPC method {method}", said)
        self.assert_answers()

    def test_version(self):
        """Another major or a higher minor is UnsupportedVersion; a version of the other endpoint lacks the method."""
        for version in ["1.2", "1.10", "2.0", "0.9"]:
            with self.subTest(version):
                self.assert_refused("UnsupportedVersion", "check_live_migration", version=version)
        self.assert_refused("UnsupportedVersion", "check_can_live_migrate_destination", version="7.0")
        self.assert_refused("UnsupportedVersion", "check_can_live_migrate_destination", version="4.9")
        self.assert_refused("NoSuchMethod", "check_live_migration", version="6.0")
        self.assert_refused("NoSuchMethod", "check_can_live_migrate_destination", version="1.0")
        self.assert_answers()

    def test_namespace(self):
        """Beside the null namespace only Nova's baseapi exists; the empty string is not null."""
        for namespace in ["compute_task", ""]:
            with self.subTest(namespace):
                self.assert_refused("UnsupportedVersion", "check_live_migration", namespace=namespace)
        self.assert_refused("NoSuchMethod", "check_live_migration", namespace="baseapi")
        self.assert_refused("UnsupportedVersion", "ping", namespace="baseapi", version="1.2")
        self.assert_answers()

    def test_base_api(self):
        """nova.baserpc.BaseAPI: by what Nova asks whether a service is alive."""
        for version in ["1.0", "1.1"]:
            target = {"namespace": "baseapi", "version": version}
            self.assertEqual({"service": rig.TOPIC, "arg": ["x", None]},
                             self.cloud.call("ping", target=target, arg=["x", None]))
        target = {"namespace": "baseapi", "version": "1.1", "server": rig.SERVER}
        self.assertIsNone(self.cloud.call("get_backdoor_port", target=target))

    def test_arguments(self):
        """Arguments that do not fit are a TypeError in Python's words, as if the method were Python's."""
        for arguments, said in [({}, "request"), ({"request": {}, "zz": 1}, "zz")]:
            with self.subTest(arguments), self.assertRaisesRegex(TypeError, f"argument:? '{said}'"):
                self.cloud.call("check_live_migration", **arguments)

    def test_python_values(self):
        """P7, P8: values that JSON in JavaScript does not have (NaN, Infinity, integers over 2^53) come back as sent."""
        values = [2 ** 70, 2 ** 53 + 1, -2 ** 64, 1e20, 1e22, 0.1, "\U0001f600é\0", "\ud800", float("nan"),
                  float("inf"), -float("inf"), {"__proto__": 2 ** 63, "": [None, True]}]
        echo = self.cloud.call("ping", target={"namespace": "baseapi", "version": "1.1"}, arg=values)
        self.assertEqual(repr(values), repr(echo["arg"]))
        for value in values:
            with self.subTest(value):
                decision = self.cloud.call("check_live_migration",
                                           request={**request(str(uuid.uuid4())), "odd": value})
                self.assertEqual("accept", decision["verdict"])

    def test_compression(self):
        """P23: a client that compresses its messages; what oslo's help calls bz2 has another name in kombu."""
        target = oslo_messaging.Target(exchange=rig.EXCHANGE, topic=rig.TOPIC, namespace="baseapi", version="1.1")
        for compression in ["gzip", "zlib", "bzip2", "application/x-bz2"]:
            with self.subTest(compression):
                transport = oslo_messaging.get_rpc_transport(
                    rig.CONF, f"{self.cloud.url}?kombu_compression={compression}")
                self.addCleanup(transport.cleanup)
                client = oslo_messaging.get_rpc_client(transport, target)
                self.assertEqual({"service": rig.TOPIC, "arg": "é" * 9000},
                                 client.prepare(timeout=20).call({}, "ping", arg="é" * 9000))

    def test_cast(self):
        """A cast is done and gets no reply, whatever comes of it; the service goes on."""
        done = str(uuid.uuid4())
        self.cloud.cast("check_live_migration", request=request(done))
        self.cloud.cast("no_such_method")
        self.cloud.cast("check_live_migration")
        self.service.wait_for_log(done)
        self.assert_answers()

    def test_fanout(self):
        """A fanout cast arrives: the exchange migration_compat_fanout is the one that oslo publishes to."""
        done = str(uuid.uuid4())
        self.cloud.cast("check_live_migration", target={"fanout": True}, request=request(done))
        self.service.wait_for_log(done)
        self.assert_answers()

    def test_call_monitor(self):
        """A check of 2.2 s outlives a call monitor of 2 s by heartbeats; a caller without monitor never sees one.

        oslo's client dies with AttributeError when it gets a heartbeat that it did not ask for.
        """
        slow = {**request(str(uuid.uuid4())), "dest_host": "cmp-slow"}

        def call(monitor):
            start = time.monotonic()
            decision = self.cloud.call("check_live_migration", timeout=30, call_monitor_timeout=monitor, request=slow)
            return decision["verdict"], time.monotonic() - start

        def frames(monitor):
            with self.cloud.raw() as raw:
                msg_id = raw.request("check_live_migration", args={"request": slow}, _timeout=monitor)
                replies = raw.replies(msg_id)
                return replies, raw.messages(2.5)

        (monitored, seconds), (plain, _), (with_frames, after), (without_frames, _) = rig.in_parallel(
            lambda: call(2), lambda: call(None), lambda: frames(2), lambda: frames(None))
        self.assertEqual(("accept", "accept"), (monitored, plain))
        self.assertGreater(seconds, 2)
        *heartbeats, last = with_frames
        self.assertIn(len(heartbeats), (1, 2))
        for beat in heartbeats:
            self.assertEqual((None, None, False), (beat["result"], beat["failure"], beat["ending"]))
        self.assertEqual(("accept", True), (last["result"]["verdict"], last["ending"]))
        self.assertEqual([], after, "a heartbeat followed the reply")
        self.assertEqual([True], [reply["ending"] for reply in without_frames])

    def test_slow_check_holds_up_nobody(self):
        """Ten quick calls are answered while one is on that waits for an agent until agent_timeout."""
        silent = {**request(str(uuid.uuid4())), "dest_host": "cmp-silent"}

        def one():
            verdict = self.cloud.call("check_live_migration", request=silent)["verdict"]
            return verdict, time.monotonic()

        def quick():
            time.sleep(0.5)
            rig.in_parallel(*[self.assert_answers] * 10)
            return time.monotonic()

        (answer, slow_end), quick_end = rig.in_parallel(one, quick)
        self.assertEqual("unknown", answer)
        self.assertLess(quick_end, slow_end)

    def test_two_services(self):
        """Two services share a topic: both take work from it, each is reachable by name, a fanout reaches both."""
        second = self.cloud.serve("novacompat-2")
        services = {rig.SERVER: self.service, "novacompat-2": second}
        try:
            shared = [str(uuid.uuid4()) for _ in range(20)]
            rig.in_parallel(*[lambda uuid_=uuid_: self.cloud.call("check_live_migration", request=request(uuid_))
                              for uuid_ in shared])
            for name, service in services.items():
                taken = [uuid_ for uuid_ in shared if uuid_ in service.log()]
                self.assertGreater(len(taken), 0, f"{name} took no work")
                self.assertLess(len(taken), 20, f"{name} took all work")
            for name, service in services.items():
                own = str(uuid.uuid4())
                self.cloud.call("check_live_migration", target={"server": name}, request=request(own))
                services[name].wait_for_log(own)
                self.assertEqual([name], [other for other in services if own in services[other].log()])
            for_all = str(uuid.uuid4())
            self.cloud.cast("check_live_migration", target={"fanout": True}, request=request(for_all))
            for service in services.values():
                service.wait_for_log(for_all)
        finally:
            second.kill()
        self.assert_answers()
