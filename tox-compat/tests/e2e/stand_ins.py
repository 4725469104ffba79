"""What Nova asks of Glance and Neutron for servers without networks: one image, and nothing else."""

import rig

IMAGE = "155d900f-4e14-4e4c-a73d-069cbf4541e6"

_IMAGE = {
    "id": IMAGE, "name": "tiny", "status": "active", "visibility": "public", "container_format": "bare",
    "disk_format": "raw", "size": 1, "min_disk": 0, "min_ram": 0, "protected": False, "owner": None, "checksum": None,
    "tags": [], "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
    "file": f"/v2/images/{IMAGE}/file", "schema": "/v2/schemas/image",
}


def start():
    """Returns its URL."""
    return rig.HttpAgent(_answer).url


def _answer(handler):
    path = handler.path.partition("?")[0]
    if path.endswith(f"/v2/images/{IMAGE}"):
        rig.reply(handler, _IMAGE)
    elif path.endswith("/v2/schemas/image"):
        rig.reply(handler, {"name": "image", "properties": {name: {} for name in _IMAGE}})
    elif "/v2.0/" in path:
        # extensions, ports, networks, floatingips ...: there are none.
        rig.reply(handler, {path.rsplit("/", 1)[1].removesuffix(".json").replace("-", "_"): []})
    else:
        rig.reply(handler, {}, status=404)
