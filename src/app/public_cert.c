/* public_cert.c: reads PUBLIC_CERT. Owns nothing. What is given is never repeated in an error, for
 * somebody may have given the private key. */
#include "app/public_cert.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define FILE_BYTES_MAX ((size_t)64 * 1024)

struct gw_rsa_key *gw_public_cert_parse(struct gw_slice text, const char **why)
{
    struct gw_buf pem = {0};
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\\' && i + 1 < text.len && text.ptr[i + 1] == 'n') {
            gw_buf_addc(&pem, '\n');
            i++;
        } else {
            gw_buf_addc(&pem, text.ptr[i]);
        }
    }
    struct gw_rsa_key *key = gw_rsa_key_parse(gw_buf_slice(&pem), why);
    if (pem.len)
        gw_wipe(pem.ptr, pem.len);
    gw_buf_deinit(&pem);
    return key;
}

static enum gw_err io_failed(struct gw_error *error, const char *what, const char *path)
{
    return gw_error_set(error, GW_ERR_IO, "--public-cert: cannot %s %s: %s", what, path,
                        strerror(errno));
}

static enum gw_err read_file(const char *path, struct gw_buf *text, struct gw_error *error)
{
    ssize_t len = 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return io_failed(error, "open", path);
    while (len > 0 && text->len <= FILE_BYTES_MAX) {
        gw_buf_reserve(text, FILE_BYTES_MAX);
        len = read(fd, text->ptr + text->len, FILE_BYTES_MAX);
        if (len > 0)
            text->len += (size_t)len;
    }
    enum gw_err err = len < 0 ? io_failed(error, "read", path) : GW_OK;
    close(fd);
    if (err == GW_OK && text->len > FILE_BYTES_MAX)
        err = gw_error_set(error, GW_ERR_KEY, "--public-cert: %s: must have at most %zu bytes",
                           path, FILE_BYTES_MAX);
    return err;
}

enum gw_err gw_public_cert_load(const char *setting, struct gw_rsa_key **key,
                                struct gw_error *error)
{
    const char *path = *setting == '@' ? setting + 1 : NULL, *why;
    struct gw_buf text = {0};
    enum gw_err err = GW_OK;
    *key = NULL;
    if (path)
        err = read_file(path, &text, error);
    else
        gw_buf_adds(&text, gw_slice_from(setting));
    if (err == GW_OK && !(*key = gw_public_cert_parse(gw_buf_slice(&text), &why)))
        err = gw_error_set(error, GW_ERR_KEY,
                           "--public-cert: %s must hold an RSA public key or certificate in PEM, "
                           "was %s",
                           path ? path : "the text", why);
    if (text.len)
        gw_wipe(text.ptr, text.len);
    gw_buf_deinit(&text);
    return err;
}
