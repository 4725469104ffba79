"""What an operator does, and sees, in order: each step goes on where the one before ended."""

import base64
import json
import re
import signal
import subprocess
import unittest
import urllib.request

import rig
from e2e import control_plane
from e2e import identity
from e2e import nova_conf
from e2e import stand_ins
from e2e.control_plane import FITTING, TOO_NEW

# What each server has in confidence.
PASSWORD = "canary-e2e-7f1c-password"
USER_DATA = base64.b64encode(b"canary-e2e-7f1c-user-data").decode()

EVENT = "conductor_check_migration_compat"
TOO_OLD = "software_version 2.0.1 needs major version 2; cmp-02 0000:81:00.0/nvidia-559 has 1.0.0"


class ScenarioTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = control_plane.ControlPlane()
        cls.addClassCleanup(cls.cloud.cloud.close)
        cls.flavor = cls._post("/flavors", "flavor", name="gpu", ram=64, vcpus=1, disk=0, id="gpu")["id"]
        cls.cloud.api("POST", f"/flavors/{cls.flavor}/os-extra_specs", {"extra_specs": {f"resources:{nova_conf.DEVICE_CLASS}": "1"}})

    @classmethod
    def _post(cls, path, kind, **fields):
        status, body, _ = cls.cloud.api("POST", path, {kind: fields})
        assert status in (200, 201, 202), body
        return body[kind]

    def boot(self, mdev_type):
        """A server with a vGPU on cmp-01, and its domain as libvirt would have it."""
        server = self._post("/servers", "server", name="guest", imageRef=stand_ins.IMAGE, flavorRef=self.flavor,
                            networks="none", host="cmp-01", metadata={"password": PASSWORD}, user_data=USER_DATA)["id"]
        self.wait_for(server, "ACTIVE", "cmp-01")
        self.cloud.hosts["cmp-01"].instance(server, control_plane.MDEVS[mdev_type])
        rig.wait_until(lambda: self.devices(server), 60, "the agent has seen the domain", every=0.5)
        return server

    def devices(self, server):
        with urllib.request.urlopen(f"{self.cloud.cloud.agents['cmp-01']}/v1/instances/{server}/devices") as response:
            return json.load(response)["devices"]

    def wait_for(self, server, status, host):
        def reached():
            found = self.cloud.api("GET", f"/servers/{server}")[1]["server"]
            self.assertNotEqual("ERROR", found["status"], found)
            return (found["status"], found["OS-EXT-STS:task_state"], found["OS-EXT-SRV-ATTR:host"]) == (status, None, host)
        rig.wait_until(reached, 60, f"server {server} is {status} on {host}", every=0.5)

    def migrate(self, server, host=None, microversion="2.90"):
        """Status, body and request id of os-migrateLive; without a host, the scheduler chooses."""
        action = {"os-migrateLive": {"host": host, "block_migration": "auto"}}
        return self.cloud.api("POST", f"/servers/{server}/action", action, microversion)

    def wait_for_migration(self, server, status):
        """The last one."""
        def reached():
            found = self.cloud.api("GET", f"/os-migrations?instance_uuid={server}")[1]["migrations"]
            return bool(found) and max(found, key=lambda one: one["id"])["status"] == status
        rig.wait_until(reached, 60, f"migration of {server} is {status}", every=0.5)

    def events(self, server, request_id):
        """Result and details by name, as `openstack server event show` has them."""
        _, body, _ = self.cloud.api("GET", f"/servers/{server}/os-instance-actions/{request_id}")
        return {event["event"]: (event["result"], event["details"]) for event in body["instanceAction"]["events"]}

    def assert_stayed(self, server, request_id, details):
        """Nothing has become of it but an event with the reason and a migration in error."""
        self.wait_for_migration(server, "error")
        self.wait_for(server, "ACTIVE", "cmp-01")
        events = self.events(server, request_id)
        result, text = events[EVENT]
        self.assertEqual("Error", result)
        self.assertTrue(text.startswith(f"Migration pre-check error: {details}"), text)
        self.assertLessEqual(len(text), 255)
        self.assertNotIn("compute_check_can_live_migrate_destination", events)
        return events

    def test_1_accepted(self):
        """The service accepts on the API's bus; on the cell's it has seen Nova accept as well."""
        server = self.boot(FITTING)
        status, _, request_id = self.migrate(server)
        self.assertEqual(202, status)
        self.wait_for_migration(server, "completed")
        self.wait_for(server, "ACTIVE", "cmp-02")
        self.assertEqual(("Success", None), self.events(server, request_id)[EVENT])
        self.cloud.service.wait_for_log(rf"{request_id} .*instance: {server}\] live migration cmp-01 -> cmp-02: accept \[")
        self.cloud.service.wait_for_log(
            rf"{request_id} .*\] shadow cell1: live migration cmp-01 -> cmp-02: would accept, Nova accepted; accept \[")

    def test_2_rejected(self):
        """The only other host is rejected: NoValidHost, and the reason wherever an operator looks."""
        server = self.boot(TOO_NEW)
        status, _, request_id = self.migrate(server)
        self.assertEqual(202, status)
        events = self.assert_stayed(server, request_id, TOO_OLD)
        self.assertEqual(("Error", "No valid host was found. There are not enough hosts available."),
                         events["conductor_live_migrate_instance"])
        conductor = self.cloud.processes["super-conductor"]
        conductor.wait_for_log(rf"WARNING novacompat.hook .*{request_id}.*Host cmp-02 is rejected for live migration: {re.escape(TOO_OLD)}")
        self.cloud.service.wait_for_log(rf"{request_id} .*live migration cmp-01 -> cmp-02: reject \[")
        # On the cell's bus, nothing has happened.
        self.assertNotIn("would reject", self.cloud.service.log())

    def test_3_forced(self):
        """Before microversion 2.34 whoever forces a host waits for the answer, and reads why not."""
        server = self.boot(TOO_NEW)
        status, body, request_id = self.migrate(server, "cmp-02", "2.25")
        self.assertEqual(400, status)
        self.assertIn(f"Migration pre-check error: {TOO_OLD}", body["badRequest"]["message"])
        events = self.assert_stayed(server, request_id, TOO_OLD)
        self.assertEqual(events[EVENT], events["conductor_migrate_server"])
        migration, = self.cloud.api("GET", f"/os-migrations?instance_uuid={server}")[1]["migrations"]
        self.assertEqual("cmp-02", migration["dest_compute"])
        self.cloud.processes["super-conductor"].wait_for_log(
            rf"{request_id}.* Failed to compute_task_migrate_server: Migration pre-check error: {re.escape(TOO_OLD)}")

    def test_4_stopped(self):
        """SIGTERM while it works: it finishes what it has begun. Then nobody answers, until it is back."""
        server, agent = self.boot(FITTING), self.cloud.cloud.process("agent-cmp-02")
        service = self.cloud.service
        agent.send(signal.SIGSTOP)
        _, _, request_id = self.migrate(server)
        # The answer about cmp-02 is awaited; the event begins before the hook asks.
        rig.wait_until(lambda: self.cloud.in_flight() == 1, 30, "the service works on the check")
        service.send(signal.SIGTERM)
        service.wait_for_log("stopping on SIGTERM")
        agent.send(signal.SIGCONT)
        self.assertEqual(0, service.wait(20))
        self.wait_for_migration(server, "completed")
        self.assertEqual(("Success", None), self.events(server, request_id)[EVENT])

        server = self.boot(FITTING)
        _, _, request_id = self.migrate(server)
        self.assert_stayed(server, request_id, "novacompat did not answer in 10 s (on_error = reject)")

        type(self).cloud.service = self.cloud.serve()
        _, _, request_id = self.migrate(server)
        self.wait_for_migration(server, "completed")
        self.assertEqual(("Success", None), self.events(server, request_id)[EVENT])

    def test_5_shadow(self):
        """The hook obeys nobody: Nova accepts what the service, listening in, would have rejected; its report says so."""
        server = self.boot(TOO_NEW)
        self.cloud.set_mode("shadow")
        _, _, request_id = self.migrate(server)
        self.wait_for_migration(server, "completed")
        self.assertNotIn(EVENT, self.events(server, request_id))
        self.cloud.processes["super-conductor"].wait_for_log(rf"{request_id}.*Host cmp-02 would be rejected for live migration")
        self.cloud.service.wait_for_log(rf"{request_id} .*would reject, Nova accepted; reject \[\w+\]; version.major_mismatch")
        report = self.novacompat("journal", "report", "--directory", rig.FOLDER / "journal")
        self.assertIn("would have rejected 1 that Nova accepted", report)
        self.assertRegex(report, r"\n1 +cmp-01 +cmp-02 +version.major_mismatch ")

    def test_6_dry_run(self):
        """precheck asks the same service, with Nova's own nova.conf."""
        server = self.boot(TOO_NEW)
        self.assertIn(TOO_OLD, self.novacompat("precheck", server, "cmp-01", "cmp-02", "--nova-conf", self.cloud.files["api"], status=2))

    def test_7_secrets(self):
        """The user's token, what servers have in confidence and the brokers' passwords are in no log, no journal: nothing that is
        not configuration or Nova's."""
        secrets = [identity.TOKEN, PASSWORD, USER_DATA, rig.PASSWORD]
        written = [file for file in rig.FOLDER.rglob("*") if file.is_file() and "broker-" not in str(file)
                   and not file.suffix.startswith((".conf", ".yaml", ".sqlite"))]
        self.assertGreater(len(written), 20)
        found = [(file.name, secret) for file in written for secret in secrets if secret.encode() in file.read_bytes()]
        self.assertEqual([], found)

    def novacompat(self, *arguments, status=0):
        run = subprocess.run(["node", rig.MAIN, *arguments], capture_output=True, text=True, timeout=60)
        self.assertEqual(status, run.returncode, run.stderr)
        return run.stdout


if __name__ == "__main__":
    unittest.main()
