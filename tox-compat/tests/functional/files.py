"""The last: what all the tests before have left in files."""

import unittest

import rig
from functional.case import SECRETS


class FilesTest(unittest.TestCase):
    def test_secrets(self):
        """Nothing confidential is in a log, a journal, a configuration file or an agent's tree; the broker's files are Nova's."""
        written = [file for file in rig.FOLDER.rglob("*") if file.is_file() and "broker-" not in str(file)]
        found = [(file, secret) for file in written for secret in SECRETS if secret in file.read_text(errors="replace")]
        self.assertEqual([], found)
        self.assertNotEqual([], [file for file in written if "journal-" in str(file)], "services in the shadow have written one")
