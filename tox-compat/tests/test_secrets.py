"""Nothing that a request carries in confidence is in any log, with debug on."""

import unittest

import rig
import world

CANARY = "canary-4c1d"

CONTEXT = {
    "auth_token": f"{CANARY}-token", "request_id": "req-8f1f3a52-52f6-4a6c-8a1f-4d5f00000001",
    "global_request_id": None, "user_id": "user", "project_id": "project", "remote_address": f"{CANARY}-address",
    "service_catalog": [{"endpoints": [{"internalURL": f"http://{CANARY}-catalog/"}]}],
    "user_name": f"{CANARY}-user", "unknown_key": f"{CANARY}-unknown",
}


def primitive(name, **data):
    return {"nova_object.name": name, "nova_object.namespace": "nova", "nova_object.version": "2.7",
            "nova_object.data": data, "nova_object.changes": []}


def instance(uuid, **data):
    return primitive(
        "Instance", uuid=uuid, host="cmp-01", node="cmp-01", user_data=f"{CANARY}-user-data", key_data=f"{CANARY}-key",
        metadata={"password": f"{CANARY}-metadata"}, system_metadata={"x": f"{CANARY}-system"},
        access_ip_v4=f"{CANARY}-ip",
        info_cache=primitive("InstanceInfoCache", network_info=f'["{CANARY}-net"]'), **data)


class SecretsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = rig.Cloud()
        cls.addClassCleanup(cls.cloud.close)
        for host, device in [("cmp-01", world.seed_device()), ("cmp-02", world.target_device())]:
            cls.cloud.http_agent(host, lambda handler, host=host, device=device: rig.reply(
                handler, rig.snapshot(host, device)))
        cls.service = cls.cloud.serve(stand_in_hosts=["cmp-02"], debug=True)

    def send_all(self):
        """Requests that succeed, fail, and cannot even be read, all with canaries in them."""
        request = {"instance_uuid": world.SEED, "source_host": "cmp-01", "dest_host": "cmp-02"}
        bad = {"password": f"{CANARY}-value"}
        for method, target, arguments in [
            ("check_live_migration", {}, {"request": {**request, "admin_pass": f"{CANARY}-extra"}}),
            ("check_live_migration", {}, {"request": {**request, "dest_host": bad}}),
            ("check_live_migration", {}, {"request": f"{CANARY}-no-object"}),
            ("check_live_migration", {}, {"request": request, "surplus": f"{CANARY}-surplus"}),
            ("check_live_migration", {"version": "9.9"}, {"request": request, "surplus": f"{CANARY}-surplus"}),
            ("no_such_method", {}, {"password": f"{CANARY}-password"}),
            *[
                ("check_can_live_migrate_destination", {"topic": "compute", "server": "cmp-02", "version": "6.0"},
                 {"instance": value, "block_migration": None, "disk_over_commit": None, "limits": None,
                  "migration": primitive("Migration", uuid=world.OLD, source_compute="cmp-01", dest_compute=None)})
                for value in [instance(world.SEED), instance("x" * 400), instance(bad), f"{CANARY}-no-object", bad]
            ],
        ]:
            try:
                self.cloud.call(method, CONTEXT, 10, target=target, **arguments)
            except Exception:
                pass  # an answer or a failure: here only what is logged of it matters
        with self.cloud.raw() as raw:
            raw.publish(f'{{"{CANARY}": ')
            raw.publish(f'{{"oslo.version": "9.0", "oslo.message": "{CANARY}-inner"}}')
            raw.publish(f'{{"oslo.version": "2.0", "oslo.message": "{CANARY}-inner"}}')
            raw.publish(rig.envelope({"method": bad, "args": bad, "_context_auth_token": CONTEXT["auth_token"]}))
            raw.publish(rig.envelope({"method": "x", "_context_auth_token": CONTEXT["auth_token"]}),
                        content_type="text/plain")
            raw.request("check_live_migration", _context_auth_token=CONTEXT["auth_token"])
            msg_id = raw.request("check_live_migration", args={"request": request}, _context_x=f"{CANARY}-x")
            raw.replies(msg_id)

    def test_no_log_has_them(self):
        """Context, arguments, undecodable bodies and the broker's password stay out of every line."""
        self.send_all()
        log = self.service.log()
        self.assertIn(world.SEED, log, "the service logs what it was asked, or this test proves nothing")
        self.assertIn(CONTEXT["request_id"], log, "an operator can follow the request through Nova's logs and ours")
        found = [line for line in log.splitlines() if CANARY in line]
        self.assertEqual([], found)
        self.assertNotIn(rig.PASSWORD, log)
