"""Compute nodes as directory trees for the agents, made of what Nova's fake libvirt pretends to be."""

import re
import xml.etree.ElementTree as ElementTree

from nova.tests.fixtures import libvirt as fakelibvirt

import rig


def build(cloud, computes, **versions):
    """A host for each nova-compute; `versions` are the software_version of all that it has, by host. Returns them by name."""
    built = {}
    for name, compute in computes.items():
        connection = compute.driver._host.get_connection()
        host = built[name] = cloud.host(name)
        attributes = {"software_version": versions[name]} if name in versions else {}
        mdevs = [_mdev(device) for device in _devices(connection.mdev_info)]
        for device in _devices(connection.pci_info):
            _pci(host, device, mdevs, attributes)
        for mdev in mdevs:
            host.mdev(*mdev)
        for domain in connection._vms.values():
            host.domain(domain.xml_of_nova)
    return built


def add_new_mdevs(built, computes):
    """Those that Nova has made since."""
    for name, compute in computes.items():
        for device in _devices(compute.driver._host.get_connection().mdev_info):
            parent, mdev_type, uuid = _mdev(device)
            if not (built[name].sysfs / "bus/mdev/devices" / uuid).exists():
                built[name].mdev(parent, mdev_type, uuid)


def attach(compute, server_id, mdev):
    """Gives a domain an mdev that Nova knows nothing of."""
    connection = compute.driver._host.get_connection()
    name = f"mdev_{mdev.replace('-', '_')}"
    connection.mdev_info.devices[name] = fakelibvirt.FakeMdevDevice(
        dev_name=name, type_id=fakelibvirt.NVIDIA_11_VGPU_TYPE, parent=fakelibvirt.MDEVCAP_DEV1_PCI_ADDR)
    domain = connection.lookupByUUIDString(server_id)
    domain.xml_of_nova = domain.xml_of_nova.replace("</devices>", f"{rig.hostdev(mdev)}</devices>")


def detach_all(compute, server_id):
    """Lets a domain look to its host as if it had no mdev."""
    domain = compute.driver._host.get_connection().lookupByUUIDString(server_id)
    domain.xml_of_nova = re.sub("(?s)<hostdev.*?</hostdev>", "", domain.xml_of_nova)


def _devices(info):
    return [ElementTree.fromstring(device.XMLDesc(0)) for device in info.devices.values()] if info else []


def _pci(host, device, mdevs, attributes):
    address = _address(device.find("name").text)
    host.pci(address, vendor=device.find("capability/vendor").get("id").lower(),
             device=device.find("capability/product").get("id").lower(), driver=device.find("driver/name").text,
             **attributes)
    for mdev_type in device.findall("capability/capability[@type='mdev_types']/type"):
        used = [mdev for mdev in mdevs if mdev[:2] == (address, mdev_type.get("id"))]
        host.mdev_type(address, mdev_type.get("id"), device_api=mdev_type.find("deviceAPI").text,
                       available_instances=int(mdev_type.find("availableInstances").text) - len(used), **attributes)


def _mdev(device):
    """Parent, type and uuid. The name ends with the parent from libvirt 7.3 on."""
    uuid = device.find("name").text[len("mdev_"):][:36].replace("_", "-")
    return _address(device.find("parent").text), device.find("capability/type").get("id"), uuid


def _address(name):
    """pci_0000_81_00_0 as 0000:81:00.0"""
    return "{}:{}:{}.{}".format(*re.fullmatch(r"pci_(\w+)_(\w+)_(\w+)_(\w)", name).groups())
