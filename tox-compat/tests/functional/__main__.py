"""Runs the tests, or those that are named, and leaves at once: threads of oslo.messaging would take their time."""

import atexit
import os
import sys
import unittest

import functional  # noqa: F401  before rig
from functional import nova_on_rabbit  # noqa: F401
from functional import scenarios

if len(sys.argv) > 1:
    tests = unittest.defaultTestLoader.loadTestsFromNames(f"functional.{name}" for name in sys.argv[1:])
else:
    tests = unittest.defaultTestLoader.loadTestsFromModule(scenarios)
result = unittest.TextTestRunner(verbosity=2).run(tests)
atexit._run_exitfuncs()
os._exit(not result.wasSuccessful())
