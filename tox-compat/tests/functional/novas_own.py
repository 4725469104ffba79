"""Tests of Nova that live-migrate, as they are, with the hook in mode enforce, our service, and agents for their hosts."""

import io
import unittest
from unittest import mock

from nova.conductor.tasks import live_migrate
import nova.conf

from functional import case  # noqa: F401  installs the hook
from functional import hosts
from functional import nova_on_rabbit
from functional import report

SUITE = "nova.tests.functional.libvirt"


class NovasOwnTest(unittest.TestCase):
    def run_novas(self, name):
        """Runs it; returns the service's line about the decision."""
        loader = unittest.TestLoader()
        test, = loader.loadTestsFromName(f"{SUITE}.{name}")
        if loader.errors:
            self.skipTest(f"{name} is not in this Nova")
        services = []
        execute = live_migrate.LiveMigrationTask._execute

        def execute_with_agents(task):
            # Now all hosts are there, and the instance has its devices.
            cloud = nova_on_rabbit.cloud()
            hosts.build(cloud, test.computes, **dict.fromkeys(test.computes, "2.0.1"))
            cloud.start_agents()
            services.append(cloud.serve())
            nova.conf.CONF.set_override("mode", "enforce", group="migration_compat")
            return execute(task)

        result = unittest.TextTestResult(unittest.runner._WritelnDecorator(io.StringIO()), True, 0)
        with mock.patch.object(live_migrate.LiveMigrationTask, "_execute", execute_with_agents):
            test.run(result)
        self.assertEqual([], [text for _, text in [*result.errors, *result.failures]])
        decisions = [line for line in services[0].log().splitlines() if " live migration " in line]
        self.assertEqual(1, len(decisions), services[0].log())
        return decisions[0]

    def assert_ports_only(self, name):
        """Ports are unplugged before the migration, so nothing stays that could be incompatible."""
        self.assertRegex(self.run_novas(name), r": accept \[\w+\]; warning device.none: ")
        report.tell(self, "migrated", [])

    def assert_mapped(self, name):
        self.assertRegex(self.run_novas(name), r": accept \[\w+\]; \S+ -> ")
        report.tell(self, "migrated", [])

    def test_sriov(self):
        """Nova's own: SR-IOV ports, direct and direct-physical"""
        self.assert_ports_only("test_pci_sriov_servers.SRIOVServersTest.test_live_migrate_server_with_neutron")

    def test_vdpa(self):
        """Nova's own: a vDPA port"""
        self.assert_ports_only("test_pci_sriov_servers.VDPAServersTest.test_live_migrate")

    def test_remote_managed(self):
        """Nova's own: a remote-managed port"""
        self.assert_ports_only("test_pci_sriov_servers.RemoteManagedServersTest.test_live_migrate_server_with_neutron")

    def test_pci_alias(self):
        """Nova's own: a VF by PCI alias"""
        self.assert_mapped("test_pci_sriov_servers.SRIOVServersTest.test_live_migrate_VF_success")

    def test_mdev(self):
        """Nova's own: an mdev"""
        self.assert_mapped("test_vgpu.VGPULiveMigrationTests.test_live_migrate_server")
