"""Starts Nova - API, scheduler, super-conductor and cell conductor, two computes, Placement - and novacompat beside it.

Real: all of Nova but the hypervisor (nova.virt.fake), RabbitMQ with two vhosts and the users of config/README.md, Placement's
inventories and allocations, agents and service. Made up: the hosts' sysfs, and the XML of a domain, which libvirt would have
written with the mdev that nova-compute gave it. Keystone, Glance and Neutron have stand-ins.
"""

import importlib.util
import json
import pathlib
import re
import shlex
import signal
import sys
import urllib.error
import urllib.request

import rig
from e2e import identity
from e2e import nova_conf
from e2e import stand_ins

HOSTS = ("cmp-01", "cmp-02")
GPU = "0000:81:00.0"
# cmp-02 has this type, newer; of the other it has an older version.
FITTING, TOO_NEW = "nvidia-558", "nvidia-559"
MDEVS = {FITTING: "4f9a6c1e-1111-4a5c-9d35-0c5d2c5a0001", TOO_NEW: "4f9a6c1e-1111-4a5c-9d35-0c5d2c5a0002"}

GUIDE = rig.REPOSITORY / "config" / "README.md"

HOOK = "[migration_compat]\nmode = enforce\ntimeout = 10\n"


class ControlPlane:
    def __init__(self):
        self.broker = rig.Broker.shared()
        self.cloud = rig.Cloud(self.broker)
        self.processes = {}
        self.ports = {"api": rig.free_port(), "placement": rig.free_port(), "novacompat": rig.free_port(), "images": stand_ins.start()}
        self.urls = self._add_users()
        self._build_hosts()
        self._configure()
        self.cloud.start_agents("--scan-interval", 1)
        self._start()

    def _add_users(self):
        """The URL of each user, and that of Nova on each vhost, by name."""
        control, at = self.broker.control, f"127.0.0.1:{self.broker.port}"
        control("add_user", "nova", rig.PASSWORD)
        for vhost in ("api", "cell1"):
            control("add_vhost", vhost)
            control("set_permissions", "-p", vhost, "nova", ".*", ".*", ".*")
        urls = {vhost: f"rabbit://nova:{rig.PASSWORD}@{at}/{vhost}" for vhost in ("api", "cell1")}
        # The very lines that the guide tells operators to type, but for the passwords.
        for line in re.findall("^    rabbitmqctl (.*)$", GUIDE.read_text(), re.MULTILINE):
            command, *arguments = shlex.split(line)
            if command == "add_user":
                control(command, arguments[0], rig.PASSWORD)
            else:
                control(command, *arguments)
                _, vhost, user, *_ = arguments
                urls[user] = f"rabbit://{user}:{rig.PASSWORD}@{at}/{vhost}"
        return urls

    def _build_hosts(self):
        versions = {"cmp-01": {FITTING: "2.0.1", TOO_NEW: "2.0.1"}, "cmp-02": {FITTING: "2.1.0", TOO_NEW: "1.0.0"}}
        self.hosts = {name: self.cloud.host(name) for name in HOSTS}
        for name, host in self.hosts.items():
            host.pci(GPU, vendor="0x10de", device="0x2235", driver="nvidia")
            for mdev_type, version in versions[name].items():
                host.mdev_type(GPU, mdev_type, available_instances=2, software_version=version)
        for mdev_type, mdev in MDEVS.items():
            self.hosts["cmp-01"].mdev(GPU, mdev_type, mdev)

    def _configure(self):
        nova_conf.placement()
        api, cell1 = self.urls["api"], self.urls["cell1"]
        both = [("api_database", "api"), ("database", "cell0")]
        self.files = {
            "manage": nova_conf.nova("manage", api, self.ports, [("api_database", "api"), ("database", "cell1")]),
            "api": nova_conf.nova("api", api, self.ports, both),
            "scheduler": nova_conf.nova("scheduler", api, self.ports, both),
            "super-conductor": nova_conf.nova("super-conductor", api, self.ports, both, HOOK),
            "cell-conductor": nova_conf.nova("cell-conductor", cell1, self.ports, [("database", "cell1")]),
            **{host: nova_conf.compute(host, cell1, self.ports) for host in HOSTS},
        }

    def _manage(self, *command):
        process = self._python("manage", "from nova.cmd.manage import main", "--config-file", self.files["manage"], *command)
        if process.wait(120) != 0:
            raise AssertionError(f"nova-manage {' '.join(map(str, command))}:\n{process.log()}")

    def _start(self):
        self._python("placement", "", self.ports["placement"])
        self._manage("api_db", "sync")
        self._manage("cell_v2", "map_cell0", "--database_connection", nova_conf.database("cell0"))
        self._manage("cell_v2", "create_cell", "--name", "cell1", "--transport-url", self.urls["cell1"],
                     "--database_connection", nova_conf.database("cell1"))
        self._manage("db", "sync")
        conductor = "from nova.cmd.conductor import main"
        for name, program in {
            "cell-conductor": conductor, "super-conductor": "from novacompat.conductor import main",
            "scheduler": "from nova.cmd.scheduler import main", "api": _API,
            **dict.fromkeys(HOSTS, "from nova.cmd.compute import main"),
        }.items():
            self._python(name, program, "--config-file", self.files[name])
        rig.wait_until(self._is_up, 120, "two nova-computes are up and in a cell", every=1)
        self.service = self.serve()
        self.service.wait_for_log("shadow cell1 ready: ")

    def _python(self, name, program, *arguments):
        code = {"placement": _PLACEMENT}.get(name) or f"import sys; sys.argv[0] = 'nova-{name}'\n{program}\n{_TAKE_TURNS}sys.exit(main())"
        paths = f"{rig.REPOSITORY}/tox-compat:{rig.REPOSITORY}/tox-compat/tests"
        self.processes[name] = rig.Process(
            name, "env", f"PYTHONPATH={paths}", "PYTHONWARNINGS=ignore", f"E2E_IMAGES={self.ports['images']}",
            f"E2E_API_PORT={self.ports['api']}", f"E2E_PASTE={nova_conf.PASTE}",
            f"OS_PLACEMENT_CONFIG_DIR={rig.FOLDER / 'placement'}", sys.executable, "-c", code, *arguments)
        return self.processes[name]

    def serve(self):
        """novacompat: it answers on the bus of the API, listens in on that of the cell, and writes a journal."""
        journal = {"directory": str(rig.FOLDER / "journal")}
        return self.cloud.serve(
            "ctl-01", transport_url=self.urls["novacompat"], shadow={"cell1": {"transport_url": self.urls["novacompat-tap"]}},
            journal=journal, http={"listen": f"127.0.0.1:{self.ports['novacompat']}"}, snapshot_max_age=0, debug=False)

    def in_flight(self):
        """How many messages novacompat has taken and not answered yet."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['novacompat']}/metrics", timeout=10) as answer:
            return int(re.search(rb"^novacompat_inflight (\d+)$", answer.read(), re.MULTILINE)[1])

    def set_mode(self, mode):
        """Of the hook, in nova.conf, then SIGHUP. With threads Nova starts its worker anew: the old one goes on as before."""
        file, conductor = self.files["super-conductor"], self.processes["super-conductor"]
        file.write_text(file.read_text().replace("mode = enforce", f"mode = {mode}"))
        conductor.send(signal.SIGHUP)
        conductor.wait_for_log(rf"migration_compat.mode changed from \[enforce\] to \[{mode}\]")
        if _WITH_THREADS:
            conductor.wait_for_log("(?s)(Starting conductor node.*){2}", 60)

    def _is_up(self):
        for process in self.processes.values():
            if process.name != "manage" and not process.running():
                raise AssertionError(f"{process.name} ended:\n{process.log()[-4000:]}")
        try:
            found = self.api("GET", "/os-services?binary=nova-compute")[1]["services"]
            hypervisors = self.api("GET", "/os-hypervisors")[1]["hypervisors"]
        except (urllib.error.URLError, KeyError):
            return False
        return len([one for one in found if one["state"] == "up"]) == len(HOSTS) == len(hypervisors)

    def api(self, method, path, body=None, microversion="2.90"):
        """Status, body and request id of what nova-api answers."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ports['api']}/v2.1{path}", method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "OpenStack-API-Version": f"compute {microversion}",
                     "X-OpenStack-Nova-API-Version": microversion, "X-Auth-Token": identity.TOKEN})
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return response.status, _json(response), response.headers["x-compute-request-id"]
        except urllib.error.HTTPError as error:
            return error.code, _json(error), error.headers["x-compute-request-id"]


def _json(response):
    text = response.read()
    return json.loads(text) if text else None


# Nova 34 and later: threads, and no server of the API. To ask for nova.cmd.api by name would import nova.cmd, and an older Nova then
# has eventlet patch this process, in which the first thread that serves HTTP stops all others.
_NOVA = pathlib.Path(importlib.util.find_spec("nova").submodule_search_locations[0])
_WITH_THREADS = not (_NOVA / "cmd" / "api.py").exists()

_API = "from nova.cmd.api import main" if not _WITH_THREADS else """
import os, wsgiref.simple_server
os.environ["OS_NOVA_CONFIG_FILES"] = os.environ["E2E_PASTE"] + ";" + sys.argv.pop()
sys.argv.pop()
from nova.wsgi.osapi_compute import application
main = wsgiref.simple_server.make_server("127.0.0.1", int(os.environ["E2E_API_PORT"]), application).serve_forever"""

# A transaction of SQLite that has read and then wants to write does not wait for another one that writes, however long the timeout
# is: "database is locked", at once, and the slower the machine the more often. One that says at its start that it writes does wait.
_TAKE_TURNS = """
import sqlalchemy.engine, sqlalchemy.event
@sqlalchemy.event.listens_for(sqlalchemy.engine.Engine, "before_cursor_execute", retval=True)
def take_turns(connection, cursor, statement, parameters, context, executemany):
    return "BEGIN IMMEDIATE" if statement == "BEGIN" else statement, parameters
"""

# As placement-api of Debian's package does it.
_PLACEMENT = ("import sys, wsgiref.simple_server; port = int(sys.argv.pop()); from placement.wsgi import init_application; "
              "wsgiref.simple_server.make_server('127.0.0.1', port, init_application()).serve_forever()")
