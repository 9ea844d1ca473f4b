/* The receiving side of TLS, for the sink: one certificate, made at the start, for 127.0.0.1 and
 * localhost. Reads and writes behave like recv and send on a socket that does not block. */
#ifndef GW_BENCH_TLS_H
#define GW_BENCH_TLS_H

#include <stddef.h>
#include <sys/types.h>

struct gw_tls;        /* shared by all threads */
struct gw_tls_stream; /* of one connection; one thread */

/* Makes a key and a certificate signed with it, and writes the certificate to a file (PEM): whoever
 * takes it for an authority accepts the sink. The key stays in memory. */
struct gw_tls *gw_tls_create(const char *certificate_path);
void gw_tls_destroy(struct gw_tls *tls);

/* The handshake is part of the first reads. Closing is not said to the peer: the socket's end is. */
struct gw_tls_stream *gw_tls_stream_create(struct gw_tls *tls, int fd);
void gw_tls_stream_destroy(struct gw_tls_stream *stream);

/* errno EAGAIN: once the socket has something, or room. A short read says nothing of what is left. */
ssize_t gw_tls_read(struct gw_tls_stream *stream, void *to, size_t room);
ssize_t gw_tls_write(struct gw_tls_stream *stream, const void *from, size_t len);

#endif
