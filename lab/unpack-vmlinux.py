#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""unpack-vmlinux.py BZIMAGE OUT - write the ELF kernel that a bzImage carries.

The x86 boot protocol (2.08 and later) tells where the compressed payload lies,
so nothing is searched for. The ELF boots through its PVH entry without
decompressing itself, and its .BTF section is the base of module BTF.
"""
import lzma
import os
import struct
import subprocess
import sys

SETUP_SECTS = 0x1F1
HEADER_MAGIC = 0x202
PROTOCOL = 0x206
PAYLOAD = 0x248
FILTERS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\x02\x21\x4c\x18": "lz4"}


def fail(text):
    sys.exit(f"unpack-vmlinux.py: {text}")


def payload(image, name):
    """The compressed kernel inside the bzImage."""
    if len(image) < PAYLOAD + 8 or image[HEADER_MAGIC:HEADER_MAGIC + 4] != b"HdrS":
        fail(f"{name}: not a bzImage")
    if struct.unpack_from("<H", image, PROTOCOL)[0] < 0x208:
        fail(f"{name}: boot protocol older than 2.08 names no payload")
    setup = ((image[SETUP_SECTS] or 4) + 1) * 512
    offset, length = struct.unpack_from("<II", image, PAYLOAD)
    data = image[setup + offset:setup + offset + length]
    if len(data) != length:
        fail(f"{name}: truncated, {length} bytes of payload announced, {len(data)} there")
    return data


def expand(data, name):
    """Decompress by magic. Four bytes of size may follow the stream."""
    if data.startswith(b"\xfd7zXZ"):
        return lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(data)
    for magic, tool in FILTERS.items():
        if data.startswith(magic):
            done = subprocess.run([tool, "-dc"], input=data, check=False,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            return done.stdout
    return fail(f"{name}: payload of unknown format {data[:6].hex()}")


def main():
    if len(sys.argv) != 3:
        fail("usage: unpack-vmlinux.py BZIMAGE OUT")
    source, target = sys.argv[1:]
    with open(source, "rb") as f:
        elf = expand(payload(f.read(), source), source)
    if elf[:4] != b"\x7fELF":
        fail(f"{source}: the payload is no ELF file")
    with open(target + ".new", "wb") as f:
        f.write(elf)
    os.rename(target + ".new", target)


if __name__ == "__main__":
    main()
