"""What novacompat is asked about: of an instance, only what tells which of its devices stay attached."""

import re

# Which flavor keys ask for devices.
_EXTRA_SPECS = re.compile(r"(resources|trait)[^:]*:|pci_passthrough:")
# mdevs may have any resource class ([mdev_*]mdev_class of nova.conf); that of vPMEM is no device.
_DEVICE_CLASS = re.compile(r"resources[^:]*:(VGPU|CUSTOM_(?!PMEM_NAMESPACE_)\w+)")


def check(instance, destination):
    """The request of check_live_migration: may this nova.objects.Instance go to the host `destination`?"""
    return {**_departure(instance), "dest_host": destination}


def rank(instance, destinations):
    """The request of rank_destinations, for a list of hosts."""
    return {**_departure(instance), "dest_hosts": destinations}


def may_keep_devices(request):
    """Whether Nova knows of a device that would stay attached. If not, there may still be one that only the host knows."""
    return (any(pci["alias_name"] for pci in request["pci_requests"])
            or any(_DEVICE_CLASS.fullmatch(key) and value != "0" for key, value in request["flavor_extra_specs"].items()))


def _departure(instance):
    pci_requests = instance.pci_requests.requests if instance.pci_requests else []
    return {
        "instance_uuid": instance.uuid,
        "source_host": instance.host,
        "flavor_extra_specs": {key: value for key, value in (instance.flavor.extra_specs or {}).items()
                               if _EXTRA_SPECS.match(key)},
        "pci_requests": [{"alias_name": pci.alias_name, "count": pci.count} for pci in pci_requests],
        "vifs": [_vif(vif) for vif in instance.get_network_info()],
    }


def _vif(vif):
    pci_slot = (vif["profile"] or {}).get("pci_slot")
    return {"vnic_type": vif["vnic_type"], "profile": {"pci_slot": pci_slot} if pci_slot else {}}
