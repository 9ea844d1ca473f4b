/* support.h: for the tests of src/sys: blocking sockets of the plainest kind, against which the loop
 * has to hold its own. Every wait has a ceiling far beyond what is ever needed; none is asserted. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "sys/loop.h"

#define assert_slice(s, text)                                                                      \
    do {                                                                                           \
        struct gw_slice wanted_ = gw_slice_from(text);                                             \
        struct gw_slice got_ = (s);                                                                \
        assert_int_equal(got_.len, wanted_.len);                                                   \
        assert_memory_equal(got_.ptr, wanted_.ptr, wanted_.len);                                   \
    } while (0)

#define assert_has(text, part)                                                                     \
    do {                                                                                           \
        if (strstr((text), (part)) == NULL)                                                        \
            fail_msg("\"%s\" is not in:\n%s", (part), (text));                                     \
    } while (0)

#define assert_lacks(text, part)                                                                   \
    do {                                                                                           \
        if (strstr((text), (part)) != NULL)                                                        \
            fail_msg("\"%s\" is in:\n%s", (part), (text));                                         \
    } while (0)

/* ── Sockets ───────────────────────────────────────────────────────────────────────────────── */

int listen_any(uint16_t *port); /* on 127.0.0.1 */
int dial(uint16_t port);
void put(int fd, const void *bytes, size_t len); /* all of it; a peer that left is no error */
void puts_to(int fd, const char *text);
size_t get(int fd, void *bytes, size_t max); /* what is there; 0 = ended or reset */
bool has_ended(int fd);                      /* reads on until it has */
void reset(int fd);                          /* closes with RST */

/* One HTTP message: status line or request line, headers, body by Content-Length. */
struct message {
    struct gw_buf bytes;
    int status; /* of a response; 0 = none came */
    char *head; /* NUL-terminated, up to and with the empty line */
    char *body; /* NUL-terminated */
    size_t body_len;
};

/* Reads exactly one; false when the peer ended before it was complete. */
bool get_message(int fd, struct message *m);
bool get_head(int fd, struct message *m); /* the head alone: answers to HEAD, interim ones */
void message_deinit(struct message *m);

/* xorshift64: the same numbers in every run. */
uint64_t draw(uint64_t *state);
/* Changes, drops, repeats and swaps bytes of a copy of `text`. */
void mutate(struct gw_buf *out, const char *text, size_t len, uint64_t *state);

/* ── A peer with a script, on a thread of its own ──────────────────────────────────────────── */

struct peer {
    int fd; /* listening */
    uint16_t port;
    struct gw_thread *thread;
    void (*script)(struct peer *peer);
    const char *text; /* for the script */
    size_t number;
    atomic_int count;
};

void peer_start(struct peer *peer, void (*script)(struct peer *peer));
int peer_accept(struct peer *peer);
void peer_join(struct peer *peer);

/* ── A loop of the test's own thread ───────────────────────────────────────────────────────── */

/* Runs until *flag. */
void run_until(struct gw_env *env, const bool *flag);
struct gw_env *loop_make(const struct gw_loop_options *options);
