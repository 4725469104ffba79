"""Nova's functional tests with the hook, see functional/. In a process of its own: they replace the standard library."""

import pathlib
import subprocess
import sys
import unittest


class FunctionalTest(unittest.TestCase):
    def test_all(self):
        """All scenarios have the outcome that the README's table says."""
        run = subprocess.run([sys.executable, "-m", "functional"], cwd=pathlib.Path(__file__).parent, timeout=1800)
        self.assertEqual(0, run.returncode)
