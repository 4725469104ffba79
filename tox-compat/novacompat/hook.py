"""Puts the question before Nova's own pre-check of a destination (LiveMigrationTask in nova/conductor/tasks)."""

import contextlib
import functools
import inspect

from nova.compute import utils as compute_utils
import nova.conf
from nova.conductor.tasks import live_migrate
from nova import exception
from nova import objects
from oslo_log import log as logging

from novacompat import opts
from novacompat import request
from novacompat import rpcapi

CONF = nova.conf.CONF
opts.register(CONF)
LOG = logging.getLogger(__name__)

# Of the first host that is tried; that of the second ends with _2. Nova finds an event by its name alone when it ends,
# so the reasons of several hosts would overwrite each other.
EVENT = "conductor_check_migration_compat"

# "Migration pre-check error: " and this fit the 255 characters of instance_faults and instance_actions_events.
MAX_REASON = 228

# What is used of Nova, as it is from Zed (26) on. Another signature may mean another meaning.
KNOWN = [
    (live_migrate.LiveMigrationTask, "__init__",
     "(self, context, instance, destination, block_migration, disk_over_commit, migration, compute_rpcapi, "
     "servicegroup_api, query_client, report_client, request_spec=None)"),
    (live_migrate.LiveMigrationTask, "_call_livem_checks_on_host", "(self, destination, provider_mapping)"),
    (compute_utils.EventReporter, "__init__", "(self, context, event_name, host, *instance_uuids, graceful_exit=False)"),
    (exception.MigrationPreCheckError, "__init__", "(self, message=None, **kwargs)"),
    (objects.Instance, "get_network_info", "(self)"),
]


def install():
    """Hooks it in, once, if this Nova is what was expected. Otherwise an ERROR says what is different.

    :returns: whether live migrations are checked from now on
    """
    differences = [text for known in KNOWN for text in _differences(*known)]
    if differences:
        LOG.error("Live migrations are NOT checked for device compatibility, this Nova is not known: %s",
                  "; ".join(differences))
        return False
    original = live_migrate.LiveMigrationTask._call_livem_checks_on_host
    if not hasattr(original, "is_novacompat"):  # which a decorator around ours takes over
        live_migrate.LiveMigrationTask._call_livem_checks_on_host = _checked(original)
    LOG.info("Live migrations are checked for device compatibility, mode %s", opts.value(CONF, "mode"))
    return True


def _differences(owner, method, expected):
    name = f"{owner.__name__}.{method}"
    try:
        signature = str(inspect.signature(getattr(owner, method)))
    except (AttributeError, TypeError, ValueError) as error:
        yield f"{name} cannot be looked at ({error})"
    else:
        if signature != expected:
            yield f"{name}{signature}, expected {expected}"


def _checked(original):
    @functools.wraps(original)
    def _call_livem_checks_on_host(self, destination, provider_mapping):
        self.novacompat_checks = getattr(self, "novacompat_checks", 0) + 1
        event = EVENT if self.novacompat_checks == 1 else f"{EVENT}_{self.novacompat_checks}"
        check(self.context, self.instance, destination, event)
        # Nova's own checks claim devices on the destination, which nobody would give back after a refusal: they come last.
        return original(self, destination, provider_mapping)
    _call_livem_checks_on_host.is_novacompat = True
    return _call_livem_checks_on_host


def check(context, instance, destination, event=EVENT):
    """Asks, and tells the log and an event of the instance.

    :raises MigrationPreCheckError: in mode enforce, if the instance must not go there. Nothing else, ever: anything
        else would set the instance to ERROR (_live_migrate in nova/conductor/manager.py)
    """
    enforced = opts.value(CONF, "mode") == "enforce"
    reason = "novacompat could not be asked"  # until it is found: no migration goes on because of a mistake here
    try:
        with contextlib.ExitStack() as events:
            if enforced:  # an event in error marks the whole action as one, which a migration that goes on is not
                _start_event(events, context, instance, event)
            reason = _why_not(context, instance, destination)
            if reason is not None:
                raise exception.MigrationPreCheckError(reason=reason)
    except exception.MigrationPreCheckError:
        pass  # raised again below, whatever became of the event
    except Exception:
        LOG.warning("The event %s could not be finished", event, instance=instance, exc_info=True)
    if reason is None:
        return
    verb = "is" if enforced else "would be"
    LOG.warning("Host %(host)s %(verb)s rejected for live migration: %(reason)s",
                {"host": destination, "verb": verb, "reason": reason}, instance=instance)
    if enforced:
        raise exception.MigrationPreCheckError(reason=reason)


def _start_event(events, context, instance, event):
    try:
        events.enter_context(compute_utils.EventReporter(context, event, CONF.host, instance.uuid))
    except Exception:
        LOG.warning("The event %s could not be started", event, instance=instance, exc_info=True)


def _why_not(context, instance, destination):
    """Why the instance must not go there; None if it may. on_error decides if that cannot be found out."""
    may_keep_devices = True
    try:
        question = request.check(instance, destination)
        may_keep_devices = request.may_keep_devices(question)
        return _refusal(context, instance, question)
    except rpcapi.NoAnswer as error:
        why = str(error)
    except Exception as error:
        LOG.exception("novacompat could not be asked", instance=instance)
        why = f"novacompat could not be asked: {error}"
    if may_keep_devices and opts.value(CONF, "on_error") == "reject":
        return _shortened(f"{why} (on_error = reject)")
    because = "on_error = accept" if may_keep_devices else "no device that stays attached is known"
    LOG.warning("Live migration to host %(host)s is not checked: %(why)s (%(because)s)",
                {"host": destination, "why": why, "because": because}, instance=instance)
    return None


def _refusal(context, instance, question):
    """Why novacompat says no; None if it does not."""
    try:
        decision = rpcapi.MigrationCompatAPI().check_live_migration(context, question)
    except exception.MigrationPreCheckError as refusal:
        return _shortened(refusal.kwargs.get("reason") or refusal.format_message())
    text = decision.get("text")
    LOG.debug("novacompat says of host %s: %s", question["dest_host"], text, instance=instance)
    return None if decision["allowed"] else _shortened(text or decision.get("verdict") or "no reason given")


def _shortened(text):
    return str(text)[:MAX_REASON]
