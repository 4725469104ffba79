"""Mounts a file system over one file, whose reads are never answered: who reads it waits as for a driver that hangs.

usage: stuck_file.py FILE; prints "ready"; ends, and lets the readers go, when its standard input is closed.
"""
import ctypes
import os
import select
import struct
import sys

GETATTR, OPEN, READ, INIT, FORGET, INTERRUPT = 3, 14, 15, 26, 2, 36
ENOSYS = 38
MNT_DETACH = 2

libc = ctypes.CDLL(None, use_errno=True)


def main(path):
    fuse = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={fuse},rootmode=100444,user_id=0,group_id=0,allow_other"
    if libc.mount(b"fuse", path.encode(), b"fuse", 0, options.encode()) != 0:
        sys.exit(f"mount: {os.strerror(ctypes.get_errno())}")
    try:
        print("ready", flush=True)
        while True:
            ready, _, _ = select.select([fuse, sys.stdin], [], [])
            if sys.stdin in ready:
                return
            answer(fuse, os.read(fuse, 1 << 20))
    finally:
        libc.umount2(path.encode(), MNT_DETACH)


def answer(fuse, request):
    _length, opcode, unique = struct.unpack_from("=IIQ", request)
    if opcode in (READ, FORGET, INTERRUPT):
        return
    error, body = 0, b""
    if opcode == INIT:
        body = struct.pack("=IIIIHHIIHH8I", 7, 31, 0, 0, 12, 9, 4096, 1, 1, 0, *([0] * 8))
    elif opcode == GETATTR:
        attributes = struct.pack("=6Q10I", 1, 4096, 8, 0, 0, 0, 0, 0, 0, 0o100444, 1, 0, 0, 0, 4096, 0)
        body = struct.pack("=QII", 3600, 0, 0) + attributes
    elif opcode == OPEN:
        body = struct.pack("=QII", 1, 1, 0)
    else:
        error = -ENOSYS
    os.write(fuse, struct.pack("=IiQ", 16 + len(body), error, unique) + body)


main(sys.argv[1])
