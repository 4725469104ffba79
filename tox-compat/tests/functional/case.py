"""What the scenarios have in common: three hosts, a server on the first, and questions to Nova afterwards."""

import base64
import collections
import logging
from unittest import mock
from urllib import parse
import uuid

import fixtures
from nova import context as nova_context
from nova.db.main import api as db
from nova import objects
from nova.objects import migrate_data
from nova.scheduler import weights
from nova.tests import fixtures as nova_fixtures
from nova.tests.fixtures import libvirt as fakelibvirt
from nova.tests.functional.api import client
from nova.tests.functional.libvirt import base
from nova.tests.functional.libvirt import test_vgpu
from oslo_serialization import jsonutils

import rig
from functional import hosts
from functional import nova_on_rabbit
from functional import report
from novacompat import breaker
from novacompat import hook
from novacompat import rpcapi

# What each server has in confidence, and the user's token: Nova itself sends them to its services.
PASSWORD = "canary-4c1d-password"
USER_DATA = base64.b64encode(b"canary-4c1d-user-data").decode()
SECRETS = (nova_on_rabbit.TOKEN, PASSWORD, USER_DATA)

# Nova migrates a VF by PCI alias from 2025.1 on.
CAN_MIGRATE_ALIASES = "pci_dev_map_src_dst" in migrate_data.LibvirtLiveMigrateData.fields

IMAGE = "155d900f-4e14-4e4c-a73d-069cbf4541e6"
SOURCE = "host1"

if not hook.install():
    raise AssertionError("the hook does not know this Nova")


class LowestNameFirst(weights.BaseHostWeigher):
    """The scheduler's only weigher here: host2 before host3."""

    def _weigh_object(self, host_state, weight_properties):
        return -int(host_state.host.lstrip("host") or 0)


class Case(test_vgpu.VGPUTestBase):
    # From 2024.1 on, vGPUs need these to be live-migrated.
    FAKE_LIBVIRT_VERSION = max(fakelibvirt.FAKE_LIBVIRT_VERSION, 8006000)
    FAKE_QEMU_VERSION = max(fakelibvirt.FAKE_QEMU_VERSION, 8001000)

    def setUp(self):
        # As in production: POST is answered before the conductor does anything.
        self.useFixture(fixtures.MockPatchObject(nova_fixtures.CastAsCallFixture, "_stub_out"))
        self.flags(weight_classes=[f"{__name__}.{LowestNameFirst.__name__}"], group="filter_scheduler")
        super().setUp()
        self.useFixture(fixtures.MockPatchObject(rpcapi, "_breaker", breaker.Breaker()))
        self.useFixture(fixtures.MonkeyPatch("nova.tests.fixtures.libvirt.Domain.migrateToURI3", self._migrate))
        self.flags(mode="enforce", timeout=20, group="migration_compat")
        self.flags(enabled_mdev_types=fakelibvirt.NVIDIA_11_VGPU_TYPE, group="devices")
        for host in (SOURCE, "host2", "host3"):
            self.start_host(host)
        self.cloud = nova_on_rabbit.cloud()
        self.log = self.useFixture(fixtures.FakeLogger("novacompat", level=logging.INFO))
        self._states = self._watch_states()

    def start_host(self, host):
        self.start_compute_with_vgpu(host)

    def _watch_states(self):
        """Each vm_state that Nova writes into her database from now on, by server."""
        states = collections.defaultdict(set)
        update = db.instance_update_and_get_original

        def watched(context, instance_uuid, values, *args, **kwargs):
            if "vm_state" in values:
                states[instance_uuid].add(values["vm_state"])
            return update(context, instance_uuid, values, *args, **kwargs)

        self.useFixture(fixtures.MockPatchObject(db, "instance_update_and_get_original", watched))
        return states

    def _migrate(self, domain, destination, params, flags):
        """What libvirt would do: the domain is on the other host, and the job ends."""
        target = self.computes[parse.urlparse(destination).netloc]
        target.driver._host.get_connection().createXML(params["destination_xml"], 0)
        domain.complete_job()

    def boot(self, networks="none", **extra_spec):
        flavor = self._create_flavor(extra_spec=extra_spec)
        server = self._build_server(image_uuid=IMAGE, flavor_id=flavor, networks=networks, host=SOURCE)
        server = self.admin_api.post_server({"server": {**server, "metadata": {"password": PASSWORD}, "user_data": USER_DATA}})
        return self._wait_for_state_change(server, "ACTIVE")

    def boot_vgpu(self):
        return self.boot(**{"resources:VGPU": "1"})

    def boot_foreign_mdev(self):
        """A server with an mdev that only the agent knows: with a vGPU of its own, Nova would not let it be forced.

        Its flavor names a resource, and none of it: it does not say that there can be no device.
        """
        server = self.boot(**{"resources:CUSTOM_FOREIGN": "0"})
        hosts.attach(self.computes[SOURCE], server["id"], str(uuid.uuid4()))
        return server

    def start_agents(self, **versions):
        """Of all hosts. A vGPU of the source has version 2.0.1: a host with 2.1.0 takes it, one with 1.0.0 does not."""
        self.hosts = hosts.build(self.cloud, self.computes, **{SOURCE: "2.0.1", **versions})
        self.cloud.start_agents("--scan-interval", 1)

    def serve_in_the_shadow(self):
        """Nova asks nobody; a service listens in on its bus, and writes a journal."""
        self.useFixture(fixtures.MockPatchObject(hook, "check"))
        journal = {"directory": f"{rig.FOLDER}/journal-{self.id()}"}
        return self.cloud.serve(transport_url=None, shadow={"cell1": {"transport_url": self.cloud.url}}, journal=journal)

    def migrate(self, server, host=None):
        self.api.post_server_action(server["id"], {"os-migrateLive": {"host": host, "block_migration": "auto"}})

    def migrate_forced(self, server, host):
        """As before microversion 2.30: no scheduler is asked, and the API waits for the conductor. Returns its error."""
        with mock.patch.object(self.api, "microversion", "2.25"):
            return self.assertRaises(client.OpenStackApiException, self.migrate, server, host)

    def assert_migrated(self, server, host):
        migration = self.wait_for_migration(server, "completed")
        self._assert_record(migration, dest_compute=host, source_node=SOURCE, dest_node=host)
        self._assert_active(server, host)
        report.tell(self, "migrated", self.events(server))

    def assert_not_migrated(self, server, forced=None):
        """Nothing of it is left but a record of a migration in error, and events.

        The record names a destination only if that was `forced`: what the scheduler chose is written down after the checks.
        """
        migration = self.wait_for_migration(server, "error")
        self._assert_record(migration, dest_compute=forced, source_node=None, dest_node=None)
        self._assert_active(server, SOURCE)
        self.assertEqual({SOURCE}, self._hosts_of_allocations(server["id"]))
        self.assertEqual(set(), self._hosts_of_allocations(migration.uuid))
        # It claims devices of the destination, so it must not have been reached.
        self.assertEqual([], self.events(server, "compute_check_can_live_migrate_destination"))
        report.tell(self, "not migrated", self.events(server))

    def wait_for_migration(self, server, status):
        """Longer than Nova's own tests do, whose RPC takes no time."""
        def reached():
            found = objects.MigrationList.get_by_filters(
                nova_context.get_admin_context(), {"instance_uuid": server["id"]})
            return [migration for migration in found if migration.status == status]
        migration, = rig.wait_until(reached, 30, f"migration of {server['id']} is {status}")
        return migration

    def _assert_record(self, migration, **fields):
        """What is in Nova's table of migrations, which `openstack server migration list` shows."""
        expected = {"migration_type": "live-migration", "source_compute": SOURCE, **fields}
        self.assertEqual(expected, {name: getattr(migration, name) for name in expected})

    def _assert_active(self, server, host):
        """Now, and in no other state since it was built: not for a moment in ERROR."""
        server = self._wait_for_server_parameter(server, {"OS-EXT-STS:task_state": None})
        self.assertEqual({"building", "active"}, self._states[server["id"]])
        self.assertEqual(("ACTIVE", "active"), (server["status"], server["OS-EXT-STS:vm_state"]))
        self.assertEqual(host, server["OS-EXT-SRV-ATTR:host"])

    def _hosts_of_allocations(self, consumer):
        """The root providers: those of vGPUs are below them."""
        providers = self.placement.get(f"/allocations/{consumer}").body["allocations"]
        roots = {self._provider(provider)["root_provider_uuid"] for provider in providers}
        return {self._provider(root)["name"] for root in roots}

    def _provider(self, provider):
        return self.placement.get(f"/resource_providers/{provider}", version="1.14").body

    def events(self, server, name=hook.EVENT):
        """(result, details) of each event whose name begins so in the live migration, in order."""
        path = f"/servers/{server['id']}/os-instance-actions"
        action, = [action for action in self.api.get_instance_actions(server["id"])
                   if action["action"] == "live-migration"]
        events = self.admin_api.api_get(f"{path}/{action['request_id']}").body["instanceAction"]["events"]
        found = [event for event in events if event["event"].startswith(name)]
        return [(event["result"], event["details"]) for event in sorted(found, key=lambda event: event["start_time"])]

    def assert_events(self, server, *expected):
        """Each is None for success, or what the details of an error begin with."""
        events = self.events(server)
        self.assertEqual(["Success" if text is None else "Error" for text in expected], [result for result, _ in events])
        for text, (_, details) in zip(expected, events):
            if text is None:
                self.assertIsNone(details)
            else:
                self.assertStartsWith(f"Migration pre-check error: {text}", details)
                self.assertLessEqual(len(details), 255)

    def assertStartsWith(self, prefix, text):
        self.assertEqual(prefix, text[:len(prefix)])


class PciCase(Case):
    """On each host also a PF with one VF, which Nova gives away."""

    ADDITIONAL_FILTERS = ["PciPassthroughFilter"]
    VF = "0000:81:02.1"

    def setUp(self):
        vf = {"vendor_id": fakelibvirt.PCI_VEND_ID, "product_id": fakelibvirt.VF_PROD_ID}
        alias = {"name": "vf", "device_type": "type-VF", **vf}
        spec = {"physical_network": "physnet4", **vf}
        if CAN_MIGRATE_ALIASES:
            alias["live_migratable"] = spec["live_migratable"] = "yes"
        self.flags(device_spec=[jsonutils.dumps(spec)], alias=[jsonutils.dumps(alias)], group="pci")
        super().setUp()
        # With the network and the ports of Nova's own tests of SR-IOV.
        self.neutron = self.useFixture(base.LibvirtNeutronFixture(self))

    def start_host(self, host):
        pci_info = fakelibvirt.HostPCIDevicesInfo(num_pfs=1, num_vfs=1, num_mdevcap=2)
        # From 2025.1 on, VFs by PCI alias need these versions to be live-migrated.
        self.start_compute(host, pci_info=pci_info, libvirt_version=10000000, qemu_version=8002002)

    def boot_alias(self):
        return self.boot(**{"pci_passthrough:alias": "vf:1"})

    def boot_port(self, **extra_spec):
        """With an SR-IOV port, vnic_type direct."""
        port = self.neutron.create_port({"port": self.neutron.network_4_port_1})["port"]
        return self.boot([{"port": port["id"]}], **extra_spec)
