#!/usr/bin/env python3
"""Checks the #include lines of src/ against the table of floors: who may include what.

Prints `file:line: message` for each break and exits 1 if there is any. The tables are the rule;
docs and review follow them.
"""

import fnmatch
import pathlib
import re
import sys

import csource

# What a file of a floor may include of this project. A floor may always include itself.
FLOORS = {
    "base": [],
    "sys": ["base/*"],
    "core": ["base/*"],
    "aws": ["base/*", "sys/env.h"],
    "store": ["base/*", "core/*", "aws/*", "sys/env.h"],
    "flow": ["base/*", "core/*", "store/store.h", "sys/env.h"],
    "road": ["base/*", "core/*", "aws/*", "flow/*", "store/store.h", "sys/env.h"],
    "api": ["base/*", "core/*", "flow/*", "store/store.h", "sys/env.h", "sys/exchange.h"],
    "app": ["*"],
    "cli": ["base/*", "sys/*", "core/*", "aws/*", "store/*", "api/*", "app/*"],
    "main.c": ["base/*", "sys/*", "core/*", "aws/*", "store/*", "api/*", "app/*", "cli/*"],
}

# Headers for the files of their own floor only, whatever the table says.
PRIVATE = "*_impl.h"

# Which files may include an outside library's headers.
LIBRARIES = {
    "openssl/*": ["base/crypto.c"],
    "uv.h": ["sys/loop*", "sys/http_*.c", "sys/http_*_impl.h", "sys/resolver.c"],
    "llhttp.h": ["sys/http_conn*.c", "sys/http_server_impl.h"],
    "curl/*": ["sys/http_client*.c", "sys/http_client_impl.h"],
    "ares.h": ["sys/resolver.c"],
    "sqlite3.h": ["store/sqlite*.c", "store/sqlite*.h"],
    "libpq-fe.h": ["store/postgres.c"],
    # Vocabulary, like libc.
    "yyjson.h": ["sys/*", "core/*", "aws/*", "store/*", "flow/*", "api/*", "app/*", "cli/*",
                 "main.c"],
}

# The C library's headers that compute only. core is pure and gets no others.
PURE_LIBC = """
    assert.h ctype.h errno.h float.h inttypes.h limits.h math.h stdalign.h stdarg.h stdatomic.h
    stdbool.h stddef.h stdint.h stdio.h stdlib.h stdnoreturn.h string.h strings.h
""".split()

# Those that reach outside.
OTHER_LIBC = """
    arpa/* dirent.h dlfcn.h endian.h fcntl.h fnmatch.h getopt.h glob.h grp.h ifaddrs.h langinfo.h
    linux/* locale.h malloc.h net/* netdb.h netinet/* poll.h pthread.h pwd.h sanitizer/*
    sched.h semaphore.h setjmp.h signal.h spawn.h sys/* syslog.h termios.h threads.h time.h unistd.h wchar.h
""".split()

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>|(.*))', re.MULTILINE)


def matches(name, patterns):
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def check_own(floor, target):
    """What is wrong with including this project's header `target` from `floor`; None if nothing."""
    if "/" not in target or target.startswith((".", "/")) or "/../" in target:
        return f'"{target}": write it from src/ on, as "floor/file.h"'
    if target.split("/")[0] == floor:
        return None
    if matches(target, [PRIVATE]):
        return f'"{target}" is for the files beside it only'
    if matches(target, FLOORS[floor]):
        return None
    return f'{floor} must not include "{target}"'


def check_outside(file, floor, target):
    """The same for a system header."""
    for pattern, allowed in LIBRARIES.items():
        if matches(target, [pattern]):
            return None if matches(file, allowed) else \
                f"<{target}> belongs in {' '.join(allowed)} only"
    if matches(target, PURE_LIBC):
        return None
    if matches(target, OTHER_LIBC):
        return f"core is pure: no <{target}>" if floor == "core" else None
    return f"<{target}> is no header that this project knows (scripts/layers.py lists them)"


def check(root):
    """All breaks in the tree below `root`."""
    problems = []
    for file, text in csource.files(root, ".c", ".h"):
        floor = file.split("/")[0]
        if floor not in FLOORS:
            problems.append(f"src/{file}:1: {floor} is no floor that this project knows")
            continue
        if file.startswith("sys/") and file.endswith(".h"):
            for system in ("/usr/include", "/usr/include/x86_64-linux-gnu"):
                if (pathlib.Path(system) / file).exists():
                    problems.append(f"src/{file}:1: hides the system's <{file}>; name it otherwise")
        plain = csource.blank(text, strings=False)
        for found in INCLUDE.finditer(plain):
            own, outside, neither = found.groups()
            if own is not None:
                problem = check_own(floor, own)
            elif outside is not None:
                problem = check_outside(file, floor, outside)
            else:
                problem = f"cannot tell what this includes: {neither.strip()}"
            if problem:
                line = plain.count("\n", 0, found.start()) + 1
                problems.append(f"src/{file}:{line}: {problem}")
    return problems


if __name__ == "__main__":
    sys.exit(csource.report(check(sys.argv[1] if len(sys.argv) > 1 else ".")))
