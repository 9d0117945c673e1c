-- The rows of the tables confirmed_downloads and speeds, as a report finds them in a generated log, without what
-- only a report knows: places, and the names of clients.
--
-- The least that gives the same rows there: who is who (a peer ID at an address is one peer), what is ours, who crossed the
-- threshold when, how fast each peer was, and whom nobody believes. What such a log has no case of is left out: a second
-- run, contacts whose rows were lost, peers that follow one another at an endpoint, counts of a burst that was not over,
-- observations less than five seconds apart. `schema/sql/views.sql` is right on any log.
SET preserve_insertion_order = false;

CREATE TEMP VIEW met AS
SELECT run, contact, info_hash, ip, peer_id, CASE WHEN direction = 'out' THEN port END AS out_port, listen_port
FROM read_parquet('{{data}}/contacts/**/*.parquet', hive_partitioning = false, union_by_name = true)
WHERE outcome IN (
        'closed_by_remote', 'idle_timed_out', 'our_limit', 'protocol_error', 'reset', 'shutdown', 'visit_done'
    ) AND NOT (peer_id >= '-SW'::BLOB AND peer_id < '-SX'::BLOB);

CREATE TEMP VIEW named AS
SELECT info_hash, ip, peer_id, coalesce(min(out_port), min(listen_port), -1) AS port FROM met GROUP BY info_hash, ip, peer_id;

CREATE TEMP VIEW torrents AS
SELECT
    info_hash, max(piece_length) AS piece_length, max(piece_count) AS piece_count, max(size_bytes) AS size_bytes,
    ceil(max(piece_count) * 98 / 100) AS needed
FROM read_parquet('{{data}}/torrents/**/*.parquet', hive_partitioning = false)
GROUP BY info_hash;

CREATE TEMP VIEW observations AS
SELECT
    p.info_hash, p.ip, m.peer_id, p.contact, p.kind IN ('bitfield', 'have_all') AND p.pieces > 0 AS claims, p.pieces,
    epoch_us(p.time) AS time_us
FROM read_parquet('{{data}}/progress/**/*.parquet', hive_partitioning = false) p
JOIN met m ON m.run = p.run AND m.contact = p.contact;

CREATE TEMP TABLE peers AS
SELECT
    *,
    crossed = 1 AND NOT (claimed AND partly) AS have_only,
    CASE
        WHEN end_bytes > begin_bytes THEN (end_bytes - begin_bytes) * 1000000.0 / (end_us - begin_us)
    END AS mean_speed_bytes_per_s,
    CASE WHEN end_bytes > begin_bytes THEN highest_speed END AS max_speed_bytes_per_s
FROM (
    SELECT
        info_hash, ip, peer_id,
        any_value(piece_count) AS piece_count,
        max(crosses) AS crossed,
        max(CASE WHEN crosses = 1 THEN before_us END) AS below_us,
        max(CASE WHEN crosses = 1 THEN before END) AS below_pieces,
        max(CASE WHEN crosses = 1 THEN time_us END) AS confirmed_us,
        max(CASE WHEN crosses = 1 THEN pieces END) AS confirmed_pieces,
        max(CASE WHEN crosses = 1 AND contact = before_contact THEN 1 ELSE 0 END) AS live,
        max(CASE WHEN pieces < before THEN 1 ELSE 0 END) AS backwards,
        bool_or(claims) AS claimed,
        bool_or(pieces > 0 AND pieces < piece_count) AS partly,
        min(time_us) AS begin_us,
        min(bytes) AS begin_bytes,
        max(CASE WHEN timed AND bytes > before_bytes THEN time_us END) AS end_us,
        max(CASE WHEN timed THEN bytes END) AS end_bytes,
        max(CASE WHEN timed THEN (bytes - before_bytes) * 1000000.0 / (time_us - before_us) END) AS highest_speed
    FROM (
        SELECT
            *,
            before IS NULL OR before < needed AS timed,
            CASE WHEN before < needed AND pieces >= needed THEN 1 ELSE 0 END AS crosses,
            CASE WHEN pieces >= piece_count THEN size_bytes ELSE least(pieces * piece_length, size_bytes) END AS bytes,
            CASE WHEN before >= piece_count THEN size_bytes ELSE least(before * piece_length, size_bytes) END
                AS before_bytes
        FROM (
            SELECT
                info_hash, ip, peer_id, contact, claims, pieces, time_us,
                lag(pieces) OVER peer AS before, lag(time_us) OVER peer AS before_us,
                lag(contact) OVER peer AS before_contact
            FROM observations
            WINDOW peer AS (PARTITION BY info_hash, ip, peer_id ORDER BY time_us, pieces)
        ) ordered
        JOIN torrents USING (info_hash)
    ) compared
    GROUP BY info_hash, ip, peer_id
) observed;

CREATE TEMP TABLE believed AS
SELECT *
FROM peers
JOIN named USING (info_hash, ip, peer_id)
WHERE backwards = 0 AND NOT have_only AND (crossed = 1 OR mean_speed_bytes_per_s IS NOT NULL)
    AND coalesce(max_speed_bytes_per_s, 0) <= 125000000 AND coalesce(mean_speed_bytes_per_s, 0) <= 125000000;

COPY (
    SELECT
        info_hash, ip, nullif(port, -1) AS port, lower(hex(peer_id)) AS peer_id,
        make_timestamp(below_us) AS below_at, below_pieces, make_timestamp(confirmed_us) AS confirmed_at,
        confirmed_pieces, piece_count, CASE WHEN live = 1 THEN 'live' ELSE 'revisit' END AS evidence,
        mean_speed_bytes_per_s, max_speed_bytes_per_s
    FROM believed
    WHERE crossed = 1
) TO '{{out}}/confirmed_downloads.csv' (TIMESTAMPFORMAT '%Y-%m-%dT%H:%M:%S.%fZ');

COPY (
    SELECT info_hash, ip, nullif(port, -1) AS port, lower(hex(peer_id)) AS peer_id,
        mean_speed_bytes_per_s, max_speed_bytes_per_s
    FROM believed
    WHERE mean_speed_bytes_per_s IS NOT NULL
) TO '{{out}}/speeds.csv';
