#!/usr/bin/env python3
"""Checks that each header of src/ guards itself against being read twice and compiles alone.

Prints `file:line: message` for each that does not and exits 1 if there is any.
"""

import concurrent.futures
import os
import re
import subprocess
import sys

import csource

COMPILE = ["gcc", "-std=c17", "-D_GNU_SOURCE", '-DGW_VERSION="0"', "-Wall", "-Wextra", "-Werror",
           "-fsyntax-only", "-Isrc", "-x", "c", "-"]
GUARD = re.compile(r"\A\s*#[ \t]*(?:pragma once\b|ifndef (\w+)\s*#[ \t]*define \1\b)")


def compile_alone(root, file):
    done = subprocess.run(COMPILE, cwd=root, input=f'#include "{file}"\n', text=True,
                          capture_output=True, check=False)
    if done.returncode == 0:
        return []
    errors = re.findall(r"^src/\S+: error: .*", done.stderr, re.MULTILINE)
    return [f"{error} (in src/{file} alone)" for error in errors] or \
        [f"src/{file}:1: does not compile alone: {done.stderr.strip()}"]


def check(root):
    """All breaks in the tree below `root`."""
    headers = list(csource.files(root, ".h"))
    problems = [f"src/{file}:1: begin with #pragma once" for file, text in headers
                if not GUARD.match(csource.blank(text))]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(lambda header: compile_alone(root, header[0]), headers):
            problems += found
    return problems


if __name__ == "__main__":
    sys.exit(csource.report(check(sys.argv[1] if len(sys.argv) > 1 else ".")))
