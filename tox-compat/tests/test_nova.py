"""Nova's own compute RPC client, with Nova's own objects, asks this service instead of a nova-compute."""

import datetime
import unittest
from unittest import mock

import nova.compute.rpcapi
import nova.conf
import nova.context
import nova.exception
import nova.network.model
import nova.objects
import nova.rpc
import oslo_messaging
from nova.objects import fields

import rig
import world

SRIOV_PORT = "c3b1a5a2-0000-4000-8000-000000000001"


def instance(context, uuid, aliases=0, vgpus=0):
    """An instance as the conductor sends it: no pci_devices, but pci_requests and the network info."""
    flavor = nova.objects.Flavor(
        context, id=1, flavorid="1", name="gpu", memory_mb=512, vcpus=1, root_gb=1, ephemeral_gb=0, swap=0,
        rxtx_factor=1.0, vcpu_weight=0, disabled=False, is_public=True, description=None,
        extra_specs={"resources:VGPU": str(vgpus)} if vgpus else {})
    vif = nova.network.model.VIF(id=SRIOV_PORT, address="fa:16:3e:00:00:01", vnic_type="direct", type="hw_veb",
                                 profile={"pci_slot": "0000:3b:02.1"})
    requests = [nova.objects.InstancePCIRequest(count=1, spec=[{"vendor_id": "8086", "product_id": "1889"}],
                                                alias_name="vf", request_id=uuid) for _ in range(aliases)]
    now = datetime.datetime(2026, 11, 22, 19, 56, 27, tzinfo=datetime.timezone.utc)
    return nova.objects.Instance(
        context, id=7, uuid=uuid, host="cmp-01", node="cmp-01.example.org", hostname="vm", display_name="vm",
        project_id=context.project_id, user_id=context.user_id, vm_state="active", task_state="migrating",
        power_state=1, launched_on="cmp-01", created_at=now, metadata={},
        system_metadata={"image_hw_machine_type": "q35"},
        flavor=flavor, new_flavor=None, old_flavor=None, numa_topology=None,
        info_cache=nova.objects.InstanceInfoCache(
            context, instance_uuid=uuid, network_info=nova.network.model.NetworkInfo([vif])),
        pci_requests=nova.objects.InstancePCIRequests(context, instance_uuid=uuid, requests=requests))


def migration(context, instance_uuid, dest_compute):
    """A migration record; dest_compute is null unless the host was forced."""
    return nova.objects.Migration(
        context, id=3, uuid="5a3d0000-0000-4000-8000-000000000003", instance_uuid=instance_uuid,
        source_compute="cmp-01", source_node="cmp-01.example.org", dest_compute=dest_compute, dest_node=None,
        status="accepted", migration_type=fields.MigrationType.LIVE_MIGRATION)


# What Nova knows of the devices of the instances of world.py.
DEVICES = {world.SEED: {"aliases": 1}, world.OLD: {"aliases": 1}, world.TWO_MDEVS: {"vgpus": 2}}


class NovaTest(unittest.TestCase):
    """check_can_live_migrate_destination, called by nova.compute.rpcapi.ComputeAPI."""

    @classmethod
    def setUpClass(cls):
        nova.objects.register_all()
        cls.cloud = rig.Cloud()
        cls.addClassCleanup(cls.cloud.close)
        world.build(cls.cloud)
        cls.cloud.start_agents()
        cls.cloud.agents["cmp-down"] = f"http://127.0.0.1:{rig.free_port()}"
        cls.service = cls.cloud.serve(stand_in_hosts=["cmp-02", "cmp-down"])
        transport = nova.rpc.create_transport(cls.cloud.url)
        cls.addClassCleanup(transport.cleanup)
        patch = mock.patch.object(nova.rpc, "TRANSPORT", transport)
        patch.start()
        cls.addClassCleanup(patch.stop)
        # A client registers rpc_response_timeout.
        nova.rpc.get_client(oslo_messaging.Target(topic="compute"))
        conf = nova.conf.CONF
        for option, seconds in [("long_rpc_timeout", 30), ("rpc_response_timeout", 20)]:
            conf.set_override(option, seconds)
            cls.addClassCleanup(conf.clear_override, option)

    def ask(self, instance_uuid, server, dest_compute=None, topic=None, release=None, devices=None):
        """One call as the conductor's LiveMigrationTask makes it."""
        devices = devices or DEVICES[instance_uuid]
        context = nova.context.RequestContext("user", "project", auth_token="token", roles=["admin"])
        topic = topic or nova.compute.rpcapi.RPC_TOPIC
        # The router, a singleton, remembers the topic and the version cap.
        with mock.patch.object(nova.compute.rpcapi, "_ROUTER", None), \
                mock.patch.object(nova.compute.rpcapi, "RPC_TOPIC", topic):
            nova.conf.CONF.set_override("compute", release, group="upgrade_levels")
            try:
                return nova.compute.rpcapi.ComputeAPI().check_can_live_migrate_destination(
                    context, instance(context, instance_uuid, **devices), server, None, None,
                    migration(context, instance_uuid, dest_compute), None)
            finally:
                nova.conf.CONF.clear_override("compute", group="upgrade_levels")

    def assert_vetoed(self, *said, **call):
        with self.assertRaises(nova.exception.MigrationPreCheckError) as caught:
            self.ask(**call)
        error = caught.exception
        self.assertEqual(500, error.code)
        self.assertTrue(error.args[0].startswith("Migration pre-check error: "), error.args)
        for text in said:
            self.assertIn(text, error.args[0])
        return error

    def test_own_topic(self):
        """On our topic the destination is the migration's: None on accept, a real MigrationPreCheckError on reject."""
        ours = {"server": rig.SERVER, "topic": rig.TOPIC}
        self.assertIsNone(self.ask(world.SEED, dest_compute="cmp-02", **ours))
        self.assertIsNone(self.ask(world.TWO_MDEVS, dest_compute="cmp-02", **ours))
        error = self.assert_vetoed(
            "interface_version 2.0.1 is not accepted by cmp-02 0000:5e:00.2 (accepts 2.0.2-2.0.4,2.1.0-)",
            instance_uuid=world.OLD, dest_compute="cmp-02", **ours)
        self.assertIn("2.0.1", error.kwargs["reason"])
        self.assertEqual(error.args[0], f"Migration pre-check error: {error.kwargs['reason']}")
        self.assert_vetoed(world.PAIR[0], world.PAIR[1], instance_uuid=world.TWO_MDEVS, dest_compute="cmp-03", **ours)

    def test_destination_unnamed(self):
        """On our topic without a forced host nobody says where the instance goes: a rejection that tells so."""
        self.assert_vetoed("destination", instance_uuid=world.SEED, server=rig.SERVER, topic=rig.TOPIC)

    def test_stand_in(self):
        """Unchanged Nova calls compute.<host>; the service that stands in for the host knows it by the routing key."""
        self.assertIsNone(self.ask(world.SEED, "cmp-02"))
        self.assert_vetoed("2.0.1", instance_uuid=world.OLD, server="cmp-02")

    def test_stand_in_outranks_migration(self):
        """The routing key says where the message went; a forced host in the migration does not change it."""
        self.assertIsNone(self.ask(world.SEED, "cmp-02", dest_compute="cmp-03"))

    def test_older_nova(self):
        """Capped at 5.3, and at 5.0, where neither migration nor limits are sent."""
        for release in ["5.3", "5.0"]:
            with self.subTest(release):
                self.assertIsNone(self.ask(world.SEED, "cmp-02", release=release))
                self.assert_vetoed("2.0.1", instance_uuid=world.OLD, server="cmp-02", release=release)

    def test_agent_is_down(self):
        """What is not known is not allowed, and Nova is told why."""
        self.assert_vetoed("cmp-down", instance_uuid=world.SEED, server="cmp-down")

    def test_nova_knows_more_devices(self):
        """Where Nova counts more devices than the source's agent finds, nobody knows, and that is a veto."""
        self.assert_vetoed("cmp-01", instance_uuid=world.SEED, server="cmp-02", devices={"aliases": 1, "vgpus": 1})

    def test_conductor_skips_the_host(self):
        """LiveMigrationTask tries the next host after these two classes only; anything else sets the VM to ERROR."""
        error = self.assert_vetoed(instance_uuid=world.OLD, server="cmp-02")
        self.assertIsInstance(error, (nova.exception.Invalid, nova.exception.MigrationPreCheckError))
        self.assertEqual("nova.exception_Remote", type(error).__module__)
