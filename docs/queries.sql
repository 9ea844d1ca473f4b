-- Reports on the delivery log, for Amazon Redshift and PostgreSQL alike.
--
-- A row may be there twice: a batch whose answer was lost is inserted again, with the same row_id in
-- each row. So every query counts each row_id once. Times are UTC. An attempt that a crash cut off has a
-- pre_delivery row and no post_delivery row.

-- name: success rate by client and hour, of the last week
SELECT app_id,
       DATE_TRUNC('hour', finished_at) AS hour,
       COUNT(*) AS attempts,
       SUM(CASE WHEN outcome = 'success' THEN 1 ELSE 0 END) AS succeeded,
       ROUND(100.0 * SUM(CASE WHEN outcome = 'success' THEN 1 ELSE 0 END) / COUNT(*), 2) AS percent
FROM (SELECT DISTINCT row_id, app_id, finished_at, outcome
      FROM webhook_delivery
      WHERE phase = 'post_delivery' AND finished_at >= CURRENT_DATE - 7) AS attempts
GROUP BY app_id, DATE_TRUNC('hour', finished_at)
ORDER BY app_id, hour;

-- name: how long attempts take, by client, of the last week
SELECT app_id,
       COUNT(*) AS attempts,
       PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY total_ms) AS p50_ms,
       PERCENTILE_CONT(0.95) WITHIN GROUP (ORDER BY total_ms) AS p95_ms
FROM (SELECT DISTINCT row_id, app_id, total_ms
      FROM webhook_delivery
      WHERE phase = 'post_delivery' AND finished_at >= CURRENT_DATE - 7) AS attempts
GROUP BY app_id
ORDER BY app_id;

-- name: failures by class, of the last week
SELECT failure_class,
       COUNT(DISTINCT row_id) AS failures,
       COUNT(DISTINCT delivery_id) AS deliveries,
       COUNT(DISTINCT CASE WHEN is_final THEN delivery_id END) AS died
FROM webhook_failure
WHERE failed_at >= CURRENT_DATE - 7
GROUP BY failure_class
ORDER BY failures DESC, failure_class;

-- name: the slowest targets, of the last week
SELECT app_id,
       url,
       COUNT(*) AS attempts,
       PERCENTILE_CONT(0.95) WITHIN GROUP (ORDER BY total_ms) AS p95_ms
FROM (SELECT DISTINCT row_id, app_id, url, total_ms
      FROM webhook_delivery
      WHERE phase = 'post_delivery' AND finished_at >= CURRENT_DATE - 7) AS attempts
GROUP BY app_id, url
ORDER BY p95_ms DESC, app_id, url
LIMIT 20;

-- name: what is about to die
-- Failed five times or more, is still tried, and has not succeeded. What was cancelled since is among
-- them: `gwh why` tells.
SELECT newest.app_id,
       newest.event_type,
       newest.delivery_id,
       newest.url,
       newest.attempt,
       newest.failure_class,
       newest.next_attempt_at
FROM (SELECT app_id, event_type, delivery_id, url, attempt, failure_class, is_final,
             next_attempt_at,
             ROW_NUMBER() OVER (PARTITION BY delivery_id ORDER BY failed_at DESC, attempt DESC)
                 AS place
      FROM webhook_failure
      WHERE failed_at >= CURRENT_DATE - 7) AS newest
LEFT JOIN (SELECT DISTINCT delivery_id
           FROM webhook_delivery
           WHERE phase = 'post_delivery' AND outcome = 'success'
                 AND finished_at >= CURRENT_DATE - 7) AS done
       ON done.delivery_id = newest.delivery_id
WHERE newest.place = 1 AND NOT newest.is_final AND newest.attempt >= 5
      AND done.delivery_id IS NULL
ORDER BY newest.attempt DESC, newest.next_attempt_at, newest.delivery_id;
