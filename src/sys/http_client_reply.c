/* http_client_reply.c: what comes back, and what a call ends as.
 *
 * Invariant: once the final header block is complete a call is answered, whatever happens to its
 * body; before that it is never answered. Everything that comes in is bounded: the header bytes of
 * all blocks together (a flood of 1xx answers included) by HEADER_BYTES_MAX, the body by what the
 * caller wants to read. Texts say what failed and in which phase, in our own words: libcurl's may
 * repeat what a stranger sent. */
#include "base/check.h"
#include "sys/http_client_impl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define HEADER_BYTES_MAX ((size_t)64 * 1024)
#define REPLY_CAP_KEPT   ((size_t)64 * 1024)

/* ── Headers ───────────────────────────────────────────────────────────────────────────────── */

static int status_of(struct gw_slice line)
{
    struct gw_slice rest = line, part;
    uint64_t status;

    gw_slice_split(&rest, ' ', &part);
    if (rest.ptr == NULL || rest.len < 3 || !gw_slice_u64((struct gw_slice){rest.ptr, 3}, &status))
        return 0;
    return (int)status;
}

static const char *see_status_line(struct gw_transfer *t, struct gw_slice line)
{
    t->in_block = true;
    t->has_length = t->is_chunked = false;
    t->status = status_of(line);
    if (t->status == 101)
        return "the reply switches to a protocol nobody asked for";
    return t->status < 100 ? "the status line is malformed" : NULL;
}

static const char *see_block_end(struct gw_transfer *t)
{
    t->in_block = false;
    if (t->status < 200)
        return NULL; /* an interim answer: the final one follows */
    if (t->has_length && t->is_chunked)
        return "the reply has both Content-Length and Transfer-Encoding";
    t->is_answered = true;
    return NULL;
}

static const char *see_field(struct gw_transfer *t, struct gw_slice line)
{
    struct gw_slice value = line, name;

    gw_slice_split(&value, ':', &name);
    if (value.ptr == NULL || name.len == 0)
        return "a header line of the reply has no name";
    value = gw_slice_trim(value);
    if (name.len == 14 && gw_slice_eq_nocase(name, GW_SLICE("content-length"))) {
        uint64_t length;
        if (!gw_slice_u64(value, &length))
            return "the reply's Content-Length is malformed";
        if (t->has_length && t->length != length)
            return "the reply has two lengths";
        t->has_length = true;
        t->length = length;
    } else if (name.len == 17 && gw_slice_eq_nocase(name, GW_SLICE("transfer-encoding"))) {
        t->is_chunked = true;
    }
    if (t->call->on_header && t->status >= 200)
        t->call->on_header(t->call, name, value);
    return NULL;
}

size_t gw_http_reply_header(char *data, size_t size, size_t count, void *ctx)
{
    struct gw_transfer *t = ctx;
    size_t len = size * count;
    struct gw_slice line = {data, len};

    t->header_bytes += len;
    if (t->header_bytes > HEADER_BYTES_MAX) {
        t->bad = "the reply's header block is larger than 64 KiB";
        return CURL_WRITEFUNC_ERROR;
    }
    if (t->is_answered) /* trailers */
        return len;
    while (line.len > 0 && (line.ptr[line.len - 1] == '\n' || line.ptr[line.len - 1] == '\r'))
        line.len--;
    if (!t->in_block)
        t->bad = see_status_line(t, line);
    else if (line.len == 0)
        t->bad = see_block_end(t);
    else if (line.ptr[0] != ' ' && line.ptr[0] != '\t') /* a folded line adds nothing we need */
        t->bad = see_field(t, line);
    return t->bad ? CURL_WRITEFUNC_ERROR : len;
}

size_t gw_http_reply_body(char *data, size_t size, size_t count, void *ctx)
{
    struct gw_transfer *t = ctx;
    size_t len = size * count, kept = len;

    t->body_bytes += len;
    if (kept > t->call->reply_keep_max - t->reply.len)
        kept = t->call->reply_keep_max - t->reply.len;
    gw_buf_add(&t->reply, data, kept);
    return t->body_bytes > t->call->reply_read_max ? CURL_WRITEFUNC_ERROR : len;
}

/* ── The outcome ───────────────────────────────────────────────────────────────────────────── */

void gw_http_reply_fail(struct gw_http_call *call, enum gw_http_end end, const char *format, ...)
{
    va_list args;

    call->end = end;
    va_start(args, format);
    vsnprintf(call->error, sizeof(call->error), format, args);
    va_end(args);
}

static int64_t info_us(struct gw_transfer *t, CURLINFO info)
{
    curl_off_t value = 0;

    curl_easy_getinfo(t->easy, info, &value);
    return value;
}

static long info_long(struct gw_transfer *t, CURLINFO info)
{
    long value = 0;

    curl_easy_getinfo(t->easy, info, &value);
    return value;
}

static int64_t span(int64_t from, int64_t to)
{
    return from > 0 && to > from ? to - from : 0;
}

/* libcurl's times count from the start, each phase's end. */
static void fill_times(struct gw_transfer *t)
{
    struct gw_http_call *call = t->call;
    int64_t connected = info_us(t, CURLINFO_CONNECT_TIME_T);
    int64_t secured = info_us(t, CURLINFO_APPCONNECT_TIME_T);
    int64_t sent = info_us(t, CURLINFO_POSTTRANSFER_TIME_T);

    call->connect_us = call->tls_us = 0;
    if (info_long(t, CURLINFO_NUM_CONNECTS) > 0) {
        call->connect_us = span(info_us(t, CURLINFO_NAMELOOKUP_TIME_T), connected);
        call->tls_us = span(connected, secured);
    }
    call->first_byte_us = span(sent, info_us(t, CURLINFO_STARTTRANSFER_TIME_T));
    call->total_us = gw_env_mono_us(&t->client->loop->env) - t->started_us;
}

static const char *phase(struct gw_transfer *t)
{
    if (t->is_sending) {
        if (t->header_bytes > 0)
            return "in the middle of the reply's headers";
        if (info_us(t, CURLINFO_POSTTRANSFER_TIME_T) > 0)
            return "connected and sent, waiting for the first byte";
        return "connected, sending the request";
    }
    return t->is_securing ? "in the TLS handshake" : "while connecting";
}

static void timed_out(struct gw_transfer *t)
{
    struct gw_http_call *call = t->call;
    int64_t limit_ms = call->timeout_ms;

    if (!t->is_sending && call->connect_timeout_ms < limit_ms)
        limit_ms = call->connect_timeout_ms;
    if (t->is_sending)
        gw_http_reply_fail(call, GW_HTTP_TIMEOUT, "no answer within %lld ms: %s",
                           (long long)limit_ms, phase(t));
    else
        gw_http_reply_fail(call, GW_HTTP_TIMEOUT, "timed out after %lld ms %s", (long long)limit_ms,
                           phase(t));
}

static void not_connected(struct gw_transfer *t)
{
    const char *why;

    if (t->tried > 0 && t->blocked == t->tried) {
        gw_http_reply_fail(t->call, GW_HTTP_BLOCKED, "the address is not allowed");
        return;
    }
    switch (info_long(t, CURLINFO_OS_ERRNO)) {
    case ECONNREFUSED: why = "connection refused"; break;
    case ECONNRESET: why = "connection reset while connecting"; break;
    case EHOSTUNREACH: why = "no route to the host"; break;
    case ENETUNREACH: why = "the network is unreachable"; break;
    case EHOSTDOWN: why = "the host is down"; break;
    case ETIMEDOUT: why = "the host does not answer"; break;
    case EADDRNOTAVAIL: why = "no local port is free"; break;
    case EMFILE:
    case ENFILE: why = "no file descriptor is free"; break;
    case EACCES:
    case EPERM: why = "the system does not allow the connection"; break;
    default: why = "could not connect"; break;
    }
    gw_http_reply_fail(t->call, GW_HTTP_CONNECT, "%s", why);
}

/* The numbers are OpenSSL's X509_V_ERR_*, but for 0 and 1: libcurl compares names itself, and what
 * it leaves behind when they differ has changed between versions. */
static const char *certificate_problem(long result)
{
    switch (result) {
    case 0:
    case 1: return "the certificate is for another name";
    case 2:
    case 20:
    case 21: return "the certificate's issuer is not known";
    case 9: return "the certificate is not valid yet";
    case 10: return "certificate has expired";
    case 18: return "the certificate is self-signed";
    case 19: return "the certificate chain ends in an authority that is not known";
    case 23: return "the certificate was revoked";
    case 24:
    case 79: return "the chain has a certificate that is no authority's";
    case 26: return "the certificate is not for servers";
    case 62: return "the certificate is for another name";
    case 64: return "the certificate is for another address";
    case 66:
    case 67: return "the certificate's key is too weak";
    case 68: return "the certificate's digest is too weak";
    default: return NULL;
    }
}

static void not_trusted(struct gw_transfer *t)
{
    long result = info_long(t, CURLINFO_SSL_VERIFYRESULT);
    const char *why = certificate_problem(result);

    if (why)
        gw_http_reply_fail(t->call, GW_HTTP_TLS, "%s", why);
    else
        gw_http_reply_fail(t->call, GW_HTTP_TLS, "the certificate is not accepted (OpenSSL %ld)",
                           result);
}

static void ended_early(struct gw_transfer *t, const char *what)
{
    if (t->is_sending)
        gw_http_reply_fail(t->call, GW_HTTP_RESET, "%s: %s", what, phase(t));
    else
        gw_http_reply_fail(t->call, GW_HTTP_RESET, "%s %s", what, phase(t));
}

static void failed(struct gw_transfer *t, CURLcode code)
{
    struct gw_http_call *call = t->call;

    switch (code) {
    case CURLE_OPERATION_TIMEDOUT: timed_out(t); break;
    case CURLE_COULDNT_CONNECT: not_connected(t); break;
    case CURLE_ABORTED_BY_CALLBACK:
        if (t->blocked > 0) {
            gw_http_reply_fail(call, GW_HTTP_BLOCKED, "the address is not allowed");
            break;
        } /* fall through */
    case CURLE_COULDNT_RESOLVE_HOST:
        gw_http_reply_fail(call, GW_HTTP_CONNECT, "not resolved");
        break;
    case CURLE_URL_MALFORMAT: gw_http_reply_fail(call, GW_HTTP_CONNECT, "not a URL"); break;
    case CURLE_PEER_FAILED_VERIFICATION: not_trusted(t); break;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CLIENTCERT:
        gw_http_reply_fail(call, GW_HTTP_TLS, "the TLS handshake failed");
        break;
    case CURLE_SSL_CACERT_BADFILE:
        gw_http_reply_fail(call, GW_HTTP_TLS, "the list of authorities cannot be read");
        break;
    case CURLE_GOT_NOTHING: ended_early(t, "connection closed"); break;
    case CURLE_TOO_LARGE: /* libcurl's own limits: 5 000 header lines, 100 KiB in one */
        gw_http_reply_fail(call, GW_HTTP_PROTOCOL, "the reply's headers are too many or too long");
        break;
    case CURLE_OK:
    case CURLE_PARTIAL_FILE: ended_early(t, "connection closed"); break;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR: ended_early(t, "connection reset"); break;
    case CURLE_UNSUPPORTED_PROTOCOL:
        if (!t->is_sending) {
            gw_http_reply_fail(call, GW_HTTP_CONNECT, "the URL is neither http nor https");
            break;
        } /* fall through */
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_WRITE_ERROR:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_HTTP2:
    case CURLE_HTTP3:
        gw_http_reply_fail(call, GW_HTTP_PROTOCOL, "the reply is not HTTP, or malformed");
        break;
    default:
        gw_http_reply_fail(call, t->is_sending ? GW_HTTP_RESET : GW_HTTP_CONNECT,
                           "failed (libcurl %d) %s", (int)code, phase(t));
        break;
    }
}

/* Whether the head says where the body ends. A body that ends with its connection may have been cut
 * anywhere. */
static bool has_told_end(const struct gw_transfer *t)
{
    return t->has_length || t->is_chunked || t->status == 204 || t->status == 304 ||
           strcmp(t->call->method, "HEAD") == 0;
}

void gw_http_reply_outcome(struct gw_transfer *t, CURLcode code)
{
    struct gw_http_call *call = t->call;

    fill_times(t);
    call->status = 0;
    call->reply = GW_SLICE("");
    call->is_whole = false;
    call->error[0] = '\0';
    if (t->is_answered) {
        call->end = GW_HTTP_ANSWERED;
        call->status = t->status;
        call->reply = gw_arena_dup(call->arena, gw_buf_slice(&t->reply));
        call->is_whole = code == CURLE_OK && t->body_bytes == t->reply.len && has_told_end(t);
    } else if (t->bad) {
        gw_http_reply_fail(call, GW_HTTP_PROTOCOL, "%s", t->bad);
    } else {
        failed(t, code);
    }
    if (t->reply.cap > REPLY_CAP_KEPT)
        gw_buf_deinit(&t->reply);
}
