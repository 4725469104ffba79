"""Nova's own compute RPC client talks to nova-computes; a service in the shadow hears it and takes nothing away."""

import unittest
from unittest import mock

import nova.compute.rpcapi
import nova.conf
import nova.context
import nova.exception
import nova.objects
import nova.objects.base
import nova.rpc
import oslo_messaging

import rig
import test_nova
import world

# The user of config/README.md that may do nothing but listen in: configure, write, read.
USER = "novacompat-tap"
PERMISSIONS = [r"^novacompat\..*", r"^novacompat\..*", r"^(nova|novacompat\..*)$"]
TOKEN = "s3cr3t-token"


class Compute:
    """As much of nova-compute as a live migration asks before it begins."""

    target = oslo_messaging.Target(version="6.1")

    def __init__(self, host):
        self._host, self.heard = host, []

    @oslo_messaging.expected_exceptions(nova.exception.MigrationPreCheckError)
    def check_can_live_migrate_destination(self, context, instance, block_migration, disk_over_commit, migration, limits):
        self.heard.append(("check", instance.uuid))
        if self._host == "cmp-04":
            raise nova.exception.MigrationPreCheckError(reason="no room")
        return nova.objects.LibvirtLiveMigrateData(is_volume_backed=False)

    def live_migration(self, context, dest, instance, block_migration, migration, migrate_data):
        self.heard.append(("live_migration", instance.uuid, dest))


class ShadowTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        nova.objects.register_all()
        cls.cloud = rig.Cloud()
        cls.addClassCleanup(cls.cloud.close)
        world.build(cls.cloud)
        cls.cloud.start_agents()
        transport = nova.rpc.create_transport(cls.cloud.url)
        cls.addClassCleanup(transport.cleanup)
        for patch in [mock.patch.object(nova.rpc, "TRANSPORT", transport),
                      mock.patch.object(nova.compute.rpcapi, "_ROUTER", None)]:
            patch.start()
            cls.addClassCleanup(patch.stop)
        cls.computes = {host: Compute(host) for host in ("cmp-01", "cmp-02", "cmp-04")}
        for host, compute in cls.computes.items():
            server = oslo_messaging.get_rpc_server(
                transport, oslo_messaging.Target(exchange=rig.EXCHANGE, topic="compute", server=host), [compute],
                executor="threading", serializer=nova.objects.base.NovaObjectSerializer())
            server.start()
            cls.addClassCleanup(server.wait)
            cls.addClassCleanup(server.stop)
        control = cls.cloud.broker.control
        control("add_user", USER, rig.PASSWORD)
        control("set_permissions", "-p", cls.cloud.vhost, USER, *PERMISSIONS)
        url = cls.cloud.url.replace("guest:", f"{USER}:")
        cls.service = cls.cloud.serve(transport_url=None, shadow={"cell1": {"transport_url": url}})

    def migrate(self, uuid, *destinations):
        """What the conductor's LiveMigrationTask sends: one destination after the other, then the cast to the source."""
        context = nova.context.RequestContext("user", "project", auth_token=TOKEN, roles=["admin"])
        instance = test_nova.instance(context, uuid, **test_nova.DEVICES[uuid])
        migration = test_nova.migration(context, uuid, None)
        api = nova.compute.rpcapi.ComputeAPI()
        for host in destinations:
            try:
                data = api.check_can_live_migrate_destination(context, instance, host, None, None, migration, None)
            except nova.exception.MigrationPreCheckError:
                continue
            api.live_migration(context, instance, host, None, "cmp-01", migration, data)
            return context.request_id
        return context.request_id

    def test_accepted(self):
        """Both say yes; nova-compute on both hosts has heard everything, once."""
        request_id = self.migrate(world.SEED, "cmp-02")
        line = self.service.wait_for_log(
            rf".*INFO.* {request_id} .*instance: {world.SEED}.*cmp-01 -> cmp-02: would accept, Nova accepted; accept.*")
        self.assertIn(f"{world.SEED_VF} -> {world.TARGET_VF}", line.group(0))
        self.assertEqual([("check", world.SEED)], self.heard("cmp-02", world.SEED))
        rig.wait_until(lambda: self.heard("cmp-01", world.SEED), 30, "the cast to the source")
        self.assertEqual([("live_migration", world.SEED, "cmp-02")], self.heard("cmp-01", world.SEED))

    def test_next_host(self):
        """Nova refuses one host and takes the next, which we would have refused: a line for each."""
        request_id = self.migrate(world.OLD, "cmp-04", "cmp-02")
        self.service.wait_for_log(rf"{request_id} .*cmp-01 -> cmp-04: would reject, Nova refused; reject")
        self.service.wait_for_log(
            rf"{request_id} .*cmp-01 -> cmp-02: would reject, Nova accepted; reject.*interface_version 2\.0\.1 is not accepted")

    def test_nothing_confidential(self):
        """Neither Nova's token nor the password of the broker is in the log."""
        self.migrate(world.TWO_MDEVS, "cmp-02")
        self.service.wait_for_log(rf"instance: {world.TWO_MDEVS}.*Nova accepted")
        for secret in (TOKEN, rig.PASSWORD):
            self.assertNotIn(secret, self.service.log())

    def heard(self, host, uuid):
        return [message for message in self.computes[host].heard if message[1] == uuid]


if __name__ == "__main__":
    unittest.main()
