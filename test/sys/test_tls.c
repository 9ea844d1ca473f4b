/* test_tls.c: who is believed to be the host a request is for, and what the failure says. The
 * authorities and certificates are made here. */
#include "call.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DAY 86400L

struct cert {
    X509 *x509;
    EVP_PKEY *key;
};

static struct cert ca, other_ca;
static char ca_file[] = "/tmp/gwh-test-ca-XXXXXX";
static struct gw_env *env;
static struct call call;

/* ── Certificates ──────────────────────────────────────────────────────────────────────────── */

static void extend(X509 *x509, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, x509, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    gw_check(ext != NULL);
    X509_add_ext(x509, ext, -1);
    X509_EXTENSION_free(ext);
}

/* Signed by `issuer`, or by itself when that is NULL; names NULL = an authority. */
static struct cert cert_make(const struct cert *issuer, const char *common, const char *names,
                             long from_days, long to_days)
{
    static long serial = 1;
    struct cert cert = {.x509 = X509_new(), .key = EVP_EC_gen("P-256")};
    X509_NAME *subject = X509_get_subject_name(cert.x509);

    X509_set_version(cert.x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert.x509), serial++);
    X509_gmtime_adj(X509_getm_notBefore(cert.x509), from_days * DAY);
    X509_gmtime_adj(X509_getm_notAfter(cert.x509), to_days * DAY);
    X509_set_pubkey(cert.x509, cert.key);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const uint8_t *)common, -1, -1, 0);
    X509_set_issuer_name(cert.x509, issuer ? X509_get_subject_name(issuer->x509) : subject);
    X509 *issuer_x509 = issuer ? issuer->x509 : cert.x509;
    extend(cert.x509, issuer_x509, NID_basic_constraints, names ? "CA:FALSE" : "critical,CA:TRUE");
    extend(cert.x509, issuer_x509, NID_subject_key_identifier, "hash");
    if (names)
        extend(cert.x509, issuer_x509, NID_subject_alt_name, names);
    gw_check(X509_sign(cert.x509, issuer ? issuer->key : cert.key, EVP_sha256()) > 0);
    return cert;
}

static void cert_free(struct cert *cert)
{
    X509_free(cert->x509);
    EVP_PKEY_free(cert->key);
}

static int make_authorities(void **state)
{
    (void)state;
    ca = cert_make(NULL, "test authority", NULL, -10, 10);
    other_ca = cert_make(NULL, "other authority", NULL, -10, 10);
    FILE *file = fdopen(mkstemp(ca_file), "w");
    gw_check(file && PEM_write_X509(file, ca.x509) && fclose(file) == 0);
    return 0;
}

static int free_authorities(void **state)
{
    (void)state;
    unlink(ca_file);
    cert_free(&ca);
    cert_free(&other_ca);
    return 0;
}

/* ── A TLS server ──────────────────────────────────────────────────────────────────────────── */

struct tls_peer {
    struct peer peer; /* first */
    struct cert cert;
    int max_version; /* 0 = any */
};

static void serve(SSL *ssl)
{
    static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    char request[4096];
    size_t len = 0;
    int got;

    while ((got = SSL_read(ssl, request + len, (int)(sizeof(request) - 1 - len))) > 0) {
        len += (size_t)got;
        request[len] = '\0';
        if (strstr(request, "\r\n\r\nhello") == NULL)
            continue;
        if (SSL_write(ssl, reply, sizeof(reply) - 1) <= 0)
            return;
        len = 0;
    }
}

static void serve_tls(struct peer *peer)
{
    struct tls_peer *tls = gw_container_of(peer, struct tls_peer, peer);
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    int fd;

    SSL_CTX_set_security_level(ctx, 0);
    gw_check(SSL_CTX_use_certificate(ctx, tls->cert.x509) == 1);
    gw_check(SSL_CTX_use_PrivateKey(ctx, tls->cert.key) == 1);
    SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(ctx, tls->max_version);
    while ((fd = peer_accept(peer)) >= 0) {
        SSL *ssl = SSL_new(ctx);
        SSL_set_fd(ssl, fd);
        if (SSL_accept(ssl) == 1)
            serve(ssl);
        SSL_free(ssl);
        close(fd);
    }
    SSL_CTX_free(ctx);
}

/* One call to a server with that certificate; `again` makes a second one on the same connection. */
static void run_row(struct cert cert, int max_version, const char *host, enum gw_http_end end,
                    const char *error)
{
    struct tls_peer tls = {.cert = cert, .max_version = max_version};

    peer_start(&tls.peer, serve_tls);
    call_init(&call, env, tls.peer.port, "/");
    snprintf(call.url, sizeof(call.url), "https://%s:%u/?token=secret", host,
             (unsigned)tls.peer.port);
    call.http.host = host;
    assert_call(&call, end, end == GW_HTTP_ANSWERED ? 200 : 0, error);
    if (end == GW_HTTP_ANSWERED) {
        assert_true(call.http.tls_us > 0 && call.http.connect_us > 0);
        assert_call(&call, end, 200, ""); /* kept */
        assert_true(call.http.tls_us == 0 && call.http.connect_us == 0);
        assert_int_equal(atomic_load(&tls.peer.count), 1);
    }
    call_deinit(&call);
    gw_loop_destroy(env);
    env = NULL;
    peer_join(&tls.peer);
    cert_free(&cert);
}

static void loop_with(const char *path)
{
    struct gw_loop_options options = {.ca_file = path};

    env = loop_make(&options);
}

static void the_right_certificate(void **state)
{
    (void)state;
    loop_with(ca_file);
    run_row(cert_make(&ca, "x", "DNS:target.test", -1, 1), 0, "target.test", GW_HTTP_ANSWERED, "");
    loop_with(ca_file);
    run_row(cert_make(&ca, "x", "DNS:*.target.test", -1, 1), TLS1_2_VERSION, "a.target.test",
            GW_HTTP_ANSWERED, "");
    loop_with(ca_file);
    run_row(cert_make(&ca, "x", "IP:127.0.0.1", -1, 1), 0, "127.0.0.1", GW_HTTP_ANSWERED, "");
    setenv("SSL_CERT_FILE", ca_file, 1);
    loop_with(NULL);
    unsetenv("SSL_CERT_FILE");
    run_row(cert_make(&ca, "x", "DNS:target.test", -1, 1), 0, "target.test", GW_HTTP_ANSWERED, "");
}

static void wrong_certificates(void **state)
{
    (void)state;
    loop_with(ca_file);
    run_row(cert_make(&ca, "x", "DNS:other.test", -1, 1), 0, "target.test", GW_HTTP_TLS,
            "the certificate is for another name");
    loop_with(ca_file); /* too wide */
    run_row(cert_make(&ca, "x", "DNS:*.test", -1, 1), 0, "target.test", GW_HTTP_TLS,
            "the certificate is for another name");
    loop_with(ca_file);
    run_row(cert_make(&ca, "target.test", "DNS:other.test", -1, 1), 0, "target.test", GW_HTTP_TLS,
            "the certificate is for another name");
    loop_with(ca_file);
    run_row(cert_make(&ca, "x", "IP:127.0.0.2", -1, 1), 0, "127.0.0.1", GW_HTTP_TLS,
            "the certificate is for another");
    loop_with(ca_file);
    run_row(cert_make(&ca, "x", "DNS:target.test", -5, -1), 0, "target.test", GW_HTTP_TLS,
            "certificate has expired");
    loop_with(ca_file);
    run_row(cert_make(&ca, "x", "DNS:target.test", 1, 5), 0, "target.test", GW_HTTP_TLS,
            "the certificate is not valid yet");
    loop_with(ca_file);
    run_row(cert_make(&other_ca, "x", "DNS:target.test", -1, 1), 0, "target.test", GW_HTTP_TLS,
            "the certificate's issuer is not known");
    loop_with(NULL);
    run_row(cert_make(&ca, "x", "DNS:target.test", -1, 1), 0, "target.test", GW_HTTP_TLS,
            "the certificate's issuer is not known");
    loop_with(ca_file);
    run_row(cert_make(NULL, "x", "DNS:target.test", -1, 1), 0, "target.test", GW_HTTP_TLS,
            "the certificate is self-signed");
}

static void broken_handshakes(void **state)
{
    (void)state;
    loop_with(ca_file);
    run_row(cert_make(&ca, "x", "DNS:target.test", -1, 1), TLS1_1_VERSION, "target.test",
            GW_HTTP_TLS, "the TLS handshake failed");
}

static void speak_plainly(struct peer *peer)
{
    int fd = peer_accept(peer);
    char some[16];

    get(fd, some, sizeof(some));
    puts_to(fd, peer->text);
    has_ended(fd);
    close(fd);
}

static void hang_up(struct peer *peer)
{
    int fd = peer_accept(peer);
    char some[16];

    get(fd, some, sizeof(some));
    reset(fd);
}

static void a_peer_without_tls(void **state)
{
    struct peer peer = {.text = "HTTP/1.1 400 Bad Request\r\n\r\n"}, rude = {0};

    (void)state;
    loop_with(ca_file);
    peer_start(&peer, speak_plainly);
    call_init(&call, env, peer.port, "/");
    snprintf(call.url, sizeof(call.url), "https://target.test:%u/", (unsigned)peer.port);
    assert_call(&call, GW_HTTP_TLS, 0, "the TLS handshake failed");
    peer_join(&peer);
    call_deinit(&call);

    peer_start(&rude, hang_up);
    call_init(&call, env, rude.port, "/");
    snprintf(call.url, sizeof(call.url), "https://target.test:%u/", (unsigned)rude.port);
    assert_call(&call, GW_HTTP_TLS, 0, "the TLS handshake failed");
    peer_join(&rude);
    call_deinit(&call);
    gw_loop_destroy(env);
}

static void lists_of_authorities(void **state)
{
    struct gw_loop_options options = {.ca_file = "/nonexistent/ca.pem"};
    struct gw_error error;

    (void)state;
    assert_int_equal(gw_loop_create(&options, &env, &error), GW_ERR_INVALID);
    assert_has(error.text, "/nonexistent/ca.pem");
    options.ca_file = "/dev/null";
    assert_int_equal(gw_loop_create(&options, &env, &error), GW_ERR_INVALID);
    assert_has(error.text, "no list of certificates");
    setenv("SSL_CERT_FILE", "/nonexistent/system.pem", 1);
    options.ca_file = NULL;
    assert_int_equal(gw_loop_create(&options, &env, &error), GW_ERR_INVALID);
    assert_has(error.text, "/nonexistent/system.pem");
    unsetenv("SSL_CERT_FILE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_right_certificate), cmocka_unit_test(wrong_certificates),
        cmocka_unit_test(broken_handshakes),     cmocka_unit_test(a_peer_without_tls),
        cmocka_unit_test(lists_of_authorities),
    };

    gw_sys_init();
    return cmocka_run_group_tests(tests, make_authorities, free_authorities);
}
