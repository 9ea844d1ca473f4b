#!/usr/bin/env python3
"""Proves that the checks fail on a break, and stay silent on what is right."""

import pathlib
import tempfile
import unittest

import banned
import headers
import layers

CLEAN = {
    "base/slice.h": "#pragma once\n#include <stddef.h>\nstruct gw_slice { size_t size; };\n",
    "base/alloc.c": "#include <stdlib.h>\nvoid *f(void) { return malloc(1); }\n",
    "sys/env.h": '#pragma once\n#include "base/slice.h"\n',
    "sys/loop.c": '#include "sys/env.h"\n#include <sys/types.h>\n#include <uv.h>\n',
    "core/route.c": '#include "base/slice.h"\n#include <stdio.h>\n#include <yyjson.h>\n'
                    "/* strcpy( */ const char *f(void) { return \"time(0)\"; }\n"
                    "typedef struct gw_slice (*make)(void);\n"
                    "int g(struct clock *c) { return c->time(c) + gmtime_r(c); }\n",
    "flow/attempt.c": '#include "store/store.h"\n',
    "app/serve.c": '#include "flow/attempt.h"\nvoid f(void) { puts(""); }\n',
}


def tree(extra):
    """A tree of the clean files, changed by `extra`."""
    folder = tempfile.TemporaryDirectory()
    for name, text in {**CLEAN, **extra}.items():
        path = pathlib.Path(folder.name) / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


class Lint(unittest.TestCase):
    def breaks(self, checker, file, text, message):
        with tree({file: text}) as root:
            self.assertEqual([p for p in checker.check(root) if message not in p], [])
            self.assertEqual(len(checker.check(root)), 1, f"{file} <- {text!r}")

    def test_clean(self):
        with tree({}) as root:
            for checker in (layers, banned, headers):
                self.assertEqual(checker.check(root), [])

    def test_layers(self):
        for file, text, message in [
            ("base/buf.c", '#include "sys/env.h"\n', "src/base/buf.c:1: base must not include"),
            ("core/a.c", '\n#  include "sys/env.h"\n', "src/core/a.c:2: core must not include"),
            ("core/a.c", "#include <time.h>\n", "core is pure: no <time.h>"),
            ("core/a.c", "#include <sys/stat.h>\n", "core is pure: no <sys/stat.h>"),
            ("flow/a.c", '#include "store/sqlite.h"\n', 'flow must not include "store/sqlite.h"'),
            ("api/a.c", '#include "sys/loop.h"\n', 'api must not include "sys/loop.h"'),
            ("app/a.c", '#include "sys/loop_impl.h"\n', "is for the files beside it only"),
            ("cli/a.c", '#include "flow/flow.h"\n', 'cli must not include "flow/flow.h"'),
            ("main.c", '#include "flow/flow.h"\n', 'main.c must not include "flow/flow.h"'),
            ("sys/env.c", "#include <openssl/evp.h>\n", "belongs in base/crypto.c only"),
            ("flow/a.c", "#include <uv.h>\n", "belongs in sys/loop"),
            ("api/a.c", "#include <sqlite3.h>\n", "belongs in store/sqlite*.c"),
            ("base/a.c", "#include <yyjson.h>\n", "<yyjson.h> belongs in"),
            ("core/a.c", '#include "route.h"\n', "write it from src/ on"),
            ("core/a.c", '#include "core/../sys/env.h"\n', "write it from src/ on"),
            ("core/a.c", "#include <glib.h>\n", "no header that this project knows"),
            ("core/a.c", "#include HEADER\n", "cannot tell what this includes"),
            ("util/a.c", "\n", "util is no floor"),
            ("sys/time.h", "#pragma once\n", "hides the system's <sys/time.h>"),
        ]:
            self.breaks(layers, file, text, message)

    def test_banned(self):
        for file, text, message in [
            ("base/a.c", "void f(void) {\n    strcpy (a, b);\n}\n", "src/base/a.c:2: strcpy"),
            ("core/a.c", "void *f(void) { return malloc(1); }\n", "malloc: allocate with"),
            ("flow/a.c", "long f(void) { return time(0); }\n", "time: take the time"),
            ("flow/a.c", "void f(void) { pthread_mutex_lock(m); }\n", "live in src/sys"),
            ("api/a.c", 'void f(void) { printf("x"); }\n', "printf: standard output"),
            ("api/a.c", 'void f(void) { fputs("x", stdout); }\n', "stdout: standard output"),
            ("core/a.c", "void f(void) { getenv(x); }\n", "getenv: core is pure"),
            ("base/a.h", "typedef struct {\n int a;\n} a_t;\n", "no typedefs"),
            ("base/a.h", "typedef struct a a_t;\n", "no typedefs"),
            ("sys/a.c", "void f(void) { usleep(1); }\n", "usleep: blocks the thread"),
        ]:
            self.breaks(banned, file, text, message)

    def test_headers(self):
        self.breaks(headers, "base/a.h", "#pragma once\nstruct a { size_t n; };\n", "size_t")
        self.breaks(headers, "base/a.h", "int a(void);\n", "begin with #pragma once")


if __name__ == "__main__":
    unittest.main()
