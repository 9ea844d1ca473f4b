/* signing.c: owns nothing; pure. Which secrets and key pairs sign at a moment, and in which headers.
 *
 * Invariant: whatever the config and the moment, each scheme it has signs at least once, for the
 * newest secret and the newest pair have no end. */
#include "core/signing.h"

#include "base/check.h"

static bool has(const struct gw_config *config, unsigned scheme)
{
    return (config->signing.schemes & scheme) != 0;
}

/* One signature follows another behind a space. */
static void standard_line(struct gw_buf *out, const struct gw_config *config, struct gw_slice id,
                          int64_t now_ms, struct gw_slice body)
{
    gw_buf_adds(out, GW_SLICE("webhook-signature:"));
    for (size_t i = 0; has(config, GW_SCHEME_STANDARD) && i < config->secret_count; i++) {
        if (config->secrets[i].until_ms <= now_ms)
            continue;
        gw_buf_addc(out, ' ');
        gw_sign_standard(out, &config->secrets[i], id, now_ms / 1000, body);
    }
    for (size_t i = 0; has(config, GW_SCHEME_ED25519) && i < config->pair_count; i++) {
        if (config->pairs[i].until_ms <= now_ms)
            continue;
        gw_buf_addc(out, ' ');
        gw_sign_ed25519(out, &config->pairs[i], id, now_ms / 1000, body);
    }
    gw_buf_addc(out, '\0');
}

static void body_line(struct gw_buf *out, const struct gw_signing *signing, struct gw_slice suffix,
                      const struct gw_secret *secret, struct gw_slice body)
{
    gw_buf_adds(out, signing->body_header);
    gw_buf_adds(out, suffix);
    gw_buf_adds(out, GW_SLICE(": "));
    gw_sign_body(out, secret, body, signing->body_base64);
    gw_buf_addc(out, '\0');
}

void gw_signing_lines(struct gw_buf *out, const struct gw_config *config, struct gw_slice id,
                      int64_t now_ms, struct gw_slice body)
{
    const struct gw_secret *newest = &config->secrets[0], *old = &config->secrets[1];
    struct gw_slice no_suffix = GW_SLICE("");

    gw_check(config->secret_count > 0);
    gw_check(!has(config, GW_SCHEME_ED25519) || config->pair_count > 0);
    if (has(config, GW_SCHEME_STANDARD | GW_SCHEME_ED25519))
        standard_line(out, config, id, now_ms, body);
    if (!has(config, GW_SCHEME_BODY))
        return;
    bool is_overlap = config->secret_count == 2 && old->until_ms > now_ms;
    body_line(out, &config->signing, no_suffix, is_overlap ? old : newest, body);
    if (is_overlap)
        body_line(out, &config->signing, GW_SLICE("-next"), newest, body);
}
