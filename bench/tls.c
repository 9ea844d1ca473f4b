/* Owns what the sink needs of OpenSSL; see tls.h.
 *
 * Whatever is no matter of waiting ends the connection: such errors are told as ECONNRESET. */
#include "tls.h"

#include "tool.h"

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIFE_S = 24 * 3600 };

struct gw_tls {
    SSL_CTX *context;
};

struct gw_tls_stream {
    SSL *ssl;
};

static _Noreturn void die(const char *what)
{
    gw_die("%s: %s", what, ERR_reason_error_string(ERR_get_error()));
}

static X509 *certificate_make(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    X509_EXTENSION *names =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost");
    X509_NAME *name;

    if (!certificate || !names)
        die("no certificate");
    name = X509_get_subject_name(certificate);
    if (!X509_set_version(certificate, X509_VERSION_3) ||
        !ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), gw_random64() >> 1) ||
        !X509_gmtime_adj(X509_getm_notBefore(certificate), -LIFE_S) ||
        !X509_gmtime_adj(X509_getm_notAfter(certificate), LIFE_S) ||
        !X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"gw_sink", -1,
                                    -1, 0) ||
        !X509_set_issuer_name(certificate, name) || !X509_set_pubkey(certificate, key) ||
        !X509_add_ext(certificate, names, -1) || !X509_sign(certificate, key, EVP_sha256()))
        die("no certificate");
    X509_EXTENSION_free(names);
    return certificate;
}

static void certificate_write(X509 *certificate, const char *path)
{
    FILE *file = fopen(path, "w");

    if (!file || !PEM_write_X509(file, certificate) || fclose(file))
        gw_die("cannot write %s: %s", path, strerror(errno));
}

struct gw_tls *gw_tls_create(const char *certificate_path)
{
    struct gw_tls *tls = malloc(sizeof(*tls));
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate;

    if (!tls)
        gw_die("out of memory");
    tls->context = SSL_CTX_new(TLS_server_method());
    if (!tls->context || !key)
        die("no TLS");
    certificate = certificate_make(key);
    if (SSL_CTX_use_certificate(tls->context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey(tls->context, key) != 1)
        die("no TLS");
    /* What is still to be written may have moved when it is tried again. */
    SSL_CTX_set_mode(tls->context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(tls->context, 1);
    certificate_write(certificate, certificate_path);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return tls;
}

void gw_tls_destroy(struct gw_tls *tls)
{
    SSL_CTX_free(tls->context);
    free(tls);
}

struct gw_tls_stream *gw_tls_stream_create(struct gw_tls *tls, int fd)
{
    struct gw_tls_stream *stream = malloc(sizeof(*stream));

    if (!stream)
        gw_die("out of memory");
    stream->ssl = SSL_new(tls->context);
    if (!stream->ssl || SSL_set_fd(stream->ssl, fd) != 1)
        die("no TLS stream");
    SSL_set_accept_state(stream->ssl);
    return stream;
}

void gw_tls_stream_destroy(struct gw_tls_stream *stream)
{
    SSL_free(stream->ssl);
    free(stream);
}

/* What recv or send would say. */
static ssize_t result(const struct gw_tls_stream *stream, int done, size_t bytes)
{
    int error;

    if (done == 1)
        return (ssize_t)bytes;
    error = SSL_get_error(stream->ssl, done);
    ERR_clear_error();
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
    return -1;
}

ssize_t gw_tls_read(struct gw_tls_stream *stream, void *to, size_t room)
{
    size_t bytes = 0;
    int done = SSL_read_ex(stream->ssl, to, room, &bytes);

    return result(stream, done, bytes);
}

ssize_t gw_tls_write(struct gw_tls_stream *stream, const void *from, size_t len)
{
    size_t bytes = 0;
    int done = SSL_write_ex(stream->ssl, from, len, &bytes);

    return result(stream, done, bytes);
}
