-- Peers, confirmed downloads, speeds and the tables over time, derived from the raw tables in portable SQL.
--
-- The same text runs on DuckDB and Apache Spark. A preamble per engine (`preamble.duckdb.sql`, `preamble.spark.sql`)
-- defines what it reads: the views contacts_raw, progress_raw, sightings_raw, torrents_raw, listen_texts, bind_texts.
-- `analyze sql --engine duckdb|spark DATA` prints both with the paths and the rules of its options filled in.
-- Times are microseconds since the Unix epoch (BIGINT), peer IDs lower-case hex, counts are pieces, speeds bytes/s.
-- `analyze report` says the same in Rust (analyze/src/replay); a test demands equal rows.
-- Kept to what both engines mean alike: no FILTER, no integer division, no decimal literals, CASE always with ELSE.

CREATE OR REPLACE TEMPORARY VIEW settings AS
SELECT
    CAST({{threshold_billionths}} AS BIGINT) AS threshold_billionths,
    CAST({{max_plausible_speed}} AS DOUBLE) AS max_plausible_speed,
    CAST({{bucket_us}} AS BIGINT) AS bucket_us;

-- Of sources that name a peer in the same microsecond, the first one here counts.
CREATE OR REPLACE TEMPORARY VIEW source_order AS
SELECT 0 AS place, 'dht' AS source
UNION ALL SELECT 1, 'incoming'
UNION ALL SELECT 2, 'lsd'
UNION ALL SELECT 3, 'magnet'
UNION ALL SELECT 4, 'pex'
UNION ALL SELECT 5, 'tracker_http'
UNION ALL SELECT 6, 'tracker_udp';

-- What is ours: contacts that turned out to be with ourselves, our peer ID prefix `-SW` and our program's name.
CREATE OR REPLACE TEMPORARY VIEW contacts_shown AS
SELECT
    *,
    CASE
        WHEN outcome = 'self_connection' THEN 1
        WHEN peer_id >= '2d5357' AND peer_id < '2d5358' THEN 1
        WHEN client LIKE 'Swarmtally %' THEN 1
        ELSE 0
    END AS shows_us
FROM contacts_raw;

CREATE OR REPLACE TEMPORARY VIEW listen_raw AS
SELECT replace(replace(regexp_replace(place, ':[0-9]+$', ''), '[', ''), ']', '') AS ip,
    CAST(regexp_extract(place, '([0-9]+)$', 1) AS BIGINT) AS port
FROM listen_texts
WHERE place LIKE '%:%' AND place NOT LIKE '0.0.0.0:%' AND place NOT LIKE '[::]:%'
UNION
SELECT b.place AS ip, CAST(regexp_extract(l.place, '([0-9]+)$', 1) AS BIGINT) AS port
FROM listen_texts l
JOIN bind_texts b ON b.run = l.run
WHERE b.place <> '0.0.0.0' AND b.place <> '::';

CREATE OR REPLACE TEMPORARY VIEW own_endpoints AS
SELECT ip, port FROM contacts_shown WHERE shows_us = 1 AND direction = 'out'
UNION
SELECT ip, listen_port AS port FROM contacts_shown WHERE shows_us = 1 AND listen_port IS NOT NULL
UNION
SELECT ip, port FROM listen_raw;

CREATE OR REPLACE TEMPORARY VIEW own_ids AS
SELECT DISTINCT info_hash, peer_id
FROM contacts_shown
WHERE outcome = 'self_connection' AND peer_id IS NOT NULL;

CREATE OR REPLACE TEMPORARY VIEW contacts_marked AS
SELECT
    c.run, c.contact, c.time_us, c.info_hash, c.ip, c.port, c.direction, c.peer_id, c.client,
    -- Port 0 is what some clients say when they do not listen.
    CASE WHEN c.listen_port > 0 THEN c.listen_port ELSE NULL END AS listen_port,
    c.time_us - c.open_us AS handshake_at,
    CASE
        WHEN c.outcome IN (
            'closed_by_remote', 'idle_timed_out', 'our_limit', 'protocol_error', 'reset', 'shutdown', 'visit_done'
        ) THEN 1
        ELSE 0
    END AS handshake,
    CASE
        WHEN c.shows_us = 1 THEN 1
        WHEN c.direction = 'out' AND e.ip IS NOT NULL THEN 1
        WHEN i.peer_id IS NOT NULL THEN 1
        ELSE 0
    END AS own
FROM contacts_shown c
LEFT JOIN own_endpoints e ON e.ip = c.ip AND e.port = c.port
LEFT JOIN own_ids i ON i.info_hash = c.info_hash AND i.peer_id = c.peer_id;

-- Who a contact was with: (info-hash, IP, port), merged across directions by peer ID and IP. An incoming connection's
-- remote port names nothing: it takes the port of an outgoing contact, or the one it said, or one it said elsewhere;
-- else its peer ID is its alias.
CREATE OR REPLACE TEMPORARY VIEW ports_by_id AS
SELECT
    info_hash, ip, peer_id,
    min(CASE WHEN direction = 'out' THEN port ELSE NULL END) AS out_port,
    min(listen_port) AS said_port
FROM contacts_marked
WHERE handshake = 1 AND own = 0 AND peer_id IS NOT NULL
GROUP BY info_hash, ip, peer_id;

CREATE OR REPLACE TEMPORARY VIEW contacts_resolved AS
SELECT
    *,
    CASE WHEN peer_port = -1 THEN coalesce(peer_id, 'lost') ELSE '' END AS alias
FROM (
    SELECT
        c.*,
        CASE
            WHEN c.direction = 'out' THEN c.port
            ELSE coalesce(p.out_port, c.listen_port, p.said_port, -1)
        END AS peer_port
    FROM contacts_marked c
    LEFT JOIN ports_by_id p ON p.info_hash = c.info_hash AND p.ip = c.ip AND p.peer_id = c.peer_id
) named;

-- Torrents: the latest metadata; the piece count is else what the peers' rows tell.
CREATE OR REPLACE TEMPORARY VIEW torrents AS
SELECT
    coalesce(d.info_hash, o.info_hash) AS info_hash,
    coalesce(d.piece_count, o.piece_count) AS piece_count,
    d.piece_length,
    d.size_bytes
FROM (
    SELECT
        info_hash,
        max(CASE WHEN count_rank = 1 THEN piece_count ELSE NULL END) AS piece_count,
        max(CASE WHEN length_rank = 1 THEN piece_length ELSE NULL END) AS piece_length,
        max(CASE WHEN size_rank = 1 THEN size_bytes ELSE NULL END) AS size_bytes
    FROM (
        SELECT
            *,
            row_number() OVER (
                PARTITION BY info_hash, CASE WHEN piece_count IS NULL THEN 0 ELSE 1 END
                ORDER BY time_us DESC, run DESC, origin DESC
            ) AS count_rank,
            row_number() OVER (
                PARTITION BY info_hash, CASE WHEN piece_length IS NULL THEN 0 ELSE 1 END
                ORDER BY time_us DESC, run DESC, origin DESC
            ) AS length_rank,
            row_number() OVER (
                PARTITION BY info_hash, CASE WHEN size_bytes IS NULL THEN 0 ELSE 1 END
                ORDER BY time_us DESC, run DESC, origin DESC
            ) AS size_rank
        FROM torrents_raw
    ) ranked
    GROUP BY info_hash
) d
FULL OUTER JOIN (
    SELECT info_hash, max(piece_count) AS piece_count FROM progress_raw GROUP BY info_hash
) o ON o.info_hash = d.info_hash;

-- Observations of peers, ours left out. A contact whose own row was lost in a crash still has its endpoint when it
-- went out; one that came in counts only where nothing else is known at its address, and it is alone there.
CREATE OR REPLACE TEMPORARY VIEW observations_joined AS
SELECT
    p.run, p.contact, p.time_us, p.info_hash, p.ip, p.kind, p.pieces,
    coalesce(r.peer_port, CASE WHEN p.direction = 'out' THEN p.port ELSE -1 END) AS peer_port,
    coalesce(r.alias, CASE WHEN p.direction = 'out' THEN '' ELSE 'lost' END) AS alias,
    CASE WHEN r.run IS NULL AND p.direction <> 'out' THEN 1 ELSE 0 END AS nameless,
    CASE WHEN p.settled THEN 1 ELSE 0 END AS settled,
    r.handshake_at,
    r.peer_id
FROM progress_raw p
LEFT JOIN contacts_resolved r ON r.run = p.run AND r.contact = p.contact
WHERE p.kind IS NOT NULL AND coalesce(r.own, 0) = 0;

CREATE OR REPLACE TEMPORARY VIEW nameless_kept AS
SELECT n.info_hash, n.ip
FROM (
    SELECT info_hash, ip
    FROM (SELECT DISTINCT info_hash, ip, run, contact FROM observations_joined WHERE nameless = 1) lone
    GROUP BY info_hash, ip
    HAVING count(*) = 1
) n
LEFT JOIN (
    SELECT info_hash, ip FROM contacts_resolved WHERE handshake = 1 AND own = 0
    UNION
    SELECT info_hash, ip FROM observations_joined WHERE nameless = 0
) known ON known.info_hash = n.info_hash AND known.ip = n.ip
WHERE known.ip IS NULL;

-- Known observations, numbered at their endpoint.
CREATE OR REPLACE TEMPORARY VIEW observations AS
SELECT
    *,
    row_number() OVER (
        PARTITION BY info_hash, ip, peer_port, alias
        ORDER BY time_us, pieces, run, contact, claim, settled
    ) AS n
FROM (
    SELECT
        o.info_hash, o.ip, o.peer_port, o.alias, o.run, o.contact, o.time_us, o.settled, o.handshake_at, o.peer_id,
        -- 0 what the handshake itself claimed, 1 an opening burst that claimed nothing, 2 HAVEs.
        CASE WHEN o.kind IN ('bitfield', 'have_all') THEN 0 WHEN o.kind IN ('have_none', 'silence') THEN 1 ELSE 2 END
            AS claim,
        -- have_all is every piece, also where they could not be counted at the time.
        CASE WHEN o.kind = 'have_all' THEN coalesce(o.pieces, t.piece_count) ELSE o.pieces END AS pieces,
        t.piece_count, t.piece_length, t.size_bytes
    FROM observations_joined o
    LEFT JOIN nameless_kept k ON k.info_hash = o.info_hash AND k.ip = o.ip
    JOIN torrents t ON t.info_hash = o.info_hash
    WHERE (o.nameless = 0 OR k.ip IS NOT NULL) AND t.piece_count > 0
) valid
WHERE pieces >= 0 AND pieces <= piece_count;

-- Contacts by their first observation; `known` is the last settled count at the endpoint before their handshake. Row
-- number and count share one integer, so that the highest is the last one's.
CREATE OR REPLACE TEMPORARY VIEW endpoint_contacts AS
SELECT
    info_hash, ip, peer_port, alias, run, contact, peer_id, settled, pieces, n,
    coalesce(handshake_at, time_us - 2000000) AS opened_at
FROM (
    SELECT
        *,
        row_number() OVER (PARTITION BY info_hash, ip, peer_port, alias, run, contact ORDER BY n) AS nth
    FROM observations
) numbered
WHERE nth = 1;

CREATE OR REPLACE TEMPORARY VIEW known_before_contacts AS
SELECT info_hash, ip, peer_port, alias, run, contact, packed % 4294967296 AS known
FROM (
    SELECT
        *,
        max(packed_row) OVER (
            PARTITION BY info_hash, ip, peer_port, alias ORDER BY at, is_row
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS packed
    FROM (
        SELECT
            info_hash, ip, peer_port, alias, run, contact, time_us AS at, 1 AS is_row,
            CASE WHEN settled = 1 THEN n * 4294967296 + pieces ELSE NULL END AS packed_row
        FROM observations
        UNION ALL
        SELECT
            info_hash, ip, peer_port, alias, run, contact, opened_at AS at, 0 AS is_row,
            CAST(NULL AS BIGINT) AS packed_row
        FROM endpoint_contacts
    ) events
) told
WHERE is_row = 0;

-- A contact starts over when it shows a peer ID that is new there, though another was shown, and its first count is
-- below what was known. With it another peer begins: a generation. Where every one of three or more contacts shows
-- another peer ID, peer IDs tell nothing.
CREATE OR REPLACE TEMPORARY VIEW contacts_by_generation AS
SELECT
    *,
    sum(CASE WHEN starts_over = 1 AND NOT (named >= 3 AND ids = named) THEN 1 ELSE 0 END) OVER (
        PARTITION BY info_hash, ip, peer_port, alias ORDER BY opened_at, run, contact
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS generation
FROM (
    SELECT
        *,
        sum(CASE WHEN peer_id IS NULL THEN 0 ELSE 1 END) OVER (
            PARTITION BY info_hash, ip, peer_port, alias
        ) AS named,
        sum(is_new) OVER (PARTITION BY info_hash, ip, peer_port, alias) AS ids,
        CASE
            WHEN is_new = 1 AND settled = 1 AND pieces < known AND coalesce(sum(is_new) OVER (
                PARTITION BY info_hash, ip, peer_port, alias ORDER BY n
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ), 0) > 0 THEN 1
            ELSE 0
        END AS starts_over
    FROM (
        SELECT
            c.*, k.known,
            CASE
                WHEN c.peer_id IS NULL THEN 0
                WHEN row_number() OVER (
                    PARTITION BY c.info_hash, c.ip, c.peer_port, c.alias, c.peer_id ORDER BY c.n
                ) = 1 THEN 1
                ELSE 0
            END AS is_new
        FROM endpoint_contacts c
        JOIN known_before_contacts k
            ON k.info_hash = c.info_hash AND k.ip = c.ip AND k.peer_port = c.peer_port AND k.alias = c.alias
            AND k.run = c.run AND k.contact = c.contact
    ) first_shown
) compared;

-- Observations by peer. What an older contact tells once the next peer has spoken is left out.
CREATE OR REPLACE TEMPORARY VIEW members AS
SELECT
    *,
    lag(pieces) OVER (
        PARTITION BY info_hash, ip, peer_port, alias, generation, run, contact ORDER BY n
    ) AS told_before,
    coalesce(max(pieces) OVER (
        PARTITION BY info_hash, ip, peer_port, alias, generation ORDER BY n
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ), 0) AS highest_before,
    -- Whether an earlier peer at the endpoint showed the same peer ID.
    CASE
        WHEN peer_id IS NULL THEN 0
        WHEN generation > min(generation) OVER (PARTITION BY info_hash, ip, peer_port, alias, peer_id) THEN 1
        ELSE 0
    END AS returns
FROM (
    SELECT
        o.*, c.generation, c.opened_at,
        max(c.generation) OVER (
            PARTITION BY o.info_hash, o.ip, o.peer_port, o.alias ORDER BY o.n
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS current_generation
    FROM observations o
    JOIN contacts_by_generation c
        ON c.info_hash = o.info_hash AND c.ip = o.ip AND c.peer_port = o.peer_port AND c.alias = o.alias
        AND c.run = o.run AND c.contact = o.contact
) of_contacts
WHERE generation = current_generation;

-- Whether a count goes back: below what its contact told before, or else below what was known before its handshake.
CREATE OR REPLACE TEMPORARY VIEW members_known AS
SELECT
    *,
    max(counted) OVER (
        PARTITION BY info_hash, ip, peer_port, alias, generation ORDER BY at, is_row
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS known
FROM (
    SELECT
        info_hash, ip, peer_port, alias, generation, n, pieces, settled, time_us AS at, 1 AS is_row, pieces AS counted
    FROM members
    UNION ALL
    SELECT
        info_hash, ip, peer_port, alias, generation, n, pieces, settled, opened_at AS at, 0 AS is_row, NULL AS counted
    FROM members
    WHERE told_before IS NULL
) events;

CREATE OR REPLACE TEMPORARY VIEW peers_back AS
SELECT info_hash, ip, peer_port, alias, generation, max(back) AS backwards
FROM (
    SELECT
        info_hash, ip, peer_port, alias, generation,
        CASE WHEN returns = 1 THEN 1 WHEN settled = 1 AND pieces < told_before THEN 1 ELSE 0 END AS back
    FROM members
    UNION ALL
    SELECT
        info_hash, ip, peer_port, alias, generation,
        CASE WHEN settled = 1 AND pieces < known THEN 1 ELSE 0 END AS back
    FROM members_known
    WHERE is_row = 0
) counts
GROUP BY info_hash, ip, peer_port, alias, generation;

-- Past the threshold: ceil(threshold × piece_count), in whole numbers.
CREATE OR REPLACE TEMPORARY VIEW members_counted AS
SELECT
    *,
    min(CASE WHEN pieces >= threshold_pieces THEN n ELSE NULL END) OVER (
        PARTITION BY info_hash, ip, peer_port, alias, generation
    ) AS reached_n,
    min(CASE WHEN pieces >= threshold_pieces THEN time_us ELSE NULL END) OVER (
        PARTITION BY info_hash, ip, peer_port, alias, generation
    ) AS reached_at,
    CASE WHEN pieces < highest_before THEN 1 ELSE 0 END AS lags,
    CASE WHEN pieces >= piece_count THEN size_bytes ELSE least(pieces * piece_length, size_bytes) END AS bytes
FROM (
    SELECT
        m.*,
        CAST(round(CAST(
            m.piece_count * s.threshold_billionths + 999999999
            - (m.piece_count * s.threshold_billionths + 999999999) % 1000000000 AS DOUBLE
        ) / CAST(1000000000 AS DOUBLE)) AS BIGINT) AS threshold_pieces
    FROM members m
    CROSS JOIN settings s
) with_threshold;

CREATE OR REPLACE TEMPORARY VIEW peers_reached AS
SELECT
    info_hash, ip, peer_port, alias, generation,
    max(piece_count) AS piece_count,
    min(time_us) AS first_at,
    max(reached_n) AS reached_n,
    max(reached_at) AS reached_at,
    max(CASE WHEN n = reached_n THEN pieces ELSE NULL END) AS reached_pieces,
    max(CASE WHEN lags = 0 AND settled = 1 AND time_us < reached_at THEN n ELSE NULL END) AS below_n,
    max(CASE WHEN lags = 0 AND peer_id IS NOT NULL THEN n ELSE NULL END) AS id_n,
    max(CASE WHEN told_before IS NULL AND settled = 1 AND claim = 0 AND pieces > 0 THEN 1 ELSE 0 END) AS believed
FROM members_counted
GROUP BY info_hash, ip, peer_port, alias, generation;

-- Speeds: what was gained up to the threshold. The mean ends with the last gain, or with the first observation that
-- makes 5 s of it. The maximum reaches back to the last settled observation at least 5 s earlier.
CREATE OR REPLACE TEMPORARY VIEW speed_rows AS
SELECT
    *,
    max(CASE WHEN settled = 1 THEN n * 4294967296 + pieces ELSE NULL END) OVER (
        PARTITION BY info_hash, ip, peer_port, alias, generation ORDER BY time_us
        RANGE BETWEEN UNBOUNDED PRECEDING AND 5000000 PRECEDING
    ) AS old_packed,
    max(CASE WHEN settled = 1 THEN time_us ELSE NULL END) OVER (
        PARTITION BY info_hash, ip, peer_port, alias, generation ORDER BY time_us
        RANGE BETWEEN UNBOUNDED PRECEDING AND 5000000 PRECEDING
    ) AS old_at,
    min(CASE WHEN settled = 1 THEN n ELSE NULL END) OVER (
        PARTITION BY info_hash, ip, peer_port, alias, generation
    ) AS begin_n
FROM members_counted
WHERE lags = 0 AND bytes IS NOT NULL AND (reached_n IS NULL OR n <= reached_n);

CREATE OR REPLACE TEMPORARY VIEW speed_gains AS
SELECT
    info_hash, ip, peer_port, alias, generation, time_us, bytes,
    max(CASE WHEN n = begin_n THEN time_us ELSE NULL END) OVER w AS begin_at,
    max(CASE WHEN n = begin_n THEN bytes ELSE NULL END) OVER w AS begin_bytes,
    max(bytes) OVER w AS end_bytes,
    CASE
        WHEN old_packed IS NULL THEN NULL
        ELSE CAST(bytes - CASE
            WHEN old_packed % 4294967296 >= piece_count THEN size_bytes
            ELSE least((old_packed % 4294967296) * piece_length, size_bytes)
        END AS DOUBLE) * CAST(1000000 AS DOUBLE) / CAST(time_us - old_at AS DOUBLE)
    END AS speed
FROM speed_rows
WHERE n >= begin_n
WINDOW w AS (PARTITION BY info_hash, ip, peer_port, alias, generation);

CREATE OR REPLACE TEMPORARY VIEW speed_ends AS
SELECT
    info_hash, ip, peer_port, alias, generation, begin_at, begin_bytes, end_bytes,
    greatest(
        min(CASE WHEN bytes = end_bytes THEN time_us ELSE NULL END),
        coalesce(min(CASE WHEN time_us - begin_at >= 5000000 THEN time_us ELSE NULL END), max(time_us))
    ) AS end_at,
    max(speed) AS max_speed
FROM speed_gains
GROUP BY info_hash, ip, peer_port, alias, generation, begin_at, begin_bytes, end_bytes;

CREATE OR REPLACE TEMPORARY VIEW peer_speeds AS
SELECT
    info_hash, ip, peer_port, alias, generation,
    CASE WHEN end_at - begin_at >= 1000000 THEN mean ELSE NULL END AS mean_speed_bytes_per_s,
    CASE
        WHEN end_at - begin_at >= 5000000 THEN greatest(mean, coalesce(max_speed, mean))
        ELSE max_speed
    END AS max_speed_bytes_per_s
FROM (
    SELECT
        *,
        CASE
            WHEN end_at > begin_at THEN CAST(end_bytes - begin_bytes AS DOUBLE) * CAST(1000000 AS DOUBLE)
                / CAST(end_at - begin_at AS DOUBLE)
            ELSE NULL
        END AS mean
    FROM speed_ends
    WHERE end_bytes > begin_bytes
) gained;

-- One row per peer: who was observed, and who was met without an observation (all counts null).
CREATE OR REPLACE TEMPORARY VIEW peers_judged AS
SELECT
    r.info_hash, r.ip, r.peer_port, r.alias, i.peer_id, r.piece_count, r.first_at,
    b.time_us AS below_at, b.pieces AS below_pieces,
    CASE WHEN r.below_n IS NULL THEN NULL ELSE r.reached_at END AS reached_at,
    CASE WHEN r.below_n IS NULL THEN NULL ELSE r.reached_pieces END AS reached_pieces,
    CASE
        WHEN r.below_n IS NULL THEN NULL
        WHEN b.run = a.run AND b.contact = a.contact THEN 1
        ELSE 0
    END AS live,
    CASE WHEN r.below_n IS NULL THEN 0 ELSE 1 END AS crossed,
    CASE WHEN r.reached_n IS NOT NULL AND r.below_n IS NULL THEN 1 ELSE 0 END AS already,
    k.backwards,
    CASE WHEN r.below_n IS NOT NULL AND r.believed = 0 THEN 1 ELSE 0 END AS have_only,
    CASE
        WHEN v.max_speed_bytes_per_s > s.max_plausible_speed THEN 1
        WHEN v.mean_speed_bytes_per_s > s.max_plausible_speed THEN 1
        ELSE 0
    END AS implausible_speed,
    v.mean_speed_bytes_per_s, v.max_speed_bytes_per_s
FROM peers_reached r
CROSS JOIN settings s
JOIN peers_back k
    ON k.info_hash = r.info_hash AND k.ip = r.ip AND k.peer_port = r.peer_port AND k.alias = r.alias
    AND k.generation = r.generation
LEFT JOIN observations i
    ON i.info_hash = r.info_hash AND i.ip = r.ip AND i.peer_port = r.peer_port AND i.alias = r.alias AND i.n = r.id_n
LEFT JOIN observations b
    ON b.info_hash = r.info_hash AND b.ip = r.ip AND b.peer_port = r.peer_port AND b.alias = r.alias
    AND b.n = r.below_n
LEFT JOIN observations a
    ON a.info_hash = r.info_hash AND a.ip = r.ip AND a.peer_port = r.peer_port AND a.alias = r.alias
    AND a.n = r.reached_n
LEFT JOIN peer_speeds v
    ON v.info_hash = r.info_hash AND v.ip = r.ip AND v.peer_port = r.peer_port AND v.alias = r.alias
    AND v.generation = r.generation;

CREATE OR REPLACE TEMPORARY VIEW peers AS
SELECT
    info_hash, ip,
    CASE WHEN peer_port = -1 THEN NULL ELSE peer_port END AS port,
    peer_id, piece_count, first_at, below_at, below_pieces, reached_at, reached_pieces, live, crossed,
    CASE WHEN flags = 0 THEN already ELSE 0 END AS already_complete,
    backwards, have_only, implausible_speed,
    CASE WHEN flags > 0 THEN 1 ELSE 0 END AS flagged,
    CASE WHEN flags = 0 THEN crossed ELSE 0 END AS confirmed,
    mean_speed_bytes_per_s, max_speed_bytes_per_s
FROM (SELECT *, backwards + have_only + implausible_speed AS flags FROM peers_judged) judged
UNION ALL
SELECT
    m.info_hash, m.ip,
    CASE WHEN m.peer_port = -1 THEN NULL ELSE m.peer_port END AS port,
    m.peer_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, NULL, NULL
FROM (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY info_hash, ip, peer_port, alias ORDER BY time_us DESC, run DESC, contact DESC
        ) AS nth
    FROM contacts_resolved
    WHERE handshake = 1 AND own = 0
) m
LEFT JOIN peers_reached r
    ON r.info_hash = m.info_hash AND r.ip = m.ip AND r.peer_port = m.peer_port AND r.alias = m.alias
    AND r.generation = 0
WHERE m.nth = 1 AND r.ip IS NULL;

CREATE OR REPLACE TEMPORARY VIEW confirmed_downloads AS
SELECT
    info_hash, ip, port, peer_id, below_at, below_pieces, reached_at AS confirmed_at,
    reached_pieces AS confirmed_pieces, piece_count,
    CASE WHEN live = 1 THEN 'live' ELSE 'revisit' END AS evidence,
    mean_speed_bytes_per_s, max_speed_bytes_per_s
FROM peers
WHERE confirmed = 1;

CREATE OR REPLACE TEMPORARY VIEW confirmed_hourly AS
SELECT hour_us, info_hash, count(*) AS confirmed_downloads
FROM (
    SELECT c.info_hash, c.confirmed_at - c.confirmed_at % s.bucket_us AS hour_us
    FROM confirmed_downloads c
    CROSS JOIN settings s
) by_hour
GROUP BY hour_us, info_hash;

CREATE OR REPLACE TEMPORARY VIEW speeds AS
SELECT info_hash, ip, port, peer_id, mean_speed_bytes_per_s, max_speed_bytes_per_s
FROM peers
WHERE flagged = 0 AND mean_speed_bytes_per_s IS NOT NULL;

-- What each source named over time. An incoming connection's remote port names nothing, its contact tells whose it was.
CREATE OR REPLACE TEMPORARY VIEW connections_in AS
SELECT run, info_hash, ip, port, max(own) AS own, max(peer_port) AS peer_port, max(alias) AS alias
FROM contacts_resolved
WHERE direction = 'in'
GROUP BY run, info_hash, ip, port;

CREATE OR REPLACE TEMPORARY VIEW sightings_known AS
SELECT
    s.time_us, s.info_hash, s.ip, s.source,
    CASE WHEN s.source = 'incoming' THEN coalesce(c.peer_port, -1) ELSE s.port END AS peer_port,
    CASE WHEN s.source = 'incoming' THEN coalesce(c.alias, 'lost') ELSE '' END AS alias
FROM sightings_raw s
LEFT JOIN connections_in c
    ON s.source = 'incoming' AND c.run = s.run AND c.info_hash = s.info_hash AND c.ip = s.ip AND c.port = s.port
LEFT JOIN own_endpoints e ON e.ip = s.ip AND e.port = s.port
WHERE CASE WHEN s.source = 'incoming' THEN coalesce(c.own, 0) WHEN e.ip IS NULL THEN 0 ELSE 1 END = 0;

CREATE OR REPLACE TEMPORARY VIEW sources_hourly AS
SELECT r.hour_us, r.source, r.received, coalesce(f.named, 0) AS new_peers, r.received - coalesce(f.named, 0) AS duplicate
FROM (
    SELECT hour_us, source, count(*) AS received
    FROM (
        SELECT t.source, t.time_us - t.time_us % b.bucket_us AS hour_us
        FROM sightings_raw t
        LEFT JOIN own_endpoints e ON e.ip = t.ip AND e.port = t.port
        CROSS JOIN settings b
        WHERE e.ip IS NULL
    ) by_hour
    GROUP BY hour_us, source
) r
LEFT JOIN (
    SELECT hour_us, source, count(*) AS named
    FROM (
        SELECT k.source, k.time_us - k.time_us % b.bucket_us AS hour_us
        FROM (
            SELECT
                n.*,
                row_number() OVER (
                    PARTITION BY n.info_hash, n.ip, n.peer_port, n.alias ORDER BY n.time_us, o.place
                ) AS nth
            FROM sightings_known n
            JOIN source_order o ON o.source = n.source
        ) k
        CROSS JOIN settings b
        WHERE k.nth = 1
    ) firsts
    GROUP BY hour_us, source
) f ON f.hour_us = r.hour_us AND f.source = r.source;
