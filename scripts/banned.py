#!/usr/bin/env python3
"""Finds calls and words in src/ that this project does not use, and says what to use instead.

Prints `file:line: message` for each and exits 1 if there is any. Comments and strings do not count.
"""

import fnmatch
import re
import sys

import csource


def calls(names):
    """These functions being called or pointed to, but not a member or variable of the name."""
    return r"(?<![\w.])(?<!->)(?:%s)(?=\s*\()" % "|".join(names.split())


def words(names):
    return r"(?<![\w.])(?<!->)(?:%s)(?!\w)" % "|".join(names.split())


ANYWHERE = ["*"]

# (what, in which files, where it is allowed all the same, what to say)
RULES = [
    (calls("strcpy stpcpy strcat sprintf vsprintf gets strtok"), ANYWHERE, [],
     "knows no bound: use base/buf.h or snprintf"),
    (calls("atoi atol atoll atof"), ANYWHERE, [], "cannot fail: parse with a check"),
    (calls("alloca"), ANYWHERE, [], "the stack has no check: use an arena"),
    (calls("rand rand_r srand random srandom drand48"), ANYWHERE, [],
     "is predictable: take randomness from sys/env.h"),
    (calls("gmtime localtime asctime ctime"), ANYWHERE, [],
     "keeps its answer in a global: use base/timefmt.h"),
    (calls("system popen"), ANYWHERE, [], "runs a shell"),
    (calls("signal"), ANYWHERE, [], "differs between systems: use the loop's signals, or sigaction"),
    (calls("sleep usleep nanosleep"), ANYWHERE, [], "blocks the thread: use a timer"),
    (r"\btypedef\s+(?:struct|union|enum)\b[^;{(]*[;{]", ANYWHERE, [],
     "no typedefs of structs, unions and enums: write the tag"),
    (calls("malloc calloc realloc reallocarray strdup strndup asprintf vasprintf"), ANYWHERE,
     ["base/*"], "allocate with base/alloc.h, an arena or a buffer"),
    (r"(?<![\w.])(?<!->)pthread_(?!once)\w+", ANYWHERE, ["sys/*"],
     "threads and locks live in src/sys"),
    # A log line carries real time, and nothing reads it back.
    (calls("time gettimeofday clock_gettime clock timespec_get"), ANYWHERE,
     ["sys/*", "base/log.c"], "take the time from sys/env.h"),
    (calls("printf vprintf puts putchar putchar_unlocked") + "|" + words("stdout"), ANYWHERE,
     ["cli/*", "app/*", "main.c"], "standard output belongs to the commands"),
    (calls("fopen fdopen freopen fclose fread fwrite fprintf vfprintf fputs fputc fgets getline"
           " remove rename tmpfile perror getenv setenv exit abort") + "|" +
     words("FILE stderr stdin"), ["core/*"], [], "core is pure"),
]


def check(root):
    """All breaks in the tree below `root`."""
    rules = [(re.compile(what), where, but, message) for what, where, but, message in RULES]
    problems = []
    for file, text in csource.files(root, ".c", ".h"):
        plain = csource.blank(text)
        for what, where, but, message in rules:
            if not any(fnmatch.fnmatchcase(file, pattern) for pattern in where):
                continue
            if any(fnmatch.fnmatchcase(file, pattern) for pattern in but):
                continue
            for found in what.finditer(plain):
                line = plain.count("\n", 0, found.start()) + 1
                name = " ".join(found.group().split()).rstrip(";{ ")
                problems.append((file, line, f"src/{file}:{line}: {name}: {message}"))
    return [text for _, _, text in sorted(problems)]


if __name__ == "__main__":
    sys.exit(csource.report(check(sys.argv[1] if len(sys.argv) > 1 else ".")))
