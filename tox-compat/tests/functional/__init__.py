"""Nova's own functional tests, over a private RabbitMQ, with the hook, our service and agents.

    cd tox-compat/tests && /usr/bin/python3 -m functional [TEST...]

In a process of its own, because Nova's tests replace half of the standard library (eventlet); ../test_functional.py starts it.
"""

# First, before anything else is imported: the one replaces the standard library, the other registers options for the
# command line, which nobody may after rig.py.
import nova.tests.functional  # noqa: F401
import nova.test  # noqa: F401
