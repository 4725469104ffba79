"""Runs all tests, or those that are named, and leaves at once: threads of oslo.messaging would take their time."""

import atexit
import os
import sys
import unittest

import functional  # noqa: F401  before rig
from functional import nova_on_rabbit  # noqa: F401
from functional import report

# Not overhead, which is a measurement: what a machine does meanwhile must not fail a test.
ALL = ["scenarios", "novas_own", "files"]

names = sys.argv[1:]
tests = unittest.defaultTestLoader.loadTestsFromNames(f"functional.{name}" for name in names or ALL)
succeeded = unittest.TextTestRunner(verbosity=2).run(tests).wasSuccessful()
differences = report.check(whole=not names) if succeeded else []
for difference in differences:
    print(f"{difference}; NOVACOMPAT_WRITE_FUNCTIONAL=1 writes what was measured", file=sys.stderr)
atexit._run_exitfuncs()
os._exit(0 if succeeded and not differences else 1)
