"""The options, in a section of their own of nova.conf: oslo-config-generator --namespace novacompat prints them."""

from oslo_config import cfg
from oslo_log import log as logging

LOG = logging.getLogger(__name__)

GROUP = cfg.OptGroup(
    "migration_compat", title="Device compatibility of live migrations",
    help="How nova-conductor (started as novacompat-conductor) and the scheduler's DeviceCompatFilter ask novacompat "
         "whether the devices of an instance can continue on another host.")

OPTIONS = [
    cfg.StrOpt(
        "mode", default="shadow", mutable=True,
        choices=[
            ("shadow", "Nothing changes but the log: a WARNING says which host would have been rejected, and why."),
            ("enforce", "A host that is rejected is not migrated to. The scheduler's next host is tried; a forced "
                        "migration ends, and the instance stays as it is."),
        ],
        help="What follows from a rejection."),
    cfg.StrOpt(
        "on_error", default="reject", mutable=True,
        choices=[
            ("reject", "The host counts as rejected."),
            ("accept", "The migration goes on unchecked."),
        ],
        help="What follows, in mode enforce, when novacompat gives no usable answer about an instance that may have "
             "devices which stay attached: a PCI alias, or a resource class VGPU or CUSTOM_* in the flavor. Other "
             "instances are migrated unchecked. Either way a WARNING says so."),
    cfg.IntOpt(
        "timeout", default=20, min=1, max=20, mutable=True,
        help="Seconds to wait for an answer. novacompat uses half of them at most. When there is no queue of its own on "
             "the bus, five of them are waited for it, or half of all."),
    cfg.IntOpt(
        "breaker_threshold", default=3, min=1, mutable=True,
        help="So many calls in a row without an answer, and novacompat is not asked any more for breaker_reset seconds: "
             "on_error decides at once. Counted in each worker process."),
    cfg.IntOpt(
        "breaker_reset", default=30, min=1, mutable=True,
        help="Seconds after which one call tries again whether novacompat answers."),
]


def list_opts():
    return [(GROUP, OPTIONS)]


def register(conf):
    """Adds the options to a configuration; again is as good as once."""
    conf.register_group(GROUP)
    conf.register_opts(OPTIONS, group=GROUP)


def value(conf, name):
    """What the configuration says of an option of ours, or, with an ERROR in the log, its default if that is not valid.

    oslo.config looks at a value when it is read. Nova does not start with one that is not valid (oslo.service lists all options
    then), but SIGHUP brings it into workers that run.
    """
    try:
        return getattr(conf.migration_compat, name)
    except cfg.Error as error:
        default, = (option.default for option in OPTIONS if option.name == name)
        LOG.error("[migration_compat] %(name)s: %(error)s; the default counts: %(default)s",
                  {"name": name, "error": error, "default": default})
        return default
