/* http_client_ca.c: which authorities a server's certificate may come from.
 *
 * The system's list is one file, found where distributions keep it; SSL_CERT_FILE names another.
 * libcurl takes one file name, and caches what it parsed from it, which it does not do for a list in
 * memory: so the user's list and the system's are joined in a file that lives in memory. */
#include "base/check.h"
#include "sys/http_client_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define CA_BYTES_MAX ((size_t)16 * 1024 * 1024)

static const char *system_list(void)
{
    static const char *const places[] = {
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        "/etc/ssl/cert.pem",
    };
    const char *named = getenv("SSL_CERT_FILE");

    if (named && named[0] != '\0')
        return named;
    for (size_t i = 0; i < gw_count(places); i++)
        if (access(places[i], R_OK) == 0)
            return places[i];
    return NULL;
}

static enum gw_err read_list(const char *path, struct gw_buf *buf, struct gw_error *error)
{
    size_t start = buf->len;
    ssize_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return gw_error_set(error, GW_ERR_INVALID, "cannot read the authorities in %s: %s", path,
                            uv_strerror(uv_translate_sys_error(errno)));
    do {
        gw_buf_reserve(buf, 64 * 1024);
        got = read(fd, buf->ptr + buf->len, 64 * 1024);
        if (got > 0)
            buf->len += (size_t)got;
    } while (got > 0 && buf->len - start <= CA_BYTES_MAX);
    int number = errno;
    close(fd);
    if (got < 0)
        return gw_error_set(error, GW_ERR_INVALID, "cannot read the authorities in %s: %s", path,
                            uv_strerror(uv_translate_sys_error(number)));
    static const char mark[] = "-----BEGIN ";
    if (got > 0 || memmem(buf->ptr + start, buf->len - start, mark, sizeof(mark) - 1) == NULL)
        return gw_error_set(error, GW_ERR_INVALID, "%s is no list of certificates (PEM)", path);
    gw_buf_addc(buf, '\n');
    return GW_OK;
}

static enum gw_err keep_in_memory(struct gw_http_client *client, const struct gw_buf *buf,
                                  struct gw_error *error)
{
    char path[64];

    client->ca_fd = memfd_create("authorities", MFD_CLOEXEC);
    if (client->ca_fd < 0)
        return gw_error_set(error, GW_ERR_UNAVAILABLE, "cannot make a file in memory");
    for (size_t at = 0; at < buf->len;) {
        ssize_t put = write(client->ca_fd, buf->ptr + at, buf->len - at);
        if (put <= 0)
            return gw_error_set(error, GW_ERR_UNAVAILABLE, "cannot fill a file in memory");
        at += (size_t)put;
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", client->ca_fd);
    client->ca_path = gw_strdup(path);
    return GW_OK;
}

enum gw_err gw_http_ca_init(struct gw_http_client *client, const char *ca_file,
                            struct gw_error *error)
{
    const char *system = system_list();
    struct gw_buf buf = {0};
    enum gw_err err;

    client->ca_fd = -1;
    if (system == NULL && ca_file == NULL)
        return gw_error_set(error, GW_ERR_INVALID,
                            "found no list of certificate authorities on this system; name one in "
                            "SSL_CERT_FILE");
    if (system) {
        err = read_list(system, &buf, error);
        if (err != GW_OK)
            goto out;
    }
    if (ca_file == NULL) {
        client->ca_path = gw_strdup(system);
        err = GW_OK;
        goto out;
    }
    err = read_list(ca_file, &buf, error);
    if (err == GW_OK)
        err = keep_in_memory(client, &buf, error);
out:
    gw_buf_deinit(&buf);
    return err;
}

void gw_http_ca_deinit(struct gw_http_client *client)
{
    if (client->ca_fd >= 0)
        close(client->ca_fd);
    gw_free(client->ca_path);
}
