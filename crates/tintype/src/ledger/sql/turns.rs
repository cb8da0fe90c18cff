//! Whose job is next: owners take turns, those with the fewest jobs in hand first.
//!
//! Jobs of one owner are done in the order they are due, so one that is tried again lines up behind what came before its
//! new time. Every part of the statement is a seek in an index: a claim costs the same with ten waiting jobs as with a
//! hundred thousand, slow ones that are left to others included.

use super::Dialect;

/// Owners looked at from the last one on, and again from the first: however many there are, a claim costs no more.
const OWNERS: usize = 64;

/// No two jobs of one upload are in hand at once, nor two whose outputs may meet.
const FREE: &str =
    "NOT EXISTS (SELECT 1 FROM jobs AS o WHERE o.upload_id = j.upload_id AND o.id <> j.id AND o.lease IS NOT NULL)
     AND NOT EXISTS (SELECT 1 FROM jobs AS n WHERE n.names = j.names AND n.names <> '' AND n.id <> j.id AND n.lease IS NOT NULL)";

/// How jobs are asked for, each expression as one index has it (migrations 6 and 8 say why).
struct Lane {
    /// What a job is: not dead, and where slow ones are left to others none of those.
    is: &'static str,
    /// Whose it is.
    owner: &'static str,
    /// When it is due, among all.
    due: &'static str,
    /// The same within one owner.
    own_due: &'static str,
}

const ALL: Lane = Lane { is: "j.dead_at IS NULL", owner: "j.owner", due: "j.due_at", own_due: "(j.due_at + 0)" };
const QUICK: Lane = Lane {
    is: "j.dead_at IS NULL AND j.slow = 0",
    owner: "(j.owner || '')",
    due: "(j.due_at - 0)",
    own_due: "(j.due_at + 0)",
};

/// The statement that claims a job, slow ones included or not: `$1` its lease, `$2` the lease's end, `$3` now, `$4` a time that
/// no due time can lie behind, `$5` the owner whose job was claimed last.
pub(super) fn claim(dialect: Dialect, slow_too: bool) -> String {
    let skip = dialect.skip_locked();
    let lane = if slow_too { ALL } else { QUICK };
    let (later, earlier) = (owners(&lane, "later", 1, "> $5"), owners(&lane, "earlier", OWNERS + 1, "<= $5"));
    let Lane { is, owner, due, own_due } = lane;
    let own = format!("{is} AND {own_due} <= $3 AND {FREE} ORDER BY {own_due}, j.id LIMIT 1");
    let first = format!("{FREE} ORDER BY {due}, j.id LIMIT 1");
    // Where the owners that were looked at have nothing due, the job that has waited longest goes; then one whose time was
    // set by a clock that was wrong.
    format!(
        "WITH RECURSIVE {later}, {earlier},
           owners AS (SELECT owner, place FROM later UNION ALL SELECT owner, place FROM earlier),
           next AS (SELECT w.owner FROM owners AS w WHERE w.owner IS NOT NULL
               AND (SELECT j.id FROM jobs AS j WHERE {owner} = w.owner AND {own}) IS NOT NULL
             ORDER BY (SELECT count(*) FROM jobs AS h WHERE h.owner = w.owner AND h.lease IS NOT NULL AND h.due_at > $3),
               w.place LIMIT 1)
         UPDATE jobs SET lease = $1, due_at = $2, attempts = attempts + 1 WHERE id = coalesce(
           (SELECT j.id FROM jobs AS j WHERE {owner} = (SELECT owner FROM next) AND {own} {skip}),
           (SELECT j.id FROM jobs AS j WHERE {is} AND {due} <= $3 AND {first} {skip}),
           (SELECT j.id FROM jobs AS j WHERE {is} AND {due} > $4 AND {first} {skip}))
         RETURNING id, upload_id, event, force, attempts, excused, lease, created_at, owner,
           (SELECT u.traceparent FROM uploads AS u WHERE u.id = jobs.upload_id) AS traceparent"
    )
}

/// A table of the owners that have jobs, in the order of their names, each found by a seek.
fn owners(lane: &Lane, name: &str, first: usize, within: &str) -> String {
    let last = first + OWNERS - 1;
    let Lane { is, owner, .. } = lane;
    format!(
        "{name}(owner, place) AS (
           SELECT min({owner}), {first} FROM jobs AS j WHERE {is} AND {owner} {within}
           UNION ALL
           SELECT (SELECT min({owner}) FROM jobs AS j WHERE {is} AND {owner} > w.owner AND {owner} {within}), w.place + 1
           FROM {name} AS w WHERE w.owner IS NOT NULL AND w.place < {last})"
    )
}
