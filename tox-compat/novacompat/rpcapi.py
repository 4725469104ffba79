"""Client side of the migration_compat RPC API, over the transport of the Nova service that this runs in."""

import time

from kombu import exceptions as kombu_exceptions
import nova.conf
from nova import exception
from nova import rpc
import oslo_messaging as messaging

from novacompat import breaker
from novacompat import opts

CONF = nova.conf.CONF
opts.register(CONF)

RPC_TOPIC = "migration_compat"

# All that leaves Nova of a request context. What is not named here stays, a usable token among it.
CONTEXT_KEYS = ("request_id", "global_request_id", "user_id", "project_id", "is_admin", "timestamp")

# What oslo.messaging raises of its own broker; where a call needs another connection, it lets through what kombu raises.
UNSENT = (messaging.MessagingException, kombu_exceptions.KombuError, OSError)

# Connections are tried again so often before a message counts as not sent; oslo.messaging would try for ever.
RETRIES = 2

# The broker says when a message reaches nobody; oslo.messaging sends all its replies that way, over the same connections.
MANDATORY = messaging.TransportOptions(at_least_once=True)

# Seconds in which a queue is made again, if it will be: the broker or, with amqp_auto_delete, the service was restarted.
RESTART = 5
RESTART_POLL = 0.5

_breaker = breaker.Breaker()


class NoAnswer(Exception):
    """There is no usable answer. The text says why, and is good to be shown to operators."""


class ContextSerializer(messaging.NoOpSerializer):
    """Reduces nova.context.RequestContext to what a log line needs."""

    def serialize_context(self, context):
        values = context.to_dict()
        return {key: values.get(key) for key in CONTEXT_KEYS}


class MigrationCompatAPI:
    """Client side of the migration_compat RPC API.

    API version history:

    * 1.0 - Initial version: check_live_migration()
    * 1.1 - Adds rank_destinations()
    """

    def __init__(self):
        target = messaging.Target(topic=RPC_TOPIC, version="1.0")
        self.client = messaging.get_rpc_client(
            rpc.TRANSPORT, target, serializer=ContextSerializer(), transport_options=MANDATORY)

    def check_live_migration(self, context, request):
        """Can the instance go there?

        :param request: see novacompat.request.check
        :returns: the decision, a dict: `allowed` (bool) is what counts, `text` says why (at most 228 characters)
        :raises NoAnswer: whatever went wrong
        :raises MigrationPreCheckError: if the service says no that way
        """
        decision = self._call(context, "1.0", "check_live_migration", request=request)
        return _decision(decision)

    def rank_destinations(self, context, request):
        """To which of these hosts can the instance go?

        :param request: see novacompat.request.rank
        :returns: the decisions, by host
        :raises NoAnswer: whatever went wrong
        """
        answer = self._call(context, "1.1", "rank_destinations", request=request)
        try:
            return {host["host"]: _decision(host) for host in answer["hosts"]}
        except (TypeError, KeyError):
            raise NoAnswer("novacompat answered with something else than a list of hosts") from None

    def _call(self, context, version, method, **arguments):
        threshold, reset, timeout = (opts.value(CONF, name) for name in ("breaker_threshold", "breaker_reset", "timeout"))
        wait = _breaker.wait(reset)
        if wait:
            raise NoAnswer(f"novacompat has not answered lately, it is asked again in {wait:.0f} s")
        try:
            answer = self._call_until_somebody_listens(timeout, version, context, method, arguments)
        except exception.MigrationPreCheckError:
            _breaker.answered()
            raise
        except messaging.MessagingTimeout:
            _breaker.unanswered(threshold, reset)
            raise NoAnswer(f"novacompat did not answer in {timeout} s") from None
        except messaging.MessageUndeliverable as error:
            _breaker.unanswered(threshold, reset)
            raise NoAnswer(f"novacompat is not there: nothing listens on {error.exchange}/{error.routing_key}") from None
        except messaging.RemoteError as error:
            _breaker.answered()
            raise NoAnswer(f"novacompat failed: {error.exc_type}: {_first_line(error.value)}") from None
        except UNSENT as error:
            _breaker.unanswered(threshold, reset)
            raise NoAnswer(f"novacompat cannot be asked: {_first_line(error)}") from error
        except Exception as error:
            # oslo.messaging raises Python's own exceptions of the other end as they are, with a traceback in their text.
            _breaker.answered()
            raise NoAnswer(f"novacompat failed: {type(error).__name__}: {_first_line(error)}") from None
        _breaker.answered()
        return answer

    def _call_until_somebody_listens(self, timeout, version, context, method, arguments):
        begin = time.monotonic()
        while True:
            waited = time.monotonic() - begin
            try:
                return self.client.prepare(version=version, timeout=timeout - waited, retry=RETRIES).call(
                    context, method, **arguments)
            except messaging.MessageUndeliverable:
                if waited >= min(RESTART, timeout / 2):
                    raise
            time.sleep(RESTART_POLL)


def _first_line(text):
    return str(text).partition("\n")[0]


def _decision(answer):
    if isinstance(answer, dict) and isinstance(answer.get("allowed"), bool):
        return answer
    raise NoAnswer("novacompat answered with something else than a decision")
