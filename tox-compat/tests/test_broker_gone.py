"""The hook's calls when the broker has gone on which nova-conductor is."""

import concurrent.futures
import unittest
from unittest import mock

import nova.conf
import nova.context
import nova.rpc

import rig
from novacompat import breaker
from novacompat import rpcapi

CONF = nova.conf.CONF


class BrokerGoneTest(unittest.TestCase):
    def setUp(self):
        self.broker = rig.Broker()
        self.addCleanup(self.broker.kill)
        self.transport = nova.rpc.create_transport(self.broker.url("/"))
        self.addCleanup(self.transport.cleanup)
        for patch in [mock.patch.object(nova.rpc, "TRANSPORT", self.transport),
                      mock.patch.object(rpcapi, "_breaker", breaker.Breaker())]:
            patch.start()
            self.addCleanup(patch.stop)
        self.set(timeout=1, breaker_threshold=100)

    def set(self, **options):
        for name, value in options.items():
            CONF.set_override(name, value, group="migration_compat")
            self.addCleanup(CONF.clear_override, name, group="migration_compat")

    def why(self, _=None):
        """Why there is no answer."""
        try:
            rpcapi.MigrationCompatAPI().check_live_migration(nova.context.RequestContext("user", "project"), {})
        except rpcapi.NoAnswer as error:
            return str(error)

    def test_calls_at_once(self):
        """Each of several is one without an answer: the one that has a connection, and those that need another one."""
        self.assertEqual("novacompat is not there: nothing listens on nova/migration_compat", self.why())  # nobody serves; there is a connection from now on
        self.broker.kill()
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            reasons = list(pool.map(self.why, range(3)))
        for reason in reasons:
            self.assertRegex(reason, "^novacompat cannot be asked: ")
        self.set(breaker_threshold=1)
        self.assertRegex(self.why(), "^novacompat cannot be asked: ")
        self.assertRegex(self.why(), "^novacompat has not answered lately")
