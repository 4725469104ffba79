"""Tests of Nova that live-migrate, as they are, with the hook in mode enforce, our service, and agents for their hosts."""

import io
import re
import signal
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
        """Runs it with a service that answers and listens in. Returns its log, and the devices that Nova chose."""
        loader = unittest.TestLoader()
        test, = loader.loadTestsFromName(f"{SUITE}.{name}")
        if loader.errors:
            self.skipTest(f"{name} is not in this Nova")
        services, chosen = [], {}
        execute = live_migrate.LiveMigrationTask._execute

        def execute_with_agents(task):
            # Now all hosts are there, and the instance has its devices.
            cloud = nova_on_rabbit.cloud()
            built = hosts.build(cloud, test.computes, **dict.fromkeys(test.computes, "2.0.1"))
            cloud.start_agents("--scan-interval", 1)
            service = cloud.serve(shadow={"cell1": {"transport_url": cloud.url}})
            service.wait_for_log("shadow cell1 ready")
            services.append(service)
            nova.conf.CONF.set_override("mode", "enforce", group="migration_compat")
            result = execute(task)
            for field in ("target_mdevs", "pci_dev_map_src_dst"):
                if field in task.migrate_data.fields and task.migrate_data.obj_attr_is_set(field):
                    chosen.update(getattr(task.migrate_data, field))
            hosts.add_new_mdevs(built, test.computes)
            service.wait_for_log("shadow cell1: live migration ")
            service.send(signal.SIGTERM)
            service.wait(20)
            return result

        result = unittest.TextTestResult(unittest.runner._WritelnDecorator(io.StringIO()), True, 0)
        with mock.patch.object(live_migrate.LiveMigrationTask, "_execute", execute_with_agents):
            test.run(result)
        self.assertEqual([], [text for _, text in [*result.errors, *result.failures]])
        log = services[0].log()
        self.assertEqual(1, len(re.findall(r"\] live migration ", log)), log)
        self.assertRegex(log, "shadow cell1: 1 checks: agreed with Nova on 1; ")
        return log, chosen

    def assert_ports_only(self, name):
        """Ports are unplugged before the migration, so nothing stays that could be incompatible."""
        log, _ = self.run_novas(name)
        accepted = r"accept \[\w+\]; warning device.none: .*; warning port.replugged: "
        self.assertRegex(log, rf"\] live migration .*: {accepted}")
        self.assertRegex(log, rf"\] shadow cell1: live migration .*: would accept, Nova accepted; {accepted}")
        self.assertIn("with the devices that Nova chose: 0 of 0 accepted", log)
        report.tell(self, "migrated", [])

    def assert_mapped(self, name):
        """What Nova chose, the service in the shadow has seen in the cast, and decided about these very devices."""
        log, chosen = self.run_novas(name)
        self.assertRegex(log, r"\] live migration .*: accept \[\w+\]; \S+ -> ")
        self.assertNotEqual({}, chosen)
        pattern = r"Nova accepted; .*; with the devices that Nova chose: accept \[\w+\]; (.*)"
        self.assertRegex(log, pattern)
        exact = re.search(pattern, log).group(1)
        self.assertEqual(sorted(f"{source} -> {target}" for source, target in chosen.items()), sorted(exact.split(", ")))
        self.assertIn("with the devices that Nova chose: 1 of 1 accepted", log)
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
