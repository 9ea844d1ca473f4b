/* Owns the parsing of request heads; see request.h. */
#include "request.h"

#include "tool.h"

#include <string.h>
#include <strings.h>

static bool name_is(const char *name, size_t len, const char *wanted)
{
    return len == strlen(wanted) && strncasecmp(name, wanted, len) == 0;
}

/* Whether a comma-separated list, as in `Connection`, holds a word. */
static bool list_has(const char *list, size_t len, const char *word)
{
    while (len > 0) {
        const char *comma = memchr(list, ',', len);
        size_t part = comma ? (size_t)(comma - list) : len;
        const char *from = list;
        size_t n = part;

        while (n > 0 && (*from == ' ' || *from == '\t'))
            from++, n--;
        while (n > 0 && (from[n - 1] == ' ' || from[n - 1] == '\t'))
            n--;
        if (name_is(from, n, word))
            return true;
        part += comma ? 1 : 0;
        list += part;
        len -= part;
    }
    return false;
}

static void take_length(struct gw_request *r, const char *value, size_t len)
{
    size_t total = 0;

    if (len == 0 || len > 12) {
        r->reject_status = 400;
        return;
    }
    for (size_t i = 0; i < len; i++) {
        unsigned digit = (unsigned char)value[i] - (unsigned)'0';

        if (digit > 9) {
            r->reject_status = 400;
            return;
        }
        total = total * 10 + digit;
    }
    if (r->has_length && total != r->body_len)
        r->reject_status = 400;
    else if (total > GW_BODY_BYTES_MAX)
        r->reject_status = 413;
    r->has_length = true;
    r->body_len = total;
}

static void take_header(struct gw_request *r, const char *start, const char *name, const char *end)
{
    const char *colon = memchr(name, ':', (size_t)(end - name)), *value;
    size_t name_len, len;

    if (!colon || colon == name || colon[-1] == ' ' || colon[-1] == '\t') {
        r->reject_status = 400;
        return;
    }
    name_len = (size_t)(colon - name);
    value = colon + 1;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    len = (size_t)(end - value);

    if (name_is(name, name_len, "content-length")) {
        take_length(r, value, len);
    } else if (name_is(name, name_len, "webhook-id")) {
        r->id_at = (size_t)(value - start);
        r->id_len = len;
    } else if (name_is(name, name_len, "connection")) {
        if (list_has(value, len, "close"))
            r->close_after = true;
    } else if (name_is(name, name_len, "expect")) {
        if (name_is(value, len, "100-continue"))
            r->expects_continue = true;
        else
            r->reject_status = 417;
    } else if (name_is(name, name_len, "transfer-encoding")) {
        r->reject_status = 501;
    }
}

static void take_request_line(struct gw_request *r, const char *start, const char *end)
{
    const char *target = memchr(start, ' ', (size_t)(end - start)), *version;

    version = target ? memchr(target + 1, ' ', (size_t)(end - target - 1)) : NULL;
    if (!version || end - version != 9 || memcmp(version + 1, "HTTP/1.", 7) != 0) {
        r->reject_status = 400;
        return;
    }
    r->is_post = target - start == 4 && memcmp(start, "POST", 4) == 0;
    r->is_get = target - start == 3 && memcmp(start, "GET", 3) == 0;
    r->close_after = version[8] == '0';
    r->target_at = (size_t)(target + 1 - start);
    r->target_len = (size_t)(version - target - 1);
}

/* `end` is the last line's CR LF, so there is always one to find. A CR alone ends no line. */
static const char *line_end(const char *line, const char *end)
{
    const char *cr = memchr(line, '\r', (size_t)(end + 1 - line));

    while (cr[1] != '\n')
        cr = memchr(cr + 1, '\r', (size_t)(end - cr));
    return cr;
}

size_t gw_request_parse(struct gw_request *request, const char *start, size_t have, size_t scanned)
{
    size_t from = scanned > 3 ? scanned - 3 : 0;
    const char *end = memmem(start + from, have - from, "\r\n\r\n", 4), *stop;

    memset(request, 0, sizeof(*request));
    if (!end)
        return have;
    request->head_len = (size_t)(end + 4 - start);
    stop = line_end(start, end);
    take_request_line(request, start, stop);
    while (stop < end) {
        const char *line = stop + 2;

        stop = line_end(line, end);
        take_header(request, start, line, stop);
    }
    return 0;
}
