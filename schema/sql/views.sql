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
    END AS shows_us,
    CASE
        WHEN outcome IN (
            'closed_by_remote', 'idle_timed_out', 'our_limit', 'protocol_error', 'reset', 'shutdown', 'visit_done'
        ) THEN 1
        ELSE 0
    END AS handshake
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

CREATE OR REPLACE TEMPORARY VIEW own_ids AS
SELECT DISTINCT info_hash, peer_id
FROM contacts_shown
WHERE outcome = 'self_connection' AND peer_id IS NOT NULL;

-- At addresses of ours, ports that nobody but peers named (PEX) and where nobody else was met are ones we called from.
CREATE OR REPLACE TEMPORARY VIEW own_calls AS
SELECT s.ip, s.port
FROM sightings_raw s
JOIN (SELECT ip FROM contacts_shown WHERE shows_us = 1 UNION SELECT ip FROM listen_raw) o ON o.ip = s.ip
LEFT JOIN (
    SELECT DISTINCT c.ip, CASE WHEN c.direction = 'out' THEN c.port ELSE c.listen_port END AS port
    FROM contacts_shown c
    LEFT JOIN own_ids i ON i.info_hash = c.info_hash AND i.peer_id = c.peer_id
    WHERE c.handshake = 1 AND c.shows_us = 0 AND i.peer_id IS NULL
) met ON met.ip = s.ip AND met.port = s.port
WHERE s.source <> 'incoming' AND met.ip IS NULL
GROUP BY s.ip, s.port
HAVING min(CASE WHEN s.source = 'pex' THEN 1 ELSE 0 END) = 1;

CREATE OR REPLACE TEMPORARY VIEW own_endpoints AS
SELECT ip, port FROM contacts_shown WHERE shows_us = 1 AND direction = 'out'
UNION
SELECT ip, listen_port AS port FROM contacts_shown WHERE shows_us = 1 AND listen_port IS NOT NULL
UNION
SELECT ip, port FROM listen_raw
UNION
SELECT ip, port FROM own_calls;

CREATE OR REPLACE TEMPORARY VIEW contacts_marked AS
SELECT
    c.run, c.contact, c.time_us, c.info_hash, c.ip, c.port, c.direction, c.peer_id, c.client,
    -- Port 0 is what some clients say when they do not listen.
    CASE WHEN c.listen_port > 0 THEN c.listen_port ELSE NULL END AS listen_port,
    c.time_us - c.open_us AS handshake_at,
    c.handshake,
    CASE
        WHEN c.shows_us = 1 THEN 1
        WHEN c.direction = 'out' AND e.ip IS NOT NULL THEN 1
        WHEN i.peer_id IS NOT NULL THEN 1
        ELSE 0
    END AS own
FROM contacts_shown c
LEFT JOIN own_endpoints e ON e.ip = c.ip AND e.port = c.port
LEFT JOIN own_ids i ON i.info_hash = c.info_hash AND i.peer_id = c.peer_id;

-- A peer ID at one address is one peer, whatever the ports. It is named by the lowest port at which an outgoing contact
-- met it, else by the lowest it said it listens on: an incoming connection's remote port names nothing.
CREATE OR REPLACE TEMPORARY VIEW contacts_named AS
SELECT
    *,
    CASE
        WHEN peer_id IS NULL THEN NULL
        ELSE coalesce(
            min(CASE WHEN direction = 'out' AND handshake = 1 AND own = 0 THEN port ELSE NULL END) OVER same_id,
            min(CASE WHEN handshake = 1 AND own = 0 THEN listen_port ELSE NULL END) OVER same_id
        )
    END AS id_port
FROM contacts_marked
WINDOW same_id AS (PARTITION BY info_hash, ip, peer_id);

-- The endpoints whose last met peer is named by another port.
CREATE OR REPLACE TEMPORARY VIEW endpoints_moved AS
SELECT info_hash, ip, port, id_port AS moved_port
FROM (
    SELECT
        info_hash, ip, port, id_port,
        row_number() OVER (PARTITION BY info_hash, ip, port ORDER BY time_us DESC, run DESC, contact DESC) AS nth
    FROM contacts_named
    WHERE direction = 'out' AND handshake = 1 AND own = 0 AND peer_id IS NOT NULL
) met
WHERE nth = 1 AND id_port <> port;

-- Who a contact was with: (info-hash, IP, port), else the peer ID as alias. What shows no peer ID belongs to whom was met
-- last at its endpoint.
CREATE OR REPLACE TEMPORARY VIEW contacts_resolved AS
SELECT
    *,
    CASE WHEN peer_port = -1 THEN coalesce(peer_id, 'lost') ELSE '' END AS alias
FROM (
    SELECT
        c.*,
        CASE
            WHEN c.id_port IS NOT NULL THEN c.id_port
            WHEN c.direction = 'out' THEN coalesce(m.moved_port, c.port)
            ELSE coalesce(c.listen_port, -1)
        END AS peer_port
    FROM contacts_named c
    LEFT JOIN endpoints_moved m
        ON c.peer_id IS NULL AND c.direction = 'out' AND m.info_hash = c.info_hash AND m.ip = c.ip AND m.port = c.port
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
-- went out; one that came in is nameless and counts only where nothing else is known at its address, and it is alone.
CREATE OR REPLACE TEMPORARY VIEW observations_joined AS
SELECT
    p.run, p.contact, p.time_us, p.info_hash, p.ip, p.kind, p.pieces,
    coalesce(r.peer_port, CASE WHEN p.direction = 'out' THEN coalesce(m.moved_port, p.port) ELSE -1 END) AS peer_port,
    coalesce(r.alias, CASE WHEN p.direction = 'out' THEN '' ELSE 'lost' END) AS alias,
    CASE WHEN r.run IS NULL AND p.direction <> 'out' THEN 1 ELSE 0 END AS nameless,
    CASE WHEN p.settled THEN 1 ELSE 0 END AS settled,
    r.handshake_at,
    r.peer_id
FROM progress_raw p
LEFT JOIN contacts_resolved r ON r.run = p.run AND r.contact = p.contact
LEFT JOIN endpoints_moved m
    ON p.direction = 'out' AND m.info_hash = p.info_hash AND m.ip = p.ip AND m.port = p.port
WHERE p.kind IS NOT NULL AND coalesce(r.own, 0) = 0;

CREATE OR REPLACE TEMPORARY VIEW observations_named AS
SELECT *
FROM (
    SELECT
        o.*, met.ip AS met_ip,
        min(o.nameless) OVER address AS only_nameless,
        min(concat(o.run, ' ', CAST(o.contact AS STRING))) OVER address AS first_contact,
        max(concat(o.run, ' ', CAST(o.contact AS STRING))) OVER address AS last_contact
    FROM observations_joined o
    LEFT JOIN (SELECT DISTINCT info_hash, ip FROM contacts_resolved WHERE handshake = 1 AND own = 0) met
        ON o.nameless = 1 AND met.info_hash = o.info_hash AND met.ip = o.ip
    WINDOW address AS (PARTITION BY o.info_hash, o.ip)
) addressed
WHERE nameless = 0 OR (met_ip IS NULL AND only_nameless = 1 AND first_contact = last_contact);

-- Known observations, numbered at their endpoint.
CREATE OR REPLACE TEMPORARY VIEW observations AS
SELECT
    *,
    row_number() OVER (
        PARTITION BY info_hash, ip, peer_port, alias ORDER BY time_us, pieces, run, contact, claim, settled
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
    FROM observations_named o
    JOIN torrents t ON t.info_hash = o.info_hash
    WHERE t.piece_count > 0
) valid
WHERE pieces >= 0 AND pieces <= piece_count;

-- Observations (is_row 1), and beside each contact's first one the contact's handshake as an event (is_row 0), which
-- looks up what was known before it.
CREATE OR REPLACE TEMPORARY VIEW events AS
SELECT
    o.*, k.is_row,
    CASE WHEN k.is_row = 1 THEN o.time_us ELSE coalesce(o.handshake_at, o.time_us - 2000000) END AS event_us
FROM (
    SELECT *, row_number() OVER (PARTITION BY info_hash, ip, peer_port, alias, run, contact ORDER BY n) AS nth
    FROM observations
) o
CROSS JOIN (SELECT 0 AS is_row UNION ALL SELECT 1) k
WHERE k.is_row = 1 OR o.nth = 1;

-- `known`: the last settled count at the endpoint before a handshake. Row number and count share one integer, so that
-- the highest is the last one's. `is_new`: the contact shows a peer ID for the first time there.
CREATE OR REPLACE TEMPORARY VIEW events_known AS
SELECT
    *,
    max(CASE WHEN is_row = 1 AND settled = 1 THEN n * 4294967296 + pieces ELSE NULL END) OVER (
        PARTITION BY info_hash, ip, peer_port, alias ORDER BY event_us, is_row ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) % 4294967296 AS known,
    CASE
        WHEN is_row = 1 OR peer_id IS NULL THEN 0
        WHEN row_number() OVER (PARTITION BY info_hash, ip, peer_port, alias, peer_id, is_row ORDER BY n) = 1 THEN 1
        ELSE 0
    END AS is_new
FROM events;

-- A contact starts over when it shows a peer ID that is new there, though another was shown, and its first count is
-- below what was known. With it another peer begins: a generation. Where every one of three or more contacts shows
-- another peer ID, peer IDs tell nothing.
CREATE OR REPLACE TEMPORARY VIEW events_compared AS
SELECT
    *,
    CASE
        WHEN is_new = 1 AND settled = 1 AND pieces < known AND ids_before > 0 AND NOT (named >= 3 AND ids = named)
            THEN 1
        ELSE 0
    END AS starts_over
FROM (
    SELECT
        *,
        sum(CASE WHEN is_row = 1 OR peer_id IS NULL THEN 0 ELSE 1 END) OVER (PARTITION BY info_hash, ip, peer_port, alias) AS named,
        sum(is_new) OVER (PARTITION BY info_hash, ip, peer_port, alias) AS ids,
        sum(is_new) OVER (
            PARTITION BY info_hash, ip, peer_port, alias ORDER BY n, is_row ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS ids_before
    FROM events_known
) shown;

CREATE OR REPLACE TEMPORARY VIEW events_by_generation AS
SELECT
    *,
    max(CASE WHEN is_row = 0 THEN started ELSE NULL END) OVER (PARTITION BY info_hash, ip, peer_port, alias, run, contact) AS generation
FROM (
    SELECT
        *,
        sum(starts_over) OVER (
            PARTITION BY info_hash, ip, peer_port, alias ORDER BY event_us, run, contact, is_row
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS started
    FROM events_compared
) numbered;

-- What an older contact tells once the next peer has spoken is left out.
CREATE OR REPLACE TEMPORARY VIEW members AS
SELECT *
FROM (
    SELECT
        *,
        max(CASE WHEN is_row = 1 THEN generation ELSE NULL END) OVER (
            PARTITION BY info_hash, ip, peer_port, alias ORDER BY n, is_row ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS current_generation
    FROM events_by_generation
) spoken
WHERE is_row = 0 OR generation = current_generation;

-- What was known before: by the contact itself, by all contacts until now, and by all before the contact's handshake;
-- and whether an earlier peer at the endpoint showed the same peer ID.
CREATE OR REPLACE TEMPORARY VIEW members_known AS
SELECT
    *,
    lag(pieces) OVER (PARTITION BY info_hash, ip, peer_port, alias, generation, run, contact, is_row ORDER BY n) AS told_before,
    coalesce(max(CASE WHEN is_row = 1 THEN pieces ELSE NULL END) OVER (
        PARTITION BY info_hash, ip, peer_port, alias, generation ORDER BY n, is_row ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ), 0) AS highest_before,
    max(CASE WHEN is_row = 1 THEN pieces ELSE NULL END) OVER (
        PARTITION BY info_hash, ip, peer_port, alias, generation ORDER BY event_us, is_row ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS known_then,
    CASE
        WHEN peer_id IS NULL THEN 0
        WHEN generation > min(CASE WHEN is_row = 1 THEN generation ELSE NULL END) OVER (PARTITION BY info_hash, ip, peer_port, alias, peer_id)
            THEN 1
        ELSE 0
    END AS returns
FROM members;

-- Whether a count goes back or lags behind another contact, what it is in bytes, and
-- ceil(threshold × piece_count) in whole numbers.
CREATE OR REPLACE TEMPORARY VIEW members_counted AS
SELECT
    *,
    CASE
        WHEN returns = 1 THEN 1
        WHEN settled = 1 AND pieces < coalesce(told_before, known_at_handshake) THEN 1
        ELSE 0
    END AS back,
    CASE WHEN pieces < highest_before THEN 1 ELSE 0 END AS lags,
    CASE WHEN pieces >= piece_count THEN size_bytes ELSE least(pieces * piece_length, size_bytes) END AS bytes
FROM (
    SELECT
        m.*,
        max(CASE WHEN m.is_row = 0 THEN m.known_then ELSE NULL END) OVER (
            PARTITION BY m.info_hash, m.ip, m.peer_port, m.alias, m.generation, m.run, m.contact
        ) AS known_at_handshake,
        CAST(round(CAST(
            m.piece_count * s.threshold_billionths + 999999999
            - (m.piece_count * s.threshold_billionths + 999999999) % 1000000000 AS DOUBLE
        ) / CAST(1000000000 AS DOUBLE)) AS BIGINT) AS threshold_pieces
    FROM members_known m
    CROSS JOIN settings s
) looked_up
WHERE is_row = 1;

CREATE OR REPLACE TEMPORARY VIEW members_reached AS
SELECT
    *,
    CASE
        WHEN lags = 1 OR bytes IS NULL THEN 0
        WHEN reached_n IS NULL OR n <= reached_n THEN 1
        ELSE 0
    END AS timed
FROM (
    SELECT
        *,
        min(CASE WHEN pieces >= threshold_pieces THEN n ELSE NULL END) OVER (PARTITION BY info_hash, ip, peer_port, alias, generation) AS reached_n,
        min(CASE WHEN pieces >= threshold_pieces THEN time_us ELSE NULL END) OVER (PARTITION BY info_hash, ip, peer_port, alias, generation) AS reached_at
    FROM members_counted
) crossed;

-- The speed reaches back to the last settled observation at least 5 s earlier.
CREATE OR REPLACE TEMPORARY VIEW members_timed AS
SELECT
    *,
    max(CASE WHEN lags = 0 AND settled = 1 AND time_us < reached_at THEN n ELSE NULL END) OVER (PARTITION BY info_hash, ip, peer_port, alias, generation)
        AS below_n,
    max(CASE WHEN lags = 0 AND peer_id IS NOT NULL THEN n ELSE NULL END) OVER (PARTITION BY info_hash, ip, peer_port, alias, generation) AS id_n,
    min(CASE WHEN timed = 1 AND settled = 1 THEN n ELSE NULL END) OVER (PARTITION BY info_hash, ip, peer_port, alias, generation) AS begin_n,
    max(CASE WHEN timed = 1 AND settled = 1 THEN n * 4294967296 + pieces ELSE NULL END) OVER (
        PARTITION BY info_hash, ip, peer_port, alias, generation ORDER BY time_us RANGE BETWEEN UNBOUNDED PRECEDING AND 5000000 PRECEDING
    ) % 4294967296 AS old_pieces,
    max(CASE WHEN timed = 1 AND settled = 1 THEN time_us ELSE NULL END) OVER (
        PARTITION BY info_hash, ip, peer_port, alias, generation ORDER BY time_us RANGE BETWEEN UNBOUNDED PRECEDING AND 5000000 PRECEDING
    ) AS old_at
FROM members_reached;

CREATE OR REPLACE TEMPORARY VIEW members_measured AS
SELECT
    *,
    CASE WHEN timed = 1 AND n >= begin_n THEN 1 ELSE 0 END AS measured,
    max(CASE WHEN n = begin_n THEN time_us ELSE NULL END) OVER (PARTITION BY info_hash, ip, peer_port, alias, generation) AS begin_at,
    max(CASE WHEN n = begin_n THEN bytes ELSE NULL END) OVER (PARTITION BY info_hash, ip, peer_port, alias, generation) AS begin_bytes,
    max(CASE WHEN timed = 1 AND n >= begin_n THEN bytes ELSE NULL END) OVER (PARTITION BY info_hash, ip, peer_port, alias, generation) AS end_bytes,
    CASE
        WHEN timed = 0 OR old_at IS NULL THEN NULL
        ELSE CAST(
            bytes - CASE
                WHEN old_pieces >= piece_count THEN size_bytes ELSE least(old_pieces * piece_length, size_bytes)
            END AS DOUBLE
        ) * CAST(1000000 AS DOUBLE) / CAST(time_us - old_at AS DOUBLE)
    END AS speed
FROM members_timed;

-- One row per peer with observations. The mean speed ends with the last gain, or with the first observation that makes
-- 5 s of it.
CREATE OR REPLACE TEMPORARY VIEW peers_observed AS
SELECT
    info_hash, ip, peer_port, alias, generation,
    max(piece_count) AS piece_count,
    min(time_us) AS first_at,
    max(CASE WHEN n = id_n THEN peer_id ELSE NULL END) AS peer_id,
    max(reached_n) AS reached_n,
    max(CASE WHEN below_n IS NULL THEN NULL ELSE reached_at END) AS reached_at,
    max(CASE WHEN below_n IS NOT NULL AND n = reached_n THEN pieces ELSE NULL END) AS reached_pieces,
    max(CASE WHEN n = below_n THEN time_us ELSE NULL END) AS below_at,
    max(CASE WHEN n = below_n THEN pieces ELSE NULL END) AS below_pieces,
    max(CASE WHEN n = below_n THEN run ELSE NULL END) AS below_run,
    max(CASE WHEN n = below_n THEN contact ELSE NULL END) AS below_contact,
    max(CASE WHEN n = reached_n THEN run ELSE NULL END) AS reached_run,
    max(CASE WHEN n = reached_n THEN contact ELSE NULL END) AS reached_contact,
    max(back) AS backwards,
    max(CASE WHEN nth = 1 AND settled = 1 AND claim = 0 AND pieces > 0 THEN 1 ELSE 0 END) AS claimed,
    max(CASE WHEN lags = 0 AND pieces > 0 AND pieces < piece_count THEN 1 ELSE 0 END) AS partly,
    max(begin_at) AS begin_at,
    max(begin_bytes) AS begin_bytes,
    max(end_bytes) AS end_bytes,
    greatest(
        min(CASE WHEN measured = 1 AND bytes = end_bytes THEN time_us ELSE NULL END),
        coalesce(
            min(CASE WHEN measured = 1 AND time_us - begin_at >= 5000000 THEN time_us ELSE NULL END),
            max(CASE WHEN measured = 1 THEN time_us ELSE NULL END)
        )
    ) AS end_at,
    max(CASE WHEN measured = 1 THEN speed ELSE NULL END) AS max_speed
FROM members_measured
GROUP BY info_hash, ip, peer_port, alias, generation;

CREATE OR REPLACE TEMPORARY VIEW peers_judged AS
SELECT
    *,
    CASE WHEN below_at IS NULL THEN 0 ELSE 1 END AS crossed,
    CASE WHEN reached_n IS NOT NULL AND below_at IS NULL THEN 1 ELSE 0 END AS already,
    -- A super-seeder, or one that seeds plainly at last, never claimed a part in a handshake or never had one.
    CASE WHEN below_at IS NOT NULL AND (claimed = 0 OR partly = 0) THEN 1 ELSE 0 END AS have_only,
    CASE
        WHEN below_at IS NULL THEN NULL
        WHEN below_run = reached_run AND below_contact = reached_contact THEN 1
        ELSE 0
    END AS live,
    CASE WHEN end_at - begin_at >= 1000000 THEN mean ELSE NULL END AS mean_speed_bytes_per_s,
    CASE
        WHEN mean IS NULL THEN NULL
        WHEN end_at - begin_at >= 5000000 THEN greatest(mean, coalesce(max_speed, mean))
        ELSE max_speed
    END AS max_speed_bytes_per_s
FROM (
    SELECT
        *,
        CASE
            WHEN end_bytes > begin_bytes AND end_at > begin_at
                THEN CAST(end_bytes - begin_bytes AS DOUBLE) * CAST(1000000 AS DOUBLE)
                    / CAST(end_at - begin_at AS DOUBLE)
            ELSE NULL
        END AS mean
    FROM peers_observed
) timed;

-- One row per peer: who was observed, and who was met without an observation (all counts null).
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
FROM (
    SELECT *, backwards + have_only + implausible_speed AS flags, max(observed) OVER (PARTITION BY info_hash, ip, peer_port, alias) AS known_peer
    FROM (
        SELECT
            j.info_hash, j.ip, j.peer_port, j.alias, j.peer_id, j.piece_count, j.first_at, j.below_at,
            j.below_pieces, j.reached_at, j.reached_pieces, j.live, j.crossed, j.already, j.backwards, j.have_only,
            CASE
                WHEN j.max_speed_bytes_per_s > s.max_plausible_speed THEN 1
                WHEN j.mean_speed_bytes_per_s > s.max_plausible_speed THEN 1
                ELSE 0
            END AS implausible_speed,
            j.mean_speed_bytes_per_s, j.max_speed_bytes_per_s,
            1 AS observed
        FROM peers_judged j
        CROSS JOIN settings s
        UNION ALL
        SELECT
            info_hash, ip, peer_port, alias, peer_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, NULL, NULL, 0
        FROM (
            SELECT
                *,
                row_number() OVER (PARTITION BY info_hash, ip, peer_port, alias ORDER BY time_us DESC, run DESC, contact DESC) AS nth
            FROM contacts_resolved
            WHERE handshake = 1 AND own = 0
        ) met
        WHERE nth = 1
    ) everyone
) known
WHERE observed = 1 OR known_peer = 0;

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

-- What each source named over time. An incoming connection's remote port names nothing, its contact tells whose it was;
-- of several from one port, as uTP has them, one that is named by its port rather than by a peer ID.
CREATE OR REPLACE TEMPORARY VIEW connections_in AS
SELECT
    run, info_hash, ip, port, max(own) AS own, max(peer_port) AS peer_port,
    CASE WHEN max(peer_port) = -1 THEN max(alias) ELSE '' END AS alias
FROM contacts_resolved
WHERE direction = 'in'
GROUP BY run, info_hash, ip, port;

CREATE OR REPLACE TEMPORARY VIEW sightings_known AS
SELECT
    s.time_us, s.info_hash, s.ip, s.source,
    CASE WHEN s.source = 'incoming' THEN coalesce(c.peer_port, -1) ELSE coalesce(m.moved_port, s.port) END AS peer_port,
    CASE WHEN s.source = 'incoming' THEN coalesce(c.alias, 'lost') ELSE '' END AS alias
FROM sightings_raw s
LEFT JOIN connections_in c
    ON s.source = 'incoming' AND c.run = s.run AND c.info_hash = s.info_hash AND c.ip = s.ip AND c.port = s.port
LEFT JOIN endpoints_moved m
    ON s.source <> 'incoming' AND m.info_hash = s.info_hash AND m.ip = s.ip AND m.port = s.port
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
