"""The hook of nova-conductor against a real oslo.messaging server that gives any answer, or none."""

import logging
import re
import time
from unittest import mock

import nova.exception
import nova.objects

import hook_case
from hook_case import ALIAS, CONF, INSTANCE, VGPU
from novacompat import hook
from novacompat import request
from novacompat import rpcapi

TEXT = "interface_version 2.0.1 is not accepted by cmp-02 0000:5e:00.2 [fc4436829f19]"

NO_DECISION = "novacompat answered with something else than a decision"


class Service:
    """The other end: answers what the test says, and keeps what it was asked."""

    def __init__(self):
        self.asked = []

    def check_live_migration(self, context, request):
        self.asked.append((context, request))
        if isinstance(self.answer, Exception):
            raise self.answer
        if callable(self.answer):
            return self.answer()
        return self.answer


def _mistaken_once(function):
    """It raises the first time, and does what it should after that."""
    mistakes = [ValueError("a mistake")]

    def mistaken(*arguments, **named):
        if mistakes:
            raise mistakes.pop()
        return function(*arguments, **named)
    return mistaken


class HookTest(hook_case.HookCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.service = cls.serve(Service())

    def setUp(self):
        super().setUp()
        self.service.asked.clear()

    def check(self, answer, devices=VGPU):
        """Returns the reason of the refusal, or None, and the WARNINGs that were logged."""
        self.service.answer = answer
        return self.ask(devices)

    def test_answers(self):
        """What is allowed goes on, anything else is a MigrationPreCheckError with the reason."""
        refused = f"Host cmp-02 is rejected for live migration: {TEXT}"
        for name, answer, reason, warnings in [
                ("accept", {"allowed": True, "text": "accept [1]"}, None, []),
                ("allowed by policy", {"allowed": True, "verdict": "unknown", "text": "unknown [1]"}, None, []),
                ("reject", {"allowed": False, "verdict": "reject", "text": TEXT}, TEXT, [refused]),
                ("reject without text", {"allowed": False, "verdict": "reject"}, "reject",
                 ["Host cmp-02 is rejected for live migration: reject"]),
                ("reject as an exception", nova.exception.MigrationPreCheckError(reason=TEXT), TEXT, [refused]),
        ]:
            with self.subTest(name):
                self.assertEqual((reason, warnings), self.check(answer))

    def test_long_text(self):
        """A text that is too long for Nova's columns is cut, per cent signs are no format."""
        reason, _ = self.check({"allowed": False, "text": "%(reason)s %s " + "x" * 1000})
        self.assertEqual(("%(reason)s %s " + "x" * 1000)[:228], reason)

    def test_no_usable_answer(self):
        """Whatever comes in place of a decision: on_error decides where a device may stay attached."""
        for name, answer, why in [
                ("null", None, NO_DECISION),
                ("text", "accept", NO_DECISION),
                ("allowed is no boolean", {"allowed": "yes"}, NO_DECISION),
                ("failure", ValueError("request.dest_host is missing"),
                 "novacompat failed: ValueError: request.dest_host is missing"),
        ]:
            for devices, on_error, because in [
                    (VGPU, "reject", None), (ALIAS, "reject", None), ({}, "reject", "no device that stays attached is known"),
                    (VGPU, "accept", "on_error = accept"), ({}, "accept", "no device that stays attached is known"),
            ]:
                with self.subTest(name, devices=devices, on_error=on_error):
                    self.set(on_error=on_error)
                    reason, warnings = self.check(answer, devices)
                    if because is None:
                        self.assertEqual(f"{why} (on_error = reject)", reason)
                        self.assertEqual([f"Host cmp-02 is rejected for live migration: {reason}"], warnings)
                    else:
                        self.assertIsNone(reason)
                        self.assertEqual([f"Live migration to host cmp-02 is not checked: {why} ({because})"], warnings)

    def test_shadow(self):
        """Nothing is refused and no event is there, the log says what would be."""
        self.set(mode="shadow")
        self.assertEqual((None, [f"Host cmp-02 would be rejected for live migration: {TEXT}"]),
                         self.check({"allowed": False, "text": TEXT}))
        self.assertEqual([], self.events)

    def test_events(self):
        self.check({"allowed": True})
        self.assertEqual([(hook.EVENT, INSTANCE), (hook.EVENT, None)], self.events)
        self.events.clear()
        self.check({"allowed": False, "text": TEXT})
        self.assertEqual([(hook.EVENT, INSTANCE), (hook.EVENT, f"Migration pre-check error: {TEXT}")], self.events)

    def test_events_fail(self):
        """An event that cannot be started, or finished, changes no decision."""
        broken = mock.Mock(side_effect=nova.exception.InstanceActionNotFound(request_id="r", instance_uuid=INSTANCE))
        for method, said in [("event_start", "started"), ("event_finish_with_failure", "finished")]:
            with self.subTest(method), mock.patch.object(nova.objects.InstanceActionEvent, method, broken):
                reason, warnings = self.check({"allowed": True})
                self.assertEqual((None, [f"The event {hook.EVENT} could not be {said}"]), (reason, warnings))
                reason, warnings = self.check({"allowed": False, "text": TEXT})
                self.assertEqual(TEXT, reason)
                self.assertEqual(f"The event {hook.EVENT} could not be {said}", warnings[0])

    def test_invalid_values(self):
        """What is no value of its option is an ERROR, and the option's default counts; neither Nova's ERROR nor a free pass."""
        accept, reject = {"allowed": True}, {"allowed": False, "text": TEXT}
        found = "Valid values are [{}], but found '{}'".format
        for options, invalid, answer, reason, warnings in [
                ({"mode": "enforced"}, {"mode": found("shadow, enforce", "enforced")}, reject,
                 None, [f"Host cmp-02 would be rejected for live migration: {TEXT}"]),
                ({"mode": "enforce", "on_error": "rejected"}, {"on_error": found("reject, accept", "rejected")}, None,
                 f"{NO_DECISION} (on_error = reject)", [f"Host cmp-02 is rejected for live migration: {NO_DECISION} (on_error = reject)"]),
                ({"mode": "enforce", "on_error": "$absent"}, {"on_error": "no such option absent in group [DEFAULT]"}, None,
                 f"{NO_DECISION} (on_error = reject)", [f"Host cmp-02 is rejected for live migration: {NO_DECISION} (on_error = reject)"]),
                ({"mode": "enforce", "timeout": 21}, {"timeout": "Should be less than or equal to 20"}, reject,
                 TEXT, [f"Host cmp-02 is rejected for live migration: {TEXT}"]),
                ({"mode": "enforce", "on_error": "accept", "breaker_threshold": 0, "breaker_reset": "soon"},
                 {"breaker_threshold": "Should be greater than or equal to 1", "breaker_reset": "invalid literal for int() with base 10: 'soon'"},
                 accept, None, []),
        ]:
            with self.subTest(options):
                self.read(**options)
                self.events.clear()
                actual, logged = self.check(answer)
                self.assertEqual((reason, warnings), (actual, logged[len(invalid):]))
                for (name, why), line in zip(invalid.items(), logged):
                    self.assertRegex(line, rf"\[migration_compat\] {name}: .*{re.escape(why)}; the default counts: ")
                self.assert_events_agree(reason, enforced=options["mode"] == "enforce")

    def test_invalid_after_sighup(self):
        """The same while it runs, until the file is right."""
        file = self.read(mode="enforce")
        for mode, reason in [("enforced", None), ("enforce", TEXT)]:
            file.write_text(f"[migration_compat]\nmode = {mode}\n")
            CONF.mutate_config_files()
            self.assertEqual(reason, self.check({"allowed": False, "text": TEXT})[0])

    def test_anything_fails(self):
        """Wherever it is that a mistake of ours shows, on_error decides, and the event says what becomes of the migration."""
        why = "novacompat could not be asked: a mistake"
        for owner, name, answer in [
                (request, "check", {"allowed": True}), (request, "may_keep_devices", {"allowed": True}),
                (rpcapi, "MigrationCompatAPI", {"allowed": True}), (hook, "_shortened", {"allowed": False, "text": TEXT}),
                (nova.exception.MigrationPreCheckError, "format_message", nova.exception.MigrationPreCheckError("no reason")),
        ]:
            for on_error, reason in [("reject", f"{why} (on_error = reject)"), ("accept", None)]:
                with self.subTest(name, on_error=on_error), \
                        mock.patch.object(owner, name, _mistaken_once(getattr(owner, name))):
                    self.set(on_error=on_error)
                    self.events.clear()
                    actual, logged = self.check(answer)
                    self.assertEqual(reason, actual)
                    self.assertEqual("novacompat could not be asked", logged[0])
                    self.assert_events_agree(reason)

    def test_fails_for_good(self):
        """What follows from a mistake fails too: refused."""
        with mock.patch.object(hook, "_shortened", mock.Mock(side_effect=ValueError("a mistake"))):
            self.assertEqual("novacompat could not be asked", self.check({"allowed": False, "text": TEXT})[0])
        self.assertEqual([(hook.EVENT, INSTANCE), (hook.EVENT, "a mistake")], self.events)

    def assert_events_agree(self, reason, enforced=True):
        """There is one in mode enforce; it is in error exactly if the migration is refused, and says why."""
        expected = [(hook.EVENT, INSTANCE), (hook.EVENT, reason and f"Migration pre-check error: {reason}")]
        self.assertEqual(expected if enforced else [], self.events)

    def test_instance_cannot_be_read(self):
        """Whatever is raised on the way, Nova sees one kind of exception: any other would set the instance to ERROR."""
        broken = mock.PropertyMock(side_effect=KeyError("flavor"))
        with mock.patch.object(nova.objects.Instance, "flavor", broken):
            instance = mock.Mock(uuid=INSTANCE, spec=["uuid"])
            with self.assertLogs("novacompat", logging.ERROR), self.assertRaises(nova.exception.MigrationPreCheckError):
                hook.check(self.context, instance, "cmp-02")

    def test_request(self):
        """What is sent of an instance and of the context; the rest stays in Nova."""
        self.check({"allowed": True}, {"aliases": 1, "vgpus": 2})
        (context, request), = self.service.asked
        self.assertEqual({
            "instance_uuid": INSTANCE, "source_host": "cmp-01", "dest_host": "cmp-02",
            "flavor_extra_specs": {"resources:VGPU": "2"},
            "pci_requests": [{"alias_name": "vf", "count": 1}],
            "vifs": [{"vnic_type": "direct", "profile": {"pci_slot": "0000:3b:02.1"}}],
        }, request)
        # client_timeout is what the server's dispatcher adds for its own call monitor.
        self.assertEqual(set(rpcapi.CONTEXT_KEYS), {*context} - {"client_timeout"})
        self.assertEqual(("user", "project", self.context.request_id),
                         (context["user_id"], context["project_id"], context["request_id"]))
        self.assertNotIn("canary", repr(self.service.asked))

    def test_breaker(self):
        """After so many calls without an answer the next ones wait for none, until it is time to try again."""
        self.set(timeout=1, breaker_threshold=2, breaker_reset=2)
        silent = lambda: time.sleep(2) or {"allowed": True}  # noqa: E731
        for expected in ["novacompat did not answer in 1 s"] * 2 + ["novacompat has not answered lately, it is asked again in 2 s"]:
            reason, _ = self.check(silent)
            self.assertEqual(f"{expected} (on_error = reject)", reason)
        self.assertEqual(2, len(self.service.asked))
        time.sleep(2.5)
        for _ in range(3):
            self.assertEqual((None, []), self.check({"allowed": True}))
