"""The hook as nova-conductor has it, on a bus of the test's own; what it would write into Nova's database is kept."""

import logging
import pathlib
import tempfile
import unittest
from unittest import mock

import nova.conf
import nova.context
import nova.exception
import nova.objects
import nova.rpc
import oslo_messaging

import rig
import test_nova
from novacompat import breaker
from novacompat import hook
from novacompat import rpcapi

CONF = nova.conf.CONF
INSTANCE = "0e1d9b52-52f6-4a6c-8a1f-4d5f00000001"
VGPU = {"vgpus": 1}
ALIAS = {"aliases": 1}


class HookCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        nova.objects.register_all()
        cls.cloud = rig.Cloud()
        cls.addClassCleanup(cls.cloud.close)
        cls.transport = nova.rpc.create_transport(cls.cloud.url)
        cls.addClassCleanup(cls.transport.cleanup)
        patch = mock.patch.object(nova.rpc, "TRANSPORT", cls.transport)
        patch.start()
        cls.addClassCleanup(patch.stop)

    @classmethod
    def serve(cls, endpoint):
        """A real oslo.messaging server in the service's place."""
        server = oslo_messaging.get_rpc_server(
            cls.transport, oslo_messaging.Target(topic=rig.TOPIC, server="python"), [endpoint], executor="threading")
        server.start()
        cls.addClassCleanup(server.wait)
        cls.addClassCleanup(server.stop)
        return endpoint

    def setUp(self):
        self.set(mode="enforce", on_error="reject", timeout=10)
        self.context = nova.context.RequestContext(
            "user", "project", auth_token="canary-token", service_catalog=[{"type": "image", "name": "canary-catalog"}],
            roles=["admin"], remote_address="192.0.2.66", user_name="canary-name")
        self.events = []
        for patch in [mock.patch.object(rpcapi, "_breaker", breaker.Breaker()),
                      mock.patch.object(nova.objects.InstanceActionEvent, "event_start", self._start),
                      mock.patch.object(nova.objects.InstanceActionEvent, "event_finish_with_failure", self._finish)]:
            patch.start()
            self.addCleanup(patch.stop)

    def _start(self, context, instance_uuid, event, **_):
        self.events.append((event, instance_uuid))

    def _finish(self, context, instance_uuid, event, exc_val, **_):
        self.events.append((event, exc_val and str(exc_val)))

    def set(self, **options):
        for name, value in options.items():
            CONF.set_override(name, value, group="migration_compat")
            self.addCleanup(CONF.clear_override, name, group="migration_compat")

    def read(self, **options):
        """As nova-conductor reads nova.conf, which has these options and no others of ours."""
        for name in ("mode", "on_error", "timeout"):
            CONF.clear_override(name, group="migration_compat")
        folder = tempfile.TemporaryDirectory(dir=rig.FOLDER)
        self.addCleanup(folder.cleanup)
        file = pathlib.Path(folder.name) / "nova.conf"
        file.write_text("\n".join(["[migration_compat]", *(f"{name} = {value}" for name, value in options.items()), ""]))
        CONF([], default_config_files=[str(file)], default_config_dirs=[])
        self.addCleanup(CONF, [], default_config_files=[], default_config_dirs=[])
        return file

    def ask(self, devices):
        """Whether an instance with these devices may go to cmp-02: the reason of the refusal, or None, and WARNINGs."""
        instance = test_nova.instance(self.context, INSTANCE, **devices)
        with self.assertLogs("novacompat", logging.DEBUG) as logs:
            logging.getLogger("novacompat").debug("assertLogs wants one")
            try:
                hook.check(self.context, instance, "cmp-02")
                reason = None
            except Exception as error:
                self.assertIs(nova.exception.MigrationPreCheckError, type(error))
                reason = error.kwargs["reason"]
                self.assertEqual(f"Migration pre-check error: {reason}", str(error))
                self.assertLessEqual(len(str(error)), 255)
        return reason, [record.getMessage() for record in logs.records if record.levelno >= logging.WARNING]
