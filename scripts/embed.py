#!/usr/bin/env python3
"""Makes a C file out of any file, so that the binary carries it: `const struct gw_slice NAME`.

    scripts/embed.py NAME HEADER FROM TO
"""

import sys
from pathlib import Path


def rows(data, width=20):
    for at in range(0, len(data), width):
        yield "    " + " ".join(f"{byte}," for byte in data[at : at + width])


def main():
    name, header, source, target = sys.argv[1:]
    data = Path(source).read_bytes()
    lines = [
        f'#include "{header}"',
        "",
        f"static const unsigned char bytes[{len(data) or 1}] = {{",
        *rows(data or b"\0"),
        "};",
        "",
        f"const struct gw_slice {name} = {{(const char *)bytes, {len(data)}}};",
        "",
    ]
    Path(target).write_text("\n".join(lines))


if __name__ == "__main__":
    main()
