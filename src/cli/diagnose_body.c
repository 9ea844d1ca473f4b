/* diagnose_body.c: the body scheme: HMAC-SHA256 of the body alone, keyed with the secret's whole
 * text, in a header of the client's choice. Pure; owns nothing.
 *
 * The scheme covers neither an id nor a time, so neither can be judged. While two secrets live, the
 * header stays with the old one and NAME-next carries the new one: either is genuine. */
#include "base/check.h"
#include "base/codec.h"
#include "base/crypto.h"
#include "cli/diagnose_impl.h"

#define PREFIX "whsec_"

struct signature {
    uint8_t bytes[GW_SHA256_BYTES];
};

static bool decode(struct gw_slice text, bool base64, struct signature *signature)
{
    struct gw_buf bytes = {0};
    bool is_right = base64 ? gw_base64_decode(&bytes, text) : gw_hex_decode(&bytes, text);

    is_right = is_right && bytes.len == sizeof(signature->bytes);
    if (is_right)
        memcpy(signature->bytes, bytes.ptr, bytes.len);
    gw_buf_deinit(&bytes);
    return is_right;
}

static bool is_made_with(const struct signature *signature, struct gw_slice key,
                         struct gw_slice body)
{
    struct signature expected;

    gw_hmac_sha256(key, &body, 1, expected.bytes);
    return gw_equal_secret(
        (struct gw_slice){(const char *)expected.bytes, sizeof(expected.bytes)},
        (struct gw_slice){(const char *)signature->bytes, sizeof(signature->bytes)});
}

static struct gw_slice text_of(const struct gw_secret *secret)
{
    return (struct gw_slice){secret->text, secret->text_len};
}

static const struct gw_secret *find_secret(const struct gw_diagnose *d,
                                           const struct signature *signature, struct gw_slice body)
{
    for (size_t i = 0; i < d->secret_count; i++)
        if (is_made_with(signature, text_of(&d->secrets[i]), body))
            return &d->secrets[i];
    return NULL;
}

/* ── Why not ───────────────────────────────────────────────────────────────────────────────── */

static enum gw_diagnosis missing(const struct gw_diagnose *d, struct gw_buf *why)
{
    gw_buf_addf(why, "the header %s is missing", d->body_header);
    if (gw_diagnose_header(d, "webhook-signature").ptr)
        gw_buf_adds(why, GW_SLICE("; webhook-signature is there, which is the standard scheme: "
                                  "leave --body-header out, or add body to the config's "
                                  "signing.schemes"));
    return GW_HEADER_MISSING;
}

static enum gw_diagnosis bad_form(const struct gw_diagnose *d, struct gw_slice text,
                                  struct gw_buf *why)
{
    struct signature other;
    const char *wanted = d->body_base64 ? "the base64" : "the hex", *what = "";

    if (decode(text, !d->body_base64, &other))
        what = d->body_base64 ? ": it is hex (--body-encoding hex)"
                              : ": it is base64 (--body-encoding base64)";
    else if (memchr(text.ptr, '=', text.len) && !d->body_base64)
        what = ": nothing stands before it in this scheme";
    gw_buf_addf(why, "%s must be %s of 32 bytes, and is not%s", d->body_header, wanted, what);
    return GW_SIGNATURE_FORM;
}

static enum gw_diagnosis try_keys(const struct gw_diagnose *d, const struct signature *signature,
                                  struct gw_buf *why)
{
    for (size_t i = 0; i < d->secret_count; i++) {
        const struct gw_secret *secret = &d->secrets[i];
        if (!gw_slice_starts(text_of(secret), GW_SLICE(PREFIX)))
            continue;
        if (is_made_with(signature, (struct gw_slice){(const char *)secret->key, secret->key_len},
                         d->body)) {
            gw_buf_adds(why, GW_SLICE("the signature was made with what the base64 behind whsec_ "
                                      "decodes to: in this scheme the key is the secret's whole "
                                      "text, whsec_ included"));
            return GW_KEY_DECODED;
        }
        if (is_made_with(signature, gw_slice_skip(text_of(secret), sizeof(PREFIX) - 1), d->body)) {
            gw_buf_adds(why, GW_SLICE("the signature was made with the text behind whsec_: in this "
                                      "scheme the key is the secret's whole text, whsec_ "
                                      "included"));
            return GW_KEY_CUT;
        }
    }
    return GW_GENUINE;
}

struct trial {
    const struct gw_diagnose *d;
    const struct signature *signature;
};

static bool variant_fits(void *ctx, struct gw_slice body)
{
    const struct trial *trial = ctx;

    return find_secret(trial->d, trial->signature, body) != NULL;
}

static enum gw_diagnosis explain(const struct gw_diagnose *d, const struct signature *signature,
                                 struct gw_buf *why)
{
    struct trial trial = {d, signature};
    enum gw_diagnosis found = try_keys(d, signature, why);

    if (found == GW_GENUINE)
        found = gw_diagnose_bodies(d, variant_fits, &trial, why);
    if (found != GW_GENUINE)
        return found;
    gw_buf_addf(why,
                "%s is not right under %s given: it is another one, or the body was changed on the "
                "way (parsed and serialised anew?). Expected for this body is ",
                d->body_header, d->secret_count == 1 ? "the secret" : "any of the secrets");
    gw_sign_body(why, &d->secrets[0], d->body, d->body_base64);
    return GW_NOT_GENUINE;
}

/* ── Is it? ────────────────────────────────────────────────────────────────────────────────── */

static void say_genuine(const struct gw_secret *secret, struct gw_buf *why)
{
    gw_buf_adds(why, GW_SLICE("signed with "));
    gw_secret_mask(secret, why);
    gw_buf_adds(why, GW_SLICE("; this scheme covers the body alone, so its age was not judged"));
}

/* The header of the new secret, while two live. */
static const struct gw_secret *find_next(const struct gw_diagnose *d, struct gw_buf *why)
{
    const struct gw_secret *secret = NULL;
    struct signature signature;
    struct gw_buf name = {0};

    gw_buf_addf(&name, "%s-next", d->body_header);
    struct gw_slice text = gw_diagnose_header(d, gw_buf_text(&name));
    if (text.ptr && decode(text, d->body_base64, &signature))
        secret = find_secret(d, &signature, d->body);
    if (secret) {
        gw_buf_addf(why, "by %s, ", gw_buf_text(&name));
        say_genuine(secret, why);
        gw_buf_addf(why, ". It is the new secret: %s stays with the old one until that ends",
                    d->body_header);
    }
    gw_buf_deinit(&name);
    return secret;
}

enum gw_diagnosis gw_diagnose_body(const struct gw_diagnose *d, struct gw_buf *why)
{
    struct gw_slice text = gw_diagnose_header(d, d->body_header);
    struct signature signature;

    gw_check(d->secret_count > 0);
    if (text.ptr == NULL)
        return missing(d, why);
    if (!decode(text, d->body_base64, &signature))
        return bad_form(d, text, why);
    const struct gw_secret *secret = find_secret(d, &signature, d->body);
    if (secret) {
        say_genuine(secret, why);
        return GW_GENUINE;
    }
    return find_next(d, why) ? GW_GENUINE : explain(d, &signature, why);
}
