"""The scheduler's filter with Nova's own request, against a real oslo.messaging server that gives any answer, or none."""

import contextlib
import logging
import time
from types import SimpleNamespace
from unittest import mock

from nova.compute import task_states
import nova.objects
import oslo_messaging

import hook_case
import test_nova
from hook_case import INSTANCE, VGPU
from novacompat import filters

HOSTS = [f"cmp-{number:04}" for number in range(1000)]


def decision(host, verdict, allowed):
    return {"host": host, "verdict": verdict, "allowed": allowed, "text": f"{verdict} [1]"}


class Service:
    """The other end: answers what the test says, and keeps what it was asked."""

    target = oslo_messaging.Target(version="1.1")

    def rank_destinations(self, context, request):
        self.asked.append(request)
        return self.answer(request["dest_hosts"])


class FilterTest(hook_case.HookCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.service = cls.serve(Service())

    def setUp(self):
        super().setUp()
        self.service.asked = []
        self.task_state = task_states.MIGRATING
        for patch in [mock.patch.object(nova.objects.Instance, "get_by_uuid", self._instance),
                      mock.patch("nova.context.target_cell", lambda context, cell: contextlib.nullcontext(context))]:
            patch.start()
            self.addCleanup(patch.stop)

    def _instance(self, context, instance_uuid, expected_attrs):
        instance = test_nova.instance(context, instance_uuid, **VGPU)
        instance.task_state = self.task_state
        return instance

    def passing(self, answer, hosts=HOSTS, cell=True):
        """Those of the hosts that pass, as the scheduler asks for them, and WARNINGs."""
        self.service.answer = answer
        destination = nova.objects.Destination(self.context)
        if cell:
            destination.cell = nova.objects.CellMapping(self.context, uuid=INSTANCE, name="cell1")
        spec = nova.objects.RequestSpec(self.context, instance_uuid=INSTANCE, requested_destination=destination)
        states = [SimpleNamespace(host=host) for host in hosts]
        with self.assertLogs("novacompat", logging.DEBUG) as logs:
            logging.getLogger("novacompat").debug("assertLogs wants one")
            left = filters.DeviceCompatFilter().filter_all(iter(states), spec)
        warnings = [record.getMessage() for record in logs.records if record.levelno >= logging.WARNING]
        return [state.host for state in left], warnings

    def test_rejected(self):
        """One question for all of them."""
        left, warnings = self.passing(lambda hosts: {"hosts": [
            decision(host, *(("reject", False) if host.endswith("7") else ("accept", True))) for host in hosts]})
        self.assertEqual([host for host in HOSTS if not host.endswith("7")], left)
        self.assertEqual([], warnings)
        self.assertEqual([HOSTS], [request["dest_hosts"] for request in self.service.asked])

    def test_verdicts(self):
        """Who the conductor would refuse for what is known of him is left out; what is not known passes, and what the policy allows."""
        hosts = {"a": ("accept", True), "b": ("conditional", False), "c": ("unknown", False), "d": ("reject", False),
                 "e": ("reject", True), "f": ("unknown", True)}
        left, _ = self.passing(lambda _: {"hosts": [decision(host, *told) for host, told in hosts.items()]}, [*hosts])
        self.assertEqual(["a", "c", "e", "f"], left)

    def test_untold(self):
        """What the service leaves out of its answer passes."""
        self.assertEqual((["a", "c"], []), self.passing(lambda _: {"hosts": [decision("b", "reject", False)]}, ["a", "b", "c"]))

    def test_too_many(self):
        """What is more than one question takes passes unasked."""
        hosts = [f"cmp-{number:04}" for number in range(filters.MAX_HOSTS + 2)]
        left, _ = self.passing(lambda asked: {"hosts": [decision(host, "reject", False) for host in asked]}, hosts)
        self.assertEqual(hosts[filters.MAX_HOSTS:], left)

    def test_no_usable_answer(self):
        for answer, why in [
                (lambda _: None, "novacompat answered with something else than a list of hosts"),
                (lambda _: {"hosts": ["a"]}, "novacompat answered with something else than a list of hosts"),
                (lambda _: {"hosts": [{"host": "cmp-0001", "allowed": "no"}]}, "novacompat answered with something else than a decision"),
                (lambda _: 1 // 0, "novacompat failed: ZeroDivisionError: "),
        ]:
            left, (warning,) = self.passing(answer)
            self.assertEqual(HOSTS, left)
            self.assertIn(f"Hosts are not filtered by device compatibility: {why}", warning)

    def test_silence(self):
        self.set(timeout=1)
        left, warnings = self.passing(lambda _: time.sleep(2))
        self.assertEqual((HOSTS, ["Hosts are not filtered by device compatibility: novacompat did not answer in 1 s"]), (left, warnings))

    def test_not_asked(self):
        """Of no other move, of no boot, of no host, and in mode shadow."""
        def never(_):
            raise AssertionError("asked")
        self.assertEqual((HOSTS, []), self.passing(never, cell=False))
        self.assertEqual(([], []), self.passing(never, []))
        for state in (None, task_states.RESIZE_PREP, task_states.REBUILDING):
            self.task_state = state
            self.assertEqual((HOSTS, []), self.passing(never))
        self.task_state = task_states.MIGRATING
        self.set(mode="shadow")
        self.assertEqual((HOSTS, []), self.passing(never))
        self.assertEqual([], self.service.asked)
