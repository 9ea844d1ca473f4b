-- The delivery log's tables for PostgreSQL. `make docs` writes this file from
-- src/store/delivery_log.c; `gwh init` creates what is missing of them.

CREATE TABLE IF NOT EXISTS webhook_delivery (
    row_id VARCHAR(64) NOT NULL,
    phase VARCHAR(16) NOT NULL,
    message_id VARCHAR(36) NOT NULL,
    event_id VARCHAR(1024),
    app_id VARCHAR(1024) NOT NULL,
    event_type VARCHAR(1024) NOT NULL,
    product VARCHAR(1024),
    transaction_id VARCHAR(1024),
    workflow_id VARCHAR(1024),
    delivery_id VARCHAR(36),
    attempt BIGINT,
    url VARCHAR(2048),
    status_code BIGINT,
    outcome VARCHAR(16),
    skip_reason VARCHAR(16),
    received_at TIMESTAMP NOT NULL,
    sent_at TIMESTAMP,
    finished_at TIMESTAMP,
    queue_ms BIGINT,
    dns_ms BIGINT,
    connect_ms BIGINT,
    tls_ms BIGINT,
    first_byte_ms BIGINT,
    total_ms BIGINT,
    payload_bytes BIGINT,
    config_version BIGINT
);

CREATE INDEX IF NOT EXISTS webhook_delivery_received_at ON webhook_delivery (received_at);

CREATE TABLE IF NOT EXISTS webhook_failure (
    row_id VARCHAR(64) NOT NULL,
    message_id VARCHAR(36),
    delivery_id VARCHAR(36),
    app_id VARCHAR(1024),
    event_type VARCHAR(1024),
    url VARCHAR(2048),
    attempt BIGINT,
    failure_class VARCHAR(32) NOT NULL,
    error VARCHAR(512),
    is_final BOOLEAN NOT NULL,
    next_attempt_at TIMESTAMP,
    failed_at TIMESTAMP NOT NULL
);

CREATE INDEX IF NOT EXISTS webhook_failure_failed_at ON webhook_failure (failed_at);
