"""What Nova does with an answer, and without one. One test, one scenario; its docstring is its row in ../../README.md."""

import signal
import threading

import fixtures
from nova import exception

import rig
from functional import case
from functional import hosts
from functional.case import SECRETS, SOURCE

TOO_OLD = "software_version 2.0.1 needs major version 2; {0} 0000:81:00.0/nvidia-11 has 1.0.0"
NO_ANSWER = "novacompat did not answer in {0} s (on_error = reject)"
NOBODY = "novacompat is not there: nothing listens on nova/migration_compat"


class AnswerTest(case.Case):
    def test_accepted(self):
        """accepted"""
        server = self.boot_vgpu()
        self.start_agents(host2="2.1.0", host3="2.1.0")
        self.cloud.serve()
        self.migrate(server)
        self.assert_migrated(server, "host2")
        self.assert_events(server, None)

    def test_next_host(self):
        """rejected, the scheduler's next host is accepted"""
        server = self.boot_vgpu()
        self.start_agents(host2="1.0.0", host3="2.1.0")
        self.cloud.serve()
        self.migrate(server)
        self.assert_migrated(server, "host3")
        self.assert_events(server, TOO_OLD.format("host2"), None)

    def test_no_valid_host(self):
        """rejected on every host: NoValidHost"""
        server = self.boot_vgpu()
        self.start_agents(host2="1.0.0", host3="1.0.0")
        self.cloud.serve()
        self.migrate(server)
        self.assert_not_migrated(server)
        self.assert_events(server, TOO_OLD.format("host2"), TOO_OLD.format("host3"))
        self.assertEqual([("Error", "No valid host was found. There are not enough hosts available.")],
                         self.events(server, "conductor_live_migrate_instance"))
        self.assertIn("Host host2 is rejected for live migration: software_version 2.0.1", self.log.output)

    def test_forced(self):
        """rejected, the host was forced: HTTP 400 with the reason"""
        server = self.boot_foreign_mdev()
        self.start_agents(host2="1.0.0", host3="2.1.0")
        self.cloud.serve()
        error = self.migrate_forced(server, "host2")
        self.assertEqual(400, error.response.status_code)
        self.assertIn(f"Migration pre-check error: {TOO_OLD.format('host2')}", str(error))
        self.assert_not_migrated(server, forced="host2")
        self.assert_events(server, TOO_OLD.format("host2"))

    def test_agent_down(self):
        """unknown, an agent is down: refused"""
        server = self.boot_vgpu()
        self.start_agents(host2="2.1.0", host3="2.1.0")
        self.cloud.agents["host2"] = f"http://127.0.0.1:{rig.free_port()}"
        self.cloud.serve()
        self.migrate(server)
        self.assert_migrated(server, "host3")
        self.assert_events(server, "the agent of host2 cannot be reached (ECONNREFUSED)", None)

    def test_unknown(self):
        """unknown, the source's agent sees fewer devices than Nova: refused"""
        server = self.boot_vgpu()
        hosts.detach_all(self.computes[SOURCE], server["id"])
        self.start_agents(host2="2.1.0", host3="2.1.0")
        self.cloud.serve()
        self.migrate(server, "host2")
        self.assert_not_migrated(server)
        self.assert_events(server, f"Nova knows of 1 device that stays attached to instance {server['id']}")

    def test_unknown_accepted(self):
        """unknown, the policy accepts it"""
        server = self.boot_vgpu()
        hosts.detach_all(self.computes[SOURCE], server["id"])
        self.start_agents(host2="2.1.0", host3="2.1.0")
        policy = rig.FOLDER / "accept-unknown.yaml"
        policy.write_text("unknown: accept\n")
        self.cloud.serve(policy_file=str(policy))
        self.migrate(server, "host2")
        self.assert_migrated(server, "host2")
        self.assert_events(server, None)

    def test_shadow(self):
        """rejected, mode shadow: a WARNING, no event"""
        self.flags(mode="shadow", group="migration_compat")
        server = self.boot_vgpu()
        self.start_agents(host2="1.0.0", host3="1.0.0")
        self.cloud.serve()
        self.migrate(server)
        self.assert_migrated(server, "host2")
        self.assert_events(server)
        self.assertIn("Host host2 would be rejected for live migration: software_version 2.0.1", self.log.output)


class AliasTest(case.PciCase):
    """A VF by PCI alias: the hook asks before Nova refuses to migrate it, which she does before 2025.1."""

    TOO_OLD = "software_version 2.0.1 needs major version 2; {0} 0000:81:02.1 has 1.0.0"

    def test_next_host(self):
        """a VF by PCI alias, rejected, the scheduler's next host is accepted"""
        if not case.CAN_MIGRATE_ALIASES:
            self.skipTest("this Nova migrates no VF by PCI alias")
        server = self.boot_alias()
        self.start_agents(host2="1.0.0", host3="2.1.0")
        self.cloud.serve()
        self.migrate(server)
        self.assert_migrated(server, "host3")
        self.assert_events(server, self.TOO_OLD.format("host2"), None)

    def test_forced(self):
        """a VF by PCI alias, rejected, the host was forced: HTTP 400 with the reason"""
        server = self.boot_alias()
        self.start_agents(host2="1.0.0", host3="2.1.0")
        self.cloud.serve()
        error = self.migrate_forced(server, "host2")
        self.assertEqual(400, error.response.status_code)
        self.assertIn(f"Migration pre-check error: {self.TOO_OLD.format('host2')}", str(error))
        self.assert_not_migrated(server, forced="host2")
        self.assert_events(server, self.TOO_OLD.format("host2"))

    def test_unknown(self):
        """a VF by PCI alias, unknown, the source's agent sees fewer devices than Nova: refused"""
        server = self.boot_alias()
        hosts.detach_all(self.computes[SOURCE], server["id"])
        self.start_agents(host2="2.1.0", host3="2.1.0")
        self.cloud.serve()
        self.migrate(server, "host2")
        self.assert_not_migrated(server)
        self.assert_events(server, f"Nova knows of 1 device that stays attached to instance {server['id']}")

    def test_silent(self):
        """a VF by PCI alias, no answer: refused"""
        self.flags(timeout=3, group="migration_compat")
        server = self.boot_alias()
        self.cloud.serve().pause()
        self.migrate(server, "host2")
        self.assert_not_migrated(server)
        self.assert_events(server, NO_ANSWER.format(3))


class PortTest(case.PciCase):
    def test_silent(self):
        """an SR-IOV port and no other device, no answer: a WARNING"""
        self.flags(timeout=3, group="migration_compat")
        server = self.boot_port()
        self.cloud.serve().pause()
        self.migrate(server, "host2")
        self.assert_migrated(server, "host2")
        self.assert_events(server, None)
        self.assertIn("Live migration to host host2 is not checked: novacompat did not answer in 3 s "
                      "(no device that stays attached is known)", self.log.output)

    def test_rejected_device(self):
        """an SR-IOV port and a vGPU that is rejected: refused, and the port is told of"""
        server = self.boot_port(**{"resources:VGPU": "1"})
        self.start_agents(host2="1.0.0", host3="2.1.0")
        service = self.cloud.serve()
        self.migrate(server, "host2")
        self.assert_not_migrated(server)
        self.assert_events(server, TOO_OLD.format("host2"))
        service.wait_for_log(r"\] live migration host1 -> host2: reject \[\w+\]; .*; warning port.replugged: ")


class ShadowTest(case.Case):
    def assert_told(self, service, *expected):
        """One line for each destination; then the service ends, and counts them."""
        hosts.add_new_mdevs(self.hosts, self.computes)
        lines = [service.wait_for_log(f"shadow cell1: live migration {SOURCE} -> {text}.*").group() for text in expected]
        service.send(signal.SIGTERM)
        self.assertEqual(0, service.wait(20))
        return lines, service.wait_for_log(r"shadow cell1: (\d+ checks: .*)").group(1)

    def test_rejected(self):
        """nobody is asked, a service in the shadow would reject: it says so, Nova knows nothing"""
        server = self.boot_vgpu()
        self.start_agents(host2="1.0.0", host3="1.0.0")
        service = self.serve_in_the_shadow()
        self.migrate(server)
        self.assert_migrated(server, "host2")
        self.assert_events(server)
        _, counts = self.assert_told(service, "host2: would reject, Nova accepted; reject .*version.major_mismatch")
        self.assertIn("1 checks: agreed with Nova on 0; would have rejected 1 that Nova accepted", counts)

    def test_refused_by_nova(self):
        """nobody is asked, Nova refuses a host for a reason of its own: the service in the shadow sees it"""
        server = self.boot_vgpu()
        self.start_agents(host2="2.1.0", host3="2.1.0")
        service = self.serve_in_the_shadow()
        refusal = exception.MigrationPreCheckError(reason="not today")
        self.useFixture(fixtures.MockPatchObject(
            self.computes["host2"].driver, "check_can_live_migrate_destination", side_effect=refusal))
        self.migrate(server)
        self.assert_migrated(server, "host3")
        _, counts = self.assert_told(service, "host2: would accept, Nova refused; accept", "host3: would accept, Nova accepted; accept")
        self.assertIn("2 checks: agreed with Nova on 1; would have rejected 0 that Nova accepted", counts)
        self.assertIn("would have accepted 1 that Nova refused; outcome not seen of 0", counts)


class NoAnswerTest(case.Case):
    def setUp(self):
        super().setUp()
        self.flags(timeout=3, group="migration_compat")

    def test_silent(self):
        """no answer: refused"""
        server = self.boot_vgpu()
        self.cloud.serve().pause()
        self.migrate(server, "host2")
        self.assert_not_migrated(server)
        self.assert_events(server, NO_ANSWER.format(3))

    def test_silent_accepted(self):
        """no answer, on_error = accept: a WARNING"""
        self.flags(on_error="accept", group="migration_compat")
        server = self.boot_vgpu()
        self.cloud.serve().pause()
        self.migrate(server, "host2")
        self.assert_migrated(server, "host2")
        self.assert_events(server, None)
        self.assertIn("Live migration to host host2 is not checked: novacompat did not answer in 3 s (on_error = accept)",
                      self.log.output)

    def test_silent_without_devices(self):
        """no service, and no device is known: a WARNING"""
        server = self.boot()
        self.migrate(server, "host2")
        self.assert_migrated(server, "host2")
        self.assert_events(server, None)
        self.assertIn("(no device that stays attached is known)", self.log.output)

    def test_breaker(self):
        """no answer again and again: the other hosts are refused at once"""
        self.flags(breaker_threshold=1, group="migration_compat")
        server = self.boot_vgpu()
        self.migrate(server)
        self.assert_not_migrated(server)
        # In 30 s at most; Nova may have needed some of them to come to the next host.
        self.assert_events(server, f"{NOBODY} (on_error = reject)", "novacompat has not answered lately, it is asked again in ")

    def test_killed(self):
        """the service is killed while it works: refused"""
        server = self.boot_vgpu()
        self._kill_while_it_asks(server)
        self.assert_not_migrated(server)
        self.assert_events(server, NO_ANSWER.format(3))

    def test_killed_other_answers(self):
        """the service is killed while it works, another one answers"""
        self.flags(timeout=20, group="migration_compat")
        server = self.boot_vgpu()
        self._kill_while_it_asks(server)
        self.cloud.serve("novacompat-2")
        self.assert_migrated(server, "host2")
        self.assert_events(server, None)

    def _kill_while_it_asks(self, server):
        self.start_agents(host2="2.1.0", host3="2.1.0")
        agents = dict(self.cloud.agents)
        asked = threading.Event()
        self.cloud.http_agent("host2", lambda handler: (asked.set(), threading.Event().wait(10)))
        service = self.cloud.serve()
        self.migrate(server, "host2")
        self.assertTrue(asked.wait(20))
        service.kill()
        self.cloud.agents = agents


class SecretsTest(case.Case):
    def test_secrets(self):
        """nothing confidential is in a message to the service: the user's token, user data, metadata"""
        server = self.boot_vgpu()
        self.start_agents(host2="1.0.0", host3="2.1.0")
        self.cloud.serve()
        with self.cloud.raw() as raw:
            raw.listen("tap")
            raw.channel.queue_bind("tap", rig.EXCHANGE, "#")
            self.migrate(server)
            self.assert_migrated(server, "host3")
            messages = [message for _, message in raw.messages(1)]
        ours = [message for message in messages if message["method"] == "check_live_migration"]
        self.assertEqual(2, len(ours))
        for secret in SECRETS:
            self.assertEqual([], [message for message in ours if secret in str(message)])
            self.assertNotEqual([], [message for message in messages if secret in str(message)], "Nova itself sends it")
            self.assertNotIn(secret, self.log.output)


class FilterTest(case.Case):
    ADDITIONAL_FILTERS = ["DeviceCompatFilter"]

    def setUp(self):
        self.flags(available_filters=["nova.scheduler.filters.all_filters", "novacompat.filters.DeviceCompatFilter"],
                   group="filter_scheduler")
        super().setUp()

    def test_filter(self):
        """the scheduler's filter leaves out a host"""
        server = self.boot_vgpu()
        self.start_agents(host2="1.0.0", host3="2.1.0")
        self.cloud.serve()
        self.migrate(server)
        self.assert_migrated(server, "host3")
        self.assert_events(server, None)
        self.assertIn("Host host2 cannot take the devices: " + TOO_OLD.format("host2"), self.log.output)

    def test_filter_without_answer(self):
        """the scheduler's filter has no answer: hosts pass, the hook refuses"""
        self.flags(timeout=2, group="migration_compat")
        server = self.boot_vgpu()
        self.migrate(server, "host2")
        self.assert_not_migrated(server)
        self.assert_events(server, f"{NOBODY} (on_error = reject)")
        # Once: it was not asked when the server was created.
        self.assertEqual(1, self.log.output.count(f"Hosts are not filtered by device compatibility: {NOBODY}"))
