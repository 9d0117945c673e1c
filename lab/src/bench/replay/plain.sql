-- Each endpoint's observations in order, the one before beside each: who crossed the threshold, and the highest speed over
-- at least five seconds. No contacts, so neither who is behind two ports nor what is ours; no flags, no mean speeds.
CREATE TEMP TABLE peers AS
SELECT
    info_hash, ip, port, max(peer_confirmed) AS confirmed, max(confirmed_at) AS confirmed_at,
    max(gained * 1000000.0 / took_us) AS max_pieces_per_s
FROM (
    SELECT
        info_hash, ip, port,
        CASE WHEN before < needed AND pieces >= needed THEN 1 ELSE 0 END AS peer_confirmed,
        CASE WHEN before < needed AND pieces >= needed THEN time_us END AS confirmed_at,
        CASE WHEN time_us - before_us >= 5000000 AND pieces >= before THEN pieces - before END AS gained,
        time_us - before_us AS took_us
    FROM (
        SELECT
            info_hash, ip, port, epoch_us(time) AS time_us, pieces, ceil(piece_count * 98 / 100) AS needed,
            lag(pieces) OVER peer AS before, lag(epoch_us(time)) OVER peer AS before_us
        FROM read_parquet('{{data}}/progress/**/*.parquet', hive_partitioning = false)
        WINDOW peer AS (PARTITION BY info_hash, ip, port ORDER BY time, pieces)
    ) ordered
) compared
GROUP BY info_hash, ip, port;
