/* http_client.c: HTTP requests going out, on libcurl's multi interface: two multis for each loop, as
 * long-lived as the loop, because connections and parsed authorities live in them. One is for calls
 * that are to stay apart: libcurl looks through all connections of a multi whenever a transfer ends,
 * and hundreds that hang would cost every other call.
 *
 * Owns the multi and the easy handles, which are pooled: what never changes is set once. A call's
 * memory (URL, header lines, body) is the caller's and is used in place; what libcurl wants besides
 * is made in the call's arena. Invariants: a transfer is in `idle`, `open` (in the multi) or `failed`
 * (ends before the loop sleeps); a call's `done` runs from the loop, when its transfer is idle again.
 *
 * libcurl never resolves a name here (its resolver blocks when a transfer is ended): the addresses
 * come with the call, and a lookup of anything else is refused. A request lost with a kept connection
 * before a byte came back is sent once more on a new one: the receiver may see it twice, which
 * at-least-once allows, and a kept connection's end is no fault of the receiver. Loop's thread. */
#include "base/check.h"
#include "sys/http_client_impl.h"

#include <stdio.h>

#define CONNECTIONS_KEPT 256 /* a TLS one holds about 77 KB */
#define IDLE_MAX         256
#define KEPT_IDLE_S      55L  /* below the usual 60 s of load balancers */
#define KEPT_LIFE_S      300L /* then a name is looked up anew */
#define ROUNDS_MAX       8

/* ── Easy handles ──────────────────────────────────────────────────────────────────────────── */

/* Last word before libcurl looks up a name: it has been given all it may use. */
static int on_resolver_start(void *resolver, void *reserved, void *ctx)
{
    const struct gw_transfer *t = ctx;

    (void)resolver;
    (void)reserved;
    return t->is_literal ? 0 : 1;
}

#define SET(easy, option, value) gw_check(curl_easy_setopt((easy), (option), (value)) == CURLE_OK)

static void set_once(struct gw_transfer *t)
{
    CURL *easy = t->easy;

    SET(easy, CURLOPT_PRIVATE, t);
    SET(easy, CURLOPT_NOSIGNAL, 1L);
    SET(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(easy, CURLOPT_HTTP09_ALLOWED, 0L);
    SET(easy, CURLOPT_FOLLOWLOCATION, 0L);
    SET(easy, CURLOPT_PROXY, ""); /* not even from the environment: it would hide the peer */
    SET(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(easy, CURLOPT_PATH_AS_IS, 1L);
    SET(easy, CURLOPT_TCP_NODELAY, 1L);
    SET(easy, CURLOPT_MAXAGE_CONN, KEPT_IDLE_S);
    SET(easy, CURLOPT_MAXLIFETIME_CONN, KEPT_LIFE_S);
    SET(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    SET(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    SET(easy, CURLOPT_CAPATH, NULL);
    SET(easy, CURLOPT_CAINFO, t->client->ca_path);
    SET(easy, CURLOPT_OPENSOCKETFUNCTION, gw_http_socket_open);
    SET(easy, CURLOPT_OPENSOCKETDATA, t);
    SET(easy, CURLOPT_CLOSESOCKETFUNCTION, gw_http_socket_close);
    SET(easy, CURLOPT_CLOSESOCKETDATA, t->client); /* outlives the handle that made the socket */
    SET(easy, CURLOPT_PREREQFUNCTION, gw_http_socket_used);
    SET(easy, CURLOPT_PREREQDATA, t);
    SET(easy, CURLOPT_RESOLVER_START_FUNCTION, on_resolver_start);
    SET(easy, CURLOPT_RESOLVER_START_DATA, t);
    SET(easy, CURLOPT_HEADERFUNCTION, gw_http_reply_header);
    SET(easy, CURLOPT_HEADERDATA, t);
    SET(easy, CURLOPT_WRITEFUNCTION, gw_http_reply_body);
    SET(easy, CURLOPT_WRITEDATA, t);
}

static struct gw_transfer *transfer_take(struct gw_http_client *client)
{
    struct gw_list *link = gw_list_pop(&client->idle);

    if (link) {
        client->idle_count--;
        return gw_container_of(link, struct gw_transfer, link);
    }
    struct gw_transfer *t = gw_zalloc(sizeof(*t));
    gw_list_init(&t->link);
    t->client = client;
    t->easy = curl_easy_init();
    gw_check(t->easy != NULL);
    set_once(t);
    return t;
}

static void transfer_free(struct gw_transfer *t)
{
    gw_list_remove(&t->link);
    curl_easy_cleanup(t->easy);
    gw_buf_deinit(&t->reply);
    gw_free(t);
}

#define SETM(multi, option, value)                                                                 \
    gw_check(curl_multi_setopt((multi), (option), (value)) == CURLM_OK)

/* Of what libcurl may keep it takes connections in use off, too: those that hang must not keep others
 * from being kept. */
static void set_open(struct gw_transfer *t, bool is_open)
{
    struct gw_http_client *client = t->client;

    if (t->is_open == is_open)
        return;
    t->is_open = is_open;
    client->open_count += is_open ? 1 : (size_t)0 - 1;
    SETM(client->multi, CURLMOPT_MAXCONNECTS, (long)(client->kept_max + client->open_count));
}

static void transfer_release(struct gw_transfer *t)
{
    struct gw_http_client *client = t->client;

    set_open(t, false);
    gw_list_remove(&t->link);
    t->call->impl = NULL;
    t->call = NULL;
    if (client->idle_count == IDLE_MAX) {
        transfer_free(t);
        return;
    }
    gw_list_insert_before(client->idle.next, &t->link); /* the warmest first */
    client->idle_count++;
}

/* ── Setting a call up ─────────────────────────────────────────────────────────────────────── */

static void set_method(struct gw_transfer *t)
{
    const struct gw_http_call *call = t->call;
    CURL *easy = t->easy;
    bool is_post = strcmp(call->method, "POST") == 0;

    if (t->shape == GW_SHAPE_OTHER)
        SET(easy, CURLOPT_NOBODY, 0L);
    if (is_post || call->body.len > 0 || strcmp(call->method, "PUT") == 0 ||
        strcmp(call->method, "PATCH") == 0) {
        if (!is_post || t->shape != GW_SHAPE_POST) {
            SET(easy, CURLOPT_POST, 1L);
            SET(easy, CURLOPT_CUSTOMREQUEST, is_post ? NULL : call->method);
            t->shape = is_post ? GW_SHAPE_POST : GW_SHAPE_OTHER;
        }
        SET(easy, CURLOPT_POSTFIELDS, call->body.len > 0 ? call->body.ptr : "");
        SET(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
        return;
    }
    SET(easy, CURLOPT_HTTPGET, 1L);
    if (strcmp(call->method, "HEAD") == 0) {
        SET(easy, CURLOPT_CUSTOMREQUEST, NULL);
        SET(easy, CURLOPT_NOBODY, 1L);
    } else {
        SET(easy, CURLOPT_CUSTOMREQUEST, strcmp(call->method, "GET") == 0 ? NULL : call->method);
    }
    t->shape = GW_SHAPE_OTHER;
}

static char *unconst(const char *text) /* libcurl only reads them */
{
    return (char *)(uintptr_t)text;
}

/* libcurl leaves a field out when nothing follows the colon; "name;" is its way to send one empty.
 * NULL: the line would be more than one line, or no field. */
static const char *header_line(struct gw_http_call *call, const char *line)
{
    size_t len = strcspn(line, "\r\n");
    const char *colon = memchr(line, ':', len);

    if (line[len] != '\0' || colon == NULL || colon == line)
        return NULL;
    if (gw_slice_trim((struct gw_slice){colon + 1, len - (size_t)(colon + 1 - line)}).len > 0)
        return line;
    return gw_arena_printf(call->arena, "%.*s;", (int)(colon - line), line);
}

/* The lines given, behind those that keep libcurl from adding its own: it looks for these by walking
 * the list. */
static bool set_headers(struct gw_transfer *t)
{
    static char type[] = "Content-Type:", accept[] = "Accept:", expect[] = "Expect:";
    struct gw_http_call *call = t->call;
    const char *const *lines = call->header_lines;
    bool has_type = false;
    size_t count = 0;

    while (lines && lines[count])
        count++;
    struct curl_slist *nodes = gw_arena_alloc(call->arena, (count + 3) * sizeof(*nodes));
    nodes[0] = (struct curl_slist){type, &nodes[1]};
    nodes[1] = (struct curl_slist){accept, &nodes[2]};
    nodes[2] = (struct curl_slist){expect, NULL};
    for (size_t i = 0; i < count; i++) {
        struct curl_slist *node = &nodes[3 + i];
        *node = (struct curl_slist){unconst(header_line(call, lines[i])), NULL};
        node[-1].next = node;
        if (node->data == NULL)
            return false;
        if (strncasecmp(lines[i], "content-type:", 13) == 0)
            has_type = true;
    }
    SET(t->easy, CURLOPT_HTTPHEADER, has_type ? &nodes[1] : nodes);
    return true;
}

/* host:port:address,address for libcurl's own cache of names. */
static void set_addrs(struct gw_transfer *t)
{
    struct gw_http_call *call = t->call;

    if (t->is_literal) {
        SET(t->easy, CURLOPT_RESOLVE, NULL);
        return;
    }
    size_t host_len = strlen(call->host);
    size_t size = host_len + 16 + call->addr_count * (GW_ADDR_TEXT_MAX + 3);
    char *text = gw_arena_alloc(call->arena, size);
    size_t len = (size_t)snprintf(text, size, "+%s:%u:", call->host, (unsigned)call->port);
    for (size_t i = 0; i < call->addr_count; i++) {
        char addr[GW_ADDR_TEXT_MAX];
        struct gw_slice shown = gw_addr_text(&call->addrs[i], addr);
        bool is_v6 = call->addrs[i].family == 6;
        len += (size_t)snprintf(text + len, size - len, "%s%s%.*s%s", i > 0 ? "," : "",
                                is_v6 ? "[" : "", GW_SLICE_ARG(shown), is_v6 ? "]" : "");
    }
    t->resolve = (struct curl_slist){text, NULL};
    SET(t->easy, CURLOPT_RESOLVE, &t->resolve);
}

/* Names as DNS has them, and nothing that libcurl would decode or map into another name. */
static bool is_plain_host(const char *host)
{
    size_t len = strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._");

    return len > 0 && len <= 255 && host[len] == '\0';
}

/* Whether the addresses that came with the call are for the host the URL names. */
static bool is_host_of_url(const struct gw_http_call *call)
{
    const char *authority = strstr(call->url, "://");
    size_t host_len = strlen(call->host);

    if (authority == NULL)
        return false;
    struct gw_slice rest = {authority + 3, strcspn(authority + 3, "/?#")};
    const char *at = memrchr(rest.ptr, '@', rest.len);
    if (at)
        rest = gw_slice_skip(rest, (size_t)(at + 1 - rest.ptr));
    size_t bracket = gw_slice_starts(rest, GW_SLICE("[")) ? 1 : 0;
    rest = gw_slice_skip(rest, bracket);
    if (rest.len < host_len || strncasecmp(rest.ptr, call->host, host_len) != 0)
        return false;
    rest = gw_slice_skip(rest, host_len);
    if (bracket && !gw_slice_starts(rest, GW_SLICE("]")))
        return false;
    rest = gw_slice_skip(rest, bracket);
    return rest.len == 0 || rest.ptr[0] == ':';
}

static long at_least_1(int64_t ms)
{
    return ms < 1 ? 1 : ms > INT32_MAX ? INT32_MAX : (long)ms;
}

/* ── Running ───────────────────────────────────────────────────────────────────────────────── */

/* Sends the request, for the first time or once more. */
static void send_request(struct gw_transfer *t)
{
    struct gw_http_call *call = t->call;
    struct gw_http_client *client = t->client;
    int64_t gone_ms =
        t->was_retried ? (gw_env_mono_us(&client->loop->env) - t->started_us) / 1000 : 0;

    t->header_bytes = t->body_bytes = t->blocked = t->tried = 0;
    t->in_block = t->is_answered = t->is_securing = t->is_sending = false;
    t->status = 0;
    t->bad = NULL;
    gw_buf_clear(&t->reply);
    SET(t->easy, CURLOPT_FRESH_CONNECT, t->was_retried ? 1L : 0L);
    SET(t->easy, CURLOPT_CONNECTTIMEOUT_MS, at_least_1(call->connect_timeout_ms));
    SET(t->easy, CURLOPT_TIMEOUT_MS, at_least_1(call->timeout_ms - gone_ms));
    gw_check(!client->is_in_curl);
    gw_check(curl_multi_add_handle(client->multi, t->easy) == CURLM_OK);
    gw_list_remove(&t->link);
    gw_list_push(&client->open, &t->link);
    set_open(t, true);
    client->is_due = true;
}

/* What keeps a call from being sent; true = nothing. */
static bool prepare(struct gw_transfer *t)
{
    struct gw_http_call *call = t->call;
    struct gw_addr literal;

    t->is_literal = gw_addr_parse(gw_slice_from(call->host), &literal);
    if ((!t->is_literal && (call->addr_count == 0 || !is_plain_host(call->host))) ||
        !is_host_of_url(call)) {
        gw_http_reply_fail(call, GW_HTTP_CONNECT, "not resolved");
        return false;
    }
    if (curl_easy_setopt(t->easy, CURLOPT_URL, call->url) != CURLE_OK) {
        gw_http_reply_fail(call, GW_HTTP_CONNECT, "not a URL");
        return false;
    }
    if (!set_headers(t)) {
        gw_http_reply_fail(call, GW_HTTP_PROTOCOL, "a header line of the request is malformed");
        return false;
    }
    set_method(t);
    set_addrs(t);
    return true;
}

void gw_http_client_call(struct gw_env *env, struct gw_http_call *call)
{
    struct gw_loop *loop = gw_loop_of(env);
    struct gw_http_client *client = call->is_apart ? loop->http_apart : loop->http;
    struct gw_transfer *t = transfer_take(client);

    t->call = call;
    t->was_retried = false;
    t->started_us = gw_env_mono_us(env);
    call->impl = t;
    call->status = 0;
    call->connect_us = call->tls_us = call->first_byte_us = call->total_us = 0;
    call->addr = (struct gw_addr){0};
    call->reply = GW_SLICE("");
    call->is_whole = false;
    call->error[0] = '\0';
    if (prepare(t))
        send_request(t);
    else
        gw_list_push(&client->failed, &t->link);
}

void gw_http_client_cancel(struct gw_env *env, struct gw_http_call *call)
{
    struct gw_transfer *t = call->impl;

    (void)env;
    gw_check(t != NULL && t->call == call);
    struct gw_http_client *client = t->client;
    gw_check(!client->is_in_curl);                    /* not from on_header or addr_allowed */
    curl_multi_remove_handle(client->multi, t->easy); /* no harm when it is not in there */
    transfer_release(t);
}

/* Lost with a kept connection that had died: nobody's failure. */
static bool is_lost(struct gw_transfer *t, CURLcode code)
{
    long made = 1;

    if (code != CURLE_SEND_ERROR && code != CURLE_RECV_ERROR && code != CURLE_GOT_NOTHING)
        return false;
    curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &made);
    return made == 0 && t->header_bytes == 0 && !t->was_retried;
}

static void finish(struct gw_transfer *t, CURLcode code)
{
    struct gw_http_call *call = t->call;

    curl_multi_remove_handle(t->client->multi, t->easy);
    if (is_lost(t, code)) {
        t->was_retried = true;
        send_request(t);
        return;
    }
    gw_http_reply_outcome(t, code);
    transfer_release(t);
    call->done(call);
}

void gw_http_client_reap(struct gw_http_client *client)
{
    CURLMsg *msg;
    int left;

    while ((msg = curl_multi_info_read(client->multi, &left)) != NULL) {
        struct gw_transfer *t;
        if (msg->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &t);
        finish(t, msg->data.result);
    }
}

static void run_due(struct gw_http_client *client)
{
    int running;

    client->is_due = false;
    client->is_in_curl = true;
    curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    client->is_in_curl = false;
    gw_http_client_reap(client);
}

static void on_timer(struct gw_timer *timer)
{
    run_due(gw_container_of(timer, struct gw_http_client, timer));
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *ctx)
{
    struct gw_http_client *client = ctx;
    struct gw_env *env = &client->loop->env;

    (void)multi;
    if (timeout_ms == 0)
        client->is_due = true;
    if (timeout_ms > 0)
        gw_env_timer_set(env, &client->timer, timeout_ms);
    else
        gw_env_timer_stop(env, &client->timer);
    return 0;
}

static void flush(struct gw_http_client *client)
{
    struct gw_list failed, *link;

    gw_list_init(&failed);
    gw_list_splice(&failed, &client->failed);
    while ((link = gw_list_pop(&failed)) != NULL) {
        struct gw_transfer *t = gw_container_of(link, struct gw_transfer, link);
        struct gw_http_call *call = t->call;
        transfer_release(t);
        call->done(call);
    }
    for (int i = 0; client->is_due && i < ROUNDS_MAX; i++)
        run_due(client);
}

/* All that was asked for in this turn starts here, together. What ends with one client may have
 * something started with the other. */
void gw_http_client_flush(struct gw_loop *loop)
{
    struct gw_http_client *clients[] = {loop->http, loop->http_apart};

    for (size_t i = 0; i < gw_count(clients); i++)
        flush(clients[i]);
    for (size_t i = 0; i < gw_count(clients); i++)
        if (clients[i]->is_due || !gw_list_empty(&clients[i]->failed))
            gw_env_timer_set(&loop->env, &clients[i]->timer, 0);
}

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

void gw_http_client_init(void)
{
    gw_check(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

enum gw_err gw_http_client_create(struct gw_loop *loop, const struct gw_loop_options *options,
                                  struct gw_http_client **out, struct gw_error *error)
{
    struct gw_http_client *client = gw_zalloc(sizeof(*client));
    size_t kept = options->connections_kept_max;

    client->loop = loop;
    client->kept_max = kept ? kept : CONNECTIONS_KEPT;
    client->timer.fire = on_timer;
    gw_list_init(&client->idle);
    gw_list_init(&client->open);
    gw_list_init(&client->failed);
    enum gw_err err = gw_http_ca_init(client, options->ca_file, error);
    if (err != GW_OK) {
        gw_http_ca_deinit(client);
        gw_free(client);
        return err;
    }
    client->multi = curl_multi_init();
    gw_check(client->multi != NULL);
    SETM(client->multi, CURLMOPT_SOCKETFUNCTION, gw_http_socket_watch);
    SETM(client->multi, CURLMOPT_SOCKETDATA, client);
    SETM(client->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    SETM(client->multi, CURLMOPT_TIMERDATA, client);
    SETM(client->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    SETM(client->multi, CURLMOPT_MAXCONNECTS, (long)client->kept_max);
    *out = client;
    return GW_OK;
}

static void free_all(struct gw_http_client *client, struct gw_list *transfers)
{
    while (!gw_list_empty(transfers)) {
        struct gw_transfer *t = gw_container_of(transfers->next, struct gw_transfer, link);
        curl_multi_remove_handle(client->multi, t->easy);
        transfer_free(t);
    }
}

void gw_http_client_destroy(struct gw_http_client *client)
{
    free_all(client, &client->open);
    free_all(client, &client->failed);
    free_all(client, &client->idle);
    curl_multi_cleanup(client->multi);
    gw_env_timer_stop(&client->loop->env, &client->timer);
    gw_http_ca_deinit(client);
    gw_free(client->sockets);
    gw_free(client);
}
