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
    def run_novas(self, name, around):
        """Runs it with `around(test, task, execute)` in place of the conductor's execute(task)."""
        loader = unittest.TestLoader()
        test, = loader.loadTestsFromName(f"{SUITE}.{name}")
        if loader.errors:
            self.skipTest(f"{name} is not in this Nova")
        execute = live_migrate.LiveMigrationTask._execute
        result = unittest.TextTestResult(unittest.runner._WritelnDecorator(io.StringIO()), True, 0)
        with mock.patch.object(live_migrate.LiveMigrationTask, "_execute", lambda task: around(test, task, execute)):
            test.run(result)
        self.assertEqual([], [text for _, text in [*result.errors, *result.failures]])

    def run_answered(self, name):
        """With a service that answers and listens in. Returns its log, and the devices that Nova chose."""
        services, chosen = [], {}

        def answered(test, task, execute):
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

        self.run_novas(name, answered)
        log = services[0].log()
        self.assertEqual(1, len(re.findall(r"\] live migration ", log)), log)
        self.assertRegex(log, "shadow cell1: 1 checks: agreed with Nova on 1; ")
        return log, chosen

    def assert_ports_only(self, name):
        """Ports are unplugged before the migration, so nothing stays that could be incompatible."""
        log, _ = self.run_answered(name)
        accepted = r"accept \[\w+\]; warning device.none: .*; warning port.replugged: "
        self.assertRegex(log, rf"\] live migration .*: {accepted}")
        self.assertRegex(log, rf"\] shadow cell1: live migration .*: would accept, Nova accepted; {accepted}")
        self.assertIn("with the devices that Nova chose: 0 of 0 accepted", log)
        report.tell(self, "migrated", [])

    def assert_ports_need_no_answer(self, name):
        """Nothing stays attached, so on_error = reject is about nothing."""
        def unanswered(test, task, execute):
            nova_on_rabbit.cloud().serve().pause()
            nova.conf.CONF.set_override("mode", "enforce", group="migration_compat")
            nova.conf.CONF.set_override("timeout", 1, group="migration_compat")
            return execute(task)

        with self.assertLogs("novacompat", "WARNING") as logs:
            self.run_novas(name, unanswered)
        warning, = logs.output
        self.assertIn("is not checked: novacompat did not answer in 1 s (no device that stays attached is known)", warning)
        report.tell(self, "migrated", [])

    def assert_mapped(self, name):
        """What Nova chose, the service in the shadow has seen in the cast, and decided about these very devices."""
        log, chosen = self.run_answered(name)
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

    def test_sriov_silent(self):
        """Nova's own: SR-IOV ports, no answer: a WARNING"""
        self.assert_ports_need_no_answer("test_pci_sriov_servers.SRIOVServersTest.test_live_migrate_server_with_neutron")

    def test_vdpa_silent(self):
        """Nova's own: a vDPA port, no answer: a WARNING"""
        self.assert_ports_need_no_answer("test_pci_sriov_servers.VDPAServersTest.test_live_migrate")

    def test_remote_managed_silent(self):
        """Nova's own: a remote-managed port, no answer: a WARNING"""
        self.assert_ports_need_no_answer("test_pci_sriov_servers.RemoteManagedServersTest.test_live_migrate_server_with_neutron")

    def test_pci_alias(self):
        """Nova's own: a VF by PCI alias"""
        self.assert_mapped("test_pci_sriov_servers.SRIOVServersTest.test_live_migrate_VF_success")

    def test_mdev(self):
        """Nova's own: an mdev"""
        self.assert_mapped("test_vgpu.VGPULiveMigrationTests.test_live_migrate_server")
