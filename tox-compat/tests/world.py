"""The hosts that most tests use: a source, cmp-01, and destinations that differ in one respect each.

    cmp-01  the source: five instances, see below
    cmp-02  takes all of them but OLD and STRANGE: has the starting document's own example, and room for two mdevs
    cmp-03  room for one mdev only
    cmp-04  offers another mdev type, with another device API and other versions
"""

SEED_VF = "0000:3b:00.2"
OLD_VF = "0000:3b:00.3"
PAIR = ["4f9a6c1e-1111-4a5c-9d35-0c5d2c5a0001", "4f9a6c1e-1111-4a5c-9d35-0c5d2c5a0002"]
STRANGE_MDEV = "4f9a6c1e-1111-4a5c-9d35-0c5d2c5a0003"

# Instances of cmp-01 and the device that each has.
SEED = "0e1d9b52-52f6-4a6c-8a1f-4d5f00000001"  # interface_version 2.0.3
OLD = "0e1d9b52-52f6-4a6c-8a1f-4d5f00000002"  # interface_version 2.0.1
TWO_MDEVS = "0e1d9b52-52f6-4a6c-8a1f-4d5f00000003"
STRANGE = "0e1d9b52-52f6-4a6c-8a1f-4d5f00000004"
PLAIN = "0e1d9b52-52f6-4a6c-8a1f-4d5f00000006"  # none
# Not there until `start_new`; one more of the mdevs that PAIR has.
NEW = "0e1d9b52-52f6-4a6c-8a1f-4d5f00000005"

TARGET_VF = "0000:5e:00.2"
ACCEPTED = "2.0.2-2.0.4,2.1.0-"
TARGET_GPU = "0000:82:00.0"
TARGET_TYPE = f"{TARGET_GPU}/nvidia-558"


def build(cloud):
    source = cloud.host("cmp-01")
    source.pci(SEED_VF, interface_version="2.0.3")
    source.pci(OLD_VF, interface_version="2.0.1")
    _gpu(source, "0000:81:00.0")
    source.mdev_type("0000:81:00.0", "nvidia-558", available_instances=0, software_version="2.0.1")
    source.mdev_type("0000:81:00.0", "nvidia-560", available_instances=0, software_version="3.0.0",
                     interface_version="2.0.1")
    for mdev in PAIR:
        source.mdev("0000:81:00.0", "nvidia-558", mdev)
    source.mdev("0000:81:00.0", "nvidia-560", STRANGE_MDEV)
    source.instance(SEED, SEED_VF)
    source.instance(OLD, OLD_VF)
    source.instance(TWO_MDEVS, *PAIR)
    source.instance(STRANGE, STRANGE_MDEV)
    source.instance(PLAIN)

    wide = cloud.host("cmp-02")
    wide.pci(TARGET_VF, interface_version="2.1.3", interface_version_compatible=ACCEPTED)
    _gpu(wide, TARGET_GPU)
    wide.mdev_type(TARGET_GPU, "nvidia-558", available_instances=2, software_version="2.1.0")

    narrow = cloud.host("cmp-03")
    _gpu(narrow, TARGET_GPU)
    narrow.mdev_type(TARGET_GPU, "nvidia-558", available_instances=1, software_version="2.1.0")

    other = cloud.host("cmp-04")
    _gpu(other, TARGET_GPU)
    other.mdev_type(TARGET_GPU, "nvidia-559", available_instances=4, device_api="vfio-ccw", software_version="2.1.0",
                    interface_version="2.1.3", interface_version_compatible=ACCEPTED)


def _gpu(host, address):
    host.pci(address, vendor="0x10de", device="0x2235", driver="nvidia")


def start_new(cloud):
    """An instance that starts while the agents are there."""
    source, mdev = cloud.hosts["cmp-01"], "4f9a6c1e-1111-4a5c-9d35-0c5d2c5a0004"
    source.mdev("0000:81:00.0", "nvidia-558", mdev)
    source.instance(NEW, mdev)


def seed_device():
    """The device of SEED, as a snapshot has it, for agents that tests play themselves."""
    return {"id": SEED_VF, "kind": "pci", "capacity": 1, "instance": SEED, "unreadable": {},
            "attributes": {"vendor": "8086", "device": "1889", "device_api": "vfio-pci", "interface_version": "2.0.3"}}


def target_device():
    """A free device that takes SEED's, as a snapshot has it."""
    device = seed_device()
    del device["instance"]
    return {**device, "id": TARGET_VF,
            "attributes": {**device["attributes"], "interface_version": "2.1.3",
                           "interface_version_compatible": ACCEPTED}}
