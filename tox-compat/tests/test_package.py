"""The package of the hook: its programs and options, its breaker, and what it does with a Nova that it does not know."""

import functools
import importlib.metadata
import logging
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import tomllib
import unittest
from unittest import mock

import nova.context
from nova.conductor.tasks import live_migrate
import nova.objects

import rig
import test_nova
from novacompat import breaker
from novacompat import hook
from novacompat import request

PACKAGE = rig.REPOSITORY / "tox-compat"
SAMPLE = rig.REPOSITORY / "config" / "novacompat-hook.conf.sample"


def installed():
    """An environment in which the package is installed, as far as entry points go."""
    folder = tempfile.mkdtemp(dir=rig.FOLDER)
    subprocess.run([sys.executable, "-W", "ignore", "-c", "import setuptools; setuptools.setup()",
                    "-q", "egg_info", "--egg-base", folder], cwd=PACKAGE, check=True)
    return folder, dict(os.environ, PYTHONPATH=f"{folder}:{PACKAGE}", PYTHONDONTWRITEBYTECODE="1")


class ProgramsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder, cls.environment = installed()

    def test_sample(self):
        """config/novacompat-hook.conf.sample is what oslo-config-generator prints."""
        sample = subprocess.run(
            [sys.executable, "-c", "from oslo_config import generator; generator.main()", "--namespace", "novacompat"],
            env=self.environment, check=True, capture_output=True, text=True).stdout
        self.assertEqual(sample, SAMPLE.read_text())

    def test_no_dependencies(self):
        """It must never bring another Nova, or another oslo.messaging."""
        distribution, = importlib.metadata.distributions(name="novacompat", path=[self.folder])
        self.assertEqual([], distribution.requires or [])

    def test_license(self):
        """Told in the one way that every setuptools takes: pyproject.toml's table ends in February 2027, its text begins with 77."""
        distribution, = importlib.metadata.distributions(name="novacompat", path=[self.folder])
        self.assertEqual("Apache-2.0", distribution.metadata["License"])
        self.assertNotIn("license", tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"])

    def conductor(self, before="", options="", file=None):
        """Runs novacompat-conductor, with these options of ours, up to the main() of nova-conductor; returns its log.

        :param file: where oslo.config finds them by itself, below the home directory; left out, --config-file says where
        """
        home = pathlib.Path(self.folder)
        named = home / (file or "nova.conf")
        named.parent.mkdir(exist_ok=True)
        named.write_text(f"[migration_compat]\n{options}\n")
        log = home / "conductor.log"
        arguments = ["--log-file", str(log), *([] if file else ["--config-file", str(named)])]
        log.unlink(missing_ok=True)
        program = f"""
import importlib.metadata, sys
from types import SimpleNamespace
sys.argv = ["/usr/bin/novacompat-conductor", *{arguments!r}]
script, = [script for script in importlib.metadata.entry_points()["console_scripts"] if script.name == "novacompat-conductor"]
main = script.load()
import nova.cmd.conductor, eventlet.patcher
assert eventlet.patcher.is_monkey_patched("socket"), "Nova's own set-up did not come first"
# As far as it goes without a broker and a database.
nova.cmd.conductor.service = SimpleNamespace(Service=SimpleNamespace(create=lambda **options: print("nova-conductor starts")),
                                             serve=lambda *_, **__: None, wait=lambda: None)
{before}
main()
"""
        run = subprocess.run([sys.executable, "-W", "ignore", "-c", program], env=dict(self.environment, HOME=self.folder),
                             check=True, capture_output=True, text=True)
        self.assertEqual("nova-conductor starts\n", run.stdout)
        return log.read_text()

    def test_conductor(self):
        self.assertIn("INFO novacompat.hook [-] Live migrations are checked for device compatibility, mode shadow",
                      self.conductor())

    def test_conductor_with_the_files_of_nova_conductor(self):
        """What oslo.config reads when no --config-file is given goes by the name of the program."""
        self.addCleanup(shutil.rmtree, pathlib.Path(self.folder) / ".nova")
        for file in ["nova-conductor.conf", "nova-conductor.conf.d/10-compat.conf"]:
            with self.subTest(file):
                (pathlib.Path(self.folder) / ".nova").mkdir(exist_ok=True)
                self.assertIn("checked for device compatibility, mode enforce",
                              self.conductor(options="mode = enforce", file=f".nova/{file}"))

    def test_conductor_with_an_invalid_mode(self):
        """Nova's own start complains of it; ours says what is there, not that nothing is checked."""
        log = self.conductor(options="mode = enforced")
        self.assertRegex(log, r"ERROR novacompat.opts .*\[migration_compat\] mode: .*found 'enforced'; the default counts: shadow")
        self.assertIn("Live migrations are checked for device compatibility, mode shadow", log)
        self.assertNotIn("NOT checked", log)

    def test_conductor_of_another_nova(self):
        """It is a plain nova-conductor then, and its log says so."""
        changed = ("from nova.conductor.tasks.live_migrate import LiveMigrationTask as task\n"
                   "task._call_livem_checks_on_host = lambda self, destination: None")
        self.assertRegex(self.conductor(changed), "ERROR novacompat.hook .* NOT checked .*_call_livem_checks_on_host")
        self.assertRegex(self.conductor("import sys; sys.modules['nova.conductor.tasks.live_migrate'] = None"),
                         "(?s)ERROR novacompat.conductor .* NOT checked .*ModuleNotFoundError")


class InstallTest(unittest.TestCase):
    def setUp(self):
        patch = mock.patch.object(live_migrate.LiveMigrationTask, "_call_livem_checks_on_host",
                                  live_migrate.LiveMigrationTask._call_livem_checks_on_host)
        patch.start()
        self.addCleanup(patch.stop)

    def test_once(self):
        self.assertTrue(hook.install())
        method = live_migrate.LiveMigrationTask._call_livem_checks_on_host
        self.assertTrue(hook.install())
        self.assertIs(method, live_migrate.LiveMigrationTask._call_livem_checks_on_host)

    def test_beside_another_decorator(self):
        """A method that somebody else has decorated, as a profiler does, is not ours: it is hooked in as well, and once."""
        calls = []
        original = _recorder(calls)
        live_migrate.LiveMigrationTask._call_livem_checks_on_host = functools.wraps(original)(
            lambda *arguments: original(*arguments))
        self.assertTrue(hook.install())
        ours = live_migrate.LiveMigrationTask._call_livem_checks_on_host
        live_migrate.LiveMigrationTask._call_livem_checks_on_host = functools.wraps(ours)(lambda *arguments: ours(*arguments))
        self.assertTrue(hook.install())
        task = mock.Mock(spec=["context", "instance"])
        with mock.patch.object(hook, "check", lambda context, instance, host, event: calls.append((event, host))):
            live_migrate.LiveMigrationTask._call_livem_checks_on_host(task, "cmp-02", {})
        self.assertEqual([(hook.EVENT, "cmp-02"), ("Nova", "cmp-02")], calls)

    def test_every_difference(self):
        """Each signature that is used is looked at; with another one, nothing is touched."""
        for owner, method, _ in hook.KNOWN:
            for other in [lambda self, something_else: None, 7]:
                with self.subTest(f"{owner.__name__}.{method}"), mock.patch.object(owner, method, other), \
                        self.assertLogs("novacompat", logging.ERROR) as logs:
                    before = live_migrate.LiveMigrationTask._call_livem_checks_on_host
                    self.assertFalse(hook.install())
                    self.assertIn(f"{owner.__name__}.{method}", logs.output[0])
                    self.assertIs(before, live_migrate.LiveMigrationTask._call_livem_checks_on_host)

    def test_order(self):
        """We are asked before Nova's own checks, which claim devices; each host of a task has an event of its own."""
        calls = []
        live_migrate.LiveMigrationTask._call_livem_checks_on_host = _recorder(calls)
        hook.install()
        task = mock.Mock(spec=["context", "instance"], context="context", instance="instance")
        with mock.patch.object(hook, "check", lambda *arguments: calls.append(arguments)):
            for host in ["cmp-02", "cmp-03"]:
                live_migrate.LiveMigrationTask._call_livem_checks_on_host(task, host, {})
        self.assertEqual([
            ("context", "instance", "cmp-02", "conductor_check_migration_compat"), ("Nova", "cmp-02"),
            ("context", "instance", "cmp-03", "conductor_check_migration_compat_2"), ("Nova", "cmp-03"),
        ], calls)


def _recorder(calls):
    def _call_livem_checks_on_host(self, destination, provider_mapping):
        calls.append(("Nova", destination))
    return _call_livem_checks_on_host


class BreakerTest(unittest.TestCase):
    def setUp(self):
        self.now = 1000.0
        self.breaker = breaker.Breaker(lambda: self.now)

    def fail(self, times):
        for _ in range(times):
            self.breaker.unanswered(3, 30)

    def test_opens(self):
        self.fail(2)
        self.assertEqual(0, self.breaker.wait(30))
        self.fail(1)
        self.assertEqual(30, self.breaker.wait(30))

    def test_an_answer_between(self):
        self.fail(2)
        self.breaker.answered()
        self.fail(2)
        self.assertEqual(0, self.breaker.wait(30))

    def test_one_tries_again(self):
        self.fail(3)
        self.now += 30
        self.assertEqual([0, 30, 30], [self.breaker.wait(30) for _ in range(3)])
        self.breaker.answered()
        self.assertEqual([0, 0], [self.breaker.wait(30) for _ in range(2)])

    def test_stays_open(self):
        self.fail(3)
        self.now += 31
        self.breaker.wait(30)
        self.fail(1)
        self.now += 29
        self.assertEqual(1, self.breaker.wait(30))


class RequestTest(unittest.TestCase):
    def may_keep(self, extra_specs, aliases=0):
        nova.objects.register_all()
        context = nova.context.RequestContext("user", "project")
        instance = test_nova.instance(context, "0e1d9b52-52f6-4a6c-8a1f-4d5f00000001", aliases)
        instance.flavor.extra_specs = extra_specs
        return request.may_keep_devices(request.check(instance, "cmp-02"))

    def test_may_keep_devices(self):
        """PCI aliases, and resources that may be mdevs; a port is unplugged, vPMEM is no device."""
        for extra_specs, expected in [
                ({}, False), ({"hw:cpu_policy": "dedicated"}, False), ({"resources:VCPU": "2"}, False),
                ({"resources:VGPU": "1"}, True), ({"resources:VGPU": "0"}, False), ({"resources2:VGPU": "1"}, True),
                ({"resources_GPU:VGPU": "1"}, True), ({"resources:CUSTOM_NOTVGPU": "1"}, True),
                ({"resources:CUSTOM_PMEM_NAMESPACE_4GB": "1"}, False), ({"trait:CUSTOM_NVIDIA_11": "required"}, False),
        ]:
            with self.subTest(extra_specs):
                self.assertEqual(expected, self.may_keep(extra_specs))
        self.assertTrue(self.may_keep({}, aliases=1))
