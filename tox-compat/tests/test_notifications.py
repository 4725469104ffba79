"""A real oslo.messaging listener reads the notifications of checks."""

import threading
import unittest

import oslo_messaging

import rig
import world

TOPIC = "versioned_notifications"
REQUEST = "req-8f1f3a52-52f6-4a6c-8a1f-4d5f00000002"
CONTEXT = {"request_id": REQUEST, "project_id": "project", "auth_token": "s3cr3t-token", "user_name": "s3cr3t-user"}


class Listener:
    """Everything that a listener of Nova's notifications is told, in the order of its coming."""

    def __init__(self, cloud):
        self._received, self._arrived = [], threading.Condition()
        self._server = oslo_messaging.get_notification_listener(
            oslo_messaging.get_notification_transport(rig.CONF, cloud.url),
            [oslo_messaging.Target(exchange=rig.EXCHANGE, topic=TOPIC)], [self], executor="threading")
        self._server.start()

    def info(self, context, publisher_id, event_type, payload, metadata):
        self._take("info", context, publisher_id, event_type, payload, metadata)

    def error(self, context, publisher_id, event_type, payload, metadata):
        self._take("error", context, publisher_id, event_type, payload, metadata)

    def _take(self, *notification):
        with self._arrived:
            self._received.append(notification)
            self._arrived.notify_all()

    def next(self):
        with self._arrived:
            if not self._arrived.wait_for(lambda: self._received, timeout=30):
                raise AssertionError("no notification in 30 s")
            return self._received.pop(0)

    def rest(self):
        return self._received

    def close(self):
        self._server.stop()
        self._server.wait()


class NotificationsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = rig.Cloud()
        cls.addClassCleanup(cls.cloud.close)
        world.build(cls.cloud)
        cls.cloud.start_agents()
        cls.listener = Listener(cls.cloud)
        cls.addClassCleanup(cls.listener.close)
        cls.service = cls.cloud.serve(versioned_notifications_topics=[TOPIC])

    def check(self, dest_host):
        request = {"instance_uuid": world.SEED, "source_host": "cmp-01", "dest_host": dest_host}
        decision = self.cloud.call("check_live_migration", CONTEXT, request=request)
        return decision, self.listener.next()

    def test_end(self):
        """A check that comes to a decision; payloads are versioned objects, the context has ids and no token."""
        decision, (priority, context, publisher_id, event_type, payload, metadata) = self.check("cmp-02")
        self.assertEqual(("info", "migration_compat.check.end"), (priority, event_type))
        self.assertEqual(f"novacompat-serve:{rig.SERVER}", publisher_id)
        # The last one is of oslo.messaging itself.
        self.assertEqual({"request_id": REQUEST, "project_id": "project", "client_timeout": None}, context)
        self.assertRegex(metadata["timestamp"], r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}$")
        self.assertRegex(metadata["message_id"], r"^[0-9a-f-]{36}$")
        self.assertEqual(
            ("CheckPayload", "migration_compat", "1.0"),
            tuple(payload[f"nova_object.{key}"] for key in ("name", "namespace", "version")))
        data = payload["nova_object.data"]
        self.assertEqual((world.SEED, "cmp-01", "cmp-02"),
                         (data["instance_uuid"], data["source_host"], data["dest_host"]))
        self.assertEqual(decision["id"], data["decision_id"])
        for field in ("verdict", "allowed", "mapping", "text"):
            self.assertEqual(decision[field], data[field])
        self.assertEqual([reason["code"] for reason in decision["reasons"]],
                         [reason["nova_object.data"]["code"] for reason in data["reasons"]])

    def test_error(self):
        """A check that does not: nobody can say."""
        _, (priority, _, _, event_type, payload, _) = self.check("cmp-99")
        self.assertEqual(("error", "migration_compat.check.error"), (priority, event_type))
        data = payload["nova_object.data"]
        self.assertEqual(("unknown", False), (data["verdict"], data["allowed"]))
        [reason] = data["reasons"]
        self.assertEqual({
            "code": "agent.unconfigured", "severity": "error", "device": None, "candidate": None, "attribute": None,
            "message": 'no agent is configured for host "cmp-99"'}, reason["nova_object.data"])
        self.assertEqual([], self.listener.rest(), "one notification for each check")


class OffTest(unittest.TestCase):
    def test_off(self):
        """Without topics nothing is sent; with one that nobody has ever listened to, nothing piles up and the log says so once."""
        cloud = rig.Cloud()
        self.addCleanup(cloud.close)
        silent = cloud.serve("silent")
        loud = cloud.serve("loud", versioned_notifications_topics=["unheard"])
        for server in ("silent", "loud", "loud"):
            request = {"instance_uuid": world.SEED, "source_host": "a", "dest_host": "b"}
            cloud.call("check_live_migration", target={"server": server}, request=request)
        loud.wait_for_log("nobody has ever listened to nova/unheard.error: its notifications are lost")
        self.assertNotIn("notification", silent.log())
        self.assertEqual(1, loud.log().count("nobody has ever listened to"))


if __name__ == "__main__":
    unittest.main()
