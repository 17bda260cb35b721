#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""where.py MONITOR - where the CPUs of a virtual machine are.

Asks QEMU's monitor for the registers and prints a line per CPU.
"""
import re
import socket
import sys


def registers(path):
    """The answer to 'info registers -a', whatever arrives in three seconds."""
    mon = socket.socket(socket.AF_UNIX)
    mon.settimeout(3)
    mon.connect(path)
    mon.sendall(b"info registers -a\n")
    text = b""
    try:
        while chunk := mon.recv(65536):
            text += chunk
    except socket.timeout:
        pass
    return text.decode(errors="replace")


def main():
    text = registers(sys.argv[1])
    for cpu, state in re.findall(r"CPU#(\d+)(.*?)(?=CPU#|\Z)", text, re.S):
        rip = re.search(r"RIP=([0-9a-f]+)", state).group(1)
        rest = re.search(r"RFL=.*", state).group(0).strip()
        cr3 = re.search(r"CR3=([0-9a-f]+)", state).group(1)
        print(f"CPU {cpu}: RIP={rip} CR3={cr3} {rest}")


main()
