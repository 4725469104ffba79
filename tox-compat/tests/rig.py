"""Everything around a test: a private broker, hosts as directories, agents and services as child processes.

    cloud = rig.Cloud()                             # a vhost of its own on the broker of this test process
    cmp_01 = cloud.host("cmp-01")
    cmp_01.pci("0000:3b:00.2", interface_version="2.0.3")
    cmp_01.instance(uuid, "0000:3b:00.2")
    cloud.start_agents()
    service = cloud.serve()
    cloud.call("check_live_migration", request={...})
    cloud.close()

Only what is started here is ended here, by process id; every child also dies with this process.
"""

import atexit
import concurrent.futures
import errno
import http.server
import itertools
import json
import logging
import os
import pathlib
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
import warnings

import amqp
from oslo_config import cfg
import oslo_messaging

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
MAIN = REPOSITORY / "dist" / "src" / "cli" / "main.js"
UNIT = REPOSITORY / "config" / "novacompat-serve.service"
RABBITMQ = REPOSITORY / "test" / "support" / "rabbitmq.sh"
RABBITMQCTL = "/usr/lib/rabbitmq/bin/rabbitmqctl"
GUIDE = REPOSITORY / "config" / "README.md"
# Of every user of every broker, as rabbitmq.sh has it: it is in no output, .ci/run looks.
PASSWORD = "canary-5b1e-password"

# The package of the hook, as if it were installed.
sys.path.insert(0, str(REPOSITORY / "tox-compat"))

EXCHANGE = "nova"
TOPIC = "migration_compat"
SERVER = "novacompat-1"

# oslo.messaging 14.0.3 registers its metrics options on the global object only: a private one makes any error in a
# call a NoSuchOptError.
CONF = cfg.CONF


def _set_up_process():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="novacompat-interop-"))
    logging.basicConfig(filename=folder / "python.log", level=logging.INFO)
    CONF([], project="novacompat-interop", default_config_files=[], default_config_dirs=[])
    oslo_messaging.set_transport_defaults(EXCHANGE)
    # The metrics client starts a thread that is no daemon and waits 10 s for metrics, although they are disabled; the
    # interpreter cannot end before it does.
    CONF.set_override("metrics_thread_stop_timeout", 0, group="oslo_messaging_metrics")

    def remove():
        if os.environ.get("NOVACOMPAT_KEEP_LOGS"):
            print(f"logs are in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


FOLDER = _set_up_process()
_numbers = itertools.count(1)


def _unit_options():
    """What the systemd unit starts Node.js with: the service is tried as it runs."""
    return re.search(r"^ExecStart=/usr/bin/node (--.*) /usr/lib/", UNIT.read_text(), re.MULTILINE)[1].split()


def free_port():
    """As test/support/free-port.ts: below those that Linux gives to whoever connects, so that none is lost before its server starts."""
    while True:
        with socket.socket() as probe:
            try:
                probe.bind(("", random.randrange(16384, 32768)))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            return probe.getsockname()[1]


def wait_until(condition, seconds, what, every=0.05):
    """Polls until the condition is true and returns its value."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(every)
    raise AssertionError(f"not within {seconds} s: {what}")


def in_parallel(*functions):
    """Runs the functions in a thread each and returns their results in order."""
    with concurrent.futures.ThreadPoolExecutor(len(functions)) as pool:
        return [future.result() for future in [pool.submit(function) for function in functions]]


class Process:
    """A child process whose output goes to a file of its own."""

    def __init__(self, name, *command):
        self.name = name
        self.log_file = FOLDER / f"{next(_numbers):02}-{name}.log"
        with open(self.log_file, "wb") as output:
            self._child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *map(str, command)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        atexit.register(self.kill)

    def log(self):
        return self.log_file.read_text(errors="replace")

    def wait_for_log(self, pattern, seconds=30):
        def seen():
            found = re.search(pattern, self.log())
            if not found and self._child.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self._child.returncode}:\n{self.log()}")
            return found
        return wait_until(seen, seconds, f"{pattern!r} in the log of {self.name}:\n{self.log()}")

    def running(self):
        return self._child.poll() is None

    def wait(self, seconds):
        return self._child.wait(seconds)

    def pause(self):
        """It stops where it is, with all its connections open."""
        self._child.send_signal(signal.SIGSTOP)

    def send(self, number):
        self._child.send_signal(number)

    def kill(self):
        if self.running():
            self._child.kill()
        self._child.wait()
        atexit.unregister(self.kill)


class Broker:
    """A private RabbitMQ on a free port."""

    _shared = None

    @classmethod
    def shared(cls):
        """The broker of this test process."""
        if cls._shared is None:
            cls._shared = cls()
        return cls._shared

    def __init__(self):
        self.port = free_port()
        self._dist_port = free_port()
        self._folder = FOLDER / f"broker-{self.port}"
        self._users = set()
        self.start()

    def start(self):
        """Starts it, or starts it again after `kill` with the same port and data."""
        self._process = Process("broker", RABBITMQ, self._folder, self.port, self._dist_port)
        wait_until(self._greets, 60, "AMQP Connection.Start of the broker")
        self.control("await_startup")  # on a busy machine it greets before its parts are ready for rabbitmqctl

    def kill(self):
        self._process.kill()

    def _greets(self):
        if not self._process.running():
            raise AssertionError(f"the broker ended:\n{self._process.log()}")
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.settimeout(5)
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return connection.recv(1) == b"\x01"
        except OSError:
            return False

    def add_vhost(self, name):
        self.control("add_vhost", name)
        self.control("set_permissions", "-p", name, "guest", ".*", ".*", ".*")

    def control(self, *command):
        """Runs one command of rabbitmqctl."""
        arguments = f"-dist_listen false -start_epmd false -erl_epmd_port {self._dist_port}"
        environment = dict(os.environ, HOME=str(self._folder), RABBITMQ_CTL_ERL_ARGS=arguments, ERL_CRASH_DUMP_SECONDS="0")
        done = subprocess.run([RABBITMQCTL, "-q", "-n", f"t{self.port}@localhost", *command],
                              env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            # subprocess's own error has all of the command, and so a password.
            raise AssertionError(f"rabbitmqctl {command[0]} failed: {done.stderr}")

    def url(self, vhost, user="guest", password=PASSWORD):
        return f"rabbit://{user}:{password}@127.0.0.1:{self.port}/{'' if vhost == '/' else vhost}"

    def allow(self, vhost, user, *changes):
        """Makes the user that the guide has for the service, with its very commands, or one of which some words are others."""
        for command, *arguments in documented_commands("novacompat"):
            if command == "add_user":
                if user not in self._users:
                    self._users.add(user)
                    self.control(command, user, PASSWORD)
                continue
            _, _, _, *rest = arguments
            for word, other in changes:
                rest = [argument.replace(word, other) for argument in rest]
            self.control(command, "-p", vhost, user, *rest)


def documented_commands(user):
    """The lines of the guide that make a user: words of rabbitmqctl."""
    lines = [shlex.split(line) for line in re.findall("^    rabbitmqctl (.*)$", GUIDE.read_text(), re.MULTILINE)]
    return [line for line in lines if user in line]


class Host:
    """A compute node as directories: a sysfs root laid out as the kernel does it, and libvirt's live domains."""

    def __init__(self, name):
        self.name = name
        self.sysfs = FOLDER / f"{next(_numbers):02}-{name}" / "sys"
        self.libvirt = self.sysfs.parent / "libvirt"
        self._directories = {}
        for folder in ("bus/pci/devices", "bus/pci/drivers", "bus/mdev/devices", "class/mdev_bus", "devices"):
            (self.sysfs / folder).mkdir(parents=True)
        self.libvirt.mkdir()

    def pci(self, address, vendor="0x8086", device="0x1889", driver="vfio-pci", **attributes):
        """A PCI function, one value a file."""
        directory = self.sysfs / "devices" / f"pci{address[:7]}" / address
        directory.mkdir(parents=True)
        _write(directory, vendor=vendor, device=device, subsystem_vendor=vendor, subsystem_device="0x0000",
               revision="0x02", numa_node="0", **{"class": "0x020000"}, **attributes)
        _link(self.sysfs / "bus/pci/devices" / address, directory)
        (self.sysfs / "bus/pci/drivers" / driver).mkdir(exist_ok=True)
        _link(directory / "driver", self.sysfs / "bus/pci/drivers" / driver)
        _link(directory / "subsystem", self.sysfs / "bus/pci")
        self._directories[address] = directory

    def mdev_type(self, parent, type_id, available_instances, device_api="vfio-pci", **attributes):
        """An mdev type that the parent, a PCI function, supports."""
        directory = self._directories[parent] / "mdev_supported_types" / type_id
        (directory / "devices").mkdir(parents=True)
        _write(directory, name=f"GRID {type_id}", device_api=device_api, description="num_heads=4",
               available_instances=available_instances, **attributes)
        bus = self.sysfs / "class/mdev_bus" / parent
        if not bus.is_symlink():
            _link(bus, self._directories[parent])

    def mdev(self, parent, type_id, mdev_uuid, **attributes):
        """An mdev of a type that the parent has."""
        type_directory = self._directories[parent] / "mdev_supported_types" / type_id
        directory = self._directories[parent] / mdev_uuid
        directory.mkdir()
        _write(directory, **attributes)
        _link(directory / "mdev_type", type_directory)
        _link(directory / "subsystem", self.sysfs / "bus/mdev")
        _link(type_directory / "devices" / mdev_uuid, directory)
        _link(self.sysfs / "bus/mdev/devices" / mdev_uuid, directory)

    def instance(self, instance_uuid, *devices):
        """A running domain (its uuid is the uuid of the Nova instance) with the devices attached."""
        name = f"instance-{next(_numbers):08x}"
        hostdevs = "\n".join(hostdev(device) for device in devices)
        self.domain(f"<domain type='kvm' id='1'>\n<name>{name}</name>\n<uuid>{instance_uuid}</uuid>\n"
                    f"<devices>\n{hostdevs}\n</devices>\n</domain>")

    def domain(self, xml):
        """A running domain, as libvirt describes it."""
        (self.libvirt / f"{next(_numbers):02}.xml").write_text(
            f"<domstatus state='running' reason='booted' pid='1'>\n{xml}\n</domstatus>\n")


def _write(directory, **attributes):
    for name, value in attributes.items():
        (directory / name).write_text(f"{value}\n")


def _link(link, target):
    link.symlink_to(os.path.relpath(target, link.parent))


def hostdev(device):
    """An mdev (by uuid) or a PCI function as a domain has it."""
    if len(device) == 36:
        return (f"<hostdev mode='subsystem' type='mdev' managed='no' model='vfio-pci'><source>"
                f"<address uuid='{device}'/></source></hostdev>")
    domain, bus, slot, function = re.split("[:.]", device)
    return (f"<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x{domain}' "
            f"bus='0x{bus}' slot='0x{slot}' function='0x{function}'/></source></hostdev>")


class HttpAgent:
    """An agent of the test's own: `answer(handler)` does whatever it likes with each GET."""

    def __init__(self, answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                try:
                    answer(self)
                except OSError:
                    pass  # the service had enough and closed the connection

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def reply(handler, body, status=200, content_type="application/json", **headers):
    """Answers one HTTP request; the body is text or something for JSON."""
    data = (body if isinstance(body, str) else json.dumps(body)).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", content_type)
    handler.send_header("Content-Length", str(len(data)))
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(data)


def snapshot(host, *devices):
    """A snapshot as an agent sends it."""
    return {"schema_version": "1.0", "host": host, "devices": list(devices)}


def _is_healthy(agent):
    try:
        with urllib.request.urlopen(f"{agent}/healthcheck", timeout=5):
            return True
    except OSError:
        return False


class Cloud:
    """Hosts, agents, services and one oslo.messaging client in a vhost of their own, or on a broker of their own."""

    def __init__(self, broker=None):
        # unittest shows all warnings; these are not ours.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="kombu|oslo_context")
        self.broker = broker or Broker.shared()
        self.vhost = "/"
        if broker is None:
            self.vhost = f"v{next(_numbers)}"
            self.broker.add_vhost(self.vhost)
        self.url = self.broker.url(self.vhost)
        self._users = {}
        with self.raw():
            pass  # Nova is there first, and declares her exchange, which the service's user may not
        self.agents = {}
        self.hosts = {}
        self._processes = []
        self._http_agents = []
        self._transport = None

    def host(self, name):
        self.hosts[name] = Host(name)
        return self.hosts[name]

    def start_agents(self, *options):
        """One real agent for each host, started at the same time."""
        started = {
            name: self._start(f"agent-{name}", "agent", "--host", name, "--sysfs-root", host.sysfs,
                              "--libvirt-dir", host.libvirt, "--listen", "127.0.0.1:0", *options)
            for name, host in self.hosts.items()
        }
        for name, process in started.items():
            self.agents[name] = process.wait_for_log(r"listening on (http://127\.0\.0\.1:\d+)").group(1)
        for name in started:
            # On a busy machine the first scan may be given up, and the next one is half a minute later.
            wait_until(lambda: _is_healthy(self.agents[name]), 60, f"the first scan of {name}")

    def http_agent(self, name, answer):
        agent = HttpAgent(answer)
        self._http_agents.append(agent)
        self.agents[name] = agent.url
        return agent

    def serve(self, server=SERVER, **options):
        """A service that knows the agents of this moment, ready to consume."""
        process = self.serve_later(server, **options)
        process.wait_for_log(" ready: ")
        return process

    def service_url(self, stand_in_hosts=None, notification_topics=None):
        """Of the documented user, who may do more only where the service is configured to: in the places that the guide names."""
        user, changes = "novacompat", []
        if stand_in_hosts:
            user += "-stand-in"
            changes.append(("migration_compat", "(migration_compat|compute|compute-alt)"))
        if notification_topics:
            user += "-notify"
            changes += [("^(amq", "^(nova|amq"), ("^$", rf"^({'|'.join(notification_topics)})\..*$")]
        if user not in self._users:
            self.broker.allow(self.vhost, user, *changes)
            self._users[user] = self.broker.url(self.vhost, user, PASSWORD)
        return self._users[user]

    def serve_later(self, server=SERVER, **options):
        url = options.get("transport_url") or self.service_url(
            options.get("stand_in_hosts"), options.get("versioned_notifications_topics"))
        config = {
            "transport_url": url, "host": server, "agents": self.agents,
            "max_check_time": 15, "agent_timeout": 7, "debug": True, **options,
        }
        file = FOLDER / f"{next(_numbers):02}-{server}.yaml"
        # JSON is YAML, value by value.
        file.write_text("".join(f"{name}: {json.dumps(value)}\n" for name, value in config.items()
                                if value is not None))
        return self._start(server, "serve", "--config-file", file)

    def _start(self, name, *arguments):
        if not MAIN.exists():
            raise AssertionError(f"{MAIN.relative_to(REPOSITORY)} does not exist: run `npm run build` first")
        process = Process(name, "node", *_unit_options(), MAIN, *arguments)
        self._processes.append(process)
        return process

    @property
    def transport(self):
        if self._transport is None:
            self._transport = oslo_messaging.get_rpc_transport(
                CONF, self.url, allowed_remote_exmods=["nova.exception"])
        return self._transport

    def client(self, **target):
        """A real oslo.messaging client; `target` overrides topic, server, namespace, version, fanout."""
        target = {"exchange": EXCHANGE, "topic": TOPIC, "version": "1.0", **target}
        return oslo_messaging.get_rpc_client(self.transport, oslo_messaging.Target(**target))

    def call(self, method, context=None, timeout=20, call_monitor_timeout=None, target=None, **arguments):
        client = self.client(**(target or {}))
        prepared = client.prepare(timeout=timeout, call_monitor_timeout=call_monitor_timeout)
        return prepared.call(context or {}, method, **arguments)

    def cast(self, method, context=None, target=None, **arguments):
        self.client(**(target or {})).cast(context or {}, method, **arguments)

    def check(self, source_host, dest_host, *devices, instance_uuid=None, timeout=20, **request):
        """Asks `check_live_migration`; without devices, about those that the source's agent finds at the instance."""
        request = {"instance_uuid": instance_uuid or str(uuid.uuid4()), "source_host": source_host,
                   "dest_host": dest_host, **request}
        if devices:
            request["devices"] = list(devices)
        return self.call("check_live_migration", timeout=timeout, request=request)

    def process(self, name):
        """The last one of this name: agent-<host>, or the server of a service."""
        return [process for process in self._processes if process.name == name][-1]

    def raw(self):
        return RawClient(self.broker.port, self.vhost)

    def close(self):
        if self._transport is not None:
            self._transport.cleanup()
        for process in self._processes:
            process.kill()
        for agent in self._http_agents:
            agent.close()
        told = [process.name for process in self._processes if PASSWORD in process.log()]
        if told:
            raise AssertionError(f"the password of the broker is in the log of {told}")


class RawClient:
    """AMQP without oslo.messaging, to send what it never would and to see every frame of an answer."""

    def __init__(self, port, vhost):
        self._connection = amqp.Connection(f"127.0.0.1:{port}", userid="guest", password=PASSWORD,
                                           virtual_host=vhost)
        self._connection.connect()
        self.channel = self._connection.channel()
        self.channel.exchange_declare(EXCHANGE, "topic", durable=False, auto_delete=False)  # as Nova's clients do
        self.reply_queue = f"reply_{uuid.uuid4().hex}"
        self._received = []
        self.listen(self.reply_queue)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._connection.close()

    def listen(self, queue):
        """Declares a queue, which disappears with this client, and collects what arrives there."""
        self.channel.queue_declare(queue, exclusive=True, auto_delete=False)
        self.channel.basic_consume(queue, no_ack=True, callback=lambda message: self._received.append(
            (queue, json.loads(json.loads(message.body)["oslo.message"]))))

    def publish(self, body, routing_key=TOPIC, **properties):
        properties = {"content_type": "application/json", "content_encoding": "utf-8", "application_headers": {},
                      "delivery_mode": 2, "priority": 0, **properties}
        self.channel.basic_publish(amqp.Message(body, **properties), exchange=EXCHANGE, routing_key=routing_key)

    def request(self, method, routing_key=TOPIC, **fields):
        """Publishes a call as oslo.messaging writes it; a field that is ... is left out. Returns its _msg_id."""
        message = {"method": method, "args": {}, "version": "1.0", "_msg_id": uuid.uuid4().hex,
                   "_reply_q": self.reply_queue, "_timeout": None, "_unique_id": uuid.uuid4().hex, **fields}
        message = {name: value for name, value in message.items() if value is not ...}
        self.publish(envelope(message), routing_key)
        return message.get("_msg_id")

    def messages(self, seconds):
        """All that arrives within these seconds, and what nobody has asked for before, as (queue, message)."""
        self._receive(seconds, until=lambda: False)
        received, self._received = self._received, []
        return received

    def replies(self, msg_id, seconds=20):
        """Every message about this call up to its last one, heartbeats included."""
        def own():
            return [message for _, message in self._received if message["_msg_id"] == msg_id]

        self._receive(seconds, until=lambda: any(message["ending"] for message in own()))
        replies = own()
        self._received = [(queue, message) for queue, message in self._received if message not in replies]
        return replies

    def _receive(self, seconds, until):
        deadline = time.monotonic() + seconds
        while not until() and deadline > time.monotonic():
            try:
                self._connection.drain_events(timeout=max(0.001, deadline - time.monotonic()))
            except socket.timeout:
                break

    def waiting(self, queue):
        """How many messages nobody has taken from a queue yet."""
        return self.channel.queue_declare(queue, passive=True).message_count


def envelope(message, version="2.0"):
    return json.dumps({"oslo.version": version, "oslo.message": json.dumps(message)})
