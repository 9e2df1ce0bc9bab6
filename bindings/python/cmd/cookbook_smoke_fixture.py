#!/usr/bin/env python3
"""The first steps of the cookbook, checked: one message there and back, and a missing pool.

usage: cookbook_smoke_fixture.py [FOLDER]     (without it: the default pool directory)
"""

import json
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from plasmite import Client, Durability, NotFoundError  # noqa: E402


def check(sound: bool, what: str) -> None:
    if not sound:
        raise SystemExit(f"cookbook: {what}")


def main() -> int:
    if len(sys.argv) > 2:
        print(__doc__, file=sys.stderr)
        return 2
    folder, name = None, "cookbook-home"
    if len(sys.argv) == 2:
        folder, name = Path(sys.argv[1]), "cookbook-smoke"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    with Client(folder) as client:
        with client.pool(name) as pool:
            message = pool.append({"task": "resize", "id": 1}, ["cookbook"], Durability.FAST)
            check(message.seq >= 1, f"seq {message.seq}")
            check(message.tags == ["cookbook"], f"tags {message.tags}")
            check(message.data == {"task": "resize", "id": 1}, f"data {message.data}")
        try:
            client.open_pool("missing-cookbook-smoke-pool").close()
            check(False, "a missing pool was opened")
        except NotFoundError:
            pass
    print(json.dumps({"seq": message.seq, "tags": message.tags, "data": message.data}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
