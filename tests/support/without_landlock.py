"""Runs a command where the kernel has no Landlock: `without_landlock.py COMMAND...`. A filter answers its calls with ENOSYS."""
import ctypes
import errno
import os
import struct
import sys

LANDLOCK = (444, 445, 446)  # the same numbers on every architecture
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD_NUMBER, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000


def program() -> bytes:
    steps = [(LOAD_NUMBER, 0, 0, 0)]
    steps += [(JUMP_EQUAL, len(LANDLOCK) - i, 0, number) for i, number in enumerate(LANDLOCK)]
    steps += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, ERRNO | errno.ENOSYS)]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def main() -> None:
    code = ctypes.create_string_buffer(program())
    filter_ = struct.pack("HxxxxxxP", len(program()) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter_, 0, 0):
        sys.exit(os.strerror(ctypes.get_errno()))
    os.execv(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
