"""The same odd messages for real oslo.messaging and for ours: every difference has a rule, and the README says it.

NOVACOMPAT_WRITE_CONFORMANCE=1 writes what was measured into the README instead of comparing it.
"""

import difflib
import importlib.metadata
import json
import os
import sys
import unittest

import rig
from conformance import client_side, report, rules, server_side
from conformance.odd_replies import REPLIES
from conformance.odd_requests import REQUESTS
from conformance.rules import REPLY_RULES, REQUEST_RULES

VERSION = importlib.metadata.version("oslo.messaging")
# Its section shows every row; those of other versions only what is different there.
BASE = "14.0.3"
WRITE = os.environ.get("NOVACOMPAT_WRITE_CONFORMANCE") == "1"


class ConformanceTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.cloud = rig.Cloud()
        cls.addClassCleanup(cls.cloud.close)
        servers = [
            rig.Process("python-server", sys.executable, client_side.HERE / "python_server.py", cls.cloud.url, "python"),
            rig.Process("our-server", "node", rig.REPOSITORY / "dist/test/support/conformance-server.js",
                        cls.cloud.url, "ours"),
        ]
        for server in servers:
            cls.addClassCleanup(server.kill)
            server.wait_for_log("ready\n")
        cls.requests = server_side.observe(cls.cloud, servers)
        cls.replies = client_side.observe(cls.cloud)

    def explained(self, table, seen, known):
        for entry in table:
            python, ours = seen["python", entry.name], seen["ours", entry.name]
            yield entry, python, ours, *rules.explain(entry.name, python, ours, known)

    def assert_explained(self, table, seen, known):
        for entry, _, _, _, unexplained in self.explained(table, seen, known):
            with self.subTest(entry.name):
                said = "\n".join(f"{path}: Python {json.dumps(python)[:300]}, ours {json.dumps(ours)[:300]}"
                                 for path, (python, ours) in unexplained.items())
                self.assertEqual("", said)

    def test_requests(self):
        """Both servers settle, execute and answer every request alike, but for the rules."""
        self.assert_explained(REQUESTS, self.requests, REQUEST_RULES)

    def test_replies(self):
        """Both clients make the same of every reply, but for the rules."""
        self.assert_explained(REPLIES, self.replies, REPLY_RULES)

    def test_row_names(self):
        """No two rows share a name, and every rule names rows that exist."""
        for table, known in [(REQUESTS, REQUEST_RULES), (REPLIES, REPLY_RULES)]:
            names = [entry.name for entry in table]
            self.assertEqual(sorted(set(names)), sorted(names))
            for rule in known:
                self.assertEqual(set(), rule.cases - set(names), rule.name)

    def test_no_rule_is_stale(self):
        """Each rule explains a difference in each of the rows that it names, so that it cannot hide a new one."""
        for table, seen, known in [(REQUESTS, self.requests, REQUEST_RULES), (REPLIES, self.replies, REPLY_RULES)]:
            needed = {(rule.name, entry.name) for entry, _, _, used, _ in self.explained(table, seen, known)
                      for rule in used}
            for rule in known:
                with self.subTest(rule.name):
                    self.assertEqual([], [case for case in rule.cases if (rule.name, case) not in needed])
                    self.assertIn(rule.name, {name for name, _ in needed})

    def lines(self):
        lines = []
        for title, table, seen, known, words in [
                ("Requests", REQUESTS, self.requests, REQUEST_RULES, report.of_request),
                ("Replies", REPLIES, self.replies, REPLY_RULES, report.of_reply)]:
            groups = {}
            for entry, python, ours, used, _ in self.explained(table, seen, known):
                groups.setdefault(entry.section, []).append(report.row(entry.name, words(python), words(ours), used))
            lines += report.tables(title, groups)
        return lines

    def assert_committed(self, name, text):
        if WRITE:
            report.write(name, text)
        elif report.committed(name) is None:
            self.skipTest(f"the README has no section for {name}: NOVACOMPAT_WRITE_CONFORMANCE=1 adds it")
        changed = difflib.unified_diff(report.committed(name).splitlines(), text.splitlines(), "committed", "measured",
                                       n=0, lineterm="")
        self.assertEqual([], list(changed), "NOVACOMPAT_WRITE_CONFORMANCE=1 writes what was measured")

    def test_readme_rules(self):
        self.assert_committed("rules", report.rule_list([*REQUEST_RULES, *REPLY_RULES]))

    def test_readme_tables(self):
        """What the README says about the version under test is what was measured."""
        lines = self.lines()
        title = f"### oslo.messaging {VERSION}"
        if VERSION == BASE:
            self.assert_committed(VERSION, "\n".join([title, *lines, "", ""]))
            return
        rows = [line for line in lines if line.startswith("| ") and not line.startswith("| |")]
        new = report.only_new(rows, report.committed(BASE) or "")
        said = f"{len(rows) - len(new)} of {len(rows)} rows are the same as with {BASE}"
        self.assert_committed(VERSION, "\n".join([
            title, "", said + (":" if new else "."),
            *(["", "| | Python | Ours | Rule |", "|---|---|---|---|", *new] if new else []), "", ""]))
