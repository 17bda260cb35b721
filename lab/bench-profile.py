# SPDX-License-Identifier: GPL-2.0-only
"""Print what the profiles of the bench found, function by function.

bench-profile.py DIR...

A profile is CASE.json, what one packet or request costs the worker (or, with a
guest, one frame), and CASE.samples, lines "samples;thread;function". The samples of worker
threads share that cost out among functions.
"""
import glob
import json
import os
import sys

WORKERS = ("kvasir-net", "kvasir-blk", "vhost-", "qemu-storage-da")
LEAST = 0.01    # functions with a smaller share are summed up


def samples(path):
    """{function: samples} of worker threads"""
    found = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            parts = [p.strip() for p in line.split(";")]
            if len(parts) != 3 or not parts[1].startswith(WORKERS):
                continue
            name = parts[2].removeprefix("[k] ")
            found[name] = found.get(name, 0) + int(parts[0])
    return found


def tell(name, run, found):
    total = sum(found.values())
    what = "packets" if "packets" in run else "ios"
    cost = run["worker_ns"] / run[what]
    per = {"packets": "packet", "ios": "request"}[what]
    print(f"{name}: {cost:.0f} {run.get('unit', 'instructions')} per {per}, {total} samples")
    rest = 0
    for function, n in sorted(found.items(), key=lambda f: -f[1]):
        if n < LEAST * total:
            rest += n
        else:
            print(f"{cost * n / total:10.1f} {100 * n / total:5.1f} %  {function}")
    print(f"{cost * rest / total:10.1f} {100 * rest / total:5.1f} %  others\n")


def main():
    for directory in sys.argv[1:]:
        for path in sorted(glob.glob(os.path.join(directory, "*.samples"))):
            base = path.removesuffix(".samples")
            found = samples(path)
            with open(base + ".json", encoding="utf-8") as f:
                run = json.load(f)
            if found:
                tell(os.path.basename(base), run, found)


if __name__ == "__main__":
    main()
