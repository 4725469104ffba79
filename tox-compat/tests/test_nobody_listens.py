"""The hook on a bus on which no service has ever been, or from which its queue has gone."""

import concurrent.futures
import time

import oslo_messaging

import hook_case
import rig
from hook_case import VGPU

NOBODY = "novacompat is not there: nothing listens on nova/migration_compat"


class Service:
    def check_live_migration(self, context, request):
        return {"allowed": True, "text": "accept [1]"}


class Conductor:
    def ping(self, context):
        return "pong"


class NobodyListensTest(hook_case.HookCase):
    def server(self, topic, endpoint, name):
        """Serves until the test ends, and leaves no queue."""
        server = oslo_messaging.get_rpc_server(
            self.transport, oslo_messaging.Target(topic=topic, server=name), [endpoint], executor="threading")
        server.start()
        self.addCleanup(self.delete, topic)
        self.addCleanup(server.wait)
        self.addCleanup(server.stop)

    def delete(self, queue):
        with self.cloud.raw() as raw:
            raw.channel.queue_delete(queue)

    def test_nobody(self):
        """Told soon, and as what it is: mostly the service is on another virtual host than the super-conductor."""
        self.set(timeout=20)
        begin = time.monotonic()
        reason, warnings = self.ask(VGPU)
        self.assertLess(time.monotonic() - begin, 8)
        self.assertEqual(f"{NOBODY} (on_error = reject)", reason)
        self.assertEqual([f"Host cmp-02 is rejected for live migration: {reason}"], warnings)

    def test_breaker(self):
        """It counts as no answer."""
        self.set(timeout=1, breaker_threshold=1)
        self.assertEqual(f"{NOBODY} (on_error = reject)", self.ask(VGPU)[0])
        self.assertRegex(self.ask(VGPU)[0], "^novacompat has not answered lately")

    def test_comes_back(self):
        """A queue that is made again - the broker was restarted, or queues go with their service (amqp_auto_delete) - is waited for."""
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            asked = pool.submit(self.ask, VGPU)
            time.sleep(2)
            self.server(rig.TOPIC, Service(), "python")
            self.assertEqual((None, []), asked.result())

    def test_others(self):
        """What else is sent over the same connections is none the worse."""
        self.set(timeout=1, breaker_threshold=100)
        self.server("conductor", Conductor(), "c")
        client = oslo_messaging.get_rpc_client(self.transport, oslo_messaging.Target(topic="conductor"))
        for _ in range(3):
            self.ask(VGPU)
            for _ in range(3):
                self.assertEqual("pong", client.prepare(timeout=5).call({}, "ping"))
                client.cast({}, "ping")
