//! `progress` rows → each peer's known observations in order of time → verdicts.
//!
//! polars reads, joins and sorts; then one pass over the sorted rows judges peer after peer.

use polars::prelude::{
    DataFrame, DataType, Expr, IntoColumn, IntoLazy, JoinArgs, JoinType, LazyFrame, PolarsResult, Series,
    SortMultipleOptions, UnionArgs, UniqueKeepStrategy, coalesce, col, concat, lit, when,
};
use schema::table::ProgressKind;

use super::{
    Threshold,
    identity::{self, Identity, KEY, LOST, NO_PORT, is_out, key, left_join},
    judge::{Claim, Observation, Torrent, Verdict, judge},
    speed::Bytes,
};

/// The peers that were observed, and their observations in order.
#[derive(Debug)]
pub struct Observed {
    /// One row per peer: the key, its number `peer`, and its torrent's `piece_count`, `piece_length`, `size_bytes`;
    /// sorted by `peer`.
    pub peers: DataFrame,
    /// One row per observation, sorted by `peer` and time.
    rows: DataFrame,
}

/// Joins `progress` rows to their peers and sorts them.
///
/// `contacts` are resolved ones, of all times; `torrents` are [`super::torrents::read`]'s.
pub fn observe(
    progress: &LazyFrame,
    contacts: &DataFrame,
    torrents: &DataFrame,
    identity: Identity,
) -> PolarsResult<Observed> {
    let of_contact = contacts.clone().lazy().select([
        col("run"),
        col("contact"),
        col("own"),
        col("ip").alias("peer_ip"),
        col("peer_port"),
        col("alias"),
        col("peer_id"),
        col("handshake_at"),
    ]);
    let contact = || [col("run"), col("contact")];
    let lost = || col("own").is_null();
    let joined = progress
        .clone()
        .filter(col("kind").is_not_null())
        .join(of_contact, contact(), contact(), left_join())
        .filter(lost().or(col("own").not()))
        .with_columns([
            coalesce(&[col("peer_ip"), col("ip")]).alias("ip"),
            coalesce(&[col("peer_port"), when(is_out()).then(col("port")).otherwise(lit(NO_PORT))])
                .alias("peer_port"),
            coalesce(&[col("alias"), when(is_out()).then(lit(b"".as_slice())).otherwise(lit(LOST))])
                .alias("alias"),
        ]);
    let joined = if identity == Identity::Ip { identity::by_ip(joined) } else { joined }.collect()?;
    let rows = match identity {
        Identity::Ip => joined,
        Identity::Endpoint | Identity::PeerId => {
            let of_contacts = joined.clone().lazy().filter(col("own").is_not_null());
            let lost_outgoing = joined.clone().lazy().filter(col("own").is_null().and(is_out()));
            let lost_outgoing = identity::of_endpoints(lost_outgoing, contacts, identity);
            let lost_incoming = nameless(&joined, contacts)?;
            concat([of_contacts, lost_outgoing, lost_incoming], UnionArgs::default())?.collect()?
        }
    };

    let peers = rows
        .clone()
        .lazy()
        .select(key())
        .unique(None, UniqueKeepStrategy::Any)
        .sort(KEY, SortMultipleOptions::default())
        .with_row_index("peer", None)
        .join(torrents.clone().lazy(), [col("info_hash")], [col("info_hash")], left_join())
        .sort(["peer"], SortMultipleOptions::default())
        .collect()?;
    let runs = rows
        .clone()
        .lazy()
        .select([col("run")])
        .unique(None, UniqueKeepStrategy::Any)
        .sort(["run"], SortMultipleOptions::default())
        .with_row_index("run_number", None);
    let numbered = peers.clone().lazy().select([key(), vec![col("peer"), col("piece_count")]].concat());
    let rows = rows
        .lazy()
        .drop(polars::prelude::by_name(["piece_count"], true, false))
        .join(numbered, key(), key(), left_join())
        .join(runs, [col("run")], [col("run")], left_join())
        .select([
            col("peer"),
            col("time"),
            known_pieces().alias("pieces"),
            col("run_number"),
            col("contact"),
            claim().alias("claim"),
            col("settled").fill_null(lit(false)),
            col("handshake_at"),
            col("peer_id"),
        ])
        .filter(col("pieces").gt_eq(lit(0)))
        .sort(
            ["peer", "time", "pieces", "run_number", "contact", "claim", "settled"],
            SortMultipleOptions::default(),
        )
        .collect()?;
    Ok(Observed { peers, rows })
}

/// What [`Observed::seeders`] gives where nobody asks for them.
pub fn no_seeders() -> PolarsResult<DataFrame> {
    let columns = [
        ("hour", DataType::Int64),
        ("info_hash", DataType::String),
        ("seeders", DataType::Int64),
        ("leechers", DataType::Int64),
    ];
    let columns = columns.map(|(name, dtype)| Series::new_empty(name.into(), &dtype).into_column());
    DataFrame::new(0, columns.to_vec())
}

fn is_lost_incoming() -> Expr {
    col("own").is_null().and(is_out().not())
}

/// Incoming contacts that nothing names, where nothing else is known at the same address: a peer of its own each.
fn nameless(joined: &DataFrame, contacts: &DataFrame) -> PolarsResult<LazyFrame> {
    let address = || [col("info_hash"), col("ip")];
    let rows = joined.clone().lazy();
    let lost = rows.clone().filter(is_lost_incoming());
    let alone = lost
        .clone()
        .select([col("info_hash"), col("ip"), col("run"), col("contact")])
        .unique(None, UniqueKeepStrategy::Any)
        .group_by(address())
        .agg([polars::prelude::len().alias("contacts")])
        .filter(col("contacts").eq(lit(1)));
    let met = contacts.clone().lazy().filter(col("handshake").and(col("own").not()));
    let named = rows.filter(is_lost_incoming().not()).select(address());
    let known = concat([met.select(address()), named], UnionArgs::default())?;
    Ok(lost.join(alone, address(), address(), JoinArgs::new(JoinType::Semi)).join(
        known,
        address(),
        address(),
        JoinArgs::new(JoinType::Anti),
    ))
}

/// The count of a row; `have_all` is every piece, also where they could not be counted at the time.
fn known_pieces() -> Expr {
    let have_all = col("kind").eq(lit(ProgressKind::HaveAll.as_str()));
    when(have_all).then(coalesce(&[col("pieces"), col("piece_count")])).otherwise(col("pieces"))
}

const HANDSHAKE: i32 = 0;
const NOTHING: i32 = 1;
const HAVE: i32 = 2;

/// The row's [`Claim`] as a number.
fn claim() -> Expr {
    let is = |kind: ProgressKind| col("kind").eq(lit(kind.as_str()));
    when(is(ProgressKind::Bitfield).or(is(ProgressKind::HaveAll)))
        .then(lit(HANDSHAKE))
        .when(is(ProgressKind::HaveNone).or(is(ProgressKind::Silence)))
        .then(lit(NOTHING))
        .otherwise(lit(HAVE))
}

impl Observed {
    /// Judges every peer; `verdict` gets the peer's number, its torrent and each verdict in order.
    ///
    /// Peers of a torrent whose piece count is not known get none.
    pub fn judge(
        &self,
        thresholds: &[Threshold],
        mut verdict: impl FnMut(u32, &Torrent, Verdict<'_>),
    ) -> PolarsResult<()> {
        let torrents = self.torrents()?;
        let mut of_peer: (u32, Vec<Observation<'_>>) = (0, Vec::new());
        let mut finish = |(peer, observations): &mut (u32, Vec<Observation<'_>>)| {
            if let Some(Some(torrent)) = torrents.get(*peer as usize) {
                for found in judge(torrent, thresholds, observations) {
                    verdict(*peer, torrent, found);
                }
            }
            observations.clear();
        };
        let rows = &self.rows;
        let peers = rows.column("peer")?.u32()?.iter();
        let times = rows.column("time")?.i64()?.iter().zip(rows.column("pieces")?.i64()?.iter());
        let contacts = rows.column("run_number")?.u32()?.iter().zip(rows.column("contact")?.i64()?.iter());
        let claims = rows.column("claim")?.i32()?.iter().zip(rows.column("settled")?.bool()?.iter());
        let handshakes =
            rows.column("handshake_at")?.i64()?.iter().zip(rows.column("peer_id")?.binary()?.iter());
        let columns = peers.zip(times).zip(contacts).zip(claims.zip(handshakes));
        for (((peer, (time, pieces)), (run, contact)), ((claim, settled), (handshake_at, peer_id))) in columns
        {
            let (Some(peer), Some(time), Some(Ok(pieces))) = (peer, time, pieces.map(u32::try_from)) else {
                continue;
            };
            if peer != of_peer.0 {
                finish(&mut of_peer);
                of_peer.0 = peer;
            }
            of_peer.1.push(Observation {
                time,
                pieces,
                contact: (run.unwrap_or_default(), contact.unwrap_or_default()),
                handshake_at,
                peer_id,
                claim: match claim {
                    Some(HANDSHAKE) => Claim::Handshake,
                    Some(NOTHING) => Claim::Nothing,
                    _ => Claim::Have,
                },
                settled: settled.unwrap_or_default(),
            });
        }
        finish(&mut of_peer);
        Ok(())
    }

    /// Peers by bucket and torrent, each by what it told last in the bucket: `hour`, `info_hash`, `seeders` (at or above
    /// the threshold), `leechers`.
    pub fn seeders(&self, threshold: Threshold, bucket_us: i64) -> PolarsResult<DataFrame> {
        let needed = lit(threshold.billionths()) * col("piece_count");
        let complete = || (col("pieces") * lit(Threshold::WHOLE)).gt_eq(needed.clone());
        let of_peer = self.peers.clone().lazy().select([col("peer"), col("info_hash"), col("piece_count")]);
        self.rows
            .clone()
            .lazy()
            .join(of_peer, [col("peer")], [col("peer")], left_join())
            .filter(col("piece_count").gt(lit(0)).and(col("pieces").lt_eq(col("piece_count"))))
            .filter(col("settled").or(complete()))
            .with_columns([
                (col("time") - col("time") % lit(bucket_us)).alias("hour"),
                complete().cast(DataType::Int64).alias("complete"),
            ])
            .sort(["peer", "time", "pieces"], SortMultipleOptions::default())
            .group_by([col("hour"), col("info_hash"), col("peer")])
            .agg([col("complete").last()])
            .group_by([col("hour"), col("info_hash")])
            .agg([
                col("complete").sum().alias("seeders"),
                (polars::prelude::len().cast(DataType::Int64) - col("complete").sum()).alias("leechers"),
            ])
            .collect()
    }

    /// The torrent of each peer, by the peer's number; `None` where the piece count is not known.
    fn torrents(&self) -> PolarsResult<Vec<Option<Torrent>>> {
        let number = |name: &str| -> PolarsResult<Vec<Option<u64>>> {
            let column = self.peers.column(name)?.i64()?;
            Ok(column.iter().map(|value| value.and_then(|value| u64::try_from(value).ok())).collect())
        };
        let bytes = number("piece_length")?.into_iter().zip(number("size_bytes")?);
        let torrents =
            number("piece_count")?.into_iter().zip(bytes).map(|(piece_count, (piece_length, size))| {
                let piece_count = u32::try_from(piece_count?).ok().filter(|count| *count > 0)?;
                let bytes = piece_length.zip(size).map(|(piece_length, size)| Bytes { piece_length, size });
                Some(Torrent { piece_count, bytes })
            });
        Ok(torrents.collect())
    }
}
