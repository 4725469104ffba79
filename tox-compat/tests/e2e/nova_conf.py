"""Configuration files of the control plane, below rig.FOLDER."""

import json

import rig

PASTE = rig.REPOSITORY / "tox-compat" / "tests" / "e2e" / "api-paste.ini"

# What a vGPU is called in flavors and in Placement: [mdev_*]mdev_class of nova.conf.
DEVICE_CLASS = "CUSTOM_VGPU"


def write(name, text):
    file = rig.FOLDER / name
    file.write_text(text)
    return file


def database(name):
    # Several processes write to it; each waits for the others.
    return f"sqlite:///{rig.FOLDER}/{name}.sqlite?timeout=60"


def nova(name, transport_url, ports, databases=(), extra=""):
    """nova.conf of one service."""
    connections = "".join(f"[{section}]\nconnection = {database(of)}\nsqlite_synchronous = false\n" for section, of in databases)
    state = rig.FOLDER / "state" / name
    state.mkdir(parents=True)
    return write(f"{name}.conf", f"""[DEFAULT]
transport_url = {transport_url}
my_ip = 127.0.0.1
host = {name}
state_path = {state}
enabled_apis = osapi_compute
osapi_compute_listen = 127.0.0.1
osapi_compute_listen_port = {ports['api']}
osapi_compute_workers = 1
compute_driver = fake.FakeLiveMigrateDriver
rpc_response_timeout = 60
report_interval = 30
service_down_time = 300
[wsgi]
api_paste_config = {PASTE}
[oslo_concurrency]
lock_path = {state}
[conductor]
workers = 1
[scheduler]
workers = 1
discover_hosts_in_cells_interval = 5
[filter_scheduler]
track_instance_changes = false
[workarounds]
disable_group_policy_check_upcall = true
[placement]
auth_type = admin_token
token = admin
endpoint = http://127.0.0.1:{ports['placement']}
endpoint_override = http://127.0.0.1:{ports['placement']}
[glance]
endpoint_override = {ports['images']}
[neutron]
auth_type = admin_token
token = admin
endpoint = {ports['images']}
endpoint_override = {ports['images']}
{connections}{extra}""")


def compute(name, transport_url, ports):
    """That of a nova-compute, which has vGPUs: the fake driver reports none, so a provider.yaml gives them to Placement."""
    folder = rig.FOLDER / f"provider-{name}"
    folder.mkdir()
    inventory = {"meta": {"schema_version": "1.0"}, "providers": [{
        "identification": {"uuid": "$COMPUTE_NODE"},
        "inventories": {"additional": [{DEVICE_CLASS: {"total": 8}}]}}]}
    # JSON is YAML.
    (folder / "provider.yaml").write_text(json.dumps(inventory))
    return nova(name, transport_url, ports, extra=f"[compute]\nprovider_config_location = {folder}\n")


def placement():
    """placement.conf, in a directory of its own."""
    folder = rig.FOLDER / "placement"
    folder.mkdir()
    (folder / "placement.conf").write_text(
        f"[api]\nauth_strategy = noauth2\n[placement_database]\nconnection = {database('placement')}\nsync_on_startup = true\n")
