"""SEC-08: the service as the user of the guide, made by its very lines; what he may do is all that he may do."""

import unittest

import amqp

import rig
import world

OTHERS = "compute.cmp-01"


class PermissionsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = rig.Cloud()
        cls.addClassCleanup(cls.cloud.close)
        for host, device in [("cmp-01", world.seed_device()), ("cmp-02", world.target_device())]:
            cls.cloud.http_agent(host, lambda handler, host=host, device=device: rig.reply(
                handler, rig.snapshot(host, device)))
        cls.nova = cls.connect("guest", rig.PASSWORD)
        channel = cls.nova.channel()
        for queue in (OTHERS, "reply_of_nova"):
            channel.queue_declare(queue, auto_delete=False)
            channel.queue_bind(queue, rig.EXCHANGE, queue)
        cls.service = cls.cloud.serve()

    @classmethod
    def connect(cls, user, password):
        connection = amqp.Connection(f"127.0.0.1:{cls.cloud.broker.port}", userid=user, password=password,
                                     virtual_host=cls.cloud.vhost, confirm_publish=True)
        connection.connect()
        cls.addClassCleanup(connection.close)
        return connection

    def test_serves(self):
        """It declares its queues, takes a request from real oslo.messaging, and answers it, on one, any and all servers."""
        decision = self.cloud.check("cmp-01", "cmp-02", world.seed_device()["id"])
        self.assertIn(decision["verdict"], ("accept", "reject", "conditional"))
        one = self.cloud.call("check_live_migration", target={"server": rig.SERVER}, request={
            "instance_uuid": world.SEED, "source_host": "cmp-01", "dest_host": "cmp-02"})
        self.assertIn("verdict", one)
        self.cloud.cast("ping", target={"fanout": True, "namespace": "baseapi"}, arg=1)
        self.assertNotIn("ACCESS", self.service.log())

    def test_may_do_no_more(self):
        """Whatever is Nova's is refused with 403: to send to it, to take from it, to listen in on it, to delete it."""
        user = self.connect("novacompat", rig.PASSWORD)
        message = amqp.Message("{}")

        def bind_own(channel, exchange, key):
            channel.queue_declare("migration_compat.spy", exclusive=True)
            channel.queue_bind("migration_compat.spy", exchange, key)

        refused = [
            ("publish to a compute", lambda on: on.basic_publish_confirm(message, rig.EXCHANGE, OTHERS)),
            ("publish to itself", lambda on: on.basic_publish_confirm(message, rig.EXCHANGE, rig.TOPIC)),
            ("consume from a compute", lambda on: on.basic_consume(OTHERS)),
            ("get from a compute", lambda on: on.basic_get(OTHERS)),
            ("get a reply", lambda on: on.basic_get("reply_of_nova")),
            ("purge", lambda on: on.queue_purge(OTHERS)),
            ("delete a queue", lambda on: on.queue_delete(OTHERS)),
            ("delete the exchange", lambda on: on.exchange_delete(rig.EXCHANGE)),
            ("declare a compute", lambda on: on.queue_declare("compute.cmp-09")),
            ("declare a queue for replies", lambda on: on.queue_declare("reply_x")),
            ("declare an exchange", lambda on: on.exchange_declare("compute_fanout", "fanout")),
            ("bind a compute", lambda on: on.queue_bind(OTHERS, rig.EXCHANGE, rig.TOPIC)),
            ("listen in on computes", lambda on: bind_own(on, rig.EXCHANGE, "compute.#")),
            ("listen in on everything", lambda on: bind_own(on, rig.EXCHANGE, "#")),
        ]
        for what, attempt in refused:
            with self.subTest(what), self.assertRaises(amqp.AccessRefused):
                attempt(user.channel())
        bind_own(user.channel(), rig.EXCHANGE, f"{rig.TOPIC}.spy")  # what is refused above is the key, not the binding

    def test_replies_alone_have_no_bound(self):
        """RabbitMQ cannot say to which queues the default exchange leads: that replies go to reply_* only is up to the service."""
        channel = self.nova.channel()
        channel.queue_purge(OTHERS)
        with self.cloud.raw() as raw:
            raw.request("ping", namespace="baseapi", args={"arg": 1}, version="1.1", _reply_q=OTHERS)
            answered = raw.request("ping", namespace="baseapi", args={"arg": 2}, version="1.1")
            self.assertEqual(1, len(raw.replies(answered)))
        self.service.wait_for_log(f'dropping a reply to "{OTHERS}", which is no reply queue')
        self.assertIsNone(channel.basic_get(OTHERS))
