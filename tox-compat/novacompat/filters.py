"""Scheduler filter that leaves out hosts of which novacompat says that the devices of an instance cannot continue there.

    [filter_scheduler]
    available_filters = nova.scheduler.filters.all_filters
    available_filters = novacompat.filters.DeviceCompatFilter
    enabled_filters = ..., DeviceCompatFilter

It saves the conductor a round for every host that would be rejected, and decides nothing alone: whatever is not known
passes, and a forced migration asks no scheduler at all. Enforcement is the conductor's.
"""

from nova.compute import task_states
import nova.conf
from nova import context as nova_context
from nova import objects
from nova.scheduler import filters
from oslo_log import log as logging

from novacompat import opts
from novacompat import request
from novacompat import rpcapi

CONF = nova.conf.CONF
opts.register(CONF)
LOG = logging.getLogger(__name__)

# Verdicts that say what is wrong. Conditional is one: Nova provisions nothing, so the conductor would refuse that host too.
KNOWN = ("reject", "conditional")

# So many are asked about in one call.
MAX_HOSTS = 1024


class DeviceCompatFilter(filters.BaseHostFilter):
    """Asks once for all hosts; last in enabled_filters it asks about the fewest."""

    RUN_ON_REBUILD = False

    def filter_all(self, filter_obj_list, spec_obj):
        hosts = list(filter_obj_list)
        try:
            rejected = _rejected([host.host for host in hosts], spec_obj)
        except rpcapi.NoAnswer as error:
            LOG.warning("Hosts are not filtered by device compatibility: %s", error)
            return hosts
        except Exception:
            LOG.exception("Hosts are not filtered by device compatibility")
            return hosts
        return [host for host in hosts if host.host not in rejected]

    def host_passes(self, host_state, spec_obj):
        return bool(self.filter_all([host_state], spec_obj))


def _rejected(hosts, spec_obj):
    if opts.value(CONF, "mode") != "enforce" or not hosts:
        return set()
    instance = _live_migrating(spec_obj)
    if instance is None:
        return set()
    decisions = rpcapi.MigrationCompatAPI().rank_destinations(
        spec_obj._context, request.rank(instance, hosts[:MAX_HOSTS]))
    rejected = {host: decision for host, decision in decisions.items()
                if decision.get("verdict") in KNOWN and not decision["allowed"]}
    for host, decision in rejected.items():
        LOG.info("Host %s cannot take the devices: %s", host, decision.get("text"), instance=instance)
    return rejected.keys()


def _live_migrating(spec_obj):
    """The instance, if it is a live migration that looks for a host. Nothing in the request says so, its state does."""
    destination = spec_obj.requested_destination if "requested_destination" in spec_obj else None
    if destination is None or "cell" not in destination or destination.cell is None:
        return None
    with nova_context.target_cell(spec_obj._context, destination.cell) as cell_context:
        instance = objects.Instance.get_by_uuid(
            cell_context, spec_obj.instance_uuid, expected_attrs=["flavor", "info_cache", "pci_requests"])
    return instance if instance.task_state == task_states.MIGRATING else None
