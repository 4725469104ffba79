"""novacompat-conductor: nova-conductor that asks novacompat before a live migration. Takes the options of nova-conductor."""

import os
import sys

# By it oslo.config finds nova-conductor.conf and nova-conductor.conf.d, and oslo.messaging names connections and queues.
sys.argv[0] = os.path.join(os.path.dirname(sys.argv[0]), "nova-conductor")

# Before anything else: it sets up eventlet or threads, as this Nova does it.
import nova.cmd.conductor  # noqa: E402

from nova import config  # noqa: E402
import nova.conf  # noqa: E402
from oslo_log import log as logging  # noqa: E402

LOG = logging.getLogger(__name__)


def main():
    # They make what the hook says a line of nova-conductor's own log. Nova does both again, and oslo.config registers no option
    # for the command line while one is parsed.
    config.parse_args(sys.argv, configure_db=False, init_rpc=False)
    logging.setup(nova.conf.CONF, "nova")
    try:
        from novacompat import hook
        hook.install()
    except Exception:
        LOG.exception("Live migrations are NOT checked for device compatibility")
    nova.conf.CONF.clear()
    nova.cmd.conductor.main()
