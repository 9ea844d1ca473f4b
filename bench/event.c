/* Owns the request templates; see event.h. */
#include "event.h"

#include "tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEMPLATES_BYTES_MAX = 256 * 1024 * 1024 };

/* A whole request, and where the parts that change lie in it. */
struct template
{
    char *bytes;
    size_t len, event_seq_at, transaction_seq_at, sent_at;
};

struct gw_event_source {
    unsigned app_count, batch;
    size_t head_len, body_bytes; /* of every template */
    char *request;               /* of a batch; NULL = there are none */
    size_t request_len;
    struct template templates[];
};

static size_t print_body(const struct gw_event_options *o, FILE *out, unsigned app)
{
    char run[17] = {0};
    const char *zeros = "0000000000000000000";
    int len;

    gw_hex16_write(run, o->run);
    len =
        fprintf(out, "{\"appId\":\"%s-%u\",\"eventType\":\"%s\",", o->app, app + 1, o->event_type);
    if (o->workflow)
        len += fprintf(out, "\"workflowId\":\"%s\",", o->workflow);
    len += fprintf(out,
                   GW_EVENT_ID_KEY ":\"%s-%.16s\",\"transactionId\":\"t-%s-%.16s\"," GW_SENT_NS_KEY
                                   ":\"%.*s\",\"pad\":\"",
                   run, zeros, run, zeros, GW_SENT_NS_LEN, zeros);
    return (size_t)len;
}

static size_t find_after(const struct template *t, const char *text)
{
    char *at = memmem(t->bytes, t->len, text, strlen(text));

    return (size_t)(at - t->bytes) + strlen(text);
}

static void print_head(const struct gw_event_options *o, FILE *out)
{
    size_t len = o->batch > 1 ? o->batch * (o->body_bytes + 1) : o->body_bytes;

    fprintf(out, "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n", o->path, o->port);
    fprintf(out, "Content-Type: application/%s\r\n", o->batch > 1 ? "x-ndjson" : "json");
    fprintf(out, "Content-Length: %zu\r\n", len);
    for (size_t i = 0; i < o->header_count; i++)
        fprintf(out, "%s\r\n", o->headers[i]);
    fputs("\r\n", out);
}

static void template_make(const struct gw_event_options *o, struct template *t, unsigned app)
{
    FILE *out = open_memstream(&t->bytes, &t->len);
    size_t len;

    if (!out)
        gw_die("out of memory");
    print_head(o, out);
    len = print_body(o, out, app) + 2;
    if (len > o->body_bytes)
        gw_die("--body-bytes is %zu, allowed with these names: at least %zu", o->body_bytes, len);
    for (; len < o->body_bytes; len++)
        fputc("etaoin shrdlu"[len % 13], out);
    fputs("\"}", out);
    if (fclose(out))
        gw_die("out of memory");
    /* 2: the colon and the quote after a key; 17: the run and its dash */
    t->event_seq_at = find_after(t, GW_EVENT_ID_KEY) + 2 + 17;
    t->transaction_seq_at = find_after(t, "\"transactionId\":\"t-") + 17;
    t->sent_at = find_after(t, GW_SENT_NS_KEY) + 2;
}

struct gw_event_source *gw_event_source_create(const struct gw_event_options *options)
{
    struct gw_event_source *source;

    if (options->app_count * options->body_bytes > TEMPLATES_BYTES_MAX)
        gw_die("--apps times --body-bytes is above %d", TEMPLATES_BYTES_MAX);
    source = calloc(1, sizeof(*source) + options->app_count * sizeof(source->templates[0]));
    if (!source)
        gw_die("out of memory");
    source->app_count = options->app_count;
    source->batch = options->batch;
    for (unsigned i = 0; i < options->app_count; i++)
        template_make(options, &source->templates[i], i);
    source->body_bytes = options->body_bytes;
    source->head_len = source->templates[0].len - options->body_bytes;
    if (options->batch > 1) {
        source->request_len = source->head_len + options->batch * (options->body_bytes + 1);
        source->request = malloc(source->request_len);
        if (!source->request)
            gw_die("out of memory");
        memcpy(source->request, source->templates[0].bytes, source->head_len);
    }
    return source;
}

void gw_event_source_destroy(struct gw_event_source *source)
{
    for (unsigned i = 0; i < source->app_count; i++)
        free(source->templates[i].bytes);
    free(source->request);
    free(source);
}

static void decimal_write(char *to, size_t len, uint64_t value)
{
    while (len > 0) {
        to[--len] = (char)('0' + value % 10);
        value /= 10;
    }
}

static const struct template *patch(struct gw_event_source *source, uint64_t seq, uint64_t sent_ns)
{
    const struct template *t = &source->templates[seq % source->app_count];

    gw_hex16_write(t->bytes + t->event_seq_at, seq);
    memcpy(t->bytes + t->transaction_seq_at, t->bytes + t->event_seq_at, 16);
    decimal_write(t->bytes + t->sent_at, GW_SENT_NS_LEN, sent_ns);
    return t;
}

const char *gw_event_make(struct gw_event_source *source, uint64_t seq, uint64_t sent_ns,
                          size_t *len)
{
    const struct template *t;
    char *at = source->request;

    if (!at) {
        t = patch(source, seq, sent_ns);
        *len = t->len;
        return t->bytes;
    }
    at += source->head_len;
    for (unsigned i = 0; i < source->batch; i++) {
        t = patch(source, seq + i, sent_ns);
        memcpy(at, t->bytes + source->head_len, source->body_bytes);
        at += source->body_bytes;
        *at++ = '\n';
    }
    *len = source->request_len;
    return source->request;
}
