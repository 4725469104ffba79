"""Releases side by side, as while an upgrade lasts: the hook of one, the service of another."""

from unittest import mock

import oslo_messaging

import hook_case
import rig
import world
from hook_case import INSTANCE, VGPU
from novacompat import rpcapi

REQUEST = {"instance_uuid": world.SEED, "source_host": "cmp-01", "dest_host": "cmp-02"}
# Of a release to come: what this one does not know.
NEWER = {**REQUEST, "flavor_extra_specs": {}, "pci_requests": [{"alias_name": "vf", "count": 1, "weight": 7}], "vifs": [],
         "downtime": {"at_most": 300}}
UNSUPPORTED = "UnsupportedVersion: Endpoint does not support RPC version {}. Attempted method: {}"


class OtherHooksTest(hook_case.HookCase):
    """The service of this release, asked by the hooks of others."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        world.build(cls.cloud)
        cls.cloud.start_agents()
        cls.cloud.serve()

    def call(self, version, method, **arguments):
        """As the client of the hook does it, in whatever release."""
        return rpcapi.MigrationCompatAPI()._call(self.context, version, method, **arguments)

    def test_older(self):
        """It asks in the version that it knows, and tells no more than was asked for then."""
        decision = self.call("1.0", "check_live_migration", request=REQUEST)
        self.assertEqual(("accept", {world.SEED_VF: world.TARGET_VF}), (decision["verdict"], decision["mapping"]))

    def test_newer(self):
        """What it says beyond that is ignored."""
        decision = self.call("1.0", "check_live_migration", request=NEWER)
        self.assertEqual(("accept", {world.SEED_VF: world.TARGET_VF}), (decision["verdict"], decision["mapping"]))
        ranking = self.call("1.1", "rank_destinations", request={**NEWER, "dest_hosts": ["cmp-02", "cmp-03"]})
        self.assertEqual([("cmp-02", "accept"), ("cmp-03", "reject")],
                         [(host["host"], host["verdict"]) for host in ranking["hosts"]])

    def test_newer_wants_more(self):
        """A call that this release does not know is no answer: on_error decides, at once, however often."""
        self.assertEqual(INSTANCE, world.SEED)
        for name, version, method, arguments, why in [
                ("a newer version", "1.2", "check_live_migration", {}, UNSUPPORTED.format("1.2", "check_live_migration")),
                ("a new major version", "2.0", "check_live_migration", {}, UNSUPPORTED.format("2.0", "check_live_migration")),
                ("a new method", "1.1", "reserve", {}, "NoSuchMethod: Endpoint does not support RPC method reserve"),
                ("a new argument in an old version", "1.0", "check_live_migration", {"migration": {}},
                 "TypeError: check_live_migration() got an unexpected keyword argument 'migration'"),
        ]:
            def newer(api, context, request):
                return rpcapi._decision(api._call(context, version, method, request=request, **arguments))

            why = f"novacompat failed: {why}"
            unchecked = f"Live migration to host cmp-02 is not checked: {why}"
            for devices, on_error, expected in [
                    (VGPU, "reject", (f"{why} (on_error = reject)",
                                      [f"Host cmp-02 is rejected for live migration: {why} (on_error = reject)"])),
                    (VGPU, "accept", (None, [f"{unchecked} (on_error = accept)"])),
                    ({}, "reject", (None, [f"{unchecked} (no device that stays attached is known)"])),
            ]:
                with self.subTest(name, devices=devices, on_error=on_error), \
                        mock.patch.object(rpcapi.MigrationCompatAPI, "check_live_migration", newer):
                    self.set(on_error=on_error)
                    self.assertEqual(expected, self.ask(devices))
        # It answers, so that nothing keeps a hook of this release from asking.
        self.assertEqual((None, []), self.ask({"aliases": 1}))


class OlderServiceTest(hook_case.HookCase):
    """The hook of this release, with a service that knows version 1.0 only."""

    class Service:
        target = oslo_messaging.Target(version="1.0")

        def check_live_migration(self, context, request):
            return {"allowed": request["dest_host"] == "cmp-02"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        server = oslo_messaging.get_rpc_server(
            cls.transport, oslo_messaging.Target(topic=rig.TOPIC, server="older"), [cls.Service()], executor="threading")
        server.start()
        cls.addClassCleanup(server.wait)
        cls.addClassCleanup(server.stop)

    def test_check(self):
        """Each method is asked for in the version in which it came: the check is one of 1.0."""
        self.assertEqual((None, []), self.ask(VGPU))

    def test_rank(self):
        """The scheduler's filter gets no answer, and lets all hosts pass."""
        with self.assertRaisesRegex(rpcapi.NoAnswer, "novacompat failed: " + UNSUPPORTED.format("1.1", "rank_destinations")):
            rpcapi.MigrationCompatAPI().rank_destinations(self.context, {**REQUEST, "dest_hosts": ["cmp-02"]})
        self.assertEqual((None, []), self.ask(VGPU))
