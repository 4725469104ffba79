"""What the scenarios have in common: three hosts, an instance with a vGPU on the first, and questions to Nova afterwards."""

import logging
from unittest import mock
from urllib import parse

import fixtures
import nova.conf
from nova.conductor.tasks import live_migrate  # noqa: F401  before the hook
from nova import objects
from nova.tests import fixtures as nova_fixtures
from nova.tests.fixtures import libvirt as fakelibvirt
from nova.tests.functional.api import client
from nova.tests.functional.libvirt import test_vgpu

from functional import hosts
from functional import nova_on_rabbit
from novacompat import breaker
from novacompat import hook
from novacompat import rpcapi

CONF = nova.conf.CONF
IMAGE = "155d900f-4e14-4e4c-a73d-069cbf4541e6"
SOURCE = "host1"
EVENT = "conductor_check_migration_compat"


def install_hook():
    """As novacompat-conductor does it, for this whole process."""
    if not hook.install():
        raise AssertionError("the hook does not know this Nova")


class Case(test_vgpu.VGPUTestBase):
    """Live migration of a server from host1, which has the first version; others have what the test says."""

    DESTINATIONS = ("host2", "host3")
    # From 2024.1 on, vGPUs need these to be live-migrated.
    FAKE_LIBVIRT_VERSION = max(fakelibvirt.FAKE_LIBVIRT_VERSION, 8006000)
    FAKE_QEMU_VERSION = max(fakelibvirt.FAKE_QEMU_VERSION, 8001000)

    def setUp(self):
        # As in production: POST is answered before the conductor does anything.
        self.useFixture(fixtures.MockPatchObject(nova_fixtures.CastAsCallFixture, "_stub_out"))
        super().setUp()
        self.useFixture(fixtures.MockPatchObject(rpcapi, "_breaker", breaker.Breaker()))
        self.useFixture(fixtures.MonkeyPatch("nova.tests.fixtures.libvirt.Domain.migrateToURI3", self._migrate))
        self.flags(mode="enforce", timeout=20, group="migration_compat")
        self.flags(enabled_mdev_types=fakelibvirt.NVIDIA_11_VGPU_TYPE, group="devices")
        for host in (SOURCE, *self.DESTINATIONS):
            self.start_compute_with_vgpu(host)
        self.cloud = nova_on_rabbit.cloud()
        self.log = self.useFixture(fixtures.FakeLogger("novacompat", level=logging.DEBUG))

    def _migrate(self, domain, destination, params, flags):
        """What libvirt would do: the domain is on the other host, and the job ends."""
        target = self.computes[parse.urlparse(destination).netloc]
        target.driver._host.get_connection().createXML(params["destination_xml"], 0)
        domain.complete_job()

    # Before

    def boot(self, **extra_spec):
        flavor = self._create_flavor(extra_spec=extra_spec)
        return self._create_server(image_uuid=IMAGE, flavor_id=flavor, networks="none", host=SOURCE)

    def boot_vgpu(self):
        return self.boot(**{"resources:VGPU": "1"})

    def build_hosts(self, **versions):
        """Agents for all hosts. The source has version 2.0.1: 2.1.0 takes that, 1.0.0 does not."""
        hosts.build(self.cloud, self.computes, **{SOURCE: "2.0.1", **versions})
        self.cloud.start_agents()

    def serve(self, **options):
        return self.cloud.serve(**options)

    # The question

    def migrate(self, server, host=None):
        self.api.post_server_action(server["id"], {"os-migrateLive": {"host": host, "block_migration": "auto"}})

    def migrate_forced(self, server, host):
        """As before microversion 2.30: no scheduler is asked, and the API waits for the conductor. Returns its error."""
        with mock.patch.object(self.api, "microversion", "2.25"):
            return self.assertRaises(client.OpenStackApiException, self.migrate, server, host)

    # Afterwards

    def assert_migrated(self, server, host):
        self._wait_for_migration_status(server, ["completed"])
        self.assert_untouched(server, host)

    def assert_not_migrated(self, server):
        """Nothing of it is left but the record, in error, and the events."""
        self._wait_for_migration_status(server, ["error"])
        self.assert_untouched(server, SOURCE)
        allocations = self._get_allocations_by_server_uuid(server["id"])
        self.assertEqual({SOURCE}, {self._host_of(provider) for provider in allocations})
        migration, = self.api.get_migrations(instance_uuid=server["id"]) if False else self._migrations(server)
        self.assertEqual({}, self._get_allocations_by_server_uuid(migration.uuid))

    def assert_untouched(self, server, host):
        server = self._wait_for_server_parameter(server, {"OS-EXT-STS:task_state": None})
        self.assertEqual("ACTIVE", server["status"])
        self.assertEqual("active", server["OS-EXT-STS:vm_state"])
        self.assertEqual(host, server["OS-EXT-SRV-ATTR:host"])

    def assert_not_checked_by_nova(self, server):
        """Nova's own check, which claims devices on the destination, was never reached."""
        self.assertEqual([], self.events(server, "compute_check_can_live_migrate_destination"))

    def events(self, server, name=EVENT):
        """(result, details) of each event of that name, in the order of their start."""
        action = next(action for action in self.api.get_instance_actions(server["id"])
                      if action["action"] == "live-migration")
        action = self.admin_api.api_get(
            f"/servers/{server['id']}/os-instance-actions/{action['request_id']}").body["instanceAction"]
        found = [event for event in action["events"] if event["event"] == name]
        return [(event["result"], event["details"]) for event in sorted(found, key=lambda event: event["start_time"])]

    def warnings(self):
        return self.log.output

    def _migrations(self, server):
        context = nova.context.get_admin_context()
        return objects.MigrationList.get_by_filters(context, {"instance_uuid": server["id"]})

    def _host_of(self, provider):
        tree = self.placement.get(f"/resource_providers/{provider}").body
        root = self.placement.get(f"/resource_providers/{tree['root_provider_uuid']}").body
        return root["name"]
