/* diagnose.c: why a webhook's signature is not right. Pure; owns nothing.
 *
 * The order is the one in which a receiver's code goes wrong: headers, their form, the signature;
 * and only when no secret fits, the well-known mistakes one by one. The age is judged last, so that
 * an old capture is told that its signature was right. Nothing is said about what the secret is. */
#include "base/alloc.h"
#include "base/check.h"
#include "base/codec.h"
#include "base/crypto.h"
#include "cli/diagnose_impl.h"
#include "cli/text.h"
#include "cli/variant.h"

#define BODY_HEADER       "x-webhook-signature" /* unless a config says otherwise */
#define MILLISECONDS_FROM 100000000000          /* the year 5138 in seconds, 1973 in milliseconds */

const char *gw_diagnosis_name(enum gw_diagnosis diagnosis)
{
    static const char *const names[] = {
        [GW_GENUINE] = "genuine",
        [GW_HEADER_MISSING] = "header_missing",
        [GW_TIMESTAMP_BAD] = "timestamp_bad",
        [GW_TOO_OLD] = "too_old",
        [GW_TOO_NEW] = "too_new",
        [GW_REPLAYED] = "replayed",
        [GW_SIGNATURE_FORM] = "signature_form",
        [GW_KEY_NOT_DECODED] = "key_not_decoded",
        [GW_KEY_DECODED] = "key_decoded",
        [GW_KEY_CUT] = "key_cut",
        [GW_BODY_ALONE] = "body_alone",
        [GW_BODY_CHANGED] = "body_changed",
        [GW_NOT_GENUINE] = "not_genuine",
    };

    gw_check((size_t)diagnosis < gw_count(names));
    return names[diagnosis];
}

/* ── Headers ───────────────────────────────────────────────────────────────────────────────── */

struct parts {
    struct gw_slice id, timestamp;
    struct gw_buf signatures; /* of all such headers, with spaces between */
    size_t signature_count;
    uint64_t sent_s;
};

struct gw_slice gw_diagnose_header(const struct gw_diagnose *d, const char *name)
{
    for (size_t i = 0; i < d->header_count; i++)
        if (gw_slice_eq_nocase(d->headers[i].name, gw_slice_from(name)))
            return gw_slice_trim(d->headers[i].value);
    return (struct gw_slice){0};
}

static void collect_signatures(const struct gw_diagnose *d, struct parts *parts)
{
    for (size_t i = 0; i < d->header_count; i++) {
        struct gw_slice rest = d->headers[i].value, one;
        if (!gw_slice_eq_nocase(d->headers[i].name, GW_SLICE("webhook-signature")))
            continue;
        while (gw_slice_split(&rest, ' ', &one)) {
            one = gw_slice_trim(one);
            if (one.len == 0)
                continue;
            if (parts->signature_count++ > 0)
                gw_buf_addc(&parts->signatures, ' ');
            gw_buf_adds(&parts->signatures, one);
        }
    }
}

/* Of senders that are not this one. */
static const struct {
    const char *header, *sender;
} strangers[] = {
    {"svix-signature", "Svix"},        {"stripe-signature", "Stripe"},
    {"x-hub-signature-256", "GitHub"}, {"x-hub-signature", "GitHub or Meta"},
    {"x-slack-signature", "Slack"},    {"x-shopify-hmac-sha256", "Shopify"},
    {"x-twilio-signature", "Twilio"},  {"paypal-transmission-sig", "PayPal"},
};

/* There is no signature of the standard scheme: is there one of another? */
static void add_other_scheme(const struct gw_diagnose *d, struct gw_buf *why)
{
    if (gw_diagnose_header(d, BODY_HEADER).ptr)
        gw_buf_adds(why, GW_SLICE("; " BODY_HEADER " is there: the body scheme is checked with "
                                  "--body-header " BODY_HEADER));
    for (size_t i = 0; i < gw_count(strangers); i++)
        if (gw_diagnose_header(d, strangers[i].header).ptr)
            gw_buf_addf(why, "; %s is there: this is how %s signs, so it comes from another sender",
                        strangers[i].header, strangers[i].sender);
}

static enum gw_diagnosis find_headers(const struct gw_diagnose *d, struct parts *parts,
                                      struct gw_buf *why)
{
    const char *missing = NULL;

    parts->id = gw_diagnose_header(d, "webhook-id");
    parts->timestamp = gw_diagnose_header(d, "webhook-timestamp");
    collect_signatures(d, parts);
    if (parts->id.len == 0)
        missing = "webhook-id";
    else if (parts->timestamp.len == 0)
        missing = "webhook-timestamp";
    else if (parts->signature_count == 0)
        missing = "webhook-signature";
    if (missing == NULL)
        return GW_GENUINE;
    gw_buf_addf(why,
                "the header %s is missing: webhook-id, webhook-timestamp and webhook-signature "
                "must all be there, as they came",
                missing);
    if (parts->signature_count == 0)
        add_other_scheme(d, why);
    return GW_HEADER_MISSING;
}

static enum gw_diagnosis read_timestamp(struct parts *parts, struct gw_buf *why)
{
    bool is_number = gw_slice_u64(parts->timestamp, &parts->sent_s) &&
                     parts->sent_s <= (uint64_t)INT64_MAX / 1000;

    if (is_number && parts->sent_s < MILLISECONDS_FROM)
        return GW_GENUINE;
    gw_buf_adds(why, GW_SLICE("webhook-timestamp must be Unix time in seconds, was \""));
    gw_text_add_clean(why,
                      (struct gw_slice){parts->timestamp.ptr,
                                        parts->timestamp.len < 40 ? parts->timestamp.len : 40},
                      false);
    gw_buf_adds(why, is_number ? GW_SLICE("\", which looks like milliseconds") : GW_SLICE("\""));
    return GW_TIMESTAMP_BAD;
}

/* ── Form ──────────────────────────────────────────────────────────────────────────────────── */

static bool is_hex(struct gw_slice text)
{
    struct gw_buf bytes = {0};
    bool is = text.len == 2 * GW_SHA256_BYTES && gw_hex_decode(&bytes, text);

    gw_buf_deinit(&bytes);
    return is;
}

static bool is_base64_of(struct gw_slice base64, size_t len)
{
    struct gw_buf bytes = {0};
    bool is = gw_base64_decode(&bytes, base64) && bytes.len == len;

    gw_buf_deinit(&bytes);
    return is;
}

/* Of one signature; NULL = its form is right. */
static const char *form_of(const struct gw_diagnose *d, struct gw_slice signature)
{
    if (gw_slice_starts(signature, GW_SLICE("v1a,"))) {
        if (d->public_key_count == 0)
            return "v1a, is an Ed25519 signature, which is verified with a public key "
                   "(--public-key)";
        if (!is_base64_of(gw_slice_skip(signature, 4), GW_ED25519_SIGNATURE_BYTES))
            return "behind \"v1a,\" there is no base64 of 64 bytes: it was cut or changed on the "
                   "way";
        return NULL;
    }
    if (is_hex(signature) || gw_slice_starts(signature, GW_SLICE("sha256=")))
        return "it is no v1, and base64, but looks like hex of another scheme";
    if (is_base64_of(signature, GW_SHA256_BYTES))
        return "\"v1,\" before the base64 is missing";
    if (!gw_slice_starts(signature, GW_SLICE("v1,")))
        return "it does not begin with \"v1,\"";
    if (is_hex(gw_slice_skip(signature, 3)))
        return "behind \"v1,\" there is hex instead of base64";
    if (!is_base64_of(gw_slice_skip(signature, 3), GW_SHA256_BYTES))
        return "behind \"v1,\" there is no base64 of 32 bytes: it was cut or changed on the way";
    if (d->secret_count == 0)
        return "v1, is verified with a secret (--secret); a public key needs v1a, which comes when "
               "the config's signing.schemes holds ed25519";
    return NULL;
}

/* Is there at least one that could be right? */
static enum gw_diagnosis check_form(const struct gw_diagnose *d, const struct parts *parts,
                                    struct gw_buf *why)
{
    struct gw_slice rest = gw_buf_slice(&parts->signatures), one;
    const char *wrong = NULL;

    while (gw_slice_split(&rest, ' ', &one)) {
        wrong = form_of(d, one);
        if (wrong == NULL)
            return GW_GENUINE;
    }
    gw_buf_addf(why, "webhook-signature holds no signature that could be right: %s", wrong);
    return GW_SIGNATURE_FORM;
}

/* ── Is it right? ──────────────────────────────────────────────────────────────────────────── */

static bool fits(const struct parts *parts, const struct gw_secret *secret, struct gw_slice body)
{
    return gw_sign_verify(gw_buf_slice(&parts->signatures), secret, parts->id, parts->timestamp,
                          body);
}

/* Is one of the v1a signatures over `data`? */
static bool fits_key(const struct parts *parts, const struct gw_public_key *key,
                     struct gw_slice data)
{
    struct gw_slice rest = gw_buf_slice(&parts->signatures), one;
    bool is_right = false;

    while (!is_right && gw_slice_split(&rest, ' ', &one)) {
        struct gw_buf bytes = {0};
        if (gw_slice_starts(one, GW_SLICE("v1a,")) &&
            gw_base64_decode(&bytes, gw_slice_skip(one, 4)) &&
            bytes.len == GW_ED25519_SIGNATURE_BYTES)
            is_right = gw_ed25519_verify(key->bytes, data, (const uint8_t *)bytes.ptr);
        gw_buf_deinit(&bytes);
    }
    return is_right;
}

/* What made a signature right: one of the two. */
struct match {
    const struct gw_secret *secret;
    const struct gw_public_key *key;
};

static bool find_match(const struct gw_diagnose *d, const struct parts *parts, struct gw_slice body,
                       struct match *match)
{
    struct gw_buf data = {0};

    *match = (struct match){0};
    for (size_t i = 0; i < d->secret_count && match->secret == NULL; i++)
        if (fits(parts, &d->secrets[i], body))
            match->secret = &d->secrets[i];
    gw_buf_adds(&data, parts->id);
    gw_buf_addc(&data, '.');
    gw_buf_adds(&data, parts->timestamp);
    gw_buf_addc(&data, '.');
    gw_buf_adds(&data, body);
    for (size_t i = 0; i < d->public_key_count && !match->secret && !match->key; i++)
        if (fits_key(parts, &d->public_keys[i], gw_buf_slice(&data)))
            match->key = &d->public_keys[i];
    gw_buf_deinit(&data);
    return match->secret || match->key;
}

/* ── The usual mistakes ────────────────────────────────────────────────────────────────────── */

/* The same secret with its text as the key, or with the base64 in its text decoded. False: it
 * cannot have been meant so. */
static bool other_key(const struct gw_secret *secret, bool *was_decoded, struct gw_secret *other)
{
    struct gw_slice text = {secret->text, secret->text_len};
    struct gw_buf key = {0};
    bool is_other = true;

    *other = *secret;
    *was_decoded = gw_slice_starts(text, GW_SLICE("whsec_"));
    if (*was_decoded) {
        memcpy(other->key, text.ptr, text.len);
        other->key_len = text.len;
        return true;
    }
    is_other = gw_base64_decode(&key, text) && key.len > 0 && key.len <= sizeof(other->key);
    if (is_other) {
        memcpy(other->key, key.ptr, key.len);
        other->key_len = key.len;
    }
    gw_buf_deinit(&key);
    return is_other;
}

static enum gw_diagnosis try_keys(const struct gw_diagnose *d, const struct parts *parts,
                                  struct gw_buf *why)
{
    struct gw_secret other;
    bool was_decoded;
    enum gw_diagnosis found = GW_GENUINE;

    for (size_t i = 0; i < d->secret_count && found == GW_GENUINE; i++) {
        if (!other_key(&d->secrets[i], &was_decoded, &other) || !fits(parts, &other, d->body))
            continue;
        found = was_decoded ? GW_KEY_NOT_DECODED : GW_KEY_DECODED;
    }
    gw_wipe(&other, sizeof(other));
    if (found == GW_KEY_NOT_DECODED)
        gw_buf_adds(why, GW_SLICE("the signature was made with the text of the secret as the key: "
                                  "the key is what the base64 behind whsec_ decodes to"));
    if (found == GW_KEY_DECODED)
        gw_buf_adds(why, GW_SLICE("the signature was made with what the secret's base64 decodes "
                                  "to: give the secret with its whsec_ in front"));
    return found;
}

static enum gw_diagnosis try_body_alone(const struct gw_diagnose *d, const struct parts *parts,
                                        struct gw_buf *why)
{
    enum gw_diagnosis found = GW_GENUINE;

    for (size_t i = 0; i < d->secret_count && found == GW_GENUINE; i++) {
        struct gw_slice key = {(const char *)d->secrets[i].key, d->secrets[i].key_len};
        uint8_t mac[GW_SHA256_BYTES];
        struct gw_buf expected = {0};
        struct gw_slice rest = gw_buf_slice(&parts->signatures), one;
        gw_hmac_sha256(key, &d->body, 1, mac);
        gw_buf_adds(&expected, GW_SLICE("v1,"));
        gw_base64_encode(&expected, mac, sizeof(mac));
        while (gw_slice_split(&rest, ' ', &one))
            if (gw_equal_secret(one, gw_buf_slice(&expected)))
                found = GW_BODY_ALONE;
        gw_buf_deinit(&expected);
    }
    for (size_t i = 0; i < d->public_key_count; i++)
        if (fits_key(parts, &d->public_keys[i], d->body))
            found = GW_BODY_ALONE;
    if (found == GW_BODY_ALONE)
        gw_buf_adds(why, GW_SLICE("the signature covers the body alone: what is signed is "
                                  "webhook-id, a dot, webhook-timestamp, a dot, and the body"));
    return found;
}

enum gw_diagnosis gw_diagnose_bodies(const struct gw_diagnose *d,
                                     bool (*is_right)(void *ctx, struct gw_slice body), void *ctx,
                                     struct gw_buf *why)
{
    struct gw_buf body = {0};
    const char *done, *found = NULL;

    for (size_t n = 0; found == NULL && (done = gw_variant_make(n, d->body, &body)) != NULL; n++)
        if (is_right(ctx, gw_buf_slice(&body)))
            found = done;
    gw_buf_deinit(&body);
    if (found == NULL)
        return GW_GENUINE;
    gw_buf_addf(why,
                "the body is not byte for byte the one that was signed: %s. Verify the raw body, "
                "before anything parses it",
                found);
    return GW_BODY_CHANGED;
}

struct trial {
    const struct gw_diagnose *d;
    const struct parts *parts;
};

static bool variant_fits(void *ctx, struct gw_slice body)
{
    const struct trial *trial = ctx;
    struct match match;

    return find_match(trial->d, trial->parts, body, &match);
}

static void add_given(const struct gw_diagnose *d, struct gw_buf *why)
{
    size_t count = d->secret_count + d->public_key_count;

    gw_buf_adds(why, count == 1 ? GW_SLICE("the ") : GW_SLICE("any of the "));
    if (d->secret_count > 0)
        gw_buf_adds(why, count == 1 ? GW_SLICE("secret") : GW_SLICE("secrets"));
    if (d->secret_count > 0 && d->public_key_count > 0)
        gw_buf_adds(why, GW_SLICE(" and "));
    if (d->public_key_count > 0)
        gw_buf_adds(why, count == 1 ? GW_SLICE("public key") : GW_SLICE("public keys"));
}

static enum gw_diagnosis explain(const struct gw_diagnose *d, const struct parts *parts,
                                 struct gw_buf *why)
{
    struct trial trial = {d, parts};
    enum gw_diagnosis found = try_keys(d, parts, why);

    if (found == GW_GENUINE)
        found = try_body_alone(d, parts, why);
    if (found == GW_GENUINE)
        found = gw_diagnose_bodies(d, variant_fits, &trial, why);
    if (found != GW_GENUINE)
        return found;
    if (d->body.len == 0)
        gw_buf_adds(why, GW_SLICE("the body is empty, which no webhook's is: it was not given, or "
                                  "something read it before; "));
    gw_buf_adds(why, parts->signature_count == 1
                         ? GW_SLICE("the signature is not right under ")
                         : GW_SLICE("none of the signatures is right under "));
    add_given(d, why);
    gw_buf_adds(why, GW_SLICE(" given: it is another one, or webhook-id, webhook-timestamp or the "
                              "body was changed on the way (parsed and serialised anew?)"));
    if (d->secret_count > 0) {
        gw_buf_adds(why, GW_SLICE(". Expected for these is "));
        gw_sign_standard(why, &d->secrets[0], parts->id, (int64_t)parts->sent_s, d->body);
    }
    return GW_NOT_GENUINE;
}

/* ── Age ───────────────────────────────────────────────────────────────────────────────────── */

/* "whpk_…AbC=" */
static void add_public_key(const struct gw_public_key *key, struct gw_buf *why)
{
    struct gw_buf base64 = {0};

    gw_base64_encode(&base64, key->bytes, sizeof(key->bytes));
    gw_buf_adds(why, GW_SLICE("whpk_…"));
    gw_buf_adds(why, gw_slice_skip(gw_buf_slice(&base64), base64.len - 4));
    gw_buf_deinit(&base64);
}

static enum gw_diagnosis judge_age(const struct gw_diagnose *d, const struct parts *parts,
                                   const struct match *match, struct gw_buf *why)
{
    int64_t age_s = d->now_s - (int64_t)parts->sent_s;
    bool is_old = age_s > d->tolerance_s, is_new = age_s < -d->tolerance_s;

    if (d->came_before && !is_old && !is_new) {
        gw_buf_adds(why, GW_SLICE("the signature is right, but this very attempt came before, with "
                                  "the same webhook-id and webhook-timestamp: a capture that is "
                                  "sent again. Remember each webhook-id for as long as its "
                                  "webhook-timestamp is accepted"));
        return GW_REPLAYED;
    }
    if (!is_old && !is_new) {
        gw_buf_adds(why, GW_SLICE("signed with "));
        if (match->secret)
            gw_secret_mask(match->secret, why);
        else
            add_public_key(match->key, why);
        gw_buf_addf(why, ", %lld s ago", (long long)(age_s > 0 ? age_s : 0));
        return GW_GENUINE;
    }
    gw_buf_adds(why, GW_SLICE("the signature is right, but webhook-timestamp is "));
    gw_text_add_span(why, (is_old ? age_s : -age_s) * 1000);
    gw_buf_addf(why, " %s, more than the %lld s allowed: ", is_old ? "old" : "in the future",
                (long long)d->tolerance_s);
    gw_buf_adds(why, is_old ? GW_SLICE("an old capture or a replay, or the clock of this machine "
                                       "is ahead")
                            : GW_SLICE("the clock of this machine is behind"));
    return is_old ? GW_TOO_OLD : GW_TOO_NEW;
}

static enum gw_diagnosis diagnose_standard(const struct gw_diagnose *d, struct gw_buf *why)
{
    struct parts parts = {0};
    struct match match;

    enum gw_diagnosis found = find_headers(d, &parts, why);
    if (found == GW_GENUINE)
        found = read_timestamp(&parts, why);
    if (found == GW_GENUINE)
        found = check_form(d, &parts, why);
    if (found == GW_GENUINE)
        found = find_match(d, &parts, d->body, &match) ? judge_age(d, &parts, &match, why)
                                                       : explain(d, &parts, why);
    gw_buf_deinit(&parts.signatures);
    return found;
}

enum gw_diagnosis gw_diagnose(const struct gw_diagnose *d, struct gw_buf *why)
{
    gw_check(d->secret_count + d->public_key_count > 0);
    return d->body_header ? gw_diagnose_body(d, why) : diagnose_standard(d, why);
}
