/* secrets.c: reading secrets and public keys from the command line; white space around them is
 * nobody's wish. No secret is part of an error. */
#include "cli/secrets.h"

#include "base/codec.h"
#include "base/crypto.h"
#include "cli/input.h"
#include "cli/term.h"

#define PUBLIC_PREFIX "whpk_"

static struct gw_slice trim(const char *value)
{
    struct gw_slice text = gw_slice_from(value);

    while (text.len > 0 && strchr(" \t\r\n", text.ptr[text.len - 1]))
        text.len--;
    return gw_slice_trim(text);
}

static int too_many(const char *command, const char *option)
{
    return gw_term_fail(GW_EXIT_USAGE, "%s: --%s: given more than %d times", command, option,
                        GW_DIAGNOSE_KEYS_MAX);
}

static int read_secret(struct gw_secret *secret, const char *command, struct gw_slice text)
{
    struct gw_error error;

    if (gw_slice_starts(text, GW_SLICE(PUBLIC_PREFIX)))
        return gw_term_fail(GW_EXIT_USAGE,
                            "%s: --secret: must be a secret, was a public key: that is "
                            "--public-key",
                            command);
    if (gw_secret_parse(secret, text, &error) != GW_OK)
        return gw_term_fail(GW_EXIT_USAGE, "%s: --%s", command, error.text);
    return -1;
}

static int read_secrets(struct gw_secrets *secrets, const char *command,
                        const struct gw_option_list *list)
{
    int code = -1;

    if (list->count > GW_DIAGNOSE_KEYS_MAX)
        return too_many(command, "secret");
    for (size_t i = 0; code < 0 && i < list->count; i++) {
        struct gw_buf text = {0};
        const char *value = list->items[i];
        code = gw_input_value(&value, &text);
        if (code < 0)
            code = read_secret(&secrets->all[secrets->count++], command, trim(value));
        if (text.ptr)
            gw_wipe(text.ptr, text.cap);
        gw_buf_deinit(&text);
    }
    return code;
}

static bool parse_public_key(struct gw_public_key *key, struct gw_slice text)
{
    struct gw_buf bytes = {0};
    bool is_right = gw_slice_starts(text, GW_SLICE(PUBLIC_PREFIX)) &&
                    gw_base64_decode(&bytes, gw_slice_skip(text, sizeof(PUBLIC_PREFIX) - 1)) &&
                    bytes.len == sizeof(key->bytes);

    if (is_right)
        memcpy(key->bytes, bytes.ptr, bytes.len);
    gw_buf_deinit(&bytes);
    return is_right;
}

/* What was given may have been a secret by mistake: it is not repeated. */
static int read_public_keys(struct gw_secrets *secrets, const char *command,
                            const struct gw_option_list *list)
{
    if (list->count > GW_DIAGNOSE_KEYS_MAX)
        return too_many(command, "public-key");
    for (size_t i = 0; i < list->count; i++) {
        if (!parse_public_key(&secrets->public_keys[i], trim(list->items[i])))
            return gw_term_fail(GW_EXIT_USAGE,
                                "%s: --public-key: must be whpk_ and the base64 of 32 bytes, as "
                                "gwh config get shows it",
                                command);
        secrets->public_key_count++;
    }
    return -1;
}

static int read_body_scheme(struct gw_secrets *secrets, const char *command,
                            const struct gw_secrets_given *given)
{
    const char *encoding = given->body_encoding;

    secrets->body_header = given->body_header;
    secrets->body_base64 = encoding && strcmp(encoding, "base64") == 0;
    if (encoding && !secrets->body_base64 && strcmp(encoding, "hex") != 0)
        return gw_term_fail(GW_EXIT_USAGE, "%s: --body-encoding: must be hex or base64, was \"%s\"",
                            command, encoding);
    if (encoding && given->body_header == NULL)
        return gw_term_fail(GW_EXIT_USAGE, "%s: --body-encoding: needs --body-header", command);
    if (given->body_header && (secrets->count == 0 || secrets->public_key_count > 0))
        return gw_term_fail(GW_EXIT_USAGE, "%s: --body-header: needs --secret, and no --public-key",
                            command);
    return -1;
}

int gw_secrets_read(struct gw_secrets *secrets, const char *command,
                    const struct gw_secrets_given *given)
{
    *secrets = (struct gw_secrets){0};
    int code = read_secrets(secrets, command, &given->secrets);
    if (code < 0)
        code = read_public_keys(secrets, command, &given->public_keys);
    if (code < 0)
        code = read_body_scheme(secrets, command, given);
    return code;
}

void gw_secrets_given_deinit(struct gw_secrets_given *given)
{
    gw_option_list_deinit(&given->secrets);
    gw_option_list_deinit(&given->public_keys);
}

void gw_secrets_wipe(struct gw_secrets *secrets)
{
    gw_wipe(secrets, sizeof(*secrets));
}

bool gw_secrets_any(const struct gw_secrets *secrets)
{
    return secrets->count + secrets->public_key_count > 0;
}

struct gw_diagnose gw_secrets_question(const struct gw_secrets *secrets)
{
    return (struct gw_diagnose){
        .secrets = secrets->all,
        .secret_count = secrets->count,
        .public_keys = secrets->public_keys,
        .public_key_count = secrets->public_key_count,
        .body_header = secrets->body_header,
        .body_base64 = secrets->body_base64,
    };
}
