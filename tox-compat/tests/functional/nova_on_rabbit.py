"""Nova's test fixtures with a RabbitMQ in place of their bus in memory. Importing it is enough."""

import itertools
import pathlib
import sys

import nova.conf
from nova.tests import fixtures
from nova.tests.fixtures import libvirt as fakelibvirt
from oslo_messaging import conffixture
from oslo_messaging._drivers import amqpdriver
from oslo_messaging._drivers import impl_fake  # noqa: F401  RPCFixture cleans it up, used or not
from oslo_messaging._drivers import impl_rabbit  # noqa: F401  the bounds of its options come from the constant below

import rig

# How long a server that has nothing to do takes to notice that it is stopped: five of them, one after the other.
amqpdriver.ACK_REQUEUE_EVERY_SECONDS_MAX = 0.1

# Nova's ConfFixture wants to be the first to parse a command line.
rig.CONF.reset()

CheatingSerializer = sys.modules[fixtures.RPCFixture.__module__].CheatingSerializer

API_PASTE = pathlib.Path(__file__).with_name("api-paste.ini")

# The user's, of every API request.
TOKEN = "canary-4c1d-token"

# The cloud (a vhost, agents, a service) of the test that runs.
_clouds = []


def cloud():
    return _clouds[-1]


def _replace(owner, name):
    """Replaces a method by what the decorated function makes of the call and the original."""
    original = getattr(owner, name)

    def decorate(replacement):
        def method(self, *args, **kwargs):
            return replacement(original, self, *args, **kwargs)
        setattr(owner, name, method)
    return decorate


@_replace(fixtures.RPCFixture, "setUp")
def _on_rabbit(original, self):
    _clouds.append(rig.Cloud())
    original(self)
    self.addCleanup(lambda: _clouds.pop().close())


@_replace(fixtures.RPCFixture, "_fake_create_transport")
def _create_transport(original, self, url):
    # What Nova's fixture set says fake:/, and cells say fake://nowhere/.
    nova.conf.CONF.set_override("transport_url", cloud().url)
    return original(self, url)


@_replace(fixtures.ConfFixture, "setUp")
def _with_paste(original, self):
    original(self)
    self.conf.set_default("api_paste_config", str(API_PASTE), group="wsgi")


# Nova's serializer lets database connections travel by value, which works in memory only: here they travel by number.
_connections = {}
_numbers = itertools.count(1)


@_replace(CheatingSerializer, "serialize_context")
def _serialize(original, self, context):
    values = original(self, context)
    for key in ("db_connection", "mq_connection"):
        number = next(_numbers)
        _connections[number] = values[key]
        values[key] = number
    return values


@_replace(CheatingSerializer, "deserialize_context")
def _deserialize(original, self, values):
    for key in ("db_connection", "mq_connection"):
        values[key] = _connections.get(values.get(key))
    return original(self, values)


# The fake libvirt keeps of a domain only what Nova's tests look at; agents see the XML that Nova wrote.
@_replace(fakelibvirt.Domain, "_parse_definition")
def _parse_definition(original, self, xml):
    self.xml_of_nova = xml
    return original(self, xml)


def token_filter(global_conf, **local_conf):
    """In api-paste.ini: gives the request context a token, which Nova's stub of Keystone forgets."""
    def with_token(application):
        def call(environ, start_response):
            environ["nova.context"].auth_token = TOKEN
            return application(environ, start_response)
        return call
    return with_token
