/* test_public_cert.c: PUBLIC_CERT: what is taken for a key, from where, and what the error says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/public_cert.h"
#include "app/settings.h"
#include "base/alloc.h"
#include "base/buf.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

static EVP_PKEY *pair;

static char *text_of(BIO *bio)
{
    char *bytes;
    long len = BIO_get_mem_data(bio, &bytes);
    char *copy = gw_zalloc((size_t)len + 1);
    memcpy(copy, bytes, (size_t)len);
    BIO_free(bio);
    return copy;
}

static char *public_key(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
    return text_of(bio);
}

static char *private_key(void)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey(bio, pair, NULL, NULL, 0, NULL, NULL), 1);
    return text_of(bio);
}

static char *certificate(void)
{
    X509 *x509 = X509_new();
    BIO *bio = BIO_new(BIO_s_mem());
    X509_gmtime_adj(X509_getm_notBefore(x509), 0);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    assert_int_equal(X509_set_pubkey(x509, pair), 1);
    assert_true(X509_sign(x509, pair, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_bio_X509(bio, x509), 1);
    X509_free(x509);
    return text_of(bio);
}

/* Each end of a line as the two characters. */
static char *on_one_line(const char *text)
{
    struct gw_buf out = {0};
    for (; *text; text++) {
        if (*text == '\n')
            gw_buf_add(&out, "\\n", 2);
        else
            gw_buf_addc(&out, *text);
    }
    gw_buf_text(&out);
    return out.ptr;
}

static int setup(void **state)
{
    (void)state;
    pair = EVP_RSA_gen(2048);
    return pair ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    EVP_PKEY_free(pair);
    return 0;
}

static enum gw_err parse_setting(const char *name, const char *value, struct gw_settings *settings,
                                 struct gw_error *error)
{
    struct gw_buf row = {0};
    gw_buf_addf(&row, "%s=%s", name, value);
    gw_buf_text(&row);
    char *env[] = {row.ptr, NULL};
    enum gw_err err = gw_settings_parse(settings, 0, NULL, env, error);
    if (err == GW_OK)
        assert_string_equal(settings->public_cert, value);
    gw_settings_deinit(settings);
    gw_buf_deinit(&row);
    return err;
}

/* As the setting, by either name, and as what is loaded of it. */
static void expect_taken(const char *text)
{
    struct gw_settings settings;
    struct gw_error error;
    struct gw_rsa_key *key;
    assert_int_equal(parse_setting("PUBLIC_CERT", text, &settings, &error), GW_OK);
    assert_int_equal(parse_setting("GWH_PUBLIC_CERT", text, &settings, &error), GW_OK);
    assert_int_equal(gw_public_cert_load(text, &key, &error), GW_OK);
    assert_non_null(key);
    gw_rsa_key_free(key);
}

static void expect_refused(const char *text, const char *word)
{
    struct gw_settings settings;
    struct gw_error error;
    struct gw_rsa_key *key;
    assert_int_equal(parse_setting("PUBLIC_CERT", text, &settings, &error), GW_ERR_INVALID);
    assert_non_null(strstr(error.text, "PUBLIC_CERT: must be an RSA public key or certificate"));
    assert_non_null(strstr(error.text, word));
    assert_null(strchr(error.text, '\n'));
    assert_int_equal(gw_public_cert_load(text, &key, &error), GW_ERR_KEY);
    assert_null(key);
}

static void texts(void **state)
{
    char *key = public_key(pair), *cert = certificate(), *flat = on_one_line(key);
    char *flat_cert = on_one_line(cert);
    (void)state;
    expect_taken(key);
    expect_taken(cert);
    expect_taken(flat);
    expect_taken(flat_cert);
    gw_free(key);
    gw_free(cert);
    gw_free(flat);
    gw_free(flat_cert);
}

static void wrong_texts(void **state)
{
    EVP_PKEY *small = EVP_RSA_gen(1024), *curve = EVP_EC_gen("P-256");
    char *good = public_key(pair), *secret = private_key(), *flat_secret = on_one_line(secret);
    char *short_key = public_key(small), *other_key = public_key(curve);
    struct gw_error error;
    struct gw_settings settings;
    (void)state;
    expect_refused("x", "no PEM text");
    assert_int_equal(parse_setting("PUBLIC_CERT", "@", &settings, &error), GW_ERR_INVALID);
    expect_refused("-----BEGIN PUBLIC KEY-----", "no PEM text");
    expect_refused(secret, "a private key");
    expect_refused(flat_secret, "a private key");
    expect_refused(short_key, "fewer than 2048 bits");
    expect_refused(other_key, "another kind than RSA");
    good[30] = '!';
    assert_int_equal(parse_setting("PUBLIC_CERT", good, &settings, &error), GW_ERR_INVALID);
    /* somebody pasted the private key: nothing of it is repeated */
    assert_int_equal(parse_setting("PUBLIC_CERT", secret, &settings, &error), GW_ERR_INVALID);
    for (size_t i = 0; i + 24 < strlen(secret); i++)
        assert_null(memmem(error.text, strlen(error.text), secret + i, 24));
    EVP_PKEY_free(small);
    EVP_PKEY_free(curve);
    gw_free(good);
    gw_free(secret);
    gw_free(flat_secret);
    gw_free(short_key);
    gw_free(other_key);
}

static void write_file(const char *path, const char *text, size_t len)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void files(void **state)
{
    char dir[] = "/tmp/gwh-cert-XXXXXX", at_path[64];
    char *text = public_key(pair), *secret = private_key(), *large = gw_zalloc(70000);
    const char *path = at_path + 1;
    struct gw_settings settings;
    struct gw_error error;
    struct gw_rsa_key *key;
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(at_path, sizeof(at_path), "@%s/cert.pem", dir);
    assert_int_equal(parse_setting("PUBLIC_CERT", at_path, &settings, &error), GW_OK);
    assert_int_equal(gw_public_cert_load(at_path, &key, &error), GW_ERR_IO);
    assert_non_null(strstr(error.text, "--public-cert: cannot open /tmp/gwh-cert-"));
    write_file(path, text, strlen(text));
    assert_int_equal(gw_public_cert_load(at_path, &key, &error), GW_OK);
    gw_rsa_key_free(key);
    write_file(path, secret, strlen(secret));
    assert_int_equal(gw_public_cert_load(at_path, &key, &error), GW_ERR_KEY);
    assert_non_null(strstr(error.text, "cert.pem must hold an RSA public key or certificate"));
    assert_non_null(strstr(error.text, "was a private key"));
    write_file(path, "", 0);
    assert_int_equal(gw_public_cert_load(at_path, &key, &error), GW_ERR_KEY);
    memset(large, 'x', 70000 - 1);
    write_file(path, large, 70000);
    assert_int_equal(gw_public_cert_load(at_path, &key, &error), GW_ERR_KEY);
    assert_non_null(strstr(error.text, "at most 65536 bytes"));
    assert_int_equal(unlink(path), 0);
    snprintf(at_path, sizeof(at_path), "@%s", dir); /* a directory */
    assert_int_equal(gw_public_cert_load(at_path, &key, &error), GW_ERR_IO);
    assert_int_equal(rmdir(dir), 0);
    gw_free(text);
    gw_free(secret);
    gw_free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(wrong_texts),
        cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
