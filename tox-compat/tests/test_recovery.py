"""A broker that dies and comes back."""

import time
import unittest

import amqp.exceptions

import rig
import world


class RecoveryTest(unittest.TestCase):
    def test_broker_restart(self):
        """After kill -9 and a start the service consumes again; an answer found meanwhile is delivered.

        Python does both: the server repeats a reply for up to 60 s, the client declares its reply queue again.
        """
        broker = rig.Broker()
        self.addCleanup(broker.kill)
        cloud = rig.Cloud(broker)
        self.addCleanup(cloud.close)
        for host, device in [("cmp-01", world.seed_device()), ("cmp-02", world.target_device())]:
            cloud.http_agent(host, lambda handler, host=host, device=device: rig.reply(
                handler, rig.snapshot(host, device)))

        def slow(handler):
            time.sleep(1.5)  # ends while the broker is down
            rig.reply(handler, rig.snapshot("cmp-slow", world.target_device()))

        cloud.http_agent("cmp-slow", slow)
        # A broker may take longer to start than the 15 s that a check has; and the client, which tries 1, 3, 5, ... seconds apart.
        service = cloud.serve(max_check_time=60)
        self.assertEqual("accept", cloud.check("cmp-01", "cmp-02", instance_uuid=world.SEED)["verdict"])

        def slow_check():
            return cloud.check("cmp-01", "cmp-slow", instance_uuid=world.SEED, timeout=120)["verdict"]

        def restart():
            time.sleep(1)
            broker.kill()
            broker.start()
            rig.wait_until(lambda: self._answers(cloud), 30, "an answer after the restart")

        # Children die with the thread that started them, so the restart belongs to this one.
        with rig.concurrent.futures.ThreadPoolExecutor(1) as pool:
            spanning = pool.submit(slow_check)
            restart()
            self.assertTrue(service.running())
            with self.subTest("the check that was on"):
                self.assertEqual("accept", spanning.result())
        self.assertEqual("accept", cloud.check("cmp-01", "cmp-02", instance_uuid=world.SEED, timeout=60)["verdict"])

    def _answers(self, cloud):
        request = {"instance_uuid": world.SEED, "source_host": "cmp-01", "dest_host": "cmp-02"}
        try:
            with cloud.raw() as raw:
                return raw.replies(raw.request("check_live_migration", args={"request": request}), 2)
        except (OSError, amqp.exceptions.AMQPError):
            return False  # the broker is not ready yet
