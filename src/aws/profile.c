/* profile.c: reads the two files, first credentials, then config; what comes first holds. Owns the
 * files' bytes, which hold secrets and are wiped. In errors are names of settings, never values. */
#include "aws/profile.h"

#include "base/alloc.h"
#include "base/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FILE_BYTES_MAX ((size_t)256 * 1024)
#define PATH_BYTES_MAX 4096

/* ── Files ─────────────────────────────────────────────────────────────────────────────────── */

enum gw_err gw_aws_file_read(struct gw_buf *out, const char *path, struct gw_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    enum gw_err err = GW_OK;
    ssize_t got;

    if (fd < 0)
        return gw_error_set(error, errno == ENOENT ? GW_ERR_NOT_FOUND : GW_ERR_IO,
                            "%s: cannot be read: %s", path, strerror(errno));
    gw_buf_reserve(out, FILE_BYTES_MAX + 1); /* at once: growing leaves copies behind */
    while ((got = read(fd, out->ptr + out->len, out->cap - out->len)) > 0 &&
           out->len + (size_t)got <= FILE_BYTES_MAX)
        out->len += (size_t)got;
    if (got < 0)
        err = gw_error_set(error, GW_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
    else if (got > 0)
        err = gw_error_set(error, GW_ERR_TOO_LARGE, "%s: must have at most %zu bytes, has more",
                           path, FILE_BYTES_MAX);
    close(fd);
    return err;
}

/* What the variable says, else this file below the home directory; false: there is no home. */
static bool path_of(char path[PATH_BYTES_MAX], const char *variable, const char *file)
{
    const char *given = getenv(variable), *home = getenv("HOME");
    int len;

    if (given && given[0] != '\0')
        len = snprintf(path, PATH_BYTES_MAX, "%s", given);
    else if (home && home[0] != '\0')
        len = snprintf(path, PATH_BYTES_MAX, "%s/.aws/%s", home, file);
    else
        return false;
    return len < PATH_BYTES_MAX;
}

/* ── Lines ─────────────────────────────────────────────────────────────────────────────────── */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct gw_slice trim(struct gw_slice s)
{
    while (s.len > 0 && is_space(s.ptr[s.len - 1]))
        s.len--;
    while (s.len > 0 && is_space(s.ptr[0]))
        s = gw_slice_skip(s, 1);
    return s;
}

/* Whether "[…]" is the profile's section: "[name]", in the config file "[profile name]" unless it is
 * the default. */
static bool is_section(struct gw_slice line, const char *name, bool is_config)
{
    const char *end = memchr(line.ptr, ']', line.len);
    struct gw_slice inside = trim(gw_slice_skip(line, 1));

    if (end == NULL)
        return false;
    inside.len = (size_t)(end - inside.ptr);
    inside = trim(inside);
    if (is_config && gw_slice_starts(inside, GW_SLICE("profile")) && inside.len > 7 &&
        is_space(inside.ptr[7]))
        return gw_slice_is(trim(gw_slice_skip(inside, 7)), name);
    return gw_slice_is(inside, name) && (!is_config || strcmp(name, "default") == 0);
}

/* A value ends before " #" or " ;". */
static struct gw_slice value_of(struct gw_slice text)
{
    for (size_t i = 1; i < text.len; i++)
        if ((text.ptr[i] == '#' || text.ptr[i] == ';') && is_space(text.ptr[i - 1]))
            text.len = i;
    return trim(text);
}

static void take(struct gw_aws_profile *profile, struct gw_slice name, struct gw_slice value)
{
    static const char *const elsewhere[] = {
        "role_arn",    "source_profile",     "credential_source", "web_identity_token_file",
        "sso_session", "credential_process", "sso_start_url",     "login_session",
    };
    const struct {
        const char *name;
        struct gw_slice *to;
    } known[] = {
        {"aws_access_key_id", &profile->id},
        {"aws_secret_access_key", &profile->secret},
        {"aws_session_token", &profile->token},
        {"region", &profile->region},
    };

    for (size_t i = 0; i < gw_count(known); i++)
        if (gw_slice_eq_nocase(name, gw_slice_from(known[i].name)) && !known[i].to->ptr)
            *known[i].to = value;
    for (size_t i = 0; i < gw_count(elsewhere); i++)
        if (gw_slice_eq_nocase(name, gw_slice_from(elsewhere[i])))
            profile->elsewhere = elsewhere[i];
}

static void parse(struct gw_aws_profile *profile, struct gw_slice text, const char *name,
                  bool is_config)
{
    struct gw_slice line, key, value;
    bool is_inside = false;

    while (gw_slice_split(&text, '\n', &line)) {
        bool is_nested = line.len > 0 && is_space(line.ptr[0]); /* of a setting that has several */
        line = trim(line);
        if (line.len == 0 || is_nested || line.ptr[0] == '#' || line.ptr[0] == ';')
            continue;
        if (line.ptr[0] == '[') {
            is_inside = is_section(line, name, is_config);
            profile->is_found |= is_inside;
            continue;
        }
        value = line;
        gw_slice_split(&value, '=', &key);
        if (is_inside && value.ptr)
            take(profile, trim(key), value_of(value));
    }
}

/* ── The profile ───────────────────────────────────────────────────────────────────────────── */

enum gw_err gw_aws_profile_read(struct gw_aws_profile *profile, struct gw_error *error)
{
    static const struct {
        const char *variable, *file;
        bool is_config;
    } files[GW_AWS_PROFILE_FILES] = {
        {"AWS_SHARED_CREDENTIALS_FILE", "credentials", false},
        {"AWS_CONFIG_FILE", "config", true},
    };
    const char *named = getenv("AWS_PROFILE");
    const char *name = named && named[0] != '\0' ? named : "default";
    char path[PATH_BYTES_MAX];
    enum gw_err err = GW_OK;

    *profile = (struct gw_aws_profile){0};
    for (size_t i = 0; err == GW_OK && i < gw_count(files); i++) {
        struct gw_buf *bytes = &profile->files[i];
        if (!path_of(path, files[i].variable, files[i].file))
            continue;
        err = gw_aws_file_read(bytes, path, error);
        if (err == GW_OK)
            parse(profile, gw_buf_slice(bytes), name, files[i].is_config);
        else if (err == GW_ERR_NOT_FOUND)
            err = GW_OK;
    }
    if (err == GW_OK && !profile->is_found && name == named)
        err = gw_error_set(error, GW_ERR_INVALID,
                           "AWS_PROFILE: must name a profile of ~/.aws/credentials or "
                           "~/.aws/config, was \"%.60s\"",
                           name);
    if (err != GW_OK)
        gw_aws_profile_deinit(profile);
    return err;
}

void gw_aws_profile_deinit(struct gw_aws_profile *profile)
{
    for (size_t i = 0; i < GW_AWS_PROFILE_FILES; i++) {
        if (profile->files[i].ptr)
            gw_wipe(profile->files[i].ptr, profile->files[i].cap);
        gw_buf_deinit(&profile->files[i]);
    }
    *profile = (struct gw_aws_profile){0};
}
