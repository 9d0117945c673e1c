-- What views.sql reads, for Apache Spark.
SET TIME ZONE 'UTC';

CREATE OR REPLACE TEMPORARY VIEW contacts_raw AS
SELECT
    run, contact, unix_micros(time) AS time_us, info_hash, ip, CAST(port AS BIGINT) AS port, direction, outcome,
    open_us, lower(hex(peer_id)) AS peer_id, client, CAST(listen_port AS BIGINT) AS listen_port
FROM {{contacts}};

CREATE OR REPLACE TEMPORARY VIEW progress_raw AS
SELECT
    run, contact, unix_micros(time) AS time_us, info_hash, ip, CAST(port AS BIGINT) AS port, direction, kind, settled,
    CAST(pieces AS BIGINT) AS pieces, CAST(piece_count AS BIGINT) AS piece_count
FROM {{progress}};

CREATE OR REPLACE TEMPORARY VIEW sightings_raw AS
SELECT run, unix_micros(time) AS time_us, info_hash, ip, CAST(port AS BIGINT) AS port, source
FROM {{sightings}};

CREATE OR REPLACE TEMPORARY VIEW torrents_raw AS
SELECT
    run, unix_micros(time) AS time_us, info_hash, origin, CAST(piece_count AS BIGINT) AS piece_count,
    CAST(piece_length AS BIGINT) AS piece_length, size_bytes
FROM {{torrents}}
WHERE info_hash <> repeat('0', 40);

-- The options `listen` (addresses with a port, or ports alone) and `bind` (addresses) of each run.
CREATE OR REPLACE TEMPORARY VIEW listen_texts AS
SELECT run, explode(from_json(get_json_object(config, '$.listen'), 'array<string>')) AS place FROM {{runs}};

CREATE OR REPLACE TEMPORARY VIEW bind_texts AS
SELECT run, explode(from_json(get_json_object(config, '$.bind'), 'array<string>')) AS place FROM {{runs}};
