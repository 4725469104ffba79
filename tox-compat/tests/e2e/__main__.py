"""python3 -m e2e [test [NAME...] | up | down DIRECTORY]

test   starts everything, runs the scenario, ends everything: the default
up     starts everything and lets it run; says where it is, how to use it, and how to end it
down   ends what `up` started, and removes its directory
"""

import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest


def up():
    """All processes are children of one that stays, and end with it."""
    with subprocess.Popen([sys.executable, "-m", "e2e", "stay"], stdout=subprocess.PIPE, text=True,
                          start_new_session=True) as stays:
        said = list(iter(stays.stdout.readline, "\n"))
        sys.stdout.writelines(said)
        if not said or stays.poll() is not None:
            sys.exit(1)
        stays.stdout.close()
        os._exit(0)


def stay():
    import rig
    from e2e import control_plane
    from e2e import stand_ins
    cloud = control_plane.ControlPlane()
    (rig.FOLDER / "pid").write_text(str(os.getpid()))
    print(f"""everything is in  {rig.FOLDER}
nova-api          http://127.0.0.1:{cloud.ports['api']}/v2.1  (any X-Auth-Token; image {stand_ins.IMAGE})
RabbitMQ          {cloud.urls['api']}  (Nova's user; vhost of the cell: cell1)
novacompat        NOVACOMPAT_TRANSPORT_URL={cloud.urls['api']} novacompat precheck ...
                  novacompat journal list --directory {rig.FOLDER}/journal
to end it         {pathlib.Path(sys.executable).name} -m e2e down {rig.FOLDER}
""", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        signal.pause()


def down(directory):
    folder = pathlib.Path(directory)
    pid = int((folder / "pid").read_text())
    command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") if pathlib.Path(f"/proc/{pid}").exists() else []
    if command[-3:-1] != [b"e2e", b"stay"]:
        sys.exit(f"{directory}: process {pid} is not the one that `up` started")
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 30
    while pathlib.Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    sys.exit(0 if not folder.exists() else f"{directory}: still there")


def test(*names):
    from e2e import scenario
    tests = (unittest.defaultTestLoader.loadTestsFromNames(f"e2e.scenario.ScenarioTest.{name}" for name in names) if names
             else unittest.defaultTestLoader.loadTestsFromModule(scenario))
    succeeded = unittest.TextTestRunner(verbosity=2).run(tests).wasSuccessful()
    sys.exit(0 if succeeded else 1)


VERBS = {"up": up, "stay": stay, "down": down, "test": test}
verb, *arguments = sys.argv[1:] or ["test"]
if verb not in VERBS:
    sys.exit(__doc__)
VERBS[verb](*arguments)
