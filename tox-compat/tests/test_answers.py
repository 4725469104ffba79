"""What a real oslo.messaging client is told about devices, over a real broker, from real agents."""

import time
import unittest

import rig
import world
from world import OLD, PAIR, SEED, STRANGE, TARGET_TYPE, TARGET_VF, TWO_MDEVS


def errors(decision):
    return [reason for reason in decision["reasons"] if reason["severity"] == "error"]


def codes(decision):
    return {reason["code"] for reason in errors(decision)}


class AnswersTest(unittest.TestCase):
    """check_live_migration: *not compatible* is an answer, never a failure."""

    @classmethod
    def setUpClass(cls):
        cls.cloud = rig.Cloud()
        cls.addClassCleanup(cls.cloud.close)
        world.build(cls.cloud)
        cls.cloud.start_agents()
        cls.cloud.agents["cmp-down"] = f"http://127.0.0.1:{rig.free_port()}"
        cls.cloud.http_agent("cmp-silent", lambda handler: time.sleep(20))
        cls.cloud.serve()

    def test_verdicts(self):
        """Each pair of hosts gives the verdict, the mapping and every reason that its devices deserve."""
        pair = {mdev: TARGET_TYPE for mdev in PAIR}
        for name, instance, destination, verdict, mapping, expected in [
            ("the seed's own example", SEED, "cmp-02", "accept", {world.SEED_VF: TARGET_VF}, set()),
            ("not in the ranges", OLD, "cmp-02", "reject", {}, {"version.not_in_range"}),
            ("two mdevs, two instances free", TWO_MDEVS, "cmp-02", "accept", pair, set()),
            ("two mdevs, one instance free", TWO_MDEVS, "cmp-03", "reject", {}, {"capacity.exhausted"}),
            ("nothing of the kind", SEED, "cmp-03", "reject", {}, None),
            ("all that differs at once", STRANGE, "cmp-04", "reject", {},
             {"device_api.mismatch", "type.mismatch", "version.major_mismatch", "version.not_in_range"}),
        ]:
            with self.subTest(name):
                decision = self.cloud.check("cmp-01", destination, instance_uuid=instance)
                self.assertEqual(verdict, decision["verdict"], decision)
                self.assertIs(verdict == "accept", decision["allowed"])
                self.assertEqual(mapping, decision["mapping"])
                if expected is None:
                    self.assertTrue(errors(decision), decision)
                else:
                    self.assertEqual(expected, codes(decision), decision)

    def test_named_devices(self):
        """The request may name the devices instead of leaving it to the source's agent who has what."""
        decision = self.cloud.check("cmp-01", "cmp-03", PAIR[1])
        self.assertEqual({PAIR[1]: TARGET_TYPE}, decision["mapping"], decision)
        decision = self.cloud.check("cmp-01", "cmp-02", "0000:ff:1f.7")
        self.assertEqual({"device.not_found"}, codes(decision))
        self.assertFalse(decision["allowed"])

    def test_reason_is_complete(self):
        """A reason names the device, the candidate, both values, and says in one sentence what is needed."""
        [reason] = errors(self.cloud.check("cmp-01", "cmp-02", instance_uuid=OLD))
        self.assertEqual(
            {"code": "version.not_in_range", "severity": "error", "device": world.OLD_VF, "candidate": TARGET_VF,
             "attribute": "interface_version", "source": "2.0.1", "target": world.ACCEPTED, "device_class": "vfio-pci"},
            {key: value for key, value in reason.items() if key not in ("message", "rule")})
        self.assertEqual("interface_version 2.0.1 is not accepted by cmp-02 0000:5e:00.2 (accepts 2.0.2-2.0.4,2.1.0-)",
                         reason["message"])

    def test_competitors_are_named(self):
        """Who competes for what is in the message."""
        messages = " ".join(reason["message"]
                            for reason in errors(self.cloud.check("cmp-01", "cmp-03", instance_uuid=TWO_MDEVS)))
        for name in [*PAIR, TARGET_TYPE, "cmp-03"]:
            self.assertIn(name, messages)

    def test_instance_without_devices(self):
        """An instance with no device has nothing that could be incompatible."""
        decision = self.cloud.check("cmp-01", "cmp-02", instance_uuid=world.PLAIN,
                                    flavor_extra_specs={"resources:CUSTOM_LICENSE": "1"}, pci_requests=[])
        self.assertEqual(["device.none"], [reason["code"] for reason in decision["reasons"]])
        self.assertEqual({}, decision["mapping"])

    def test_agent_is_down(self):
        """An agent that nobody can reach makes the verdict unknown, which does not allow; the caller hears it soon."""
        for source, destination in [("cmp-01", "cmp-down"), ("cmp-down", "cmp-02")]:
            with self.subTest(source=source, destination=destination):
                start = time.monotonic()
                decision = self.cloud.check(source, destination, instance_uuid=SEED)
                self.assertLess(time.monotonic() - start, 5)
                self.assertEqual(("unknown", False), (decision["verdict"], decision["allowed"]))
                self.assertEqual({"agent.unreachable"}, codes(decision))

    def test_agent_is_silent(self):
        """An agent that accepts and never answers costs no more than agent_timeout, nor than the caller's deadline."""
        def asked(timeout):
            start = time.monotonic()
            decision = self.cloud.check("cmp-01", "cmp-silent", instance_uuid=SEED, timeout=timeout)
            return decision, time.monotonic() - start

        (patient, patient_seconds), (hasty, hasty_seconds) = rig.in_parallel(lambda: asked(14), lambda: asked(4))
        for decision in (patient, hasty):
            self.assertEqual(("unknown", False), (decision["verdict"], decision["allowed"]))
            self.assertTrue(codes(decision) <= {"agent.timeout", "deadline.exceeded"}, decision)
        self.assertLess(patient_seconds, 9)
        self.assertLess(hasty_seconds, 4)

    def test_host_without_agent(self):
        """A host that the configuration does not know is said to be just that."""
        for source, destination in [("cmp-01", "cmp-99"), ("cmp-99", "cmp-02")]:
            decision = self.cloud.check(source, destination, instance_uuid=SEED)
            self.assertEqual(("unknown", False), (decision["verdict"], decision["allowed"]))
            self.assertEqual({"agent.unconfigured"}, codes(decision))
            self.assertIn("cmp-99", errors(decision)[0]["message"])

    def test_invalid_request(self):
        """A request that lacks something gets an answer or a failure that names it, and never counts as allowed."""
        for request, named in [
            ({}, "instance_uuid"),
            ({"instance_uuid": SEED, "source_host": "cmp-01"}, "dest_host"),
            ({"instance_uuid": SEED, "source_host": "cmp-01", "dest_host": ["cmp-02"]}, "dest_host"),
        ]:
            with self.subTest(request=request):
                try:
                    decision = self.cloud.call("check_live_migration", request=request)
                except Exception as failure:
                    self.assertIn(named, str(failure))
                else:
                    self.assertFalse(decision["allowed"])
                    self.assertIn(named, str(decision["reasons"]))

    def test_hundred_at_once(self):
        """100 calls from 100 threads each get the answer to their own question."""
        questions = [("cmp-02", world.SEED_VF, "accept"), ("cmp-02", world.OLD_VF, "reject")] * 50
        decisions = rig.in_parallel(*[
            lambda destination=destination, device=device: self.cloud.check("cmp-01", destination, device)
            for destination, device, _ in questions
        ])
        for (_, device, verdict), decision in zip(questions, decisions):
            self.assertEqual(verdict, decision["verdict"])
            if verdict == "accept":
                self.assertEqual({device: TARGET_VF}, decision["mapping"])
            else:
                self.assertEqual([device], [reason["device"] for reason in errors(decision)])


class NotSeenYetTest(unittest.TestCase):
    """An instance that was started after the last scan of its host."""

    @classmethod
    def setUpClass(cls):
        cls.cloud = rig.Cloud()
        cls.addClassCleanup(cls.cloud.close)
        world.build(cls.cloud)
        cls.cloud.start_agents("--scan-interval", 600)
        cls.cloud.serve()
        world.start_new(cls.cloud)

    def test_custom_resource(self):
        """Its flavor names a resource that an mdev may have, and the agent does not know it yet."""
        decision = self.cloud.check("cmp-01", "cmp-04", instance_uuid=world.NEW, pci_requests=[],
                                    flavor_extra_specs={"resources:CUSTOM_NVIDIA_558": "1"})
        self.assertEqual(("unknown", False), (decision["verdict"], decision["allowed"]))
        self.assertEqual({"instance.not_found"}, codes(decision))
