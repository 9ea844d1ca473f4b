/* outcome.c: what an attempt came to, what follows from it, and what to tell people. Pure.
 *
 * The texts are read by support engineers with an impatient client on the line: first what the
 * failure means, then what to do. One sentence each, no promise about the client's server. */
#include "core/outcome.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/timefmt.h"

#define RETRY_AFTER_MAX_MS ((int64_t)12 * 3600 * 1000)

const char *gw_outcome_name(enum gw_outcome outcome)
{
    switch (outcome) {
    case GW_OUTCOME_SUCCESS: return "success";
    case GW_OUTCOME_HTTP_ERROR: return "http_error";
    case GW_OUTCOME_TIMEOUT: return "timeout";
    case GW_OUTCOME_DNS: return "dns";
    case GW_OUTCOME_CONNECT: return "connect";
    case GW_OUTCOME_TLS: return "tls";
    case GW_OUTCOME_RESET: return "reset";
    case GW_OUTCOME_PROTOCOL: return "protocol";
    case GW_OUTCOME_BLOCKED: return "blocked";
    }
    gw_never("an unknown outcome");
}

enum gw_outcome gw_outcome_of_status(int status)
{
    return status >= 200 && status <= 299 ? GW_OUTCOME_SUCCESS : GW_OUTCOME_HTTP_ERROR;
}

enum gw_verdict gw_outcome_verdict(enum gw_outcome outcome, int status)
{
    if (outcome == GW_OUTCOME_SUCCESS)
        return GW_VERDICT_DONE;
    if (outcome == GW_OUTCOME_HTTP_ERROR && status == 410)
        return GW_VERDICT_GONE;
    return GW_VERDICT_AGAIN;
}

static int64_t capped(int64_t ms)
{
    if (ms < 0)
        return 0;
    return ms < RETRY_AFTER_MAX_MS ? ms : RETRY_AFTER_MAX_MS;
}

static bool is_number(struct gw_slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return s.len > 0;
}

int64_t gw_outcome_retry_after_ms(int status, struct gw_slice retry_after, int64_t now_ms)
{
    struct gw_slice value = gw_slice_trim(retry_after);
    uint64_t seconds;
    int64_t at_ms;

    if (status != 429 && status != 503)
        return 0;
    if (is_number(value)) {
        /* More than fits is still a number, and a long time. */
        if (!gw_slice_u64(value, &seconds) || seconds > (uint64_t)RETRY_AFTER_MAX_MS / 1000)
            return RETRY_AFTER_MAX_MS;
        return (int64_t)seconds * 1000;
    }
    if (!gw_time_parse_http(value, &at_ms))
        return 0;
    return capped(at_ms - now_ms);
}

/* The first row that holds the status counts. */
static const struct {
    int from, to;
    const char *text;
} status_advice[] = {
    {300, 399,
     "The URL redirects, and webhooks never follow a redirect: set webhookUrl to the address it "
     "points to, in full (https, host and trailing slash included)."},
    {400, 400,
     "The client's server refused the request as malformed: compare what its code expects (body "
     "fields, headers, signature check) with the event, and read the reply excerpt for the "
     "reason."},
    {401, 401,
     "The client's server did not accept our credentials: check the authorization header in the "
     "config and that the client verifies with the current signing secret."},
    {403, 403,
     "The client's server refuses us: check the credentials and signing secret in use there, and "
     "whether a firewall or WAF must let our addresses through."},
    {404, 404,
     "Nothing is served at this path: check webhookUrl for a typing error and that the client has "
     "deployed the endpoint."},
    {405, 405,
     "The endpoint does not accept POST: the client must route POST for this exact path, or "
     "webhookUrl points to the wrong one."},
    {408, 408,
     "The client's server gave up waiting for our request: look for an overloaded proxy or load "
     "balancer before it."},
    {409, 409,
     "The client's server reports a conflict: its handler should answer 2xx to a webhook-id that "
     "it has already processed."},
    {410, 410,
     "The endpoint says that it is gone for good: set a new webhookUrl, or have the client mend "
     "the endpoint if the answer was a mistake, and retry."},
    {411, 412,
     "The client's server or a proxy before it demands other request headers: the client must "
     "accept a plain POST with content-length and content-type: application/json."},
    {413, 413,
     "The payload is larger than the client's server accepts: have the body limit there raised "
     "(1 MiB is safe)."},
    {415, 415,
     "The client's server does not accept this content type: the endpoint must take "
     "content-type: application/json."},
    {421, 421,
     "The host that answered does not serve this name: check the client's DNS record, proxy and "
     "virtual host."},
    {422, 422,
     "The client's code understood the request but refused its content: read the reply excerpt and "
     "compare the event with what its validation expects."},
    {429, 429,
     "The client's server is asking for fewer requests: we wait as long as its Retry-After says; "
     "if it keeps happening, lower maxInFlight in the config."},
    {431, 431,
     "The request headers are too large for the client's server: shorten the headers in the config "
     "or have the limit there raised."},
    {400, 499,
     "The client's server refused the request: the reply excerpt usually names the reason, and "
     "retries will not help until the endpoint or the config changes."},
    {500, 500, "The client's handler failed: ask for its logs at this time with the webhook-id."},
    {501, 501,
     "The client's server does not implement this: it must accept POST at this path; check that "
     "webhookUrl points to the right service."},
    {502, 502,
     "A proxy before the client's service got no valid answer from it: the service behind it is "
     "probably down or restarting."},
    {503, 503,
     "The client's service is unavailable, overloaded or in maintenance: a Retry-After in its "
     "answer is obeyed."},
    {504, 504,
     "A proxy before the client's service timed out waiting for it: the handler should answer 2xx "
     "at once and do its work afterwards."},
    {500, 599,
     "The client's server failed while handling the request: ask for its logs at this time with "
     "the webhook-id."},
};

static const char *advice_of_status(int status)
{
    for (size_t i = 0; i < gw_count(status_advice); i++)
        if (status >= status_advice[i].from && status <= status_advice[i].to)
            return status_advice[i].text;
    return "The client's server answered with a status that HTTP does not define for this: only "
           "2xx "
           "counts as delivered, so have the endpoint answer 200 or 204.";
}

/* What the record of an attempt says (sys/http_client_reply.c, sys/resolver.c) and what it means; the
 * first row whose words are in it counts. */
static const struct {
    enum gw_outcome outcome;
    const char *words, *text;
} error_advice[] = {
    {GW_OUTCOME_TIMEOUT, "while connecting",
     "The client's server did not even take the connection: it is down, or a firewall drops our "
     "packets; have the client let our addresses through."},
    {GW_OUTCOME_TIMEOUT, "in the TLS handshake",
     "The connection was made, but the TLS handshake did not end in time: look for an overloaded "
     "server or proxy at the client's, or one that speaks no TLS on that port."},
    {GW_OUTCOME_TIMEOUT, "first byte",
     "The client's server got the webhook, but did not answer in time: the handler should answer "
     "2xx at once and do its work afterwards; else raise retry.timeoutMs in the config."},
    {GW_OUTCOME_DNS, "does not exist",
     "The host name does not exist: check webhookUrl for a typing error, and that the client's DNS "
     "record is visible from the public internet."},
    {GW_OUTCOME_DNS, "has no address",
     "The host name exists, but has no address: the client must add an A or AAAA record."},
    {GW_OUTCOME_DNS, "name server",
     "The name servers gave no answer: if only this name fails, the client's DNS is at fault; if "
     "others fail too, look at our own resolver."},
    {GW_OUTCOME_CONNECT, "refused",
     "The client's machine is there but nothing listens on that port, or a firewall refuses us: "
     "have the client start the service, or correct the port in webhookUrl."},
    {GW_OUTCOME_CONNECT, "no local port",
     "Our own machine has no port left: the operator must look, the client is not at fault."},
    {GW_OUTCOME_CONNECT, "no file descriptor",
     "Our own process has no file left to open: the operator must raise its limit, the client is "
     "not at fault."},
    {GW_OUTCOME_TLS, "expired",
     "The client's certificate has expired: the client must renew it and reload the server."},
    {GW_OUTCOME_TLS, "not valid yet",
     "The client's certificate is not valid yet: the client must install the right one; check our "
     "own clock, too."},
    {GW_OUTCOME_TLS, "for another",
     "The client's certificate is for another name: set webhookUrl to the name it is for, or have "
     "the client get one for this name."},
    {GW_OUTCOME_TLS, "self-signed",
     "The client's certificate is self-signed, so nobody vouches for it: the client must get one "
     "from a public authority, or the operator adds it with --ca-file."},
    {GW_OUTCOME_TLS, "not known",
     "We do not know the authority behind the client's certificate: usually the server does not "
     "send its intermediate certificate; else the operator adds the authority with --ca-file."},
    {GW_OUTCOME_TLS, "revoked",
     "The client's certificate was revoked: the client must get a new one."},
};

static bool has(struct gw_slice text, const char *words)
{
    struct gw_slice part = gw_slice_from(words);

    for (size_t i = 0; i + part.len <= text.len; i++)
        if (gw_slice_starts(gw_slice_skip(text, i), part))
            return true;
    return false;
}

static const char *advice_of_error(enum gw_outcome outcome, struct gw_slice error)
{
    for (size_t i = 0; i < gw_count(error_advice); i++)
        if (error_advice[i].outcome == outcome && has(error, error_advice[i].words))
            return error_advice[i].text;
    return NULL;
}

const char *gw_outcome_advice(enum gw_outcome outcome, int status, struct gw_slice error)
{
    const char *text = advice_of_error(outcome, error);
    if (text)
        return text;
    switch (outcome) {
    case GW_OUTCOME_SUCCESS: return "Delivered: nothing to do.";
    case GW_OUTCOME_HTTP_ERROR: return advice_of_status(status);
    case GW_OUTCOME_TIMEOUT:
        return "The client's server did not answer in time: the handler should answer 2xx at once "
               "and do its work afterwards; if it never even connected, look for a firewall that "
               "drops our packets.";
    case GW_OUTCOME_DNS:
        return "The host name does not resolve: check webhookUrl for a typing error and the "
               "client's DNS records (A or AAAA, visible from the public internet).";
    case GW_OUTCOME_CONNECT:
        return "No connection could be made: the service is not listening on that address and "
               "port, or a firewall refuses us; have the client check both.";
    case GW_OUTCOME_TLS:
        return "The TLS handshake failed: the certificate is expired, for another name, lacks its "
               "intermediate, or comes from an authority we do not know; the error names which, "
               "and the client must mend it.";
    case GW_OUTCOME_RESET:
        return "The connection broke before a full answer came: the client's server or a proxy "
               "before it crashed, restarted or closed it; ask for its logs at this time.";
    case GW_OUTCOME_PROTOCOL:
        return "What came back is not valid HTTP: the port probably serves something else, or a "
               "proxy there spoils the answer; check webhookUrl and the client's server.";
    case GW_OUTCOME_BLOCKED:
        return "The URL leads to an address that we may not send to (private, local or reserved): "
               "the client must use a public address, or the operator allows it with --allow-nets.";
    }
    gw_never("an unknown outcome");
}
