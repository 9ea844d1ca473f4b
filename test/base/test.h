/* test.h: cmocka, and what the tests of this floor share: failures that name their row, a
 * repeatable random sequence, and programs that are expected to end. */
#pragma once

#include "base/buf.h"
#include "base/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Fails with a text: which row of a table, which value. */
#define expect(condition, ...)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            print_error("%s: ", #condition);                                                       \
            print_error(__VA_ARGS__);                                                              \
            print_error("\n");                                                                     \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

static inline void expect_slice(struct gw_slice got, const char *wanted)
{
    expect(gw_slice_is(got, wanted), "got \"%.*s\", not \"%s\"", GW_SLICE_ARG(got), wanted);
}

/* xorshift64: the same numbers in every run. */
static inline uint64_t draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* The bytes that hex digits stand for; free with gw_buf_deinit. */
static inline struct gw_buf unhex(const char *text)
{
    struct gw_buf buf = {0};

    assert_true(gw_hex_decode(&buf, gw_slice_from(text)));
    return buf;
}

static inline void expect_hex(const void *bytes, size_t len, const char *wanted)
{
    struct gw_buf hex = {0};

    gw_hex_encode(&hex, bytes, len);
    expect_slice(gw_buf_slice(&hex), wanted);
    gw_buf_deinit(&hex);
}

/* Runs `call` in a child that must end by abort(), after saying `message` on stderr. */
static inline void expect_death(void (*call)(void), const char *message)
{
    char said[1024];
    size_t len = 0;
    int ends[2], status;

    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        dup2(ends[1], STDERR_FILENO);
        call();
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t got; (got = read(ends[0], said + len, sizeof(said) - 1 - len)) > 0;)
        len += (size_t)got;
    said[len] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %d: %s", status, said);
    expect(strstr(said, message), "\"%s\" is not in: %s", message, said);
}
